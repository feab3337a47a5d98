//! Pools of upstream peers: balance, health, retries, TLS, reload (requirements G2, G9).

use crate::common::{Signal, TestApp, TestPki, WebSocket, wait_for, wait_until};
use crate::support::{HOST, Pooled, canned, raw_upstream, reached, with_pool};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;

/// An address that refuses connections: nothing listens there while the listener's port is not given out again.
fn closed_port() -> std::net::SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn turns_follow_the_weights() {
    let apps = [TestApp::new(), TestApp::new()];
    let (one, three) = (apps[0].peer(), apps[1].peer());
    let pooled = Pooled::new(&format!("peers = [\"{one}\", {{ address = \"{three}\", weight = 3 }}]"));
    let mut connection = pooled.connect();
    for _ in 0..20 {
        assert_eq!(connection.get(HOST, "/echo").unwrap().status, 200);
    }
    assert_eq!(apps.each_ref().map(|app| reached(app, "/echo")), [5, 15]);
}

#[test]
fn the_least_busy_peer_gets_the_next_request() {
    let apps = [TestApp::new(), TestApp::new()];
    let peers = format!("peers = [\"{}\", \"{}\"]\nbalance = \"least-connections\"", apps[0].peer(), apps[1].peer());
    let pooled = Pooled::new(&peers);
    let mut polling = pooled.connect();
    polling.send(b"GET /slow?seconds=600 HTTP/1.1\r\nHost: ib.localhost\r\n\r\n").unwrap();
    let busy = wait_for("the long poll's peer", || apps.iter().position(|app| reached(app, "/slow") == 1));
    let mut connection = pooled.connect();
    for _ in 0..6 {
        assert_eq!(connection.get(HOST, "/echo").unwrap().status, 200);
    }
    assert_eq!((reached(&apps[busy], "/echo"), reached(&apps[1 - busy], "/echo")), (0, 6));
}

#[test]
fn a_contract_stays_with_its_peer_and_moves_only_when_that_peer_goes() {
    let pki = TestPki::new();
    // So many that no choice of ports puts all of them at one peer.
    let contracts: Vec<String> = (0..24).map(|number| format!("{:011}", 10_000 + number)).collect();
    for contract in &contracts {
        pki.client(contract, &format!("{contract} riyousya 1635"));
    }
    let apps: Vec<_> = (0..3).map(|_| TestApp::new()).collect();
    let pool = |apps: &[TestApp]| {
        let peers: Vec<_> = apps.iter().map(TestApp::peer).collect();
        format!("peers = {peers:?}\nbalance = \"consistent-hash\"")
    };
    let pooled = Pooled::on(pki, &pool(&apps));
    let home = |contract: &str, apps: &[TestApp]| {
        apps.iter().for_each(|app| app.forget_requests());
        for _ in 0..3 {
            assert_eq!(pooled.connect_as(contract).get(HOST, "/echo").unwrap().status, 200);
        }
        let homes: Vec<_> = apps.iter().filter(|app| reached(app, "/echo") > 0).map(TestApp::peer).collect();
        assert_eq!(homes.len(), 1, "contract {contract} was at {homes:?}");
        homes[0].clone()
    };
    let homes: Vec<_> = contracts.iter().map(|contract| home(contract, &apps)).collect();
    assert!(homes.iter().any(|one| *one != homes[0]), "all contracts at one peer of three: {homes:?}");
    let gone = apps[2].peer();
    pooled.gateway.write_config(&with_pool(&apps[0], &pool(&apps[..2])));
    pooled.gateway.signal(Signal::Reload);
    wait_until("the smaller pool is in force", || {
        !pooled.gateway.admin_get("/metrics").1.contains(&gone)
            || pooled.gateway.metric("sekisho_snapshots_published_total") > 1.5
    });
    for (contract, before) in contracts.iter().zip(&homes) {
        let after = home(contract, &apps[..2]);
        assert!(before == &gone || before == &after, "contract {contract} moved from {before} to {after}");
    }
}

