//! The entries of one part, encoded as they come and kept in chunks.

use super::super::der::{Criticality, build, tag};
use super::super::oid;
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::fmt;
use std::sync::Arc;

/// Octets of a chunk: what a revocation copies at most while a list of the same entries is being signed elsewhere.
const CHUNK_BYTES: usize = 64 * 1024;

/// Why a certificate is revoked for ever: the reasons of RFC 5280 section 5.3.1 without those that can be undone and
/// that of attribute authorities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "RFC 5280 section 5.3.1 defines them")]
pub enum Reason {
    #[default]
    Unspecified,
    KeyCompromise,
    AffiliationChanged,
    Superseded,
    CessationOfOperation,
    PrivilegeWithdrawn,
    CaCompromise,
}

/// A certificate that is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Its serial number.
    pub serial: SerialNumber,
    /// When it was revoked.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
    /// Its notAfter: some time later it may leave the list.
    pub not_after: Timestamp,
}

/// A certificate on hold, or one that was: what can be undone, and so never enters the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its serial number.
    pub serial: SerialNumber,
    /// Since when.
    pub at: Timestamp,
    /// Whether it still is.
    pub state: HoldState,
}

/// Whether a hold is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldState {
    /// It is: `certificateHold`.
    Held,
    /// It is over: `removeFromCRL`, in delta lists only (RFC 5280 section 5.3.1).
    Released,
}

/// Why a revocation is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokeError {
    /// It is on the list. Nothing of it changes: not the time and not the reason.
    AlreadyRevoked,
}

/// Encoded entries in the order they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    chunks: Vec<Arc<Chunk>>,
    bytes: usize,
}

#[derive(Clone, Debug, Default)]
struct Chunk {
    der: Vec<u8>,
    /// Of each entry: its serial, its length and its certificate's notAfter, to let it go.
    entries: Vec<(SerialNumber, u16, Timestamp)>,
    /// The earliest notAfter among them.
    earliest: Option<Timestamp>,
}

/// What a list is made of, shared with the register: taking it copies nothing.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    chunks: Vec<Arc<Chunk>>,
    /// Where the first chunk begins and how much there is in all.
    skip: usize,
    length: usize,
}

impl Entries {
    /// Octets of all entries: the place where the next one goes.
    pub(super) const fn len(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, revoked: &Revoked) {
        self.push_encoded(&encode(revoked), revoked.serial, revoked.not_after);
    }

    /// Everything from this place on.
    pub(super) fn since(&self, place: usize) -> Slice {
        let mut skip = place.min(self.bytes);
        let mut first = 0;
        for chunk in &self.chunks {
            if skip < chunk.der.len() {
                break;
            }
            skip -= chunk.der.len();
            first += 1;
        }
        let chunks = self.chunks.get(first..).unwrap_or_default().to_vec();
        Slice { chunks, skip, length: self.bytes - place.min(self.bytes) }
    }

    /// Lets go of entries before `place` whose certificates ended before `end`; gives their serials. Chunks without
    /// such entries stay as they are: with none at all this looks at each chunk once, not at a million entries.
    pub(super) fn forget(&mut self, place: usize, end: Timestamp) -> Vec<SerialNumber> {
        let mut gone = Vec::new();
        let (mut kept, mut at) = (Self::default(), 0);
        for chunk in std::mem::take(&mut self.chunks) {
            let begin = at;
            at += chunk.der.len();
            if begin >= place || chunk.earliest.is_none_or(|earliest| earliest >= end) {
                kept.bytes += chunk.der.len();
                kept.chunks.push(chunk);
                continue;
            }
            let mut offset = 0;
            for (serial, length, not_after) in &chunk.entries {
                let length = usize::from(*length);
                if begin + offset < place && *not_after < end {
                    gone.push(*serial);
                } else if let Some(der) = chunk.der.get(offset..offset + length) {
                    kept.push_encoded(der, *serial, *not_after);
                }
                offset += length;
            }
        }
        *self = kept;
        gone
    }

