//! Nobody takes all places (requirement G14): requests under way of one certificate, one address, to one pool, one peer.

use crate::common::{Gateway, Setup, TestPki, TlsClient, Version, wait_until};
use crate::http2::{Frames, HEADERS, RST_STREAM};
use crate::support::{HOST, Pooled, met, reached, with_limits};

fn status(gateway: &Gateway, pki: &TestPki, client: &str) -> (u16, Option<String>) {
    let client = TlsClient::new(pki, Some(client), Version::Tls13);
    let answer = client.connect(gateway, HOST).unwrap().get(HOST, "/echo").unwrap();
    (answer.status, answer.header("retry-after").map(str::to_owned))
}

/// Takes three places, looks, gives one back, and looks again.
fn fills(gateway: &Gateway, pki: &TestPki, under_way: impl Fn() -> usize, limit: &str, leaves_others: bool) {
    let mut frames = Frames::connect(gateway, pki);
    for number in 0..3 {
        frames.get(number * 2 + 1, "/slow?seconds=600", &[]).unwrap();
    }
    wait_until("three are under way", || under_way() == 3);
    let (refused, after) = status(gateway, pki, "client-good");
    assert_eq!((refused, after.is_some()), (503, true), "{limit}");
    assert_eq!(status(gateway, pki, "client-rsa").0, if leaves_others { 200 } else { 503 }, "{limit}");
    assert!(met(gateway, limit) > 0.5, "{limit}");
    gateway.record(limit, |record| record["status"] == 503 && record["refused"] == limit);
    frames.send(RST_STREAM, 0, 1, &8_u32.to_be_bytes()).unwrap();
    wait_until(&format!("a place left is free: {limit}"), || status(gateway, pki, "client-good").0 == 200);
    frames.get(7, "/echo", &[]).unwrap();
    assert_eq!(frames.expect(HEADERS).stream, 7);
}

#[test]
fn requests_under_way_of_one_certificate_leave_room_for_others() {
    let setup = Setup::with(with_limits("requests_in_flight_per_certificate = 3"));
    let under_way = || reached(&setup.app, "/slow");
    fills(&setup.gateway, &setup.pki, under_way, "requests_in_flight_per_certificate", true);
}

#[test]
fn clients_of_one_address_without_a_certificate_are_limited_as_one_certificate_is() {
    let setup = Setup::with(|config| {
        let config = config.replacen("client_auth = \"required\"", "client_auth = \"optional\"", 1);
        let config = config.replacen("require = [\"certificate\"]", "", 1);
        with_limits("requests_in_flight_per_certificate = 3")(config)
    });
    let stranger = |path: &'static str| {
        let client = TlsClient::new(&setup.pki, None, Version::Tls13);
        let mut connection = client.connect(&setup.gateway, HOST).unwrap();
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).unwrap();
        connection
    };
    let waiting = [(); 3].map(|()| stranger("/slow?seconds=600"));
    wait_until("three are under way", || reached(&setup.app, "/slow") == 3);
    assert_eq!(stranger("/echo").receive().unwrap().status, 503);
    assert_eq!(status(&setup.gateway, &setup.pki, "client-good").0, 200);
    drop(waiting);
    wait_until("a place left is free", || stranger("/echo").receive().is_ok_and(|answer| answer.status == 200));
}

#[test]
fn requests_under_way_of_one_address_are_limited_whoever_makes_them() {
    let setup = Setup::with(with_limits("requests_in_flight_per_address = 3"));
    let under_way = || reached(&setup.app, "/slow");
    fills(&setup.gateway, &setup.pki, under_way, "requests_in_flight_per_address", false);
}

#[test]
fn requests_under_way_to_one_pool_and_one_peer_are_limited() {
    for limit in ["requests_in_flight", "requests_in_flight_per_peer"] {
        let app = crate::common::TestApp::new();
        let pooled = Pooled::new(&format!("peers = [\"{}\"]\n{limit} = 3", app.peer()));
        fills(&pooled.gateway, &pooled.pki, || reached(&app, "/slow"), limit, false);
    }
}
