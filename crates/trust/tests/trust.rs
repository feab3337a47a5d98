//! Which lists are in force, and that nothing else ever is (requirements R2, R4; invariants 2 and 3).

use sekisho_testkit::revocation;

use rcgen::{BasicConstraints, IsCa, KeyUsagePurpose};
use revocation::*;
use sekisho_config::WhenStale;
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::serial::SerialNumber;
use sekisho_trust::*;
use std::time::Duration;

const UNCONSTRAINED: IsCa = IsCa::Ca(BasicConstraints::Unconstrained);

fn serial(value: u8) -> SerialNumber {
    SerialNumber::from_der_content(&[value]).unwrap()
}

fn snapshot(authorities: &[AuthorityParts], lists: &[&[u8]], previous: Option<&TrustSnapshot>) -> LoadOutcome {
    let lists: Vec<_> =
        lists.iter().enumerate().map(|(place, der)| ListParts { file: format!("{place}.crl").into(), der }).collect();
    TrustSnapshot::from_parts(authorities, &lists, previous, NOW).unwrap()
}

/// Of one CA: the number in force, and the kinds of alarms.
fn outcome(ca: &TestCa, lists: &[&[u8]], previous: Option<&TrustSnapshot>) -> (Option<String>, Vec<AlarmKind>) {
    let outcome = snapshot(&[ca.parts("a", None)], lists, previous);
    let number = outcome.snapshot.status(NOW)[0].crl_number.clone();
    (number, kinds(&outcome))
}

fn kinds(outcome: &LoadOutcome) -> Vec<AlarmKind> {
    outcome.alarms.iter().map(|alarm| alarm.kind).collect()
}

fn status(snapshot: &TrustSnapshot, ca: &TestCa, value: u8) -> RevocationStatus {
    snapshot.revocation(&Question::client(&ca.certificate.authority_key(), &serial(value)), NOW)
}

fn good(number: &str) -> RevocationStatus {
    RevocationStatus::Good { crl_number: Some(number.into()), warning: None }
}

fn revoked(number: &str) -> RevocationStatus {
    RevocationStatus::Revoked {
        at: NOW.plus_seconds(-2 * DAY),
        reason: RevocationReason::KeyCompromise,
        crl_number: Some(number.into()),
    }
}

fn unavailable(ca: &str, why: &str) -> RevocationStatus {
    RevocationStatus::Unavailable { ca: ca.into(), why: why.to_owned() }
}

#[test]
fn a_listed_serial_is_revoked_and_another_is_good() {
    let ca = TestCa::root("A");
    let loaded = snapshot(&[ca.parts("a", None)], &[&ca.list().number(7).revoke(&[5]).sign()], None);
    assert_eq!(status(&loaded.snapshot, &ca, 5), revoked("7"));
    assert_eq!(status(&loaded.snapshot, &ca, 6), good("7"));
    assert_eq!(loaded.alarms, []);
    assert!(loaded.snapshot.is_ready(NOW));
}

#[test]
fn a_list_with_an_odd_serial_is_in_force_and_its_alarm_names_it() {
    let ca = TestCa::root("A");
    let loaded = snapshot(&[ca.parts("a", None)], &[&ca.list().number(7).revoke(&[0x80]).revoke(&[5]).sign()], None);
    assert_eq!((status(&loaded.snapshot, &ca, 5), status(&loaded.snapshot, &ca, 6)), (revoked("7"), good("7")));
    assert_eq!(kinds(&loaded), [AlarmKind::OddSerial]);
    let alarm = loaded.alarms[0].to_string();
    assert!(alarm.starts_with("odd-serial: ca a, 0.crl: 1 entries") && alarm.contains("80"), "{alarm}");
}

/// RFC 5280 section 7.1: the same name in other octets.
#[test]
fn a_list_whose_issuer_is_spelled_in_another_string_type_or_case_is_the_cas() {
    let ca = TestCa::root("Bank CA");
    let attribute =
        |kind: u8, name: &[u8]| element(0x30, &[element(0x06, &[0x55, 4, 3]), element(kind, name)].concat());
    let name = |kind: u8, name: &[u8]| element(0x30, &element(0x31, &attribute(kind, name)));
    for (kind, text) in [(0x13, &b"Bank CA"[..]), (0x0c, b"BANK  ca"), (0x13, b" bank ca ")] {
        let list = ca.list().issuer(&name(kind, text)).number(7).revoke(&[5]).sign();
        let loaded = snapshot(&[ca.parts("a", None)], &[&list], None);
        assert_eq!(status(&loaded.snapshot, &ca, 5), revoked("7"), "{:?}", loaded.alarms);
    }
    let other = ca.list().issuer(&name(0x0c, b"Bank CA 2")).number(7).sign();
    assert!(kinds(&snapshot(&[ca.parts("a", None)], &[&other], None)).contains(&AlarmKind::UnknownIssuer));
}

