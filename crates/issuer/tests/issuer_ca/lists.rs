use crate::support::{Hierarchy, now, points, succeeds};
use sekisho_ca::crl::{
    CrlNumber, Due, ListError, ListKind, PartCount, PartIndex, Published, Reason, RevocationRegister, RevokeError,
    Revoked,
};
use sekisho_ca::serial;
use sekisho_pki::crl::{CertificateList, RevocationReason, Scope, SignatureError};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::collections::BTreeSet;

const HOUR: i64 = 3_600;

fn due(at: Timestamp) -> Due {
    Due { this_update: at, next_update: at.plus_seconds(HOUR) }
}

fn revoked(reason: Reason) -> Revoked {
    let at = now();
    Revoked { serial: serial::random().unwrap(), at, reason, not_after: at.plus_seconds(365 * 24 * HOUR) }
}

fn only() -> PartIndex {
    PartIndex::all(PartCount::MIN).next().unwrap()
}

fn serials(der: &[u8]) -> BTreeSet<SerialNumber> {
    CertificateList::parse(der).unwrap().entries().map(|entry| entry.unwrap().serial).collect()
}

#[test]
fn a_full_list_is_read_by_the_gateways_parser_and_by_openssl() {
    let hierarchy = Hierarchy::new(points(1, false));
    let mut register = RevocationRegister::new(PartCount::MIN);
    let at = now();
    let reasons = [
        (Reason::Unspecified, RevocationReason::Unspecified),
        (Reason::KeyCompromise, RevocationReason::KeyCompromise),
        (Reason::AffiliationChanged, RevocationReason::AffiliationChanged),
        (Reason::Superseded, RevocationReason::Superseded),
        (Reason::CessationOfOperation, RevocationReason::CessationOfOperation),
        (Reason::PrivilegeWithdrawn, RevocationReason::PrivilegeWithdrawn),
    ];
    let mut expected = Vec::new();
    for (reason, read) in reasons {
        let entry = revoked(reason);
        register.revoke(&entry).unwrap();
        expected.push((entry.serial, entry.at, read));
    }
    let list = register.sign_full(&hierarchy.issuing, only(), due(at)).unwrap();
    let parsed = CertificateList::parse(&list.der).unwrap();
    let key = hierarchy.issuing.certificate().subject_public_key_info();
    parsed.verify_signature(key).unwrap();
    let other = hierarchy.root.certificate().subject_public_key_info();
    assert!(matches!(parsed.verify_signature(other), Err(SignatureError::Invalid | SignatureError::Algorithm(_))));
    let found: Vec<_> = parsed
        .entries()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.serial, entry.revoked_at, entry.reason))
        .collect();
    assert_eq!(found, expected);
    let header = parsed.header();
    assert_eq!((header.this_update, header.next_update), (at, Some(at.plus_seconds(HOUR))));
    assert_eq!((header.number, &header.scope), (Some(CrlNumber::FIRST.into()), &Scope::Complete));
    assert_eq!(header.authority_key_identifier.as_deref(), hierarchy.issuing.certificate().subject_key_identifier());

    let folder = tempfile::tempdir().unwrap();
    hierarchy.write(folder.path());
    std::fs::write(folder.path().join("list.crl"), &list.der).unwrap();
    let shown =
        succeeds(folder.path(), "openssl crl -inform DER -in list.crl -CAfile issuing.pem -verify -noout -text");
    assert!(shown.contains("verify OK"), "{shown}");
    assert_eq!(shown.matches("Serial Number:").count(), 6);
}

#[test]
fn an_empty_list_has_no_entries_element_and_is_valid() {
    let hierarchy = Hierarchy::new(points(1, false));
    let mut register = RevocationRegister::new(PartCount::MIN);
    let list = register.sign_full(&hierarchy.issuing, only(), due(now())).unwrap();
    assert_eq!(CertificateList::parse(&list.der).unwrap().revoked_octets(), 0);
    let folder = tempfile::tempdir().unwrap();
    hierarchy.write(folder.path());
    std::fs::write(folder.path().join("list.crl"), &list.der).unwrap();
    let shown =
        succeeds(folder.path(), "openssl crl -inform DER -in list.crl -CAfile issuing.pem -verify -noout -text");
    assert!(shown.contains("verify OK") && shown.contains("No Revoked Certificates"), "{shown}");
}

