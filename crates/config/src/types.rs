//! The configuration as types that cannot be wrong: what [`super::load`] makes of a TOML file.
//!
//! Paths are absolute or already joined to the configuration file's folder. Nothing here has been read from those
//! paths yet: that is `trust`'s and `gateway`'s work, whose errors name the [`Place`] a path came from.

use super::guidance::{Contact, Guidance};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where a value stands in the configuration file, for error messages: `sekisho.toml:12: ca[1].certificate`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Place {
    /// The configuration file.
    pub file: Arc<str>,
    /// The line, counted from 1.
    pub line: usize,
    /// The key's full path, `site[0].route[2].pool`.
    pub key: String,
}

/// `sekisho.toml:12: ca[1].certificate`, without the parts that are unknown (line 0, no key).
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        Ok(())
    }
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub place: Place,
}

/// The whole configuration of a gateway.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[gateway]`: addresses, threads, files shared by all sites.
    pub gateway: Gateway,
    /// `[gateway.limits]`.
    pub limits: Limits,
    /// `[gateway.tickets]`.
    pub tickets: Tickets,
    /// `[gateway.headers]`.
    pub headers: HeaderNames,
    /// `[gateway.assertion]`; absent when no signed assertion is wanted.
    pub assertion: Option<Assertion>,
    /// `[gateway.feed]`; absent when no issuer is followed.
    pub feed: Option<Feed>,
    /// `[gateway.fetch]`.
    pub fetch: Fetch,
    /// `[[ca]]`, every name once; `issued_by` always names another one and never makes a circle.
    pub cas: Vec<Ca>,
    /// `[[pool]]`, every name once.
    pub pools: Vec<Pool>,
    /// `[[site]]`, every server name once; at least one.
    pub sites: Vec<Site>,
}

/// `[gateway]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// `listen`: addresses for TLS. Port 0 takes a free one (tests), told in the log.
    pub listen: Vec<SocketAddr>,
    /// `admin`: address for `/metrics`, `/livez`, `/readyz`, `/.well-known/jwks.json`. Loopback unless meant otherwise.
    pub admin: SocketAddr,
    /// `threads`: worker threads; 0 in the file means one a core.
    pub threads: usize,
    /// `drain_timeout`: how long a stopping gateway lets requests finish.
    pub drain_timeout: Duration,
    /// `watch_files`: reload by itself when a named file changes.
    pub watch_files: bool,
    /// `access_log`: where access and authentication records go.
    pub access_log: LogTarget,
    /// `state_folder`: what must outlive a restart: fetched lists, what the feed told, the block list. Absent only
    /// where no source needs it.
    pub state_folder: Option<Placed<PathBuf>>,
    /// `admin_token_file`: who may change the block list at `admin` shows its content; absent: nobody may.
    pub admin_token_file: Option<Placed<PathBuf>>,
    /// `admin_token_from`: over which connections the token is taken.
    pub admin_token_from: TokenFrom,
    /// `[gateway.contact]`: whom a refused client may call.
    pub contact: Option<Contact>,
    /// `not_ready_when`: what makes `/readyz` answer 503 beside a CA without valid revocation data.
    pub not_ready_when: Vec<NotReadyWhen>,
}

/// Conditions under which a gateway that serves by what was accepted before is not ready (requirement R7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReadyWhen {
    /// `"reload-refused"`: the files have an error since the last accepted reload.
    ReloadRefused,
    /// `"crl-not-in-force"`: a CRL was refused or could not be read, and may be newer than the one in force.
    CrlNotInForce,
}

impl NotReadyWhen {
    /// Each, with its word in the configuration.
    pub const ALL: [(&'static str, Self); 2] =
        [("reload-refused", Self::ReloadRefused), ("crl-not-in-force", Self::CrlNotInForce)];
}

/// From where the admin token is taken: `admin` speaks no TLS, so that whoever sees the connection sees the token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenFrom {
    /// `"loopback"`: from this machine only. The default.
    #[default]
    Loopback,
    /// `"anywhere"`: the network to `admin` is protected by other means.
    Anywhere,
}

/// `[gateway.feed]`: the issuer's feed of revocations (requirement R6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// `urls`: the API of each issuer node, `https://…`; any of them serves, the first that answers is used.
    pub urls: Vec<Placed<String>>,
    /// `ca`: PEM of the CAs that the issuers' server certificates may be of.
    pub ca: Placed<PathBuf>,
    /// `certificate`: PEM chain that this gateway shows; it is a `[[service]]` of the issuer with the right `feed`.
    pub certificate: Placed<PathBuf>,
    /// `key` of it, PEM.
    pub key: Placed<PathBuf>,
    /// `public_key_files`: P-256 public keys (PEM) whose signature on a message is believed; two while the key changes.
    pub public_keys: Vec<Placed<PathBuf>>,
    /// `lost_after`: so long without a message, the lists of the CAs that follow the feed count as stale.
    pub lost_after: Duration,
}

