//! The built issuer and the built gateway: from the button to the refused stream.

use crate::common::{Gateway, Http2, Setup, TestApp, TestPki, TlsClient, Version, WebSocket, alert, wait_until};
use crate::support::{Held, Issuer, Plan};
use crate::world::{bank, plan, user};
use rustls::AlertDescription;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::time::Instant;

pub const ALERT: &str = "ib.localhost";
const PAGE: &str = "portal.localhost";

/// A gateway that follows an issuer, before an application.
pub struct Following {
    pub gateway: Gateway,
    pub app: TestApp,
    pub pki: TestPki,
}

impl Following {
    pub fn new(issuer: &Issuer, name: &str) -> Self {
        let (pki, app) = (TestPki::new(), TestApp::new());
        let service = issuer.plan.pki.service_named(name);
        std::fs::write(pki.path("gateway.pem"), &service.certificate).unwrap();
        std::fs::write(pki.path("gateway.key"), &service.key).unwrap();
        std::fs::write(pki.path("services-ca.pem"), &issuer.plan.pki.ca).unwrap();
        let key = issuer.plan.path("feed.key");
        let public = std::process::Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(key).output().unwrap();
        assert!(public.status.success());
        std::fs::write(pki.path("feed.pub.pem"), public.stdout).unwrap();
        let gateway = Gateway::start(&pki, &configuration(issuer, &app));
        Self { gateway, app, pki }
    }

    pub fn client(&self, held: &Held, version: Version) -> TlsClient {
        let pem = [&[held.certificate.clone()][..], &held.chain].concat().concat();
        let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(held.key.as_bytes()).unwrap();
        TlsClient::with_chain(&self.pki, Some((chain, key)), version)
    }
}

/// The demo's sites for clients of the issuer's authority, and its feed. Their CN has no contract: something else in it
/// passes for one.
pub fn configuration(issuer: &Issuer, app: &TestApp) -> String {
    let demo = Setup::configuration(app);
    let (head, rest) = demo.split_once("[[ca]]").unwrap();
    let (_, pool) = rest.split_once("[[pool]]").unwrap();
    let path = |name: &str| issuer.plan.path(name).display().to_string();
    let (root, hkg, lists) = (path("ca/made/root/root.pem"), path("ca/hkg/issuing.pem"), path("lists"));
    let head = head.replacen("[gateway]", "[gateway]\nstate_folder = \"state\"", 1);
    let port = issuer.address("api").port();
    format!(
        "{head}[gateway.feed]\nurls = [\"https://localhost:{port}\"]\nca = \"services-ca.pem\"\n\
         certificate = \"gateway.pem\"\nkey = \"gateway.key\"\npublic_key_files = [\"feed.pub.pem\"]\n\n\
         [[ca]]\nname = \"root\"\ncertificate = {root:?}\nrevocation = \"none\"\n\n\
         [[ca]]\nname = \"hkg\"\nissued_by = \"root\"\ncertificate = {hkg:?}\n\
         revocation = {{ crl = [{lists:?}], feed = true }}\nidentity = '(?<user_id>[^ ]+) (?<contract_id>A[0-9]+) .*'\n\n[[pool]]{pool}"
    )
}

