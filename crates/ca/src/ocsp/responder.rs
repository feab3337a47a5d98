//! From request to answer.

use super::answer::{Answer, Basic, CertificateStatus, ResponseError};
use super::cache::{AnswerCache, Demand, Epoch};
use super::request::{CertificateId, HashAlgorithm, Nonce, OcspRequest, RequestError};
use crate::key::SigningKey;
use aws_lc_rs::digest;
use sekisho_pki::certificate::Certificate;
use sekisho_pki::der::{Reader, tag};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::signature::verify_certificate;
use sekisho_pki::time::Timestamp;
use std::fmt;

/// Where the status of a certificate is known.
pub trait StatusLookup {
    /// The status of a certificate of the responder's authority.
    ///
    /// # Errors
    /// [`StatusUnavailable`] when it cannot be told now: the answer is then `tryLater`, never `good`.
    fn status(&self, serial: &SerialNumber) -> Result<CertificateStatus, StatusUnavailable>;
}

/// The status cannot be told now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusUnavailable;

/// Who signs the answers (RFC 6960 section 4.2.2.2).
pub enum Signer {
    /// The authority with its own key.
    Authority(Box<dyn SigningKey>),
    /// A responder with a certificate of the authority, so that the authority's key need not be there.
    Delegate {
        /// Its certificate: id-kp-OCSPSigning.
        certificate: Certificate,
        /// Its key.
        key: Box<dyn SigningKey>,
    },
}

/// What a request comes to before anybody looked at a status.
#[derive(Debug)]
pub enum Asked {
    /// An answer that is kept.
    Answered(Answer),
    /// The statuses are to be looked up and told to [`Responder::tell`].
    Pending(Pending),
}

/// A request whose answer is not in the cache: about several certificates, with a nonce (RFC 9654), or new. Each costs a
/// signature, so callers need a limit on how often one may ask. It remembers which changes of status were known then.
#[derive(Debug)]
pub struct Pending {
    ids: Vec<CertificateId>,
    nonce: Option<Nonce>,
    epoch: Epoch,
    demand: Demand,
}

impl Pending {
    /// Whose statuses are asked for, in their order.
    pub fn serials(&self) -> impl Iterator<Item = &SerialNumber> {
        self.ids.iter().map(|id| &id.serial)
    }
}

/// Answers for one authority.
pub struct Responder {
    signer: Signer,
    signer_key_hash: Vec<u8>,
    names: [(HashAlgorithm, Vec<u8>, Vec<u8>); 2],
    /// Seconds that an answer holds.
    holds: i64,
    cache: AnswerCache,
}

/// Why a signer cannot answer for an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponderError {
    /// The key is not that of the certificate.
    OtherKey,
    /// The delegate's certificate is not of this authority.
    OtherAuthority,
    /// The delegate's certificate does not say id-kp-OCSPSigning alone.
    Purpose,
    /// A public key cannot be read.
    Key,
    /// An answer must hold for a second at least.
    Holds,
}

impl Responder {
    /// For an authority; `holds_seconds` is from thisUpdate to nextUpdate of each answer.
    ///
    /// # Errors
    /// [`ResponderError`].
    pub fn new(
        authority: &Certificate,
        signer: Signer,
        holds_seconds: u32,
        cache: AnswerCache,
    ) -> Result<Self, ResponderError> {
        if holds_seconds == 0 {
            return Err(ResponderError::Holds);
        }
        let info = match &signer {
            Signer::Authority(key) => check_key(authority, &**key)?,
            Signer::Delegate { certificate, key } => {
                verify_certificate(certificate.der(), authority.subject_public_key_info())
                    .map_err(|_| ResponderError::OtherAuthority)?;
                if certificate.issuer() != authority.subject() {
                    return Err(ResponderError::OtherAuthority);
                }
                check_purpose(certificate)?;
                check_key(certificate, &**key)?
            }
        };
        let signer_key_hash = hash(HashAlgorithm::Sha1, key_octets(info)?);
        let key = key_octets(authority.subject_public_key_info())?;
        let name = |algorithm| (algorithm, hash(algorithm, authority.subject().der()), hash(algorithm, key));
        let names = [name(HashAlgorithm::Sha1), name(HashAlgorithm::Sha256)];
        Ok(Self { signer, signer_key_hash, names, holds: i64::from(holds_seconds), cache })
    }

