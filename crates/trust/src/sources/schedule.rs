//! When a list is asked for again. Pure: chance and time are arguments.

use sekisho_pki::time::Timestamp;
use std::time::Duration;

/// The first pause after a failure; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// A list is asked for no sooner than this after an answer, however near its nextUpdate is.
pub(super) const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// A number in `0.0..1.0`, by which gateways that began together come apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Chance(f64);

impl Chance {
    /// From the system's random numbers; without them the middle.
    pub(super) fn draw() -> Self {
        let mut octets = [0; 4];
        match aws_lc_rs::rand::fill(&mut octets) {
            Ok(()) => Self(f64::from(u32::from_be_bytes(octets)) / (f64::from(u32::MAX) + 1.0)),
            Err(_) => Self(0.5),
        }
    }

    fn between(self, low: f64, high: f64) -> f64 {
        (high - low).mul_add(self.0, low)
    }
}

/// How long to wait after the server answered with a list, new or not.
///
/// Four to five fifths of `interval`; but if nextUpdate comes sooner, half to nine tenths of the time that is left, so
/// that there are several tries before it, each at another moment on every gateway. Once it has passed, the server has
/// nothing new and is asked like one that fails.
pub(super) fn after_answer(
    next_update: Option<Timestamp>,
    now: Timestamp,
    interval: Duration,
    overdue: u32,
    chance: Chance,
) -> Duration {
    let usual = interval.mul_f64(chance.between(0.8, 1.0));
    let Some(next_update) = next_update else { return usual.max(LEAST_PAUSE) };
    match u64::try_from(next_update.unix().saturating_sub(now.unix())) {
        Ok(left) if left > 0 => usual.min(Duration::from_secs(left).mul_f64(chance.between(0.5, 0.9))).max(LEAST_PAUSE),
        _ => after_failure(overdue, interval, chance),
    }
}

/// How long to wait after the `failures`-th failure in a row: 2 s doubled each time up to `interval`, of which by chance
/// half or more.
pub(super) fn after_failure(failures: u32, interval: Duration, chance: Chance) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(interval).mul_f64(chance.between(0.5, 1.0)).max(LEAST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const NOW: Timestamp = Timestamp::from_unix(1_000_000);
    const CHANCES: [Chance; 3] = [Chance(0.0), Chance(0.5), Chance(0.999_999)];

    #[test]
    fn a_list_is_asked_for_ahead_of_its_next_update_and_at_most_an_interval_later() {
        for chance in CHANCES {
            for left in [2, 60, 3_600, 86_400, i64::MAX / 2] {
                let pause = after_answer(Some(NOW.plus_seconds(left)), NOW, HOUR, 0, chance);
                assert!(pause <= HOUR, "{left} {pause:?}");
                assert!(pause >= LEAST_PAUSE, "{left} {pause:?}");
                assert!(pause.as_secs_f64() < left as f64, "{left} {pause:?}");
            }
            assert!(after_answer(None, NOW, HOUR, 0, chance) <= HOUR);
        }
    }

    #[test]
    fn gateways_that_began_together_come_apart() {
        let pauses = CHANCES.map(|chance| after_answer(None, NOW, HOUR, 0, chance));
        assert_eq!(pauses[0], HOUR.mul_f64(0.8));
        assert!(pauses[0] < pauses[1] && pauses[1] < pauses[2]);
        let failed = CHANCES.map(|chance| after_failure(5, HOUR, chance));
        assert!(failed[0] < failed[1] && failed[1] < failed[2]);
        let drawn: Vec<_> = (0..100).map(|_| Chance::draw().0).collect();
        assert!(drawn.iter().all(|chance| (0.0..1.0).contains(chance)), "{drawn:?}");
        assert!(drawn.iter().any(|chance| *chance < 0.5) && drawn.iter().any(|chance| *chance > 0.5), "{drawn:?}");
    }

    #[test]
    fn failures_back_off_to_the_interval_and_no_further() {
        let pauses: Vec<_> = (1..=40).map(|failures| after_failure(failures, HOUR, Chance(1.0))).collect();
        assert_eq!(pauses[..4], [2, 4, 8, 16].map(Duration::from_secs));
        assert!(pauses.iter().all(|pause| *pause <= HOUR));
        assert_eq!(pauses.last(), Some(&HOUR));
    }

    #[test]
    fn a_server_that_has_nothing_new_after_next_update_is_backed_off_from() {
        let stale = Some(NOW.plus_seconds(-1));
        assert_eq!(after_answer(stale, NOW, HOUR, 1, Chance(1.0)), Duration::from_secs(2));
        assert_eq!(after_answer(stale, NOW, HOUR, 4, Chance(1.0)), Duration::from_secs(16));
        assert_eq!(after_answer(Some(NOW), NOW, HOUR, 4, Chance(1.0)), Duration::from_secs(16));
    }
}
