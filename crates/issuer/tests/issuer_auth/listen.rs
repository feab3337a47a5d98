//! The listener: who is let in, who is told to be there, and what one peer can take.

use crate::support::{DEADLINE, For, Identity, Running, TlsFiles, client_config, hex, https, start, write};
use rustls::HandshakeKind;
use rustls::pki_types::ServerName;
use sekisho_issuer::listen::{ConnectionLimits, server_config};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const LIMITS: ConnectionLimits = ConnectionLimits::new(100);

/// Nobody waits so long in a test.
const NEVER: Duration = Duration::from_secs(3600);

async fn get(client: &reqwest::Client, url: String) -> String {
    client.get(url).send().await.unwrap().text().await.unwrap()
}

fn plain() -> reqwest::Client {
    // The preconfigured TLS is not used, and spares a look for the system's CAs.
    https(&crate::support::Ca::new("Nobody"), None)
}

async fn connect(
    running: &Running,
    files: &TlsFiles,
    identity: Option<&Identity>,
    version: &'static rustls::SupportedProtocolVersion,
) -> std::io::Result<TlsStream<TcpStream>> {
    connect_by(running, Arc::new(client_config(&files.server_ca, identity, version))).await
}

async fn connect_by(running: &Running, config: Arc<rustls::ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(running.address).await?;
    TlsConnector::from(config).connect(ServerName::try_from("localhost").unwrap(), tcp).await
}

