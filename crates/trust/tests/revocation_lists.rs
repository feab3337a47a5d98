//! Revocation lists as octets: what is read, and every way in which one is refused (RFC 5280 section 5).

use sekisho_testkit::revocation;

use proptest::prelude::*;
use rcgen::KeyPair;
use revocation::*;
use sekisho_pki::crl::*;
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::signature::verify_message;
use sekisho_pki::time::Timestamp;
use sekisho_trust::RevokedIndex;
use std::collections::HashMap;
use std::process::Command;
use webpki::aws_lc_rs as algorithms;

fn serial(content: &[u8]) -> SerialNumber {
    SerialNumber::from_der_content(content).unwrap()
}

fn parse_error(der: &[u8]) -> CrlError {
    CertificateList::parse(der).unwrap_err()
}

fn build_error(der: &[u8]) -> CrlError {
    RevokedIndex::build(&CertificateList::parse(der).unwrap()).unwrap_err()
}

#[test]
fn a_list_says_what_its_issuer_wrote() {
    let ca = TestCa::root("A");
    let der = ca
        .list()
        .number(300)
        .extension(AUTHORITY_KEY_IDENTIFIER, false, &element(0x30, &element(0x80, &[7; 20])))
        .revoke(&[5])
        .revoke_at(&[0, 200], Timestamp::from_unix(1_000_000_020), None)
        .sign();
    let list = CertificateList::parse(&der).unwrap();
    let header = list.header();
    assert_eq!(list.issuer_der(), ca.certificate.subject().der());
    assert_eq!(header.this_update, NOW.plus_seconds(-DAY));
    assert_eq!(header.next_update, Some(NOW.plus_seconds(DAY)));
    assert_eq!(header.number.unwrap().to_string(), "300");
    assert_eq!(header.authority_key_identifier.as_deref(), Some(&[7; 20][..]));
    assert_eq!(header.scope, Scope::Complete);
    let entries: Result<Vec<_>, _> = list.entries().collect();
    assert_eq!(
        entries.unwrap(),
        [
            Entry {
                serial: serial(&[5]),
                revoked_at: NOW.plus_seconds(-2 * DAY),
                reason: RevocationReason::KeyCompromise
            },
            Entry {
                serial: serial(&[0, 200]),
                revoked_at: Timestamp::from_unix(1_000_000_020),
                reason: RevocationReason::Unspecified
            },
        ]
    );
    list.verify_signature(ca.certificate.subject_public_key_info()).unwrap();
}

#[test]
fn a_version_1_list_without_extensions_number_and_next_update_is_read() {
    let ca = TestCa::root("A");
    let der = ca.list().version(None).number(None).next_update(None).revoke_at(&[5], NOW, None).sign();
    let list = CertificateList::parse(&der).unwrap();
    assert_eq!((list.header().number, list.header().next_update), (None, None));
    assert_eq!(list.entries().count(), 1);
}

#[test]
fn extensions_in_a_version_1_list_are_refused() {
    let ca = TestCa::root("A");
    assert_eq!(parse_error(&ca.list().version(None).sign()), CrlError::ExtensionsInVersion1);
    let in_entry = ca.list().version(None).number(None).revoke(&[5]).sign();
    assert_eq!(build_error(&in_entry), CrlError::ExtensionsInVersion1);
}

#[test]
fn signatures_of_every_accepted_algorithm_verify_and_only_with_their_key() {
    let other = TestCa::root("B");
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_RSA_SHA256,
        &rcgen::PKCS_RSA_SHA512,
        &rcgen::PKCS_ED25519,
    ] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let ca =
            TestCa::with_key(key, "A", CA_USAGES, rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained), 1, None);
        let der = ca.list().sign();
        let list = CertificateList::parse(&der).unwrap();
        assert_eq!(list.verify_signature(ca.certificate.subject_public_key_info()), Ok(()));
        let wrong = list.verify_signature(other.certificate.subject_public_key_info());
        assert!(matches!(wrong, Err(SignatureError::Invalid | SignatureError::Algorithm(_))), "{wrong:?}");
    }
}

