//! What a peer can make the verifier work on.

use crate::pki::{CN, Ca, NOW, World, assert_refused};
use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;
use sekisho::gateway::verify::{Reason, Step, StepName, verify_traced};

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
fn a_chain_built_to_be_slow_is_refused_before_any_signature() {
    let (mut world, ..) = World::bank();
    world.limits = "chain_certificates = 16".to_owned();
    for count in [4, 5, 15] {
        let chain = slow_chain(count);
        let chain: Vec<_> = chain.iter().collect();
        assert_refused(world.verify(&chain), Reason::BadCertificate, "more than 16 possible issuers");
    }
}

/// A normal decision verifies two signatures; the first of a forged path that does not verify ends it.
/// `benches/verify.rs` has the ratio in time.
#[test]
fn refusing_the_worst_chain_takes_at_most_eight_signatures() {
    let (mut world, ..) = World::bank();
    world.limits = "chain_certificates = 16".to_owned();
    let trust = world.load(None);
    let policy = world.policy(&trust);
    // The most that passes the edge budget: every path ends at the anchor's name and costs a signature.
    let forged = |count: usize| {
        let forger = Ca::root("Bank Root");
        let cas: Vec<Ca> = (0..count).map(|_| forger.below("Bank Root")).collect();
        let leaf = cas[0].leaf(CN).der;
        std::iter::once(leaf).chain(cas.into_iter().map(|ca| ca.der)).collect::<Vec<_>>()
    };
    let signatures = |chain: &[CertificateDer<'static>]| {
        let mut paths = 0;
        let mut count = |step: Step| paths += usize::from(step.name == StepName::Signatures);
        verify_traced(chain, &policy, &trust, NOW, &mut count).unwrap_err();
        paths
    };
    let worst = (1..=6).map(forged).chain([4, 15].map(slow_chain)).map(|chain| signatures(&chain)).max().unwrap();
    assert!((2..=8).contains(&worst), "{worst}");
}
