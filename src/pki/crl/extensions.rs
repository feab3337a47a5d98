//! Extensions of a revocation list and of its entries (RFC 5280 sections 5.2 and 5.3).

use super::entries::RevocationReason;
use super::{CrlError, CrlNumber};
use crate::pki::der::{self, DerError, Element, Reader, tag};
use crate::pki::fingerprint::sha256;
use std::fmt;

// Contents of the object identifiers 2.5.29.n.
const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 20];
const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];
const INVALIDITY_DATE: &[u8] = &[0x55, 0x1d, 24];
const DELTA_CRL_INDICATOR: &[u8] = &[0x55, 0x1d, 27];
const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 28];
const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 29];
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 35];

/// Extensions that a list or an entry may have: RFC 5280 defines seven and four; checking for doubles is quadratic.
const MAX_EXTENSIONS: usize = 32;

/// Which of its issuer's certificates a list speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All: a certificate that is not on it is not revoked.
    Complete,
    /// A part (issuingDistributionPoint: a distribution point, only users, only CAs, only some reasons): who is on it
    /// is revoked, of others it says nothing. The SHA-256 of the extension tells parts apart.
    Partial([u8; 32]),
    /// It cannot be told, or what it says cannot be used.
    NotUnderstood(NotUnderstood),
}

/// What makes a list one that cannot be relied on. Its entries may revoke certificates that no other list does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotUnderstood {
    /// A delta list (section 5.2.4).
    Delta,
    /// An indirect list, which speaks of other issuers' certificates (section 5.2.5), or an entry of one (5.3.3).
    Indirect,
    /// A critical extension of the list that is not known (section 5.2), as dotted numbers.
    CriticalExtension(String),
    /// A critical extension of an entry that is not known (section 5.3), as dotted numbers.
    CriticalEntryExtension(String),
}

/// What the extensions of a list say.
#[derive(Debug)]
pub(super) struct ListExtensions {
    pub(super) number: Option<CrlNumber>,
    pub(super) authority_key_identifier: Option<Vec<u8>>,
    pub(super) scope: Scope,
}

/// Whether an extension must be understood.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Criticality {
    Critical,
    NotCritical,
}

impl Default for ListExtensions {
    fn default() -> Self {
        Self { number: None, authority_key_identifier: None, scope: Scope::Complete }
    }
}

impl Scope {
    pub(super) const fn is_delta(&self) -> bool {
        matches!(self, Self::NotUnderstood(NotUnderstood::Delta))
    }
}

/// The content of the explicit tag of crlExtensions.
pub(super) fn list(explicit: &[u8]) -> Result<ListExtensions, CrlError> {
    let mut outer = Reader::new(explicit);
    let mut extensions = outer.inside(tag::SEQUENCE, "crlExtensions")?;
    outer.end("crlExtensions")?;
    let mut known = ListExtensions::default();
    let mut not_understood = None;
    let mut seen = Seen::default();
    while !extensions.is_empty() {
        let (oid, criticality, value) = extension(&mut extensions)?;
        seen.once(oid)?;
        match oid {
            CRL_NUMBER => {
                let number = whole(value, tag::INTEGER, "CRLNumber")?;
                known.number = Some(CrlNumber::from_der_content(number.content)?);
            }
            AUTHORITY_KEY_IDENTIFIER => known.authority_key_identifier = key_identifier(value)?,
            ISSUING_DISTRIBUTION_POINT => match issuing_distribution_point(value)? {
                Scope::NotUnderstood(what) => not_understood = not_understood.or(Some(what)),
                scope => known.scope = scope,
            },
            DELTA_CRL_INDICATOR => {
                whole(value, tag::INTEGER, "BaseCRLNumber")?;
                // Before any other reason: a delta's entries differ in kind.
                not_understood = Some(NotUnderstood::Delta);
            }
            _ if criticality == Criticality::Critical => {
                not_understood = not_understood.or_else(|| Some(NotUnderstood::CriticalExtension(der::oid_text(oid))));
            }
            _ => {}
        }
    }
    if let Some(what) = not_understood {
        known.scope = Scope::NotUnderstood(what);
    }
    Ok(known)
}

