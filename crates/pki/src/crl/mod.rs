//! Certificate revocation lists (RFC 5280 section 5), read without copying: a list may hold a million entries.

mod entries;
mod extensions;
mod malformed;
mod number;
mod signed;

pub use super::signature::SignatureError;
pub use entries::{Entries, Entry, ListKind, ListedSerial, RevocationReason};
pub use extensions::{Holders, NotUnderstood, Part, Scope};
pub use malformed::MalformedList;
pub use number::CrlNumber;
pub use signed::SignedList;

pub use super::der::DerError;

use super::der::{self, Reader, tag};
use super::time::Timestamp;
use std::cmp::Ordering;
use std::fmt;

/// A revocation list as it lies in its DER; nothing of it is proven until [`Self::verify_signature`] has said so.
#[derive(Clone, Debug)]
pub struct CertificateList<'a> {
    header: RevocationListHeader,
    signed: SignedList<'a>,
    revoked: &'a [u8],
    extended: Extended,
}

/// What a list says of itself, without its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationListHeader {
    /// thisUpdate: when the list was made; 1970 where it cannot be read.
    pub this_update: Timestamp,
    /// Whether thisUpdate could be read. It is not read of some [`MalformedList`] only.
    pub is_dated: bool,
    /// nextUpdate: when the next list comes at the latest. RFC 5280 section 5.1.2.5 requires it; some lists lack it.
    pub next_update: Option<Timestamp>,
    /// CRLNumber (section 5.2.3); some real CAs' lists lack it, and then thisUpdate alone orders them.
    pub number: Option<CrlNumber>,
    /// BaseCRLNumber of a delta list (section 5.2.4): it has what changed since the list of this number.
    pub base: Option<CrlNumber>,
    /// The keyIdentifier of authorityKeyIdentifier (section 5.2.1): a hint, the signature decides.
    pub authority_key_identifier: Option<Vec<u8>>,
    /// Which certificates it speaks of.
    pub scope: Scope,
    /// SHA-256 of the signature value: two lists with a valid signature in common are the same list.
    pub identity: [u8; 32],
}

/// Whether entries and list may have extensions: a v1 list may not (section 5.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extended {
    Version1,
    Version2,
}

/// Why octets are not a revocation list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CrlError {
    /// Not the DER of a CertificateList.
    Der(DerError),
    /// A version other than 1 and 2.
    Version,
    /// signatureAlgorithm and tbsCertList.signature differ (section 5.1.1.2).
    AlgorithmsDiffer,
    /// Extensions in a v1 list.
    ExtensionsInVersion1,
    /// The same extension twice (section 4.2).
    DuplicateExtension(String),
    /// nextUpdate is not after thisUpdate.
    NextUpdateBeforeThisUpdate,
    /// An entry with reason removeFromCRL in a list that is not a delta (section 5.3.1).
    RemoveFromCrl,
    /// An entry's serial number has no octets.
    Serial,
    /// An entry that cannot be understood, so that the list cannot be either.
    NotUnderstood(NotUnderstood),
}

impl<'a> CertificateList<'a> {
    /// Reads a list: everything but its entries, which [`Self::entries`] walks.
    ///
    /// # Errors
    /// [`CrlError`] when the octets are anything but one DER CertificateList.
    pub fn parse(der: &'a [u8]) -> Result<Self, CrlError> {
        let (signed, mut fields) = SignedList::split(der)?;
        let extended = version(&mut fields)?;
        if fields.element(tag::SEQUENCE, "signature")?.whole != signed.whole_algorithm() {
            return Err(CrlError::AlgorithmsDiffer);
        }
        let issuer = fields.element(tag::SEQUENCE, "issuer")?;
        let this_update = der::time(fields.any("thisUpdate")?, "thisUpdate")?;
        let next_update = match fields.peek() {
            Some(tag::UTC_TIME | tag::GENERALIZED_TIME) => Some(der::time(fields.any("nextUpdate")?, "nextUpdate")?),
            _ => None,
        };
        if next_update.is_some_and(|next| next <= this_update) {
            return Err(CrlError::NextUpdateBeforeThisUpdate);
        }
        let revoked = fields.optional(tag::SEQUENCE, "revokedCertificates")?;
        let extensions = match (fields.optional(tag::CONTEXT_0, "crlExtensions")?, extended) {
            (None, _) => extensions::ListExtensions::default(),
            (Some(_), Extended::Version1) => return Err(CrlError::ExtensionsInVersion1),
            (Some(explicit), Extended::Version2) => extensions::list(explicit.content, issuer.content)?,
        };
        fields.end("tbsCertList")?;
        Ok(Self {
            header: RevocationListHeader {
                this_update,
                is_dated: true,
                next_update,
                number: extensions.number,
                base: extensions.base,
                authority_key_identifier: extensions.authority_key_identifier,
                scope: extensions.scope,
                identity: signed.identity(),
            },
            signed: signed.of(issuer.whole),
            revoked: revoked.map_or(&[], |revoked| revoked.content),
            extended,
        })
    }

