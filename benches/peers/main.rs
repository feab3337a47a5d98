//! The gateway beside nginx and HAProxy, in one run (requirement R4).
//!
//! `make bench-peers`. All three serve at once with equal configurations, pinned to core 0; client and upstream have
//! core 1. They are measured in turns, round after round: CPU time of the server for each operation, from the kernel's
//! own account of its threads, so that the figures hold on a noisy machine. Ratios of one run can be compared, figures
//! of two runs cannot. Every response is checked by the client and every request by the upstream.
//!
//! `SEKISHO_BENCH_QUICK=1` for fewer rounds, `SEKISHO_BENCH_BINARY` for another binary of the gateway;
//! `--only 1k-full,keepalive` for some rows, `--rounds 3`, `--without haproxy`, `--also BINARY` for a second gateway beside
//! the first, `--list` for the rows' names. A run of every row writes its table into benches/RESULTS.md.

mod arguments;
mod client;
mod groups;
mod http2;
#[path = "../measure/mod.rs"]
mod measure;
mod process;
mod products;
mod report;
mod results;
mod revocation_rows;
mod stand;
mod work;

use sekisho_testkit::revocation;

use arguments::Arguments;
use report::Report;
use stand::Stand;

fn main() {
    let arguments = Arguments::read();
    if arguments.lists_rows() {
        groups::names().for_each(|name| println!("{name}"));
        return;
    }
    for program in ["nginx", "haproxy", "taskset", "setpriv"] {
        assert!(results::version_of(program).is_some(), "{program} is not installed; make bench-peers installs it");
    }
    process::pin_this_process();
    let folder = tempfile::tempdir().unwrap();
    let stand = Stand::new(folder.path());
    let mut report = Report::default();
    for group in groups::all() {
        groups::run(&group, &stand, &arguments, &mut report);
    }
    if arguments.wants(revocation_rows::KEY) {
        report.revoked = revocation_rows::run(&stand);
        report.print_revoked();
    }
    if arguments.is_whole() {
        results::write(&report);
    }
    println!("of the time in which the servers could have run, {:.0} % went to something else", report.disturbance());
    println!("{}", report.figures());
}
