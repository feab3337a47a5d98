//! Each limit ends what exceeds it, counts it, and everyone else is served (requirement G14).

use crate::common::{Setup, TestPki, TlsClient, TlsConnection, Version, wait_until};
use crate::support::{HOST, Pooled, met, raw_upstream, reached, with_limits};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn connect(setup: &Setup) -> TlsConnection {
    TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13).connect(&setup.gateway, HOST).unwrap()
}

fn still_serves(setup: &Setup) {
    assert_eq!(connect(setup).get(HOST, "/echo").unwrap().status, 200);
}

fn counted(setup: &Setup, limit: &str) {
    wait_until(&format!("{limit} is counted"), || met(&setup.gateway, limit) > 0.5);
}

fn tcp(setup: &Setup) -> TcpStream {
    let tcp = TcpStream::connect(setup.gateway.tls()).unwrap();
    tcp.set_read_timeout(Some(crate::common::PATIENCE)).unwrap();
    tcp
}

/// Reads to the end or a reset, which is one too.
fn ends(tcp: &mut TcpStream) {
    let mut buffer = [0; 1024];
    loop {
        match tcp.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("it did not end"),
            Err(_) => return,
        }
    }
}

/// The attack itself is slow: each octet comes well before any timer between two reads.
#[expect(clippy::disallowed_methods, reason = "this waits for nothing")]
fn between_drops() {
    std::thread::sleep(Duration::from_millis(100));
}

/// A ClientHello for the site, without the rest of a handshake.
fn client_hello(setup: &Setup) -> Vec<u8> {
    let name = rustls::pki_types::ServerName::try_from(HOST).unwrap();
    let config = TlsClient::new(&setup.pki, None, Version::Tls13).config();
    let mut client = rustls::ClientConnection::new(config, name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

#[test]
fn a_handshake_that_is_silent_stops_or_drips_ends_in_time() {
    let setup = Setup::with(with_limits("handshake_timeout = \"1s\""));
    let hello = client_hello(&setup);
    let began = Instant::now();
    let mut silent = tcp(&setup);
    let mut stopping = tcp(&setup);
    stopping.write_all(&hello).unwrap();
    let mut dripping = tcp(&setup);
    std::thread::scope(|scope| {
        let mut drip = dripping.try_clone().unwrap();
        scope.spawn(move || {
            for octet in hello {
                if drip.write_all(&[octet]).is_err() {
                    return;
                }
                between_drops();
            }
        });
        still_serves(&setup);
        for tcp in [&mut silent, &mut stopping, &mut dripping] {
            ends(tcp);
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        wait_until("three are counted", || met(&setup.gateway, "handshake_timeout") > 2.5);
    });
    setup.gateway.record("a handshake that took too long", |record| {
        record["kind"] == "authentication" && record["reason"] == "timeout" && record["outcome"] == "failed"
    });
    still_serves(&setup);
}

#[test]
fn connections_of_one_address_and_in_all_are_limited_and_a_place_left_is_free() {
    for limit in ["connections_per_address", "connections"] {
        let setup = Setup::with(with_limits(&format!("{limit} = 3")));
        let mut held: Vec<_> = (0..3).map(|_| connect(&setup)).collect();
        let refused = TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13).connect(&setup.gateway, HOST);
        assert!(refused.is_err());
        counted(&setup, limit);
        assert_eq!(held[0].get(HOST, "/echo").unwrap().status, 200, "those who are in are served");
        held.pop();
        wait_until("there is a place again", || {
            TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13)
                .get(&setup.gateway, HOST, "/echo")
                .is_ok_and(|(response, _)| response.status == 200)
        });
    }
}

#[test]
fn new_connections_a_second_are_limited() {
    let setup = Setup::with(with_limits("new_connections_per_second_per_address = 2"));
    wait_until("one second had too many", || {
        drop(tcp(&setup));
        met(&setup.gateway, "new_connections_per_second_per_address") > 0.5
    });
    wait_until("the next second serves", || {
        TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13)
            .get(&setup.gateway, HOST, "/echo")
            .is_ok_and(|(response, _)| response.status == 200)
    });
}

