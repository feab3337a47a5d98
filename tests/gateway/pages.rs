//! Refusals in words (requirement G5): every reason, in both languages and formats, as it comes over the wire.

use crate::blocks_desk::{TOKEN, TOKEN_FILE, block, with_blocks, write_secret};
use crate::common::{
    ClientRequest, Gateway, KeyKind, Response, Setup, Signer, TestApp, TestPki, TlsClient, Version, alert, curl,
};
use crate::support::reached;
use rustls::AlertDescription;
use std::collections::BTreeSet;

const SITE: &str = "portal.localhost";
/// As the harness writes it.
const PORTAL_URL: &str = "https://acquire.localhost:0/help";

/// Refusals that no other certificate helps against: a button to get one would be wrong advice.
const NOT_HELPED: [&str; 5] = ["not-yet-valid", "suspended", "blocked", "not-permitted", "revocation-unavailable"];

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
    let now = sekisho_runtime::clock::now();
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

/// Puts a client on hold (certificateHold) by a newer list of its CA.
fn hold(pki: &TestPki, client: &str) {
    use rcgen::{CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, RevocationReason, RevokedCertParams};
    let read = |file: &str| std::fs::read_to_string(pki.path(file)).unwrap();
    let issuing =
        Issuer::from_ca_cert_pem(&read("issuing-ca.pem"), KeyPair::from_pem(&read("issuing-ca.key")).unwrap()).unwrap();
    let held = RevokedCertParams {
        serial_number: rcgen::SerialNumber::from_slice(pki.serial(client).unwrap().as_bytes()),
        revocation_time: rcgen::date_time_ymd(2026, 1, 1),
        reason_code: Some(RevocationReason::CertificateHold),
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2026, 1, 2),
        next_update: rcgen::date_time_ymd(2126, 1, 1),
        crl_number: (pki.crl_number() + 1).into(),
        issuing_distribution_point: None,
        revoked_certs: vec![held],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&issuing).unwrap().pem().unwrap();
    std::fs::write(pki.path("crl.pem"), read("crl.pem") + &list).unwrap();
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
        let portal = (!NOT_HELPED.contains(&reason)).then_some(PORTAL_URL);
        assert_eq!(text.contains(&format!("href=\"{PORTAL_URL}\"")), portal.is_some(), "{reason}: {text}");

        let answer = get(gateway, pki, client, &format!("{lines}Accept: application/json\r\n"));
        assert_eq!((answer.status, answer.header("content-type")), (403, Some("application/problem+json")));
        let problem = answer.json();
        assert_eq!(problem["type"], format!("urn:sekisho:refusal:{reason}"), "{problem}");
        assert_eq!((&problem["status"], problem["portal"].as_str()), (&403.into(), portal), "{problem}");
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
fn every_reason_of_the_guide_is_told_in_both_languages_and_formats_with_the_number_in_the_log() {
    let setup = setup();
    let mut told = BTreeSet::new();
    for (reason, client) in REFUSED {
        is_told(&setup.gateway, &setup.pki, client, reason);
        told.insert(reason.to_owned());
    }
    assert_eq!(setup.app.requests().iter().find(|request| request.target != "/healthz").map(|it| &it.target), None);
    // A list that has gone stale is another gateway's.
    let pki = TestPki::new();
    let now = sekisho_runtime::clock::now();
    let stale = pki.revocation_lists(now.plus_seconds(-7200), now.plus_seconds(-3600)).unwrap();
    std::fs::write(pki.path("crl.pem"), stale).unwrap();
    let gateway = Gateway::listening(&pki, &Setup::configuration(&setup.app));
    assert_eq!(gateway.admin_get("/readyz").0, 503, "it cannot tell who is revoked");
    is_told(&gateway, &pki, Some("client-good"), "revocation-unavailable");
    is_told(&gateway, &pki, Some("client-revoked"), "revoked");
    told.insert("revocation-unavailable".to_owned());
    // And so is one on which a client is held.
    let pki = TestPki::new();
    hold(&pki, "client-good");
    let gateway = Gateway::start(&pki, &Setup::configuration(&setup.app));
    is_told(&gateway, &pki, Some("client-good"), "suspended");
    told.insert("suspended".to_owned());
    // And so is one with a block list.
    let pki = TestPki::new();
    write_secret(&pki.path(TOKEN_FILE), TOKEN);
    let gateway = Gateway::start(&pki, &with_blocks(&Setup::configuration(&setup.app)));
    block(&gateway, &serde_json::json!({"contract": "00009876543", "user": "riyousya"}));
    is_told(&gateway, &pki, Some("client-good"), "blocked");
    told.insert("blocked".to_owned());

    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guide/refusals.md")).unwrap();
    let (_, table) = page.split_once("| reason | when |").unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let listed: BTreeSet<_> = rows.map(|row| row.split('`').nth(1).unwrap().to_owned()).collect();
    assert_eq!(listed, told, "the page's table and what was seen on the wire");
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
    let reached = |request: &sekisho_testkit::app::RecordedRequest| {
        request.target != "/healthz" || request.headers.contains_key("x-sekisho-request-id")
    };
    assert!(!setup.app.requests().iter().any(reached), "{:?}", setup.app.requests());
}

