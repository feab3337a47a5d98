//! What is to be published of one authority: its register, its holds, and which parts have changed.

use crate::store::{ListNumberRow, Status, StatusChange};
use sekisho_ca::Authority;
use sekisho_ca::crl::{
    CrlNumber, Due, Hold, HoldState, Holds, ListError, Lists, NextBase, PartCount, PartIndex, Published,
    RevocationRegister, Revoked,
};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// Seconds after a certificate's end from which its status is not put on lists any more, also after a start that reads
/// the statuses of many years: a month, so that it was on a list beyond its validity (RFC 5280 section 3.3) even when
/// the service was down for weeks.
const LONG_OVER_SECONDS: i64 = 30 * 86_400;

/// How often, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// From thisUpdate to nextUpdate.
    pub(super) lifetime: i64,
    /// Between two lists of a part in which nothing changed; also how often the base of deltas moves.
    pub(super) interval: i64,
}

/// One authority's.
#[derive(Debug)]
pub(super) struct Ledger {
    register: RevocationRegister,
    holds: HashMap<SerialNumber, Held>,
    parts: Vec<Part>,
    count: PartCount,
    times: Times,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    at: Timestamp,
    not_after: Timestamp,
    part: PartIndex,
}

#[derive(Debug, Default)]
struct Part {
    /// Holds that began or ended since the base.
    changed: BTreeMap<SerialNumber, Hold>,
    /// thisUpdate of the base, and of the last list.
    base: Option<Timestamp>,
    last: Option<Timestamp>,
    owed: Owed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Owed {
    #[default]
    Nothing,
    List,
}

impl Ledger {
    pub(super) fn new(count: PartCount, times: Times) -> Self {
        let parts = std::iter::repeat_with(|| Part { owed: Owed::List, ..Part::default() });
        Self {
            register: RevocationRegister::new(count),
            holds: HashMap::new(),
            parts: parts.take(usize::from(count.get())).collect(),
            count,
            times,
        }
    }

    /// Goes on after the last list of a part.
    ///
    /// # Errors
    /// [`ListError::NoSuchPart`] when there are fewer parts than there were.
    pub(super) fn resume(&mut self, row: &ListNumberRow) -> Result<(), ListError> {
        let index = PartIndex::all(self.count).nth(usize::from(row.part)).ok_or(ListError::NoSuchPart)?;
        let last = Published { number: CrlNumber::from_stored(row.number), this_update: row.this_update };
        self.register.resume(index, last)?;
        if let Some(part) = self.part(index) {
            part.last = Some(row.this_update);
        }
        Ok(())
    }

    /// thisUpdate of the last list of any part; the latest.
    pub(super) fn last_dated(&self) -> Option<Timestamp> {
        self.parts.iter().filter_map(|part| part.last).max()
    }

    /// Returns `true` if a certificate is on the lists as revoked for good.
    pub(super) fn is_revoked(&self, serial: &SerialNumber) -> bool {
        self.register.is_listed(serial)
    }

    /// Takes a change of status. Changes of one certificate must come in their order; what makes no difference is
    /// passed over: a hold of what is revoked, a release of what is not held, a second revocation.
    pub(super) fn take(&mut self, change: &StatusChange, now: Timestamp) {
        let &StatusChange { serial, at, not_after, .. } = change;
        if not_after < now.plus_seconds(-LONG_OVER_SECONDS) {
            return;
        }
        let index = PartIndex::of(&serial, self.count);
        match change.status {
            Status::Revoked(reason) => {
                self.holds.remove(&serial);
                let revoked = Revoked { serial, at, reason: reason.into(), not_after };
                if self.register.revoke(&revoked).is_ok() {
                    self.touch(index, |part| {
                        let _ = part.changed.remove(&serial);
                    });
                }
            }
            Status::Held => {
                if !self.register.is_listed(&serial) && !self.holds.contains_key(&serial) {
                    self.holds.insert(serial, Held { at, not_after, part: index });
                    let hold = Hold { serial, at, state: HoldState::Held };
                    self.touch(index, |part| {
                        let _ = part.changed.insert(serial, hold);
                    });
                }
            }
            Status::Released => {
                if self.holds.remove(&serial).is_some() {
                    let hold = Hold { serial, at, state: HoldState::Released };
                    self.touch(index, |part| {
                        let _ = part.changed.insert(serial, hold);
                    });
                }
            }
        }
    }

