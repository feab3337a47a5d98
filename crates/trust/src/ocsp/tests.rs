use super::answers::{Blame, Change, OcspAnswers};
use super::responder::Responder;
use super::weigh::Listed;
use crate::staleness::Stale;
use crate::{Need, RevocationStatus};
use sekisho_config::{OcspNonce, OcspSource, Placed, WhenStale};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::ocsp::{Answer, AnswerSigner, CertificateStatus, NonceEcho};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

fn responder() -> Responder {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    let source = OcspSource {
        url: Placed { value: "http://r".to_owned(), ..Placed::default() },
        timeout: Duration::from_secs(3),
        refresh: Duration::from_secs(300),
        nonce: OcspNonce::Sent,
    };
    Responder::new(&"ca".into(), &Certificate::parse(certificate.der()).unwrap(), &source).unwrap()
}

fn serial(number: u32) -> SerialNumber {
    SerialNumber::from_der_content(&number.to_be_bytes()).unwrap()
}

fn answer(status: CertificateStatus, holds: i64) -> Answer {
    let fresh_until = NOW.plus_seconds(holds);
    Answer { status, this_update: NOW, fresh_until, signer: AnswerSigner::Authority, nonce: NonceEcho::Absent }
}

const KEY_COMPROMISE: CertificateStatus =
    CertificateStatus::Revoked { at: NOW, reason: RevocationReason::KeyCompromise };
const HOLD: CertificateStatus = CertificateStatus::Revoked { at: NOW, reason: RevocationReason::CertificateHold };

fn listed_good() -> RevocationStatus {
    RevocationStatus::Good { crl_number: Some("7".into()), warning: None }
}

fn listed_old() -> RevocationStatus {
    let warning = Some(Stale { ca: "ca".into(), next_update: NOW });
    RevocationStatus::Good { crl_number: Some("7".into()), warning }
}

fn no_list() -> RevocationStatus {
    RevocationStatus::Unavailable { ca: "ca".into(), why: "no list".to_owned() }
}

/// By lists of the day before all answers.
fn made_before(status: RevocationStatus) -> Listed {
    let made_at = matches!(status, RevocationStatus::Good { .. }).then(|| NOW.plus_seconds(-86_400));
    Listed { status, made_at }
}

fn revoked(status: &RevocationStatus) -> bool {
    matches!(status, RevocationStatus::Revoked { .. })
}

struct World {
    responder: Responder,
    answers: OcspAnswers,
}

impl World {
    fn new() -> Self {
        Self { responder: responder(), answers: OcspAnswers::default() }
    }

    fn answered(&self, status: CertificateStatus, holds: i64) -> Change {
        self.answers.answered(&self.responder, serial(1), answer(status, holds), NOW)
    }

    fn at(&self, seconds: i64, when_stale: WhenStale, listed: RevocationStatus) -> RevocationStatus {
        self.of(1, seconds, when_stale, listed)
    }

    fn of(&self, number: u32, seconds: i64, when_stale: WhenStale, listed: RevocationStatus) -> RevocationStatus {
        let now = NOW.plus_seconds(seconds);
        self.answers.weigh(&self.responder, when_stale, &serial(number), made_before(listed), |_| false, now)
    }

    fn closed(&self, seconds: i64, listed: RevocationStatus) -> RevocationStatus {
        self.at(seconds, WhenStale::Closed, listed)
    }

    fn fail(&self, seconds: i64) {
        self.answers.failed(&self.responder, serial(1), Blame::Responder, "no answer", NOW.plus_seconds(seconds));
    }
}

#[test]
fn nobody_is_good_before_the_responder_was_asked_whatever_a_list_says() {
    let world = World::new();
    let need = Need::Answer { issuer: world.responder.authority(), serial: serial(1) };
    for listed in [listed_good(), listed_old(), no_list()] {
        let pending = RevocationStatus::Pending { ca: "ca".into(), need: need.clone() };
        assert_eq!(world.closed(0, listed), pending);
    }
    let by_list = RevocationStatus::Revoked { at: NOW, reason: RevocationReason::Unspecified, crl_number: None };
    assert_eq!(world.closed(0, by_list.clone()), by_list);
}

#[test]
fn an_answer_decides_while_it_holds_and_is_asked_for_again_when_it_is_over() {
    let world = World::new();
    assert_eq!(world.answered(CertificateStatus::Good, 60), Change::None);
    let good = RevocationStatus::Good { crl_number: None, warning: None };
    assert_eq!(world.closed(40, no_list()), good);
    assert_eq!(world.closed(40, listed_good()), listed_good(), "with the number of the list beside it");
    assert!(matches!(world.closed(61, listed_good()), RevocationStatus::Pending { .. }));
    assert_eq!(world.answered(CertificateStatus::Unknown, 3600), Change::None);
    assert!(matches!(world.closed(30, listed_good()), RevocationStatus::Unavailable { .. }));
    assert!(
        matches!(world.closed(31, listed_good()), RevocationStatus::Pending { .. }),
        "unknown holds for 30 seconds"
    );
}

