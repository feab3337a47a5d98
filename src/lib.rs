//! Sekisho (関所): a mutual-TLS gateway for corporate internet banking.
//!
//! The modules in reading order; ARCHITECTURE.md has the map and one request walked through.
#![warn(unreachable_pub)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod cli;
pub mod gateway;
pub mod load;