#[test]
fn a_ca_without_a_subject_and_a_ca_spelled_twice_are_refused() {
    let refused = |parts: &[AuthorityParts]| TrustSnapshot::from_parts(parts, &[], None, NOW).unwrap_err().to_string();
    let mut nameless = TestCa::root("A");
    nameless.params.distinguished_name = rcgen::DistinguishedName::new();
    let der = nameless.params.self_signed(&nameless.key).unwrap().der().clone();
    let certificate = sekisho_pki::certificate::Certificate::parse(&der).unwrap();
    let message = refused(&[AuthorityParts { certificate, ..nameless.parts("a", None) }]);
    assert!(message.contains("its subject is empty"), "{message}");

    let first = TestCa::root("Bank CA");
    let key = rcgen::KeyPair::try_from(first.key.serialize_der()).unwrap();
    let second = TestCa::with_key(key, "BANK  CA", CA_USAGES, UNCONSTRAINED, 9, None);
    let message = refused(&[first.parts("a", None), second.parts("b", None)]);
    assert!(message.contains("the CA a has the same name and key already"), "{message}");
}

#[test]
fn a_ca_without_a_list_cannot_tell_and_is_named() {
    let (ca, other) = (TestCa::root("A"), TestCa::root("B"));
    let loaded = snapshot(&[ca.parts("a", None)], &[], None);
    assert_eq!(status(&loaded.snapshot, &ca, 5), unavailable("a", "no revocation list was accepted"));
    assert_eq!(kinds(&loaded), [AlarmKind::Missing]);
    assert!(!loaded.snapshot.is_ready(NOW));
    let stranger = status(&loaded.snapshot, &other, 5);
    assert!(
        matches!(&stranger, RevocationStatus::Unavailable { why, .. } if why == "the issuer is not a configured CA"),
        "{stranger:?}"
    );
}

#[test]
fn revocation_none_says_that_it_is_not_checked() {
    let ca = TestCa::root("A");
    let parts = AuthorityParts { revocation: RevocationParts::None, ..ca.parts("a", None) };
    let loaded = snapshot(&[parts], &[&ca.list().revoke(&[5]).sign()], None);
    assert_eq!(status(&loaded.snapshot, &ca, 5), RevocationStatus::NotChecked);
}

#[test]
fn the_newest_list_is_in_force_whatever_the_order() {
    let ca = TestCa::root("A");
    let list = |number: u64, days: i64| {
        ca.list().number(number).this_update(NOW.plus_seconds(days * DAY)).revoke(&[number as u8]).sign()
    };
    let lists = [list(1, -3), list(2, -2), list(3, -1)];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let offered = order.map(|place| lists[place].as_slice());
        let loaded = snapshot(&[ca.parts("a", None)], &offered, None);
        assert_eq!(status(&loaded.snapshot, &ca, 3), revoked("3"), "{order:?}");
        assert_eq!(status(&loaded.snapshot, &ca, 1), good("3"), "{order:?}: a lifted hold stays lifted");
        assert_eq!(loaded.alarms, [], "{order:?}");
    }
}

#[test]
fn two_different_lists_of_one_number_both_revoke() {
    let ca = TestCa::root("A");
    let one = ca.list().revoke(&[5]).sign();
    let two = ca.list().revoke(&[6]).sign();
    for lists in [[&one[..], &two], [&two, &one]] {
        let loaded = snapshot(&[ca.parts("a", None)], &lists, None);
        assert_eq!(kinds(&loaded), [AlarmKind::Conflict]);
        assert_eq!([5, 6].map(|value| status(&loaded.snapshot, &ca, value)), [revoked("1"), revoked("1")]);
        assert_eq!(status(&loaded.snapshot, &ca, 7), good("1"));
    }
}