/// `[gateway.fetch]`: bounds of what is fetched over the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// `timeout` of one fetch in all.
    pub timeout: Duration,
    /// `list_bytes`: octets of one list.
    pub list_bytes: u64,
    /// `interval`: how often a list is asked for where nothing says when the next one comes, and at the latest.
    pub interval: Duration,
    /// `ca`: PEM of the CAs that servers of `https://` URLs may be of. Without it no such URL is fetched.
    pub ca: Option<Placed<PathBuf>>,
}

/// Where JSON records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// Appended to a file; re-opened on SIGHUP.
    File(PathBuf),
    /// Nowhere.
    Off,
}

/// `[gateway.limits]`: every peer-driven loop or allocation has one (invariant 8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `handshake_timeout`, from accept to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// `connections`: in all.
    pub connections: usize,
    /// `connections_per_address`.
    pub connections_per_address: usize,
    /// `new_connections_per_second_per_address`; 0 is no limit.
    pub new_connections_per_second_per_address: u32,
    /// `request_header_bytes`: request line and header fields.
    pub request_header_bytes: usize,
    /// `request_body_bytes`.
    pub request_body_bytes: u64,
    /// `header_timeout`: from the first octet of a request to the end of its header.
    pub header_timeout: Duration,
    /// `idle_timeout`: keep-alive connections between requests, and HTTP/2 connections without streams.
    pub idle_timeout: Duration,
    /// `body_idle_timeout`: between two reads of a request body or writes of a response body.
    pub body_idle_timeout: Duration,
    /// `request_timeout`: a whole request but for upgraded connections; zero is none.
    pub request_timeout: Duration,
    /// `requests_per_connection`.
    pub requests_per_connection: u32,
    /// `requests_in_flight_per_address`: from one client address, or IPv6 /64.
    pub requests_in_flight_per_address: usize,
    /// `requests_in_flight_per_certificate`; all clients of an address without a certificate count as one.
    pub requests_in_flight_per_certificate: usize,
    /// `connections_opening_per_connection`: to upstreams, for one client's connection.
    pub connections_opening_per_connection: usize,
    /// `body_bytes_in_flight`: pieces of bodies, of requests and answers, held at once in all.
    pub body_bytes_in_flight: u64,
    /// `slow_body_bytes_per_second`: the least a client may send or take; 0 is no least.
    pub slow_body_bytes_per_second: u64,
    /// `http2_concurrent_streams`.
    pub http2_concurrent_streams: u32,
    /// `http2_resets`: streams a client may reset in `http2_reset_window` before the connection is closed
    /// (rapid reset, CVE-2023-44487).
    pub http2_resets: u32,
    /// `http2_reset_window`: the time in which `http2_resets` are counted.
    pub http2_reset_window: Duration,
    /// `chain_certificates`: certificates a client may present.
    pub chain_certificates: usize,
    /// `chain_bytes`: their DER, together.
    pub chain_bytes: usize,
}

/// `[gateway.tickets]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tickets {
    /// `secret_file`: 32 or more octets shared by all gateways; absent: random at start.
    pub secret_file: Option<Placed<PathBuf>>,
    /// `lifetime`: how long a session can be resumed at most.
    pub lifetime: Duration,
}

