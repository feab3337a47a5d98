//! Towards a certificate: acquisition, renewal, completion, interruption and wrong tries.

use super::command::{Against, Issuing, SecretDigest};
use super::decision::{Change, Effect, Notice, Reason};
use super::state::{Certificate, Held, Intent, Lock, LockedBy, Next, Situation, Standing, User};
use super::tries::Counter;
use super::{offer, withdraw};
use crate::profile::{NoticeEvent, Profile, Rounding, TemplateValues};
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;

/// Seconds in a day.
const DAY: i64 = 86_400;

/// Seconds by which a certificate's validity begins before it is made: gateways' clocks may be a little behind, and a user
/// uses it at once.
const BACKDATED: i64 = 300;

/// Attempts the acquisition: the right secret records the intent, a wrong one is counted.
pub(super) fn begin(
    profile: &Profile,
    situation: &Situation,
    user: &User,
    issuing: &Issuing,
    secret: Option<&SecretDigest>,
    now: Timestamp,
) -> Result<Change, Reason> {
    unthrottled(profile, situation, now)?;
    let offer = offer::opening(profile, user, now)?;
    let expected = offer.as_ref().and_then(|offer| offer.secret);
    match (profile.acquisition.secret.is_some(), expected, secret) {
        (false, None, None) => {}
        (true, Some(expected), Some(typed)) if expected == *typed => {}
        (true, Some(_), Some(_)) => return Ok(wrong(profile, situation, user, Reason::WrongSecret, now)),
        _ => return Err(Reason::SecretNotAsAsked),
    }
    let mut user = user.clone();
    let mut effects = withdraw::revoke_intent(&user.next);
    let intent = intent(profile, &mut user, issuing, now)?;
    effects.push(Effect::Sign(intent.clone()));
    user.next = Next::Acquiring { offer, intent };
    user.wrong_tries = Counter::default();
    Ok(Change::of(user, effects))
}

/// Renews 更新, in the window before expiry and never after it.
pub(super) fn renew(profile: &Profile, user: &User, issuing: &Issuing, now: Timestamp) -> Result<Change, Reason> {
    // Strangers' wrong tries do not keep those out who come with their certificate.
    let live = user.live(now).ok_or(Reason::NothingLive)?;
    if !in_window(profile, live, now) {
        return Err(Reason::NotYetRenewable);
    }
    if !matches!(user.next, Next::Nothing | Next::Renewing(_)) {
        return Err(Reason::UnderWay);
    }
    let mut user = user.clone();
    let mut effects = withdraw::revoke_intent(&user.next);
    let intent = intent(profile, &mut user, issuing, now)?;
    effects.push(Effect::Sign(intent.clone()));
    user.next = Next::Renewing(intent);
    user.wrong_tries = Counter::default();
    Ok(Change::of(user, effects))
}

/// Whether a live certificate may be renewed 更新可.
pub(super) fn in_window(profile: &Profile, live: &Held, now: Timestamp) -> bool {
    let opens = |days: u16| live.not_after.plus_seconds(-i64::from(days) * DAY);
    profile.renewal.is_some_and(|renewal| opens(renewal.window_days) <= now)
}

/// Puts the certificate that was made into the slot; what was there is revoked in the same decision, even when it has
/// expired: a gateway's clock may be behind.
pub(super) fn complete(user: &User, serial: &SerialNumber, now: Timestamp) -> Result<Change, Reason> {
    let intent = user.next.intent().filter(|intent| intent.serial == *serial).ok_or(Reason::NotUnderWay)?.clone();
    if now < intent.not_before || intent.not_after < now {
        return Err(Reason::NotUnderWay);
    }
    let mut user = user.clone();
    let mut effects: Vec<Effect> =
        withdraw::revoke_held(&mut user, RevocationReason::Superseded, now).into_iter().collect();
    user.certificate = Certificate::Held(Held {
        serial: intent.serial,
        not_before: intent.not_before,
        not_after: intent.not_after,
        issue_number: intent.issue_number,
        registered_at: now,
    });
    user.next = Next::Nothing;
    effects.push(Effect::Notify(Notice { to: user.key.clone(), event: NoticeEvent::Issued }));
    Ok(Change::of(user, effects))
}

/// Gives up what is being made.
pub(super) fn interrupt(profile: &Profile, user: &User) -> Result<Change, Reason> {
    if user.next.intent().is_none() {
        return Err(Reason::NotUnderWay);
    }
    let mut user = user.clone();
    let effects = withdraw::stop_making(profile, &mut user);
    Ok(Change::of(user, effects))
}

