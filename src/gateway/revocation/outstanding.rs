//! What should be in force and is not (requirement R7): a reload that was refused, revocation data that was not accepted,
//! a load that does not end. The gateway serves on by what it accepted last, and says so.

use crate::gateway::Gateway;
use sekisho_config::{NotReadyWhen, WhenStale};
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use sekisho_trust::sources::{DownloadError, FetchError, SourceStatus};
use sekisho_trust::{Alarm, AlarmKind, Revocation, TrustSnapshot};
use serde_json::{Value, json};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Errors of a refused reload that are kept for `/readyz` and `/status/revocation`; the log has all.
const MAX_ERRORS: usize = 8;

/// Characters of each.
const MAX_ERROR_CHARACTERS: usize = 512;

/// Attempts in a row whose CRL was refused before a fetched source counts: over plain HTTP, whoever is on the way could
/// else make every gateway not ready with one answer.
const MAX_REFUSED_FETCHES: u32 = 3;

/// Seconds that a load of the files may take: 256 MiB at low priority on a busy machine. Beyond that it hangs, for
/// instance on a network file system that does not answer.
const MAX_LOAD_SECONDS: i64 = 300;

/// What is outstanding.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Outstanding(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    refused: Option<RefusedReload>,
    accepted_at: Option<Timestamp>,
    loading_since: Option<Timestamp>,
}

/// Reloads that were refused since the last accepted one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway) struct RefusedReload {
    /// When the first of them was.
    pub(in crate::gateway) since: Timestamp,
    /// How many there were.
    pub(in crate::gateway) attempts: u32,
    /// What is wrong, each with file, line and key.
    pub(in crate::gateway) errors: Vec<String>,
}

/// One reason why newer data may not be in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway) struct Problem {
    pub(in crate::gateway) when: NotReadyWhen,
    /// The CA; none where it concerns all.
    pub(in crate::gateway) ca: Option<String>,
    pub(in crate::gateway) message: String,
}

/// While it lives, files are being read.
pub(in crate::gateway) struct Loading<'a>(&'a Outstanding);

impl Outstanding {
    /// Notes that files are being read, until the guard is dropped.
    pub(in crate::gateway) fn loading(&self, now: Timestamp) -> Loading<'_> {
        self.lock().loading_since = Some(now);
        Loading(self)
    }

    /// Notes a refused reload, and returns how many there were in a row.
    pub(in crate::gateway) fn refused(&self, errors: &[String], now: Timestamp) -> u32 {
        let shorten = |error: &String| error.chars().take(MAX_ERROR_CHARACTERS).collect();
        let mut state = self.lock();
        let before = state.refused.take();
        let attempts = before.as_ref().map_or(1, |before| before.attempts.saturating_add(1));
        let since = before.map_or(now, |before| before.since);
        let errors = errors.iter().take(MAX_ERRORS).map(shorten).collect();
        state.refused = Some(RefusedReload { since, attempts, errors });
        attempts
    }

    /// Notes an accepted load: a reload, or that of the start.
    pub(in crate::gateway) fn accepted(&self, now: Timestamp) {
        let mut state = self.lock();
        state.refused = None;
        state.accepted_at = Some(now);
    }

    /// Returns when the last load was accepted.
    pub(in crate::gateway) fn accepted_at(&self) -> Option<Timestamp> {
        self.lock().accepted_at
    }

    /// The refused reloads since the last accepted one.
    pub(in crate::gateway) fn refused_reload(&self) -> Option<RefusedReload> {
        self.lock().refused.clone()
    }

    fn hangs_since(&self, now: Timestamp) -> Option<Timestamp> {
        self.lock().loading_since.filter(|since| since.plus_seconds(MAX_LOAD_SECONDS) < now)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        self.0.lock().loading_since = None;
    }
}

/// Everything that is outstanding.
pub(in crate::gateway) fn problems(gateway: &Gateway, now: Timestamp) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(refused) = gateway.outstanding.refused_reload() {
        let error = refused.errors.first().map_or("", String::as_str);
        let more = refused.errors.len().saturating_sub(1);
        let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
        let message = format!("reload refused since {}, {} times: {error}{more}", refused.since, refused.attempts);
        problems.push(Problem { when: NotReadyWhen::ReloadRefused, ca: None, message });
    }
    if let Some(since) = gateway.outstanding.hangs_since(now) {
        let message = format!("a load of the files has been under way since {since}: newer CRLs are not read");
        problems.push(Problem { when: NotReadyWhen::CrlNotInForce, ca: None, message });
    }
    let snapshot = gateway.snapshot();
    problems.extend(gateway.alarms.get().iter().filter_map(|alarm| of_alarm(alarm, &snapshot.trust)));
    problems.extend(gateway.fetcher.status().iter().filter_map(of_source));
    problems
}