#[test]
fn a_header_that_drips_ends_at_header_timeout() {
    let setup = Setup::with(with_limits("header_timeout = \"1s\""));
    let mut dripping = connect(&setup);
    let mut waiting = connect(&setup);
    for octet in b"GET /echo HTTP/1.1\r\nHost: ib.localhost\r\nX-Slow: ".iter().chain(std::iter::repeat(&b'x')) {
        if dripping.send(&[*octet]).is_err() {
            break;
        }
        between_drops();
    }
    counted(&setup, "header_timeout");
    assert_eq!(reached(&setup.app, "/echo"), 0);
    assert_eq!(waiting.get(HOST, "/echo").unwrap().status, 200, "one that has not begun is not slow");
}

#[test]
fn a_header_without_end_is_not_collected() {
    let setup = Setup::new();
    let flood = |pieces: usize| {
        let mut connection = connect(&setup);
        let _ = connection.send(b"GET /echo HTTP/1.1\r\nHost: ib.localhost\r\nX-Large: ");
        let piece = vec![b'x'; 64 * 1024];
        let _ = (0..pieces).try_for_each(|_| connection.send(&piece));
        connection.read_to_its_end();
    };
    // What code takes that runs for the first time is not to be measured.
    still_serves(&setup);
    flood(4);
    let before = setup.gateway.memory_high_water();
    (0..8).for_each(|_| flood(512));
    wait_until("each is counted", || met(&setup.gateway, "request_header_bytes") > 8.5);
    let grown = setup.gateway.memory_high_water() - before;
    assert!(grown < 16 << 20, "{grown} octets more");
    still_serves(&setup);
}

#[test]
fn an_idle_connection_ends_at_idle_timeout_before_and_after_a_request() {
    let setup = Setup::with(with_limits("idle_timeout = \"1s\""));
    let mut fresh = connect(&setup);
    let mut used = connect(&setup);
    let mut busy = connect(&setup);
    assert_eq!(used.get(HOST, "/echo").unwrap().status, 200);
    busy.send(b"GET /slow?seconds=3 HTTP/1.1\r\nHost: ib.localhost\r\n\r\n").unwrap();
    fresh.read_to_its_end();
    used.read_to_its_end();
    wait_until("two are counted", || met(&setup.gateway, "idle_timeout") > 1.5);
    assert_eq!(busy.receive().unwrap().status, 200, "one with a request under way is not idle");
}

#[test]
fn a_body_that_stops_coming_is_408() {
    let setup = Setup::with(with_limits("body_idle_timeout = \"1s\""));
    let mut connection = connect(&setup);
    connection.send(b"POST /upload HTTP/1.1\r\nHost: ib.localhost\r\nContent-Length: 10\r\n\r\nabc").unwrap();
    assert_eq!(connection.receive().unwrap().status, 408);
    connection.read_to_its_end();
    counted(&setup, "body_idle_timeout");
    still_serves(&setup);
}

/// Whose fault it is: the application's time does not run while the client is waited for.
#[test]
fn a_client_that_stops_is_408_and_one_that_pauses_goes_on_however_short_the_upstreams_time() {
    let limits = with_limits("body_idle_timeout = \"6s\"");
    let setup = Setup::with(|config| limits(config).replacen("peers =", "read_timeout = \"500ms\"\npeers =", 1));
    let head = "POST /upload HTTP/1.1\r\nHost: ib.localhost\r\nContent-Length: 10\r\n\r\n";
    let mut stops = connect(&setup);
    stops.send(format!("{head}abc").as_bytes()).unwrap();
    let mut pauses = connect(&setup);
    pauses.send(format!("{head}abc").as_bytes()).unwrap();
    // The application's time passes twice meanwhile, the client's does not.
    for _ in 0..2 {
        assert_eq!(connect(&setup).get(HOST, "/slow?seconds=60").unwrap().status, 504);
    }
    pauses.send(b"defghij").unwrap();
    assert_eq!(pauses.receive().unwrap().status, 200);
    assert_eq!(stops.receive().unwrap().status, 408);
    counted(&setup, "body_idle_timeout");
    let metric = "sekisho_upstream_errors_total{kind=\"timeout\",pool=\"ib\"}";
    assert!((setup.gateway.metric(metric) - 2.0).abs() < 0.5, "those two alone are the application's fault");
}

