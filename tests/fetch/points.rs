//! The lists that certificates themselves name: fetched when the first client comes with one, from allowed hosts only.

use crate::common::{Gateway, Signal, TestApp, TestPki, TlsClient, Version, WebSocket, curl, verified, wait_until};
use crate::gateway::{HOST, issuing, list, with_revocation};
use crate::lists::{ISSUING_DISTRIBUTION_POINT, ListBuilder, element};
use crate::server::{Answer, RawServer, ok};
use rcgen::{
    CertificateParams, CrlDistributionPoint, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose,
};
use sekisho_runtime::clock;

/// A gateway whose issuing CA's lists are at the points of its certificates, if they are on 127.0.0.1.
fn configuration(app: &TestApp) -> String {
    with_revocation(app, "{ distribution_points = [\"127.0.0.1:*\"] }")
}

/// A client whose certificate names these URLs.
fn client(pki: &TestPki, name: &str, urls: &[&str]) {
    let key = KeyPair::generate().unwrap();
    let issuer_key = KeyPair::from_pem(&std::fs::read_to_string(pki.path("issuing-ca.key")).unwrap()).unwrap();
    let issuer_pem = std::fs::read_to_string(pki.path("issuing-ca.pem")).unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("00009876543 {} 1635", name.replace('-', "")));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = time(clock::now().unix() - 3_600);
    params.not_after = time(clock::now().unix() + 86_400);
    let point = |url: &&str| CrlDistributionPoint { uris: vec![(*url).to_owned()] };
    params.crl_distribution_points = urls.iter().map(point).collect();
    let issuer = Issuer::from_ca_cert_pem(&issuer_pem, issuer_key).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    std::fs::write(pki.path(&format!("{name}.pem")), certificate.pem() + &issuer_pem).unwrap();
    std::fs::write(pki.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
}

fn time(seconds: i64) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(seconds).unwrap()
}

/// The status that a client gets; 0 when its handshake or connection was ended.
fn status(gateway: &Gateway, pki: &TestPki, client: &str) -> u16 {
    let answer = curl(gateway, pki, Some(client), &[&gateway.url(HOST, "/echo")]);
    if answer.code == 0 { answer.status() } else { 0 }
}

fn reached(app: &TestApp) -> usize {
    app.requests().iter().filter(|request| request.target.starts_with("/echo")).count()
}

#[test]
fn the_first_request_waits_for_the_list_at_the_certificates_point_and_is_then_judged_by_it() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let server = RawServer::new(Answer::Silence);
    for name in ["client-here", "client-there", "client-revoked-there"] {
        client(&pki, name, &[&server.url()]);
    }
    server.answer(Answer::List(list(&pki, 7, &["client-revoked-there"])));
    // Not fetched again while the test lasts.
    let gateway = Gateway::start(&pki, &configuration(&app).replacen("interval = \"1s\"", "interval = \"1h\"", 1));
    assert_eq!(server.requests().len(), 0, "nobody has named it yet");
    assert_eq!(status(&gateway, &pki, "client-here"), 200);
    assert_eq!(server.requests().len(), 1);
    assert_eq!(status(&gateway, &pki, "client-there"), 200);
    assert_ne!(status(&gateway, &pki, "client-revoked-there"), 200);
    assert_eq!(reached(&app), 2);
    assert_eq!(gateway.metric(&fetched(&server, "new")), 1.0);
    // `sekisho verify` has the list that came, and fetches none.
    let (code, said) = verified(&gateway, &pki, HOST, "client-revoked-there");
    assert!(code == Some(1) && said.contains("refused: revoked"), "{said}");
    let (code, said) = verified(&gateway, &pki, HOST, "client-there");
    assert!(code == Some(0) && said.contains("ca issuing: lists at distribution points are not fetched"), "{said}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_revoked_client_that_comes_first_reaches_nothing() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let server = RawServer::new(Answer::Silence);
    client(&pki, "client-revoked-there", &[&server.url()]);
    server.answer(Answer::List(list(&pki, 7, &["client-revoked-there"])));
    let gateway = Gateway::start(&pki, &configuration(&app));
    assert_ne!(status(&gateway, &pki, "client-revoked-there"), 200);
    assert_eq!((server.requests().len(), reached(&app)), (1, 0));
    gateway.record("the refusal", |record| record["reason"] == "revoked");
}

#[test]
fn a_point_at_another_host_is_never_asked_and_its_client_refused() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let server = RawServer::new(Answer::List(list(&pki, 7, &[])));
    let port = server.address().port();
    let urls = [
        format!("http://localhost:{port}/issuing.crl"),
        format!("http://127.0.0.2:{port}/issuing.crl"),
        format!("http://127.0.0.1@127.0.0.2:{port}/issuing.crl"),
        format!("http://somebody:password@127.0.0.1:{port}/issuing.crl"),
        format!("https://127.0.0.1:{port}/issuing.crl"),
        format!("ftp://127.0.0.1:{port}/issuing.crl"),
        format!("ldap://127.0.0.1:{port}/cn=issuing?certificateRevocationList"),
        "file:///etc/passwd".to_owned(),
    ];
    let gateway = Gateway::start(&pki, &configuration(&app));
    for (index, url) in urls.iter().enumerate() {
        let name = format!("client-{index}");
        client(&pki, &name, &[url]);
        assert_ne!(status(&gateway, &pki, &name), 200, "{url}");
    }
    assert_eq!((server.requests().len(), reached(&app)), (0, 0));
    // The same server by its allowed name.
    client(&pki, "client-allowed", &[&server.url()]);
    assert_eq!(status(&gateway, &pki, "client-allowed"), 200);
}

