//! Who may sign an answer (RFC 6960 section 4.2.2.2): the CA itself, or a responder that it certified for that.

use super::answer::OcspError;
use super::more;
use super::question::key_hash;
use crate::certificate::Certificate;
use crate::der::{Element, Reader, tag};
use crate::serial::SerialNumber;
use crate::signature::{self, verify_certificate};
use crate::time::Timestamp;

/// Certificates that an answer may carry: the responder's, and those that some send needlessly with it.
const MAX_CERTIFICATES: usize = 4;

/// Who signed an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerSigner {
    /// The CA with its own key.
    Authority,
    /// A responder with a certificate of the CA, of this serial number: whoever has a list of the CA looks it up.
    Delegate(SerialNumber),
}

/// The parts of a BasicOCSPResponse that its signature is about.
pub(super) struct Signed<'a> {
    /// The whole tbsResponseData.
    pub(super) data: &'a [u8],
    /// The content of the AlgorithmIdentifier.
    pub(super) algorithm: &'a [u8],
    pub(super) signature: &'a [u8],
    /// The content of the SEQUENCE of certificates.
    pub(super) certificates: &'a [u8],
    pub(super) responder: ResponderId<'a>,
}

/// What the answer says its signer is called.
#[derive(Clone, Copy)]
pub(super) enum ResponderId<'a> {
    /// The whole DER Name.
    Name(&'a [u8]),
    /// SHA-1 of the key.
    KeyHash(&'a [u8]),
}

impl<'a> ResponderId<'a> {
    pub(super) fn read(data: &mut Reader<'a>) -> Result<Self, OcspError> {
        let what = "responderID";
        let Element { tag: choice, content, .. } = data.any(what)?;
        let mut inside = Reader::new(content);
        let id = match choice {
            more::CONTEXT_1 => Self::Name(inside.element(tag::SEQUENCE, what)?.whole),
            more::CONTEXT_2 => Self::KeyHash(inside.element(tag::OCTET_STRING, what)?.content),
            _ => return Err(OcspError::Malformed(format!("tag {choice:#04x} where {what} belongs"))),
        };
        inside.end(what)?;
        Ok(id)
    }

    fn names(self, certificate: &Certificate) -> bool {
        match self {
            Self::Name(name) => certificate.subject().der() == name,
            Self::KeyHash(hash) => {
                key_hash(certificate.subject_public_key_info()).is_ok_and(|own| own.as_slice() == hash)
            }
        }
    }
}

impl Signed<'_> {
    /// Checks the signature, and that its maker may answer for `ca` at `now`.
    pub(super) fn verify(&self, ca: &Certificate, now: Timestamp) -> Result<AnswerSigner, OcspError> {
        if self.responder.names(ca) && self.is_signed_by(ca).is_ok() {
            return Ok(AnswerSigner::Authority);
        }
        let mut certificates = Reader::new(self.certificates);
        let mut refused = None;
        for _ in 0..MAX_CERTIFICATES {
            if certificates.is_empty() {
                break;
            }
            let der = certificates.element(tag::SEQUENCE, "a responder's certificate")?.whole;
            let certificate = Certificate::parse(der)
                .map_err(|error| OcspError::Malformed(format!("a responder's certificate: {error}")))?;
            if !self.responder.names(&certificate) {
                continue;
            }
            match check_delegate(&certificate, ca, now).and_then(|()| self.is_signed_by(&certificate)) {
                Ok(()) => return Ok(AnswerSigner::Delegate(certificate.serial())),
                Err(error) => refused = Some(error),
            }
        }
        Err(match refused {
            Some(error) => error,
            None if self.responder.names(ca) => OcspError::Signature,
            None => OcspError::Unauthorised("its signer is not the CA, and no certificate of it came along".to_owned()),
        })
    }

    fn is_signed_by(&self, signer: &Certificate) -> Result<(), OcspError> {
        signature::verify(signer.subject_public_key_info(), self.algorithm, self.data, self.signature)
            .map_err(|_| OcspError::Signature)
    }
}

/// A delegated responder is certified by the very key it answers for, and for that purpose in so many words.
fn check_delegate(certificate: &Certificate, ca: &Certificate, now: Timestamp) -> Result<(), OcspError> {
    let no = |why: &str| Err(OcspError::Unauthorised(format!("its signer {} {why}", certificate.subject())));
    if certificate.issuer() != ca.subject()
        || verify_certificate(certificate.der(), ca.subject_public_key_info()).is_err()
    {
        return no("was not certified by the CA");
    }
    // anyExtendedKeyUsage is not enough: section 4.2.2.2 wants id-kp-OCSPSigning.
    if !certificate.extended_key_usages().is_some_and(|usages| usages.has_ocsp_signing()) {
        return no("has no extended key usage OCSPSigning");
    }
    if certificate.key_usage().is_some_and(|usage| !usage.digital_signature()) {
        return no("has a key usage without digitalSignature");
    }
    if let Some(extension) = certificate.unknown_critical_extensions().first() {
        return no(&format!("has the critical extension {extension}, which is not known"));
    }
    if now < certificate.not_before() || now > certificate.not_after() {
        return no("has a certificate that is not valid now");
    }
    Ok(())
}
