//! A newer list that its CA signed and that is malformed may revoke anybody: it closes its CA until the next one.

use crate::parts::at;
use crate::revocation::*;
use crate::support::{Loaded, Standing, good, load, load_with, revoked};
use sekisho_config::WithoutNumber;
use sekisho_trust::{Alarm, AlarmKind, ListPolicy};

const ONE: &str = "http://crl.example.jp/1.crl";
const TWO: &str = "http://crl.example.jp/2.crl";

/// The list in force before, which revokes 5.
fn before(ca: &TestCa) -> Vec<u8> {
    ca.list().number(5).this_update(NOW.plus_seconds(-2 * DAY)).revoke(&[5]).sign()
}

/// The next one, which revokes 5 and 9 and is well-formed.
fn next(ca: &TestCa) -> ListBuilder<'_> {
    ca.list().number(6).revoke(&[5]).revoke(&[9])
}

/// A well-formed one after it.
fn last(ca: &TestCa) -> Vec<u8> {
    ca.list().number(7).this_update(NOW).revoke(&[5]).revoke(&[9]).sign()
}

/// The list with octets in the place of others of the same length.
fn with(list: &ListBuilder<'_>, old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut tbs = list.tbs();
    let place = tbs.windows(old.len()).position(|window| window == old).unwrap();
    tbs[place..place + old.len()].copy_from_slice(new);
    list.sign_tbs(tbs)
}

/// The digits of its thisUpdate are none.
fn undated(list: &ListBuilder<'_>) -> Vec<u8> {
    let digits: String = list.this_update.to_string().chars().filter(char::is_ascii_digit).skip(2).collect();
    with(list, digits.as_bytes(), b"2611xx000000")
}

fn is_closed(loaded: &Loaded, fault: &str) -> bool {
    let why =
        |standing| matches!(standing, Standing::Unavailable(why) if why.contains(fault) && why.contains(".crl is"));
    why(loaded.of(9)) && why(loaded.of(1)) && !loaded.snapshot.is_ready(NOW)
}

/// Every malformation that the parser knows: what it is, the list, and what is said of it.
fn malformed(ca: &TestCa) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let list = || next(ca);
    let entry = |extensions: &[u8]| list().entry(&[9], extensions).sign();
    let entries = |der: Vec<u8>| list().entries(der).sign();
    let with_extension = |oid: &[u8], value: &[u8]| list().extension(oid, true, value).sign();
    let of_number = extension(CRL_NUMBER, false, &element(0x02, &[6]));
    let other_tag = [&[0x31], &of_number[1..]].concat();
    let many = (0..40).fold(list(), |list, last| list.extension(&[0x55, 0x1d, 100, last], false, &[5, 0]));
    let behind = element(0x30, &[&list().tbs()[3..], &[5, 0]].concat());
    let twice = [extension(UNKNOWN, false, &[]), extension(UNKNOWN, false, &[])].concat();
    let negative = list().number(None).extension(CRL_NUMBER, false, &[0x02, 1, 0x80]);
    vec![
        ("an empty serial", list().revoke(&[]).sign(), "serial number is empty"),
        ("an entry that is cut", entries(vec![0x30, 3, 2, 1]), "an entry"),
        ("an entry of another tag", entries(element(0x31, &[])), "an entry"),
        ("an entry without a date", entries(element(0x30, &element(0x02, &[9]))), "revocationDate"),
        ("a reason of two octets", entry(&extension(REASON_CODE, false, &[0x0a, 2, 0, 1])), "CRLReason"),
        ("a release", list().revoke_at(&[9], NOW, Some(8)).sign(), "removeFromCRL"),
        ("an entry's extension twice", entry(&twice), "twice"),
        ("a negative number", negative.sign(), "CRLNumber"),
        ("two numbers", with_extension(CRL_NUMBER, &[0x02, 1, 4]), "twice"),
        ("a negative base", with_extension(DELTA_CRL_INDICATOR, &[0x02, 1, 0x80]), "CRLNumber"),
        (
            "a point without a name",
            with_extension(ISSUING_DISTRIBUTION_POINT, &[0x30, 4, 0xa0, 2, 0xa0, 0]),
            "malformed",
        ),
        ("a key identifier that is none", with_extension(AUTHORITY_KEY_IDENTIFIER, &[5, 0]), "authorityKeyIdentifier"),
        ("too many extensions", many.sign(), "the number of extensions"),
        ("an extension of another tag", with(&list(), &of_number, &other_tag), "an extension"),
        ("an end before its begin", list().next_update(NOW.plus_seconds(-2 * DAY)).sign(), "nextUpdate"),
        ("a thisUpdate that is none", undated(&list()), "thisUpdate"),
        ("version 3", list().version(Some(2)).sign(), "version"),
        ("extensions in version 1", list().version(None).sign(), "version 1"),
        ("octets behind the extensions", list().sign_tbs(behind), "tbsCertList"),
    ]
}

