//! Users and contracts beside their certificates: registration, locks, suspension, the contract's feature.

use super::actor::Actor;
use super::command::OfferRequest;
use super::decision::{Change, Effect, Reason};
use super::identifiers::{UserId, UserKey};
use super::offer;
use super::state::{Feature, Lock, LockedBy, Names, Situation, Standing, User};
use super::tries::Counter;
use super::withdraw;
use crate::profile::{FeatureOff, Opens, Profile, RoleName};
use sekisho_pki::time::Timestamp;

/// Registers a user 利用者登録; where the profile has offers the first one comes with it.
pub(super) fn register(
    profile: &Profile,
    situation: &Situation,
    actor: &Actor<'_>,
    (id, role): (&UserId, &RoleName),
    request: &OfferRequest,
    now: Timestamp,
) -> Result<Change, Reason> {
    if let Some(existing) = &situation.user {
        let same = existing.key.user == *id && existing.role == *role;
        let repeat = if same { offer::repeat(profile, existing, actor, request, now)? } else { None };
        return repeat.ok_or(Reason::UserExists);
    }
    if profile.role(role).is_none() {
        return Err(Reason::UnknownRole);
    }
    let contract = &situation.contract.id;
    if !profile.accepts_user_id(id.as_str()) || !profile.accepts_contract_id(contract.as_str()) {
        return Err(Reason::IdentifierNotAllowed);
    }
    if situation.names == Names::Taken {
        return Err(Reason::UserExists);
    }
    let mut user = User::new(UserKey { contract: contract.clone(), user: id.clone() }, role.clone());
    let effects = match profile.acquisition.opens {
        Opens::ByOffer => offer::make(profile, &mut user, actor, request, now)?,
        Opens::ByUser => Vec::new(),
    };
    Ok(Change::of(user, effects))
}

/// 現在の電子証明書を継続する: there must be one to continue.
pub(super) fn continue_as_it_is(user: &User, now: Timestamp) -> Result<Change, Reason> {
    user.live(now).ok_or(Reason::NothingLive)?;
    Ok(Change::of(user.clone(), Vec::new()))
}

/// Locks the acquisition; what is being made is stopped, a certificate that lives is not touched.
pub(super) fn lock(profile: &Profile, user: &User, now: Timestamp) -> Result<Change, Reason> {
    if user.lock != Lock::Open {
        return Err(Reason::AlreadySo);
    }
    let mut user = user.clone();
    let effects = withdraw::stop_making(profile, &mut user);
    user.lock = Lock::Locked { at: now, by: LockedBy::Operator };
    Ok(Change::of(user, effects))
}

/// Unlocks it: the only way out of a lock.
pub(super) fn unlock(user: &User) -> Result<Change, Reason> {
    if user.lock == Lock::Open {
        return Err(Reason::AlreadySo);
    }
    let (wrong_tries, wrong_acts) = (Counter::default(), Counter::default());
    let user = User { lock: Lock::Open, wrong_tries, wrong_acts, ..user.clone() };
    Ok(Change::of(user, Vec::new()))
}

/// Suspends the user 利用者停止: the certificate is blocked and kept.
pub(super) fn suspend(profile: &Profile, user: &User) -> Result<Change, Reason> {
    if user.standing != Standing::Active {
        return Err(Reason::AlreadySo);
    }
    let mut user = user.clone();
    let mut effects = withdraw::stop_making(profile, &mut user);
    user.standing = Standing::Suspended;
    effects.push(Effect::Block(user.key.clone()));
    Ok(Change::of(user, effects))
}

/// Ends the suspension 停止解除.
pub(super) fn resume(user: &User) -> Result<Change, Reason> {
    if user.standing != Standing::Suspended {
        return Err(Reason::AlreadySo);
    }
    let user = User { standing: Standing::Active, ..user.clone() };
    let effects = vec![Effect::Unblock(user.key.clone())];
    Ok(Change::of(user, effects))
}

/// Switches the contract's feature.
pub(super) fn switch(profile: &Profile, situation: &Situation, to: Feature) -> Result<Change, Reason> {
    if situation.contract.feature == to {
        return Err(Reason::AlreadySo);
    }
    let mut contract = situation.contract.clone();
    contract.feature = to;
    let ends = to == Feature::Off && profile.feature_off == FeatureOff::Revokes;
    let effects = ends.then_some(Effect::EndEveryUser).into_iter().collect();
    Ok(Change { contract: Some(contract), effects, ..Change::default() })
}