#[test]
fn a_client_without_a_point_is_refused_where_lists_are_at_points_only() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let gateway = Gateway::start(&pki, &configuration(&app));
    assert_ne!(status(&gateway, &pki, "client-good"), 200);
    assert_eq!(reached(&app), 0);
    gateway.record("the refusal", |record| record["reason"] == "revocation-unavailable");
}

#[test]
fn a_point_that_gives_no_list_of_the_ca_refuses_and_is_waited_for_once() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let gateway = Gateway::start(&pki, &configuration(&app));
    for (outcome, answer) in [
        ("malformed", Answer::Raw(ok(b"garbage", ""))),
        ("bad-signature", Answer::Raw(ok(&tampered_with(list(&pki, 7, &[])), ""))),
        ("timeout", Answer::Silence),
    ] {
        let server = RawServer::new(answer);
        client(&pki, &format!("client-{outcome}"), &[&server.url()]);
        assert_ne!(status(&gateway, &pki, &format!("client-{outcome}")), 200, "{outcome}");
        assert_eq!(gateway.metric(&fetched(&server, outcome)), 1.0, "{outcome}");
        assert_ne!(status(&gateway, &pki, &format!("client-{outcome}")), 200, "{outcome}");
        // The next try is the fetcher's own.
        server.answer(Answer::List(list_of_point(&pki, &server.url())));
        wait_until("the list came later", || status(&gateway, &pki, &format!("client-{outcome}")) == 200);
    }
    assert_eq!(reached(&app), 3);
}

#[test]
fn a_list_of_a_point_is_kept_for_a_start_without_network_and_fetched_on() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let server = RawServer::new(Answer::Silence);
    client(&pki, "client-here", &[&server.url()]);
    client(&pki, "client-leaving", &[&server.url()]);
    server.answer(Answer::List(list(&pki, 7, &[])));
    let config = configuration(&app);
    let mut first = Gateway::start(&pki, &config);
    assert_eq!(status(&first, &pki, "client-here"), 200);
    first.signal(Signal::Terminate);
    assert!(first.wait_for_end().success());

    server.answer(Answer::Close);
    let second = Gateway::start(&pki, &config);
    assert_eq!(status(&second, &pki, "client-here"), 200);
    server.answer(Answer::List(list(&pki, 8, &["client-leaving"])));
    wait_until("the next list is in force", || status(&second, &pki, "client-leaving") != 200);
    assert_eq!(status(&second, &pki, "client-here"), 200);
}

fn fetched(server: &RawServer, outcome: &str) -> String {
    format!("sekisho_crl_fetches_total{{ca=\"issuing\",outcome=\"{outcome}\",source=\"{}\"}}", server.url())
}

fn tampered_with(mut list: Vec<u8>) -> Vec<u8> {
    *list.last_mut().unwrap() ^= 1;
    list
}

/// The list of those certificates of the issuing CA that name this point.
fn list_of_point(pki: &TestPki, url: &str) -> Vec<u8> {
    let point = element(0xa0, &element(0xa0, &element(0x86, url.as_bytes())));
    let (key, issuer) = issuing(pki);
    let list = ListBuilder::new(&key, &issuer).number(7).this_update(clock::now());
    let list = list.next_update(clock::now().plus_seconds(3_600));
    list.extension(ISSUING_DISTRIBUTION_POINT, true, &element(0x30, &point)).sign()
}

#[test]
fn a_stream_ends_when_the_list_of_its_point_grows_stale_though_nobody_else_asks() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let server = RawServer::new(Answer::Silence);
    client(&pki, "client-here", &[&server.url()]);
    let config = configuration(&app);
    let gateway = Gateway::start(&pki, &config);
    let (key, issuer) = issuing(&pki);
    let short = ListBuilder::new(&key, &issuer).number(7).this_update(clock::now());
    server.answer(Answer::List(short.next_update(clock::now().plus_seconds(10)).sign()));
    let connection = TlsClient::new(&pki, Some("client-here"), Version::Tls13).connect(&gateway, HOST).unwrap();
    let mut socket = WebSocket::open(connection, HOST);
    assert_eq!(socket.echo("open").unwrap(), "open");
    // The fetcher begins anew: what it asked for before is nothing that it knows.
    let asked = server.requests().len();
    gateway.write_config(&config.replacen("timeout = \"2s\"", "timeout = \"3s\"", 1));
    gateway.signal(Signal::Reload);
    wait_until("it has asked again", || server.requests().len() > asked);
    server.answer(Answer::Close);
    socket.into_inner().read_to_its_end();
    gateway.record("the cut", |record| record["kind"] == "cut" && record["reason"] == "revocation-unavailable");
}

#[test]
fn a_point_is_fetched_from_the_port_and_path_that_are_written_and_from_no_other_of_the_host() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let [server, other] = [0, 1].map(|_| RawServer::new(Answer::List(list(&pki, 7, &[]))));
    let place = format!("127.0.0.1:{}/issuing.crl", server.address().port());
    let gateway = Gateway::start(&pki, &with_revocation(&app, &format!("{{ distribution_points = [\"{place}\"] }}")));
    let elsewhere = server.url().replace("issuing.crl", "admin/shutdown");
    for (name, url) in [("client-port", other.url()), ("client-path", elsewhere)] {
        client(&pki, name, &[&url]);
        assert_ne!(status(&gateway, &pki, name), 200, "{url}");
    }
    assert_eq!((server.requests().len(), other.requests().len(), reached(&app)), (0, 0, 0));
    client(&pki, "client-allowed", &[&server.url()]);
    assert_eq!(status(&gateway, &pki, "client-allowed"), 200);
}
