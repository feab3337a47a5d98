//! OCSP from the side of who asks (RFC 6960, RFC 5019): octets of a question, and what an answer says once its signer,
//! its subject and its times were checked.

mod answer;
mod authorised;
mod question;

pub use answer::{Answer, CertificateStatus, Declined, NonceEcho, OcspError, verify};
pub use authorised::AnswerSigner;
pub use question::{IssuerId, NONCE_OCTETS, Question};

/// How far a responder's clock may be ahead of ours, or, of an answer without nextUpdate, behind it: as for lists.
const CLOCK_SKEW_SECONDS: i64 = 300;

/// How long an answer without nextUpdate holds from its arrival. Such a responder says that newer word is to be had at
/// any time (RFC 6960 section 2.4); a client that clicks through screens is asked about once a minute and not for each.
const WITHOUT_NEXT_UPDATE_SECONDS: i64 = 60;

/// id-pkix-ocsp-basic, 1.3.6.1.5.5.7.48.1.1.
const OCSP_BASIC: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1];
/// id-pkix-ocsp-nonce, 1.3.6.1.5.5.7.48.1.2.
const OCSP_NONCE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 2];
/// id-sha1, 1.3.14.3.2.26.
const SHA1: &[u8] = &[0x2b, 0x0e, 3, 2, 0x1a];

/// Tags beside those of [`super::der::tag`].
mod more {
    pub(super) const NULL: u8 = 0x05;
    /// Context-specific, primitive, number 0.
    pub(super) const IMPLICIT_0: u8 = 0x80;
    /// Context-specific, primitive, number 2.
    pub(super) const IMPLICIT_2: u8 = 0x82;
    pub(super) const CONTEXT_1: u8 = 0xa1;
    pub(super) const CONTEXT_2: u8 = 0xa2;
}
