//! Who: contract and user IDs.

use std::fmt;
use std::sync::Arc;

/// Octets of an identifier, whatever the profile: a CN has no room for more.
const LONGEST_IDENTIFIER: usize = 64;

/// A contract's ID 契約者ID, ご契約者番号.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContractId(Arc<str>);

/// A user's ID 利用者ID within its contract; some products call it login ID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Arc<str>);

/// One user of one contract.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserKey {
    /// The contract.
    pub contract: ContractId,
    /// The user of it.
    pub user: UserId,
}

impl ContractId {
    /// 1 to 64 visible ASCII characters; the profile's own rule is checked where a contract or user is registered.
    pub fn new(text: &str) -> Option<Self> {
        is_identifier(text).then(|| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl UserId {
    /// As [`ContractId::new`].
    pub fn new(text: &str) -> Option<Self> {
        is_identifier(text).then(|| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContractId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_identifier(text: &str) -> bool {
    (1..=LONGEST_IDENTIFIER).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_graphic())
}
