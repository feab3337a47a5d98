//! The issuer's configuration as types that cannot be wrong.

use crate::{LogTarget, Place, Placed};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The whole configuration of an issuer.
#[derive(Clone, Debug)]
pub struct IssuerConfig {
    /// `[issuer]`.
    pub issuer: Issuer,
    /// `[store]`.
    pub store: StoreConfig,
    /// `[[profile]] file`: the products' profiles.
    pub profiles: Vec<Placed<PathBuf>>,
    /// `[[authority]]`, every name once; each profile has exactly one.
    pub authorities: Vec<AuthorityConfig>,
    /// `[[service]]`: who may call, by certificate.
    pub services: Vec<ServiceConfig>,
    /// `[gateway]`: whose assertions are believed; absent: nobody's.
    pub gateway: Option<GatewayKeys>,
    /// `[feed]`; absent: gateways learn of revocations by lists and OCSP only.
    pub feed: Option<FeedConfig>,
    /// `[credentials]`.
    pub credentials: CredentialsConfig,
    /// `[mail]`; absent: notices are on the screen only.
    pub mail: Option<MailConfig>,
    /// `[limits]`.
    pub limits: IssuerLimits,
}

/// `[issuer]`.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// `listen`: the API. Port 0 takes a free one, told in the log.
    pub listen: SocketAddr,
    /// `public_listen`: lists, OCSP and CA certificates, over plain HTTP (RFC 5280 section 8).
    pub public_listen: SocketAddr,
    /// `admin`: `/metrics`, `/livez`, `/readyz`. Loopback unless meant otherwise.
    pub admin: SocketAddr,
    /// `[issuer.tls]`; absent: the API is plain HTTP, only on loopback addresses, and has no service callers but
    /// through the gateway.
    pub tls: Option<ApiTls>,
    /// `secret_file`: 32 random octets or more in base64; mode 0600. All nodes have the same.
    pub secret_file: Placed<PathBuf>,
    /// `log`.
    pub log: LogTarget,
    /// `drain_timeout`: how long a stopping issuer lets requests finish.
    pub drain_timeout: Duration,
}

/// `[issuer.tls]`.
#[derive(Clone, Debug)]
pub struct ApiTls {
    /// `certificate`: PEM, the server's and those above it.
    pub certificate: Placed<PathBuf>,
    /// `key`: PEM.
    pub key: Placed<PathBuf>,
    /// `client_ca`: PEM of the CAs whose certificates services come with.
    pub client_ca: Placed<PathBuf>,
}

/// `[store]`.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// `url`: `sqlite:issuer.db` (relative to the configuration) or `postgres://…`. Never logged: it may hold a password.
    pub url: Placed<StoreUrl>,
    /// `connections`: readers of SQLite, or connections to PostgreSQL.
    pub connections: u32,
    /// `waiting`: acts that may wait for the writer, and look-ups for the readers; more are told to come again.
    pub waiting: usize,
    /// `together`: acts that are written in one transaction, look-ups that are read together, at most.
    pub together: usize,
}

/// Where everything is kept.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A file.
    Sqlite(PathBuf),
    /// A URL.
    Postgres(String),
}

/// `[[authority]]`.
#[derive(Clone, Debug)]
pub struct AuthorityConfig {
    /// `name`: in URLs and in the store; it never changes.
    pub name: Arc<str>,
    /// `profiles`: names of the profiles whose certificates it signs.
    pub profiles: Vec<Placed<Arc<str>>>,
    /// `certificate`: PEM.
    pub certificate: Placed<PathBuf>,
    /// `chain`: PEM of the CAs above it, the root last.
    pub chain: Placed<PathBuf>,
    /// `key`: encrypted PEM; mode 0600.
    pub key: Placed<PathBuf>,
    /// `passphrase_file` or `passphrase_variable`.
    pub passphrase: Placed<PassphraseSource>,
    /// `crl_url`; with `{part}` where there are parts.
    pub crl_url: String,
    /// `delta_url`; absent: no delta lists.
    pub delta_url: Option<String>,
    /// `parts` of its lists; it never changes.
    pub parts: NonZeroU16,
    /// `ocsp_url`.
    pub ocsp_url: Option<String>,
    /// `ca_issuers_url`.
    pub ca_issuers_url: Option<String>,
    /// `publish_folder`: where `<name>-<part>.crl` (and `-delta.crl`) are put by rename, for gateways that read files.
    pub publish_folder: Option<Placed<PathBuf>>,
    /// `crl_lifetime`: from thisUpdate to nextUpdate of a full list.
    pub crl_lifetime: Duration,
    /// `crl_interval`: a full list is made so often even when nothing was revoked.
    pub crl_interval: Duration,
    /// `ocsp_lifetime`.
    pub ocsp_lifetime: Duration,
    /// `ocsp_nonces`: whether an answer carries the nonce of its request (RFC 9654).
    pub ocsp_nonces: bool,
    /// The table itself, for errors that are of several keys.
    pub place: Place,
}

