//! New configuration and new files become a new snapshot, published whole; bad input changes nothing (requirement G10).
//!
//! One thread does this. It is woken by SIGHUP and by changes of the named files, reads everything anew (lists whose
//! file did not change are taken over), publishes, and then carries the snapshot to every live connection.

use crate::gateway::Gateway;
use crate::gateway::base::admin_token::AdminToken;
use crate::gateway::base::cause::Cause;
use crate::gateway::base::key_material::{read, read_secret, unusable};
use crate::gateway::control::watch::{FileWatch, Follow, Since};
use crate::gateway::live::publish;
use crate::gateway::metrics::ReloadOutcome;
use crate::gateway::request::assertion::{Signer, SignerError};
use crate::gateway::request::headers::StripSet;
use crate::gateway::request::upstream::Pools;
use crate::gateway::revocation::fetch;
use crate::gateway::revocation::last_in_force;
use crate::gateway::revocation::outstanding;
use crate::gateway::revocation::withdrawn;
use crate::gateway::snapshot::feed_source;
use crate::gateway::snapshot::own_certificates::own_certificates;
use crate::gateway::snapshot::site::{self, SiteTable, Snapshot};
use rustls::crypto::CryptoProvider;
use sekisho_config::{self as config, Config, ConfigError, Placed};
use sekisho_runtime::clock;
use sekisho_runtime::process::secret_file;
use sekisho_trust::blocks::file;
use sekisho_trust::{self as trust, Alarm, Live, Remembered};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Files are often written in several steps: changes this close together are one reload.
const SETTLE: Duration = Duration::from_millis(20);
/// However busy a watched folder is (a log may lie in it), a reload waits no longer: a revocation is to be in force
/// within 100 ms.
const SETTLE_AT_MOST: Duration = Duration::from_millis(60);

/// How long after a load memory is looked after: longer than mimalloc's own delay of a second.
const GIVE_BACK_FOR: Duration = Duration::from_millis(1500);
/// How often meanwhile: whoever comes first once the delay is over gives everything back, and that is not to be a thread
/// that serves.
const GIVE_BACK_EVERY: Duration = Duration::from_millis(5);

/// Reloads that changes of files may cause in a row, and the time in which one more may: a deployment replaces a dozen
/// files, and a log in a folder of CRLs is written without end.
const RELOADS_IN_A_ROW: u32 = 10;
const ONE_MORE_EVERY: Duration = Duration::from_secs(1);

/// The longest time between two tries to take up what was refused.
const MAX_RETRY_SECONDS: u64 = 60;

/// What a load reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    /// The configuration and every file that it names.
    Everything,
    /// CRLs, under the configuration in force.
    Crls,
}

/// Which alarms a load reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Telling {
    All,
    /// None where they are those of the load before: a retry found nothing new.
    Changes,
}

/// Compiles a configuration as a starting gateway would, and lets it go.
///
/// # Errors
/// Every error of the files the configuration names.
pub(in crate::gateway) fn check(config: Config) -> Result<Vec<Alarm>, Vec<ConfigError>> {
    compile(config, None, &crate::gateway::base::suites::crypto_provider()).map(|(_, alarms)| alarms)
}

