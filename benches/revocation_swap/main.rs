//! A list of a million revoked certificates swapped in under load: what other clients notice of it (requirement R3).
//!
//! `make bench-revocation`. Clients whose certificates nobody revokes send requests at set times, whatever becomes of the
//! earlier ones: a request's latency counts from when it was to be sent, so that a stall is seen by everyone it delays.
//! Meanwhile list after list of a million entries is put in force. Latencies before, during and after each swap are
//! compared, and the gateway's memory is watched over a hundred swaps.
//!
//! A machine that others share has bad moments of its own, of which forty swaps meet more or fewer: a 99th percentile of
//! all their requests together is as much a matter of those as of the swaps. So it is also taken for each swap by itself
//! and for as long before it, and the median swap is compared with the median time before.

mod load;
#[path = "../measure/mod.rs"]
mod measure;
use sekisho_testkit::revocation;
mod stand;

use load::Load;
use measure::samples::{Samples, columns, rounded};
use measure::server;
use stand::Stand;
use std::time::{Duration, Instant};

/// Entries of the list.
const ENTRIES: usize = 1_000_000;
/// Swaps whose latencies are measured.
const SWAPS: usize = 40;
/// Swaps over which memory is watched, those among them. Between them memory is looked at when it was given back.
const ALL_SWAPS: usize = 100;
/// The least time measured before and after each swap; longer than the gateway takes to give memory back.
const QUIET: Duration = Duration::from_millis(2_000);
/// Between the making of a list, which is the bench's own work, and measuring.
const SETTLE: Duration = Duration::from_millis(400);

/// A span of time in which requests are of one kind.
struct Span {
    phase: usize,
    begin: Instant,
    end: Instant,
}

impl Span {
    fn holds(&self, at: &Instant) -> bool {
        (self.begin..self.end).contains(at)
    }
}

const PHASES: [&str; 3] = ["before a swap", "during a swap", "after a swap"];

fn main() {
    server::begin();
    let swaps = std::env::var("SEKISHO_BENCH_SWAPS").map_or(SWAPS, |text| text.parse().unwrap());
    let mut stand = Stand::start(ENTRIES);
    let index = stand.index_octets() as f64 / 1e6;
    println!("{ENTRIES} entries: index {index:.1} MB; gateway of an empty list {:.1} MB", stand.memory_empty());
    let load = Load::start(&stand);
    let (mut spans, mut took, mut memory) = (Vec::new(), Samples::default(), Vec::new());
    for swap in 1..=swaps {
        stand.make_next();
        load::rest(SETTLE);
        load::rest(QUIET);
        let begin = Instant::now();
        stand.swap();
        let end = Instant::now();
        load::rest(QUIET);
        took.push(end - begin);
        memory.push((swap, stand.memory()));
        let span = |phase, begin, end| Span { phase, begin, end };
        spans.extend([span(0, begin - (end - begin), begin), span(1, begin, end), span(2, end, end + QUIET)]);
    }
    let requests = load.stop();
    println!("\nmilliseconds {:>33} {}", "", columns());
    let mut windows: Vec<Samples> = spans.iter().map(|_| Samples::default()).collect();
    let mut phases = PHASES.map(|_| Samples::default());
    for (at, latency) in &requests {
        for (span, window) in spans.iter().zip(&mut windows).filter(|(span, _)| span.holds(at)) {
            window.push(*latency);
            phases[span.phase].push(*latency);
        }
    }
    for (name, samples) in PHASES.iter().zip(&phases) {
        println!("{:<46} {}", format!("requests {name}"), samples.row());
    }
    println!("{:<46} {}", "a swap, from the file to its being in force", took.row());
    let mut each = PHASES.map(|_| Samples::default());
    for (span, window) in spans.iter().zip(&windows) {
        each[span.phase].push_milliseconds(window.percentile(99.0));
    }
    for (name, samples) in PHASES.iter().zip(&each) {
        println!("{:<46} {}", format!("the p99 of each time {name}"), samples.row());
    }
    let [before, during, after] = phases.each_ref().map(|samples| samples.percentile(99.0));
    println!("p99 of all: during / before {:.3}, after / before {:.3}", during / before, after / before);
    let [before, during, after] = each.each_ref().map(|samples| samples.percentile(50.0));
    let ratio = during / before;
    println!("median p99: during / before {ratio:.3}, after / before {:.3}", after / before);

    for swap in swaps + 1..=ALL_SWAPS {
        stand.make_next();
        stand.swap();
        if swap % 10 == 0 {
            load::rest(QUIET);
            memory.push((swap, stand.memory()));
        }
    }
    let shown = memory.iter().filter(|(swap, _)| *swap == 1 || swap % 10 == 0);
    let shown: Vec<_> = shown.map(|(swap, memory)| format!("{memory:.1} after {swap}")).collect();
    println!("resident memory of the gateway at rest, MB: {}", shown.join(", "));
    println!("{}", serde_json::json!({ "index_mb_1m": rounded(index), "swap_p99_ratio": rounded(ratio) }));
}
