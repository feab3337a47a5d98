//! How fast a client moves a body, either way: not to stop, and not to drip.

use super::failure::{Cause, Failure};
use crate::gateway::limits::Limit;
use sekisho_config::Limits;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long a client may be waited for before its rate counts: Apache's mod_reqtimeout gives as much.
const GRACE: Duration = Duration::from_secs(20);

/// What a client moved, and how long it was waited for.
#[derive(Debug)]
pub(super) struct Pace {
    idle: Duration,
    /// The least bytes a second; 0: none.
    rate: u64,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            idle: limits.body_idle_timeout,
            rate: limits.slow_body_bytes_per_second,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    /// Waits for the client, as long as it may be idle at most.
    pub(super) async fn waiting_for<T>(
        &mut self,
        client: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let began = Instant::now();
        let moved = timeout(self.idle, client).await;
        self.waited += began.elapsed();
        moved.map_err(|_| Failure::new(Cause::ClientSlow(Limit::BodyIdleTimeout), "the client does not move"))?
    }

    /// Counts what it moved.
    ///
    /// # Errors
    /// That is too little for the time it took: only the time that the client was waited for counts.
    pub(super) fn moved(&mut self, bytes: usize) -> Result<(), Failure> {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        let due = self.waited.saturating_sub(GRACE).as_secs().saturating_mul(self.rate);
        if self.bytes < due {
            let evidence = format!("{} bytes in {} s", self.bytes, self.waited.as_secs());
            return Err(Failure::new(Cause::ClientSlow(Limit::SlowBodyBytesPerSecond), evidence));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(rate: u64, waited: u64, bytes: u64) -> Pace {
        Pace { idle: Duration::from_secs(60), rate, waited: Duration::from_secs(waited), bytes }
    }

    #[test]
    fn who_drips_is_ended_after_the_grace_and_who_is_not_waited_for_is_not_slow() {
        assert!(pace(500, 20, 0).moved(1).is_ok());
        assert_eq!(pace(500, 40, 10).moved(1).unwrap_err().cause, Cause::ClientSlow(Limit::SlowBodyBytesPerSecond),);
        assert!(pace(500, 40, 9_999).moved(1).is_ok());
        assert!(pace(500, 0, 0).moved(0).is_ok());
        assert!(pace(0, 3_600, 0).moved(1).is_ok(), "0 is no least");
    }
}
