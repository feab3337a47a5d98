//! Places of connections: so many in all, and so many of them for one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OwnedSemaphorePermit;

/// How many connections each address has.
#[derive(Clone, Debug, Default)]
pub(super) struct Shares(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection's place, free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _slot: OwnedSemaphorePermit,
    network: IpAddr,
    shares: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Shares {
    /// A place for an address, unless it has as many as it may.
    pub(super) fn take(&self, address: IpAddr, most: usize, slot: OwnedSemaphorePermit) -> Option<Place> {
        let network = network(address);
        let mut shares = lock(&self.0);
        // As many entries as there are connections, whose number is limited.
        let taken = shares.entry(network).or_insert(0);
        if *taken >= most {
            return None;
        }
        *taken += 1;
        Some(Place { _slot: slot, network, shares: Arc::clone(&self.0) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut shares = lock(&self.shares);
        if let Some(taken) = shares.get_mut(&self.network) {
            *taken -= 1;
            if *taken == 0 {
                shares.remove(&self.network);
            }
        }
    }
}

/// Nothing panics while it is held, so what is in it is whole.
fn lock(shares: &Mutex<HashMap<IpAddr, usize>>) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
    shares.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One address, or the network that one IPv6 host has to itself.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_one_ipv6_network_are_one() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
