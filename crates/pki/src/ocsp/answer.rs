//! Answers (RFC 6960 section 4.2), and what makes one believed (section 3.2).

use super::authorised::{AnswerSigner, ResponderId, Signed};
use super::question::Question;
use super::{CLOCK_SKEW_SECONDS, OCSP_BASIC, OCSP_NONCE, WITHOUT_NEXT_UPDATE_SECONDS, more};
use crate::certificate::Certificate;
use crate::crl::RevocationReason;
use crate::der::{self, DerError, Reader, oid_text, tag};
use crate::time::Timestamp;
use std::fmt;

/// An answer that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it says of the certificate.
    pub status: CertificateStatus,
    /// From when it holds.
    pub this_update: Timestamp,
    /// The last second at which it holds: nextUpdate, or a minute after its arrival where it has none.
    pub fresh_until: Timestamp,
    /// Who signed it.
    pub signer: AnswerSigner,
    /// Whether it repeats the question's nonce, and so was made for it.
    pub nonce: NonceEcho,
}

/// What a responder says of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateStatus {
    /// Not revoked.
    Good,
    /// Revoked.
    Revoked {
        /// When.
        at: Timestamp,
        /// Why.
        reason: RevocationReason,
    },
    /// The responder does not know of it.
    Unknown,
}

/// Whether an answer repeats the nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceEcho {
    /// Yes.
    Echoed,
    /// It has none: it may be older than the question (RFC 5019 section 2.2.1 has responders that sign ahead).
    Absent,
}

/// Why a responder does not answer (section 2.3). None of these is signed, and none says anything of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are RFC 6960's")]
pub enum Declined {
    MalformedRequest,
    InternalError,
    TryLater,
    SignatureRequired,
    Unauthorized,
    Other(u8),
}

/// Why octets are not an answer that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OcspError {
    /// Not an OCSPResponse with a basic response.
    Malformed(String),
    /// The responder said why it does not answer.
    Declined(Declined),
    /// The signature is not its signer's, or of an algorithm that is not relied on.
    Signature,
    /// Whoever signed may not answer for the CA.
    Unauthorised(String),
    /// It says nothing of the certificate that was asked about.
    OtherCertificate,
    /// It says two things of it.
    Ambiguous,
    /// It was made for another question.
    Nonce,
    /// It is of a time that has not come.
    FromTheFuture(Timestamp),
    /// It does not hold any more.
    Stale(Timestamp),
    /// A critical extension that is not known.
    Extension(String),
}

/// Reads an answer to a question of `ca`'s certificate, and believes it only if all of it is right at `now`.
///
/// # Errors
/// [`OcspError`].
pub fn verify(response: &[u8], question: &Question<'_>, ca: &Certificate, now: Timestamp) -> Result<Answer, OcspError> {
    let signed_octets = basic(response)?;
    let mut fields = Reader::new(signed_octets);
    let data = fields.element(tag::SEQUENCE, "tbsResponseData")?;
    let algorithm = fields.element(tag::SEQUENCE, "signatureAlgorithm")?.content;
    let signature = match fields.element(tag::BIT_STRING, "signature")?.content {
        [0, signature @ ..] => signature,
        _ => return Err(DerError::Value("signature").into()),
    };
    let certificates = match fields.optional(tag::CONTEXT_0, "certs")? {
        Some(explicit) => Reader::new(explicit.content).element(tag::SEQUENCE, "certs")?.content,
        None => &[],
    };
    fields.end("BasicOCSPResponse")?;

    let mut fields = Reader::new(data.content);
    if let Some(version) = fields.optional(tag::CONTEXT_0, "version")?
        && version.content != [tag::INTEGER, 1, 0]
    {
        return Err(DerError::Value("version").into());
    }
    let responder = ResponderId::read(&mut fields)?;
    // Before anything else is believed.
    let signer = Signed { data: data.whole, algorithm, signature, certificates, responder }.verify(ca, now)?;
    let produced_at = generalized_time(&mut fields, "producedAt")?;
    let responses = fields.element(tag::SEQUENCE, "responses")?.content;
    let nonce = match fields.optional(more::CONTEXT_1, "responseExtensions")? {
        Some(explicit) => extensions(explicit.content)?,
        None => None,
    };
    fields.end("tbsResponseData")?;
    let nonce = match (question.nonce, nonce) {
        (Some(asked), Some(echoed)) if echoed == asked => NonceEcho::Echoed,
        (Some(_), Some(_)) => return Err(OcspError::Nonce),
        (_, None) | (None, Some(_)) => NonceEcho::Absent,
    };
    if produced_at > now.plus_seconds(CLOCK_SKEW_SECONDS) {
        return Err(OcspError::FromTheFuture(produced_at));
    }
    let single = the_one(responses, &question.certificate_id())?;
    let fresh_until = single.holds(now)?;
    Ok(Answer { status: single.status, this_update: single.this_update, fresh_until, signer, nonce })
}

