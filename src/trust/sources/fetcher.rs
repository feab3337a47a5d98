//! Every target's life: asked for when it is due or wanted, judged, kept, told.

use super::book::PointBook;
use super::download::{Bounds, DownloadError, Downloaded, Validators, download};
use super::judge::{Asked, Ground, Judged, ListFacts, Unfit, judge};
use super::kept::{KeptLists, Note};
use super::schedule::{Chance, LEAST_PAUSE, after_answer, after_failure};
use super::target::{self, Kind, PointError, Target};
use super::tls;
use crate::clock;
use crate::config::{Ca, Config, ConfigError, Fetch};
use crate::pki::time::Timestamp;
use crate::trust::TrustSnapshot;
use crate::trust::accept::Rejection;
use crate::trust::alarm::AlarmKind;
use crate::trust::files;
use crate::trust::load::{authorities, policy};
use crate::trust::policy::ListPolicy;
use crate::trust::{Authority, Revocation};
use reqwest::{Client, Url};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

/// Downloads at once: each holds a connection and a file; a dripping server holds its place for `timeout` at most.
pub(super) const MAX_DOWNLOADS: usize = 16;

/// Lists judged at once: each is wholly in memory, with its index, while that lasts.
const MAX_JUDGED: usize = 2;

/// Distribution points known of a CA: its issuer would have to cut its list into more parts than that.
const MAX_POINTS: usize = 256;

/// Failures in a row after which a distribution point that never gave a list is forgotten, until a client names it
/// again.
const POINT_FAILURES: u32 = 8;

/// Seconds after its nextUpdate at which the list of a distribution point that does not answer is forgotten: the
/// longest grace there is.
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

/// What one attempt came to.
#[derive(Clone, Debug)]
pub struct FetchReport {
    /// What was asked for.
    pub target: Arc<Target>,
    /// What came of it.
    pub outcome: Result<Fetched, FetchError>,
}

/// What a server that answered had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// Another list than the one kept before; it is kept now.
    New,
    /// The list that is kept.
    Unchanged,
}

/// Why an attempt changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// Nothing usable came from the server.
    Download(DownloadError),
    /// The list is refused, as one in a file would be.
    Refused(AlarmKind, String),
    /// The list speaks of other certificates than the one that is kept and fresh.
    OtherScope(String),
}

/// A source as it stands, for metrics and readiness.
#[derive(Clone, Debug)]
pub struct SourceStatus {
    /// What is asked for.
    pub target: Arc<Target>,
    /// The file that its list is kept in.
    pub path: PathBuf,
    /// What the last attempt came to; none before the first.
    pub outcome: Option<Result<Fetched, FetchError>>,
    /// Attempts in a row that failed.
    pub failures: u32,
    /// When the last attempt ended.
    pub tried_at: Option<Timestamp>,
    /// When the server last said what its list is.
    pub answered_at: Option<Timestamp>,
    /// When the next attempt is due.
    pub due_at: Option<Timestamp>,
    /// The list that is kept.
    pub list: Option<ListFacts>,
}

/// Fetches every target, each in its own task.
#[derive(Default)]
pub struct Fetcher {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    book: Arc<PointBook>,
}

#[derive(Default)]
struct State {
    tools: Option<Arc<Tools>>,
    running: BTreeMap<Target, Running>,
}

/// What every task works with; another when `[gateway.fetch]` or the state folder changes.
struct Tools {
    client: Client,
    settings: Fetch,
    kept: KeptLists,
    host: Arc<dyn Host>,
    runtime: Handle,
    downloads: Semaphore,
    judging: Semaphore,
}

/// One target's task, seen from outside.
struct Running {
    progress: Arc<Progress>,
    task: AbortHandle,
}

struct Progress {
    status: Mutex<SourceStatus>,
    wanted: Notify,
    attempts: watch::Sender<u32>,
}

