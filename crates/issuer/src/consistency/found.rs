//! What was found.

use sekisho_pki::serial::SerialNumber;
use std::fmt;
use std::sync::Arc;

/// Contradictions that are kept to be shown: the first ones say where to look, and of a log that was cut off there is one
/// for each row.
const MAX_SHOWN: usize = 20;

/// What the state lacks, or has against the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// A record says that it was revoked, or a user's row does, and no status row has it.
    NotRevoked(SerialNumber, Arc<str>),
    /// A record says that its status was taken over from elsewhere, and it has none.
    NoStatus(SerialNumber, Arc<str>),
    /// It was completed, and there is no such certificate.
    NoCertificate(SerialNumber, Arc<str>),
    /// It was completed, has not ended, and is neither its user's nor revoked.
    Astray(SerialNumber, Arc<str>),
    /// A user holds it, and it is revoked.
    HeldAndRevoked(SerialNumber, Arc<str>),
    /// A row that says something which no record says: the row, and what is lacking.
    Unrecorded(Arc<str>, &'static str),
    /// A row, and the record of that number that says otherwise.
    Otherwise(Arc<str>, u64),
    /// Rows that no issuer wrote so: which, and what is wrong with the first of them.
    Unreadable(Arc<str>, Arc<str>),
}

/// All that was found: the first of them, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contradictions {
    first: Vec<Contradiction>,
    count: u64,
}

impl Contradictions {
    /// One more.
    pub fn push(&mut self, one: Contradiction) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < MAX_SHOWN {
            self.first.push(one);
        }
    }

    /// Returns `true` if there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first ones.
    pub fn first(&self) -> &[Contradiction] {
        &self.first
    }
}

impl Extend<Contradiction> for Contradictions {
    fn extend<T: IntoIterator<Item = Contradiction>>(&mut self, all: T) {
        all.into_iter().for_each(|one| self.push(one));
    }
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRevoked(serial, by) => write!(f, "{by} says that {serial} was revoked, and no status has it"),
            Self::NoStatus(serial, by) => {
                write!(f, "{by} says that the status of {serial} was taken over, and it has none")
            }
            Self::NoCertificate(serial, by) => write!(f, "{by} says that {serial} was issued, and it is not there"),
            Self::Astray(serial, by) => {
                write!(f, "{by} says that {serial} was issued; it is neither its user's nor revoked")
            }
            Self::HeldAndRevoked(serial, by) => write!(f, "{by} holds {serial}, which is revoked"),
            Self::Unrecorded(row, lacking) => write!(f, "{row}, and {lacking}"),
            Self::Otherwise(row, sequence) => write!(f, "{row}, and record {sequence} says otherwise"),
            Self::Unreadable(rows, why) => write!(f, "{rows} cannot be read: {why}"),
        }
    }
}