#[test]
fn a_revocation_stands_and_a_hold_stands_until_another_answer() {
    let world = World::new();
    assert_eq!(world.answered(KEY_COMPROMISE, 60), Change::NowRevoked);
    assert_eq!(world.answered(KEY_COMPROMISE, 60), Change::None, "it was known");
    assert!(revoked(&world.closed(i64::from(u32::MAX), listed_good())));
    let world = World::new();
    assert_eq!(world.answered(HOLD, 60), Change::NowRevoked);
    assert!(revoked(&world.closed(60, listed_good())));
    assert!(matches!(world.closed(61, listed_good()), RevocationStatus::Pending { .. }));
    world.fail(61);
    assert!(revoked(&world.at(62, WhenStale::ReportOnly, no_list())), "nobody told that it was released");
    assert_eq!(world.answered(CertificateStatus::Good, 60), Change::None);
    assert!(matches!(world.closed(0, no_list()), RevocationStatus::Good { .. }));
}

#[test]
fn a_responder_that_was_asked_in_vain_leaves_it_to_a_fresh_list_or_the_policy() {
    let grace = WhenStale::Grace(Duration::from_secs(100));
    let world = World::new();
    world.answered(CertificateStatus::Good, 60);
    world.fail(61);
    let tolerated = RevocationStatus::Good {
        crl_number: None,
        warning: Some(Stale { ca: "ca".into(), next_update: NOW.plus_seconds(60) }),
    };
    assert_eq!(world.closed(62, listed_good()), listed_good());
    assert_eq!(world.at(62, grace, no_list()), tolerated);
    assert_eq!(world.at(62, WhenStale::Open, no_list()), tolerated);
    let RevocationStatus::Unavailable { why, .. } = world.closed(62, no_list()) else {
        panic!("closed");
    };
    assert_eq!(why, "the OCSP responder http://r: no answer; no list");
    world.fail(160);
    assert_eq!(world.at(160, grace, no_list()), tolerated);
    assert!(matches!(world.at(161, grace, no_list()), RevocationStatus::Unavailable { .. }));
    // After the back-off it is worth asking again.
    assert!(matches!(world.closed(1000, no_list()), RevocationStatus::Pending { .. }));
    assert_eq!(world.closed(1000, listed_good()), listed_good(), "nobody waits where a list says it");
}

#[test]
fn a_good_answer_by_a_responder_that_the_ca_revoked_is_none() {
    let world = World::new();
    let by_delegate = Answer { signer: AnswerSigner::Delegate(serial(9)), ..answer(CertificateStatus::Good, 60) };
    world.answers.answered(&world.responder, serial(1), by_delegate, NOW);
    let status = |is_revoked: bool| {
        let lists = |asked: &SerialNumber| is_revoked && *asked == serial(9);
        world.answers.weigh(&world.responder, WhenStale::Closed, &serial(1), made_before(listed_good()), lists, NOW)
    };
    assert_eq!(status(false), listed_good());
    assert!(matches!(status(true), RevocationStatus::Pending { .. }));
}

#[test]
fn three_failures_in_a_row_are_left_alone_for_a_while_and_one_answer_ends_that() {
    let world = World::new();
    let authority = world.responder.authority();
    let backs_off = |seconds| world.answers.backs_off(&authority, NOW.plus_seconds(seconds)).is_some();
    world.fail(0);
    world.fail(0);
    assert!(!backs_off(0) && world.answers.down(&authority).is_none());
    world.fail(0);
    assert!(backs_off(1) && !backs_off(3));
    assert_eq!(world.answers.down(&authority).unwrap().0, NOW);
    assert!(world.answers.probes(NOW).is_empty());
    assert_eq!(world.answers.probes(NOW.plus_seconds(3)), [(authority, serial(1))]);
    // It grows to a minute, and half of it more, and not beyond.
    (0..20).for_each(|round| world.fail(round * 100));
    assert!(backs_off(1900 + 60) && !backs_off(1900 + 92));
    world.answered(CertificateStatus::Good, 60);
    assert!(!backs_off(1900) && world.answers.down(&authority).is_none() && world.answers.probes(NOW).is_empty());
}