#[test]
fn a_newer_list_that_is_signed_and_malformed_closes_its_ca_until_the_next_one() {
    let ca = TestCa::root("A");
    for (what, malformed, fault) in malformed(&ca) {
        let first = load(&ca, &[&before(&ca)], None);
        for order in [vec![&malformed[..]], vec![&before(&ca), &malformed], vec![&malformed, &before(&ca)]] {
            let loaded = load(&ca, &order, Some(&first));
            assert!(is_closed(&loaded, fault), "{what}: {:?}", loaded.of(9));
            assert_eq!(loaded.of(5), revoked("5"), "{what}: who was revoked stays so");
            let is_told = |alarm: &Alarm| alarm.kind == AlarmKind::Malformed && alarm.file.ends_with(".crl");
            assert!(loaded.alarms.iter().any(is_told), "{what}: {:?}", loaded.alarms);
            let again = load(&ca, &[&before(&ca)], Some(&loaded));
            assert!(is_closed(&again, fault), "{what}: its source goes back");
            for closed in [&loaded, &again] {
                let ended = load(&ca, &[&last(&ca)], Some(closed));
                assert_eq!((ended.of(1), ended.of(9), &ended.alarms[..]), (good("7"), revoked("7"), &[][..]), "{what}");
            }
        }
        // At a start, with nothing in force.
        assert!(is_closed(&load(&ca, &[&malformed], None), fault), "{what}");
    }
}

/// Whichever octet behind the issuer's name is another one: whom the list revokes is not good by the one before.
#[test]
fn no_octet_of_a_newer_list_that_its_ca_signed_wrongly_leaves_a_revoked_client_good() {
    let ca = TestCa::root("A");
    let first = load(&ca, &[&before(&ca)], None);
    let list = next(&ca).extension(AUTHORITY_KEY_IDENTIFIER, false, &element(0x30, &element(0x80, &[7; 20])));
    let tbs = list.tbs();
    let name = ca.certificate.subject().der();
    let begin = tbs.windows(name.len()).position(|window| window == name).unwrap() + name.len();
    let (mut closed, mut others) = (0, 0);
    for place in begin..tbs.len() {
        for mask in [0x01, 0x20, 0x80, 0xff] {
            let mut damaged = tbs.clone();
            damaged[place] ^= mask;
            let loaded = load(&ca, &[&list.sign_tbs(damaged)], Some(&first));
            // Well-formed, and refused for what it says: those have their own rules.
            let refused =
                [AlarmKind::FromTheFuture, AlarmKind::RolledBack, AlarmKind::NoNumber, AlarmKind::NoNextUpdate];
            if loaded.kinds().iter().any(|kind| refused.contains(kind)) {
                others += 1;
                continue;
            }
            assert_ne!(loaded.of(9), good("5"), "octet {place} ^ {mask:02x}: {:?}", loaded.alarms);
            closed += usize::from(is_closed(&loaded, "malformed"));
        }
    }
    assert!(closed > 300 && others < 100, "{closed} closed, {others} refused");
}

#[test]
fn what_anybody_could_have_made_closes_nothing() {
    let (ca, twin, stranger) = (TestCa::root("A"), TestCa::root("A"), TestCa::root("B"));
    let malformed = next(&ca).revoke(&[]).sign();
    let mut broken = malformed.clone();
    *broken.last_mut().unwrap() ^= 1;
    let mut name = next(&ca).tbs();
    let place = name.windows(2).position(|window| window == [0x31, 0x0a]).unwrap();
    name[place] = 0x32;
    let mut other_algorithm = next(&ca);
    other_algorithm.inner_algorithm = Some(SHA1_WITH_RSA);
    for (what, list) in [
        ("a signature that is none", broken),
        ("octets behind it", [&malformed[..], &[0]].concat()),
        ("a key of the same name", twin.list().number(6).revoke(&[]).sign()),
        ("another CA", stranger.list().number(6).revoke(&[]).sign()),
        ("no issuer", next(&ca).issuer(&element(0x31, &[])).sign()),
        ("a name that is none", next(&ca).revoke(&[]).sign_tbs(name)),
        ("half of it", malformed[..malformed.len() / 2].to_vec()),
        ("another algorithm inside", other_algorithm.sign()),
    ] {
        let loaded = load(&ca, &[&before(&ca), &list], None);
        assert_eq!((loaded.of(9), loaded.of(5)), (good("5"), revoked("5")), "{what}: {:?}", loaded.alarms);
        let kinds = [AlarmKind::Malformed, AlarmKind::UnknownIssuer, AlarmKind::BadSignature];
        assert!(matches!(loaded.kinds()[..], [kind] if kinds.contains(&kind)), "{what}: {:?}", loaded.alarms);
    }
}

