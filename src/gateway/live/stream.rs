//! A verified TLS connection as pingora's transport, which the gateway can cut.

use crate::gateway::base::limits::Limit;
use crate::gateway::live::connection::Connection;
use crate::gateway::live::frames::Frames;
use crate::gateway::tls::linger::Linger;
use crate::gateway::tls::tcp::BufferedTcp;
use async_trait::async_trait;
use pingora_core::protocols::tls::SslDigest;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
    UniqueIDType, raw_connect::ProxyDigest,
};
use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::server::TlsStream;

/// Octets of a response that wait for more of it (HTTP/1.1): a header and a short body make one TLS record, not two.
const MAX_WAITING: usize = 4096;

/// How long a client that was answered early may go on sending before the connection is closed all the same: as nginx's
/// `lingering_time`.
pub(in crate::gateway) const LINGER: Duration = Duration::from_secs(30);

/// h2 ends a connection that floods it by itself and tells why to nobody but the client, at the end of its GOAWAY frame
/// (`h2::proto`): the limits of ours that these are.
const LAST_WORDS: [(&[u8], Limit); 4] = [
    (b"too_many_resets", Limit::Http2Resets),
    (b"too_many_internal_resets", Limit::Http2Resets),
    (b"too_many_continuations", Limit::RequestHeaderBytes),
    (b"header_list_way_too_large", Limit::RequestHeaderBytes),
];

/// The transport handed to pingora.
pub(in crate::gateway) struct ClientStream {
    tls: TlsStream<BufferedTcp>,
    /// Written and not yet encrypted, until a flush or until it is too much.
    waiting: Vec<u8>,
    /// HTTP/2: what the client is sending.
    frames: Frames,
    /// Once our side has ended.
    linger: Option<Linger>,
    connection: Arc<Connection>,
    /// Octets of a header over which nothing more of it is read.
    header_limit: usize,
    socket: Arc<SocketDigest>,
    ssl: Arc<SslDigest>,
    alpn: Option<ALPN>,
}

impl ClientStream {
    /// `request_header_bytes` is the limit of that name: a header of up to twice as much is still read, so that it can be
    /// answered, and one that is longer ends the connection.
    pub(in crate::gateway) fn new(
        tls: TlsStream<BufferedTcp>,
        connection: Arc<Connection>,
        request_header_bytes: usize,
    ) -> Self {
        let session = tls.get_ref().1;
        let alpn = session.alpn_protocol().map(|protocol| if protocol == b"h2" { ALPN::H2 } else { ALPN::H1 });
        let facts = &connection.tls;
        let ssl = Arc::new(SslDigest::new(facts.cipher, facts.version, None, None, Vec::new()));
        let socket = SocketDigest::from_raw_fd(tls.get_ref().0.as_raw_fd());
        // Known already; pingora would ask the kernel on every request.
        let _ = socket.peer_addr.set(Some(connection.peer.into()));
        let header_limit = request_header_bytes.saturating_mul(2);
        let (frames, socket) = (Frames::default(), Arc::new(socket));
        Self { tls, waiting: Vec::new(), frames, linger: None, connection, header_limit, socket, ssl, alpn }
    }
}

impl ClientStream {
    /// Whether the client has ended its side or the connection was reset, though octets before that are still unread.
    pub(in crate::gateway) fn has_hung_up(&self) -> bool {
        self.tls.get_ref().0.has_hung_up()
    }

    /// Keeps the limit that a write tells of, if it is the last of an HTTP/2 connection.
    fn listen(&self, octets: &[u8]) {
        if self.connection.tls.http2 {
            let limit = LAST_WORDS.iter().find(|(words, _)| octets.ends_with(words)).map(|(_, limit)| *limit);
            self.connection.set_last_words(limit);
        }
    }