/// What is long is hashed in pieces, with an algorithm's digest and not with the algorithm itself.
#[test]
fn signatures_of_long_messages_verify_with_every_accepted_algorithm_and_no_changed_octet() {
    let folder = tempfile::tempdir().unwrap();
    let openssl = |arguments: &str| {
        let run = Command::new("openssl").args(arguments.split(' ')).current_dir(&folder).output().unwrap();
        assert!(run.status.success(), "{arguments}: {}", String::from_utf8_lossy(&run.stderr));
    };
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let message: Vec<u8> = (0..300_000_u32).flat_map(u32::to_be_bytes).collect();
    std::fs::write(folder.path().join("message"), &message).unwrap();
    let (p256, p384) = ("EC -pkeyopt ec_paramgen_curve:P-256", "EC -pkeyopt ec_paramgen_curve:P-384");
    let rsa = "RSA -pkeyopt rsa_keygen_bits:2048";
    let pss = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest";
    for (name, kind) in [("p256", p256), ("p384", p384), ("rsa", rsa), ("ed25519", "ED25519")] {
        openssl(&format!("genpkey -algorithm {kind} -out {name}"));
        openssl(&format!("pkey -in {name} -pubout -outform DER -out {name}.der"));
    }
    let digest = |digest: &str, key: &str| format!("dgst -{digest} -sign {key} -out signature message");
    let digest_pss = |digest: &str| format!("dgst -{digest} -sign rsa {pss} -out signature message");
    for (algorithm, key, sign) in [
        (algorithms::ECDSA_P256_SHA256, "p256", digest("sha256", "p256")),
        (algorithms::ECDSA_P256_SHA384, "p256", digest("sha384", "p256")),
        (algorithms::ECDSA_P256_SHA512, "p256", digest("sha512", "p256")),
        (algorithms::ECDSA_P384_SHA256, "p384", digest("sha256", "p384")),
        (algorithms::ECDSA_P384_SHA384, "p384", digest("sha384", "p384")),
        (algorithms::ECDSA_P384_SHA512, "p384", digest("sha512", "p384")),
        (algorithms::RSA_PKCS1_2048_8192_SHA256, "rsa", digest("sha256", "rsa")),
        (algorithms::RSA_PKCS1_2048_8192_SHA384, "rsa", digest("sha384", "rsa")),
        (algorithms::RSA_PKCS1_2048_8192_SHA512, "rsa", digest("sha512", "rsa")),
        (algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY, "rsa", digest_pss("sha256")),
        (algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY, "rsa", digest_pss("sha384")),
        (algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY, "rsa", digest_pss("sha512")),
        (algorithms::ED25519, "ed25519", "pkeyutl -sign -rawin -inkey ed25519 -in message -out signature".to_owned()),
    ] {
        openssl(&sign);
        let (key, mut signature, mut message) = (read(&format!("{key}.der")), read("signature"), message.clone());
        let verify = |message: &[u8], signature: &[u8]| {
            verify_message(&key, algorithm.signature_alg_id().as_ref(), message, signature)
        };
        assert_eq!(verify(&message, &signature), Ok(()), "{sign}");
        for place in [0, message.len() / 2, message.len() - 1] {
            message[place] ^= 1;
            assert_eq!(verify(&message, &signature), Err(SignatureError::Invalid), "{sign}, octet {place}");
            message[place] ^= 1;
        }
        assert_eq!(verify(&message[..message.len() - 1], &signature), Err(SignatureError::Invalid), "{sign}");
        *signature.last_mut().unwrap() ^= 1;
        assert_eq!(verify(&message, &signature), Err(SignatureError::Invalid), "{sign}");
    }
}

#[test]
fn a_long_list_is_hashed_in_pieces_between_which_others_have_their_turn() {
    let ca = TestCa::root("A");
    for (entries, expected) in [(1, 0..=0), (20_000, 10..=20)] {
        let der = ca.list().entries(many_entries(entries, random_serial)).sign();
        let turns = std::cell::Cell::new(0);
        let key = ca.certificate.subject_public_key_info();
        let list = CertificateList::parse(&der).unwrap();
        assert_eq!(list.verify_signature_in_pieces(key, &|| turns.set(turns.get() + 1)), Ok(()));
        assert!(expected.contains(&turns.get()), "{} of {entries}", turns.get());
    }
}

