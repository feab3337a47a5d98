//! Putting a snapshot in force, and carrying it to every live connection (requirement R5).
//!
//! Two kinds of things publish: a reload, which may take half a second over a list of a million, and what is live
//! (the feed, the block list, OCSP answers), which must not wait for that. So nothing long is done under the lock, and
//! a reload takes over what became live while it was reading.

use crate::gateway::Gateway;
use crate::gateway::live::records::CutRecord;
use crate::gateway::snapshot::site::Snapshot;
use sekisho_runtime::clock;
use sekisho_trust::Live;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// One publication at a time, so that none is lost.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Publishing(Mutex<()>);

/// How far loads of files have come: for whoever waits until something that lies in a file is in force.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Loads {
    begun: AtomicU64,
    /// The load that reads the latest list anybody waits for.
    wanted: AtomicU64,
    finished: watch::Sender<u64>,
}

impl Loads {
    /// A load begins to read: gives its number.
    pub(in crate::gateway) fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// What a load read is in force, or was refused.
    pub(in crate::gateway) fn finish(&self, number: u64) {
        self.finished.send_replace(number);
    }

    /// A file has changed; the next load that begins reads it.
    pub(in crate::gateway) fn want(&self) {
        self.wanted.fetch_max(self.begun.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
    }

    /// Waits until everything that was wanted before is in force.
    pub(in crate::gateway) async fn settled(&self) {
        let wanted = self.wanted.load(Ordering::SeqCst);
        // The sender is ours, so that there is no error.
        let _ = self.finished.subscribe().wait_for(|finished| *finished >= wanted).await;
    }
}

/// Puts in force what a reload compiled.
pub(in crate::gateway) fn reloaded(gateway: &Gateway, compiled: Snapshot) {
    in_force(gateway, |current| Snapshot { trust: Arc::new(compiled.trust.taking_over(&current.trust)), ..compiled });
    gateway.feed.reloaded();
}

/// Changes what is live beside the lists; connections whose right is gone are cut before this returns, which says how
/// many.
pub(in crate::gateway) fn change_live(gateway: &Gateway, change: impl FnOnce(&mut Live)) -> usize {
    in_force(gateway, |current| with_live(current, change))
}

/// Changes what is live in a way that can only let more clients in, so that no connection is looked at.
pub(in crate::gateway) fn freshen_live(gateway: &Gateway, change: impl FnOnce(&mut Live)) {
    store(gateway, |current| with_live(current, change));
}

fn with_live(current: &Snapshot, change: impl FnOnce(&mut Live)) -> Snapshot {
    let mut live = current.trust.live().clone();
    change(&mut live);
    Snapshot { trust: Arc::new(current.trust.with_live(live)), ..current.clone() }
}

fn store(gateway: &Gateway, make: impl FnOnce(&Snapshot) -> Snapshot) -> Arc<Snapshot> {
    let _one_at_a_time = gateway.publishing.0.lock().unwrap_or_else(PoisonError::into_inner);
    let snapshot = Arc::new(make(&gateway.snapshot()));
    gateway.snapshot.store(Arc::clone(&snapshot));
    snapshot
}

fn in_force(gateway: &Gateway, make: impl FnOnce(&Snapshot) -> Snapshot) -> usize {
    let snapshot = store(gateway, make);
    enforce(gateway, &snapshot)
}

/// Cuts what the snapshot in force no longer allows, and says how many connections that were.
pub(in crate::gateway) fn enforce(gateway: &Gateway, snapshot: &Snapshot) -> usize {
    let now = clock::now();
    let cut = gateway.registry.enforce(snapshot, now);
    for (connection, cut) in &cut {
        gateway.metrics.cut_connections_total(cut.refusal.reason).inc();
        gateway.records.write(&CutRecord::new(connection, cut, now));
    }
    cut.len()
}
