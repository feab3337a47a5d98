//! Paths: who may have issued what.

use crate::pki::{CN, Ca, PATTERN, World, assert_refused, below, ca_params, set_validity};
use rcgen::{
    BasicConstraints, CustomExtension, DistinguishedName, DnType, DnValue, GeneralSubtree, IsCa, Issuer, KeyPair,
    NameConstraints, SanType,
};
use sekisho::gateway::verify::Reason;

#[test]
fn a_good_client_is_verified_and_its_facts_are_its_certificates() {
    let (world, _, issuing) = World::bank();
    let leaf = issuing.leaf(CN);
    let client = world.verify(&[&leaf.der, &issuing.der]).unwrap();
    assert_eq!(client.identity().common_name(), CN);
    assert_eq!(client.identity().contract_id(), Some("00009876543"));
    assert_eq!(client.identity().user_id(), Some("riyousya"));
    assert_eq!(&**client.ca(), "issuing");
    assert_eq!(client.subject(), format!("CN={CN}"));
    assert_eq!(client.issuer(), "CN=Bank Issuing CA");
    assert_eq!(client.crl_number(), Some("1"));
    assert_eq!(client.links().len(), 2);
    assert_eq!(client.presented(), [leaf.der, issuing.der]);
}

#[test]
fn a_client_that_sends_only_its_leaf_has_a_path_over_the_configured_issuing_ca() {
    let (world, _, issuing) = World::bank();
    assert!(world.verify(&[&issuing.leaf(CN).der]).is_ok());
}

#[test]
fn a_client_that_sends_the_root_too_or_a_wrong_order_is_verified() {
    let (world, root, issuing) = World::bank();
    assert!(world.verify(&[&issuing.leaf(CN).der, &root.der, &issuing.der]).is_ok());
}

#[test]
fn a_client_of_an_unknown_ca_is_refused() {
    let (world, ..) = World::bank();
    let other = Ca::root("Other Bank Root");
    let other_issuing = other.below("Other Bank Issuing CA");
    let leaf = other_issuing.leaf(CN);
    let evidence = "no configured CA is named CN=Other Bank Root";
    assert_refused(world.verify(&[&leaf.der, &other_issuing.der, &other.der]), Reason::UnknownCa, evidence);
    assert_refused(world.verify(&[&leaf.der]), Reason::UnknownCa, "CN=Other Bank Issuing CA");
}

#[test]
fn a_ca_of_the_same_name_with_another_key_is_unknown() {
    let (world, ..) = World::bank();
    let impostor = Ca::root("Bank Root").below("Bank Issuing CA");
    let leaf = impostor.leaf(CN);
    assert_refused(world.verify(&[&leaf.der]), Reason::UnknownCa, "issued by another CA named CN=Bank Issuing CA");
    let refusal = world.verify(&[&leaf.der, &impostor.der]).expect_err("it must be refused");
    assert!(matches!(refusal.reason, Reason::UnknownCa | Reason::BadCertificate), "{refusal}");
}

#[test]
fn a_damaged_signature_is_a_bad_certificate() {
    let (world, _, issuing) = World::bank();
    let mut der = issuing.leaf(CN).der.to_vec();
    *der.last_mut().unwrap() ^= 1;
    assert_refused(world.verify(&[&der.into()]), Reason::BadCertificate, "does not verify");
}

#[test]
fn a_ca_that_the_site_does_not_name_is_unknown_to_it() {
    let (mut world, ..) = World::bank();
    let other = Ca::root("Second Root");
    world.ca("second", &other, PATTERN, &[other.list(1, &[])]);
    assert_refused(world.verify(&[&other.leaf(CN).der]), Reason::UnknownCa, "this site does not accept CA second");
    world.trusts(&["second"]);
    assert!(world.verify(&[&other.leaf(CN).der]).is_ok(), "an anchor may issue clients itself");
}

#[test]
fn a_site_may_trust_one_issuing_ca_and_not_its_sister() {
    let (mut world, root, issuing) = World::bank();
    let sister = root.below("Sister CA");
    world.ca("sister", &sister, &below("root"), &[sister.list(1, &[])]);
    world.trusts(&["issuing"]);
    assert!(world.verify(&[&issuing.leaf(CN).der]).is_ok());
    assert_refused(world.verify(&[&sister.leaf(CN).der]), Reason::UnknownCa, "does not accept");
}

