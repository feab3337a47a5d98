//! What RFC 5280 requires of a list and some CAs leave out: taken by a setting and never otherwise. What a policy lets
//! pass, and says so.

use crate::revocation::*;
use crate::support::*;
use sekisho_config::{WhenStale, WithoutNumber};
use sekisho_trust::{AlarmKind, ListPolicy, Readiness};
use std::time::Duration;

fn accept_without_number() -> ListPolicy {
    ListPolicy { without_number: WithoutNumber::Accept, ..ListPolicy::default() }
}

fn fresh_for(time: Duration) -> ListPolicy {
    ListPolicy { without_next_update: Some(time), ..ListPolicy::default() }
}

#[test]
fn a_list_without_number_is_refused_and_taken_by_setting_in_the_order_of_this_update() {
    let ca = TestCa::root("A");
    let old = ca.list().number(None).this_update(NOW.plus_seconds(-3 * DAY)).sign();
    let new = ca.list().number(None).this_update(NOW.plus_seconds(-2 * DAY)).revoke(&[5]).sign();
    let refused = load(&ca, &[&new], None);
    assert_eq!(refused.kinds(), [AlarmKind::NoNumber, AlarmKind::Missing]);
    assert_eq!(refused.of(5), unavailable("no revocation list was accepted"));
    for lists in [[&old[..], &new], [&new, &old]] {
        let loaded = load_with(&ca, accept_without_number(), &lists, None, NOW);
        assert_eq!((loaded.of(5), loaded.of(6)), (revoked("?"), good("?")));
        assert_eq!(loaded.alarms, []);
        let rolled_back = load_with(&ca, accept_without_number(), &[&old], Some(&loaded), NOW);
        assert_eq!((rolled_back.of(5), rolled_back.kinds()), (revoked("?"), vec![AlarmKind::RolledBack]));
    }
}

#[test]
fn a_list_without_next_update_is_refused_and_taken_by_setting_for_a_time() {
    let ca = TestCa::root("A");
    let list = ca.list().this_update(NOW.plus_seconds(-3600)).next_update(None).revoke(&[5]).sign();
    let refused = load(&ca, &[&list], None);
    assert_eq!(refused.kinds(), [AlarmKind::NoNextUpdate, AlarmKind::Missing]);
    let loaded = load_with(&ca, fresh_for(Duration::from_secs(3600)), &[&list], None, NOW);
    assert_eq!((loaded.of(5), loaded.of(6), loaded.alarms.len()), (revoked("1"), good("1"), 0));
    let why = "the revocation list in 0.crl is stale since 2026-11-22T00:00:00Z";
    assert_eq!(loaded.at(6, &[], NOW.plus_seconds(1)), unavailable(why));
    assert_eq!(loaded.status().next_update, Some(NOW));
    let stale = load_with(&ca, fresh_for(Duration::from_secs(3599)), &[&list], None, NOW);
    assert_eq!((stale.of(5), stale.kinds()), (revoked("1"), vec![AlarmKind::Stale]));
    // A nextUpdate that is there counts, whatever the setting.
    let own = ca.list().next_update(NOW.plus_seconds(60)).sign();
    let loaded = load_with(&ca, fresh_for(Duration::from_secs(86_400 * 30)), &[&own], None, NOW);
    assert!(matches!(loaded.at(6, &[], NOW.plus_seconds(61)), Standing::Unavailable(_)));
}

#[test]
fn a_list_taken_by_a_setting_goes_with_the_setting() {
    let ca = TestCa::root("A");
    let list = ca.list().number(None).revoke(&[5]).sign();
    let taken = load_with(&ca, accept_without_number(), &[&list], None, NOW);
    let refused = load(&ca, &[&list], Some(&taken));
    assert_eq!(refused.of(6), unavailable("no revocation list was accepted"));
    assert_eq!(refused.of(5), revoked("?"), "what was in force stays revoked");
    assert_eq!(refused.kinds(), [AlarmKind::NoNumber, AlarmKind::Withdrawn, AlarmKind::Missing]);
}

#[test]
fn one_setting_does_not_stand_for_the_other() {
    let ca = TestCa::root("A");
    let neither = ca.list().number(None).next_update(None).sign();
    for (policy, expected) in [
        (accept_without_number(), vec![AlarmKind::NoNextUpdate, AlarmKind::Missing]),
        (fresh_for(Duration::from_secs(86_400 * 30)), vec![AlarmKind::NoNumber, AlarmKind::Missing]),
        (ListPolicy { without_number: WithoutNumber::Accept, ..fresh_for(Duration::from_secs(86_400 * 30)) }, vec![]),
    ] {
        assert_eq!(load_with(&ca, policy, &[&neither], None, NOW).kinds(), expected);
    }
}

#[test]
fn report_only_reports_whatever_cannot_be_told_and_refuses_what_is_revoked() {
    let ca = TestCa::root("A");
    let report_only = policy(WhenStale::ReportOnly);
    let reported = |why: &str| Standing::Unenforced(why.to_owned());
    let missing = load_with(&ca, report_only, &[], None, NOW);
    assert_eq!(missing.of(5), reported("no revocation list was accepted"));
    assert_eq!(missing.status().readiness, Readiness::Reported("no revocation list was accepted".to_owned()));
    assert!(missing.snapshot.is_ready(NOW), "it refuses nobody");
    assert_eq!(missing.kinds(), [AlarmKind::Missing], "and the operator is told");
    let unknown = ca.list().number(6).revoke(&[5]).extension(UNKNOWN, true, &[5, 0]).sign();
    let base = ca.list().number(5).revoke(&[1]).sign();
    let closed = load_with(&ca, report_only, &[&base, &unknown], None, NOW);
    assert_eq!(closed.of(1), revoked("5"));
    assert!(matches!(closed.of(5), Standing::Unenforced(why) if why.contains("not understood")));
    let stale = ca.list().next_update(NOW.plus_seconds(-60)).revoke(&[1]).sign();
    let stale = load_with(&ca, report_only, &[&stale], None, NOW);
    assert_eq!((stale.of(1), stale.of(5)), (revoked("1"), good("1!")));
}