#[test]
fn a_delta_has_what_came_since_its_base_and_the_gateway_takes_it_for_no_full_list() {
    let hierarchy = Hierarchy::new(points(1, true));
    let mut register = RevocationRegister::new(PartCount::MIN);
    let at = now();
    assert_eq!(register.delta(&hierarchy.issuing, only(), CrlNumber::FIRST, due(at)).unwrap_err(), ListError::NoBase);
    let before = revoked(Reason::Superseded);
    register.revoke(&before).unwrap();
    let base = register.sign_full(&hierarchy.issuing, only(), due(at)).unwrap();
    let since = revoked(Reason::KeyCompromise);
    register.revoke(&since).unwrap();
    let number = register.next_number(only()).unwrap();
    let delta = register.delta(&hierarchy.issuing, only(), number, due(at)).unwrap().sign(&hierarchy.issuing).unwrap();
    assert_eq!(delta.facts.kind, ListKind::Delta { base: base.facts.number });
    assert_eq!(serials(&delta.der), [since.serial].into());
    let parsed = CertificateList::parse(&delta.der).unwrap();
    assert_eq!(parsed.header().scope, Scope::Complete);
    assert_eq!(parsed.header().base, Some(base.facts.number.into()));
    parsed.verify_signature(hierarchy.issuing.certificate().subject_public_key_info()).unwrap();

    // A second delta has both since the base; a full list everything.
    let later = revoked(Reason::Unspecified);
    register.revoke(&later).unwrap();
    let number = register.next_number(only()).unwrap();
    let second = register.delta(&hierarchy.issuing, only(), number, due(at)).unwrap().sign(&hierarchy.issuing).unwrap();
    assert_eq!(serials(&second.der), [since.serial, later.serial].into());
    let full = register.sign_full(&hierarchy.issuing, only(), due(at)).unwrap();
    assert_eq!(serials(&full.der), [before.serial, since.serial, later.serial].into());
    assert_eq!(full.facts.number, CrlNumber::from_stored(4));

    let folder = tempfile::tempdir().unwrap();
    hierarchy.write(folder.path());
    for (name, list, expected) in [
        ("delta.crl", &delta, "X509v3 Delta CRL Indicator: critical"),
        ("full.crl", &full, "URI:http://pki.example.jp/delta.crl"),
    ] {
        std::fs::write(folder.path().join(name), &list.der).unwrap();
        let line = format!("openssl crl -inform DER -in {name} -CAfile issuing.pem -verify -noout -text");
        let shown = succeeds(folder.path(), &line);
        assert!(shown.contains("verify OK") && shown.contains(expected), "{shown}");
    }
}