/// The octets of the BasicOCSPResponse, if the responder answers at all.
fn basic(response: &[u8]) -> Result<&[u8], OcspError> {
    let mut outer = Reader::new(response);
    let mut fields = outer.inside(tag::SEQUENCE, "OCSPResponse")?;
    outer.end("OCSPResponse")?;
    match fields.element(tag::ENUMERATED, "responseStatus")?.content {
        [0] => {}
        [code] => return Err(OcspError::Declined(Declined::of(*code))),
        _ => return Err(DerError::Value("responseStatus").into()),
    }
    let mut explicit = fields.inside(tag::CONTEXT_0, "responseBytes")?;
    fields.end("OCSPResponse")?;
    let mut bytes = explicit.inside(tag::SEQUENCE, "responseBytes")?;
    explicit.end("responseBytes")?;
    let kind = bytes.element(tag::OBJECT_IDENTIFIER, "responseType")?.content;
    if kind != OCSP_BASIC {
        return Err(OcspError::Malformed(format!("its type is {}", oid_text(kind))));
    }
    let content = bytes.element(tag::OCTET_STRING, "response")?.content;
    bytes.end("responseBytes")?;
    let mut outer = Reader::new(content);
    let basic = outer.element(tag::SEQUENCE, "BasicOCSPResponse")?.content;
    outer.end("BasicOCSPResponse")?;
    Ok(basic)
}

struct Single {
    status: CertificateStatus,
    this_update: Timestamp,
    next_update: Option<Timestamp>,
}

/// The one response about this CertID. A responder may answer about more certificates than it was asked about.
fn the_one(responses: &[u8], id: &[u8]) -> Result<Single, OcspError> {
    let mut responses = Reader::new(responses);
    let mut found = None;
    // Bounded by the octets of a response.
    while !responses.is_empty() {
        let mut fields = responses.inside(tag::SEQUENCE, "SingleResponse")?;
        if !is_about(fields.element(tag::SEQUENCE, "certID")?.whole, id)? {
            continue;
        }
        if found.is_some() {
            return Err(OcspError::Ambiguous);
        }
        let status = status(&mut fields)?;
        let this_update = generalized_time(&mut fields, "thisUpdate")?;
        let next_update = match fields.optional(tag::CONTEXT_0, "nextUpdate")? {
            Some(explicit) => {
                let mut inside = Reader::new(explicit.content);
                let time = generalized_time(&mut inside, "nextUpdate")?;
                inside.end("nextUpdate")?;
                Some(time)
            }
            None => None,
        };
        if let Some(explicit) = fields.optional(more::CONTEXT_1, "singleExtensions")? {
            extensions(explicit.content)?;
        }
        fields.end("SingleResponse")?;
        found = Some(Single { status, this_update, next_update });
    }
    found.ok_or(OcspError::OtherCertificate)
}

/// Whether two CertIDs are the same; the parameters of the hash algorithm may be NULL or left out.
fn is_about(id: &[u8], asked: &[u8]) -> Result<bool, DerError> {
    let read = |id| {
        let mut fields = Reader::new(id).inside(tag::SEQUENCE, "certID")?;
        let mut algorithm = fields.inside(tag::SEQUENCE, "hashAlgorithm")?;
        let hash = algorithm.element(tag::OBJECT_IDENTIFIER, "hashAlgorithm")?.content;
        let name = fields.element(tag::OCTET_STRING, "issuerNameHash")?.content;
        let key = fields.element(tag::OCTET_STRING, "issuerKeyHash")?.content;
        let serial = fields.element(tag::INTEGER, "serialNumber")?.content;
        fields.end("certID")?;
        Ok::<_, DerError>((hash, name, key, serial))
    };
    Ok(read(id)? == read(asked)?)
}

