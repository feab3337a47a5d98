//! OCSP of client certificates (requirements R1, R5): a client's first request waits for the responder's answer, and
//! nothing reaches the application without one.

use crate::asked::{ALERT, Asked, PAGE, now, reason};
use crate::blocks_desk::{STATE, TOKEN, TOKEN_FILE, block, with_blocks, write_secret};
use crate::common::{Gateway, Http2, Setup, TestApp, TestPki, TlsClient, Version, WebSocket, alert, curl, wait_until};
use crate::responder::{AnswerBuilder, Behaviour, Front, Says, certificate_id};
use rustls::AlertDescription;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const VERSIONS: [Version; 2] = [Version::Tls12, Version::Tls13];

#[test]
fn the_first_request_obeys_openssl_s_good_revoked_and_unknown_in_every_protocol_and_style() {
    let asked = Asked::new("", "");
    let mut cases = Vec::new();
    for site in [ALERT, PAGE] {
        for says in [Says::Good, Says::Revoked(1), Says::Unknown] {
            for tls in ["1.2", "1.3"] {
                for http in ["--http1.1", "--http2"] {
                    let name = format!("client-{}", cases.len());
                    asked.pki.client(&name, &format!("00009876543 case{} 1635", cases.len()));
                    cases.push((name, site, says, tls, http));
                }
            }
        }
    }
    let known: Vec<_> = cases.iter().map(|(name, _, says, ..)| (name.as_str(), *says)).collect();
    let responder = asked.openssl("issuing-ca", &known, &["-nmin", "5"]);
    asked.front.now(Behaviour::To(responder.address()));
    for (count, (name, site, says, tls, http)) in cases.iter().enumerate() {
        let reached = asked.reached();
        let url = asked.gateway.url(site, "/echo");
        let ask = || {
            let arguments = ["--tlsv1.2", "--tls-max", tls, http, "-H", "Accept: application/json", &url];
            curl(&asked.gateway, &asked.pki, Some(name), &arguments)
        };
        let first = ask();
        let case = format!("{site} {says:?} {tls} {http}: {first:?}");
        let (status, told) = match says {
            Says::Good => (200, ""),
            Says::Revoked(_) => (403, "urn:sekisho:refusal:revoked\""),
            Says::Unknown => (403, "urn:sekisho:refusal:revocation-unavailable\""),
        };
        assert_eq!(first.status(), status, "{case}\n{}", asked.gateway.output());
        assert!(first.body().contains(told), "{case}");
        assert_eq!(asked.front.questions(), count + 1, "{case}");
        // What is known now is told in the handshake, and nobody is asked again.
        let again = ask();
        match (*site, says) {
            (_, Says::Good) => assert_eq!(again.status(), 200, "{again:?}"),
            (PAGE, _) => assert!(again.body().contains(told), "{again:?}"),
            (_, Says::Revoked(_)) => assert!(again.has_alert("certificate revoked"), "{again:?}"),
            (_, Says::Unknown) => assert!(again.has_alert("certificate unknown"), "{again:?}"),
        }
        assert_eq!(asked.front.questions(), count + 1, "{case}");
        assert_eq!(asked.reached(), reached + if *says == Says::Good { 2 } else { 0 }, "{case}");
    }
    assert_eq!((asked.outcomes("good"), asked.outcomes("revoked"), asked.outcomes("unknown")), (8.0, 8.0, 8.0));
}

