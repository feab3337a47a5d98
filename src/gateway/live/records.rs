//! What the logs say: one access record for each request, one authentication record for each handshake.

use crate::gateway::live::connection::{Connection, Cut};
use crate::gateway::metrics::{HandshakeOutcome, HandshakeReason};
use crate::gateway::tls::handshake::{Client, Failure, FailureCause, PendingClient};
use crate::gateway::verify::{Refusal, Unenforced, VerifiedClient};
use sekisho_pki::time::Timestamp;
use sekisho_runtime::telemetry::log::{Record, Weight};
use serde::Serialize;
use std::net::SocketAddr;
use std::time::Duration;

/// One handshake, successful or not.
#[derive(Debug, Serialize)]
pub(in crate::gateway) struct AuthenticationRecord<'a> {
    kind: &'static str,
    time: Timestamp,
    /// `accepted`, `anonymous`, `pending`, `refused` or `failed`. After `pending` comes a second record, when the status
    /// that the client's first request waits for was told.
    pub(in crate::gateway) outcome: HandshakeOutcome,
    /// The refusal's stable name, `no-site`, `timeout` or `tls`; empty when accepted.
    pub(in crate::gateway) reason: HandshakeReason,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<String>,
    client: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<u64>,
    site: &'a str,
    server_name: Option<&'a str>,
    resumed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<TlsRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<CertificateRecord>,
    /// Accepted by a policy for what cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    unenforced: Option<UnenforcedRecord>,
    /// The draining CA that an accepted certificate hangs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    draining_ca: Option<String>,
    microseconds: u128,
}

/// What a client would have been refused for under `when_stale = "closed"`.
#[derive(Debug, Serialize)]
struct UnenforcedRecord {
    ca: String,
    reason: &'static str,
    evidence: String,
}

#[derive(Debug, Serialize)]
struct TlsRecord {
    version: &'static str,
    /// Of a handshake that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    cipher: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_exchange: Option<&'static str>,
}

/// What is known of a leaf; of a refused one it is unproven.
#[derive(Debug, Default, Serialize)]
pub(in crate::gateway) struct CertificateRecord {
    subject: String,
    issuer: String,
    serial: String,
    fingerprint: String,
    not_after: Option<Timestamp>,
    crl_number: Option<String>,
    /// The configured name of the CA that issued it, once that is proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contract_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
}

/// What a finished handshake came to, in words for records and metrics.
#[derive(Clone, Copy, Debug)]
pub(in crate::gateway) struct Outcome<'a> {
    pub(in crate::gateway) name: HandshakeOutcome,
    pub(in crate::gateway) reason: HandshakeReason,
    evidence: Option<&'a str>,
}

impl<'a> Outcome<'a> {
    pub(in crate::gateway) fn of(client: &'a Client) -> Self {
        let refused = |refusal: &'a Refusal| Self {
            name: HandshakeOutcome::Refused,
            reason: HandshakeReason::Certificate(refusal.reason),
            evidence: Some(&refusal.evidence),
        };
        match client {
            Client::Verified(_) => {
                Self { name: HandshakeOutcome::Accepted, reason: HandshakeReason::None, evidence: None }
            }
            Client::Anonymous => {
                Self { name: HandshakeOutcome::Anonymous, reason: HandshakeReason::None, evidence: None }
            }
            Client::Pending(PendingClient { refusal, needs, .. }) if !needs.is_empty() => {
                Self { name: HandshakeOutcome::Pending, reason: HandshakeReason::None, ..refused(refusal) }
            }
            Client::Refused(refusal) | Client::Pending(PendingClient { refusal, .. }) => refused(refusal),
        }
    }
}

impl<'a> AuthenticationRecord<'a> {
    /// The record of a finished handshake.
    pub(in crate::gateway) fn finished(
        connection: &'a Connection,
        client: &Client,
        now: Timestamp,
        took: Duration,
    ) -> Self {
        let Outcome { name: outcome, reason, evidence } = Outcome::of(client);
        Self {
            kind: "authentication",
            time: now,
            outcome,
            reason,
            evidence: evidence.map(str::to_owned),
            client: connection.peer,
            connection: Some(connection.id),
            site: connection.site_name(),
            server_name: connection.server_name.as_deref(),
            resumed: connection.tls.resumed,
            tls: Some(TlsRecord {
                version: connection.tls.version,
                cipher: Some(connection.tls.cipher),
                key_exchange: Some(connection.tls.key_exchange),
            }),
            certificate: certificate_of(client),
            unenforced: unenforced(client).map(|unenforced| UnenforcedRecord {
                ca: unenforced.ca().to_string(),
                reason: unenforced.reason().as_str(),
                evidence: unenforced.to_string(),
            }),
            draining_ca: connection.last_known().draining.as_deref().map(str::to_owned),
            microseconds: took.as_micros(),
        }
    }