/// A node of the CA that came back from a backup gives a number again.
#[test]
fn lists_of_one_number_and_other_contents_both_revoke_whatever_their_times_and_their_order() {
    let ca = TestCa::root("A");
    let list = |seconds: i64, serials: &[u8]| {
        let list = ca.list().number(7).this_update(NOW.plus_seconds(seconds - 1_000));
        serials.iter().fold(list, |list, serial| list.revoke(&[*serial])).sign()
    };
    let (early, late) = (list(0, &[5]), list(60, &[6]));
    let both = |loaded: &LoadOutcome, what: &str| {
        assert_eq!(kinds(loaded), [AlarmKind::Conflict], "{what}");
        assert_eq!([5, 6].map(|value| status(&loaded.snapshot, &ca, value)), [revoked("7"), revoked("7")], "{what}");
        assert_eq!(status(&loaded.snapshot, &ca, 7), good("7"), "{what}");
    };
    let parts = [ca.parts("a", None)];
    for lists in [[&early[..], &late], [&late, &early]] {
        both(&snapshot(&parts, &lists, None), "in one folder");
        // One after the other in one file.
        let first = snapshot(&parts, &lists[..1], None);
        let second = snapshot(&parts, &lists[1..], Some(&first.snapshot));
        both(&second, "one after the other");
        both(&snapshot(&parts, &lists[1..], Some(&second.snapshot)), "a third load");
        let next = ca.list().number(8).this_update(NOW).revoke(&[5]).revoke(&[6]).sign();
        let ended = snapshot(&parts, &[&next], Some(&second.snapshot));
        assert_eq!((status(&ended.snapshot, &ca, 5), ended.alarms), (revoked("8"), vec![]), "a greater number ends it");
    }
    // Signed again, with the same entries: no conflict. With more: nobody is let in again, and it is told.
    let again = snapshot(&parts, &[&list(0, &[5]), &list(60, &[5])], None);
    assert_eq!(again.alarms, []);
    let more = snapshot(&parts, &[&list(0, &[5]), &list(60, &[5, 6])], None);
    both(&more, "more entries");
    assert_eq!(more.snapshot.status(NOW)[0].lists.len(), 1, "the one that has all of both is enough");
}

#[test]
fn a_ca_whose_numbers_never_grow_is_closed_before_its_lists_fill_the_memory() {
    let ca = TestCa::root("A");
    let parts = [ca.parts("a", None)];
    let mut loaded = snapshot(&parts, &[&ca.list().number(7).revoke(&[1]).sign()], None);
    for serial in 2..40 {
        let list =
            ca.list().number(7).this_update(NOW.plus_seconds(i64::from(serial) - 1_000)).revoke(&[serial]).sign();
        loaded = snapshot(&parts, &[&list], Some(&loaded.snapshot));
        assert!(loaded.snapshot.status(NOW)[0].lists.len() <= 17);
    }
    assert!(!loaded.snapshot.is_ready(NOW));
    assert!(matches!(status(&loaded.snapshot, &ca, 99), RevocationStatus::Unavailable { .. }));
    let next = snapshot(&parts, &[&ca.list().number(8).this_update(NOW).sign()], Some(&loaded.snapshot));
    assert_eq!(status(&next.snapshot, &ca, 99), good("8"));
}

#[test]
fn a_refused_list_leaves_the_good_one_beside_it_alone() {
    let (ca, twin, stranger) = (TestCa::root("A"), TestCa::root("A"), TestCa::root("B"));
    let good_list = ca.list().number(5).revoke(&[5]).sign();
    let half = &ca.list().number(9).sign()[..100];
    let future = ca.list().number(9).this_update(NOW.plus_seconds(301)).sign();
    let cases: [(&[u8], AlarmKind); 5] = [
        (&twin.list().number(9).sign(), AlarmKind::BadSignature),
        (&stranger.list().number(9).sign(), AlarmKind::UnknownIssuer),
        (half, AlarmKind::Malformed),
        (b"garbage", AlarmKind::Malformed),
        (&future, AlarmKind::FromTheFuture),
    ];
    for (bad, kind) in cases {
        for lists in [[&good_list[..], bad], [bad, &good_list]] {
            let loaded = snapshot(&[ca.parts("a", None)], &lists, None);
            assert_eq!(kinds(&loaded), [kind]);
            assert_eq!(status(&loaded.snapshot, &ca, 5), revoked("5"), "{kind:?}");
            assert_eq!(status(&loaded.snapshot, &ca, 6), good("5"), "{kind:?}");
        }
        let (number, kinds) = outcome(&ca, &[bad], None);
        assert_eq!((number, kinds), (None, vec![kind, AlarmKind::Missing]));
    }
}