/// A key in another encoding than those of RFC 5480 is none, however long the message is that it is said to have signed.
#[test]
fn a_point_that_is_not_encoded_as_one_verifies_nothing() {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let right = rcgen::PublicKeyData::subject_public_key_info(&key);
    let algorithm = algorithms::ECDSA_P256_SHA256;
    let identifier = element(0x30, algorithm.public_key_alg_id().as_ref());
    let key_info = |point: &[u8]| element(0x30, &[identifier.clone(), element(0x03, &[&[0], point].concat())].concat());
    let point = &right[right.len() - 65..];
    assert_eq!(key_info(point), right);
    for octets in [100, 1_000_000] {
        let message = vec![7; octets];
        let signature = rcgen::SigningKey::sign(&key, &message).unwrap();
        let verify = |key: &[u8]| verify_message(key, algorithm.signature_alg_id().as_ref(), &message, &signature);
        assert_eq!(verify(&key_info(point)), Ok(()));
        let hybrid = [&[6 + (point[64] & 1)], &point[1..]].concat();
        for other in [&right[..], &hybrid, &point[1..], &[]] {
            assert_eq!(verify(&key_info(other)), Err(SignatureError::Invalid), "{octets} octets, key {other:02x?}");
        }
    }
}

#[test]
fn a_changed_octet_of_the_signed_part_breaks_the_signature() {
    let ca = TestCa::root("A");
    let mut der = ca.list().revoke(&[5]).sign();
    let place = der.windows(3).position(|window| window == [0x02, 1, 5]).unwrap();
    der[place + 2] = 6;
    let list = CertificateList::parse(&der).unwrap();
    assert_eq!(list.entries().next().unwrap().unwrap().serial, serial(&[6]));
    let verdict = list.verify_signature(ca.certificate.subject_public_key_info());
    assert_eq!(verdict, Err(SignatureError::Invalid));
}

#[test]
fn sha_1_is_refused_as_an_algorithm() {
    let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let ca = TestCa::with_key(key, "A", CA_USAGES, rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained), 1, None);
    let der = ca.list().algorithms(SHA1_WITH_RSA, SHA1_WITH_RSA).sign();
    let verdict = CertificateList::parse(&der).unwrap().verify_signature(ca.certificate.subject_public_key_info());
    assert_eq!(verdict, Err(SignatureError::Algorithm("1.2.840.113549.1.1.5".to_owned())));
}

#[test]
fn algorithms_that_differ_inside_and_outside_are_refused() {
    let ca = TestCa::root("A");
    let inner = &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    assert_eq!(parse_error(&ca.list().algorithms(inner, SHA1_WITH_RSA).sign()), CrlError::AlgorithmsDiffer);
}

#[test]
fn a_list_that_expires_before_it_begins_or_has_a_strange_version_is_refused() {
    let ca = TestCa::root("A");
    let backwards = ca.list().next_update(NOW.plus_seconds(-DAY)).sign();
    assert_eq!(parse_error(&backwards), CrlError::NextUpdateBeforeThisUpdate);
    assert_eq!(parse_error(&ca.list().version(Some(2)).sign()), CrlError::Version);
}

#[test]
fn what_a_list_cannot_be_read_for_is_named() {
    let ca = TestCa::root("A");
    let scope = |builder: ListBuilder<'_>| CertificateList::parse(&builder.sign()).unwrap().header().scope.clone();
    let not_understood = Scope::NotUnderstood;
    assert_eq!(
        scope(ca.list().extension(ISSUING_DISTRIBUTION_POINT, true, &[0x30, 3, 0x84, 1, 0xff])),
        not_understood(NotUnderstood::Indirect)
    );
    assert_eq!(
        scope(ca.list().extension(UNKNOWN, true, &[5, 0])),
        not_understood(NotUnderstood::CriticalExtension("2.5.29.99".to_owned()))
    );
    assert_eq!(scope(ca.list().extension(UNKNOWN, false, &[5, 0])), Scope::Complete, "not critical: ignored");
}

