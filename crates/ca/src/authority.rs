//! A certification authority that can sign: its certificate, its key, and where it publishes.

use super::crl::DistributionPoints;
use super::der::build;
use super::key::{SigningError, SigningKey};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::der::tag;
use std::fmt;
use std::str::FromStr;

/// Octets a published URL may have.
const MAX_URL_BYTES: usize = 255;

/// An authority and its key.
pub struct Authority {
    certificate: Certificate,
    key: Box<dyn SigningKey>,
    points: PublicationPoints,
    identifier: Vec<u8>,
}

/// Where an authority's certificates say that its lists, its OCSP answers and its own certificate are.
#[derive(Clone, Debug, Default)]
pub struct PublicationPoints {
    /// cRLDistributionPoints (RFC 5280 section 4.2.1.13); in parts or whole.
    pub revocation_lists: Option<DistributionPoints>,
    /// authorityInfoAccess with id-ad-ocsp (section 4.2.2.1).
    pub ocsp: Option<PublicUrl>,
    /// authorityInfoAccess with id-ad-caIssuers: the authority's certificate in DER.
    pub ca_issuers: Option<PublicUrl>,
}

/// An `http` URL that goes into certificates. Not `https`: fetching a list must not need another certificate's status
/// (RFC 5280 section 8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

/// Why a certificate and a key are not an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorityError {
    /// The key is not the certificate's.
    OtherKey,
    /// basicConstraints does not say that it is a CA.
    NotAuthority,
    /// keyUsage lacks keyCertSign or cRLSign.
    KeyUsage,
    /// It has no subjectKeyIdentifier (RFC 5280 section 4.2.1.2 requires it).
    NoIdentifier,
}

impl Authority {
    /// Puts the two together.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn new(
        certificate: Certificate,
        key: Box<dyn SigningKey>,
        points: PublicationPoints,
    ) -> Result<Self, AuthorityError> {
        if certificate.subject_public_key_info() != key.public_key_info() {
            return Err(AuthorityError::OtherKey);
        }
        if !certificate.basic_constraints().is_some_and(|constraints| constraints.ca) {
            return Err(AuthorityError::NotAuthority);
        }
        if !certificate.key_usage().is_some_and(|usage| usage.key_cert_sign() && usage.crl_sign()) {
            return Err(AuthorityError::KeyUsage);
        }
        let identifier = certificate.subject_key_identifier().ok_or(AuthorityError::NoIdentifier)?.to_vec();
        Ok(Self { certificate, key, points, identifier })
    }

    /// Its certificate.
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Where it publishes.
    pub const fn points(&self) -> &PublicationPoints {
        &self.points
    }

    /// The key identifier that its certificates and lists carry as authorityKeyIdentifier.
    pub(super) fn identifier(&self) -> &[u8] {
        &self.identifier
    }

    pub(super) fn key(&self) -> &dyn SigningKey {
        &*self.key
    }

    /// The SEQUENCE of what was signed, the algorithm and the signature: certificates and lists have the same shape.
    pub(super) fn sign_sequence(&self, signed: &[&[u8]]) -> Result<Vec<u8>, SigningError> {
        sign_sequence(&*self.key, signed)
    }
}

/// See [`Authority::sign_sequence`].
pub(super) fn sign_sequence(key: &dyn SigningKey, signed: &[&[u8]]) -> Result<Vec<u8>, SigningError> {
    let signature = key.sign(signed)?;
    let end = build(|w| {
        w.raw(&key.kind().signature_algorithm());
        w.bit_string(&signature);
    });
    let length = signed.iter().map(|part| part.len()).sum::<usize>() + end.len();
    let mut der = super::der::header(tag::SEQUENCE, length);
    der.reserve(length);
    signed.iter().for_each(|part| der.extend_from_slice(part));
    der.extend_from_slice(&end);
    Ok(der)
}

impl PublicUrl {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_allowed = |octet: u8| octet.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&octet);
        let host = text.strip_prefix("http://").unwrap_or_default().split('/').next().unwrap_or_default();
        if host.is_empty() || text.len() > MAX_URL_BYTES || !text.bytes().all(is_allowed) {
            return Err(format!("{text:?} is not an http:// URL of at most {MAX_URL_BYTES} octets"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({})", self.certificate.subject())
    }
}

impl fmt::Display for AuthorityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherKey => "the key is not the one of the CA's certificate",
            Self::NotAuthority => "the certificate is not a CA's",
            Self::KeyUsage => "the CA's certificate does not allow it to sign certificates and revocation lists",
            Self::NoIdentifier => "the CA's certificate has no subjectKeyIdentifier",
        })
    }
}

impl std::error::Error for AuthorityError {}
