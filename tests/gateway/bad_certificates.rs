//! Certificates that no honest CA would issue, through a real handshake: refused with the true reason, no panic.

use crate::common::{ClientRequest, KeyKind, Setup, Signer, TlsClient, Version, alert, openssl_s_client};
use crate::records::{Bystander, assert_each_recorded_and_counted, assert_refused};
use rcgen::{CertificateParams, CustomExtension, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

const COMMON_NAME: &str = "00009876543 riyousya 1635";

type Spoil = fn(&mut CertificateParams);

/// Name, what is wrong with it, and the reason it is refused for.
const WRONG: &[(&str, Spoil, &str)] = &[
    (
        "two-cns",
        |it| it.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 3]), "00001111111 other 1635"),
        "malformed-identity",
    ),
    (
        "no-cn",
        |it| {
            it.distinguished_name.remove(DnType::CommonName);
        },
        "malformed-identity",
    ),
    ("nul", |it| common_name(it, DnValue::Utf8String("00009876543 riyousya 1635\0".into())), "malformed-identity"),
    (
        "line-break",
        |it| common_name(it, DnValue::Utf8String("00009876543 riyousya 1635\r\nX-A: b".into())),
        "malformed-identity",
    ),
    ("comma", |it| common_name(it, DnValue::Utf8String("00009876543,riyousya 1635".into())), "malformed-identity"),
    ("quotes", |it| common_name(it, DnValue::Utf8String("\"00009876543 riyousya 1635\"".into())), "malformed-identity"),
    (
        "full-width",
        |it| common_name(it, DnValue::Utf8String("０0009876543 riyousya 1635".into())),
        "malformed-identity",
    ),
    ("bmp-string", |it| common_name(it, DnValue::BmpString(COMMON_NAME.try_into().unwrap())), "malformed-identity"),
    (
        "teletex-string",
        |it| common_name(it, DnValue::TeletexString(COMMON_NAME.try_into().unwrap())),
        "malformed-identity",
    ),
    ("ten-kilobytes", |it| common_name(it, DnValue::Utf8String("0".repeat(10_240))), "malformed-identity"),
    ("server-only", |it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth], "wrong-usage"),
    ("no-digital-signature", |it| it.key_usages = vec![KeyUsagePurpose::KeyEncipherment], "wrong-usage"),
    ("a-ca", |it| it.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained), "wrong-usage"),
    (
        "critical-extension",
        |it| {
            let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
            extension.set_criticality(true);
            it.custom_extensions.push(extension);
        },
        "bad-certificate",
    ),
];

fn common_name(parameters: &mut CertificateParams, value: DnValue) {
    parameters.distinguished_name.remove(DnType::CommonName);
    parameters.distinguished_name.push(DnType::CommonName, value);
}

/// The sites of the two refusal styles.
const SITES: [&str; 2] = ["ib.localhost", "portal.localhost"];

/// For these rustls cannot check that the client has the key, so that there is an alert even where pages are told.
const WITHOUT_PAGE: [&str; 1] = ["critical-extension"];

#[test]
fn each_is_refused_for_what_is_wrong_with_it_and_nobody_else_is_disturbed() {
    let setup = Setup::new();
    let mut bystander = Bystander::new(&setup);
    for (index, (name, spoil, reason)) in WRONG.iter().enumerate() {
        let request = ClientRequest::good(COMMON_NAME, sekisho_runtime::clock::now());
        let mut parameters = request.parameters().unwrap();
        spoil(&mut parameters);
        let key = KeyKind::EcdsaP256.generate().unwrap();
        setup.pki.issue(name, Signer::Issuing, &parameters, &key).unwrap();
        let serial = setup.pki.serial(name).unwrap().to_string();
        for (style, site) in SITES.iter().enumerate() {
            let version = if (index + style) % 2 == 0 { Version::Tls13 } else { Version::Tls12 };
            let answer = TlsClient::new(&setup.pki, Some(name), version).get(&setup.gateway, site, "/echo");
            match answer {
                Err(error) => {
                    assert!(*site == "ib.localhost" || WITHOUT_PAGE.contains(name), "{name} got no page: {error}");
                    assert!(alert(&error).is_some(), "{name}: {error}");
                }
                Ok((page, _)) => {
                    assert!(*site == "portal.localhost" && !WITHOUT_PAGE.contains(name), "{name} was let in");
                    assert_eq!(page.status, 403, "{name}: {}", page.text());
                    assert!(page.text().contains(&format!("403 {reason}")), "{name}: {}", page.text());
                }
            }
            assert_refused(&setup, site, reason, version, |it| it["serial"] == serial.as_str());
            bystander.is_served();
        }
    }
    assert_each_recorded_and_counted(&setup, WRONG.len() * SITES.len() + Bystander::HANDSHAKES);
}

