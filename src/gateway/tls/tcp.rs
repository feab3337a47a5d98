//! The connection below TLS.

use crate::gateway::tls::alert::of_tls_1_2;
use crate::gateway::tls::session::Session;
use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, BufWriter, Interest, ReadBuf};
use tokio::net::TcpStream;

/// Octets of the write buffer: a ticket, a header and a short body in their TLS records. It is paid for by every idle
/// connection.
const WRITE_BUFFER: usize = 4096;

/// TCP with a small write buffer, so that a response's header and short body, and a handshake's flight, leave in one
/// segment; larger writes pass it by.
pub(in crate::gateway) struct BufferedTcp {
    tcp: BufWriter<TcpStream>,
    /// Until the tickets of its handshake are written.
    handshake: Option<Arc<Session>>,
}

impl BufferedTcp {
    pub(in crate::gateway) fn new(tcp: TcpStream) -> Self {
        Self { tcp: BufWriter::with_capacity(WRITE_BUFFER, tcp), handshake: None }
    }

    /// Lets the tickets of this handshake wait for what is written next: the answer to the client's first request, or
    /// the server's first frame of HTTP/2. Sent by themselves they would wake the client for nothing.
    pub(in crate::gateway) fn let_tickets_wait(&mut self, handshake: Arc<Session>) {
        self.handshake = Some(handshake);
    }

    /// Whether the peer has ended its side or the connection was reset, whatever is still to be read before that: the
    /// runtime keeps what the kernel told it last, so nothing is asked for and nothing is read.
    pub(in crate::gateway) fn has_hung_up(&self) -> bool {
        let ready = pin!(self.tcp.get_ref().ready(Interest::READABLE));
        match ready.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ready) => ready.is_ok_and(|ready| ready.is_read_closed()),
            Poll::Pending => false,
        }
    }
}

impl fmt::Debug for BufferedTcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferedTcp").field("tcp", self.tcp.get_ref()).finish_non_exhaustive()
    }
}

impl AsRawFd for BufferedTcp {
    fn as_raw_fd(&self) -> RawFd {
        self.tcp.get_ref().as_raw_fd()
    }
}

impl AsyncRead for BufferedTcp {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for BufferedTcp {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, of_tls_1_2(buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.handshake.take_if(|handshake| handshake.has_only_tickets_to_send()).is_some() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match bufs {
            [alone] => self.poll_write(cx, alone),
            bufs => Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::KeyLog as _;
    use std::io::Read as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// Both ends of a connection, ours with the tickets of a handshake to come.
    async fn pair(handshake: &Arc<Session>) -> (BufferedTcp, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let theirs = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut ours = BufferedTcp::new(listener.accept().await.unwrap().0);
        ours.let_tickets_wait(handshake.clone());
        (ours, theirs)
    }

    fn agree_on_tls_1_3(handshake: &Session) {
        assert!(!handshake.version.will_log("CLIENT_HANDSHAKE_TRAFFIC_SECRET"), "a secret was asked for");
    }

    #[tokio::test]
    async fn tickets_of_tls_1_3_leave_with_what_is_written_next() {
        let handshake = Arc::new(Session::default());
        let (mut ours, mut theirs) = pair(&handshake).await;
        agree_on_tls_1_3(&handshake);
        ours.write_all(b"flight").await.unwrap();
        ours.flush().await.unwrap();
        let mut read = [0; 6];
        theirs.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"flight");
        handshake.facts.note_sealed();
        ours.write_all(b"ticket").await.unwrap();
        ours.flush().await.unwrap();
        ours.write_all(b"answer").await.unwrap();
        // Asked of the kernel itself, where octets that were sent are at once.
        let mut theirs = theirs.into_std().unwrap();
        assert_eq!(theirs.read(&mut read).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        ours.flush().await.unwrap();
        let mut read = [0; 12];
        theirs.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"ticketanswer");
    }

    #[tokio::test]
    async fn a_client_of_tls_1_2_waits_for_its_ticket_and_gets_it() {
        let handshake = Arc::new(Session::default());
        let (mut ours, theirs) = pair(&handshake).await;
        handshake.facts.note_sealed();
        ours.write_all(b"ticket").await.unwrap();
        ours.flush().await.unwrap();
        let mut read = [0; 6];
        theirs.into_std().unwrap().read_exact(&mut read).unwrap();
        assert_eq!(&read, b"ticket");
    }

    #[tokio::test]
    async fn tickets_that_waited_for_nothing_leave_when_the_connection_ends() {
        let handshake = Arc::new(Session::default());
        let (mut ours, mut theirs) = pair(&handshake).await;
        agree_on_tls_1_3(&handshake);
        handshake.facts.note_sealed();
        ours.write_all(b"ticket").await.unwrap();
        ours.flush().await.unwrap();
        ours.shutdown().await.unwrap();
        let mut read = Vec::new();
        theirs.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"ticket");
    }
}
