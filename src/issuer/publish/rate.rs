//! How often one address may ask: a bucket of tokens each.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Addresses that are remembered: 4 MB. Beyond it those that are not known share one bucket, and nobody who is known
/// suffers.
const ADDRESSES: usize = 65_536;

/// Seconds' worth of tokens that a bucket holds: a gateway that starts fetches the lists of all parts at once.
const BURST_SECONDS: u32 = 5;

/// Octets of an IPv6 address that are one subscriber's network (RFC 6177).
const NETWORK_OCTETS: usize = 8;

/// Buckets by address.
pub(super) struct Rates {
    per_second: f64,
    state: Mutex<State>,
    limit: usize,
}

#[derive(Default)]
struct State {
    buckets: HashMap<IpAddr, Bucket>,
    /// Of all for whom there is no room.
    others: Option<Bucket>,
    swept: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Rates {
    /// So many requests a second of an address, one at least.
    pub(super) fn new(per_second: u32) -> Self {
        Self { per_second: f64::from(per_second.max(1)), state: Mutex::default(), limit: ADDRESSES }
    }

    /// Takes a token, or says after how many seconds there is one.
    pub(super) fn take(&self, address: IpAddr, now: Instant) -> Result<(), u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let network = network(address);
        if !state.buckets.contains_key(&network) && state.buckets.len() >= self.limit {
            self.sweep(&mut state, now);
        }
        let full = Bucket { tokens: self.most(), at: now };
        let has_room = state.buckets.len() < self.limit || state.buckets.contains_key(&network);
        let bucket =
            if has_room { state.buckets.entry(network).or_insert(full) } else { state.others.get_or_insert(full) };
        self.fill(bucket, now);
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        let wait = ((1.0 - bucket.tokens) / self.per_second).ceil().max(1.0);
        // A second or a few: the rate is one a second at least.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Err(wait as u64)
    }

    /// Forgets addresses whose buckets are full again: they are as those that never came. At most once a second.
    fn sweep(&self, state: &mut State, now: Instant) {
        if state.swept.is_some_and(|swept| now.duration_since(swept) < Duration::from_secs(1)) {
            return;
        }
        state.swept = Some(now);
        state.buckets.retain(|_, bucket| {
            self.fill(bucket, now);
            bucket.tokens < self.most()
        });
    }

    fn fill(&self, bucket: &mut Bucket, now: Instant) {
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed * self.per_second).min(self.most());
        bucket.at = now;
    }

    fn most(&self) -> f64 {
        self.per_second * f64::from(BURST_SECONDS)
    }
}

/// IPv4 as it is, also when it is written as IPv6; of IPv6 the network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let mut octets = address.octets();
            octets.iter_mut().skip(NETWORK_OCTETS).for_each(|octet| *octet = 0);
            IpAddr::V6(Ipv6Addr::from(octets))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_burst_then_its_rate_and_no_other_suffers() {
        let (rates, begin) = (Rates::new(2), Instant::now());
        let one = address("192.0.2.1");
        for _ in 0..2 * BURST_SECONDS {
            assert_eq!(rates.take(one, begin), Ok(()));
        }
        assert_eq!(rates.take(one, begin), Err(1));
        assert_eq!(rates.take(address("192.0.2.2"), begin), Ok(()));
        let later = begin + Duration::from_millis(500);
        assert_eq!((rates.take(one, later), rates.take(one, later)), (Ok(()), Err(1)));
    }

    #[test]
    fn a_network_of_ipv6_is_one_and_mapped_ipv4_is_ipv4() {
        assert_eq!(network(address("2001:db8:0:1::1")), network(address("2001:db8:0:1:ffff::2")));
        assert_ne!(network(address("2001:db8:0:1::1")), network(address("2001:db8:0:2::1")));
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }

    #[test]
    fn memory_is_bounded_and_who_is_known_keeps_their_bucket() {
        let mut rates = Rates::new(1);
        rates.limit = 2;
        let begin = Instant::now();
        let known = address("192.0.2.1");
        assert_eq!(rates.take(known, begin), Ok(()));
        assert_eq!(rates.take(address("192.0.2.2"), begin), Ok(()));
        // No room: all others share one bucket.
        let refused = (3..20).filter(|last| rates.take(address(&format!("192.0.2.{last}")), begin).is_err()).count();
        assert_eq!(refused, 17 - BURST_SECONDS as usize);
        assert_eq!(rates.take(known, begin), Ok(()));
        assert_eq!(rates.state.lock().unwrap().buckets.len(), 2);
        // Full again is forgotten, and there is room.
        let later = begin + Duration::from_secs(10);
        assert_eq!(rates.take(address("192.0.2.30"), later), Ok(()));
        assert_eq!(rates.state.lock().unwrap().buckets.len(), 1);
    }
}
