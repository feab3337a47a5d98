//! The changes of one CA that no list in force has yet: found by serial number, replaced without copying all of them.

use super::message::{Change, Word};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

/// A change copies its shard and no other: with a hundred thousand entries one of four hundred, 25 KiB.
const SHARDS: usize = 256;

/// One certificate's newest change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) serial: SerialNumber,
    pub(super) sequence: u64,
    pub(super) word: Word,
    pub(super) at: Timestamp,
    /// When the certificate ends, where that was told.
    pub(super) not_after: Option<Timestamp>,
    pub(super) origin: Origin,
}

/// Whether an entry's sequence number is one of the feed that is followed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It is.
    This,
    /// It is of the same feed before its store was restored from a backup: what it revoked may be on no list ever, and
    /// stays until it is on one.
    Restored,
    /// It is of another feed, or of a stretch of this one of which something was not told: a hold stays until the lists
    /// in force are known to have what was not told; a revocation until it is on one of them.
    Another,
}

/// Entries by serial number; a clone shares them.
#[derive(Clone, Debug)]
pub(super) struct Changes {
    /// Each in order of the serial number.
    shards: Vec<Arc<Vec<Entry>>>,
    count: usize,
}

impl Default for Changes {
    fn default() -> Self {
        Self { shards: vec![Arc::default(); SHARDS], count: 0 }
    }
}

impl Entry {
    pub(super) const fn of(change: &Change) -> Self {
        let Change { sequence, serial, word, at, not_after, .. } = *change;
        Self { serial, sequence, word, at, not_after, origin: Origin::This }
    }

    /// What is true after `self` when `newer` is told.
    ///
    /// Nothing undoes a revocation; a release undoes a hold, and of two words of one feed the later counts.
    fn then(self, newer: Self) -> Self {
        Self { not_after: newer.not_after.or(self.not_after), ..self.word_after(newer) }
    }

    fn word_after(self, newer: Self) -> Self {
        let sequence = newer.sequence.max(self.sequence);
        if self.origin == Origin::This && newer.sequence < self.sequence {
            // Told again, out of turn: an older word can only add a revocation.
            return if matches!(newer.word, Word::Revoked(_)) { Self { sequence, ..newer } } else { self };
        }
        match (self.word, newer.word) {
            (Word::Revoked(_), Word::Held | Word::Released) if self.origin == Origin::This => Self { sequence, ..self },
            // What another feed told is forgotten once the lists of this one are in force, its hold must not be.
            (Word::Revoked(_), Word::Held) if self.origin == Origin::Another => {
                Self { sequence, origin: Origin::This, ..self }
            }
            (Word::Revoked(_), Word::Held | Word::Released) => self,
            _ => newer,
        }
    }
}

impl Changes {
    /// The newest change of a certificate.
    pub(super) fn get(&self, serial: &SerialNumber) -> Option<&Entry> {
        if self.count == 0 {
            return None;
        }
        let shard = self.shards.get(shard(serial))?;
        let place = shard.binary_search_by(|entry| entry.serial.cmp(serial)).ok()?;
        shard.get(place)
    }

    /// Adds what was told of a certificate to what was told before.
    pub(super) fn tell(&mut self, entry: Entry) {
        let Some(shard) = self.shards.get_mut(shard(&entry.serial)) else { return };
        let shard = Arc::make_mut(shard);
        match shard.binary_search_by(|known| known.serial.cmp(&entry.serial)) {
            Ok(place) => {
                if let Some(known) = shard.get_mut(place) {
                    *known = known.then(entry);
                }
            }
            Err(place) => {
                shard.insert(place, entry);
                self.count += 1;
            }
        }
    }

    /// Keeps only the entries that `keep` is true of. Shards that stay whole are not copied.
    pub(super) fn retain(&mut self, keep: impl Fn(&Entry) -> bool) {
        for shard in &mut self.shards {
            if !shard.iter().all(&keep) {
                *shard = Arc::new(shard.iter().filter(|entry| keep(entry)).copied().collect());
            }
        }
        self.count = self.shards.iter().map(|shard| shard.len()).sum();
    }

