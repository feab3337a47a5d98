//! Serves HTTP on a listener until it is told to stop.

use super::places::{Place, Shares};
use super::progress::{Progress, Watched};
use super::unproven::Waiting;
use super::{ConnectionLimits, Entry, Listener, Peer, Proof};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::{TowerToHyperService, TowerToHyperServiceFuture};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Octets of a request's header. The gateway's largest assertion is that of a path of 8,000 octets: 12 KiB; two of them
/// and everything else fit.
const HEADER_OCTETS: u32 = 48 * 1024;

/// Requests at a time on one HTTP/2 connection: what most clients take for granted (RFC 9113 section 6.5.2).
const STREAMS: u32 = 100;

/// Streams that a client may have reset and the service not yet seen: beyond it, the connection is ended
/// (CVE-2023-44487); hyper's own default, written out.
const RESET_STREAMS: usize = 20;

/// Serves the router on the listener until `shutdown` becomes true (or its sender is gone), then lets requests that
/// began finish for `drain`, and ends what is left.
pub async fn serve(listener: Listener, router: Router, mut shutdown: watch::Receiver<bool>, drain: Duration) {
    let server = Arc::new(Server {
        http: builder(listener.limits),
        tls: listener.tls.clone(),
        limits: listener.limits,
        slots: Arc::clone(&listener.slots),
        shares: listener.shares.clone(),
        router: TowerToHyperService::new(router),
        shutdown: shutdown.clone(),
    });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stopped(&mut shutdown) => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => note_panic(ended),
            (tcp, address, entry) = listener.accept() => {
                let server = Arc::clone(&server);
                connections.spawn(async move { server.connection(tcp, address, entry).await });
            }
        }
    }
    // Whoever comes now is refused by the kernel, or meets the process that takes over.
    drop(listener);
    let drained = async {
        while let Some(ended) = connections.join_next().await {
            note_panic(ended);
        }
    };
    if tokio::time::timeout(drain, drained).await.is_err() {
        tracing::warn!(connections = connections.len(), "connections that did not finish in time are ended");
    }
    connections.shutdown().await;
}

/// What all connections of a listener share.
struct Server {
    http: Builder<TokioExecutor>,
    tls: Option<TlsAcceptor>,
    limits: ConnectionLimits,
    slots: Arc<Semaphore>,
    shares: Shares,
    router: TowerToHyperService<Router>,
    shutdown: watch::Receiver<bool>,
}

impl Server {
    async fn connection(&self, tcp: TcpStream, address: SocketAddr, entry: Entry) {
        let io = Watched::new(tcp);
        let progress = io.progress();
        let (Some(acceptor), Entry::Waiting(waiting)) = (&self.tls, &entry) else {
            return self.http(io, &progress, address, None, entry).await;
        };
        let handshake = tokio::select! {
            handshake = self.handshake(acceptor, io) => handshake,
            () = waiting.evicted() => return,
        };
        match handshake {
            Ok(tls) => match presented(&tls) {
                None => self.http(tls, &progress, address, None, entry).await,
                certificate => {
                    // Its client is known. Places are free again as soon as others of the known ones end.
                    let place = tokio::time::timeout(self.limits.handshake, self.place(address)).await;
                    let Ok(Some(place)) = place else {
                        return tracing::warn!(%address, "no place for a connection with a certificate");
                    };
                    drop(entry);
                    self.http(tls, &progress, address, certificate, Entry::Place(place)).await;
                }
            },
            Err(error) => tracing::debug!(%address, %error, "no TLS handshake"),
        }
    }

