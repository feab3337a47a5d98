//! A CA's configured responder, and when it is asked again.

use aws_lc_rs::rand;
use sekisho_config::{OcspNonce, OcspSource};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_pki::ocsp::{Answer, CertificateStatus, IssuerId};
use sekisho_pki::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// How long an answer `unknown` holds at most: of a certificate made this minute, a responder may know in the next.
const UNKNOWN_HOLDS_SECONDS: i64 = 30;

/// The longest time between two tries at a responder that does not answer.
const MAX_BACK_OFF_SECONDS: i64 = 60;

/// Whom to ask about the certificates of one CA.
#[derive(Debug)]
pub struct Responder {
    /// The configured name of the CA.
    pub ca: Arc<str>,
    /// The CA's certificate, whose key the answers rest on.
    pub certificate: Certificate,
    /// What the CA is called in a question.
    pub issuer: IssuerId,
    /// `url`.
    pub url: String,
    /// `timeout`.
    pub timeout: Duration,
    /// `refresh`.
    pub refresh: Duration,
    /// `nonce`.
    pub nonce: OcspNonce,
}

impl Responder {
    /// Of a CA, as configured.
    ///
    /// # Errors
    /// In words, when the CA's key cannot be read.
    pub(crate) fn new(ca: &Arc<str>, certificate: &Certificate, source: &OcspSource) -> Result<Self, String> {
        Ok(Self {
            ca: Arc::clone(ca),
            certificate: certificate.clone(),
            issuer: IssuerId::of(certificate).map_err(|error| error.to_string())?,
            url: source.url.value.clone(),
            timeout: source.timeout,
            refresh: source.refresh,
            nonce: source.nonce,
        })
    }

    /// The CA's name and key.
    pub fn authority(&self) -> AuthorityKey {
        self.certificate.authority_key()
    }

    /// Until when an answer that arrived at `now` is relied on.
    pub(super) fn holds_until(answer: &Answer, now: Timestamp) -> Timestamp {
        match answer.status {
            CertificateStatus::Unknown => answer.fresh_until.min(now.plus_seconds(UNKNOWN_HOLDS_SECONDS)),
            CertificateStatus::Good | CertificateStatus::Revoked { .. } => answer.fresh_until,
        }
    }

    /// When an answer that arrived at `now` and holds until `until` is to be asked for anew: after `refresh`, or early
    /// enough for a try to fail and another to be made before it is over; up to a tenth earlier, so that clients that
    /// came at once are not asked about at once for ever.
    pub(super) fn refresh_at(&self, until: Timestamp, now: Timestamp) -> Timestamp {
        let lifetime = until.unix().saturating_sub(now.unix());
        let two_tries = seconds(self.timeout).saturating_add(1).saturating_mul(2);
        let ahead = (lifetime / 4).max(two_tries).min(lifetime / 2);
        let wait = seconds(self.refresh).min(lifetime.saturating_sub(ahead)).max(1);
        now.plus_seconds(wait - jitter(wait / 10))
    }
}

/// Whom not to ask for a while. A clock that is set back ends it: else it would last as long as the step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause {
    from: Timestamp,
    until: Timestamp,
}

impl Pause {
    pub(super) const fn until(until: Timestamp, from: Timestamp) -> Self {
        Self { from, until }
    }

    /// After so many failures in a row: 1, 2, 4 … seconds, up to a minute, up to half of it longer. The clock's second
    /// may be about to end: one more, so that the first lasts one.
    pub(super) fn after(failures: u32, now: Timestamp) -> Self {
        let wait = 1_i64.checked_shl(failures.saturating_sub(1).min(6)).unwrap_or(1).min(MAX_BACK_OFF_SECONDS);
        Self::until(now.plus_seconds(1 + wait + jitter(wait / 2)), now)
    }

    pub(super) const fn ends_at(self) -> Timestamp {
        self.until
    }

    pub(super) fn lasts(self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}

/// A random number from 0 to `most`; 0 when there is no randomness to be had.
fn jitter(most: i64) -> i64 {
    let mut random = [0; 4];
    match rand::fill(&mut random) {
        Ok(()) => i64::from(u32::from_be_bytes(random)).checked_rem(most.saturating_add(1)).unwrap_or(0),
        Err(_) => 0,
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
