//! Counting what operations came to, phase by phase.

use super::connection::Failure;
use hdrhistogram::Histogram;
use http::StatusCode;
use rustls::HandshakeKind;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Tallies that workers share, so that they seldom meet; each takes some ten kilobytes a phase.
const SHARDS: usize = 8;

/// Microseconds that can be told apart up to, and digits that are kept: one part in a thousand.
const LONGEST_MICROSECONDS: u64 = 600_000_000;
const DIGITS: u8 = 3;

/// What one operation came to.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) took: Duration,
    pub(super) handshake: Option<HandshakeKind>,
    pub(super) outcome: Result<StatusCode, Failure>,
    pub(super) as_asked: AsAsked,
}

/// Whether an outcome is what the run was to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AsAsked {
    Yes,
    No,
}

/// Everything of one phase, or of one second.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// Of operations that were as asked, and of those that were not done in time: a server that hangs must not look fast.
    pub(super) latency: Histogram<u64>,
    pub(super) full_handshakes: u64,
    pub(super) resumed_handshakes: u64,
    /// What was as asked, by status or refusal.
    pub(super) outcomes: BTreeMap<String, u64>,
    /// What was not.
    pub(super) errors: BTreeMap<String, u64>,
}

/// The tallies of all workers.
#[derive(Debug)]
pub(super) struct Tallies {
    shards: Vec<Mutex<Vec<Tally>>>,
}

impl Default for Tally {
    #[allow(clippy::expect_used, reason = "the bounds are constants that fit")]
    fn default() -> Self {
        Self {
            latency: Histogram::new_with_max(LONGEST_MICROSECONDS, DIGITS).expect("bounds that fit"),
            full_handshakes: 0,
            resumed_handshakes: 0,
            outcomes: BTreeMap::new(),
            errors: BTreeMap::new(),
        }
    }
}

impl Tally {
    pub(super) fn add(&mut self, sample: &Sample) {
        match sample.handshake {
            Some(HandshakeKind::Resumed) => self.resumed_handshakes += 1,
            Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest) => self.full_handshakes += 1,
            None => {}
        }
        let name = match &sample.outcome {
            Ok(status) => status.as_u16().to_string(),
            Err(failure) => failure.name(),
        };
        let is_late = matches!(sample.outcome, Err(Failure::Timeout | Failure::NotBegun));
        if sample.as_asked == AsAsked::Yes || is_late {
            let microseconds = u64::try_from(sample.took.as_micros()).unwrap_or(u64::MAX);
            self.latency.saturating_record(microseconds);
        }
        let counted = match sample.as_asked {
            AsAsked::Yes => &mut self.outcomes,
            AsAsked::No => &mut self.errors,
        };
        *counted.entry(name).or_default() += 1;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        // Both have the same bounds.
        let _ = self.latency.add(&other.latency);
        self.full_handshakes += other.full_handshakes;
        self.resumed_handshakes += other.resumed_handshakes;
        for (into, from) in [(&mut self.outcomes, &other.outcomes), (&mut self.errors, &other.errors)] {
            for (name, count) in from {
                *into.entry(name.clone()).or_default() += count;
            }
        }
    }

    /// Operations that were as asked.
    pub(super) fn operations(&self) -> u64 {
        self.outcomes.values().sum()
    }

    /// Operations that were not.
    pub(super) fn failures(&self) -> u64 {
        self.errors.values().sum()
    }
}

impl Tallies {
    pub(super) fn new(phases: usize) -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::new(vec![Tally::default(); phases])).collect() }
    }

    /// Adds a worker's sample to a phase.
    pub(super) fn add(&self, worker: usize, phase: usize, sample: &Sample) {
        if let Some(shard) = self.shards.get(worker % SHARDS)
            && let Some(tally) = lock(shard).get_mut(phase)
        {
            tally.add(sample);
        }
    }

    /// Each phase, all workers together.
    pub(super) fn phases(&self) -> Vec<Tally> {
        let mut sum: Vec<Tally> = Vec::new();
        for shard in &self.shards {
            let tallies = lock(shard);
            sum.resize_with(tallies.len(), Tally::default);
            for (into, from) in sum.iter_mut().zip(tallies.iter()) {
                into.merge(from);
            }
        }
        sum
    }
}

/// Nothing panics while it is held.
fn lock(shard: &Mutex<Vec<Tally>>) -> MutexGuard<'_, Vec<Tally>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
