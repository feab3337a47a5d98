//! Accepted lists, and a list in force with the delta that brings it up to date.

use super::alarm::AlarmKind;
use super::policy::ListPolicy;
use super::question::{Question, Subject};
use super::revoked::{Revoked, RevokedIndex};
use sekisho_pki::crl::{CrlNumber, Holders, NotUnderstood, Part, RevocationListHeader, RevocationReason, Scope};
use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_pki::points::{PointName, Reasons};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::sync::Arc;

/// A list whose signature was verified.
#[derive(Debug)]
pub struct RevocationList {
    pub(super) header: RevocationListHeader,
    pub(super) number: Option<Arc<str>>,
    pub(super) signer: AuthorityKey,
    pub(super) file: Arc<str>,
    pub(super) content: Content,
}

/// What a list holds for a lookup.
#[derive(Debug)]
pub(super) enum Content {
    /// Its entries.
    Index(RevokedIndex),
    /// Nothing that can be relied on.
    NotUnderstood(NotUnderstood),
}

/// A list in force, and the delta list that was combined with it (RFC 5280 section 5.2.4).
#[derive(Debug)]
pub(super) struct InForce {
    pub(super) list: Arc<RevocationList>,
    /// What changed since: it builds on a list that is no newer than this one.
    pub(super) delta: Option<Arc<RevocationList>>,
    /// The first newer delta that builds on a list which did not come. It proves that there is a newer list, so that
    /// this one counts as stale from then on; whom it revokes, it revokes beside this one.
    pub(super) outdated_by: Option<Arc<RevocationList>>,
    /// Until when the two together are fresh.
    pub(super) next_update: Timestamp,
    pub(super) says: Says,
}

/// What a list is relied on for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// Who is revoked, and that others in its scope are not.
    Good,
    /// Who is revoked and nothing else: it conflicts with another list, or is another signer's beside the CA's own.
    RevokedOnly,
    /// The same: it was in force before, and more of what it revokes is on no list any more than is kept one by one.
    Retained,
}

impl RevocationList {
    /// What the list says of itself.
    pub const fn header(&self) -> &RevocationListHeader {
        &self.header
    }

    /// CRLNumber in decimal.
    pub fn number(&self) -> Option<&str> {
        self.number.as_deref()
    }

    /// The CA whose key signed it.
    pub const fn signer(&self) -> AuthorityKey {
        self.signer
    }

    /// The file it came from.
    pub const fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// Entries on it: revoked certificates, and of a delta list those that are not any more.
    pub fn entries(&self) -> usize {
        match &self.content {
            Content::Index(index) => index.len(),
            Content::NotUnderstood(_) => 0,
        }
    }

    /// Whether it was signed and is malformed all the same.
    pub(super) const fn is_malformed(&self) -> bool {
        matches!(self.content, Content::NotUnderstood(NotUnderstood::Malformed(_)))
    }

    /// What is odd about the serial numbers of its entries.
    pub(super) fn odd_serials(&self) -> Option<String> {
        match &self.content {
            Content::Index(index) => index.odd().message(),
            Content::NotUnderstood(_) => None,
        }
    }

    /// Octets of memory its index takes.
    pub fn index_octets(&self) -> usize {
        match &self.content {
            Content::Index(index) => index.allocated_octets(),
            Content::NotUnderstood(_) => 0,
        }
    }

    /// Whether and when this list revokes a serial.
    pub fn revoked(&self, serial: &SerialNumber) -> Option<Revoked> {
        self.entry(serial).filter(|entry| entry.reason != RevocationReason::RemoveFromCrl)
    }

    /// The part of the certificates it is of, if it is one that is understood.
    pub(super) const fn part(&self) -> Option<&Part> {
        match &self.header.scope {
            Scope::Partial(part) => Some(part),
            Scope::Complete | Scope::NotUnderstood(_) => None,
        }
    }

    /// The names of its distribution point, if it has one.
    pub fn points(&self) -> &[PointName] {
        self.part().map_or(&[], |part| &part.points)
    }