#[test]
fn a_list_within_the_clock_skew_is_accepted() {
    let ca = TestCa::root("A");
    let list = ca.list().this_update(NOW.plus_seconds(300)).sign();
    assert_eq!(outcome(&ca, &[&list], None), (Some("1".to_owned()), vec![]));
}

#[test]
fn a_list_cut_at_every_twentieth_is_refused_and_the_old_one_stays() {
    let ca = TestCa::root("A");
    let first = snapshot(&[ca.parts("a", None)], &[&ca.list().number(5).revoke(&[5]).sign()], None).snapshot;
    let next = ca.list().number(6).entries(many_entries(1_000, random_serial)).sign();
    for part in 1..20 {
        let cut = &next[..next.len() * part / 20];
        let loaded = snapshot(&[ca.parts("a", None)], &[cut], Some(&first));
        assert_eq!(kinds(&loaded), [AlarmKind::Malformed, AlarmKind::Missing], "{part}/20");
        assert_eq!(status(&loaded.snapshot, &ca, 5), revoked("5"), "{part}/20");
    }
    // It has not what the one before has.
    assert_eq!(outcome(&ca, &[&next], Some(&first)), (Some("6".to_owned()), vec![AlarmKind::Withdrawn]));
}

#[test]
fn an_older_list_does_not_replace_the_one_in_force() {
    let ca = TestCa::root("A");
    let at = |days: i64| NOW.plus_seconds(days * DAY);
    let first = ca.list().number(5).this_update(at(-2)).revoke(&[5]).sign();
    let first = snapshot(&[ca.parts("a", None)], &[&first], None).snapshot;
    let lower_number = ca.list().number(4).this_update(at(-1)).sign();
    let earlier = ca.list().number(6).this_update(at(-3)).sign();
    for older in [&lower_number, &earlier] {
        let loaded = snapshot(&[ca.parts("a", None)], &[older], Some(&first));
        assert_eq!(kinds(&loaded), [AlarmKind::RolledBack]);
        assert_eq!(status(&loaded.snapshot, &ca, 5), revoked("5"));
    }
    let newer = ca.list().number(6).this_update(at(-1)).revoke(&[5]).sign();
    assert_eq!(outcome(&ca, &[&lower_number, &newer], Some(&first)), (Some("6".to_owned()), vec![]));
}

#[test]
fn a_list_that_vanished_stays_in_force() {
    let ca = TestCa::root("A");
    let first = snapshot(&[ca.parts("a", None)], &[&ca.list().number(5).revoke(&[5]).sign()], None).snapshot;
    let loaded = snapshot(&[ca.parts("a", None)], &[], Some(&first));
    assert_eq!(kinds(&loaded), [AlarmKind::Missing]);
    assert_eq!(status(&loaded.snapshot, &ca, 5), revoked("5"));
    assert_eq!(status(&loaded.snapshot, &ca, 6), good("5"));
}

#[test]
fn one_name_with_two_keys_is_two_authorities() {
    let (old, new) = (TestCa::root("A"), TestCa::root("A"));
    let authorities = [old.parts("old", None), new.parts("new", None)];
    let list = old.list().number(1).revoke(&[5]).sign();
    let loaded = snapshot(&authorities, &[&list], None);
    assert_eq!(status(&loaded.snapshot, &old, 5), revoked("1"));
    assert_eq!(status(&loaded.snapshot, &new, 5), unavailable("new", "no revocation list was accepted"));
    let both = snapshot(&authorities, &[&list, &new.list().number(9).sign()], None);
    assert_eq!(status(&both.snapshot, &old, 6), good("1"), "the other key's list is no newer one of this key");
    assert_eq!(status(&both.snapshot, &new, 5), good("9"));
}

