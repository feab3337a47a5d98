//! A list of a million revoked certificates swapped in under load: what other clients notice of it (requirement R3).
//!
//! `make bench-revocation`. Clients whose certificates nobody revokes send requests at set times, whatever becomes of the
//! earlier ones: a request's latency counts from when it was to be sent, so that a stall is seen by everyone it delays.
//! Meanwhile list after list of a million entries is put in force. Latencies before, during and after each swap are
//! compared, also with those beside a process that computes for as long and has nothing to do with the gateway, and the
//! gateway's memory is watched over a hundred swaps.

mod load;
#[path = "../measure/mod.rs"]
mod measure;
#[path = "../../tests/common/revocation.rs"]
mod revocation;
mod stand;

use load::Load;
use measure::samples::{Samples, columns, rounded};
use measure::server;
use stand::Stand;
use std::ops::Range;
use std::process::Command;
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

/// Computes until it is killed, at the priority that the gateway gives to long work.
const NEIGHBOUR: &str = "exec nice -n 10 sh -c 'while :; do :; done'";

/// A span of time in which requests are of one kind.
struct Span {
    phase: usize,
    begin: Instant,
    end: Instant,
}

const PHASES: [&str; 4] = ["before a swap", "during a swap", "after a swap", "beside another process"];

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
        let before = Instant::now();
        load::rest(QUIET);
        let begin = Instant::now();
        stand.swap();
        let end = Instant::now();
        load::rest(QUIET);
        took.push(end - begin);
        memory.push((swap, stand.memory()));
        let after = Instant::now();
        let neighbour = beside_a_neighbour(end - begin);
        let span = |phase, begin, end| Span { phase, begin, end };
        spans.extend([span(0, before, begin), span(1, begin, end), span(2, end, after)]);
        spans.push(span(3, neighbour.start, neighbour.end));
    }
    let requests = load.stop();
    println!("\nmilliseconds {:>33} {}", "", columns());
    let phases = PHASES.each_ref().map(|_| Samples::default());
    let phases = requests.iter().fold(phases, |mut phases, (at, latency)| {
        let span = spans.iter().find(|span| (span.begin..span.end).contains(at));
        if let Some(span) = span {
            phases[span.phase].push(*latency);
        }
        phases
    });
    for (name, samples) in PHASES.iter().zip(&phases) {
        println!("{:<46} {}", format!("requests {name}"), samples.row());
    }
    println!("{:<46} {}", "a swap, from the file to its being in force", took.row());
    let [before, during, after, neighbour] = phases.each_ref().map(|samples| samples.percentile(99.0));
    println!("p99 during / before {:.3}, after / before {:.3}", during / before, after / before);
    println!(
        "p99 beside the other process / before {:.3}, during a swap / beside it {:.3}",
        neighbour / before,
        during / neighbour
    );

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
    println!("{}", serde_json::json!({ "index_mb_1m": rounded(index), "swap_p99_ratio": rounded(during / before) }));
}

/// Lets a process that has nothing to do with the gateway compute for that time: what of a swap's cost to others is the
/// machine's, whose cores all have work then, shows in what this costs them. Gives the time it was.
fn beside_a_neighbour(time: Duration) -> Range<Instant> {
    let mut neighbour = Command::new("sh").args(["-c", NEIGHBOUR]).spawn().unwrap();
    let begin = Instant::now();
    load::rest(time);
    let end = Instant::now();
    neighbour.kill().unwrap();
    neighbour.wait().unwrap();
    begin..end
}