    /// Whether a CA's settings take it. They are about lists that say who is good: one that is not understood closes its
    /// CA whatever it lacks.
    pub(super) fn admitted_by(&self, policy: &ListPolicy) -> Result<(), (AlarmKind, &'static str)> {
        match self.content {
            Content::Index(_) => policy.admit(&self.header),
            Content::NotUnderstood(_) => Ok(()),
        }
    }

    /// Returns `true` if the other CRL revokes everything that this one revokes.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        match (&self.content, &other.content) {
            (Content::Index(own), Content::Index(other)) => own.is_within(other),
            _ => false,
        }
    }

    /// Returns `true` if these are two CRLs of one number with other contents, which no issuer may make. Which of them
    /// is right cannot be known, whatever their times.
    pub(super) fn contradicts(&self, other: &Self) -> bool {
        self.header.identity != other.header.identity
            && self.header.must_agree_with(&other.header)
            && !(self.entries() == other.entries() && self.is_within(other))
    }

    fn entry(&self, serial: &SerialNumber) -> Option<Revoked> {
        match &self.content {
            Content::Index(index) => index.get(serial),
            Content::NotUnderstood(_) => None,
        }
    }
}

impl InForce {
    /// The list and its delta.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<RevocationList>> {
        std::iter::once(&self.list).chain(&self.delta)
    }

    /// The same to revoke and for nothing else, once others are in force.
    pub(super) fn retained(&self) -> Self {
        let (list, delta) = (Arc::clone(&self.list), self.delta.clone());
        Self { list, delta, outdated_by: None, next_update: self.next_update, says: Says::Retained }
    }

    /// The list whose number and thisUpdate the two together have (section 5.2.4).
    pub(super) fn newest(&self) -> &Arc<RevocationList> {
        self.delta.as_ref().unwrap_or(&self.list)
    }

    /// The number that the two together have.
    pub(super) fn number(&self) -> Option<CrlNumber> {
        self.newest().header.number
    }

    /// Whether it is of all certificates.
    pub(super) fn is_complete(&self) -> bool {
        self.says == Says::Good && self.list.header.scope == Scope::Complete
    }

    /// Whether and when a serial is revoked, and by which of the lists.
    ///
    /// removeFromCRL undoes a hold and nothing else: what was revoked for ever stays so, whatever a later list says.
    pub(super) fn revoked(&self, serial: &SerialNumber) -> Option<(Revoked, &RevocationList)> {
        let mut released = false;
        if let Some(delta) = &self.delta
            && let Some(found) = delta.entry(serial)
        {
            if found.reason != RevocationReason::RemoveFromCrl {
                return Some((found, delta));
            }
            released = true;
        }
        let found = self.list.revoked(serial)?;
        let undone = released && found.reason == RevocationReason::CertificateHold;
        (!undone).then_some((found, &*self.list))
    }

    /// For which reasons this list could have revoked a certificate and did not (section 6.3.3 (b), (d)).
    pub(super) fn covers(&self, question: &Question<'_>) -> Reasons {
        match (&self.list.header.scope, self.says) {
            (_, Says::RevokedOnly | Says::Retained) | (Scope::NotUnderstood(_), _) => Reasons::NONE,
            (Scope::Complete, Says::Good) => Reasons::ALL,
            (Scope::Partial(part), Says::Good) => part_covers(part, question),
        }
    }
}

fn part_covers(part: &Part, question: &Question<'_>) -> Reasons {
    let holds = match part.holders {
        Holders::All => true,
        Holders::Users => question.subject == Subject::EndEntity,
        Holders::Authorities => question.subject == Subject::Authority,
        Holders::AttributeCertificates => false,
    };
    if !holds {
        return Reasons::NONE;
    }
    if part.points.is_empty() {
        return part.reasons;
    }
    let here = question
        .points
        .unwrap_or_default()
        .iter()
        .filter(|point| point.names().iter().any(|name| part.points.contains(name)));
    here.fold(Reasons::NONE, |reasons, point| reasons.and(point.reasons())).in_common(part.reasons)
}
