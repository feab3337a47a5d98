//! Every default of the issuer's, once. `config/issuer.toml` states the same values and argues each; a test keeps the
//! two equal.

use super::types::IssuerLimits;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// `issuer.admin`: loopback, because metrics tell of customers; beside the gateway's 9443.
pub const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9444);
/// `issuer.drain_timeout`: an act is one transaction and one signature; 10 s are a very slow disk.
pub const DRAIN_TIMEOUT: Duration = seconds(10);

/// `store.url`.
pub const STORE_URL: &str = "sqlite:issuer.db";
/// `store.connections`: reads take a millisecond; eight at once are more than two cores can compute.
pub const STORE_CONNECTIONS: u32 = 8;
/// `store.waiting`: at 2,000 acts a second half a second's worth; who comes later is told to come again.
pub const STORE_WAITING: usize = 1_024;
/// `store.together`: one flush of the disk for so many acts; more would make the first of them wait for the last.
pub const STORE_TOGETHER: usize = 128;

/// `authority.parts`: one list is right to about a hundred thousand revoked certificates (4 MB).
pub const PARTS: NonZeroU16 = NonZeroU16::MIN;
/// `authority.crl_lifetime`: an issuer that stops on Friday night is missed on Monday, not by every gateway before.
pub const CRL_LIFETIME: Duration = seconds(72 * 3_600);
/// `authority.crl_interval`: a list that is not fetched anew for an hour is a sign, long before its end.
pub const CRL_INTERVAL: Duration = seconds(3_600);
/// `authority.ocsp_lifetime`: how long a client may believe an answer without asking again.
pub const OCSP_LIFETIME: Duration = seconds(3_600);
/// `authority.ocsp_nonces`: each nonce costs a signature, and an answer that is kept serves while the store is down.
pub const OCSP_NONCES: bool = false;

/// `gateway.header`: the gateway's own default.
pub const ASSERTION_HEADER: &str = "x-sekisho-assertion";
/// `gateway.user_header`.
pub const USER_ASSERTION_HEADER: &str = "x-sekisho-user-assertion";

/// `feed.heartbeat`: gateways notice within a few of them that the feed is lost; each is a signature for all of them.
pub const FEED_HEARTBEAT: Duration = seconds(2);
/// `feed.wait`: fifty times what gateways need; who revokes at a screen does not notice it.
pub const FEED_WAIT: Duration = Duration::from_millis(500);
/// `feed.forget_after`: a gateway that is switched off for a night's work is still missed.
pub const FEED_FORGET_AFTER: Duration = seconds(24 * 3_600);

/// `credentials.timeout`: a login screen answers within it; longer would hold every user up when the IB system is down.
pub const CREDENTIALS_TIMEOUT: Duration = seconds(3);

/// `mail.port` with `tls = "required"`: submission (RFC 6409).
pub const MAIL_PORT_START_TLS: u16 = 587;
/// `mail.port` with `tls = "implicit"` (RFC 8314).
pub const MAIL_PORT_IMPLICIT: u16 = 465;
/// `mail.port` with `tls = "none"`.
pub const MAIL_PORT_NONE: u16 = 25;
/// `mail.attempts`: with the waits of `retry` four days, what RFC 5321 section 4.5.4.1 asks for.
pub const MAIL_ATTEMPTS: u32 = 100;
/// `mail.retry`: greylisting lets a second attempt in after a minute.
pub const MAIL_RETRY: Duration = seconds(60);

impl Default for IssuerLimits {
    fn default() -> Self {
        Self {
            // A request with an RSA-4096 PKCS#10 is under 4 KiB.
            body: 64 * 1_024,
            // A store that does not answer for so long is down; the caller's own limit is usually 60 s.
            request_timeout: seconds(30),
            // A service acts for every user of the bank; the morning's peak of one is some tens.
            requests_per_second: 100,
            burst: 200,
            // Gateways behind one address fetch a list a minute each; OCSP clients cache.
            public_requests_per_second: 100,
            connections: 1_024,
            // 76 MiB, and two cores are busy with it.
            password_checks: 4,
            password_memory: 19 << 20,
            password_passes: 2,
        }
    }
}