#[test]
fn octets_that_are_no_certificate_are_refused_as_a_bad_one() {
    let setup = Setup::new();
    let mut bystander = Bystander::new(&setup);
    let (chain, _) = chain_and_key(&setup, "client-good");
    let leaf = chain[0].to_vec();
    let with = |change: fn(&mut Vec<u8>)| {
        let mut changed = leaf.clone();
        change(&mut changed);
        changed
    };
    let garbage = [
        b"garbage".to_vec(),
        vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        vec![0x30; 4096],
        vec![0; 64],
        leaf[..leaf.len() / 2].to_vec(),
        with(|it| it.push(0)),
        // The version: 3 becomes 127.
        with(|it| it[12] = 0x7e),
        // The signature.
        with(|it| *it.last_mut().unwrap() ^= 1),
    ];
    for (index, der) in garbage.iter().enumerate() {
        for (style, site) in SITES.iter().enumerate() {
            let version = if (index + style) % 2 == 0 { Version::Tls13 } else { Version::Tls12 };
            let presented = vec![CertificateDer::from(der.clone()), chain[1].clone()];
            let client =
                TlsClient::with_chain(&setup.pki, Some((presented, chain_and_key(&setup, "client-good").1)), version);
            let answer = client.get(&setup.gateway, site, "/echo").map(|(response, _)| response.status);
            assert!(!matches!(answer, Ok(200)), "{index} was let in");
            let fingerprint = sekisho_pki::fingerprint::Fingerprint::of(der).to_string();
            assert_refused(&setup, site, "bad-certificate", version, |it| it["fingerprint"] == fingerprint.as_str());
            bystander.is_served();
        }
    }
    assert_each_recorded_and_counted(&setup, garbage.len() * SITES.len() + Bystander::HANDSHAKES);
}

#[test]
fn a_chain_of_a_hundred_certificates_or_of_too_many_octets_is_refused_without_being_read() {
    let setup = Setup::new();
    let mut bystander = Bystander::new(&setup);
    let (chain, _) = chain_and_key(&setup, "client-good");
    let serial = setup.pki.serial("client-good").unwrap().to_string();
    let padding = CertificateDer::from(vec![0x30; 33 << 10]);
    let chains = [
        std::iter::once(chain[0].clone()).chain(std::iter::repeat_n(chain[1].clone(), 99)).collect::<Vec<_>>(),
        vec![chain[0].clone(), chain[1].clone(), padding.clone()],
    ];
    for chain in &chains {
        for (site, version) in SITES.into_iter().zip([Version::Tls12, Version::Tls13]) {
            let key = chain_and_key(&setup, "client-good").1;
            let client = TlsClient::with_chain(&setup.pki, Some((chain.clone(), key)), version);
            let answer = client.get(&setup.gateway, site, "/echo").map(|(response, _)| response.status);
            assert!(matches!(answer, Err(_) | Ok(403)), "{answer:?}");
            assert_refused(&setup, site, "bad-certificate", version, |it| it["serial"] == serial.as_str());
            bystander.is_served();
        }
    }
    // More than rustls takes in at all: there is no leaf to tell of.
    let key = chain_and_key(&setup, "client-good").1;
    let huge = vec![chain[0].clone(), padding.clone(), padding];
    let client = TlsClient::with_chain(&setup.pki, Some((huge, key)), Version::Tls13);
    assert!(client.get(&setup.gateway, "portal.localhost", "/echo").is_err());
    let record =
        setup.gateway.record("the huge chain", |it| it["kind"] == "authentication" && it["certificate"].is_null());
    assert_eq!((&record["outcome"], &record["reason"]), (&"refused".into(), &"bad-certificate".into()), "{record}");
    bystander.is_served();
    assert_each_recorded_and_counted(&setup, 5 + Bystander::HANDSHAKES);
}

