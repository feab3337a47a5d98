//! `[ca.revocation.ocsp]`: the responder that is asked about single certificates (RFC 6960).

use super::ca::url;
use super::defaults;
use super::reader::{Item, Section};
use super::types::{OcspNonce, OcspSource};
use super::values::{duration, one_of};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Below it a slow link never answers in time; above it a client has gone.
const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(30);

/// A second is the clock's own step; after a day an answer is no better than a list.
const REFRESHES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);

/// `ocsp = { url = "http://…", … }`.
pub(super) fn ocsp(mut section: Section<'_>) -> OcspSource {
    let source = OcspSource {
        url: section.required("url", "write the responder's address: \"http://ocsp.example.jp\"", url),
        timeout: section.or("timeout", defaults::OCSP_TIMEOUT, |item| duration(item, TIMEOUTS)),
        refresh: section.or("refresh", defaults::OCSP_REFRESH, |item| duration(item, REFRESHES)),
        nonce: section.or("nonce", OcspNonce::Sent, nonce),
    };
    section.finish();
    source
}

fn nonce(item: &Item<'_>) -> Option<OcspNonce> {
    let answers = [("sent", OcspNonce::Sent), ("required", OcspNonce::Required), ("off", OcspNonce::Off)];
    one_of(item, "a policy for the nonce", &answers)
}
