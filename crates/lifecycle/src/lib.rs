//! The rules of a user's certificate, pure: `decide(profile, situation, actor, command, now)` says what becomes of
//! it, or why not. No clock, no file, no database, no key is touched here.
//!
//! # States
//! A [`User`] has one [`Certificate`] slot, so that two live certificates of one user ID cannot be written down, and
//! beside it [`Next`]: what is under way towards the next certificate. `Issued`, `Renewable` and `Expired` are no
//! states but readings of the slot at a moment ([`view()`]).
//!
//! ```text
//! slot   None ──complete──▶ Held ──revoke, reissue (at once), delete, feature off──▶ Revoked ──complete──▶ Held
//!                            ▲ └─ a completed renewal or replacement revokes the old one in the same decision
//! next   Nothing ──offer, reissue──▶ Offered ──acquire──▶ Acquiring ──complete──▶ Nothing
//!        Nothing ─────────────acquire (by-user)─────────▶ Acquiring ──interrupt──▶ Offered, Nothing or ReissueNeeded
//!        Nothing ──renew──▶ Renewing ──complete──▶ Nothing
//! ```
//!
//! # Two steps to a certificate
//! `Acquire` and `Renew` record an [`Intent`] with its serial before anything is signed; `Complete` puts it into the
//! slot. The service hands a certificate out only after `Complete` is committed, so that one that was signed and not
//! completed is in nobody's hands; `Interrupt` revokes its serial all the same.
//!
//! # What changes, and what does not
//! An `Ok` is a whole [`Decision`]: new records, effects and one audit event, all for one transaction. An `Err` is a
//! [`Denial`] with its audit event, and nothing changes. A wrong secret is an `Ok`: the count of wrong tries changes;
//! its [`Decision::refusal`] says what the client gets.
#![warn(unreachable_pub)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod acquire;
mod actor;
mod authorise;
mod command;
mod decision;
mod identifiers;
mod keep;
mod offer;
pub mod profile;
mod state;
#[cfg(test)]
mod tests;
mod tries;
mod view;
mod withdraw;

pub use actor::{Actor, Proof, SamePerson, StaffChannel, StaffId, StaffPair};
pub use authorise::required_proofs;
pub use command::{Against, Command, Issuing, OfferRequest, RequestId, SecretDigest};
pub use decision::{AuditEvent, Decision, Denial, Effect, Notice, Outcome, PublicReason, Reason, Showing, Target};
pub use identifiers::{ContractId, UserId, UserKey};
pub use state::{
    ActorName, Certificate, Contract, ContractOneTimePassword, Feature, Held, Intent, Lock, LockedBy, Names, Next,
    Offer, Revoked, Situation, Standing, User,
};
pub use tries::Counter;
pub use view::{ExpiryNotice, UserView, expiry_notice, view};
pub use withdraw::end_with_contract;

use crate::profile::Profile;
use decision::Change;
use sekisho_pki::time::Timestamp;

/// Decides a command: the table of contents of the rules.
///
/// `situation` is the contract, the target and the client's address as they are in the store, read in the same
/// transaction that will write the decision.
///
/// # Errors
/// A [`Denial`]; nothing changes then but that its audit event is recorded.
pub fn decide(
    profile: &Profile,
    situation: &Situation,
    actor: &Actor<'_>,
    command: &Command,
    now: Timestamp,
) -> Result<Decision, Denial> {
    let permit = authorise::permit(profile, situation, actor, command, now);
    let judged = permit.and_then(|permit| Ok((permit, change(profile, situation, actor, command, now)?)));
    match judged {
        Ok((permit, change)) => Ok(forget_slips(Decision::new(situation, actor, command, permit, change), actor)),
        Err(reason) => Err(Denial::new(situation, actor, command, reason)),
    }
}

/// An act that was done with everything that it takes ends the count of the wrong tries before it.
fn forget_slips(mut decision: Decision, actor: &Actor<'_>) -> Decision {
    let Actor::User { user: actor, .. } = actor else { return decision };
    if decision.refusal.is_none() && actor.wrong_acts != Counter::default() {
        match &mut decision.user {
            Some(user) if user.key == actor.key => user.wrong_acts = Counter::default(),
            _ => decision.actor = Some(User { wrong_acts: Counter::default(), ..(*actor).clone() }),
        }
    }
    decision
}

/// What an authorised command does to the situation.
fn change(
    profile: &Profile,
    situation: &Situation,
    actor: &Actor<'_>,
    command: &Command,
    now: Timestamp,
) -> Result<Change, Reason> {
    match command {
        Command::Register { user, role, offer } => keep::register(profile, situation, actor, (user, role), offer, now),
        Command::SwitchOn => keep::switch(profile, situation, Feature::On),
        Command::SwitchOff => keep::switch(profile, situation, Feature::Off),
        Command::WrongFactor(against) => acquire::wrong_factor(profile, situation, *against, now),
        on_user => {
            let user = situation.user.as_ref().ok_or(Reason::NoSuchUser)?;
            match on_user {
                Command::Offer(offer) => offer::offer(profile, user, actor, offer, now),
                Command::Reissue(offer) => offer::reissue(profile, user, actor, offer, now),
                Command::Acquire { issuing, secret } => {
                    acquire::begin(profile, situation, user, issuing, secret.as_ref(), now)
                }
                Command::Renew { issuing } => acquire::renew(profile, user, issuing, now),
                Command::Complete { serial } => acquire::complete(user, serial, now),
                Command::Interrupt => acquire::interrupt(profile, user),
                Command::Revoke { reason } => withdraw::revoke(user, *reason, now),
                Command::Continue => keep::continue_as_it_is(user, now),
                Command::Lock => keep::lock(profile, user, now),
                Command::Unlock => keep::unlock(user),
                Command::Suspend => keep::suspend(profile, user),
                Command::Resume => keep::resume(user),
                Command::Delete => withdraw::delete(user, now),
                Command::Register { .. } | Command::SwitchOn | Command::SwitchOff | Command::WrongFactor(_) => {
                    Err(Reason::NoSuchUser)
                }
            }
        }
    }
}
