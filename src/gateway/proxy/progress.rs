//! How far a request has come, which its one pipe tells and the other asks.

use super::failure::Failure;
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::sleep_until;

/// How far a request has come on its way to the upstream.
pub(super) struct Progress {
    /// When the upstream last took something.
    moved: Mutex<Instant>,
    /// All of it is with the upstream.
    whole: AtomicBool,
    /// The client is waited for, to go on with it.
    waits_for_client: AtomicBool,
    /// The client waits for the upstream before it sends the body (`Expect: 100-continue`, RFC 9110 section 10.1.1).
    expects: AtomicBool,
    /// The connection belongs to another protocol, whose time is its own.
    upgraded: AtomicBool,
    /// The upstream took no more of it: its answer may be there all the same.
    refused: Mutex<Option<Failure>>,
}

impl Progress {
    /// Of a request whose header is with the upstream, which is all of a `bodiless` one. `expects`: its client may wait for
    /// a 100 before it goes on.
    pub(super) fn new(bodiless: bool, expects: bool) -> Self {
        Self {
            moved: Mutex::new(Instant::now()),
            whole: AtomicBool::new(bodiless),
            waits_for_client: AtomicBool::default(),
            expects: AtomicBool::new(expects),
            upgraded: AtomicBool::default(),
            refused: Mutex::default(),
        }
    }

    /// The upstream took something.
    pub(super) fn moved(&self) {
        *lock(&self.moved) = Instant::now();
    }

    /// All of the request is with the upstream.
    pub(super) fn set_whole(&self) {
        self.whole.store(true, Ordering::Relaxed);
    }

    /// Returns `true` if all of the request is with the upstream.
    pub(super) fn is_whole(&self) -> bool {
        self.whole.load(Ordering::Relaxed)
    }

    /// The connection belongs to another protocol from here on.
    pub(super) fn set_upgraded(&self) {
        self.upgraded.store(true, Ordering::Relaxed);
    }

    /// The client waits no longer for a 100: it came, or the client went on without it (RFC 9110 section 10.1.1).
    pub(super) fn expects_no_more(&self) {
        self.expects.store(false, Ordering::Relaxed);
    }

    /// The upstream took no more of the request.
    pub(super) fn refuse(&self, failure: Failure) {
        *lock(&self.refused) = Some(failure);
    }

    /// Why the upstream took no more of the request.
    pub(super) fn refused(&self) -> Option<Failure> {
        lock(&self.refused).take()
    }

    /// Waits for the client's next piece.
    pub(super) async fn waiting_for_client<T>(&self, next: impl Future<Output = T>) -> T {
        self.waits_for_client.store(true, Ordering::Relaxed);
        let next = next.await;
        self.waits_for_client.store(false, Ordering::Relaxed);
        // From here on it is the upstream's turn again, which has all of its time.
        self.moved();
        self.expects_no_more();
        next
    }

    /// Returns once the upstream has neither taken nor given anything for `patience`; `gave`: when it last gave something.
    ///
    /// While the client is waited for with the rest of its request, that is not the upstream's doing, and
    /// `body_idle_timeout` decides: unless the client in turn waits for the upstream's 100.
    pub(super) async fn silence(&self, gave: Option<Instant>, patience: Duration) {
        loop {
            let moved = *lock(&self.moved);
            let since = gave.map_or(moved, |gave| gave.max(moved));
            if since.elapsed() >= patience {
                return;
            }
            sleep_until((since + patience).into()).await;
            let on_client = self.waits_for_client.load(Ordering::Relaxed) && !self.expects.load(Ordering::Relaxed);
            if on_client && !self.is_whole() {
                self.moved();
            }
        }
    }

    /// Returns when `deadline` does: the deadline of a request, which no upgraded connection has.
    pub(super) async fn overdue(&self, deadline: impl Future<Output = ()>) {
        deadline.await;
        if self.upgraded.load(Ordering::Relaxed) {
            pending().await
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
