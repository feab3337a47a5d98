//! Validity and revocation, of every certificate of the path.

use crate::pki::{CN, Ca, DAY, NOW, PATTERN, World, assert_refused, below, set_validity};
use sekisho::gateway::verify::Reason;
use sekisho_pki::time::Timestamp;

#[test]
fn an_expired_leaf_is_refused_from_the_second_after_not_after() {
    let (world, _, issuing) = World::bank();
    let leaf = issuing.leaf_with(CN, |params| set_validity(params, -365, 0));
    assert!(world.verify_at(&[&leaf.der], NOW).is_ok(), "notAfter is the last valid second");
    let refusal = assert_refused(
        world.verify_at(&[&leaf.der], NOW.plus_seconds(1)),
        Reason::Expired,
        "expired at 2026-06-01T00:00:00Z",
    );
    let facts = refusal.subject.unwrap();
    assert_eq!(facts.subject, format!("CN={CN}"));
    assert_eq!(facts.not_after, Some(NOW));
}

#[test]
fn a_leaf_is_refused_until_the_second_before_not_before() {
    let (world, _, issuing) = World::bank();
    let leaf = issuing.leaf_with(CN, |params| set_validity(params, 0, 10));
    assert_refused(world.verify_at(&[&leaf.der], NOW.plus_seconds(-1)), Reason::NotYetValid, "not valid before");
    assert!(world.verify_at(&[&leaf.der], NOW).is_ok());
}

#[test]
fn an_expired_leaf_of_an_unknown_ca_is_not_told_expired() {
    let (world, ..) = World::bank();
    let impostor = Ca::root("Bank Root").below("Bank Issuing CA");
    let leaf = impostor.leaf_with(CN, |params| set_validity(params, -365, -1));
    assert_refused(world.verify(&[&leaf.der]), Reason::UnknownCa, "another CA");
}

#[test]
fn an_expired_or_future_issuing_ca_takes_its_clients_with_it() {
    for (from, until, reason) in [(-900, -1, Reason::Expired), (1, 900, Reason::NotYetValid)] {
        let root = Ca::root("Root");
        let issuing = root.below_with("Issuing", |params| set_validity(params, from, until));
        let mut world = World::new();
        world.ca("root", &root, PATTERN, &[]);
        world.ca("issuing", &issuing, "issued_by = \"root\"", &[]);
        world.trusts(&["root"]);
        assert_refused(world.verify(&[&issuing.leaf(CN).der]), reason, "");
    }
}

#[test]
fn an_expired_anchor_is_refused_unless_its_expiry_is_ignored() {
    let root = Ca::root_with("Root", |params| set_validity(params, -900, -1));
    let world = |more: &str| {
        let mut world = World::new();
        world.ca("root", &root, &format!("{PATTERN}\n{more}"), &[]);
        world.trusts(&["root"]);
        world
    };
    let leaf = root.leaf(CN);
    assert_refused(world("").verify(&[&leaf.der]), Reason::Expired, "the trust anchor CA root expired");
    assert!(world("anchor_expiry = \"ignore\"").verify(&[&leaf.der]).is_ok());
}

#[test]
fn a_revoked_leaf_is_refused_and_the_list_is_named() {
    let (world, _, issuing) = World::bank();
    let (good, revoked) = (issuing.leaf(CN), issuing.leaf(CN));
    world.publish("issuing", &issuing.list(7, &[&revoked.serial]));
    let refusal = assert_refused(world.verify(&[&revoked.der]), Reason::Revoked, "was revoked by CA issuing");
    assert_eq!(refusal.subject.unwrap().crl_number.as_deref(), Some("7"));
    assert!(world.verify(&[&good.der]).is_ok());
}

#[test]
fn a_revoked_issuing_ca_takes_its_clients_with_it() {
    let (world, root, issuing) = World::bank();
    world.publish("root", &root.list(2, &[issuing.serial()]));
    assert_refused(world.verify(&[&issuing.leaf(CN).der]), Reason::Revoked, "was revoked by CA root");
}