#[test]
fn an_answer_is_renewed_ahead_of_its_end_with_time_for_two_tries() {
    let responder = responder();
    for (holds, earliest, latest) in [(3600, 270, 300), (60, 41, 45), (20, 9, 12), (10, 5, 5), (2, 1, 1), (0, 1, 1)] {
        for _ in 0..50 {
            let wait = responder.refresh_at(NOW.plus_seconds(holds), NOW).unix() - NOW.unix();
            assert!((earliest..=latest).contains(&wait), "{holds}: {wait}");
        }
    }
}

#[test]
fn what_is_kept_is_bounded_and_a_revocation_goes_last() {
    let world = World { responder: responder(), answers: OcspAnswers::with_room(64) };
    let keep = |number: u32, status| {
        world.answers.answered(&world.responder, serial(number * 256), answer(status, i64::from(number)), NOW)
    };
    // 64 in each of the 64 shards.
    assert_eq!(keep(1, KEY_COMPROMISE), Change::NowRevoked);
    for number in 2..20_000 {
        keep(number, CertificateStatus::Good);
    }
    assert!((2048..=64 * 64).contains(&world.answers.len()), "{}", world.answers.len());
    assert_eq!(keep(1, KEY_COMPROMISE), Change::None, "it was let go of");
    // Failures alone fill it neither.
    for number in 20_000..40_000 {
        world.answers.failed(&world.responder, serial(number * 256), Blame::Answer, "no", NOW);
    }
    assert!(world.answers.len() <= 64 * 64, "{}", world.answers.len());
    assert_eq!(keep(1, KEY_COMPROMISE), Change::None, "it was let go of");
}

#[test]
fn a_hold_stands_against_a_list_that_is_older_when_the_responder_goes_away() {
    let world = World::new();
    world.answered(HOLD, 60);
    world.fail(61);
    assert!(revoked(&world.closed(62, listed_good())), "the list was made before the hold");
    assert!(revoked(&world.at(62, WhenStale::Open, listed_old())));
    let by_list_of = |seconds| {
        let listed = Listed { status: listed_good(), made_at: Some(NOW.plus_seconds(seconds)) };
        let now = NOW.plus_seconds(62);
        world.answers.weigh(&world.responder, WhenStale::Closed, &serial(1), listed, |_| false, now)
    };
    assert!(revoked(&by_list_of(0)), "of the same second: which came first is not known");
    assert_eq!(by_list_of(1), listed_good(), "a list that was made since tells that it was released");
}

#[test]
fn an_older_answer_takes_the_place_of_no_newer_one() {
    let world = World::new();
    let held = Answer { this_update: NOW.plus_seconds(-60), ..answer(HOLD, 600) };
    let replayed = Answer { this_update: NOW.plus_seconds(-61), ..answer(CertificateStatus::Good, 600) };
    world.answers.answered(&world.responder, serial(1), held, NOW);
    world.answers.answered(&world.responder, serial(1), replayed, NOW);
    assert!(revoked(&world.closed(0, listed_good())));
    let released = Answer { this_update: NOW.plus_seconds(-60), ..replayed };
    world.answers.answered(&world.responder, serial(1), released, NOW);
    assert_eq!(world.closed(0, listed_good()), listed_good());
}

#[test]
fn a_revocation_by_a_responder_that_the_ca_revoked_later_stands() {
    let world = World::new();
    let by_delegate = Answer { signer: AnswerSigner::Delegate(serial(9)), ..answer(KEY_COMPROMISE, 60) };
    world.answers.answered(&world.responder, serial(1), by_delegate, NOW);
    let lists = |asked: &SerialNumber| *asked == serial(9);
    let status =
        world.answers.weigh(&world.responder, WhenStale::Closed, &serial(1), made_before(listed_good()), lists, NOW);
    assert!(revoked(&status), "{status:?}");
}

#[test]
fn a_clock_set_back_leaves_nobody_alone_for_as_long() {
    let world = World::new();
    let authority = world.responder.authority();
    (0..3).for_each(|_| world.fail(0));
    let before = NOW.plus_seconds(-86_400);
    assert!(world.answers.backs_off(&authority, before).is_none());
    assert_eq!(world.answers.probes(before), [(authority, serial(1))]);
    assert!(world.answers.is_due(authority, serial(1), before));
    world.answered(CertificateStatus::Good, 86_400);
    assert!(!world.answers.is_due(authority, serial(1), NOW));
    assert!(world.answers.is_due(authority, serial(1), before), "an answer is renewed");
}

#[test]
fn serial_numbers_that_end_alike_do_not_crowd_each_other_out() {
    let world = World { responder: responder(), answers: OcspAnswers::with_room(64) };
    for number in 0..640 {
        world.answers.answered(&world.responder, serial(number * 256), answer(CertificateStatus::Good, 60), NOW);
    }
    assert_eq!(world.answers.len(), 640);
}

