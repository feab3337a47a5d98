//! How many requests are under way, of whom, and how much of their bodies is held.

use crate::gateway::base::limits::{Limit, counted_address};
use sekisho_config::Limits;
use sekisho_pki::fingerprint::Fingerprint;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Independent locks, so that requests seldom meet.
const SHARDS: usize = 16;

/// Whose request it is. All clients of an address that have no certificate are one: each of them is as easily made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Holder {
    Certificate(Fingerprint),
    WithoutCertificate(IpAddr),
}

/// The requests under way.
#[derive(Debug, Default)]
pub(super) struct Places {
    addresses: Counts<IpAddr>,
    holders: Counts<Holder>,
    held: AtomicU64,
}

/// Counts by key; a key without any is forgotten.
#[derive(Debug)]
struct Counts<K> {
    hasher: RandomState,
    shards: [Mutex<HashMap<K, usize>>; SHARDS],
}

/// A request's place, given back when dropped.
#[derive(Debug)]
pub(super) struct RequestPlace {
    places: Arc<Places>,
    address: IpAddr,
    holder: Holder,
}

/// Bytes of a body that are held until this is dropped.
#[derive(Debug)]
pub(super) struct Held<'a> {
    places: &'a Places,
    bytes: u64,
}

impl Places {
    /// Takes a place for a request.
    ///
    /// # Errors
    /// The limit that leaves none.
    pub(super) fn enter(
        self: &Arc<Self>,
        address: IpAddr,
        certificate: Option<Fingerprint>,
        limits: &Limits,
    ) -> Result<RequestPlace, Limit> {
        if self.held.load(Ordering::Relaxed) >= limits.body_bytes_in_flight {
            return Err(Limit::BodyBytesInFlight);
        }
        let address = counted_address(address);
        if !self.addresses.enter(address, limits.requests_in_flight_per_address) {
            return Err(Limit::RequestsInFlightPerAddress);
        }
        let holder = certificate.map_or(Holder::WithoutCertificate(address), Holder::Certificate);
        if !self.holders.enter(holder, limits.requests_in_flight_per_certificate) {
            self.addresses.leave(&address);
            return Err(Limit::RequestsInFlightPerCertificate);
        }
        Ok(RequestPlace { places: self.clone(), address, holder })
    }

    /// Counts bytes that are on their way.
    pub(super) fn hold(&self, bytes: usize) -> Held<'_> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.held.fetch_add(bytes, Ordering::Relaxed);
        Held { places: self, bytes }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.places.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Drop for RequestPlace {
    fn drop(&mut self) {
        self.places.addresses.leave(&self.address);
        self.places.holders.leave(&self.holder);
    }
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self { hasher: RandomState::new(), shards: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl<K: Hash + Eq> Counts<K> {
    fn enter(&self, key: K, limit: usize) -> bool {
        let mut shard = self.shard(&key);
        let count = shard.entry(key).or_insert(0);
        let fits = *count < limit;
        *count += usize::from(fits);
        fits
    }

    fn leave(&self, key: &K) {
        let mut shard = self.shard(key);
        if let Some(count) = shard.get_mut(key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                shard.remove(key);
            }
        }
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, HashMap<K, usize>> {
        let [first, ..] = self.hasher.hash_one(key).to_le_bytes();
        self.shards[usize::from(first) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_and_one_certificate_leave_room_for_the_others_and_what_was_left_is_free() {
        let limits = Limits {
            requests_in_flight_per_address: 3,
            requests_in_flight_per_certificate: 1,
            body_bytes_in_flight: 10,
            ..Limits::default()
        };
        let places = Arc::new(Places::default());
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|address| address.parse().unwrap());
        let certificate = Some(Fingerprint::of(b"one"));
        let first = places.enter(one, certificate, &limits).unwrap();
        assert_eq!(places.enter(other, certificate, &limits).unwrap_err(), Limit::RequestsInFlightPerCertificate);
        let second = places.enter(one, None, &limits).unwrap();
        assert_eq!(places.enter(one, None, &limits).unwrap_err(), Limit::RequestsInFlightPerCertificate);
        let third = places.enter(one, Some(Fingerprint::of(b"third")), &limits).unwrap();
        let fourth = Some(Fingerprint::of(b"fourth"));
        assert_eq!(places.enter(one, fourth, &limits).unwrap_err(), Limit::RequestsInFlightPerAddress);
        let others = places.enter(other, fourth, &limits).unwrap();
        let without = places.enter(other, None, &limits).unwrap();
        drop((first, second, third, others, without));
        assert!(places.addresses.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
        assert!(places.holders.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
        let held = places.hold(10);
        assert_eq!(places.enter(one, None, &limits).unwrap_err(), Limit::BodyBytesInFlight);
        drop(held);
        assert!(places.enter(one, None, &limits).is_ok());
    }
}
