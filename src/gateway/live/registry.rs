//! All live connections, so that a new snapshot reaches each of them.

use crate::gateway::live::connection::{Connection, Cut};
use crate::gateway::snapshot::site::Snapshot;
use sekisho_pki::time::Timestamp;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Independent locks, so that accepting threads seldom meet.
const SHARDS: u64 = 16;

/// The live connections by number.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Registry {
    next: AtomicU64,
    shards: [Mutex<HashMap<u64, Arc<Connection>>>; SHARDS as usize],
}

impl Registry {
    /// A number for a new connection; never used twice.
    pub(in crate::gateway) fn next_id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Keeps a connection until the guard is dropped.
    pub(in crate::gateway) fn keep(self: &Arc<Self>, connection: &Arc<Connection>) -> Kept {
        self.shard(connection.id).insert(connection.id, connection.clone());
        Kept { registry: self.clone(), id: connection.id }
    }

    /// Judges every connection by a snapshot that is already in force, and gives those that were cut, with the reason.
    pub(in crate::gateway) fn enforce(&self, snapshot: &Snapshot, now: Timestamp) -> Vec<(Arc<Connection>, Cut)> {
        let mut cut = Vec::new();
        self.for_each(|connection| {
            if let Some(what) = connection.enforce(snapshot, now) {
                cut.push((connection.clone(), what));
            }
        });
        cut
    }

    /// Visits every connection. No shard is locked meanwhile: a change of the CAs verifies whole chains anew, and new
    /// connections are not to wait for that.
    pub(in crate::gateway) fn for_each(&self, mut visit: impl FnMut(&Arc<Connection>)) {
        for id in 0..SHARDS {
            let connections: Vec<_> = self.shard(id).values().cloned().collect();
            connections.iter().for_each(&mut visit);
        }
    }

    /// How many there are.
    pub(in crate::gateway) fn len(&self) -> usize {
        (0..SHARDS).map(|id| self.shard(id).len()).sum()
    }

    fn shard(&self, id: u64) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        // SHARDS is 16.
        let index = usize::try_from(id % SHARDS).unwrap_or(0);
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the registry.
#[derive(Debug)]
pub(in crate::gateway) struct Kept {
    registry: Arc<Registry>,
    id: u64,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.registry.shard(self.id).remove(&self.id);
    }
}
