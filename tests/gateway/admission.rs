//! Which site a connection belongs to (requirement G1), and what a peer cannot make the gateway keep (invariant 8).

use crate::common::{
    Gateway, Http2, PATIENCE, Setup, TestApp, TestPki, TlsClient, Version, alert, openssl_s_client, wait_until,
};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpStream;

const IB: &str = "ib.localhost";
const PORTAL: &str = "portal.localhost";

/// The demo's sites, of which the first needs the root's clients and the second is open to anybody.
fn open_portal(config: &str) -> String {
    let (ib, portal) = config.split_once("# A bad certificate gets a page").unwrap();
    let portal = portal
        .replace("client_auth = \"required\"\nca = [\"root\"]\n", "client_auth = \"none\"\n")
        .replace("require = [\"certificate\"]\n", "");
    format!("{ib}#{portal}")
}

/// A ClientHello, framed as TLS records; `name` as the SNI.
fn client_hello(setup: &Setup, name: &str) -> (ClientConnection, Vec<u8>) {
    let client = TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut connection = ClientConnection::new(client.config(), name).unwrap();
    let mut hello = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut hello).unwrap();
    }
    (connection, hello)
}

fn connect(setup: &Setup) -> TcpStream {
    let tcp = TcpStream::connect(setup.gateway.tls()).unwrap();
    tcp.set_nodelay(true).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp
}

#[test]
fn a_client_hello_in_many_segments_and_records_reaches_its_site() {
    let setup = Setup::new();
    for octets_a_record in [0, 1, 100] {
        let (connection, hello) = client_hello(&setup, IB);
        let mut sent = Vec::new();
        if octets_a_record == 0 {
            sent = hello;
        } else {
            // One record of the hello becomes many (RFC 8446 section 5.1 lets a message span records).
            for piece in hello[5..].chunks(octets_a_record) {
                sent.extend([22, 3, 1, 0, u8::try_from(piece.len()).unwrap()]);
                sent.extend(piece);
            }
        }
        let mut tcp = connect(&setup);
        for segment in sent.chunks(7) {
            tcp.write_all(segment).unwrap();
        }
        let mut stream = StreamOwned::new(connection, tcp);
        stream.write_all(b"GET /echo HTTP/1.1\r\nHost: ib.localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200", "{octets_a_record} octets a record");
    }
}

#[test]
fn a_server_name_that_is_odd_gets_its_site_or_a_refusal_and_never_the_default() {
    let setup = Setup::with(|config| {
        // The open site is the default: nobody who names something may fall into it.
        open_portal(&config)
            .replace("server_names = [\"portal.localhost\"]", "server_names = [\"portal.localhost\"]\ndefault = true")
    });
    for name in ["IB.LOCALHOST", "iB.localhosT", "ib.localhost."] {
        // Its own rules: the default site would let in anybody.
        let arguments = ["-quiet", "-servername", name];
        let request = "GET /echo HTTP/1.1\r\nHost: ib.localhost\r\nConnection: close\r\n\r\n";
        let answer = openssl_s_client(&setup.gateway, &setup.pki, Some("client-good"), &arguments, request);
        assert!(answer.stdout.starts_with("HTTP/1.1 200"), "{name}: {answer:?}");
        let answer = openssl_s_client(&setup.gateway, &setup.pki, None, &arguments, request);
        assert!(answer.stdout.is_empty() && answer.has_alert("certificate required"), "{name}: {answer:?}");
    }
    for name in [
        "ib_localhost",
        "ib.localhos_",
        "ib..ocalhost",
        ".b.localhost",
        "ib localhost",
        "ib\0localhost",
        "*b.localhost",
    ] {
        // In place of the name in an honest hello: the answer is an alert (21), not a handshake message (22).
        let (_, mut hello) = client_hello(&setup, IB);
        let place = hello.windows(IB.len()).position(|window| window == IB.as_bytes()).unwrap();
        hello[place..place + IB.len()].copy_from_slice(name.as_bytes());
        let mut tcp = connect(&setup);
        tcp.write_all(&hello).unwrap();
        let mut kind = [0; 1];
        tcp.read_exact(&mut kind).unwrap();
        assert_eq!(kind, [21], "{name:?} was taken for a site");
    }
}

