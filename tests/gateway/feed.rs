//! The issuer's feed (requirement R6): what it tells is in force on every path at once, and whatever is wrong with it
//! loses no revocation.

use crate::common::{Gateway, Http2, Setup, Signal, TestPki, TlsClient, Version, alert, verified, wait_until};
use crate::feed_server::{Asked, Live, Plan, Signer, World, configuration};
use crate::lapse::{ALERT, Closed, PAGE, Paths};
use rustls::AlertDescription;
use sekisho_pki::certificate::Certificate;
use serde_json::json;
use std::time::{Duration, Instant};

const LEAVING: &str = "client-leaving";

/// The alert of a new handshake; `None` when it is let in.
fn refusal(gateway: &Gateway, pki: &TestPki, client: &str) -> Option<AlertDescription> {
    let answer = TlsClient::new(pki, Some(client), Version::Tls13).get(gateway, ALERT, "/echo");
    answer.map(|(answer, _)| answer.status).err().map(|error| alert(&error).unwrap_or_else(|| panic!("{error:?}")))
}

fn is_let_in(world: &World, client: &str) -> bool {
    refusal(&world.setup.gateway, &world.setup.pki, client).is_none()
}

/// The leaving client is refused as revoked, the good one is not, and all up to `to` is acknowledged.
#[track_caller]
fn leaving_is_revoked(world: &World, node: usize, to: u64) {
    world.nodes[node].wait_for_acknowledgement(&world.feed, to);
    let revoked = refusal(&world.setup.gateway, &world.setup.pki, LEAVING);
    assert_eq!(revoked, Some(AlertDescription::CertificateRevoked));
    assert!(is_let_in(world, "client-good"));
}

