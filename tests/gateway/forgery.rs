//! Identity headers have one source (requirement G8, invariant 4).

use crate::common::{Setup, TlsClient, Version, curl};

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

#[test]
fn the_headers_tell_the_truth() {
    let setup = Setup::new();
    let client = TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13);
    let told = |header: &str| {
        setup.app.request_of("/echo").headers.get(header).map(|value| value.to_str().unwrap().to_owned())
    };
    client.get(&setup.gateway, "ib.localhost", "/echo").unwrap();
    assert_eq!(told("x-sekisho-user-id").as_deref(), Some("riyousya"));
    assert_eq!(told("x-sekisho-common-name").as_deref(), Some("00009876543 riyousya 1635"));
    assert_eq!(told("x-sekisho-serial"), Some(setup.pki.serial("client-good").unwrap().to_string()));
    assert_eq!(told("x-sekisho-verification").as_deref(), Some("verified"));
    assert_eq!(told("x-sekisho-days-left").as_deref(), Some("364"));
    assert_eq!(told("x-sekisho-resumed").as_deref(), Some("false"));
    let authenticated_at = told("x-sekisho-authenticated-at");
    client.get(&setup.gateway, "ib.localhost", "/echo").unwrap();
    assert_eq!(told("x-sekisho-resumed").as_deref(), Some("true"));
    assert_eq!(told("x-sekisho-authenticated-at"), authenticated_at, "of the handshake that was resumed");
}
