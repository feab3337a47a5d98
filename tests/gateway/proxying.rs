//! Requests and answers pass whole (requirements G2, G9), or end in a clear status.

use crate::common::{PATIENCE, Setup, TestApp, TlsClient, Version, WebSocket, curl};
use crate::support::{HOST, Pooled, raw_upstream};
use std::io::Write as _;

#[test]
fn large_bodies_pass_both_ways_in_both_versions_of_http() {
    let setup = Setup::new();
    let body = setup.pki.path("body");
    // Not a multiple of any buffer.
    let octets: Vec<u8> = (0..5_000_003_u32).map(|index| u8::try_from(index % 251).unwrap()).collect();
    std::fs::write(&body, &octets).unwrap();
    let expected = sekisho_pki::fingerprint::Fingerprint::of(&octets).to_string();
    for version in ["--http1.1", "--http2"] {
        let upload = format!("@{}", body.display());
        let answer = curl(
            &setup.gateway,
            &setup.pki,
            Some("client-good"),
            &[version, "--data-binary", &upload, &setup.gateway.url(HOST, "/upload")],
        );
        assert!(answer.body().contains(&expected), "{version}: {answer:?}");
        for path in ["/download?bytes=7000001", "/download?bytes=7000001&chunked"] {
            let answer =
                curl(&setup.gateway, &setup.pki, Some("client-good"), &[version, &setup.gateway.url(HOST, path)]);
            assert_eq!((answer.status(), answer.body().len()), (200, 7_000_001), "{version} {path}: {}", answer.stderr);
        }
    }
}

/// A record costs both ends a sealing and the client perhaps a waking.
#[test]
fn a_header_is_in_one_record_with_the_body_behind_it() {
    /// Of a TLS 1.3 record: what it says at the most, and what sealing adds (RFC 8446 section 5.2).
    const WHOLE: usize = 16_384 + 17;
    let setup = Setup::new();
    let mut connection =
        TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13).connect(&setup.gateway, HOST).unwrap();
    // The ticket comes with the first answer.
    assert_eq!(connection.get(HOST, "/download?bytes=1").unwrap().status, 200);
    for (bytes, records) in [(0, 1), (1_000, 1), (3_000, 1), (16_000, 1), (30_000, 2)] {
        let request = format!("GET /download?bytes={bytes} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        connection.send(request.as_bytes()).unwrap();
        let lengths = connection.record_lengths(bytes + 1).unwrap();
        assert_eq!(lengths.len(), records, "{bytes}: {lengths:?}");
        assert!(records == 1 || lengths[0] == WHOLE, "{lengths:?}");
        assert_eq!(connection.receive().unwrap().body.len(), bytes);
    }
}

/// Of an answer whose length is announced a piece may wait for the next: who has all of it at once says so.
#[test]
fn an_answer_in_pieces_arrives_piece_by_piece() {
    for (framing, pieces) in [
        ("Transfer-Encoding: chunked", ["5\r\nfirst\r\n", "6\r\nsecond\r\n", "0\r\n\r\n"]),
        ("Connection: close", ["first", "second", ""]),
    ] {
        let (told, heard) = std::sync::mpsc::channel();
        let heard = std::sync::Mutex::new(heard);
        let pooled = Pooled::new(&format!(
            "peers = [\"{}\"]",
            raw_upstream(move |mut stream, _| {
                write!(stream, "HTTP/1.1 200 OK\r\n{framing}\r\n\r\n").unwrap();
                for piece in pieces {
                    // Not before the client has what came before.
                    heard.lock().unwrap().recv_timeout(PATIENCE).unwrap();
                    stream.write_all(piece.as_bytes()).unwrap();
                }
            })
        ));
        let mut connection = pooled.connect();
        connection.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        for piece in ["\r\n\r\n", "first", "second"] {
            while !answer.contains(piece) {
                let mut octets = [0; 1024];
                let count = connection.read(&mut octets).unwrap();
                assert!(count > 0, "{framing}: {answer}");
                answer.push_str(std::str::from_utf8(&octets[..count]).unwrap());
            }
            told.send(()).unwrap();
        }
    }
}

