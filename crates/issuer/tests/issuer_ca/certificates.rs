use crate::support::{Hierarchy, fails, name, now, points, succeeds, wanted, write_pem};
use sekisho_ca::certificate::{PrepareError, Purpose, Template};
use sekisho_ca::hierarchy::{self, HierarchyError};
use sekisho_ca::p12::{DeliveredKey, UserKey};
use sekisho_ca::validity::{Rounding, Validity};
use sekisho_ca::{Authority, AuthorityError, FileKey, KeyKind, PublicationPoints, serial};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::signature::verify_certificate;

#[test]
fn a_users_certificate_says_what_the_profile_wants_and_openssl_verifies_it() {
    for kind in [KeyKind::EcdsaP256, KeyKind::EcdsaP384] {
        let hierarchy = Hierarchy::of(kind, points(1, true));
        let (certificate, _) = hierarchy.user("logid031 A001 20200304153656560435", DeliveredKey::EcdsaP256);
        let folder = tempfile::tempdir().unwrap();
        hierarchy.write(folder.path());
        write_pem(&folder.path().join("user.pem"), &certificate);
        succeeds(
            folder.path(),
            "openssl verify -x509_strict -purpose sslclient -CAfile root.pem -untrusted issuing.pem user.pem",
        );
        fails(
            folder.path(),
            "openssl verify -x509_strict -purpose sslserver -CAfile root.pem -untrusted issuing.pem user.pem",
        );
        let shown = succeeds(folder.path(), "openssl x509 -in user.pem -noout -text -nameopt RFC2253");
        for expected in [
            "Subject: CN=logid031 A001 20200304153656560435,OU=(9999)ANSER-WEB(BizSOL) CA - G4,O=(9999)NTT DATA CORPORATION",
            "X509v3 Key Usage: critical\n                Digital Signature\n",
            "X509v3 Extended Key Usage: \n                TLS Web Client Authentication\n",
            "X509v3 Basic Constraints: critical\n                CA:FALSE\n",
            "URI:http://pki.example.jp/issuing.crl",
            "OCSP - URI:http://ocsp.example.jp/",
            "CA Issuers - URI:http://pki.example.jp/issuing.cer",
            "X509v3 Subject Key Identifier",
            "X509v3 Authority Key Identifier",
        ] {
            assert!(shown.contains(expected), "{expected}\n{shown}");
        }
    }
}

#[test]
fn what_is_recorded_before_the_signature_is_what_is_signed() {
    let hierarchy = Hierarchy::new(points(1, false));
    let key = UserKey::generate(DeliveredKey::EcdsaP256).unwrap();
    let subject = name("a");
    let validity = Validity::one_year(now(), Rounding::EndOfDay).backdated(30);
    let template = Template { subject: &subject, validity, purpose: Purpose::Client };
    let serial = serial::random().unwrap();
    let prepared = hierarchy.issuing.prepare(serial, &template, key.public_key()).unwrap();
    assert_eq!(prepared.serial(), serial);
    let recorded = prepared.to_be_signed().to_vec();
    let certificate = hierarchy.issuing.sign(prepared).unwrap();
    assert!(certificate.der().windows(recorded.len()).any(|window| window == recorded));
    assert_eq!(certificate.serial(), serial);
    assert_eq!((certificate.not_before(), certificate.not_after()), (validity.not_before, validity.not_after));
    assert!(certificate.not_after().to_string().ends_with("T23:59:59Z"));
    verify_certificate(certificate.der(), hierarchy.issuing.certificate().subject_public_key_info()).unwrap();
}