#[test]
fn a_list_that_is_not_understood_closes_its_ca_and_no_other() {
    let (ca, other) = (TestCa::root("A"), TestCa::root("B"));
    let authorities = [ca.parts("a", None), other.parts("b", None)];
    let base = ca.list().number(5).revoke(&[5]).sign();
    let others = other.list().sign();
    let indirect = ca.list().number(6).extension(ISSUING_DISTRIBUTION_POINT, true, &[0x30, 3, 0x84, 1, 0xff]).sign();
    let unknown = ca.list().number(6).extension(UNKNOWN, true, &[5, 0]).sign();
    let unknown_entry = ca.list().number(6).entry(&[9], &extension(UNKNOWN, true, &[5, 0])).sign();
    for (list, why) in [
        (indirect, "it is an indirect list"),
        (unknown, "it has the unknown critical extension 2.5.29.99"),
        (unknown_entry, "an entry has the unknown critical extension 2.5.29.99"),
    ] {
        let loaded = snapshot(&authorities, &[&base, &others, &list], None);
        let why = format!("the revocation list in 2.crl is not understood: {why}");
        assert_eq!(status(&loaded.snapshot, &ca, 6), unavailable("a", &why));
        assert_eq!(status(&loaded.snapshot, &ca, 5), revoked("5"), "what is known to be revoked is told so");
        assert_eq!(status(&loaded.snapshot, &other, 6), good("1"));
        assert_eq!(kinds(&loaded), [AlarmKind::NotUnderstood]);
        assert!(!loaded.snapshot.is_ready(NOW));
    }
}

#[test]
fn a_list_that_is_not_understood_but_older_than_the_complete_one_closes_nothing() {
    let ca = TestCa::root("A");
    let base = ca.list().number(5).sign();
    let delta_of_base = ca.list().number(5).delta(4).extension(UNKNOWN, true, &[5, 0]).sign();
    let older = ca.list().number(4).extension(UNKNOWN, true, &[5, 0]).sign();
    let same_age = ca.list().number(5).extension(UNKNOWN, true, &[5, 0]).sign();
    assert_eq!(outcome(&ca, &[&base, &delta_of_base, &older], None), (Some("5".to_owned()), vec![]));
    assert_eq!(outcome(&ca, &[&base, &same_age], None).1, [AlarmKind::NotUnderstood]);
}

#[test]
fn a_key_without_crl_sign_signs_no_list() {
    let ca = TestCa::new("A", &[KeyUsagePurpose::KeyCertSign], UNCONSTRAINED, 1, None);
    let (number, kinds) = outcome(&ca, &[&ca.list().sign()], None);
    assert_eq!((number, kinds), (None, vec![AlarmKind::SignerNotAllowed, AlarmKind::Missing]));
    let silent = TestCa::new("A", &[], UNCONSTRAINED, 1, None);
    assert_eq!(outcome(&silent, &[&silent.list().sign()], None), (Some("1".to_owned()), vec![]));
}

/// A root, a CA below it, and a key of the CA's name that signs lists only, issued by `issuer`.
fn delegated(issuer: fn(&TestCa, &TestCa) -> usize) -> (TestCa, TestCa, TestCa, Vec<AuthorityParts>) {
    let root = TestCa::root("R");
    let ca = TestCa::new("A", CA_USAGES, UNCONSTRAINED, 2, Some(&root));
    let which = issuer(&root, &ca);
    let (above, name) = if which == 0 { (&root, "root") } else { (&ca, "a") };
    let signer = TestCa::new("A", &[KeyUsagePurpose::CrlSign], IsCa::ExplicitNoCa, 77, Some(above));
    let root_parts = AuthorityParts { revocation: RevocationParts::None, ..root.parts("root", None) };
    let parts = vec![root_parts, ca.parts("a", Some("root")), signer.parts("a-lists", Some(name))];
    (root, ca, signer, parts)
}

#[test]
fn a_key_that_the_ca_or_its_issuer_certified_for_lists_signs_them() {
    for issuer in [|_: &TestCa, _: &TestCa| 0_usize, |_: &TestCa, _: &TestCa| 1] {
        let (_, ca, signer, parts) = delegated(issuer);
        let list = signer.list().number(4).revoke(&[5]).sign();
        let loaded = snapshot(&parts, &[&list], None);
        assert_eq!(status(&loaded.snapshot, &ca, 5), revoked("4"));
        assert_eq!(status(&loaded.snapshot, &ca, 6), good("4"));
        assert_eq!(loaded.alarms, []);
        assert!(loaded.snapshot.is_ready(NOW));
        let why = "the issuer may sign revocation lists only";
        assert_eq!(status(&loaded.snapshot, &signer, 6), unavailable("a-lists", why));
        assert!(!loaded.snapshot.intermediates().contains(signer.certificate.der()));
    }
}

