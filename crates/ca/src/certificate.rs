//! Certificates (RFC 5280 section 4) in two steps: prepared, so that serial and intent can be recorded, then signed.

use super::authority::{Authority, sign_sequence};
use super::crl::DistributionPoints;
use super::der::{Criticality, Writer, build, more, tag};
use super::key::{SigningError, SigningKey};
use super::name::Name;
use super::oid;
use super::public_key::{SubjectKey, WeakKey};
use super::validity::Validity;
use sekisho_pki::certificate::Certificate;
use sekisho_pki::fingerprint::{AuthorityKey, sha256};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::signature::verify_certificate;
use std::fmt;

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A user's: digitalSignature, id-kp-clientAuth.
    Client,
    /// An OCSP responder's: digitalSignature, id-kp-OCSPSigning, id-pkix-ocsp-nocheck (RFC 6960 section 4.2.2.2).
    OcspResponder,
    /// An authority's: keyCertSign and cRLSign.
    Authority {
        /// CA certificates that may follow below.
        path_len: u8,
    },
}

/// Whose and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Template<'a> {
    /// The subject.
    pub subject: &'a Name,
    /// First and last valid second.
    pub validity: Validity,
    /// What for.
    pub purpose: Purpose,
}

/// A certificate that lacks its signature only. It can be signed once, by the authority that prepared it.
#[derive(Debug)]
#[must_use = "record it, then sign it"]
pub struct Prepared {
    tbs: Vec<u8>,
    serial: SerialNumber,
    issuer: AuthorityKey,
}

/// Why a certificate is not prepared or signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrepareError {
    /// It would be valid when its issuer is not: after its end, or from before its beginning.
    OutsideIssuer,
    /// It ends before it begins.
    NeverValid,
    /// The serial number is not positive.
    Serial,
    /// The issuer's pathLenConstraint allows no such authority below it.
    PathLength,
    /// The subject's key is the issuer's own.
    IssuersKey,
    /// The subject's name is the issuer's own.
    IssuersName,
    /// A key that is not certified.
    Key(WeakKey),
    /// Another authority prepared it.
    OtherAuthority,
    /// No signature could be made, or it did not verify.
    Signing,
}

impl Prepared {
    /// The DER tbsCertificate.
    pub fn to_be_signed(&self) -> &[u8] {
        &self.tbs
    }

    /// SHA-256 of it, to be recorded as what was about to be signed.
    pub fn digest(&self) -> [u8; 32] {
        sha256(&[&self.tbs])
    }

    /// Its serial number.
    pub const fn serial(&self) -> SerialNumber {
        self.serial
    }
}

impl Authority {
    /// Makes everything but the signature.
    ///
    /// # Errors
    /// [`PrepareError`] when the certificate would not be valid below this authority.
    pub fn prepare(
        &self,
        serial: SerialNumber,
        template: &Template<'_>,
        key: &SubjectKey,
    ) -> Result<Prepared, PrepareError> {
        let issuer = self.certificate();
        let validity = template.validity;
        if validity.not_after > issuer.not_after() || validity.not_before < issuer.not_before() {
            return Err(PrepareError::OutsideIssuer);
        }
        if let (Purpose::Authority { path_len }, Some(constraints)) = (template.purpose, issuer.basic_constraints())
            && constraints.path_len.is_some_and(|allowed| u32::from(path_len) >= allowed)
        {
            return Err(PrepareError::PathLength);
        }
        if key.public_key_info() == issuer.subject_public_key_info() {
            return Err(PrepareError::IssuersKey);
        }
        if template.subject.der() == issuer.subject().der() {
            return Err(PrepareError::IssuersName);
        }
        let tbs = ToBeSigned {
            serial,
            template,
            key,
            issuer: issuer.subject().der(),
            issuer_identifier: Some(self.identifier()),
            signature_algorithm: &self.key().kind().signature_algorithm(),
            lists: self.points().revocation_lists.as_ref(),
        };
        let access = |w: &mut Writer| self.write_access(w);
        Ok(Prepared { tbs: tbs.encode(access)?, serial, issuer: issuer.authority_key() })
    }