/// `[gateway.headers]`: names of the headers to the upstream, lower case; an empty string in the file turns one off.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the header that carries what it is named for; config/sekisho.toml says it")]
pub struct HeaderNames {
    pub contract_id: Option<http::HeaderName>,
    pub user_id: Option<http::HeaderName>,
    pub common_name: Option<http::HeaderName>,
    pub serial: Option<http::HeaderName>,
    pub issuer: Option<http::HeaderName>,
    /// The configured name of the CA that issued the certificate: two CAs may have one name in their certificates.
    pub ca: Option<http::HeaderName>,
    pub not_before: Option<http::HeaderName>,
    pub not_after: Option<http::HeaderName>,
    pub days_left: Option<http::HeaderName>,
    pub fingerprint: Option<http::HeaderName>,
    pub verification: Option<http::HeaderName>,
    pub resumed: Option<http::HeaderName>,
    pub authenticated_at: Option<http::HeaderName>,
    /// RFC 9440 `client-cert`; on by default.
    pub client_cert: Option<http::HeaderName>,
    /// RFC 9440 `client-cert-chain`; off by default.
    pub client_cert_chain: Option<http::HeaderName>,
    /// Signed assertion, when `[gateway.assertion]` is there.
    pub assertion: Option<http::HeaderName>,
    /// The draining CA, of a client whose CA or one above it is draining.
    pub ca_draining: Option<http::HeaderName>,
    /// Reference number of the request, also in the log.
    pub request_id: Option<http::HeaderName>,
    /// `strip`: further names to remove from every request.
    pub strip: Vec<http::HeaderName>,
}

/// `[gateway.assertion]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// `key_file`: an ES256 (P-256) private key, PKCS#8 or SEC 1 PEM.
    pub key_file: Placed<PathBuf>,
    /// `previous_key_files`: public or private keys still published in the JWKS.
    pub previous_key_files: Vec<Placed<PathBuf>>,
    /// `issuer`: the `iss` claim.
    pub issuer: String,
    /// `lifetime`: `exp` - `iat`.
    pub lifetime: Duration,
}

/// `[[ca]]`: one certification authority certificate, root or issuing.
#[derive(Clone, Debug)]
pub struct Ca {
    /// `name`, for sites, logs and metrics.
    pub name: Arc<str>,
    /// Where the table begins.
    pub place: Place,
    /// `certificate`: one PEM certificate.
    pub certificate: Placed<PathBuf>,
    /// `issued_by`: the name of the CA above; absent on a trust anchor.
    pub issued_by: Option<Arc<str>>,
    /// `state`.
    pub state: CaState,
    /// `revocation`.
    pub revocation: RevocationSource,
    /// `anchor_expiry = "ignore"` lets an expired trust anchor serve on; `Check` is the default.
    pub anchor_expiry: AnchorExpiry,
    /// `identity`: pattern for the CN of certificates this CA issues, matched whole, with named captures.
    /// Absent: the pattern of the CA above; a CA that issues leaves must have one from somewhere.
    pub identity: Option<Placed<regex::Regex>>,
    /// `contracts`: which contracts this CA may speak for; absent: any.
    pub contracts: Option<Vec<ContractRange>>,
    /// `portal_url` and `advice`: what its clients are told when they are refused.
    pub guidance: Guidance,
}

/// Where CRLs may be fetched from that certificates name: a certificate must not make the gateway talk to anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointPlace {
    /// A name in lower case, or an address without brackets.
    pub host: String,
    /// Its port.
    pub port: PointPort,
    /// The path itself or a folder above it, without a slash at the end; empty: any.
    pub path: String,
}

/// The ports of a [`PointPlace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointPort {
    /// None is written: that of the URL's scheme.
    Default,
    /// `:8080`.
    Only(u16),
    /// `:*`.
    Any,
}

impl fmt::Display for PointPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?
        } else {
            f.write_str(&self.host)?
        }
        match self.port {
            PointPort::Default => {}
            PointPort::Only(port) => write!(f, ":{port}")?,
            PointPort::Any => f.write_str(":*")?,
        }
        f.write_str(&self.path)
    }
}

/// How the certificates of a CA are known to be revoked (requirement R1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationSource {
    /// `revocation = "none"`, in so many words.
    None,
    /// `revocation = { … }`: at least one source.
    From(RevocationSources),
}

/// The sources of one CA, all of which may revoke.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevocationSources {
    /// `crl`: PEM or DER files, or folders of them.
    pub files: Vec<Placed<PathBuf>>,
    /// `crl_urls`: `http://` or `https://`; each list is kept in `gateway.state_folder`.
    pub urls: Vec<Placed<String>>,
    /// `distribution_points`: where CRLs may be fetched from that certificates name themselves (RFC 5280 section
    /// 4.2.1.13).
    pub points: Vec<Placed<PointPlace>>,
    /// `ocsp`: client certificates are asked for at a responder (RFC 6960).
    pub ocsp: Option<Box<OcspSource>>,
    /// `feed = true`: the issuer's feed of `[gateway.feed]` tells of this CA's certificates.
    pub feed: Followed,
    /// `when_stale`.
    pub when_stale: WhenStale,
    /// `without_number = "accept"`: lists without CRLNumber, ordered by thisUpdate alone.
    pub without_number: WithoutNumber,
    /// `without_next_update = "24h"`: lists without nextUpdate, stale so long after their thisUpdate.
    pub without_next_update: Option<Duration>,
}

