//! The answer to one's own revocation (`finish` of a route): it comes whole, and nothing else does.

use crate::common::{Http2, PATIENCE, TestPki, TlsClient, TlsConnection, Version, wait_until};
use crate::lists::ListBuilder;
use crate::support::{HOST, Pooled, met, raw_upstream};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sekisho_pki::certificate::Certificate;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

const WHOLE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";

/// An application whose answers the test gives.
struct Held {
    address: SocketAddr,
    /// Requests that came, with what to answer on.
    arrived: Mutex<Receiver<(String, TcpStream)>>,
}

impl Held {
    fn new() -> Self {
        let (sender, arrived): (Sender<(String, TcpStream)>, _) = channel();
        let sender = Mutex::new(sender);
        let address = raw_upstream(move |stream, head| drop(sender.lock().unwrap().send((head, stream))));
        Self { address, arrived: Mutex::new(arrived) }
    }

    /// The next request's target and its connection.
    fn next(&self) -> (String, TcpStream) {
        let (head, stream) = self.arrived.lock().unwrap().recv_timeout(PATIENCE).expect("a request");
        (head.split(' ').nth(1).unwrap().to_owned(), stream)
    }
}

struct Arranged {
    held: Held,
    at: Pooled,
}

/// A gateway with a route `/own` whose answers may finish within `finish`.
fn arranged(finish: &str) -> Arranged {
    let held = Held::new();
    let pki = TestPki::new();
    pki.client("client-leaving", "00009876543 leaving 1635");
    let pool = format!("peers = [\"{}\"]", held.address);
    let route = format!("[[site.route]]\npath = \"/own\"\npool = \"ib\"\nfinish = \"{finish}\"\n\n");
    let at = Pooled::with(pki, &pool, |config| config.replacen("[[site.route]]", &format!("{route}[[site.route]]"), 1));
    Arranged { held, at }
}

impl Arranged {
    fn client(&self) -> TlsClient {
        TlsClient::new(&self.at.pki, Some("client-leaving"), Version::Tls13)
    }

    fn begin(&self, request: &str) -> TlsConnection {
        let mut connection = self.client().connect(&self.at.gateway, HOST).unwrap();
        connection.send(request.as_bytes()).unwrap();
        connection
    }

    /// Revokes the client's certificate, and waits until as many requests may finish.
    fn revoke(&mut self, finishing: u64) {
        self.at.pki.revoke_client("client-leaving");
        let cut = self.at.gateway.record("the cut", |record| record["kind"] == "cut");
        assert_eq!((&cut["reason"], &cut["finishing_requests"]), (&"revoked".into(), &finishing.into()), "{cut}");
    }

    /// Puts a list in place on which the root has revoked the CA that issued the client's certificate.
    fn revoke_the_ca(&self) {
        let pki = &self.at.pki;
        let certificate = |name: &str| {
            let der = CertificateDer::from_pem_file(pki.path(&format!("{name}.pem"))).unwrap();
            Certificate::parse(&der).unwrap()
        };
        let root = rcgen::KeyPair::from_pem(&std::fs::read_to_string(pki.path("root-ca.key")).unwrap()).unwrap();
        let now = sekisho_runtime::clock::now();
        let list = ListBuilder::new(&root, certificate("root-ca").subject().der())
            .number(1000)
            .this_update(now)
            .next_update(now.plus_seconds(3600))
            .revoke(certificate("issuing-ca").serial().as_bytes())
            .pem();
        let issuing = std::fs::read_to_string(pki.path("crl.pem")).unwrap();
        let (_, issuing) = issuing.split_once("-----END X509 CRL-----\n").unwrap();
        std::fs::write(pki.path("new.pem"), list + issuing).unwrap();
        std::fs::rename(pki.path("new.pem"), pki.path("crl.pem")).unwrap();
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
}

#[test]
fn an_answer_under_way_comes_whole_and_the_next_request_is_refused() {
    let mut arranged = arranged("10s");
    let mut connection = arranged.begin(&get("/own"));
    let (_, mut upstream) = arranged.held.next();
    arranged.revoke(1);
    upstream.write_all(WHOLE).unwrap();
    let answer = connection.receive().unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "done"));
    // Refused in words, or the connection has ended: nothing more reaches the application.
    if let Ok(answer) = connection.get(HOST, "/own/next") {
        assert_eq!(answer.status, 403);
    }
    assert!(arranged.client().get(&arranged.at.gateway, HOST, "/own/next").is_err());
    assert!(arranged.held.arrived.lock().unwrap().try_recv().is_err());
    assert!(met(&arranged.at.gateway, "finish") < 0.5);
}

