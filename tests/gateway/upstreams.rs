//! Whatever an upstream does, the client gets a true answer, and a large body is nowhere held whole (G2, G9).

use crate::common::{Setup, TestPki, TlsClient, Version, curl, wait_until};
use crate::strict::Strict;
use crate::support::{HOST, Pooled, canned, raw_upstream, reached};
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn bodies_of_64_mib_pass_both_ways_without_being_held() {
    let setup = Setup::new();
    let octets = 64_u64 << 20;
    let body = setup.pki.path("body");
    std::fs::File::create(&body).unwrap().set_len(octets).unwrap();
    let before = setup.gateway.memory_high_water();
    for version in ["--http1.1", "--http2"] {
        let upload = setup.gateway.url(HOST, "/upload");
        let answer = curl(
            &setup.gateway,
            &setup.pki,
            Some("client-good"),
            &[version, "-H", "Expect:", "-T", &body.display().to_string(), "-X", "POST", &upload],
        );
        assert!(answer.body().contains(&format!("\"bytes\":{octets}")), "{version}: {answer:?}");
        let url = setup.gateway.url(HOST, &format!("/download?bytes={octets}"));
        let sink = ["-o", "/dev/null", "-w", "\nHTTP/%{http_version} %{size_download}", version, &url];
        let answer = curl(&setup.gateway, &setup.pki, Some("client-good"), &sink);
        assert!(answer.stdout.ends_with(&octets.to_string()), "{version}: {answer:?}");
    }
    let grown = setup.gateway.memory_high_water() - before;
    assert!(grown < 24 << 20, "{grown} octets more for bodies of {octets}");
}

#[test]
fn a_reader_that_is_slow_does_not_make_the_gateway_hold_the_answer() {
    let setup = Setup::new();
    let before = setup.gateway.memory_high_water();
    let mut slow: Vec<_> = (0..8)
        .map(|_| {
            let mut connection =
                TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13).connect(&setup.gateway, HOST).unwrap();
            connection.send(b"GET /download?bytes=67108864 HTTP/1.1\r\nHost: ib.localhost\r\n\r\n").unwrap();
            connection
        })
        .collect();
    wait_until("all are under way", || reached(&setup.app, "/download") == 8);
    assert_eq!(slow[0].receive().unwrap().body.len(), 67_108_864);
    let grown = setup.gateway.memory_high_water() - before;
    assert!(grown < 32 << 20, "{grown} octets more");
}

#[test]
fn garbage_and_broken_answers_are_502_or_break_off() {
    for (what, answer, expected) in [
        ("garbage", &b"\x16\x03\x01 this is not HTTP\r\n\r\n"[..], Some(502)),
        ("nothing", b"", Some(502)),
        ("half a header", b"HTTP/1.1 200 OK\r\nContent-Le", Some(502)),
        ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", Some(502)),
        ("half a body", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", None),
        ("half the chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", None),
    ] {
        let pooled = Pooled::new(&format!("peers = [\"{}\"]", canned(answer)));
        let received = pooled.connect().get(HOST, "/");
        match (expected, received) {
            (Some(status), Ok(response)) => {
                assert_eq!(response.status, status, "{what}");
                assert!(!response.text().contains("127.0.0.1"), "{what}: {}", response.text());
            }
            (None, Err(_)) => {}
            (_, received) => panic!("{what}: {received:?}"),
        }
        pooled.gateway.record(what, |record| record["kind"] == "access" && record["error"].is_string());
    }
}

#[test]
fn interim_answers_and_what_has_no_body_pass() {
    let pooled = Pooled::new(&format!(
        "peers = [\"{}\"]",
        canned(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    ));
    let mut connection = pooled.connect();
    connection.send(b"GET / HTTP/1.1\r\nHost: ib.localhost\r\n\r\n").unwrap();
    let mut last = connection.receive().unwrap();
    if last.status == 103 {
        last = connection.receive().unwrap();
    }
    assert_eq!((last.status, last.text().as_str()), (200, "ok"));
    let setup = Setup::new();
    let mut connection =
        TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13).connect(&setup.gateway, HOST).unwrap();
    for code in [204, 304] {
        let response = connection.get(HOST, &format!("/status?code={code}")).unwrap();
        assert_eq!((response.status, response.body.len()), (code, 0));
    }
    connection.send(b"HEAD /download?bytes=1000 HTTP/1.1\r\nHost: ib.localhost\r\n\r\n").unwrap();
    let mut octets = Vec::new();
    while !octets.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        assert_eq!(connection.read(&mut octet).unwrap(), 1);
        octets.push(octet[0]);
    }
    let head = String::from_utf8(octets).unwrap().to_ascii_lowercase();
    assert!(head.contains("content-length: 1000"), "{head}");
    assert_eq!(connection.get(HOST, "/echo").unwrap().status, 200, "no body came after HEAD");
}

