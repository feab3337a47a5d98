//! What is revoked under one authority: the source of its lists.

use super::super::authority::Authority;
use super::entries::{Entries, Hold, RevokeError, Revoked, encode_holds};
use super::list::{ListError, ListKind, SignedFacts, SignedList, UnsignedList};
use super::number::CrlNumber;
use super::points::{DistributionPoints, PartCount, PartIndex};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::collections::HashSet;

/// The revoked certificates of an authority, by part.
#[derive(Debug)]
pub struct RevocationRegister {
    parts: Vec<Part>,
    count: PartCount,
    revoked: HashSet<SerialNumber>,
}

#[derive(Debug, Default)]
struct Part {
    entries: Entries,
    last: Option<Published>,
    base: Option<Base>,
    /// Entries that the last list of any kind had.
    covered: usize,
}

/// What the store keeps of a part's last list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its number.
    pub number: CrlNumber,
    /// Its thisUpdate.
    pub this_update: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Base {
    number: CrlNumber,
    this_update: Timestamp,
    place: usize,
}

/// What is on hold in a part, beside what the register has: kept by the caller, since it can be undone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Holds<'a> {
    /// Every hold in force: for the full list.
    pub held: &'a [Hold],
    /// Holds that began or ended since the base: for the delta. Not those that a revocation ended.
    pub changed: &'a [Hold],
}

/// What the next deltas build on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextBase {
    /// What they built on so far, if there is something.
    Same,
    /// The full list that is made.
    This,
}

/// A full list, and the delta list of the same number: the same as the full one to whoever has a list since its base
/// (RFC 5280 section 5.2.3).
#[derive(Debug)]
pub struct Lists {
    /// The full list.
    pub full: UnsignedList,
    /// The delta list, where the authority publishes some.
    pub delta: Option<UnsignedList>,
}

/// When a list is made and when the next one comes at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// thisUpdate.
    pub this_update: Timestamp,
    /// nextUpdate.
    pub next_update: Timestamp,
}

impl RevocationRegister {
    /// A register without entries. After a restart the store's revocations are put in again with [`Self::revoke`] and
    /// the last numbers with [`Self::resume`], before anything is published.
    pub fn new(parts: PartCount) -> Self {
        let empty = std::iter::repeat_with(Part::default);
        Self { parts: empty.take(usize::from(parts.get())).collect(), count: parts, revoked: HashSet::new() }
    }

    /// Says which list of a part was the last before a restart. Deltas start again with the next full list.
    ///
    /// # Errors
    /// [`ListError::NumberWentBack`] when a later one is known; [`ListError::NoSuchPart`].
    pub fn resume(&mut self, part: PartIndex, last: Published) -> Result<(), ListError> {
        let part = self.parts.get_mut(usize::from(part.value())).ok_or(ListError::NoSuchPart)?;
        if part.last.is_some_and(|known| known.number > last.number) {
            return Err(ListError::NumberWentBack);
        }
        part.last = Some(last);
        Ok(())
    }

    /// Takes a revocation, for ever; gives the part whose lists are now out of date.
    ///
    /// # Errors
    /// [`RevokeError::AlreadyRevoked`].
    pub fn revoke(&mut self, revoked: &Revoked) -> Result<PartIndex, RevokeError> {
        if !self.revoked.insert(revoked.serial) {
            return Err(RevokeError::AlreadyRevoked);
        }
        let index = PartIndex::of(&revoked.serial, self.count);
        if let Some(part) = self.parts.get_mut(usize::from(index.value())) {
            part.entries.push(revoked);
        }
        Ok(index)
    }

    /// Whether a certificate is on the lists. One that is long over has left them: what is revoked is the store's to say.
    pub fn is_listed(&self, serial: &SerialNumber) -> bool {
        self.revoked.contains(serial)
    }

    /// Revoked certificates on the lists.
    pub fn len(&self) -> usize {
        self.revoked.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.revoked.is_empty()
    }

    /// The number of the next list of a part: for the store, before [`Self::full`] or [`Self::delta`] is called with it.
    ///
    /// # Errors
    /// [`ListError::NumberWentBack`] when there is none left; [`ListError::NoSuchPart`].
    pub fn next_number(&self, part: PartIndex) -> Result<CrlNumber, ListError> {
        let part = self.parts.get(usize::from(part.value())).ok_or(ListError::NoSuchPart)?;
        match part.last {
            None => Ok(CrlNumber::FIRST),
            Some(last) => last.number.successor().ok_or(ListError::NumberWentBack),
        }
    }

    /// Prepares a part's full list; it becomes the base of the deltas that follow. Entries of certificates that were
    /// already over when the full list before was made leave it: they have been on a list beyond their validity
    /// (RFC 5280 section 3.3).
    ///
    /// # Errors
    /// [`ListError`] when number or time would go back.
    pub fn full(
        &mut self,
        authority: &Authority,
        part: PartIndex,
        number: CrlNumber,
        due: Due,
    ) -> Result<UnsignedList, ListError> {
        let facts = self.facts(part, ListKind::Full, number, due)?;
        let points = self.points(authority)?;
        let part = self.parts.get_mut(usize::from(part.value())).ok_or(ListError::NoSuchPart)?;
        if let Some(base) = part.base {
            for serial in part.entries.forget(base.place, base.this_update) {
                self.revoked.remove(&serial);
            }
        }
        let place = part.entries.len();
        part.base = Some(Base { number, this_update: due.this_update, place });
        part.publish(facts);
        Ok(UnsignedList::new(authority, points, facts, part.entries.since(0), Vec::new()))
    }

