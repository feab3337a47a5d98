//! Sekisho (関所): a mutual-TLS gateway for corporate internet banking.
//!
//! The modules in reading order; ARCHITECTURE.md has the map and one request walked through.
// What remains states its invariant in an `allow` with a reason.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod cli;
pub mod gateway;
pub mod load;
