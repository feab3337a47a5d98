//! The gateway's assertion, checked: which certificate a request came with.
//!
//! A compact JWS (RFC 7515) of a JWT (RFC 7519), as the gateway writes it and in no other form. RFC 8725 is followed:
//! one algorithm, which the token has no say in (section 3.1); every validation (3.3, 3.8, 3.9); an explicit type
//! (3.11). Pure: the keys and the time are arguments.

use super::key_set::{LONGEST_KEY_ID, PublicKey, Signed};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use sekisho_pki::fingerprint::sha256;
use sekisho_pki::time::Timestamp;
use serde::Deserialize;
use std::fmt;

/// The `typ` of an assertion.
const TYPE: &str = "sekisho-client+jwt";

/// The only `alg`.
const ALGORITHM: &str = "ES256";

/// Octets of a token: that of the longest path which the gateway lets through (8,000 octets) has 12 KiB.
pub(super) const MOST_OCTETS: usize = 16 * 1024;

/// Seconds by which the clocks of gateway and issuer may differ. Both are kept by NTP; RFC 7519 section 4.1.4 speaks of
/// "no more than a few minutes", and an assertion lives for thirty seconds.
pub(super) const CLOCK_TOLERANCE: i64 = 5;

/// Seconds from `iat` to `exp`: what the gateway's configuration allows at most. A longer one is not a statement about
/// one request but a credential to steal.
pub(super) const LONGEST_LIFETIME: i64 = 600;

/// Octets of a P-256 signature, r and s (RFC 7518 section 3.4).
const SIGNATURE_OCTETS: usize = 64;

/// A token taken apart, of which nothing is believed yet.
#[derive(Debug)]
pub(super) struct Unverified<'a> {
    key_id: String,
    /// Header and claims as they were signed.
    signed: &'a str,
    claims: &'a str,
    signature: Vec<u8>,
}

/// What an assertion must say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// `aud`: one of these.
    pub audiences: &'a [String],
    /// The request it must be for.
    pub request: ForRequest<'a>,
}

/// Whether an assertion must be for the request that it came with.
#[derive(Clone, Copy, Debug)]
pub(super) enum ForRequest<'a> {
    /// It must: `htm`, `htu` and, of a gateway that writes it, `htq` are compared.
    This {
        /// The method.
        method: &'a str,
        /// The host's name in normal form, without port.
        host: &'a str,
        /// The path without query, as it came.
        path: &'a str,
        /// The query without its `?`, as it came; empty if there is none.
        query: &'a str,
    },
    /// It was for a request to a service, which hands it on.
    Another,
}

/// What the gateway said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Assertion {
    /// SHA-256 of the certificate whose key the client proved to have: `cnf` `x5t#S256` (RFC 8705 section 3.1).
    pub certificate: [u8; 32],
    /// `iat`.
    pub at: Timestamp,
}

/// Why a token is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AssertionError {
    /// More than 16 KiB.
    TooLong,
    /// Not three parts of base64url without padding, or a signature of another length.
    Form,
    /// Its header is not exactly `alg`, `typ` and `kid` (so `crit`, `jwk`, `jku`, `x5u`, `x5c`, `b64` … are refused).
    Header(String),
    /// Another `alg` than ES256.
    Algorithm,
    /// Another `typ`.
    Type,
    /// A `kid` that no key of the gateway has.
    UnknownKey,
    /// The signature is not that key's.
    Signature,
    /// Its claims are not the JSON object that the gateway writes.
    Claims(String),
    /// Another `iss`.
    Issuer,
    /// Another `aud`.
    Audience,
    /// `exp` has passed.
    Expired,
    /// `nbf` or `iat` is in the future.
    NotYet,
    /// From `iat` to `exp` there is no time, or more than ten minutes.
    Lifetime,
    /// `htm` is another method.
    Method,
    /// `htu` is another host or path, or `htq` another query.
    Target,
    /// `cnf` is not the SHA-256 of a certificate.
    Confirmation,
}

/// The gateway writes these three; whatever else a header had would ask for something that is not done here, and
/// RFC 7515 section 4.1.11 wants `crit` refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// What is read of the claims. Contract, user and captures are not: the store says whose the certificate is.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    htm: String,
    htu: String,
    /// Absent from a gateway of before it was written. Nobody but the gateway can leave it out: it is signed.
    htq: Option<String>,
    cnf: Confirmation,
}

#[derive(Deserialize)]
struct Confirmation {
    #[serde(rename = "x5t#S256")]
    thumbprint: String,
}

