//! Whether the parts of a profile agree: what is right by itself and impossible together.

use super::ActorRole;
use super::matrix::{Cell, Channel, Factor, Operation, Whose};
use super::naming::{are_apart, wrong_alone};
use super::template::{LONGEST_ATTRIBUTE, Template};
use super::types::{Interrupted, OldCertificate, OneTimePasswordRule, Opens, Profile, Role};
use sekisho_config::Place;
use sekisho_config::reader::{Document, Section};

/// Days that a year has at least.
const YEAR_DAYS: u32 = 365;

/// Refuses an impossible profile at the key that makes it so.
pub(super) fn check(document: &Document, root: &Section<'_>, profile: &Profile) {
    let at = |table: &str, key: &str| root.place_below(table, key);
    let refuse = |place: Place, message: String| document.refuse(&place, message);
    let validity = u32::from(profile.certificate.years) * YEAR_DAYS;
    if let Some(renewal) = profile.renewal
        && u32::from(renewal.window_days) >= validity
    {
        let days = renewal.window_days;
        refuse(at("renewal", "window_days"), format!("{days} days are as long as the validity of {validity} days"));
    }
    if let Some(days) = profile.notices.before_expiry_days.first().filter(|days| u32::from(**days) >= validity) {
        let message = format!("{days} days before expiry the certificate of {validity} days does not yet live");
        refuse(at("notices", "before_expiry_days"), message);
    }
    if profile.acquisition.opens == Opens::ByUser {
        if profile.acquisition.secret.is_some() {
            refuse(at("acquisition", "secret"), "belongs to offers, and opens = \"by-user\" has none".to_owned());
        }
        if profile.acquisition.interrupted == Interrupted::Reissue {
            let message = "\"reissue\" has no meaning with opens = \"by-user\"; write \"retry\"".to_owned();
            refuse(at("acquisition", "interrupted"), message);
        }
        if profile.old_certificate == OldCertificate::RevokedWhenReplaced {
            let message = "\"revoked-when-replaced\" has no meaning with opens = \"by-user\"".to_owned();
            refuse(at("reissue", "old_certificate"), message);
        }
    }
    let locks_for_good = profile.tries.user.locked_for.is_none();
    if !locks_for_good {
        let message =
            "must be locked_for = \"unlocked\": a user's lock is ended by somebody, not by waiting".to_owned();
        refuse(at("tries", "user"), message);
    }
    for (key, limit) in [("contract", profile.tries.contract), ("address", profile.tries.address)] {
        if limit.locked_for.is_none() || limit.window.is_none() {
            let message = "needs a window and a locked_for that end by themselves: no operation unlocks it".to_owned();
            refuse(at("tries", key), message);
        }
    }
    names(root, profile, &refuse);
    for role in &profile.roles {
        duties(root, profile, role, &refuse);
    }
    forbidden(root, profile, &refuse);
}

/// Every name fits into its attribute, and no two users can have one CN.
fn names(root: &Section<'_>, profile: &Profile, refuse: &dyn Fn(Place, String)) {
    let rule = &profile.certificate;
    let fits = |template: &Template, place: Place| {
        let longest = template.longest(&profile.identifiers, rule.issue_number_width);
        if longest > LONGEST_ATTRIBUTE {
            let message = format!("can become {longest} characters long; {LONGEST_ATTRIBUTE} are allowed (RFC 5280)");
            refuse(place, message);
        }
    };
    let at = |key| root.place_below("certificate", key);
    fits(&rule.common_name, at("common_name"));
    rule.organizational_unit.iter().for_each(|template| fits(template, at("organizational_unit")));
    rule.organization.iter().for_each(|template| fits(template, at("organization")));
    if rule.common_name == Template::default() {
        // It was refused where it was read.
        return;
    }
    let mut earlier = vec![(&rule.common_name, at("common_name"))];
    let own = profile.roles.iter().filter_map(|role| Some((role.common_name.as_ref()?, role.place.clone())));
    own.clone().for_each(|(template, place)| fits(template, place));
    earlier.extend(own);
    for (index, (template, place)) in earlier.iter().enumerate() {
        if let Some(message) = wrong_alone(template, &profile.identifiers) {
            refuse(place.clone(), message);
            continue;
        }
        let before = earlier.iter().take(index);
        if before.clone().any(|(other, _)| !are_apart(template, other, &profile.identifiers)) {
            let message = "two users of different roles could have one name; write a word that tells the roles apart";
            refuse(place.clone(), message.to_owned());
        }
    }
}