#[test]
fn a_revoked_list_signer_signs_no_list() {
    let (_, ca, signer, parts) = delegated(|_, _| 1);
    let delegated_list = signer.list().number(4).sign();
    let some_reasons = ca.list().number(9).extension(ISSUING_DISTRIBUTION_POINT, true, &[0x30, 4, 0x83, 2, 6, 0x40]);
    let some_reasons = some_reasons.revoke(&[77]).sign();
    let loaded = snapshot(&parts, &[&delegated_list, &some_reasons], None);
    assert_eq!(kinds(&loaded), [AlarmKind::SignerNotAllowed, AlarmKind::Missing]);
    let why = "only revocation lists of a part of the certificates were accepted";
    assert_eq!(status(&loaded.snapshot, &ca, 6), unavailable("a", why));
}

#[test]
fn a_delegated_list_never_outweighs_the_cas_own() {
    let (_, ca, signer, parts) = delegated(|_, _| 1);
    let own = ca.list().number(1).revoke(&[5]).sign();
    let delegated_list = signer.list().number(9).revoke(&[6]).sign();
    for lists in [[&own[..], &delegated_list], [&delegated_list, &own]] {
        let loaded = snapshot(&parts, &lists, None);
        assert_eq!(status(&loaded.snapshot, &ca, 5), revoked("1"));
        assert_eq!(status(&loaded.snapshot, &ca, 6), revoked("9"));
        assert_eq!(status(&loaded.snapshot, &ca, 7), good("1"));
    }
}

#[test]
fn a_sibling_ca_of_the_same_name_signs_no_list_for_another() {
    let root = TestCa::root("R");
    let (old, new) = (root.below("A"), root.below("A"));
    let parts = [root.parts("root", None), old.parts("old", Some("root")), new.parts("new", Some("root"))];
    let loaded = snapshot(&parts, &[&root.list().sign(), &old.list().sign()], None);
    assert_eq!(status(&loaded.snapshot, &new, 5), unavailable("new", "no revocation list was accepted"));
}

#[test]
fn a_stale_list_is_refused_graced_or_tolerated_as_the_policy_says() {
    let ca = TestCa::root("A");
    let list = ca.list().next_update(NOW.plus_seconds(-60)).revoke(&[5]).sign();
    let load = |when_stale| {
        let revocation = RevocationParts::Lists(ListPolicy::when_stale(when_stale));
        let loaded = snapshot(&[AuthorityParts { revocation, ..ca.parts("a", None) }], &[&list], None);
        assert_eq!(kinds(&loaded), [AlarmKind::Stale]);
        assert_eq!(status(&loaded.snapshot, &ca, 5), revoked("1"), "a revocation stands however stale its list");
        (status(&loaded.snapshot, &ca, 6), loaded.snapshot.is_ready(NOW))
    };
    let why = "the revocation list in 0.crl is stale since 2026-11-21T23:59:00Z";
    let warned = RevocationStatus::Good {
        crl_number: Some("1".into()),
        warning: Some(Stale { ca: "a".into(), next_update: NOW.plus_seconds(-60) }),
    };
    assert_eq!(load(WhenStale::Closed), (unavailable("a", why), false));
    assert_eq!(load(WhenStale::Grace(Duration::from_secs(59))), (unavailable("a", why), false));
    assert_eq!(load(WhenStale::Grace(Duration::from_secs(60))), (warned.clone(), true));
    assert_eq!(load(WhenStale::Open), (warned, true));
}

#[test]
fn each_cas_policy_is_its_own() {
    let (lenient, strict) = (TestCa::root("A"), TestCa::root("B"));
    let lists = [&lenient, &strict].map(|ca| ca.list().next_update(NOW.plus_seconds(-60)).sign());
    let lists = [&*lists[0], &*lists[1]];
    let with = |ca: &TestCa, name: &str, when_stale| {
        let revocation = RevocationParts::Lists(ListPolicy::when_stale(when_stale));
        AuthorityParts { revocation, ..ca.parts(name, None) }
    };
    for when_stale in [WhenStale::Open, WhenStale::ReportOnly, WhenStale::Grace(Duration::from_secs(3_600))] {
        let mut parts = [with(&lenient, "a", when_stale), with(&strict, "b", WhenStale::Closed)];
        for _order in 0..2 {
            parts.reverse();
            let loaded = snapshot(&parts, &lists, None).snapshot;
            let tolerated = status(&loaded, &lenient, 6);
            assert!(
                matches!(tolerated, RevocationStatus::Good { warning: Some(_), .. }),
                "{when_stale:?}: {tolerated:?}"
            );
            let refused = status(&loaded, &strict, 6);
            assert!(
                matches!(&refused, RevocationStatus::Unavailable { ca, .. } if &**ca == "b"),
                "{when_stale:?}: {refused:?}"
            );
            assert!(!loaded.is_ready(NOW));
        }
    }
}

