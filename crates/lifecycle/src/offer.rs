//! Offers: leave to acquire, and the secret that goes with it.

use super::actor::Actor;
use super::command::{Command, OfferRequest};
use super::decision::{Change, Effect, Notice, Reason, Showing};
use super::state::{Certificate, Next, Offer, Situation, User};
use super::withdraw;
use crate::profile::{Interrupted, NoticeEvent, OldCertificate, Opens, Profile, SecretDelivery};
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::time::Timestamp;

/// Offers to a user for whom no certificate lives and nothing is under way.
pub(super) fn offer(
    profile: &Profile,
    user: &User,
    actor: &Actor<'_>,
    request: &OfferRequest,
    now: Timestamp,
) -> Result<Change, Reason> {
    if let Some(repeat) = repeat(profile, user, actor, request, now)? {
        return Ok(repeat);
    }
    if user.live(now).is_some() {
        return Err(Reason::AlreadyIssued);
    }
    match &user.next {
        Next::Nothing => {}
        Next::Offered(offer) if offer.deadline < now => {}
        Next::Offered(_) | Next::Acquiring { .. } | Next::Renewing(_) => return Err(Reason::UnderWay),
        Next::ReissueNeeded => return Err(Reason::ReissueNeeded),
    }
    let mut user = user.clone();
    let effects = make(profile, &mut user, actor, request, now)?;
    Ok(Change::of(user, effects))
}

/// Offers anew 再発行. Where the profile says so the old certificate is revoked in this very decision, so that there is
/// no moment at which it lives beside the offer (BIZ: この時点で…電子証明書が無効となる).
pub(super) fn reissue(
    profile: &Profile,
    user: &User,
    actor: &Actor<'_>,
    request: &OfferRequest,
    now: Timestamp,
) -> Result<Change, Reason> {
    if let Some(repeat) = repeat(profile, user, actor, request, now)? {
        return Ok(repeat);
    }
    let mut user = user.clone();
    let mut effects = Vec::new();
    if profile.old_certificate == OldCertificate::RevokedAtOnce {
        effects.extend(withdraw::revoke_held(&mut user, RevocationReason::Superseded, now));
    }
    effects.extend(withdraw::stop_making(profile, &mut user));
    effects.extend(make(profile, &mut user, actor, request, now)?);
    effects.push(Effect::Notify(Notice { to: user.key.clone(), event: NoticeEvent::Reissued }));
    Ok(Change::of(user, effects))
}

/// Puts a new offer into `next`, and says how its secret is shown.
pub(super) fn make(
    profile: &Profile,
    user: &mut User,
    actor: &Actor<'_>,
    request: &OfferRequest,
    now: Timestamp,
) -> Result<Vec<Effect>, Reason> {
    if request.secret.is_some() != profile.acquisition.secret.is_some() {
        return Err(Reason::SecretNotAsAsked);
    }
    user.offers = user.offers.saturating_add(1);
    // Tries at the old secret say nothing about the new one.
    user.wrong_tries = super::Counter::default();
    let offer = Offer {
        number: user.offers,
        made_at: now,
        deadline: now.plus_seconds(profile.acquisition.deadline),
        made_by: actor.name(),
        request: request.request.clone(),
        secret: request.secret,
    };
    let shown = show(profile, actor, &offer, Showing::First);
    user.next = Next::Offered(offer);
    Ok(shown)
}

/// Whether the command is the repeat of the request that made the offer that stands, by the same actor and in time:
/// BIZ's F5 after a time-out (タイムアウトにより表示されない場合).
pub(super) fn repeats(
    profile: &Profile,
    situation: &Situation,
    actor: &Actor<'_>,
    command: &Command,
    now: Timestamp,
) -> bool {
    let (Some(user), Command::Offer(request) | Command::Reissue(request) | Command::Register { offer: request, .. }) =
        (&situation.user, command)
    else {
        return false;
    };
    matches!(repeat(profile, user, actor, request, now), Ok(Some(_)))
}

