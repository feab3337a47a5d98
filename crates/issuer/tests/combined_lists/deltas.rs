//! Delta lists over their base (RFC 5280 section 5.2.4).

use crate::revocation::*;
use crate::support::*;
use sekisho_config::WhenStale;
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::time::Timestamp;
use sekisho_trust::{AlarmKind, ListPolicy};
use std::time::Duration;

const HOLD: Option<u8> = Some(6);
const RELEASE: Option<u8> = Some(8);

fn hours(count: i64) -> Timestamp {
    NOW.plus_seconds(count * 3600)
}

/// The base and the usual delta: number 5 with 1 revoked and 2 on hold, and 7 over 5, which revokes 3 and releases 2.
fn base_and_delta(ca: &TestCa) -> (Vec<u8>, Vec<u8>) {
    let base = ca.list().number(5).this_update(hours(-10)).revoke(&[1]).revoke_at(&[2], hours(-20), HOLD).sign();
    let delta = ca.list().number(7).this_update(hours(-1)).revoke(&[3]).revoke_at(&[2], hours(-1), RELEASE);
    (base, delta.delta(5).sign())
}

#[test]
fn a_delta_revokes_and_releases_over_its_base_whatever_the_order() {
    let ca = TestCa::root("A");
    let (base, delta) = base_and_delta(&ca);
    assert_eq!(load(&ca, &[&base], None).of(2), Standing::Revoked(RevocationReason::CertificateHold, "5".to_owned()));
    for lists in [[&base[..], &delta], [&delta, &base]] {
        let loaded = load(&ca, &lists, None);
        assert_eq!(loaded.alarms, []);
        assert_eq!([1, 2, 3, 4].map(|serial| loaded.of(serial)), [revoked("5"), good("7"), revoked("7"), good("7")]);
        assert!(loaded.snapshot.is_ready(NOW));
        let status = loaded.status();
        assert_eq!((status.crl_number.as_deref(), status.this_update), (Some("7"), Some(hours(-1))));
    }
}

#[test]
fn a_delta_reaches_every_base_from_its_base_number_up_to_below_its_own() {
    let ca = TestCa::root("A");
    let delta = ca.list().number(7).revoke(&[3]).delta(5).sign();
    for (number, applied) in [(5, true), (6, true), (7, false), (8, false)] {
        let loaded = load(&ca, &[&ca.list().number(number).sign(), &delta], None);
        assert_eq!(loaded.alarms, [], "{number}");
        let expected = if applied { revoked("7") } else { good(&number.to_string()) };
        assert_eq!(loaded.of(3), expected, "{number}: a list of the delta's number or more has all that it says");
    }
}

#[test]
fn a_release_undoes_a_hold_and_never_a_revocation() {
    let ca = TestCa::root("A");
    let (base, _) = base_and_delta(&ca);
    let release = ca.list().number(7).revoke_at(&[1], NOW, RELEASE).revoke_at(&[2], NOW, RELEASE).delta(5).sign();
    let loaded = load(&ca, &[&base, &release], None);
    assert_eq!([1, 2].map(|serial| loaded.of(serial)), [revoked("5"), good("7")]);
}

