//! OCSP requests (RFC 6960 section 4.1).

use super::super::der::{self, DerError, Reader, more, tag};
use super::super::oid;
use base64::Engine as _;
use sekisho_pki::serial::SerialNumber;
use std::fmt;

/// Octets a request may have: as many certificates as one may ask about, and a nonce, have 1,200; a signed one with its
/// chain has no use here.
pub const MAX_REQUEST_BYTES: usize = 2_048;

/// Certificates that one request may ask about: a chain with its delegated responders, or those of one customer at hand.
/// RFC 6960 allows any number; each is a look-up that answers nobody else.
pub const MAX_CERTIFICATES: usize = 8;

/// Octets that a nonce may have (RFC 9654 section 2.1); it has one at least.
const MAX_NONCE_OCTETS: usize = 128;

/// Extensions a request may have; RFC 6960 defines four for it.
const MAX_EXTENSIONS: usize = 8;

/// Characters of a request in a URL: base64, each one perhaps as `%XX`.
const MAX_PATH_CHARACTERS: usize = MAX_REQUEST_BYTES * 4;

/// A request for the status of certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcspRequest {
    /// Whose: one at least, at most [`MAX_CERTIFICATES`].
    pub ids: Vec<CertificateId>,
    /// What the answer is to carry, so that it cannot be an old one.
    pub nonce: Option<Nonce>,
}

/// CertID: the issuer by hashes of its name and key, and the serial number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateId {
    /// Of both hashes.
    pub algorithm: HashAlgorithm,
    /// Hash of the issuer's DER name.
    pub issuer_name_hash: Vec<u8>,
    /// Hash of the issuer's key: the content of the BIT STRING.
    pub issuer_key_hash: Vec<u8>,
    /// Whose.
    pub serial: SerialNumber,
}

/// What an issuer is named by; nothing rests on its strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashAlgorithm {
    /// What nearly every client sends.
    Sha1,
    /// RFC 5019's successor asks for it.
    Sha256,
}

/// A nonce of 1 to 128 octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce(pub(super) Vec<u8>);

/// Why octets are not a request that is answered; the answer is `malformedRequest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// More than [`MAX_REQUEST_BYTES`].
    TooLong,
    /// The path is not base64.
    Base64,
    /// Not the DER of an OCSPRequest of version 1.
    Der(DerError),
    /// It asks about no certificate, or about more than [`MAX_CERTIFICATES`].
    Certificates,
    /// Its CertID uses another hash than SHA-1 and SHA-256.
    Hash,
    /// An empty nonce, one of more than 128 octets, or two.
    Nonce,
    /// A critical extension that is not known, or too many.
    Extension,
}

impl OcspRequest {
    /// From the body of a POST.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn from_der(body: &[u8]) -> Result<Self, RequestError> {
        if body.len() > MAX_REQUEST_BYTES {
            return Err(RequestError::TooLong);
        }
        let mut outer = Reader::new(body);
        let mut request = outer.inside(tag::SEQUENCE, "OCSPRequest")?;
        outer.end("OCSPRequest")?;
        let mut tbs = request.inside(tag::SEQUENCE, "tbsRequest")?;
        // A signature over the request: it may stand there and means nothing here (section 4.1.2).
        request.optional(tag::CONTEXT_0, "optionalSignature")?;
        request.end("OCSPRequest")?;
        if let Some(version) = tbs.optional(tag::CONTEXT_0, "version")?
            && version.content != [tag::INTEGER, 1, 0]
        {
            return Err(DerError::Value("version").into());
        }
        tbs.optional(more::CONTEXT_1, "requestorName")?;
        let mut list = tbs.inside(tag::SEQUENCE, "requestList")?;
        let mut ids = Vec::new();
        while !list.is_empty() {
            if ids.len() == MAX_CERTIFICATES {
                return Err(RequestError::Certificates);
            }
            ids.push(read_single(list.inside(tag::SEQUENCE, "Request")?)?);
        }
        if ids.is_empty() {
            return Err(RequestError::Certificates);
        }
        let nonce = match tbs.optional(more::CONTEXT_2, "requestExtensions")? {
            Some(extensions) => read_extensions(extensions.content)?,
            None => None,
        };
        tbs.end("tbsRequest")?;
        Ok(Self { ids, nonce })
    }

    /// From what follows the responder's path in a GET: base64 of the DER, percent-encoded (RFC 6960 appendix A.1).
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn from_path(encoded: &str) -> Result<Self, RequestError> {
        if encoded.len() > MAX_PATH_CHARACTERS {
            return Err(RequestError::TooLong);
        }
        let text = percent_decoded(encoded)?;
        let der = base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| RequestError::Base64)?;
        Self::from_der(&der)
    }
}

