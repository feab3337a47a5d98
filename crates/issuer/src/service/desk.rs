//! What staff keep beside the lifecycle: contracts, how to reach users, their factors.

use super::act::{ask, idempotency};
use super::{Act, By, Done, Refused, Request, Service, entry, refusal, write};
use crate::audit::ActResult;
use crate::authenticate::CannotKeep;
use crate::store::{
    ContractRow, CredentialOwner, CredentialRow, Found, IdempotencyRow, NewNotice, NoticeAbout, UserRow, Write,
};
use sekisho_lifecycle::{PublicReason, UserKey};
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use std::sync::Arc;

/// How it went inside the transaction.
enum Kept {
    Done(Box<Done>),
    Refused(Refused),
}

impl Service {
    /// See the module; by the bank's staff alone.
    pub(super) async fn keep(&self, request: Request) -> Result<Done, Refused> {
        let now = clock::now();
        self.may_speak(&request, now).await?;
        if matches!(request.by, By::User { .. }) {
            self.record(entry(&request, now, refusal("by staff only"))).await?;
            return Err(Refused::Rules(PublicReason::NotPermitted));
        }
        if let Act::Open { profile, .. } = &request.act {
            let known =
                self.parts.profiles.get(profile).filter(|_| self.parts.authorities.of_profile(profile).is_some());
            let Some(profile) = known else {
                return Err(self.refuse(&request, now, "profile", "there is no such profile").await);
            };
            if !profile.accepts_contract_id(request.contract.as_str()) {
                return Err(self.refuse(&request, now, "id", "not a contract ID of the profile").await);
            }
        }
        let credentials = self.verifiers(&request, now).await?;
        let ask = ask(&request, None);
        let kept = self.change(ask, move |found| keep(&request, credentials, found, now)).await?;
        match kept {
            Kept::Done(done) => Ok(*done),
            Kept::Refused(refused) => Err(refused),
        }
    }

    /// What is kept of the factors that are to be set: hashing takes its time, so before the transaction.
    async fn verifiers(&self, request: &Request, now: Timestamp) -> Result<Vec<CredentialRow>, Refused> {
        let Act::Equip(factors) = &request.act else { return Ok(Vec::new()) };
        let Some(built_in) = &self.parts.built_in else {
            return Err(self.refuse(request, now, "credentials", "they are kept by the IB system").await);
        };
        let of = match &request.user {
            Some(user) => CredentialOwner::User(UserKey { contract: request.contract.clone(), user: user.clone() }),
            None => CredentialOwner::Contract(request.contract.clone()),
        };
        let mut rows = Vec::new();
        for (factor, text) in &factors.0 {
            let (built_in, of_one, factor, text) = (Arc::clone(built_in), of.clone(), *factor, text.clone());
            let made = tokio::task::spawn_blocking(move || built_in.verifier(&of_one, factor, &text)).await;
            let made = made.map_err(|_| Refused::Unavailable("a verifier could not be computed".into()))?;
            let verifier = match made {
                Ok(verifier) => verifier,
                Err(CannotKeep::Unavailable(why)) => return Err(Refused::Unavailable(why)),
                Err(other) => return Err(self.refuse(request, now, "credentials", &other.to_string()).await),
            };
            rows.push(CredentialRow { of: of.clone(), factor, verifier });
        }
        Ok(rows)
    }
}

fn keep(request: &Request, credentials: Vec<CredentialRow>, found: &Found, now: Timestamp) -> (Write, Kept) {
    let refused = |why: &str, refused| {
        (Write { audit: vec![entry(request, now, refusal(why))], ..Write::default() }, Kept::Refused(refused))
    };
    if let Some(before) = &found.before {
        if before.request != request.digest {
            return refused("the idempotency key was another request's", Refused::IdempotencyKeyReused);
        }
        let Some(contract) = found.contract.clone() else { return refused("it is gone", Refused::NotRepeatable) };
        return (Write::default(), Kept::Done(Box::new(done(contract, found.user.clone()))));
    }
    let mut write = Write { audit: vec![entry(request, now, ActResult::Done)], credentials, ..Write::default() };
    write.idempotency = idempotency(request).map(|key| IdempotencyRow {
        key,
        request: request.digest,
        user: request.user.clone(),
        serial: None,
        at: now,
    });
    let not_there = Refused::Rules(PublicReason::NotPermitted);
    match (&request.act, &found.contract, &found.user) {
        (Act::Open { .. }, Some(_), _) => refused("the contract is open", Refused::AlreadyThere),
        (Act::Open { profile, .. }, None, _) => {
            let contract = write::new_contract(&request.contract, request);
            let row = ContractRow { contract, profile: Arc::clone(profile), since: now };
            write.contract = Some(row.clone());
            (write, Kept::Done(Box::new(done(row, None))))
        }
        (_, None, _) => refused("there is no such contract", not_there),
        (_, Some(_), None) if request.user.is_some() => refused("there is no such user", not_there),
        (Act::Reach(contact), Some(contract), Some(user)) => {
            let row = UserRow { contact: contact.clone(), ..user.clone() };
            // To the address of before: whoever changes it must not hide that from its owner.
            let before = user.contact.mail.clone().filter(|mail| Some(mail) != contact.mail.as_ref());
            write.notices.extend(before.map(|mail| notice(request, user, NoticeAbout::Contact, Some(mail), now)));
            write.users.push(row.clone());
            (write, Kept::Done(Box::new(done(contract.clone(), Some(row)))))
        }
        (_, Some(contract), user) => {
            // Of one who has nothing yet, it is the beginning and no change.
            let known = user.iter().filter(|row| row.user.issues > 0 && matches!(request.act, Act::Equip(_)));
            write.notices.extend(known.map(|row| notice(request, row, NoticeAbout::Credentials, None, now)));
            (write, Kept::Done(Box::new(done(contract.clone(), user.clone()))))
        }
    }
}

/// A notice that is sent whatever the profile has told.
fn notice(request: &Request, to: &UserRow, about: NoticeAbout, mail: Option<Arc<str>>, now: Timestamp) -> NewNotice {
    let to = to.user.key.clone();
    let word = if about == NoticeAbout::Contact { "contact" } else { "credentials" };
    let once = format!("{word}/{}/{}/{}", to.contract, to.user, request.reference).into();
    NewNotice { to, about, once, serial: None, not_after: None, at: now, mail }
}

fn done(contract: ContractRow, user: Option<UserRow>) -> Done {
    Done { contract, user, secret: None, delivered: None, changed: None }
}
