//! What a peer can make the verifier work on.

use crate::pki::{CN, Ca, NOW, PATTERN, World, assert_refused};
use rcgen::{GeneralSubtree, KeyPair, NameConstraints, SanType};
use rustls::pki_types::CertificateDer;
use sekisho::gateway::verify::{Outcome, Reason, Step, StepName, verify_traced};

#[test]
fn no_certificate_is_a_reason_of_its_own() {
    assert_refused(World::bank().0.verify(&[]), Reason::NoCertificate, "no certificate");
}

#[test]
fn a_chain_of_a_hundred_certificates_is_refused_unparsed() {
    let (world, _, issuing) = World::bank();
    let leaf = issuing.leaf(CN);
    let garbage = CertificateDer::from(vec![0xff; 8]);
    let chain: Vec<_> = std::iter::once(&leaf.der).chain(std::iter::repeat_n(&garbage, 99)).collect();
    let refusal = assert_refused(world.verify(&chain), Reason::BadCertificate, "100 certificates; at most 6");
    assert_eq!(refusal.subject.unwrap().subject, format!("CN={CN}"), "the log still says who it was");
}

#[test]
fn an_oversized_chain_is_refused_unparsed() {
    let (world, _, issuing) = World::bank();
    let big = CertificateDer::from(vec![0xff; 40_000]);
    assert_refused(world.verify(&[&issuing.leaf(CN).der, &big]), Reason::BadCertificate, "octets; at most 32768");
}

#[test]
fn garbage_and_trailing_bytes_are_bad_certificates_wherever_they_stand() {
    let (world, _, issuing) = World::bank();
    let leaf = issuing.leaf(CN).der;
    let garbage = CertificateDer::from(vec![0x30, 0x03, 1, 2, 3]);
    let trailing = CertificateDer::from([leaf.as_ref(), &[0]].concat());
    let evidence = "certificate 0 of the chain: it is not a DER certificate";
    let refusal = assert_refused(world.verify(&[&garbage]), Reason::BadCertificate, evidence);
    assert!(!refusal.subject.unwrap().fingerprint.is_empty(), "the log has its fingerprint");
    assert_refused(world.verify(&[&CertificateDer::from(vec![])]), Reason::BadCertificate, "certificate 0");
    assert_refused(world.verify(&[&leaf, &garbage]), Reason::BadCertificate, "certificate 1 of the chain");
    assert_refused(world.verify(&[&trailing]), Reason::BadCertificate, "1 octets follow the certificate");
    assert_refused(world.verify(&[&leaf, &trailing]), Reason::BadCertificate, "certificate 1 of the chain: 1 octets");
}

/// A leaf and `count` CAs, all of the issuing CA's name, each of them a possible issuer of each.
fn slow_chain(count: usize) -> Vec<CertificateDer<'static>> {
    let forger = Ca::root("Bank Root");
    let mut cas: Vec<Ca> = (0..count).map(|_| forger.below("Bank Issuing CA")).collect();
    for ca in &mut cas {
        // Issuer and subject the same, so that every one leads to every other.
        let same = Ca::root("Bank Issuing CA");
        *ca = same.certify(crate::pki::ca_params("Bank Issuing CA"), KeyPair::generate().unwrap());
    }
    let leaf = cas[0].leaf(CN).der;
    std::iter::once(leaf).chain(cas.into_iter().map(|ca| ca.der)).collect()
}

#[test]
fn a_chain_built_to_be_slow_is_refused_within_the_budgets() {
    let (mut world, ..) = World::bank();
    world.limits = "chain_certificates = 16".to_owned();
    for count in [5, 15] {
        let chain = slow_chain(count);
        let chain: Vec<_> = chain.iter().collect();
        assert_refused(world.verify(&chain), Reason::BadCertificate, "more than ");
    }
}

/// A normal decision verifies one signature, that of the leaf. `benches/verify.rs` has the ratio in time.
#[test]
fn refusing_the_worst_chain_takes_at_most_eight_signatures() {
    let (mut world, ..) = World::bank();
    world.limits = "chain_certificates = 16".to_owned();
    // As many issuers of the leaf as pass the budget of edges: each costs a signature check.
    let forged = |count: usize| {
        let forger = Ca::root("Bank Root");
        let cas: Vec<Ca> = (0..count).map(|_| forger.below("Bank Issuing CA")).collect();
        let leaf = cas[count - 1].leaf_with(CN, |params| params.use_authority_key_identifier_extension = false).der;
        std::iter::once(leaf).chain(cas.into_iter().map(|ca| ca.der)).collect::<Vec<_>>()
    };
    let evidence = |chain: &[CertificateDer<'static>]| {
        let chain: Vec<_> = chain.iter().collect();
        assert_refused(world.verify(&chain), Reason::BadCertificate, "").evidence
    };
    // The configured CA, the forged ones, and the forger's own certificate under the configured root.
    assert!(evidence(&forged(6)).contains("does not verify"));
    assert!(evidence(&forged(8)).contains("takes more than 8 signature checks"), "{}", evidence(&forged(8)));
    assert!(evidence(&forged(12)).contains("takes more than 8 signature checks"));
}

/// What a signature of a configured CA costs was paid when it was loaded.
#[test]
fn a_normal_chain_costs_one_signature() {
    let (world, _, issuing) = World::bank();
    let trust = world.load(None);
    let policy = world.policy(&trust);
    for chain in [vec![issuing.leaf(CN).der], vec![issuing.leaf(CN).der, issuing.der.clone()]] {
        let mut said = String::new();
        let mut listen = |step: Step| {
            if let (StepName::Signatures, Outcome::Passed(what)) = (step.name, step.outcome) {
                said = what;
            }
        };
        verify_traced(&chain, &policy, &trust, NOW, &mut listen).into_result().unwrap();
        assert_eq!(said, "every signature verifies (1 checked)");
    }
}

/// Names of a leaf times constraints of its CA: thousands of each would be a million comparisons.
#[test]
fn names_times_constraints_are_bounded() {
    let root = Ca::root("Root");
    let subtree = |index: usize| GeneralSubtree::DnsName(format!("{index}.example"));
    let issuing = root.below_with("Issuing", |params| {
        params.name_constraints =
            Some(NameConstraints { permitted_subtrees: vec![], excluded_subtrees: (0..100).map(subtree).collect() });
    });
    let mut world = World::new();
    world.limits = "chain_bytes = 65536".to_owned();
    world.ca("root", &root, PATTERN, &[]);
    world.ca("issuing", &issuing, "issued_by = \"root\"", &[]);
    world.trusts(&["root"]);
    let leaf = |count: usize| {
        let name = |index: usize| SanType::DnsName(format!("pc{index}.bank").try_into().unwrap());
        issuing.leaf_with(CN, |params| params.subject_alt_names = (0..count).map(name).collect()).der
    };
    assert!(world.verify(&[&leaf(30)]).is_ok());
    assert_refused(world.verify(&[&leaf(50)]), Reason::WrongUsage, "names times constraints are more than 4096");
}
