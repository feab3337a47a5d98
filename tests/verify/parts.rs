//! Lists in parts: the certificate's distribution points decide which of them speaks of it (RFC 5280 section 6.3.3).

use crate::pki::{CN, Ca, Leaf, NOW, World, assert_refused, below};
use crate::pki::{recheck, recheck_links, verify};
use rcgen::CrlDistributionPoint;
use sekisho::gateway::verify::{ChainCache, Link, Reason};

const ONE: &str = "http://crl.example.jp/1.crl";
const TWO: &str = "http://crl.example.jp/2.crl";

/// A bank whose issuing CA cuts its list in two; what is revoked stands on the first part.
fn bank(revoked: &[&rcgen::SerialNumber], issuing: &Ca, root: &Ca, two: bool) -> World {
    let mut world = World::new();
    world.ca("root", root, "", &[root.list(1, &[])]);
    let mut lists = vec![issuing.list_at(1, revoked, Some(ONE))];
    lists.extend(two.then(|| issuing.list_at(2, &[], Some(TWO))));
    world.ca("issuing", issuing, &below("root"), &lists);
    world.trusts(&["root"]);
    world
}

fn leaf(issuing: &Ca, points: &[&str]) -> Leaf {
    issuing.leaf_with(CN, |params| {
        let point = |uri: &&str| CrlDistributionPoint { uris: vec![(*uri).to_owned()] };
        params.crl_distribution_points = points.iter().map(point).collect();
    })
}

fn cas() -> (Ca, Ca) {
    let root = Ca::root("Root");
    let issuing = root.below("Issuing");
    (root, issuing)
}

#[test]
fn a_client_is_good_by_the_list_of_its_distribution_point_only() {
    let (root, issuing) = cas();
    let world = bank(&[], &issuing, &root, false);
    let client = world.verify(&[&leaf(&issuing, &[ONE]).der]).unwrap();
    assert_eq!(client.crl_number(), Some("1"));
    let refusal = world.verify(&[&leaf(&issuing, &[TWO]).der]);
    assert_refused(refusal, Reason::RevocationUnavailable, &format!("was accepted ({TWO})"));
    let nowhere = world.verify(&[&leaf(&issuing, &[]).der]);
    assert_refused(
        nowhere,
        Reason::RevocationUnavailable,
        "CA issuing is unavailable: only revocation lists of a part",
    );
    assert!(world.verify(&[&leaf(&issuing, &[TWO, ONE]).der]).is_ok(), "either of its points will do");
    let both = bank(&[], &issuing, &root, true);
    assert_eq!(both.verify(&[&leaf(&issuing, &[TWO]).der]).unwrap().crl_number(), Some("2"));
}

#[test]
fn a_client_on_the_list_of_its_part_is_revoked() {
    let (root, issuing) = cas();
    let leaf = leaf(&issuing, &[ONE]);
    let world = bank(&[&leaf.serial], &issuing, &root, true);
    assert_refused(world.verify(&[&leaf.der]), Reason::Revoked, "was revoked by CA issuing");
}

#[test]
fn a_cached_chain_and_a_live_connection_keep_their_distribution_points() {
    let (root, issuing) = cas();
    let (leaf, other) = (leaf(&issuing, &[ONE]), leaf(&issuing, &[TWO]));
    let world = bank(&[], &issuing, &root, false);
    let trust = world.load(None);
    let (policy, cache) = (world.policy(&trust), ChainCache::default());
    let chain = [leaf.der.clone()];
    let client = verify(&chain, &policy, &trust, Some(&cache), NOW).unwrap();
    assert_eq!(verify(&chain, &policy, &trust, Some(&cache), NOW).unwrap().crl_number(), Some("1"));
    let other = verify(&[other.der], &policy, &trust, Some(&cache), NOW);
    assert_refused(other, Reason::RevocationUnavailable, TWO);
    world.publish("issuing", &issuing.list_at(3, &[&leaf.serial], Some(ONE)));
    let newer = world.load(Some(&trust));
    assert_refused(recheck(&client, &policy, &newer, NOW), Reason::Revoked, "CA issuing");
}

#[test]
fn a_ticket_without_points_resumes_and_one_of_a_revoked_client_does_not() {
    let (root, issuing) = cas();
    let leaf = leaf(&issuing, &[TWO]);
    let world = bank(&[], &issuing, &root, true);
    let trust = world.load(None);
    let policy = world.policy(&trust);
    let client = verify(std::slice::from_ref(&leaf.der), &policy, &trust, None, NOW).unwrap();
    let kept: Vec<Link> = client.links().iter().map(|link| Link { points: None, ..link.clone() }).collect();
    assert!(recheck_links(&kept, &policy, &trust, NOW).is_ok());
    // Its part is gone: the ticket does not know, and `verify` refuses once the session is resumed.
    let without = bank(&[], &issuing, &root, false);
    let trust = without.load(None);
    let policy = without.policy(&trust);
    assert!(recheck_links(&kept, &policy, &trust, NOW).is_ok());
    let refusal = verify(std::slice::from_ref(&leaf.der), &policy, &trust, None, NOW);
    assert_refused(refusal, Reason::RevocationUnavailable, TWO);
    // On whatever part it stands.
    let revoked = bank(&[&leaf.serial], &issuing, &root, false);
    let trust = revoked.load(None);
    assert_refused(recheck_links(&kept, &revoked.policy(&trust), &trust, NOW), Reason::Revoked, "CA issuing");
}