    /// A place for a client who is known, once there is one; none where its address has as many as it may.
    async fn place(&self, address: SocketAddr) -> Option<Place> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        self.shares.take(address.ip(), self.limits.per_address, slot)
    }

    /// As [`Self::place`], if there is one now.
    fn place_now(&self, address: SocketAddr) -> Option<Place> {
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        self.shares.take(address.ip(), self.limits.per_address, slot)
    }

    async fn handshake(
        &self,
        acceptor: &TlsAcceptor,
        io: Watched<TcpStream>,
    ) -> io::Result<TlsStream<Watched<TcpStream>>> {
        let mut shutdown = self.shutdown.clone();
        tokio::select! {
            done = tokio::time::timeout(self.limits.handshake, acceptor.accept(io)) => done?,
            () = stopped(&mut shutdown) => Err(io::Error::other("the service stops")),
        }
    }

    async fn http(
        &self,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        progress: &Progress,
        address: SocketAddr,
        certificate: Option<PresentedCertificate>,
        mut entry: Entry,
    ) {
        let proof = Proof::default();
        let service = WithPeer { router: self.router.clone(), address, certificate, proof: proof.clone() };
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(io), service));
        let mut shutdown = self.shutdown.clone();
        let mut unproven_until = pin!(tokio::time::sleep(self.limits.unproven));
        loop {
            let waiting = match &entry {
                Entry::Waiting(waiting) => Some(waiting),
                Entry::Place(_) => None,
            };
            tokio::select! {
                ended = connection.as_mut() => return note_end(address, ended),
                () = progress.stalled(self.limits.idle) => return tracing::debug!(%address, "the connection is idle"),
                () = stopped(&mut shutdown) => break,
                () = evicted(waiting) => return tracing::debug!(%address, "the connection made room for another"),
                () = unproven_until.as_mut(), if waiting.is_some() => {
                    return tracing::debug!(%address, "the connection's client did not say who it is");
                }
                () = proof.wait(), if waiting.is_some() => {
                    // Without one it stays among the unknown, and may come again.
                    entry = self.place_now(address).map_or(entry, Entry::Place);
                }
            }
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            ended = connection => note_end(address, ended),
            () = progress.stalled(self.limits.idle) => {}
        }
    }
}

/// A client certificate that was verified in the handshake.
#[derive(Clone, Copy, Debug)]
struct PresentedCertificate {
    fingerprint: [u8; 32],
    not_after: Timestamp,
}

/// The client's certificate; rustls has it only after it was verified, and the client proved that the key is its own.
fn presented<T>(tls: &TlsStream<T>) -> Option<PresentedCertificate> {
    let chain = tls.get_ref().1.peer_certificates()?;
    // What webpki takes and this parser does not proves nothing.
    let certificate = Certificate::parse(chain.first()?).ok()?;
    Some(PresentedCertificate {
        fingerprint: *certificate.fingerprint().as_bytes(),
        not_after: certificate.not_after(),
    })
}

/// The router, which is told who asks.
struct WithPeer {
    router: TowerToHyperService<Router>,
    address: SocketAddr,
    certificate: Option<PresentedCertificate>,
    proof: Proof,
}

impl hyper::service::Service<Request<Incoming>> for WithPeer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = TowerToHyperServiceFuture<Router, Request<Incoming>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        // A connection may outlive the certificate that it was opened with.
        let valid = self.certificate.filter(|certificate| clock::now() <= certificate.not_after);
        let peer = Peer { address: self.address, certificate: valid.map(|certificate| certificate.fingerprint) };
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(self.proof.clone());
        hyper::service::Service::call(&self.router, request)
    }
}

fn builder(limits: ConnectionLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    let octets = usize::try_from(HEADER_OCTETS).unwrap_or(usize::MAX);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.idle).max_buf_size(octets);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEADER_OCTETS)
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(RESET_STREAMS);
    builder
}

/// Returns once the connection has to make room; never where it has a place.
async fn evicted(waiting: Option<&Waiting>) {
    match waiting {
        Some(waiting) => waiting.evicted().await,
        None => std::future::pending().await,
    }
}

/// Returns once the service is to stop.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error is a sender that is gone: nobody could tell any more.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

fn note_end(address: SocketAddr, ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(%address, error, "the connection broke");
    }
}

fn note_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a handler panicked; its connection is closed");
    }
}
