//! The CRLs in force are kept in the state folder, beside whatever else the gateway does: to write a CRL of a million and
//! to wait for the disk takes longer than the next CRL may wait.

use super::site::Snapshot;
use crate::config::Config;
use crate::trust::{self, InForceNames, LastInForce};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

/// How long a stop waits for the disk: for some CRLs of a million. A disk that hangs must not keep the process.
const WRITING: Duration = Duration::from_secs(10);

/// Where they are kept, if there is a state folder.
pub(super) fn at(config: &Config) -> Option<LastInForce> {
    config.gateway.state_folder.as_ref().map(LastInForce::at)
}

/// Who keeps them.
#[derive(Clone, Debug, Default)]
pub(super) struct KeptInForce(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    idle: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What the disk has.
    on_disk: Option<InForceNames>,
    /// What it is to have.
    next: Option<Arc<Snapshot>>,
    is_writing: bool,
}

impl KeptInForce {
    /// Has what a snapshot has in force written, if that is not what the disk has, and does not wait. Only the last of
    /// several counts. What the snapshot's CRLs withdrew must be on the disk before: the CRLs that had it go.
    pub(super) fn keep(&self, snapshot: Arc<Snapshot>) {
        if snapshot.config.gateway.state_folder.is_none() {
            return;
        }
        let mut state = self.0.lock();
        let is_kept = state.on_disk.as_ref().is_some_and(|names| *names == InForceNames::of(&snapshot.trust));
        if is_kept && !state.is_writing {
            return;
        }
        state.next = Some(snapshot);
        if state.is_writing {
            return;
        }
        state.is_writing = true;
        let writer = self.clone();
        drop(state);
        if let Err(error) = Builder::new().name("crl-keeper".into()).spawn(move || writer.write()) {
            self.0.lock().is_writing = false;
            tracing::error!(%error, "the CRLs in force cannot be kept before the next load");
        }
    }

    /// Waits until what is to be written is.
    pub(super) fn settle(&self) {
        let writing = |state: &mut State| state.is_writing;
        let waited = self.0.idle.wait_timeout_while(self.0.lock(), WRITING, writing);
        if waited.unwrap_or_else(PoisonError::into_inner).1.timed_out() {
            tracing::error!("the disk takes too long to keep the CRLs in force: the next start knows older ones");
        }
    }

    fn write(&self) {
        while let Some(snapshot) = self.next() {
            let Some(last) = at(&snapshot.config) else { continue };
            let kept = catch_unwind(AssertUnwindSafe(|| trust::yielding(|| last.keep(&snapshot.trust))));
            let kept = kept.unwrap_or_else(|_| Err("it panicked".to_owned()));
            if let Err(error) = &kept {
                let folder = last.folder().display();
                tracing::error!(error, %folder, "CRLs in force cannot be kept: a start would believe older ones");
            }
            self.0.lock().on_disk = kept.ok().map(|()| InForceNames::of(&snapshot.trust));
        }
    }

    /// What to write next; with nothing left, the writer is done.
    fn next(&self) -> Option<Arc<Snapshot>> {
        let mut state = self.0.lock();
        let next = state.next.take();
        if next.is_none() {
            state.is_writing = false;
            self.0.idle.notify_all();
        }
        next
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
