//! Who may connect: connections in all, per address, and new ones per second (requirement G14).

use sekisho_config::Limits;
use sekisho_runtime::label;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Pause after the operating system could not hand over a connection (out of descriptors): others must end first.
pub(in crate::gateway) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Independent locks, so that accepting threads seldom meet.
const SHARDS: usize = 16;

/// Counts connections by client address.
///
/// An IPv6 client is counted by its /64, the smallest block that is given out; otherwise one host could be 2^64 addresses.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Admission {
    total: std::sync::atomic::AtomicUsize,
    shards: [Mutex<HashMap<IpAddr, PerAddress>>; SHARDS],
}

#[derive(Debug)]
struct PerAddress {
    open: usize,
    /// New connections in the second that began at `window`.
    recent: u32,
    window: Instant,
}

/// A place taken by a connection, given back when dropped.
#[derive(Debug)]
pub(in crate::gateway) struct Place {
    admission: Arc<Admission>,
    address: IpAddr,
}

label! {
    /// A limit, by its key in the configuration.
    pub(in crate::gateway) enum Limit {
        /// Bytes of request bodies on their way.
        BodyBytesInFlight = "body_bytes_in_flight",
        /// Time in which nothing of a body moves.
        BodyIdleTimeout = "body_idle_timeout",
        /// Connections in all.
        Connections = "connections",
        /// Connections to upstreams being opened for one client connection.
        ConnectionsOpeningPerConnection = "connections_opening_per_connection",
        /// Connections being opened to one peer.
        ConnectionsOpeningPerPeer = "connections_opening_per_peer",
        /// Connections of one address.
        ConnectionsPerAddress = "connections_per_address",
        /// Time in which requests of a revoked client may finish.
        Finish = "finish",
        /// Time of a handshake.
        HandshakeTimeout = "handshake_timeout",
        /// Time of a request header.
        HeaderTimeout = "header_timeout",
        /// Streams that a client resets.
        Http2Resets = "http2_resets",
        /// Time in which a connection has no request.
        IdleTimeout = "idle_timeout",
        /// New connections of one address in a second.
        NewConnectionsPerSecond = "new_connections_per_second_per_address",
        /// Bytes of a request body.
        RequestBodyBytes = "request_body_bytes",
        /// Bytes of a request header.
        RequestHeaderBytes = "request_header_bytes",
        /// Time of a request.
        RequestTimeout = "request_timeout",
        /// Requests in progress with one pool.
        RequestsInFlight = "requests_in_flight",
        /// Requests in progress of one address.
        RequestsInFlightPerAddress = "requests_in_flight_per_address",
        /// Requests in progress of one certificate.
        RequestsInFlightPerCertificate = "requests_in_flight_per_certificate",
        /// Requests in progress with one peer.
        RequestsInFlightPerPeer = "requests_in_flight_per_peer",
        /// Requests of one connection.
        RequestsPerConnection = "requests_per_connection",
        /// Bytes of a body in a second.
        SlowBodyBytesPerSecond = "slow_body_bytes_per_second",
    }
}

impl Admission {
    /// Takes a place for a connection from `address`, or says which limit is met.
    pub(in crate::gateway) fn enter(
        self: &Arc<Self>,
        address: IpAddr,
        limits: &Limits,
        now: Instant,
    ) -> Result<Place, Limit> {
        use std::sync::atomic::Ordering::Relaxed;
        let address = counted_address(address);
        if self.total.fetch_add(1, Relaxed) >= limits.connections {
            self.total.fetch_sub(1, Relaxed);
            return Err(Limit::Connections);
        }
        let admitted = self.admit(address, limits, now);
        if let Err(exceeded) = admitted {
            self.total.fetch_sub(1, Relaxed);
            return Err(exceeded);
        }
        Ok(Place { admission: self.clone(), address })
    }

