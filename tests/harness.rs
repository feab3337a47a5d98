//! The harness itself: its client against the demo application, so that a failing gateway test means the gateway.

use sekisho_testkit::harness as common;

use common::{TestApp, TestPki, WebSocket};
use std::io::Write as _;
use std::net::TcpStream;

fn connect(app: &TestApp) -> TcpStream {
    TcpStream::connect(app.peer()).unwrap()
}

#[test]
fn the_application_remembers_what_reached_it() {
    let app = TestApp::new();
    let mut stream = connect(&app);
    stream.write_all(b"GET /echo HTTP/1.1\r\nHost: a\r\nX-Case: b\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert_eq!(app.request_of("/echo").headers["x-case"], "b");
}

#[test]
fn a_websocket_echoes() {
    let app = TestApp::new();
    let mut socket = WebSocket::open(connect(&app), "a");
    assert_eq!(socket.echo("hello").unwrap(), "hello");
    assert_eq!(socket.echo("again").unwrap(), "again");
}

#[test]
fn a_client_revoked_by_the_harness_is_on_the_list() {
    let mut pki = TestPki::new();
    let before = std::fs::read(pki.path("crl.pem")).unwrap();
    pki.revoke_client("client-good");
    assert_ne!(before, std::fs::read(pki.path("crl.pem")).unwrap());
}