/// `ocsp = { url = "http://…", timeout = "2s", … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcspSource {
    /// `url` of the responder.
    pub url: Placed<String>,
    /// `timeout`: how long a client's first request waits for the answer.
    pub timeout: Duration,
    /// `refresh`: how often at least a connected client's certificate is asked about anew.
    pub refresh: Duration,
    /// `nonce`.
    pub nonce: OcspNonce,
}

/// Whether an answer has to be made for the question (RFC 9654).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OcspNonce {
    /// `"required"`: an answer without the nonce is refused. Not for responders that sign ahead (RFC 5019).
    Required,
    /// `"sent"`: an answer with another nonce is refused, one without is taken. The default.
    #[default]
    Sent,
    /// `"off"`: none is sent.
    Off,
}

/// Whether a CA's certificates are on the issuer's feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Followed {
    /// No. The default.
    #[default]
    No,
    /// Yes.
    Yes,
}

/// What becomes of a list without CRLNumber (RFC 5280 section 5.2.3 requires it).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WithoutNumber {
    /// It is refused. The default.
    #[default]
    Refuse,
    /// It is ordered by thisUpdate alone, which some real CAs leave no other way to do.
    Accept,
}

/// Freshness policy when a list's nextUpdate has passed, or the feed was not heard of for too long (requirement R4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum WhenStale {
    /// `"closed"`: refuse. The default.
    #[default]
    Closed,
    /// `{ grace = "6h" }`: accept for that long, warned and counted, then refuse.
    Grace(Duration),
    /// `"open"`: go on with the old list, warned and counted. A list that is missing still refuses.
    Open,
    /// `"report-only"`: whatever cannot be told, a missing list too, is warned and counted and refuses nobody; what a
    /// list does revoke is still refused.
    ReportOnly,
}

/// Where a CA is in its rotation (requirement G11). One that is gone is not configured any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CaState {
    /// `"active"`. The default.
    #[default]
    Active,
    /// `"draining"`: accepted, and warned and counted, until its last clients have certificates of another.
    Draining,
}

/// Whether a trust anchor's own validity period counts (requirement G3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AnchorExpiry {
    /// An expired anchor validates nothing.
    #[default]
    Check,
    /// The anchor is a name and a key; RFC 5280 section 6.1.1 (d).
    Ignore,
}

/// An inclusive range of contract IDs, compared as text of equal length: `"00000000001-00000999999"`, or one ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractRange {
    /// First contract ID.
    pub first: String,
    /// Last contract ID, of the same length.
    pub last: String,
}

/// `[[site]]`.
#[derive(Clone, Debug)]
pub struct Site {
    /// `name`, for logs and metrics; the first server name if not given.
    pub name: Arc<str>,
    /// Where the table begins.
    pub place: Place,
    /// `server_names`: SNI and Host values, lower case, without trailing dot; `*.example.jp` allowed as the whole first label.
    pub server_names: Vec<String>,
    /// `default = true`: the site of a ClientHello without SNI; at most one. Without one, such a handshake is refused.
    pub default: bool,
    /// `certificate`: PEM chain, leaf first.
    pub certificate: Placed<PathBuf>,
    /// `key`: its PEM private key.
    pub key: Placed<PathBuf>,
    /// `client_auth`.
    pub client_auth: ClientAuth,
    /// `ca`: names of the CAs whose clients may enter (a root lets in every issuing CA below it).
    pub cas: Vec<Arc<str>>,
    /// `refusal`.
    pub refusal: RefusalStyle,
    /// `portal_url`: where the refusal page sends the client.
    pub portal_url: Option<String>,
    /// `[site.contact]`, in the place of the gateway's.
    pub contact: Option<Contact>,
    /// `[[site.route]]`, tried longest path prefix first.
    pub routes: Vec<Route>,
}

/// Client-auth mode of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// `"required"`: the default.
    Required,
    /// `"optional"`: without a certificate the request goes on unauthenticated, with a bad one it does not.
    Optional,
    /// `"none"`: no certificate is asked for.
    None,
}

/// How a site says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RefusalStyle {
    /// `"alert"`: the TLS alert that is true. The default.
    #[default]
    Alert,
    /// `"page"`: the handshake completes and the client gets 403 with a page.
    Page,
}

