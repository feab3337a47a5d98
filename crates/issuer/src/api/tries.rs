//! Tries of people who have shown no certificate, which a service hands on: whoever reaches its screens causes them. They
//! have buckets of their own, so that they use up nothing that the service needs for other acts, and each network and
//! contract has a part of them only.

use crate::buckets::Buckets;
use crate::listen::network;
use sekisho_lifecycle::ContractId;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;

/// The part of a service's rate that one client address, and that one contract, may have: ten at a time acquire at an
/// office behind one address.
const NARROW_PART: u32 = 10;

/// The part that one provider's network may have: the first 16 bits of an IPv4 address, the first 32 of an IPv6 address.
/// Whoever has a /32 has four thousand million networks of the narrow kind.
const WIDE_PART: u32 = 4;

/// Whose tries they are, by service and network; without an address all those who have none.
type Place = (Arc<str>, Option<IpAddr>);

/// Their buckets.
pub(super) struct Tries {
    narrow: Buckets<Place>,
    wide: Buckets<Place>,
    contracts: Buckets<(Arc<str>, ContractId)>,
    services: Buckets<Arc<str>>,
}

impl Tries {
    /// Full buckets for services of this rate.
    pub(super) fn new(rate: u32, burst: u32, now: Instant) -> Self {
        let part = |part: u32| (rate.div_ceil(part), burst.div_ceil(part));
        let ((narrow, narrow_burst), (wide, wide_burst)) = (part(NARROW_PART), part(WIDE_PART));
        Self {
            narrow: Buckets::new(narrow, narrow_burst, now),
            wide: Buckets::new(wide, wide_burst, now),
            contracts: Buckets::new(narrow, narrow_burst, now),
            services: Buckets::new(rate, burst, now),
        }
    }

    /// Takes a try; or the seconds until there is one. What is refused for its network or contract takes nothing from the
    /// others.
    pub(super) fn take(
        &self,
        service: &Arc<str>,
        address: Option<&str>,
        contract: &ContractId,
        now: Instant,
    ) -> Result<(), u64> {
        let address = address.and_then(|address| address.parse().ok()).map(network);
        let place = |network| (Arc::clone(service), network);
        if address.is_some() {
            self.narrow.take(place(address), now)?;
        }
        self.wide.take(place(address.map(provider)), now)?;
        self.contracts.take((Arc::clone(service), contract.clone()), now)?;
        self.services.take(Arc::clone(service), now)
    }
}

/// The provider's network, as far as an address tells it.
fn provider(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << 16))),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 96))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract(number: u32) -> ContractId {
        ContractId::new(&format!("C{number}")).unwrap()
    }

    /// How many of a thousand tries of a second pass.
    fn passed(tries: &Tries, address: impl Fn(u32) -> Option<String>, of: impl Fn(u32) -> u32, now: Instant) -> usize {
        let service = Arc::from("ib");
        let one = |number| tries.take(&service, address(number).as_deref(), &contract(of(number)), now).is_ok();
        (0..1_000).filter(|number| one(*number)).count()
    }

    #[test]
    fn neither_an_address_nor_a_network_nor_a_contract_takes_what_others_need() {
        let now = Instant::now();
        let tries = Tries::new(100, 200, now);
        let address = |_: u32| Some("192.0.2.1".to_owned());
        assert_eq!(passed(&tries, address, |number| number, now), 20);
        let in_one_network = |number: u32| Some(format!("2001:db8:{:x}:{:x}::1", number / 7, number));
        assert_eq!(passed(&tries, in_one_network, |number| 10_000 + number, now), 50);
        assert_eq!(passed(&tries, |_| None, |number| 20_000 + number, now), 50);
        let everywhere = |number: u32| Some(format!("{}.{}.0.1", 11 + number / 200, number % 200));
        assert_eq!(passed(&tries, everywhere, |_| 500_000, now), 20);
        // An honest one of another network and contract still has a place.
        let service = Arc::from("ib");
        assert_eq!(tries.take(&service, Some("198.51.100.7"), &contract(8), now), Ok(()));
        // And another service has its own.
        assert_eq!(passed(&tries, everywhere, |number| number, now), 200 - 20 - 50 - 50 - 20 - 1);
        assert_eq!(tries.take(&Arc::from("ib2"), Some("192.0.2.1"), &contract(1), now), Ok(()));
    }
}