    /// Keeps what is written until there is more, if it is little enough; says how much it took. h2 does so by itself.
    fn keep_waiting(&mut self, bufs: &[IoSlice<'_>]) -> Option<usize> {
        let octets: usize = bufs.iter().map(|buf| buf.len()).sum();
        if self.connection.tls.http2 || self.waiting.len() + octets > MAX_WAITING {
            return None;
        }
        bufs.iter().for_each(|buf| self.waiting.extend_from_slice(buf));
        Some(octets)
    }

    /// Encrypts what waits, and as much of what follows it as TLS takes at once: gives how much of that.
    fn poll_encrypt(&mut self, cx: &mut Context<'_>, following: &[u8]) -> Poll<io::Result<usize>> {
        while !self.waiting.is_empty() {
            let both = [IoSlice::new(&self.waiting), IoSlice::new(following)];
            let written = ready!(Pin::new(&mut self.tls).poll_write_vectored(cx, &both))?;
            match written.checked_sub(self.waiting.len()) {
                None => drop(self.waiting.drain(..written)),
                Some(further) => {
                    // An idle connection has none.
                    self.waiting = Vec::new();
                    if further > 0 {
                        return Poll::Ready(Ok(further));
                    }
                }
            }
        }
        if following.is_empty() { Poll::Ready(Ok(0)) } else { Pin::new(&mut self.tls).poll_write(cx, following) }
    }
}

impl fmt::Debug for ClientStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientStream").field("connection", &self.connection.id).finish_non_exhaustive()
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.connection.cut.check_read(cx)?;
        if self.connection.header_octets() > self.header_limit {
            self.connection.cut.throw();
            return Poll::Ready(Err(io::Error::other("the request header is too long")));
        }
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.tls).poll_read(cx, buf);
        if let Some(came) = buf.filled().get(before..).filter(|came| poll.is_ready() && !came.is_empty()) {
            self.connection.octets_arrived(came.len());
            if self.connection.tls.http2 {
                let under_way = self.frames.follow(came);
                self.connection.header_under_way(under_way);
            }
        }
        poll
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.connection.cut.check_write(cx)?;
        self.listen(buf);
        let written = match self.keep_waiting(&[IoSlice::new(buf)]) {
            Some(octets) => octets,
            None => ready!(self.poll_encrypt(cx, buf))?,
        };
        self.connection.cut.has_written(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.cut.check_write(cx)?;
        ready!(self.poll_encrypt(cx, &[]))?;
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    /// Ends our side, then waits for the client to end its own. It is this that pingora and h2 call, and not
    /// [`Shutdown::shutdown`].
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.cut.check_write(cx)?;
        let Self { tls, linger, .. } = &mut *self;
        if let Some(linger) = linger {
            return linger.poll(tls.get_mut().0, cx).map(Ok);
        }
        ready!(self.poll_encrypt(cx, &[]))?;
        ready!(Pin::new(&mut self.tls).poll_shutdown(cx))?;
        self.linger = Some(Linger::new(LINGER, usize::MAX));
        self.poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.connection.cut.check_write(cx)?;
        self.listen(bufs.iter().rfind(|buf| !buf.is_empty()).map_or(&[], |buf| buf));
        let written = match self.keep_waiting(bufs) {
            Some(octets) => octets,
            None => {
                ready!(self.poll_encrypt(cx, &[]))?;
                ready!(Pin::new(&mut self.tls).poll_write_vectored(cx, bufs))?
            }
        };
        self.connection.cut.has_written(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

#[async_trait]
impl Shutdown for ClientStream {
    async fn shutdown(&mut self) {
        // The peer may be gone, or stay: it has been answered either way.
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl UniqueID for ClientStream {
    fn id(&self) -> UniqueIDType {
        self.tls.get_ref().0.as_raw_fd()
    }
}

impl Ssl for ClientStream {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        Some(self.ssl.clone())
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.alpn.clone()
    }
}

impl GetTimingDigest for ClientStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for ClientStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for ClientStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(self.socket.clone())
    }
}

impl Peek for ClientStream {}
