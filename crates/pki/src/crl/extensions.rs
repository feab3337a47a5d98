//! Extensions of a revocation list and of its entries (RFC 5280 sections 5.2 and 5.3).

use super::entries::RevocationReason;
use super::malformed::unclear;
use super::{CrlError, CrlNumber};
use crate::der::{self, DerError, Element, Reader, tag};
use crate::fingerprint::sha256;
use crate::points::{self, PointName, Reasons};
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
    /// Some (issuingDistributionPoint).
    Partial(Part),
    /// It cannot be told, or what it says cannot be used.
    NotUnderstood(NotUnderstood),
}

/// The part of its issuer's certificates that a list speaks of (section 5.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// SHA-256 of the extension: a delta list is for the list with the very same one (section 5.2.4).
    pub identity: [u8; 32],
    /// Of certificates with one of these distribution points; of all when there is none.
    pub points: Box<[PointName]>,
    /// Of this kind of certificates.
    pub holders: Holders,
    /// Revoked for these reasons.
    pub reasons: Reasons,
}

/// Whose certificates a list is for (onlyContainsUserCerts, onlyContainsCACerts, onlyContainsAttributeCerts).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Holders {
    /// Everybody's.
    #[default]
    All,
    /// End entities'.
    Users,
    /// CAs'.
    Authorities,
    /// Attribute certificates, whose serial numbers are none of ours.
    AttributeCertificates,
}

/// What makes a list one that cannot be relied on. Its entries may revoke certificates that no other list does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotUnderstood {
    /// An indirect list, which speaks of other issuers' certificates (section 5.2.5), or an entry of one (5.3.3).
    Indirect,
    /// A critical extension of the list that is not known (section 5.2), as dotted numbers.
    CriticalExtension(String),
    /// A critical extension of an entry that is not known (section 5.3), as dotted numbers.
    CriticalEntryExtension(String),
    /// Validly signed, and not as it has to be.
    Malformed(Box<CrlError>),
}

/// What the extensions of a list say.
#[derive(Debug)]
pub(super) struct ListExtensions {
    pub(super) number: Option<CrlNumber>,
    pub(super) base: Option<CrlNumber>,
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
        Self { number: None, base: None, authority_key_identifier: None, scope: Scope::Complete }
    }
}

