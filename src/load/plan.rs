//! What a run does.

use super::identity::Identity;
use super::marks::Mark;
use super::pace::Pace;
use rustls::RootCertStore;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A run, said completely.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where connections go.
    pub target: SocketAddr,
    /// The server name of the ClientHello and of its certificate.
    pub server_name: String,
    /// The `Host` of requests.
    pub authority: String,
    /// Path and query of requests.
    pub path: String,
    /// What one operation is.
    pub kind: Kind,
    /// Which TLS versions are offered.
    pub tls: TlsVersion,
    /// Which key exchange is offered; absent: rustls's choice.
    pub group: Option<Group>,
    /// Which HTTP is spoken.
    pub http: HttpVersion,
    /// How fast.
    pub pace: Pace,
    /// Operations at a time: workers, and with `keep-alive` over HTTP/1.1 connections.
    pub concurrency: usize,
    /// Streams that share one HTTP/2 connection.
    pub streams: usize,
    /// What counts.
    pub duration: Duration,
    /// What comes before and does not count.
    pub warm_up: Duration,
    /// After which an operation is given up.
    pub timeout: Duration,
    /// Client certificates, in rotation; none: none is shown.
    pub clients: Vec<Identity>,
    /// Who may have issued the server's certificate.
    pub roots: Arc<RootCertStore>,
    /// What else happens meanwhile; each begins a phase of the report.
    pub marks: Vec<Mark>,
}

/// What one operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A connection, a full handshake and a request.
    Full,
    /// A connection, a resumed handshake and a request; a handshake that is not resumed is an error.
    Resumed,
    /// A request on a connection that is kept.
    KeepAlive,
    /// A connection without a certificate, which must be refused.
    NoCertificate,
    /// A connection with a certificate that must be refused: revoked, expired, of another CA.
    Refused,
}

/// Which TLS versions are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// Both; the server chooses.
    Any,
    /// 1.2 only.
    Tls12,
    /// 1.3 only.
    Tls13,
}

/// A key exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// X25519 (RFC 7748).
    X25519,
    /// P-256.
    P256,
    /// X25519 with ML-KEM-768.
    X25519MlKem768,
}

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

impl Kind {
    /// The name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Resumed => "resumed",
            Self::KeepAlive => "keep-alive",
            Self::NoCertificate => "no-certificate",
            Self::Refused => "refused",
        }
    }

    /// Whether a refusal is what is asked for.
    pub(super) const fn wants_refusal(self) -> bool {
        matches!(self, Self::NoCertificate | Self::Refused)
    }
}

impl TlsVersion {
    /// The name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}

impl Group {
    /// The name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X25519 => "x25519",
            Self::P256 => "p256",
            Self::X25519MlKem768 => "x25519mlkem768",
        }
    }
}

impl HttpVersion {
    /// The name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http1 => "1.1",
            Self::Http2 => "2",
        }
    }
}
