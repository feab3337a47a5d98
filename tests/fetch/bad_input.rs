//! Whatever a server answers that is not a newer list of the CA that asked: refused by its reason, and the list that is
//! kept stays.

use crate::ground::{Ground, list};
use crate::lists::{CA_USAGES, ISSUING_DISTRIBUTION_POINT, TestCa, element};
use crate::server::{Answer, ok};
use rcgen::{BasicConstraints, IsCa};
use sekisho_pki::serial::SerialNumber;
use sekisho_runtime::clock;
use sekisho_trust::sources::{FetchOutcome, Fetched};
use sekisho_trust::{Question, RevocationStatus};

const ONLY_USERS: &[u8] = &[0x81, 1, 0xff];

/// Asks once more, of a server that now answers so, and expects this outcome and nothing else to have changed.
#[track_caller]
fn refused(what: &str, answer: impl FnOnce(&Ground) -> Answer, fetch: &str, outcome: &str) -> Ground {
    let ground = Ground::kept_with(fetch);
    let before = ground.files();
    ground.server.answer(answer(&ground));
    ground.follow();
    ground.fetcher.want("a");
    let report = ground.next();
    assert_eq!(FetchOutcome::of(&report.outcome).as_str(), outcome, "{what}: {report:?}");
    assert_eq!(ground.files(), before, "{what}: another list is kept, or something was left behind");
    let status = ground.status();
    assert_eq!(status.failures, 1, "{what}");
    assert_eq!(status.list.unwrap().number.as_deref(), Some("5"), "{what}");
    assert!(is_revoked(&ground, 7), "{what}: what the kept list revokes is revoked");
    ground
}

fn is_revoked(ground: &Ground, serial: u8) -> bool {
    let serial = SerialNumber::from_der_content(&[serial]).unwrap();
    let issuer = ground.ca.certificate.authority_key();
    let question = Question::client(&issuer, &serial);
    matches!(ground.loaded().revocation(&question, clock::now()), RevocationStatus::Revoked { .. })
}

fn body(list: Vec<u8>) -> Answer {
    Answer::Raw(ok(&list, ""))
}

#[test]
fn what_is_no_list_is_refused() {
    let garbage = |_: &Ground| body(b"<html>Not the list you are looking for</html>".to_vec());
    refused("garbage", garbage, "", "malformed");
    refused("nothing", |_| body(Vec::new()), "", "unreadable");
    let cut = |ground: &Ground| {
        let whole = list(&ground.ca, 6).sign();
        body(whole[..whole.len() / 2].to_vec())
    };
    refused("half a list, as if it were whole", cut, "", "malformed");
    let two = |ground: &Ground| body([list(&ground.ca, 6).sign(), list(&ground.ca, 7).sign()].concat());
    refused("octets after a list", two, "", "malformed");
}

#[test]
fn an_answer_that_ends_early_is_refused_before_it_is_looked_at() {
    let cut = |ground: &Ground| {
        let whole = ok(&list(&ground.ca, 6).sign(), "");
        Answer::Raw(whole[..whole.len() - 10].to_vec())
    };
    refused("a truncated answer", cut, "", "interrupted");
}

#[test]
fn a_list_of_a_gigabyte_is_neither_read_nor_kept() {
    let announced = |_: &Ground| {
        Answer::Endless(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1_u64 << 30).into_bytes())
    };
    let ground = refused("a gigabyte, announced", announced, "", "too-large");
    assert!(ground.server.sent() < 16 << 20, "{}", ground.server.sent());
    let unannounced = |_: &Ground| Answer::Endless(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec());
    let ground = refused("without end or length", unannounced, "list_bytes = \"1MiB\"", "too-large");
    // What the sockets hold beside the limit.
    assert!(ground.server.sent() < 24 << 20, "{}", ground.server.sent());
}

#[test]
fn an_answer_that_drips_ends_before_the_timeout() {
    let drip = |_: &Ground| Answer::Drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n".to_vec());
    refused("some octets a second", drip, "timeout = \"60s\"", "too-slow");
}

#[test]
fn an_answer_that_does_not_come_ends_at_the_timeout() {
    refused("silence", |_| Answer::Silence, "timeout = \"1s\"", "timeout");
    let head = |_: &Ground| Answer::Drip(b"HTTP/1.1 200 OK\r\nX-Slow: ".to_vec());
    refused("a head that does not end", head, "timeout = \"1s\"", "timeout");
}

