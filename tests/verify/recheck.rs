//! Deciding again: on the next request, after a reload, before a session is resumed.

use crate::pki::{CN, Ca, DAY, NOW, PATTERN, World, assert_refused};
use crate::pki::{recheck, recheck_links, verify};
use sekisho::gateway::verify::Reason;
use sekisho_pki::time::Timestamp;

#[test]
fn a_client_is_rechecked_by_the_snapshot_of_now() {
    let (world, _, issuing) = World::bank();
    let trust = world.load(None);
    let policy = world.policy(&trust);
    let leaf = issuing.leaf(CN);
    let client = verify(&[leaf.der], &policy, &trust, None, NOW).unwrap();
    let again = recheck(&client, &policy, &trust, NOW.plus_seconds(5)).unwrap();
    assert_eq!(again.verified_at(), NOW.plus_seconds(5));
    assert!(std::ptr::eq(again.identity(), client.identity()), "nothing was verified twice");
    let expired = recheck(&client, &policy, &trust, NOW.plus_seconds(356 * DAY));
    let refusal = assert_refused(expired, Reason::Expired, "expired");
    assert_eq!(refusal.subject.unwrap().subject, format!("CN={CN}"));

    world.publish("issuing", &issuing.list(2, &[&leaf.serial]));
    let revoked = world.load(Some(&trust));
    let refusal = assert_refused(recheck(&client, &policy, &revoked, NOW), Reason::Revoked, "CA issuing");
    assert_eq!(refusal.subject.unwrap().crl_number.as_deref(), Some("2"));
}

#[test]
fn a_client_of_a_removed_ca_is_refused_on_its_next_request() {
    let (world, _, issuing) = World::bank();
    let trust = world.load(None);
    let policy = world.policy(&trust);
    let client = verify(&[issuing.leaf(CN).der, issuing.der.clone()], &policy, &trust, None, NOW).unwrap();
    let (mut rotated, root) = (World::new(), Ca::root("New Root"));
    rotated.ca("new", &root, PATTERN, &[]);
    rotated.trusts(&["new"]);
    let rotated_trust = rotated.load(Some(&trust));
    let rotated_policy = rotated.policy(&rotated_trust);
    assert_refused(recheck(&client, &rotated_policy, &rotated_trust, NOW), Reason::UnknownCa, "no configured CA");
    assert_refused(recheck_links(client.links(), &rotated_policy, &rotated_trust, NOW), Reason::UnknownCa, "");
}

#[test]
fn a_client_is_rechecked_under_a_changed_pattern() {
    let root = Ca::root("Root");
    let world = |pattern: &str| {
        let mut world = World::new();
        world.ca("root", &root, pattern, &[]);
        world.trusts(&["root"]);
        world
    };
    let before = world(PATTERN);
    let trust = before.load(None);
    let client = verify(&[root.leaf(CN).der], &before.policy(&trust), &trust, None, NOW).unwrap();
    let after = world("identity = '(?<contract_id>[0-9]{11}) 1635'").policy(&trust);
    assert_refused(recheck(&client, &after, &trust, NOW), Reason::MalformedIdentity, "does not match");
}

#[test]
fn the_links_of_a_ticket_are_rechecked_like_the_client() {
    let (mut world, root, issuing) = World::bank();
    let trust = world.load(None);
    let policy = world.policy(&trust);
    let leaf = issuing.leaf(CN);
    let client = verify(&[leaf.der], &policy, &trust, None, NOW).unwrap();
    let links = client.links().to_vec();
    assert!(recheck_links(&links, &policy, &trust, NOW).is_ok());
    let late = NOW.plus_seconds(356 * DAY);
    assert_refused(recheck_links(&links, &policy, &trust, late), Reason::Expired, "expired");
    let early = Timestamp::from_unix(0);
    assert_refused(recheck_links(&links, &policy, &trust, early), Reason::NotYetValid, "not valid before");
    assert_refused(recheck_links(&[], &policy, &trust, NOW), Reason::UnknownCa, "");
    assert_refused(recheck_links(&links[..1], &policy, &trust, NOW), Reason::UnknownCa, "this site");
    world.trusts(&["issuing"]);
    let of_issuing = world.policy(&trust);
    assert!(recheck_links(&links, &of_issuing, &trust, NOW).is_ok());
    assert_refused(recheck_links(&links[..1], &of_issuing, &trust, NOW), Reason::UnknownCa, "not a trust anchor");

    let other = Ca::root("Second Root");
    world.ca("second", &other, PATTERN, &[]);
    world.trusts(&["second"]);
    let both = world.load(Some(&trust));
    assert_refused(recheck_links(&links, &world.policy(&both), &both, NOW), Reason::UnknownCa, "this site");

    world.publish("root", &root.list(2, &[issuing.serial()]));
    let revoked = world.load(Some(&both));
    assert_refused(recheck_links(&links, &policy, &revoked, NOW), Reason::Revoked, "CA root");
}