    /// Answers the body of a POST.
    ///
    /// # Errors
    /// [`ResponseError`], which is an answer as well.
    pub fn post(&self, body: &[u8], statuses: &dyn StatusLookup, now: Timestamp) -> Result<Answer, ResponseError> {
        self.answer(OcspRequest::from_der(body), statuses, now)
    }

    /// Answers a GET; `encoded` is what follows the responder's path.
    ///
    /// # Errors
    /// [`ResponseError`], which is an answer as well.
    pub fn get(&self, encoded: &str, statuses: &dyn StatusLookup, now: Timestamp) -> Result<Answer, ResponseError> {
        self.answer(OcspRequest::from_path(encoded), statuses, now)
    }

    /// The cache, to forget and to renew.
    pub const fn cache(&self) -> &AnswerCache {
        &self.cache
    }

    /// Signs anew what will soon be over; gives how many. For a background task.
    ///
    /// # Errors
    /// [`ResponseError`] at the first answer that could not be made.
    pub fn refresh(
        &self,
        statuses: &dyn StatusLookup,
        now: Timestamp,
        horizon: Timestamp,
        limit: usize,
    ) -> Result<usize, ResponseError> {
        let due = self.due(now, horizon, limit);
        for pending in &due {
            self.tell(pending, &look_up(pending, statuses)?, now)?;
        }
        Ok(due.len())
    }

    /// Begins a request, for callers whose look-up of a status waits: [`OcspRequest::from_der`] of a POST's body or
    /// [`OcspRequest::from_path`] of what follows the responder's path in a GET.
    ///
    /// # Errors
    /// [`ResponseError`], which is an answer as well.
    pub fn ask(&self, request: Result<OcspRequest, RequestError>, now: Timestamp) -> Result<Asked, ResponseError> {
        let OcspRequest { ids, nonce } = request.map_err(|_| ResponseError::MalformedRequest)?;
        // Of a list with another authority's certificate nothing is told: there is one answer for all of it.
        if ids.iter().any(|id| self.id(id.serial, id.algorithm) != *id) {
            return Err(ResponseError::Unauthorized);
        }
        if let ([id], None) = (&ids[..], &nonce)
            && let Some(answer) = self.cache.get(&id.serial, id.algorithm, now)
        {
            return Ok(Asked::Answered(answer));
        }
        Ok(Asked::Pending(Pending { ids, nonce, epoch: self.cache.epoch(), demand: Demand::Asked }))
    }

    /// Answers what was asked, with the statuses that were looked up since, in the order of [`Pending::serials`]. An answer
    /// about one certificate is kept unless a status changed meanwhile.
    ///
    /// # Errors
    /// [`ResponseError`], which is an answer as well.
    pub fn tell(
        &self,
        pending: &Pending,
        statuses: &[CertificateStatus],
        now: Timestamp,
    ) -> Result<Answer, ResponseError> {
        let Pending { ids, nonce, epoch, demand } = pending;
        if ids.len() != statuses.len() {
            return Err(ResponseError::InternalError);
        }
        let certificates: Vec<_> = ids.iter().cloned().zip(statuses.iter().copied()).collect();
        let answer = self.sign(&certificates, nonce.as_ref(), now)?;
        // Of serial numbers that do not exist there is no end, and one may exist tomorrow; nor is there of nonces and lists.
        if let ([(id, status)], None) = (&certificates[..], nonce)
            && *status != CertificateStatus::Unknown
        {
            self.cache.keep(*epoch, id.serial, id.algorithm, &answer, *demand);
        }
        Ok(answer)
    }

    /// What will soon be over and is asked for, to be told anew: for a background task.
    pub fn due(&self, now: Timestamp, horizon: Timestamp, limit: usize) -> Vec<Pending> {
        let epoch = self.cache.epoch();
        let pending = |(serial, algorithm)| Pending {
            ids: vec![self.id(serial, algorithm)],
            nonce: None,
            epoch,
            demand: Demand::None,
        };
        self.cache.due(now, horizon, limit).into_iter().map(pending).collect()
    }

