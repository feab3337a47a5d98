//! The acting user's factors, checked; and what a wrong one costs.

use super::act::ask;
use super::write::{self, Context};
use super::{Act, By, Refused, Request, Service, entry, refusal};
use crate::authenticate::Checked;
use crate::store::{Ask, ContractRow, Everyone, Found, UserRow, Write};
use sekisho_lifecycle::profile::{ActorRole, Cell, Channel, Factor, Profile, Whose};
use sekisho_lifecycle::{
    self as lifecycle, Actor, Against, Command, Contract, ContractId, Lock, LockedBy, Names, Proof, PublicReason,
    Situation, Standing, UserKey, required_proofs,
};
use sekisho_pki::time::Timestamp;
use std::sync::Arc;

impl Service {
    /// Checks what the act takes of the acting user. Staff prove by being two; the desk's own sign-on says who.
    ///
    /// Whatever is wrong, the work is the same and so is the answer: of users who are not there, are locked, suspended
    /// or throttled the factors are checked all the same, and what that gives is not used.
    pub(super) async fn prove(
        &self,
        request: &Request,
        profile: &Arc<Profile>,
        found: &Found,
        now: Timestamp,
    ) -> Result<Vec<Proof>, Refused> {
        let By::User { key, certificate } = &request.by else { return Ok(Vec::new()) };
        let wanted = wanted(request, profile, found);
        let refused = || opaque(request, profile, found, now);
        // The first request used the one-time password up; its repeat is shown what that one made.
        let repeats = found.before.as_ref().is_some_and(|before| before.request == request.digest);
        let mut asked = secrets(&wanted);
        asked.retain(|factor| !(repeats && *factor == Factor::OneTimePassword));
        let checked = self.parts.credentials.check(key, &request.factors, &asked, now).await;
        let checked = checked.map_err(|error| Refused::Unavailable(error.to_string().into()))?;
        if let Some(why) = barred(request, profile, found, now) {
            // Not against the user: an honest one who tries while strangers are being throttled must not be locked.
            self.count_wrong(request, profile, found, (Against::Address, why), now).await?;
            return Err(refused());
        }
        if let Some(wrong) = checked.wrong.first() {
            let why = format!("{} is wrong", wrong.word());
            let holder = shows_live_certificate(request, found, now);
            let against = if holder { Against::Holder } else { Against::User };
            self.count_wrong(request, profile, found, (against, &why), now).await?;
            return Err(refused());
        }
        let proofs = proofs(&checked, key, now);
        let is_missing = |factor: &&Factor| !checked.right.contains(factor);
        if let Some(missing) = asked.iter().find(is_missing) {
            let why = format!("{} was not given", missing.word());
            // Counted, but for who comes without anything: else a password could be tried without the rest for nothing.
            if request.factors.0.is_empty() {
                self.record(entry(request, now, refusal(&why))).await?;
            } else {
                self.count_wrong(request, profile, found, (Against::Contract, &why), now).await?;
            }
            return Err(refused());
        }
        // A gateway's clock may be a little ahead, which the assertion was believed with.
        let certificate =
            certificate.iter().map(|shown| Proof::certificate(shown.serial, &shown.of, shown.at.min(now)));
        Ok(proofs.into_iter().chain(certificate).collect())
    }