/// A CA whose signatures verify under two AlgorithmIdentifiers (RFC 4055 section 5: with the NULL and without).
fn rsa() -> TestCa {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    TestCa::with_key(key, "A", CA_USAGES, rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained), 1, None)
}

/// What can be made of a list without its CA's key: everything outside of tbsCertList.
fn tampered(list: &ListBuilder<'_>) -> Vec<(&'static str, Vec<u8>)> {
    const ALGORITHM: usize = 15;
    let (tbs, whole) = (list.tbs(), list.sign());
    let begin = whole.windows(tbs.len()).position(|window| window == tbs).unwrap();
    let (algorithm, signature) = whole[begin + tbs.len()..].split_at(ALGORITHM);
    let without_null = element(0x30, &algorithm[2..ALGORITHM - 2]);
    let again = |algorithm: &[u8], signature: &[u8]| element(0x30, &[&tbs[..], algorithm, signature].concat());
    assert_eq!(again(algorithm, signature), whole);
    let unused = element(0x03, &[&[1], &signature[5..]].concat());
    let longer = |element: &[u8]| [&[element[0], 0x83, 0], &element[2..]].concat();
    let other_tag = [&[0x23], &signature[1..]].concat();
    vec![
        ("no NULL", again(&without_null, signature)),
        ("no NULL, and the signature's length not minimal", again(&without_null, &longer(signature))),
        ("unused bits", again(algorithm, &unused)),
        ("a signature of another tag", again(algorithm, &other_tag)),
        ("a signature's length that is not minimal", again(algorithm, &longer(signature))),
        ("an algorithm's length that is not minimal", again(&[&[0x30, 0x81], &algorithm[1..]].concat(), signature)),
        ("a length that is not minimal", longer(&whole)),
        ("octets behind it", [&whole[..], &[5, 0]].concat()),
        ("octets behind the signature", again(algorithm, &[signature, &[5, 0]].concat())),
    ]
}

/// Nobody signed that part: whoever carries a list could close its CA with it.
#[test]
fn a_list_whose_unsigned_part_was_changed_on_its_way_closes_nothing_and_the_true_one_is_taken() {
    let ca = rsa();
    let genuine = next(&ca).sign();
    let first = load(&ca, &[&before(&ca)], None);
    for (what, tampered) in tampered(&next(&ca)) {
        for source in [vec![&tampered[..]], vec![&tampered, &before(&ca)]] {
            let loaded = load(&ca, &source, Some(&first));
            assert_eq!((loaded.of(1), loaded.of(5)), (good("5"), revoked("5")), "{what}: {:?}", loaded.alarms);
            assert_eq!(loaded.kinds()[0], AlarmKind::Malformed, "{what}");
            let next = load(&ca, &[&genuine], Some(&loaded));
            assert_eq!((next.of(1), next.of(9), next.alarms.len()), (good("6"), revoked("6"), 0), "{what}");
        }
        for source in [[&tampered, &genuine], [&genuine, &tampered]] {
            for before in [None, Some(&first)] {
                let loaded = load(&ca, &source.map(Vec::as_slice), before);
                assert_eq!((loaded.of(1), loaded.of(9)), (good("6"), revoked("6")), "{what}: {:?}", loaded.alarms);
                assert_eq!(loaded.kinds(), [AlarmKind::Malformed], "{what}");
            }
        }
    }
}