/// Reads everything a configuration names and compiles it; all errors at once.
pub(in crate::gateway) fn compile(
    config: Config,
    previous: Option<&Snapshot>,
    provider: &CryptoProvider,
) -> Result<(Snapshot, Vec<Alarm>), Vec<ConfigError>> {
    let mut errors = Vec::new();
    let mut keep = |found: Vec<ConfigError>| errors.extend(found);
    let keys = site::certified_keys(&config, provider).map_err(&mut keep).ok();
    let withdrawn = withdrawn::remembered(&config).map_err(|error| keep(vec![error])).ok();
    let kept = fetch::kept(&config);
    let loaded = withdrawn.and_then(|withdrawn| {
        let last = last_in_force::at(&config);
        let remembered = Remembered { kept: kept.as_ref(), withdrawn: &withdrawn, last: last.as_ref() };
        let previous = previous.map(|old| &*old.trust);
        trust::load_remembering(&config.cas, remembered, previous, clock::now()).map_err(&mut keep).ok()
    });
    let sites = keys
        .zip(loaded.as_ref())
        .and_then(|(keys, loaded)| SiteTable::compile(&config, &loaded.snapshot, keys).map_err(&mut keep).ok());
    let pools = Pools::compile(&config, previous.map(|old| &*old.pools)).map_err(&mut keep).ok();
    let signer = signer(&config).map_err(|error| keep(vec![error])).ok();
    let feed = feed_source::Source::compile(&config, previous.and_then(|old| old.feed.as_ref()), provider);
    let feed = feed.map_err(&mut keep).ok();
    let admin_token = admin_token(&config).map_err(|error| keep(vec![error])).ok();
    // What has become live since is in memory; only a start reads what was kept.
    let live = match previous {
        None => kept_live(&config).map(Some).map_err(|error| keep(vec![error])).ok(),
        Some(_) => Some(None),
    };
    for error in [ticket_secret(&config).map(drop), fetch::check(&config)].into_iter().filter_map(Result::err) {
        keep(vec![error]);
    }
    let (Some(loaded), Some(sites), Some(pools), Some(signer), Some(feed), Some(admin_token), Some(live), true) =
        (loaded, sites, pools, signer, feed, admin_token, live, errors.is_empty())
    else {
        return Err(errors);
    };
    let generation = previous.map_or(1, |old| old.generation + 1);
    let strip = Arc::new(StripSet::new(&config.headers));
    let (sites, pools) = (Arc::new(sites), Arc::new(pools));
    let trust = live.map_or_else(|| Arc::clone(&loaded.snapshot), |live| Arc::new(loaded.snapshot.with_live(live)));
    let trust = Arc::new(trust.following(feed_source::rules(&config, &loaded.snapshot, clock::now())));
    let config = Arc::new(config);
    let certificates = own_certificates(&sites, &pools, feed.as_deref(), &trust);
    let snapshot = Snapshot { generation, config, certificates, trust, sites, pools, signer, feed, strip, admin_token };
    Ok((snapshot, loaded.alarms))
}

fn signer(config: &Config) -> Result<Option<Arc<Signer>>, ConfigError> {
    let Some(assertion) = &config.assertion else {
        return Ok(None);
    };
    let key = read_secret(&assertion.key_file)?;
    let previous = assertion.previous_key_files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let signer = Signer::from_pem(&key, &previous, &assertion.issuer, assertion.lifetime).map_err(|error| {
        let file = match &error {
            SignerError::Previous(place, _) => assertion.previous_key_files.get(*place),
            _ => None,
        };
        unusable(file.unwrap_or(&assertion.key_file), &error)
    })?;
    Ok(Some(Arc::new(signer)))
}

fn admin_token(config: &Config) -> Result<Option<Arc<AdminToken>>, ConfigError> {
    config.gateway.admin_token_file.as_ref().map(AdminToken::load).transpose().map(|token| token.map(Arc::new))
}

/// What was live when the last process of this state folder ended.
pub(in crate::gateway) fn kept_live(config: &Config) -> Result<Live, ConfigError> {
    let Some(folder) = &config.gateway.state_folder else {
        return Ok(Live::default());
    };
    let blocks = file::read(&folder.value).map_err(|why| ConfigError {
        place: folder.place.clone(),
        message: format!("{}: {why}", file::path(&folder.value).display()),
    })?;
    Ok(Live { blocks: Arc::new(blocks), ..Live::default() })
}

/// The secret all gateways derive their ticket keys from.
pub(in crate::gateway) fn ticket_secret(config: &Config) -> Result<Option<Vec<u8>>, ConfigError> {
    let Some(file) = &config.tickets.secret_file else {
        return Ok(None);
    };
    let secret = read_secret(file)?;
    if secret.len() < crate::gateway::tls::tickets::MIN_SECRET_LEN {
        let need = crate::gateway::tls::tickets::MIN_SECRET_LEN;
        return Err(unusable(file, &format!("a ticket secret has at least {need} octets, this one {}", secret.len())));
    }
    secret_file::refuse_without_entropy(&secret).map_err(|error| unusable(file, &error))?;
    Ok(Some(secret.to_vec()))
}