    /// As much work as for a contract that is there, one record, and the answer of a wrong factor.
    pub(super) async fn no_such_contract(&self, request: &Request, now: Timestamp) -> Refused {
        let By::User { key, .. } = &request.by else {
            let recorded = self.record(entry(request, now, refusal("there is no such contract"))).await;
            return recorded.err().unwrap_or(Refused::Rules(PublicReason::NotPermitted));
        };
        // As if it were of a product that has the act.
        let whose = if is_own(request, key) { Whose::Own } else { Whose::Other };
        let product = self.parts.profiles.iter().find_map(|profile| {
            let contract = write::new_contract(&request.contract, request);
            Some((profile, alike(request, profile, &contract, whose)?))
        });
        let first = || self.parts.profiles.iter().next().map(|profile| (profile, given(request)));
        let Some((profile, asked)) = product.or_else(first) else {
            return Refused::Unavailable("no profile is configured".into());
        };
        if let Err(error) = self.parts.credentials.check(key, &request.factors, &secrets(&asked), now).await {
            return Refused::Unavailable(error.to_string().into());
        }
        let (told, limit) = (entry(request, now, refusal("there is no such contract")), profile.tries.address);
        let ask = Ask { idempotency: None, ..ask(request, None) };
        let counts = request.address.is_some();
        let recorded = self.change(ask, move |found| {
            let address = counts.then(|| found.address.after_wrong(&limit, now));
            (Write { audit: vec![told], address, ..Write::default() }, ())
        });
        match recorded.await {
            Ok(()) => opaque(request, profile, &Found::default(), now),
            Err(error) => error.into(),
        }
    }

    /// One wrong try more, of the acting user, their contract and the client's address.
    async fn count_wrong(
        &self,
        request: &Request,
        profile: &Arc<Profile>,
        found: &Found,
        (against, why): (Against, &str),
        now: Timestamp,
    ) -> Result<(), Refused> {
        let By::User { key, .. } = &request.by else { return Ok(()) };
        let Some(contract) = &found.contract else { return Ok(()) };
        let authority = self.rules(contract)?.1;
        let ask = Ask { user: Some(key.user.clone()), everyone: Everyone::No, ..ask(request, None) };
        let (profile, name) = (Arc::clone(profile), Arc::clone(&authority.name));
        let (entry, address) = (entry(request, now, refusal(why)), request.address.clone());
        let digest = request.digest;
        let counted = self.change(ask, move |found| {
            if found.before.as_ref().is_some_and(|before| before.request == digest) {
                // The same request came twice at a time, and the first one used the one-time password up.
                return (Write::default(), Counted::No);
            }
            let told = |write| (write, Counted::Yes);
            let Some(contract) = &found.contract else {
                return told(Write { audit: vec![entry], ..Write::default() });
            };
            let user = found.user.as_ref().map(|row| row.user.clone());
            let situation = Situation {
                contract: contract.contract.clone(),
                user,
                address: address.as_ref().map(|_| found.address),
                names: Names::Free,
            };
            let context = Context { profile: &profile, authority: &name, reference: &entry.reference, now };
            let decided = lifecycle::decide(&profile, &situation, &Actor::Service, &Command::WrongFactor(against), now);
            let mut write = Write::default();
            if let Ok(decision) = decided {
                write = write::effects(&context, found, &decision);
                let changed = decision.user.as_ref().zip(found.user.as_ref()).filter(|(user, row)| **user != row.user);
                write.users.extend(changed.map(|(user, row)| UserRow { user: user.clone(), ..row.clone() }));
                write.contract = Some(ContractRow { contract: decision.contract.clone(), ..contract.clone() });
                write.address = decision.address;
                write.audit.extend(write::locked(found, &decision, &entry));
            }
            write.audit.insert(0, entry);
            told(write)
        });
        match counted.await? {
            Counted::Yes => Ok(()),
            Counted::No => Err(Refused::InProgress),
        }
    }
}

enum Counted {
    Yes,
    No,
}

/// The one answer. Only to who has shown the certificate that lives it says what is asked for.
pub(super) fn opaque(request: &Request, profile: &Profile, found: &Found, now: Timestamp) -> Refused {
    match &request.act {
        Act::Acquire { .. } => Refused::Rules(PublicReason::AcquisitionRefused),
        _ if shows_live_certificate(request, found, now) => Refused::Proof(wanted(request, profile, found)),
        _ => Refused::Rules(PublicReason::ProofRequired),
    }
}

fn shows_live_certificate(request: &Request, found: &Found, now: Timestamp) -> bool {
    let By::User { certificate: Some(shown), .. } = &request.by else { return false };
    let live = found.actor.as_ref().and_then(|row| row.user.live(now));
    live.is_some_and(|live| live.serial == shown.serial)
}

