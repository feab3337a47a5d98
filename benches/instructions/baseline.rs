//! What operations took when somebody last looked, in a committed file.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The file, from the project's folder: where cargo runs benches.
pub const FILE: &str = "benches/instructions/baseline.toml";

/// How many percent more are no regression. Two runs of one build are not alike to the last instruction: signatures and
/// post-quantum keys are random, and so are the seeds of hash tables.
pub const TOLERATED: f64 = 3.0;

const HEAD: &str = "\
# Instructions of one operation as callgrind counts them. `make bench` fails when a figure grows by more than 3 %;
# `make bench-baseline` writes this file anew.
";

/// The file's content.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    architecture: String,
    instructions: BTreeMap<String, u64>,
}

/// What is to be thought of a figure.
#[derive(Clone, Copy, Debug)]
pub enum Verdict {
    /// The baseline has no such operation.
    New,
    /// By so many percent.
    Changed(f64),
}

impl Baseline {
    /// Of what was counted now.
    pub fn of(counted: &[(String, u64)]) -> Self {
        Self { architecture: std::env::consts::ARCH.to_owned(), instructions: counted.iter().cloned().collect() }
    }

    /// As committed.
    pub fn read() -> Self {
        let text = std::fs::read_to_string(FILE).unwrap_or_else(|error| panic!("{FILE}: {error}"));
        toml::from_str(&text).unwrap_or_else(|error| panic!("{FILE}: {error}"))
    }

    /// Over what was there.
    pub fn write(&self) {
        let mut text = format!("{HEAD}architecture = {:?}\n\n[instructions]\n", self.architecture);
        for (name, count) in &self.instructions {
            writeln!(text, "{name:?} = {count}").unwrap();
        }
        std::fs::write(FILE, text).unwrap();
        println!("written: {FILE}");
    }

    /// Another architecture has other instructions.
    pub fn is_of_this_architecture(&self) -> bool {
        self.architecture == std::env::consts::ARCH
    }

    /// The figure before, and what to think of this one.
    pub fn judge(&self, name: &str, count: u64) -> (u64, Verdict) {
        match self.instructions.get(name) {
            Some(&before) => (before, Verdict::Changed((count as f64 / before as f64 - 1.0) * 100.0)),
            None => (0, Verdict::New),
        }
    }
}

impl Verdict {
    /// Growth.
    pub fn percent(&self) -> f64 {
        match self {
            Self::New => 0.0,
            Self::Changed(percent) => *percent,
        }
    }

    /// Whether the bench fails by it: a figure that nobody has looked at yet is one, too.
    pub fn fails(&self) -> bool {
        match self {
            Self::New => true,
            Self::Changed(percent) => *percent > TOLERATED,
        }
    }

    /// For the table.
    pub fn words(&self) -> &'static str {
        match self {
            Self::New => "not in the baseline",
            Self::Changed(percent) if *percent > TOLERATED => "GREW",
            Self::Changed(percent) if *percent < -TOLERATED => "fell: make bench-baseline keeps it so",
            Self::Changed(_) => "",
        }
    }
}