#[test]
fn each_certificate_stands_on_the_list_that_its_distribution_point_names_and_on_no_other() {
    let hierarchy = Hierarchy::new(points(8, true));
    let mut register = RevocationRegister::new(PartCount::new(8).unwrap());
    let (certificate, _) = hierarchy.user("a", sekisho_ca::p12::DeliveredKey::EcdsaP256);
    let mut entry = revoked(Reason::KeyCompromise);
    entry.serial = certificate.serial();
    let part = register.revoke(&entry).unwrap();
    assert_eq!(register.out_of_date().collect::<Vec<_>>(), [part]);
    for _ in 0..200 {
        register.revoke(&revoked(Reason::Superseded)).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    hierarchy.write(folder.path());
    crate::support::write_pem(&folder.path().join("user.pem"), &certificate);
    let shown = succeeds(folder.path(), "openssl x509 -in user.pem -noout -ext crlDistributionPoints");
    let url = format!("http://pki.example.jp/issuing-{}.crl", part.value());
    assert!(shown.contains(&url), "{shown}");

    let mut all = BTreeSet::new();
    for index in PartIndex::all(PartCount::new(8).unwrap()) {
        let list = register.sign_full(&hierarchy.issuing, index, due(now())).unwrap();
        let parsed = CertificateList::parse(&list.der).unwrap();
        assert!(matches!(parsed.header().scope, Scope::Partial(_)), "{:?}", parsed.header().scope);
        let found = serials(&list.der);
        assert_eq!(found.contains(&certificate.serial()), index == part);
        all.extend(found);
        std::fs::write(folder.path().join(format!("{}.crl", index.value())), &list.der).unwrap();
        let line =
            format!("openssl crl -inform DER -in {}.crl -out {0}.pem -CAfile issuing.pem -verify", index.value());
        assert!(succeeds(folder.path(), &line).contains("verify OK"));
    }
    assert_eq!((all.len(), register.out_of_date().count()), (201, 0));
    // OpenSSL finds it revoked by the list of its part, and takes no other part's for it.
    let verify = |part: u16| {
        let line = format!(
            "openssl verify -crl_check -extended_crl -CAfile root.pem -untrusted issuing.pem -CRLfile {part}.pem user.pem"
        );
        crate::support::fails(folder.path(), &line)
    };
    assert!(verify(part.value()).contains("certificate revoked"));
    let of_another_part = verify((part.value() + 1) % 8);
    assert!(!of_another_part.contains("certificate revoked"), "{of_another_part}");
    assert!(of_another_part.contains("CRL scope"), "{of_another_part}");
}

#[test]
fn numbers_and_times_never_go_back() {
    let hierarchy = Hierarchy::new(points(1, false));
    let mut register = RevocationRegister::new(PartCount::MIN);
    let at = now();
    register.resume(only(), Published { number: CrlNumber::from_stored(41), this_update: at }).unwrap();
    for number in [0, 1, 40, 41] {
        let refused = register.full(&hierarchy.issuing, only(), CrlNumber::from_stored(number), due(at));
        assert_eq!(refused.unwrap_err(), ListError::NumberWentBack, "{number}");
    }
    let next = register.next_number(only()).unwrap();
    assert_eq!(next, CrlNumber::from_stored(42));
    let earlier = register.full(&hierarchy.issuing, only(), next, due(at.plus_seconds(-1)));
    assert_eq!(earlier.unwrap_err(), ListError::TimeWentBack);
    let over = Due { this_update: at, next_update: at };
    assert_eq!(register.full(&hierarchy.issuing, only(), next, over).unwrap_err(), ListError::NextUpdate);
    let list = register.full(&hierarchy.issuing, only(), next, due(at)).unwrap();
    // A number is used up when a list is prepared with it, signed or not.
    drop(list);
    assert_eq!(register.full(&hierarchy.issuing, only(), next, due(at)).unwrap_err(), ListError::NumberWentBack);
    let back = Published { number: CrlNumber::FIRST, this_update: at };
    assert_eq!(register.resume(only(), back), Err(ListError::NumberWentBack));
    register.resume(only(), Published { number: CrlNumber::from_stored(u64::MAX), this_update: at }).unwrap();
    assert_eq!(register.next_number(only()), Err(ListError::NumberWentBack));
}

#[test]
fn a_revocation_is_for_ever_and_counts_once() {
    let hierarchy = Hierarchy::new(points(1, false));
    let mut register = RevocationRegister::new(PartCount::MIN);
    let entry = revoked(Reason::KeyCompromise);
    register.revoke(&entry).unwrap();
    let again = Revoked { reason: Reason::Unspecified, at: entry.at.plus_seconds(9), ..entry };
    assert_eq!(register.revoke(&again), Err(RevokeError::AlreadyRevoked));
    let list = register.sign_full(&hierarchy.issuing, only(), due(now())).unwrap();
    let entries: Vec<_> = CertificateList::parse(&list.der).unwrap().entries().map(Result::unwrap).collect();
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].revoked_at, entries[0].reason), (entry.at, RevocationReason::KeyCompromise));
}

#[test]
fn an_entry_leaves_only_after_a_list_beyond_its_certificates_end_had_it() {
    let hierarchy = Hierarchy::new(points(1, false));
    let mut register = RevocationRegister::new(PartCount::MIN);
    let begin = now();
    let short = Revoked { not_after: begin.plus_seconds(10), ..revoked(Reason::Unspecified) };
    let long = revoked(Reason::Unspecified);
    register.revoke(&short).unwrap();
    register.revoke(&long).unwrap();
    let mut published = |after: i64| {
        let list = register.sign_full(&hierarchy.issuing, only(), due(begin.plus_seconds(after))).unwrap();
        serials(&list.der).contains(&short.serial)
    };
    assert!(published(0), "its certificate is valid");
    assert!(published(20), "over, and this is the first list since: it must be on it");
    assert!(!published(30), "it has been on one");
    assert!(!register.is_listed(&short.serial) && register.is_listed(&long.serial));
}

#[test]
fn what_leaves_is_exactly_what_is_over_among_many_chunks() {
    let hierarchy = Hierarchy::new(points(1, false));
    let mut register = RevocationRegister::new(PartCount::MIN);
    let begin = now();
    let mut staying = BTreeSet::new();
    // Twelve chunks: of some nothing leaves, of some a part, of some all.
    for number in 0..18_000 {
        let is_short = number / 1_500 % 3 == 1 || (number / 1_500 % 3 == 2 && number % 7 == 0);
        let mut entry = revoked(Reason::Superseded);
        if is_short {
            entry.not_after = begin.plus_seconds(10);
        } else {
            staying.insert(entry.serial);
        }
        register.revoke(&entry).unwrap();
    }
    register.sign_full(&hierarchy.issuing, only(), due(begin.plus_seconds(20))).unwrap();
    let later = Revoked { not_after: begin.plus_seconds(10), ..revoked(Reason::Unspecified) };
    register.revoke(&later).unwrap();
    let list = register.sign_full(&hierarchy.issuing, only(), due(begin.plus_seconds(30))).unwrap();
    staying.insert(later.serial);
    assert_eq!(serials(&list.der), staying, "and what no list had stays");
    CertificateList::parse(&list.der)
        .unwrap()
        .verify_signature(hierarchy.issuing.certificate().subject_public_key_info())
        .unwrap();
    assert_eq!(register.len(), staying.len());
}

