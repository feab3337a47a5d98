//! One list: everything but its signature, then signed.

use super::super::authority::Authority;
use super::super::certificate::write_authority_identifier;
use super::super::der::{Criticality, Writer, build, header, tag};
use super::super::oid;
use super::entries::Slice;
use super::number::CrlNumber;
use super::points::{DistributionPoints, PartIndex, write_name, write_points};
use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_pki::time::Timestamp;
use std::fmt;

/// Full or delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// Every revoked certificate of the part.
    Full,
    /// Those revoked since the full list of this number (section 5.2.4).
    Delta {
        /// BaseCRLNumber.
        base: CrlNumber,
    },
}

/// A list that lacks its signature only. Making it copies no entries; signing it reads them all once.
#[derive(Debug)]
#[must_use = "record its number, then sign it"]
pub struct UnsignedList {
    head: Vec<u8>,
    entries: Slice,
    /// Entries of holds, then the extensions.
    tail: Vec<u8>,
    facts: SignedFacts,
    issuer: AuthorityKey,
}

/// A list to publish.
#[derive(Clone, Debug)]
pub struct SignedList {
    /// The DER CertificateList.
    pub der: Vec<u8>,
    /// What it is.
    pub facts: SignedFacts,
}

/// What a list is, beside its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedFacts {
    /// Which part it is of.
    pub part: PartIndex,
    /// Full or delta.
    pub kind: ListKind,
    /// Its CRLNumber.
    pub number: CrlNumber,
    /// thisUpdate.
    pub this_update: Timestamp,
    /// nextUpdate.
    pub next_update: Timestamp,
}

/// Why there is no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListError {
    /// The number is not above the last list's.
    NumberWentBack,
    /// thisUpdate lies before the last list's.
    TimeWentBack,
    /// nextUpdate is not after thisUpdate.
    NextUpdate,
    /// A delta is to be made and there is no full list to build on.
    NoBase,
    /// There is no such part.
    NoSuchPart,
    /// Another authority prepared it.
    OtherAuthority,
    /// No signature could be made.
    Signing,
}

impl UnsignedList {
    pub(super) fn new(
        authority: &Authority,
        points: Option<&DistributionPoints>,
        facts: SignedFacts,
        entries: Slice,
        holds: Vec<u8>,
    ) -> Self {
        let certificate = authority.certificate();
        let algorithm = authority.key().kind().signature_algorithm();
        let fields = build(|w| {
            // v2
            w.unsigned(&[1]);
            w.raw(&algorithm);
            w.raw(certificate.subject().der());
            w.time(facts.this_update);
            w.time(facts.next_update);
        });
        // revokedCertificates is absent when there are none (section 5.1.2.6).
        let entries_octets = entries.len() + holds.len();
        let entries_header = if entries_octets == 0 { Vec::new() } else { header(tag::SEQUENCE, entries_octets) };
        let extensions = build(|w| {
            w.nest(tag::CONTEXT_0, |explicit| {
                explicit.sequence(|extensions| {
                    write_authority_identifier(extensions, authority.identifier());
                    write_number(extensions, oid::CRL_NUMBER, Criticality::NotCritical, facts.number);
                    if let ListKind::Delta { base } = facts.kind {
                        write_number(extensions, oid::DELTA_CRL_INDICATOR, Criticality::Critical, base);
                    }
                    if let Some(points) = points {
                        write_scope(extensions, points, facts);
                    }
                });
            });
        });
        let tail = [holds, extensions].concat();
        let length = fields.len() + entries_header.len() + entries.len() + tail.len();
        let head = [header(tag::SEQUENCE, length), fields, entries_header].concat();
        Self { head, entries, tail, facts, issuer: certificate.authority_key() }
    }

    /// What it is.
    pub const fn facts(&self) -> &SignedFacts {
        &self.facts
    }

    /// Signs it.
    ///
    /// # Errors
    /// [`ListError::OtherAuthority`] or [`ListError::Signing`].
    pub fn sign(&self, authority: &Authority) -> Result<SignedList, ListError> {
        if authority.certificate().authority_key() != self.issuer {
            return Err(ListError::OtherAuthority);
        }
        let mut parts = vec![self.head.as_slice()];
        parts.extend(self.entries.parts());
        parts.push(&self.tail);
        let der = authority.sign_sequence(&parts).map_err(|_| ListError::Signing)?;
        Ok(SignedList { der, facts: self.facts })
    }
}

/// issuingDistributionPoint when the list is a part of several (section 5.2.5), freshestCRL in a full one (5.2.6).
fn write_scope(extensions: &mut Writer, points: &DistributionPoints, facts: SignedFacts) {
    if points.parts().get() > 1 {
        extensions.extension(oid::ISSUING_DISTRIBUTION_POINT, Criticality::Critical, |value| {
            value.sequence(|point| write_name(point, &points.url(facts.part)));
        });
    }
    if let (ListKind::Full, Some(delta)) = (facts.kind, points.delta_url(facts.part)) {
        extensions.extension(oid::FRESHEST_CRL, Criticality::NotCritical, |value| write_points(value, &delta));
    }
}

fn write_number(extensions: &mut Writer, oid: &[u8], criticality: Criticality, number: CrlNumber) {
    extensions.extension(oid, criticality, |value| value.unsigned(&number.value().to_be_bytes()));
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NumberWentBack => "the list's number is not above the last one's",
            Self::TimeWentBack => "thisUpdate lies before the last list's",
            Self::NextUpdate => "nextUpdate is not after thisUpdate",
            Self::NoBase => "there is no full list for a delta to build on",
            Self::NoSuchPart => "there is no such part",
            Self::OtherAuthority => "another CA prepared the list",
            Self::Signing => "no signature could be made",
        })
    }
}

impl std::error::Error for ListError {}