#[test]
fn a_redirect_is_not_followed_wherever_it_leads() {
    // To a list that would be taken, at the very same server.
    let elsewhere = Ground::kept_with("");
    let newer = list(&elsewhere.ca, 9).sign();
    elsewhere.server.answer(Answer::List(newer));
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let location = elsewhere.server.url();
        let asked = elsewhere.server.requests().len();
        let redirect = |_: &Ground| {
            let head = format!("HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
            Answer::Raw(head.into_bytes())
        };
        refused(status, redirect, "", "redirected");
        assert_eq!(elsewhere.server.requests().len(), asked, "{status} was followed");
    }
}

#[test]
fn a_status_that_is_no_answer_is_refused() {
    for status in ["404 Not Found", "500 Internal Server Error", "204 No Content", "206 Partial Content"] {
        let answer = |ground: &Ground| {
            let list = list(&ground.ca, 6).sign();
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", list.len());
            Answer::Raw([head.as_bytes(), &list].concat())
        };
        refused(status, answer, "", "status");
    }
}

#[test]
fn a_content_coding_is_refused() {
    let coded = |ground: &Ground| Answer::Raw(ok(&list(&ground.ca, 6).sign(), "Content-Encoding: gzip\r\n"));
    refused("gzip", coded, "", "encoded");
}

#[test]
fn a_server_that_is_not_there_or_speaks_no_http_is_told() {
    refused("a closed connection", |_| Answer::Close, "", "unreachable");
    refused("SSH", |_| Answer::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), "", "unreachable");
}

#[test]
fn a_list_of_another_key_is_refused() {
    // Of the same name.
    refused("another key's", |_| body(list(&TestCa::root("A"), 6).sign()), "", "bad-signature");
    refused("a stranger's", |_| body(list(&TestCa::root("C"), 6).sign()), "", "unknown-issuer");
    let tampered = |ground: &Ground| {
        let mut list = list(&ground.ca, 6).sign();
        *list.last_mut().unwrap() ^= 1;
        body(list)
    };
    refused("tampered with", tampered, "", "bad-signature");
}

#[test]
fn a_list_of_another_ca_that_is_trusted_too_is_refused() {
    refused("b's list", |ground| body(list(&ground.other, 6).sign()), "", "unknown-issuer");
}

#[test]
fn a_list_that_one_ca_signed_for_another_of_its_name_needs_the_right_to() {
    let ground = Ground::kept_with("");
    // Below a, of a's name, but not configured: its key is nobody's.
    let below = TestCa::new("A", CA_USAGES, IsCa::Ca(BasicConstraints::Unconstrained), 3, Some(&ground.ca));
    ground.server.answer(body(list(&below, 6).sign()));
    ground.follow();
    ground.fetcher.want("a");
    assert_eq!(FetchOutcome::of(&ground.next().outcome).as_str(), "bad-signature");
}

#[test]
fn an_older_list_is_refused() {
    let hour_ago = clock::now().plus_seconds(-3_600);
    refused("a lower number", |ground| body(list(&ground.ca, 4).this_update(clock::now()).sign()), "", "rolled-back");
    let earlier = |ground: &Ground| body(list(&ground.ca, 6).this_update(hour_ago.plus_seconds(-60)).sign());
    refused("an earlier thisUpdate", earlier, "", "rolled-back");
}

#[test]
fn a_list_from_the_future_is_refused() {
    let future = |ground: &Ground| body(list(&ground.ca, 6).this_update(clock::now().plus_seconds(3_600)).sign());
    refused("a future thisUpdate", future, "", "from-the-future");
}

#[test]
fn a_list_without_number_or_next_update_is_refused_unless_its_ca_may_leave_it_out() {
    refused("no number", |ground| body(list(&ground.ca, 6).number(None).sign()), "", "no-number");
    refused("no nextUpdate", |ground| body(list(&ground.ca, 6).next_update(None).sign()), "", "no-next-update");
    let lenient = Ground::with("", |url| {
        format!("{{ crl_urls = [\"{url}\"], without_number = \"accept\", without_next_update = \"24h\" }}")
    });
    lenient.server.answer(body(list(&lenient.ca, 6).number(None).next_update(None).sign()));
    assert_eq!(lenient.prime()[0].outcome, Ok(Fetched::New));
}