    /// Prepares a part's full list with its holds and, where deltas are published, the delta of the same number.
    ///
    /// The first full list since the start is the base of its own delta, which is then empty: whoever has an older full
    /// list cannot use it and fetches the new one. Entries leave as in [`Self::full`], when the base moves.
    ///
    /// # Errors
    /// [`ListError`] when number or time would go back.
    pub fn lists(
        &mut self,
        authority: &Authority,
        part: PartIndex,
        number: CrlNumber,
        due: Due,
        holds: Holds<'_>,
        next: NextBase,
    ) -> Result<Lists, ListError> {
        let facts = self.facts(part, ListKind::Full, number, due)?;
        let points = self.points(authority)?;
        let part = self.parts.get_mut(usize::from(part.value())).ok_or(ListError::NoSuchPart)?;
        let full = UnsignedList::new(authority, points, facts, part.entries.since(0), encode_holds(holds.held));
        let before = part.base;
        let this = Base { number, this_update: due.this_update, place: part.entries.len() };
        let base = *part.base.get_or_insert(this);
        let delta = points.is_some_and(DistributionPoints::has_deltas).then(|| {
            let facts = SignedFacts { kind: ListKind::Delta { base: base.number }, ..facts };
            // Since a base that is this very list nothing changed.
            let changed = if before.is_some() { holds.changed } else { &[] };
            UnsignedList::new(authority, points, facts, part.entries.since(base.place), encode_holds(changed))
        });
        if let (NextBase::This, Some(before)) = (next, before) {
            for serial in part.entries.forget(before.place, before.this_update) {
                self.revoked.remove(&serial);
            }
            part.base = Some(Base { place: part.entries.len(), ..this });
        }
        part.publish(facts);
        Ok(Lists { full, delta })
    }

    /// Prepares a part's delta list: what was revoked since its full list.
    ///
    /// # Errors
    /// [`ListError`] when number or time would go back, or there was no full list since the start.
    pub fn delta(
        &mut self,
        authority: &Authority,
        part: PartIndex,
        number: CrlNumber,
        due: Due,
    ) -> Result<UnsignedList, ListError> {
        let index = usize::from(part.value());
        let base = self.parts.get(index).ok_or(ListError::NoSuchPart)?.base.ok_or(ListError::NoBase)?;
        let facts = self.facts(part, ListKind::Delta { base: base.number }, number, due)?;
        let points = self.points(authority)?;
        let part = self.parts.get_mut(index).ok_or(ListError::NoSuchPart)?;
        part.publish(facts);
        Ok(UnsignedList::new(authority, points, facts, part.entries.since(base.place), Vec::new()))
    }

    /// Prepares and signs a part's full list under the next number, for callers without a store.
    ///
    /// # Errors
    /// [`ListError`].
    pub fn sign_full(&mut self, authority: &Authority, part: PartIndex, due: Due) -> Result<SignedList, ListError> {
        let number = self.next_number(part)?;
        self.full(authority, part, number, due)?.sign(authority)
    }

    /// Parts with revocations that no list has yet.
    pub fn out_of_date(&self) -> impl Iterator<Item = PartIndex> {
        let parts = PartIndex::all(self.count).zip(&self.parts);
        parts.filter(|(_, part)| part.entries.len() > part.covered).map(|(index, _)| index)
    }

    /// The authority's certificates must name as many parts as there are, or they would look on the wrong list.
    fn points<'a>(&self, authority: &'a Authority) -> Result<Option<&'a DistributionPoints>, ListError> {
        let points = authority.points().revocation_lists.as_ref();
        let parts = points.map_or(PartCount::MIN, DistributionPoints::parts);
        if parts == self.count { Ok(points) } else { Err(ListError::NoSuchPart) }
    }

    fn facts(&self, part: PartIndex, kind: ListKind, number: CrlNumber, due: Due) -> Result<SignedFacts, ListError> {
        let last = self.parts.get(usize::from(part.value())).ok_or(ListError::NoSuchPart)?.last;
        if last.is_some_and(|last| number <= last.number) {
            return Err(ListError::NumberWentBack);
        }
        if last.is_some_and(|last| due.this_update < last.this_update) {
            return Err(ListError::TimeWentBack);
        }
        if due.next_update <= due.this_update {
            return Err(ListError::NextUpdate);
        }
        Ok(SignedFacts { part, kind, number, this_update: due.this_update, next_update: due.next_update })
    }
}

impl Part {
    fn publish(&mut self, facts: SignedFacts) {
        self.last = Some(Published { number: facts.number, this_update: facts.this_update });
        self.covered = self.entries.len();
    }
}
