//! Certification requests (PKCS#10, RFC 2986): read, and the possession of the private key proven.

use super::der::{DerError, Reader, tag};
use super::name::Name;
use super::public_key::{SubjectKey, WeakKey};
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject as _;
use sekisho_pki::name::{AttributeValue, DistinguishedName, StringType};
use sekisho_pki::signature::{SignatureError, verify_message};
use std::fmt;

/// Octets a request may have: one with a 4096-bit RSA key and Windows' attributes has 2,500.
pub const MAX_REQUEST_BYTES: usize = 16_384;

/// A request whose signature was made with the key it asks a certificate for.
#[derive(Clone, Debug)]
pub struct ProvenRequest {
    key: SubjectKey,
    subject: DistinguishedName,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// More than [`MAX_REQUEST_BYTES`].
    TooLong(usize),
    /// Not PEM: no `-----BEGIN …-----`, no end of it, or something else than base64 between.
    Pem,
    /// PEM of something else: its label, as far as it is short and plain.
    Label(String),
    /// Several requests: which is meant is not said.
    Several,
    /// Not the DER of a CertificationRequest.
    Der(DerError),
    /// Its subject is not a Name.
    Subject,
    /// A key that is not certified.
    Key(WeakKey),
    /// No proof of possession: another key's signature, or an algorithm that is not relied on (SHA-1 is not).
    Proof(SignatureError),
    /// It names somebody: not the user it is made for.
    NamesAnother,
}

impl ProvenRequest {
    /// Reads PEM.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, RequestError> {
        // Base64 has four characters for three octets, and line ends.
        if pem.len() > MAX_REQUEST_BYTES / 2 * 3 {
            return Err(RequestError::TooLong(pem.len()));
        }
        Self::from_der(&der_of_pem(pem)?)
    }

    /// Reads DER, checks the key and then the signature. Attributes (wished-for extensions) are not looked at: the
    /// profile decides what a certificate says.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn from_der(der: &[u8]) -> Result<Self, RequestError> {
        if der.len() > MAX_REQUEST_BYTES {
            return Err(RequestError::TooLong(der.len()));
        }
        let what = "CertificationRequest";
        let mut outer = Reader::new(der);
        let mut fields = outer.inside(tag::SEQUENCE, what)?;
        outer.end(what)?;
        let signed = fields.element(tag::SEQUENCE, "certificationRequestInfo")?;
        let algorithm = fields.element(tag::SEQUENCE, "signatureAlgorithm")?.content;
        let signature = match fields.element(tag::BIT_STRING, "signature")?.content {
            [0, signature @ ..] => signature,
            _ => return Err(DerError::Value("signature").into()),
        };
        fields.end(what)?;

        let mut info = Reader::new(signed.content);
        if info.element(tag::INTEGER, "version")?.content != [0] {
            return Err(DerError::Value("version").into());
        }
        let subject = DistinguishedName::parse(info.element(tag::SEQUENCE, "subject")?.whole)
            .map_err(|_| RequestError::Subject)?;
        let key =
            SubjectKey::from_info(info.element(tag::SEQUENCE, "subjectPKInfo")?.whole).map_err(RequestError::Key)?;
        // RFC 2986 requires it; some clients leave it out when it is empty.
        info.optional(tag::CONTEXT_0, "attributes")?;
        info.end("certificationRequestInfo")?;
        verify_message(key.public_key_info(), algorithm, signed.whole, signature).map_err(RequestError::Proof)?;
        Ok(Self { key, subject })
    }

    /// The key whose possession was proven, whoever the request names.
    pub const fn key(&self) -> &SubjectKey {
        &self.key
    }

    /// The key, once it is clear that the request is not made in somebody else's name: every commonName it has must be
    /// the one that the certificate will have. A request without one names nobody.
    ///
    /// # Errors
    /// [`RequestError::NamesAnother`].
    pub fn key_for(&self, subject: &Name) -> Result<&SubjectKey, RequestError> {
        let is_the_users = |found: &AttributeValue| text(found).is_some_and(|text| text == subject.common_name());
        if self.subject.common_names().all(is_the_users) { Ok(&self.key) } else { Err(RequestError::NamesAnother) }
    }
}

/// The one request in PEM. Text may stand around it (RFC 7468 section 2), a byte order mark too, and the label may be the
/// old one (section 7), which keytool and certreq write.
fn der_of_pem(pem: &[u8]) -> Result<Vec<u8>, RequestError> {
    const LABELS: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];
    let text = String::from_utf8_lossy(pem);
    let mut labels = text.split("-----BEGIN ").skip(1).filter_map(|rest| Some(rest.split_once("-----")?.0));
    let label = labels.next().ok_or(RequestError::Pem)?;
    if !LABELS.contains(&label) {
        let is_plain = label.len() <= 32 && label.bytes().all(|byte| byte == b' ' || byte.is_ascii_uppercase());
        return Err(if is_plain { RequestError::Label(label.to_owned()) } else { RequestError::Pem });
    }
    if labels.next().is_some() {
        return Err(RequestError::Several);
    }
    let begin = text.find("-----BEGIN ").ok_or(RequestError::Pem)?;
    let usual = text.get(begin..).ok_or(RequestError::Pem)?.replace(LABELS[1], LABELS[0]);
    let der = CertificateSigningRequestDer::from_pem_slice(usual.as_bytes()).map_err(|_| RequestError::Pem)?;
    Ok(der.to_vec())
}

/// The text of the string types that clients use.
fn text(value: &AttributeValue) -> Option<String> {
    match value.string_type {
        StringType::Utf8 | StringType::Printable | StringType::Ia5 => String::from_utf8(value.bytes.clone()).ok(),
        StringType::Bmp if value.bytes.len().is_multiple_of(2) => {
            let units: Vec<u16> =
                value.bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

impl From<DerError> for RequestError {
    fn from(error: DerError) -> Self {
        Self::Der(error)
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(octets) => write!(f, "the request has {octets} octets, more than {MAX_REQUEST_BYTES}"),
            Self::Pem => f.write_str("the request is not whole PEM of a CERTIFICATE REQUEST"),
            Self::Label(label) => write!(f, "it is PEM of a {label}, not of a CERTIFICATE REQUEST"),
            Self::Several => f.write_str("there are several certification requests in it"),
            Self::Der(error) => write!(f, "not a certification request: {error}"),
            Self::Subject => f.write_str("the request's subject cannot be read"),
            Self::Key(error) => error.fmt(f),
            Self::Proof(error) => write!(f, "possession of the private key is not proven: {error}"),
            Self::NamesAnother => f.write_str("the request names another user"),
        }
    }
}

impl std::error::Error for RequestError {}
