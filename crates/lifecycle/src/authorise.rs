//! Whether the actor may do this to the target through this channel, has proven what it takes, and the target is one
//! to whom it may be done at all.

use super::actor::{Actor, Proof, Shown};
use super::command::Command;
use super::decision::Reason;
use super::offer;
use super::state::{Contract, ContractOneTimePassword, Feature, Lock, LockedBy, Next, Situation, Standing, User};
use crate::profile::{Cell, Factor, OneTimePasswordRule, Permit, Profile, Whose};
use sekisho_pki::time::Timestamp;

/// The permit under which the command may be done; `None` for the service's own commands.
///
/// Who, then proofs, then the target's state: who may not act learns nothing about the target.
pub(super) fn permit<'p>(
    profile: &'p Profile,
    situation: &Situation,
    actor: &Actor<'_>,
    command: &Command,
    now: Timestamp,
) -> Result<Option<&'p Permit>, Reason> {
    let permit = match (command.operation(), actor) {
        (None, Actor::Service) => None,
        (None, _) | (Some(_), Actor::Service) => return Err(Reason::NotForThisActor),
        (Some(_), _) => Some(in_matrix(profile, situation, actor, command)?),
    };
    if let (Some(permit), Actor::User { user, proofs }) = (permit, actor) {
        // A lock is about acquiring; who proves their certificate acts.
        if user.lock != Lock::Open && !permit.proofs.contains(&Factor::CurrentCertificate) {
            return Err(barred(situation, user, command, Reason::Locked));
        }
        let repeats = offer::repeats(profile, situation, actor, command, now);
        for factor in asked(profile, &situation.contract, permit) {
            // One-time passwords are used up by the first request; its repeat shows what that one made, and no more.
            if !(repeats && factor == Factor::OneTimePassword) {
                proven(profile, user, proofs, factor, now)?;
            }
        }
    }
    target_allows(situation, command)?;
    Ok(permit)
}

/// What a user has to prove for a cell of the matrix; `None`: not permitted.
pub fn required_proofs(profile: &Profile, contract: &Contract, cell: &Cell<'_>) -> Option<Vec<Factor>> {
    Some(asked(profile, contract, profile.matrix.permit(cell)?).collect())
}

/// The permit's factors, without a one-time password that the contract does not use.
fn asked<'p>(profile: &Profile, contract: &Contract, permit: &'p Permit) -> impl Iterator<Item = Factor> + 'p {
    let unused = profile.acquisition.one_time_password == OneTimePasswordRule::WhenContractUses
        && contract.one_time_password == ContractOneTimePassword::NotUsed;
    permit.proofs.iter().copied().filter(move |factor| !(unused && *factor == Factor::OneTimePassword))
}

/// The cell of the matrix, and whether the actor is one to ask about.
fn in_matrix<'p>(
    profile: &'p Profile,
    situation: &Situation,
    actor: &Actor<'_>,
    command: &Command,
) -> Result<&'p Permit, Reason> {
    let (Some((by, channel)), Some(operation)) = (actor.in_matrix(), command.operation()) else {
        return Err(Reason::NotForThisActor);
    };
    let mut whose = Whose::Other;
    if let Actor::User { user, .. } = actor {
        if user.key.contract != situation.contract.id {
            return Err(Reason::OtherContract);
        }
        whose = whose_record(user, situation, command)?;
        may_act(user, whose)?;
    }
    let on = match command {
        Command::Register { role, .. } => Some(role),
        _ if operation.is_on_user() => {
            let user = situation.user.as_ref().ok_or(Reason::NoSuchUser)?;
            if user.key.contract != situation.contract.id {
                return Err(Reason::OtherContract);
            }
            Some(&user.role)
        }
        _ => None,
    };
    profile.matrix.permit(&Cell { operation, by: &by, on, whose, channel }).ok_or(Reason::NotPermitted)
}

/// Self or other; of oneself there is one record only.
fn whose_record(actor: &User, situation: &Situation, command: &Command) -> Result<Whose, Reason> {
    match &situation.user {
        Some(user) if user.key == actor.key && !matches!(command, Command::Register { .. }) => {
            if user == actor {
                Ok(Whose::Own)
            } else {
                Err(Reason::StaleRecord)
            }
        }
        _ => Ok(Whose::Other),
    }
}

/// Why the actor may not act: of themselves exactly, of others not.
fn barred(situation: &Situation, actor: &User, command: &Command, why: Reason) -> Reason {
    let own = whose_record(actor, situation, command) == Ok(Whose::Own);
    if own { why } else { Reason::ActorMayNotAct }
}

/// Suspended and deleted users do nothing, to themselves or others; nor do those whose certificate may be in other hands.
fn may_act(user: &User, whose: Whose) -> Result<(), Reason> {
    let why = match (user.standing, user.lock) {
        (Standing::Deleted, _) => Reason::UserDeleted,
        (Standing::Suspended, _) => Reason::UserSuspended,
        (Standing::Active, Lock::Locked { by: LockedBy::WrongActs, .. }) => Reason::Locked,
        (Standing::Active, _) => return Ok(()),
    };
    Err(if whose == Whose::Own { why } else { Reason::ActorMayNotAct })
}

/// One factor: proven of the actor and fresh; a certificate: the one that lives.
fn proven(profile: &Profile, actor: &User, proofs: &[Proof], factor: Factor, now: Timestamp) -> Result<(), Reason> {
    let mut missing = Reason::ProofMissing(factor);
    for proof in proofs.iter().filter(|proof| proof.factor() == factor) {
        if proof.of != actor.key {
            missing = Reason::ProofOfAnother(factor);
        } else if proof.at > now || proof.at.plus_seconds(profile.proof_lifetime) < now {
            missing = Reason::ProofNotFresh(factor);
        } else if !is_live(&proof.shown, actor, now) {
            missing = Reason::NotTheLiveCertificate;
        } else {
            return Ok(());
        }
    }
    Err(missing)
}

fn is_live(shown: &Shown, actor: &User, now: Timestamp) -> bool {
    match shown {
        Shown::Secret(_) => true,
        Shown::Certificate(serial) => actor.live(now).is_some_and(|held| held.serial == *serial),
    }
}

/// Whether the lock bars this step towards a certificate. Strangers' wrong tries do not bar a renewal, which takes the
/// certificate that lives.
fn is_locked_for(user: &User, command: &Command) -> bool {
    let renews = match command {
        Command::Renew { .. } => true,
        Command::Complete { .. } => matches!(user.next, Next::Renewing(_)),
        _ => false,
    };
    match user.lock {
        Lock::Open => false,
        Lock::Locked { by: LockedBy::WrongTries, .. } => !renews,
        Lock::Locked { .. } => true,
    }
}

/// Whether the contract and the target are in a standing for it.
fn target_allows(situation: &Situation, command: &Command) -> Result<(), Reason> {
    if command.needs_the_feature() && situation.contract.feature == Feature::Off {
        return Err(Reason::FeatureOff);
    }
    let Some(user) = &situation.user else { return Ok(()) };
    // What ends a user who is no more, or counts against one, is decided where it is done.
    let for_the_deleted = matches!(command, Command::Register { .. } | Command::SwitchOn | Command::SwitchOff);
    if user.standing == Standing::Deleted && !for_the_deleted && !matches!(command, Command::WrongFactor(_)) {
        return Err(Reason::UserDeleted);
    }
    if command.leads_to_a_certificate() {
        if user.standing == Standing::Suspended {
            return Err(Reason::UserSuspended);
        }
        if is_locked_for(user, command) {
            return Err(Reason::Locked);
        }
    }
    Ok(())
}