#[test]
fn an_issuing_ca_that_is_not_configured_has_no_revocation_status() {
    let (world, root, _) = World::bank();
    let new = root.below("New Issuing CA");
    let result = world.verify(&[&new.leaf(CN).der, &new.der]);
    assert_refused(result, Reason::RevocationUnavailable, "CN=New Issuing CA is not configured");
}

#[test]
fn a_leaf_cannot_issue() {
    let (world, _, issuing) = World::bank();
    let key = KeyPair::generate().unwrap();
    let params = crate::pki::leaf_params("00009876543 mallory 1635");
    let middle = issuing.certify(params, key);
    let leaf = middle.leaf(CN);
    assert_refused(world.verify(&[&leaf.der, &middle.der]), Reason::WrongUsage, "is no CA");
}

#[test]
fn a_path_longer_than_a_ca_allows_is_refused() {
    let root = Ca::root("Root");
    let short = root.below_with("Short", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let deeper = short.below("Deeper");
    let mut world = World::new();
    world.ca("root", &root, PATTERN, &[]);
    world.ca("short", &short, "issued_by = \"root\"", &[]);
    world.ca("deeper", &deeper, "issued_by = \"short\"", &[]);
    world.trusts(&["root"]);
    assert!(world.verify(&[&short.leaf(CN).der]).is_ok());
    assert_refused(world.verify(&[&deeper.leaf(CN).der]), Reason::WrongUsage, "allows 0 CAs below it; the path has 1");
}

#[test]
fn the_anchors_own_path_length_counts() {
    let root = Ca::root_with("Root", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let issuing = root.below("Issuing");
    let mut world = World::new();
    world.ca("root", &root, PATTERN, &[]);
    world.ca("issuing", &issuing, "issued_by = \"root\"", &[]);
    world.trusts(&["root"]);
    assert!(world.verify(&[&root.leaf(CN).der]).is_ok());
    assert_refused(world.verify(&[&issuing.leaf(CN).der]), Reason::WrongUsage, "allows 0 CAs below it");
}

#[test]
fn name_constraints_of_a_ca_bind_its_clients() {
    let root = Ca::root("Root");
    let issuing = root.below_with("Issuing", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("bank.example".into())],
            excluded_subtrees: vec![],
        });
    });
    let mut world = World::new();
    world.ca("root", &root, PATTERN, &[]);
    world.ca("issuing", &issuing, "issued_by = \"root\"", &[]);
    world.trusts(&["root"]);
    let leaf = |name: &str| {
        let name = SanType::DnsName(name.try_into().unwrap());
        issuing.leaf_with(CN, |params| params.subject_alt_names = vec![name])
    };
    assert!(world.verify(&[&leaf("pc.bank.example").der]).is_ok());
    assert_refused(world.verify(&[&leaf("pc.other.example").der]), Reason::WrongUsage, "is in no permitted subtree");
}

#[test]
fn a_renewed_ca_certificate_of_the_same_key_serves_when_the_old_one_has_expired() {
    let root = Ca::root("Root");
    let old = root.below_with("Issuing", |params| set_validity(params, -1000, -1));
    let leaf = old.leaf(CN);
    let renewed_der = ca_params("Issuing").signed_by(&old.key, &root.issuer()).unwrap().der().clone();
    let mut world = World::new();
    world.ca("root", &root, PATTERN, &[]);
    world.ca("issuing", &old, "issued_by = \"root\"", &[]);
    world.trusts(&["root"]);
    assert_refused(world.verify(&[&leaf.der, &old.der]), Reason::Expired, "expired at 2026-05-31");
    assert!(world.verify(&[&leaf.der, &renewed_der]).is_ok());
}