#[test]
fn generations_grow_and_that_of_the_cas_only_with_the_cas() {
    let (ca, other) = (TestCa::root("A"), TestCa::root("B"));
    let one = snapshot(&[ca.parts("a", None)], &[&ca.list().sign()], None).snapshot;
    let two = snapshot(&[ca.parts("a", None)], &[&ca.list().number(2).sign()], Some(&one)).snapshot;
    let three = snapshot(&[ca.parts("a", None), other.parts("b", None)], &[], Some(&two)).snapshot;
    let generations = [&one, &two, &three].map(|snapshot| (snapshot.generation(), snapshot.authorities_generation()));
    assert_eq!(generations, [(1, 1), (2, 1), (3, 2)]);
}

#[test]
fn anchors_and_intermediates_follow_issued_by() {
    let root = TestCa::root("R");
    let issuing = root.below("I");
    let parts = [issuing.parts("issuing", Some("root")), root.parts("root", None)];
    let snapshot = snapshot(&parts, &[], None).snapshot;
    assert_eq!(snapshot.anchors().len(), 1);
    assert_eq!(snapshot.anchors()[0].subject.as_ref(), root.certificate.subject().content());
    assert_eq!(snapshot.intermediates(), [issuing.certificate.der().clone()]);
    let found = snapshot.authority(&issuing.certificate.authority_key()).unwrap();
    assert_eq!((&**found.name(), found.issued_by()), ("issuing", Some(root.certificate.authority_key())));
    assert!(snapshot.authority_named("root").is_some() && snapshot.authority_named("x").is_none());
}

#[test]
fn wrong_ca_certificates_are_refused_by_name() {
    let root = TestCa::root("R");
    let impostor = TestCa::root("R");
    let below = root.below("I");
    let leaf = TestCa::new("L", &[KeyUsagePurpose::DigitalSignature], IsCa::ExplicitNoCa, 9, Some(&root));
    let no_cert_sign = TestCa::new("N", &[KeyUsagePurpose::DigitalSignature], UNCONSTRAINED, 9, None);
    let refused = |authorities: &[AuthorityParts]| {
        TrustSnapshot::from_parts(authorities, &[], None, NOW).unwrap_err().to_string()
    };
    assert_eq!(
        refused(&[root.parts("r", None), leaf.parts("l", Some("r"))]),
        "ca l: it is not the certificate of a CA (basicConstraints cA)"
    );
    assert_eq!(
        refused(&[no_cert_sign.parts("n", None)]),
        "ca n: its keyUsage does not allow it to sign certificates (keyCertSign)"
    );
    assert_eq!(
        refused(&[impostor.parts("r", None), below.parts("i", Some("r"))]),
        "ca i: it was not issued by r: the signature is not the issuer's"
    );
    assert_eq!(
        refused(&[TestCa::root("X").parts("x", None), below.parts("i", Some("x"))]),
        "ca i: its issuer is CN=R, but issued_by = x is CN=X"
    );
    assert_eq!(refused(&[below.parts("i", Some("gone"))]), "ca i: issued_by names gone, which is no CA here");
    assert_eq!(
        refused(&[root.parts("r", None), root.parts("s", None)]),
        "ca s: the CA r has the same name and key already"
    );
}

/// The list that was restored, or came from a standby without the last changes: a higher number, and less on it.
#[test]
fn a_newer_list_without_what_was_revoked_revokes_it_all_the_same_and_raises_an_alarm() {
    let ca = TestCa::root("A");
    let parts = [ca.parts("a", None)];
    let first = snapshot(&parts, &[&ca.list().number(1).revoke(&[5]).revoke(&[6]).sign()], None);
    let newer = |number: u64| ca.list().number(number).this_update(NOW.plus_seconds(-3_600));
    let second = snapshot(&parts, &[&newer(2).revoke(&[6]).sign()], Some(&first.snapshot));
    let withdrawn = RevocationStatus::Revoked {
        at: NOW.plus_seconds(-2 * DAY),
        reason: RevocationReason::KeyCompromise,
        crl_number: None,
    };
    assert_eq!(status(&second.snapshot, &ca, 5), withdrawn);
    assert_eq!((status(&second.snapshot, &ca, 6), status(&second.snapshot, &ca, 7)), (revoked("2"), good("2")));
    assert_eq!(kinds(&second), [AlarmKind::Withdrawn]);
    assert!(second.alarms[0].message.contains("1 revocations") && second.alarms[0].message.contains("(05)"));
    assert_eq!(second.snapshot.withdrawn_of(&second.snapshot.authorities()[0]), 1);
    // Once and not with each load, and for as long as it is so.
    let third = snapshot(&parts, &[&newer(3).revoke(&[6]).sign()], Some(&second.snapshot));
    assert_eq!((status(&third.snapshot, &ca, 5), kinds(&third)), (withdrawn, vec![]));
    let fourth = snapshot(&parts, &[&newer(4).revoke(&[5]).revoke(&[6]).sign()], Some(&third.snapshot));
    assert_eq!(status(&fourth.snapshot, &ca, 5), revoked("4"), "it is on the list again");
    assert_eq!(fourth.snapshot.withdrawn_of(&fourth.snapshot.authorities()[0]), 0);
}