#[test]
fn unix_sockets_serve_with_every_balance() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ib.sock");
    let app = TestApp::unix(&path);
    for balance in ["round-robin", "least-connections", "consistent-hash"] {
        let pooled = Pooled::new(&format!("peers = [\"unix:{}\"]\nbalance = \"{balance}\"", path.display()));
        assert_eq!(pooled.status("/echo"), 200, "{balance}");
        assert_eq!(app.request_of("/echo").headers["host"], HOST);
    }
}

#[test]
fn a_peer_that_fails_its_checks_gets_nothing_until_it_passes_them_again() {
    for path in ["path = \"/healthz\", ", ""] {
        let there = TestApp::new();
        let address = closed_port();
        let pool = format!(
            "peers = [\"{}\", \"{address}\"]\nretries = 0\nhealth_check = {{ {path}interval = \"100ms\", timeout = \"100ms\", failures = 2, successes = 2 }}",
            there.peer()
        );
        let pooled = Pooled::new(&pool);
        let health = format!("sekisho_upstream_peer_healthy{{peer=\"{address}\",pool=\"ib\"}}");
        wait_until("the peer that is away is out", || pooled.gateway.metric(&health) < 0.5);
        for _ in 0..6 {
            assert_eq!(pooled.status("/echo"), 200);
        }
        let back = TestApp::at(address);
        wait_until("the peer is in again", || pooled.gateway.metric(&health) > 0.5);
        for _ in 0..4 {
            assert_eq!(pooled.status("/echo"), 200);
        }
        assert_eq!(reached(&back, "/echo"), 2);
    }
}

#[test]
fn a_check_that_is_answered_with_anything_but_200_has_failed() {
    let sick = canned(b"HTTP/1.1 503 Sick\r\nContent-Length: 0\r\n\r\n");
    let pooled = Pooled::new(&format!(
        "peers = [\"{sick}\"]\nhealth_check = {{ path = \"/healthz\", interval = \"100ms\", timeout = \"100ms\", failures = 1 }}"
    ));
    let health = format!("sekisho_upstream_peer_healthy{{peer=\"{sick}\",pool=\"ib\"}}");
    wait_until("the peer is out", || pooled.gateway.metric(&health) < 0.5);
    let response = pooled.connect().get(HOST, "/echo").unwrap();
    assert_eq!(response.status, 503, "{}", response.text());
    assert!(!response.text().contains("127.0.0.1"), "the page tells of the inside: {}", response.text());
    let no_peer = r#"sekisho_upstream_errors_total{kind="no-peer",pool="ib"}"#;
    assert!(pooled.gateway.metric(no_peer) > 0.5);
}

#[test]
fn a_safe_request_goes_to_another_peer_and_a_post_does_not() {
    let app = TestApp::new();
    let pooled = Pooled::new(&format!("peers = [\"{}\", \"{}\"]", closed_port(), app.peer()));
    for _ in 0..6 {
        assert_eq!(pooled.status("/echo"), 200);
    }
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let mut connection = pooled.connect();
        connection.send(b"POST /upload HTTP/1.1\r\nHost: ib.localhost\r\nContent-Length: 3\r\n\r\nabc").unwrap();
        statuses.push(connection.receive().unwrap().status);
    }
    let count = |status: u16| statuses.iter().filter(|one| **one == status).count();
    assert_eq!((count(200), count(502)), (3, 3), "{statuses:?}");
    assert_eq!(reached(&app, "/upload"), 3);
}

