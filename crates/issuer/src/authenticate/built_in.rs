//! Credentials that the service keeps itself: passwords by Argon2id (RFC 9106), one-time passwords by TOTP (RFC 6238).

use super::credentials::{Checked, Credentials, CredentialsUnavailable, Factors};
use super::one_time_password;
use super::password::{self, Matches, PasswordCost};
use crate::secret::ServiceSecret;
use crate::store::{CredentialOwner, CredentialRow, Fresh, Store};
use async_trait::async_trait;
use sekisho_lifecycle::UserKey;
use sekisho_lifecycle::profile::Factor;
use sekisho_pki::time::Timestamp;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

/// How long a check waits for its turn. When more come than can be computed, those that would wait longer are told to
/// come again, and nothing is counted against their users.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Octets of a password or PIN: far beyond what anybody types.
const LONGEST_TEXT: usize = 1_024;

/// Checks factors against what the store keeps.
pub struct BuiltIn {
    store: Arc<dyn Store>,
    secret: Arc<ServiceSecret>,
    turns: Arc<Semaphore>,
    cost: PasswordCost,
    /// What a text is compared with where nothing is kept: it costs the same.
    nobodys: Arc<str>,
    computations: Arc<AtomicU64>,
}

/// Why a factor cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CannotKeep {
    /// A certificate is shown, not kept.
    NotAFactorToKeep,
    /// ご契約先確認暗証番号 is the contract's, every other factor a user's.
    NotTheirs,
    /// Empty, or longer than 1,024 octets.
    Length,
    /// Not base32 (RFC 4648) of 16 to 64 octets: RFC 4226 section 4 wants 128 bits at least.
    Seed,
    /// It cannot be computed now. Why, for the log.
    Unavailable(Arc<str>),
}

impl BuiltIn {
    /// Over the store; at most so many Argon2 computations at a time.
    pub fn new(store: Arc<dyn Store>, secret: Arc<ServiceSecret>, checks_at_a_time: usize) -> Self {
        let turns = Arc::new(Semaphore::new(checks_at_a_time.clamp(1, Semaphore::MAX_PERMITS)));
        let (cost, nobodys) = (PasswordCost::default(), password::NOBODYS.into());
        Self { store, secret, turns, cost, nobodys, computations: Arc::default() }
    }

    /// With another cost of the passwords that are set from now on; those that are kept cost what they did.
    ///
    /// # Errors
    /// No such computation is possible. One line.
    pub fn with_cost(self, cost: PasswordCost) -> Result<Self, String> {
        if cost == self.cost {
            return Ok(self);
        }
        let mut nobodys = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(&mut *nobodys).map_err(|_| "there is no randomness".to_owned())?;
        Ok(Self { nobodys: password::hash(&*nobodys, cost)?.into(), cost, ..self })
    }

    /// What is to be kept of a factor as it was typed, or of a seed in base32: for [`CredentialRow::verifier`]. Blocks for
    /// one Argon2 computation, which is the desk's and does not wait for a turn among those of users.
    ///
    /// # Errors
    /// [`CannotKeep`].
    pub fn verifier(&self, of: &CredentialOwner, factor: Factor, text: &str) -> Result<String, CannotKeep> {
        match (factor, of) {
            (Factor::CurrentCertificate, _) => Err(CannotKeep::NotAFactorToKeep),
            (Factor::ContractConfirmationPin, CredentialOwner::User(_)) => Err(CannotKeep::NotTheirs),
            (Factor::ContractConfirmationPin, CredentialOwner::Contract(_)) => self.phc(text),
            (_, CredentialOwner::Contract(_)) => Err(CannotKeep::NotTheirs),
            (Factor::OneTimePassword, CredentialOwner::User(user)) => {
                let seed = one_time_password::seed(text).ok_or(CannotKeep::Seed)?;
                let sealed = self.secret.seal(&sealed_for(user), &seed);
                sealed.map_err(|_| CannotKeep::Unavailable("the seed cannot be encrypted".into()))
            }
            (
                Factor::LoginPassword | Factor::Pin | Factor::ExecutionPassword | Factor::ConfirmationPassword,
                CredentialOwner::User(_),
            ) => self.phc(text),
        }
    }

    /// Argon2 computations so far: for the metrics, and to see that nothing is told by their number.
    pub fn computations(&self) -> u64 {
        self.computations.load(Ordering::Relaxed)
    }

    fn phc(&self, text: &str) -> Result<String, CannotKeep> {
        if !(1..=LONGEST_TEXT).contains(&text.len()) {
            return Err(CannotKeep::Length);
        }
        self.computations.fetch_add(1, Ordering::Relaxed);
        password::hash(text.as_bytes(), self.cost).map_err(|why| CannotKeep::Unavailable(why.into()))
    }

