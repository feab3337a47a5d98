//! What was measured, as a table.

use crate::measure::samples::{Samples, columns};
use std::collections::BTreeMap;
use std::time::Instant;

/// The end of one connection, or the refusal of a new one.
pub struct Measured {
    pub kind: &'static str,
    /// When the revocation was asked for, and when the answer had come.
    pub requested: Instant,
    pub answered: Instant,
    pub at: Instant,
}

/// Everything measured.
#[derive(Default)]
pub struct Report {
    from_answer: BTreeMap<&'static str, Samples>,
    from_request: Samples,
    answers: Samples,
}

impl Report {
    pub fn add(&mut self, measured: Measured) {
        let Measured { kind, requested, answered, at } = measured;
        let samples = self.from_answer.entry(kind).or_default();
        // Below zero: it was cut before the answer came.
        let late =
            at.saturating_duration_since(answered).as_secs_f64() - answered.saturating_duration_since(at).as_secs_f64();
        samples.push_milliseconds(late * 1e3);
        self.from_request.push(at.saturating_duration_since(requested));
        self.answers.push(answered.saturating_duration_since(requested));
    }

    /// The table, and the line for `make bench-revocation`.
    pub fn print(&self, connections: usize) {
        println!("\nmilliseconds from the answer to the revocation {}", columns());
        let mut all = Samples::default();
        for (kind, samples) in &self.from_answer {
            println!("{kind:<46} {}", samples.row());
            all.extend(samples);
        }
        println!("{:<46} {}", "all", all.row());
        println!("{:<46} {}", "all, from the request", self.from_request.row());
        println!("{:<46} {}", "the answer, from the request", self.answers.row());
        // Cut before the answer is as good as at once.
        let [p50, p99] = [50.0, 99.0].map(|percent| all.percentile(percent).max(0.0));
        println!("{}", serde_json::json!({ "connections": connections, "p50_ms": p50, "p99_ms": p99 }));
    }
}