/// Counts a wrong factor. One that is not against the user leaves them as they are.
pub(super) fn wrong_factor(
    profile: &Profile,
    situation: &Situation,
    against: Against,
    now: Timestamp,
) -> Result<Change, Reason> {
    let user = situation.user.as_ref().filter(|user| user.standing != Standing::Deleted);
    let reason = Reason::WrongFactor;
    Ok(match (against, user) {
        (Against::User, Some(user)) => wrong(profile, situation, user, reason, now),
        (Against::Contract, Some(_)) => {
            Change { refusal: Some(reason), ..counted(profile, situation, CountedOf::ContractAndAddress, now) }
        }
        (Against::Address, _) | (Against::User | Against::Contract, None) => {
            Change { refusal: Some(reason), ..counted(profile, situation, CountedOf::Address, now) }
        }
        (Against::Holder, Some(user)) => wrong_act(profile, user, now),
        (Against::Holder, None) => Change { refusal: Some(reason), ..Change::default() },
    })
}

/// One wrong try more, of the user, the contract and the address; the last one locks.
fn wrong(profile: &Profile, situation: &Situation, user: &User, reason: Reason, now: Timestamp) -> Change {
    let mut effects = Vec::new();
    let mut user = user.clone();
    user.wrong_tries = user.wrong_tries.after_wrong(&profile.tries.user, now);
    if user.lock == Lock::Open && user.wrong_tries.is_locked(&profile.tries.user, now) {
        user.lock = Lock::Locked { at: now, by: LockedBy::WrongTries };
        // Who renews has shown their certificate, and is not stopped by others' tries.
        if !matches!(user.next, Next::Renewing(_)) {
            effects.extend(withdraw::stop_making(profile, &mut user));
        }
        offer::withdraw_guessed(&mut user);
        effects.push(Effect::Notify(Notice { to: user.key.clone(), event: NoticeEvent::Locked }));
    }
    let counted = counted(profile, situation, CountedOf::ContractAndAddress, now);
    Change { user: Some(user), effects, refusal: Some(reason), ..counted }
}

/// One wrong try more with the certificate that lives; the last one locks the user's acts.
fn wrong_act(profile: &Profile, user: &User, now: Timestamp) -> Change {
    let mut effects = Vec::new();
    let mut user = user.clone();
    user.wrong_acts = user.wrong_acts.after_wrong(&profile.tries.user, now);
    let is_locked = matches!(user.lock, Lock::Locked { by: LockedBy::WrongActs, .. });
    if !is_locked && user.wrong_acts.is_locked(&profile.tries.user, now) {
        user.lock = Lock::Locked { at: now, by: LockedBy::WrongActs };
        effects.extend(withdraw::stop_making(profile, &mut user));
        effects.push(Effect::Notify(Notice { to: user.key.clone(), event: NoticeEvent::Locked }));
    }
    Change { user: Some(user), effects, refusal: Some(Reason::WrongFactor), ..Change::default() }
}

/// Beside the user.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CountedOf {
    ContractAndAddress,
    Address,
}

fn counted(profile: &Profile, situation: &Situation, of: CountedOf, now: Timestamp) -> Change {
    let mut contract = situation.contract.clone();
    if of == CountedOf::ContractAndAddress {
        contract.wrong_tries = contract.wrong_tries.after_wrong(&profile.tries.contract, now);
    }
    let address = situation.address.map(|counter| counter.after_wrong(&profile.tries.address, now));
    Change { contract: Some(contract), address, ..Change::default() }
}

fn unthrottled(profile: &Profile, situation: &Situation, now: Timestamp) -> Result<(), Reason> {
    if situation.contract.wrong_tries.is_locked(&profile.tries.contract, now) {
        return Err(Reason::ContractLocked);
    }
    if situation.address.is_some_and(|counter| counter.is_locked(&profile.tries.address, now)) {
        return Err(Reason::AddressLocked);
    }
    Ok(())
}

/// The next certificate of a user, exactly.
fn intent(profile: &Profile, user: &mut User, issuing: &Issuing, now: Timestamp) -> Result<Intent, Reason> {
    let rule = &profile.certificate;
    let last = 10_u32.saturating_pow(u32::from(rule.issue_number_width)).saturating_sub(1);
    let issue_number = user.issues.saturating_add(1);
    if issue_number > last {
        return Err(Reason::IssueNumbersUsedUp);
    }
    user.issues = issue_number;
    let values = TemplateValues {
        contract_id: user.key.contract.as_str(),
        user_id: user.key.user.as_str(),
        issue_number: (issue_number, rule.issue_number_width),
        issued_at: (now, issuing.microseconds % 1_000_000),
    };
    let year_later = now.plus_years(i64::from(rule.years));
    Ok(Intent {
        serial: issuing.serial,
        common_name: profile.common_name(&user.role).render(&values),
        organizational_unit: rule.organizational_unit.as_ref().map(|template| template.render(&values)),
        organization: rule.organization.as_ref().map(|template| template.render(&values)),
        not_before: now.plus_seconds(-BACKDATED).max(issuing.earliest).min(now),
        not_after: match rule.rounding {
            Rounding::Second => year_later,
            Rounding::EndOfDayUtc => year_later.end_of_day(),
        },
        issue_number,
    })
}