/// Before applications of half a second, with clients that may be idle for longer than any test waits.
fn impatient(serve: impl Fn(TcpStream, String) + Send + Sync + 'static) -> Pooled {
    let pool = format!("peers = [\"{}\"]\nread_timeout = \"500ms\"", raw_upstream(serve));
    Pooled::with(TestPki::new(), &pool, with_limits("body_idle_timeout = \"1h\""))
}

#[test]
fn a_client_that_waits_for_the_100_of_a_mute_application_gets_the_applications_504() {
    // Hints are no 100.
    for says in ["", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"] {
        let pooled = impatient(move |mut stream, _| {
            let _ = stream.write_all(says.as_bytes());
            let _ = stream.read(&mut [0; 1]);
        });
        let mut client = pooled.connect();
        let head = "POST /upload HTTP/1.1\r\nHost: ib.localhost\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n";
        client.send(head.as_bytes()).unwrap();
        let mut answer = client.receive().unwrap();
        if answer.status == 103 {
            answer = client.receive().unwrap();
        }
        assert_eq!(answer.status, 504, "{says:?}");
    }
}

/// An application may begin its answer before it has the whole request, and wait for the rest.
#[test]
fn an_answer_that_waits_for_a_client_that_pauses_goes_on() {
    let pooled = impatient(|mut stream, head| {
        if head.starts_with("POST") {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na");
            let _ = stream.read_exact(&mut [0; 10]);
            let _ = stream.write_all(b"b");
        }
        let _ = stream.read(&mut [0; 1]);
    });
    let mut client = pooled.connect();
    client.send(b"POST /upload HTTP/1.1\r\nHost: ib.localhost\r\nContent-Length: 10\r\n\r\nabc").unwrap();
    let mut received = Vec::new();
    let mut until = |client: &mut TlsConnection, end: &[u8]| {
        while !received.ends_with(end) {
            let mut room = [0; 1024];
            let count = client.read(&mut room).unwrap();
            assert!(count > 0, "it ended: {:?}", String::from_utf8_lossy(&received));
            received.extend_from_slice(&room[..count]);
        }
    };
    until(&mut client, b"\r\n\r\na");
    for _ in 0..2 {
        assert_eq!(pooled.status("/mute"), 504);
    }
    client.send(b"defghij").unwrap();
    until(&mut client, b"\r\n\r\nab");
}

#[test]
fn a_client_that_does_not_read_its_answer_is_given_up() {
    let setup = Setup::with(with_limits("body_idle_timeout = \"1s\""));
    let mut connection = connect(&setup);
    connection.send(b"GET /download?bytes=500000000 HTTP/1.1\r\nHost: ib.localhost\r\n\r\n").unwrap();
    counted(&setup, "body_idle_timeout");
    still_serves(&setup);
}

