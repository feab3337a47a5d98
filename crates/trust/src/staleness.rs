//! Freshness of a list and what its CA's policy makes of a stale one (requirement R4).

use sekisho_config::WhenStale;
use sekisho_pki::time::Timestamp;
use std::fmt;
use std::sync::Arc;

/// How a list stands at a moment under its CA's policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// nextUpdate has not passed.
    Fresh,
    /// nextUpdate has passed and the policy lets the list serve on, warned.
    Tolerated {
        /// The nextUpdate that passed.
        next_update: Timestamp,
    },
    /// nextUpdate has passed and the policy refuses.
    Expired {
        /// The nextUpdate that passed.
        next_update: Timestamp,
    },
}

/// A stale list that served on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// The CA.
    pub ca: Arc<str>,
    /// The nextUpdate that passed.
    pub next_update: Timestamp,
}

impl Freshness {
    /// Of a list with this nextUpdate at `now`.
    ///
    /// nextUpdate itself is still fresh: section 6.3.3 asks whether the time is **after** it.
    pub fn at(next_update: Timestamp, policy: WhenStale, now: Timestamp) -> Self {
        if now <= next_update {
            return Self::Fresh;
        }
        match policy {
            WhenStale::Open | WhenStale::ReportOnly => Self::Tolerated { next_update },
            WhenStale::Grace(time) if now <= next_update.plus_seconds(seconds(time)) => Self::Tolerated { next_update },
            WhenStale::Grace(_) | WhenStale::Closed => Self::Expired { next_update },
        }
    }
}

fn seconds(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the revocation list of ca {} is stale since {}", self.ca, self.next_update)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_list_is_stale_after_next_update_and_the_policy_decides() {
        let next_update = Timestamp::from_unix(1_000);
        let at = |policy, now| Freshness::at(next_update, policy, Timestamp::from_unix(now));
        let grace = WhenStale::Grace(Duration::from_secs(60));
        for policy in [WhenStale::Closed, grace, WhenStale::Open] {
            assert_eq!(at(policy, 1_000), Freshness::Fresh);
        }
        assert_eq!(at(WhenStale::Closed, 1_001), Freshness::Expired { next_update });
        assert_eq!(at(grace, 1_060), Freshness::Tolerated { next_update });
        assert_eq!(at(grace, 1_061), Freshness::Expired { next_update });
        assert_eq!(at(WhenStale::Open, i64::MAX), Freshness::Tolerated { next_update });
    }

    #[test]
    fn a_grace_beyond_all_time_does_not_wrap_around() {
        let forever = WhenStale::Grace(Duration::from_secs(u64::MAX));
        let next_update = Timestamp::from_unix(0);
        let late = Timestamp::from_unix(i64::MAX);
        assert_eq!(Freshness::at(next_update, forever, late), Freshness::Tolerated { next_update });
    }
}
