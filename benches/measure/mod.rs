//! What the benches that watch from outside or account for CPU time have in common: processes, clients, percentiles, tables.
#![allow(dead_code, reason = "each bench uses a part")]

pub mod client;
pub mod cpu;
pub mod results;
pub mod samples;
pub mod server;