impl<'a> Unverified<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// [`AssertionError::TooLong`], [`AssertionError::Form`], [`AssertionError::Header`],
    /// [`AssertionError::Algorithm`], [`AssertionError::Type`].
    pub(super) fn parse(token: &'a str) -> Result<Self, AssertionError> {
        if token.len() > MOST_OCTETS {
            return Err(AssertionError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(AssertionError::Form)?;
        let (header, claims) = signed.split_once('.').ok_or(AssertionError::Form)?;
        let signature = decode(signature)?;
        if signature.len() != SIGNATURE_OCTETS || claims.contains('.') {
            return Err(AssertionError::Form);
        }
        let header: Header =
            serde_json::from_slice(&decode(header)?).map_err(|error| AssertionError::Header(error.to_string()))?;
        if header.alg != ALGORITHM {
            return Err(AssertionError::Algorithm);
        }
        if header.typ != TYPE {
            return Err(AssertionError::Type);
        }
        if header.kid.len() > LONGEST_KEY_ID {
            return Err(AssertionError::UnknownKey);
        }
        Ok(Self { key_id: header.kid, signed, claims, signature })
    }

    /// The `kid`: which key to verify with.
    pub(super) fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Verifies it: the signature first, and only then what it says.
    ///
    /// # Errors
    /// [`AssertionError`], the first that applies.
    pub(super) fn verify(
        self,
        key: &PublicKey,
        expected: &Expected<'_>,
        now: Timestamp,
    ) -> Result<Assertion, AssertionError> {
        if key.signed(self.signed.as_bytes(), &self.signature) == Signed::No {
            return Err(AssertionError::Signature);
        }
        let claims: Claims =
            serde_json::from_slice(&decode(self.claims)?).map_err(|error| AssertionError::Claims(error.to_string()))?;
        claims.check_parties(expected)?;
        claims.check_time(now)?;
        claims.check_request(&expected.request)?;
        Ok(Assertion { certificate: claims.certificate()?, at: Timestamp::from_unix(claims.iat) })
    }
}

impl Claims {
    fn check_parties(&self, expected: &Expected<'_>) -> Result<(), AssertionError> {
        if self.iss != expected.issuer {
            return Err(AssertionError::Issuer);
        }
        if !expected.audiences.contains(&self.aud) {
            return Err(AssertionError::Audience);
        }
        Ok(())
    }

    fn check_time(&self, now: Timestamp) -> Result<(), AssertionError> {
        let lifetime = self.exp.checked_sub(self.iat).ok_or(AssertionError::Lifetime)?;
        if !(1..=LONGEST_LIFETIME).contains(&lifetime) {
            return Err(AssertionError::Lifetime);
        }
        if now.plus_seconds(-CLOCK_TOLERANCE).unix() >= self.exp {
            return Err(AssertionError::Expired);
        }
        if now.plus_seconds(CLOCK_TOLERANCE).unix() < self.nbf.max(self.iat) {
            return Err(AssertionError::NotYet);
        }
        Ok(())
    }

    fn check_request(&self, request: &ForRequest<'_>) -> Result<(), AssertionError> {
        let ForRequest::This { method, host, path, query } = request else {
            return Ok(());
        };
        if self.htm != *method {
            return Err(AssertionError::Method);
        }
        // As the gateway writes it: without port and query.
        let target = self.htu.strip_prefix("https://").and_then(|rest| rest.strip_prefix(host));
        let is_query = |hash: &String| *hash == BASE64_URL_SAFE_NO_PAD.encode(sha256(&[query.as_bytes()]));
        if target != Some(path) || !self.htq.as_ref().is_none_or(is_query) {
            return Err(AssertionError::Target);
        }
        Ok(())
    }

    fn certificate(&self) -> Result<[u8; 32], AssertionError> {
        let octets = decode(&self.cnf.thumbprint).map_err(|_| AssertionError::Confirmation)?;
        octets.try_into().map_err(|_| AssertionError::Confirmation)
    }
}

/// The engine refuses padding and bits that no octet has, so that a token has one spelling.
fn decode(part: &str) -> Result<Vec<u8>, AssertionError> {
    BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| AssertionError::Form)
}

impl fmt::Display for AssertionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the assertion is too long",
            Self::Form => "the assertion is not a compact JWS with an ES256 signature",
            Self::Header(error) => return write!(f, "the assertion's header: {error}"),
            Self::Algorithm => "the assertion's alg is not ES256",
            Self::Type => "the assertion's typ is another",
            Self::UnknownKey => "the assertion's kid is no key of the gateway",
            Self::Signature => "the assertion's signature is wrong",
            Self::Claims(error) => return write!(f, "the assertion's claims: {error}"),
            Self::Issuer => "the assertion's iss is another gateway",
            Self::Audience => "the assertion's aud is another site",
            Self::Expired => "the assertion has expired",
            Self::NotYet => "the assertion is from the future; compare the clocks",
            Self::Lifetime => "the assertion lives too long, or not at all",
            Self::Method => "the assertion is for another method",
            Self::Target => "the assertion is for another host, path or query",
            Self::Confirmation => "the assertion's cnf is not the SHA-256 of a certificate",
        })
    }
}

impl std::error::Error for AssertionError {}

#[cfg(test)]
#[path = "assertion_tests.rs"]
mod tests;