/// What the other end says to one request, until it closes; an error where the connection is broken.
async fn ask(
    io: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin),
    path: &str,
) -> std::io::Result<String> {
    io.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    io.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Returns once the other end has closed.
async fn closed(io: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(DEADLINE, io.read_to_end(&mut rest)).await;
    // A reset is an end as well.
    drop(ended.expect("the connection is not closed"));
}

#[tokio::test]
async fn a_plain_connection_has_an_address_and_no_certificate() {
    let running = start(None, LIMITS, NEVER).await;
    let client = plain();
    for header in ["Client-Cert", "X-Client-Cert", "X-SSL-Client-Fingerprint", "X-Forwarded-Client-Cert", "Forwarded"] {
        let request = client.get(running.url("http", "/peer")).header(header, hex([7; 32]));
        assert_eq!(request.send().await.unwrap().text().await.unwrap(), "127.0.0.1 none", "{header}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_client_certificate_is_told_once_it_was_verified() {
    let files = TlsFiles::new();
    let running = start(Some(&files), LIMITS, NEVER).await;
    let service = files.client_ca.issue("ib", For::Client, 3600);
    let told = get(&https(&files.server_ca, Some(&service)), running.url("https", "/peer")).await;
    assert_eq!(told, format!("127.0.0.1 {}", hex(service.fingerprint())));
    assert_eq!(get(&https(&files.server_ca, None), running.url("https", "/peer")).await, "127.0.0.1 none");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut tls = connect(&running, &files, Some(&service), version).await.unwrap();
        assert!(ask(&mut tls, "/peer").await.unwrap().ends_with(&hex(service.fingerprint())), "{version:?}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_certificate_that_does_not_verify_gets_no_answer() {
    let files = TlsFiles::new();
    let running = start(Some(&files), LIMITS, NEVER).await;
    let other = crate::support::Ca::new("Services");
    for (name, identity) in [
        ("of a CA of the same name", other.issue("ib", For::Client, 3600)),
        ("of the server's CA", files.server_ca.issue("ib", For::Client, 3600)),
        ("expired", files.client_ca.issue("ib", For::Client, -60)),
        ("for servers", files.client_ca.issue("ib", For::Server, 3600)),
    ] {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            // In TLS 1.3 the client learns of it with its first read.
            let refused = match connect(&running, &files, Some(&identity), version).await {
                Ok(mut tls) => ask(&mut tls, "/peer").await.map(|answer| assert_eq!(answer, "", "{name}")).is_err(),
                Err(_) => true,
            };
            assert!(refused, "a certificate {name} is accepted with {version:?}");
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn a_certificate_that_expires_meanwhile_is_told_no_longer() {
    let files = TlsFiles::new();
    let running = start(Some(&files), LIMITS, NEVER).await;
    let service = files.client_ca.issue("ib", For::Client, 3);
    let client = https(&files.server_ca, Some(&service));
    let (url, expected) = (running.url("https", "/peer"), format!("127.0.0.1 {}", hex(service.fingerprint())));
    assert_eq!(get(&client, url.clone()).await, expected);
    let expiry = async {
        while get(&client, url.clone()).await == expected {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(DEADLINE, expiry).await.expect("it is still told");
    // The connection is the same one: a new one would not get through the handshake.
    assert_eq!(get(&client, url).await, "127.0.0.1 none");
    running.stop().await;
}

#[tokio::test]
async fn no_session_is_resumed() {
    let files = TlsFiles::new();
    let running = start(Some(&files), LIMITS, NEVER).await;
    let service = files.client_ca.issue("ib", For::Client, 3600);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = Arc::new(client_config(&files.server_ca, Some(&service), version));
        for _ in 0..2 {
            let mut tls = connect_by(&running, Arc::clone(&config)).await.unwrap();
            // Tickets come with the answer.
            ask(&mut tls, "/peer").await.unwrap();
            assert_ne!(tls.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed), "{version:?}");
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn http_2_is_spoken_where_the_client_can() {
    let files = TlsFiles::new();
    let running = start(Some(&files), LIMITS, NEVER).await;
    let service = files.client_ca.issue("ib", For::Client, 3600);
    let mut config = client_config(&files.server_ca, Some(&service), &rustls::version::TLS13);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let tls = connect_by(&running, Arc::new(config)).await.unwrap();
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut requests, connection) = h2::client::handshake(tls).await.unwrap();
    let driver = tokio::spawn(connection);
    let request = http::Request::get("https://localhost/peer").body(()).unwrap();
    let (response, _) = requests.send_request(request, true).unwrap();
    let mut body = response.await.unwrap().into_body();
    let told = body.data().await.unwrap().unwrap();
    assert_eq!(told, format!("127.0.0.1 {}", hex(service.fingerprint())));
    // Half a megabyte of header does not fit.
    let mut large = http::Request::get("https://localhost/peer").body(()).unwrap();
    for number in 0..64 {
        let name = http::HeaderName::try_from(format!("x-{number}")).unwrap();
        large.headers_mut().insert(name, "a".repeat(8 * 1024).parse().unwrap());
    }
    let answer = match requests.send_request(large, true) {
        Ok((response, _)) => response.await.map(|response| response.status().as_u16()).ok(),
        Err(_) => None,
    };
    assert!(matches!(answer, None | Some(431)), "{answer:?}");
    drop(requests);
    running.stop().await;
    drop(driver.await);
}

#[tokio::test]
async fn a_header_without_end_is_refused() {
    let running = start(None, LIMITS, NEVER).await;
    let mut tcp = TcpStream::connect(running.address).await.unwrap();
    let _ = tcp.write_all(b"GET /peer HTTP/1.1\r\nHost: localhost\r\nX-Long: ").await;
    // The service may answer and close while it is still sent.
    let _ = tcp.write_all(&[b'a'; 256 * 1024]).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(DEADLINE, tcp.read_to_end(&mut answer)).await.expect("it is not closed");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    running.stop().await;
}

#[tokio::test]
async fn a_silent_handshake_holds_nobody_up_and_ends() {
    let files = TlsFiles::new();
    let limits = ConnectionLimits { handshake: Duration::from_millis(500), ..LIMITS };
    let running = start(Some(&files), limits, NEVER).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(running.address).await.unwrap());
    }
    assert_eq!(get(&https(&files.server_ca, None), running.url("https", "/peer")).await, "127.0.0.1 none");
    for tcp in &mut silent {
        closed(tcp).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn idle_connections_without_a_certificate_keep_no_known_client_out() {
    let files = TlsFiles::new();
    let running = start(Some(&files), ConnectionLimits { connections: 8, unproven: NEVER, ..LIMITS }, NEVER).await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(connect(&running, &files, None, &rustls::version::TLS13).await.unwrap());
    }
    // The last two have the places of unknown clients; the others made room.
    for tls in idle.iter_mut().take(18) {
        closed(tls).await;
    }
    let service = files.client_ca.issue("ib", For::Client, 3600);
    // All places of known clients, and none of them closes one of the others.
    let mut known = Vec::new();
    for _ in 0..6 {
        known.push(connect(&running, &files, Some(&service), &rustls::version::TLS13).await.unwrap());
        idle.push(connect(&running, &files, None, &rustls::version::TLS13).await.unwrap());
    }
    for tls in &mut known {
        assert!(ask(tls, "/peer").await.unwrap().ends_with(&hex(service.fingerprint())));
    }
    running.stop().await;
}

#[tokio::test]
async fn a_client_without_a_certificate_stays_once_a_request_said_who_it_is() {
    let files = TlsFiles::new();
    let limits = ConnectionLimits { connections: 8, unproven: Duration::from_millis(500), ..LIMITS };
    let running = start(Some(&files), limits, NEVER).await;
    let mut known = connect(&running, &files, None, &rustls::version::TLS13).await.unwrap();
    known.write_all(b"GET /prove HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    known.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    // One that came later has had its time, and one that only talks too.
    let mut silent = connect(&running, &files, None, &rustls::version::TLS13).await.unwrap();
    closed(&mut silent).await;
    // And with more unknown clients than there are places for.
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(connect(&running, &files, None, &rustls::version::TLS13).await.unwrap());
    }
    assert!(ask(&mut known, "/peer").await.unwrap().contains("127.0.0.1 none"));
    running.stop().await;
}

#[tokio::test]
async fn an_idle_connection_ends_whatever_it_began_with() {
    let limits = ConnectionLimits { idle: Duration::from_millis(300), ..LIMITS };
    let running = start(None, limits, NEVER).await;
    let request = b"GET /peer HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for began in [&b""[..], &b"G"[..], &request[..20], &request[..], &preface[..10], &preface[..]] {
        let mut tcp = TcpStream::connect(running.address).await.unwrap();
        tcp.write_all(began).await.unwrap();
        closed(&mut tcp).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_header_that_trickles_in_does_not_hold_a_connection() {
    let limits = ConnectionLimits { idle: Duration::from_millis(400), ..LIMITS };
    let running = start(None, limits, NEVER).await;
    let mut tcp = TcpStream::connect(running.address).await.unwrap();
    let trickle = async {
        // Never idle for long, and never done.
        while tcp.write_all(b"G").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(DEADLINE, trickle).await.expect("it is held open");
    running.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_until_one_ends() {
    let running = start(None, ConnectionLimits { connections: 1, ..LIMITS }, NEVER).await;
    let mut first = TcpStream::connect(running.address).await.unwrap();
    first.write_all(b"GET /wait HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    running.waiting.notified().await;
    let mut second = TcpStream::connect(running.address).await.unwrap();
    let mut asked = tokio::spawn(async move { ask(&mut second, "/peer").await });
    let early = tokio::time::timeout(Duration::from_millis(300), &mut asked).await;
    assert!(early.is_err(), "the second connection was served beside the first");
    running.go_on.notify_one();
    closed(&mut first).await;
    let answer = tokio::time::timeout(DEADLINE, asked).await.unwrap().unwrap().unwrap();
    assert!(answer.ends_with("127.0.0.1 none"), "{answer}");
    running.stop().await;
}

#[tokio::test]
async fn one_address_has_its_share_of_the_connections_and_no_more() {
    let running = start(None, ConnectionLimits { connections: 4, per_address: 2, ..LIMITS }, NEVER).await;
    let from = async |host: &str| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{host}:0").parse().unwrap()).unwrap();
        socket.connect(running.address).await.unwrap()
    };
    // Silent ones; they are accepted in the order in which they came.
    let mut mine = vec![from("127.0.0.1").await, from("127.0.0.1").await];
    closed(&mut from("127.0.0.1").await).await;
    let mut other = from("127.0.0.2").await;
    assert!(ask(&mut other, "/peer").await.unwrap().contains("200 OK"), "another address is served");
    // A place that was left is free again.
    drop(mine.pop());
    let again = async {
        while !ask(&mut from("127.0.0.1").await, "/peer").await.is_ok_and(|answer| answer.contains("200 OK")) {}
    };
    tokio::time::timeout(DEADLINE, again).await.expect("the place stays taken");
    running.stop().await;
}

#[tokio::test]
async fn a_request_that_began_is_answered_after_the_stop_and_no_other_is() {
    let files = TlsFiles::new();
    let running = start(Some(&files), LIMITS, NEVER).await;
    let client = https(&files.server_ca, None);
    let url = running.url("https", "/wait");
    let asked = tokio::spawn(async move { get(&client, url).await });
    running.waiting.notified().await;
    let mut idle = connect(&running, &files, None, &rustls::version::TLS13).await.unwrap();
    running.shutdown.send(true).unwrap();
    closed(&mut idle).await;
    let refused = async {
        while TcpStream::connect(running.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, refused).await.expect("it still listens");
    assert!(!running.served.is_finished());
    running.go_on.notify_one();
    assert_eq!(asked.await.unwrap(), "done");
    tokio::time::timeout(DEADLINE, running.served).await.expect("it does not stop").unwrap();
}

#[tokio::test]
async fn what_does_not_drain_in_time_is_ended() {
    let running = start(None, LIMITS, Duration::from_millis(200)).await;
    let mut tcp = TcpStream::connect(running.address).await.unwrap();
    tcp.write_all(b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    running.waiting.notified().await;
    running.shutdown.send(true).unwrap();
    tokio::time::timeout(DEADLINE, running.served).await.expect("it waits for ever").unwrap();
    closed(&mut tcp).await;
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_its_place() {
    let files = TlsFiles::new();
    let other = files.server_ca.issue("other", For::Server, 3600);
    write(&files.path(""), "other.key", &other.key);
    write(&files.path(""), "empty.pem", "");
    let message = |change: &dyn Fn(&mut sekisho_config::issuer::ApiTls)| {
        let mut config = files.config();
        change(&mut config);
        let errors = server_config(&config).unwrap_err();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    for (wanted, message) in [
        (
            "empty.pem: there is no PEM certificate in it",
            message(&|tls| tls.certificate.value = files.path("empty.pem")),
        ),
        ("none.pem: cannot be read", message(&|tls| tls.certificate.value = files.path("none.pem"))),
        ("server.pem: there is no PEM private key in it", message(&|tls| tls.key.value = files.path("server.pem"))),
        ("other.key: does not go with the certificate", message(&|tls| tls.key.value = files.path("other.key"))),
        ("empty.pem: there is no PEM certificate in it", message(&|tls| tls.client_ca.value = files.path("empty.pem"))),
    ] {
        assert!(message.starts_with("issuer.toml:7: key: ") && message.contains(wanted), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}