/// Waits for causes and reloads, until told to stop.
pub(in crate::gateway) fn run(
    gateway: &Arc<Gateway>,
    config_path: &Path,
    causes: &Receiver<Cause>,
    wake: &Sender<Cause>,
    runtime: &Handle,
    mut watch: FileWatch,
) {
    let mut giving_back = Instant::now() + GIVE_BACK_FOR;
    let mut pace = Pace::new(Instant::now());
    // The start may have left something.
    let mut retry = Retry::default();
    retry.note(outstanding::is_worth_another_try(gateway), Instant::now());
    loop {
        let due = [watch.due(), retry.due].into_iter().flatten().min();
        let Some(first) = next_cause(causes, giving_back, due) else { return };
        let Some(cause) = settle(first, causes, pace.earliest(Instant::now())) else { return };
        let loading = gateway.outstanding.loading(clock::now());
        if cause == Cause::Signal {
            gateway.records.reopen();
        }
        // Before they are read: what changes meanwhile is a change since.
        let config = Arc::clone(&gateway.snapshot().config);
        let since = if cause == Cause::Signal || (cause != Cause::Lists && config.gateway.watch_files) {
            watch.look(&config, config_path, clock::now(), Instant::now())
        } else {
            Since::Unchanged
        };
        let is_retry = retry.is_due(Instant::now());
        let was_refused = gateway.outstanding.refused_reload().is_some();
        let job = match (cause, since) {
            (Cause::Signal, _) | (_, Since::Changed) => Job::Everything,
            _ if is_retry && was_refused => Job::Everything,
            (Cause::Lists | Cause::FilesAndLists, Since::Unchanged) => Job::Crls,
            _ if is_retry => Job::Crls,
            _ => continue,
        };
        if cause == Cause::Signal || since == Since::Changed {
            retry = Retry::default();
        }
        let telling = if cause == Cause::Time && is_retry { Telling::Changes } else { Telling::All };
        pace.spend(Instant::now());
        let number = gateway.loads.begin();
        load(gateway, config_path, runtime, wake, job, cause, telling);
        gateway.loads.finish(number);
        drop(loading);
        retry.note(outstanding::is_worth_another_try(gateway), Instant::now());
        giving_back = Instant::now() + GIVE_BACK_FOR;
        // Even after a refusal: a folder may have been replaced by another of its name.
        if watch.follow(&gateway.snapshot().config, config_path) == Follow::More {
            // A file may have changed after it was read and before its folder was watched.
            let _ = wake.send(Cause::Files);
        }
    }
}

/// One load. Whatever keeps the configuration from being taken up, CRLs are taken under the one in force.
fn load(
    gateway: &Arc<Gateway>,
    config_path: &Path,
    runtime: &Handle,
    wake: &Sender<Cause>,
    job: Job,
    cause: Cause,
    telling: Telling,
) {
    if job == Job::Everything {
        match guarded(|| reload(gateway, config_path, runtime, wake, cause, telling)) {
            Ok(()) => return gateway.outstanding.accepted(clock::now()),
            Err(errors) => report_refused(gateway, &errors),
        }
    }
    if let Err(errors) = guarded(|| reload_crls(gateway, telling)) {
        gateway.metrics.reloads_total(ReloadOutcome::Refused).inc();
        for error in errors {
            tracing::error!(error, "new CRLs are not in force; those in force before serve on");
        }
    }
}

/// A panic here would leave the gateway with today's CRLs for ever.
fn guarded(load: impl FnOnce() -> Result<(), Vec<String>>) -> Result<(), Vec<String>> {
    catch_unwind(AssertUnwindSafe(load)).unwrap_or_else(|_| Err(vec!["the reload panicked".to_owned()]))
}