#[test]
fn a_list_that_is_being_signed_does_not_change_and_a_register_of_other_parts_makes_none() {
    let hierarchy = Hierarchy::new(points(1, false));
    let mut register = RevocationRegister::new(PartCount::MIN);
    let first = revoked(Reason::Unspecified);
    register.revoke(&first).unwrap();
    let unsigned = register.full(&hierarchy.issuing, only(), CrlNumber::FIRST, due(now())).unwrap();
    register.revoke(&revoked(Reason::Unspecified)).unwrap();
    assert_eq!(unsigned.sign(&hierarchy.root).unwrap_err(), ListError::OtherAuthority);
    assert_eq!(serials(&unsigned.sign(&hierarchy.issuing).unwrap().der), [first.serial].into());

    // Certificates say there is one list; four would leave most of the revoked ones unseen.
    let mut four = RevocationRegister::new(PartCount::new(4).unwrap());
    let part = four.revoke(&first).unwrap();
    assert_eq!(four.full(&hierarchy.issuing, part, CrlNumber::FIRST, due(now())).unwrap_err(), ListError::NoSuchPart);
}

#[test]
fn ten_thousand_entries_in_many_chunks_are_one_list() {
    let hierarchy = Hierarchy::new(points(1, true));
    let mut register = RevocationRegister::new(PartCount::MIN);
    let mut expected = BTreeSet::new();
    for _ in 0..10_000 {
        let entry = revoked(Reason::KeyCompromise);
        register.revoke(&entry).unwrap();
        expected.insert(entry.serial);
    }
    let full = register.sign_full(&hierarchy.issuing, only(), due(now())).unwrap();
    assert_eq!(serials(&full.der), expected);
    let mut since = BTreeSet::new();
    for _ in 0..3_000 {
        let entry = revoked(Reason::Unspecified);
        register.revoke(&entry).unwrap();
        since.insert(entry.serial);
    }
    let number = register.next_number(only()).unwrap();
    let delta = register.delta(&hierarchy.issuing, only(), number, due(now())).unwrap();
    let delta = delta.sign(&hierarchy.issuing).unwrap();
    assert_eq!(serials(&delta.der), since);
    for list in [&full, &delta] {
        let parsed = CertificateList::parse(&list.der).unwrap();
        parsed.verify_signature(hierarchy.issuing.certificate().subject_public_key_info()).unwrap();
    }
}

#[test]
fn downloads_say_what_they_are_and_are_not_cached_longer_than_they_hold() {
    use sekisho_ca::download::{Download, MediaType};
    let hierarchy = Hierarchy::new(points(1, false));
    let at = now();
    let certificate = Download::certificate(hierarchy.issuing.certificate(), at);
    assert_eq!(certificate.media_type.as_str(), "application/pkix-cert");
    assert_eq!(&*certificate.body, hierarchy.issuing.certificate().der().as_ref());
    assert!(certificate.cache.cache_control.starts_with("max-age=86400, public"), "{:?}", certificate.cache);
    let mut register = RevocationRegister::new(PartCount::MIN);
    let list = register.sign_full(&hierarchy.issuing, only(), due(at)).unwrap();
    let download = Download::revocation_list(&list, 600, at);
    assert_eq!((download.media_type, &*download.body), (MediaType::RevocationList, &*list.der));
    assert_eq!(download.media_type.as_str(), "application/pkix-crl");
    assert!(download.cache.cache_control.starts_with("max-age=600, public"), "a new one may come sooner");
    let late = Download::revocation_list(&list, 600, at.plus_seconds(HOUR - 60));
    assert!(late.cache.cache_control.starts_with("max-age=60, public"), "{:?}", late.cache);
    let over = Download::revocation_list(&list, 600, at.plus_seconds(HOUR));
    assert_eq!(over.cache.cache_control, "no-store");
    assert_ne!(download.cache.etag, certificate.cache.etag);
}
