//! The acts of the lifecycle, in the order of their steps.

use super::key::Key;
use super::plan::{Outcome, Plan};
use super::prove::opaque;
use super::{Act, By, ChangedStatus, Delivered, Done, Refused, Request, Service, ShownSecret, entry, refusal};
use crate::authenticate::{Caller, Right};
use crate::authorities::IssuingAuthority;
use crate::listen::network;
use crate::store::{Ask, Everyone, Found, IdempotencyKey, IdempotencyRow, StoreError};
use sekisho_lifecycle::{Effect, PublicReason, UserKey};
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use std::sync::Arc;

/// Times that a serial number is drawn anew when the store has seen it: with 128 random bits, none is ever needed.
const SERIAL_TRIES: u32 = 3;

impl Service {
    /// See the module.
    pub(super) async fn act(&self, request: Request) -> Result<Done, Refused> {
        let now = clock::now();
        self.may_speak(&request, now).await?;
        let asked = self.read_csr(&request, now).await?;
        // Everybody of the contract is read only by who was found to be permitted to end their certificates.
        let found = self.store().find(&Ask { everyone: Everyone::No, ..ask(&request, None) }).await?;
        if found.before.as_ref().is_some_and(|before| before.request != request.digest) {
            // Before any factor is looked at: it is refused whatever they are.
            self.record(entry(&request, now, refusal("the idempotency key was another request's"))).await?;
            return Err(Refused::IdempotencyKeyReused);
        }
        let Some(contract) = &found.contract else { return Err(self.no_such_contract(&request, now).await) };
        let (profile, authority) = self.rules(contract)?;
        let proofs = self.prove(&request, &profile, &found, now).await?;
        self.check_delivery(&request, &asked, &profile, now).await?;
        let mut plan = Plan::new(request, profile, authority, proofs, now);
        // A key is costly, and the time it takes would tell that everything before was right: only for a decision that
        // will use it.
        let key = match plan.would_sign(&found, &self.parts.secret) {
            true => self.make_key(asked, &plan.request, &plan.profile, now).await?,
            false => None,
        };
        plan.certify(key.as_ref().map(Key::request));
        let plan = Arc::new(plan);
        let (outcome, found, changed) = self.decide(&plan).await?;
        match outcome {
            Outcome::Decided(decision) => {
                if let Some(reason) = &decision.refusal {
                    return Err(Refused::Rules(reason.public(&plan.command(&found))));
                }
                let mut done = Done { changed, ..plan.done(&found, &decision) };
                for effect in &decision.effects {
                    match (effect, &plan.target) {
                        (Effect::ShowSecret { offer, made_at, to, .. }, Some(user)) => {
                            let digits = plan.profile.acquisition.secret.as_ref().map_or(0, |secret| secret.digits);
                            let secret = self.parts.secret.acquisition_secret(user, (*offer, *made_at), digits);
                            done.secret = Some(ShownSecret { secret, to: *to });
                        }
                        (Effect::Sign(intent), Some(user)) => {
                            let Some(key) = key else { return Err(Refused::Key("there is none".into())) };
                            return self.make(&plan, user, intent, key, done).await;
                        }
                        _ => {}
                    }
                }
                Ok(done)
            }
            Outcome::Denied(reason, command) => Err(Refused::Rules(reason.public(&command))),
            Outcome::NotAKey(why) => Err(Refused::Key(why.into())),
            Outcome::Barred => Err(opaque(&plan.request, &plan.profile, &found, plan.now())),
            Outcome::Unavailable(why) => Err(Refused::Unavailable(why.into())),
            Outcome::KeyReused => Err(Refused::IdempotencyKeyReused),
            Outcome::Repeated(before) => self.repeat(&plan, &found, &before).await,
        }
    }

    /// Whether this caller may speak for whom the request says acts.
    pub(super) async fn may_speak(&self, request: &Request, now: Timestamp) -> Result<(), Refused> {
        let allowed = match (&request.by, &request.caller) {
            (By::Staff(..), caller) => caller.has(Right::Desk),
            // Nobody acts on another contract: not a word about what is in it.
            (By::User { key, .. }, _) if key.contract != request.contract => false,
            (By::User { key, certificate }, Caller::User(shown)) => {
                shown.of == *key && certificate.as_ref() == Some(shown)
            }
            (By::User { key, certificate }, caller) => {
                caller.has(Right::Online) && certificate.as_ref().is_none_or(|shown| shown.of == *key)
            }
        };
        if allowed {
            return Ok(());
        }
        self.record(entry(request, now, refusal("the caller may not speak for them"))).await?;
        Err(Refused::Rules(PublicReason::NotPermitted))
    }