/// A file that is gone when this is, unless it was renamed.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Fetches what is configured and not kept, once each and at the same time, before there is a gateway to serve: for a
/// first start, which would else be one without lists. Removes what the process before left unfinished.
///
/// Nothing is fetched for CAs that are wrong; [`crate::trust::load`] tells of them.
///
/// # Errors
/// At `[gateway.fetch] ca`, when it cannot be used.
pub async fn prime(cas: &[Ca], settings: &Fetch, kept: &KeptLists) -> Result<Vec<FetchReport>, ConfigError> {
    kept.forget_unfinished();
    let Ok(authorities) = authorities(cas) else { return Ok(Vec::new()) };
    let client = tls::client(settings)?;
    let mut attempts = JoinSet::new();
    let limits = Arc::new((Semaphore::new(MAX_DOWNLOADS), Semaphore::new(MAX_JUDGED)));
    let targets = cas.iter().flat_map(|ca| target::configured(ca).map(move |target| (ca, target)));
    for (ca, target) in targets.filter(|(_, target)| !kept.path(target).is_file()) {
        let (client, settings, kept) = (client.clone(), settings.clone(), kept.clone());
        let policy = policy(&ca.revocation).unwrap_or_default();
        let (ground, limits) = (Ground { authorities: authorities.clone(), policy }, Arc::clone(&limits));
        attempts.spawn(async move {
            let target = Arc::new(target);
            let attempt = Attempt { client: &client, settings: &settings, kept: &kept, limits: (&limits.0, &limits.1) };
            let (_, outcome) = attempt.run(&target, ground, Judged::default()).await;
            FetchReport { target, outcome }
        });
    }
    Ok(attempts.join_all().await)
}

impl Fetcher {
    /// Fetches the sources of this configuration from now on, and no others.
    ///
    /// # Errors
    /// At `[gateway.fetch] ca`, when it cannot be used; everything then goes on as before.
    pub fn follow(
        &self,
        config: &Config,
        kept: &KeptLists,
        host: &Arc<dyn Host>,
        runtime: &Handle,
    ) -> Result<(), ConfigError> {
        let mut state = self.shared.lock();
        let is_same = |tools: &&Arc<Tools>| tools.settings == config.fetch && tools.kept == *kept;
        let tools = match state.tools.as_ref().filter(is_same) {
            Some(tools) => Arc::clone(tools),
            None => Arc::new(Tools::new(config.fetch.clone(), kept.clone(), Arc::clone(host), runtime.clone())?),
        };
        let is_new = !state.tools.as_ref().is_some_and(|before| Arc::ptr_eq(before, &tools));
        let mut wanted: Vec<Target> = Vec::new();
        for ca in &config.cas {
            wanted.extend(target::configured(ca));
            wanted.extend(tools.kept.points(ca));
            let known = state.running.keys().filter(|one| one.kind == Kind::Point && one.ca == ca.name);
            wanted.extend(known.filter(|one| target::point(ca, &one.url).is_ok()).cloned());
        }
        state.running.retain(|target, running| {
            let stays = !is_new && wanted.contains(target);
            if !stays {
                running.task.abort();
                self.shared.book.forget(&target.ca, &target.url);
            }
            stays
        });
        for target in wanted {
            if !state.running.contains_key(&target) {
                let running = self.start(&tools, target.clone());
                state.running.insert(target, running);
            }
        }
        state.tools = Some(tools);
        Ok(())
    }

    /// Stops fetching: nothing is configured to be.
    pub fn stop(&self) {
        let mut state = self.shared.lock();
        std::mem::take(&mut *state).running.values().for_each(|running| running.task.abort());
    }

    /// Has the lists of a CA asked for now, since something newer is known to be there.
    pub fn want(&self, ca: &str) {
        let state = self.shared.lock();
        let of_ca = state.running.iter().filter(|(target, _)| *target.ca == *ca);
        of_ca.for_each(|(_, running)| running.progress.wanted.notify_one());
    }