    /// What it says of itself.
    pub const fn header(&self) -> &RevocationListHeader {
        &self.header
    }

    /// The issuer's name: the DER of a whole Name SEQUENCE.
    pub const fn issuer_der(&self) -> &'a [u8] {
        self.signed.issuer_der()
    }

    /// What tells who made it.
    pub const fn signed(&self) -> &SignedList<'a> {
        &self.signed
    }

    /// The content of revokedCertificates, whose length bounds the entries.
    pub const fn revoked_octets(&self) -> usize {
        self.revoked.len()
    }

    /// Walks the entries in their order. It can be called again.
    pub fn entries(&self) -> Entries<'a> {
        Entries::new(self.revoked, self.extended, self.header.kind())
    }

    /// The serials of the entries in their order, at a third of a walk's cost; the rest of them is not looked at.
    pub fn serials(&self) -> impl Iterator<Item = Result<ListedSerial, CrlError>> {
        entries::serials(self.revoked)
    }

    /// Checks the signature over tbsCertList.
    ///
    /// # Errors
    /// [`SignatureError`] when it is not this key's, or its algorithm is not one that is relied on (SHA-1 is not).
    pub fn verify_signature(&self, subject_public_key_info: &[u8]) -> Result<(), SignatureError> {
        self.signed.verify_signature_in_pieces(subject_public_key_info, &|| ())
    }

    /// [`Self::verify_signature`], which calls `between` between the pieces of a list that takes long to hash.
    ///
    /// # Errors
    /// As [`Self::verify_signature`].
    pub fn verify_signature_in_pieces(&self, key_info: &[u8], between: &dyn Fn()) -> Result<(), SignatureError> {
        self.signed.verify_signature_in_pieces(key_info, between)
    }
}

impl RevocationListHeader {
    /// Whether it is a delta list.
    pub const fn kind(&self) -> ListKind {
        if self.base.is_some() { ListKind::Delta } else { ListKind::Base }
    }

    /// Which of two lists of one signer and scope is the newer: by CRLNumber where both have one, then by thisUpdate.
    pub fn order(&self, other: &Self) -> Ordering {
        let numbers = match (self.number, other.number) {
            (Some(own), Some(other)) => own.cmp(&other),
            _ => Ordering::Equal,
        };
        numbers.then(self.times(other))
    }

    /// Returns `true` if number or thisUpdate tells which of the two is the newer.
    pub const fn is_comparable_with(&self, other: &Self) -> bool {
        (self.number.is_some() && other.number.is_some()) || (self.is_dated && other.is_dated)
    }

    /// What cannot be read is neither earlier nor later.
    fn times(&self, other: &Self) -> Ordering {
        if self.is_dated && other.is_dated { self.this_update.cmp(&other.this_update) } else { Ordering::Equal }
    }

    /// Returns `true` if an issuer may not give these two CRLs other contents: they have one number (RFC 5280 section
    /// 5.2.3), or, where one lacks it, one thisUpdate.
    pub fn must_agree_with(&self, other: &Self) -> bool {
        match (self.number, other.number) {
            (Some(own), Some(other)) => own == other,
            _ => self.times(other) == Ordering::Equal,
        }
    }

    /// Whether taking this list after `in_force` would be a step back: a lower number **or** an earlier thisUpdate.
    pub fn steps_back_from(&self, in_force: &Self) -> bool {
        self.order(in_force) == Ordering::Less || self.times(in_force) == Ordering::Less
    }
}

fn version(fields: &mut Reader<'_>) -> Result<Extended, CrlError> {
    match fields.optional(tag::INTEGER, "version")?.map(|version| version.content) {
        None => Ok(Extended::Version1),
        Some([1]) => Ok(Extended::Version2),
        Some(_) => Err(CrlError::Version),
    }
}

impl From<DerError> for CrlError {
    fn from(error: DerError) -> Self {
        Self::Der(error)
    }
}

impl fmt::Display for CrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Der(error) => write!(f, "not a revocation list: {error}"),
            Self::Version => f.write_str("not a revocation list of version 1 or 2"),
            Self::AlgorithmsDiffer => f.write_str("the signature algorithms inside and outside the signed part differ"),
            Self::ExtensionsInVersion1 => f.write_str("a version 1 list must not have extensions"),
            Self::DuplicateExtension(oid) => write!(f, "extension {oid} stands there twice"),
            Self::NextUpdateBeforeThisUpdate => f.write_str("nextUpdate is not after thisUpdate"),
            Self::RemoveFromCrl => f.write_str("an entry has reason removeFromCRL in a list that is not a delta"),
            Self::Serial => f.write_str("an entry's serial number is empty"),
            Self::NotUnderstood(what) => write!(f, "the list cannot be understood: {what}"),
        }
    }
}

impl std::error::Error for CrlError {}
