//! Sets what was verified (requirement G7).

use super::encode;
use crate::gateway::base::request_id::RequestId;
use crate::gateway::verify::VerifiedClient;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::header::MaxSizeReached;
use http::{HeaderMap, HeaderName, HeaderValue};
use rustls::pki_types::CertificateDer;
use sekisho_config::HeaderNames;
use sekisho_pki::time::Timestamp;
use std::sync::Arc;

/// Octets that `Client-Cert` or `Client-Cert-Chain` may have. Past it the client's requests are refused
/// ([`IdentityHeaders::too_large`]): part of a chain would be a false statement, and an application that reads the header
/// would take its absence for that of a certificate. Twice what most upstreams take for all headers together.
pub const MAX_CERTIFICATE_HEADER_OCTETS: usize = 16 * 1024;

/// Headers that are not constant and those of [`super::Forwarding`], at most: room is made for all of them at once.
const FURTHER: usize = 8;

/// Whether a TLS session is a new one or a resumed one (RFC 8446 section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// The client proved possession of its key on this connection.
    Full,
    /// It did so on an earlier one, and resumed that session.
    Resumed,
}

/// What one request adds to what its connection knows.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    /// The time of the request: days left are counted from it.
    pub now: Timestamp,
    /// Its reference number.
    pub request_id: &'a RequestId,
    /// The signed assertion, where the configuration has a key for it.
    pub assertion: Option<&'a str>,
}

/// A connection's identity headers, written once: a request copies references.
///
/// It depends on the certificate and the handshake only, so it stays right while re-checks of the same chain succeed.
#[derive(Clone, Debug)]
pub struct IdentityHeaders {
    /// What the certificates say.
    of_chain: Arc<[(HeaderName, HeaderValue)]>,
    /// What else stays the same on this connection.
    constant: Vec<(HeaderName, HeaderValue)>,
    days_left: Option<(HeaderName, Timestamp)>,
    assertion: Option<HeaderName>,
    request_id: Option<HeaderName>,
    too_large: Option<HeaderName>,
}

impl IdentityHeaders {
    /// The headers of a verified client, whose handshake (the first one, for a resumed session) ended at
    /// `authenticated_at`.
    pub fn verified(
        client: &VerifiedClient,
        session: SessionKind,
        authenticated_at: Timestamp,
        names: &HeaderNames,
    ) -> Self {
        let time = |name: &Option<HeaderName>, value: Timestamp| pair(name, &value.to_string());
        let resumed = match session {
            SessionKind::Full => "false",
            SessionKind::Resumed => "true",
        };
        let constant = [
            pair(&names.verification, "verified"),
            pair(&names.resumed, resumed),
            time(&names.authenticated_at, authenticated_at),
        ];
        Self {
            of_chain: client.headers().get(names, || of_chain(client, names)),
            constant: constant.into_iter().flatten().collect(),
            days_left: names.days_left.clone().map(|name| (name, client.not_after())),
            assertion: names.assertion.clone(),
            request_id: names.request_id.clone(),
            too_large: too_large(client, names).cloned(),
        }
    }

    /// The header that this client's certificates do not fit in, if there is one: its requests must not go on.
    pub fn too_large(&self) -> Option<&HeaderName> {
        self.too_large.as_ref()
    }

    /// With the name of the draining CA that the client's certificate hangs on, so that the application can tell its user
    /// to get another.
    #[must_use]
    pub fn draining(mut self, ca: &str, names: &HeaderNames) -> Self {
        self.constant.extend(pair(&names.ca_draining, &encode(ca)));
        self
    }

    /// The headers of a client without a certificate, on a site or route that admits one: the verification header
    /// says `none`, and there is no identity.
    pub fn unauthenticated(names: &HeaderNames) -> Self {
        Self {
            of_chain: Arc::default(),
            constant: pair(&names.verification, "none").into_iter().collect(),
            days_left: None,
            assertion: None,
            request_id: names.request_id.clone(),
            too_large: None,
        }
    }

