//! Addresses of the service: plain TCP or TLS with optional client certificates, HTTP/1.1 and HTTP/2 on it.
//!
//! [`Listener::bind`], then [`serve()`]. Handlers learn who is at the other end by [`axum::extract::ConnectInfo`] of
//! [`Peer`].

mod places;
mod progress;
mod serve;
mod tls;
mod unproven;

pub use places::network;
pub use serve::serve;
pub use tls::{ServerTls, server_config};
pub use unproven::Proof;

use places::{Place, Shares};
use rustls::ServerConfig;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use unproven::{Unproven, Waiting};

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address it connects from: of a proxy, where there is one.
    pub address: SocketAddr,
    /// SHA-256 of its client certificate, which was verified up to `client_ca` and is valid as of the request.
    pub certificate: Option<[u8; 32]>,
}

/// What a peer may take of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at a time; further ones wait in the kernel's backlog.
    pub connections: usize,
    /// Connections at a time of one address (of one /64 for IPv6); further ones are closed at once, so that one host
    /// cannot keep all others out. Where all come from a few proxies: as many as there are.
    pub per_address: usize,
    /// From accept to the end of the TLS handshake.
    pub handshake: Duration,
    /// From the TLS handshake of a client without a certificate to the end of its first request that says who it is, by the
    /// gateway's assertion.
    pub unproven: Duration,
    /// A connection on which no octet moves so long, in either direction, is closed; and the longest that the header of
    /// an HTTP/1 request may take.
    pub idle: Duration,
}

impl ConnectionLimits {
    /// A handshake is two round trips and one signature; five seconds are enough for satellites.
    pub const HANDSHAKE: Duration = Duration::from_secs(5);

    /// A client without a certificate connects because it has a request; ten seconds are enough for it to come.
    pub const UNPROVEN: Duration = Duration::from_secs(10);

    /// Of the connections with TLS, the part that clients may have who are not known yet. The others are for those who are:
    /// nobody without a certificate or an assertion can take them.
    const UNPROVEN_PART: usize = 4;

    /// Longer than the gateway (and most other clients) keeps a connection in its pool, so that the client closes first
    /// and no request meets a closing connection.
    pub const IDLE: Duration = Duration::from_secs(75);

    /// The usual limits with so many connections.
    pub const fn new(connections: usize) -> Self {
        Self {
            connections,
            per_address: connections,
            handshake: Self::HANDSHAKE,
            unproven: Self::UNPROVEN,
            idle: Self::IDLE,
        }
    }

    /// Connections of clients who are not known yet.
    fn most_unproven(self) -> usize {
        (self.connections / Self::UNPROVEN_PART).max(1)
    }

    /// The same for addresses that anybody may come to: one has at most a sixteenth, and eight.
    #[must_use]
    pub fn shared(self) -> Self {
        Self { per_address: (self.connections / 16).max(8).min(self.connections), ..self }
    }

    /// The same for handlers that may think so long: an HTTP/1 connection whose answer is being made is silent, and is
    /// not to be taken for an idle one.
    #[must_use]
    pub fn answering_within(self, request_timeout: Duration) -> Self {
        Self { idle: self.idle.max(request_timeout.saturating_mul(2)), ..self }
    }
}

/// A bound address.
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    limits: ConnectionLimits,
    /// With TLS: of known clients only.
    slots: Arc<Semaphore>,
    shares: Shares,
    unproven: Unproven,
}

/// A connection's place.
enum Entry {
    /// It may stay.
    Place(#[allow(dead_code, reason = "it is held, not read")] Place),
    /// Until its client is known.
    Waiting(Waiting),
}

/// The first and the longest wait after an accept that failed for want of something (file descriptors, memory): the
/// error stays until a connection ends, and trying without a pause would burn a core.
const BACK_OFF: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

impl Listener {
    /// Binds the address; with `tls` (of [`server_config`]) it speaks TLS only.
    ///
    /// # Errors
    /// The address is not this machine's, in use or not allowed.
    pub async fn bind(
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        limits: ConnectionLimits,
    ) -> io::Result<Self> {
        let tcp = TcpListener::bind(address).await?;
        let address = tcp.local_addr()?;
        let reserved = if tls.is_some() { limits.most_unproven() } else { 0 };
        let slots = limits.connections.saturating_sub(reserved).clamp(1, Semaphore::MAX_PERMITS);
        Ok(Self {
            tcp,
            address,
            tls: tls.map(TlsAcceptor::from),
            limits,
            slots: Arc::new(Semaphore::new(slots)),
            shares: Shares::default(),
            unproven: Unproven::default(),
        })
    }

    /// The address it is bound to, with the port that port 0 became.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection, once there is room for it. Cancel safe.
    async fn accept(&self) -> (TcpStream, SocketAddr, Entry) {
        let [mut wait, longest] = BACK_OFF;
        loop {
            // With TLS it is accepted at once: whether it may have a place shows after the handshake.
            let slot = match self.tls {
                Some(_) => None,
                None => Some(self.slot().await),
            };
            match self.tcp.accept().await {
                Ok((tcp, address)) => {
                    let entry = match slot {
                        Some(slot) => self.shares.take(address.ip(), self.limits.per_address, slot).map(Entry::Place),
                        None => Some(Entry::Waiting(self.unproven.enter(address.ip(), self.limits.most_unproven()))),
                    };
                    let Some(entry) = entry else { continue };
                    // Answers are written whole; waiting to fill a segment only delays them. Not vital where it fails.
                    let _ = tcp.set_nodelay(true);
                    return (tcp, address, entry);
                }
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, address = %self.address, "no connection can be accepted; trying again");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(longest);
                }
            }
        }
    }
}

impl Listener {
    async fn slot(&self) -> OwnedSemaphorePermit {
        loop {
            match Arc::clone(&self.slots).acquire_owned().await {
                Ok(slot) => return slot,
                // Never closed; were it, nothing more is accepted.
                Err(_) => std::future::pending().await,
            }
        }
    }
}

/// The peer was gone before it was accepted; the next one is not concerned.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
