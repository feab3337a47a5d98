//! The only place that reads the wall clock; pure code takes `now` as an argument (invariant 5).

use sekisho_pki::time::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// The time now.
///
/// A clock before 1970 reads as 1970: every certificate is then not yet valid, which closes.
pub fn now() -> Timestamp {
    now_with_microseconds().0
}

/// The time now in milliseconds since 1970.
pub fn now_in_milliseconds() -> i64 {
    let (seconds, microseconds) = now_with_microseconds();
    seconds.unix().saturating_mul(1_000).saturating_add(i64::from(microseconds / 1_000))
}

/// The time now, and the microseconds of its second: below 1,000,000.
#[allow(clippy::disallowed_methods, reason = "this is the place")]
pub fn now_with_microseconds() -> (Timestamp, u32) {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (Timestamp::from_unix(i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX)), since_epoch.subsec_micros())
}