/// The content of the explicit tag of crlExtensions, of a list with this issuer (the content of its Name SEQUENCE).
pub(super) fn list(explicit: &[u8], issuer: &[u8]) -> Result<ListExtensions, CrlError> {
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
            CRL_NUMBER => known.number = Some(crl_number(value, "CRLNumber")?),
            AUTHORITY_KEY_IDENTIFIER => known.authority_key_identifier = key_identifier(value)?,
            ISSUING_DISTRIBUTION_POINT => match issuing_distribution_point(value, issuer)? {
                Scope::NotUnderstood(what) => not_understood = not_understood.or(Some(what)),
                scope => known.scope = scope,
            },
            DELTA_CRL_INDICATOR => known.base = Some(crl_number(value, "BaseCRLNumber")?),
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

/// The same of a list that is refused for `error`: what can be read of it, and once only.
pub(super) fn readable(explicit: &[u8], issuer: &[u8], error: &CrlError) -> ListExtensions {
    let (mut number, mut base, mut key, mut scope) = (Once::Absent, Once::Absent, Once::Absent, Once::Absent);
    let mut extensions = Reader::new(explicit).inside(tag::SEQUENCE, "crlExtensions").ok();
    let mut all_read = extensions.is_some();
    while let Some(rest) = extensions.as_mut().filter(|rest| !rest.is_empty()) {
        let Ok(whole) = rest.any("an extension") else {
            all_read = false;
            break;
        };
        match extension(&mut Reader::new(whole.whole)) {
            Ok((CRL_NUMBER, _, value)) => number.found(crl_number(value, "CRLNumber").ok()),
            Ok((DELTA_CRL_INDICATOR, _, value)) => base.found(crl_number(value, "BaseCRLNumber").ok()),
            Ok((AUTHORITY_KEY_IDENTIFIER, _, value)) => key.found(key_identifier(value).ok().flatten()),
            Ok((ISSUING_DISTRIBUTION_POINT, _, value)) => scope.found(issuing_distribution_point(value, issuer).ok()),
            Ok(_) => {}
            Err(_) => all_read = false,
        }
    }
    let scope = match scope {
        Once::Read(scope) => scope,
        Once::Absent if all_read => Scope::Complete,
        Once::Absent | Once::Unclear => unclear(error),
    };
    ListExtensions { number: number.read(), base: base.read(), authority_key_identifier: key.read(), scope }
}

/// An extension of a malformed list.
enum Once<T> {
    Absent,
    Read(T),
    /// It cannot be read, or stands there twice.
    Unclear,
}

impl<T> Once<T> {
    fn found(&mut self, value: Option<T>) {
        *self = match (&self, value) {
            (Self::Absent, Some(value)) => Self::Read(value),
            _ => Self::Unclear,
        };
    }

    fn read(self) -> Option<T> {
        if let Self::Read(value) = self { Some(value) } else { None }
    }
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

fn crl_number(value: &[u8], what: &'static str) -> Result<CrlNumber, DerError> {
    CrlNumber::from_der_content(whole(value, tag::INTEGER, what)?.content)
}

/// keyIdentifier `[0]` of an AuthorityKeyIdentifier.
fn key_identifier(value: &[u8]) -> Result<Option<Vec<u8>>, DerError> {
    let mut fields = Reader::new(whole(value, tag::SEQUENCE, "authorityKeyIdentifier")?.content);
    Ok(fields.optional(0x80, "keyIdentifier")?.map(|identifier| identifier.content.to_vec()))
}

/// IssuingDistributionPoint (section 5.2.5).
fn issuing_distribution_point(value: &[u8], issuer: &[u8]) -> Result<Scope, DerError> {
    let what = "issuingDistributionPoint";
    let mut fields = Reader::new(whole(value, tag::SEQUENCE, what)?.content);
    let mut part =
        Part { identity: sha256(&[value]), points: Box::default(), holders: Holders::All, reasons: Reasons::ALL };
    let mut last = 0;
    while !fields.is_empty() {
        let field = fields.any(what)?;
        if field.tag & 0x0f < last {
            return Err(DerError::UnexpectedTag(what, field.tag));
        }
        last = (field.tag & 0x0f) + 1;
        match field.tag {
            tag::CONTEXT_0 => part.points = points::names(field.content, issuer)?.into(),
            0x83 => part.reasons = Reasons::from_bits(field.content)?,
            0x81 | 0x82 | 0x84 | 0x85 if !der::boolean(field.content, what)? => {}
            0x81 => part.only(Holders::Users)?,
            0x82 => part.only(Holders::Authorities)?,
            0x85 => part.only(Holders::AttributeCertificates)?,
            // indirectCRL
            0x84 => return Ok(Scope::NotUnderstood(NotUnderstood::Indirect)),
            other => return Err(DerError::UnexpectedTag(what, other)),
        }
    }
    let is_all = part.points.is_empty() && part.holders == Holders::All && part.reasons.is_all();
    Ok(if is_all { Scope::Complete } else { Scope::Partial(part) })
}

impl Part {
    /// Takes the list for these only; at most one of the three fields may be TRUE.
    fn only(&mut self, holders: Holders) -> Result<(), DerError> {
        if self.holders != Holders::All {
            return Err(DerError::Value("issuingDistributionPoint"));
        }
        self.holders = holders;
        Ok(())
    }
}

impl fmt::Display for NotUnderstood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Indirect => f.write_str("it is an indirect list"),
            Self::CriticalExtension(oid) => write!(f, "it has the unknown critical extension {oid}"),
            Self::CriticalEntryExtension(oid) => write!(f, "an entry has the unknown critical extension {oid}"),
            Self::Malformed(error) => match &**error {
                CrlError::Der(error) => write!(f, "it is malformed: {error}"),
                error => write!(f, "it is malformed: {error}"),
            },
        }
    }
}