    /// Has the list at a distribution point fetched from now on: gives how many attempts have ended, and changes with
    /// each.
    ///
    /// # Errors
    /// [`PointError`], when it may not be fetched.
    pub fn point(&self, ca: &Ca, url: &str) -> Result<watch::Receiver<u32>, PointError> {
        let parsed = target::point(ca, url)?;
        let mut state = self.shared.lock();
        let as_configured = Target { ca: Arc::clone(&ca.name), url: url.into(), kind: Kind::Configured };
        let target = Target { kind: Kind::Point, ..as_configured.clone() };
        // What the configuration names is fetched already.
        if let Some(running) = state.running.get(&as_configured).or_else(|| state.running.get(&target)) {
            return Ok(running.progress.attempts.subscribe());
        }
        let tools = state.tools.clone().ok_or(PointError::HostNotAllowed)?;
        if parsed.scheme() == "https" && tools.settings.ca.is_none() {
            return Err(PointError::NoServerCa);
        }
        if state.running.keys().filter(|one| one.kind == Kind::Point && one.ca == ca.name).count() >= MAX_POINTS {
            return Err(PointError::TooMany);
        }
        let running = self.start(&tools, target.clone());
        let attempts = running.progress.attempts.subscribe();
        state.running.insert(target, running);
        Ok(attempts)
    }

    /// Which distribution points were asked for: what snapshots look at.
    pub fn book(&self) -> &Arc<PointBook> {
        &self.shared.book
    }

    /// Every source as it stands, in order of CA and URL.
    pub fn status(&self) -> Vec<SourceStatus> {
        let state = self.shared.lock();
        state.running.values().map(|running| running.progress.lock().clone()).collect()
    }

    fn start(&self, tools: &Arc<Tools>, target: Target) -> Running {
        let target = Arc::new(target);
        let status = SourceStatus {
            target: Arc::clone(&target),
            path: tools.kept.path(&target),
            outcome: None,
            failures: 0,
            tried_at: None,
            answered_at: None,
            due_at: None,
            list: None,
        };
        let (attempts, _) = watch::channel(0);
        let progress = Arc::new(Progress { status: Mutex::new(status), wanted: Notify::new(), attempts });
        let life = live(Arc::clone(tools), target, Arc::clone(&progress), Arc::downgrade(&self.shared));
        Running { task: tools.runtime.spawn(life).abort_handle(), progress }
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The life of one target.
async fn live(tools: Arc<Tools>, target: Arc<Target>, progress: Arc<Progress>, shared: Weak<Shared>) {
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
        if is_forgotten(&target, failures, &judged, now) {
            tools.kept.forget(&target);
            if let Some(shared) = shared.upgrade() {
                shared.lock().running.remove(&target);
                shared.book.forget(&target.ca, &target.url);
            }
            return;
        }
    }
}

/// Whether a distribution point gives nothing any more that anyone could need.
fn is_forgotten(target: &Target, failures: u32, judged: &Judged, now: Timestamp) -> bool {
    target.kind == Kind::Point
        && match judged.facts() {
            None => failures >= POINT_FAILURES,
            Some(facts) => {
                let gone = |next_update: Timestamp| next_update.plus_seconds(POINT_FORGOTTEN_SECONDS) < now;
                failures > 0 && facts.next_update.is_some_and(gone)
            }
        }
}

impl Tools {
    fn new(settings: Fetch, kept: KeptLists, host: Arc<dyn Host>, runtime: Handle) -> Result<Self, ConfigError> {
        Ok(Self {
            client: tls::client(&settings)?,
            settings,
            kept,
            host,
            runtime,
            downloads: Semaphore::new(MAX_DOWNLOADS),
            judging: Semaphore::new(MAX_JUDGED),
        })
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
        let limits = (&self.downloads, &self.judging);
        Attempt { client: &self.client, settings: &self.settings, kept: &self.kept, limits }
    }

