//! Token buckets: how often one caller of the API, one address of unknown callers, or one reader of lists may come.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Callers that are told apart. More at a time than a bank's largest contracts have; some 6 MB at most.
const MOST: usize = 65_536;

/// Between two looks for room: each walks all buckets, and whoever comes from ever new addresses must not make every
/// request do so.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// A bucket for each key. It fills with `rate` tokens a second up to `burst`; each request takes one.
pub(super) struct Buckets<K> {
    rate: f64,
    burst: f64,
    most: usize,
    state: Mutex<State<K>>,
}

struct State<K> {
    known: HashMap<K, Bucket>,
    /// Of all who come while there is no room for another bucket: nobody who is known suffers.
    others: Bucket,
    /// When room was looked for last.
    swept: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl<K: Hash + Eq> Buckets<K> {
    /// Buckets that are full.
    pub(super) fn new(rate: u32, burst: u32, now: Instant) -> Self {
        let (rate, burst) = (f64::from(rate.max(1)), f64::from(burst.max(1)));
        let others = Bucket { tokens: burst, at: now };
        Self { rate, burst, most: MOST, state: Mutex::new(State { known: HashMap::new(), others, swept: None }) }
    }

    /// Takes a token; or the seconds until there is one, rounded up.
    pub(super) fn take(&self, key: K, now: Instant) -> Result<(), u64> {
        self.take_part(key, 1.0, now)
    }

    /// Takes a part of a token, above 0 and at most 1; or the seconds until there is one, rounded up.
    pub(super) fn take_part(&self, key: K, part: f64, now: Instant) -> Result<(), u64> {
        // A panic elsewhere while counting leaves a count, not a broken rule.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let rested = state.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= SWEEP_PAUSE);
        if rested && state.known.len() >= self.most && !state.known.contains_key(&key) {
            state.swept = Some(now);
            // A full bucket says as much as none.
            state.known.retain(|_, bucket| self.filled(*bucket, now).tokens < self.burst);
        }
        let State { known, others, .. } = &mut *state;
        let bucket = if known.len() < self.most || known.contains_key(&key) {
            known.entry(key).or_insert(Bucket { tokens: self.burst, at: now })
        } else {
            others
        };
        *bucket = self.filled(*bucket, now);
        if bucket.tokens >= part {
            bucket.tokens -= part;
            return Ok(());
        }
        // At most a second, for the rate is at least one.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1")]
        Err((((part - bucket.tokens) / self.rate).ceil() as u64).max(1))
    }

    fn filled(&self, bucket: Bucket, now: Instant) -> Bucket {
        let seconds = now.saturating_duration_since(bucket.at).as_secs_f64();
        Bucket { tokens: seconds.mul_add(self.rate, bucket.tokens).min(self.burst), at: now.max(bucket.at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_the_rate() {
        let start = Instant::now();
        let buckets = Buckets::new(2, 3, start);
        for _ in 0..3 {
            assert_eq!(buckets.take("a", start), Ok(()));
        }
        assert_eq!(buckets.take("a", start), Err(1));
        assert_eq!(buckets.take("b", start), Ok(()), "another caller's bucket is their own");
        let later = start + Duration::from_millis(500);
        assert_eq!(buckets.take("a", later), Ok(()));
        assert_eq!(buckets.take("a", later), Err(1));
        assert_eq!(buckets.take("a", start), Err(1), "a clock that goes back fills nothing");
    }

    #[test]
    fn there_are_never_more_buckets_than_there_is_room_for() {
        let start = Instant::now();
        let mut buckets = Buckets::new(1, 1, start);
        buckets.most = 2;
        assert_eq!(buckets.take(1, start), Ok(()));
        assert_eq!(buckets.take(2, start), Ok(()));
        // The two are empty and stay; all others share one.
        assert_eq!(buckets.take(3, start), Ok(()));
        assert_eq!(buckets.take(4, start), Err(1));
        assert_eq!(buckets.take(1, start), Err(1));
        assert_eq!(buckets.state.lock().unwrap().known.len(), 2);
        // Full again, and looked for too soon.
        let soon = start + Duration::from_millis(999);
        assert_eq!((buckets.take(5, soon), buckets.state.lock().unwrap().known.contains_key(&5)), (Err(1), false));
        // Once they are full again they make room.
        let later = start + Duration::from_secs(2);
        assert_eq!(buckets.take(5, later), Ok(()));
        assert_eq!(buckets.take(6, later), Ok(()));
        assert_eq!(buckets.state.lock().unwrap().known.len(), 2);
    }
}