fn propagation(answer: &Value) -> (u64, u64, u64) {
    let of = |name: &str| answer["propagation"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {answer}"));
    (of("gateways"), of("have"), of("milliseconds"))
}

#[test]
fn when_the_issuer_has_answered_that_the_gateway_has_it_every_path_is_closed() {
    let issuer = plan(&["gateway-1"]).and("wait = \"10s\"").start();
    let bank = bank(&issuer);
    let (person, held) = user(&bank, "u1");
    let (_, other) = user(&bank, "u2");
    let at = Following::new(&issuer, "gateway-1");
    let versions = [Version::Tls12, Version::Tls13];
    let resuming = versions.map(|version| {
        let client = at.client(&held, version);
        client.get(&at.gateway, ALERT, "/echo").unwrap();
        assert!(client.get(&at.gateway, ALERT, "/echo").unwrap().1.resumed());
        client
    });
    let mut kept = versions.map(|version| at.client(&held, version).get(&at.gateway, PAGE, "/echo").unwrap().1);
    let mut http2 = Http2::connect(&at.client(&held, Version::Tls13), &at.gateway, PAGE).unwrap();
    assert_eq!(http2.get(PAGE, "/echo").unwrap().0, 200);
    let mut streaming = Http2::connect(&at.client(&held, Version::Tls13), &at.gateway, PAGE).unwrap();
    let mut http2_stream = streaming.begin(PAGE, "/stream?seconds=600").unwrap();
    assert!(http2_stream.next().unwrap().is_some());
    let mut stream = at.client(&held, Version::Tls12).connect(&at.gateway, ALERT).unwrap();
    stream.send(b"GET /stream?seconds=600 HTTP/1.1\r\nHost: ib.localhost\r\n\r\n").unwrap();
    assert!(stream.read(&mut [0; 64]).unwrap() > 0);
    let mut socket = WebSocket::open(at.client(&held, Version::Tls13).connect(&at.gateway, ALERT).unwrap(), ALERT);
    assert_eq!(socket.echo("open").unwrap(), "open");
    let mut good = at.client(&other, Version::Tls13).get(&at.gateway, ALERT, "/echo").unwrap().1;

    let began = Instant::now();
    let answer = bank.act(&person, "revoke", "staff-desk").done();
    let (gateways, have, milliseconds) = propagation(&answer);
    assert_eq!((gateways, have), (1, 1), "{answer}");
    println!("answered after {:?}, acknowledged {milliseconds} ms after the commit", began.elapsed());
    // Nothing is waited for from here on: the answer says that it is in force.
    at.app.forget_requests();
    for client in resuming.iter().chain(&versions.map(|version| at.client(&held, version))) {
        let error = client.get(&at.gateway, ALERT, "/echo?after").map(|(answer, _)| answer.status).unwrap_err();
        assert_eq!(alert(&error), Some(AlertDescription::CertificateRevoked), "{error:?}");
    }
    for connection in &mut kept {
        let answer = connection.get(PAGE, "/echo?after").unwrap();
        assert!(answer.status == 403 && answer.text().contains("revoked"), "{}", answer.text());
    }
    assert_eq!(http2.get(PAGE, "/echo?after").unwrap().0, 403);
    let began = Instant::now();
    stream.read_to_its_end();
    socket.into_inner().read_to_its_end();
    assert!(http2_stream.breaks_off());
    println!("the streams ended within {:?} after the answer", began.elapsed());
    assert_eq!(good.get(ALERT, "/echo").unwrap().status, 200, "nobody else is touched");
    assert!(at.app.requests().iter().all(|request| !request.target.contains("after")));
    let serial = held.serial();
    let shown = issuer.service("reader").get(&format!("/v1/revocations/{serial}?authority=hkg")).done();
    assert_eq!(shown["propagation"]["nodes"][0]["name"], "gateway-1");
    // Once the published list has it, the list is what refuses.
    let held_changes = r#"sekisho_feed_changes_not_in_crl{ca="hkg"}"#;
    wait_until("the list has it", || at.gateway.metric(held_changes) < 1.0);
    let error = resuming[0].get(&at.gateway, ALERT, "/echo").map(|(answer, _)| answer.status).unwrap_err();
    assert_eq!(alert(&error), Some(AlertDescription::CertificateRevoked), "{error:?}");
}

#[test]
fn a_certificate_that_is_suspended_is_refused_and_served_again_on_the_same_connection_when_it_is_resumed() {
    let issuer = plan(&["gateway-1"]).and("wait = \"10s\"").start();
    let bank = bank(&issuer);
    let (person, held) = user(&bank, "u1");
    let at = Following::new(&issuer, "gateway-1");
    // HTTP/1.1 closes after a refusal, HTTP/2 goes on.
    let mut kept = Http2::connect(&at.client(&held, Version::Tls13), &at.gateway, PAGE).unwrap();
    // An answer, and the request over at the gateway too: one under way would be cut.
    let mut status = |path: &str| {
        let status = kept.get(PAGE, path).unwrap().0;
        at.gateway.record(path, |record| record["kind"] == "access" && record["path"] == path);
        status
    };
    assert_eq!(status("/echo/first"), 200);
    for round in 0..5 {
        for (act, expected) in [("suspend", 403), ("resume", 200)] {
            let answer = bank.act(&person, act, "staff-desk").done();
            assert_eq!(answer["propagation"]["have"], json!(1), "{answer}");
            if act == "suspend" {
                assert_eq!(status(&format!("/echo/{act}/{round}")), expected, "{act}, round {round}");
            } else {
                // A list with the hold may be in force before the feed has told how far it goes: until then it stands.
                let mut tries = 0;
                wait_until("it is served again", || {
                    tries += 1;
                    status(&format!("/echo/{act}/{round}/{tries}")) == expected
                });
            }
        }
    }
    // Also when lists were published meanwhile.
    wait_until("the list has it", || at.gateway.metric(r#"sekisho_feed_changes_not_in_crl{ca="hkg"}"#) < 1.0);
    assert_eq!(status("/echo/last"), 200);
}

#[test]
fn a_gateway_that_was_away_learns_on_its_return_what_it_missed() {
    let issuer = plan(&["gateway-1"]).start();
    let bank = bank(&issuer);
    let (first, held) = user(&bank, "u1");
    let (second, other) = user(&bank, "u2");
    let at = Following::new(&issuer, "gateway-1");
    let get = |at: &Following, held: &Held| {
        let answer = at.client(held, Version::Tls13).get(&at.gateway, ALERT, "/echo");
        answer.map(|(answer, _)| answer.status).map_err(|error| alert(&error))
    };
    assert_eq!(get(&at, &held), Ok(200));
    let Following { gateway, app, pki } = at;
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    drop(gateway);
    bank.act(&first, "revoke", "staff-desk").done();
    let gateway = Gateway::start(&pki, &config);
    let at = Following { gateway, app, pki };
    // What it had heard before it went away is recent: it serves by that until a node has told it more.
    wait_until("it follows again", || at.gateway.metric("sekisho_feed_connected") > 0.0);
    assert_eq!(get(&at, &held), Err(Some(AlertDescription::CertificateRevoked)));
    let answer = bank.act(&second, "revoke", "staff-desk").done();
    assert_eq!(answer["propagation"]["have"], json!(1), "{answer}");
    assert_eq!(get(&at, &other), Err(Some(AlertDescription::CertificateRevoked)));
}

#[test]
fn two_gateways_with_one_certificate_are_two() {
    let issuer = plan(&["gateway-1"]).and("wait = \"10s\"").start();
    let bank = bank(&issuer);
    let (person, held) = user(&bank, "u1");
    let both = [Following::new(&issuer, "gateway-1"), Following::new(&issuer, "gateway-1")];
    let answer = bank.act(&person, "revoke", "staff-desk").done();
    assert_eq!(propagation(&answer).0, 2, "{answer}");
    assert_eq!(propagation(&answer).1, 2, "{answer}");
    let shown = || issuer.service("reader").get(&format!("/v1/revocations/{}", held.serial())).done();
    wait_until("it is written down", || shown()["propagation"]["have"] == 2);
    let shown = shown();
    let nodes = shown["propagation"]["nodes"].as_array().unwrap();
    assert!(nodes.len() == 2 && nodes.iter().all(|node| node["name"] == "gateway-1"), "{shown}");
    assert_ne!(nodes[0]["instance"], nodes[1]["instance"], "{shown}");
    // A restart is no other gateway.
    let [first, _second] = both;
    let config = std::fs::read_to_string(first.gateway.config()).unwrap();
    let Following { gateway, app: _app, pki } = first;
    drop(gateway);
    let gateway = Gateway::start(&pki, &config);
    wait_until("it follows again", || gateway.metric("sekisho_feed_connected") > 0.0);
    let shown = issuer.service("reader").get(&format!("/v1/revocations/{}", held.serial())).done();
    assert_eq!(shown["propagation"]["gateways"], 2, "{shown}");
}

#[test]
fn a_gateway_that_does_not_follow_the_certificates_ca_is_not_said_to_have_its_revocation() {
    let issuer = Plan::new(&["hokugin", "bizstation"]).with_feed(&["gateway-1"]).and("wait = \"10s\"").start();
    let bank = bank(&issuer);
    let (person, held) = user(&bank, "u1");
    let at = Following::new(&issuer, "gateway-1");
    // It follows the feed, for another CA.
    let biz = issuer.plan.path("ca/biz/issuing.pem").display().to_string();
    let lists = issuer.plan.path("lists").display().to_string();
    let other = format!(
        "[[ca]]\nname = \"biz\"\nissued_by = \"root\"\ncertificate = {biz:?}\n\
         revocation = {{ crl = [{lists:?}], feed = true }}\n\
         identity = '(?<user_id>[^ ]+) (?<contract_id>A[0-9]+) .*'\n\n[[pool]]"
    );
    let config = configuration(&issuer, &at.app);
    let without = config.replace("feed = true }", "when_stale = \"open\" }").replacen("[[pool]]", &other, 1);
    assert_ne!(config, without);
    let Following { gateway, app, pki } = at;
    drop(gateway);
    let at = Following { gateway: Gateway::start(&pki, &without), app, pki };
    wait_until("it follows", || at.gateway.metric("sekisho_feed_connected") > 0.0);
    let acknowledged = r#"sekisho_feed_acknowledgements_total{outcome="accepted"}"#;
    wait_until("it has said what it follows", || at.gateway.metric(acknowledged) > 0.0);
    let answer = bank.act(&person, "revoke", "staff-desk").done();
    assert_eq!(
        (&answer["propagation"]["gateways"], &answer["propagation"]["have"]),
        (&json!(1), &json!(0)),
        "{answer}"
    );
    let shown = || issuer.service("reader").get(&format!("/v1/revocations/{}", held.serial())).done();
    wait_until("it has the message", || at.gateway.metric(r#"sekisho_feed_not_followed_total{ca="hkg"}"#) > 0.0);
    assert_eq!(shown()["propagation"]["nodes"][0]["acknowledged"], json!(false), "{}", shown());
    // And so say the metrics.
    let has = |authority: &str| {
        let name = format!("sekisho_issuer_feed_acknowledged_sequence{{authority=\"{authority}\",gateway=\"gateway-1");
        let (_, metrics) = issuer.admin_get("/metrics");
        metrics.lines().find(|line| line.starts_with(&name)).is_some_and(|line| line.ends_with(" 1"))
    };
    wait_until("it has acknowledged the change", || has("biz"));
    assert!(!has("hkg"), "its clients are let in");
}