#[test]
fn a_serial_revoked_by_another_ca_is_not_revoked() {
    let (world, root, issuing) = World::bank();
    let leaf = issuing.leaf(CN);
    world.publish("root", &root.list(2, &[&leaf.serial]));
    assert!(world.verify(&[&leaf.der]).is_ok());
}

#[test]
fn a_revoked_certificate_that_has_expired_too_is_told_revoked() {
    let (world, _, issuing) = World::bank();
    let leaf = issuing.leaf_with(CN, |params| set_validity(params, -365, -1));
    world.publish("issuing", &issuing.list(2, &[&leaf.serial]));
    assert_refused(world.verify(&[&leaf.der]), Reason::Revoked, "");
}

#[test]
fn a_stale_list_closes_and_names_its_ca() {
    let (world, _, issuing) = World::bank();
    let leaf = issuing.leaf(CN);
    let later = NOW.plus_seconds(31 * DAY);
    assert_refused(world.verify_at(&[&leaf.der], later), Reason::RevocationUnavailable, "issuing");
}

#[test]
fn an_expired_certificate_with_a_stale_list_is_told_expired() {
    let (world, _, issuing) = World::bank();
    let leaf = issuing.leaf(CN);
    assert_refused(world.verify_at(&[&leaf.der], NOW.plus_seconds(400 * DAY)), Reason::Expired, "");
}

#[test]
fn a_list_of_the_issuing_ca_alone_is_not_enough_when_the_roots_is_stale() {
    // The root's list says the CA itself is good; nobody may skip it (requirement G4).
    let root = Ca::root("Root");
    let issuing = root.below("Issuing");
    let mut world = World::new();
    world.ca("root", &root, "", &[root.list(1, &[])]);
    world.ca("issuing", &issuing, &below("root"), &[]);
    world.trusts(&["root"]);
    let leaf = issuing.leaf(CN);
    assert!(world.verify(&[&leaf.der]).is_ok());
    let later = NOW.plus_seconds(31 * DAY);
    assert_refused(world.verify_at(&[&leaf.der], later), Reason::RevocationUnavailable, "CA root");
}

#[test]
fn a_ca_that_goes_on_with_a_stale_list_does_not_speak_for_the_root_nor_the_root_for_it() {
    let root = Ca::root("Root");
    let issuing = root.below("Issuing");
    let leaf = issuing.leaf(CN);
    let later = NOW.plus_seconds(31 * DAY);
    let world = |of_root: &str, of_issuing: &str| {
        let mut world = World::new();
        world.ca_when_stale("root", &root, "", &[root.list(1, &[])], of_root);
        world.ca_when_stale("issuing", &issuing, &below("root"), &[issuing.list(1, &[])], of_issuing);
        world.trusts(&["root"]);
        world
    };
    for lenient in ["\"open\"", "\"report-only\"", "{ grace = \"7d\" }"] {
        let strict = "\"closed\"";
        let verified = |of_root, of_issuing| world(of_root, of_issuing).verify_at(&[&leaf.der], later);
        assert_refused(verified(strict, lenient), Reason::RevocationUnavailable, "CA root");
        assert_refused(verified(lenient, strict), Reason::RevocationUnavailable, "CA issuing");
        let tolerated = verified(lenient, lenient).unwrap();
        assert!(tolerated.unenforced().is_some(), "it is told");
    }
}

#[test]
fn revocation_none_said_in_so_many_words_is_no_lookup() {
    let root = Ca::root("Root");
    let mut world = World::new();
    world.ca("root", &root, PATTERN, &[]);
    world.trusts(&["root"]);
    let client = world.verify(&[&root.leaf(CN).der]).unwrap();
    assert_eq!(client.crl_number(), None);
}

#[test]
fn a_clock_at_the_epoch_lets_nobody_in() {
    let (world, _, issuing) = World::bank();
    let refusal = world.verify_at(&[&issuing.leaf(CN).der], Timestamp::from_unix(0)).expect_err("it must be refused");
    assert_eq!(refusal.reason, Reason::NotYetValid, "{refusal}");
}