fn report_refused(gateway: &Gateway, errors: &[String]) {
    let attempt = gateway.outstanding.refused(errors, clock::now());
    gateway.metrics.reloads_total(ReloadOutcome::Refused).inc();
    for error in errors {
        tracing::error!(attempt, error, "reload refused; the last good configuration serves on, with new CRLs");
    }
}

/// How often changes of files may cause a reload: a token bucket.
#[derive(Debug)]
struct Pace {
    tokens: u32,
    /// When it had so many.
    at: Instant,
}

impl Pace {
    const fn new(now: Instant) -> Self {
        Self { tokens: RELOADS_IN_A_ROW, at: now }
    }

    /// When the next reload may begin.
    fn earliest(&mut self, now: Instant) -> Instant {
        self.refill(now);
        if self.tokens > 0 { now } else { self.at + ONE_MORE_EVERY }
    }

    fn refill(&mut self, now: Instant) {
        while self.tokens < RELOADS_IN_A_ROW && self.at + ONE_MORE_EVERY <= now {
            self.tokens += 1;
            self.at += ONE_MORE_EVERY;
        }
    }

    fn spend(&mut self, now: Instant) {
        self.refill(now);
        if self.tokens == RELOADS_IN_A_ROW {
            self.at = now;
        }
        self.tokens = self.tokens.saturating_sub(1);
    }
}

/// When what was refused is tried again.
#[derive(Debug, Default)]
struct Retry {
    tries: u32,
    due: Option<Instant>,
}

impl Retry {
    fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// After a load: 1, 2, 4 … 60 seconds while anything is outstanding.
    fn note(&mut self, is_outstanding: bool, now: Instant) {
        if !is_outstanding {
            *self = Self::default();
            return;
        }
        let seconds = 1_u64.checked_shl(self.tries).unwrap_or(u64::MAX).min(MAX_RETRY_SECONDS);
        self.due = Some(now + Duration::from_secs(seconds));
        self.tries = self.tries.saturating_add(1);
    }
}

/// Waits for a cause, or until `due`. Until `giving_back` this gives back what the last load has freed: a list's file is twice its index.
///
/// mimalloc keeps freed memory for a second and then gives it back when any thread of the process next frees a page of
/// its own, which those of an idle gateway do not. Those of a busy one do: the 73 MB that a list of a million has freed
/// take 7 ms, which requests would wait for.
fn next_cause(causes: &Receiver<Cause>, giving_back: Instant, due: Option<Instant>) -> Option<Cause> {
    while Instant::now() < giving_back {
        if due.is_some_and(|due| due <= Instant::now()) {
            return Some(Cause::Time);
        }
        match causes.recv_timeout(GIVE_BACK_EVERY) {
            Ok(cause) => return Some(cause),
            Err(RecvTimeoutError::Disconnected) => return None,
            // Large enough to have pages of its own; none of it is touched.
            Err(RecvTimeoutError::Timeout) => drop(std::hint::black_box(Vec::<u8>::with_capacity(1 << 20))),
        }
    }
    let Some(due) = due else { return causes.recv().ok() };
    match causes.recv_timeout(due.saturating_duration_since(Instant::now())) {
        Ok(cause) => Some(cause),
        Err(RecvTimeoutError::Disconnected) => None,
        Err(RecvTimeoutError::Timeout) => Some(Cause::Time),
    }
}

/// Gathers causes until none came for a while, and until `earliest` but for a signal; none at all when the gateway stops.
fn settle(first: Cause, causes: &Receiver<Cause>, earliest: Instant) -> Option<Cause> {
    let mut settled = first;
    let deadline = Instant::now() + SETTLE_AT_MOST;
    loop {
        if settled == Cause::Stop {
            return None;
        }
        let now = Instant::now();
        let earliest = if settled == Cause::Signal { now } else { earliest };
        if now >= deadline.max(earliest) {
            return Some(settled);
        }
        let quiet = SETTLE.min(deadline.saturating_duration_since(now));
        match causes.recv_timeout(quiet.max(earliest.saturating_duration_since(now))) {
            Ok(next) => settled = settled.and(next),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => return Some(settled),
        }
    }
}

