//! A responder that lies, is silent or is away, and lists beside it (requirements R1, R4): what is not told for certain
//! refuses, unless the CA's policy says otherwise.

use crate::asked::{ALERT, Asked, PAGE, now, reason};
use crate::common::{
    ClientRequest, KeyKind, Setup, Signal, Signer, TlsClient, TlsConnection, Version, WebSocket, alert, verified,
    wait_until,
};
use crate::responder::{AnswerBuilder, Behaviour, Says, certificate_id, declined, http, nonce};
use rcgen::ExtendedKeyUsagePurpose;
use rustls::AlertDescription;
use std::sync::{Arc, Mutex};

const LISTS: &str = ", crl = [\"crl.pem\"]";

/// A certificate of the CA for answering, or what looks like one.
fn issue_responder(asked: &Asked, name: &str, signer: Signer, usages: &[ExtendedKeyUsagePurpose]) {
    let mut parameters = ClientRequest::good(name, now()).parameters().unwrap();
    parameters.extended_key_usages = usages.to_vec();
    let key = KeyKind::EcdsaP256.generate().unwrap();
    asked.pki.issue(name, signer, &parameters, &key).unwrap();
}

/// Answers of a signer that sends its certificate along.
fn signed_by(asked: &Asked, signer: &str) -> Behaviour {
    let (certificate, key) = asked.signer(signer);
    Behaviour::Makes(Box::new(move |question| {
        AnswerBuilder::good(&certificate_id(question), &certificate, now()).with_certificate(&certificate).sign(&key)
    }))
}

/// Answers of the CA, changed.
fn changed(asked: &Asked, change: impl Fn(AnswerBuilder, &[u8]) -> AnswerBuilder + Send + 'static) -> Behaviour {
    let (ca, key) = asked.issuing_ca();
    Behaviour::Makes(Box::new(move |question| {
        change(AnswerBuilder::good(&certificate_id(question), &ca, now()), question).sign(&key)
    }))
}

