//! What was measured, as a table.

use crate::measure::samples::{Samples, columns, rounded};
use crate::stand::Revocation;
use std::collections::BTreeMap;
use std::time::Instant;

/// Everything measured.
#[derive(Default)]
pub struct Report {
    from_answer: BTreeMap<&'static str, Samples>,
    from_request: Samples,
    answers: Samples,
    /// As the issuer told: from its commit to the last gateway's acknowledgement.
    told: Samples,
    /// Answers before which not every gateway had acknowledged.
    incomplete: usize,
}

impl Report {
    /// The end of one connection, or the refusal of a new one.
    pub fn add(&mut self, kind: &'static str, at: Instant, revocation: &Revocation) {
        let Revocation { requested, answered, .. } = *revocation;
        // Below zero: it was cut before the answer came.
        let late = at.saturating_duration_since(answered).as_secs_f64();
        let early = answered.saturating_duration_since(at).as_secs_f64();
        self.from_answer.entry(kind).or_default().push_milliseconds((late - early) * 1e3);
        self.from_request.push(at.saturating_duration_since(requested));
    }

    /// The answer itself.
    pub fn add_answer(&mut self, revocation: &Revocation) {
        self.answers.push(revocation.answered.saturating_duration_since(revocation.requested));
        match revocation.propagation["milliseconds"].as_f64() {
            Some(milliseconds) => self.told.push_milliseconds(milliseconds),
            None => self.incomplete += 1,
        }
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
        println!("{:<46} {}", "every gateway has it, as the issuer tells", self.told.row());
        println!("answers that came before every gateway had it: {}", self.incomplete);
        // Cut before the answer is as good as at once.
        let [p50, p99] = [50.0, 99.0].map(|percent| rounded(all.percentile(percent).max(0.0)));
        println!("{}", serde_json::json!({ "connections": connections, "p50_ms": p50, "p99_ms": p99 }));
    }
}