/// `[[site.route]]`.
#[derive(Clone, Debug)]
pub struct Route {
    /// Where the table begins.
    pub place: Place,
    /// `path`: prefix, matched on whole segments (`/a` matches `/a` and `/a/b`, not `/ab`).
    pub path: String,
    /// `methods`: upper case; empty: any.
    pub methods: Vec<http::Method>,
    /// `pool`: name of the upstream pool.
    pub pool: Arc<str>,
    /// `require`: what the identity must or must not have.
    pub require: Vec<Requirement>,
    /// `timeout`: until the response header; overrides the pool's `read_timeout`.
    pub timeout: Option<Duration>,
    /// `finish`: how long an answer may take whose client's own certificate is revoked while it is under way; absent: it
    /// is cut.
    pub finish: Option<Duration>,
}

/// One term of a route's `require` list (SHK: a user login refuses a certificate without a user ID, an administrator login one with).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// `"certificate"`: a verified client, also on a site with `client_auth = "optional"`.
    Certificate,
    /// `"user_id"`: the named capture is there and not empty.
    Has(String),
    /// `"!user_id"`: it is not there or empty.
    HasNot(String),
}

/// `[[pool]]`.
#[derive(Clone, Debug)]
pub struct Pool {
    /// `name`.
    pub name: Arc<str>,
    /// Where the table begins.
    pub place: Place,
    /// `peers`: at least one.
    pub peers: Vec<Peer>,
    /// `balance`.
    pub balance: Balance,
    /// `tls`; absent: plain text.
    pub tls: Option<UpstreamTls>,
    /// `http = "1.1" | "2"`: `"2"` needs `tls`.
    pub http2: bool,
    /// `health_check`; absent: every peer counts as healthy.
    pub health_check: Option<HealthCheck>,
    /// `connect_timeout`.
    pub connect_timeout: Duration,
    /// `read_timeout`: between two reads from the upstream.
    pub read_timeout: Duration,
    /// `write_timeout`.
    pub write_timeout: Duration,
    /// `idle_timeout`: of a pooled upstream connection.
    pub idle_timeout: Duration,
    /// `share_connections`: whether a client's request may go over an upstream connection that another client's went over.
    pub share_connections: bool,
    /// `retries`: further tries of a safe request (RFC 9110 section 9.2.1) on another peer.
    pub retries: usize,
    /// `requests_in_flight`: of all clients.
    pub requests_in_flight: usize,
    /// `requests_in_flight_per_peer`.
    pub requests_in_flight_per_peer: usize,
    /// `connections_opening_per_peer`.
    pub connections_opening_per_peer: usize,
}

/// One upstream peer: `"10.0.0.1:8080"`, `{ address = …, weight = 2 }` or `"unix:/run/ib.sock"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where to connect.
    pub address: PeerAddress,
    /// Share of the load, 1 to 1000.
    pub weight: usize,
}

/// Address of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerAddress {
    /// An IP address and port; names are not resolved, so that no resolver is trusted.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// How a pool chooses among its healthy peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Balance {
    /// `"round-robin"`: the default.
    #[default]
    RoundRobin,
    /// `"least-connections"`.
    LeastConnections,
    /// `"consistent-hash"`: on the contract ID; a request without one goes by client address.
    ConsistentHash,
}

/// `tls = { … }` of a pool.
#[derive(Clone, Debug)]
pub struct UpstreamTls {
    /// `server_name`: SNI, and the name the certificate must have.
    pub server_name: String,
    /// `ca`: PEM file of trust anchors; system roots are never used.
    pub ca: Placed<PathBuf>,
    /// `certificate` and `key`: for mutual TLS.
    pub client: Option<(Placed<PathBuf>, Placed<PathBuf>)>,
}

/// `health_check = { … }` of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// `path`: GET it and expect 200; absent: a TCP (or TLS) connection is enough.
    pub path: Option<String>,
    /// `interval`.
    pub interval: Duration,
    /// `timeout`.
    pub timeout: Duration,
    /// `failures`: in a row until a peer is out.
    pub failures: usize,
    /// `successes`: in a row until it is in again.
    pub successes: usize,
}

/// One error of a configuration or of a file it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where.
    pub place: Place,
    /// What is wrong and what would be right.
    pub message: String,
}

/// `sekisho.toml:12: ca[1].certificate: what is wrong`, on one line.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl std::error::Error for ConfigError {}
