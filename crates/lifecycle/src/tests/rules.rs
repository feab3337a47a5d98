//! Rules of no product in particular.

use super::world::*;
use crate::profile::{Factor, OldCertificate};
use crate::*;
use sekisho_pki::crl::RevocationReason;

fn shinkin() -> World {
    let mut world = World::new("shinkin", "00009876543", &[("kanri", "administrator"), ("riyousya", "user")]);
    world.acquire("kanri").unwrap();
    world
}

#[test]
fn maker_and_checker_are_two_people() {
    let staff = StaffId("suzuki".into());
    assert_eq!(StaffPair::new(staff.clone(), staff), Err(SamePerson));
}

#[test]
fn proofs_that_are_old_or_of_the_future_prove_nothing() {
    for age in [301, -1] {
        let mut world = shinkin();
        let proofs = world.every_proof("kanri");
        world.now = world.now.plus_seconds(age);
        let denied = world.by_with("kanri", "riyousya", revocation(), &proofs).unwrap_err();
        assert_eq!(denied, Reason::ProofNotFresh(Factor::CurrentCertificate), "{age}");
    }
    let mut world = shinkin();
    let proofs = world.every_proof("kanri");
    world.now = world.now.plus_seconds(300);
    world.by_with("kanri", "riyousya", revocation(), &proofs).unwrap();
}

#[test]
fn a_secret_is_no_proof_of_a_certificate() {
    let world = shinkin();
    assert_eq!(Proof::secret(Factor::CurrentCertificate, &world.user("kanri").key, world.now), None);
}

#[test]
fn an_administrator_of_another_contract_is_nobody_here() {
    let mut world = shinkin();
    let mut other = World::new("shinkin", "00000000001", &[("kanri", "administrator")]);
    other.acquire("kanri").unwrap();
    let (user, proofs) = (other.user("kanri").clone(), other.every_proof("kanri"));
    let denied = world.act(&Actor::User { user: &user, proofs: &proofs }, "riyousya", &revocation()).unwrap_err();
    assert_eq!(denied.reason, Reason::OtherContract);
    assert_eq!(denied.reason.public(&revocation()).name(), "not-permitted");
}

#[test]
fn a_stale_record_of_the_actor_is_refused() {
    let mut world = shinkin();
    let before = world.user("riyousya").clone();
    world.begin("riyousya").unwrap();
    let proofs = world.every_proof("riyousya");
    let issuing = world.issuing();
    let acquire = Command::Acquire { issuing, secret: None };
    let denied = world.act(&Actor::User { user: &before, proofs: &proofs }, "riyousya", &acquire).unwrap_err();
    assert_eq!(denied.reason, Reason::StaleRecord);
}

#[test]
fn suspended_and_deleted_actors_do_nothing_to_others() {
    let mut world = shinkin();
    world.at_the_desk("kanri", Command::Suspend).unwrap();
    assert_eq!(world.revoke("kanri", "riyousya").unwrap_err(), Reason::ActorMayNotAct);
    let mut world = shinkin();
    let proofs = world.every_proof("kanri");
    world.on_paper("kanri", Command::Delete).unwrap();
    let denied = world.by_with("kanri", "riyousya", revocation(), &proofs).unwrap_err();
    assert_eq!(denied, Reason::ActorMayNotAct);
}

#[test]
fn only_the_service_completes_and_it_does_nothing_else() {
    let mut world = shinkin();
    let begun = world.begin("riyousya").unwrap();
    for command in [Command::Complete { serial: begun.serial }, Command::Interrupt, Command::WrongFactor(Against::User)]
    {
        assert_eq!(world.by("riyousya", "riyousya", command.clone()).unwrap_err(), Reason::NotForThisActor);
        assert_eq!(world.on_paper("riyousya", command).unwrap_err(), Reason::NotForThisActor);
    }
    for command in [revocation(), Command::Unlock, Command::SwitchOn] {
        assert_eq!(world.service("riyousya", command).unwrap_err(), Reason::NotForThisActor);
    }
}

#[test]
fn another_serial_does_not_complete() {
    let mut world = shinkin();
    world.begin("riyousya").unwrap();
    let serial = world.issuing().serial;
    assert_eq!(world.service("riyousya", Command::Complete { serial }).unwrap_err(), Reason::NotUnderWay);
    assert_eq!(world.live_serial("riyousya"), None);
}

#[test]
fn what_was_begun_is_not_completed_past_a_lock_a_suspension_or_a_deletion() {
    for command in [Command::Lock, Command::Suspend] {
        let mut world = shinkin();
        let begun = world.begin("riyousya").unwrap();
        world.at_the_desk("riyousya", command).unwrap();
        assert!(world.outside.revoked.contains(&begun.serial));
        assert!(world.service("riyousya", Command::Complete { serial: begun.serial }).is_err());
        assert_eq!(world.live_serial("riyousya"), None);
    }
    let mut world = shinkin();
    let begun = world.begin("riyousya").unwrap();
    world.by("kanri", "riyousya", Command::Delete).unwrap();
    let late = world.service("riyousya", Command::Complete { serial: begun.serial }).unwrap_err();
    assert_eq!(late, Reason::UserDeleted);
    let register = world.register("riyousya", "user");
    assert_eq!(world.by("kanri", "riyousya", register).unwrap_err(), Reason::UserExists, "an ID is one person's");
}