#[test]
fn without_a_name_there_is_the_default_site_and_its_rules_only() {
    for default in [IB, PORTAL] {
        let setup = Setup::with(|config| {
            let names = format!("server_names = [\"{default}\"]");
            open_portal(&config).replace(&names, &format!("{names}\ndefault = true"))
        });
        let nameless =
            |client| TlsClient::new(&setup.pki, client, Version::Tls13).with(|config| config.enable_sni = false);
        let answer = nameless(None).get(&setup.gateway, default, "/echo");
        if default == IB {
            let error = answer.map(|(answer, _)| answer.status).unwrap_err();
            assert_eq!(alert(&error), Some(AlertDescription::CertificateRequired), "{error:?}");
            assert_eq!(nameless(Some("client-good")).get(&setup.gateway, IB, "/echo").unwrap().0.status, 200);
        } else {
            assert_eq!(answer.unwrap().0.status, 200);
            // The default site is open, the other is not reached through it.
            let (_, mut connection) = nameless(None).get(&setup.gateway, PORTAL, "/echo").unwrap();
            assert_eq!(connection.get(IB, "/echo").unwrap().status, 421);
        }
    }
}

#[test]
fn a_connection_to_the_open_site_is_not_coalesced_with_the_closed_one() {
    let setup = Setup::with(|config| open_portal(&config));
    let client = TlsClient::new(&setup.pki, None, Version::Tls13);
    let mut http2 = Http2::connect(&client, &setup.gateway, PORTAL).unwrap();
    assert_eq!(http2.get(PORTAL, "/echo?open").unwrap().0, 200);
    for authority in [IB, "IB.localhost", "ib.localhost:443", "ib.localhost."] {
        assert_eq!(http2.get(authority, "/echo?closed").unwrap().0, 421, "{authority}");
    }
    assert_eq!(http2.get(PORTAL, "/echo?open").unwrap().0, 200, "the connection itself goes on");
    for host in [IB, "ib.localhost:443"] {
        let (_, mut http1) = client.get(&setup.gateway, PORTAL, "/echo?open").unwrap();
        assert_eq!(http1.get(host, "/echo?closed").unwrap().status, 421, "{host}");
        let mut absolute = client.connect(&setup.gateway, PORTAL).unwrap();
        absolute.send(format!("GET https://{host}/echo?closed HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(absolute.receive().unwrap().status, 421, "{host}");
    }
    assert!(setup.app.requests().iter().all(|request| !request.target.contains("closed")));
}

#[test]
fn a_header_without_end_is_cut_long_before_a_megabyte() {
    let limit = "[gateway.limits]\nrequest_header_bytes = \"4KiB\"\n\n[[ca]]";
    let setup = Setup::with(|config| config.replacen("[[ca]]", limit, 1));
    let client = TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13);
    for first in ["GET /echo HTTP/1.1\r\nHost: ib.localhost\r\nX-Long: ", "GET /"] {
        // The second request of a connection too.
        let (_, mut connection) = client.get(&setup.gateway, IB, "/echo").unwrap();
        connection.send(first.as_bytes()).unwrap();
        let mut sent = 0;
        while sent < 16 << 20 && connection.send(&[b'a'; 1024]).is_ok() {
            sent += 1024;
        }
        // What the sockets and buffers between take is several megabytes; nothing of that was read.
        assert!(connection.receive().is_err(), "it was answered");
        assert!(sent < 16 << 20, "{sent} octets were taken");
    }
    let counted = r#"sekisho_limits_reached_total{limit="request_header_bytes"}"#;
    wait_until("both were counted", || (setup.gateway.metric(counted) - 2.0).abs() < f64::EPSILON);
    assert_eq!(client.get(&setup.gateway, IB, "/echo").unwrap().0.status, 200);
}

#[test]
fn an_http2_connection_that_never_sends_its_preface_is_cut() {
    let limit = "[gateway.limits]\nidle_timeout = \"1s\"\n\n[[ca]]";
    let setup = Setup::with(|config| config.replacen("[[ca]]", limit, 1));
    let client = TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13)
        .with(|config| config.alpn_protocols = vec![b"h2".to_vec()]);
    let mut connection = client.connect(&setup.gateway, IB).unwrap();
    connection.read_to_its_end();
}

