//! The built gateway and a list behind a URL.

use crate::common::{Gateway, Setup, Signal, TestApp, TestPki, curl, verified, wait_until};
use crate::lists::ListBuilder;
use crate::server::{Answer, PythonServer, RawServer, ok};
use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sekisho_pki::certificate::Certificate;
use sekisho_runtime::clock;

pub const HOST: &str = "ib.localhost";
const FILE: &str = "revocation = { crl = [\"crl.pem\"] }";

/// The demo's configuration, with the issuing CA's list at `url`.
pub fn configuration(app: &TestApp, url: &str) -> String {
    with_revocation(app, &format!("{{ crl_urls = [\"{url}\"] }}"))
}

/// The demo's configuration, with other revocation of the issuing CA.
pub fn with_revocation(app: &TestApp, revocation: &str) -> String {
    let config = Setup::configuration(app);
    let (root, issuing) = config.split_once("name = \"issuing\"").unwrap();
    let issuing = issuing.replacen(FILE, &format!("revocation = {revocation}"), 1);
    let root = root.replacen("watch_files", "state_folder = \"state\"\nwatch_files", 1);
    let fetch = "[gateway.fetch]\ninterval = \"1s\"\ntimeout = \"2s\"\n\n[[ca]]";
    format!("{root}name = \"issuing\"{issuing}").replacen("[[ca]]", fetch, 1)
}

/// The status that a client gets; 0 when the handshake was refused.
fn status(gateway: &Gateway, pki: &TestPki, client: &str) -> u16 {
    let answer = curl(gateway, pki, Some(client), &[&gateway.url(HOST, "/echo")]);
    if answer.code == 0 { answer.status() } else { 0 }
}

fn fetches(gateway: &Gateway, url: &str, outcome: &str) -> f64 {
    gateway.metric(&format!("sekisho_crl_fetches_total{{ca=\"issuing\",outcome=\"{outcome}\",source=\"{url}\"}}"))
}

/// The issuing CA's key and name.
pub fn issuing(pki: &TestPki) -> (KeyPair, Vec<u8>) {
    let key = KeyPair::from_pem(&std::fs::read_to_string(pki.path("issuing-ca.key")).unwrap()).unwrap();
    let issuer = Certificate::parse(&CertificateDer::from_pem_file(pki.path("issuing-ca.pem")).unwrap()).unwrap();
    (key, issuer.subject().der().to_vec())
}

/// The issuing CA's list, revoking these clients.
pub fn list(pki: &TestPki, number: u64, revoked: &[&str]) -> Vec<u8> {
    let (key, issuer) = issuing(pki);
    let now = clock::now();
    let list = ListBuilder::new(&key, &issuer).number(number);
    let list = list.this_update(now).next_update(now.plus_seconds(3_600));
    revoked.iter().fold(list, |list, client| list.revoke(pki.serial(client).unwrap().as_bytes())).sign()
}

#[test]
fn a_list_behind_a_url_is_fetched_and_fetched_again_when_it_changed_only() {
    let (mut pki, app) = (TestPki::new(), TestApp::new());
    let server = PythonServer::new(pki.folder());
    let url = server.url("crl.pem");
    let gateway = Gateway::start(&pki, &configuration(&app, &url));
    assert_eq!(status(&gateway, &pki, "client-good"), 200);
    assert_eq!(status(&gateway, &pki, "client-revoked"), 0);
    assert_eq!(server.answers(200), 1, "once before it served, and not again at once");

    wait_until("the server was asked and had nothing new", || server.answers(304) > 1);
    wait_until("that is counted", || fetches(&gateway, &url, "unchanged") > 1.0);
    assert_eq!(server.answers(200), 1);

    pki.client("client-leaving", "00009876543 leaving 1635");
    assert_eq!(status(&gateway, &pki, "client-leaving"), 200);
    pki.revoke_client("client-leaving");
    wait_until("the new list is in force", || status(&gateway, &pki, "client-leaving") == 0);
    assert_eq!(status(&gateway, &pki, "client-good"), 200);
    wait_until("it is counted", || fetches(&gateway, &url, "new") > 1.0);
}

#[test]
fn without_network_a_gateway_starts_with_the_lists_it_kept() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let server = RawServer::new(Answer::List(list(&pki, 1_000, &["client-good"])));
    let config = configuration(&app, &server.url());
    let mut first = Gateway::start(&pki, &config);
    assert_eq!(status(&first, &pki, "client-good"), 0);
    first.signal(Signal::Terminate);
    assert!(first.wait_for_end().success());

    server.answer(Answer::Silence);
    let asked = server.requests().len();
    let second = Gateway::start(&pki, &config);
    assert_eq!(status(&second, &pki, "client-good"), 0, "what the kept list revokes");
    assert_eq!(status(&second, &pki, "client-revoked"), 200, "what it does not");
    wait_until("it has asked again", || server.requests().len() > asked);
    let condition = server.requests().last().unwrap().clone();
    assert!(condition.contains("if-none-match: "), "{condition}");
}

