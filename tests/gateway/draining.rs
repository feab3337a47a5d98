//! A gateway that is told to stop lets requests end and nobody new in.

use crate::common::{Setup, Signal, TlsClient, TlsConnection, Version, WebSocket, wait_until};
use crate::http2::{DATA, END_STREAM, Frames, GOAWAY, HEADERS};
use crate::support::{HOST, reached};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn connect(setup: &Setup) -> TlsConnection {
    TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13).connect(&setup.gateway, HOST).unwrap()
}

#[test]
fn requests_under_way_end_idle_connections_close_and_nobody_new_comes_in() {
    let mut setup = Setup::new();
    let mut under_way = connect(&setup);
    under_way.send(b"GET /stream?seconds=3 HTTP/1.1\r\nHost: ib.localhost\r\n\r\n").unwrap();
    let mut waiting = connect(&setup);
    waiting.send(b"GET /slow?seconds=2 HTTP/1.1\r\nHost: ib.localhost\r\n\r\n").unwrap();
    let mut idle = connect(&setup);
    assert_eq!(idle.get(HOST, "/echo").unwrap().status, 200);
    let mut fresh = connect(&setup);
    let mut frames = Frames::connect(&setup.gateway, &setup.pki);
    frames.get(1, "/slow?seconds=2", &[]).unwrap();
    let mut idle_frames = Frames::connect(&setup.gateway, &setup.pki);
    idle_frames.get(1, "/echo", &[]).unwrap();
    while idle_frames.expect(DATA).flags & END_STREAM == 0 {}
    wait_until("the requests are under way", || {
        reached(&setup.app, "/slow") == 2 && reached(&setup.app, "/stream") == 1
    });
    assert_eq!(setup.gateway.admin_get("/readyz").0, 200);
    setup.gateway.signal(Signal::Terminate);
    wait_until("it says that it drains", || setup.gateway.admin_get("/readyz") == (503, "draining\n".to_owned()));
    assert_eq!(setup.gateway.admin_get("/livez").0, 200);
    idle.read_to_its_end();
    fresh.read_to_its_end();
    assert_eq!(idle_frames.expect(GOAWAY).payload[4..8], [0; 4], "NO_ERROR");
    wait_until("nobody new comes in", || TcpStream::connect(setup.gateway.tls()).is_err());
    let streamed = under_way.receive().unwrap();
    assert_eq!((streamed.status, streamed.text().lines().count()), (200, 30));
    assert_eq!(waiting.receive().unwrap().status, 200);
    assert_eq!(frames.expect(HEADERS).payload[0], 0x88, ":status 200");
    while frames.expect(DATA).flags & END_STREAM == 0 {}
    drop((frames, idle_frames));
    assert!(setup.gateway.wait_for_end().success(), "{}", setup.gateway.output());
}

#[test]
fn what_does_not_end_is_cut_at_drain_timeout() {
    let mut setup = Setup::with(|config| config.replacen("[gateway]\n", "[gateway]\ndrain_timeout = \"1s\"\n", 1));
    let mut socket = WebSocket::open(connect(&setup), HOST);
    assert_eq!(socket.echo("hello").unwrap(), "hello");
    let began = Instant::now();
    setup.gateway.signal(Signal::Terminate);
    assert!(setup.gateway.wait_for_end().success());
    assert!((Duration::from_secs(1)..Duration::from_secs(8)).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert!(socket.echo("gone").is_err());
}
