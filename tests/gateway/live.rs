//! A certificate is revoked while it is used (requirement R5): its connections end, and no other.

use crate::common::{Setup, TlsClient, TlsConnection, Version, WebSocket, wait_until};

const HOST: &str = "ib.localhost";

fn connect(setup: &Setup, client: &str, version: Version) -> TlsConnection {
    TlsClient::new(&setup.pki, Some(client), version).connect(&setup.gateway, HOST).unwrap()
}

#[test]
fn a_revocation_cuts_websockets_long_polls_streams_and_idle_connections_of_that_certificate_only() {
    let mut setup = Setup::new();
    setup.pki.client("client-leaving", "00009876543 leaving 1635");
    let mut good_socket = WebSocket::open(connect(&setup, "client-good", Version::Tls13), HOST);
    let mut good_idle = connect(&setup, "client-good", Version::Tls12);
    assert_eq!(good_idle.get(HOST, "/echo").unwrap().status, 200);
    let mut leaving = Vec::new();
    for version in [Version::Tls12, Version::Tls13] {
        let mut socket = WebSocket::open(connect(&setup, "client-leaving", version), HOST);
        assert_eq!(socket.echo("hello").unwrap(), "hello");
        leaving.push(("a WebSocket", socket.into_inner()));
        let mut poll = connect(&setup, "client-leaving", version);
        poll.send(b"GET /slow?seconds=600 HTTP/1.1\r\nHost: ib.localhost\r\n\r\n").unwrap();
        leaving.push(("a long poll", poll));
        let mut stream = connect(&setup, "client-leaving", version);
        stream.send(b"GET /stream?seconds=600 HTTP/1.1\r\nHost: ib.localhost\r\n\r\n").unwrap();
        assert!(stream.read(&mut [0; 64]).unwrap() > 0);
        leaving.push(("a stream", stream));
        let mut idle = connect(&setup, "client-leaving", version);
        assert_eq!(idle.get(HOST, "/echo").unwrap().status, 200);
        leaving.push(("an idle connection", idle));
    }
    wait_until("both long polls reached the application", || {
        setup.app.requests().iter().filter(|request| request.target.starts_with("/slow")).count() == 2
    });
    setup.pki.revoke_client("client-leaving");
    for (what, connection) in &mut leaving {
        // Panics when the connection does not end.
        connection.read_to_its_end();
        assert!(connection.get(HOST, "/echo").is_err(), "{what} answers again");
    }
    assert_eq!(good_socket.echo("still here").unwrap(), "still here");
    assert_eq!(good_idle.get(HOST, "/echo").unwrap().status, 200);
    let cut = r#"sekisho_cut_connections_total{reason="revoked"}"#;
    wait_until("eight cuts were counted", || (setup.gateway.metric(cut) - 8.0).abs() < f64::EPSILON);
}