#[test]
fn of_an_http2_connection_only_what_may_finish_goes_on() {
    let mut arranged = arranged("10s");
    let mut http2 = Http2::connect(&arranged.client(), &arranged.at.gateway, HOST).unwrap();
    let mut own = http2.start(HOST, "/own").unwrap();
    let (_, mut upstream) = arranged.held.next();
    let mut streaming = http2.start(HOST, "/stream").unwrap();
    let (_, mut stream) = arranged.held.next();
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nfirst").unwrap();
    let mut streaming = streaming.answer().unwrap();
    assert_eq!(streaming.next().unwrap().unwrap(), "first");
    let mut polling = http2.start(HOST, "/poll").unwrap();
    let (_, mut poll) = arranged.held.next();
    arranged.revoke(1);
    assert!(streaming.breaks_off());
    assert!(polling.answer().is_err(), "a long poll of another route was answered");
    // The gateway has left both applications.
    for ended in [&mut stream, &mut poll] {
        assert!(matches!(ended.read(&mut [0; 1]), Ok(0) | Err(_)));
    }
    upstream.write_all(WHOLE).unwrap();
    let mut own = own.answer().unwrap();
    assert_eq!((own.status, own.next().unwrap().unwrap()), (200, "done".into()));
    assert!(own.next().unwrap().is_none());
    if let Ok((status, _)) = http2.get(HOST, "/own/next") {
        assert_eq!(status, 403);
    }
    assert!(arranged.held.arrived.lock().unwrap().try_recv().is_err());
}

#[test]
fn the_rest_of_a_request_body_does_not_reach_the_upstream() {
    let mut arranged = arranged("10s");
    let head = format!("POST /own HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 9\r\n\r\nhalf");
    let mut connection = arranged.begin(&head);
    let (_, mut upstream) = arranged.held.next();
    let mut body = [0; 4];
    upstream.read_exact(&mut body).unwrap();
    assert_eq!(&body, b"half");
    arranged.revoke(0);
    // Its end may be there already.
    let _ = connection.send(b" more");
    connection.read_to_its_end();
    let mut rest = Vec::new();
    let _ = upstream.read_to_end(&mut rest);
    assert!(rest.is_empty(), "{rest:?}");
}

#[test]
fn an_upgraded_connection_does_not_finish() {
    let mut arranged = arranged("10s");
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut connection =
        arranged.begin(&format!("GET /own HTTP/1.1\r\nHost: {HOST}\r\n{upgrade}Sec-WebSocket-Version: 13\r\n\r\n"));
    let (_, mut upstream) = arranged.held.next();
    upstream
        .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        .unwrap();
    assert!(connection.read(&mut [0; 64]).unwrap() > 0);
    arranged.revoke(0);
    connection.read_to_its_end();
}

#[test]
fn an_answer_that_takes_longer_than_it_may_is_cut() {
    let mut arranged = arranged("100ms");
    let mut connection = arranged.begin(&get("/own"));
    let (_, _upstream) = arranged.held.next();
    arranged.revoke(1);
    // The application never answers.
    connection.read_to_its_end();
    wait_until("it is counted", || met(&arranged.at.gateway, "finish") > 0.5);
}

#[test]
fn an_answer_that_is_longer_than_it_may_be_is_cut() {
    /// 1 MiB, and as much as TLS and the socket hold of what was written before.
    const AT_MOST: usize = (1 << 20) + (256 << 10);
    let mut arranged = arranged("10s");
    let mut connection = arranged.begin(&get("/own"));
    let (_, mut upstream) = arranged.held.next();
    arranged.revoke(1);
    upstream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    let endless = std::thread::spawn(move || while upstream.write_all(&[b'x'; 64 << 10]).is_ok() {});
    let (mut buffer, mut bytes) = (vec![0; 64 << 10], 0);
    while let Ok(count @ 1..) = connection.read(&mut buffer) {
        bytes += count;
    }
    assert!((1 << 19..AT_MOST).contains(&bytes), "{bytes}");
    endless.join().unwrap();
    wait_until("it is counted", || met(&arranged.at.gateway, "finish") > 0.5);
}

#[test]
fn an_answer_is_cut_where_it_is_the_ca_above_that_is_revoked() {
    let arranged = arranged("10s");
    let mut connection = arranged.begin(&get("/own"));
    let (_, _upstream) = arranged.held.next();
    arranged.revoke_the_ca();
    let cut = arranged.at.gateway.record("the cut", |record| record["kind"] == "cut");
    assert_eq!((&cut["reason"], &cut["finishing_requests"]), (&"revoked".into(), &0.into()), "{cut}");
    connection.read_to_its_end();
}