#[test]
fn reasons_of_cas_and_the_hold_are_refused() {
    use RevocationReason::*;
    for reason in [CaCompromise, CertificateHold, RemoveFromCrl, AaCompromise] {
        let mut world = shinkin();
        world.acquire("riyousya").unwrap();
        let denied = world.by("kanri", "riyousya", Command::Revoke { reason }).unwrap_err();
        assert_eq!(denied, Reason::RevocationReasonNotAllowed);
    }
    for reason in [Unspecified, KeyCompromise, AffiliationChanged, Superseded, CessationOfOperation, PrivilegeWithdrawn]
    {
        let mut world = shinkin();
        let serial = world.acquire("riyousya").unwrap().serial;
        let decision = world.by("kanri", "riyousya", Command::Revoke { reason }).unwrap();
        assert_eq!(decision.effects.first(), Some(&Effect::Revoke { serial, reason }));
    }
}

#[test]
fn an_offer_is_withdrawn_by_a_revocation() {
    let mut world = shinkin();
    world.revoke("kanri", "riyousya").unwrap();
    assert_eq!(world.begin("riyousya").unwrap_err(), Reason::NotOffered);
}

#[test]
fn identifiers_and_roles_that_the_profile_does_not_allow_are_not_registered() {
    let mut world = shinkin();
    for (user, role, reason) in [
        ("with-hyphen", "user", Reason::IdentifierNotAllowed),
        ("0123456789012345678901234567890", "user", Reason::IdentifierNotAllowed),
        ("fine", "administrator", Reason::NotPermitted),
        ("fine", "boss", Reason::NotPermitted),
    ] {
        let register = world.register(user, role);
        assert_eq!(world.by("kanri", user, register).unwrap_err(), reason, "{user} {role}");
    }
    assert_eq!(UserId::new("two words"), None);
    assert_eq!(UserId::new("nul\0"), None);
    assert_eq!(UserId::new(""), None);
}

#[test]
fn wrong_tries_of_many_users_lock_the_contract_and_of_one_address_the_address_for_a_while() {
    let mut world = shinkin();
    for _ in 0..20 {
        // Of users who are not there, too.
        world.service("nobody", Command::WrongFactor(Against::User)).unwrap();
    }
    assert_eq!(world.contract.wrong_tries, Counter::default(), "made-up IDs keep no user of the contract out");
    assert_eq!(world.begin("riyousya").unwrap_err(), Reason::AddressLocked);
    world.address = Counter::default();
    assert!(world.clone().begin("riyousya").is_ok(), "from another address");
    for _ in 0..50 {
        world.service("kanri", Command::WrongFactor(Against::Contract)).unwrap();
    }
    world.address = Counter::default();
    assert_eq!(world.begin("riyousya").unwrap_err(), Reason::ContractLocked);
    world.now = world.now.plus_seconds(3600);
    world.begin("riyousya").unwrap();
}

#[test]
fn every_refusal_of_an_acquisition_looks_the_same_outside() {
    let command = {
        let mut world = shinkin();
        Command::Acquire { issuing: world.issuing(), secret: None }
    };
    for reason in [Reason::NoSuchUser, Reason::WrongSecret, Reason::Locked, Reason::NotOffered, Reason::UserSuspended] {
        assert_eq!(reason.public(&command).name(), "acquisition-refused");
    }
}

#[test]
fn a_denial_is_audited_with_its_reason() {
    let mut world = shinkin();
    let user = world.user("riyousya").clone();
    let denied = world.act(&Actor::User { user: &user, proofs: &[] }, "kanri", &revocation()).unwrap_err();
    assert_eq!(denied.audit.outcome, Outcome::Refused(Reason::NotPermitted));
    assert_eq!(denied.audit.target, Target::User(world.user("kanri").key.clone()));
    assert_eq!(denied.audit.actor, ActorName::User(user.key));
    assert_eq!(denied.audit.command, "revoke");
}

#[test]
fn a_replacement_keeps_the_old_certificate_until_the_new_one_is_complete_where_the_profile_says_so() {
    let mut world = shinkin();
    std::sync::Arc::make_mut(&mut world.profile).old_certificate = OldCertificate::RevokedWhenReplaced;
    let old = world.acquire("riyousya").unwrap().serial;
    world.reissue("kanri", "riyousya").unwrap();
    let begun = world.begin("riyousya").unwrap();
    assert_eq!(world.live_serial("riyousya"), Some(old));
    world.service("riyousya", Command::Complete { serial: begun.serial }).unwrap();
    assert_eq!(world.outside.live(&world.user("riyousya").key, world.now), [begun.serial]);
}

