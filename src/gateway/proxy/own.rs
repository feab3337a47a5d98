//! Upstream connections that belong to one client's connection (`share_connections = false`), and end with it.

use super::peer::Upstreams;
use pingora_core::upstreams::peer::{HttpPeer, Peer as _};
use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;

/// Those of one client. They are kept beside all others, under a key that only this client's requests look under;
/// dropping this closes those that are idle. Whoever has a request under way holds what holds this.
pub(super) struct OwnConnections {
    upstreams: Arc<Upstreams>,
    /// By the key they are kept under.
    peers: Mutex<HashMap<u64, Opened>>,
}

/// What was opened to one peer.
struct Opened {
    peer: HttpPeer,
    http2: bool,
    /// How many, those that have ended among them: no more than these can be idle.
    count: usize,
}

impl OwnConnections {
    pub(super) fn of(upstreams: Arc<Upstreams>) -> Self {
        Self { upstreams, peers: Mutex::default() }
    }

    /// Takes note of a connection that was opened.
    pub(super) fn opened(&self, peer: &HttpPeer, http2: bool) {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = peers.entry(peer.reuse_hash()).or_insert_with(|| Opened { peer: peer.clone(), http2, count: 0 });
        opened.count += 1;
    }
}

impl Drop for OwnConnections {
    fn drop(&mut self) {
        let peers = mem::take(self.peers.get_mut().unwrap_or_else(PoisonError::into_inner));
        // Without a runtime the process ends, and they with it.
        let Some(runtime) = Handle::try_current().ok().filter(|_| !peers.is_empty()) else { return };
        let upstreams = self.upstreams.clone();
        runtime.spawn(async move {
            for opened in peers.into_values() {
                for _ in 0..opened.count {
                    // Taken, and dropped. One that is found to have ended is none, and says nothing of the next.
                    drop(upstreams.kept(&opened.peer, opened.http2).await);
                }
            }
        });
    }
}

impl fmt::Debug for OwnConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnConnections").finish_non_exhaustive()
    }
}