/// The reason in the content of crlEntryExtensions.
#[inline]
pub(super) fn entry_extensions(content: &[u8]) -> Result<RevocationReason, CrlError> {
    let mut extensions = Reader::new(content);
    let mut reason = RevocationReason::Unspecified;
    let mut seen = Seen::default();
    while !extensions.is_empty() {
        let (oid, criticality, value) = extension(&mut extensions)?;
        seen.once(oid)?;
        match oid {
            REASON_CODE => {
                reason = match whole(value, tag::ENUMERATED, "CRLReason")?.content {
                    [code] => RevocationReason::from_code(*code),
                    _ => return Err(DerError::Value("CRLReason").into()),
                };
            }
            CERTIFICATE_ISSUER => return Err(CrlError::NotUnderstood(NotUnderstood::Indirect)),
            // When the key was probably lost: it does not change that the certificate is revoked.
            INVALIDITY_DATE => {}
            _ if criticality == Criticality::Critical => {
                let what = NotUnderstood::CriticalEntryExtension(der::oid_text(oid));
                return Err(CrlError::NotUnderstood(what));
            }
            _ => {}
        }
    }
    Ok(reason)
}

/// Extensions seen so far, to refuse one that comes twice (section 4.2).
#[derive(Default)]
struct Seen<'a> {
    identifiers: [&'a [u8]; MAX_EXTENSIONS],
    count: usize,
}

impl<'a> Seen<'a> {
    #[inline]
    fn once(&mut self, oid: &'a [u8]) -> Result<(), CrlError> {
        let (before, free) = self.identifiers.split_at_mut(self.count);
        if before.contains(&oid) {
            return Err(CrlError::DuplicateExtension(der::oid_text(oid)));
        }
        *free.first_mut().ok_or(DerError::Value("the number of extensions"))? = oid;
        self.count += 1;
        Ok(())
    }
}

/// One Extension: its identifier's content, whether it is critical, and the content of extnValue.
#[inline]
fn extension<'a>(extensions: &mut Reader<'a>) -> Result<(&'a [u8], Criticality, &'a [u8]), DerError> {
    let mut extension = extensions.inside(tag::SEQUENCE, "an extension")?;
    let oid = extension.element(tag::OBJECT_IDENTIFIER, "extnID")?.content;
    let criticality = match extension.optional(tag::BOOLEAN, "critical")? {
        Some(critical) if der::boolean(critical.content, "critical")? => Criticality::Critical,
        _ => Criticality::NotCritical,
    };
    let value = extension.element(tag::OCTET_STRING, "extnValue")?.content;
    extension.end("an extension")?;
    Ok((oid, criticality, value))
}

/// The one element that an extension's value is.
#[inline]
fn whole<'a>(value: &'a [u8], tag: u8, what: &'static str) -> Result<Element<'a>, DerError> {
    let mut reader = Reader::new(value);
    let element = reader.element(tag, what)?;
    reader.end(what)?;
    Ok(element)
}

/// keyIdentifier `[0]` of an AuthorityKeyIdentifier.
fn key_identifier(value: &[u8]) -> Result<Option<Vec<u8>>, DerError> {
    let mut fields = Reader::new(whole(value, tag::SEQUENCE, "authorityKeyIdentifier")?.content);
    Ok(fields.optional(0x80, "keyIdentifier")?.map(|identifier| identifier.content.to_vec()))
}

/// IssuingDistributionPoint (section 5.2.5).
fn issuing_distribution_point(value: &[u8]) -> Result<Scope, DerError> {
    let what = "issuingDistributionPoint";
    let mut fields = Reader::new(whole(value, tag::SEQUENCE, what)?.content);
    let mut scope = Scope::Complete;
    while !fields.is_empty() {
        let field = fields.any(what)?;
        match field.tag {
            // onlyContainsUserCerts, onlyContainsCACerts, onlyContainsAttributeCerts
            0x81 | 0x82 | 0x85 if !der::boolean(field.content, what)? => {}
            // distributionPoint, onlySomeReasons
            0xa0 | 0x83 | 0x81 | 0x82 | 0x85 => scope = Scope::Partial(sha256(&[value])),
            // indirectCRL
            0x84 if !der::boolean(field.content, what)? => {}
            0x84 => return Ok(Scope::NotUnderstood(NotUnderstood::Indirect)),
            other => return Err(DerError::UnexpectedTag(what, other)),
        }
    }
    Ok(scope)
}

impl fmt::Display for NotUnderstood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delta => f.write_str("it is a delta list"),
            Self::Indirect => f.write_str("it is an indirect list"),
            Self::CriticalExtension(oid) => write!(f, "it has the unknown critical extension {oid}"),
            Self::CriticalEntryExtension(oid) => write!(f, "an entry has the unknown critical extension {oid}"),
        }
    }
}