#[test]
fn the_last_issue_number_that_fits_is_the_last_certificate() {
    let mut world = shinkin();
    world.users.get_mut("riyousya").unwrap().issues = 998;
    assert_eq!(world.begin("riyousya").unwrap().issue_number, 999);
    world.service("riyousya", Command::Interrupt).unwrap();
    world.reissue("kanri", "riyousya").unwrap();
    assert_eq!(world.begin("riyousya").unwrap_err(), Reason::IssueNumbersUsedUp);
}

#[test]
fn a_lock_by_strangers_is_about_acquiring_and_who_proves_their_certificate_acts() {
    let mut world = shinkin();
    world.acquire("riyousya").unwrap();
    for _ in 0..5 {
        world.service("kanri", Command::WrongFactor(Against::User)).unwrap();
    }
    assert!(matches!(world.user("kanri").lock, Lock::Locked { by: LockedBy::WrongTries, .. }));
    assert_eq!(world.begin("kanri").unwrap_err(), Reason::Locked);
    world.revoke("kanri", "riyousya").unwrap();
    // Without the certificate among what the act takes, nothing is proven that strangers could not try.
    let proofs = world.proofs("kanri", &[Factor::ContractConfirmationPin]);
    let denied = world.by_with("kanri", "riyousya", Command::Suspend, &proofs).unwrap_err();
    assert_eq!(denied, Reason::ProofMissing(Factor::CurrentCertificate));
    // An operator's lock is about acquiring too.
    let mut world = shinkin();
    world.at_the_desk("kanri", Command::Lock).unwrap();
    world.by("kanri", "riyousya", Command::Suspend).unwrap();
}

#[test]
fn wrong_tries_with_the_certificate_lock_acts_and_right_ones_forget_them() {
    let mut world = shinkin();
    let slip = |world: &mut World| world.service("kanri", Command::WrongFactor(Against::Holder)).unwrap();
    for _ in 0..3 {
        (0..4).for_each(|_| drop(slip(&mut world)));
        assert_eq!(world.user("kanri").wrong_acts.wrong, 4);
        let decision = world.by("kanri", "riyousya", Command::Suspend).unwrap();
        world.users.insert("kanri".to_owned(), decision.actor.expect("the slips are forgotten"));
        world.by("kanri", "riyousya", Command::Resume).unwrap();
        assert_eq!(world.user("kanri").wrong_acts, Counter::default());
    }
    assert_eq!(world.contract.wrong_tries, Counter::default(), "slips of one who holds a certificate bar nobody else");
    let locked = (0..5).map(|_| slip(&mut world)).last().unwrap();
    assert!(locked.effects.iter().any(|effect| matches!(effect, Effect::Notify(_))));
    assert!(matches!(world.user("kanri").lock, Lock::Locked { by: LockedBy::WrongActs, .. }));
    assert_eq!(world.by("kanri", "riyousya", Command::Suspend).unwrap_err(), Reason::ActorMayNotAct);
    assert_eq!(world.begin("kanri").unwrap_err(), Reason::Locked);
    world.on_paper("kanri", Command::Unlock).unwrap();
    assert_eq!(world.user("kanri").wrong_acts, Counter::default());
    world.by("kanri", "riyousya", Command::Suspend).unwrap();
}

#[test]
fn a_renewal_goes_on_under_strangers_wrong_tries() {
    let mut world = World::new("anser-bizsol", "A1234567", &[("logid031", "general")]);
    world.acquire("logid031").unwrap();
    world.now = world.now.plus_seconds(330 * DAY);
    let issuing = world.issuing();
    world.by("logid031", "logid031", Command::Renew { issuing }).unwrap();
    for _ in 0..5 {
        world.service("logid031", Command::WrongFactor(Against::User)).unwrap();
    }
    assert!(matches!(world.user("logid031").lock, Lock::Locked { .. }));
    world.service("logid031", Command::Complete { serial: issuing.serial }).unwrap();
    assert_eq!(world.live_serial("logid031"), Some(issuing.serial));
    world.now = world.now.plus_seconds(350 * DAY);
    let issuing = world.issuing();
    world.by("logid031", "logid031", Command::Renew { issuing }).unwrap();
}

#[test]
fn a_certificate_begins_a_little_before_it_is_made_and_never_before_its_authority() {
    let mut world = shinkin();
    assert_eq!(world.clone().begin("riyousya").unwrap().not_before, world.now.plus_seconds(-300));
    let issuing = Issuing { earliest: world.now.plus_seconds(-10), ..world.issuing() };
    let decision = world.by("riyousya", "riyousya", Command::Acquire { issuing, secret: None }).unwrap();
    let intent = decision.user.unwrap().next.intent().unwrap().clone();
    assert_eq!(intent.not_before, world.now.plus_seconds(-10));
    assert_eq!(intent.not_after, world.now.plus_years(1).end_of_day());
}
