//! Factors: what users know and have, and who checks it.

use async_trait::async_trait;
use sekisho_lifecycle::UserKey;
use sekisho_lifecycle::profile::Factor;
use sekisho_pki::time::Timestamp;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Factors as the user typed them.
#[derive(Default)]
pub struct Factors(pub Vec<(Factor, Zeroizing<String>)>);

/// Checks factors: the built-in credentials or the IB system's.
#[async_trait]
pub trait Credentials: Send + Sync {
    /// Checks the wanted factors of a user, who need not exist: that takes as long and gives the same answer as a wrong
    /// factor. Factors that are not given count as neither right nor wrong. A one-time password is used up.
    async fn check(
        &self,
        user: &UserKey,
        factors: &Factors,
        wanted: &[Factor],
        now: Timestamp,
    ) -> Result<Checked, CredentialsUnavailable>;
}

/// How the check went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// These were right.
    pub right: Vec<Factor>,
    /// These were given and wrong.
    pub wrong: Vec<Factor>,
}

/// Nobody can tell now; nothing is counted against the user. Why, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialsUnavailable(pub Arc<str>);

impl Factors {
    /// What was typed for a factor.
    pub fn get(&self, factor: Factor) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == factor).map(|(_, text)| text.as_str())
    }
}

/// Not what was typed.
impl fmt::Debug for Factors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(factor, _)| factor.word())).finish()
    }
}

impl fmt::Display for CredentialsUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "credentials cannot be checked: {}", self.0)
    }
}

impl std::error::Error for CredentialsUnavailable {}