    /// What is kept from before; nothing when it is not there or does not stand any more.
    async fn judge_kept(&self, target: &Arc<Target>) -> Judged {
        let Ok(_place) = self.judging.acquire().await else { return Judged::default() };
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

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    fn lock(&self) -> MutexGuard<'_, SourceStatus> {
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

/// One attempt.
struct Attempt<'a> {
    client: &'a Client,
    settings: &'a Fetch,
    kept: &'a KeptLists,
    limits: (&'a Semaphore, &'a Semaphore),
}

impl Attempt<'_> {
    /// Downloads, judges, and keeps what is new. Gives what is kept afterwards.
    async fn run(&self, target: &Arc<Target>, ground: Ground, before: Judged) -> (Judged, Result<Fetched, FetchError>) {
        let unfinished = Unfinished(self.kept.unfinished());
        let known = if before.facts().is_some() { self.kept.note(target).map(|note| note.validators) } else { None };
        let known = known.unwrap_or_default();
        match self.download(target, &known, &unfinished.0).await {
            Err(error) => (before, Err(FetchError::Download(error))),
            Ok(Downloaded::NotModified) => {
                // Only when it was asked for is lost with it.
                let _ = self.kept.write_note(target, &Note::new(target, known, clock::now()));
                (before, Ok(Fetched::Unchanged))
            }
            Ok(Downloaded::Body(validators)) => self.judge(target, ground, before, unfinished, validators).await,
        }
    }

    async fn download(&self, target: &Target, known: &Validators, into: &Path) -> Result<Downloaded, DownloadError> {
        let stopped = |_| DownloadError::Unreachable("the gateway stops".to_owned());
        let _place = self.limits.0.acquire().await.map_err(stopped)?;
        let url = Url::parse(&target.url).map_err(|error| DownloadError::Unreachable(error.to_string()))?;
        let bounds = Bounds { timeout: self.settings.timeout, octets: self.settings.list_bytes };
        download(self.client, &url, known, bounds, into).await
    }

    async fn judge(
        &self,
        target: &Arc<Target>,
        ground: Ground,
        before: Judged,
        unfinished: Unfinished,
        validators: Validators,
    ) -> (Judged, Result<Fetched, FetchError>) {
        let _place = self.limits.1.acquire().await;
        let (kept, target, old) = (self.kept.clone(), Arc::clone(target), before.clone());
        let judged = tokio::task::spawn_blocking(move || {
            let asked = Asked { ca: &target.ca, url: &target.url, ground: &ground };
            let new = judge_file(&asked, &unfinished.0, &old)?;
            let note = Note::new(&target, validators, clock::now());
            let storage = |error: std::io::Error| DownloadError::Storage(error.to_string());
            if new.is_same_as(&old) {
                kept.write_note(&target, &note).map_err(storage)?;
                return Ok((new, Fetched::Unchanged));
            }
            kept.replace(&target, &unfinished.0, &note).map_err(storage)?;
            Ok((new, Fetched::New))
        });
        match judged.await {
            Ok(Ok((new, fetched))) => (new, Ok(fetched)),
            Ok(Err(error)) => (before, Err(error)),
            Err(panic) => (before, Err(FetchError::Refused(AlarmKind::Malformed, panic.to_string()))),
        }
    }
}

fn judge_file(asked: &Asked<'_>, path: &Path, before: &Judged) -> Result<Judged, FetchError> {
    let octets = files::read(path, files::MAX_LIST_FILE_OCTETS)
        .map_err(|message| FetchError::Refused(AlarmKind::Unreadable, message))?;
    judge(asked, &octets, before, clock::now()).map_err(|unfit| match unfit {
        Unfit::Refused(Rejection { kind, message, .. }) => FetchError::Refused(kind, message),
        Unfit::OtherScope(message) => FetchError::OtherScope(message),
    })
}

impl From<DownloadError> for FetchError {
    fn from(error: DownloadError) -> Self {
        Self::Download(error)
    }
}

impl FetchError {
    /// The stable name, for metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Download(error) => error.name(),
            Self::Refused(kind, _) => kind.name(),
            Self::OtherScope(_) => "other-scope",
        }
    }
}

/// The stable name of an outcome, for metrics: `new`, `unchanged`, or why nothing changed.
pub const fn outcome_name(outcome: &Result<Fetched, FetchError>) -> &'static str {
    match outcome {
        Ok(Fetched::New) => "new",
        Ok(Fetched::Unchanged) => "unchanged",
        Err(error) => error.name(),
    }
}

impl FetchReport {
    /// [`outcome_name`] of its outcome.
    pub const fn outcome_name(&self) -> &'static str {
        outcome_name(&self.outcome)
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Download(error) => error.fmt(f),
            Self::Refused(_, message) | Self::OtherScope(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for FetchError {}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.status()).finish()
    }
}
