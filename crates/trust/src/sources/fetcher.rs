//! All targets together: begun and ended with the configuration, and asked for from outside.

use super::book::PointBook;
use super::kept::KeptLists;
use super::life::{Host, Progress, Tools, live};
use super::report::SourceStatus;
use super::target::{self, Kind, PointError, Target};
use sekisho_config::{Ca, Config, ConfigError};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Distribution points known of a CA: its issuer would have to cut its list into more parts than that.
const MAX_POINTS: usize = 256;

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

/// One target's task, seen from outside.
struct Running {
    progress: Arc<Progress>,
    task: AbortHandle,
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
        // Read before the lock is taken, which requests wait for too.
        let mut wanted: Vec<Target> = Vec::new();
        for ca in &config.cas {
            wanted.extend(target::configured(ca));
            wanted.extend(kept.points(ca));
        }
        let mut state = self.shared.lock();
        let is_same = |tools: &&Arc<Tools>| tools.settings == config.fetch && tools.kept == *kept;
        let tools = match state.tools.as_ref().filter(is_same) {
            Some(tools) => Arc::clone(tools),
            None => Arc::new(Tools::new(config.fetch.clone(), kept.clone(), Arc::clone(host), runtime.clone())?),
        };
        let is_new = !state.tools.as_ref().is_some_and(|before| Arc::ptr_eq(before, &tools));
        for ca in &config.cas {
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
            state.running.entry(target).or_insert_with_key(|target| self.start(&tools, target.clone()));
        }
        state.tools = Some(tools);
        Ok(())
    }

    /// Stops fetching: nothing is configured to be.
    pub fn stop(&self) {
        let stopped = std::mem::take(&mut *self.shared.lock());
        for (target, running) in stopped.running {
            running.task.abort();
            self.shared.book.forget(&target.ca, &target.url);
        }
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
        let tools = state.tools.clone().ok_or(PointError::NotAllowed)?;
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
        let progress = Arc::new(Progress::new(status));
        let (shared, tools, told) = (Arc::downgrade(&self.shared), Arc::clone(tools), Arc::clone(&progress));
        let runtime = tools.runtime.clone();
        let life = async move {
            live(tools, Arc::clone(&target), told).await;
            if let Some(shared) = shared.upgrade() {
                shared.lock().running.remove(&target);
                shared.book.forget(&target.ca, &target.url);
            }
        };
        Running { task: runtime.spawn(life).abort_handle(), progress }
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.status()).finish()
    }
}