#[test]
fn request_timeout_ends_what_moves_slowly_on_either_side_and_leaves_websockets_alone() {
    let setup = Setup::with(with_limits("request_timeout = \"1s\""));
    let mut socket = crate::common::WebSocket::open(connect(&setup), HOST);
    // The upstream does not answer.
    assert_eq!(connect(&setup).get(HOST, "/slow?seconds=60").unwrap().status, 504);
    wait_until("it is counted", || met(&setup.gateway, "request_timeout") > 0.5);
    // It answers and goes on.
    assert!(connect(&setup).get(HOST, "/stream?seconds=60").is_err(), "the answer breaks off");
    wait_until("it is counted", || met(&setup.gateway, "request_timeout") > 1.5);
    // The client goes on.
    let mut connection = connect(&setup);
    connection.send(b"POST /upload HTTP/1.1\r\nHost: ib.localhost\r\nContent-Length: 100000\r\n\r\n").unwrap();
    while met(&setup.gateway, "request_timeout") < 2.5 && connection.send(b"x").is_ok() {}
    assert_eq!(connection.receive().unwrap().status, 408);
    assert_eq!(socket.echo("still here").unwrap(), "still here");
    still_serves(&setup);
}

#[test]
fn a_connection_ends_in_good_order_after_its_requests() {
    let setup = Setup::with(with_limits("requests_per_connection = 3"));
    let mut connection = connect(&setup);
    let answers: Vec<_> = (0..3).map(|_| connection.get(HOST, "/echo").unwrap()).collect();
    let closing: Vec<_> = answers.iter().map(|answer| answer.header("connection") == Some("close")).collect();
    assert_eq!(closing, [false, false, true]);
    connection.read_to_its_end();
    counted(&setup, "requests_per_connection");
    still_serves(&setup);
}

/// As many clients do: they send the whole body before they look for an answer.
#[test]
fn a_client_that_reads_nothing_until_its_body_is_sent_finds_its_answer() {
    let setup = Setup::with(with_limits("request_body_bytes = \"64KiB\""));
    let chunk = [&b"100000\r\n"[..], &vec![b'x'; 1 << 20], b"\r\n"].concat();
    for version in [Version::Tls12, Version::Tls13] {
        for framing in ["Content-Length: 16777216", "Transfer-Encoding: chunked"] {
            let chunked = framing.ends_with("chunked");
            let piece = if chunked { &chunk[..] } else { &chunk[8..][..1 << 20] };
            let mut connection =
                TlsClient::new(&setup.pki, Some("client-good"), version).connect(&setup.gateway, HOST).unwrap();
            connection.send(format!("POST /upload HTTP/1.1\r\nHost: {HOST}\r\n{framing}\r\n\r\n").as_bytes()).unwrap();
            for sent in 0..16 {
                connection.send(piece).unwrap_or_else(|error| panic!("{framing}: {error} after {sent} MiB"));
            }
            assert_eq!(connection.receive().unwrap().status, 413, "{framing}");
            assert_eq!(connection.read_to_its_end(), None);
            // It stays and says no more; its place is free all the same.
            wait_until("the connection is over", || setup.gateway.metric("sekisho_connections") < 0.5);
        }
    }
    still_serves(&setup);
}

#[test]
fn a_large_body_over_the_limit_still_gets_its_answer() {
    let setup = Setup::with(with_limits("request_body_bytes = \"64KiB\""));
    let body = setup.pki.path("body");
    std::fs::write(&body, vec![b'x'; 8 << 20]).unwrap();
    let upload = format!("@{}", body.display());
    let url = setup.gateway.url(HOST, "/upload");
    for arguments in [
        &["--http1.1", "-H", "Expect:", "--data-binary", &upload, &url][..],
        &["--http1.1", "-H", "Expect:", "-H", "Transfer-Encoding: chunked", "--data-binary", &upload, &url],
        &["--http1.1", "--data-binary", &upload, &url],
        &["--http2", "--data-binary", &upload, &url],
    ] {
        let answer = crate::common::curl(&setup.gateway, &setup.pki, Some("client-good"), arguments);
        assert_eq!(answer.status(), 413, "{arguments:?}: {answer:?}");
    }
    assert!(met(&setup.gateway, "request_body_bytes") > 3.5);
    still_serves(&setup);
}
