//! Upstream connections of requests that ask for an upgrade (WebSocket).
//!
//! pingora-proxy 0.9.1 (`proxy_h1.rs`, `proxy_handle_upstream`) races the upstream's 101 against its own note that the
//! request has no body. When the 101 is read first, it takes the note for the end of the upgraded stream and closes the
//! tunnel: about one WebSocket in twelve on a busy machine. The note is queued before pingora first reads from the upstream, so
//! a transport whose first read after a write yields once lets the note be taken first.

use async_trait::async_trait;
use pingora_core::connectors::l4::Connect;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora_core::{Error, ErrorType, OrErr, Result};
use std::fmt::Debug;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, Sleep};

/// Connects for one upgrade request.
#[derive(Debug)]
pub(super) struct UpgradeConnector {
    pub(super) connect_timeout: Duration,
    /// How long a read may wait until the upgrade is answered with 101; afterwards messages may be far apart.
    pub(super) read_timeout: Duration,
    pub(super) answer: Arc<UpgradeAnswer>,
}

/// Whether the upstream has agreed to the upgrade, told by whoever reads its answer.
#[derive(Debug, Default)]
pub(super) struct UpgradeAnswer(AtomicBool);

impl UpgradeAnswer {
    /// The upstream has answered 101.
    pub(super) fn agreed(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_awaited(&self) -> bool {
        !self.0.load(Ordering::Acquire)
    }
}

#[async_trait]
impl Connect for UpgradeConnector {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let connected = tokio::time::timeout(self.connect_timeout, self.open(address)).await;
        let socket = connected
            .map_err(|_| Error::explain(ErrorType::ConnectTimedout, address.to_string()))?
            .or_err_with(ErrorType::ConnectError, || address.to_string())?;
        Ok(VirtualSocketStream::new(socket).into())
    }
}

impl UpgradeConnector {
    async fn open(&self, address: &SocketAddr) -> io::Result<Box<dyn VirtualSocket>> {
        match address {
            SocketAddr::Inet(address) => {
                let tcp = TcpStream::connect(address).await?;
                tcp.set_nodelay(true)?;
                Ok(Box::new(self.socket(tcp)))
            }
            SocketAddr::Unix(address) => {
                let path = address.as_pathname().ok_or(io::ErrorKind::AddrNotAvailable)?;
                Ok(Box::new(self.socket(UnixStream::connect(path).await?)))
            }
        }
    }

    fn socket<S>(&self, socket: S) -> YieldingSocket<S> {
        let timer = Box::pin(tokio::time::sleep(self.read_timeout));
        YieldingSocket { socket, yields: false, read_timeout: self.read_timeout, timer, answer: self.answer.clone() }
    }
}

/// A socket whose first read after a write yields, and whose reads time out until the upgrade is answered.
#[derive(Debug)]
struct YieldingSocket<S> {
    socket: S,
    yields: bool,
    read_timeout: Duration,
    timer: Pin<Box<Sleep>>,
    answer: Arc<UpgradeAnswer>,
}

impl<S: AsyncRead + Unpin> AsyncRead for YieldingSocket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.yields) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let read = Pin::new(&mut self.socket).poll_read(cx, buf);
        if self.answer.is_awaited() {
            if read.is_ready() {
                let deadline = Instant::now() + self.read_timeout;
                self.timer.as_mut().reset(deadline);
            } else if self.timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for YieldingSocket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.yields = true;
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync + Debug> VirtualSocket for YieldingSocket<S> {
    /// pingora asks for no delay, which is set already.
    fn set_socket_option(&self, _: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    fn connector(read_timeout: Duration) -> UpgradeConnector {
        UpgradeConnector { connect_timeout: Duration::from_secs(1), read_timeout, answer: Arc::default() }
    }

    #[tokio::test]
    async fn an_answer_is_awaited_for_the_read_timeout_and_messages_after_it_for_ever() {
        let upgrade = connector(Duration::from_millis(20));
        let (near, mut far) = duplex(64);
        let mut socket = upgrade.socket(near);
        let mut octets = [0; 3];
        let error = socket.read_exact(&mut octets).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        upgrade.answer.agreed();
        let later = async {
            tokio::time::sleep(Duration::from_millis(60)).await;
            far.write_all(b"abc").await.unwrap();
        };
        let (read, ()) = tokio::join!(socket.read_exact(&mut octets), later);
        assert_eq!((read.unwrap(), &octets), (3, b"abc"));
    }

    #[tokio::test]
    async fn the_first_read_after_a_write_yields_once_even_when_an_answer_is_there() {
        let (near, mut far) = duplex(64);
        let mut socket = connector(Duration::from_secs(60)).socket(near);
        socket.write_all(b"GET").await.unwrap();
        far.write_all(b"101").await.unwrap();
        let mut polls = 0;
        let mut octets = [0; 3];
        std::future::poll_fn(|cx| {
            polls += 1;
            let mut buffer = ReadBuf::new(&mut octets);
            Pin::new(&mut socket).poll_read(cx, &mut buffer)
        })
        .await
        .unwrap();
        assert_eq!((polls, &octets), (2, b"101"));
        far.write_all(b"abc").await.unwrap();
        socket.read_exact(&mut octets).await.unwrap();
        assert_eq!(&octets, b"abc");
    }
}
