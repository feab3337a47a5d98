//! What a run came to, for people and for machines.

use super::marks::Mark;
use super::plan::Plan;
use super::tally::Tally;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The report of a run; as JSON one object.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What one operation was.
    pub kind: &'static str,
    /// TLS versions offered.
    pub tls: &'static str,
    /// Key exchange offered; absent: rustls's choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<&'static str>,
    /// HTTP version.
    pub http: &'static str,
    /// Operations at a time.
    pub concurrency: usize,
    /// Client certificates in rotation.
    pub clients: usize,
    /// Without the warm-up.
    pub whole: Phase,
    /// From mark to mark; absent where there were none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<Phase>,
}

/// A stretch of the run.
#[derive(Clone, Debug, Serialize)]
pub struct Phase {
    /// The command it began with; absent for the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Its length in seconds.
    pub seconds: f64,
    /// Operations that came out as asked.
    pub operations: u64,
    /// Of those, each second.
    pub rate: f64,
    /// Of those, from their due time to the end of the answer; and of those that timed out or never had their turn, until
    /// they were given up. Ten minutes stand for longer.
    pub latency_us: Latency,
    /// Full handshakes.
    pub full_handshakes: u64,
    /// Resumed ones.
    pub resumed_handshakes: u64,
    /// What was as asked, by status or alert.
    pub outcomes: BTreeMap<String, u64>,
    /// What was not, by kind.
    pub errors: BTreeMap<String, u64>,
}

/// Percentiles in microseconds, exact to a part in a thousand.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs, reason = "each is the percentile it is named for")]
pub struct Latency {
    pub mean: f64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
}

impl Report {
    /// From the tallies of the warm-up and of each phase.
    pub(super) fn new(plan: &Plan, marks: &[Mark], tallies: &[Tally]) -> Self {
        let measured = tallies.get(1..).unwrap_or_default();
        let mut whole = Tally::default();
        measured.iter().for_each(|tally| whole.merge(tally));
        let starts: Vec<Duration> = std::iter::once(Duration::ZERO).chain(marks.iter().map(|mark| mark.at)).collect();
        let ends = starts.iter().skip(1).copied().chain([plan.duration]);
        let names = std::iter::once(None).chain(marks.iter().map(|mark| Some(mark.command.to_string())));
        let phases = measured.iter().zip(starts.iter().zip(ends)).zip(names);
        let phases = phases.map(|((tally, (start, end)), after)| Phase::of(tally, end.saturating_sub(*start), after));
        Self {
            kind: plan.kind.name(),
            tls: plan.tls.name(),
            group: plan.group.map(super::Group::name),
            http: plan.http.name(),
            concurrency: plan.concurrency,
            clients: plan.clients.len(),
            whole: Phase::of(&whole, plan.duration, None),
            phases: if marks.is_empty() { Vec::new() } else { phases.collect() },
        }
    }

    /// Whether everything came out as asked, and anything at all.
    pub fn is_clean(&self) -> bool {
        self.whole.errors.is_empty() && self.whole.operations > 0
    }
}

impl Phase {
    #[allow(clippy::cast_precision_loss, reason = "2^53 operations take longer than any run")]
    fn of(tally: &Tally, length: Duration, after: Option<String>) -> Self {
        let (seconds, operations, latency) = (length.as_secs_f64(), tally.operations(), &tally.latency);
        Self {
            after,
            seconds,
            operations,
            rate: if seconds > 0.0 { operations as f64 / seconds } else { 0.0 },
            latency_us: Latency {
                mean: latency.mean(),
                p50: latency.value_at_quantile(0.5),
                p90: latency.value_at_quantile(0.9),
                p99: latency.value_at_quantile(0.99),
                p999: latency.value_at_quantile(0.999),
                max: latency.max(),
            },
            full_handshakes: tally.full_handshakes,
            resumed_handshakes: tally.resumed_handshakes,
            outcomes: tally.outcomes.clone(),
            errors: tally.errors.clone(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}, TLS {}{}, HTTP/{}, {} at a time, {} client certificates",
            self.kind,
            self.tls,
            self.group.map(|group| format!(" {group}")).unwrap_or_default(),
            self.http,
            self.concurrency,
            self.clients
        )?;
        write!(f, "{}", self.whole)?;
        for phase in &self.phases {
            match &phase.after {
                None => writeln!(f, "\nbefore the first mark")?,
                Some(command) => writeln!(f, "\nafter {command}")?,
            }
            write!(f, "{phase}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let latency = &self.latency_us;
        writeln!(f, "  {} operations in {:.1} s: {:.1}/s", self.operations, self.seconds, self.rate)?;
        writeln!(
            f,
            "  latency (us): mean {:.0}  p50 {}  p90 {}  p99 {}  p99.9 {}  max {}",
            latency.mean, latency.p50, latency.p90, latency.p99, latency.p999, latency.max
        )?;
        writeln!(f, "  handshakes: {} full, {} resumed", self.full_handshakes, self.resumed_handshakes)?;
        for (title, counts) in [("outcomes", &self.outcomes), ("errors", &self.errors)] {
            let counts: Vec<_> = counts.iter().map(|(name, count)| format!("{name}: {count}")).collect();
            writeln!(f, "  {title}: {}", if counts.is_empty() { "none".to_owned() } else { counts.join(", ") })?;
        }
        Ok(())
    }
}
