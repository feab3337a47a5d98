//! Connections to upstreams that wait for their next request, in HTTP/1.1.
//!
//! pingora's own pool watches each connection by a task that holds it, and drops the connection when that task has not
//! quite let go as the next request comes: once in some thousand requests of the gateway, measured. Here nothing holds a
//! connection that waits. Whether it still can be used is looked at when it is taken, and once a second by one task for
//! all of them.

use pingora_core::protocols::Stream;
use pingora_core::upstreams::peer::{HttpPeer, Peer as _};
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::task::coop::unconstrained;

/// How long a connection that its peer has closed keeps its descriptor.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The connections that wait, by what their peers have in common ([`HttpPeer::reuse_hash`]).
#[derive(Clone)]
pub(super) struct Idle {
    waiting: Arc<Mutex<Waiting>>,
    max: usize,
}

#[derive(Default)]
struct Waiting {
    /// Of each peer in the order they came.
    by_peer: HashMap<u64, VecDeque<One>>,
    count: usize,
    /// Somebody looks after them.
    watched: bool,
}

struct One {
    stream: Stream,
    since: Instant,
    until: Instant,
}

impl Idle {
    /// Room for `max` connections to all peers together.
    pub(super) fn new(max: usize) -> Self {
        Self { waiting: Arc::default(), max }
    }

    /// The connection to a peer that came last: those that are not needed end by themselves.
    pub(super) fn take(&self, peer: &HttpPeer) -> Option<Stream> {
        loop {
            let mut one = self.lock().take(peer.reuse_hash())?;
            // A hash may be another peer's as well.
            if one.until > Instant::now() && one.is_usable() && peer.matches_fd(one.stream.id()) {
                return Some(one.stream);
            }
        }
    }

    /// Keeps a connection for at most `idle`, in the place of the one that waits longest where there is no room.
    pub(super) fn put(&self, peer: &HttpPeer, stream: Stream, idle: Duration) {
        let since = Instant::now();
        let Some(until) = since.checked_add(idle) else { return };
        let mut waiting = self.lock();
        let _dropped = if waiting.count < self.max { None } else { waiting.take_longest() };
        waiting.count += 1;
        waiting.by_peer.entry(peer.reuse_hash()).or_default().push_back(One { stream, since, until });
        if !std::mem::replace(&mut waiting.watched, true) {
            tokio::spawn(watch(Arc::downgrade(&self.waiting)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }
}

impl Waiting {
    /// The one of a peer that came last.
    fn take(&mut self, key: u64) -> Option<One> {
        self.take_by(key, VecDeque::pop_back)
    }

    /// The one that waits longest, of all peers.
    fn take_longest(&mut self) -> Option<One> {
        let longest = self.by_peer.iter().filter_map(|(key, of_peer)| Some((of_peer.front()?.since, *key))).min()?;
        self.take_by(longest.1, VecDeque::pop_front)
    }

    fn take_by(&mut self, key: u64, take: impl FnOnce(&mut VecDeque<One>) -> Option<One>) -> Option<One> {
        let of_peer = self.by_peer.get_mut(&key)?;
        let one = take(of_peer);
        if of_peer.is_empty() {
            self.by_peer.remove(&key);
        }
        self.count -= usize::from(one.is_some());
        one
    }

    /// Those that are of no use any more.
    fn take_ended(&mut self) -> VecDeque<One> {
        let now = Instant::now();
        let mut ended = VecDeque::new();
        for of_peer in self.by_peer.values_mut() {
            // Once around, which leaves the others in their order.
            for _ in 0..of_peer.len() {
                let Some(mut one) = of_peer.pop_front() else { break };
                let kept = if one.until > now && one.is_usable() { &mut *of_peer } else { &mut ended };
                kept.push_back(one);
            }
        }
        self.by_peer.retain(|_, of_peer| !of_peer.is_empty());
        self.count -= ended.len();
        ended
    }
}

impl One {
    /// Whether its peer neither has closed it nor has sent anything: what comes unasked would be the next request's answer.
    fn is_usable(&mut self) -> bool {
        let mut room = [0; 1];
        let mut buffer = ReadBuf::new(&mut room);
        let read = poll_fn(|cx| Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
        let mut read = std::pin::pin!(unconstrained(read));
        matches!(read.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending)
    }
}

/// Closes what has ended, for as long as there is something.
async fn watch(waiting: Weak<Mutex<Waiting>>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(waiting) = waiting.upgrade() else { return };
        // Closed when the lock is free again.
        let _ended = {
            let mut waiting = lock(&waiting);
            let ended = waiting.take_ended();
            if waiting.count == 0 {
                waiting.watched = false;
                return;
            }
            ended
        };
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "idle_tests.rs"]
mod tests;
