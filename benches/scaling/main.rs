//! What an operation costs as there is more of everything: certificates, revoked ones, sites, routes, connections; and
//! what follows from that for one node and for a million users. `make bench-scaling`, ten minutes.

mod certificates;
mod connections;
mod lists;
#[path = "../measure/mod.rs"]
mod measure;
mod node;
use sekisho_testkit::revocation;
mod sites;

use measure::results::{Results, size};

/// The gateway's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    measure::server::begin();
    let mut results = Results::new();
    certificates::run(size("CERTIFICATES", 1_000_000), &mut results);
    lists::run(size("REVOKED", 5_000_000), &mut results);
    sites::run(size("SITES", 1_000), &mut results);
    sites::routes(size("ROUTES", 10_000), &mut results);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let measured = runtime.block_on(connections::run(size("CONNECTIONS", 20_000), &mut results));
    node::run(&measured, &mut results);
    results.put("scaling");
}

/// The sizes up to the greatest, and that itself.
fn steps(all: &[usize], greatest: usize) -> Vec<usize> {
    let mut steps: Vec<usize> = all.iter().copied().filter(|step| *step < greatest).collect();
    steps.push(greatest);
    steps
}

/// Nanoseconds or microseconds, whichever reads better.
fn short(duration: std::time::Duration) -> String {
    let nanoseconds = duration.as_secs_f64() * 1e9;
    if nanoseconds < 10_000.0 { format!("{nanoseconds:.0} ns") } else { format!("{:.1} µs", nanoseconds / 1e3) }
}
