//! A client chooses what it sends along with its leaf. It must not choose which CA is asked about the leaf.

use crate::pki::{CN, Ca, DAY, Leaf, NOW, PATTERN, World, assert_refused, below, ca_params, set_validity};
use crate::pki::{recheck_links, verify};
use rcgen::{Issuer, KeyPair};
use rustls::pki_types::CertificateDer;
use sekisho::gateway::verify::{ChainCache, Reason};

/// A CA certificate with the subject and issuer of one and the public key of another CA, signed by neither.
fn forged(subject: &str, issuer: &str, key: &KeyPair) -> CertificateDer<'static> {
    let (attacker, issuer) = (KeyPair::generate().unwrap(), ca_params(issuer));
    ca_params(subject).signed_by(key, &Issuer::from_params(&issuer, &attacker)).unwrap().der().clone()
}

/// A root with two issuing CAs of one name, re-keyed in place: the old one has revoked a leaf and is limited to contracts.
struct Rekeyed {
    world: World,
    old: Ca,
    new: Ca,
    revoked: Leaf,
}

impl Rekeyed {
    fn new() -> Self {
        let root = Ca::root("Bank Root");
        let (old, new) = (root.below("Bank Issuing CA"), root.below("Bank Issuing CA"));
        let revoked = old.leaf(CN);
        let mut world = World::new();
        world.ca("root", &root, "", &[root.list(1, &[])]);
        let limited = format!("{}\ncontracts = [\"00009876543\"]", below("root"));
        world.ca("old", &old, &limited, &[old.list(1, &[&revoked.serial])]);
        world.ca("new", &new, &below("root"), &[new.list(1, &[])]);
        world.trusts(&["root"]);
        Self { world, old, new, revoked }
    }

    fn links(&self) -> [CertificateDer<'static>; 2] {
        ["Bank Issuing CA", "Bank Root"].map(|issuer| forged("Bank Issuing CA", issuer, &self.new.key))
    }
}

#[test]
fn a_forged_link_does_not_take_a_leaf_to_another_cas_list() {
    let bank = Rekeyed::new();
    for link in bank.links() {
        let result = bank.world.verify(&[&bank.revoked.der, &link]);
        assert_refused(result, Reason::Revoked, "was revoked by CA old");
    }
    let good = bank.old.leaf(CN);
    for link in bank.links() {
        let client = bank.world.verify(&[&good.der, &link]).unwrap();
        assert_eq!(&**client.ca(), "old");
        assert_eq!(
            client.path_above(),
            std::slice::from_ref(&bank.old.der),
            "the CA that signed it, not what was sent"
        );
    }
}

#[test]
fn nor_to_another_cas_contracts() {
    let bank = Rekeyed::new();
    let outside = bank.old.leaf("00000000099 eve 1635");
    for link in bank.links() {
        assert_refused(bank.world.verify(&[&outside.der, &link]), Reason::NotPermitted, "00000000099");
    }
    assert!(bank.world.verify(&[&bank.new.leaf("00000000099 eve 1635").der]).is_ok());
}

#[test]
fn nor_to_a_site_that_accepts_the_other_ca_only() {
    let mut bank = Rekeyed::new();
    bank.world.trusts(&["new"]);
    let leaf = bank.old.leaf(CN);
    let plain = bank.world.verify(&[&leaf.der]);
    assert_refused(plain, Reason::UnknownCa, "another CA named CN=Bank Issuing CA");
    for link in bank.links() {
        let refusal = bank.world.verify(&[&leaf.der, &link]).expect_err("it must be refused");
        assert!(matches!(refusal.reason, Reason::UnknownCa | Reason::BadCertificate), "{refusal}");
    }
}

#[test]
fn the_links_of_a_ticket_are_those_of_the_verified_path() {
    let bank = Rekeyed::new();
    let trust = bank.world.load(None);
    let (policy, cache) = (bank.world.policy(&trust), ChainCache::default());
    let leaf = bank.old.leaf(CN);
    for link in bank.links() {
        let chain = [leaf.der.clone(), link];
        let client = verify(&chain, &policy, &trust, Some(&cache), NOW).unwrap();
        assert!(recheck_links(client.links(), &policy, &trust, NOW).is_ok());
        bank.world.publish("old", &bank.old.list(2, &[&bank.revoked.serial, &leaf.serial]));
        let later = bank.world.load(Some(&trust));
        assert_refused(recheck_links(client.links(), &policy, &later, NOW), Reason::Revoked, "CA old");
        assert_refused(verify(&chain, &policy, &later, Some(&cache), NOW), Reason::Revoked, "CA old");
        bank.world.publish("old", &bank.old.list(3, &[&bank.revoked.serial]));
    }
}

#[test]
fn a_root_that_was_re_keyed_is_asked_by_its_key_too() {
    let (old, new) = (Ca::root("Bank Root"), Ca::root("Bank Root"));
    let issuing = old.below("Bank Issuing CA");
    let mut world = World::new();
    world.ca("old", &old, PATTERN, &[old.list(1, &[issuing.serial()])]);
    world.ca("new", &new, PATTERN, &[new.list(1, &[])]);
    world.ca("issuing", &issuing, &below("old"), &[issuing.list(1, &[])]);
    world.trusts(&["old", "new"]);
    let leaf = issuing.leaf(CN);
    for link in [forged("Bank Issuing CA", "Bank Root", &issuing.key), forged("Bank Root", "Bank Root", &new.key)] {
        assert_refused(world.verify(&[&leaf.der, &link]), Reason::Revoked, "was revoked by CA old");
        assert_refused(world.verify(&[&leaf.der, &issuing.der, &link]), Reason::Revoked, "was revoked by CA old");
    }
}