/// The repeat: nothing changes, and the secret is shown again. An error where the request was used and cannot be
/// repeated any more.
pub(super) fn repeat(
    profile: &Profile,
    user: &User,
    actor: &Actor<'_>,
    request: &OfferRequest,
    now: Timestamp,
) -> Result<Option<Change>, Reason> {
    let (offer, stands) = match &user.next {
        Next::Offered(offer) => (offer, true),
        Next::Acquiring { offer: Some(offer), .. } => (offer, false),
        Next::Acquiring { offer: None, .. } | Next::Renewing(_) | Next::Nothing | Next::ReissueNeeded => {
            return Ok(None);
        }
    };
    if offer.request != request.request {
        return Ok(None);
    }
    let repeat_for = profile.acquisition.secret.as_ref().map_or(0, |secret| secret.repeat_for);
    let in_time = offer.made_at <= now && now <= offer.made_at.plus_seconds(repeat_for);
    if !(stands && in_time && offer.made_by == actor.name()) {
        return Err(Reason::RequestAlreadyUsed);
    }
    Ok(Some(Change::of(user.clone(), show(profile, actor, offer, Showing::Repeat))))
}

fn show(profile: &Profile, actor: &Actor<'_>, offer: &Offer, showing: Showing) -> Vec<Effect> {
    let Some(secret) = &profile.acquisition.secret else { return Vec::new() };
    let to = if matches!(actor, Actor::User { .. }) { secret.from_screen } else { secret.from_staff };
    // A letter is posted once.
    if showing == Showing::Repeat && to == SecretDelivery::RegisteredMail {
        return Vec::new();
    }
    vec![Effect::ShowSecret { offer: offer.number, made_at: offer.made_at, showing, to }]
}

/// Withdraws an offer whose secret was guessed at: an unlocking must not give the guesser more tries at it.
pub(super) fn withdraw_guessed(user: &mut User) {
    if matches!(&user.next, Next::Offered(offer) if offer.secret.is_some()) {
        user.next = Next::ReissueNeeded;
    }
}

/// Whether an acquisition may begin now: the offer it begins from, if the profile has offers.
pub(super) fn opening(profile: &Profile, user: &User, now: Timestamp) -> Result<Option<Offer>, Reason> {
    let retry = profile.acquisition.interrupted == Interrupted::Retry;
    match (profile.acquisition.opens, &user.next) {
        (Opens::ByUser, _) if user.live(now).is_some() => Err(Reason::AlreadyIssued),
        (Opens::ByUser, Next::Nothing | Next::Renewing(_) | Next::Acquiring { .. }) => Ok(None),
        (Opens::ByUser, Next::Offered(_) | Next::ReissueNeeded) => Err(Reason::NotOffered),
        (Opens::ByOffer, Next::Offered(offer)) => standing(profile, user, offer, now).map(Some),
        (Opens::ByOffer, Next::Acquiring { offer: Some(offer), .. }) if retry => {
            standing(profile, user, offer, now).map(Some)
        }
        (Opens::ByOffer, Next::Acquiring { .. }) => Err(Reason::UnderWay),
        (Opens::ByOffer, Next::ReissueNeeded) => Err(Reason::ReissueNeeded),
        (Opens::ByOffer, Next::Nothing | Next::Renewing(_)) => Err(Reason::NotOffered),
    }
}

fn standing(profile: &Profile, user: &User, offer: &Offer, now: Timestamp) -> Result<Offer, Reason> {
    // Cannot be with an offer that was made by these rules; a record made otherwise gets no second certificate.
    let beside_live = profile.old_certificate == OldCertificate::RevokedAtOnce && user.live(now).is_some();
    if beside_live && matches!(user.certificate, Certificate::Held(_)) {
        return Err(Reason::AlreadyIssued);
    }
    if offer.deadline < now { Err(Reason::OfferLapsed) } else { Ok(offer.clone()) }
}
