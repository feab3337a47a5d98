//! Lists of a part of the certificates (issuingDistributionPoint, RFC 5280 sections 5.2.5 and 6.3.3).

use crate::revocation::*;
use crate::support::*;
use sekisho_pki::crl::CrlNumber;
use sekisho_pki::points::{DistributionPoint, PointName};
use sekisho_trust::{AlarmKind, Question, Subject};

const ONE: &str = "http://crl.example.jp/1.crl";
const TWO: &str = "http://crl.example.jp/2.crl";
const NO_POINT: &str = "only revocation lists of a part of the certificates were accepted";

pub fn at(uri: &str) -> Vec<DistributionPoint> {
    vec![DistributionPoint::at_uri(uri)]
}

fn not_there(uri: &str) -> Standing {
    unavailable(&format!("no revocation list of its distribution point was accepted ({uri})"))
}

#[test]
fn the_list_of_a_certificates_point_says_that_it_is_good_and_no_other_part_does() {
    let ca = TestCa::root("A");
    let one = ca.list().number(3).at_point(ONE).revoke(&[1]).sign();
    let two = ca.list().number(4).at_point(TWO).revoke(&[2]).sign();
    for lists in [[&one[..], &two], [&two, &one]] {
        let loaded = load(&ca, &lists, None);
        assert_eq!(loaded.alarms, []);
        assert!(loaded.snapshot.is_ready(NOW));
        assert_eq!(loaded.at(1, &at(ONE), NOW), revoked("3"));
        assert_eq!(loaded.at(9, &at(ONE), NOW), good("3"));
        assert_eq!(loaded.at(9, &at(TWO), NOW), good("4"));
        assert_eq!(loaded.at(9, &at("http://crl.example.jp/3.crl"), NOW), not_there("http://crl.example.jp/3.crl"));
        assert_eq!(loaded.of(9), unavailable(NO_POINT), "a certificate that names no list");
    }
}

#[test]
fn a_missing_part_refuses_its_certificates_and_no_others() {
    let ca = TestCa::root("A");
    let one = ca.list().number(3).at_point(ONE).sign();
    let loaded = load(&ca, &[&one], None);
    assert_eq!(loaded.at(9, &at(ONE), NOW), good("3"));
    assert_eq!(loaded.at(9, &at(TWO), NOW), not_there(TWO));
}

#[test]
fn any_part_revokes_who_names_no_part_that_is_there() {
    let ca = TestCa::root("A");
    let one = ca.list().number(3).at_point(ONE).revoke(&[1]).sign();
    let loaded = load(&ca, &[&one], None);
    assert_eq!(loaded.of(1), revoked("3"));
    assert_eq!(loaded.at(1, &at(TWO), NOW), revoked("3"));
    let forgotten = |question: Question<'_>| loaded.ask(&Question { points: None, ..question }, NOW);
    let key = ca.certificate.authority_key();
    let serial = |value: u8| sekisho_pki::serial::SerialNumber::from_der_content(&[value]).unwrap();
    assert_eq!(forgotten(Question::client(&key, &serial(1))), revoked("3"), "a ticket does not keep the points");
    assert_eq!(forgotten(Question::client(&key, &serial(9))), good("?"), "whoever resumes is asked again");
}

#[test]
fn the_complete_list_says_good_of_everybody_and_a_part_revokes_beside_it() {
    let ca = TestCa::root("A");
    let complete = ca.list().number(9).sign();
    let one = ca.list().number(3).at_point(ONE).revoke(&[1]).sign();
    let loaded = load(&ca, &[&one, &complete], None);
    assert_eq!(loaded.of(9), good("9"));
    assert_eq!(loaded.at(9, &at(TWO), NOW), good("9"));
    assert_eq!(loaded.at(1, &at(ONE), NOW), revoked("3"));
    // A stale complete list is as good as none to who has a fresh part.
    let stale = ca.list().number(9).next_update(NOW.plus_seconds(-60)).sign();
    let loaded = load(&ca, &[&one, &stale], None);
    assert_eq!(loaded.at(9, &at(ONE), NOW), good("3"));
    assert_eq!(loaded.of(9), unavailable("the revocation list in 1.crl is stale since 2026-11-21T23:59:00Z"));
}

