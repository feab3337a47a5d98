//! The acting user's factors, checked; and what a wrong one costs.

use super::act::ask;
use super::plan::Plan;
use super::write::{self, Context};
use super::{Act, By, Refused, Request, Service, entry, refusal};
use crate::issuer::audit::Entry;
use crate::issuer::authenticate::Checked;
use crate::issuer::lifecycle::{
    self, Actor, Command, ContractId, Lock, Proof, PublicReason, Situation, Standing, UserKey, required_proofs,
};
use crate::issuer::profile::{ActorRole, Cell, Channel, Factor, Operation, Profile, Whose};
use crate::issuer::store::{Ask, Found, Write};
use crate::pki::time::Timestamp;
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
        // The first request used the one-time password up; its repeat is shown what that one made.
        let repeats = found.before.as_ref().is_some_and(|before| before.request == request.digest);
        let asked: Vec<Factor> = wanted
            .iter()
            .copied()
            .filter(|factor| *factor != Factor::CurrentCertificate)
            .filter(|factor| !(repeats && *factor == Factor::OneTimePassword))
            .collect();
        let checked = self.parts.credentials.check(key, &request.factors, &asked, now).await;
        let checked = checked.map_err(|error| Refused::Unavailable(error.to_string().into()))?;
        let why = barred(request, profile, found, now).map(str::to_owned);
        if let Some(why) = why.or_else(|| checked.wrong.first().map(|factor| format!("{} is wrong", factor.word()))) {
            self.count_wrong(request, profile, found, &why, now).await?;
            return Err(opaque(request, &wanted));
        }
        let proofs = proofs(&checked, key, now);
        let is_missing = |factor: &&Factor| !checked.right.contains(factor);
        if let Some(missing) = asked.iter().find(is_missing) {
            let why = format!("{} was not given", missing.word());
            self.record(entry(request, now, refusal(&why))).await?;
            return Err(opaque(request, &wanted));
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
        let given: Vec<Factor> = request.factors.0.iter().map(|(factor, _)| *factor).collect();
        if let Err(error) = self.parts.credentials.check(key, &request.factors, &given, now).await {
            return Refused::Unavailable(error.to_string().into());
        }
        let recorded = self.record(entry(request, now, refusal("there is no such contract"))).await;
        recorded.err().unwrap_or_else(|| opaque(request, &[]))
    }

    /// One wrong try more, of the acting user, their contract and the client's address.
    async fn count_wrong(
        &self,
        request: &Request,
        profile: &Arc<Profile>,
        found: &Found,
        why: &str,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let By::User { key, .. } = &request.by else { return Ok(()) };
        let Some(contract) = &found.contract else { return Ok(()) };
        let authority = self.rules(contract)?.1;
        let ask = Ask { user: Some(key.user.clone()), idempotency: None, ..ask(request, None) };
        let (profile, name) = (Arc::clone(profile), Arc::clone(&authority.name));
        let (told, address) = (entry(request, now, refusal(why)), request.address.clone());
        self.change(ask, move |found| {
            let Some(contract) = &found.contract else { return (Write { audit: vec![told], ..Write::default() }, ()) };
            let situation = Situation {
                contract: contract.contract.clone(),
                user: found.user.as_ref().map(|row| row.user.clone()),
                address: address.as_ref().map(|_| found.address),
            };
            let context = Context { profile: &profile, authority: &name, reference: &told.reference, now };
            let decided = lifecycle::decide(&profile, &situation, &Actor::Service, &Command::WrongFactor, now);
            let write = match decided {
                Err(_) => Write::default(),
                Ok(decision) => {
                    let mut write = write::effects(&context, found, &decision);
                    let changed = |user: &lifecycle::User| found.user.as_ref().filter(|row| row.user != *user).cloned();
                    if let Some(user) = decision.user.clone()
                        && let Some(mut row) = changed(&user)
                    {
                        row.user = user;
                        write.users.push(row);
                    }
                    let mut row = contract.clone();
                    row.contract = decision.contract.clone();
                    write.contract = Some(row);
                    write.address = decision.address;
                    write
                }
            };
            (Write { audit: vec![told], ..write }, ())
        })
        .await?;
        Ok(())
    }

    /// Completes or interrupts; see [`Plan`] for the caller's part.
    pub(super) fn service_entry(event: &lifecycle::AuditEvent, plan: Option<&Plan>, now: Timestamp) -> Entry {
        let caller: Arc<str> = "issuer".into();
        let reference = plan.map_or_else(|| Arc::from("recovery"), |plan| Arc::clone(&plan.request.reference));
        Entry::new(event, now, &caller, &reference)
    }
}

/// The one answer. Only to who has shown their certificate it says what is asked for.
fn opaque(request: &Request, wanted: &[Factor]) -> Refused {
    match (&request.act, &request.by) {
        (Act::Acquire { .. }, _) => Refused::Rules(PublicReason::AcquisitionRefused),
        (_, By::User { certificate: Some(_), .. }) => Refused::Proof(wanted.to_vec()),
        _ => Refused::Rules(PublicReason::ProofRequired),
    }
}

/// Why even right factors open nothing now: then they must not be told from wrong ones.
fn barred(request: &Request, profile: &Profile, found: &Found, now: Timestamp) -> Option<&'static str> {
    let Some(user) = found.actor.as_ref().map(|row| &row.user) else { return Some("there is no such user") };
    match (user.standing, user.lock) {
        (Standing::Active, Lock::Open) => {}
        (Standing::Active, Lock::Locked { .. }) => return Some("the acting user is locked"),
        (Standing::Suspended | Standing::Deleted, _) => return Some("the acting user is suspended or deleted"),
    }
    // Strangers' guesses must not keep those out who come with their certificate.
    if matches!(request.by, By::User { certificate: Some(_), .. }) {
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
    let of_cell = |by: &ActorRole, on: Option<&_>| {
        let cell = Cell { operation, by, on, whose, channel: Channel::Online };
        required_proofs(profile, &contract.contract, &cell)
    };
    let permitted = found.actor.as_ref().and_then(|actor| {
        let on = match &request.act {
            Act::Register { role, .. } => Some(role),
            _ => found.user.as_ref().map(|row| &row.user.role),
        };
        of_cell(&ActorRole::Role(actor.user.role.clone()), on)
    });
    permitted.unwrap_or_else(|| {
        let alike = |operation: Operation| {
            profile.matrix.permits().iter().find_map(|permit| {
                let online = permit.channels.contains(&Channel::Online) && permit.whose.contains(&whose);
                let fits = online && permit.operations.contains(&operation);
                fits.then(|| of_cell(permit.by.first()?, permit.on.first())).flatten()
            })
        };
        let given = || request.factors.0.iter().map(|(factor, _)| *factor).collect();
        alike(operation).unwrap_or_else(given)
    })
}

fn is_own(request: &Request, actor: &UserKey) -> bool {
    let same_contract = |contract: &ContractId| *contract == actor.contract;
    !matches!(request.act, Act::Register { .. })
        && same_contract(&request.contract)
        && request.user.as_ref() == Some(&actor.user)
}
