//! What can still be read of a list that is malformed in its signed part.
//!
//! Its signature tells that its issuer made it, so that it may revoke certificates in what cannot be read. Nothing is
//! taken from it but who made it, how new it is, and which certificates it speaks of.

use super::extensions::{self, ListExtensions};
use super::{CrlError, NotUnderstood, RevocationListHeader, Scope, SignedList};
use crate::der::{self, Reader, tag};
use crate::time::Timestamp;

/// A list that is malformed where only its issuer can have made it so.
#[derive(Clone, Debug)]
pub struct MalformedList<'a> {
    header: RevocationListHeader,
    signed: SignedList<'a>,
}

impl<'a> MalformedList<'a> {
    /// Reads a list that [`super::CertificateList::parse`] refused for `error`. None where its signed part, its signature
    /// or its issuer cannot be told: then nobody can say who made it. None too where the AlgorithmIdentifier outside of
    /// the signed part is another one than inside: what is outside nobody signed, and one list may verify with several.
    pub fn parse(der: &'a [u8], error: &CrlError) -> Option<Self> {
        let (parts, mut fields) = SignedList::split(der).ok()?;
        fields.optional(tag::INTEGER, "version").ok()?;
        let algorithm = fields.element(tag::SEQUENCE, "signature").ok()?;
        if algorithm.whole != parts.whole_algorithm() {
            return None;
        }
        let issuer = fields.element(tag::SEQUENCE, "issuer").ok()?;
        let this_update = fields.any("thisUpdate").ok().and_then(|element| der::time(element, "thisUpdate").ok());
        let extensions = match explicit_extensions(fields) {
            Ok(Some(explicit)) => extensions::readable(explicit, issuer.content, error),
            Ok(None) => ListExtensions::default(),
            Err(_) => ListExtensions { scope: unclear(error), ..ListExtensions::default() },
        };
        let header = RevocationListHeader {
            this_update: this_update.unwrap_or(Timestamp::from_unix(0)),
            is_dated: this_update.is_some(),
            next_update: None,
            number: extensions.number,
            base: extensions.base,
            authority_key_identifier: extensions.authority_key_identifier,
            scope: extensions.scope,
            identity: parts.identity(),
        };
        Some(Self { header, signed: parts.of(issuer.whole) })
    }

    /// What could be read of what it says of itself.
    pub const fn header(&self) -> &RevocationListHeader {
        &self.header
    }

    /// What tells who made it.
    pub const fn signed(&self) -> &SignedList<'a> {
        &self.signed
    }
}

/// The content of crlExtensions' explicit tag, behind whatever stands before it.
fn explicit_extensions(mut fields: Reader<'_>) -> Result<Option<&[u8]>, CrlError> {
    while !fields.is_empty() {
        let field = fields.any("tbsCertList")?;
        if field.tag == tag::CONTEXT_0 {
            return Ok(Some(field.content));
        }
    }
    Ok(None)
}

/// The scope of a list whose extensions do not tell it.
pub(super) fn unclear(error: &CrlError) -> Scope {
    Scope::NotUnderstood(NotUnderstood::Malformed(Box::new(error.clone())))
}
