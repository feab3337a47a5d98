//! What this run is to do.

use std::path::PathBuf;

/// Rounds of every row. Medians of five are not moved by one or two that something else disturbed.
const ROUNDS: usize = 5;
const QUICK_ROUNDS: usize = 3;

/// The command line and the environment.
pub struct Arguments {
    only: Vec<String>,
    without: Vec<String>,
    rounds: Option<usize>,
    lists_rows: bool,
    /// A second gateway beside the first.
    pub also: Option<PathBuf>,
}

impl Arguments {
    /// Reads them; panics at one that nobody knows.
    pub fn read() -> Self {
        let mut read = Self { only: Vec::new(), without: Vec::new(), rounds: None, lists_rows: false, also: None };
        let mut words = std::env::args().skip(1);
        let words_of = |text: String| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_else(|| panic!("{word} needs a value"));
            match word.as_str() {
                "--only" => read.only.extend(words_of(value())),
                "--without" => read.without.extend(words_of(value())),
                "--rounds" => read.rounds = Some(value().parse().unwrap()),
                "--also" => read.also = Some(value().into()),
                "--list" => read.lists_rows = true,
                // What cargo says to every bench.
                "--bench" => {}
                unknown => panic!("unknown: {unknown}"),
            }
        }
        read
    }

    /// Whether only the names of the rows are asked for.
    pub fn lists_rows(&self) -> bool {
        self.lists_rows
    }

    /// Whether a row of that name is to be measured: one that begins with a word that was given, or any.
    pub fn wants(&self, key: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| key.starts_with(word.as_str()))
    }

    /// Whether that server takes part.
    pub fn takes(&self, name: &str) -> bool {
        !self.without.iter().any(|without| name.to_lowercase().starts_with(without.as_str()))
    }

    /// Rounds of every row.
    pub fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if is_quick() { QUICK_ROUNDS } else { ROUNDS })
    }

    /// Whether every row is measured as often as it should be, so that the results may be written down.
    pub fn is_whole(&self) -> bool {
        self.only.is_empty() && self.without.is_empty() && self.rounds() >= ROUNDS && !is_quick()
    }
}

/// Whether this is to be over in two minutes.
pub fn is_quick() -> bool {
    std::env::var_os("SEKISHO_BENCH_QUICK").is_some_and(|value| value != "0")
}