#[test]
fn retries_are_bounded_and_off_at_zero() {
    for (retries, tries) in [(0, 1), (1, 2), (2, 3)] {
        let peers: Vec<_> = (0..4).map(|_| closed_port().to_string()).collect();
        let pooled = Pooled::new(&format!("peers = {peers:?}\nretries = {retries}"));
        assert_eq!(pooled.status("/echo"), 502);
        let failed = pooled.gateway.metric(r#"sekisho_upstream_errors_total{kind="connect",pool="ib"}"#);
        assert!((failed - f64::from(tries)).abs() < f64::EPSILON, "{retries} retries, {failed} tries");
    }
}

#[test]
fn a_transfer_whose_upstream_dies_over_it_is_not_sent_again() {
    let seen = Arc::new(std::sync::Mutex::new(0));
    let counted = seen.clone();
    // Answers one request, so that the connection is kept, and dies over the second.
    let upstream = raw_upstream(move |mut stream, head| {
        *counted.lock().unwrap() += usize::from(head.starts_with("POST"));
        if head.starts_with("GET") {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
            let mut next = [0; 4096];
            let read = std::io::Read::read(&mut stream, &mut next).unwrap_or(0);
            *counted.lock().unwrap() += usize::from(next[..read].starts_with(b"POST"));
        }
    });
    let pooled = Pooled::new(&format!("peers = [\"{upstream}\"]\nretries = 10"));
    let mut connection = pooled.connect();
    assert_eq!(connection.get(HOST, "/").unwrap().status, 200);
    connection.send(b"POST /transfer HTTP/1.1\r\nHost: ib.localhost\r\nContent-Length: 3\r\n\r\nabc").unwrap();
    assert_eq!(connection.receive().unwrap().status, 502);
    assert_eq!(*seen.lock().unwrap(), 1);
}

fn tls_app(pki: &TestPki, http2: Option<()>, clients: Option<&str>) -> TestApp {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS12, &rustls::version::TLS13])
        .unwrap();
    let builder = match clients {
        Some(ca) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(pki.path(ca)).unwrap()).unwrap();
            let verifier =
                rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let chain = CertificateDer::pem_file_iter(pki.path("ib.localhost.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(pki.path("ib.localhost.key")).unwrap();
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = match http2 {
        Some(()) => vec![b"h2".to_vec()],
        None => vec![b"http/1.1".to_vec()],
    };
    TestApp::tls(config)
}

#[test]
fn tls_upstreams_are_known_by_the_pools_own_ca_and_by_name() {
    let pki = TestPki::new();
    let app = tls_app(&pki, None, None);
    let mut pooled = None;
    let mut pki = Some(pki);
    for (ca, name, expected) in [
        ("root-ca.pem", "ib.localhost", 502),
        ("server-ca.pem", "other.localhost", 502),
        ("server-ca.pem", "ib.localhost", 200),
    ] {
        let pool = format!("peers = [\"{}\"]\ntls = {{ server_name = \"{name}\", ca = \"{ca}\" }}", app.peer());
        let taken = pki.take().unwrap_or_else(|| {
            let Pooled { pki, .. } = pooled.take().unwrap();
            pki
        });
        let current = Pooled::on(taken, &pool);
        let response = current.connect().get(HOST, "/echo").unwrap();
        assert_eq!(response.status, expected, "{ca} {name}: {}", response.text());
        if expected == 200 {
            WebSocket::open(current.connect(), HOST).echo("through TLS").unwrap();
        }
        pooled = Some(current);
    }
    assert_eq!(reached(&app, "/echo"), 1);
}

#[test]
fn mutual_tls_to_the_upstream_shows_the_gateways_certificate_and_without_it_there_is_no_way_in() {
    let pki = TestPki::new();
    let app = tls_app(&pki, None, Some("root-ca.pem"));
    let tls = "server_name = \"ib.localhost\", ca = \"server-ca.pem\"";
    let without = Pooled::on(pki, &format!("peers = [\"{}\"]\ntls = {{ {tls} }}", app.peer()));
    assert_eq!(without.status("/echo"), 502);
    let Pooled { pki, .. } = without;
    let ours = "certificate = \"client-rsa.pem\", key = \"client-rsa.key\"";
    let with = Pooled::on(pki, &format!("peers = [\"{}\"]\ntls = {{ {tls}, {ours} }}", app.peer()));
    assert_eq!(with.status("/echo"), 200);
    assert_eq!(reached(&app, "/echo"), 1);
}

#[test]
fn an_upstream_of_http2_serves_clients_of_both_versions() {
    let pki = TestPki::new();
    let app = tls_app(&pki, Some(()), None);
    let tls = "tls = { server_name = \"ib.localhost\", ca = \"server-ca.pem\" }\nhttp = \"2\"";
    let check = "health_check = { path = \"/healthz\", interval = \"100ms\", timeout = \"100ms\" }";
    let pooled = Pooled::on(pki, &format!("peers = [\"{}\"]\n{tls}\n{check}", app.peer()));
    for version in ["--http1.1", "--http2"] {
        let url = pooled.gateway.url(HOST, "/upload");
        let answer =
            crate::common::curl(&pooled.gateway, &pooled.pki, Some("client-good"), &[version, "-d", "abc", &url]);
        assert_eq!(answer.status(), 200, "{answer:?}");
        // hyper shows the target of HTTP/2 whole.
        let seen = app.requests().into_iter().rfind(|request| request.target.ends_with("/upload")).unwrap();
        assert_eq!(
            (seen.version, &seen.headers["x-sekisho-user-id"]),
            (http::Version::HTTP_2, &"riyousya".parse().unwrap())
        );
    }
}

#[test]
fn a_tls_peer_is_checked_with_tls_where_no_path_is_given() {
    let pki = TestPki::new();
    // Accepts connections and speaks no TLS.
    let deaf = TestApp::new();
    let pool = format!(
        "peers = [\"{}\"]\ntls = {{ server_name = \"ib.localhost\", ca = \"server-ca.pem\" }}\nhealth_check = {{ interval = \"100ms\", timeout = \"100ms\", failures = 1 }}",
        deaf.peer()
    );
    let pooled = Pooled::on(pki, &pool);
    let health = format!("sekisho_upstream_peer_healthy{{peer=\"{}\",pool=\"ib\"}}", deaf.peer());
    wait_until("the peer is out", || pooled.gateway.metric(&health) < 0.5);
    assert_eq!(pooled.status("/echo"), 503);
}

#[test]
fn a_changed_pool_takes_over_while_a_request_on_the_old_one_ends_in_peace() {
    let (old, new) = (TestApp::new(), TestApp::new());
    let pooled = Pooled::new(&format!("peers = [\"{}\"]", old.peer()));
    let mut under_way = pooled.connect();
    under_way.send(b"GET /stream?seconds=2 HTTP/1.1\r\nHost: ib.localhost\r\n\r\n").unwrap();
    wait_until("the stream began", || reached(&old, "/stream") == 1);
    pooled.gateway.write_config(&with_pool(&new, &format!("peers = [\"{}\"]", new.peer())));
    pooled.gateway.signal(Signal::Reload);
    wait_until("the new pool serves", || pooled.status("/echo") == 200 && reached(&new, "/echo") > 0);
    let response = under_way.receive().unwrap();
    assert_eq!((response.status, response.text().lines().count()), (200, 20));
}

#[test]
fn an_unchanged_pool_keeps_its_health_through_a_reload() {
    let (app, address) = (TestApp::new(), closed_port());
    // A check an hour: what is known after the reload was known before it.
    let pool = format!(
        "peers = [\"{}\", \"{address}\"]\nretries = 0\nhealth_check = {{ interval = \"1h\", timeout = \"1s\", failures = 1 }}",
        app.peer()
    );
    let pooled = Pooled::new(&pool);
    let health = format!("sekisho_upstream_peer_healthy{{peer=\"{address}\",pool=\"ib\"}}");
    wait_until("the peer is out", || pooled.gateway.metric(&health) < 0.5);
    let back = TestApp::at(address);
    pooled.gateway.write_config(&format!("# another line\n{}", with_pool(&app, &pool)));
    pooled.gateway.signal(Signal::Reload);
    wait_until("the reload is published", || {
        pooled.gateway.metric(r#"sekisho_reloads_total{outcome="published"}"#) > 0.5
    });
    for _ in 0..4 {
        assert_eq!(pooled.status("/echo"), 200);
    }
    assert_eq!(reached(&back, "/echo"), 0, "its health was forgotten");
}
