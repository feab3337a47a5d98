//! The CRLs in force are kept in the state folder, beside whatever else the gateway does: to write a CRL of a million and
//! to wait for the disk takes longer than the next CRL may wait.

use crate::gateway::snapshot::site::Snapshot;
use sekisho_config::Config;
use sekisho_trust::{self as trust, InForceNames, Keeping, LastInForce, TrustSnapshot};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

/// How long a stop waits for the disk: for some CRLs of a million. A disk that hangs must not keep the process.
const WRITING: Duration = Duration::from_secs(10);

/// How long after one that failed the next try begins: somebody has to make room, and looks whether it helped.
const RETRY: Duration = Duration::from_secs(5);

/// Where they are kept, if there is a state folder.
pub(in crate::gateway) fn at(config: &Config) -> Option<LastInForce> {
    config.gateway.state_folder.as_ref().map(LastInForce::at)
}

/// Who keeps them.
#[derive(Clone, Debug, Default)]
pub(in crate::gateway) struct KeptInForce(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// There is nothing to write, or what failed waits for its next try.
    idle: Condvar,
    /// There is something to write.
    work: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What the disk has.
    on_disk: Option<InForceNames>,
    /// What it is to have.
    next: Option<Arc<Snapshot>>,
    is_writing: bool,
    has_writer: bool,
    /// What the last try came to.
    keeping: Keeping,
}

impl KeptInForce {
    /// Has what a snapshot with a state folder has in force written, if that is not what the disk has, and does not wait. Only the last of
    /// several counts. What the snapshot's CRLs withdrew must be on the disk before: the CRLs that had it go.
    pub(in crate::gateway) fn keep(&self, snapshot: Arc<Snapshot>) {
        let mut state = self.0.lock();
        if state.has(&snapshot.trust) {
            return;
        }
        state.next = Some(snapshot);
        state.is_writing = true;
        if state.has_writer {
            self.0.work.notify_all();
            return;
        }
        state.has_writer = true;
        let writer = self.clone();
        drop(state);
        if let Err(error) = Builder::new().name("crl-keeper".into()).spawn(move || writer.write()) {
            let mut state = self.0.lock();
            (state.is_writing, state.has_writer) = (false, false);
            tracing::error!(%error, "cannot store the CRLs in force before the next load");
        }
    }

    /// Shows that what a snapshot has in force is not kept yet: what it withdrew cannot be, which must be on the disk before.
    pub(in crate::gateway) fn put_off(&self, trust: &TrustSnapshot) {
        self.0.lock().keeping.not_kept = InForceNames::of(trust).len();
    }

    /// Whether the disk has the CRLs that are in force.
    pub(in crate::gateway) fn has(&self, trust: &TrustSnapshot) -> bool {
        self.0.lock().has(trust)
    }

    /// CRLs in force that the disk has not, by the last try.
    pub(in crate::gateway) fn not_kept(&self) -> usize {
        self.0.lock().keeping.not_kept
    }

    /// Waits until what is to be written is.
    pub(in crate::gateway) fn settle(&self) {
        let writing = |state: &mut State| state.is_writing;
        let waited = self.0.idle.wait_timeout_while(self.0.lock(), WRITING, writing);
        if waited.unwrap_or_else(PoisonError::into_inner).1.timed_out() {
            tracing::error!("disk too slow to store the CRLs in force: the next start knows older ones");
        }
    }

    fn write(&self) {
        let mut failed = None;
        while let Some(snapshot) = self.next(failed.take()) {
            let Some(last) = at(&snapshot.config) else { continue };
            let keeping = catch_unwind(AssertUnwindSafe(|| trust::yielding(|| last.keep(&snapshot.trust))));
            let keeping = keeping.unwrap_or_else(|_| panicked(&snapshot.trust));
            if !keeping.failed.is_empty() {
                failed = Some(Arc::clone(&snapshot));
            }
            let mut state = self.0.lock();
            state.on_disk = keeping.is_whole().then(|| InForceNames::of(&snapshot.trust));
            let before = std::mem::replace(&mut state.keeping, keeping.clone());
            drop(state);
            tell(&keeping, &before, &last);
        }
    }

    /// What to write next, which may be what failed; with nothing left, the writer is done.
    fn next(&self, failed: Option<Arc<Snapshot>>) -> Option<Arc<Snapshot>> {
        let mut state = self.0.lock();
        if failed.is_some() && state.next.is_none() {
            state.is_writing = false;
            self.0.idle.notify_all();
            let waited = self.0.work.wait_timeout_while(state, RETRY, |state| state.next.is_none());
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let next = state.next.take().or(failed);
        state.is_writing = next.is_some();
        if next.is_none() {
            state.has_writer = false;
            self.0.idle.notify_all();
        }
        next
    }
}

impl State {
    /// Whether the disk has the CRLs that are in force.
    fn has(&self, trust: &TrustSnapshot) -> bool {
        !self.is_writing && self.on_disk.as_ref().is_some_and(|names| *names == InForceNames::of(trust))
    }
}

fn panicked(trust: &TrustSnapshot) -> Keeping {
    let not_kept = InForceNames::of(trust).len();
    Keeping { failed: vec!["it panicked".to_owned()], not_kept, ..Keeping::default() }
}

/// Logs what cannot be kept, once as long as it stays so.
fn tell(keeping: &Keeping, before: &Keeping, last: &LastInForce) {
    let folder = last.folder().display();
    let what = "cannot store CRLs in force: after a restart, older ones would be accepted";
    for error in keeping.failed.iter().filter(|error| !before.failed.contains(error)) {
        tracing::error!(error, %folder, "{what}; retrying");
    }
    for error in keeping.lost.difference(&before.lost) {
        tracing::warn!(error, %folder, "{what}; restore the CRL in its source, or publish the next one");
    }
    if keeping.is_whole() && !before.is_whole() {
        tracing::info!(%folder, "the CRLs in force are stored again");
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