    /// Parts of which a list is to be made now.
    pub(super) fn owed(&self, now: Timestamp) -> Vec<PartIndex> {
        let is_owed = |part: &Part| {
            let is_old = |base: Timestamp| base.plus_seconds(self.times.interval) <= now;
            part.owed == Owed::List || part.base.is_none_or(is_old)
        };
        PartIndex::all(self.count).zip(&self.parts).filter(|(_, part)| is_owed(part)).map(|(index, _)| index).collect()
    }

    /// Whether a list of this part is to be made because something changed.
    pub(super) fn owes(&self, index: PartIndex) -> bool {
        self.parts.get(usize::from(index.value())).is_some_and(|part| part.owed == Owed::List)
    }

    /// A list of this part is to be made, whatever was made of it: it did not get out.
    pub(super) fn owe(&mut self, index: PartIndex) {
        self.touch(index, |_| ());
    }

    /// thisUpdate of a part's next list: now, but never before the last one's, also when the clock was set back or
    /// another node's is ahead.
    pub(super) fn this_update(&self, index: PartIndex, now: Timestamp) -> Timestamp {
        let last = self.parts.get(usize::from(index.value())).and_then(|part| part.last);
        last.map_or(now, |last| last.max(now))
    }

    /// Prepares the lists of a part under a number that was taken for them.
    ///
    /// # Errors
    /// [`ListError`].
    pub(super) fn prepare(
        &mut self,
        authority: &Authority,
        index: PartIndex,
        number: CrlNumber,
        this_update: Timestamp,
    ) -> Result<Lists, ListError> {
        let interval = self.times.interval;
        let held = self.held(index, this_update);
        let part = self.parts.get_mut(usize::from(index.value())).ok_or(ListError::NoSuchPart)?;
        let next = match part.base {
            Some(base) if this_update < base.plus_seconds(interval) => NextBase::Same,
            _ => NextBase::This,
        };
        let due = Due { this_update, next_update: this_update.plus_seconds(self.times.lifetime) };
        let changed: Vec<_> = part.changed.values().copied().collect();
        let holds = Holds { held: &held, changed: &changed };
        let lists = self.register.lists(authority, index, number, due, holds, next)?;
        part.last = Some(this_update);
        part.owed = Owed::Nothing;
        if next == NextBase::This {
            part.base = Some(this_update);
            part.changed.clear();
        }
        Ok(lists)
    }

    /// Revoked certificates on the lists, without holds.
    #[cfg(test)]
    pub(super) fn revoked(&self) -> usize {
        self.register.len()
    }

    /// The holds of a part, oldest serial first, so that equal lists are equal octets. Those of certificates that are
    /// long over are let go.
    fn held(&mut self, index: PartIndex, now: Timestamp) -> Vec<Hold> {
        let over = now.plus_seconds(-LONG_OVER_SECONDS);
        self.holds.retain(|_, held| held.not_after >= over);
        let of_part = self.holds.iter().filter(|(_, held)| held.part == index);
        let mut held: Vec<_> =
            of_part.map(|(serial, held)| Hold { serial: *serial, at: held.at, state: HoldState::Held }).collect();
        held.sort_unstable_by_key(|hold| hold.serial);
        held
    }

    fn touch(&mut self, index: PartIndex, change: impl FnOnce(&mut Part)) {
        if let Some(part) = self.part(index) {
            change(part);
            part.owed = Owed::List;
        }
    }

    fn part(&mut self, index: PartIndex) -> Option<&mut Part> {
        self.parts.get_mut(usize::from(index.value()))
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