#[test]
fn a_client_that_asks_first_is_told_to_continue() {
    let setup = Setup::new();
    let mut connection =
        TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13).connect(&setup.gateway, HOST).unwrap();
    connection
        .send(b"POST /upload HTTP/1.1\r\nHost: ib.localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        .unwrap();
    assert_eq!(connection.receive().unwrap().status, 100);
    connection.send(b"abc").unwrap();
    assert_eq!(connection.receive().unwrap().json()["bytes"], 3);
}

#[test]
fn a_trailer_of_the_upstream_does_not_pass_as_a_header() {
    let chunked =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Late\r\n\r\n2\r\nok\r\n0\r\nX-Late: 1\r\n\r\n";
    let pooled = Pooled::new(&format!("peers = [\"{}\"]", canned(chunked)));
    let response = pooled.connect().get(HOST, "/").unwrap();
    assert_eq!((response.status, response.text().as_str(), response.header("x-late")), (200, "ok", None));
}

#[test]
fn an_upstream_that_is_slow_to_answer_is_504_by_the_pools_time_or_the_routes() {
    let silent = raw_upstream(|mut stream, _| {
        let _ = stream.read(&mut [0]);
    });
    let config = Pooled::new(&format!("peers = [\"{silent}\"]\nread_timeout = \"300ms\""));
    assert_eq!(config.status("/"), 504);
    let upgrade = "GET /ws HTTP/1.1\r\nHost: ib.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let mut connection = config.connect();
    connection.send(upgrade.as_bytes()).unwrap();
    assert_eq!(connection.receive().unwrap().status, 504, "nor is an upgrade waited for without end");
    let setup = Setup::with(|config| {
        config.replacen("path = \"/\"\npool = \"ib\"", "path = \"/\"\npool = \"ib\"\ntimeout = \"300ms\"", 1)
    });
    let connect = || TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13).connect(&setup.gateway, HOST);
    assert_eq!(connect().unwrap().get(HOST, "/slow?seconds=60").unwrap().status, 504);
    let timeouts = setup.gateway.metric(r#"sekisho_upstream_errors_total{kind="timeout",pool="ib"}"#);
    assert!((timeouts - 1.0).abs() < f64::EPSILON, "{timeouts}");
}

#[test]
fn a_client_that_goes_away_takes_its_request_with_it() {
    let (asked, gone) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (came, seen) = (asked.clone(), gone.clone());
    let upstream = raw_upstream(move |mut stream, _| {
        came.store(true, Ordering::SeqCst);
        // Ends, or fails, when the gateway closes.
        if matches!(stream.read(&mut [0]), Ok(0)) {
            seen.store(true, Ordering::SeqCst);
        }
    });
    let pooled = Pooled::new(&format!("peers = [\"{upstream}\"]"));
    let mut connection = pooled.connect();
    connection.send(b"GET / HTTP/1.1\r\nHost: ib.localhost\r\n\r\n").unwrap();
    // One that goes before its upstream is connected to leaves none.
    wait_until("the upstream is asked", || asked.load(Ordering::SeqCst));
    drop(connection);
    wait_until("the upstream is left", || gone.load(Ordering::SeqCst));
}

