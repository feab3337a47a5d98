//! From a decision to rows.

use super::act::idempotency;
use super::plan::Plan;
use super::{Act, Request};
use crate::audit::{ActResult, Entry};
use crate::store::{
    CertificateRow, ContractRow, Found, IdempotencyRow, NewNotice, NoticeAbout, Status, StatusChange, UserRow, Write,
};
use sekisho_lifecycle::profile::{NoticeEvent, Profile};
use sekisho_lifecycle::{
    self as lifecycle, ActorName, Certificate, Contract, ContractId, Counter, Decision, Effect, Feature, Lock,
    LockedBy, Notice, Target, User, UserKey,
};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::sync::Arc;

/// What is known beside a decision.
pub(super) struct Context<'a> {
    pub(super) profile: &'a Profile,
    pub(super) authority: &'a Arc<str>,
    pub(super) reference: &'a Arc<str>,
    pub(super) now: Timestamp,
}

/// All that a decided request writes.
pub(super) fn of(plan: &Plan, found: &Found, decision: &Decision) -> Write {
    let context = Context {
        profile: &plan.profile,
        authority: &plan.authority.name,
        reference: &plan.request.reference,
        now: plan.now(),
    };
    let mut write = effects(&context, found, decision);
    let caller = plan.request.caller.name();
    let mut entry = plan.entry(Entry::new(&decision.audit, plan.now(), &caller, &plan.request.reference));
    entry.serial = about(decision);
    if decision.effects.contains(&Effect::EndEveryUser) {
        // Each user's own history says why their certificate ended.
        write.audit.extend(found.everyone.iter().map(|row| Entry {
            target: Target::User(row.user.key.clone()),
            serial: row.user.live(plan.now()).map(|held| held.serial),
            ..entry.clone()
        }));
    }
    write.audit.extend(locked(found, decision, &entry));
    write.audit.insert(0, entry);
    write.contract = found.contract.as_ref().and_then(|row| {
        let changed = row.contract != decision.contract;
        changed.then(|| ContractRow { contract: decision.contract.clone(), ..row.clone() })
    });
    if let Some(user) = &decision.user
        && found.user.as_ref().is_none_or(|row| row.user != *user)
    {
        write.users.push(row(plan, found, user.clone()));
        let names = plan.unique_names().into_iter();
        write.names = names.map(|name| (name, user.key.clone())).collect();
    }
    let actor = decision.actor.as_ref().zip(found.actor.as_ref());
    write.users.extend(actor.map(|(user, row)| UserRow { user: user.clone(), ..row.clone() }));
    write.address = decision.address.filter(|counter| *counter != found.address);
    let intent = decision.effects.iter().find_map(|effect| match effect {
        Effect::Sign(intent) => Some(intent.clone()),
        _ => None,
    });
    if decision.refusal.is_none() {
        write.idempotency = idempotency(&plan.request).map(|key| IdempotencyRow {
            key,
            request: plan.request.digest,
            user: plan.request.user.clone(),
            serial: intent.as_ref().map(|intent| intent.serial),
            at: plan.now(),
        });
    }
    write.intent = intent.and_then(|intent| {
        Some(CertificateRow {
            user: plan.target.clone()?,
            authority: Arc::clone(&plan.authority.name),
            intent,
            public_key: plan.public_key?,
            begun_at: plan.now(),
            der: None,
        })
    });
    write
}

/// Statuses and notices of a decision, and every user whom the end of a contract's feature concerns.
pub(super) fn effects(context: &Context<'_>, found: &Found, decision: &Decision) -> Write {
    let mut write = Write::default();
    let before = found.user.as_ref().map(|row| &row.user);
    for effect in &decision.effects {
        if *effect == Effect::EndEveryUser {
            for row in &found.everyone {
                let (user, effects) = lifecycle::end_with_contract(&row.user, context.now);
                effects.iter().for_each(|effect| put(context, &mut write, Some(&row.user), effect));
                write.users.push(UserRow { user, ..row.clone() });
            }
        } else {
            put(context, &mut write, before.or(decision.user.as_ref()), effect);
        }
    }
    write
}

/// The record of a lock that a wrong try brought about, beside that of the try.
pub(super) fn locked(found: &Found, decision: &Decision, entry: &Entry) -> Option<Entry> {
    let (before, after) = (found.user.as_ref()?, decision.user.as_ref()?);
    let by_tries = |lock: Lock| matches!(lock, Lock::Locked { by: LockedBy::WrongTries | LockedBy::WrongActs, .. });
    let is_new = before.user.lock != after.lock && by_tries(after.lock);
    is_new.then(|| Entry {
        actor: Some(ActorName::Service),
        command: "lock".into(),
        target: Target::User(after.key.clone()),
        channel: None,
        screen: None,
        serial: about(decision),
        result: ActResult::Done,
        ..entry.clone()
    })
}