fn status(fields: &mut Reader<'_>) -> Result<CertificateStatus, OcspError> {
    let what = "certStatus";
    let choice = fields.any(what)?;
    match (choice.tag, choice.content) {
        (more::IMPLICIT_0, []) => Ok(CertificateStatus::Good),
        (more::IMPLICIT_2, []) => Ok(CertificateStatus::Unknown),
        (more::CONTEXT_1, content) => {
            let mut info = Reader::new(content);
            let at = generalized_time(&mut info, "revocationTime")?;
            let reason = match info.optional(tag::CONTEXT_0, "revocationReason")? {
                Some(explicit) => {
                    match Reader::new(explicit.content).element(tag::ENUMERATED, "revocationReason")?.content {
                        [code] => RevocationReason::from_code(*code),
                        _ => return Err(DerError::Value("revocationReason").into()),
                    }
                }
                None => RevocationReason::Unspecified,
            };
            Ok(CertificateStatus::Revoked { at, reason })
        }
        (tag, _) => Err(OcspError::Malformed(format!("tag {tag:#04x} where {what} belongs"))),
    }
}

impl Single {
    /// Until when it holds, if it does at `now`.
    fn holds(&self, now: Timestamp) -> Result<Timestamp, OcspError> {
        if self.this_update > now.plus_seconds(CLOCK_SKEW_SECONDS) {
            return Err(OcspError::FromTheFuture(self.this_update));
        }
        match self.next_update {
            Some(next_update) if next_update < now || next_update < self.this_update => {
                Err(OcspError::Stale(next_update))
            }
            Some(next_update) => Ok(next_update),
            None if self.this_update.plus_seconds(CLOCK_SKEW_SECONDS) < now => Err(OcspError::Stale(self.this_update)),
            None => Ok(now.plus_seconds(WITHOUT_NEXT_UPDATE_SECONDS)),
        }
    }
}

/// The nonce among these extensions; an unknown critical one spoils the answer (section 4.4).
fn extensions(explicit: &[u8]) -> Result<Option<&[u8]>, OcspError> {
    let mut outer = Reader::new(explicit);
    let mut extensions = outer.inside(tag::SEQUENCE, "extensions")?;
    outer.end("extensions")?;
    let mut nonce = None;
    // Bounded by the octets of a response.
    while !extensions.is_empty() {
        let mut extension = extensions.inside(tag::SEQUENCE, "an extension")?;
        let oid = extension.element(tag::OBJECT_IDENTIFIER, "extnID")?.content;
        let critical = match extension.optional(tag::BOOLEAN, "critical")? {
            Some(critical) => der::boolean(critical.content, "critical")?,
            None => false,
        };
        let value = extension.element(tag::OCTET_STRING, "extnValue")?.content;
        if oid == OCSP_NONCE {
            // RFC 8954 section 2.1 has the octets in a further OCTET STRING.
            nonce = Some(Reader::new(value).element(tag::OCTET_STRING, "nonce")?.content);
        } else if critical {
            return Err(OcspError::Extension(oid_text(oid)));
        }
    }
    Ok(nonce)
}

fn generalized_time(fields: &mut Reader<'_>, what: &'static str) -> Result<Timestamp, DerError> {
    der::time(fields.element(tag::GENERALIZED_TIME, what)?, what)
}

impl Declined {
    const fn of(code: u8) -> Self {
        match code {
            1 => Self::MalformedRequest,
            2 => Self::InternalError,
            3 => Self::TryLater,
            5 => Self::SignatureRequired,
            6 => Self::Unauthorized,
            other => Self::Other(other),
        }
    }
}

impl From<DerError> for OcspError {
    fn from(error: DerError) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl fmt::Display for OcspError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "not an OCSP answer: {why}"),
            Self::Declined(why) => write!(f, "the responder does not answer: {why:?}"),
            Self::Signature => f.write_str("the answer's signature is not that of its signer"),
            Self::Unauthorised(why) => write!(f, "the answer is not by who may give it: {why}"),
            Self::OtherCertificate => f.write_str("the answer is about another certificate"),
            Self::Ambiguous => f.write_str("the answer says two things of the certificate"),
            Self::Nonce => f.write_str("the answer was made for another question"),
            Self::FromTheFuture(time) => write!(f, "the answer is of {time}, which lies in the future"),
            Self::Stale(time) => write!(f, "the answer held until {time}"),
            Self::Extension(oid) => write!(f, "the answer has the critical extension {oid}, which is not known"),
        }
    }
}

impl std::error::Error for OcspError {}