    fn push_encoded(&mut self, der: &[u8], serial: SerialNumber, not_after: Timestamp) {
        if self.chunks.last().is_none_or(|last| last.der.len() + der.len() > CHUNK_BYTES) {
            self.chunks.push(Arc::new(Chunk::default()));
        }
        if let Some(last) = self.chunks.last_mut() {
            // Copies the chunk when a list that is being signed has it too.
            let last = Arc::make_mut(last);
            last.der.extend_from_slice(der);
            // An entry has at most 22 octets of serial and 40 more.
            last.entries.push((serial, u16::try_from(der.len()).unwrap_or(u16::MAX), not_after));
            last.earliest = Some(last.earliest.map_or(not_after, |earliest| earliest.min(not_after)));
            self.bytes += der.len();
        }
    }
}

impl Slice {
    pub(super) const fn len(&self) -> usize {
        self.length
    }

    /// The octets, in their order.
    pub(super) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let skip = |index: usize| if index == 0 { self.skip } else { 0 };
        self.chunks.iter().enumerate().map(move |(index, chunk)| chunk.der.get(skip(index)..).unwrap_or_default())
    }
}

/// Entries of holds, one after the other.
pub(super) fn encode_holds(holds: &[Hold]) -> Vec<u8> {
    let reason = |hold: &Hold| match hold.state {
        HoldState::Held => RevocationReason::CertificateHold,
        HoldState::Released => RevocationReason::RemoveFromCrl,
    };
    holds.iter().flat_map(|hold| encode_entry(&hold.serial, hold.at, reason(hold))).collect()
}

fn encode(revoked: &Revoked) -> Vec<u8> {
    encode_entry(&revoked.serial, revoked.at, revoked.reason.into())
}

/// One entry (RFC 5280 sections 5.1.2.6 and 5.3.1); `unspecified` has no extension.
fn encode_entry(serial: &SerialNumber, at: Timestamp, reason: RevocationReason) -> Vec<u8> {
    build(|w| {
        w.sequence(|entry| {
            entry.element(tag::INTEGER, serial.as_bytes());
            entry.time(at);
            if reason != RevocationReason::Unspecified {
                entry.sequence(|extensions| {
                    extensions.extension(oid::REASON_CODE, Criticality::NotCritical, |value| {
                        value.element(tag::ENUMERATED, &[reason.code()]);
                    });
                });
            }
        });
    })
}

impl From<Reason> for RevocationReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Unspecified => Self::Unspecified,
            Reason::KeyCompromise => Self::KeyCompromise,
            Reason::AffiliationChanged => Self::AffiliationChanged,
            Reason::Superseded => Self::Superseded,
            Reason::CessationOfOperation => Self::CessationOfOperation,
            Reason::PrivilegeWithdrawn => Self::PrivilegeWithdrawn,
            Reason::CaCompromise => Self::CaCompromise,
        }
    }
}

/// Reasons that are not an end user's, or can be undone, are listed as unspecified: revoked all the same.
impl From<RevocationReason> for Reason {
    fn from(reason: RevocationReason) -> Self {
        match reason {
            RevocationReason::KeyCompromise => Self::KeyCompromise,
            RevocationReason::AffiliationChanged => Self::AffiliationChanged,
            RevocationReason::Superseded => Self::Superseded,
            RevocationReason::CessationOfOperation => Self::CessationOfOperation,
            RevocationReason::PrivilegeWithdrawn => Self::PrivilegeWithdrawn,
            RevocationReason::CaCompromise => Self::CaCompromise,
            RevocationReason::Unspecified
            | RevocationReason::CertificateHold
            | RevocationReason::RemoveFromCrl
            | RevocationReason::AaCompromise => Self::Unspecified,
        }
    }
}

impl fmt::Display for RevokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the certificate is revoked already")
    }
}

impl std::error::Error for RevokeError {}