#[test]
fn sekisho_verify_decides_by_the_lists_that_were_fetched() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let server = RawServer::new(Answer::Close);
    let gateway = Gateway::listening(&pki, &configuration(&app, &server.url()));
    let decided = |client: &str| verified(&gateway, &pki, HOST, client);
    let (code, said) = decided("client-good");
    assert!(code == Some(1) && said.contains("refused: revocation-unavailable"), "{said}");
    server.answer(Answer::List(list(&pki, 1_000, &["client-good"])));
    wait_until("it is ready", || gateway.admin_get("/readyz").0 == 200);
    let (code, said) = decided("client-good");
    assert!(code == Some(1) && said.contains("refused: revoked"), "{said}");
    let (code, said) = decided("client-rsa");
    assert!(code == Some(0) && said.contains("list 1000"), "{said}");
}

#[test]
fn a_first_start_without_a_list_is_not_ready_and_lets_nobody_in_until_there_is_one() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let server = RawServer::new(Answer::Close);
    let gateway = Gateway::listening(&pki, &configuration(&app, &server.url()));
    let (ready, why) = gateway.admin_get("/readyz");
    assert_eq!(ready, 503);
    assert!(why.contains("issuing: "), "{why}");
    assert_eq!(status(&gateway, &pki, "client-good"), 0);
    assert_eq!(status(&gateway, &pki, "client-revoked"), 0);
    server.answer(Answer::List(list(&pki, 1_000, &["client-revoked"])));
    wait_until("it is ready", || gateway.admin_get("/readyz").0 == 200);
    assert_eq!(status(&gateway, &pki, "client-good"), 200);
    assert_eq!(status(&gateway, &pki, "client-revoked"), 0);
}

#[test]
fn whatever_the_server_answers_the_old_list_stays_and_the_reason_is_logged_and_counted() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let good = list(&pki, 1_000, &["client-revoked"]);
    let server = RawServer::new(Answer::List(good.clone()));
    let gateway = Gateway::start(&pki, &configuration(&app, &server.url()));
    let url = server.url();
    let gigabyte = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1_u64 << 30);
    let elsewhere = format!("HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n");
    for (outcome, answer) in [
        ("malformed", Answer::Raw(ok(b"garbage", ""))),
        ("interrupted", Answer::Raw(ok(&good, "")[..200].to_vec())),
        ("too-large", Answer::Endless(gigabyte.into_bytes())),
        ("redirected", Answer::Raw(elsewhere.into_bytes())),
        ("rolled-back", Answer::Raw(ok(&list(&pki, 999, &["client-good"]), ""))),
        ("timeout", Answer::Silence),
    ] {
        server.answer(answer);
        wait_until(outcome, || fetches(&gateway, &url, outcome) > 0.0);
        let told = gateway.record(outcome, |record| record["reason"] == outcome);
        assert_eq!((&told["ca"], &told["url"]), (&"issuing".into(), &url.as_str().into()), "{told}");
        assert_eq!(status(&gateway, &pki, "client-good"), 200, "{outcome}");
        assert_eq!(status(&gateway, &pki, "client-revoked"), 0, "{outcome}");
        assert_eq!(gateway.admin_get("/readyz").0, 200, "{outcome}");
        // The pause after a failure begins anew.
        server.answer(Answer::List(good.clone()));
        let answered = fetches(&gateway, &url, "unchanged");
        wait_until("it is back", || fetches(&gateway, &url, "unchanged") > answered);
    }
}

#[test]
fn a_state_folder_that_cannot_keep_lists_is_named_with_its_key() {
    use std::os::unix::fs::PermissionsExt;
    let (pki, app) = (TestPki::new(), TestApp::new());
    let config = configuration(&app, "http://127.0.0.1:9/x.crl");
    std::fs::write(pki.path("state"), "a file").unwrap();
    let (status, said) = Gateway::refused(&pki, &config);
    assert!(!status.success());
    assert!(said.contains("gateway.state_folder") && said.contains("state"), "{said}");
    std::fs::remove_file(pki.path("state")).unwrap();
    std::fs::create_dir(pki.path("state")).unwrap();
    std::fs::set_permissions(pki.path("state"), PermissionsExt::from_mode(0o777)).unwrap();
    let (status, said) = Gateway::refused(&pki, &config);
    assert!(!status.success());
    assert!(said.contains("others may write to it (mode 777)"), "{said}");
}

#[test]
fn a_server_with_tls_is_believed_by_the_configured_ca_only_and_by_name() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    pki.issue_server("crl.localhost", &["localhost"], clock::now()).unwrap();
    let server = PythonServer::tls(pki.folder(), "crl.localhost.pem", "crl.localhost.key");
    let with = |host: &str, ca: &str| {
        let url = format!("https://{host}:{}/crl.pem", server.port());
        let config = configuration(&app, &url).replacen("timeout =", &format!("ca = \"{ca}\"\ntimeout ="), 1);
        let gateway = Gateway::listening(&pki, &config);
        let outcomes = ["new", "unreachable"].map(|outcome| fetches(&gateway, &url, outcome) > 0.0);
        std::fs::remove_dir_all(pki.path("state")).unwrap();
        outcomes
    };
    assert_eq!(with("localhost", "server-ca.pem"), [true, false]);
    assert_eq!(with("localhost", "root-ca.pem"), [false, true], "another CA");
    assert_eq!(with("127.0.0.1", "server-ca.pem"), [false, true], "another name");
}
