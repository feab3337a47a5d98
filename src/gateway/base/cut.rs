//! The switch that cuts a live connection: a revoked certificate's streams end at once, whatever they were doing, but
//! for answers that a route lets finish.

use atomic_waker::AtomicWaker;
use std::future::poll_fn;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Bytes that a connection may still write once its own certificate is revoked: a certificate with its chain and key is
/// some 10 KiB, a screen some 100. What is longer is no answer to one's own revocation.
const MAX_FINISH_BYTES: usize = 1 << 20;

const OPEN: u8 = 0;
const FINISHING: u8 = 1;
const THROWN: u8 = 2;

/// A one-way switch seen by both halves of a connection: open, finishing, thrown.
///
/// The reader and the writer each leave their waker here before they look at the state, so a switch thrown at any
/// moment either is seen by the look or wakes the sleeper.
#[derive(Debug, Default)]
pub(in crate::gateway) struct CutSwitch {
    state: AtomicU8,
    /// When a finishing connection is thrown at the latest.
    deadline: OnceLock<Instant>,
    /// Bytes written since the connection is finishing.
    written: AtomicUsize,
    /// A finishing connection took more than it had.
    exceeded: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
    owner: AtomicWaker,
    requests: Notify,
}

impl CutSwitch {
    /// Ends the connection: every read and write from now on fails, and sleepers wake. Says whether it was the first throw.
    pub(in crate::gateway) fn throw(&self) -> bool {
        let first = self.state.swap(THROWN, Ordering::AcqRel) != THROWN;
        self.reader.wake();
        self.writer.wake();
        self.owner.wake();
        self.requests.notify_waiters();
        first
    }

