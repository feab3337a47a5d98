//! Instructions of one operation, counted by callgrind: figures that hold on a noisy machine, and fail when they grow.
//!
//! Part of `make bench`; `make bench-baseline` writes `baseline.toml` anew. The bench runs itself below valgrind, which
//! counts what happens inside `cases::measured` and nothing else. Valgrind tells the program of a processor of its own,
//! so that the cryptography takes the same path on every machine of an architecture (AVX2, no SHA extensions): ratios
//! between two builds mean something, ratios between cryptography and the rest are not those of a real processor.

mod baseline;
mod callgrind;
mod cases;
mod world;

use baseline::{Baseline, Verdict};
use std::path::Path;
use std::process::ExitCode;

/// The gateway's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Set in the process that is counted: the folder with its certificates and lists.
const COUNTED: &str = "SEKISHO_BENCH_COUNTED";

/// Set to write the baseline anew.
const REWRITE: &str = "SEKISHO_BENCH_BASELINE";

fn main() -> ExitCode {
    if let Some(folder) = std::env::var_os(COUNTED) {
        cases::run(Path::new(&folder));
        return ExitCode::SUCCESS;
    }
    // `cargo bench -- NAME` is for criterion's benches.
    if std::env::args().skip(1).any(|argument| !argument.starts_with("--")) {
        return ExitCode::SUCCESS;
    }
    let folder = tempfile::tempdir().unwrap();
    world::make(folder.path());
    let counted = callgrind::count(folder.path());
    if std::env::var_os(REWRITE).is_some() {
        Baseline::of(&counted).write();
        counted.iter().for_each(|(name, count)| println!("{name:<44} {count:>14}"));
        return ExitCode::SUCCESS;
    }
    let baseline = Baseline::read();
    if !baseline.is_of_this_architecture() {
        counted.iter().for_each(|(name, count)| println!("{name:<44} {count:>14}"));
        println!("NOTE: the baseline is of another architecture: nothing was compared");
        return ExitCode::SUCCESS;
    }
    println!("{:<44} {:>14} {:>14} {:>8}", "instructions of one operation", "baseline", "now", "");
    let mut verdicts = Vec::new();
    for (name, count) in &counted {
        let (before, verdict) = baseline.judge(name, *count);
        println!("{name:<44} {before:>14} {count:>14} {:>+7.2} % {}", verdict.percent(), verdict.words());
        verdicts.push(verdict);
    }
    if verdicts.iter().any(Verdict::fails) {
        eprintln!("an operation takes over {} % more instructions than in {}", baseline::TOLERATED, baseline::FILE);
        eprintln!("if that is meant: make bench-baseline, and say why in the commit");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
