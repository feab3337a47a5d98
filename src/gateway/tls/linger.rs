//! Reading on after our side of a connection has ended.

use crate::gateway::tls::tcp::BufferedTcp;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How long a peer may say nothing before it counts as gone.
const QUIET: Duration = Duration::from_secs(2);

/// Reads and forgets what a peer goes on sending, until it ends its side too, is quiet, or has had its time.
///
/// A client that is answered before its request is whole goes on sending, and one that got an alert may have sent its
/// first request before. Were the socket closed with that unread, the kernel would answer with a reset, and the reset
/// destroys the answer on its way (RFC 9112 section 9.6).
pub(in crate::gateway) struct Linger {
    end: Instant,
    octets: usize,
    timer: Pin<Box<Sleep>>,
}

impl Linger {
    /// To be begun once our side has ended; reads for `longest` and `octets` at most.
    pub(in crate::gateway) fn new(longest: Duration, octets: usize) -> Self {
        Self { end: Instant::now() + longest, octets, timer: Box::pin(sleep(QUIET.min(longest))) }
    }

    /// Ready when the socket may be closed.
    pub(in crate::gateway) fn poll(&mut self, tcp: &mut BufferedTcp, cx: &mut Context<'_>) -> Poll<()> {
        let mut discarded = [const { MaybeUninit::uninit() }; 16 * 1024];
        while self.timer.as_mut().poll(cx).is_pending() {
            let mut discarded = ReadBuf::uninit(&mut discarded);
            let read = ready!(Pin::new(&mut *tcp).poll_read(cx, &mut discarded));
            let octets = discarded.filled().len();
            if read.is_err() || octets == 0 || octets > self.octets {
                break;
            }
            self.octets -= octets;
            self.timer.as_mut().reset(self.end.min(Instant::now() + QUIET));
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::{TcpListener, TcpStream};

    async fn pair() -> (BufferedTcp, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let theirs = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (BufferedTcp::new(listener.accept().await.unwrap().0), theirs)
    }

    /// Lingers for a peer that never stops sending; whether that had its end.
    async fn beside_a_flood(mut linger: Linger) {
        let (mut ours, mut theirs) = pair().await;
        let flood = async { while theirs.write_all(&[0; 64 * 1024]).await.is_ok() {} };
        tokio::select! {
            () = poll_fn(|cx| linger.poll(&mut ours, cx)) => {}
            () = flood => panic!("it was refused while it was lingered for"),
        }
    }

    #[tokio::test]
    async fn a_peer_that_never_stops_sending_has_its_time() {
        beside_a_flood(Linger::new(Duration::from_millis(50), usize::MAX)).await;
    }

    #[tokio::test]
    async fn a_peer_that_never_stops_sending_has_its_octets() {
        beside_a_flood(Linger::new(Duration::from_secs(3600), 1 << 20)).await;
    }

    #[tokio::test]
    async fn a_peer_that_says_nothing_is_gone_after_a_while() {
        let (mut ours, _theirs) = pair().await;
        let mut linger = Linger::new(Duration::from_secs(3600), usize::MAX);
        poll_fn(|cx| linger.poll(&mut ours, cx)).await;
    }

    #[tokio::test]
    async fn a_peer_that_ends_its_side_is_waited_for_no_longer() {
        let (mut ours, mut theirs) = pair().await;
        theirs.write_all(b"the rest").await.unwrap();
        theirs.shutdown().await.unwrap();
        let mut linger = Linger { end: Instant::now(), octets: 8, timer: Box::pin(sleep(Duration::from_secs(3600))) };
        poll_fn(|cx| linger.poll(&mut ours, cx)).await;
        assert_eq!(linger.octets, 0, "it was read to its end");
    }
}