/// Whose certificate is suspended keeps it: no alert says that it is revoked.
#[test]
fn a_suspended_client_gets_access_denied_and_is_let_in_again_when_it_is_released() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    let before = std::fs::read_to_string(pki.path("crl.pem")).unwrap();
    hold(&pki, "client-good");
    let gateway = Gateway::start(&pki, &Setup::configuration(&app));
    for version in [Version::Tls12, Version::Tls13] {
        let refused = TlsClient::new(&pki, Some("client-good"), version).get(&gateway, "ib.localhost", "/echo");
        let error = refused.map(|(response, _)| response.status).unwrap_err();
        assert_eq!(alert(&error), Some(AlertDescription::AccessDenied), "{error:?}");
    }
    let record = gateway.record("the refusal", |record| record["reason"] == "suspended");
    assert!(record["evidence"].as_str().unwrap().contains("put on hold by CA issuing"), "{record}");
    assert_eq!(
        gateway.metric(
            r#"sekisho_handshakes_total{outcome="refused",reason="suspended",resumed="false",site="ib.localhost"}"#
        ),
        2.0
    );
    drop(gateway);
    std::fs::write(pki.path("crl.pem"), before).unwrap();
    let gateway = Gateway::start(&pki, &Setup::configuration(&app));
    let client = TlsClient::new(&pki, Some("client-good"), Version::Tls13);
    assert_eq!(client.get(&gateway, "ib.localhost", "/echo").unwrap().0.status, 200);
}