/// Where a passphrase comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PassphraseSource {
    /// A file of mode 0600.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
}

/// `[[service]]`.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// `name`: in audit records.
    pub name: Arc<str>,
    /// `fingerprint`: SHA-256 of its certificate, in hex; directly by TLS or through the gateway.
    pub fingerprint: [u8; 32],
    /// `rights`: `online`, `desk`, `read`, `feed`.
    pub rights: Vec<String>,
}

/// `[gateway]`.
#[derive(Clone, Debug)]
pub struct GatewayKeys {
    /// `header`: the request header with the assertion of who calls.
    pub header: String,
    /// `user_header`: the request header in which a service hands on the assertion its own request from the user had.
    pub user_header: String,
    /// `issuer`: the `iss` that is believed.
    pub issuer: String,
    /// `audience`: the `aud` of requests to this service: the gateway's site.
    pub audience: String,
    /// `user_audiences`: the `aud` of assertions that services hand on.
    pub user_audiences: Vec<String>,
    /// `jwks_file` or `jwks_url`.
    pub jwks: Placed<JwksSource>,
    /// `jwks_ca`: PEM of the CAs that the server of an `https://` `jwks_url` may have its certificate of; there with such
    /// a URL and only then. `http://` is for loopback addresses only.
    pub jwks_ca: Option<Placed<PathBuf>>,
}

/// Where the gateway's public keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwksSource {
    /// A file, read again when it changes.
    File(PathBuf),
    /// The gateway's admin address: `http://127.0.0.1:9443/.well-known/jwks.json`.
    Url(String),
}

/// `[feed]`.
#[derive(Clone, Debug)]
pub struct FeedConfig {
    /// `key_file`: the P-256 private key that signs messages, PKCS#8 or SEC 1 PEM; mode 0600. All nodes have the same.
    pub key: Placed<PathBuf>,
    /// `heartbeat`: a message is sent so often even when nothing changed.
    pub heartbeat: Duration,
    /// `wait`: how long an answer waits for the gateways that are connected.
    pub wait: Duration,
    /// `forget_after`: a gateway that was not seen for so long is not counted any more.
    pub forget_after: Duration,
}

/// `[credentials]`.
#[derive(Clone, Debug)]
pub enum CredentialsConfig {
    /// `kind = "built-in"`.
    BuiltIn,
    /// `kind = "delegated"`.
    Delegated {
        /// `url`: asked by POST.
        url: String,
        /// `timeout`.
        timeout: Duration,
        /// `authorization_file`: sent as the Authorization header; mode 0600.
        authorization: Option<Placed<PathBuf>>,
        /// `ca`: PEM of the CAs that its server certificate may be of; absent only for `http://` on loopback.
        ca: Option<Placed<PathBuf>>,
    },
}

/// `[mail]`.
#[derive(Clone, Debug)]
pub struct MailConfig {
    /// `host` of the SMTP server.
    pub host: String,
    /// `port`.
    pub port: u16,
    /// `tls`.
    pub tls: MailTls,
    /// `ca`: PEM of the CAs that the server's certificate may be of; absent: the usual public ones.
    pub ca: Option<Placed<PathBuf>>,
    /// `user` and `password_file`.
    pub login: Option<(String, Placed<PathBuf>)>,
    /// `from`.
    pub from: String,
    /// `portal_url`: where users acquire, renew and ask; in every mail.
    pub portal_url: String,
    /// `attempts` before a notice is given up.
    pub attempts: u32,
    /// `retry`: the wait after the first attempt; it doubles up to an hour.
    pub retry: Duration,
}

/// How mail is protected on its way to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// `required`: STARTTLS or nothing is sent.
    StartTls,
    /// `implicit`: TLS from the first octet (RFC 8314).
    Implicit,
    /// `none`: only to a loopback address.
    None,
}

/// `[limits]`.
#[derive(Clone, Debug)]
pub struct IssuerLimits {
    /// `body`: octets of an API request.
    pub body: usize,
    /// `request_timeout`.
    pub request_timeout: Duration,
    /// `requests_per_second` of one caller; a user is one caller, a service another.
    pub requests_per_second: u32,
    /// `burst` of one caller.
    pub burst: u32,
    /// `public_requests_per_second` of one address, at lists and OCSP.
    pub public_requests_per_second: u32,
    /// `connections` to each address.
    pub connections: usize,
    /// `password_checks`: Argon2 computations at a time; each takes `password_memory`.
    pub password_checks: usize,
    /// `password_memory`: octets of a computation.
    pub password_memory: usize,
    /// `password_passes` over it.
    pub password_passes: u32,
}

/// Not its password.
impl std::fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(_) => f.write_str("postgres://…"),
        }
    }
}
