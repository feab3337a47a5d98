//! The cache of verified chains changes how long a decision takes and never what it is.

use crate::pki::Ca;
use crate::pki::{CN, DAY, NOW, PATTERN, World, assert_refused, below, set_validity};
use crate::pki::{recheck, verify};
use rustls::pki_types::CertificateDer;
use sekisho::gateway::verify::{ChainCache, Reason};

#[test]
fn a_cached_chain_is_not_trusted_past_its_end() {
    let (world, _, issuing) = World::bank();
    let trust = world.load(None);
    let (policy, cache) = (world.policy(&trust), ChainCache::default());
    let chain = [issuing.leaf_with(CN, |params| set_validity(params, -1, 1)).der];
    let decide = |now| verify(&chain, &policy, &trust, Some(&cache), now);
    assert!(decide(NOW).is_ok());
    assert!(decide(NOW.plus_seconds(DAY)).is_ok());
    assert_refused(decide(NOW.plus_seconds(DAY + 1)), Reason::Expired, "expired at 2026-06-02");
    assert_refused(decide(NOW.plus_seconds(-DAY - 1)), Reason::NotYetValid, "not valid before 2026-05-31");
}

#[test]
fn a_cached_chain_does_not_hide_a_later_revocation() {
    let (world, root, issuing) = World::bank();
    let trust = world.load(None);
    let (policy, cache) = (world.policy(&trust), ChainCache::default());
    let leaf = issuing.leaf(CN);
    let (chain, other) = ([leaf.der.clone()], [issuing.leaf(CN).der]);
    for chain in [&chain, &other] {
        assert!(verify(chain, &policy, &trust, Some(&cache), NOW).is_ok());
    }

    world.publish("issuing", &issuing.list(2, &[&leaf.serial]));
    let revoked = world.load(Some(&trust));
    assert_eq!(revoked.authorities_generation(), trust.authorities_generation(), "the chain is still cached");
    assert_refused(verify(&chain, &policy, &revoked, Some(&cache), NOW), Reason::Revoked, "by CA issuing");

    world.publish("issuing", &issuing.list(3, &[]));
    world.publish("root", &root.list(2, &[issuing.serial()]));
    let ca_revoked = world.load(Some(&revoked));
    // The leaf of before stays revoked by itself, whatever a newer list lacks.
    assert_refused(verify(&other, &policy, &ca_revoked, Some(&cache), NOW), Reason::Revoked, "by CA root");
}

#[test]
fn a_cached_chain_does_not_outlive_its_ca() {
    let (world, _, issuing) = World::bank();
    let trust = world.load(None);
    let cache = ChainCache::default();
    let chain = [issuing.leaf(CN).der];
    assert!(verify(&chain, &world.policy(&trust), &trust, Some(&cache), NOW).is_ok());

    let (mut rotated, root) = (World::new(), Ca::root("Bank Root"));
    rotated.ca("root", &root, PATTERN, &[]);
    rotated.trusts(&["root"]);
    let rotated_trust = rotated.load(Some(&trust));
    assert!(rotated_trust.authorities_generation() > trust.authorities_generation());
    let decision = verify(&chain, &rotated.policy(&rotated_trust), &rotated_trust, Some(&cache), NOW);
    assert_refused(decision, Reason::UnknownCa, "no configured CA is named CN=Bank Issuing CA");
}

#[test]
fn a_chain_cached_for_one_site_is_decided_anew_for_another() {
    let (mut world, _, issuing) = World::bank();
    let other = Ca::root("Second Root");
    world.ca("second", &other, PATTERN, &[]);
    let trust = world.load(None);
    let cache = ChainCache::default();
    let chain = [issuing.leaf(CN).der];
    assert!(verify(&chain, &world.policy(&trust), &trust, Some(&cache), NOW).is_ok());
    world.trusts(&["second"]);
    let decision = verify(&chain, &world.policy(&trust), &trust, Some(&cache), NOW);
    assert_refused(decision, Reason::UnknownCa, "does not accept");
}

