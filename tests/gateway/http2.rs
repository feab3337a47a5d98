//! HTTP/2 as an attacker speaks it: frames by hand (requirement G14).

use crate::common::{Gateway, Setup, TestPki, TlsClient, TlsConnection, Version, curl, wait_until};
use crate::support::{HOST, met, reached, with_limits};
use std::io;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A client of frames (RFC 9113 section 4.1).
pub struct Frames(TlsConnection);

/// A frame that came.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frames {
    pub fn connect(gateway: &Gateway, pki: &TestPki) -> Self {
        let client = TlsClient::new(pki, Some("client-good"), Version::Tls13)
            .with(|config| config.alpn_protocols = vec![b"h2".to_vec()]);
        let mut connection = client.connect(gateway, HOST).unwrap();
        connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        let mut frames = Self(connection);
        frames.send(SETTINGS, 0, 0, &[]).unwrap();
        frames
    }

    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.0.send(&encode(kind, flags, stream, payload))
    }

    /// GET of a path with further fields.
    pub fn get(&mut self, stream: u32, path: &str, fields: &[(&str, &str)]) -> io::Result<()> {
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, &header_block(path, fields))
    }

    pub fn receive(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        io::Read::read_exact(&mut self.0, &mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        io::Read::read_exact(&mut self.0, &mut payload)?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
        Ok(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// Waits for a frame of that kind.
    pub fn expect(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.receive().unwrap_or_else(|error| panic!("{error} before a frame of type {kind}"));
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// Reads to the end: the error code of GOAWAY if there was one.
    pub fn end(&mut self) -> Option<u32> {
        let mut code = None;
        loop {
            match self.receive() {
                Ok(frame) if frame.kind == GOAWAY => code = frame.payload[4..8].try_into().ok().map(u32::from_be_bytes),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    panic!("the connection did not end")
                }
                Err(_) => return code,
            }
        }
    }
}

fn encode(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// RFC 7541: indexed pseudo-headers of the static table and literals without indexing.
pub fn header_block(path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = vec![0x82, 0x87];
    block.push(0x04);
    literal(&mut block, path);
    block.push(0x01);
    literal(&mut block, HOST);
    for (name, value) in fields {
        block.push(0x00);
        literal(&mut block, name);
        literal(&mut block, value);
    }
    block
}

fn literal(block: &mut Vec<u8>, text: &str) {
    match u8::try_from(text.len()) {
        Ok(length) if length < 127 => block.push(length),
        _ => {
            block.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                block.push(u8::try_from(rest % 128).unwrap() | 128);
                rest /= 128;
            }
            block.push(u8::try_from(rest).unwrap());
        }
    }
    block.extend_from_slice(text.as_bytes());
}

/// The answer's status to a request of this block, where HPACK's static table has it.
fn status(frames: &mut Frames, stream: u32, block: &[u8], body: &[u8]) -> Option<u16> {
    frames.send(HEADERS, END_HEADERS, stream, block).unwrap();
    frames.send(DATA, END_STREAM, stream, body).unwrap();
    loop {
        let frame = frames.receive().unwrap();
        match frame.kind {
            HEADERS if frame.stream == stream => {
                return Some(match frame.payload.iter().find(|byte| **byte >= 0x80)? {
                    0x88 => 200,
                    0x8c => 400,
                    0x8d => 404,
                    _ => return None,
                });
            }
            RST_STREAM if frame.stream == stream => return None,
            _ => {}
        }
    }
}

fn post_block(path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = header_block(path, fields);
    block[0] = 0x83;
    block
}

#[test]
fn a_length_has_one_spelling_and_the_scheme_is_https_here_too() {
    let setup = Setup::new();
    for fields in [&[("content-length", "3"), ("content-length", "3")][..], &[("content-length", "03")]] {
        let mut frames = Frames::connect(&setup.gateway, &setup.pki);
        assert_eq!(status(&mut frames, 1, &post_block("/upload", fields), b"abc"), Some(400), "{fields:?}");
    }
    let mut http = post_block("/upload", &[]);
    http[1] = 0x86;
    assert_eq!(status(&mut Frames::connect(&setup.gateway, &setup.pki), 1, &http, b"abc"), Some(400), ":scheme http");
    assert_eq!(reached(&setup.app, "/upload"), 0);
    let look_alikes =
        [("content-length", "3"), ("content_length", "9"), ("transfer.encoding", "chunked"), ("host_", "evil")];
    let mut frames = Frames::connect(&setup.gateway, &setup.pki);
    assert_eq!(status(&mut frames, 1, &post_block("/upload", &look_alikes), b"abc"), Some(200));
    let headers = setup.app.request_of("/upload").headers;
    for name in ["content_length", "transfer.encoding", "host_"] {
        assert!(!headers.contains_key(name), "{name}: {headers:?}");
    }
}

fn still_serves(setup: &Setup) {
    let answer = curl(&setup.gateway, &setup.pki, Some("client-good"), &[&setup.gateway.url(HOST, "/echo")]);
    assert_eq!(answer.status(), 200, "{answer:?}");
}

/// Sends until the other end has had enough.
fn flood(frames: &mut Frames, count: usize, mut frame: impl FnMut(usize) -> Vec<u8>) {
    for number in 0..count {
        if frames.0.send(&frame(number)).is_err() {
            return;
        }
    }
}

#[test]
fn streams_opened_only_to_be_reset_end_the_connection_and_nobody_elses() {
    let setup = Setup::new();
    let mut other = Frames::connect(&setup.gateway, &setup.pki);
    let mut frames = Frames::connect(&setup.gateway, &setup.pki);
    flood(&mut frames, 600, |number| {
        let stream = u32::try_from(number).unwrap() * 2 + 1;
        let mut octets = encode(HEADERS, END_HEADERS | END_STREAM, stream, &header_block("/slow?seconds=60", &[]));
        octets.extend(encode(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        octets
    });
    frames.end();
    wait_until("the resets are counted", || met(&setup.gateway, "http2_resets") > 0.5);
    assert!(reached(&setup.app, "/slow") <= 200, "{} reached the application", reached(&setup.app, "/slow"));
    other.get(1, "/echo", &[]).unwrap();
    assert_eq!(other.expect(HEADERS).payload[0], 0x88, ":status 200");
    still_serves(&setup);
}

#[test]
fn resets_of_streams_under_way_count_too() {
    let setup = Setup::with(with_limits("http2_resets = 10"));
    let mut frames = Frames::connect(&setup.gateway, &setup.pki);
    for number in 0..12_u32 {
        let stream = number * 2 + 1;
        if frames.get(stream, "/slow?seconds=60", &[]).is_err() {
            break;
        }
        wait_until("the request is under way or the connection cut", || {
            reached(&setup.app, "/slow") > usize::try_from(number).unwrap() || met(&setup.gateway, "http2_resets") > 0.5
        });
        let _ = frames.send(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
    }
    frames.end();
    assert!((met(&setup.gateway, "http2_resets") - 1.0).abs() < f64::EPSILON);
    still_serves(&setup);
}

#[test]
fn a_header_that_goes_on_and_on_in_continuations_ends_the_connection() {
    let setup = Setup::new();
    let mut frames = Frames::connect(&setup.gateway, &setup.pki);
    frames.send(HEADERS, END_STREAM, 1, &header_block("/echo", &[])).unwrap();
    let field = header_block("/", &[("x-flood", &"x".repeat(8_000))]).split_off(header_block("/", &[]).len());
    flood(&mut frames, 2_000, |_| encode(CONTINUATION, 0, 1, &field));
    frames.end();
    wait_until("it is counted", || met(&setup.gateway, "request_header_bytes") > 0.5);
    assert_eq!(reached(&setup.app, "/echo"), 0);
    still_serves(&setup);
}

#[test]
fn empty_continuations_end_the_connection() {
    let setup = Setup::new();
    let mut frames = Frames::connect(&setup.gateway, &setup.pki);
    frames.send(HEADERS, END_STREAM, 1, &header_block("/echo", &[])).unwrap();
    flood(&mut frames, 10_000, |_| encode(CONTINUATION, 0, 1, &[]));
    frames.end();
    wait_until("it is counted", || met(&setup.gateway, "request_header_bytes") > 0.5);
    still_serves(&setup);
}

#[test]
fn a_header_over_its_limit_is_431_counted_and_logged() {
    let setup = Setup::with(with_limits("request_header_bytes = \"4KiB\""));
    let mut frames = Frames::connect(&setup.gateway, &setup.pki);
    frames.get(1, "/echo", &[("x-large", &"x".repeat(5_000))]).unwrap();
    let answer = frames.expect(HEADERS);
    assert_eq!(answer.stream, 1);
    setup.gateway.record("the 431", |record| {
        record["status"] == 431 && record["refused"] == "request_header_bytes" && record["protocol"] == "HTTP/2"
    });
    assert!((met(&setup.gateway, "request_header_bytes") - 1.0).abs() < f64::EPSILON);
    // Over twice the limit h2 answers by itself, and the connection lives on.
    frames.get(3, "/echo", &[("x-large", &"x".repeat(12_000))]).unwrap();
    assert_eq!(frames.expect(HEADERS).stream, 3);
    frames.get(5, "/echo", &[]).unwrap();
    while frames.expect(HEADERS).stream != 5 {}
    assert_eq!(reached(&setup.app, "/echo"), 1);
}

#[test]
fn floods_of_settings_and_pings_leave_little_behind_and_others_are_served() {
    let setup = Setup::new();
    let before = setup.gateway.memory_high_water();
    for kind in [SETTINGS, PING] {
        let mut frames = Frames::connect(&setup.gateway, &setup.pki);
        // Read nothing: the acknowledgements are what the gateway would have to keep.
        frames.0.set_write_timeout(std::time::Duration::from_secs(2));
        let payload: &[u8] = if kind == PING { &[0; 8] } else { &[] };
        let batch: Vec<u8> = (0..1_000).flat_map(|_| encode(kind, 0, 0, payload)).collect();
        flood(&mut frames, 300, |_| batch.clone());
        still_serves(&setup);
    }
    let grown = setup.gateway.memory_high_water() - before;
    assert!(grown < 32 << 20, "{grown} octets more");
}

#[test]
fn no_more_streams_are_served_at_once_than_are_allowed() {
    let setup = Setup::with(with_limits("http2_concurrent_streams = 3"));
    let mut frames = Frames::connect(&setup.gateway, &setup.pki);
    let settings = frames.expect(SETTINGS).payload;
    // Identifier 3: SETTINGS_MAX_CONCURRENT_STREAMS.
    assert!(settings.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 3]), "{settings:?}");
    for number in 0..5 {
        frames.get(number * 2 + 1, "/slow?seconds=60", &[]).unwrap();
    }
    let refused: Vec<_> = (0..2).map(|_| frames.expect(RST_STREAM)).collect();
    for (frame, stream) in refused.iter().zip([7, 9]) {
        // REFUSED_STREAM.
        assert_eq!((frame.stream, frame.payload.as_slice()), (stream, &[0, 0, 0, 7][..]));
    }
    wait_until("three are under way", || reached(&setup.app, "/slow") == 3);
    still_serves(&setup);
    assert_eq!(reached(&setup.app, "/slow"), 3);
}

#[test]
fn a_connection_without_streams_ends_after_idle_timeout_even_when_it_pings() {
    let setup = Setup::with(with_limits("idle_timeout = \"1s\""));
    let mut frames = Frames::connect(&setup.gateway, &setup.pki);
    frames.get(1, "/echo", &[]).unwrap();
    frames.expect(HEADERS);
    while frames.send(PING, 0, 0, &[0; 8]).is_ok() && frames.receive().is_ok() {}
    wait_until("it is counted", || met(&setup.gateway, "idle_timeout") > 0.5);
    still_serves(&setup);
}

#[test]
fn a_connection_that_has_had_its_requests_is_told_goaway_and_ends() {
    let setup = Setup::with(with_limits("requests_per_connection = 3"));
    let mut frames = Frames::connect(&setup.gateway, &setup.pki);
    for number in 0..3 {
        frames.get(number * 2 + 1, "/echo", &[]).unwrap();
        if number < 2 {
            while frames.expect(DATA).flags & END_STREAM == 0 {}
        }
    }
    let mut codes = Vec::new();
    let mut answered = Vec::new();
    while let Ok(frame) = frames.receive() {
        match frame.kind {
            DATA if frame.flags & END_STREAM != 0 => answered.push(frame.stream),
            GOAWAY => codes.push(frame.payload[4..8].to_vec()),
            // RFC 9113 section 6.8: the second GOAWAY comes when the PING between them is answered.
            PING if frame.flags & ACK == 0 => frames.send(PING, ACK, 0, &frame.payload).unwrap(),
            _ => {}
        }
    }
    assert_eq!((codes.first(), answered), (Some(&vec![0; 4]), vec![5]), "NO_ERROR, and the third is answered");
    assert!((met(&setup.gateway, "requests_per_connection") - 1.0).abs() < f64::EPSILON);
    still_serves(&setup);
}

#[test]
fn a_body_over_its_limit_is_413_announced_or_not() {
    let setup = Setup::with(with_limits("request_body_bytes = \"1KiB\""));
    for fields in [&[("content-length", "2000")][..], &[]] {
        let mut frames = Frames::connect(&setup.gateway, &setup.pki);
        let mut block = header_block("/upload", fields);
        // :method POST.
        block[0] = 0x83;
        frames.send(HEADERS, END_HEADERS, 1, &block).unwrap();
        let _ = frames.send(DATA, 0, 1, &[b'x'; 2_000]);
        frames.expect(HEADERS);
        setup.gateway.record("the 413", |record| record["status"] == 413 && record["refused"] == "request_body_bytes");
    }
    assert!((met(&setup.gateway, "request_body_bytes") - 2.0).abs() < f64::EPSILON);
    still_serves(&setup);
}

/// The time to the end of a header counts in HTTP/2 as it does in HTTP/1.1.
#[test]
fn a_header_or_preface_that_stops_ends_at_header_timeout() {
    let setup = Setup::with(with_limits("header_timeout = \"1s\""));
    let mut begun = Frames::connect(&setup.gateway, &setup.pki);
    begun.get(1, "/slow?seconds=60", &[]).unwrap();
    wait_until("a request is under way", || reached(&setup.app, "/slow") == 1);
    begun.send(HEADERS, END_STREAM, 3, &header_block("/echo", &[])).unwrap();
    begun.end();
    let mut half = Frames::connect(&setup.gateway, &setup.pki);
    half.0.send(&encode(HEADERS, END_HEADERS | END_STREAM, 1, &header_block("/echo", &[]))[..20]).unwrap();
    half.end();
    let client = TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13)
        .with(|config| config.alpn_protocols = vec![b"h2".to_vec()]);
    let mut silent = Frames(client.connect(&setup.gateway, HOST).unwrap());
    silent.0.send(b"PRI * HTTP/2.0\r\n").unwrap();
    silent.end();
    wait_until("three are counted", || met(&setup.gateway, "header_timeout") > 2.5);
    assert_eq!(reached(&setup.app, "/echo"), 0);
    still_serves(&setup);
}

#[test]
fn a_body_that_stops_coming_is_408() {
    let setup = Setup::with(with_limits("body_idle_timeout = \"1s\""));
    let mut frames = Frames::connect(&setup.gateway, &setup.pki);
    let mut block = header_block("/upload", &[]);
    // :method POST.
    block[0] = 0x83;
    frames.send(HEADERS, END_HEADERS, 1, &block).unwrap();
    frames.send(DATA, 0, 1, b"abc").unwrap();
    frames.expect(HEADERS);
    setup.gateway.record("the 408", |record| record["status"] == 408 && record["path"] == "/upload");
    assert!((met(&setup.gateway, "body_idle_timeout") - 1.0).abs() < f64::EPSILON);
    still_serves(&setup);
}

#[test]
fn a_scheme_without_tls_is_400() {
    let setup = Setup::new();
    let mut frames = Frames::connect(&setup.gateway, &setup.pki);
    let mut block = header_block("/echo", &[]);
    // :scheme http.
    block[1] = 0x86;
    frames.send(HEADERS, END_HEADERS | END_STREAM, 1, &block).unwrap();
    assert_eq!(frames.expect(HEADERS).stream, 1);
    setup.gateway.record("the 400", |record| record["status"] == 400 && record["refused"] == "bad-request");
    assert_eq!(reached(&setup.app, "/echo"), 0);
}

/// RFC 9113 section 8.2.3.
#[test]
fn crumbs_of_a_cookie_reach_the_application_as_one() {
    let setup = Setup::new();
    let mut frames = Frames::connect(&setup.gateway, &setup.pki);
    frames.get(1, "/echo", &[("cookie", "a=b"), ("cookie", "c=d"), ("x-between", "1"), ("cookie", "e=f")]).unwrap();
    frames.expect(HEADERS);
    let headers = setup.app.request_of("/echo").headers;
    assert_eq!(headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=b; c=d; e=f"]);
}
