//! Percentiles.

use std::time::Duration;

/// Durations that were measured, in milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    milliseconds: Vec<f64>,
}

impl Samples {
    /// One more.
    pub fn push(&mut self, duration: Duration) {
        self.push_milliseconds(duration.as_secs_f64() * 1e3);
    }

    /// One more; below zero: it came before that from which time is counted.
    pub fn push_milliseconds(&mut self, milliseconds: f64) {
        self.milliseconds.push(milliseconds);
    }

    /// All of another.
    pub fn extend(&mut self, other: &Self) {
        self.milliseconds.extend_from_slice(&other.milliseconds);
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.milliseconds.len()
    }

    /// The least value that so many of a hundred do not exceed (the nearest rank); 0 of none.
    pub fn percentile(&self, percent: f64) -> f64 {
        let mut sorted = self.milliseconds.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default()
    }

    /// `p50`, `p90`, `p99`, `p99.9`, the greatest and the number, in columns.
    pub fn row(&self) -> String {
        let columns = [50.0, 90.0, 99.0, 99.9, 100.0].map(|percent| format!("{:>9.2}", self.percentile(percent)));
        format!("{} {:>9}", columns.join(" "), self.len())
    }
}

/// The names of the columns of [`Samples::row`].
pub fn columns() -> String {
    let columns = ["p50", "p90", "p99", "p99.9", "max"].map(|name| format!("{name:>9}"));
    format!("{} {:>9}", columns.join(" "), "samples")
}

/// To two decimals, for the figures at the end.
pub fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