#[test]
fn a_delta_beyond_its_bases_reach_revokes_and_makes_the_base_stale_by_policy() {
    let ca = TestCa::root("A");
    let (base, _) = base_and_delta(&ca);
    let beyond = ca.list().number(9).this_update(hours(-1)).revoke(&[3]).revoke_at(&[2], NOW, RELEASE).delta(6).sign();
    let why = "the delta list in 1.crl builds on a newer revocation list than the one in 0.crl";
    let held = || Standing::Revoked(RevocationReason::CertificateHold, "5".to_owned());
    let with = |when_stale| load_with(&ca, policy(when_stale), &[&base, &beyond], None, NOW);
    for (when_stale, expected, is_ready) in [
        (WhenStale::Closed, unavailable(why), false),
        (WhenStale::Grace(Duration::from_secs(3599)), unavailable(why), false),
        (WhenStale::Grace(Duration::from_secs(3600)), good("5!"), true),
        (WhenStale::Open, good("5!"), true),
        (WhenStale::ReportOnly, good("5!"), true),
    ] {
        let loaded = with(when_stale);
        assert_eq!(loaded.kinds(), [AlarmKind::DeltaWithoutBase], "{when_stale:?}");
        assert_eq!([1, 2, 3].map(|serial| loaded.of(serial)), [revoked("5"), held(), revoked("9")], "{when_stale:?}");
        assert_eq!(loaded.of(4), expected, "{when_stale:?}");
        assert_eq!(loaded.snapshot.is_ready(NOW), is_ready, "{when_stale:?}");
    }
    // Once its base comes it is combined with it.
    let closed = with(WhenStale::Closed);
    let next = ca.list().number(6).this_update(hours(-2)).revoke(&[1]).sign();
    let loaded = load(&ca, &[&next, &beyond], Some(&closed));
    assert_eq!([1, 2, 3, 4].map(|serial| loaded.of(serial)), [revoked("6"), good("9"), revoked("9"), good("9")]);
    assert_eq!(loaded.alarms, []);
}

#[test]
fn the_newest_delta_that_fits_is_applied_beside_one_that_does_not() {
    let ca = TestCa::root("A");
    let (base, delta) = base_and_delta(&ca);
    let beyond = ca.list().number(9).revoke(&[4]).delta(8).sign();
    let loaded = load(&ca, &[&base, &beyond, &delta], None);
    assert_eq!([3, 4].map(|serial| loaded.of(serial)), [revoked("7"), revoked("9")]);
    assert_eq!(
        loaded.of(2),
        unavailable("the delta list in 1.crl builds on a newer revocation list than the one in 0.crl")
    );
}

#[test]
fn of_several_deltas_the_newest_is_applied_and_an_older_one_does_not_come_back() {
    let ca = TestCa::root("A");
    let (base, first) = base_and_delta(&ca);
    let second = ca.list().number(8).this_update(NOW).revoke(&[3]).revoke(&[6]).delta(5).sign();
    for lists in [[&base[..], &first, &second], [&second, &first, &base]] {
        let loaded = load(&ca, &lists, None);
        assert_eq!([3, 6].map(|serial| loaded.of(serial)), [revoked("8"), revoked("8")]);
        assert_eq!(loaded.of(2), Standing::Revoked(RevocationReason::CertificateHold, "5".to_owned()), "held again");
        assert_eq!(loaded.alarms, []);
    }
    let before = load(&ca, &[&base, &second], None);
    let rolled_back = load(&ca, &[&base, &first], Some(&before));
    assert_eq!((rolled_back.of(6), rolled_back.kinds()), (revoked("8"), vec![AlarmKind::RolledBack]));
    let gone = load(&ca, &[&base], Some(&before));
    assert_eq!((gone.of(6), gone.kinds()), (revoked("8"), vec![AlarmKind::Missing]));
    let caught_up = load(&ca, &[&ca.list().number(8).this_update(NOW).sign()], Some(&gone));
    assert_eq!((caught_up.of(5), caught_up.kinds()), (good("8"), vec![AlarmKind::Withdrawn]));
    assert_eq!(caught_up.of(6), revoked("?"), "a full list takes no revocation back by leaving it out");
}

#[test]
fn two_different_deltas_of_one_number_both_revoke() {
    let ca = TestCa::root("A");
    let base = ca.list().number(5).sign();
    let [one, two] = [3, 4].map(|serial| ca.list().number(7).revoke(&[serial]).delta(5).sign());
    for lists in [[&base[..], &one, &two], [&two, &one, &base]] {
        let loaded = load(&ca, &lists, None);
        assert_eq!([3, 4].map(|serial| loaded.of(serial)), [revoked("7"), revoked("7")]);
        assert_eq!(loaded.of(5), good("7"));
        assert_eq!(loaded.kinds(), [AlarmKind::Conflict]);
    }
}

