//! One question to an OCSP responder over HTTP (RFC 6960 appendix A).

use super::shares::Shares;
use super::tls;
use crate::ocsp::{Blame, Responder};
use ::aws_lc_rs::rand;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use sekisho_config::{ConfigError, Fetch, OcspNonce};
use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_pki::ocsp::{self, Answer, NONCE_OCTETS, NonceEcho, OcspError, Question};
use sekisho_pki::serial::SerialNumber;
use sekisho_runtime::clock;
use sekisho_runtime::label;
use sekisho_runtime::telemetry::outbound::with_causes;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Octets of a response: one with an RSA-4096 signature and a responder's certificate has 4,000.
const MAX_RESPONSE_OCTETS: usize = 32 * 1024;

/// A connection that is kept for the next question. Below the minute of common servers, so that we close first.
const IDLE: Duration = Duration::from_secs(30);

/// Questions under way at once to one responder: each takes a file descriptor. One that is slow keeps no other's
/// questions waiting.
const MAX_AT_ONCE: usize = 128;

/// Asks responders; keeps connections to them.
#[derive(Debug)]
pub struct Asker {
    places: Shares<AuthorityKey>,
    plain: OnceLock<Result<Client, String>>,
    /// For `https://`, with the CAs in `[gateway.fetch]` and no other.
    encrypted: RwLock<Option<Client>>,
}

label! {
    /// The outcome of a request to an OCSP responder.
    pub enum OcspOutcome {
        /// The certificate is good.
        Good = "good",
        /// The certificate is revoked or on hold.
        Revoked = "revoked",
        /// The responder does not know the certificate.
        Unknown = "unknown",
        /// The responder answered with an error.
        Declined = "declined",
        /// The response is of a time in the future.
        FromTheFuture = "from-the-future",
        /// The HTTP status is not 200.
        HttpStatus = "http-status",
        /// The response cannot be read.
        Malformed = "malformed",
        /// The response lacks the nonce that is required.
        NoNonce = "no-nonce",
        /// No request was sent: the responder is down, or has too many requests.
        NotSent = "not-sent",
        /// The response is older than the one that is kept.
        NotNewer = "not-newer",
        /// The response has a critical extension that is not known.
        NotUnderstood = "not-understood",
        /// The response is about another certificate.
        OtherCertificate = "other-certificate",
        /// The response has expired.
        Stale = "stale",
        /// There is no response in time.
        Timeout = "timeout",
        /// The response is larger than the limit.
        TooLarge = "too-large",
        /// There is no connection, or it ended early.
        Unreachable = "unreachable",
        /// The response has another nonce.
        WrongNonce = "wrong-nonce",
        /// The signature is not valid.
        WrongSignature = "wrong-signature",
        /// The signer may not sign for the CA.
        WrongSigner = "wrong-signer",
    }
}

/// Why there is no answer that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskError {
    /// For metrics.
    pub outcome: OcspOutcome,
    /// Whose fault it is.
    pub blame: Blame,
    /// What happened, for the log.
    pub why: String,
}

/// A place among the questions to one responder that are under way at once.
#[derive(Debug)]
pub struct Place(OwnedSemaphorePermit);

impl Asker {
    /// A place for a question to this responder, within its `timeout`; none when as many as may be are under way for
    /// longer than that. Waiting for one is nothing that the responder can be blamed for.
    pub async fn place(&self, responder: &Responder) -> Option<Place> {
        let authority = responder.authority();
        tokio::time::timeout(responder.timeout, self.places.take(&authority)).await.ok()?.map(Place)
    }

    /// The responder's answer about the certificate of its CA with this serial number, checked.
    ///
    /// # Errors
    /// [`AskError`], within the responder's `timeout`.
    pub async fn ask(&self, place: Place, responder: &Responder, serial: &SerialNumber) -> Result<Answer, AskError> {
        let Place(_held) = place;
        let nonce = nonce(responder.nonce)?;
        let question = Question { issuer: &responder.issuer, serial, nonce: nonce.as_ref() };
        let exchange = self.exchange(responder, question.der());
        let response = tokio::time::timeout(responder.timeout, exchange).await.map_err(|_| timed_out())??;
        let answer = ocsp::verify(&response, &question, &responder.certificate, clock::now())?;
        match (responder.nonce, answer.nonce) {
            (OcspNonce::Required, NonceEcho::Absent) => Err(AskError::answer(
                OcspOutcome::NoNonce,
                "the answer does not repeat the question's nonce, as is required",
            )),
            _ => Ok(answer),
        }
    }

    async fn exchange(&self, responder: &Responder, question: Vec<u8>) -> Result<Vec<u8>, AskError> {
        let request = self
            .client(&responder.url)?
            .post(&responder.url)
            .header(CONTENT_TYPE, "application/ocsp-request")
            .header(ACCEPT, "application/ocsp-response")
            .body(question);
        let response = request.send().await.map_err(|error| AskError::of(&error))?;
        if response.status() != StatusCode::OK {
            return Err(AskError::responder(
                OcspOutcome::HttpStatus,
                format!("the responder's HTTP status is {}", response.status().as_u16()),
            ));
        }
        body(response).await
    }

