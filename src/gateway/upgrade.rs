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
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// Connects for one upgrade request.
#[derive(Debug)]
pub(super) struct UpgradeConnector {
    pub(super) connect_timeout: Duration,
}

#[async_trait]
impl Connect for UpgradeConnector {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let connected = tokio::time::timeout(self.connect_timeout, connect(address)).await;
        let socket = connected
            .map_err(|_| Error::explain(ErrorType::ConnectTimedout, address.to_string()))?
            .or_err_with(ErrorType::ConnectError, || address.to_string())?;
        Ok(VirtualSocketStream::new(socket).into())
    }
}

async fn connect(address: &SocketAddr) -> io::Result<Box<dyn VirtualSocket>> {
    match address {
        SocketAddr::Inet(address) => {
            let tcp = TcpStream::connect(address).await?;
            tcp.set_nodelay(true)?;
            Ok(Box::new(YieldingSocket { socket: tcp, yields: false }))
        }
        SocketAddr::Unix(address) => {
            let path = address.as_pathname().ok_or(io::ErrorKind::AddrNotAvailable)?;
            Ok(Box::new(YieldingSocket { socket: UnixStream::connect(path).await?, yields: false }))
        }
    }
}

/// A socket whose first read after a write yields.
#[derive(Debug)]
struct YieldingSocket<S> {
    socket: S,
    yields: bool,
}

impl<S: AsyncRead + Unpin> AsyncRead for YieldingSocket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.yields) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.socket).poll_read(cx, buf)
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

    #[tokio::test]
    async fn the_first_read_after_a_write_yields_once_even_when_an_answer_is_there() {
        let (near, mut far) = duplex(64);
        let mut socket = YieldingSocket { socket: near, yields: false };
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
