//! Streams that end while the gateway is at work for them, at whatever stage, leave nothing behind (requirement G14,
//! CVE-2023-44487, CVE-2025-8671); and answers that nobody takes are not held.

use crate::common::{Gateway, TestPki, TlsClient, TlsConnection, Version, wait_until};
use crate::http2::{DATA, Frames, RST_STREAM, SETTINGS};
use crate::strict::Strict;
use crate::support::{HOST, met, with_limits, with_pool};
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const WINDOW_UPDATE: u8 = 8;

/// A listener whose backlog is full: who connects waits.
struct Full {
    _listener: Socket,
    _held: Vec<Socket>,
    address: SocketAddr,
}

impl Full {
    fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut held = Vec::new();
        loop {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            if socket.connect_timeout(&address.into(), Duration::from_millis(300)).is_err() {
                return Self { _listener: listener, _held: held, address };
            }
            held.push(socket);
        }
    }
}

fn descriptors(gateway: &Gateway) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", gateway.pid())).unwrap().count()
}

fn gateway(pki: &TestPki, pool: &str, limits: &str) -> Gateway {
    let unused = crate::common::TestApp::new();
    Gateway::listening(pki, &with_limits(limits)(with_pool(&unused, pool)))
}

#[test]
fn streams_reset_while_their_peer_is_connected_to_give_their_descriptors_back() {
    let full = Full::new();
    let pki = TestPki::new();
    let pool = format!("peers = [\"{}\"]\nconnect_timeout = \"1h\"", full.address);
    let gateway = gateway(&pki, &pool, "http2_resets = 100000\nconnections_opening_per_connection = 4");
    let mut frames = Frames::connect(&gateway, &pki);
    let before = descriptors(&gateway);
    for round in 0..20_u32 {
        for number in 0..10 {
            frames.get((round * 10 + number) * 2 + 1, "/", &[]).unwrap();
        }
        wait_until("they are being connected", || descriptors(&gateway) > before);
        assert!(descriptors(&gateway) <= before + 4, "{} of {before}", descriptors(&gateway));
        for number in 0..10 {
            frames.send(RST_STREAM, 0, (round * 10 + number) * 2 + 1, &8_u32.to_be_bytes()).unwrap();
        }
        wait_until("nothing is left", || descriptors(&gateway) <= before);
    }
    // h2's own resets: a window that grows beyond measure is the stream's error (RFC 9113 section 6.9.1).
    frames.get(1001, "/", &[]).unwrap();
    wait_until("it is being connected", || descriptors(&gateway) > before);
    frames.send(WINDOW_UPDATE, 0, 1001, &0x7fff_ffff_u32.to_be_bytes()).unwrap();
    wait_until("nothing is left", || descriptors(&gateway) <= before);
}

#[test]
fn resets_are_counted_when_they_come_and_end_the_connection_however_slow_its_upstream_is() {
    let full = Full::new();
    let pki = TestPki::new();
    let pool = format!("peers = [\"{}\"]\nconnect_timeout = \"1h\"", full.address);
    let gateway = gateway(&pki, &pool, "http2_resets = 10");
    for reset in [(RST_STREAM, 8_u32), (WINDOW_UPDATE, 0x7fff_ffff)] {
        let counted = met(&gateway, "http2_resets");
        let mut frames = Frames::connect(&gateway, &pki);
        for number in 0..60 {
            let stream = number * 2 + 1;
            if frames
                .get(stream, "/", &[])
                .and_then(|()| frames.send(reset.0, 0, stream, &reset.1.to_be_bytes()))
                .is_err()
            {
                break;
            }
        }
        frames.end();
        wait_until("it is counted", || met(&gateway, "http2_resets") > counted + 0.5);
    }
}