#[test]
fn a_chain_cached_under_one_pattern_is_decided_anew_under_another() {
    let (root, issuing) = {
        let root = Ca::root("Root");
        let issuing = root.below("Issuing");
        (root, issuing)
    };
    let world = |pattern: &str| {
        let mut world = World::new();
        world.ca("root", &root, "", &[]);
        world.ca("issuing", &issuing, &format!("issued_by = \"root\"\n{pattern}"), &[]);
        world.trusts(&["root"]);
        world
    };
    let wide = world(PATTERN);
    let trust = wide.load(None);
    let narrow = world("identity = '(?<contract_id>0001[0-9]{7}) 1635'");
    let cache = ChainCache::default();
    let chain = [issuing.leaf(CN).der];
    assert!(verify(&chain, &wide.policy(&trust), &trust, Some(&cache), NOW).is_ok());
    let decision = verify(&chain, &narrow.policy(&trust), &trust, Some(&cache), NOW);
    assert_refused(decision, Reason::MalformedIdentity, "does not match");
}

#[test]
fn a_chain_that_begins_like_a_cached_one_is_another_chain() {
    let (world, _, issuing) = World::bank();
    let trust = world.load(None);
    let (policy, cache) = (world.policy(&trust), ChainCache::default());
    let leaf = issuing.leaf(CN).der;
    assert!(verify(std::slice::from_ref(&leaf), &policy, &trust, Some(&cache), NOW).is_ok());
    let chain = [leaf, CertificateDer::from(vec![0xff])];
    assert_refused(verify(&chain, &policy, &trust, Some(&cache), NOW), Reason::BadCertificate, "certificate 1");
}

#[test]
fn a_returning_client_is_found_in_the_cache_and_a_refused_one_never_gets_in() {
    let (world, _, issuing) = World::bank();
    let trust = world.load(None);
    let (policy, cache) = (world.policy(&trust), ChainCache::default());
    let bad = [issuing.leaf("nobody").der];
    assert!(verify(&bad, &policy, &trust, Some(&cache), NOW).is_err());
    cache.settle();
    assert!(cache.is_empty());
    let chain = [issuing.leaf(CN).der];
    let first = verify(&chain, &policy, &trust, Some(&cache), NOW).unwrap();
    let again = verify(&chain, &policy, &trust, Some(&cache), NOW).unwrap();
    assert!(std::ptr::eq(first.identity(), again.identity()), "the second decision reused the first one's chain");
    cache.settle();
    assert_eq!(cache.len(), 1);
}

#[test]
fn a_renewed_ca_certificate_takes_over_from_a_cached_path_whose_ca_has_expired() {
    let root = Ca::root("Root");
    let old = root.below_with("Issuing", |params| set_validity(params, -1000, 1));
    let mut params = crate::pki::ca_params("Issuing");
    set_validity(&mut params, -1, 1000);
    let renewed = params.signed_by(&old.key, &root.issuer()).unwrap().der().clone();
    let mut world = World::new();
    world.ca("root", &root, "", &[]);
    world.ca("issuing", &old, &below("root"), &[]);
    world.trusts(&["root"]);
    let trust = world.load(None);
    let (policy, cache) = (world.policy(&trust), ChainCache::default());
    let chain = [old.leaf(CN).der, renewed];
    assert!(verify(&chain, &policy, &trust, Some(&cache), NOW).is_ok());
    assert!(verify(&chain, &policy, &trust, Some(&cache), NOW.plus_seconds(2 * DAY)).is_ok());
}

#[test]
fn a_ca_certificate_replaced_by_one_of_the_same_key_is_decided_by_anew() {
    let root = Ca::root("Root");
    let before = root.below("Issuing");
    let mut params = crate::pki::ca_params("Issuing");
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let der = params.signed_by(&before.key, &root.issuer()).unwrap().der().clone();
    let mut world = World::new();
    world.ca("root", &root, PATTERN, &[]);
    world.ca("issuing", &before, "issued_by = \"root\"", &[]);
    world.trusts(&["root"]);
    let trust = world.load(None);
    let (policy, cache) = (world.policy(&trust), ChainCache::default());
    let chain = [before.leaf(CN).der];
    let client = verify(&chain, &policy, &trust, Some(&cache), NOW).unwrap();
    world.file("issuing.pem", crate::pki::pem("CERTIFICATE", &der).as_bytes());
    let replaced = world.load(Some(&trust));
    let decision = verify(&chain, &policy, &replaced, Some(&cache), NOW);
    assert_refused(decision, Reason::WrongUsage, "a CA with an extKeyUsage without clientAuth");
    assert_refused(recheck(&client, &policy, &replaced, NOW), Reason::WrongUsage, "a CA with an extKeyUsage");
}