#[test]
fn a_header_without_a_body_behind_it_arrives_by_itself() {
    let header = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n";
    let upstream = raw_upstream(|mut stream, _| stream.write_all(header).unwrap());
    let pooled = Pooled::new(&format!("peers = [\"{upstream}\"]"));
    let mut connection = pooled.connect();
    // On one connection, so that what waits of the first would come with the second.
    for _ in 0..2 {
        connection.send(format!("HEAD / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        while !answer.ends_with("\r\n\r\n") {
            let mut octets = [0; 1024];
            let count = connection.read(&mut octets).unwrap();
            assert!(count > 0, "{answer}");
            answer.push_str(std::str::from_utf8(&octets[..count]).unwrap());
        }
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[test]
fn a_websocket_passes() {
    let setup = Setup::new();
    let connection =
        TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13).connect(&setup.gateway, HOST).unwrap();
    let mut socket = WebSocket::open(connection, HOST);
    for text in ["one", "two", "three"] {
        let echoed = socket.echo(text).unwrap_or_else(|error| panic!("{text}: {error}: {}", setup.gateway.output()));
        assert_eq!(echoed, text);
    }
    assert_eq!(setup.app.request_of("/ws").headers["x-sekisho-user-id"], "riyousya");
}

#[test]
fn statuses_of_the_application_pass_and_its_absence_is_502_or_503() {
    let setup = Setup::new();
    for code in ["204", "404", "500"] {
        let answer = curl(
            &setup.gateway,
            &setup.pki,
            Some("client-good"),
            &[&setup.gateway.url(HOST, &format!("/status?code={code}"))],
        );
        assert_eq!(answer.status().to_string(), code);
    }
    let Setup { gateway, app, pki } = setup;
    drop::<TestApp>(app);
    let answer = curl(&gateway, &pki, Some("client-good"), &[&gateway.url(HOST, "/echo")]);
    assert!(matches!(answer.status(), 502 | 503), "{answer:?}");
}

#[test]
fn an_application_that_does_not_answer_in_time_is_504() {
    let setup = Setup::with(|config| config.replacen("peers =", "read_timeout = \"1s\"\npeers =", 1));
    let answer = curl(&setup.gateway, &setup.pki, Some("client-good"), &[&setup.gateway.url(HOST, "/slow?seconds=60")]);
    assert_eq!(answer.status(), 504, "{answer:?}");
}

#[test]
fn a_body_or_header_over_its_limit_is_413_or_431_and_the_next_client_is_served() {
    let limits = "[gateway.limits]\nrequest_body_bytes = \"64KiB\"\nrequest_header_bytes = \"4KiB\"\n\n[[ca]]";
    let setup = Setup::with(|config| config.replacen("[[ca]]", limits, 1));
    let url = setup.gateway.url(HOST, "/upload");
    let body = "x".repeat(70_000);
    let answer = curl(&setup.gateway, &setup.pki, Some("client-good"), &["--data-binary", &body, &url]);
    assert_eq!(answer.status(), 413, "{answer:?}");
    let chunked = ["-H", "Transfer-Encoding: chunked", "--http1.1", "--data-binary", &body, &url];
    assert_eq!(curl(&setup.gateway, &setup.pki, Some("client-good"), &chunked).status(), 413);
    let header = format!("X-Large: {}", "x".repeat(8_000));
    let answer = curl(&setup.gateway, &setup.pki, Some("client-good"), &["--http1.1", "-H", &header, &url]);
    assert_eq!(answer.status(), 431, "{answer:?}");
    let answer = curl(&setup.gateway, &setup.pki, Some("client-good"), &["--data-binary", "x", &url]);
    assert_eq!(answer.status(), 200, "{answer:?}");
}