#[test]
fn only_what_is_its_own_fault_has_a_responder_left_alone_and_who_was_not_asked_was_not_asked_in_vain() {
    let world = World::new();
    let authority = world.responder.authority();
    let of_another = || world.of(2, 1, WhenStale::Closed, listed_good());
    let fail = |blame| world.answers.failed(&world.responder, serial(1), blame, "no answer", NOW);
    for _ in 0..10 {
        fail(Blame::Answer);
        fail(Blame::Nobody);
    }
    assert!(world.answers.backs_off(&authority, NOW).is_none() && world.answers.down(&authority).is_none());
    world.answers.failed(&world.responder, serial(3), Blame::Nobody, "busy", NOW);
    let of_third = |seconds| world.of(3, seconds, WhenStale::Closed, listed_good());
    assert!(matches!(of_third(1), RevocationStatus::Unavailable { .. }), "no CRL stands in");
    assert!(matches!(of_third(3), RevocationStatus::Pending { .. }));
    assert!(matches!(world.of(2, 3, WhenStale::Closed, listed_good()), RevocationStatus::Pending { .. }));
    // Three that it did not answer: it is away, and a fresh list stands in for whoever comes.
    (0..3).for_each(|_| fail(Blame::Responder));
    assert!(world.answers.backs_off(&authority, NOW).is_some());
    assert!(!world.answers.is_due(authority, serial(2), NOW), "nobody is asked about meanwhile");
    assert_eq!(of_another(), listed_good());
    assert!(matches!(world.of(2, 1, WhenStale::Closed, no_list()), RevocationStatus::Unavailable { .. }));
    assert!(matches!(world.of(2, 99, WhenStale::Closed, no_list()), RevocationStatus::Pending { .. }));
    // Whatever it answers about anybody, it is back, and everybody else is asked about again.
    fail(Blame::Answer);
    assert!(world.answers.down(&authority).is_none());
    assert!(matches!(of_another(), RevocationStatus::Pending { .. }));
}

#[test]
fn an_answer_older_than_refresh_is_asked_anew_and_serves_only_where_that_has_no_result() {
    let world = World::new();
    let day = 86_400;
    world.answered(CertificateStatus::Good, day);
    assert_eq!(world.closed(269, listed_good()), listed_good());
    // `refresh` is 300 s, and it holds for a day.
    for listed in [listed_good(), listed_old(), no_list()] {
        assert!(matches!(world.closed(301, listed), RevocationStatus::Pending { .. }));
    }
    assert!(matches!(world.at(301, WhenStale::Open, listed_good()), RevocationStatus::Pending { .. }));
    // No place for the question is no result of it.
    world.answers.failed(&world.responder, serial(1), Blame::Nobody, "busy", NOW.plus_seconds(301));
    assert!(matches!(world.closed(301, listed_good()), RevocationStatus::Pending { .. }));
    world.fail(301);
    let good = RevocationStatus::Good { crl_number: None, warning: None };
    assert_eq!(world.closed(302, no_list()), good);
    assert!(matches!(world.closed(310, no_list()), RevocationStatus::Pending { .. }), "after the pause, once more");
    (0..2).for_each(|_| world.fail(310));
    assert_eq!(world.closed(311, no_list()), good, "nobody waits for a responder that is away");
    // What it said was revoked stays so, and an answer that has ended is none.
    assert!(matches!(world.closed(day + 1_000, no_list()), RevocationStatus::Pending { .. }));
    world.answered(KEY_COMPROMISE, day);
    assert!(revoked(&world.closed(301, listed_good())));
}

/// Else whoever keeps all places taken has a stream go on for ever.
#[test]
fn a_question_that_found_no_place_keeps_no_answer_in_force_that_has_ended() {
    let world = World::new();
    let busy = |seconds| {
        world.answers.failed(&world.responder, serial(1), Blame::Nobody, "busy", NOW.plus_seconds(seconds));
    };
    world.answered(CertificateStatus::Good, 60);
    busy(61);
    assert!(matches!(world.closed(62, listed_good()), RevocationStatus::Unavailable { .. }));
    assert!(matches!(world.at(62, WhenStale::Open, no_list()), RevocationStatus::Good { warning: Some(_), .. }));
    assert!(matches!(world.closed(64, listed_good()), RevocationStatus::Pending { .. }), "then it is asked again");
    // After failures it is no other.
    world.fail(64);
    busy(70);
    assert!(matches!(world.closed(71, no_list()), RevocationStatus::Unavailable { .. }));
}
