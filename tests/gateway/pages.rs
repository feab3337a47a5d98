//! Refusals in words (requirement G5): every reason, in both languages and formats, as it comes over the wire.

use crate::blocks_desk::{TOKEN, TOKEN_FILE, block, with_blocks, write_secret};
use crate::common::{ClientRequest, Gateway, KeyKind, Response, Setup, Signer, TestPki, TlsClient, Version, curl};
use std::collections::BTreeSet;

const SITE: &str = "portal.localhost";
/// As the harness writes it.
const PORTAL_URL: &str = "https://portal.localhost:0/help";

/// Reasons with a client that is refused for it, by one gateway.
const REFUSED: [(&str, Option<&str>); 9] = [
    ("no-certificate", None),
    ("expired", Some("client-expired")),
    ("not-yet-valid", Some("client-not-yet-valid")),
    ("revoked", Some("client-revoked")),
    ("unknown-ca", Some("client-other-ca")),
    ("malformed-identity", Some("client-bad-cn")),
    ("wrong-usage", Some("client-server-only")),
    ("bad-certificate", Some("client-long-chain")),
    ("not-permitted", Some("client-other-contract")),
];

fn setup() -> Setup {
    let setup = Setup::with(|config| config.replacen("identity = ", "contracts = [\"00009876543\"]\nidentity = ", 1));
    let now = sekisho::clock::now();
    let mut server_only = ClientRequest::good("00009876543 server 1635", now).parameters().unwrap();
    server_only.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyKind::EcdsaP256.generate().unwrap();
    setup.pki.issue("client-server-only", Signer::Issuing, &server_only, &key).unwrap();
    setup.pki.client("client-other-contract", "00001111111 other 1635");
    setup.pki.client("client-long-chain", "00009876543 long 1635");
    let chain = std::fs::read_to_string(setup.pki.path("client-long-chain.pem")).unwrap();
    let issuing = std::fs::read_to_string(setup.pki.path("issuing-ca.pem")).unwrap();
    std::fs::write(setup.pki.path("client-long-chain.pem"), chain + &issuing.repeat(9)).unwrap();
    setup
}

/// GET with these header lines.
fn get(gateway: &Gateway, pki: &TestPki, client: Option<&str>, lines: &str) -> Response {
    let mut connection = TlsClient::new(pki, client, Version::Tls13).connect(gateway, SITE).unwrap();
    connection.send(format!("GET /echo HTTP/1.1\r\nHost: {SITE}\r\n{lines}\r\n").as_bytes()).unwrap();
    connection.receive().unwrap()
}

/// Asks in both languages and formats and compares everything that the answers should say.
fn is_told(gateway: &Gateway, pki: &TestPki, client: Option<&str>, reason: &str) {
    let mut titles = BTreeSet::new();
    for (language, accepted) in [("ja", "ja,en;q=0.5"), ("en", "en-US,en;q=0.9,ja;q=0.1"), ("ja", "fr")] {
        let lines = format!("Accept-Language: {accepted}\r\n");
        let page = get(gateway, pki, client, &format!("{lines}Accept: text/html,*/*;q=0.8\r\n"));
        let text = page.text();
        assert_eq!(page.status, 403, "{reason}: {text}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(page.header("content-language"), Some(language), "{reason}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("connection", "close"),
        ] {
            assert_eq!(page.header(name), Some(value), "{reason}: {name}");
        }
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(text.contains(&format!("<html lang=\"{language}\"")), "{reason}: {text}");
        assert!(text.contains(&format!("403 {reason}")), "{reason}: {text}");
        assert!(text.contains(&format!("href=\"{PORTAL_URL}\"")), "{reason}: {text}");

        let answer = get(gateway, pki, client, &format!("{lines}Accept: application/json\r\n"));
        assert_eq!((answer.status, answer.header("content-type")), (403, Some("application/problem+json")));
        let problem = answer.json();
        assert_eq!(problem["type"], format!("urn:sekisho:refusal:{reason}"), "{problem}");
        assert_eq!((&problem["status"], &problem["portal"]), (&403.into(), &PORTAL_URL.into()), "{problem}");
        assert!(!problem["next_steps"].as_array().unwrap().is_empty(), "{problem}");
        let title = problem["title"].as_str().unwrap();
        assert!(text.contains(title), "{reason}: page and problem document differ");
        titles.insert(title.to_owned());
        for (reference, told) in
            [(problem["reference"].as_str().unwrap(), answer.text()), (reference_in(&text), text.clone())]
        {
            let record = gateway.record(reason, |record| record["request_id"] == reference);
            assert_eq!((&record["refused"], &record["status"]), (&reason.into(), &403.into()), "{record}");
            let evidence = record["evidence"].as_str().unwrap();
            assert!(evidence.len() > 10 && !told.contains(evidence), "the evidence is for the log only: {told}");
        }
    }
    assert_eq!(titles.len(), 2, "{reason}: a title for each language: {titles:?}");
}

