//! Weak keys and signatures, made with OpenSSL since the library that makes the other tests' certificates will not.

use crate::pki::{Ca, NOW, PATTERN, World, assert_refused, below, pem};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sekisho::gateway::verify::Reason;
use std::path::Path;
use std::process::Command;

/// A certificate for a key made with `key`, signed by `ca` with `digest`.
fn issued(ca: &Ca, key: &[&str], digest: &str) -> CertificateDer<'static> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("ca.pem"), pem("CERTIFICATE", &ca.der)).unwrap();
    std::fs::write(path.join("ca.key"), ca.key.serialize_pem()).unwrap();
    std::fs::write(path.join("x.cnf"), "keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n").unwrap();
    let mut request = vec!["req", "-new", "-nodes", "-keyout", "x.key", "-out", "x.csr", "-subj"];
    request.extend(["/CN=00009876543 riyousya 1635", "-newkey"]);
    request.extend(key);
    openssl(path, &request);
    let mut sign = vec!["x509", "-req", "-in", "x.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-out", "x.pem"];
    sign.extend(["-set_serial", "0x77", "-days", "1", "-extfile", "x.cnf", digest]);
    openssl(path, &sign);
    CertificateDer::from_pem_file(path.join("x.pem")).unwrap()
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().expect("openssl is installed");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// OpenSSL dates from its own clock, so the decision is made at that time.
fn decide(world: &World, leaf: &CertificateDer<'static>, reason: Reason, evidence: &str) {
    let now = sekisho_pki::certificate::Certificate::parse(leaf).unwrap().not_before();
    assert!(now >= NOW, "the machine's clock is right");
    assert_refused(world.verify_at(&[leaf], now), reason, evidence);
}

fn world() -> (World, Ca) {
    let root = Ca::root("Root");
    let issuing = root.below("Issuing");
    let mut world = World::new();
    world.ca("root", &root, PATTERN, &[]);
    world.ca("issuing", &issuing, &below("root"), &[]);
    world.trusts(&["root"]);
    (world, issuing)
}

#[test]
fn weak_and_oversized_rsa_keys_are_refused() {
    let (world, issuing) = world();
    decide(&world, &issued(&issuing, &["rsa:1024"], "-sha256"), Reason::BadCertificate, "has an RSA-1024 key");
    decide(&world, &issued(&issuing, &["rsa:2040"], "-sha256"), Reason::BadCertificate, "has an RSA-2040 key");
    decide(&world, &issued(&issuing, &["rsa:4104"], "-sha256"), Reason::BadCertificate, "has an RSA-4104 key");
}

#[test]
fn curves_that_are_not_asked_for_are_refused() {
    let (world, issuing) = world();
    for (curve, oid) in [("secp521r1", "1.3.132.0.35"), ("secp256k1", "1.3.132.0.10")] {
        let parameter = format!("ec_paramgen_curve:{curve}");
        let leaf = issued(&issuing, &["ec", "-pkeyopt", &parameter], "-sha256");
        decide(&world, &leaf, Reason::BadCertificate, oid);
    }
}

#[test]
fn a_sha_1_signature_is_refused() {
    let (world, issuing) = world();
    let leaf = issued(&issuing, &["rsa:2048"], "-sha1");
    decide(&world, &leaf, Reason::BadCertificate, "is signed with algorithm 1.2.840.10045.4.1, which is weak");
}

#[test]
fn strong_keys_of_every_kind_are_accepted() {
    let (world, issuing) = world();
    let kinds: [&[&str]; 5] = [
        &["rsa:2048"],
        &["rsa:4096"],
        &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
        &["ed25519"],
    ];
    for kind in kinds {
        let leaf = issued(&issuing, kind, "-sha256");
        let now = sekisho_pki::certificate::Certificate::parse(&leaf).unwrap().not_before();
        world.verify_at(&[&leaf], now).unwrap_or_else(|refusal| panic!("{kind:?}: {refusal}"));
    }
}