    /// Sets the headers on a request, after [`super::strip()`].
    ///
    /// # Errors
    /// There is no room for them: the request must not go on, since its identity could not be told whole.
    pub fn apply(&self, headers: &mut HeaderMap, request: &RequestFacts<'_>) -> Result<(), MaxSizeReached> {
        headers.try_reserve(self.of_chain.len() + self.constant.len() + FURTHER)?;
        for (name, value) in self.of_chain.iter().chain(&self.constant) {
            headers.try_insert(name, value.clone())?;
        }
        if let Some((name, not_after)) = &self.days_left {
            headers.try_insert(name, HeaderValue::from(request.now.days_until(*not_after)))?;
        }
        if let Some((name, value)) = pair(&self.request_id, request.request_id.as_str()) {
            headers.try_insert(name, value)?;
        }
        if let Some((name, mut value)) = request.assertion.and_then(|assertion| pair(&self.assertion, assertion)) {
            // A bearer of it is believed: no debug print, and no HPACK table (RFC 7541 section 7.1.3).
            value.set_sensitive(true);
            headers.try_insert(name, value)?;
        }
        Ok(())
    }
}

/// What a client's certificates say, whenever and wherever it shows them.
fn of_chain(client: &VerifiedClient, names: &HeaderNames) -> Arc<[(HeaderName, HeaderValue)]> {
    let identity = client.identity();
    let text = |name: &Option<HeaderName>, value: Option<&str>| pair(name, &encode(value?));
    let time = |name: &Option<HeaderName>, value: Timestamp| pair(name, &value.to_string());
    let (leaf, above) = leaf_and_above(client);
    let fields = [
        text(&names.contract_id, identity.contract_id()),
        text(&names.user_id, identity.user_id()),
        text(&names.common_name, Some(identity.common_name())),
        pair(&names.serial, &client.serial().to_string()),
        text(&names.issuer, Some(client.issuer())),
        text(&names.ca, Some(client.ca())),
        time(&names.not_before, client.not_before()),
        time(&names.not_after, client.not_after()),
        pair(&names.fingerprint, &client.fingerprint().to_string()),
        byte_sequences(&names.client_cert, leaf),
        byte_sequences(&names.client_cert_chain, above),
    ];
    fields.into_iter().flatten().collect()
}

/// A header, when it is turned on. A value that HTTP cannot carry is left out; what comes here is ASCII.
fn pair(name: &Option<HeaderName>, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((name.clone()?, HeaderValue::try_from(value).ok()?))
}

/// The header that a client's certificates do not fit in.
fn too_large<'n>(client: &VerifiedClient, names: &'n HeaderNames) -> Option<&'n HeaderName> {
    let (leaf, above) = leaf_and_above(client);
    let parts = [(&names.client_cert, leaf), (&names.client_cert_chain, above)];
    parts.into_iter().find_map(|(name, certificates)| name.as_ref().filter(|_| !fit(certificates)))
}

fn leaf_and_above(client: &VerifiedClient) -> (&[CertificateDer<'static>], &[CertificateDer<'static>]) {
    (client.presented().get(..1).unwrap_or_default(), client.path_above())
}

/// Returns `true` if a header holds them.
fn fit(certificates: &[CertificateDer<'_>]) -> bool {
    certificates.iter().map(|der| der.len().div_ceil(3) * 4 + 4).sum::<usize>() <= MAX_CERTIFICATE_HEADER_OCTETS
}

/// Certificates as RFC 9440 has them: structured-field byte sequences (RFC 9651 section 3.3.5), in a list if several.
/// None, or too much: no header.
fn byte_sequences(name: &Option<HeaderName>, certificates: &[CertificateDer<'_>]) -> Option<(HeaderName, HeaderValue)> {
    if certificates.is_empty() || !fit(certificates) {
        return None;
    }
    let items: Vec<String> = certificates.iter().map(|der| format!(":{}:", BASE64_STANDARD.encode(der))).collect();
    pair(name, &items.join(", "))
}

#[cfg(test)]
#[path = "set_tests.rs"]
pub(super) mod tests;