    /// Signs what was prepared, and looks whether the signature is right: a faulty one must not leave the house.
    ///
    /// # Errors
    /// [`PrepareError::OtherAuthority`] or [`PrepareError::Signing`].
    pub fn sign(&self, prepared: Prepared) -> Result<Certificate, PrepareError> {
        if prepared.issuer != self.certificate().authority_key() {
            return Err(PrepareError::OtherAuthority);
        }
        sign(self.key(), &prepared)
    }

    /// authorityInfoAccess (section 4.2.2.1).
    fn write_access(&self, extensions: &mut Writer) {
        let points = self.points();
        if points.ocsp.is_none() && points.ca_issuers.is_none() {
            return;
        }
        extensions.extension(oid::AUTHORITY_INFORMATION_ACCESS, Criticality::NotCritical, |value| {
            value.sequence(|descriptions| {
                for (method, url) in [(oid::OCSP, &points.ocsp), (oid::CA_ISSUERS, &points.ca_issuers)] {
                    if let Some(url) = url {
                        descriptions.sequence(|description| {
                            description.element(tag::OBJECT_IDENTIFIER, method);
                            description.element(more::URI, url.as_str().as_bytes());
                        });
                    }
                }
            });
        });
    }
}

/// A root: signed with its own key.
pub(super) fn self_signed(
    key: &dyn SigningKey,
    serial: SerialNumber,
    template: &Template<'_>,
) -> Result<Certificate, PrepareError> {
    let subject_key = SubjectKey::from_info(key.public_key_info()).map_err(PrepareError::Key)?;
    let tbs = ToBeSigned {
        serial,
        template,
        key: &subject_key,
        issuer: template.subject.der(),
        issuer_identifier: None,
        signature_algorithm: &key.kind().signature_algorithm(),
        lists: None,
    };
    let issuer = AuthorityKey::from_bytes([0; 32]);
    sign(key, &Prepared { tbs: tbs.encode(|_| ())?, serial, issuer })
}

fn sign(key: &dyn SigningKey, prepared: &Prepared) -> Result<Certificate, PrepareError> {
    let der = sign_sequence(key, &[&prepared.tbs])?;
    verify_certificate(&der, key.public_key_info()).map_err(|_| PrepareError::Signing)?;
    Certificate::parse(&der).map_err(|_| PrepareError::Signing)
}

struct ToBeSigned<'a> {
    serial: SerialNumber,
    template: &'a Template<'a>,
    key: &'a SubjectKey,
    issuer: &'a [u8],
    /// None for a root, whose own identifier it would be.
    issuer_identifier: Option<&'a [u8]>,
    signature_algorithm: &'a [u8],
    lists: Option<&'a DistributionPoints>,
}