    fn admit(&self, address: IpAddr, limits: &Limits, now: Instant) -> Result<(), Limit> {
        let mut shard = self.shard(address);
        let entry = shard.entry(address).or_insert(PerAddress { open: 0, recent: 0, window: now });
        if now.duration_since(entry.window).as_secs() >= 1 {
            entry.window = now;
            entry.recent = 0;
        }
        let rate = limits.new_connections_per_second_per_address;
        if entry.open >= limits.connections_per_address {
            return Err(Limit::ConnectionsPerAddress);
        }
        if rate != 0 && entry.recent >= rate {
            return Err(Limit::NewConnectionsPerSecond);
        }
        entry.open += 1;
        entry.recent += 1;
        Ok(())
    }

    /// Forgets addresses that have nothing open and no recent connection.
    pub(in crate::gateway) fn forget_quiet(&self, now: Instant) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, entry| entry.open > 0 || now.duration_since(entry.window).as_secs() < 1);
        }
    }

    fn leave(&self, address: IpAddr) {
        if let Some(entry) = self.shard(address).get_mut(&address) {
            entry.open = entry.open.saturating_sub(1);
        }
        self.total.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }

    fn shard(&self, address: IpAddr) -> std::sync::MutexGuard<'_, HashMap<IpAddr, PerAddress>> {
        let last = match address {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(address) => address.octets()[7],
        };
        self.shards[usize::from(last) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.leave(self.address);
    }
}

pub(in crate::gateway) fn counted_address(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_config::Limits;
    use std::time::Duration;

    fn limits(connections: usize, per_address: usize, rate: u32) -> Limits {
        Limits {
            connections,
            connections_per_address: per_address,
            new_connections_per_second_per_address: rate,
            ..Limits::default()
        }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_over_its_limit_leaves_room_for_the_others() {
        let (admission, now) = (Arc::new(Admission::default()), Instant::now());
        let limits = limits(10, 2, 0);
        let held: Vec<_> = (0..2).map(|_| admission.enter(address("192.0.2.1"), &limits, now).unwrap()).collect();
        let refused = admission.enter(address("192.0.2.1"), &limits, now).unwrap_err();
        assert_eq!(refused, Limit::ConnectionsPerAddress);
        assert!(admission.enter(address("192.0.2.2"), &limits, now).is_ok());
        drop(held);
        assert!(admission.enter(address("192.0.2.1"), &limits, now).is_ok(), "a place left is a place free");
    }

    #[test]
    fn the_sum_over_all_addresses_is_limited() {
        let (admission, now) = (Arc::new(Admission::default()), Instant::now());
        let limits = limits(2, 2, 0);
        let first = admission.enter(address("192.0.2.1"), &limits, now).unwrap();
        let _second = admission.enter(address("192.0.2.2"), &limits, now).unwrap();
        assert_eq!(admission.enter(address("192.0.2.3"), &limits, now).unwrap_err(), Limit::Connections);
        drop(first);
        assert!(admission.enter(address("192.0.2.3"), &limits, now).is_ok());
    }

    #[test]
    fn new_connections_are_limited_by_the_second() {
        let (admission, now) = (Arc::new(Admission::default()), Instant::now());
        let limits = limits(10, 10, 2);
        for _ in 0..2 {
            drop(admission.enter(address("192.0.2.1"), &limits, now).unwrap());
        }
        let refused = admission.enter(address("192.0.2.1"), &limits, now).unwrap_err();
        assert_eq!(refused, Limit::NewConnectionsPerSecond);
        assert!(admission.enter(address("192.0.2.1"), &limits, now + Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn an_ipv6_network_of_64_bits_is_one_client() {
        let (admission, now) = (Arc::new(Admission::default()), Instant::now());
        let limits = limits(10, 1, 0);
        let _held = admission.enter(address("2001:db8::1"), &limits, now).unwrap();
        assert!(admission.enter(address("2001:db8::ffff:2"), &limits, now).is_err());
        assert!(admission.enter(address("2001:db8:0:1::1"), &limits, now).is_ok());
    }

    #[test]
    fn quiet_addresses_are_forgotten() {
        let (admission, now) = (Arc::new(Admission::default()), Instant::now());
        drop(admission.enter(address("192.0.2.1"), &limits(1, 1, 0), now).unwrap());
        admission.forget_quiet(now + Duration::from_secs(2));
        assert!(admission.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }
}
