//! What passes between client and upstream of a message, and what ends at the gateway (RFC 9110, 9112, 9113).

use crate::common::{PATIENCE, Setup, TestPki, TlsClient, TlsConnection, Version, curl};
use crate::support::{HOST, Pooled, canned, met, raw_upstream, reached, with_pool};
use std::io::{Read as _, Write as _};
use std::sync::{Mutex, mpsc};

fn connect(setup: &Setup) -> TlsConnection {
    TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13).connect(&setup.gateway, HOST).unwrap()
}

/// Everything until the connection ends.
fn all(connection: &mut TlsConnection) -> String {
    let (mut text, mut room) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = connection.read(&mut room) {
        text.extend_from_slice(&room[..count]);
    }
    String::from_utf8_lossy(&text).to_ascii_lowercase()
}

#[test]
fn a_client_of_http_1_0_never_gets_chunks() {
    let setup = Setup::new();
    for keep in ["", "Connection: keep-alive\r\n"] {
        let mut connection = connect(&setup);
        let request = format!("GET /download?bytes=1000&chunked HTTP/1.0\r\nHost: {HOST}\r\n{keep}\r\n");
        connection.send(request.as_bytes()).unwrap();
        let answer = all(&mut connection);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(!head.contains("transfer-encoding") && head.contains("connection: close"), "{head}");
        assert_eq!(body.len(), 1000);
    }
    let mut connection = connect(&setup);
    for _ in 0..2 {
        let request = format!("GET /download?bytes=10 HTTP/1.0\r\nHost: {HOST}\r\nConnection: keep-alive\r\n\r\n");
        connection.send(request.as_bytes()).unwrap();
        let answer = connection.receive().unwrap();
        assert_eq!((answer.header("connection"), answer.body.len()), (Some("keep-alive"), 10));
    }
}

#[test]
fn pipelined_requests_are_answered_in_turn() {
    let setup = Setup::new();
    let mut connection = connect(&setup);
    let get = |number: usize| format!("GET /echo?{number} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let post = format!("POST /upload HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 3\r\n\r\nabc");
    let chunked =
        format!("POST /upload HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n");
    connection.send([get(0), post, get(1), chunked, get(2)].concat().as_bytes()).unwrap();
    for number in 0..3 {
        let answer = connection.receive().unwrap();
        assert_eq!(answer.json()["target"], format!("/echo?{number}"));
        if number < 2 {
            assert_eq!(connection.receive().unwrap().json()["bytes"], 3 - number);
        }
    }
    assert_eq!(connection.get(HOST, "/echo").unwrap().status, 200);
}

#[test]
fn a_header_does_not_wait_for_a_body_that_does_not_come() {
    let (go_on, gone_on) = mpsc::channel();
    let gone_on = Mutex::new(gone_on);
    let upstream = raw_upstream(move |mut stream, _| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n").unwrap();
        for half in [b"on", b"ce"] {
            // Not before the client has what came before.
            gone_on.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            stream.write_all(half).unwrap();
        }
    });
    let pooled = Pooled::new(&format!("peers = [\"{upstream}\"]"));
    let mut connection = pooled.connect();
    connection.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).unwrap();
    let mut text = String::new();
    for part in ["\r\n\r\n", "on", "once"] {
        while !text.contains(part) {
            let mut room = [0; 1024];
            let count = connection.read(&mut room).unwrap();
            assert!(count > 0, "{text}");
            text.push_str(std::str::from_utf8(&room[..count]).unwrap());
        }
        let _ = go_on.send(());
    }
}

#[test]
fn what_is_no_request_is_answered_by_the_gateway_counted_and_recorded() {
    let setup = Setup::new();
    let malformed = [
        ("GARBAGE\r\n\r\n".to_owned(), 400),
        (format!("GET /a b HTTP/1.1\r\nHost: {HOST}\r\n\r\n"), 400),
        (format!("GET /echo HTTP/1.1\r\nHost: {HOST}\r\nno field\r\n\r\n"), 400),
        (format!("POST /upload HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"), 400),
        (
            format!(
                "POST /upload HTTP/1.1\r\nHost: {HOST}\r\nAccept: application/problem+json\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
            ),
            501,
        ),
    ];
    for (number, (request, status)) in malformed.iter().enumerate() {
        let mut connection = connect(&setup);
        connection.send(request.as_bytes()).unwrap();
        let answer = connection.receive().unwrap();
        assert_eq!(answer.status, *status, "{request}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{request}");
        assert_eq!((answer.header("server"), answer.header("connection")), (None, Some("close")), "{request}");
        let reference = answer.json()["reference"].clone();
        setup.gateway.record(request, |record| record["kind"] == "access" && record["request_id"] == reference);
        let counted = setup.gateway.metric("sekisho_requests_total{site=\"ib.localhost\",status=\"400\"}");
        assert!((counted - (number.min(3) + 1) as f64).abs() < f64::EPSILON, "{counted} after {request}");
    }
    assert_eq!((reached(&setup.app, "/echo"), reached(&setup.app, "/upload"), reached(&setup.app, "/a")), (0, 0, 0));
}

