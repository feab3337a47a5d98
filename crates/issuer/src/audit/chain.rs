//! The chain of hashes: no record is changed, taken out, put in or moved unseen.
//!
//! Each hash is an HMAC-SHA-256 over the hash before it, the record's number and its text, keyed from the service's
//! secret: who can write to the store and does not have the secret cannot make another chain. Who takes records off the
//! end leaves a chain that is whole; a [`Head`] that was kept elsewhere finds that.

use super::entry::{Entry, Record};
use super::text::{encode, octets};
use crate::secret::ServiceSecret;
use std::fmt;
use std::str::FromStr;

/// Where a chain ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The last record's number; 0 where there is none.
    pub sequence: u64,
    /// The last record's hash; zeros where there is none.
    pub hash: [u8; 32],
}

/// Not `sequence:hash` with 64 digits of hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAHead;

/// What is wrong with a chain, at the first record where it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Another number comes than the next one: records were taken out, put in or moved.
    OutOfPlace {
        /// The next number.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// The hash is not the one of this text after the record before it: one of the three was changed, or another secret
    /// made it.
    Changed {
        /// The record.
        sequence: u64,
    },
    /// The entry is not what its text says.
    NotItsText {
        /// The record.
        sequence: u64,
    },
    /// The record is not the one that was the head once: the log was written anew from there or from before.
    NotTheKnownHead {
        /// The record.
        sequence: u64,
    },
    /// The log ends before the head that is known.
    Truncated {
        /// The last record there is.
        last: u64,
        /// The number of the head that is known.
        known: u64,
    },
}

impl Head {
    /// Before the first record.
    pub const START: Self = Self { sequence: 0, hash: [0; 32] };
}

/// Puts an entry after the head, which then is at the new record.
pub fn append(secret: &ServiceSecret, head: &mut Head, entry: &Entry) -> Record {
    let text = encode(entry);
    let sequence = head.sequence.saturating_add(1);
    let hash = secret.chain(&head.hash, sequence, &text);
    *head = Head { sequence, hash };
    Record { sequence, entry: entry.clone(), text, hash }
}

/// Checks records in their order.
#[derive(Debug)]
pub struct Verifier<'a> {
    secret: &'a ServiceSecret,
    head: Head,
    known: Option<Head>,
}

impl<'a> Verifier<'a> {
    /// For a whole log.
    pub fn new(secret: &'a ServiceSecret) -> Self {
        Self::after(secret, Head::START)
    }

    /// For the records after a head that is trusted.
    pub fn after(secret: &'a ServiceSecret, head: Head) -> Self {
        Self { secret, head, known: None }
    }

    /// With a head that was kept elsewhere: the log must go through it.
    #[must_use]
    pub fn knowing(mut self, known: Head) -> Self {
        self.known = Some(known);
        self
    }

    /// The next record.
    ///
    /// # Errors
    /// [`Broken`]; the verifier then stays before the record.
    pub fn push(&mut self, record: &Record) -> Result<(), Broken> {
        let sequence = record.sequence;
        // At the end of the numbers no number is the next one.
        if Some(sequence) != self.head.sequence.checked_add(1) {
            let expected = self.head.sequence.saturating_add(1);
            return Err(Broken::OutOfPlace { expected, found: sequence });
        }
        if record.hash != self.secret.chain(&self.head.hash, sequence, &record.text) {
            return Err(Broken::Changed { sequence });
        }
        if encode(&record.entry) != record.text {
            return Err(Broken::NotItsText { sequence });
        }
        let head = Head { sequence, hash: record.hash };
        if self.known.is_some_and(|known| known.sequence == sequence && known != head) {
            return Err(Broken::NotTheKnownHead { sequence });
        }
        self.head = head;
        Ok(())
    }

    /// Where it is.
    pub fn head(&self) -> Head {
        self.head
    }

    /// After the last record: the head, to be kept elsewhere.
    ///
    /// # Errors
    /// [`Broken::Truncated`] when the known head was not come to.
    pub fn finish(self) -> Result<Head, Broken> {
        match self.known {
            Some(known) if self.head.sequence < known.sequence => {
                Err(Broken::Truncated { last: self.head.sequence, known: known.sequence })
            }
            _ => Ok(self.head),
        }
    }
}

/// `sequence:hash`, the hash in lower-case hex.
impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.sequence)?;
        self.hash.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Head({self})")
    }
}

impl FromStr for Head {
    type Err = NotAHead;

    fn from_str(text: &str) -> Result<Self, NotAHead> {
        let (sequence, hash) = text.split_once(':').ok_or(NotAHead)?;
        let hash = octets(hash).and_then(|octets| octets.try_into().ok()).ok_or(NotAHead)?;
        let head = Self { sequence: sequence.parse().map_err(|_| NotAHead)?, hash };
        // `+1` and `01` are numbers too.
        if head.to_string() == text { Ok(head) } else { Err(NotAHead) }
    }
}

impl fmt::Display for NotAHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the head of an audit log: SEQUENCE:HASH with 64 digits of hex")
    }
}

impl std::error::Error for NotAHead {}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfPlace { expected, found } => {
                write!(f, "record {found} comes where {expected} should: records are missing, moved or put in")
            }
            Self::Changed { sequence } => {
                write!(f, "record {sequence} or the one before it was changed, or another secret made it")
            }
            Self::NotItsText { sequence } => write!(f, "record {sequence} is not what its text says"),
            Self::NotTheKnownHead { sequence } => write!(f, "record {sequence} is not the head that is known"),
            Self::Truncated { last, known } => {
                write!(f, "the log ends at record {last}; record {known} was there once")
            }
        }
    }
}

impl std::error::Error for Broken {}