#[test]
fn each_part_is_rolled_back_missing_and_stale_for_itself() {
    let ca = TestCa::root("A");
    let list = |uri, number: u64| ca.list().number(number).at_point(uri).this_update(NOW.plus_seconds(number as i64));
    let (one, two) = (list(ONE, 5).revoke(&[1]).sign(), list(TWO, 9).sign());
    let before = load(&ca, &[&one, &two], None);
    let old = list(ONE, 4).sign();
    let loaded = load(&ca, &[&old], Some(&before));
    assert_eq!(loaded.kinds(), [AlarmKind::RolledBack, AlarmKind::Missing]);
    assert_eq!(loaded.at(1, &at(ONE), NOW), revoked("5"));
    assert_eq!(loaded.at(9, &at(TWO), NOW), good("9"));
    let stale = list(TWO, 10).next_update(NOW.plus_seconds(60)).sign();
    let loaded = load(&ca, &[&one, &stale], None);
    let later = NOW.plus_seconds(61);
    assert_eq!(loaded.at(9, &at(ONE), later), good("5"));
    assert!(matches!(loaded.at(9, &at(TWO), later), Standing::Unavailable(why) if why.contains("1.crl is stale")));
    assert!(!loaded.snapshot.is_ready(later), "some of its certificates are refused");
}

