//! CRLNumber (RFC 5280 section 5.2.3): of one sequence for full and delta lists of a part.

use std::fmt;

/// The number of a list. The caller stores the last one used before it signs, and comes back with it after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CrlNumber(u64);

impl CrlNumber {
    /// The number of a part's first list.
    pub const FIRST: Self = Self(1);

    /// From the store.
    pub const fn from_stored(value: u64) -> Self {
        Self(value)
    }

    /// For the store.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The next one; `None` when there is none, rather than a number that was used.
    #[must_use]
    pub const fn successor(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(next) => Some(Self(next)),
            None => None,
        }
    }
}

impl From<CrlNumber> for sekisho_pki::crl::CrlNumber {
    fn from(number: CrlNumber) -> Self {
        number.0.into()
    }
}

impl fmt::Display for CrlNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_end_rather_than_begin_anew() {
        assert_eq!(CrlNumber::FIRST.successor(), Some(CrlNumber(2)));
        assert_eq!(CrlNumber::from_stored(u64::MAX).successor(), None);
    }
}