/// One reload.
fn reload(
    gateway: &Arc<Gateway>,
    config_path: &Path,
    runtime: &Handle,
    wake: &Sender<Cause>,
    cause: Cause,
    telling: Telling,
) -> Result<(), Vec<String>> {
    let began = Instant::now();
    let previous = gateway.snapshot();
    let compiled = trust::yielding(|| {
        let config = config::load(config_path).map(|config| in_the_same_folder(config, &previous.config));
        trust::make_way();
        config.and_then(|config| compile(config, Some(&previous), &gateway.provider))
    });
    let in_words = |errors: Vec<ConfigError>| errors.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (snapshot, alarms) = compiled.map_err(in_words)?;
    report_alarms(gateway, &alarms, telling);
    warn_of_restart(&previous.config, &snapshot.config);
    if previous.config.limits.connections != snapshot.config.limits.connections {
        gateway.descriptors.warn(&snapshot.config);
    }
    snapshot.pools.check_health(runtime);
    publish::reloaded(gateway, snapshot);
    withdrawn::keep(gateway);
    gateway.metrics.reloads_total(ReloadOutcome::Published).inc();
    let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(generation = gateway.snapshot().generation, cause = cause.as_str(), milliseconds, "reloaded");
    fetch::follow(gateway, wake, runtime)
        .map_err(|error| vec![format!("{error}; CRLs are fetched as before, the rest is in force")])
}

/// Takes up CRLs alone: nothing else is read, so that nothing else can keep them out of force.
fn reload_crls(gateway: &Arc<Gateway>, telling: Telling) -> Result<(), Vec<String>> {
    let current = gateway.snapshot();
    let kept = fetch::kept(&current.config);
    let load = || trust::load_lists(&current.config.cas, kept.as_ref(), &current.trust, clock::now());
    let loaded = trust::yielding(load);
    let loaded = loaded.map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    report_alarms(gateway, &loaded.alarms, telling);
    let generation = current.generation + 1;
    publish::reloaded(gateway, Snapshot { generation, trust: loaded.snapshot, ..(*current).clone() });
    withdrawn::keep(gateway);
    tracing::info!(generation = gateway.snapshot().generation, "CRLs reloaded");
    Ok(())
}

/// Logs and counts lists that were refused while older ones stay in force.
pub(in crate::gateway) fn report_alarms(gateway: &Gateway, alarms: &[Alarm], telling: Telling) {
    if !gateway.alarms.replace(alarms) && telling == Telling::Changes {
        return;
    }
    for alarm in alarms {
        let ca = alarm.ca.as_deref().unwrap_or("");
        gateway.metrics.crl_problems_total(ca, alarm.kind).inc();
        tracing::warn!(ca, file = %alarm.file, kind = alarm.kind.as_str(), "{}", alarm.message);
    }
}

/// The configuration with the state folder that is in use: what is kept in two folders would be half of it in each after
/// the next start.
fn in_the_same_folder(mut config: Config, in_use: &Config) -> Config {
    let (used, named) = (&in_use.gateway.state_folder, &config.gateway.state_folder);
    let path = |folder: &Option<Placed<PathBuf>>| folder.as_ref().map(|folder| folder.value.clone());
    if path(used) == path(named) {
        return config;
    }
    let place = named.as_ref().or(used.as_ref()).map(|folder| folder.place.to_string()).unwrap_or_default();
    match used {
        Some(used) => {
            tracing::warn!(
                place,
                in_use = %used.value.display(),
                "the state folder changes with a restart only; what is in the one in use has to be moved there before"
            );
            config.gateway.state_folder = Some(used.clone());
        }
        None => tracing::warn!(place, "the block list is kept in the state folder from the next start on"),
    }
    config
}