/// Two roots certified one issuing CA. What the first says of it is not undone by sending along what the second says.
#[test]
fn a_ca_that_one_root_has_revoked_does_not_come_back_over_another() {
    let (first, second) = (Ca::root("First Root"), Ca::root("Second Root"));
    let issuing = first.below("Bank Issuing CA");
    let cross = ca_params("Bank Issuing CA").signed_by(&issuing.key, &second.issuer()).unwrap().der().clone();
    let world = |revoked: bool| {
        let serials = if revoked { vec![issuing.serial()] } else { vec![] };
        let mut world = World::new();
        world.ca("first", &first, PATTERN, &[first.list(1, &serials)]);
        world.ca("second", &second, PATTERN, &[second.list(1, &[])]);
        world.ca("issuing", &issuing, &below("first"), &[issuing.list(1, &[])]);
        world.trusts(&["first", "second"]);
        world
    };
    let leaf = issuing.leaf(CN);
    assert!(world(false).verify(&[&leaf.der, &cross]).is_ok());
    assert_refused(world(true).verify(&[&leaf.der, &cross]), Reason::Revoked, "was revoked by CA first");
    // Nor where its status is missing.
    let late = NOW.plus_seconds(31 * DAY);
    let mut stale = World::new();
    stale.ca("first", &first, PATTERN, &[first.list(1, &[])]);
    stale.ca("second", &second, PATTERN, &[]);
    stale.ca("issuing", &issuing, &below("first"), &[]);
    stale.trusts(&["first", "second"]);
    assert_refused(stale.verify_at(&[&leaf.der, &cross], late), Reason::RevocationUnavailable, "CA first");
}

/// The one thing that another certificate of a CA is for: the configured one has expired.
#[test]
fn a_path_over_another_root_has_that_roots_limits_and_site() {
    let (first, second) = (Ca::root("First Root"), Ca::root("Second Root"));
    let issuing = first.below_with("Bank Issuing CA", |params| set_validity(params, -1000, -1));
    let cross = ca_params("Bank Issuing CA").signed_by(&issuing.key, &second.issuer()).unwrap().der().clone();
    let world = |limit: &str, trusts: &[&str]| {
        let mut world = World::new();
        world.ca("first", &first, PATTERN, &[]);
        world.ca("second", &second, &format!("{PATTERN}\n{limit}"), &[]);
        world.ca("issuing", &issuing, &below("first"), &[]);
        world.trusts(trusts);
        world
    };
    let leaf = issuing.leaf(CN);
    let (both, limit) = (["first", "second"], "contracts = [\"00000000001\"]");
    assert!(world("", &both).verify(&[&leaf.der, &cross]).is_ok());
    assert_refused(world("", &both).verify(&[&leaf.der]), Reason::Expired, "");
    assert_refused(world(limit, &both).verify(&[&leaf.der, &cross]), Reason::NotPermitted, "00009876543");
    // The site names the first root only, and the path does not end there.
    let refusal = world("", &["first"]).verify(&[&leaf.der, &cross]).expect_err("it must be refused");
    assert!(matches!(refusal.reason, Reason::UnknownCa | Reason::Expired), "{refusal}");
}

#[test]
fn many_cas_of_one_name_at_other_sites_lock_nobody_out() {
    let root = Ca::root("Bank Root");
    let mut world = World::new();
    world.ca("root", &root, "", &[root.list(1, &[])]);
    for index in 0..17 {
        let other = root.below("Bank Issuing CA");
        world.ca(&format!("other-{index}"), &other, &below("root"), &[]);
    }
    // The last of them: nobody finds it first by the order of the configuration.
    let issuing = root.below("Bank Issuing CA");
    world.ca("issuing", &issuing, &below("root"), &[issuing.list(1, &[])]);
    world.trusts(&["issuing"]);
    assert!(world.verify(&[&issuing.leaf(CN).der]).is_ok());
    let mut params = crate::pki::leaf_params(CN);
    params.use_authority_key_identifier_extension = false;
    let unnamed = params.signed_by(&KeyPair::generate().unwrap(), &issuing.issuer()).unwrap().der().clone();
    assert!(world.verify(&[&unnamed]).is_ok());
}

#[test]
fn a_site_with_too_many_cas_of_one_name_is_an_error_of_the_configuration() {
    let (mut world, root, _) = World::bank();
    for index in 0..6 {
        let other = root.below("Bank Issuing CA");
        world.ca(&format!("other-{index}"), &other, &below("root"), &[]);
        let trust = world.load(None);
        let config = world.config("ib");
        let policy =
            sekisho::gateway::verify::SitePolicy::new(&config.sites[0], &config.cas, &trust, (&config.limits).into());
        match policy {
            Ok(_) => assert!(index < 5, "seven CAs of one name"),
            Err(errors) => {
                let message = errors[0].to_string();
                assert!(index == 5 && message.contains("accepts 7 CAs with the one subject"), "{index}: {message}");
                assert!(message.starts_with("test.toml:"), "{message}");
            }
        }
    }
}