#[test]
fn the_records_tell_of_the_wait_and_of_what_came_of_it() {
    let asked = Asked::new("", "");
    let says = asked.answers(|answer| answer);
    assert_eq!(asked.get("client-good", ALERT).status, 200);
    *says.lock().unwrap() = Says::Revoked(1);
    assert_eq!(reason(&asked.get("client-rsa", ALERT)), "revoked");
    let outcomes = |user: &str| {
        let of_user = |record: &serde_json::Value| {
            let subject = record["certificate"]["subject"].as_str().unwrap_or_default();
            record["kind"] == "authentication" && subject.contains(user)
        };
        wait_until("both records are there", || asked.gateway.records(of_user).len() == 2);
        let records = asked.gateway.records(of_user);
        let told = |record: &serde_json::Value| {
            (record["outcome"].as_str().unwrap().to_owned(), record["reason"].as_str().unwrap().to_owned())
        };
        assert_eq!(records[0]["connection"], records[1]["connection"]);
        [told(&records[0]), told(&records[1])]
    };
    let pair = |outcome: &str, reason: &str| (outcome.to_owned(), reason.to_owned());
    assert_eq!(outcomes("riyousya"), [pair("pending", ""), pair("accepted", "")]);
    assert_eq!(outcomes("rsauser"), [pair("pending", ""), pair("refused", "revoked")]);
    let settled = |labels: &str| asked.gateway.metric(&format!("sekisho_pending_revocation_checks_total{{{labels}}}"));
    assert!((settled(r#"outcome="accepted",reason="",site="ib.localhost""#) - 1.0).abs() < f64::EPSILON);
    assert!((settled(r#"outcome="refused",reason="revoked",site="ib.localhost""#) - 1.0).abs() < f64::EPSILON);
}

#[test]
fn no_session_can_be_resumed_that_began_before_the_status_was_told() {
    let asked = Asked::new("", "");
    let says = asked.answers(|answer| answer);
    for (version, client) in VERSIONS.into_iter().zip(["client-good", "client-rsa"]) {
        *says.lock().unwrap() = Says::Good;
        let client = TlsClient::new(&asked.pki, Some(client), version);
        client.get(&asked.gateway, ALERT, "/echo").unwrap();
        let (response, second) = client.get(&asked.gateway, ALERT, "/echo").unwrap();
        assert!(!second.resumed() && response.status == 200, "{version:?}: the first session had a ticket");
        let (response, third) = client.get(&asked.gateway, ALERT, "/echo").unwrap();
        assert!(third.resumed() && response.status == 200, "{version:?}: the second had none");
    }
}

#[test]
fn a_ticket_whose_answer_is_over_is_good_for_a_handshake_and_for_no_request() {
    let asked = Asked::new("", "");
    let says = asked.answers(|answer| answer.times(now(), Some(now().plus_seconds(2))));
    for (version, name) in VERSIONS.into_iter().zip(["client-good", "client-rsa"]) {
        *says.lock().unwrap() = Says::Good;
        let client = TlsClient::new(&asked.pki, Some(name), version);
        wait_until("a session resumes", || client.get(&asked.gateway, ALERT, "/echo").unwrap().1.resumed());
        let first = asked.front.questions();
        *says.lock().unwrap() = Says::Revoked(1);
        let over = now().plus_seconds(3);
        wait_until("the answer is over", || now() > over);
        assert_eq!(asked.front.questions(), first, "nobody uses the certificate: it is not asked about");
        let reached = asked.reached();
        let (response, connection) = client.get(&asked.gateway, ALERT, "/echo").unwrap();
        assert!(connection.resumed(), "{version:?}");
        assert_eq!(reason(&response), "revoked");
        assert_eq!(asked.reached(), reached);
        // Now it is known before the ticket is taken.
        let error = client.get(&asked.gateway, ALERT, "/echo").map(|(response, _)| response.status).unwrap_err();
        assert_eq!(alert(&error), Some(AlertDescription::CertificateRevoked), "{error:?}");
    }
}

/// Were it cut, the one who is refused would not learn why.
#[test]
fn a_request_that_waits_for_an_answer_while_its_right_is_taken_away_is_told_so_in_words() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    write_secret(&pki.path(TOKEN_FILE), TOKEN);
    std::fs::create_dir(pki.path(STATE)).unwrap();
    let front = Front::new(Behaviour::Closes);
    let config = with_blocks(&Asked::configuration(&app, &front, ", timeout = \"10s\"", ""));
    let gateway = Gateway::start(&pki, &config);
    let asked = Asked { gateway, app, pki, front };
    asked.answers(|answer| answer.times(now(), Some(now().plus_seconds(2))));
    let mut waiting = Vec::new();
    for (version, site) in VERSIONS.into_iter().flat_map(|version| [(version, ALERT), (version, PAGE)]) {
        let client = TlsClient::new(&asked.pki, Some("client-good"), version);
        let mut connection = client.connect(&asked.gateway, site).unwrap();
        assert_eq!(connection.get(site, "/echo").unwrap().status, 200);
        waiting.push((connection, site));
    }
    asked.front.now(Behaviour::IsSilent);
    let (over, questions, reached) = (now().plus_seconds(3), asked.front.questions(), asked.reached());
    wait_until("the answer is over", || now() > over && asked.front.questions() > questions);
    for (connection, site) in &mut waiting {
        connection.send(format!("GET /echo HTTP/1.1\r\nHost: {site}\r\n\r\n").as_bytes()).unwrap();
    }
    block(&asked.gateway, &serde_json::json!({"user": "riyousya", "contract": "00009876543"}));
    for (connection, site) in &mut waiting {
        let response = connection.receive().unwrap_or_else(|error| panic!("{site}: {error}"));
        assert!(response.status == 403 && response.text().contains("blocked"), "{site}: {}", response.text());
    }
    assert_eq!(asked.reached(), reached);
}

#[test]
fn many_who_wait_for_one_certificate_ask_once_and_hold_up_nobody_else() {
    let asked = Asked::new(", timeout = \"10s\"", "");
    asked.answers(|answer| answer);
    assert_eq!(asked.get("client-good", ALERT).status, 200);
    asked.front.now(Behaviour::IsSilent);
    let before = asked.front.questions();
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..8).map(|_| scope.spawn(|| asked.get("client-rsa", PAGE))).collect();
        wait_until("the question was put", || asked.front.questions() > before);
        wait_until("all have their handshake", || {
            let pending = r#"outcome="pending",reason="",resumed="false",site="portal.localhost""#;
            (asked.gateway.metric(&format!("sekisho_handshakes_total{{{pending}}}")) - 8.0).abs() < f64::EPSILON
        });
        // Nine more, one of them on HTTP/2, while the others wait.
        for _ in 0..8 {
            assert_eq!(asked.get("client-good", ALERT).status, 200);
        }
        let client = TlsClient::new(&asked.pki, Some("client-good"), Version::Tls13);
        assert_eq!(Http2::connect(&client, &asked.gateway, ALERT).unwrap().get(ALERT, "/echo").unwrap().0, 200);
        assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
        for waiting in waiting {
            assert_eq!(reason(&waiting.join().unwrap()), "revocation-unavailable");
        }
    });
    assert_eq!(asked.front.questions(), before + 1);
    assert!((asked.outcomes("timeout") - 1.0).abs() < f64::EPSILON);
}

#[test]
fn websockets_and_streams_of_a_new_client_wait_like_any_request() {
    let asked = Asked::new("", "");
    let says = asked.answers(|answer| answer);
    let connect = |client| TlsClient::new(&asked.pki, Some(client), Version::Tls13);
    let mut socket = WebSocket::open(connect("client-good").connect(&asked.gateway, ALERT).unwrap(), ALERT);
    assert_eq!(socket.echo("let in").unwrap(), "let in");
    let mut http2 = Http2::connect(&connect("client-no-user-id"), &asked.gateway, ALERT).unwrap();
    let streams: Vec<_> = (0..3).map(|_| http2.begin(ALERT, "/stream?seconds=600").unwrap()).collect();
    assert!(streams.iter().all(|stream| stream.status == 200));
    *says.lock().unwrap() = Says::Revoked(4);
    let reached = asked.reached();
    let mut refused = Http2::connect(&connect("client-rsa"), &asked.gateway, ALERT).unwrap();
    // The first request is told so in words, and then the connection is cut.
    let (status, body) = refused.get(ALERT, "/stream?seconds=600").unwrap();
    assert!(status == 403 && body.contains("revoked"), "{status} {body}");
    assert!(refused.get(ALERT, "/echo").map_or(true, |(status, _)| status == 403), "a second request was served");
    refused.wait_for_its_end();
    assert_eq!(asked.reached(), reached);
    // One last word, one cut, and both say why.
    let of = |kind: &str| {
        let subject = asked.certificate("client-rsa").subject().to_string();
        let of_client = |record: &serde_json::Value| {
            record["kind"] == kind && record["certificate"]["subject"].as_str() == Some(&*subject)
        };
        asked.gateway.records(of_client)
    };
    wait_until("the cut is recorded", || !of("cut").is_empty());
    let told =
        |record: &serde_json::Value| [&record["outcome"], &record["reason"]].map(|it| it.as_str().unwrap().to_owned());
    let authentications: Vec<_> = of("authentication").iter().map(told).collect();
    assert_eq!(authentications, [["pending", ""], ["refused", "revoked"]]);
    let cuts = of("cut");
    assert_eq!((cuts.len(), cuts[0]["reason"].as_str()), (1, Some("revoked")), "{cuts:?}");
    let one = |metric: &str| (asked.gateway.metric(metric) - 1.0).abs() < f64::EPSILON;
    assert!(one(r#"sekisho_pending_revocation_checks_total{outcome="refused",reason="revoked",site="ib.localhost"}"#));
    assert!(one(r#"sekisho_cut_connections_total{reason="revoked"}"#));
}

#[test]
fn a_revocation_in_a_refreshed_answer_cuts_that_certificate_s_connections_and_no_other() {
    let asked = Asked::new(", refresh = \"1s\"", "");
    let (ca, key) = asked.issuing_ca();
    let leaving = asked.certificate("client-rsa").serial();
    let revoked = Arc::new(AtomicBool::new(false));
    let is_revoked = revoked.clone();
    asked.front.now(Behaviour::Makes(Box::new(move |question| {
        let id = certificate_id(question);
        let about_it = id.ends_with(leaving.as_bytes()) && is_revoked.load(Ordering::SeqCst);
        let says = if about_it { Says::Revoked(1) } else { Says::Good };
        AnswerBuilder::good(&id, &ca, now()).says(says).sign(&key)
    })));
    let connect =
        |name, version| TlsClient::new(&asked.pki, Some(name), version).connect(&asked.gateway, ALERT).unwrap();
    let mut stays = WebSocket::open(connect("client-good", Version::Tls13), ALERT);
    assert_eq!(stays.echo("1").unwrap(), "1");
    let mut leaving = Vec::new();
    for version in VERSIONS {
        leaving.push(WebSocket::open(connect("client-rsa", version), ALERT).into_inner());
        let mut stream = connect("client-rsa", version);
        stream.send(b"GET /stream?seconds=600 HTTP/1.1\r\nHost: ib.localhost\r\n\r\n").unwrap();
        assert!(stream.read(&mut [0; 64]).unwrap() > 0);
        leaving.push(stream);
    }
    let client = TlsClient::new(&asked.pki, Some("client-rsa"), Version::Tls13);
    let mut http2 = Http2::connect(&client, &asked.gateway, ALERT).unwrap();
    let mut stream = http2.begin(ALERT, "/stream?seconds=600").unwrap();
    assert!(stream.next().unwrap().is_some());
    revoked.store(true, Ordering::SeqCst);
    for connection in &mut leaving {
        connection.read_to_its_end();
    }
    assert!(stream.breaks_off());
    assert_eq!(stays.echo("2").unwrap(), "2");
    wait_until("five cuts were counted", || {
        (asked.gateway.metric(r#"sekisho_cut_connections_total{reason="revoked"}"#) - 5.0).abs() < f64::EPSILON
    });
    let error = TlsClient::new(&asked.pki, Some("client-rsa"), Version::Tls13)
        .get(&asked.gateway, ALERT, "/echo")
        .map(|(response, _)| response.status)
        .unwrap_err();
    assert_eq!(alert(&error), Some(AlertDescription::CertificateRevoked), "{error:?}");
}

#[test]
fn a_ca_above_the_client_is_asked_about_at_its_own_issuer_s_responder() {
    for (says, status) in [(Says::Good, 200), (Says::Revoked(2), 403)] {
        let (pki, app) = (TestPki::new(), TestApp::new());
        let front = Front::new(Behaviour::Closes);
        let config = Setup::configuration(&app);
        let asks = format!("revocation = {{ ocsp = {{ url = \"{}\" }} }}", front.url());
        // The root's, which comes first.
        let config = config.replacen(r#"revocation = { crl = ["crl.pem"] }"#, &asks, 1);
        let gateway = Gateway::start(&pki, &config);
        let asked = Asked { gateway, app, pki, front };
        let (root, key) = asked.signer("root-ca");
        asked.front.now(Behaviour::Makes(Box::new(move |question| {
            AnswerBuilder::good(&certificate_id(question), &root, now()).says(says).sign(&key)
        })));
        assert_eq!(asked.get("client-good", ALERT).status, status, "{says:?}");
        assert_eq!(asked.get("client-no-user-id", PAGE).status, status, "{says:?}");
        assert_eq!(asked.front.questions(), 1, "the issuing CA is asked about once, for all its clients");
    }
}

/// A user's browser that opens a connection for each request never has one that lives as long as `refresh`.
#[test]
fn short_connections_are_refused_once_a_refresh_has_passed_since_the_revocation_though_the_answer_still_holds() {
    let asked = Asked::new(", refresh = \"1s\"", "");
    let names = ["client-good", "client-rsa"];
    let known = |says| names.map(|name| (name, says));
    // Each answer of openssl's holds for an hour.
    let good = asked.openssl("issuing-ca", &known(Says::Good), &["-nmin", "60"]);
    asked.front.now(Behaviour::To(good.address()));
    let clients =
        VERSIONS.into_iter().zip(names).map(|(version, name)| TlsClient::new(&asked.pki, Some(name), version));
    let clients: Vec<_> = clients.collect();
    let status = |client: &TlsClient| match client.get(&asked.gateway, ALERT, "/echo") {
        Ok((response, connection)) => (response.status, connection.resumed()),
        Err(_) => (0, false),
    };
    for client in &clients {
        assert_eq!(status(client).0, 200);
        wait_until("a session resumes", || status(client).1);
    }
    let revoked = asked.openssl("issuing-ca", &known(Says::Revoked(1)), &["-nmin", "60"]);
    asked.front.now(Behaviour::To(revoked.address()));
    // No connection is open meanwhile, for whose sake the answer would be asked for anew.
    let old = now().plus_seconds(2);
    wait_until("the answer is older than refresh", || now() > old);
    for client in &clients {
        assert_ne!(status(client).0, 200, "the first short connection is refused");
        let reached = asked.reached();
        assert_ne!(status(client).0, 200, "it stays refused");
        assert_eq!(asked.reached(), reached);
    }
}

#[test]
fn an_answer_older_than_refresh_that_still_holds_serves_while_the_responder_is_away() {
    let asked = Asked::new(", refresh = \"1s\", timeout = \"1s\"", "");
    asked.answers(|answer| answer);
    assert_eq!(asked.get("client-good", ALERT).status, 200);
    asked.front.now(Behaviour::Closes);
    let old = now().plus_seconds(2);
    wait_until("the answer is older than refresh", || now() > old);
    let asked_before = asked.front.questions();
    assert_eq!(asked.get("client-good", ALERT).status, 200);
    assert!(asked.front.questions() > asked_before, "the responder was not queried");
    assert!(asked.outcomes("unreachable") > 0.5);
}