    /// Says of every entry of this feed that `concerns` is true of that it is of what went before.
    pub(super) fn estrange(&mut self, origin: Origin, concerns: impl Fn(&Entry) -> bool) {
        for shard in self.shards.iter_mut().filter(|shard| !shard.is_empty()) {
            for entry in Arc::make_mut(shard) {
                if entry.origin == Origin::This && concerns(entry) {
                    entry.origin = origin;
                }
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }
}

fn shard(serial: &SerialNumber) -> usize {
    let mut hasher = DefaultHasher::new();
    serial.as_bytes().hash(&mut hasher);
    // SHARDS is 256.
    usize::from(hasher.finish().to_be_bytes()[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_pki::crl::RevocationReason;

    const REVOKED: Word = Word::Revoked(RevocationReason::KeyCompromise);

    fn entry(serial: u64, sequence: u64, word: Word) -> Entry {
        let serial = SerialNumber::from_der_content(&[&[0][..], &serial.to_be_bytes()].concat()).unwrap();
        Entry { serial, sequence, word, at: Timestamp::from_unix(0), not_after: None, origin: Origin::This }
    }

    fn after(told: &[(u64, Word)]) -> (u64, Word) {
        let mut changes = Changes::default();
        told.iter().for_each(|(sequence, word)| changes.tell(entry(7, *sequence, *word)));
        assert_eq!(changes.len(), 1);
        let entry = changes.get(&entry(7, 0, REVOKED).serial).unwrap();
        (entry.sequence, entry.word)
    }

    #[test]
    fn a_release_undoes_a_hold_and_never_a_revocation() {
        use Word::{Held, Released};
        assert_eq!(after(&[(1, Held), (2, Released)]), (2, Released));
        assert_eq!(after(&[(1, Held), (2, Released), (3, Held)]), (3, Held));
        assert_eq!(after(&[(1, REVOKED), (2, Released)]), (2, REVOKED));
        assert_eq!(after(&[(1, REVOKED), (2, Held)]), (2, REVOKED));
        assert_eq!(after(&[(1, Held), (2, REVOKED), (3, Released)]), (3, REVOKED));
    }

    #[test]
    fn an_older_word_told_again_undoes_nothing() {
        use Word::{Held, Released};
        assert_eq!(after(&[(5, Held), (3, Released)]), (5, Held));
        assert_eq!(after(&[(5, Released), (3, Held)]), (5, Released));
        assert_eq!(after(&[(5, Released), (3, REVOKED)]), (5, REVOKED));
    }

    #[test]
    fn a_word_of_a_restored_feed_counts_after_all_that_was_told_before() {
        for origin in [Origin::Restored, Origin::Another] {
            for (before, now, expected) in [
                (Word::Held, Word::Released, Word::Released),
                (REVOKED, Word::Released, REVOKED),
                (Word::Released, Word::Held, Word::Held),
            ] {
                let mut changes = Changes::default();
                changes.tell(entry(7, 100, before));
                changes.estrange(origin, |_| true);
                changes.tell(entry(7, 3, now));
                assert_eq!(changes.get(&entry(7, 0, REVOKED).serial).unwrap().word, expected, "{origin:?}");
            }
        }
    }

    #[test]
    fn a_change_copies_one_shard_and_no_other() {
        let mut changes = Changes::default();
        (0..10_000).for_each(|serial| changes.tell(entry(serial, serial, REVOKED)));
        let before = changes.clone();
        changes.tell(entry(77, 20_000, REVOKED));
        let copied = changes.shards.iter().zip(&before.shards).filter(|(one, other)| !Arc::ptr_eq(one, other)).count();
        assert_eq!(copied, 1);
        assert!(changes.shards.iter().all(|shard| shard.len() < 100), "the shards are of one size");
        changes.retain(|entry| entry.sequence != 5);
        assert_eq!((changes.len(), before.len()), (9_999, 10_000));
        assert!(changes.get(&entry(5, 0, REVOKED).serial).is_none());
        assert!(
            (0..10_000)
                .filter(|serial| *serial != 5)
                .all(|serial| changes.get(&entry(serial, 0, REVOKED).serial).is_some())
        );
    }
}