#[test]
fn a_delta_alone_revokes_and_never_says_good() {
    let ca = TestCa::root("A");
    let (_, delta) = base_and_delta(&ca);
    let loaded = load(&ca, &[&delta], None);
    assert_eq!(loaded.of(3), revoked("7"));
    assert_eq!(loaded.of(4), unavailable("only revocation lists of a part of the certificates were accepted"));
    assert_eq!(loaded.kinds(), [AlarmKind::DeltaWithoutBase, AlarmKind::Missing]);
}

#[test]
fn base_and_delta_together_are_as_fresh_as_the_delta() {
    let ca = TestCa::root("A");
    let base = ca.list().number(5).next_update(hours(2)).sign();
    let delta = |until: i64| ca.list().number(6).next_update(hours(until)).delta(5).sign();
    // The delta's nextUpdate says when the next one comes, whatever the base's does.
    for (until, at, expected) in [
        (3, 3, good("6")),
        (1, 1, good("6")),
        (1, 2, unavailable("the revocation list in 1.crl is stale since 2026-11-22T01:00:00Z")),
        (3, 4, unavailable("the revocation list in 1.crl is stale since 2026-11-22T03:00:00Z")),
    ] {
        let loaded = load(&ca, &[&base, &delta(until)], None);
        assert_eq!(loaded.at(9, &[], hours(at)), expected, "until {until}, at {at}");
    }
}

#[test]
fn a_delta_of_another_scope_or_signer_is_not_combined() {
    let ca = TestCa::root("A");
    let base = ca.list().number(5).sign();
    let users = ca.list().number(7).revoke(&[3]).revoke_at(&[2], NOW, RELEASE);
    let users = users.extension(ISSUING_DISTRIBUTION_POINT, true, &[0x30, 3, 0x81, 1, 0xff]).delta(5).sign();
    let held = ca.list().number(5).revoke_at(&[2], hours(-20), HOLD).sign();
    let loaded = load(&ca, &[&held, &users], None);
    assert_eq!(loaded.of(3), revoked("7"), "whom it names is revoked");
    assert_eq!(loaded.of(2), Standing::Revoked(RevocationReason::CertificateHold, "5".to_owned()));
    assert_eq!(loaded.of(4), good("5"), "the complete list of its own signer and scope is as good as before");
    let twin = TestCa::root("A");
    let forged = twin.list().number(7).revoke(&[3]).delta(5).sign();
    let loaded = load(&ca, &[&base, &forged], None);
    assert_eq!((loaded.of(3), loaded.kinds()), (good("5"), vec![AlarmKind::BadSignature]));
}

#[test]
fn a_delta_without_number_is_refused_by_every_setting() {
    let ca = TestCa::root("A");
    let (base, _) = base_and_delta(&ca);
    let delta = ca.list().number(None).revoke(&[3]).delta(5).sign();
    let lenient = ListPolicy { without_number: sekisho_config::WithoutNumber::Accept, ..ListPolicy::default() };
    for policy in [ListPolicy::default(), lenient] {
        let loaded = load_with(&ca, policy, &[&base, &delta], None, NOW);
        assert_eq!((loaded.of(3), loaded.kinds()), (good("5"), vec![AlarmKind::NoNumber]));
    }
    // A base without number cannot be told to have what the delta leaves out.
    let base = ca.list().number(None).sign();
    let delta = ca.list().number(7).this_update(hours(-1)).delta(5).sign();
    let loaded = load_with(&ca, lenient, &[&base, &delta], None, NOW);
    assert_eq!(loaded.kinds(), [AlarmKind::DeltaWithoutBase]);
    assert!(matches!(loaded.of(3), Standing::Unavailable(_)));
}

#[test]
fn a_delta_that_is_not_understood_closes_its_ca_until_a_newer_list_comes() {
    let ca = TestCa::root("A");
    let (base, delta) = base_and_delta(&ca);
    let unknown = ca.list().number(6).delta(5).extension(UNKNOWN, true, &[5, 0]).sign();
    let loaded = load(&ca, &[&base, &unknown], None);
    let why = "the revocation list in 1.crl is not understood: it has the unknown critical extension 2.5.29.99";
    assert_eq!(loaded.of(4), unavailable(why));
    let newer = load(&ca, &[&base, &unknown, &delta], None);
    assert_eq!((newer.of(4), newer.alarms), (good("7"), vec![]), "a delta that is understood and newer says it all");
}