/// Those by which the gateway is not ready, as its configuration says.
pub(in crate::gateway) fn not_ready(gateway: &Gateway, now: Timestamp) -> Vec<String> {
    let snapshot = gateway.snapshot();
    let counts = &snapshot.config.gateway.not_ready_when;
    let told = |problem: Problem| match problem.ca {
        Some(ca) => format!("{ca}: {}", problem.message),
        None => problem.message,
    };
    problems(gateway, now).into_iter().filter(|problem| counts.contains(&problem.when)).map(told).collect()
}

/// Returns `true` if a further load may bring what is outstanding.
pub(in crate::gateway) fn is_worth_another_try(gateway: &Gateway) -> bool {
    gateway.outstanding.refused_reload().is_some() || gateway.alarms.get().iter().any(concerns_a_file)
}

/// Not those without a file: that a CA has no CRL at all is what its readiness says.
fn concerns_a_file(alarm: &Alarm) -> bool {
    alarm.kind.keeps_newer_data_out() && !alarm.file.is_empty()
}

/// For `/status/revocation`.
pub(in crate::gateway) fn json(gateway: &Gateway) -> Value {
    let refused = gateway.outstanding.refused_reload().map(
        |refused| json!({ "since": refused.since.to_string(), "attempts": refused.attempts, "errors": refused.errors }),
    );
    let problem = |problem: Problem| json!({ "ca": problem.ca, "message": problem.message });
    let problems: Vec<_> = problems(gateway, clock::now()).into_iter().map(problem).collect();
    json!({ "refused_reload": refused, "not_in_force": problems })
}

fn of_alarm(alarm: &Alarm, trust: &TrustSnapshot) -> Option<Problem> {
    // Such a CA is only reported, whatever it lacks.
    let is_reported = alarm.ca.as_ref().and_then(|ca| trust.authority_named(ca)).is_some_and(|authority| {
        matches!(authority.revocation(), Revocation::Lists(lists) if lists.policy().when_stale == WhenStale::ReportOnly)
    });
    (concerns_a_file(alarm) && !is_reported).then(|| {
        let message = format!("a CRL is not in force: {}: {} ({})", alarm.file, alarm.message, alarm.kind.as_str());
        Problem { when: NotReadyWhen::CrlNotInForce, ca: alarm.ca.as_deref().map(str::to_owned), message }
    })
}

/// A server that does not answer is no such problem: nextUpdate tells when its CRL is missed.
fn of_source(source: &SourceStatus) -> Option<Problem> {
    let error = source.outcome.as_ref()?.as_ref().err()?;
    let came = match error {
        FetchError::Refused(AlarmKind::Stale, _) => false,
        FetchError::Refused(..) | FetchError::OtherScope(_) => source.failures >= MAX_REFUSED_FETCHES,
        // The disk's fault, not the server's.
        FetchError::Download(DownloadError::Storage(_)) => true,
        FetchError::Download(_) => false,
    };
    came.then(|| {
        let message =
            format!("a fetched CRL is not in force: {}: {error} ({})", source.target.url, error.kind().as_str());
        Problem { when: NotReadyWhen::CrlNotInForce, ca: Some(source.target.ca.to_string()), message }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_000_000);

    #[test]
    fn refused_reloads_are_counted_from_the_first_until_one_is_accepted() {
        let outstanding = Outstanding::default();
        let long = "x".repeat(10 * MAX_ERROR_CHARACTERS);
        assert_eq!(outstanding.refused(&["one".to_owned()], NOW), 1);
        assert_eq!(outstanding.refused(&vec![long; 10 * MAX_ERRORS], NOW.plus_seconds(9)), 2);
        let refused = outstanding.refused_reload().unwrap();
        assert_eq!((refused.since, refused.attempts, refused.errors.len()), (NOW, 2, MAX_ERRORS));
        assert!(refused.errors.iter().all(|error| error.len() == MAX_ERROR_CHARACTERS));
        assert_eq!(outstanding.accepted_at(), None);
        outstanding.accepted(NOW.plus_seconds(20));
        assert_eq!((outstanding.refused_reload(), outstanding.accepted_at()), (None, Some(NOW.plus_seconds(20))));
        assert_eq!(outstanding.refused(&[], NOW), 1);
        assert_eq!(outstanding.accepted_at(), Some(NOW.plus_seconds(20)));
    }

    #[test]
    fn a_load_that_does_not_end_is_told() {
        let outstanding = Outstanding::default();
        let loading = outstanding.loading(NOW);
        assert_eq!(outstanding.hangs_since(NOW.plus_seconds(MAX_LOAD_SECONDS)), None);
        assert_eq!(outstanding.hangs_since(NOW.plus_seconds(MAX_LOAD_SECONDS + 1)), Some(NOW));
        drop(loading);
        assert_eq!(outstanding.hangs_since(NOW.plus_seconds(MAX_LOAD_SECONDS + 1)), None);
    }
}
