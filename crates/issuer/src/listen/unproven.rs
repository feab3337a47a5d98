//! TLS connections whose client is not known yet: a part of the places and a short time. When all are taken the oldest
//! connection of the network that has most of them is closed, so that an honest client always gets in and a host that
//! opens many connections closes its own.

use super::places::network;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Between two warnings that connections are closed for want of places.
const WARNING_PAUSE: Duration = Duration::from_secs(60);

/// Connections of unknown clients, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Unproven(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<(IpAddr, Arc<Notify>)>,
    warned: Option<Instant>,
}

/// One of them; it leaves when this is dropped.
#[derive(Debug)]
pub(super) struct Waiting {
    evicted: Arc<Notify>,
    of: Unproven,
}

/// Tells a connection that a request on it said who its client is.
#[derive(Clone, Debug, Default)]
pub struct Proof(Arc<Notify>);

impl Proof {
    /// The client of this connection is known.
    pub fn given(&self) {
        self.0.notify_one();
    }

    /// Returns once it is.
    pub(super) async fn wait(&self) {
        self.0.notified().await;
    }
}

impl Unproven {
    /// Takes a connection in, of `most` at a time.
    pub(super) fn enter(&self, address: IpAddr, most: usize) -> Waiting {
        let evicted = Arc::new(Notify::new());
        let mut queue = self.lock();
        while queue.waiting.len() >= most.max(1) {
            queue.evict();
        }
        queue.waiting.push_back((network(address), Arc::clone(&evicted)));
        drop(queue);
        Waiting { evicted, of: self.clone() }
    }

    /// Nothing panics while it is held, so what is in it is whole.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn evict(&mut self) {
        let mut shares: HashMap<IpAddr, usize> = HashMap::new();
        for (network, _) in &self.waiting {
            *shares.entry(*network).or_default() += 1;
        }
        let most = shares.values().max().copied().unwrap_or_default();
        // The oldest of a network that has as many as any.
        let oldest = self.waiting.iter().position(|(network, _)| shares.get(network) == Some(&most));
        let Some((network, evicted)) = oldest.and_then(|index| self.waiting.remove(index)) else { return };
        evicted.notify_one();
        let now = Instant::now();
        if self.warned.is_none_or(|warned| now.saturating_duration_since(warned) >= WARNING_PAUSE) {
            self.warned = Some(now);
            tracing::warn!(%network, connections = most, "too many connections of unknown clients; the oldest are closed");
        }
    }
}

impl Waiting {
    /// Returns once the connection has to make room.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.of.lock().waiting.retain(|(_, evicted)| !Arc::ptr_eq(evicted, &self.evicted));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    fn is_evicted(waiting: &Waiting) -> bool {
        waiting.evicted().now_or_never().is_some()
    }

    #[test]
    fn the_oldest_connection_of_the_network_with_most_makes_room() {
        let unproven = Unproven::default();
        let (one, many): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let honest = unproven.enter(one, 3);
        let first = unproven.enter(many, 3);
        let second = unproven.enter(many, 3);
        let third = unproven.enter(many, 3);
        assert!(is_evicted(&first) && ![&honest, &second, &third].into_iter().any(is_evicted));
        // A place that was left is free.
        drop((first, second));
        let fourth = unproven.enter(one, 3);
        assert!(![&honest, &third, &fourth].into_iter().any(is_evicted));
    }
}
