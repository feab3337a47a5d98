//! When operations begin.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How fast operations come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Each worker begins the next when it has ended one (closed loop): as fast as the server lets.
    Closed,
    /// So many begin each second, whatever the server does (open loop).
    Rate(f64),
}

/// Gives out the moments at which operations are due.
#[derive(Debug)]
pub(super) struct Schedule {
    pace: Pace,
    start: Instant,
    given: AtomicU64,
}

impl Schedule {
    pub(super) const fn new(pace: Pace, start: Instant) -> Self {
        Self { pace, start, given: AtomicU64::new(0) }
    }

    /// Waits for the next operation's time and gives its number and the moment it is to be measured from; none once
    /// that time is `end` or later.
    ///
    /// A worker that was free when the operation fell due is measured from its own waking: the timer's granularity is
    /// ours. One that comes late is measured from the moment that was due, for a client would have waited.
    pub(super) async fn next(&self, end: Instant) -> Option<(u64, Instant)> {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let due = match self.pace {
            Pace::Closed => now,
            Pace::Rate(rate) => self.start + due_after(number, rate),
        };
        if due >= end {
            return None;
        }
        if due <= now {
            return Some((number, due));
        }
        tokio::time::sleep_until(due).await;
        Some((number, Instant::now()))
    }
}

#[allow(clippy::cast_precision_loss, reason = "2^53 operations take longer than any run")]
fn due_after(number: u64, rate: f64) -> Duration {
    Duration::try_from_secs_f64(number as f64 / rate).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone(run: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(run);
    }

    #[test]
    fn a_late_operation_is_measured_from_when_it_was_due() {
        alone(async {
            let now = Instant::now();
            // The run began a second ago, and nobody has taken anything: all of the first second are late.
            let start = now.checked_sub(Duration::from_secs(1)).unwrap();
            let schedule = Schedule::new(Pace::Rate(4.0), start);
            let end = now + Duration::from_secs(60);
            for quarter in 0..4 {
                let due = start + Duration::from_millis(250 * quarter);
                assert_eq!(schedule.next(end).await, Some((quarter, due)));
            }
        });
    }

    #[test]
    fn nothing_is_due_at_the_end_or_later() {
        alone(async {
            let start = Instant::now();
            let schedule = Schedule::new(Pace::Rate(1.0), start);
            assert_eq!(schedule.next(start + Duration::from_secs(1)).await.map(|(number, _)| number), Some(0));
            assert_eq!(schedule.next(start + Duration::from_secs(1)).await, None);
            assert_eq!(Schedule::new(Pace::Closed, start).next(start).await, None);
        });
    }
}
