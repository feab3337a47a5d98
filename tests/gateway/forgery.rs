//! Identity headers have one source (requirement G8, invariant 4).

use crate::common::{Gateway, Setup, TestApp, TestPki, TlsClient, Version, curl};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sekisho_pki::certificate::Certificate;

/// What an application behind CGI, WSGI or PHP would read as the same name.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

#[test]
fn no_spelling_of_an_identity_header_reaches_the_application() {
    let setup = Setup::new();
    let mut connection = TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13)
        .connect(&setup.gateway, "ib.localhost")
        .unwrap();
    for line in [
        "X-Sekisho-Contract-Id: 11111111111",
        "x-sekisho-contract-id: 11111111111\r\nX-SEKISHO-CONTRACT-ID: 11111111111",
        "x_sekisho_contract_id: 11111111111",
        "X_Sekisho-Contract.Id: 11111111111",
        "x-sekisho-contract-id:\t11111111111",
        "Connection: x-sekisho-contract-id, keep-alive\r\nX-Sekisho-Contract-Id: 11111111111",
        "Client-Cert: :MTExMTExMTExMTE=:",
        "X-Sekisho-Assertion: 11111111111",
        "X-Sekisho-Anything: 11111111111",
    ] {
        setup.app.forget_requests();
        connection.send(format!("GET /echo HTTP/1.1\r\nHost: ib.localhost\r\n{line}\r\n\r\n").as_bytes()).unwrap();
        let response = connection.receive().unwrap();
        assert_eq!(response.status, 200, "{line}: {}", response.text());
        let headers = setup.app.request_of("/echo").headers;
        let ids: Vec<_> = headers.iter().filter(|(name, _)| folded(name.as_str()) == "x-sekisho-contract-id").collect();
        assert_eq!(ids.len(), 1, "{line}: {headers:?}");
        assert_eq!(headers["x-sekisho-contract-id"], "00009876543", "{line}");
        assert!(headers.values().all(|value| !value.as_bytes().starts_with(b"11111111111")), "{line}: {headers:?}");
        assert!(headers.get("client-cert").is_some_and(|value| value.len() > 100), "{line}: {headers:?}");
    }
}

#[test]
fn over_http2_too() {
    let setup = Setup::new();
    let url = setup.gateway.url("ib.localhost", "/echo");
    let forged = ["--http2", "-H", "x-sekisho-user-id: forged", "-H", "x_sekisho_user_id: forged", &url];
    let answer = curl(&setup.gateway, &setup.pki, Some("client-no-user-id"), &forged);
    assert!(answer.stdout.ends_with("HTTP/2 200"), "{answer:?}");
    assert!(!answer.body().contains("forged"), "{answer:?}");
    assert!(!setup.app.request_of("/echo").headers.contains_key("x-sekisho-user-id"), "this one has none");
}

/// pingora forwards no trailers of HTTP/1.1: this proves that neither it nor we begin to without stripping them.
#[test]
fn a_trailer_cannot_bring_an_identity() {
    let setup = Setup::new();
    let mut connection = TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13)
        .connect(&setup.gateway, "ib.localhost")
        .unwrap();
    let request = "POST /upload HTTP/1.1\r\nHost: ib.localhost\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sekisho-Contract-Id\r\n\r\n\
                   3\r\nabc\r\n0\r\nX-Sekisho-Contract-Id: 11111111111\r\n\r\n";
    connection.send(request.as_bytes()).unwrap();
    let response = connection.receive().unwrap();
    assert!(!response.text().contains("11111111111"), "{}", response.text());
    if response.status == 200 {
        assert_eq!(response.json()["bytes"], 3);
    }
    assert_eq!(setup.app.request_of("/upload").headers["x-sekisho-contract-id"], "00009876543");
}

/// As above: nothing of an HTTP/2 trailer section reaches the application, over HTTP/1.1 nor over HTTP/2.
#[test]
fn nor_can_a_trailer_of_http2() {
    for upstream in ["1.1", "2"] {
        let (pki, app) = (TestPki::new(), upstream_of(upstream));
        let tls = "http = \"2\"\n\n[pool.tls]\nserver_name = \"ib.localhost\"\nca = \"server-ca.pem\"\n";
        let app = app(&pki);
        let config = Setup::configuration(&app);
        let config = match upstream {
            "2" => config.replace("health_check = { path = \"/healthz\" }\n", tls),
            _ => config,
        };
        let gateway = Gateway::start(&pki, &config);
        let (status, body) = post_with_trailer(&gateway, &pki);
        assert_eq!(status, 200, "{upstream}: {body}");
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["bytes"], 3, "{upstream}: {body}");
        assert!(!body.contains("11111111111"), "{upstream}: {body}");
        // Over HTTP/2 the target has the authority before the path.
        let request = app.requests().into_iter().find(|request| request.target.ends_with("/upload")).unwrap();
        assert_eq!(request.version == http::Version::HTTP_2, upstream == "2", "{request:?}");
        assert_eq!(request.headers["x-sekisho-contract-id"], "00009876543", "{upstream}");
        assert_eq!(request.headers.get_all("x-sekisho-contract-id").iter().count(), 1);
    }
}