#[test]
fn a_method_counts_into_the_size_of_the_header() {
    let setup = Setup::with(crate::support::with_limits("request_header_bytes = \"4KiB\""));
    let mut connection = connect(&setup);
    connection.send(format!("{} /echo HTTP/1.1\r\nHost: {HOST}\r\n\r\n", "M".repeat(5_000)).as_bytes()).unwrap();
    assert_eq!(connection.receive().unwrap().status, 431);
    assert!((met(&setup.gateway, "request_header_bytes") - 1.0).abs() < f64::EPSILON);
}

#[test]
fn fields_of_this_hop_stop_here_on_the_way_back_too() {
    let upstream = canned(
        b"HTTP/1.1 200 OK\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\n\
          Trailer: X-Late\r\nX-End: 2\r\nContent-Length: 2\r\n\r\nok",
    );
    let pooled = Pooled::new(&format!("peers = [\"{upstream}\"]"));
    for version in ["--http1.1", "--http2"] {
        let url = pooled.gateway.url(HOST, "/");
        let answer = curl(&pooled.gateway, &pooled.pki, Some("client-good"), &[version, "-i", &url]);
        let text = answer.stdout.to_ascii_lowercase();
        assert!(answer.status() == 200 && text.contains("x-end"), "{answer:?}");
        for name in ["x-hop", "keep-alive", "upgrade", "trailer"] {
            assert!(!text.contains(name), "{version} {name}: {answer:?}");
        }
    }
}

#[test]
fn answers_that_nobody_asked_for_or_that_tell_their_length_twice_are_502() {
    for answer in [
        &b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ] {
        let pooled = Pooled::new(&format!("peers = [\"{}\"]", canned(answer)));
        for version in ["--http1.1", "--http2"] {
            let url = pooled.gateway.url(HOST, "/");
            let told = curl(&pooled.gateway, &pooled.pki, Some("client-good"), &[version, &url]);
            assert_eq!(told.status(), 502, "{version} {}: {told:?}", String::from_utf8_lossy(answer));
        }
    }
}

#[test]
fn hints_reach_clients_of_both_versions() {
    let upstream =
        canned(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let pooled = Pooled::new(&format!("peers = [\"{upstream}\"]"));
    for version in ["--http1.1", "--http2"] {
        let url = pooled.gateway.url(HOST, "/");
        let arguments = [version, "-D", "-", "-o", "/dev/null", &url];
        let answer = curl(&pooled.gateway, &pooled.pki, Some("client-good"), &arguments);
        let text = format!("{answer:?}");
        assert!(text.contains(" 103") && text.contains(" 200"), "{version}: {text}");
    }
}

/// It writes more than all buffers take before it reads any of the request.
#[test]
fn an_application_on_a_unix_socket_that_answers_before_it_reads_is_not_stuck() {
    const BYTES: usize = 8 << 20;
    let pki = TestPki::new();
    let path = pki.path("ib.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            std::thread::spawn(move || {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.set_write_timeout(Some(PATIENCE)).unwrap();
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                    head.push(byte[0]);
                }
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", BYTES + 4);
                let _ = stream.write_all(&vec![b'x'; BYTES]);
                // The request's body is as long.
                let mut left = BYTES;
                let mut room = vec![0; 64 * 1024];
                while left > 0 {
                    match stream.read(&mut room) {
                        Ok(count @ 1..) => left = left.saturating_sub(count),
                        _ => return,
                    }
                }
                let _ = stream.write_all(b"done");
            });
        }
    });
    let body = pki.path("body");
    std::fs::write(&body, vec![b'y'; BYTES]).unwrap();
    let pooled = Pooled::on(pki, &format!("peers = [\"unix:{}\"]", path.display()));
    let upload = format!("@{}", body.display());
    for version in ["--http1.1", "--http2"] {
        let url = pooled.gateway.url(HOST, "/");
        let arguments =
            [version, "-H", "Expect:", "--data-binary", &upload, "-o", "/dev/null", "-w", "%{size_download}", &url];
        let answer = curl(&pooled.gateway, &pooled.pki, Some("client-good"), &arguments);
        assert!(answer.stdout.ends_with(&(BYTES + 4).to_string()), "{version}: {answer:?}");
    }
}

/// A route's `timeout` is until the header, however slowly the body comes after it, and does not run while the request
/// is on its way.
#[test]
fn a_routes_timeout_is_for_the_header_only() {
    let (go_on, gone_on) = mpsc::channel();
    let gone_on = Mutex::new(gone_on);
    let upstream = raw_upstream(move |mut stream, _| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\non").unwrap();
        gone_on.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        stream.write_all(b"ce").unwrap();
    });
    let app = crate::common::TestApp::new();
    let config = with_pool(&app, &format!("peers = [\"{upstream}\"]"));
    let timed = config.replacen("path = \"/\"\npool = \"ib\"", "path = \"/\"\npool = \"ib\"\ntimeout = \"300ms\"", 1);
    assert_ne!(config, timed);
    let pki = TestPki::new();
    let gateway = crate::common::Gateway::listening(&pki, &timed);
    let mut connection = TlsClient::new(&pki, Some("client-good"), Version::Tls13).connect(&gateway, HOST).unwrap();
    connection.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).unwrap();
    let began = std::time::Instant::now();
    // Another request meets the timeout meanwhile, so that it has passed.
    crate::common::wait_until("three times the timeout", || began.elapsed() > std::time::Duration::from_millis(900));
    go_on.send(()).unwrap();
    assert_eq!(connection.receive().unwrap().text(), "once");
}