/// RFC 5280 section 7.1: one name, whatever string type, case and space its octets have.
#[test]
fn a_leafs_issuer_may_be_spelled_in_another_string_type_or_case() {
    let (world, _, issuing) = World::bank();
    let spelled = |value: DnValue| {
        let mut params = ca_params("x");
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, value);
        let issuer = Issuer::from_params(&params, &issuing.key);
        crate::pki::leaf_params(CN).signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().clone()
    };
    for name in [
        DnValue::PrintableString("Bank Issuing CA".try_into().unwrap()),
        DnValue::Utf8String("BANK issuing  CA".into()),
        DnValue::PrintableString(" bank issuing ca".try_into().unwrap()),
    ] {
        let client = world.verify(&[&spelled(name.clone())]).unwrap_or_else(|refusal| panic!("{name:?}: {refusal}"));
        assert_eq!(&**client.ca(), "issuing");
    }
    let other = spelled(DnValue::Utf8String("Bank Issuing CA 2".into()));
    assert_refused(world.verify(&[&other]), Reason::UnknownCa, "no configured CA is named CN=Bank Issuing CA 2");
}

/// A critical extension about policies (RFC 5280 section 4.2 wants each of them recognised).
fn policy_extension(arc: u64, content: &[u8]) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, arc], content.to_vec());
    extension.set_criticality(true);
    extension
}

#[test]
fn critical_policies_are_understood_and_decide_where_a_ca_asks_for_one() {
    // certificatePolicies with the policy 1.2.3 or 1.2.4; policyConstraints with requireExplicitPolicy 0.
    let policy = |last: u8| policy_extension(32, &[0x30, 0x06, 0x30, 0x04, 0x06, 0x02, 0x2a, last]);
    let explicit = || policy_extension(36, &[0x30, 0x03, 0x80, 0x01, 0x00]);
    let decide = |of_ca: Vec<CustomExtension>, of_leaf: Vec<CustomExtension>| {
        let root = Ca::root("Root");
        let issuing = root.below_with("Issuing", |params| params.custom_extensions = of_ca);
        let mut world = World::new();
        world.ca("root", &root, PATTERN, &[]);
        world.ca("issuing", &issuing, "issued_by = \"root\"", &[]);
        world.trusts(&["root"]);
        world.verify(&[&issuing.leaf_with(CN, |params| params.custom_extensions.extend(of_leaf)).der])
    };
    assert!(decide(vec![policy(3)], vec![policy(3)]).is_ok());
    assert!(decide(vec![policy(3)], vec![policy(4)]).is_ok(), "nobody asks for one");
    assert!(decide(vec![policy(3), explicit()], vec![policy(3)]).is_ok());
    let none = "asks for an explicit certificate policy";
    assert_refused(decide(vec![policy(3), explicit()], vec![policy(4)]), Reason::BadCertificate, none);
    assert_refused(decide(vec![policy(3), explicit()], vec![]), Reason::BadCertificate, none);
    assert_refused(decide(vec![explicit()], vec![policy(3)]), Reason::BadCertificate, none);
}

#[test]
fn a_configured_ca_that_would_refuse_all_its_clients_is_an_error_of_the_configuration() {
    let unknown = |params: &mut rcgen::CertificateParams| {
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 392, 9999, 1], vec![0x05, 0x00]);
        extension.set_criticality(true);
        params.custom_extensions.push(extension);
    };
    let server_only = |params: &mut rcgen::CertificateParams| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    };
    let errors = |root: &Ca, issuing: &Ca| {
        let mut world = World::new();
        world.ca("root", root, PATTERN, &[]);
        world.ca("issuing", issuing, "issued_by = \"root\"", &[]);
        world.trusts(&["root"]);
        let (config, trust) = (world.config("ib"), world.load(None));
        let policy =
            sekisho::gateway::verify::SitePolicy::new(&config.sites[0], &config.cas, &trust, (&config.limits).into());
        policy.err().unwrap_or_default().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let (root, odd_root) = (Ca::root("Root"), Ca::root_with("Root", unknown));
    assert_eq!(errors(&root, &root.below("Issuing")), "");
    let message = errors(&odd_root, &odd_root.below("Issuing"));
    assert!(message.contains("ca[0].certificate") && message.contains("unknown critical extension"), "{message}");
    let message = errors(&root, &root.below_with("Issuing", unknown));
    assert!(message.contains("ca[1].certificate") && message.contains("unknown critical extension"), "{message}");
    let message = errors(&root, &root.below_with("Issuing", server_only));
    assert!(message.contains("ca[1].certificate") && message.contains("extKeyUsage without clientAuth"), "{message}");
    let zero = root.below_with("Issuing", |params| params.serial_number = Some(0.into()));
    let message = errors(&root, &zero);
    assert!(message.contains("ca[1].certificate") && message.contains("serial number"), "{message}");
}