#[test]
fn a_list_of_other_certificates_does_not_take_the_place_of_a_fresh_one() {
    let part = |ground: &Ground| {
        let only_users = element(0x30, ONLY_USERS);
        body(list(&ground.ca, 6).extension(ISSUING_DISTRIBUTION_POINT, true, &only_users).sign())
    };
    refused("a part of the scope", part, "", "other-scope");
}

#[test]
fn after_any_refusal_the_next_good_list_is_taken() {
    let ground = refused("garbage", |_| body(b"garbage".to_vec()), "", "malformed");
    ground.server.answer(Answer::List(list(&ground.ca, 6).revoke(&[7]).revoke(&[8]).sign()));
    ground.fetcher.want("a");
    assert_eq!(ground.next().outcome, Ok(Fetched::New));
    assert!(is_revoked(&ground, 8));
    assert_eq!(ground.status().failures, 0);
}

#[test]
fn failures_back_off() {
    let ground = refused("silence", |_| Answer::Close, "interval = \"7d\"", "unreachable");
    for failures in 2..=3 {
        ground.fetcher.want("a");
        ground.next();
        let status = ground.status();
        assert_eq!(status.failures, failures);
        // Two seconds doubled each time, of which half at least; whole seconds are told.
        let pause = 2_i64 << (failures - 1);
        let due = status.due_at.unwrap().unix() - status.tried_at.unwrap().unix();
        assert!((pause / 2 - 1..=pause + 1).contains(&due), "{failures} {due}");
    }
}

#[test]
fn a_reload_meanwhile_takes_nothing_away_from_a_download_under_way() {
    let ground = Ground::kept_with("timeout = \"20s\"");
    let next = ok(&list(&ground.ca, 6).revoke(&[8]).sign(), "");
    ground.server.answer(Answer::Slow(next));
    ground.follow();
    ground.fetcher.want("a");
    crate::common::wait_until("the download is under way", || {
        ground.files().0.iter().any(|name| name.starts_with('.'))
    });
    ground.follow();
    assert_eq!(ground.next().outcome, Ok(Fetched::New));
    assert!(is_revoked(&ground, 8));
}

#[test]
fn what_a_server_writes_is_told_up_to_256_characters() {
    for (length, told) in [(256, 256), (257, 257), (30_000, 257)] {
        let text = "x".repeat(length);
        let redirect = |_: &Ground| {
            Answer::Raw(format!("HTTP/1.1 302 Found\r\nLocation: {text}\r\nContent-Length: 0\r\n\r\n").into_bytes())
        };
        let coded =
            |ground: &Ground| Answer::Raw(ok(&list(&ground.ca, 6).sign(), &format!("Content-Encoding: {text}\r\n")));
        for ground in [refused("a redirect", redirect, "", "redirected"), refused("a coding", coded, "", "encoded")] {
            let Some(Err(error)) = ground.status().outcome else { panic!("no error") };
            let shown = error.to_string().chars().filter(|character| "x…".contains(*character)).count();
            // "redirect" and "coding" have no x of their own.
            assert_eq!(shown, told, "{length}: {error}");
        }
    }
}

#[test]
fn a_list_of_as_many_octets_as_may_be_is_taken_and_one_octet_more_is_not() {
    let long = |ground: &Ground| (1..60).fold(list(&ground.ca, 6), |list, serial| list.revoke(&[1, serial])).sign();
    // Signatures of P-256 vary by an octet or two: every fourth list is one longer than every second.
    let octets = {
        let ground = Ground::new("");
        (0..64).map(|_| long(&ground).len()).max().unwrap() - 1
    };
    let plain = |ground: &Ground, length: usize| {
        // Not announced, so that it is counted as it comes.
        let mut body = long(ground);
        while body.len() != length {
            body = long(ground);
        }
        Answer::Raw([b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", body.as_slice()].concat())
    };
    let ground = Ground::kept_with(&format!("list_bytes = {octets}"));
    ground.server.answer(plain(&ground, octets));
    ground.follow();
    ground.fetcher.want("a");
    assert_eq!(ground.next().outcome.unwrap(), Fetched::New);
    refused("one octet more", |ground| plain(ground, octets + 1), &format!("list_bytes = {octets}"), "too-large");
}
