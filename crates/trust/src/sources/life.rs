//! The life of one target: asked for when it is due or wanted, over and over.

use super::attempt::{Attempt, Places, judge_file};
use super::judge::{Asked, Ground, Judged};
use super::kept::KeptLists;
use super::report::{FetchError, FetchReport, Fetched, SourceStatus};
use super::schedule::{Chance, LEAST_PAUSE, after_answer, after_failure};
use super::target::{Kind, Target};
use super::tls;
use crate::policy::ListPolicy;
use crate::{Authority, Revocation, TrustSnapshot};
use reqwest::Client;
use sekisho_config::{ConfigError, Fetch, WhenStale};
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// Failures in a row after which a distribution point that never gave a list is forgotten, until a client names it
/// again.
const POINT_FAILURES: u32 = 8;

/// Seconds after its nextUpdate at which the list of a distribution point that does not answer is forgotten, where it
/// lets nobody in any more: the longest grace there is.
const POINT_FORGOTTEN_SECONDS: i64 = 31 * 86_400;

/// Seconds within which a list that was just asked for is not asked for again by a start.
const JUST_ASKED_SECONDS: i64 = 60;

/// Who fetches: the gateway.
pub trait Host: Send + Sync {
    /// The CAs and lists in force; none when the gateway is gone.
    fn trust(&self) -> Option<Arc<TrustSnapshot>>;
    /// Called after each attempt. When it brought a new list, that is kept already, and is to be loaded.
    fn fetched(&self, report: &FetchReport);
}

/// What every task works with; another when `[gateway.fetch]` or the state folder changes.
pub(super) struct Tools {
    client: Client,
    pub(super) settings: Fetch,
    pub(super) kept: KeptLists,
    host: Arc<dyn Host>,
    pub(super) runtime: Handle,
    places: Places,
}

/// A target's task, seen from outside.
pub(super) struct Progress {
    status: Mutex<SourceStatus>,
    pub(super) wanted: Notify,
    /// How many have ended.
    pub(super) attempts: watch::Sender<u32>,
}

/// The life of one target.
///
/// Ends only for a distribution point that gives nothing any more that anyone could need.
pub(super) async fn live(tools: Arc<Tools>, target: Arc<Target>, progress: Arc<Progress>) {
    let mut judged = tools.judge_kept(&target).await;
    let mut due = progress.due_in(tools.first_pause(&target, &judged, &progress));
    let (mut overdue, mut least) = (0, Instant::now());
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            // Whoever wants it again and again does not get it more often than that.
            () = progress.wanted.notified() => tokio::time::sleep_until(least).await,
        }
        least = Instant::now() + LEAST_PAUSE;
        let ground = tools.ground(&target);
        let when_stale = ground.policy.when_stale;
        let (after, outcome) = tools.attempt().run(&target, ground, judged).await;
        judged = after;
        let now = clock::now();
        let failures = progress.finished(&outcome, &judged, now);
        let next_update = judged.next_update();
        overdue = if next_update.is_some_and(|next_update| next_update <= now) { overdue + 1 } else { 0 };
        due = progress.due_in(match &outcome {
            Ok(_) => after_answer(next_update, now, tools.settings.interval, overdue, Chance::draw()),
            Err(_) => after_failure(failures, tools.settings.interval, Chance::draw()),
        });
        tools.host.fetched(&FetchReport { target: Arc::clone(&target), outcome });
        progress.attempts.send_modify(|count| *count = count.saturating_add(1));
        if is_forgotten(&target, failures, &judged, when_stale, now) {
            tools.kept.forget(&target);
            return;
        }
    }
}

/// Whether a distribution point gives nothing any more that anyone could need.
///
/// A list that others are let in beside, however stale it is, still keeps those out whom it revokes.
fn is_forgotten(target: &Target, failures: u32, judged: &Judged, when_stale: WhenStale, now: Timestamp) -> bool {
    let refuses = matches!(when_stale, WhenStale::Closed | WhenStale::Grace(_));
    let gone = |next_update: Timestamp| next_update.plus_seconds(POINT_FORGOTTEN_SECONDS) < now;
    target.kind == Kind::Point
        && match judged.facts() {
            None => failures >= POINT_FAILURES,
            Some(facts) => refuses && failures > 0 && facts.next_update.is_some_and(gone),
        }
}