#[test]
fn an_upstream_that_answers_before_it_has_read_the_request_is_heard() {
    let upstream = raw_upstream(|mut stream, _| {
        let answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nmuch";
        let _ = stream.write_all(answer);
        let _ = stream.read(&mut [0; 16]);
    });
    let pooled = Pooled::new(&format!("peers = [\"{upstream}\"]"));
    let mut connection = pooled.connect();
    connection.send(b"POST / HTTP/1.1\r\nHost: ib.localhost\r\nContent-Length: 1000000\r\n\r\nabc").unwrap();
    let response = connection.receive().unwrap();
    assert_eq!((response.status, response.text().as_str()), (413, "much"));
}

/// An upstream that keeps its connections. Once a connection's second request is there it sends an answer that nobody
/// asked for and only then the true one: so late octets behind the first answer would come.
fn poisoning() -> std::net::SocketAddr {
    raw_upstream(|mut stream, _| {
        let answer = |text: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        let _ = stream.write_all(answer("true").as_bytes());
        if matches!(stream.read(&mut [0; 4096]), Ok(1..)) {
            let _ = stream.write_all((answer("poison") + &answer("true")).as_bytes());
            let _ = stream.read(&mut [0; 4096]);
        }
    })
}

#[test]
fn late_octets_of_an_application_reach_no_other_client_where_connections_are_not_shared() {
    let pooled = Pooled::new(&format!("peers = [\"{}\"]\nshare_connections = false", poisoning()));
    let mut first = pooled.connect();
    assert_eq!(first.get(HOST, "/first").unwrap().text(), "true");
    for number in 0..4 {
        let mut other = pooled.connect_as("client-rsa");
        assert_eq!(other.get(HOST, "/other").unwrap().text(), "true", "client {number}");
    }
    // Whom the application speaks to is who it harms.
    assert_eq!(first.get(HOST, "/first").unwrap().text(), "poison");
}

#[test]
fn a_connection_that_is_not_shared_serves_one_clients_requests_and_ends_with_it() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for http2 in [false, true] {
        let pki = TestPki::new();
        let upstream = if http2 { Strict::http2(&pki, &runtime) } else { Strict::http1() };
        let tls = "tls = { server_name = \"ib.localhost\", ca = \"server-ca.pem\" }\nhttp = \"2\"";
        let pool = format!(
            "peers = [\"{}\"]\nidle_timeout = \"1h\"\nshare_connections = false\n{}",
            upstream.address,
            if http2 { tls } else { "" }
        );
        let pooled = Pooled::on(pki, &pool);
        let mut clients = [pooled.connect(), pooled.connect(), pooled.connect_as("client-rsa")];
        for round in 0..3 {
            for (number, client) in clients.iter_mut().enumerate() {
                assert_eq!(client.get(HOST, &format!("/{number}/{round}")).unwrap().status, 200);
            }
        }
        let used: Vec<Vec<usize>> = (0..clients.len())
            .map(|number| {
                let rounds = (0..3).flat_map(|round| upstream.requests(&format!("/{number}/{round}")));
                rounds.map(|request| request.connection).collect()
            })
            .collect();
        assert!(used.iter().all(|used| used.len() == 3 && used.iter().all(|one| *one == used[0])), "{used:?}");
        assert!(used[0][0] != used[1][0] && used[0][0] != used[2][0] && used[1][0] != used[2][0], "{used:?}");
        let [first, second, third] = clients;
        drop(first);
        wait_until("its connection is closed", || upstream.seen().ended == [used[0][0]]);
        drop((second, third));
        wait_until("theirs are, too", || upstream.seen().ended.len() == 3);
    }
}

#[test]
fn requests_in_turn_go_over_the_same_few_connections() {
    let upstream = Strict::http1();
    let pooled = Pooled::new(&format!("peers = [\"{}\"]", upstream.address));
    let mut client = pooled.connect();
    for number in 0..500 {
        assert_eq!(client.get(HOST, &format!("/{number}")).unwrap().status, 200);
    }
    let connections: BTreeSet<_> = upstream.seen().requests.iter().map(|request| request.connection).collect();
    // One is kept a moment after its answer was told, when the next request may already be there; none is lost.
    assert!(connections.len() <= 3, "{} connections", connections.len());
}
