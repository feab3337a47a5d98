//! What hostile clients cost the gateway, and what an honest client notices of them (requirement G14).
//!
//! `make abuse`. An honest client sends fifty requests a second, half of them on new connections, from an address of its
//! own. Then hostile clients from another address do what is known to hurt proxies. Measured for each abuse: the honest
//! client's successes and 99th percentile beside its own without abuse, and beside its own while another gateway on this
//! machine is abused the same way; the most memory and descriptors that the gateway took beyond those at rest, and what
//! of both is left when the hostile clients are gone.

mod abuses;
mod frames;
mod honest;
#[path = "../measure/mod.rs"]
mod measure;
mod stand;

use abuses::ABUSES;
use honest::Honest;
use measure::results::Results;
use measure::server;
use stand::{Stand, Usage};
use std::time::Duration;

/// Hostile connections at a time.
const HOSTILE: usize = 20;
/// How long each abuse goes on, and how long the honest client is measured without one.
const SPAN: Duration = Duration::from_secs(15);
/// After an abuse, until the gateway's memory and descriptors are looked at again: longer than the gateway lingers for a
/// connection that was ended, plus the time after which memory is given back.
const RECOVERY: Duration = Duration::from_secs(40);
/// How often the gateway's usage is read.
const STEP: Duration = Duration::from_millis(100);

/// The bounds of `benches/RESULTS.md`.
const MIN_SUCCESS_PERCENT: f64 = 99.9;
const MAX_P99_RATIO: f64 = 5.0;
const MAX_MEGABYTES: f64 = 64.0;
const MAX_DESCRIPTORS: f64 = 200.0;
/// What may be left of both: memory that the allocator keeps for the next, connections of the pool that idle.
const MAX_MEGABYTES_LEFT: f64 = 32.0;
const MAX_DESCRIPTORS_LEFT: f64 = 64.0;

fn main() {
    server::begin();
    let only: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut results = Results::new();
    results.table(
        &format!("{HOSTILE} hostile connections, an honest client at 50 requests a second"),
        &[
            "abuse",
            "honest ok",
            "p50, p99 ms",
            "p99 / base",
            "p99 of another, ms",
            "MB more",
            "MB left",
            "fds more",
            "fds left",
            "within",
        ],
    );
    let mut beyond = Vec::new();
    for abuse in ABUSES.iter().filter(|abuse| only.is_empty() || only.iter().any(|word| abuse.name.contains(word))) {
        // A gateway of its own each: what one abuse left must not be another's base.
        let stand = runtime.block_on(Stand::start());
        let (base, _) = runtime.block_on(measured(&stand, None));
        // The same abuse of another gateway on this machine: what an honest client notices of the shared cores alone.
        let neighbour = runtime.block_on(Stand::start());
        let (beside, _) = runtime.block_on(measured(&stand, Some((abuse, &neighbour))));
        drop(neighbour);
        let rest = stand.usage();
        let (load, peak) = runtime.block_on(measured(&stand, Some((abuse, &stand))));
        let left = runtime.block_on(async {
            tokio::time::sleep(RECOVERY).await;
            stand.usage()
        });
        let (more, left) = (peak.beyond(rest), left.beyond(rest));
        let ratio = load.p99() / base.p99().max(1.0);
        // Where hostile and honest clients share two cores, what they take from one another is not the gateway's doing.
        let is_prompt = ratio <= MAX_P99_RATIO || load.p99() <= beside.p99();
        let within = load.success_percent() >= MIN_SUCCESS_PERCENT
            && is_prompt
            && more.megabytes <= MAX_MEGABYTES
            && more.descriptors <= MAX_DESCRIPTORS
            && left.megabytes <= MAX_MEGABYTES_LEFT
            && left.descriptors <= MAX_DESCRIPTORS_LEFT;
        if !within {
            beyond.push(abuse.name);
        }
        results.row(&[
            abuse.name.to_owned(),
            format!("{:.2} % of {}", load.success_percent(), load.sent()),
            format!("{:.1}, {:.1}", load.p50(), load.p99()),
            format!("{ratio:.1}"),
            format!("{:.1}", beside.p99()),
            format!("{:.1}", more.megabytes),
            format!("{:.1}", left.megabytes),
            format!("{:.0}", more.descriptors),
            format!("{:.0}", left.descriptors),
            if within { "yes" } else { "NO" }.to_owned(),
        ]);
        if let Some(error) = load.first_error() {
            println!("  the honest client's first failure: {error}");
        }
    }
    results.put("abuse");
    if !beyond.is_empty() {
        println!("\nbeyond the bounds: {}", beyond.join(", "));
        std::process::exit(1);
    }
}

/// The honest client's record over [`SPAN`], with an abuse or without one, and the gateway's highest usage meanwhile.
async fn measured(stand: &Stand, abuse: Option<(&abuses::Abuse, &Stand)>) -> (Honest, Usage) {
    let hostile = abuse.map(|(abuse, target)| abuses::begin(abuse, target, HOSTILE));
    let honest = tokio::spawn(honest::load(stand.honest(), SPAN));
    let mut peak = stand.usage();
    while !honest.is_finished() {
        tokio::time::sleep(STEP).await;
        peak = peak.max(stand.usage());
    }
    drop(hostile);
    (honest.await.unwrap(), peak)
}