    /// Believes servers at `https://` with a certificate of these CAs from now on, and no others.
    ///
    /// # Errors
    /// At `ca` in `[gateway.fetch]`, when it cannot be used; everything then goes on as before.
    pub fn trust_servers(&self, fetch: &Fetch) -> Result<(), ConfigError> {
        let of_error =
            |message| ConfigError { place: fetch.ca.as_ref().map(|ca| ca.place.clone()).unwrap_or_default(), message };
        let client = match &fetch.ca {
            Some(_) => {
                let tls = tls::client_config(fetch)?;
                let client = builder().https_only(true).tls_backend_preconfigured(tls).build();
                Some(client.map_err(|error| of_error(with_causes("no HTTP client", &error)))?)
            }
            None => None,
        };
        *self.encrypted.write().unwrap_or_else(PoisonError::into_inner) = client;
        Ok(())
    }

    fn client(&self, url: &str) -> Result<Client, AskError> {
        if url.starts_with("https:") {
            let client = self.encrypted.read().unwrap_or_else(PoisonError::into_inner).clone();
            return client.ok_or_else(|| {
                AskError::responder(OcspOutcome::Unreachable, "[gateway.fetch] names no ca for https://")
            });
        }
        let client = self.plain.get_or_init(without_tls);
        client.clone().map_err(|why| AskError::responder(OcspOutcome::Unreachable, why))
    }
}

impl Default for Asker {
    fn default() -> Self {
        Self { places: Shares::of(MAX_AT_ONCE), plain: OnceLock::new(), encrypted: RwLock::default() }
    }
}

/// No redirect: the operator named this address. No proxy: where the environment has one is not the gateway's to find.
fn builder() -> reqwest::ClientBuilder {
    // Where nothing else is set, reqwest takes the process's; a second installation changes nothing.
    let _ = aws_lc_rs::default_provider().install_default();
    Client::builder().redirect(Policy::none()).no_proxy().referer(false).pool_idle_timeout(IDLE)
}

/// Does not look for CAs, which a machine need not have.
fn without_tls() -> Result<Client, String> {
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    builder().tls_backend_preconfigured(tls).build().map_err(|error| error.to_string())
}

async fn body(mut response: Response) -> Result<Vec<u8>, AskError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| AskError::of(&error))? {
        if body.len() + chunk.len() > MAX_RESPONSE_OCTETS {
            return Err(AskError::answer(
                OcspOutcome::TooLarge,
                format!("the answer has more than {MAX_RESPONSE_OCTETS} octets"),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn nonce(policy: OcspNonce) -> Result<Option<[u8; NONCE_OCTETS]>, AskError> {
    if policy == OcspNonce::Off {
        return Ok(None);
    }
    let mut nonce = [0; NONCE_OCTETS];
    rand::fill(&mut nonce)
        .map_err(|_| AskError::new(OcspOutcome::NotSent, Blame::Nobody, "no random numbers to be had"))?;
    Ok(Some(nonce))
}

fn timed_out() -> AskError {
    AskError::responder(OcspOutcome::Timeout, "no answer within the timeout")
}

impl AskError {
    /// For an answer by a responder whose own certificate the CA revoked.
    pub fn revoked_responder() -> Self {
        Self::answer(OcspOutcome::WrongSigner, "the certificate of the responder that signed the answer is revoked")
    }

    fn responder(outcome: OcspOutcome, why: impl Into<String>) -> Self {
        Self::new(outcome, Blame::Responder, why)
    }

    fn answer(outcome: OcspOutcome, why: impl Into<String>) -> Self {
        Self::new(outcome, Blame::Answer, why)
    }

    fn new(outcome: OcspOutcome, blame: Blame, why: impl Into<String>) -> Self {
        Self { outcome, blame, why: why.into() }
    }

    fn of(error: &reqwest::Error) -> Self {
        Self::responder(OcspOutcome::Unreachable, with_causes("the exchange failed", error))
    }
}

impl From<OcspError> for AskError {
    fn from(error: OcspError) -> Self {
        let outcome = match &error {
            OcspError::Malformed(_) => OcspOutcome::Malformed,
            OcspError::Declined(_) => OcspOutcome::Declined,
            OcspError::Signature => OcspOutcome::WrongSignature,
            OcspError::Unauthorised(_) => OcspOutcome::WrongSigner,
            OcspError::OtherCertificate | OcspError::Ambiguous => OcspOutcome::OtherCertificate,
            OcspError::Nonce => OcspOutcome::WrongNonce,
            OcspError::FromTheFuture(_) => OcspOutcome::FromTheFuture,
            OcspError::Stale(_) => OcspOutcome::Stale,
            OcspError::Extension(_) => OcspOutcome::NotUnderstood,
        };
        Self::answer(outcome, error.to_string())
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for AskError {}

#[cfg(test)]
#[path = "ocsp_tests.rs"]
mod tests;
