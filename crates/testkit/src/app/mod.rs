//! The demo internet-banking application: shows who it was told is calling, and everything else an upstream may do.
//!
//! A real HTTP/1.1 (and, over TLS, HTTP/2) server on hyper, not on pingora, so that the gateway is tested against
//! another implementation. The integration tests use it as their upstream and read what reached it.

mod bodies;
mod handlers;
mod page;
mod websocket;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;

/// Requests remembered: more than any test sends at once, and little memory in a demo that runs for days.
const REMEMBERED_REQUESTS: usize = 10_000;

/// A response body of the application.
type Body = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// A running application; stops when dropped.
#[derive(Debug)]
pub struct App {
    /// Where it listens; port 0 and no address for a Unix socket.
    address: Option<SocketAddr>,
    requests: Arc<Requests>,
    accepting: tokio::task::AbortHandle,
}

/// A request as it reached the application.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    /// `GET`, …
    pub method: http::Method,
    /// Path and query as they came.
    pub target: String,
    /// Every header field in order.
    pub headers: http::HeaderMap,
    /// HTTP/1.0, HTTP/1.1 or HTTP/2.
    pub version: http::Version,
}

/// What reached the application.
#[derive(Debug, Default)]
struct Requests {
    recorded: Mutex<VecDeque<RecordedRequest>>,
    connections: AtomicU64,
}

impl App {
    /// Serves plain HTTP/1.1 on an address; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self::accept(Some(address), listener))
    }

    /// Serves plain HTTP/1.1 on a Unix socket.
    ///
    /// # Errors
    /// When the path cannot be bound.
    pub async fn start_unix(path: &Path) -> std::io::Result<Self> {
        Ok(Self::accept(None, UnixListener::bind(path)?))
    }

    /// Serves TLS as `config` has it: HTTP/2 when `h2` is negotiated by ALPN, else HTTP/1.1.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start_tls(address: SocketAddr, config: Arc<rustls::ServerConfig>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let acceptor = tokio_rustls::TlsAcceptor::from(config);
        Ok(Self::accept(Some(address), TlsListener { listener, acceptor }))
    }

    /// The address it listens on; `None` for a Unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The requests so far, oldest first, at most the last 10,000.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.requests.lock().iter().cloned().collect()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.requests.lock().clear();
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.requests.connections.load(Ordering::SeqCst)
    }

    fn accept(address: Option<SocketAddr>, listener: impl Listener) -> Self {
        let requests = Arc::new(Requests::default());
        let seen = Arc::clone(&requests);
        let accepting = tokio::spawn(async move {
            // Dropped with this task: no connection outlives the application.
            let mut connections = JoinSet::new();
            loop {
                if let Ok(stream) = listener.accept().await {
                    seen.connections.fetch_add(1, Ordering::SeqCst);
                    connections.spawn(serve(stream, Arc::clone(&seen)));
                } else {
                    tokio::task::yield_now().await;
                }
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, requests, accepting: accepting.abort_handle() }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Where connections come from.
trait Listener: Send + 'static {
    type Stream: Transport;
    fn accept(&self) -> impl Future<Output = std::io::Result<Self::Stream>> + Send;
}

/// TLS over TCP, one handshake at a time: enough for an upstream whose client is one gateway.
struct TlsListener {
    listener: TcpListener,
    acceptor: tokio_rustls::TlsAcceptor,
}

impl Listener for TcpListener {
    type Stream = tokio::net::TcpStream;
    async fn accept(&self) -> std::io::Result<Self::Stream> {
        Ok(self.accept().await?.0)
    }
}

impl Listener for UnixListener {
    type Stream = tokio::net::UnixStream;
    async fn accept(&self) -> std::io::Result<Self::Stream> {
        Ok(self.accept().await?.0)
    }
}

impl Listener for TlsListener {
    type Stream = tokio_rustls::server::TlsStream<tokio::net::TcpStream>;
    async fn accept(&self) -> std::io::Result<Self::Stream> {
        self.acceptor.accept(self.listener.accept().await?.0).await
    }
}

/// What a connection runs over.
trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Whether the two ends agreed on HTTP/2.
    fn is_http2(&self) -> bool {
        false
    }
}

impl Transport for tokio::net::TcpStream {}
impl Transport for tokio::net::UnixStream {}
impl Transport for tokio_rustls::server::TlsStream<tokio::net::TcpStream> {
    fn is_http2(&self) -> bool {
        self.get_ref().1.alpn_protocol() == Some(b"h2")
    }
}

async fn serve<S: Transport>(stream: S, requests: Arc<Requests>) {
    let is_http2 = stream.is_http2();
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        requests.record(&request);
        handlers::handle(request)
    });
    // A connection that fails is its peer's business.
    let _ = if is_http2 {
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await
    } else {
        hyper::server::conn::http1::Builder::new()
            .preserve_header_case(true)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
            .await
    };
}

impl Requests {
    fn record(&self, request: &hyper::Request<hyper::body::Incoming>) {
        let mut recorded = self.lock();
        if recorded.len() == REMEMBERED_REQUESTS {
            recorded.pop_front();
        }
        recorded.push_back(RecordedRequest {
            method: request.method().clone(),
            target: request.uri().to_string(),
            headers: request.headers().clone(),
            version: request.version(),
        });
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<RecordedRequest>> {
        // Whoever panicked with the lock held left a list of whole requests.
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
