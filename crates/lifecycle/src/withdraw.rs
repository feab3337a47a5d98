//! Away from a certificate: revocation, deletion, the end of a contract's feature.

use super::decision::{Change, Effect, Notice, Reason};
use super::state::{Certificate, Next, Revoked, Standing, User};
use crate::profile::{Interrupted, NoticeEvent, Profile};
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::time::Timestamp;

/// Revokes 失効 the certificate that lives, and withdraws what is under way.
pub(super) fn revoke(user: &User, reason: RevocationReason, now: Timestamp) -> Result<Change, Reason> {
    if !is_of_an_end_user(reason) {
        return Err(Reason::RevocationReasonNotAllowed);
    }
    let live = user.live(now).is_some();
    if !live && matches!(user.next, Next::Nothing | Next::ReissueNeeded) {
        return Err(Reason::NothingToRevoke);
    }
    let mut user = user.clone();
    let mut effects = revoke_intent(&user.next);
    user.next = Next::Nothing;
    if live {
        effects.extend(revoke_held(&mut user, reason, now));
        effects.push(Effect::Notify(Notice { to: user.key.clone(), event: NoticeEvent::Revoked }));
    }
    Ok(Change::of(user, effects))
}

/// Deletes the user 登録抹消, and all that they have.
pub(super) fn delete(user: &User, now: Timestamp) -> Result<Change, Reason> {
    let (mut user, effects) = end(user, now);
    user.standing = Standing::Deleted;
    Ok(Change::of(user, effects))
}

/// What becomes of one user when the feature of the contract is switched off and the profile revokes then.
pub fn end_with_contract(user: &User, now: Timestamp) -> (User, Vec<Effect>) {
    end(user, now)
}

fn end(user: &User, now: Timestamp) -> (User, Vec<Effect>) {
    let mut user = user.clone();
    let mut effects = revoke_intent(&user.next);
    user.next = Next::Nothing;
    if user.live(now).is_some() {
        effects.push(Effect::Notify(Notice { to: user.key.clone(), event: NoticeEvent::Revoked }));
    }
    effects.extend(revoke_held(&mut user, RevocationReason::CessationOfOperation, now));
    (user, effects)
}

/// Marks a held certificate as revoked, expired or not: where a clock is behind, it must not live again.
pub(super) fn revoke_held(user: &mut User, reason: RevocationReason, now: Timestamp) -> Option<Effect> {
    let Certificate::Held(held) = &user.certificate else { return None };
    let (serial, issue_number) = (held.serial, held.issue_number);
    user.certificate = Certificate::Revoked(Revoked { serial, at: now, reason, issue_number });
    Some(Effect::Revoke { serial, reason })
}

/// Revokes the serial of what is being made: it may be signed already.
pub(super) fn revoke_intent(next: &Next) -> Vec<Effect> {
    let reason = RevocationReason::CessationOfOperation;
    next.intent().map(|intent| Effect::Revoke { serial: intent.serial, reason }).into_iter().collect()
}

/// Stops what is being made; what that leaves is the profile's word.
pub(super) fn stop_making(profile: &Profile, user: &mut User) -> Vec<Effect> {
    let effects = revoke_intent(&user.next);
    let next = std::mem::replace(&mut user.next, Next::Nothing);
    user.next = match (next, profile.acquisition.interrupted) {
        (Next::Acquiring { offer: Some(offer), .. }, Interrupted::Retry) => Next::Offered(offer),
        (Next::Acquiring { offer: Some(_), .. }, Interrupted::Reissue) => Next::ReissueNeeded,
        (Next::Acquiring { offer: None, .. } | Next::Renewing(_), _) => Next::Nothing,
        (other, _) => other,
    };
    effects
}

/// RFC 5280 section 5.3.1, without those of CAs and attribute authorities, and without the hold: a suspension blocks,
/// a revocation is for ever.
fn is_of_an_end_user(reason: RevocationReason) -> bool {
    match reason {
        RevocationReason::Unspecified
        | RevocationReason::KeyCompromise
        | RevocationReason::AffiliationChanged
        | RevocationReason::Superseded
        | RevocationReason::CessationOfOperation
        | RevocationReason::PrivilegeWithdrawn => true,
        RevocationReason::CaCompromise
        | RevocationReason::CertificateHold
        | RevocationReason::RemoveFromCrl
        | RevocationReason::AaCompromise => false,
    }
}