impl Tools {
    pub(super) fn new(
        settings: Fetch,
        kept: KeptLists,
        host: Arc<dyn Host>,
        runtime: Handle,
    ) -> Result<Self, ConfigError> {
        Ok(Self { client: tls::client(&settings)?, settings, kept, host, runtime, places: Places::default() })
    }

    /// What a target's list is judged by now.
    fn ground(&self, target: &Target) -> Ground {
        let Some(trust) = self.host.trust() else { return Ground::default() };
        let policy = match trust.authority_named(&target.ca).map(Authority::revocation) {
            Some(Revocation::Lists(lists)) => *lists.policy(),
            Some(Revocation::NotChecked) | None => ListPolicy::default(),
        };
        Ground { authorities: trust.authorities().iter().map(|authority| authority.facts.clone()).collect(), policy }
    }

    fn attempt(&self) -> Attempt<'_> {
        Attempt { client: &self.client, settings: &self.settings, kept: &self.kept, places: &self.places }
    }

    /// What is kept from before; nothing when it is not there or does not stand any more.
    async fn judge_kept(&self, target: &Arc<Target>) -> Judged {
        let Ok(_place) = self.places.judging.acquire().await else { return Judged::default() };
        let (path, target, ground) = (self.kept.path(target), Arc::clone(target), self.ground(target));
        let judged = tokio::task::spawn_blocking(move || {
            let asked = Asked { ca: &target.ca, url: &target.url, ground: &ground };
            judge_file(&asked, &path, &Judged::default())
        });
        judged.await.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// At once, unless the list was asked for just now, by the start that made this.
    fn first_pause(&self, target: &Target, judged: &Judged, progress: &Progress) -> Duration {
        let now = clock::now();
        let mut status = progress.lock();
        status.list = judged.facts();
        status.answered_at = self.kept.note(target).map(|note| Timestamp::from_unix(note.asked_at));
        let fresh = status.list.is_some()
            && status
                .answered_at
                .is_some_and(|at| (0..JUST_ASKED_SECONDS).contains(&now.unix().saturating_sub(at.unix())));
        if !fresh {
            return Duration::ZERO;
        }
        after_answer(judged.next_update(), now, self.settings.interval, 1, Chance::draw())
    }
}

impl Progress {
    pub(super) fn new(status: SourceStatus) -> Self {
        Self { status: Mutex::new(status), wanted: Notify::new(), attempts: watch::Sender::new(0) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, SourceStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn due_in(&self, pause: Duration) -> Instant {
        let seconds = i64::try_from(pause.as_secs()).unwrap_or(i64::MAX);
        self.lock().due_at = Some(clock::now().plus_seconds(seconds));
        Instant::now() + pause
    }

    /// How many attempts have failed in a row.
    fn finished(&self, outcome: &Result<Fetched, FetchError>, judged: &Judged, now: Timestamp) -> u32 {
        let mut status = self.lock();
        status.tried_at = Some(now);
        if outcome.is_ok() {
            (status.answered_at, status.failures) = (Some(now), 0);
        } else {
            status.failures = status.failures.saturating_add(1);
        }
        status.outcome = Some(outcome.clone());
        status.list = judged.facts();
        status.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_that_never_gave_a_list_is_forgotten_after_eight_failures_and_a_configured_url_never() {
        let forgotten = |kind, failures| {
            let target = Target { ca: "a".into(), url: "http://h/".into(), kind };
            is_forgotten(&target, failures, &Judged::default(), WhenStale::Open, Timestamp::from_unix(0))
        };
        assert!(!forgotten(Kind::Point, POINT_FAILURES - 1));
        assert!(forgotten(Kind::Point, POINT_FAILURES));
        assert!(!forgotten(Kind::Configured, u32::MAX));
    }
}
