//! OCSP responses (RFC 6960 section 4.2).

use super::super::der::{Criticality, Writer, build, more, tag};
use super::super::key::{SigningError, SigningKey};
use super::super::oid;
use super::request::{CertificateId, HashAlgorithm, Nonce};
use crate::crl::Reason;
use sekisho_pki::certificate::Certificate;
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::time::Timestamp;
use std::sync::Arc;

/// What is known of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateStatus {
    /// Issued and not revoked.
    Good,
    /// Revoked.
    Revoked {
        /// When.
        at: Timestamp,
        /// Why.
        reason: Reason,
    },
    /// On hold: revoked with certificateHold, until it is good again (RFC 6960 section 2.2).
    Held {
        /// Since when.
        at: Timestamp,
    },
    /// Never issued here.
    Unknown,
}

/// A signed answer, cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The DER OCSPResponse.
    pub der: Arc<[u8]>,
    /// From when it holds.
    pub this_update: Timestamp,
    /// Until when it holds.
    pub next_update: Timestamp,
    /// Whether it has the nonce of who asked: then it answers nobody else, and is not to be cached.
    pub has_nonce: bool,
}

/// Answers without a signature (section 2.3). None of them tells anything, so they need none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ResponseError {
    /// The request cannot be read.
    MalformedRequest = 1,
    /// The responder is at fault.
    InternalError = 2,
    /// Ask again later.
    TryLater = 3,
    /// The certificate's issuer is not one it answers for.
    Unauthorized = 6,
}

impl ResponseError {
    /// The DER OCSPResponse.
    pub fn der(self) -> Vec<u8> {
        build(|w| w.sequence(|response| response.element(tag::ENUMERATED, &[self as u8])))
    }
}

/// What goes into a basic response beside the key.
pub(super) struct Basic<'a> {
    pub(super) certificates: &'a [(CertificateId, CertificateStatus)],
    pub(super) nonce: Option<&'a Nonce>,
    pub(super) this_update: Timestamp,
    pub(super) next_update: Timestamp,
    /// SHA-1 of the signer's key, by which it is named.
    pub(super) signer_key_hash: &'a [u8],
    /// A delegated responder's certificate.
    pub(super) delegate: Option<&'a Certificate>,
}

impl Basic<'_> {
    pub(super) fn sign(&self, key: &dyn SigningKey) -> Result<Answer, SigningError> {
        let data = build(|w| w.sequence(|data| self.write_data(data)));
        let signature = key.sign(&[&data])?;
        let basic = build(|w| {
            w.sequence(|basic| {
                basic.raw(&data);
                basic.raw(&key.kind().signature_algorithm());
                basic.bit_string(&signature);
                if let Some(delegate) = self.delegate {
                    basic.nest(tag::CONTEXT_0, |explicit| explicit.sequence(|list| list.raw(delegate.der())));
                }
            });
        });
        let der = build(|w| {
            w.sequence(|response| {
                // successful
                response.element(tag::ENUMERATED, &[0]);
                response.nest(tag::CONTEXT_0, |explicit| {
                    explicit.sequence(|bytes| {
                        bytes.element(tag::OBJECT_IDENTIFIER, oid::OCSP_BASIC);
                        bytes.element(tag::OCTET_STRING, &basic);
                    });
                });
            });
        });
        let Self { this_update, next_update, .. } = *self;
        Ok(Answer { der: der.into(), this_update, next_update, has_nonce: self.nonce.is_some() })
    }

    fn write_data(&self, data: &mut Writer) {
        data.nest(more::CONTEXT_2, |by_key| by_key.element(tag::OCTET_STRING, self.signer_key_hash));
        // producedAt
        data.generalized_time(self.this_update);
        data.sequence(|responses| {
            for (id, status) in self.certificates {
                responses.sequence(|single| {
                    write_id(single, id);
                    write_status(single, *status);
                    single.generalized_time(self.this_update);
                    single.nest(tag::CONTEXT_0, |next| next.generalized_time(self.next_update));
                });
            }
        });
        if let Some(nonce) = self.nonce {
            data.nest(more::CONTEXT_1, |explicit| {
                explicit.sequence(|extensions| {
                    extensions.extension(oid::OCSP_NONCE, Criticality::NotCritical, |value| {
                        value.element(tag::OCTET_STRING, &nonce.0);
                    });
                });
            });
        }
    }
}

fn write_id(single: &mut Writer, id: &CertificateId) {
    single.sequence(|fields| {
        fields.sequence(|algorithm| {
            algorithm.element(
                tag::OBJECT_IDENTIFIER,
                match id.algorithm {
                    HashAlgorithm::Sha1 => oid::SHA1,
                    HashAlgorithm::Sha256 => oid::SHA256,
                },
            );
            algorithm.element(more::NULL, &[]);
        });
        fields.element(tag::OCTET_STRING, &id.issuer_name_hash);
        fields.element(tag::OCTET_STRING, &id.issuer_key_hash);
        fields.element(tag::INTEGER, id.serial.as_bytes());
    });
}

fn write_status(single: &mut Writer, status: CertificateStatus) {
    match status {
        CertificateStatus::Good => single.element(more::IMPLICIT_0, &[]),
        CertificateStatus::Revoked { at, reason } => write_revoked(single, at, reason.into()),
        CertificateStatus::Held { at } => write_revoked(single, at, RevocationReason::CertificateHold),
        CertificateStatus::Unknown => single.element(more::IMPLICIT_2, &[]),
    }
}

fn write_revoked(single: &mut Writer, at: Timestamp, reason: RevocationReason) {
    single.nest(more::CONTEXT_1, |revoked| {
        revoked.generalized_time(at);
        if reason != RevocationReason::Unspecified {
            revoked.nest(tag::CONTEXT_0, |explicit| explicit.element(tag::ENUMERATED, &[reason.code()]));
        }
    });
}