/// Made with OpenSSL: no library of ours makes such certificates.
#[test]
fn a_short_key_and_a_weak_signature_are_refused() {
    let setup = Setup::new();
    let mut bystander = Bystander::new(&setup);
    for (name, key, digest) in [("rsa-1024", "rsa:1024", "-sha256"), ("sha-1", "rsa:2048", "-sha1")] {
        issue_with_openssl(&setup, name, key, digest);
        let serial = setup.pki.serial(name).unwrap().to_string();
        for (site, version, flag) in
            [("ib.localhost", Version::Tls12, "-tls1_2"), ("portal.localhost", Version::Tls13, "-tls1_3")]
        {
            let arguments = ["-quiet", flag, "-servername", site, "-cipher", "ALL:@SECLEVEL=0"];
            let request = format!("GET /echo HTTP/1.1\r\nHost: {site}\r\nConnection: close\r\n\r\n");
            let answer = openssl_s_client(&setup.gateway, &setup.pki, Some(name), &arguments, &request);
            assert!(!answer.stdout.contains("HTTP/1.1 200"), "{name}: {answer:?}");
            assert!(answer.stdout.contains("bad-certificate") || answer.has_alert("bad certificate"), "{answer:?}");
            assert_refused(&setup, site, "bad-certificate", version, |it| it["serial"] == serial.as_str());
            bystander.is_served();
        }
    }
    assert_each_recorded_and_counted(&setup, 4 + Bystander::HANDSHAKES);
}

