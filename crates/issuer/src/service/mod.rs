//! The service: an act from the caller's request to what they get, step by step.
//!
//! ```text
//! request → may this caller speak for them? → contract and profile → key request read → factors checked
//!         → one transaction: read, decide, write → sign the recorded intent → a second transaction: complete → answer
//! ```
//!
//! # What a guesser learns
//! Nothing. Contracts and users who are not there, wrong and missing factors, locks and throttles all give the one
//! answer that a wrong factor gives, after the same work. What exactly was wrong is in the audit log.

mod act;
mod desk;
mod key;
mod making;
mod plan;
mod prove;
mod read;
mod recover;
mod refused;
mod request;
mod write;

pub use request::{Act, By, ChangedStatus, Delivered, Done, KeyRequest, Refused, Request, ShownSecret};

use super::audit::{ActResult, Entry};
use super::authenticate::{BuiltIn, Caller, Credentials};
use super::authorities::{Authorities, IssuingAuthority};
use super::profiles::Profiles;
use super::secret::ServiceSecret;
use super::store::{self, Ask, ContractRow, Found, Store, StoreError, Write};
use refused::RefusedTries;
use sekisho_lifecycle::profile::{Channel, Profile};
use sekisho_lifecycle::{ActorName, Target, UserKey};
use sekisho_pki::time::Timestamp;
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

/// What the service is made of.
pub struct ServiceParts {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// The products.
    pub profiles: Arc<Profiles>,
    /// Who signs.
    pub authorities: Arc<Authorities>,
    /// Who checks factors.
    pub credentials: Arc<dyn Credentials>,
    /// The built-in credentials, where they are the ones: they can be set.
    pub built_in: Option<Arc<BuiltIn>>,
    /// What acquisition secrets are derived from.
    pub secret: Arc<ServiceSecret>,
    /// Whom to wake.
    pub wakes: Arc<Wakes>,
}

/// Tasks that have work after a commit.
#[derive(Debug, Default)]
pub struct Wakes {
    /// The publisher: a status changed.
    pub statuses: Arc<Notify>,
    /// The outbox: there is a notice.
    pub notices: Arc<Notify>,
}

/// Keys that are made at a time: an RSA key takes a core for a tenth of a second and more.
const KEYS_AT_A_TIME: usize = 2;

/// The service.
pub struct Service {
    parts: ServiceParts,
    making_keys: Semaphore,
    /// Certificates that are signed at a time: one for each core. A batch that is committed has hundreds of them signed
    /// at once, and as many threads would leave the store's, which everybody waits for, no share of the cores.
    signing: Arc<Semaphore>,
    refused: Arc<RefusedTries>,
}

impl Service {
    /// Puts it together.
    pub fn new(parts: ServiceParts) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            parts,
            making_keys: Semaphore::new(KEYS_AT_A_TIME),
            signing: Arc::new(Semaphore::new(cores)),
            refused: Arc::default(),
        }
    }

    /// Does an act, or says why not. When it says that it was done it is committed.
    ///
    /// # Errors
    /// [`Refused`]; the audit log has the exact reason.
    pub async fn execute(&self, mut request: Request) -> Result<Done, Refused> {
        request.digest = self.parts.secret.request_digest(&request.digest);
        match &request.act {
            Act::Open { .. } | Act::Reach(_) | Act::Equip(_) => self.keep(request).await,
            _ => self.act(request).await,
        }
    }

    /// The profile of a contract.
    pub fn profile(&self, contract: &ContractRow) -> Option<&Arc<Profile>> {
        self.parts.profiles.get(&contract.profile)
    }

    fn store(&self) -> &dyn Store {
        &*self.parts.store
    }

    /// What rules a contract's certificates.
    fn rules(&self, contract: &ContractRow) -> Result<(Arc<Profile>, Arc<IssuingAuthority>), Refused> {
        let profile = self.parts.profiles.get(&contract.profile);
        let authority = self.parts.authorities.of_profile(&contract.profile);
        match (profile, authority) {
            (Some(profile), Some(authority)) => Ok((Arc::clone(profile), Arc::clone(authority))),
            _ => Err(Refused::Unavailable(format!("profile {:?} is not configured here", contract.profile).into())),
        }
    }

    /// Writes in one transaction, then wakes whoever has work by it.
    async fn change<T: Send + 'static>(
        &self,
        ask: Ask,
        decide: impl FnOnce(&Found) -> (Write, T) + Send + 'static,
    ) -> Result<T, StoreError> {
        self.change_status(ask, decide).await.map(|(result, _)| result)
    }

    /// [`Self::change`], and which change of status came of it.
    async fn change_status<T: Send + 'static>(
        &self,
        ask: Ask,
        decide: impl FnOnce(&Found) -> (Write, T) + Send + 'static,
    ) -> Result<(T, Option<ChangedStatus>), StoreError> {
        let refused = Arc::clone(&self.refused);
        let with_effects = move |found: &Found| {
            let (mut write, result) = decide(found);
            write.audit.retain_mut(|entry| refused.keep(entry, found.contract.is_some()));
            let wakes = (!write.statuses.is_empty(), !write.notices.is_empty());
            (write, (wakes, result))
        };
        let (((statuses, notices), result), sequence) = store::change_numbered(self.store(), ask, with_effects).await?;
        let changed = sequence.map(|sequence| ChangedStatus { sequence, at: Instant::now() });
        if statuses {
            self.parts.wakes.statuses.notify_one();
        }
        if notices {
            self.parts.wakes.notices.notify_one();
        }
        Ok((result, changed))
    }

    /// Writes one record about a refusal and nothing else.
    async fn record(&self, entry: Entry) -> Result<(), Refused> {
        let ask = Ask::about(entry.target.contract().clone());
        self.change(ask, move |_| (Write { audit: vec![entry], ..Write::default() }, ())).await?;
        Ok(())
    }
}

impl Service {
    /// Refuses what the caller wrote, and records it.
    async fn refuse(&self, request: &Request, at: Timestamp, field: &'static str, why: &str) -> Refused {
        let recorded = self.record(entry(request, at, refusal(&format!("{field}: {why}")))).await;
        recorded.err().unwrap_or_else(|| Refused::Request(field, why.into()))
    }
}

/// The audit entry of a request that the lifecycle was not asked about.
fn entry(request: &Request, at: Timestamp, result: ActResult) -> Entry {
    let target = match (&request.user, &request.caller) {
        // What a stranger tries on a contract is not written into its users' history, only into theirs.
        (_, Caller::User(shown)) if shown.of.contract != request.contract => Target::User(shown.of.clone()),
        (Some(user), _) => Target::User(UserKey { contract: request.contract.clone(), user: user.clone() }),
        (None, _) => Target::Contract(request.contract.clone()),
    };
    let (actor, channel) = match &request.by {
        By::User { key, .. } => (ActorName::User(key.clone()), Channel::Online),
        By::Staff(pair, channel) => (ActorName::Staff(pair.clone()), (*channel).into()),
    };
    Entry {
        at,
        caller: request.caller.name(),
        actor: Some(actor),
        command: request.act.word().into(),
        target,
        channel: Some(channel),
        screen: None,
        form: None,
        serial: None,
        address: request.address.clone(),
        reference: Arc::clone(&request.reference),
        result,
    }
}

fn refusal(why: &str) -> ActResult {
    ActResult::Refused(why.into())
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string().into())
    }
}