    /// Computes on a thread that may block, when it is its turn. The turn lasts until it is done, also when nobody waits
    /// for it any more.
    async fn in_turn<T: Send + 'static>(
        &self,
        compute: impl FnOnce(&AtomicU64) -> T + Send + 'static,
    ) -> Result<T, CredentialsUnavailable> {
        let turn = self.turn().await?;
        let count = Arc::clone(&self.computations);
        let computed = tokio::task::spawn_blocking(move || {
            let computed = compute(&count);
            drop(turn);
            computed
        });
        computed.await.map_err(|error| unavailable(error.to_string()))
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, CredentialsUnavailable> {
        match tokio::time::timeout(LONGEST_WAIT, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(unavailable("too many passwords wait to be checked")),
        }
    }

    /// Computes every password, right or wrong, known or not: as many Argon2 computations as texts were given.
    async fn passwords(
        &self,
        typed: Vec<(Factor, Zeroizing<String>, Option<String>)>,
    ) -> Result<Vec<(Factor, Matches)>, CredentialsUnavailable> {
        if typed.is_empty() {
            return Ok(Vec::new());
        }
        let nobodys = Arc::clone(&self.nobodys);
        let all = self.in_turn(move |count| {
            let each = typed.into_iter().map(|(factor, text, kept)| {
                count.fetch_add(1, Ordering::Relaxed);
                let kept = kept.as_deref().filter(|_| text.len() <= LONGEST_TEXT);
                let text = text.as_bytes().get(..LONGEST_TEXT).unwrap_or(text.as_bytes());
                let matches = match kept {
                    Some(kept) => password::matches(text, kept),
                    None => password::matches(text, &nobodys).map(|_| Matches::No),
                };
                matches.map(|matches| (factor, matches))
            });
            // Every one is computed before the first that cannot be ends it.
            each.collect::<Vec<_>>()
        });
        all.await?
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(|why| unavailable(format!("what is kept of a factor: {why}")))
    }

    /// Compares a one-time password, and uses it up where it is right.
    async fn one_time_password(
        &self,
        user: &UserKey,
        typed: &str,
        kept: Option<&str>,
        now: Timestamp,
    ) -> Result<Matches, CredentialsUnavailable> {
        let seed = match kept {
            Some(kept) => Some(self.secret.open(&sealed_for(user), kept).map_err(|_| {
                unavailable("the seed of a one-time password was encrypted under another secret, or changed")
            })?),
            None => None,
        };
        let Some(step) = one_time_password::time_step(seed.as_ref().map(|seed| &***seed), typed, now) else {
            return Ok(Matches::No);
        };
        // RFC 6238 section 5.2: not a second time, nor an older one after it.
        match self.store.use_time_step(user, step).await.map_err(|error| unavailable(error.to_string()))? {
            Fresh::Yes => Ok(Matches::Yes),
            Fresh::No => Ok(Matches::No),
        }
    }
}

#[async_trait]
impl Credentials for BuiltIn {
    async fn check(
        &self,
        user: &UserKey,
        factors: &Factors,
        wanted: &[Factor],
        now: Timestamp,
    ) -> Result<Checked, CredentialsUnavailable> {
        let rows = self.store.credentials(user).await.map_err(|error| unavailable(error.to_string()))?;
        let mut passwords = Vec::new();
        let mut one_time_password = None;
        for (factor, text) in given(factors, wanted) {
            let kept = kept(&rows, user, factor);
            match factor {
                Factor::OneTimePassword => one_time_password = Some((text, kept)),
                _ => passwords.push((factor, Zeroizing::new(text.to_owned()), kept.map(str::to_owned))),
            }
        }
        // What is typed and not wanted costs the same: which factors a product asks for, and so of which product a contract
        // is, or that there is none, must not show in the time.
        let unwanted = |factor: &Factor| {
            !wanted.contains(factor) && !matches!(factor, Factor::OneTimePassword | Factor::CurrentCertificate)
        };
        for (factor, text) in factors.0.iter().filter(|(factor, _)| unwanted(factor)) {
            passwords.push((*factor, text.clone(), None));
        }
        let mut found = self.passwords(passwords).await?;
        found.retain(|(factor, _)| !unwanted(factor));
        if let Some((text, kept)) = one_time_password {
            found.push((Factor::OneTimePassword, self.one_time_password(user, text, kept, now).await?));
        }
        let of =
            |wanted: Matches| found.iter().filter(move |(_, is)| *is == wanted).map(|(factor, _)| *factor).collect();
        Ok(Checked { right: of(Matches::Yes), wrong: of(Matches::No) })
    }
}

/// The wanted factors that were typed, each once. A certificate is not typed.
pub(super) fn given<'f>(factors: &'f Factors, wanted: &[Factor]) -> Vec<(Factor, &'f str)> {
    let mut given: Vec<(Factor, &str)> = Vec::new();
    for factor in wanted {
        if *factor != Factor::CurrentCertificate
            && !given.iter().any(|(known, _)| known == factor)
            && let Some(text) = factors.get(*factor)
        {
            given.push((*factor, text));
        }
    }
    given
}

/// What is kept of a factor: ご契約先確認暗証番号 of the contract, any other of the user.
fn kept<'r>(rows: &'r [CredentialRow], user: &UserKey, factor: Factor) -> Option<&'r str> {
    let is_theirs = |row: &&CredentialRow| match &row.of {
        CredentialOwner::Contract(contract) => factor == Factor::ContractConfirmationPin && *contract == user.contract,
        CredentialOwner::User(of) => factor != Factor::ContractConfirmationPin && of == user,
    };
    rows.iter().filter(|row| row.factor == factor).find(is_theirs).map(|row| row.verifier.as_str())
}

/// Whose seed it is; IDs have no control characters.
fn sealed_for(user: &UserKey) -> String {
    format!("{}\n{}", user.contract, user.user)
}

fn unavailable(why: impl Into<Arc<str>>) -> CredentialsUnavailable {
    CredentialsUnavailable(why.into())
}

impl fmt::Display for CannotKeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAFactorToKeep => f.write_str("this factor is not kept"),
            Self::NotTheirs => {
                f.write_str("the contract confirmation PIN is the contract's, every other factor a user's")
            }
            Self::Length => write!(f, "not 1 to {LONGEST_TEXT} octets"),
            Self::Seed => f.write_str("not base32 of 16 to 64 octets"),
            Self::Unavailable(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for CannotKeep {}