    fn answer(
        &self,
        request: Result<OcspRequest, RequestError>,
        statuses: &dyn StatusLookup,
        now: Timestamp,
    ) -> Result<Answer, ResponseError> {
        match self.ask(request, now)? {
            Asked::Answered(answer) => Ok(answer),
            Asked::Pending(pending) => self.tell(&pending, &look_up(&pending, statuses)?, now),
        }
    }

    fn sign(
        &self,
        certificates: &[(CertificateId, CertificateStatus)],
        nonce: Option<&Nonce>,
        now: Timestamp,
    ) -> Result<Answer, ResponseError> {
        let (key, delegate) = match &self.signer {
            Signer::Authority(key) => (key, None),
            Signer::Delegate { certificate, key } => (key, Some(certificate)),
        };
        // A delegate whose time is over signs nothing that anybody would take.
        if delegate.is_some_and(|delegate| now < delegate.not_before() || now > delegate.not_after()) {
            return Err(ResponseError::InternalError);
        }
        let next_update = now.plus_seconds(self.holds);
        let next_update = delegate.map_or(next_update, |delegate| next_update.min(delegate.not_after()));
        let signer_key_hash = &self.signer_key_hash;
        let basic = Basic { certificates, nonce, this_update: now, next_update, signer_key_hash, delegate };
        basic.sign(&**key).map_err(|_| ResponseError::InternalError)
    }

    /// The CertID of a certificate of this authority.
    fn id(&self, serial: SerialNumber, algorithm: HashAlgorithm) -> CertificateId {
        let [sha1, sha256] = &self.names;
        let (_, name, key) = if algorithm == HashAlgorithm::Sha1 { sha1 } else { sha256 };
        CertificateId { algorithm, issuer_name_hash: name.clone(), issuer_key_hash: key.clone(), serial }
    }
}

fn look_up(pending: &Pending, statuses: &dyn StatusLookup) -> Result<Vec<CertificateStatus>, ResponseError> {
    pending.serials().map(|serial| statuses.status(serial).map_err(|_| ResponseError::TryLater)).collect()
}

fn check_key<'a>(certificate: &'a Certificate, key: &dyn SigningKey) -> Result<&'a [u8], ResponderError> {
    let info = certificate.subject_public_key_info();
    if info == key.public_key_info() { Ok(info) } else { Err(ResponderError::OtherKey) }
}

/// id-kp-OCSPSigning and nothing else: a user's certificate must not sign answers.
fn check_purpose(certificate: &Certificate) -> Result<(), ResponderError> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate.der()).map_err(|_| ResponderError::Purpose)?;
    let usage = parsed.extended_key_usage().ok().flatten().ok_or(ResponderError::Purpose)?.value;
    let others = usage.any || usage.client_auth || usage.server_auth || usage.code_signing || usage.time_stamping;
    if usage.ocsp_signing && !others && usage.other.is_empty() { Ok(()) } else { Err(ResponderError::Purpose) }
}

/// The content of the BIT STRING, without the octet of unused bits.
fn key_octets(info: &[u8]) -> Result<&[u8], ResponderError> {
    let read = || {
        let mut fields = Reader::new(info).inside(tag::SEQUENCE, "subjectPublicKeyInfo")?;
        fields.any("algorithm")?;
        fields.element(tag::BIT_STRING, "subjectPublicKey")
    };
    match read().map_err(|_: sekisho_pki::crl::DerError| ResponderError::Key)?.content {
        [0, key @ ..] => Ok(key),
        _ => Err(ResponderError::Key),
    }
}

fn hash(algorithm: HashAlgorithm, octets: &[u8]) -> Vec<u8> {
    let algorithm = match algorithm {
        HashAlgorithm::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        HashAlgorithm::Sha256 => &digest::SHA256,
    };
    digest::digest(algorithm, octets).as_ref().to_vec()
}

impl fmt::Display for ResponderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherKey => "the key is not the one of the OCSP signer's certificate",
            Self::OtherAuthority => "the OCSP signer's certificate is not of this CA",
            Self::Purpose => "the OCSP signer's certificate is not for OCSP signing alone",
            Self::Key => "a public key cannot be read",
            Self::Holds => "an answer must hold for a second at least",
        })
    }
}

impl std::error::Error for ResponderError {}