impl CertificateId {
    fn read(single: &mut Reader<'_>) -> Result<Self, RequestError> {
        let what = "CertID";
        let mut id = single.inside(tag::SEQUENCE, what)?;
        let mut algorithm = id.inside(tag::SEQUENCE, "hashAlgorithm")?;
        let (algorithm, octets) = match algorithm.element(tag::OBJECT_IDENTIFIER, "hashAlgorithm")?.content {
            oid::SHA1 => (HashAlgorithm::Sha1, 20),
            oid::SHA256 => (HashAlgorithm::Sha256, 32),
            _ => return Err(RequestError::Hash),
        };
        let issuer_name_hash = id.element(tag::OCTET_STRING, "issuerNameHash")?.content.to_vec();
        let issuer_key_hash = id.element(tag::OCTET_STRING, "issuerKeyHash")?.content.to_vec();
        if issuer_name_hash.len() != octets || issuer_key_hash.len() != octets {
            return Err(RequestError::Hash);
        }
        let serial = SerialNumber::from_der_content(id.element(tag::INTEGER, "serialNumber")?.content)
            .map_err(|_| DerError::Value("serialNumber"))?;
        id.end(what)?;
        Ok(Self { algorithm, issuer_name_hash, issuer_key_hash, serial })
    }
}

/// Request: a certificate, and extensions of which none is known here.
fn read_single(mut single: Reader<'_>) -> Result<CertificateId, RequestError> {
    let id = CertificateId::read(&mut single)?;
    if let Some(extensions) = single.optional(tag::CONTEXT_0, "singleRequestExtensions")? {
        read_extensions(extensions.content)?;
    }
    single.end("Request")?;
    Ok(id)
}

/// The nonce, when there is one.
fn read_extensions(explicit: &[u8]) -> Result<Option<Nonce>, RequestError> {
    let mut outer = Reader::new(explicit);
    let mut extensions = outer.inside(tag::SEQUENCE, "extensions")?;
    outer.end("extensions")?;
    let (mut nonce, mut count) = (None, 0);
    while !extensions.is_empty() {
        count += 1;
        let mut extension = extensions.inside(tag::SEQUENCE, "an extension")?;
        let oid = extension.element(tag::OBJECT_IDENTIFIER, "extnID")?.content;
        let critical = match extension.optional(tag::BOOLEAN, "critical")? {
            Some(critical) => der::boolean(critical.content, "critical")?,
            None => false,
        };
        let value = extension.element(tag::OCTET_STRING, "extnValue")?.content;
        if count > MAX_EXTENSIONS {
            return Err(RequestError::Extension);
        }
        if oid != oid::OCSP_NONCE {
            if critical {
                return Err(RequestError::Extension);
            }
            continue;
        }
        let mut wrapped = Reader::new(value);
        let octets = wrapped.element(tag::OCTET_STRING, "nonce")?.content;
        wrapped.end("nonce")?;
        match octets.len() {
            1..=MAX_NONCE_OCTETS if nonce.is_none() => nonce = Some(Nonce(octets.to_vec())),
            _ => return Err(RequestError::Nonce),
        }
    }
    Ok(nonce)
}

fn percent_decoded(encoded: &str) -> Result<Vec<u8>, RequestError> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut octets = encoded.bytes();
    while let Some(octet) = octets.next() {
        if octet != b'%' {
            decoded.push(octet);
            continue;
        }
        let mut digit = || octets.next().and_then(|octet| char::from(octet).to_digit(16)).ok_or(RequestError::Base64);
        let value = digit()? * 16 + digit()?;
        decoded.push(u8::try_from(value).map_err(|_| RequestError::Base64)?);
    }
    Ok(decoded)
}

impl From<DerError> for RequestError {
    fn from(error: DerError) -> Self {
        Self::Der(error)
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the request has more than {MAX_REQUEST_BYTES} octets"),
            Self::Base64 => f.write_str("the path is not base64"),
            Self::Der(error) => write!(f, "not an OCSP request: {error}"),
            Self::Certificates => {
                write!(f, "the request is about no certificate, or about more than {MAX_CERTIFICATES}")
            }
            Self::Hash => f.write_str("the CertID's hash is not SHA-1 or SHA-256"),
            Self::Nonce => write!(f, "the nonce is empty, longer than {MAX_NONCE_OCTETS} octets, or there twice"),
            Self::Extension => f.write_str("the request has a critical extension that is not known"),
        }
    }
}

impl std::error::Error for RequestError {}