/// Tells which keys have changed that only a restart takes up; [`in_the_same_folder`] tells of the state folder.
fn warn_of_restart(old: &Config, new: &Config) {
    let (used, named) = (&old.gateway, &new.gateway);
    let fixed = [
        ("gateway.listen", used.listen == named.listen),
        ("gateway.admin", used.admin == named.admin),
        ("gateway.threads", used.threads == named.threads),
        ("gateway.access_log", used.access_log == named.access_log),
        ("gateway.tickets", old.tickets == new.tickets),
    ];
    let changed: Vec<_> = fixed.iter().filter(|(_, is_same)| !is_same).map(|(key, _)| *key).collect();
    if !changed.is_empty() {
        let keys = changed.join(", ");
        tracing::warn!(keys, "these keys have changed, and change with a restart only");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn changes_without_end_do_not_put_a_reload_off() {
        let (wake, causes) = std::sync::mpsc::sync_channel(16);
        let nobody_settles = &AtomicBool::new(true);
        std::thread::scope(|scope| {
            // Always one more waiting, for as long as nobody has settled, or so long that nobody will.
            scope.spawn(move || {
                let began = Instant::now();
                while nobody_settles.load(Ordering::SeqCst) && began.elapsed() < Duration::from_secs(5) {
                    let _ = wake.try_send(Cause::Files);
                }
            });
            // None when the sender gave up first.
            let found = settle(Cause::Files, &causes, Instant::now());
            nobody_settles.store(false, Ordering::SeqCst);
            assert_eq!(found, Some(Cause::Files));
        });
    }

    #[test]
    fn a_signal_among_changes_is_not_forgotten_and_a_stop_comes_first() {
        let (wake, causes) = std::sync::mpsc::channel();
        wake.send(Cause::Signal).unwrap();
        wake.send(Cause::Files).unwrap();
        assert_eq!(settle(Cause::Files, &causes, Instant::now()), Some(Cause::Signal));
        wake.send(Cause::Stop).unwrap();
        assert_eq!(settle(Cause::Signal, &causes, Instant::now()), None);
    }

    #[test]
    fn a_fetched_list_among_changes_is_not_forgotten() {
        let (wake, causes) = std::sync::mpsc::channel();
        for (first, next) in [(Cause::Files, Cause::Lists), (Cause::Lists, Cause::Files)] {
            wake.send(next).unwrap();
            wake.send(next).unwrap();
            assert_eq!(settle(first, &causes, Instant::now()), Some(Cause::FilesAndLists), "{first:?}, {next:?}");
        }
    }

    #[test]
    fn a_storm_of_changes_makes_a_burst_of_reloads_and_then_one_a_second_and_a_signal_does_not_wait() {
        let began = Instant::now();
        let mut pace = Pace::new(began);
        let mut now = began;
        for _ in 0..100 {
            now = pace.earliest(now);
            pace.spend(now);
        }
        assert_eq!(now, began + ONE_MORE_EVERY * (100 - RELOADS_IN_A_ROW));
        let hours_later = now + Duration::from_secs(7_200);
        for _ in 0..RELOADS_IN_A_ROW {
            assert_eq!(pace.earliest(hours_later), hours_later);
            pace.spend(hours_later);
        }
        assert_eq!(pace.earliest(hours_later), hours_later + ONE_MORE_EVERY);
        let (wake, causes) = std::sync::mpsc::channel();
        wake.send(Cause::Signal).unwrap();
        assert_eq!(settle(Cause::Files, &causes, Instant::now() + Duration::from_secs(3_600)), Some(Cause::Signal));
    }

    #[test]
    fn what_is_outstanding_is_tried_again_after_longer_and_longer_pauses_up_to_a_minute() {
        let (mut retry, now) = (Retry::default(), Instant::now());
        let pauses: Vec<_> = (0..70)
            .map(|_| {
                retry.note(true, now);
                assert!(!retry.is_due(now) && retry.is_due(retry.due.unwrap()));
                (retry.due.unwrap() - now).as_secs()
            })
            .collect();
        assert_eq!(pauses[..7], [1, 2, 4, 8, 16, 32, 60]);
        assert!(pauses[7..].iter().all(|pause| *pause == 60));
        retry.note(false, now);
        assert_eq!(retry.due, None);
    }
}
