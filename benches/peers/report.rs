//! The results: medians, their ratios round by round, and the figures at the end.

use crate::measure::samples::{Samples, rounded};
use crate::process::Spent;
pub use crate::revocation_rows::Revoked;
use crate::work::Measured;
use std::fmt::Write as _;

/// The three that are compared.
pub const NAMES: [&str; 3] = ["nginx", "HAProxy", OURS];
/// The gateway.
pub const OURS: &str = "sekisho";
/// A second gateway, for comparison while it is worked on.
pub const ALSO: &str = "sekisho, the other";
/// What is fair to nginx, which verifies the list's signature in every handshake.
pub const NGINX_WITHOUT_LIST: &str = "nginx without a list";
/// The gateway with the shorter list.
pub const AT_THOUSAND: &str = "sekisho with 1,000";

/// Everything measured.
#[derive(Default)]
pub struct Report {
    pub rows: Vec<Row>,
    pub revoked: Vec<Revoked>,
}

/// A row: a value of each server, several times.
pub struct Row {
    pub key: &'static str,
    pub title: &'static str,
    /// Of the values.
    pub unit: &'static str,
    pub series: Vec<Series>,
}

/// One server's values, round by round.
pub struct Series {
    pub name: &'static str,
    values: Vec<f64>,
    rates: Vec<f64>,
    samples: Samples,
    spent: Spent,
}

/// A median with the least and the greatest.
#[derive(Clone, Copy)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub greatest: f64,
}

impl Series {
    /// Without any yet.
    pub fn new(name: &'static str) -> Self {
        Self { name, values: Vec::new(), rates: Vec::new(), samples: Samples::default(), spent: Spent::default() }
    }

    /// Of figures that no operations were measured for.
    pub fn of_values(name: &'static str, values: Vec<f64>) -> Self {
        Self { values, ..Self::new(name) }
    }

    /// One round's.
    pub fn add(&mut self, measured: Measured) {
        self.values.push(measured.cpu);
        self.rates.push(measured.rate);
        self.samples.extend(&measured.samples);
        self.spent.running += measured.spent.running;
        self.spent.waiting += measured.spent.waiting;
    }

    /// Of the values.
    pub fn spread(&self) -> Spread {
        Spread::of(self.values.clone())
    }

    /// Operations a second, and the p50 and p99 of their time in milliseconds.
    pub fn seen(&self) -> Option<(f64, f64, f64)> {
        let [p50, p99] = [50.0, 99.0].map(|percent| self.samples.percentile(percent));
        (!self.rates.is_empty()).then(|| (Spread::of(self.rates.clone()).median, p50, p99))
    }
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 { at(middle) } else { (at(middle.wrapping_sub(1)) + at(middle)) / 2.0 };
        Self { median, least: at(0), greatest: at(values.len().wrapping_sub(1)) }
    }
}

impl Row {
    /// One server's.
    pub fn of(&self, name: &str) -> Option<&Series> {
        self.series.iter().find(|series| series.name == name)
    }

    /// What one has of the other, in the same round each.
    pub fn ratio(&self, one: &str, other: &str) -> Option<Spread> {
        let (one, other) = (self.of(one)?, self.of(other)?);
        Some(Spread::of(one.values.iter().zip(&other.values).map(|(one, other)| one / other).collect()))
    }

    /// Servers beside the three, with which of the three they are compared.
    pub fn further(&self) -> impl Iterator<Item = (&'static str, Option<Spread>)> {
        let further = self.series.iter().map(|series| series.name).filter(|name| !NAMES.contains(name));
        further.map(|name| (name, if name == ALSO { self.ratio(ALSO, OURS) } else { self.ratio(OURS, name) }))
    }
}

impl Report {
    /// Takes a row and prints it.
    pub fn add(&mut self, row: Row) {
        if self.rows.is_empty() {
            let names = NAMES.map(|name| format!("{name:>10}"));
            println!("{:<48} {}   {:<24} {:<24}", "", names.join(" "), "/ nginx", "/ HAProxy");
        }
        println!("{}", line(&row));
        self.rows.push(row);
    }

    /// The rows of revoked certificates.
    pub fn print_revoked(&self) {
        for Revoked { what, outcomes } in &self.revoked {
            println!("{what:<48}");
            outcomes.iter().for_each(|(name, outcome)| println!("    {name:<12} {outcome}"));
        }
    }

    /// How noisy it was: of a hundred parts of the time in which servers could have run, those in which something else did.
    pub fn disturbance(&self) -> f64 {
        let spent = || self.rows.iter().flat_map(|row| &row.series).map(|series| series.spent);
        let running: f64 = spent().map(|spent| spent.running.as_secs_f64()).sum();
        let waiting: f64 = spent().map(|spent| spent.waiting.as_secs_f64()).sum();
        100.0 * waiting / (running + waiting)
    }

    /// One line of JSON.
    pub fn figures(&self) -> String {
        let row = |key: &str| self.rows.iter().find(|row| row.key == key);
        let ratio = |key, other| Some(thousandths(row(key)?.ratio(OURS, other)?.median));
        let own = |key| Some(rounded(row(key)?.of(OURS)?.spread().median));
        serde_json::json!({
            "full_1k": ratio("1k-full", "nginx"),
            "full_1m_over_1k": ratio("1m-full", AT_THOUSAND),
            "resumed": ratio("1k-resumed", "nginx"),
            "keepalive": ratio("keepalive-0", "nginx"),
            "rss_1m_mb": own("1m-memory"),
            "start_1m_s": own("1m-start"),
        })
        .to_string()
    }
}

fn thousandths(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// A ratio with its spread.
pub fn ratio_text(spread: Option<Spread>) -> String {
    spread.map_or("–".to_owned(), |Spread { median, least, greatest }| {
        format!("{median:.3} ({least:.3}–{greatest:.3})")
    })
}

/// A value with so many digits as say something.
pub fn value_text(value: f64) -> String {
    match value {
        value if value.is_nan() => "–".to_owned(),
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 1000.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

fn line(row: &Row) -> String {
    let value = |name| row.of(name).map_or("–".to_owned(), |series| value_text(series.spread().median));
    let values = NAMES.map(|name| format!("{:>10}", value(name)));
    let ratios = ["nginx", "HAProxy"].map(|other| format!("{:<24}", ratio_text(row.ratio(OURS, other))));
    let title = format!("{} ({})", row.title, row.unit);
    let mut line = format!("{title:<48} {}   {}", values.join(" "), ratios.join(" "));
    for (name, ratio) in row.further() {
        let of = if name == ALSO { "the other / ours" } else { "ours / it" };
        let _ = write!(line, "\n    {name:<44} {:>10}   {of} {}", value(name), ratio_text(ratio));
    }
    for series in &row.series {
        if let Some((rate, p50, p99)) = series.seen() {
            let name = series.name;
            let _ = write!(line, "\n    {name:<44} {rate:>8.0}/s   p50 {p50:.3} ms   p99 {p99:.3} ms");
        }
    }
    line
}