fn of_ca(question: Question<'_>) -> Question<'_> {
    Question { subject: Subject::Authority, ..question }
}

#[test]
fn lists_of_users_and_of_cas_say_good_of_their_own() {
    let ca = TestCa::root("A");
    let kind = |tag| [0x30, 3, tag, 1, 0xff];
    let users = ca.list().number(3).extension(ISSUING_DISTRIBUTION_POINT, true, &kind(0x81)).revoke(&[1]).sign();
    let cas = ca.list().number(4).extension(ISSUING_DISTRIBUTION_POINT, true, &kind(0x82)).revoke(&[2]).sign();
    let key = ca.certificate.authority_key();
    let serial = |value: u8| sekisho_pki::serial::SerialNumber::from_der_content(&[value]).unwrap();
    let loaded = load(&ca, &[&users], None);
    assert_eq!(loaded.of(9), good("3"));
    assert_eq!(loaded.ask(&of_ca(Question::client(&key, &serial(9))), NOW), unavailable(NO_POINT));
    let loaded = load(&ca, &[&users, &cas], None);
    assert_eq!(loaded.of(1), revoked("3"));
    assert_eq!(loaded.ask(&of_ca(Question::client(&key, &serial(9))), NOW), good("4"));
    assert_eq!(loaded.ask(&of_ca(Question::client(&key, &serial(2))), NOW), revoked("4"));
}

#[test]
fn lists_of_some_reasons_say_good_together_only() {
    let ca = TestCa::root("A");
    let some = |number: u64, reasons: [u8; 2]| {
        let value = element(0x30, &element(0x83, &reasons));
        ca.list().number(number).extension(ISSUING_DISTRIBUTION_POINT, true, &value)
    };
    // keyCompromise and cACompromise; the six others.
    let (keys, others) = (some(3, [5, 0x60]).revoke(&[1]).sign(), some(4, [0, 0x1f]).sign());
    assert_eq!(load(&ca, &[&keys], None).of(9), unavailable(NO_POINT));
    assert_eq!(load(&ca, &[&keys, &others], None).of(9), unavailable(NO_POINT), "aACompromise is missing");
    let others = ca.list().number(4).extension(
        ISSUING_DISTRIBUTION_POINT,
        true,
        &element(0x30, &element(0x83, &[7, 0x1f, 0x80])),
    );
    let loaded = load(&ca, &[&keys, &others.revoke(&[2]).sign()], None);
    assert!(matches!(loaded.of(9), Standing::Good(_)));
    assert_eq!([1, 2].map(|serial| loaded.of(serial)), [revoked("3"), revoked("4")]);
}

#[test]
fn a_list_of_attribute_certificates_is_nobodys() {
    let ca = TestCa::root("A");
    let list = ca.list().number(3).extension(ISSUING_DISTRIBUTION_POINT, true, &[0x30, 3, 0x85, 1, 0xff]);
    let loaded = load(&ca, &[&list.revoke(&[1]).sign()], None);
    assert_eq!(loaded.of(1), unavailable("no revocation list was accepted"));
    assert_eq!(loaded.kinds(), [AlarmKind::NotUnderstood, AlarmKind::Missing]);
}

#[test]
fn each_part_has_its_own_delta() {
    let ca = TestCa::root("A");
    let hold =
        |serial, uri| ca.list().number(5).at_point(uri).revoke_at(&[serial], NOW.plus_seconds(-DAY), Some(6)).sign();
    let (one, two) = (hold(1, ONE), hold(2, TWO));
    let delta = ca.list().number(7).at_point(ONE).revoke(&[3]).delta(5);
    let delta = delta.revoke_at(&[1], NOW, Some(8)).revoke_at(&[2], NOW, Some(8)).sign();
    let loaded = load(&ca, &[&one, &two, &delta], None);
    assert_eq!(loaded.alarms, []);
    assert_eq!(loaded.at(1, &at(ONE), NOW), good("7"));
    assert_eq!(loaded.at(3, &at(ONE), NOW), revoked("7"));
    assert!(matches!(loaded.at(2, &at(TWO), NOW), Standing::Revoked(_, number) if number == "5"), "another part's");
    assert_eq!(loaded.at(9, &at(TWO), NOW), good("5"));
}

#[test]
fn a_list_knows_everything_up_to_its_number_or_its_deltas() {
    let ca = TestCa::root("A");
    let one = ca.list().number(5).at_point(ONE).sign();
    let delta = ca.list().number(7).at_point(ONE).delta(5).sign();
    let number_at = |lists: &[&[u8]], uri: Option<&str>| {
        let loaded = load(&ca, lists, None);
        let authority = loaded.snapshot.authority_named("a").unwrap();
        let sekisho_trust::Revocation::Lists(lists) = authority.revocation() else { panic!("it has lists") };
        lists.number_at(uri.map(PointName::from_uri).as_ref())
    };
    let is = |number: u64| Some(CrlNumber::from(number));
    assert_eq!(number_at(&[&one], Some(ONE)), is(5));
    assert_eq!(number_at(&[&one, &delta], Some(ONE)), is(7));
    assert_eq!((number_at(&[&one], Some(TWO)), number_at(&[&one], None)), (None, None));
    // Each part is numbered for itself: an old complete list is not part 3 of five hundred numbers later.
    let complete = ca.list().number(500).sign();
    assert_eq!((number_at(&[&complete], Some(TWO)), number_at(&[&complete], None)), (None, is(500)));
    assert_eq!(number_at(&[&complete, &one], Some(ONE)), is(5));
}

#[test]
fn a_part_that_is_not_understood_closes_its_ca_until_a_newer_one_of_it_comes() {
    let ca = TestCa::root("A");
    let one = ca.list().number(5).at_point(ONE).sign();
    let entry = extension(UNKNOWN, true, &[5, 0]);
    let unknown = ca.list().number(6).at_point(ONE).entry(&[9], &entry).sign();
    let loaded = load(&ca, &[&one, &unknown], None);
    assert!(matches!(loaded.at(1, &at(ONE), NOW), Standing::Unavailable(why) if why.contains("not understood")));
    let two = ca.list().number(7).at_point(TWO).sign();
    let other = load(&ca, &[&one, &unknown, &two], None);
    assert!(matches!(other.at(1, &at(ONE), NOW), Standing::Unavailable(_)), "a newer one of another part says nothing");
    let newer = ca.list().number(7).at_point(ONE).sign();
    assert_eq!(load(&ca, &[&unknown, &newer], None).at(1, &at(ONE), NOW), good("7"));
}

#[test]
fn a_list_that_is_not_understood_closes_its_ca_though_its_source_goes_back_to_the_list_before() {
    let ca = TestCa::root("A");
    let old = ca.list().number(5).this_update(NOW.plus_seconds(-2 * DAY)).sign();
    let unknown = ca.list().number(6).this_update(NOW.plus_seconds(-DAY)).extension(UNKNOWN, true, &[5, 0]).sign();
    let closed = |loaded: &Loaded| matches!(loaded.of(1), Standing::Unavailable(why) if why.contains("not understood"));
    let mut loaded = load(&ca, &[&old], None);
    assert_eq!(loaded.of(1), good("5"));
    loaded = load(&ca, &[&unknown], Some(&loaded));
    assert!(closed(&loaded));
    for _ in 0..2 {
        loaded = load(&ca, &[&old], Some(&loaded));
        assert!(closed(&loaded), "{:?}", loaded.of(1));
        assert_eq!(loaded.kinds(), [AlarmKind::RolledBack, AlarmKind::NotUnderstood]);
    }
    let newer = ca.list().number(7).this_update(NOW).sign();
    loaded = load(&ca, &[&newer], Some(&loaded));
    assert_eq!((loaded.of(1), loaded.alarms), (good("7"), vec![]));
}