    /// The record of a failed one.
    pub(in crate::gateway) fn failed(failure: &'a Failure, client: SocketAddr, now: Timestamp, took: Duration) -> Self {
        let (outcome, reason, evidence, certificate) = match &failure.cause {
            FailureCause::Refused(refusal) => (
                HandshakeOutcome::Refused,
                HandshakeReason::Certificate(refusal.reason),
                refusal.evidence.clone(),
                certificate_in(refusal),
            ),
            FailureCause::NoSite => {
                (HandshakeOutcome::Refused, HandshakeReason::NoSite, "no site has this server name".to_owned(), None)
            }
            FailureCause::Tls(error) => (HandshakeOutcome::Failed, HandshakeReason::Tls, error.to_string(), None),
            FailureCause::Timeout => {
                (HandshakeOutcome::Failed, HandshakeReason::Timeout, "the handshake took too long".to_owned(), None)
            }
        };
        Self {
            kind: "authentication",
            time: now,
            outcome,
            reason,
            evidence: Some(evidence),
            client,
            connection: None,
            site: failure.site.as_ref().map_or("", |site| &*site.name),
            server_name: failure.server_name.as_deref(),
            resumed: false,
            tls: failure.tls_version.map(|version| TlsRecord { version, cipher: None, key_exchange: None }),
            certificate,
            unenforced: None,
            draining_ca: None,
            microseconds: took.as_micros(),
        }
    }
}

impl Record for AuthenticationRecord<'_> {
    fn weight(&self) -> Weight {
        if self.outcome == HandshakeOutcome::Accepted { Weight::Decision } else { Weight::Refusal }
    }
}

impl Record for AccessRecord<'_> {
    /// A client's own, unless it was refused as one that is none any more.
    fn weight(&self) -> Weight {
        if self.serial.is_some() { Weight::Access } else { Weight::Refusal }
    }
}

impl Record for CutRecord<'_> {
    fn weight(&self) -> Weight {
        Weight::Decision
    }
}

/// What a policy lets pass of a client.
pub(in crate::gateway) fn unenforced(client: &Client) -> Option<&Unenforced> {
    match client {
        Client::Verified(client) => client.unenforced(),
        Client::Anonymous | Client::Refused(_) | Client::Pending(_) => None,
    }
}

/// What a record says of a client's certificate.
pub(in crate::gateway) fn certificate_of(client: &Client) -> Option<CertificateRecord> {
    match client {
        Client::Anonymous => None,
        Client::Verified(client) => Some(verified(client)),
        Client::Refused(refusal) | Client::Pending(PendingClient { refusal, .. }) => certificate_in(refusal),
    }
}

fn verified(client: &VerifiedClient) -> CertificateRecord {
    let identity = client.identity();
    CertificateRecord {
        subject: client.subject().to_owned(),
        issuer: client.issuer().to_owned(),
        serial: client.serial().to_string(),
        fingerprint: client.fingerprint().to_string(),
        not_after: Some(client.not_after()),
        crl_number: client.crl_number().map(str::to_owned),
        ca: Some(client.ca().to_string()),
        contract_id: identity.contract_id().map(str::to_owned),
        user_id: identity.user_id().map(str::to_owned),
    }
}

fn certificate_in(refusal: &Refusal) -> Option<CertificateRecord> {
    let leaf = refusal.subject.clone()?;
    Some(CertificateRecord {
        subject: leaf.subject,
        issuer: leaf.issuer,
        serial: leaf.serial,
        fingerprint: leaf.fingerprint,
        not_after: leaf.not_after,
        crl_number: leaf.crl_number,
        ca: None,
        contract_id: None,
        user_id: None,
    })
}

/// One request.
#[derive(Debug, Serialize)]
pub(in crate::gateway) struct AccessRecord<'a> {
    pub(in crate::gateway) kind: &'static str,
    pub(in crate::gateway) time: Timestamp,
    pub(in crate::gateway) request_id: &'a str,
    pub(in crate::gateway) connection: u64,
    pub(in crate::gateway) client: SocketAddr,
    pub(in crate::gateway) site: &'a str,
    pub(in crate::gateway) host: &'a str,
    pub(in crate::gateway) protocol: &'static str,
    pub(in crate::gateway) method: &'a str,
    pub(in crate::gateway) path: &'a str,
    pub(in crate::gateway) status: u16,
    /// Why it was refused, if it was: a [`crate::gateway::verify::Reason`]'s name or that of the rule or limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gateway) refused: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gateway) evidence: Option<&'a str>,
    /// Served by a policy for what cannot be told: the reason it would have been refused for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gateway) unenforced: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gateway) error: Option<String>,
    pub(in crate::gateway) response_octets: usize,
    pub(in crate::gateway) microseconds: u128,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gateway) upstream: Option<String>,
    pub(in crate::gateway) resumed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gateway) contract_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gateway) user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gateway) serial: Option<String>,
    /// The draining CA that the client's certificate hangs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gateway) draining_ca: Option<&'a str>,
}

/// A connection cut because its client lost its right.
#[derive(Debug, Serialize)]
pub(in crate::gateway) struct CutRecord<'a> {
    kind: &'static str,
    time: Timestamp,
    connection: u64,
    client: SocketAddr,
    site: &'a str,
    reason: &'static str,
    evidence: &'a str,
    /// Requests that may still finish their answer: the client's own certificate was revoked while they were under way.
    finishing_requests: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<CertificateRecord>,
}

impl<'a> CutRecord<'a> {
    pub(in crate::gateway) fn new(connection: &'a Connection, cut: &'a Cut, now: Timestamp) -> Self {
        let Cut { refusal, finishing } = cut;
        Self {
            kind: "cut",
            time: now,
            connection: connection.id,
            client: connection.peer,
            site: connection.site_name(),
            reason: refusal.reason.as_str(),
            evidence: &refusal.evidence,
            finishing_requests: *finishing,
            certificate: certificate_in(refusal),
        }
    }
}