#[test]
fn a_malformed_list_that_is_older_than_the_one_in_force_closes_nothing() {
    let ca = TestCa::root("A");
    let bad = || ca.list().revoke(&[]);
    let hours = |hours: i64| NOW.plus_seconds(hours * 3_600);
    let base = ca.list().number(5).this_update(hours(-2)).sign();
    let negative = |at| bad().number(None).extension(CRL_NUMBER, false, &[0x02, 1, 0x80]).this_update(at).sign();
    for (what, malformed, closes) in [
        ("a lower number", bad().number(4).this_update(hours(-1)).sign(), false),
        ("a lower number and no time", undated(&bad().number(4)), false),
        ("no number and an earlier time", negative(hours(-3)), false),
        ("no number and the same time", negative(hours(-2)), true),
        ("no number and a later time", negative(hours(-1)), true),
        ("the same number", bad().number(5).this_update(hours(-3)).sign(), true),
        ("a greater number and no time", undated(&bad().number(6)), true),
    ] {
        let loaded = load(&ca, &[&base, &malformed], None);
        assert_eq!(is_closed(&loaded, "malformed"), closes, "{what}: {:?}", loaded.of(1));
        assert_eq!(loaded.of(1) == good("5"), !closes, "{what}");
    }
}

/// It closes while its source has it, and until a list comes that is newer than what was in force with it.
#[test]
fn a_malformed_list_that_says_nothing_of_its_age_closes_until_a_newer_one_takes_its_place() {
    let ca = TestCa::root("A");
    let unknown = undated(&next(&ca).number(None));
    let delta = undated(&next(&ca).number(None).delta(5));
    for unknown in [&unknown, &delta] {
        let mut loaded = load(&ca, &[&before(&ca)], None);
        for source in [vec![&unknown[..]], vec![&unknown, &before(&ca)], vec![&before(&ca)], vec![], vec![&unknown]] {
            loaded = load(&ca, &source, Some(&loaded));
            assert!(is_closed(&loaded, "thisUpdate"), "{:?}", loaded.of(1));
        }
        let beside = load(&ca, &[unknown, &last(&ca)], Some(&loaded));
        assert!(matches!(beside.of(1), Standing::Unavailable(_)), "which of them is newer?");
        loaded = load(&ca, &[&last(&ca)], Some(&loaded));
        assert_eq!((loaded.of(1), loaded.alarms), (good("7"), vec![]));
        // A first list ends it where there was none.
        let first = load(&ca, &[unknown], None);
        assert_eq!(load(&ca, &[&last(&ca)], Some(&first)).of(1), good("7"));
    }
}

#[test]
fn a_malformed_list_of_a_ca_without_numbers_closes_by_its_time() {
    let ca = TestCa::root("A");
    let policy = ListPolicy { without_number: WithoutNumber::Accept, ..ListPolicy::default() };
    let at = |hours: i64| ca.list().number(None).this_update(NOW.plus_seconds(hours * 3_600));
    let first = load_with(&ca, policy, &[&at(-3).sign()], None, NOW);
    for (hours, closes) in [(-4, false), (-2, true)] {
        let loaded = load_with(&ca, policy, &[&at(-3).sign(), &at(hours).revoke(&[]).sign()], Some(&first), NOW);
        assert_eq!(is_closed(&loaded, "malformed"), closes, "{hours}");
        let ended = load_with(&ca, policy, &[&at(-1).sign()], Some(&loaded), NOW);
        assert_eq!(ended.alarms, [], "{hours}");
    }
}

#[test]
fn a_malformed_list_of_a_part_closes_until_a_newer_one_of_the_part_comes() {
    let ca = TestCa::root("A");
    let of = |number, point| ca.list().number(number).at_point(point);
    let (one, two) = (of(5, ONE).sign(), of(5, TWO).sign());
    let malformed = of(6, ONE).next_update(NOW.plus_seconds(-2 * DAY)).sign();
    let asked = |loaded: &Loaded, uri: &str| loaded.at(1, &at(uri), NOW);
    let first = load(&ca, &[&one, &two], None);
    let closed = load(&ca, &[&malformed, &two], Some(&first));
    assert!([ONE, TWO].iter().all(|uri| matches!(asked(&closed, uri), Standing::Unavailable(_))));
    let other = load(&ca, &[&malformed, &of(7, TWO).sign()], Some(&closed));
    assert!(matches!(asked(&other, ONE), Standing::Unavailable(_)), "a newer one of another part says nothing");
    let ended = load(&ca, &[&of(7, ONE).sign(), &two], Some(&closed));
    assert_eq!((asked(&ended, ONE), asked(&ended, TWO)), (good("7"), good("5")));
}
