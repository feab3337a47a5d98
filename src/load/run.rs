//! A whole run: prepare, warm up, measure, report.

use super::marks::Mark;
use super::pace::Schedule;
use super::plan::{HttpVersion, Kind, Plan};
use super::report::Report;
use super::tally::{Tallies, Tally};
use super::tls::{self, Sessions};
use super::worker::{Ground, Running, Worker};
use futures_util::StreamExt as _;
use futures_util::stream;
use rustls::ClientConfig;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Connections that are opened at a time before the run: a server's queue of new ones is bounded.
const OPENED_AT_A_TIME: usize = 64;

/// How often the progress line is written.
const PROGRESS: Duration = Duration::from_secs(1);

/// Why there was no run, or not the one that was asked for. One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// A client certificate and key cannot be used.
    Certificate(String),
    /// A connection or session that the run begins with cannot be had.
    Prepare(String),
    /// A mark's command failed.
    Mark(String),
}

/// Runs a plan. `progress` is told a line a second while it measures.
///
/// # Errors
/// [`LoadError`].
pub async fn run(plan: Plan, progress: impl FnMut(&str) + Send + 'static) -> Result<Report, LoadError> {
    let mut marks = plan.marks.clone();
    marks.sort_by_key(|mark| mark.at);
    let ground = Arc::new(Ground { configs: configs(&plan)?, plan });
    let workers = prepare(&ground).await?;
    // Preparation takes as long as it takes: the clock starts behind it.
    let start = Instant::now();
    let begin = start + ground.plan.warm_up;
    let running = Arc::new(Running {
        schedule: Schedule::new(ground.plan.pace, start),
        tallies: Tallies::new(marks.len() + 2),
        phase_ends: std::iter::once(begin).chain(marks.iter().map(|mark| begin + mark.at)).collect(),
        end: begin + ground.plan.duration,
    });
    let telling = tokio::spawn(tell(Arc::clone(&running), start, progress));
    let marking = tokio::spawn(carry_out(marks.clone(), begin));
    let mut working: JoinSet<()> = workers.into_iter().map(|worker| worker.run(Arc::clone(&running))).collect();
    while working.join_next().await.is_some() {}
    telling.abort();
    let marked = marking.await.unwrap_or_else(|error| Err(error.to_string()));
    marked.map_err(LoadError::Mark)?;
    Ok(Report::new(&ground.plan, &marks, &running.tallies.phases()))
}

/// One for each client certificate; without any, one that shows none.
fn configs(plan: &Plan) -> Result<Vec<Arc<ClientConfig>>, LoadError> {
    let wrong = |error: rustls::Error| LoadError::Certificate(error.to_string());
    if plan.clients.is_empty() || plan.kind == Kind::NoCertificate {
        return Ok(vec![tls::config(plan, None, Sessions::Never).map_err(wrong)?]);
    }
    let config = |identity| tls::config(plan, Some(identity), Sessions::Never).map_err(wrong);
    plan.clients.iter().map(config).collect()
}

/// The workers, each with what it begins with.
async fn prepare(ground: &Arc<Ground>) -> Result<Vec<Worker>, LoadError> {
    let plan = &ground.plan;
    let streams = match (plan.kind, plan.http) {
        (Kind::KeepAlive, HttpVersion::Http2) => plan.streams.max(1),
        _ => 1,
    };
    let workers: Vec<_> = (0..plan.concurrency.max(1))
        .map(|number| Worker { ground: Arc::clone(ground), number, kept: None, own: None })
        .collect();
    let mut groups = Vec::new();
    let mut workers = workers.into_iter().peekable();
    while workers.peek().is_some() {
        groups.push(workers.by_ref().take(streams).collect::<Vec<_>>());
    }
    let prepared: Vec<_> = stream::iter(groups).map(prepare_group).buffer_unordered(OPENED_AT_A_TIME).collect().await;
    let mut ready = Vec::with_capacity(plan.concurrency);
    for group in prepared {
        ready.extend(group.map_err(LoadError::Prepare)?);
    }
    Ok(ready)
}

/// Workers whose requests share a connection.
async fn prepare_group(mut group: Vec<Worker>) -> Result<Vec<Worker>, String> {
    let (first, rest) = group.split_at_mut(1);
    for first in first {
        first.prepare(None).await?;
        for other in &mut *rest {
            other.prepare(first.kept.as_ref()).await?;
        }
    }
    Ok(group)
}

/// Tells each second what the last one came to.
async fn tell(running: Arc<Running>, start: Instant, mut progress: impl FnMut(&str)) {
    let mut before = Counts::default();
    let mut ticks = tokio::time::interval_at(start + PROGRESS, PROGRESS);
    loop {
        ticks.tick().await;
        let phases = running.tallies.phases();
        let is_warm = Instant::now() >= running.phase_ends.first().copied().unwrap_or(start);
        let now = Counts::of(&phases);
        let mut whole = Tally::default();
        phases.iter().skip(1).for_each(|phase| whole.merge(phase));
        progress(&format!(
            "{:>5} s{}  {:>8}/s  p50 {:>8} us  p99 {:>8} us  errors {}",
            start.elapsed().as_secs(),
            if is_warm { "" } else { " (warm-up)" },
            now.operations.saturating_sub(before.operations),
            whole.latency.value_at_quantile(0.5),
            whole.latency.value_at_quantile(0.99),
            now.errors,
        ));
        before = now;
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    operations: u64,
    errors: u64,
}

impl Counts {
    fn of(phases: &[Tally]) -> Self {
        Self {
            operations: phases.iter().map(Tally::operations).sum(),
            errors: phases.iter().map(Tally::failures).sum(),
        }
    }
}

/// Runs each mark's command at its time.
async fn carry_out(marks: Vec<Mark>, begin: Instant) -> Result<(), String> {
    let mut running = Vec::new();
    for mark in marks {
        tokio::time::sleep_until(begin + mark.at).await;
        // A slow command delays neither the next nor the load: its phase begins when it does.
        running.push(tokio::task::spawn_blocking(move || mark.run()));
    }
    for command in running {
        command.await.map_err(|error| error.to_string())??;
    }
    Ok(())
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(why) => write!(f, "client certificate: {why}"),
            Self::Prepare(why) => write!(f, "before the run: {why}"),
            Self::Mark(why) => write!(f, "--at: {why}"),
        }
    }
}

impl std::error::Error for LoadError {}
