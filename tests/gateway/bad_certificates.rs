//! Certificates that no honest CA would issue, through a real handshake: refused with the true reason, no panic.

use crate::common::{ClientRequest, KeyKind, Setup, Signer, TlsClient, Version};
use rcgen::{CertificateParams, CustomExtension, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};

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

#[test]
fn each_is_refused_for_what_is_wrong_with_it_and_nobody_else_is_disturbed() {
    let setup = Setup::new();
    let good = TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13);
    let (_, mut open) = good.get(&setup.gateway, "ib.localhost", "/echo").unwrap();
    for (name, spoil, reason) in WRONG {
        let request = ClientRequest::good(COMMON_NAME, sekisho::clock::now());
        let mut parameters = request.parameters().unwrap();
        spoil(&mut parameters);
        let key = KeyKind::EcdsaP256.generate().unwrap();
        setup.pki.issue(name, Signer::Issuing, &parameters, &key).unwrap();
        let serial = setup.pki.serial(name).unwrap().to_string();
        let client = TlsClient::new(&setup.pki, Some(name), Version::Tls13);
        assert!(client.get(&setup.gateway, "ib.localhost", "/echo").is_err(), "{name} was let in");
        let record = setup.gateway.record(name, |record| {
            record["kind"] == "authentication" && record["certificate"]["serial"] == serial.as_str()
        });
        assert_eq!((&record["outcome"], &record["reason"]), (&"refused".into(), &(*reason).into()), "{name}: {record}");
    }
    assert_eq!(open.get("ib.localhost", "/echo").unwrap().status, 200);
    assert!(!setup.gateway.output().contains("panicked"), "{}", setup.gateway.output());
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
        let request = ClientRequest { key, ..ClientRequest::good(COMMON_NAME, sekisho::clock::now()) };
        setup.pki.issue_client(name, &request).unwrap();
        for version in [Version::Tls12, Version::Tls13] {
            let client = TlsClient::new(&setup.pki, Some(name), version);
            let (response, _) = client.get(&setup.gateway, "ib.localhost", "/echo").unwrap();
            assert_eq!(response.status, 200, "{name} {version:?}: {}", response.text());
        }
    }
}