#[test]
fn a_certificate_that_would_not_be_valid_below_its_issuer_is_not_prepared() {
    let hierarchy = Hierarchy::new(points(1, false));
    let key = UserKey::generate(DeliveredKey::EcdsaP256).unwrap();
    let subject = name("a");
    let year = Validity::one_year(now(), Rounding::ToTheSecond);
    let issuer = hierarchy.issuing.certificate().clone();
    let serial = serial::random().unwrap();
    let client = Template { subject: &subject, validity: year, purpose: Purpose::Client };
    let prepare =
        |serial, template: &Template<'_>| hierarchy.issuing.prepare(serial, template, key.public_key()).map(|_| ());
    assert_eq!(prepare(serial, &client), Ok(()));

    let longer = Validity { not_after: issuer.not_after().plus_seconds(1), ..year };
    let earlier = Validity { not_before: issuer.not_before().plus_seconds(-1), ..year };
    let never = Validity { not_before: year.not_after, not_after: year.not_before };
    let issuers = sekisho_ca::name::Name::new(vec![
        (sekisho_ca::name::AttributeType::Organization, "(9999)NTT DATA CORPORATION".to_owned()),
        (sekisho_ca::name::AttributeType::OrganizationalUnit, "(9999)ANSER-WEB(BizSOL) CA - G4".to_owned()),
        (sekisho_ca::name::AttributeType::CommonName, "Test Issuing".to_owned()),
    ])
    .unwrap();
    for (template, expected) in [
        (Template { validity: longer, ..client }, PrepareError::OutsideIssuer),
        (Template { validity: earlier, ..client }, PrepareError::OutsideIssuer),
        (Template { validity: never, ..client }, PrepareError::NeverValid),
        (Template { purpose: Purpose::Authority { path_len: 0 }, ..client }, PrepareError::PathLength),
        (Template { subject: &issuers, ..client }, PrepareError::IssuersName),
    ] {
        assert_eq!(prepare(serial, &template), Err(expected));
    }
    for content in [&[0_u8][..], &[0x80], &[0xff, 1], &[1; 21]] {
        let serial = SerialNumber::from_der_content(content).unwrap();
        assert_eq!(prepare(serial, &client), Err(PrepareError::Serial), "{content:x?}");
    }
}

#[test]
fn only_the_authority_that_prepared_a_certificate_signs_it() {
    let (one, other) = (Hierarchy::new(points(1, false)), Hierarchy::new(points(1, false)));
    let key = UserKey::generate(DeliveredKey::EcdsaP256).unwrap();
    let subject = name("a");
    let validity = Validity::one_year(now(), Rounding::ToTheSecond);
    let template = Template { subject: &subject, validity, purpose: Purpose::Client };
    let prepared = one.issuing.prepare(serial::random().unwrap(), &template, key.public_key()).unwrap();
    assert_eq!(other.issuing.sign(prepared).unwrap_err(), PrepareError::OtherAuthority);
}

#[test]
fn a_key_that_is_not_the_authoritys_makes_no_authority() {
    let hierarchy = Hierarchy::new(points(1, false));
    let issuing = hierarchy.issuing.certificate().clone();
    let key = FileKey::generate(KeyKind::EcdsaP256).unwrap();
    let none = PublicationPoints::default();
    assert_eq!(Authority::new(issuing, Box::new(key), none.clone()).unwrap_err(), AuthorityError::OtherKey);

    let validity = Validity::one_year(now(), Rounding::ToTheSecond);
    let responder = hierarchy::ocsp_responder(&name("OCSP"), KeyKind::EcdsaP256, validity, &hierarchy.issuing).unwrap();
    assert_eq!(responder.into_authority(none).unwrap_err(), AuthorityError::NotAuthority);
}

#[test]
fn no_authority_below_goes_deeper_or_lives_longer_than_the_one_above() {
    let hierarchy = Hierarchy::new(points(1, false));
    let below = |years, path_len| {
        let wanted = hierarchy::Wanted { years, ..wanted("Below", KeyKind::EcdsaP256, path_len) };
        hierarchy::intermediate(&wanted, &hierarchy.root, now()).map(|_| ())
    };
    assert_eq!(below(9, 0), Ok(()));
    assert_eq!(below(9, 1), Err(HierarchyError::Certificate(PrepareError::PathLength)));
    assert_eq!(below(11, 0), Err(HierarchyError::Certificate(PrepareError::OutsideIssuer)));
}