#[test]
fn a_hold_that_is_on_the_list_no_more_is_released_and_a_revocation_that_became_a_hold_stays() {
    const HOLD: u8 = 6;
    let ca = TestCa::root("A");
    let parts = [ca.parts("a", None)];
    let at = NOW.plus_seconds(-2 * DAY);
    let list = ca.list().number(1).revoke_at(&[5], at, Some(HOLD)).revoke(&[6]).sign();
    let first = snapshot(&parts, &[&list], None);
    let list = ca.list().number(2).revoke_at(&[6], at, Some(HOLD)).sign();
    let second = snapshot(&parts, &[&list], Some(&first.snapshot));
    assert_eq!((status(&second.snapshot, &ca, 5), kinds(&second)), (good("2"), vec![AlarmKind::Withdrawn]));
    let third = snapshot(&parts, &[&ca.list().number(3).sign()], Some(&second.snapshot));
    let left = status(&third.snapshot, &ca, 6);
    assert!(matches!(left, RevocationStatus::Revoked { reason: RevocationReason::KeyCompromise, .. }), "{left:?}");
}

#[test]
fn what_a_delta_list_revoked_stays_revoked_when_the_next_full_list_lacks_it() {
    let ca = TestCa::root("A");
    let parts = [ca.parts("a", None)];
    let full = ca.list().number(1).sign();
    let delta = ca.list().number(2).delta(1).revoke(&[5]).sign();
    let first = snapshot(&parts, &[&full, &delta], None);
    assert_eq!(status(&first.snapshot, &ca, 5), revoked("2"));
    let second = snapshot(&parts, &[&ca.list().number(3).sign()], Some(&first.snapshot));
    assert!(matches!(status(&second.snapshot, &ca, 5), RevocationStatus::Revoked { .. }));
    assert_eq!(kinds(&second), [AlarmKind::Withdrawn]);
}

#[test]
fn a_serial_that_moved_to_another_points_crl_stays_revoked_for_who_names_the_first() {
    let (one, two) = ("http://crl.example.jp/1.crl", "http://crl.example.jp/2.crl");
    let ca = TestCa::root("A");
    let parts = [ca.parts("a", None)];
    let first = [ca.list().number(1).at_point(one).revoke(&[5]).sign(), ca.list().number(1).at_point(two).sign()];
    let first = snapshot(&parts, &first.each_ref().map(Vec::as_slice), None);
    let of_one = [sekisho_pki::points::DistributionPoint::at_uri(one)];
    let of = |loaded: &LoadOutcome, value: u8| {
        let (key, serial) = (ca.certificate.authority_key(), serial(value));
        let question = Question::client(&key, &serial).at(&of_one);
        loaded.snapshot.revocation(&question, NOW)
    };
    assert_eq!((of(&first, 5), of(&first, 6)), (revoked("1"), good("1")));
    let moved = [ca.list().number(2).at_point(one).sign(), ca.list().number(2).at_point(two).revoke(&[5]).sign()];
    let moved = moved.each_ref().map(Vec::as_slice);
    let second = snapshot(&parts, &moved, Some(&first.snapshot));
    assert!(matches!(of(&second, 5), RevocationStatus::Revoked { .. }), "{:?}", of(&second, 5));
    assert_eq!((of(&second, 6), kinds(&second)), (good("2"), vec![AlarmKind::Withdrawn]));
    let third = snapshot(&parts, &moved, Some(&second.snapshot));
    assert!(matches!(of(&third, 5), RevocationStatus::Revoked { .. }) && kinds(&third).is_empty());
}