/// Those that are typed.
fn secrets(factors: &[Factor]) -> Vec<Factor> {
    factors.iter().copied().filter(|factor| *factor != Factor::CurrentCertificate).collect()
}

/// Why even right factors of a user open nothing now: then they must not be told from wrong ones.
pub(super) fn barred(request: &Request, profile: &Profile, found: &Found, now: Timestamp) -> Option<&'static str> {
    if matches!(request.by, By::Staff(..)) {
        return None;
    }
    let Some(user) = found.actor.as_ref().map(|row| &row.user) else { return Some("there is no such user") };
    let holder = shows_live_certificate(request, found, now);
    match (user.standing, user.lock) {
        (Standing::Active, Lock::Open) => {}
        (Standing::Active, Lock::Locked { by, .. }) if !holder || by == LockedBy::WrongActs => {
            return Some("the acting user is locked");
        }
        // A lock is about acquiring: who shows the certificate that lives acts.
        (Standing::Active, Lock::Locked { .. }) => {}
        (Standing::Suspended | Standing::Deleted, _) => return Some("the acting user is suspended or deleted"),
    }
    // Strangers' guesses must not keep those out who come with their certificate.
    if holder {
        return None;
    }
    let tries = &profile.tries;
    let contract = found.contract.as_ref();
    if contract.is_some_and(|row| row.contract.wrong_tries.is_locked(&tries.contract, now)) {
        return Some("too many wrong tries of the contract's users");
    }
    let address = request.address.is_some() && found.address.is_locked(&tries.address, now);
    address.then_some("too many wrong tries from the address")
}

fn proofs(checked: &Checked, of: &UserKey, now: Timestamp) -> Vec<Proof> {
    checked.right.iter().filter_map(|factor| Proof::secret(*factor, of, now)).collect()
}

/// What the matrix asks for. Where it permits nothing, or nobody is there, what it asks of others for the same act: a
/// refusal comes after the same questions.
fn wanted(request: &Request, profile: &Profile, found: &Found) -> Vec<Factor> {
    let (Some(operation), Some(contract), By::User { key, .. }) =
        (request.act.operation(), &found.contract, &request.by)
    else {
        return Vec::new();
    };
    let whose = if is_own(request, key) { Whose::Own } else { Whose::Other };
    let permitted = found.actor.as_ref().and_then(|actor| {
        let on = match &request.act {
            Act::Register { role, .. } => Some(role),
            _ => found.user.as_ref().map(|row| &row.user.role),
        };
        let by = ActorRole::Role(actor.user.role.clone());
        let cell = Cell { operation, by: &by, on, whose, channel: Channel::Online };
        required_proofs(profile, &contract.contract, &cell)
    });
    permitted.or_else(|| alike(request, profile, &contract.contract, whose)).unwrap_or_else(|| given(request))
}

/// What was typed: where nothing is asked for, that is looked at, so that a refusal takes its time.
fn given(request: &Request) -> Vec<Factor> {
    request.factors.0.iter().map(|(factor, _)| *factor).collect()
}

/// What a product asks of somebody for the same act.
fn alike(request: &Request, profile: &Profile, contract: &Contract, whose: Whose) -> Option<Vec<Factor>> {
    let operation = request.act.operation()?;
    profile.matrix.permits().iter().find_map(|permit| {
        let online = permit.channels.contains(&Channel::Online) && permit.whose.contains(&whose);
        let (by, on) = (permit.by.first()?, permit.on.first());
        let cell = Cell { operation, by, on, whose, channel: Channel::Online };
        (online && permit.operations.contains(&operation)).then(|| required_proofs(profile, contract, &cell)).flatten()
    })
}

fn is_own(request: &Request, actor: &UserKey) -> bool {
    let same_contract = |contract: &ContractId| *contract == actor.contract;
    !matches!(request.act, Act::Register { .. })
        && same_contract(&request.contract)
        && request.user.as_ref() == Some(&actor.user)
}