#[test]
fn what_a_delta_without_its_base_revokes_stays_revoked_when_another_comes() {
    let ca = TestCa::root("A");
    let base = ca.list().number(5).this_update(hours(-10)).sign();
    let first = ca.list().number(7).this_update(hours(-3)).revoke(&[3]).delta(6).sign();
    let second = ca.list().number(9).this_update(hours(-1)).revoke(&[4]).delta(8).sign();
    let grace = |hours: u64| WhenStale::Grace(Duration::from_secs(hours * 3600));
    for (when_stale, expected) in [
        (WhenStale::Open, good("5!")),
        (grace(3), good("5!")),
        // It is stale since the first of them.
        (grace(2), unavailable("the delta list in 1.crl builds on a newer revocation list than the one in 0.crl")),
    ] {
        let with = |lists: &[&[u8]], previous| load_with(&ca, policy(when_stale), lists, previous, NOW);
        let before = with(&[&base, &first], None);
        assert_eq!([3, 5].map(|serial| before.of(serial)), [revoked("7"), expected], "{when_stale:?}");
        // The second takes the place of the first at its source, or lies beside it.
        for lists in [vec![&base[..], &second], vec![&base, &first, &second], vec![&second, &first, &base]] {
            let after = with(&lists, Some(&before));
            assert_eq!([3, 4].map(|serial| after.of(serial)), [revoked("7"), revoked("9")], "{when_stale:?}");
            assert_eq!(matches!(after.of(5), Standing::Good(_)), when_stale != grace(2), "{when_stale:?}");
        }
    }
    // The base that they build on, or a newer one, has the last word.
    let open = |lists: &[&[u8]], previous| load_with(&ca, policy(WhenStale::Open), lists, previous, NOW);
    let before = open(&[&base, &first], None);
    let before = open(&[&base, &second], Some(&before));
    let next = ca.list().number(8).this_update(hours(-2)).revoke(&[3]).sign();
    let after = open(&[&next, &second], Some(&before));
    assert_eq!([3, 4, 5].map(|serial| after.of(serial)), [revoked("8"), revoked("9"), good("9")]);
}

#[test]
fn after_as_many_lists_that_did_not_come_as_may_be_a_ca_is_closed_until_one_comes() {
    let ca = TestCa::root("A");
    let base = ca.list().number(5).this_update(hours(-10)).sign();
    let open =
        |lists: &[&[u8]], previous: Option<&Loaded>| load_with(&ca, policy(WhenStale::Open), lists, previous, NOW);
    let closed = unavailable("too many lists did not come before the delta list in 1.crl");
    let mut loaded = open(&[&base], None);
    for missed in 1..=33_u8 {
        let number = u64::from(5 + 2 * missed);
        let made_at = hours(-9).plus_seconds(i64::from(missed));
        let delta = ca.list().number(number).this_update(made_at).revoke(&[missed]).delta(number - 1).sign();
        loaded = open(&[&base, &delta], Some(&loaded));
        assert_eq!(loaded.of(missed), revoked(&number.to_string()));
        assert_eq!(loaded.of(99), if missed < 32 { good("5!") } else { closed.clone() }, "{missed}");
        assert_eq!(loaded.of(2) == revoked("9"), missed > 1, "{missed}: the first are known");
        // It is so however often it is looked at.
        loaded = open(&[&base, &delta], Some(&loaded));
        assert_eq!(loaded.of(99) == closed, missed >= 32, "{missed}");
    }
    let next = ca.list().number(80).this_update(hours(-1)).sign();
    loaded = open(&[&next], Some(&loaded));
    // What the deltas revoked stays revoked, though the full list has none of it.
    assert_eq!((loaded.of(99), loaded.kinds()), (good("80"), vec![AlarmKind::Withdrawn]));
}