fn upstream_of(version: &str) -> fn(&TestPki) -> TestApp {
    match version {
        "2" => |pki| {
            let chain = CertificateDer::pem_file_iter(pki.path("ib.localhost.pem")).unwrap().map(Result::unwrap);
            let key = PrivateKeyDer::from_pem_file(pki.path("ib.localhost.key")).unwrap();
            let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
            let builder = builder.unwrap().with_no_client_auth();
            let mut config = builder.with_single_cert(chain.collect(), key).unwrap();
            config.alpn_protocols = vec![b"h2".to_vec()];
            TestApp::tls(config)
        },
        _ => |_| TestApp::new(),
    }
}

/// A raw HTTP/2 client: three octets, and a trailer section that claims an identity.
fn post_with_trailer(gateway: &Gateway, pki: &TestPki) -> (u16, String) {
    let client = TlsClient::new(pki, Some("client-good"), Version::Tls13)
        .with(|config| config.alpn_protocols = vec![b"h2".to_vec()]);
    let exchange = async {
        let tcp = tokio::net::TcpStream::connect(gateway.tls()).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(client.config());
        let tls = connector.connect("ib.localhost".try_into().unwrap(), tcp).await.unwrap();
        let (mut sender, connection) = h2::client::handshake(tls).await.unwrap();
        let driving = tokio::spawn(connection);
        let request = http::Request::post("https://ib.localhost/upload").header("trailer", "x-sekisho-contract-id");
        let (response, mut body) = sender.send_request(request.body(()).unwrap(), false).unwrap();
        body.send_data("abc".into(), false).unwrap();
        let forged = ["x-sekisho-contract-id", "x_sekisho_contract_id", "client-cert", "x-sekisho-assertion"];
        let value = http::HeaderValue::from_static("11111111111");
        body.send_trailers(forged.map(|name| (name.parse().unwrap(), value.clone())).into_iter().collect()).unwrap();
        let (head, mut body) = response.await.unwrap().into_parts();
        let mut octets = Vec::new();
        while let Some(data) = body.data().await {
            octets.extend(data.unwrap());
        }
        driving.abort();
        (head.status.as_u16(), String::from_utf8(octets).unwrap())
    };
    tokio::runtime::Runtime::new().unwrap().block_on(exchange)
}

#[test]
fn a_name_outside_ascii_arrives_percent_encoded_and_whole() {
    let setup = Setup::with(|config| {
        let (before, rest) = config.split_once("identity = '").unwrap();
        let (_, after) = rest.split_once('\'').unwrap();
        format!("{before}identity = '(?<contract_id>[0-9]{{11}}) (?<user_id>\\p{{Han}}+|[a-z%]+) 1635'{after}")
    });
    for (name, user, encoded) in [
        ("client-han", "日本", "%E6%97%A5%E6%9C%AC"),
        // What looks encoded already is encoded again: one decoding gives the CN back, whatever it was.
        ("client-percent", "a%b", "a%25b"),
    ] {
        setup.pki.client(name, &format!("00009876543 {user} 1635"));
        let client = TlsClient::new(&setup.pki, Some(name), Version::Tls13);
        let (response, _) = client.get(&setup.gateway, "ib.localhost", "/echo").unwrap();
        assert_eq!(response.status, 200, "{user}: {}", response.text());
        let headers = setup.app.request_of("/echo").headers;
        assert_eq!(headers["x-sekisho-user-id"], encoded);
        assert_eq!(headers["x-sekisho-common-name"], format!("00009876543 {encoded} 1635"));
        let record = setup.gateway.record(user, |record| record["certificate"]["user_id"] == user);
        assert_eq!(record["outcome"], "accepted", "{record}");
    }
}

#[test]
fn the_headers_tell_the_truth() {
    let setup = Setup::new();
    let client = TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13);
    let told = |header: &str| {
        setup.app.request_of("/echo").headers.get(header).map(|value| value.to_str().unwrap().to_owned())
    };
    let leaf = CertificateDer::from_pem_file(setup.pki.path("client-good.pem")).unwrap();
    let not_after = Certificate::parse(&leaf).unwrap().not_after();
    let days_left = || sekisho_runtime::clock::now().days_until(not_after).to_string();
    let before = days_left();
    client.get(&setup.gateway, "ib.localhost", "/echo").unwrap();
    // A day may have ended between.
    let days = [before, days_left()];
    assert!(days.contains(&told("x-sekisho-days-left").unwrap()), "{days:?}");
    assert_eq!(told("x-sekisho-user-id").as_deref(), Some("riyousya"));
    assert_eq!(told("x-sekisho-common-name").as_deref(), Some("00009876543 riyousya 1635"));
    assert_eq!(told("x-sekisho-serial"), Some(setup.pki.serial("client-good").unwrap().to_string()));
    assert_eq!(told("x-sekisho-verification").as_deref(), Some("verified"));
    assert_eq!(told("x-sekisho-resumed").as_deref(), Some("false"));
    let authenticated_at = told("x-sekisho-authenticated-at");
    client.get(&setup.gateway, "ib.localhost", "/echo").unwrap();
    assert_eq!(told("x-sekisho-resumed").as_deref(), Some("true"));
    assert_eq!(told("x-sekisho-authenticated-at"), authenticated_at, "of the handshake that was resumed");
}