/// The reference number that a page shows.
fn reference_in(page: &str) -> &str {
    let (_, after) = page.split_once("class=\"reference\"").unwrap_or_else(|| panic!("{page}"));
    after.split_once('>').unwrap().1.split('<').next().unwrap().trim()
}

#[test]
fn every_reason_of_the_readme_is_told_in_both_languages_and_formats_with_the_number_in_the_log() {
    let setup = setup();
    let mut told = BTreeSet::new();
    for (reason, client) in REFUSED {
        is_told(&setup.gateway, &setup.pki, client, reason);
        told.insert(reason.to_owned());
    }
    assert_eq!(setup.app.requests().iter().find(|request| request.target != "/healthz").map(|it| &it.target), None);
    // A list that has gone stale is another gateway's.
    let pki = TestPki::new();
    let now = sekisho::clock::now();
    let stale = pki.revocation_lists(now.plus_seconds(-7200), now.plus_seconds(-3600)).unwrap();
    std::fs::write(pki.path("crl.pem"), stale).unwrap();
    let gateway = Gateway::listening(&pki, &Setup::configuration(&setup.app));
    assert_eq!(gateway.admin_get("/readyz").0, 503, "it cannot tell who is revoked");
    is_told(&gateway, &pki, Some("client-good"), "revocation-unavailable");
    is_told(&gateway, &pki, Some("client-revoked"), "revoked");
    told.insert("revocation-unavailable".to_owned());
    // And so is one with a block list.
    let pki = TestPki::new();
    write_secret(&pki.path(TOKEN_FILE), TOKEN);
    let gateway = Gateway::start(&pki, &with_blocks(&Setup::configuration(&setup.app)));
    block(&gateway, &serde_json::json!({"contract": "00009876543", "user": "riyousya"}));
    is_told(&gateway, &pki, Some("client-good"), "blocked");
    told.insert("blocked".to_owned());

    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, table) = readme.split_once("| reason | when |").unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let listed: BTreeSet<_> = rows.map(|row| row.split('`').nth(1).unwrap().to_owned()).collect();
    assert_eq!(listed, told, "the README's table and what was seen on the wire");
}

#[test]
fn head_gets_the_header_of_the_page_alone_and_http2_the_same_page() {
    let setup = Setup::new();
    let url = setup.gateway.url(SITE, "/echo");
    let page = curl(&setup.gateway, &setup.pki, Some("client-expired"), &["--http2", &url]);
    assert!(page.stdout.ends_with("HTTP/2 403") && page.body().contains("403 expired"), "{page:?}");
    for version in ["--http1.1", "--http2"] {
        let head = curl(&setup.gateway, &setup.pki, Some("client-expired"), &[version, "--head", &url]);
        assert_eq!((head.status(), head.code), (403, 0), "{head:?}");
        assert!(head.body().to_lowercase().contains("content-length: "), "{head:?}");
        assert!(!head.body().contains("<html"), "{head:?}");
    }
}

#[test]
fn a_refused_connection_stays_refused_for_whatever_it_asks_for() {
    let setup = Setup::new();
    for request in [
        "POST /upload HTTP/1.1\r\nHost: portal.localhost\r\nContent-Length: 3\r\n\r\nabc",
        "OPTIONS * HTTP/1.1\r\nHost: portal.localhost\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: portal.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: portal.localhost\r\nX-Sekisho-Verification: verified\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: ib.localhost\r\n\r\n",
    ] {
        let client = TlsClient::new(&setup.pki, Some("client-revoked"), Version::Tls13);
        let mut connection = client.connect(&setup.gateway, SITE).unwrap();
        connection.send(request.as_bytes()).unwrap();
        let answer = connection.receive().unwrap();
        assert!([403, 400, 421].contains(&answer.status), "{request}: {}", answer.text());
    }
    let reached = |request: &sekisho::demo::app::RecordedRequest| {
        request.target != "/healthz" || request.headers.contains_key("x-sekisho-request-id")
    };
    assert!(!setup.app.requests().iter().any(reached), "{:?}", setup.app.requests());
}