#[test]
fn nothing_of_the_evidence_reaches_a_refused_client() {
    let setup = Setup::new();
    for (client, version) in [
        ("client-revoked", Version::Tls12),
        ("client-other-ca", Version::Tls13),
        ("client-bad-cn", Version::Tls13),
        ("client-expired", Version::Tls13),
    ] {
        let client_of = TlsClient::new(&setup.pki, Some(client), version);
        let mut connection = client_of.connect(&setup.gateway, PORTAL).unwrap();
        connection.send(b"GET / HTTP/1.1\r\nHost: portal.localhost\r\nAccept: application/json\r\n\r\n").unwrap();
        let answer = connection.receive().unwrap();
        assert_eq!(answer.status, 403, "{client}");
        let record = setup.gateway.record(client, |record| {
            record["kind"] == "authentication" && record["outcome"] == "refused" && {
                let serial = setup.pki.serial(client).unwrap().to_string();
                record["certificate"]["serial"] == serial.as_str()
            }
        });
        let told = format!("{:?} {}", answer.headers, answer.text());
        let evidence = record["evidence"].as_str().unwrap();
        let certificate = &record["certificate"];
        assert!(!evidence.is_empty());
        for secret in [
            evidence,
            certificate["serial"].as_str().unwrap(),
            certificate["issuer"].as_str().unwrap(),
            "Issuing CA",
            "pingora",
            "rustls",
            ".pem",
        ] {
            assert!(!told.contains(secret), "{client} is told {secret:?}: {told}");
        }
    }
}

#[test]
fn a_list_that_goes_stale_refuses_live_connections_and_readiness_names_its_ca() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let now = sekisho_runtime::clock::now();
    let lists = pki.revocation_lists(now, now.plus_seconds(6)).unwrap();
    std::fs::write(pki.path("crl.pem"), lists).unwrap();
    let gateway = Gateway::start(&pki, &Setup::configuration(&app));
    let mut setup = Setup { gateway, app, pki };
    let client = TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13);
    let (_, mut alert_style) = client.get(&setup.gateway, IB, "/echo").unwrap();
    let (_, mut page_style) = client.get(&setup.gateway, PORTAL, "/echo").unwrap();
    let mut http2 = Http2::connect(&client, &setup.gateway, PORTAL).unwrap();
    assert_eq!(http2.get(PORTAL, "/echo").unwrap().0, 200);
    wait_until("it is not ready", || setup.gateway.admin_get("/readyz").0 == 503);
    let (_, why) = setup.gateway.admin_get("/readyz");
    assert!(why.contains("issuing") && why.contains("root"), "{why}");
    // Cut already, or told with the next request.
    assert!(
        alert_style.get(IB, "/echo?stale").is_ok_and(|answer| answer.status == 403)
            || alert_style.get(IB, "/").is_err()
    );
    let told = page_style.get(PORTAL, "/echo?stale").unwrap();
    assert!(told.status == 403 && told.text().contains("revocation-unavailable"), "{}", told.text());
    let (status, body) = http2.get(PORTAL, "/echo?stale").unwrap();
    assert!(status == 403 && body.contains("revocation-unavailable"), "{body}");
    let error = client.get(&setup.gateway, IB, "/echo?stale").map(|it| it.0.status).unwrap_err();
    assert_eq!(alert(&error), Some(AlertDescription::CertificateUnknown), "{error:?}");
    assert!(setup.app.requests().iter().all(|request| !request.target.contains("stale")));
    // A fresh list opens all of it again, the connection that was refused meanwhile too.
    setup.pki.issue_revocation_lists(sekisho_runtime::clock::now()).unwrap();
    wait_until("it is ready again", || setup.gateway.admin_get("/readyz").0 == 200);
    assert_eq!(http2.get(PORTAL, "/echo").unwrap().0, 200);
    assert_eq!(client.get(&setup.gateway, IB, "/echo").unwrap().0.status, 200);
}
