//! The switch that cuts a live connection: a revoked certificate's streams end at once, whatever they were doing.

use atomic_waker::AtomicWaker;
use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// A one-way switch seen by both halves of a connection.
///
/// The reader and the writer each leave their waker here before they look at the flag, so a switch thrown at any
/// moment either is seen by the look or wakes the sleeper.
#[derive(Debug, Default)]
pub(super) struct CutSwitch {
    thrown: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
    owner: AtomicWaker,
}

impl CutSwitch {
    /// Ends the connection: every read and write from now on fails, and sleepers wake. Says whether it was the first throw.
    pub(super) fn throw(&self) -> bool {
        let first = !self.thrown.swap(true, Ordering::AcqRel);
        self.reader.wake();
        self.writer.wake();
        self.owner.wake();
        first
    }

    /// Waits until it is thrown; for the one task that owns the connection.
    pub(super) async fn thrown(&self) {
        poll_fn(|context| {
            self.owner.register(context.waker());
            if self.is_thrown() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Whether it was thrown.
    pub(super) fn is_thrown(&self) -> bool {
        self.thrown.load(Ordering::Acquire)
    }

    /// To be called in `poll_read`.
    pub(super) fn check_read(&self, context: &Context<'_>) -> io::Result<()> {
        self.reader.register(context.waker());
        self.check()
    }

    /// To be called in `poll_write`, `poll_flush` and `poll_shutdown`.
    pub(super) fn check_write(&self, context: &Context<'_>) -> io::Result<()> {
        self.writer.register(context.waker());
        self.check()
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
    use std::sync::atomic::AtomicUsize;
    use std::task::{Wake, Waker};

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
}
