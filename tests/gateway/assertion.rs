//! The signed assertion as an application checks it: with the published keys and nothing else (requirement G7).

use crate::common::{Gateway, Setup, TestApp, TestPki, TlsClient, Version};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sekisho_pki::fingerprint::sha256;
use serde_json::{Value, json};

const HOST: &str = "ib.localhost";

fn make_key(pki: &TestPki, name: &str) {
    let made = std::process::Command::new("openssl")
        .args(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"])
        .arg(pki.path(name))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
}

fn configuration(app: &TestApp, assertion: &str) -> String {
    let table = format!("[gateway.assertion]\n{assertion}\n\n[[ca]]");
    Setup::configuration(app).replacen("[[ca]]", &table, 1)
}

fn keys(gateway: &Gateway) -> Vec<Value> {
    let (status, body) = gateway.admin_get("/.well-known/jwks.json");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["keys"].as_array().unwrap().clone()
}

fn decoded(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// Header and claims of a token whose signature verifies with the key that it names; none otherwise.
fn check(token: &str, keys: &[Value]) -> Option<(Value, Value)> {
    let [header, claims, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().ok()?;
    let told: Value = serde_json::from_slice(&decoded(header)).ok()?;
    assert_eq!((&told["alg"], &told["typ"]), (&json!("ES256"), &json!("sekisho-client+jwt")));
    let key = keys.iter().find(|key| key["kid"] == told["kid"])?;
    assert_eq!((&key["kty"], &key["crv"]), (&json!("EC"), &json!("P-256")), "{key}");
    assert!(key.get("d").is_none(), "a private key is published");
    let coordinate = |name: &str| decoded(key[name].as_str().unwrap());
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let signed = format!("{header}.{claims}");
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed.as_bytes(), &decoded(signature)).ok()?;
    Some((told, serde_json::from_slice(&decoded(claims)).ok()?))
}

/// The assertion that the application got with its last request to a path.
fn token(app: &TestApp, path: &str) -> String {
    let request = app.request_of(path);
    assert_eq!(request.headers.get_all("x-sekisho-assertion").iter().count(), 1, "{:?}", request.headers);
    request.headers["x-sekisho-assertion"].to_str().unwrap().to_owned()
}

fn leaf(pki: &TestPki, name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(pki.path(&format!("{name}.pem"))).unwrap()
}

#[test]
fn it_verifies_with_the_published_key_and_says_who_makes_which_request() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    make_key(&pki, "assertion.key");
    let gateway =
        Gateway::start(&pki, &configuration(&app, "key_file = \"assertion.key\"\nissuer = \"gw\"\nlifetime = \"45s\""));
    let client = TlsClient::new(&pki, Some("client-good"), Version::Tls13);
    let before = sekisho_runtime::clock::now().unix();
    let mut connection = client.connect(&gateway, HOST).unwrap();
    let forged = "POST /upload?amount=1 HTTP/1.1\r\nHost: IB.localhost.\r\nContent-Length: 0\r\nX-Sekisho-Assertion: forged\r\n\r\n";
    connection.send(forged.as_bytes()).unwrap();
    assert_eq!(connection.receive().unwrap().status, 200);
    let published = keys(&gateway);
    let first = token(&app, "/upload");
    let (_, claims) = check(&first, &published).expect("the signature");
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("gw"), &json!(HOST)), "{claims}");
    assert_eq!(claims["sub"], "00009876543 riyousya 1635");
    assert_eq!((&claims["contract_id"], &claims["user_id"]), (&json!("00009876543"), &json!("riyousya")));
    assert_eq!((&claims["htm"], &claims["htu"]), (&json!("POST"), &json!("https://ib.localhost/upload")));
    let hash = |query: &str| BASE64_URL_SAFE_NO_PAD.encode(sha256(&[query.as_bytes()]));
    assert_eq!(claims["htq"], hash("amount=1"), "the query is bound too");
    assert_eq!(claims["ca"], "issuing", "as the configuration names it");
    assert_eq!(app.request_of("/upload").headers["x-sekisho-ca"], "issuing");
    let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(sha256(&[&leaf(&pki, "client-good")]));
    assert_eq!(claims["cnf"]["x5t#S256"], thumbprint, "{claims}");
    assert_eq!(claims["jti"], app.request_of("/upload").headers["x-sekisho-request-id"].to_str().unwrap());
    let at = |claim: &str| claims[claim].as_i64().unwrap();
    let after = sekisho_runtime::clock::now().unix();
    assert!((before..=after).contains(&at("iat")) && at("exp") == at("iat") + 45 && at("nbf") <= at("iat"), "{claims}");
    assert!((before..=after).contains(&at("auth_time")), "{claims}");

    // Another path, another assertion; one tampered with is none.
    assert_eq!(connection.get(HOST, "/echo").unwrap().status, 200);
    let (_, others) = check(&token(&app, "/echo"), &published).unwrap();
    assert_eq!((&others["htm"], &others["htu"]), (&json!("GET"), &json!("https://ib.localhost/echo")));
    assert_eq!(others["htq"], hash(""));
    assert_ne!(others["jti"], claims["jti"]);
    let second = token(&app, "/echo");
    let [header, _, signature]: [&str; 3] = first.split('.').collect::<Vec<_>>().try_into().unwrap();
    let mixed = format!("{header}.{}.{signature}", second.split('.').nth(1).unwrap());
    assert!(check(&mixed, &published).is_none(), "another request's claims under this signature");
}

