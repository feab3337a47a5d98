//! One transport that is read and written at the same time, and given back bytes that were read too far.

use crate::gateway::live::stream::ClientStream;
use async_trait::async_trait;
use bytes::{Buf as _, BytesMut};
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::tls::SslDigest;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, IO, Peek, Shutdown, SocketDigest, Ssl, Stream,
    TimingDigest, UniqueID, UniqueIDType,
};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::sleep;

/// Bytes read ahead of their time while a peer is watched for its end. What is more waits in the kernel.
const MAX_AHEAD: usize = 4096;

/// How often it is looked whether a peer is still there of which nothing more may be read ahead. What was not read hides
/// its end from whoever waits for something to read, but not from who asks for the state of the socket.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// A handle to a transport; all of its handles belong to one task.
///
/// pingora's sessions own their transport and read and write it in turn. An application that answers while it reads
/// would be waited for while it waits: so a session gets one handle, to read by, and what is written goes by another.
#[derive(Clone, Debug)]
pub(super) struct Duplex(Arc<Mutex<Transport>>);

#[derive(Debug)]
struct Transport {
    stream: Stream,
    /// Read already, to be read again first.
    ahead: BytesMut,
    ended: bool,
}

impl Duplex {
    pub(super) fn new(stream: Stream) -> Self {
        Self(Arc::new(Mutex::new(Transport { stream, ahead: BytesMut::new(), ended: false })))
    }

    /// The transport again, unless it has another handle or something to read that nobody asked for.
    pub(super) fn into_stream(self) -> Option<Stream> {
        let transport = Arc::into_inner(self.0)?.into_inner().unwrap_or_else(PoisonError::into_inner);
        (transport.ahead.is_empty() && !transport.ended).then_some(transport.stream)
    }

    /// Gives back what was read too far: it is read next.
    pub(super) fn unread(&self, mut bytes: BytesMut) {
        let mut transport = self.lock();
        if transport.ahead.is_empty() {
            transport.ahead = bytes;
        } else {
            bytes.extend_from_slice(&transport.ahead);
            transport.ahead = bytes;
        }
    }

    /// How much was read ahead.
    pub(super) fn ahead(&self) -> usize {
        self.lock().ahead.len()
    }

    /// Waits for something to read; false: the peer has ended, or the transport is broken. Nothing is held meanwhile.
    pub(super) async fn readable(&self) -> bool {
        poll_fn(|cx| {
            let mut transport = self.lock();
            let transport = &mut *transport;
            if !transport.ahead.is_empty() {
                return Poll::Ready(true);
            }
            let mut room = [const { MaybeUninit::uninit() }; MAX_AHEAD];
            let mut buffer = ReadBuf::uninit(&mut room);
            let read = ready!(Pin::new(&mut transport.stream).poll_read(cx, &mut buffer));
            transport.ahead.extend_from_slice(buffer.filled());
            Poll::Ready(read.is_ok() && !buffer.filled().is_empty())
        })
        .await
    }

    /// Waits until the peer has ended its side or the transport is broken. Keeps what comes meanwhile; once that is as
    /// much as may be kept, the end is seen by the state of the socket, wherever in the unread it stands.
    pub(super) async fn ended(&self) -> io::Error {
        if let Some(error) = poll_fn(|cx| self.lock().poll_end(cx)).await {
            return error;
        }
        while !self.lock().has_hung_up() {
            sleep(LOOK_AFTER).await;
        }
        io::ErrorKind::UnexpectedEof.into()
    }

    fn lock(&self) -> MutexGuard<'_, Transport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport {
    /// The peer's end; none once as much was read ahead as may be kept.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Error>> {
        while self.ahead.len() < MAX_AHEAD {
            let mut room = [const { MaybeUninit::uninit() }; 1024];
            let mut buffer = ReadBuf::uninit(&mut room);
            if let Err(error) = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                return Poll::Ready(Some(error));
            }
            if buffer.filled().is_empty() {
                self.ended = true;
                return Poll::Ready(Some(io::ErrorKind::UnexpectedEof.into()));
            }
            self.ahead.extend_from_slice(buffer.filled());
        }
        Poll::Ready(None)
    }

    /// Whether a client has ended its side, or its connection was reset, whatever of it is still to be read.
    fn has_hung_up(&self) -> bool {
        let stream: &dyn IO = &*self.stream;
        stream.as_any().downcast_ref().is_some_and(ClientStream::has_hung_up)
    }
}

impl AsyncRead for Duplex {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut transport = self.lock();
        if !transport.ahead.is_empty() {
            let taken = transport.ahead.len().min(buf.remaining());
            buf.put_slice(transport.ahead.get(..taken).unwrap_or_default());
            transport.ahead.advance(taken);
            if transport.ahead.is_empty() {
                transport.ahead = BytesMut::new();
            }
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut transport.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.lock().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.lock().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.lock().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.lock().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.lock().stream.is_write_vectored()
    }
}

#[async_trait]
impl Shutdown for Duplex {
    async fn shutdown(&mut self) {
        // The peer may be gone.
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl UniqueID for Duplex {
    fn id(&self) -> UniqueIDType {
        self.lock().stream.id()
    }
}

impl Ssl for Duplex {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.lock().stream.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.lock().stream.selected_alpn_proto()
    }
}

impl GetTimingDigest for Duplex {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Duplex {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Duplex {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.lock().stream.get_socket_digest()
    }
}

impl Peek for Duplex {}