/// An RSA leaf of the issuing CA, with a good name and usage.
fn issue_with_openssl(setup: &Setup, name: &str, key: &str, digest: &str) {
    let file = |suffix: &str| setup.pki.path(&format!("{name}{suffix}"));
    let extensions = "keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n";
    std::fs::write(file(".cnf"), extensions).unwrap();
    let openssl = |arguments: &[&str], files: &[(&str, std::path::PathBuf)]| {
        let mut command = std::process::Command::new("openssl");
        command.args(arguments);
        files.iter().for_each(|(option, path)| {
            command.arg(option).arg(path);
        });
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let subject = format!("/CN={COMMON_NAME}");
    openssl(
        &["req", "-new", "-newkey", key, "-nodes", "-subj", &subject],
        &[("-keyout", file(".key")), ("-out", file(".csr"))],
    );
    openssl(
        &["x509", "-req", "-days", "30", digest],
        &[
            ("-in", file(".csr")),
            ("-CA", setup.pki.path("issuing-ca.pem")),
            ("-CAkey", setup.pki.path("issuing-ca.key")),
            ("-extfile", file(".cnf")),
            ("-out", file(".pem")),
        ],
    );
    let mut chain = std::fs::read(file(".pem")).unwrap();
    chain.extend(std::fs::read(setup.pki.path("issuing-ca.pem")).unwrap());
    std::fs::write(file(".pem"), chain).unwrap();
}

fn chain_and_key(setup: &Setup, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_file_iter(setup.pki.path(&format!("{name}.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(setup.pki.path(&format!("{name}.key"))).unwrap();
    (chain.map(Result::unwrap).collect(), key)
}

#[test]
fn a_good_certificate_of_every_kind_of_key_is_let_in() {
    let setup = Setup::new();
    for (name, key) in [
        ("p256", KeyKind::EcdsaP256),
        ("p384", KeyKind::EcdsaP384),
        ("ed25519", KeyKind::Ed25519),
        ("rsa", KeyKind::Rsa2048),
    ] {
        let request = ClientRequest { key, ..ClientRequest::good(COMMON_NAME, sekisho_runtime::clock::now()) };
        setup.pki.issue_client(name, &request).unwrap();
        for version in [Version::Tls12, Version::Tls13] {
            let client = TlsClient::new(&setup.pki, Some(name), version);
            let (response, _) = client.get(&setup.gateway, "ib.localhost", "/echo").unwrap();
            assert_eq!(response.status, 200, "{name} {version:?}: {}", response.text());
        }
    }
}

/// Left out, `Client-Cert` would say that there is no certificate.
#[test]
fn a_certificate_that_does_not_fit_in_its_header_is_refused_and_not_left_out() {
    let setup = Setup::new();
    let now = sekisho_runtime::clock::now();
    for (name, bytes, status) in [("client-fits", 8 * 1024, 200), ("client-too-large", 13 * 1024, 403)] {
        let mut parameters = ClientRequest::good("00009876543 large 1635", now).parameters().unwrap();
        let extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![7; bytes]);
        parameters.custom_extensions.push(extension);
        let key = KeyKind::EcdsaP256.generate().unwrap();
        setup.pki.issue(name, Signer::Issuing, &parameters, &key).unwrap();
        let client = TlsClient::new(&setup.pki, Some(name), Version::Tls13);
        let (answer, _) = client.get(&setup.gateway, "ib.localhost", "/echo").unwrap();
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
    }
    let record = setup.gateway.record("the refusal", |record| record["kind"] == "access" && record["status"] == 403);
    assert_eq!(record["refused"], "bad-certificate");
    assert!(record["evidence"].as_str().unwrap().contains("client-cert"), "{record}");
    assert_eq!(crate::support::reached(&setup.app, "/echo"), 1);
}

/// RFC 5280 section 4.2: certificate policies have to be recognised. rustls reads no certificate with a critical one, though
/// it wants no more of it than its key.
#[test]
fn a_client_with_critical_certificate_policies_is_accepted() {
    let setup = Setup::new();
    let mut parameters = ClientRequest::good(COMMON_NAME, sekisho_runtime::clock::now()).parameters().unwrap();
    // One policy, 1.2.3.
    let content = vec![0x30, 0x06, 0x30, 0x04, 0x06, 0x02, 0x2a, 0x03];
    let mut policies = CustomExtension::from_oid_content(&[2, 5, 29, 32], content);
    policies.set_criticality(true);
    parameters.custom_extensions.push(policies);
    for kind in [KeyKind::EcdsaP256, KeyKind::Rsa2048] {
        setup.pki.issue("client-policies", Signer::Issuing, &parameters, &kind.generate().unwrap()).unwrap();
        for version in [Version::Tls12, Version::Tls13] {
            let client = TlsClient::new(&setup.pki, Some("client-policies"), version);
            let (response, _) = client.get(&setup.gateway, SITES[0], "/echo").unwrap();
            assert_eq!(response.status, 200, "{version:?} {}", response.text());
        }
    }
    // Without the key it is worth nothing: this one is another certificate's.
    let chain = CertificateDer::pem_file_iter(setup.pki.path("client-policies.pem")).unwrap().map(Result::unwrap);
    let chain: Vec<_> = chain.collect();
    for version in [Version::Tls12, Version::Tls13] {
        let key = PrivateKeyDer::from_pem_file(setup.pki.path("client-good.key")).unwrap();
        let client = TlsClient::with_chain(&setup.pki, Some((chain.clone(), key)), version);
        assert!(client.get(&setup.gateway, SITES[0], "/echo").is_err(), "{version:?}");
    }
}

/// A client that is offered a kind of key shows a certificate of it, which is then refused.
#[test]
fn only_keys_that_are_accepted_are_asked_for() {
    let setup = Setup::new();
    for version in ["-tls1_2", "-tls1_3"] {
        let said = openssl_s_client(&setup.gateway, &setup.pki, None, &["-servername", SITES[1], version], "").stdout;
        let line = said.lines().find(|line| line.starts_with("Requested Signature Algorithms:"));
        let asked = line.unwrap_or_else(|| panic!("{said}"));
        assert!(asked.contains("ECDSA+SHA256") && asked.contains("RSA-PSS+SHA256"), "{asked}");
        // secp521r1 and ML-DSA; a number in hex is what this OpenSSL does not know.
        assert!(
            !asked.contains("ECDSA+SHA512") && !asked.contains("0x") && !asked.to_lowercase().contains("mldsa"),
            "{asked}"
        );
    }
}
