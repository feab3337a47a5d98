//! A place among the changes of status, and how a store that went back is told from the one that was read before.

use super::{Status, StatusRow, Store, StoreError};
use sekisho_pki::fingerprint::sha256;
use std::fmt;

/// Octets of a mark: two different changes that came to one number have the same one once in 2^64.
const MARK_OCTETS: usize = 8;

/// What stands at a sequence number, in short: in a store that was restored from a backup, or on a standby that had not
/// everything, other changes come to have the numbers of those that were lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark([u8; MARK_OCTETS]);

/// How far the changes were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The last sequence number; 0 before the first.
    pub sequence: u64,
    /// What stands there.
    pub mark: Mark,
}

impl Place {
    /// The changes after this place.
    ///
    /// # Errors
    /// [`StoreError::WentBack`] when another change stands there than was read, or none; and what reading says.
    pub async fn after(&self, store: &dyn Store, limit: u32) -> Result<Vec<StatusRow>, StoreError> {
        let Some(before) = self.sequence.checked_sub(1) else {
            return store.statuses(0, limit).await;
        };
        let mut rows = store.statuses(before, limit.saturating_add(1)).await?;
        if rows.first().map(StatusRow::place) != Some(*self) {
            return Err(StoreError::WentBack(self.sequence));
        }
        rows.remove(0);
        Ok(rows)
    }

    /// The place of that number, as the store has it; `None` when it has no such number.
    ///
    /// # Errors
    /// What reading says.
    pub async fn at(store: &dyn Store, sequence: u64) -> Result<Option<Self>, StoreError> {
        // Also before the first change: what is said of the store is promised only while it can be read.
        let rows = store.statuses(sequence.saturating_sub(1), 1).await?;
        if sequence == 0 {
            return Ok(Some(Self::default()));
        }
        Ok(rows.first().map(StatusRow::place).filter(|place| place.sequence == sequence))
    }
}

impl StatusRow {
    /// Its place.
    pub fn place(&self) -> Place {
        let change = &self.change;
        let (status, reason) = match change.status {
            Status::Revoked(reason) => (b'r', reason.code()),
            Status::Held => (b'h', 0),
            Status::Released => (b'e', 0),
        };
        let digest = sha256(&[
            &self.sequence.to_be_bytes(),
            &[status, reason],
            &change.at.unix().to_be_bytes(),
            change.serial.as_bytes(),
        ]);
        let mut mark = [0; MARK_OCTETS];
        mark.iter_mut().zip(digest).for_each(|(octet, of_digest)| *octet = of_digest);
        Place { sequence: self.sequence, mark: Mark(mark) }
    }
}

/// In lower-case hex; empty before the first change.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() {
            return Ok(());
        }
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}