    /// Lets what was sent to an upstream as a whole be answered until then; says whether this began it. Whoever may not
    /// finish is to end at once ([`Self::closing`]), and nothing more goes to an upstream.
    pub(in crate::gateway) fn finish_until(&self, deadline: Instant) -> bool {
        let _ = self.deadline.set(deadline);
        let began = self.state.compare_exchange(OPEN, FINISHING, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if began {
            self.owner.wake();
            self.requests.notify_waiters();
        }
        began
    }

    /// Waits until it is thrown, or until it is to be thrown because a finishing connection has had its time: true then.
    /// For the one task that owns the connection.
    pub(in crate::gateway) async fn over(&self) -> bool {
        let closing = poll_fn(|context| {
            self.owner.register(context.waker());
            if self.is_open() { Poll::Pending } else { Poll::Ready(()) }
        });
        closing.await;
        let thrown = poll_fn(|context| {
            self.owner.register(context.waker());
            if self.is_thrown() { Poll::Ready(()) } else { Poll::Pending }
        });
        match self.deadline.get() {
            Some(deadline) if !self.is_thrown() => tokio::time::timeout_at(*deadline, thrown).await.is_err(),
            _ => false,
        }
    }

    /// Waits until it is not open any more; for any number of requests.
    pub(in crate::gateway) async fn closing(&self) {
        self.wait(|| !self.is_open()).await;
    }

    /// Waits until it is thrown; for any number of requests.
    pub(in crate::gateway) async fn thrown(&self) {
        self.wait(|| self.is_thrown()).await;
    }

    async fn wait(&self, reached: impl Fn() -> bool) {
        loop {
            let mut notified = std::pin::pin!(self.requests.notified());
            // Enabled before the look: no change between the two is missed.
            notified.as_mut().enable();
            if reached() {
                return;
            }
            notified.await;
        }
    }

    /// Whether anything may still be sent to an upstream.
    pub(in crate::gateway) fn is_open(&self) -> bool {
        self.state.load(Ordering::Acquire) == OPEN
    }

    /// Whether it was thrown.
    fn is_thrown(&self) -> bool {
        self.state.load(Ordering::Acquire) == THROWN
    }

    /// To be called in `poll_read`.
    pub(in crate::gateway) fn check_read(&self, context: &Context<'_>) -> io::Result<()> {
        self.reader.register(context.waker());
        self.check()
    }

    /// To be called in `poll_write`, `poll_flush` and `poll_shutdown`.
    pub(in crate::gateway) fn check_write(&self, context: &Context<'_>) -> io::Result<()> {
        self.writer.register(context.waker());
        self.check()
    }

    /// To be called with what was written: a finishing connection is thrown when that is too much.
    pub(in crate::gateway) fn has_written(&self, bytes: usize) {
        if self.state.load(Ordering::Acquire) == FINISHING {
            let before = self.written.fetch_add(bytes, Ordering::AcqRel);
            if before.saturating_add(bytes) > MAX_FINISH_BYTES {
                self.exceed();
            }
        }
    }

    /// Throws it because a finishing connection had its time or bytes, and not all its answers were at their end.
    pub(in crate::gateway) fn exceed(&self) {
        self.exceeded.store(true, Ordering::Release);
        self.throw();
    }

    /// Whether a finishing connection was thrown for its time or bytes.
    pub(in crate::gateway) fn is_exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Acquire)
    }

    fn check(&self) -> io::Result<()> {
        if self.is_thrown() {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the gateway cut this connection"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::task::{Wake, Waker};
    use std::time::Duration;

    #[derive(Default)]
    struct Wakes(AtomicUsize);
    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_sleeping_reader_and_writer_are_woken_and_fail() {
        let (reads, writes) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
        let (reader, writer) = (Waker::from(reads.clone()), Waker::from(writes.clone()));
        let switch = CutSwitch::default();
        assert!(switch.check_read(&Context::from_waker(&reader)).is_ok());
        assert!(switch.check_write(&Context::from_waker(&writer)).is_ok());
        assert!(switch.throw());
        assert_eq!((reads.0.load(Ordering::SeqCst), writes.0.load(Ordering::SeqCst)), (1, 1));
        let error = switch.check_read(&Context::from_waker(&reader)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        assert!(switch.check_write(&Context::from_waker(&writer)).is_err());
        assert!(!switch.throw(), "only the first throw counts");
    }

    #[tokio::test(start_paused = true)]
    async fn a_finishing_connection_has_its_time_and_no_more() {
        let (switch, context) = (CutSwitch::default(), Context::from_waker(Waker::noop()));
        assert!(switch.finish_until(Instant::now() + Duration::from_secs(2)));
        assert!(!switch.finish_until(Instant::now() + Duration::from_secs(60)), "no second time");
        assert!(!switch.is_open() && switch.check_write(&context).is_ok());
        let began = Instant::now();
        assert!(switch.over().await, "it was not thrown before");
        assert_eq!(began.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_finishing_connection_that_is_thrown_does_not_wait_for_its_time() {
        let switch = CutSwitch::default();
        switch.finish_until(Instant::now() + Duration::from_secs(2));
        let (thrown, late) = tokio::join!(async { switch.throw() }, switch.over());
        assert!(thrown && !late);
        assert!(!switch.finish_until(Instant::now() + Duration::from_secs(2)), "what was thrown does not finish");
        assert!(switch.check_write(&Context::from_waker(Waker::noop())).is_err());
    }

    #[test]
    fn a_finishing_connection_has_its_bytes_and_no_more() {
        let (switch, context) = (CutSwitch::default(), Context::from_waker(Waker::noop()));
        switch.has_written(MAX_FINISH_BYTES * 2);
        assert!(switch.check_write(&context).is_ok(), "an open connection has no such bound");
        switch.finish_until(Instant::now() + Duration::from_secs(2));
        switch.has_written(MAX_FINISH_BYTES);
        assert!(switch.check_write(&context).is_ok() && !switch.is_exceeded());
        switch.has_written(1);
        assert!(switch.check_write(&context).is_err() && switch.is_exceeded());
    }
}