#[test]
fn a_revocation_that_the_feed_tells_closes_every_path_at_once_and_is_then_acknowledged() {
    let (world, mut live) = World::following(&Plan::default());
    let setup = &world.setup;
    let leaving = [ALERT, PAGE].map(|site| Paths::open(setup, Some(LEAVING), site));
    let staying = [ALERT, PAGE].map(|site| Paths::open(setup, Some("client-good"), site));
    let mut stream = TlsClient::new(&setup.pki, Some(LEAVING), Version::Tls13).connect(&setup.gateway, ALERT).unwrap();
    stream.send(b"GET /stream?seconds=600 HTTP/1.1\r\nHost: ib.localhost\r\n\r\n").unwrap();
    assert!(stream.read(&mut [0; 64]).unwrap() > 0);
    assert!(!world.nodes[0].acknowledged().contains(&("f-1".to_owned(), 1)));
    let told = world.told(0, 1, &[(1, LEAVING, "revoked")]);
    let began = Instant::now();
    live.event(&told);
    stream.read_to_its_end();
    println!("cut {:?} after it was told", began.elapsed());
    let closed = Closed { alert: AlertDescription::CertificateRevoked, reason: "revoked" };
    leaving.into_iter().for_each(|paths| paths.are_closed(setup, &closed));
    staying.into_iter().for_each(|paths| paths.are_open(setup));
    leaving_is_revoked(&world, 0, 1);
    let cuts = setup.gateway.metric(r#"sekisho_cut_connections_total{reason="revoked"}"#);
    assert!(cuts >= 7.0, "{cuts}");
}

#[test]
fn sekisho_verify_decides_by_what_the_feed_has_told_and_leaves_the_state_as_it_is() {
    let (world, mut live) = World::following(&Plan::default());
    let (gateway, pki) = (&world.setup.gateway, &world.setup.pki);
    let files = || {
        let names = std::fs::read_dir(pki.path("state/feed")).unwrap().map(|entry| entry.unwrap().file_name());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    live.event(&world.told(0, 1, &[(1, "client-rsa", "revoked")]));
    world.nodes[0].wait_for_acknowledgement(&world.feed, 1);
    let before = files();
    let (code, said) = verified(gateway, pki, ALERT, LEAVING);
    assert_eq!(code, Some(0), "{said}");
    live.event(&world.told(1, 2, &[(2, LEAVING, "revoked")]));
    world.nodes[0].wait_for_acknowledgement(&world.feed, 2);
    let (code, said) = verified(gateway, pki, ALERT, LEAVING);
    assert!(code == Some(1) && said.contains("refused: revoked"), "{said}");
    let (code, said) = verified(gateway, pki, ALERT, "client-good");
    assert!(code == Some(0) && !said.contains("unknown "), "{said}");
    assert_eq!(files(), before);
    // The gateway still has its folder, and goes on.
    live.event(&world.told(2, 3, &[(3, "client-good", "revoked")]));
    world.nodes[0].wait_for_acknowledgement(&world.feed, 3);
    assert!(!is_let_in(&world, "client-good"));
    // What cannot be read is not taken for nothing.
    let feed = pki.path("state/feed/feed");
    std::fs::remove_file(&feed).unwrap();
    std::fs::create_dir(&feed).unwrap();
    let (code, said) = verified(gateway, pki, ALERT, LEAVING);
    assert!(code == Some(2) && said.contains("gateway.state_folder") && said.contains("cannot be read"), "{said}");
}

#[test]
fn the_status_tells_the_feed_and_the_cas_that_follow_it() {
    let (world, mut live) = World::following(&Plan { lost_after: "4s", ..Plan::default() });
    let told = || -> serde_json::Value {
        let (status, text) = world.setup.gateway.admin_get("/status/revocation");
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    };
    live.event(&world.told(0, 1, &[(1, LEAVING, "revoked")]));
    world.nodes[0].wait_for_acknowledgement(&world.feed, 1);
    let status = told();
    assert_eq!(status["feed"]["connected"], true, "{status}");
    assert_eq!((&status["feed"]["feed"], &status["feed"]["sequence"]), (&json!("f-1"), &json!(1)), "{status}");
    assert!(status["feed"]["heard_at"].is_string(), "{status}");
    let cas = status["cas"].as_array().unwrap();
    let following = |name: &str| cas.iter().find(|ca| ca["ca"] == name).unwrap()["feed"].clone();
    let issuing = following("issuing");
    assert_eq!((&issuing["state"], &issuing["held_changes"]), (&json!("current"), &json!(1)), "{status}");
    assert_eq!(following("root"), json!(null), "{status}");
    drop(live);
    wait_until("it is told as lost", || {
        let status = told();
        let issuing = status["cas"].as_array().unwrap().iter().find(|ca| ca["ca"] == "issuing").unwrap();
        issuing["feed"]["state"] == "lapsed"
            && issuing["feed"]["error"] == "the issuer's feed was not heard of for longer than lost_after"
            && issuing["feed"]["since"].is_string()
    });
}

#[test]
fn a_certificate_on_hold_is_refused_and_served_again_on_the_same_connection() {
    let (world, mut live) = World::following(&Plan::default());
    let setup = &world.setup;
    let client = TlsClient::new(&setup.pki, Some(LEAVING), Version::Tls13);
    // HTTP/1.1 closes after a refusal, HTTP/2 goes on.
    let mut kept = Http2::connect(&client, &setup.gateway, PAGE).unwrap();
    // An answer, and the request over at the gateway too: one under way would be cut.
    let mut get = |path: &str| {
        let answer = kept.get(PAGE, path).unwrap();
        setup.gateway.record(path, |record| record["kind"] == "access" && record["path"] == path);
        answer
    };
    assert_eq!(get("/echo/first").0, 200);
    for round in 0..3 {
        let (hold, release) = (2 * round + 1, 2 * round + 2);
        live.event(&world.told(2 * round, hold, &[(hold, LEAVING, "held")]));
        world.nodes[0].wait_for_acknowledgement("f-1", hold);
        let refused = get(&format!("/echo/held/{round}"));
        assert!(refused.0 == 403 && refused.1.contains("revoked"), "{}", refused.1);
        live.event(&world.told(hold, release, &[(release, LEAVING, "released")]));
        world.nodes[0].wait_for_acknowledgement("f-1", release);
        assert_eq!(get(&format!("/echo/released/{round}")).0, 200, "round {round}");
    }
    // And a release undoes no revocation.
    live.event(&world.told(6, 8, &[(7, LEAVING, "revoked")]));
    live.event(&world.told(8, 9, &[(9, LEAVING, "released")]));
    leaving_is_revoked(&world, 0, 9);
    assert_eq!(get("/echo/revoked").0, 403);
}

/// What a node can send that is not the issuer's word, and why the stream is then left.
fn lies(world: &World) -> Vec<(&'static str, String)> {
    let payload = world.payload(0, 1, &[(1, "client-good", "revoked")]);
    let good = world.signer.sign(&payload);
    let (head, signature) = (&good[..good.rfind('.').unwrap()], &good[good.rfind('.').unwrap()..]);
    let mut spoiled = signature.to_owned();
    spoiled.replace_range(5..6, if &spoiled[5..6] == "A" { "B" } else { "A" });
    let mut version = payload.clone();
    version["v"] = 2.into();
    vec![
        ("signature", format!("{head}{spoiled}")),
        ("unknown-key", Signer::new().sign(&payload)),
        ("form", "garbage".to_owned()),
        ("form", format!("{head}.")),
        ("payload", world.signer.sign(&version)),
        ("payload", world.signer.sign(&json!({ "v": 1 }))),
    ]
}

#[test]
fn what_the_issuer_did_not_sign_is_refused_and_the_stream_goes_on_where_it_was() {
    let (world, mut live) = World::following(&Plan::default());
    for (why, token) in lies(&world) {
        let before = world.ends(why);
        live.event(&token);
        live.wait_for_end();
        let asked = world.nodes[0].asked();
        assert_eq!(asked.after, Some(0), "{why}");
        live = asked.accept();
        wait_until(why, || world.ends(why) > before);
        assert!(is_let_in(&world, "client-good"), "{why}");
    }
    live.event(&world.told(0, 1, &[(1, LEAVING, "revoked")]));
    leaving_is_revoked(&world, 0, 1);
}

#[test]
fn a_gap_an_overlap_and_an_earlier_message_are_asked_for_again_and_never_skipped() {
    let (world, mut live) = World::following(&Plan::default());
    live.event(&world.told(0, 2, &[(2, "client-expired", "revoked")]));
    world.nodes[0].wait_for_acknowledgement("f-1", 2);
    for (why, from, to, later) in [("gap", 3, 4, 1), ("overlap", 1, 4, 1), ("backwards", 2, 4, -1)] {
        let heartbeat = world.payload(2, 2, &[]);
        let mut wrong = world.payload(from, to, &[(4, "client-good", "revoked")]);
        wrong["at"] = (heartbeat["at"].as_i64().unwrap() + later).into();
        live.event(&world.signer.sign(&heartbeat));
        live.event(&world.signer.sign(&wrong));
        live.wait_for_end();
        let asked = world.nodes[0].asked();
        assert_eq!(asked.after, Some(2), "{why}: from where it was, and nothing skipped");
        assert!(world.ends(why) > 0.0, "{why}");
        live = asked.accept();
    }
    assert!(is_let_in(&world, "client-good"));
    live.event(&world.told(2, 3, &[(3, LEAVING, "revoked")]));
    leaving_is_revoked(&world, 0, 3);
}

#[test]
fn a_message_that_is_repeated_is_counted_and_changes_nothing() {
    let (world, mut live) = World::following(&Plan::default());
    let hold = world.told(0, 1, &[(1, LEAVING, "held")]);
    live.event(&hold);
    live.event(&world.told(1, 2, &[(2, LEAVING, "released")]));
    world.nodes[0].wait_for_acknowledgement("f-1", 2);
    for count in 1..4 {
        // Signed now, so that nothing but its numbers tells that it is old.
        live.event(&world.told(0, 1, &[(1, LEAVING, "held")]));
        wait_until("it is counted", || world.messages("repeated") >= f64::from(count));
    }
    assert!(is_let_in(&world, LEAVING), "it was released since");
    live.event(&world.told(2, 3, &[(3, LEAVING, "revoked")]));
    leaving_is_revoked(&world, 0, 3);
    assert!(world.nodes[0].is_quiet(), "on the same stream");
}

#[test]
fn a_line_without_end_and_what_is_no_text_are_left_at_a_limit() {
    let (world, mut live) = World::following(&Plan::default());
    let before = world.setup.gateway.memory_high_water();
    let mut sent = 0;
    while live.raw(&[b'a'; 64 * 1024]) && sent < 64 << 20 {
        sent += 64 * 1024;
    }
    assert!(sent < 64 << 20, "it was taken without end");
    let grown = world.setup.gateway.memory_high_water() - before;
    assert!(grown < 40 << 20, "{grown} octets");
    let mut live = world.nodes[0].asked().accept();
    live.raw(b"event: revocations\ndata: \xff\xfe\n\n");
    live.wait_for_end();
    let mut live = world.nodes[0].asked().accept();
    wait_until("both are counted", || (world.ends("events") - 2.0).abs() < f64::EPSILON);
    live.event(&world.told(0, 1, &[(1, LEAVING, "revoked")]));
    leaving_is_revoked(&world, 0, 1);
}

#[test]
fn an_answer_that_is_no_stream_is_not_believed() {
    let world = World::new(&Plan::default());
    let problem = json!({ "type": "https://example.jp/problems/forbidden" });
    for status in ["403 Forbidden", "503 Service Unavailable", "409 Conflict", "302 Found", "200 OK"] {
        world.nodes[0].asked().answer(status, &problem);
    }
    let mut live = world.nodes[0].asked().accept();
    assert!((world.ends("refused") - 5.0).abs() < f64::EPSILON);
    let (status, text) = world.setup.gateway.admin_get("/readyz");
    assert!(status == 503 && text.contains("issuing: the issuer's feed has not told of this CA yet"), "{text}");
    assert_eq!(
        refusal(&world.setup.gateway, &world.setup.pki, "client-good"),
        Some(AlertDescription::CertificateUnknown),
        "nobody knows who is revoked"
    );
    live.event(&world.told(0, 1, &[(1, LEAVING, "revoked")]));
    world.wait_until_ready();
    leaving_is_revoked(&world, 0, 1);
}

#[test]
fn when_a_node_ends_or_falls_silent_the_next_is_asked_at_once() {
    let plan = Plan { nodes: 2, lost_after: "4s", ..Plan::default() };
    let (world, mut live) = World::following(&plan);
    live.event(&world.told(0, 1, &[(1, "client-expired", "revoked")]));
    world.nodes[0].wait_for_acknowledgement("f-1", 1);
    drop(live);
    let began = Instant::now();
    let asked = world.nodes[1].asked();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(asked.after, Some(1));
    let mut live = asked.accept();
    live.event(&world.told(1, 2, &[]));
    world.nodes[1].wait_for_acknowledgement("f-1", 2);
    // From here on this node holds the line and says nothing: comments do not count.
    let silent = std::thread::spawn(move || {
        while live.raw(b": still here\n\n") {
            std::thread::park_timeout(Duration::from_millis(100));
        }
    });
    let mut live = world.nodes[0].asked().accept();
    live.event(&world.told(2, 3, &[(3, LEAVING, "revoked")]));
    leaving_is_revoked(&world, 0, 3);
    silent.join().unwrap();
    assert!((world.ends("silent") - 1.0).abs() < f64::EPSILON);
    assert!(is_let_in(&world, "client-good"), "it was never lost");
}

/// Sends heartbeats until the returned function is called, which gives the stream back.
fn beat(mut live: Live, token: impl Fn() -> String + Send + 'static) -> impl FnOnce() -> Live {
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let beating = std::thread::spawn(move || {
        while stopped.recv_timeout(Duration::from_millis(100)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            live.event(&token());
        }
        live
    });
    move || {
        drop(stop);
        beating.join().unwrap()
    }
}

#[test]
fn a_feed_that_is_lost_closes_its_ca_by_its_policy_and_opens_it_when_it_is_back() {
    for (when_stale, is_closed) in [("\"closed\"", true), ("\"open\"", false), ("{ grace = \"1h\" }", false)] {
        let (world, live) = World::following(&Plan { lost_after: "4s", when_stale, ..Plan::default() });
        let setup = &world.setup;
        let readiness = || setup.gateway.admin_get("/readyz");
        let current = || setup.gateway.metric(r#"sekisho_feed_current{ca="issuing"}"#);
        // A stream that beats until it is dropped. One that stopped for half of lost_after, on a busy machine, is left.
        let answer = |asked: Asked| {
            assert_eq!(asked.after, Some(0));
            beat(asked.accept(), world.heartbeats(0))
        };
        let mut beating = beat(live, world.heartbeats(0));
        let long = Instant::now() + Duration::from_secs(if is_closed { 6 } else { 0 });
        wait_until("it is current, for longer than lost_after too", || {
            while let Some(asked) = world.nodes[0].asks() {
                beating = answer(asked);
            }
            Instant::now() > long && (current() - 1.0).abs() < f64::EPSILON && readiness().0 == 200
        });
        let client = TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13);
        let mut kept = Http2::connect(&client, &setup.gateway, PAGE).unwrap();
        assert_eq!(kept.get(PAGE, "/echo/first").unwrap().0, 200);
        setup.gateway.record("its end", |record| record["kind"] == "access" && record["path"] == "/echo/first");
        drop(beating());
        // Everyone that asks again is left without an answer.
        let waiting = world.nodes[0].asked();
        let why = "issuing: the issuer's feed was not heard of for longer than lost_after";
        wait_until("it is lost", || {
            current() < 1.0 && (readiness().0 == 503 && readiness().1.contains(why)) == is_closed
        });
        let expected = is_closed.then_some(AlertDescription::CertificateUnknown);
        assert_eq!(refusal(&setup.gateway, &setup.pki, "client-good"), expected, "{when_stale}");
        let (status, text) = kept.get(PAGE, "/echo").unwrap();
        assert_eq!(
            status == 403 && text.contains("revocation-unavailable"),
            is_closed,
            "{when_stale}: {status} {text}"
        );
        assert_eq!(refusal(&setup.gateway, &setup.pki, "client-revoked"), Some(AlertDescription::CertificateRevoked));
        // Everyone that asks is answered again.
        let mut beating = answer(waiting);
        wait_until("it is back", || {
            while let Some(asked) = world.nodes[0].asks() {
                beating = answer(asked);
            }
            current() > 0.0
        });
        assert_eq!(kept.get(PAGE, "/echo").unwrap().0, 200, "{when_stale}: on the same connection");
        drop(beating());
    }
}

#[test]
fn an_old_heartbeat_that_is_replayed_keeps_nothing_fresh() {
    let (world, live) = World::following(&Plan { lost_after: "3s", ..Plan::default() });
    let mut old = world.payload(0, 0, &[]);
    old["at"] = (old["at"].as_i64().unwrap() - 60_000).into();
    drop(live);
    let replayed = world.signer.sign(&old);
    // A node that has the feed's past and not its key.
    let live = world.nodes[0].asked().accept();
    let stop = beat(live, move || replayed.clone());
    wait_until("it is lost although it beats", || world.setup.gateway.admin_get("/readyz").0 == 503);
    assert!(world.messages("outdated") > 0.0);
    drop(stop());
}

#[test]
fn a_restart_without_the_issuer_knows_who_was_revoked() {
    let plan = Plan { when_stale: "\"open\"", ..Plan::default() };
    let (world, mut live) = World::following(&plan);
    live.event(&world.told(0, 1, &[(1, LEAVING, "revoked")]));
    leaving_is_revoked(&world, 0, 1);
    let World { setup: Setup { gateway, app, pki }, nodes, .. } = world;
    gateway.signal(Signal::Kill);
    drop(gateway);
    drop(live);
    // Nobody is at that address any more.
    let urls = [format!("https://localhost:{}", free_port())];
    let gateway = Gateway::start(&pki, &configuration(&app, &urls, &plan));
    assert_eq!(refusal(&gateway, &pki, LEAVING), Some(AlertDescription::CertificateRevoked));
    assert_eq!(refusal(&gateway, &pki, "client-good"), None, "open");
    assert!((gateway.metric("sekisho_feed_sequence") - 1.0).abs() < f64::EPSILON);
    assert!((gateway.metric(r#"sekisho_feed_changes_not_in_crl{ca="issuing"}"#) - 1.0).abs() < f64::EPSILON);
    drop(gateway);
    // And with the issuer it goes on where it stopped.
    let gateway = Gateway::listening(&pki, &configuration(&app, &[nodes[0].url()], &plan));
    assert_eq!(nodes[0].asked().after, Some(1));
    drop(gateway);
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn two_gateways_do_not_share_a_state_folder() {
    let (world, _live) = World::following(&Plan::default());
    let urls = [world.nodes[0].url()];
    let (status, output) =
        Gateway::refused(&world.setup.pki, &configuration(&world.setup.app, &urls, &Plan::default()));
    assert!(!status.success() && output.contains("another process keeps its state there"), "{output}");
}

#[test]
fn a_list_that_has_what_was_told_takes_its_place() {
    let (mut world, mut live) = World::following(&Plan::default());
    let held = |world: &World| world.setup.gateway.metric(r#"sekisho_feed_changes_not_in_crl{ca="issuing"}"#);
    live.event(&world.told(0, 1, &[(1, LEAVING, "revoked")]));
    leaving_is_revoked(&world, 0, 1);
    assert!((held(&world) - 1.0).abs() < f64::EPSILON);
    world.setup.pki.revoke_client(LEAVING);
    wait_until("the list is in force", || {
        world.setup.gateway.metric(r#"sekisho_reloads_total{outcome="published"}"#) > 0.0
    });
    assert!((held(&world) - 1.0).abs() < f64::EPSILON, "nobody said what the list has");
    world.list = (world.setup.pki.crl_number(), 1);
    live.event(&world.told(1, 2, &[]));
    wait_until("it is forgotten", || held(&world) < 1.0);
    leaving_is_revoked(&world, 0, 2);
}

#[test]
fn a_ca_whose_list_is_older_than_the_feeds_beginning_is_closed_until_it_is_there() {
    let mut world = World::new(&Plan::default());
    world.list = (world.setup.pki.crl_number() + 1, 7);
    let mut live = world.nodes[0].asked().accept();
    live.event(&world.told(7, 7, &[]));
    world.nodes[0].wait_for_acknowledgement("f-1", 7);
    let (status, text) = world.setup.gateway.admin_get("/readyz");
    let why = "issuing: the lists in force are older than what the issuer's feed told";
    assert!(status == 503 && text.contains(why), "{text}");
    assert_eq!(
        refusal(&world.setup.gateway, &world.setup.pki, "client-good"),
        Some(AlertDescription::CertificateUnknown)
    );
    world.setup.pki.issue_revocation_lists(sekisho_runtime::clock::now()).unwrap();
    world.wait_until_ready();
    assert!(is_let_in(&world, "client-good"));
}

#[test]
fn another_feed_is_followed_anew_and_lets_nobody_in_before_its_lists_are_there() {
    let (mut world, mut live) = World::following(&Plan::default());
    live.event(&world.told(0, 5, &[(5, LEAVING, "revoked")]));
    leaving_is_revoked(&world, 0, 5);
    world.feed = "f-2".to_owned();
    live.event(&world.told(5, 6, &[]));
    live.wait_for_end();
    assert!(world.ends("another-feed") > 0.0);
    let asked = world.nodes[0].asked();
    assert_eq!(asked.after, None, "anew");
    let mut live = asked.accept();
    // Its list is not in force yet.
    world.list = (world.setup.pki.crl_number() + 1, 2);
    live.event(&world.told(2, 2, &[]));
    world.nodes[0].wait_for_acknowledgement("f-2", 2);
    let revoked = refusal(&world.setup.gateway, &world.setup.pki, LEAVING);
    assert_eq!(revoked, Some(AlertDescription::CertificateRevoked));
    assert!(!is_let_in(&world, "client-good"), "not followed");
    world.setup.pki.issue_revocation_lists(sekisho_runtime::clock::now()).unwrap();
    world.wait_until_ready();
    assert!(is_let_in(&world, "client-good") && !is_let_in(&world, LEAVING), "no list has what the other feed revoked");
    let withdrawn = world.setup.gateway.metric(r#"sekisho_withdrawn_revocations{ca="issuing"}"#);
    assert!((withdrawn - 1.0).abs() < f64::EPSILON);
    world.setup.gateway.record("the alarm", |record| {
        record["message"].as_str().is_some_and(|text| text.contains("the issuer's feed is another one"))
    });
}

#[test]
fn a_store_restored_from_a_backup_is_followed_anew_and_what_it_forgot_stays_revoked() {
    let (mut world, mut live) = World::following(&Plan::default());
    live.event(&world.told(0, 5, &[(5, LEAVING, "revoked")]));
    leaving_is_revoked(&world, 0, 5);
    drop(live);
    let asked = world.nodes[0].asked();
    assert_eq!(asked.after, Some(5));
    asked.answer("409 Conflict", &json!({ "type": "https://issuer.example.jp/problems/feed-ahead", "status": 409 }));
    let asked = world.nodes[0].asked();
    assert_eq!(asked.after, None, "anew");
    assert!(world.ends("feed-ahead") > 0.0);
    let mut live = asked.accept();
    world.list.1 = 2;
    live.event(&world.told(2, 2, &[]));
    live.event(&world.told(2, 9, &[(4, "client-expired", "revoked")]));
    leaving_is_revoked(&world, 0, 9);
    // A list that has everything of the restored store does not have it either.
    world.setup.pki.revoke_client("client-expired");
    world.list = (world.setup.pki.crl_number(), 9);
    live.event(&world.told(9, 10, &[]));
    let held = || world.setup.gateway.metric(r#"sekisho_feed_changes_not_in_crl{ca="issuing"}"#);
    wait_until("the list has what was told since", || (held() - 1.0).abs() < f64::EPSILON);
    leaving_is_revoked(&world, 0, 10);
}

#[test]
fn a_store_that_was_restored_and_has_grown_again_before_the_gateway_came_back_is_found_out() {
    let (mut world, mut live) = World::following(&Plan::default());
    live.event(&world.told(0, 5, &[(5, LEAVING, "revoked")]));
    leaving_is_revoked(&world, 0, 5);
    drop(live);
    // It has a change 5 as well, and another one.
    world.history = "h2".to_owned();
    let asked = world.nodes[0].asked();
    assert_eq!(asked.after, Some(5));
    let mut live = asked.accept();
    live.event(&world.told(5, 7, &[(6, "client-expired", "revoked")]));
    live.wait_for_end();
    assert!(world.ends("another-history") > 0.0);
    assert_eq!(world.nodes[0].acknowledged().last().map(|(_, to)| *to), Some(5), "nothing of it is in force");
    let asked = world.nodes[0].asked();
    assert_eq!(asked.after, None, "anew");
    let mut live = asked.accept();
    world.list.1 = 2;
    live.event(&world.told(2, 7, &[(4, "client-good", "revoked")]));
    world.nodes[0].wait_for_acknowledgement("f-1", 7);
    let refused = |client| refusal(&world.setup.gateway, &world.setup.pki, client);
    assert_eq!(refused("client-good"), Some(AlertDescription::CertificateRevoked), "what came to the old numbers");
    assert_eq!(refused(LEAVING), Some(AlertDescription::CertificateRevoked), "what was told before");
}

#[test]
fn changes_of_a_ca_that_does_not_follow_are_counted_and_logged() {
    let (world, mut live) = World::following(&Plan::default());
    let mut payload = world.payload(0, 1, &[(1, LEAVING, "revoked")]);
    let root = std::fs::read(world.setup.pki.path("root-ca.pem")).unwrap();
    let root = Certificate::parse(&sekisho_pki::pem::certificates(&root).unwrap()[0]).unwrap().authority_key();
    let root: String = root.as_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
    payload["changes"][0]["issuer"] = root.into();
    live.event(&world.signer.sign(&payload));
    world.nodes[0].wait_for_acknowledgement("f-1", 1);
    let counted = world.setup.gateway.metric(r#"sekisho_feed_not_followed_total{ca="root"}"#);
    assert!((counted - 1.0).abs() < f64::EPSILON);
    world.setup.gateway.record("the warning", |record| {
        record["message"].as_str().is_some_and(|text| text.contains("of a CA without feed = true"))
    });
}

#[test]
fn a_reload_brings_a_feed_and_takes_new_keys_without_a_restart() {
    let (world, _live) = World::following(&Plan::default());
    let setup = &world.setup;
    // The issuer's next key is put beside the old one.
    let next = Signer::new();
    std::fs::write(setup.pki.path("next.pub.pem"), next.public_pem()).unwrap();
    let urls = [world.nodes[0].url()];
    let config = configuration(&setup.app, &urls, &Plan::default());
    setup.gateway.write_config(&config.replace("[\"feed.pub.pem\"]", "[\"feed.pub.pem\", \"next.pub.pem\"]"));
    let asked = world.nodes[0].asked();
    assert_eq!(asked.after, Some(0), "where it was");
    let mut live = asked.accept();
    live.event(&next.sign(&world.payload(0, 1, &[(1, LEAVING, "revoked")])));
    leaving_is_revoked(&world, 0, 1);
    // A key file that is none changes nothing.
    std::fs::write(setup.pki.path("next.pub.pem"), "no key").unwrap();
    setup.gateway.record("the refusal", |record| {
        record["error"].as_str().is_some_and(|error| error.contains("next.pub.pem: no PUBLIC KEY block"))
    });
    live.event(&next.sign(&world.payload(1, 2, &[])));
    leaving_is_revoked(&world, 0, 2);
}

#[test]
fn a_node_with_another_servers_certificate_is_not_talked_to() {
    let world = World::new(&Plan::default());
    drop(world.nodes[0].asked().accept());
    // Its CA is no longer the one that is believed.
    std::fs::copy(world.setup.pki.path("root-ca.pem"), world.setup.pki.path("server-ca.pem")).unwrap();
    let before = world.ends("connect");
    wait_until("the node is refused", || world.ends("connect") > before + 2.0);
    while !world.nodes[0].is_quiet() {}
    let failed = world.ends("connect");
    wait_until("and goes on being refused", || world.ends("connect") > failed + 1.0);
    assert!(world.nodes[0].is_quiet());
}

/// The PKI as it is now, to be gone back to.
fn backup(world: &World) -> std::path::PathBuf {
    let to = world.setup.pki.path("../backup");
    std::fs::create_dir(&to).unwrap();
    let files = std::fs::read_dir(world.setup.pki.folder()).unwrap().map(Result::unwrap);
    for file in files.filter(|file| file.file_type().unwrap().is_file()) {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
    to
}

#[test]
fn a_restored_issuer_whose_newer_list_lacks_a_revocation_lets_nobody_in_not_after_a_restart_either() {
    let (mut world, mut live) = World::following(&Plan::default());
    let backup = backup(&world);
    live.event(&world.told(0, 1, &[(1, LEAVING, "revoked")]));
    world.setup.pki.revoke_client(LEAVING);
    world.list = (world.setup.pki.crl_number(), 1);
    live.event(&world.told(1, 2, &[]));
    let held = |world: &World| world.setup.gateway.metric(r#"sekisho_feed_changes_not_in_crl{ca="issuing"}"#);
    wait_until("the list took the change's place", || held(&world) < 1.0);
    leaving_is_revoked(&world, 0, 2);
    // The store is restored; its lists have higher numbers and less on them.
    let (mut restored, _) = sekisho_testkit::pki::PkiDir::ensure(&backup, sekisho_runtime::clock::now()).unwrap();
    while restored.crl_number() <= world.setup.pki.crl_number() {
        restored.issue_revocation_lists(sekisho_runtime::clock::now()).unwrap();
    }
    std::fs::copy(backup.join("crl.pem"), world.setup.pki.path("crl.pem")).unwrap();
    world.list = (restored.crl_number(), 2);
    live.event(&world.told(2, 3, &[]));
    let withdrawn = |gateway: &Gateway| gateway.metric(r#"sekisho_withdrawn_revocations{ca="issuing"}"#);
    wait_until("the list is in force", || withdrawn(&world.setup.gateway) > 0.0);
    leaving_is_revoked(&world, 0, 3);
    let alarm = r#"sekisho_crl_problems_total{ca="issuing",kind="withdrawn"}"#;
    assert!((world.setup.gateway.metric(alarm) - 1.0).abs() < f64::EPSILON);
    let World { setup: Setup { gateway, app, pki }, nodes, .. } = world;
    let file = pki.path("state/withdrawn");
    wait_until("it is kept", || file.is_file());
    gateway.signal(Signal::Kill);
    drop((gateway, live));
    let plan = Plan { when_stale: "\"open\"", ..Plan::default() };
    let restarted = || Gateway::listening(&pki, &configuration(&app, &[nodes[0].url()], &plan));
    let gateway = restarted();
    assert_eq!(refusal(&gateway, &pki, LEAVING), Some(AlertDescription::CertificateRevoked), "after a restart");
    assert!((withdrawn(&gateway) - 1.0).abs() < f64::EPSILON);
    let (_, said) = verified(&gateway, &pki, ALERT, LEAVING);
    assert!(said.contains("refused: revoked"), "{said}");
    drop(gateway);
    // An operator takes it back, in so many words.
    std::fs::remove_file(pki.path("state/feed/feed")).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.lines().filter(|line| line.starts_with('#')).collect::<Vec<_>>().join("\n") + "\n")
        .unwrap();
    let gateway = restarted();
    assert_eq!(refusal(&gateway, &pki, LEAVING), None);
    drop(gateway);
    std::fs::write(&file, "something else\n").unwrap();
    let (status, output) = Gateway::refused(&pki, &configuration(&app, &[nodes[0].url()], &plan));
    assert!(!status.success() && output.contains("withdrawn: line 1 is not an issuer"), "{output}");
}

#[test]
fn a_gateway_with_a_backlog_is_ready_with_its_last_page_and_not_before() {
    let world = World::new(&Plan::default());
    let mut live = world.nodes[0].asked().accept();
    let mut page = world.payload(0, 1, &[(1, "client-expired", "revoked")]);
    page["head"] = 2.into();
    live.event(&world.signer.sign(&page));
    world.nodes[0].wait_for_acknowledgement("f-1", 1);
    let (status, text) = world.setup.gateway.admin_get("/readyz");
    assert!(status == 503 && text.contains("issuing: the issuer's feed was not heard of yet"), "{text}");
    assert!(!is_let_in(&world, "client-good"), "2 may be its revocation");
    live.event(&world.told(1, 2, &[(2, LEAVING, "revoked")]));
    world.wait_until_ready();
    leaving_is_revoked(&world, 0, 2);
}

#[test]
fn a_gateway_that_never_heard_the_feed_has_no_time_of_grace_for_it() {
    let world = World::new(&Plan { when_stale: "{ grace = \"1h\" }", ..Plan::default() });
    let waiting = world.nodes[0].asked();
    assert!(!is_let_in(&world, "client-good"), "its revocation may be on the feed");
    assert_eq!(world.setup.gateway.admin_get("/readyz").0, 503);
    let mut live = waiting.accept();
    live.event(&world.told(0, 1, &[(1, LEAVING, "revoked")]));
    world.wait_until_ready();
    leaving_is_revoked(&world, 0, 1);
}

#[test]
fn a_state_folder_that_was_set_back_lets_nobody_in_before_the_issuer_was_heard() {
    let (world, mut live) = World::following(&Plan::default());
    live.event(&world.told(0, 1, &[(1, "client-expired", "revoked")]));
    world.nodes[0].wait_for_acknowledgement("f-1", 1);
    let file = world.setup.pki.path("state/feed/feed");
    let before = std::fs::read(&file).unwrap();
    live.event(&world.told(1, 2, &[(2, LEAVING, "revoked")]));
    leaving_is_revoked(&world, 0, 2);
    let World { setup: Setup { gateway, app, pki }, .. } = world;
    gateway.signal(Signal::Kill);
    drop((gateway, live));
    // Within lost_after, without the issuer: with the file of before, and with a last line that lost its end.
    let urls = [format!("https://localhost:{}", free_port())];
    let whole = std::fs::read(&file).unwrap();
    for (spoiled, is_torn) in [(&before[..], false), (&whole[..whole.len() - 5], true)] {
        std::fs::write(&file, spoiled).unwrap();
        let gateway = Gateway::listening(&pki, &configuration(&app, &urls, &Plan::default()));
        for client in [LEAVING, "client-good"] {
            assert_eq!(refusal(&gateway, &pki, client), Some(AlertDescription::CertificateUnknown), "{client}");
        }
        let (status, text) = gateway.admin_get("/readyz");
        assert!(status == 503 && text.contains("the issuer's feed was not heard of"), "{text}");
        let is_told = |record: &serde_json::Value| {
            record["level"] == "WARN" && record["message"].as_str().is_some_and(|text| text.contains("is torn"))
        };
        assert_eq!(gateway.records(is_told).len(), usize::from(is_torn));
        drop(gateway);
    }
}