#[test]
fn a_request_whose_client_goes_away_before_the_answer_ends_in_both_versions() {
    let upstream = Strict::http1();
    let pki = TestPki::new();
    let gateway = gateway(&pki, &format!("peers = [\"{}\"]", upstream.address), "");
    let before = descriptors(&gateway);
    let client = TlsClient::new(&pki, Some("client-good"), Version::Tls13);
    let mut http1 = client.connect(&gateway, HOST).unwrap();
    http1.send(format!("GET /mute/1 HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).unwrap();
    upstream.wait_for("/mute/1");
    drop(http1);
    let mut http2 = Frames::connect(&gateway, &pki);
    http2.get(1, "/mute/2", &[]).unwrap();
    upstream.wait_for("/mute/2");
    http2.send(RST_STREAM, 0, 1, &8_u32.to_be_bytes()).unwrap();
    for path in ["/mute/1", "/mute/2"] {
        gateway.record(path, |record| record["path"] == path && record["status"] == 0);
    }
    // The one that stays.
    wait_until("their connections are closed", || descriptors(&gateway) <= before + 1);
}

/// Far more is pipelined than may be read ahead: what is unread stands before the client's end.
#[test]
fn a_client_that_goes_behind_many_pipelined_requests_ends_the_one_under_way() {
    let upstream = Strict::http1();
    let pki = TestPki::new();
    let pool = format!("peers = [\"{}\"]\nread_timeout = \"1h\"\nrequests_in_flight_per_peer = 1", upstream.address);
    let gateway = gateway(&pki, &pool, "requests_in_flight_per_certificate = 1");
    let client = TlsClient::new(&pki, Some("client-good"), Version::Tls13);
    // The upstream's connection that is kept for it stays.
    assert_eq!(client.get(&gateway, HOST, "/before").unwrap().0.status, 200);
    let before = descriptors(&gateway);
    let pipelined = format!("GET /behind HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let pipelined = pipelined.repeat(64 * 1024 / pipelined.len());
    for end in ["reset", "end"] {
        let path = format!("/mute/{end}");
        let mut connection = client.connect(&gateway, HOST).unwrap();
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n{pipelined}").as_bytes()).unwrap();
        upstream.wait_for(&path);
        let half = match end {
            "reset" => {
                connection.reset();
                None
            }
            _ => {
                connection.end_sending();
                Some(connection)
            }
        };
        gateway.record(&path, |record| record["path"] == path.as_str() && record["status"] == 0);
        drop(half);
        wait_until("its place is free, and its peer's", || {
            client.get(&gateway, HOST, "/next").is_ok_and(|(answer, _)| answer.status == 200)
        });
        wait_until("its descriptors are free", || descriptors(&gateway) <= before);
    }
    assert!(upstream.requests("/behind").is_empty(), "nobody waits for their answers");
}

/// cloudflare/pingora#635.
#[test]
fn a_client_that_leaves_inside_a_chunk_ends_its_request() {
    let upstream = Strict::http1();
    let pki = TestPki::new();
    let gateway = gateway(&pki, &format!("peers = [\"{}\"]", upstream.address), "");
    for (number, part) in
        ["4\r", "4", "4\r\nab", "4\r\nabcd", "4\r\nabcd\r\n0", "4\r\nabcd\r\n0\r\n"].iter().enumerate()
    {
        let client = TlsClient::new(&pki, Some("client-good"), Version::Tls13);
        let mut connection = client.connect(&gateway, HOST).unwrap();
        let path = format!("/whole/{number}");
        let head = format!("POST {path} HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n{part}");
        connection.send(head.as_bytes()).unwrap();
        upstream.wait_for(&path);
        drop(connection);
        gateway.record(&path, |record| record["path"] == path.as_str() && record["error"].is_string());
    }
    assert!(upstream.seen().requests.iter().all(|request| !request.whole), "{:?}", upstream.seen());
    assert!(upstream.seen().strays.is_empty(), "{:?}", upstream.seen());
}

/// An upstream that answers without end, and counts the connections on which it can send no more.
fn endless() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, stuck) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counter = stuck.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), counter) = (stream, counter.clone()) else { return };
            std::thread::Builder::new()
                .stack_size(256 * 1024)
                .spawn(move || {
                    // What the kernel keeps is not what is measured.
                    SockRef::from(&stream).set_send_buffer_size(16 * 1024).unwrap();
                    let mut room = [0; 4096];
                    let _ = stream.read(&mut room);
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
                    stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
                    while stream.write_all(&[b'x'; 16 * 1024]).is_ok() {}
                    counter.fetch_add(1, Ordering::SeqCst);
                    // Held until the gateway ends it.
                    let _ = stream.read(&mut room);
                })
                .unwrap();
        }
    });
    (address, stuck)
}