#[test]
fn whatever_is_no_answer_admits_nobody_and_is_counted_by_what_is_wrong_with_it() {
    let asked = Asked::new("", "");
    issue_responder(&asked, "responder-without-usage", Signer::Issuing, &[ExtendedKeyUsagePurpose::ClientAuth]);
    issue_responder(&asked, "responder-any", Signer::Issuing, &[ExtendedKeyUsagePurpose::Any]);
    issue_responder(&asked, "responder-of-root", Signer::Root, &[ExtendedKeyUsagePurpose::OcspSigning]);
    issue_responder(&asked, "responder-of-other", Signer::OtherIssuing, &[ExtendedKeyUsagePurpose::OcspSigning]);
    let (other, other_key) = asked.signer("other-issuing-ca");
    let day = 86_400;
    let cases: Vec<(&str, &str, Behaviour)> = vec![
        ("closed at once", "unreachable", Behaviour::Closes),
        ("silent", "timeout", Behaviour::IsSilent),
        ("half an answer", "unreachable", Behaviour::Says(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n0".to_vec())),
        ("garbage", "unreachable", Behaviour::Says(b"\x16\x03\x01garbage\r\n\r\n".to_vec())),
        ("an error", "http-status", Behaviour::Says(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".to_vec())),
        (
            "a redirect",
            "http-status",
            Behaviour::Says(
                b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".to_vec(),
            ),
        ),
        ("a page", "malformed", Behaviour::Says(http(b"<html>logged out</html>"))),
        ("nothing", "malformed", Behaviour::Says(http(b""))),
        ("100 kB", "too-large", Behaviour::Says(http(&vec![0x30; 100_000]))),
        ("tryLater", "declined", Behaviour::Says(http(&declined(3)))),
        ("unauthorized", "declined", Behaviour::Says(http(&declined(6)))),
        (
            "the other CA of the same name",
            "wrong-signature",
            Behaviour::Makes(Box::new(move |question| {
                AnswerBuilder::good(&certificate_id(question), &other, now()).sign(&other_key)
            })),
        ),
        ("a client's certificate", "wrong-signer", signed_by(&asked, "client-good")),
        ("no OCSPSigning", "wrong-signer", signed_by(&asked, "responder-without-usage")),
        ("any usage", "wrong-signer", signed_by(&asked, "responder-any")),
        ("certified by the root", "wrong-signer", signed_by(&asked, "responder-of-root")),
        ("certified by the other CA", "wrong-signer", signed_by(&asked, "responder-of-other")),
        (
            "another serial's",
            "other-certificate",
            changed(&asked, move |mut answer, _| {
                // The serial number is what stands last.
                *answer.about[0].0.last_mut().unwrap() ^= 1;
                answer
            }),
        ),
        (
            "over",
            "stale",
            changed(&asked, move |answer, _| answer.times(now().plus_seconds(-2 * day), Some(now().plus_seconds(-1)))),
        ),
        (
            "old, without an end",
            "stale",
            changed(&asked, move |answer, _| answer.times(now().plus_seconds(-day), None)),
        ),
        (
            "of tomorrow",
            "from-the-future",
            changed(&asked, move |answer, _| answer.times(now().plus_seconds(day), Some(now().plus_seconds(2 * day)))),
        ),
        ("for another question", "wrong-nonce", changed(&asked, |answer, _| answer.nonce(&[7; 32]))),
    ];
    for (number, (what, outcome, behaviour)) in cases.into_iter().enumerate() {
        // A responder that fails is left alone after a while: each case has an answer before it.
        asked.answers(|answer| answer);
        let spare = format!("client-spare-{number}");
        asked.pki.client(&spare, &format!("00009876543 spare{number} 1635"));
        wait_until("the responder is believed again", || asked.get(&spare, ALERT).status == 200);
        let name = format!("client-{number}");
        asked.pki.client(&name, &format!("00009876543 case{number} 1635"));
        asked.front.now(behaviour);
        let (reached, counted) = (asked.reached(), asked.outcomes(outcome));
        let site = if number % 2 == 0 { ALERT } else { PAGE };
        assert_eq!(reason(&asked.get(&name, site)), "revocation-unavailable", "{what}");
        assert_eq!(asked.reached(), reached, "{what}");
        let counted = asked.outcomes(outcome) - counted;
        assert!((counted - 1.0).abs() < f64::EPSILON, "{what}: {outcome} {counted}\n{}", asked.gateway.output());
    }
}

#[test]
fn a_responder_that_the_ca_certified_answers_until_the_ca_revokes_it() {
    let mut asked = Asked::new("", LISTS);
    issue_responder(&asked, "responder", Signer::Issuing, &[ExtendedKeyUsagePurpose::OcspSigning]);
    for (number, revoked) in [false, true].into_iter().enumerate() {
        let names = [number * 2, number * 2 + 1].map(|number| format!("client-{number}"));
        for (user, name) in names.iter().enumerate() {
            asked.pki.client(name, &format!("00009876543 user{number}{user} 1635"));
        }
        if revoked {
            asked.pki.revoke_client("responder");
            wait_until("the list is in force", || asked.gateway.metric(r#"sekisho_crl_entries{ca="issuing"}"#) > 1.5);
        }
        let says = Says::Revoked(1);
        let responder = asked.openssl("responder", &[(&names[0], Says::Good), (&names[1], says)], &["-nmin", "5"]);
        asked.front.now(Behaviour::To(responder.address()));
        assert_eq!(asked.get(&names[0], ALERT).status, 200);
        let told = asked.get(&names[1], ALERT).status;
        // A revoked responder's word counts for nothing, and the fresh list says good.
        assert_eq!(told, if revoked { 200 } else { 403 });
        assert!((asked.outcomes("wrong-signer") > 0.0) == revoked);
    }
}

#[test]
fn revoked_by_either_is_revoked_and_a_fresh_list_stands_in_for_a_responder_that_is_away() {
    let mut asked = Asked::new("", LISTS);
    let says = asked.answers(|answer| answer);
    // On the list, good at the responder: refused in the handshake, and nobody asks.
    let error = TlsClient::new(&asked.pki, Some("client-revoked"), Version::Tls13)
        .get(&asked.gateway, ALERT, "/echo")
        .map(|(response, _)| response.status)
        .unwrap_err();
    assert_eq!((alert(&error), asked.front.questions()), (Some(AlertDescription::CertificateRevoked), 0));
    // On no list, revoked at the responder.
    *says.lock().unwrap() = Says::Revoked(1);
    assert_eq!(reason(&asked.get("client-rsa", ALERT)), "revoked");
    // Unknown at the responder is an answer, and no good one.
    *says.lock().unwrap() = Says::Unknown;
    assert_eq!(reason(&asked.get("client-no-user-id", ALERT)), "revocation-unavailable");
    // No responder: the list says it.
    asked.front.now(Behaviour::Closes);
    assert_eq!(asked.get("client-good", ALERT).status, 200);
    assert_eq!(asked.gateway.admin_get("/readyz").0, 200);
    asked.pki.revoke_client("client-good");
    wait_until("the list's revocation counts", || {
        TlsClient::new(&asked.pki, Some("client-good"), Version::Tls13).get(&asked.gateway, ALERT, "/echo").is_err()
    });
}

#[test]
fn a_nonce_is_sent_and_can_be_required() {
    for (nonces, echoed, status) in [
        ("required", true, 200),
        ("required", false, 403),
        ("sent", true, 200),
        ("sent", false, 200),
        ("off", false, 200),
    ] {
        let asked = Asked::new(&format!(", nonce = \"{nonces}\""), "");
        let seen = Arc::new(Mutex::new(None));
        let told = seen.clone();
        asked.front.now(changed(&asked, move |answer, question| {
            *told.lock().unwrap() = nonce(question);
            match nonce(question) {
                Some(nonce) if echoed => answer.nonce(&nonce),
                _ => answer,
            }
        }));
        assert_eq!(asked.get("client-good", ALERT).status, status, "{nonces} {echoed}");
        let seen = seen.lock().unwrap().clone();
        assert_eq!(seen.map(|nonce| nonce.len()), (nonces != "off").then_some(32), "{nonces}");
    }
}

/// A live client of a responder whose answers hold for three seconds, and the responder, still there.
fn with_short_answers(sources: &str) -> (Asked, WebSocket<TlsConnection>) {
    let asked = Asked::new(", timeout = \"1s\"", sources);
    asked.answers(|answer| answer.times(now(), Some(now().plus_seconds(3))));
    let connection =
        TlsClient::new(&asked.pki, Some("client-good"), Version::Tls13).connect(&asked.gateway, ALERT).unwrap();
    let mut socket = WebSocket::open(connection, ALERT);
    assert_eq!(socket.echo("open").unwrap(), "open");
    (asked, socket)
}

#[test]
fn answers_of_live_connections_are_renewed_ahead_of_their_end() {
    let (asked, mut socket) = with_short_answers("");
    let began = now();
    wait_until("three lifetimes are over", || {
        assert_eq!(socket.echo("still").unwrap(), "still");
        now() > began.plus_seconds(9)
    });
    assert!(asked.front.questions() >= 4, "{}", asked.front.questions());
}

#[test]
fn a_responder_that_goes_away_closes_its_ca_and_one_that_comes_back_opens_it() {
    let (asked, socket) = with_short_answers("");
    asked.front.now(Behaviour::Closes);
    // The answer grows old and no other comes.
    socket.into_inner().read_to_its_end();
    let error = TlsClient::new(&asked.pki, Some("client-good"), Version::Tls13).get(&asked.gateway, ALERT, "/echo");
    assert!(error.map_or(true, |(response, _)| response.status == 403));
    wait_until("it is told by name", || {
        // Whoever comes asks; after three failures it is down.
        let _ = TlsClient::new(&asked.pki, Some("client-rsa"), Version::Tls13).get(&asked.gateway, ALERT, "/echo");
        let (status, text) = asked.gateway.admin_get("/readyz");
        status == 503 && text.contains("issuing: the OCSP responder http://127.0.0.1:")
    });
    assert!((asked.gateway.metric(r#"sekisho_ocsp_responder_down{ca="issuing"}"#) - 1.0).abs() < f64::EPSILON);
    let told = status_of_responder(&asked);
    assert!(told["state"] == "down" && told["failures"].as_u64() >= Some(3), "{told}");
    assert!(told["error"].is_string() && told["since"].is_string() && told["due_at"].is_string(), "{told}");
    // `sekisho verify` asks nobody, and says so.
    let (code, said) = verified(&asked.gateway, &asked.pki, ALERT, "client-good");
    assert!(code == Some(1) && said.contains("ca issuing: its OCSP responder http://127.0.0.1:"), "{said}");
    // Nobody comes any more; the gateway looks for it by itself.
    asked.answers(|answer| answer);
    asked.wait_until_ready();
    assert!(asked.gateway.metric(r#"sekisho_ocsp_responder_down{ca="issuing"}"#).abs() < f64::EPSILON);
    wait_until("clients are served", || {
        TlsClient::new(&asked.pki, Some("client-good"), Version::Tls13)
            .get(&asked.gateway, ALERT, "/echo")
            .is_ok_and(|(response, _)| response.status == 200)
    });
    let told = status_of_responder(&asked);
    assert!(told["state"] == "answering" && told["failures"] == 0 && told["error"].is_null(), "{told}");
    assert!(told["answers"].as_u64() > Some(0) && told["url"].as_str().unwrap().starts_with("http://"), "{told}");
}

/// What the admin address tells of the issuing CA's responder.
fn status_of_responder(asked: &Asked) -> serde_json::Value {
    let (status, text) = asked.gateway.admin_get("/status/revocation");
    assert_eq!(status, 200, "{text}");
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    let cas = told["cas"].as_array().unwrap();
    assert!(cas.iter().find(|ca| ca["ca"] == "root").unwrap()["ocsp"].is_null(), "{told}");
    cas.iter().find(|ca| ca["ca"] == "issuing").unwrap()["ocsp"].clone()
}

#[test]
fn the_policies_for_old_answers_are_kept() {
    std::thread::scope(|scope| {
        for (policy, later) in [(r#"{ grace = "6s" }"#, 403), (r#""open""#, 200), (r#""report-only""#, 200)] {
            scope.spawn(move || policy_is_kept(policy, later));
        }
    });
}

/// `later`: what a client whose answer is long over gets.
fn policy_is_kept(policy: &str, later: u16) {
    let (asked, mut socket) = with_short_answers(&format!(", when_stale = {policy}"));
    asked.front.now(Behaviour::Closes);
    let over = now().plus_seconds(4);
    wait_until("the answer is over", || now() > over);
    assert_eq!(socket.echo("tolerated").unwrap(), "tolerated", "{policy}");
    assert_eq!(asked.get("client-good", ALERT).status, 200, "{policy}");
    // A missing answer is no old one.
    let missing = asked.get("client-rsa", ALERT).status;
    assert_eq!(missing, if policy.contains("report-only") { 200 } else { 403 }, "{policy}");
    if missing == 200 {
        asked.gateway.record("a client who was let in without an answer", |record| {
            let evidence = record["unenforced"]["evidence"].as_str().unwrap_or_default();
            record["outcome"] == "accepted" && evidence.contains("the OCSP responder http://127.0.0.1:")
        });
    }
    let past_grace = now().plus_seconds(8);
    wait_until("the grace is over", || now() > past_grace);
    let client = TlsClient::new(&asked.pki, Some("client-good"), Version::Tls13);
    let status = client.get(&asked.gateway, ALERT, "/echo").map_or(403, |(response, _)| response.status);
    assert_eq!(status, later, "{policy}");
    // What is revoked is refused in all of them.
    *asked.answers(|answer| answer).lock().unwrap() = Says::Revoked(1);
    asked.pki.client("client-new", "00009876543 newcomer 1635");
    wait_until("it is refused", || {
        let client = TlsClient::new(&asked.pki, Some("client-new"), Version::Tls13);
        let answer = client.get(&asked.gateway, PAGE, "/echo");
        answer.is_ok_and(|(response, _)| response.status == 403 && reason(&response) == "revoked")
    });
}

#[test]
fn a_responder_can_be_given_and_taken_by_a_reload() {
    let setup = Asked::new("", "");
    setup.answers(|answer| answer.says(Says::Revoked(1)));
    assert_eq!(reason(&setup.get("client-good", ALERT)), "revoked");
    setup.gateway.write_config(&Setup::configuration(&setup.app));
    setup.gateway.signal(Signal::Reload);
    wait_until("the list alone decides", || {
        TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13).get(&setup.gateway, ALERT, "/echo").is_ok()
    });
    setup.gateway.write_config(&Asked::configuration(&setup.app, &setup.front, "", LISTS));
    setup.gateway.signal(Signal::Reload);
    // What was answered before is still known.
    wait_until("the responder is asked again", || {
        TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13).get(&setup.gateway, ALERT, "/echo").is_err()
    });
}

#[test]
fn a_hold_is_asked_about_again_when_its_answer_is_over() {
    let asked = Asked::new("", "");
    let says = asked.answers(|answer| answer.times(now(), Some(now().plus_seconds(2))));
    // certificateHold.
    *says.lock().unwrap() = Says::Revoked(6);
    assert_eq!(reason(&asked.get("client-good", PAGE)), "suspended");
    *says.lock().unwrap() = Says::Good;
    wait_until("it is released", || asked.get("client-good", PAGE).status == 200);
    // keyCompromise stands, whatever is said later.
    *says.lock().unwrap() = Says::Revoked(1);
    assert_eq!(reason(&asked.get("client-rsa", PAGE)), "revoked");
    *says.lock().unwrap() = Says::Good;
    let over = now().plus_seconds(4);
    wait_until("the answer is over", || now() > over);
    assert_eq!(reason(&asked.get("client-rsa", PAGE)), "revoked");
}

#[test]
fn a_certificate_that_the_responder_declines_does_not_switch_it_off_for_others() {
    let asked = Asked::new("", LISTS);
    let (ca, key) = asked.issuing_ca();
    let just_issued = asked.certificate("client-good").serial();
    asked.front.now(Behaviour::Makes(Box::new(move |question| {
        let id = certificate_id(question);
        // The serial number is what stands last.
        if id.ends_with(just_issued.as_bytes()) {
            return declined(6);
        }
        AnswerBuilder::good(&id, &ca, now()).says(Says::Revoked(1)).sign(&key)
    })));
    // The fresh list stands in for the answer that there is not; the client stays and is asked about over and over.
    let connection =
        TlsClient::new(&asked.pki, Some("client-good"), Version::Tls13).connect(&asked.gateway, ALERT).unwrap();
    let mut socket = WebSocket::open(connection, ALERT);
    wait_until("the responder has declined three times", || asked.outcomes("declined") > 2.5);
    assert_eq!(socket.echo("still").unwrap(), "still");
    // Another client, revoked at the responder and not on the list yet.
    assert_eq!(reason(&asked.get("client-rsa", ALERT)), "revoked");
    assert!(asked.gateway.metric(r#"sekisho_ocsp_responder_down{ca="issuing"}"#).abs() < f64::EPSILON);
}