/// What must be possible for a user of each role: to get a certificate, to lose it, to come out of a lock.
fn duties(root: &Section<'_>, profile: &Profile, role: &Role, refuse: &dyn Fn(Place, String)) {
    let somebody = |operation| {
        profile.matrix.permits().iter().any(|permit| {
            permit.operations.contains(&operation)
                && permit.cells().any(|cell| cell.operation == operation && cell.on == Some(&role.name))
        })
    };
    let mut needs = vec![
        (Operation::Register, "be registered"),
        (Operation::Acquire, "acquire a certificate"),
        (Operation::Revoke, "have a certificate revoked"),
        (Operation::Unlock, "be unlocked after wrong tries"),
        (Operation::Resume, "be resumed after a suspension"),
    ];
    if profile.acquisition.opens == Opens::ByOffer {
        needs.push((Operation::Reissue, "be offered another certificate"));
    }
    if profile.renewal.is_some() {
        needs.push((Operation::Renew, "renew"));
    }
    for (operation, what) in needs {
        if root.has("permit") && !somebody(operation) {
            let word = operation.word();
            let message = format!("lets no user of the role {} {what}: no permit has {word:?} on it", role.name);
            refuse(root.place_of("permit"), message);
        }
    }
}

/// Permits for what the profile does not have, and factors that nobody at that point can have.
fn forbidden(root: &Section<'_>, profile: &Profile, refuse: &dyn Fn(Place, String)) {
    let by_user = profile.acquisition.opens == Opens::ByUser;
    for permit in profile.matrix.permits() {
        let place = || permit.place.clone();
        if profile.renewal.is_none() && permit.operations.contains(&Operation::Renew) {
            refuse(place(), "permits \"renew\", and there is no [renewal]".to_owned());
        }
        let offers = [Operation::Offer, Operation::Reissue];
        if by_user && permit.operations.iter().any(|operation| offers.contains(operation)) {
            refuse(place(), "permits an offer, and opens = \"by-user\" has none".to_owned());
        }
        let only_one_time =
            !permit.proofs.is_empty() && permit.proofs.iter().all(|proof| *proof == Factor::OneTimePassword);
        if only_one_time && profile.acquisition.one_time_password == OneTimePasswordRule::WhenContractUses {
            refuse(place(), "asks for nothing where the contract does not use one-time passwords".to_owned());
        }
        let acquires = permit.operations.contains(&Operation::Acquire);
        if acquires && permit.proofs.contains(&Factor::CurrentCertificate) {
            refuse(place(), "asks for the current certificate to acquire one".to_owned());
        }
        if permit.operations.contains(&Operation::Renew) && !permit.proofs.contains(&Factor::CurrentCertificate) {
            refuse(place(), "renews without \"current-certificate\": that would be an acquisition".to_owned());
        }
    }
    let contract = |operation| {
        let cell = |channel| {
            profile.matrix.permit(&Cell { operation, by: &ActorRole::Staff, on: None, whose: Whose::Other, channel })
        };
        cell(Channel::PaperForm).is_some() || cell(Channel::StaffDesk).is_some()
    };
    for operation in [Operation::SwitchOn, Operation::SwitchOff] {
        if root.has("permit") && !contract(operation) {
            let message = format!("lets no staff {:?} a contract's certificates", operation.word());
            refuse(root.place_of("permit"), message);
        }
    }
}