impl ToBeSigned<'_> {
    fn encode(&self, access: impl FnOnce(&mut Writer)) -> Result<Vec<u8>, PrepareError> {
        let validity = self.template.validity;
        if validity.not_after < validity.not_before {
            return Err(PrepareError::NeverValid);
        }
        // Positive, and not more than 20 octets (section 4.1.2.2).
        let serial = self.serial;
        if !matches!(serial.as_bytes(), [0, _, ..] | [1..0x80, ..]) || serial.as_bytes().len() > 20 {
            return Err(PrepareError::Serial);
        }
        Ok(build(|w| {
            w.sequence(|tbs| {
                tbs.nest(tag::CONTEXT_0, |version| version.unsigned(&[2]));
                tbs.element(tag::INTEGER, serial.as_bytes());
                tbs.raw(self.signature_algorithm);
                tbs.raw(self.issuer);
                tbs.sequence(|period| {
                    period.time(validity.not_before);
                    period.time(validity.not_after);
                });
                tbs.raw(self.template.subject.der());
                tbs.raw(self.key.public_key_info());
                tbs.nest(more::CONTEXT_3, |explicit| {
                    explicit.sequence(|extensions| {
                        self.write_constraints(extensions);
                        self.write_identifiers(extensions);
                        self.write_lists(extensions);
                        access(extensions);
                    });
                });
            });
        }))
    }

    fn write_constraints(&self, extensions: &mut Writer) {
        let critical = Criticality::Critical;
        // RFC 5280 section 4.2.1.3, as DER bit strings: the unused bits of the last octet, then the bits from the top.
        let (usage, purpose): (&[u8], _) = match self.template.purpose {
            Purpose::Client => (&[7, 0b1000_0000], Some(oid::CLIENT_AUTH)),
            Purpose::OcspResponder => (&[7, 0b1000_0000], Some(oid::OCSP_SIGNING)),
            Purpose::Authority { .. } => (&[1, 0b0000_0110], None),
        };
        extensions.extension(oid::BASIC_CONSTRAINTS, critical, |value| {
            value.sequence(|constraints| {
                // cA is FALSE by default, which DER leaves out.
                if let Purpose::Authority { path_len } = self.template.purpose {
                    constraints.element(tag::BOOLEAN, &[0xff]);
                    constraints.unsigned(&[path_len]);
                }
            });
        });
        extensions.extension(oid::KEY_USAGE, critical, |value| value.element(tag::BIT_STRING, usage));
        if let Some(purpose) = purpose {
            extensions.extension(oid::EXTENDED_KEY_USAGE, Criticality::NotCritical, |value| {
                value.sequence(|purposes| purposes.element(tag::OBJECT_IDENTIFIER, purpose));
            });
        }
        if self.template.purpose == Purpose::OcspResponder {
            extensions.extension(oid::OCSP_NO_CHECK, Criticality::NotCritical, |value| value.element(more::NULL, &[]));
        }
    }

    fn write_identifiers(&self, extensions: &mut Writer) {
        extensions.extension(oid::SUBJECT_KEY_IDENTIFIER, Criticality::NotCritical, |value| {
            value.element(tag::OCTET_STRING, self.key.identifier());
        });
        if let Some(identifier) = self.issuer_identifier {
            write_authority_identifier(extensions, identifier);
        }
    }

    fn write_lists(&self, extensions: &mut Writer) {
        if let Some(points) = self.lists {
            let part = points.part_of(&self.serial);
            extensions.extension(oid::CRL_DISTRIBUTION_POINTS, Criticality::NotCritical, |value| {
                super::crl::write_points(value, &points.url(part));
            });
        }
    }
}

/// authorityKeyIdentifier (sections 4.2.1.1 and 5.2.1).
pub(super) fn write_authority_identifier(extensions: &mut Writer, identifier: &[u8]) {
    extensions.extension(oid::AUTHORITY_KEY_IDENTIFIER, Criticality::NotCritical, |value| {
        value.sequence(|fields| fields.element(more::IMPLICIT_0, identifier));
    });
}

impl From<SigningError> for PrepareError {
    fn from(_: SigningError) -> Self {
        Self::Signing
    }
}

impl fmt::Display for PrepareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutsideIssuer => "the certificate would be valid when its issuer is not",
            Self::NeverValid => "the certificate would end before it begins",
            Self::Serial => "the serial number is not positive, or longer than 20 octets",
            Self::PathLength => "the issuer's pathLenConstraint allows no such CA below it",
            Self::IssuersKey => "the key is the issuer's own",
            Self::IssuersName => "the name is the issuer's own",
            Self::Key(error) => return error.fmt(f),
            Self::OtherAuthority => "another CA prepared the certificate",
            Self::Signing => "no signature could be made",
        })
    }
}

impl std::error::Error for PrepareError {}
