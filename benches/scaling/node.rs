//! From CPU time and memory to machines: a calculation, with what it assumes.

use super::connections::Measured;
use super::measure::results::{Results, thousands};
use std::time::Duration;

const CORES: f64 = 32.0;
/// Of a node's CPU time; what is left takes peaks within a second, other processes, and the kernel's work for the network
/// that is not accounted to the gateway.
const USED: f64 = 0.5;
/// Of 64 GB; the rest is the system's, and for a list that is swapped in.
const MEMORY: f64 = 48e9;
const USERS: f64 = 1_000_000.0;
/// A browser keeps one HTTP/2 connection; some clients open a second.
const CONNECTIONS_PER_USER: f64 = 1.5;
const REQUESTS_PER_USER_AND_MINUTE: f64 = 4.0;
/// Everybody connects within ten minutes from 09:00, nobody with a ticket that is still good.
const STORM_SECONDS: f64 = 600.0;

pub fn run(measured: &Measured, results: &mut Results) {
    let seconds = |duration: Duration| duration.as_secs_f64();
    let capacity = |each: Duration| thousands((CORES * USED / seconds(each)) as usize);
    results.table(
        "One node of 32 cores and 64 GB, by calculation: each alone, at half of its CPU time",
        &["", "a second"],
    );
    results.row(&["full handshakes with a request".to_owned(), capacity(measured.full)]);
    results.row(&["resumed handshakes with a request".to_owned(), capacity(measured.resumed)]);
    results.row(&["requests on kept-alive connections".to_owned(), capacity(measured.request)]);
    let held = (MEMORY - measured.base) / measured.connection;
    results.row(&["connections held, by memory (not a second)".to_owned(), thousands(held as usize)]);

    let connections = USERS * CONNECTIONS_PER_USER;
    let handshakes = connections / STORM_SECONDS;
    let requests = USERS * REQUESTS_PER_USER_AND_MINUTE / 60.0;
    // The request that comes with a handshake is counted twice: on the safe side.
    let cores = handshakes * seconds(measured.full) + requests * seconds(measured.request);
    let (by_cpu, by_memory) = (cores / (CORES * USED), connections / held);
    let nodes = by_cpu.max(by_memory).ceil();
    results.say(&format!(
        "For {} connected users: {CONNECTIONS_PER_USER} connections and {REQUESTS_PER_USER_AND_MINUTE} requests a minute each, all of \
         them connecting within {STORM_SECONDS:.0} s without a session to resume:",
        thousands(USERS as usize)
    ));
    results.say(&format!(
        "- handshakes: {} × {CONNECTIONS_PER_USER} / {STORM_SECONDS:.0} s = {:.0} a second; requests: {} × {REQUESTS_PER_USER_AND_MINUTE} / 60 s = {:.0} a second\n\
         - cores = {handshakes:.0} × {:.0} µs + {requests:.0} × {:.0} µs = **{cores:.1}**; nodes by CPU = {cores:.1} / ({CORES} × {USED}) = {by_cpu:.2}\n\
         - memory = {} × {:.0} octets = **{:.1} GB**; nodes by memory = {by_memory:.2}\n\
         - nodes = ⌈max({by_cpu:.2}, {by_memory:.2})⌉ + 1 = **{}**: one may fail or be restarted in the middle of it",
        thousands(USERS as usize),
        handshakes,
        thousands(USERS as usize),
        requests,
        seconds(measured.full) * 1e6,
        seconds(measured.request) * 1e6,
        thousands(connections as usize),
        measured.connection,
        connections * measured.connection / 1e9,
        nodes + 1.0,
    ));
}
