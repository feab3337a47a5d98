//! Tables for `benches/RESULTS.md`.

use std::fmt::Write as _;

/// The file, from the project's folder: where cargo runs benches.
const FILE: &str = "benches/RESULTS.md";

/// Set by the make targets: the bench puts its tables into the file.
const WRITE: &str = "SEKISHO_BENCH_RESULTS";

/// What a bench has to say.
#[derive(Debug, Default)]
pub struct Results {
    text: String,
}

impl Results {
    /// With the day and the machine it was taken on.
    pub fn new() -> Self {
        let day = sekisho_runtime::clock::now().to_string();
        let day = day.split('T').next().unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split_whitespace().next().unwrap_or_default().to_owned();
        let mut results = Self::default();
        results.say(&format!("Taken on {day}; {} ({cores} cores), load average {load} at the start.", processor()));
        results
    }

    /// A paragraph.
    pub fn say(&mut self, paragraph: &str) {
        println!("\n{paragraph}");
        writeln!(self.text, "\n{paragraph}").unwrap();
    }

    /// Begins a table.
    pub fn table(&mut self, title: &str, columns: &[&str]) {
        self.say(&format!("**{title}**"));
        self.line("");
        self.row(columns);
        self.row(&vec!["---"; columns.len()]);
    }

    /// A row of the table.
    pub fn row<T: AsRef<str>>(&mut self, cells: &[T]) {
        let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
        self.line(&format!("| {} |", cells.join(" | ")));
    }

    /// Puts it between the markers of that name, if the make target said so.
    pub fn put(&self, name: &str) {
        if std::env::var_os(WRITE).is_none() {
            return;
        }
        let (begin, end) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
        let known = std::fs::read_to_string(FILE).unwrap_or_default();
        let before_and_after = known.split_once(&begin).and_then(|(before, rest)| {
            let (_, after) = rest.split_once(&end)?;
            Some((before, after))
        });
        let (before, after) = before_and_after.unwrap_or_else(|| panic!("{FILE} has no markers {begin} and {end}"));
        std::fs::write(FILE, format!("{before}{begin}\n{}\n{end}{after}", self.text.trim_end())).unwrap();
        println!("\nwritten: {FILE}");
    }

    fn line(&mut self, line: &str) {
        println!("{line}");
        writeln!(self.text, "{line}").unwrap();
    }
}

/// A number with commas between thousands.
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size that the environment may say otherwise: `SEKISHO_BENCH_<NAME>`.
pub fn size(name: &str, default: usize) -> usize {
    let name = format!("SEKISHO_BENCH_{name}");
    let said = std::env::var(&name).ok();
    said.map_or(default, |said| said.replace('_', "").parse().unwrap_or_else(|error| panic!("{name}: {error}")))
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
    name.unwrap_or("unknown processor").to_owned()
}
