//! Counting wrong tries.

use crate::profile::TryLimit;
use sekisho_pki::time::Timestamp;

/// Wrong tries of a user, a contract or an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// How many since `first_at`.
    pub wrong: u32,
    /// When the first of them was.
    pub first_at: Option<Timestamp>,
    /// When the last one allowed was.
    pub locked_at: Option<Timestamp>,
}

impl Counter {
    /// Whether no try is taken now, right or wrong.
    pub fn is_locked(&self, limit: &TryLimit, now: Timestamp) -> bool {
        // A clock that went back finds `now` before the lock: locked still.
        self.locked_at.is_some_and(|at| limit.locked_for.is_none_or(|seconds| now < at.plus_seconds(seconds)))
    }

    /// The count with one wrong try more.
    #[must_use]
    pub fn after_wrong(self, limit: &TryLimit, now: Timestamp) -> Self {
        let lock_is_over = self.locked_at.is_some() && !self.is_locked(limit, now);
        let forgotten = |first: Timestamp| limit.window.is_some_and(|seconds| first.plus_seconds(seconds) <= now);
        let before = if lock_is_over || (self.locked_at.is_none() && self.first_at.is_some_and(forgotten)) {
            Self::default()
        } else {
            self
        };
        let wrong = before.wrong.saturating_add(1);
        Self {
            wrong,
            first_at: before.first_at.or(Some(now)),
            locked_at: before.locked_at.or((wrong >= limit.most).then_some(now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: TryLimit = TryLimit { most: 3, window: Some(100), locked_for: Some(50) };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix(second)
    }

    fn wrong_at(limit: &TryLimit, seconds: &[i64]) -> Counter {
        seconds.iter().fold(Counter::default(), |counter, second| counter.after_wrong(limit, at(*second)))
    }

    #[test]
    fn the_last_wrong_try_locks_and_the_lock_ends_with_its_time() {
        assert!(!wrong_at(&LIMIT, &[0, 1]).is_locked(&LIMIT, at(1)));
        let locked = wrong_at(&LIMIT, &[0, 1, 2]);
        assert!(locked.is_locked(&LIMIT, at(2)));
        assert!(locked.is_locked(&LIMIT, at(51)));
        assert!(locked.is_locked(&LIMIT, at(-1)), "a clock that went back opens nothing");
        assert!(!locked.is_locked(&LIMIT, at(52)));
        assert_eq!(locked.after_wrong(&LIMIT, at(52)).wrong, 1, "counted anew after the lock");
    }

    #[test]
    fn wrong_tries_are_forgotten_after_the_window_and_not_before() {
        assert!(wrong_at(&LIMIT, &[0, 1, 99]).is_locked(&LIMIT, at(99)));
        assert_eq!(wrong_at(&LIMIT, &[0, 1, 100]).wrong, 1);
    }

    #[test]
    fn without_times_nothing_is_forgotten_and_no_lock_ends() {
        let limit = TryLimit { most: 2, window: None, locked_for: None };
        let locked = wrong_at(&limit, &[0, 1_000_000_000]);
        assert!(locked.is_locked(&limit, at(i64::MAX)));
        assert_eq!(locked.after_wrong(&limit, at(2_000_000_000)).locked_at, locked.locked_at);
    }
}