    /// Decides in one transaction; draws another serial should the store know this one.
    async fn decide(&self, plan: &Arc<Plan>) -> Result<(Outcome, Found, Option<ChangedStatus>), Refused> {
        let mut left = SERIAL_TRIES;
        loop {
            let issuing = plan.issuing()?;
            let decide = {
                let (plan, secret) = (Arc::clone(plan), Arc::clone(&self.parts.secret));
                move |found: &Found| {
                    let (write, outcome) = plan.decide(found, issuing, &secret);
                    (write, (outcome, found.clone()))
                }
            };
            let ask = Ask { names: plan.unique_names(), ..ask(&plan.request, plan.public_key) };
            match self.change_status(ask, decide).await {
                Err(StoreError::SerialTaken) if left > 0 => left -= 1,
                other => {
                    let ((outcome, found), changed) = other?;
                    return Ok((outcome, found, changed));
                }
            }
        }
    }

    /// The repeat of a request that was done: the same answer where it can be given.
    async fn repeat(&self, plan: &Plan, found: &Found, before: &IdempotencyRow) -> Result<Done, Refused> {
        // The secret that it showed is not shown any more; where there is none, what there is says all.
        if plan.is_offer() && plan.profile.acquisition.secret.is_some() {
            return Err(Refused::NotRepeatable);
        }
        let mut done = plan.standing(found);
        let Some(serial) = before.serial else { return Ok(done) };
        let Some(row) = self.store().certificate(&serial).await? else { return Err(Refused::NotRepeatable) };
        let under_way = || {
            let next = found.user.as_ref().map(|row| &row.user.next);
            next.and_then(|next| next.intent()).is_some_and(|intent| intent.serial == serial)
        };
        match row.der {
            Some(certificate) if !plan.wants_p12() => {
                let chain = self.chain(&row.authority);
                done.delivered = Some(Delivered { serial, certificate, chain, p12: None });
                Ok(done)
            }
            None if under_way() => Err(Refused::InProgress),
            _ => Err(Refused::NotRepeatable),
        }
    }

    /// The certificates that a client sends beside its own.
    pub(super) fn chain(&self, authority: &str) -> Vec<Arc<[u8]>> {
        self.parts.authorities.named(authority).map_or_else(Vec::new, |authority| chain(authority))
    }
}

/// The authority's certificate and those above it, without the root: whoever checks has that.
pub(super) fn chain(authority: &IssuingAuthority) -> Vec<Arc<[u8]>> {
    let certificates = std::iter::once(authority.authority.certificate()).chain(authority.chain_without_root());
    certificates.map(|certificate| certificate.der().as_ref().into()).collect()
}

/// What the acts of the lifecycle want to know.
pub(super) fn ask(request: &Request, public_key: Option<[u8; 32]>) -> Ask {
    let actor = match &request.by {
        By::User { key, .. } => Some(key.clone()),
        By::Staff(..) => None,
    };
    Ask {
        contract: request.contract.clone(),
        user: request.user.clone(),
        actor,
        address: request.address.as_deref().map(counted),
        public_key,
        idempotency: idempotency(request),
        everyone: match (&request.act, &request.by) {
            (Act::SwitchOff, By::Staff(..)) => Everyone::WithCertificates,
            _ => Everyone::No,
        },
        names: Vec::new(),
    }
}

/// What wrong tries are counted by: the address, or the network that one IPv6 host has to itself.
fn counted(address: &str) -> Arc<str> {
    // Services tell addresses; what is none is counted as it is.
    address.parse().map_or_else(|_| address.into(), |address| network(address).to_string().into())
}

/// An idempotency key is its caller's: a user's, and not that of the gateway they came through.
pub(super) fn idempotency(request: &Request) -> Option<IdempotencyKey> {
    let key = Arc::clone(request.idempotency.as_ref()?);
    let caller = match &request.caller {
        Caller::Service { name, .. } => Arc::clone(name),
        Caller::User(shown) => named(&shown.of),
    };
    Some(IdempotencyKey { caller, key })
}

/// IDs have no `/`… they may: a line break they have not.
fn named(user: &UserKey) -> Arc<str> {
    format!("{}\n{}", user.contract, user.user).into()
}
