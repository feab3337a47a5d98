//! What the benches that watch a running gateway from outside have in common: processes, clients, percentiles.
#![allow(dead_code, reason = "each bench uses a part")]

pub mod client;
pub mod samples;
pub mod server;