#[test]
fn an_administrator_has_no_user_id_in_it_and_nobody_has_no_assertion() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    make_key(&pki, "assertion.key");
    let config = configuration(&app, "key_file = \"assertion.key\"").replace("\"required\"", "\"optional\"");
    let gateway = Gateway::start(&pki, &config.replace("require = [\"certificate\"]\n", ""));
    let get = |client| TlsClient::new(&pki, client, Version::Tls12).get(&gateway, HOST, "/echo").unwrap().0.status;
    assert_eq!(get(Some("client-no-user-id")), 200);
    let (_, claims) = check(&token(&app, "/echo"), &keys(&gateway)).unwrap();
    assert!(claims.get("user_id").is_none(), "{claims}");
    app.forget_requests();
    assert_eq!(get(None), 200);
    assert!(!app.request_of("/echo").headers.contains_key("x-sekisho-assertion"));
}

#[test]
fn a_new_key_signs_and_the_one_before_is_still_published() {
    let (pki, app) = (TestPki::new(), TestApp::new());
    make_key(&pki, "old.key");
    make_key(&pki, "new.key");
    let gateway = Gateway::start(&pki, &configuration(&app, "key_file = \"old.key\""));
    let client = TlsClient::new(&pki, Some("client-good"), Version::Tls13);
    let fresh_token = || {
        app.forget_requests();
        assert_eq!(client.get(&gateway, HOST, "/echo").unwrap().0.status, 200);
        token(&app, "/echo")
    };
    let old_token = fresh_token();
    let old_keys = keys(&gateway);
    assert_eq!(old_keys.len(), 1);
    gateway.write_config(&configuration(&app, "key_file = \"new.key\"\nprevious_key_files = [\"old.key\"]"));
    gateway.signal(crate::common::Signal::Reload);
    crate::common::wait_until("both keys are published", || keys(&gateway).len() == 2);
    let both = keys(&gateway);
    let new_token = fresh_token();
    let (header, _) = check(&new_token, &both).expect("by the new key");
    assert_ne!(header["kid"], old_keys[0]["kid"]);
    assert!(check(&old_token, &both).is_some(), "what the old key signed still verifies");
    assert!(check(&new_token, &old_keys).is_none());
}

#[test]
fn without_a_key_there_is_no_assertion_and_no_key_set() {
    let setup = Setup::new();
    let client = TlsClient::new(&setup.pki, Some("client-good"), Version::Tls13);
    let mut connection = client.connect(&setup.gateway, HOST).unwrap();
    connection.send(b"GET /echo HTTP/1.1\r\nHost: ib.localhost\r\nX-Sekisho-Assertion: forged\r\n\r\n").unwrap();
    assert_eq!(connection.receive().unwrap().status, 200);
    assert!(!setup.app.request_of("/echo").headers.contains_key("x-sekisho-assertion"));
    assert_eq!(setup.gateway.admin_get("/.well-known/jwks.json").0, 404);
}

#[test]
fn client_cert_and_its_chain_are_the_very_octets_presented() {
    let setup = Setup::with(|config| {
        config.replacen("[[ca]]", "[gateway.headers]\nclient_cert_chain = \"client-cert-chain\"\n\n[[ca]]", 1)
    });
    for version in [Version::Tls12, Version::Tls13] {
        let client = TlsClient::new(&setup.pki, Some("client-good"), version);
        assert_eq!(client.get(&setup.gateway, HOST, "/echo").unwrap().0.status, 200);
        let headers = setup.app.request_of("/echo").headers;
        let value = |name: &str| headers[name].to_str().unwrap().to_owned();
        // RFC 9440 section 2.1: a byte sequence of RFC 8941, `:base64:`.
        let der = |item: &str| {
            BASE64_STANDARD.decode(item.trim().strip_prefix(':').unwrap().strip_suffix(':').unwrap()).unwrap()
        };
        assert_eq!(der(&value("client-cert")), leaf(&setup.pki, "client-good").as_ref());
        let chain: Vec<_> = value("client-cert-chain").split(',').map(der).collect();
        assert_eq!(chain, [leaf(&setup.pki, "issuing-ca").to_vec()]);
    }
}