#[test]
fn a_list_says_which_part_of_the_certificates_it_is_of() {
    let ca = TestCa::root("A");
    let part = |value: &[u8]| {
        let der = ca.list().extension(ISSUING_DISTRIBUTION_POINT, true, value).sign();
        CertificateList::parse(&der).map(|list| match list.header().scope.clone() {
            Scope::Partial(part) => part,
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(part(&[0x30, 3, 0x81, 1, 0xff]).unwrap().holders, Holders::Users);
    assert_eq!(part(&[0x30, 3, 0x82, 1, 0xff]).unwrap().holders, Holders::Authorities);
    assert_eq!(part(&[0x30, 3, 0x85, 1, 0xff]).unwrap().holders, Holders::AttributeCertificates);
    let some = part(&[0x30, 4, 0x83, 2, 6, 0x40]).unwrap();
    assert!(!some.reasons.is_all() && !some.reasons.is_none() && some.points.is_empty());
    let there = part(&point("http://crl.example.jp/3.crl", &[0x81, 1, 0xff])).unwrap();
    assert_eq!(there.points.iter().map(|name| name.uri()).collect::<Vec<_>>(), [Some("http://crl.example.jp/3.crl")]);
    assert_eq!((there.holders, there.reasons.is_all()), (Holders::Users, true));
    let what = "issuingDistributionPoint";
    let both = part(&[0x30, 6, 0x81, 1, 0xff, 0x82, 1, 0xff]).unwrap_err();
    assert_eq!(both, CrlError::Der(DerError::Value(what)), "at most one of the three may be TRUE");
    let twice = part(&[0x30, 8, 0x83, 2, 6, 0x40, 0x83, 2, 0, 0xff]).unwrap_err();
    assert_eq!(twice, CrlError::Der(DerError::UnexpectedTag(what, 0x83)));
    let backwards = part(&[0x30, 7, 0x83, 2, 6, 0x40, 0x81, 1, 0xff]).unwrap_err();
    assert_eq!(backwards, CrlError::Der(DerError::UnexpectedTag(what, 0x81)));
    assert!(part(&[0x30, 4, 0xa0, 2, 0xa0, 0]).is_err(), "a point without a name is none");
}

#[test]
fn a_delta_list_names_its_base_and_may_release() {
    let ca = TestCa::root("A");
    let release = ca.list().revoke_at(&[5], NOW, Some(8));
    assert_eq!(build_error(&release.sign()), CrlError::RemoveFromCrl);
    let delta = release.extension(DELTA_CRL_INDICATOR, true, &[0x02, 1, 4]).number(7).sign();
    let list = CertificateList::parse(&delta).unwrap();
    let header = list.header();
    assert_eq!((header.base, header.number, header.kind()), (Some(4.into()), Some(7.into()), ListKind::Delta));
    let entry = RevokedIndex::build(&list).unwrap().get(&serial(&[5])).unwrap();
    assert_eq!(entry.reason, RevocationReason::RemoveFromCrl);
    let negative = ca.list().extension(DELTA_CRL_INDICATOR, true, &[0x02, 1, 0x80]).sign();
    assert_eq!(parse_error(&negative), CrlError::Der(DerError::Value("CRLNumber")));
}

#[test]
fn a_delta_list_that_both_releases_and_revokes_revokes() {
    let ca = TestCa::root("A");
    for (release_at, revoke_at) in [(-60, 0), (0, -60), (0, 0)] {
        let delta = ca
            .list()
            .revoke_at(&[5], NOW.plus_seconds(release_at), Some(8))
            .revoke_at(&[5], NOW.plus_seconds(revoke_at), Some(1))
            .extension(DELTA_CRL_INDICATOR, true, &[0x02, 1, 4])
            .sign();
        let index = RevokedIndex::build(&CertificateList::parse(&delta).unwrap()).unwrap();
        assert_eq!(index.get(&serial(&[5])).unwrap().reason, RevocationReason::KeyCompromise);
    }
}

#[test]
fn an_entry_that_is_not_understood_makes_the_list_not_understood() {
    let ca = TestCa::root("A");
    let unknown = ca.list().entry(&[5], &extension(UNKNOWN, true, &[5, 0])).sign();
    let what = NotUnderstood::CriticalEntryExtension("2.5.29.99".to_owned());
    assert_eq!(build_error(&unknown), CrlError::NotUnderstood(what));
    let indirect = ca.list().entry(&[5], &extension(CERTIFICATE_ISSUER, true, &[0x30, 0])).sign();
    assert_eq!(build_error(&indirect), CrlError::NotUnderstood(NotUnderstood::Indirect));
    let harmless = ca.list().entry(&[5], &extension(UNKNOWN, false, &[5, 0])).sign();
    assert_eq!(RevokedIndex::build(&CertificateList::parse(&harmless).unwrap()).unwrap().len(), 1);
}

/// A CA that forgets the sign octet lists the certificate 128 as -128, and OpenSSL prints the same digits for both. What it
/// means cannot be told (PKITS 4.4.14 wants the certificate accepted), so that somebody has to hear of it.
#[test]
fn odd_serials_do_not_silence_a_list_and_are_told() {
    let ca = TestCa::root("A");
    let list = ca.list().revoke(&[0x80]).revoke(&[1; 23]).revoke(&[0]).revoke(&[5]).revoke(&[0xff; 20]).sign();
    let parsed = CertificateList::parse(&list).unwrap();
    let index = RevokedIndex::build(&parsed).unwrap();
    assert_eq!((index.len(), parsed.entries().count()), (4, 4), "all but the one that is too long");
    assert!(index.get(&serial(&[5])).is_some());
    assert!(index.get(&serial(&[0, 0x80])).is_none() && index.get(&serial(&[6])).is_none());
    let message = index.odd().message().unwrap();
    assert!(message.starts_with("4 entries have a serial number that is zero, negative or longer"), "{message}");
    assert!(message.contains("the first of them 80:"), "{message}");
    let even = ca.list().revoke(&[0, 0x80]).revoke(&[0x7f; 20]).sign();
    assert_eq!(RevokedIndex::build(&CertificateList::parse(&even).unwrap()).unwrap().odd().message(), None);
}

#[test]
fn malformed_entries_and_extensions_are_refused() {
    let ca = TestCa::root("A");
    let doubled = ca.list().extension(CRL_NUMBER, false, &[0x02, 1, 7]).sign();
    assert_eq!(parse_error(&doubled), CrlError::DuplicateExtension("2.5.29.20".to_owned()));
    let negative = ca.list().number(None).extension(CRL_NUMBER, false, &[0x02, 1, 0x80]).sign();
    assert_eq!(parse_error(&negative), CrlError::Der(DerError::Value("CRLNumber")));
    assert_eq!(build_error(&ca.list().revoke(&[]).sign()), CrlError::Serial);
    assert_eq!(build_error(&ca.list().revoke_at(&[5], NOW, Some(8)).sign()), CrlError::RemoveFromCrl);
    let reason_of_two = extension(REASON_CODE, false, &[0x0a, 2, 0, 1]);
    assert_eq!(build_error(&ca.list().entry(&[5], &reason_of_two).sign()), CrlError::Der(DerError::Value("CRLReason")));
    assert_eq!(
        build_error(&ca.list().entries(vec![0x30, 3, 2, 1]).sign()),
        CrlError::Der(DerError::Truncated("an entry"))
    );
}

#[test]
fn octets_after_the_list_and_indefinite_lengths_are_refused() {
    let ca = TestCa::root("A");
    let mut der = ca.list().sign();
    der.push(0);
    assert_eq!(parse_error(&der), CrlError::Der(DerError::TrailingBytes("CertificateList")));
    assert_eq!(parse_error(&[0x30, 0x80, 0, 0]), CrlError::Der(DerError::Length("CertificateList")));
    assert_eq!(parse_error(b""), CrlError::Der(DerError::Truncated("CertificateList")));
}

#[test]
fn a_list_cut_anywhere_is_refused() {
    let ca = TestCa::root("A");
    let der = ca.list().entries(many_entries(100, random_serial)).sign();
    for length in 0..der.len() {
        assert!(CertificateList::parse(&der[..length]).is_err(), "{length} of {} octets", der.len());
    }
}

#[test]
fn of_a_serial_that_stands_there_twice_the_earliest_date_counts() {
    let ca = TestCa::root("A");
    let (early, late) = (Timestamp::from_unix(600), Timestamp::from_unix(1_200));
    for times in [[early, late], [late, early]] {
        let der = ca.list().revoke_at(&[9], times[0], Some(1)).revoke_at(&[9], times[1], Some(4)).sign();
        let index = RevokedIndex::build(&CertificateList::parse(&der).unwrap()).unwrap();
        assert_eq!(index.len(), 1);
        assert_eq!(index.get(&serial(&[9])).unwrap().at, early);
    }
}

#[test]
fn a_million_serials_take_at_most_25_megabytes_and_every_one_is_found() {
    let ca = TestCa::root("A");
    let cases: [(usize, MakeSerial); 2] = [(1_000_000, random_serial), (200_000, sequential_serial)];
    for (count, make) in cases {
        let der = ca.list().entries(many_entries(count, make)).sign();
        let index = RevokedIndex::build(&CertificateList::parse(&der).unwrap()).unwrap();
        assert_eq!(index.len(), count);
        assert!(index.allocated_octets() <= 25 * count, "{}", index.allocated_octets());
        for place in (0..count).step_by(7) {
            assert!(index.get(&serial(&make(place))).is_some(), "{place}");
            let mut near = make(place);
            near[3] ^= 0x80;
            assert_eq!(index.get(&serial(&near)), None, "{place}");
        }
    }
}

proptest! {
    #[test]
    fn the_index_answers_as_a_map_would(
        entries in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 1..=22), 0_i64..1 << 33, 0_u8..8), 0..300),
        others in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..=22), 50),
    ) {
        let key = KeyPair::generate().unwrap();
        let mut builder = ListBuilder::new(&key, &[0x30, 0]);
        let mut map: HashMap<SerialNumber, (i64, u8)> = HashMap::new();
        for (content, at, reason) in &entries {
            builder = builder.revoke_at(content, Timestamp::from_unix(*at), Some(*reason));
            let minute = at / 60;
            let value = (minute, RevocationReason::from_code(*reason).code());
            map.entry(serial(content)).and_modify(|kept| *kept = (*kept).min(value)).or_insert(value);
        }
        let der = builder.sign();
        let index = RevokedIndex::build(&CertificateList::parse(&der).unwrap()).unwrap();
        prop_assert_eq!(index.len(), map.len());
        for content in entries.iter().map(|entry| &entry.0).chain(&others) {
            let found = index.get(&serial(content)).map(|revoked| (revoked.at.unix() / 60, revoked.reason.code()));
            prop_assert_eq!(found, map.get(&serial(content)).copied());
        }
    }

    #[test]
    fn no_octets_make_the_reader_panic(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(list) = CertificateList::parse(&octets) {
            let _ = RevokedIndex::build(&list);
        }
    }

    #[test]
    fn no_change_of_a_list_makes_the_reader_panic(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let key = KeyPair::generate().unwrap();
        let mut der = ListBuilder::new(&key, &[0x30, 0])
            .extension(ISSUING_DISTRIBUTION_POINT, true, &[0x30, 3, 0x81, 1, 0xff])
            .entries(many_entries(5, random_serial))
            .sign();
        for (place, value) in changes {
            let place = place.index(der.len());
            der[place] = value;
        }
        if let Ok(list) = CertificateList::parse(&der) {
            let _ = list.verify_signature(&der);
            let _ = RevokedIndex::build(&list);
        }
    }
}