/// Products differ in who may get another certificate: the page says what clients of that CA can do, and where.
#[test]
fn the_way_on_is_that_of_the_clients_ca_and_the_site_s_where_it_says_none() {
    const OWN: &str = "https://acquire.localhost:0/own";
    let asks =
        [("ja", "再発行をご依頼ください", "再取得してください"), ("en", "reissued", "cquire a new certificate.")];
    let ask_for_reissue = "identity = ";
    let acquire_again = format!("advice = \"acquire-again\"\nportal_url = \"{OWN}\"\nidentity = ");
    for (ca, url, acquires) in [(ask_for_reissue, PORTAL_URL, false), (&acquire_again, OWN, true)] {
        let setup = Setup::with(|config| config.replacen("identity = ", ca, 1));
        for client in ["client-revoked", "client-expired"] {
            for (language, asking, acquiring) in asks {
                let lines = format!("Accept-Language: {language}\r\n");
                let page = get(&setup.gateway, &setup.pki, Some(client), &lines).text();
                // The other language is folded up below.
                let (page, _) = page.split_once("<details").unwrap();
                assert!(page.contains(&format!("href=\"{url}\"")), "{client}: {page}");
                let steps = page.split_once("<ol>").unwrap().1.split_once("</ol>").unwrap().0;
                assert_eq!(
                    (steps.contains(acquiring), steps.contains(asking)),
                    (acquires, !acquires),
                    "{client}: {steps}"
                );
                let answer =
                    get(&setup.gateway, &setup.pki, Some(client), &format!("{lines}Accept: application/json\r\n"));
                let problem = answer.json();
                assert_eq!(problem["portal"], url, "{problem}");
                assert_eq!(problem["next_steps"].to_string().contains(acquiring), acquires, "{problem}");
            }
        }
        // Who has shown no certificate has no CA.
        let page = get(&setup.gateway, &setup.pki, None, "Accept-Language: ja\r\n").text();
        assert!(page.contains(&format!("href=\"{PORTAL_URL}\"")), "{page}");
        assert!(
            page.contains("有効期限が切れた電子証明書や、ほかのサービス用の電子証明書は、一覧に表示されません"),
            "{page}"
        );
    }
    // Below a CA that says it, a CA that does not.
    let setup =
        Setup::with(|config| config.replacen("name = \"root\"", "name = \"root\"\nadvice = \"acquire-again\"", 1));
    let page = get(&setup.gateway, &setup.pki, Some("client-revoked"), "Accept-Language: ja\r\n").text();
    assert!(page.contains("再取得してください"), "{page}");
}

/// Where the pages send people, a certificate is not asked for: a bad one in the browser keeps nobody out.
#[test]
fn the_portal_can_be_reached_with_a_bad_certificate_and_with_none() {
    let setup = Setup::new();
    for (index, client) in
        [None, Some("client-revoked"), Some("client-expired"), Some("client-other-ca")].into_iter().enumerate()
    {
        let client = TlsClient::new(&setup.pki, client, Version::Tls13);
        client.get(&setup.gateway, "acquire.localhost", "/help").unwrap();
        assert_eq!(reached(&setup.app, "/help"), index + 1);
    }
    assert!(!setup.app.request_of("/help").headers.contains_key("client-cert"));
}

#[test]
fn the_bank_and_its_help_desk_are_on_the_page_those_of_the_site_before_those_of_the_gateway() {
    let contact = |table: &str, name: &str| {
        format!(
            "[{table}]\nname = {{ ja = \"{name}銀行\", en = \"{name} Bank\" }}\nmark = \"{name}\"\n\
             telephone = \"0120-000-000\"\nhours = {{ ja = \"平日\", en = \"Weekdays\" }}\n\n"
        )
    };
    let of_gateway = |config: String| config.replacen("[[ca]]", &(contact("gateway.contact", "G") + "[[ca]]"), 1);
    let with_both = |config: String| {
        let (before, page_site) = config.split_once("# A bad certificate gets a page").unwrap();
        let of_site = contact("site.contact", "S") + "[[site.route]]";
        of_gateway(format!("{before}#{}", page_site.replacen("[[site.route]]", &of_site, 1)))
    };
    let setup = Setup::with(of_gateway);
    let page = get(&setup.gateway, &setup.pki, None, "Accept-Language: ja\r\n").text();
    for part in [
        "| G銀行</title>",
        ">G</span><span>G銀行</span>",
        "<a href=\"tel:0120000000\">0120-000-000</a>",
        "<dd>平日</dd>",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let setup = Setup::with(with_both);
    let page = get(&setup.gateway, &setup.pki, None, "Accept-Language: en\r\n").text();
    assert!(
        page.contains("| S Bank</title>") && page.contains("<dd>Weekdays</dd>") && !page.contains("G Bank"),
        "{page}"
    );
    let problem = get(&setup.gateway, &setup.pki, None, "Accept: application/json\r\n").json();
    assert_eq!(
        (&problem["contact"]["name"], &problem["contact"]["telephone"]),
        (&"S銀行".into(), &"0120-000-000".into())
    );
}