/// Of a stream: one piece of an answer, pingora's buffer it was read into, what h2 takes, and the rest of a request.
const A_STREAM: u64 = 256 * 1024;

#[test]
fn answers_that_no_client_takes_are_not_held() {
    const STREAMS: u32 = 100;
    let (upstream, stuck) = endless();
    let pki = TestPki::new();
    let gateway = gateway(&pki, &format!("peers = [\"{upstream}\"]"), "requests_in_flight_per_certificate = 200");
    let connect = || {
        let mut frames = Frames::connect(&gateway, &pki);
        // All that a client may offer: INITIAL_WINDOW_SIZE, and as much for the connection.
        frames.send(SETTINGS, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]).unwrap();
        frames.send(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes()).unwrap();
        frames
    };
    // What code takes that runs for the first time is not to be measured.
    let mut first = connect();
    first.get(1, "/", &[]).unwrap();
    first.expect(DATA);
    let before = gateway.memory_high_water();
    let mut clients = [connect(), connect()];
    for (number, frames) in clients.iter_mut().enumerate() {
        for stream in 0..STREAMS / 2 {
            frames.get(stream * 2 + 1, &format!("/{number}"), &[]).unwrap();
        }
    }
    let streams = usize::try_from(STREAMS).unwrap();
    wait_until("no upstream can send more", || stuck.load(Ordering::SeqCst) > streams);
    let grown = gateway.memory_high_water() - before;
    assert!(grown < u64::from(STREAMS) * A_STREAM, "{} bytes a stream", grown / u64::from(STREAMS));
    let client = TlsClient::new(&pki, Some("client-good"), Version::Tls13);
    let mut connections: Vec<TlsConnection> = (0..50).map(|_| client.connect(&gateway, HOST).unwrap()).collect();
    wait_until("all are connected", || gateway.metric("sekisho_connections") > 52.5);
    let before = gateway.memory_high_water();
    for connection in &mut connections {
        connection.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).unwrap();
    }
    wait_until("no upstream can send more", || stuck.load(Ordering::SeqCst) > streams + 50);
    let grown = gateway.memory_high_water().saturating_sub(before);
    assert!(grown < 50 * A_STREAM, "{} bytes a connection", grown / 50);
}

#[test]
fn while_more_is_held_than_may_be_new_requests_are_refused() {
    let (upstream, stuck) = endless();
    let pki = TestPki::new();
    let gateway = gateway(&pki, &format!("peers = [\"{upstream}\"]"), "body_bytes_in_flight = \"64KiB\"");
    let mut frames = Frames::connect(&gateway, &pki);
    for stream in 0..20 {
        frames.get(stream * 2 + 1, "/", &[]).unwrap();
    }
    let client = TlsClient::new(&pki, Some("client-rsa"), Version::Tls13);
    wait_until("somebody else is told that there is no room", || {
        let mut connection = client.connect(&gateway, HOST).unwrap();
        connection.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).unwrap();
        let mut room = [0; 1024];
        let count = connection.read(&mut room).unwrap();
        room[..count].starts_with(b"HTTP/1.1 503 ")
    });
    assert!(met(&gateway, "body_bytes_in_flight") > 0.5);
    gateway.record("the 503", |record| record["status"] == 503 && record["refused"] == "body_bytes_in_flight");
    drop((frames, stuck));
}