/// The row of a user as they are now.
pub(super) fn row(plan: &Plan, found: &Found, user: User) -> UserRow {
    match (&found.user, &plan.request.act) {
        (Some(row), _) => UserRow { user, ..row.clone() },
        (None, Act::Register { contact, .. }) => UserRow { user, contact: contact.clone(), since: plan.now() },
        (None, _) => UserRow { user, contact: crate::store::Contact::default(), since: plan.now() },
    }
}

/// Stands where a contract vanished between two readings; contracts never do.
pub(super) fn no_contract(plan: &Plan) -> ContractRow {
    ContractRow {
        contract: new_contract(&plan.request.contract, &plan.request),
        profile: Arc::clone(&plan.profile.name),
        since: plan.now(),
    }
}

/// A contract as it is opened: its feature is switched on by a form of its own.
pub(super) fn new_contract(id: &ContractId, request: &Request) -> Contract {
    let one_time_password = match &request.act {
        Act::Open { one_time_password, .. } => *one_time_password,
        _ => lifecycle::ContractOneTimePassword::default(),
    };
    Contract { id: id.clone(), feature: Feature::Off, one_time_password, wrong_tries: Counter::default() }
}

fn put(context: &Context<'_>, write: &mut Write, before: Option<&User>, effect: &Effect) {
    match effect {
        Effect::Revoke { serial, reason } => status(context, write, before, *serial, Status::Revoked(*reason)),
        Effect::Block(_) | Effect::Unblock(_) => {
            let status_of = if matches!(effect, Effect::Block(_)) { Status::Held } else { Status::Released };
            if let Some(live) = before.and_then(|user| user.live(context.now)) {
                status(context, write, before, live.serial, status_of);
            }
        }
        Effect::Notify(notice) => write.notices.extend(new_notice(context, before, notice)),
        // Signed and shown after the commit.
        Effect::Sign(_) | Effect::ShowSecret { .. } | Effect::EndEveryUser => {}
    }
}

fn status(context: &Context<'_>, write: &mut Write, before: Option<&User>, serial: SerialNumber, status: Status) {
    let intent = before.and_then(|user| user.next.intent()).filter(|intent| intent.serial == serial);
    let held = before.and_then(|user| match &user.certificate {
        Certificate::Held(held) if held.serial == serial => Some(held.not_after),
        _ => None,
    });
    // What is neither held nor begun cannot be revoked by the rules; should it be, it never leaves the list.
    let not_after = held.or(intent.map(|intent| intent.not_after)).unwrap_or(Timestamp::from_unix(253_402_300_799));
    let authority = Arc::clone(context.authority);
    write.statuses.push(StatusChange { authority, serial, status, at: context.now, not_after });
}

/// A notice, where the profile has it told. Each is of one event, so that it is told once.
fn new_notice(context: &Context<'_>, before: Option<&User>, notice: &Notice) -> Option<NewNotice> {
    if !context.profile.notices.on.contains(&notice.event) {
        return None;
    }
    let certificate = before.and_then(|user| serial_and_end(notice.event, user));
    let word = match notice.event {
        NoticeEvent::Issued => "issued",
        NoticeEvent::Reissued => "reissued",
        NoticeEvent::Revoked => "revoked",
        NoticeEvent::Locked => "locked",
    };
    // An act is one request: its reference makes what has no serial of its own one event.
    let once = match (notice.event, certificate) {
        (NoticeEvent::Issued | NoticeEvent::Revoked, Some((serial, _))) => format!("{word}/{serial}"),
        _ => format!("{word}/{}/{}", named(&notice.to), context.reference),
    };
    Some(NewNotice {
        mail: None,
        to: notice.to.clone(),
        about: NoticeAbout::Event(notice.event),
        once: once.into(),
        serial: certificate.map(|(serial, _)| serial),
        not_after: certificate.map(|(_, end)| end),
        at: context.now,
    })
}

/// What was issued was the intent before; what was revoked was held before.
fn serial_and_end(event: NoticeEvent, before: &User) -> Option<(SerialNumber, Timestamp)> {
    match (event, &before.certificate) {
        (NoticeEvent::Issued, _) => before.next.intent().map(|intent| (intent.serial, intent.not_after)),
        (_, Certificate::Held(held)) => Some((held.serial, held.not_after)),
        _ => None,
    }
}

fn named(user: &UserKey) -> String {
    format!("{}/{}", user.contract, user.user)
}

/// The certificate that an act was about.
pub(super) fn about(decision: &Decision) -> Option<SerialNumber> {
    decision.effects.iter().find_map(|effect| match effect {
        Effect::Sign(intent) => Some(intent.serial),
        Effect::Revoke { serial, .. } => Some(*serial),
        _ => None,
    })
}
