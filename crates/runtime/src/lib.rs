//! What every server needs of the machine it runs on: the clock, signals, secret files, logs, metrics, outbound HTTP.
#![warn(unreachable_pub)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod clock;
pub mod metrics;
pub mod process;
pub mod standard_output;
pub mod telemetry;
