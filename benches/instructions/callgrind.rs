//! This program below valgrind, and what it counted.

use super::COUNTED;
use super::cases::WARM;
use std::path::Path;
use std::process::Command;

/// How often every case is counted: the seeds of hash tables are random, and of a short operation some percent.
const RUNS: usize = 5;

/// Runs every case below callgrind, several times, and gives the least instructions of one operation of each, in their
/// order.
pub fn count(folder: &Path) -> Vec<(String, u64)> {
    let mut least = count_once(folder);
    for _ in 1..RUNS {
        for ((name, least), (again, count)) in least.iter_mut().zip(count_once(folder)) {
            assert_eq!(*name, again);
            *least = count.min(*least);
        }
    }
    least
}

fn count_once(folder: &Path) -> Vec<(String, u64)> {
    let dumps = folder.join("callgrind.out");
    let output = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind", "--toggle-collect=*::measured*", "--dump-after=*::case_is_over*"])
        .arg(format!("--callgrind-out-file={}", dumps.display()))
        .arg(std::env::current_exe().unwrap())
        .env(COUNTED, folder)
        .output()
        .unwrap_or_else(|error| panic!("valgrind: {error}"));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    // Each case tells its name and how many operations it was, then ends; callgrind dumps at its end.
    let cases = told.lines().filter_map(|line| line.split_once('\t'));
    let per_operation = |(index, (name, operations)): (usize, (&str, &str))| {
        let dump = std::fs::read_to_string(format!("{}.{}", dumps.display(), index + 1)).unwrap();
        let total = dump.lines().find_map(|line| line.strip_prefix("totals: ")).expect("a dump has its total");
        let (total, operations): (u64, u64) = (total.trim().parse().unwrap(), operations.parse().unwrap());
        assert!(total > 0, "{name}: nothing was counted: has `cases::measured` lost its name?");
        (name.to_owned(), total / operations)
    };
    let of_interest = |(_, (name, _)): &(usize, (&str, &str))| !name.starts_with(WARM);
    let counted: Vec<_> = cases.enumerate().filter(of_interest).map(per_operation).collect();
    assert!(!counted.is_empty(), "no case told anything");
    counted
}
