//! Who calls: by TLS, by the gateway's assertion, and by nothing else.

use crate::planted::{Planted, certificate};
use crate::support::{hex, placed, user, write};
use crate::tokens::{NOW, TokenSigner, claims, gateway, jwks};
use http::request::Parts;
use sekisho_config::issuer::{JwksSource, ServiceConfig};
use sekisho_issuer::authenticate::{
    AssertionError, Authenticator, Caller, NotAuthenticated, Right, Rights, ShownCertificate, Why,
};
use sekisho_issuer::listen::Peer;
use sekisho_issuer::store::StoreError;
use sekisho_pki::fingerprint::sha256;
use sekisho_pki::serial::SerialNumber;
use serde_json::json;
use std::sync::Arc;
use tempfile::TempDir;

const IB: [u8; 32] = [1; 32];
const DESK: [u8; 32] = [2; 32];
const DER: &[u8] = b"a user's certificate";

fn services() -> Vec<ServiceConfig> {
    let service = |name: &str, fingerprint, rights: &[&str]| ServiceConfig {
        name: name.into(),
        fingerprint,
        rights: rights.iter().map(|right| (*right).to_owned()).collect(),
    };
    vec![service("ib", IB, &["online", "read"]), service("desk", DESK, &["desk", "desk"])]
}

/// An authenticator over a planted store, which knows one user's certificate.
struct World {
    signer: TokenSigner,
    store: Arc<Planted>,
    authenticator: Authenticator,
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let (signer, store, folder) =
            (TokenSigner::new("k1"), Arc::new(Planted::default()), tempfile::tempdir().unwrap());
        store.plant(certificate(&user("C1", "u1"), 5, DER));
        let keys = gateway(JwksSource::File(write(folder.path(), "jwks.json", &jwks(&[&signer]))));
        let authenticator = Authenticator::new(store.clone(), &services(), Some(&keys)).unwrap();
        Self { signer, store, authenticator, folder }
    }

    async fn caller(
        &self,
        certificate: Option<[u8; 32]>,
        headers: &[(&str, &str)],
    ) -> Result<Caller, NotAuthenticated> {
        self.authenticator.caller(&peer(certificate), &head(headers), NOW).await
    }

    async fn with_token(&self, certificate: Option<[u8; 32]>, token: &str) -> Result<Caller, NotAuthenticated> {
        self.caller(certificate, &[("x-sekisho-assertion", token)]).await
    }
}

fn peer(certificate: Option<[u8; 32]>) -> Peer {
    Peer { address: "192.0.2.7:40000".parse().unwrap(), certificate }
}

fn head(headers: &[(&str, &str)]) -> Parts {
    let mut request = http::Request::post("/v1/contracts?dry=1").header("Host", "API.bank.example:8443");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn service(name: &str, rights: &[Right]) -> Caller {
    Caller::Service { name: name.into(), rights: Rights(rights.to_vec()) }
}

fn ib() -> Caller {
    service("ib", &[Right::Online, Right::Read])
}

fn the_user() -> Caller {
    Caller::User(ShownCertificate {
        of: user("C1", "u1"),
        serial: SerialNumber::from_der_content(&[5]).unwrap(),
        at: NOW,
    })
}

fn refused(why: Why) -> Result<Caller, NotAuthenticated> {
    Err(NotAuthenticated::Refused(why))
}

#[tokio::test]
async fn a_service_is_known_by_its_tls_certificate() {
    let world = World::new();
    assert_eq!(world.caller(Some(IB), &[]).await, Ok(ib()));
    assert_eq!(world.caller(Some(DESK), &[]).await, Ok(service("desk", &[Right::Desk])));
    assert_eq!(world.caller(Some([3; 32]), &[]).await, refused(Why::UnknownService));
    assert_eq!(world.caller(None, &[]).await, refused(Why::Nobody));
    // A user's certificate is for the gateway, which knows whether it is revoked.
    assert_eq!(world.caller(Some(sha256(&[DER])), &[]).await, refused(Why::UnknownService));
}

#[tokio::test]
async fn whoever_the_gateway_names_calls() {
    let world = World::new();
    assert_eq!(world.with_token(None, &world.signer.token(sha256(&[DER]))).await, Ok(the_user()));
    assert_eq!(world.with_token(None, &world.signer.token(IB)).await, Ok(ib()));
    // The gateway's own TLS certificate is no service's, and says nothing.
    assert_eq!(world.with_token(Some([9; 32]), &world.signer.token(IB)).await, Ok(ib()));
    assert_eq!(world.with_token(Some(IB), &world.signer.token(IB)).await, Ok(ib()));
}

#[tokio::test]
async fn two_proofs_of_different_callers_are_none() {
    let world = World::new();
    for (certificate, asserted) in [(IB, DESK), (DESK, IB), (IB, sha256(&[DER]))] {
        let called = world.with_token(Some(certificate), &world.signer.token(asserted)).await;
        assert_eq!(called, refused(Why::Disagreeing));
    }
}

#[tokio::test]
async fn a_header_that_nobody_signed_proves_nothing() {
    let world = World::new();
    let fingerprint = hex(sha256(&[DER]));
    let certificate = format!(":{}:", "YSB1c2VyJ3MgY2VydGlmaWNhdGU=");
    for (name, value) in [
        ("Client-Cert", certificate.as_str()),
        ("X-Client-Cert", &certificate),
        ("X-Client-Cert-Fingerprint", &fingerprint),
        ("X-Sekisho-Fingerprint", &fingerprint),
        ("X-Sekisho-Contract-Id", "C1"),
        ("X-Sekisho-User-Id", "u1"),
        ("X-Forwarded-User", "u1"),
        ("X-Forwarded-Client-Cert", &fingerprint),
        ("X-SSL-Client-S-DN", "CN=C1 u1"),
        ("Authorization", "Basic dTE6dTE="),
        ("Cookie", "user=u1"),
        ("X-User-Assertion", &world.signer.token(sha256(&[DER]))),
        ("Authorization", &format!("Bearer {}", world.signer.token(IB))),
    ] {
        assert_eq!(world.caller(None, &[(name, value)]).await, refused(Why::Nobody), "{name}");
        // Nor does it take away what was proven.
        assert_eq!(world.caller(Some(IB), &[(name, value)]).await, Ok(ib()), "{name}");
    }
}

#[tokio::test]
async fn an_assertion_that_is_not_to_be_believed_is_refused_even_beside_a_certificate() {
    use AssertionError::{Audience, Expired, Form, Issuer, Method, Signature, Target, UnknownKey};
    let world = World::new();
    let sign = |changes: &[(&str, serde_json::Value)]| {
        let mut claims = claims(IB, NOW);
        changes.iter().for_each(|(name, value)| claims[*name] = value.clone());
        world.signer.sign(&claims)
    };
    for (token, error) in [
        ("forged".to_owned(), Form),
        (String::new(), Form),
        (TokenSigner::new("k1").token(IB), Signature),
        (TokenSigner::new("k2").token(IB), UnknownKey),
        (sign(&[("iss", json!("https://evil.example"))]), Issuer),
        (sign(&[("aud", json!("ib"))]), Audience),
        (sign(&[("htm", json!("GET"))]), Method),
        (sign(&[("htu", json!("https://api.bank.example/v1/users"))]), Target),
        (sign(&[("htu", json!("https://ib.bank.example/v1/contracts"))]), Target),
        (sign(&[("iat", json!(NOW.unix() - 60)), ("exp", json!(NOW.unix() - 30))]), Expired),
    ] {
        for certificate in [None, Some(IB)] {
            assert_eq!(world.with_token(certificate, &token).await, refused(Why::Assertion(error.clone())), "{token}");
        }
    }
}

#[tokio::test]
async fn two_assertions_or_two_hosts_are_refused() {
    let world = World::new();
    let token = world.signer.token(IB);
    let header = "x-sekisho-assertion";
    assert_eq!(world.caller(None, &[(header, &token), (header, &token)]).await, refused(Why::Header));
    assert_eq!(world.caller(None, &[(header, &token), (header, "")]).await, refused(Why::Header));
    assert_eq!(world.caller(None, &[(header, "\u{e9}")]).await, refused(Why::Header));
    assert_eq!(world.caller(None, &[(header, &token), ("Host", "api.bank.example")]).await, refused(Why::Host));
    let mut no_host = head(&[(header, &token)]);
    no_host.headers.remove("host");
    assert_eq!(world.authenticator.caller(&peer(None), &no_host, NOW).await, refused(Why::Host));
}

#[tokio::test]
async fn a_certificate_that_was_not_issued_here_is_nobodys() {
    let world = World::new();
    assert_eq!(world.with_token(None, &world.signer.token([7; 32])).await, refused(Why::UnknownCertificate));
    // What the store finds must be that certificate, and a completed one.
    world.store.plant_at([7; 32], certificate(&user("C1", "u1"), 6, b"another certificate"));
    assert_eq!(world.with_token(None, &world.signer.token([7; 32])).await, refused(Why::UnknownCertificate));
    let mut begun = certificate(&user("C1", "u1"), 6, b"");
    begun.der = None;
    world.store.plant_at([7; 32], begun);
    assert_eq!(world.with_token(None, &world.signer.token([7; 32])).await, refused(Why::UnknownCertificate));
}

#[tokio::test]
async fn what_cannot_be_known_now_is_not_a_refusal_and_says_nothing_outside() {
    let world = World::new();
    world.store.fail(Some(StoreError::Unavailable("disk full at /var/lib/issuer.db".into())));
    let unavailable = world.with_token(None, &world.signer.token(sha256(&[DER]))).await.unwrap_err();
    assert!(matches!(&unavailable, NotAuthenticated::Unavailable(why) if why.contains("disk full")), "{unavailable:?}");
    assert!(unavailable.for_log().to_string().contains("disk full"));
    assert_eq!(unavailable.to_string(), "who calls cannot be known now");
    // Services are known without the store.
    assert_eq!(world.caller(Some(IB), &[]).await, Ok(ib()));
    let told = [Why::Nobody, Why::Disagreeing, Why::UnknownCertificate, Why::Assertion(AssertionError::Signature)]
        .map(|why| NotAuthenticated::Refused(why).to_string());
    assert_eq!(told, ["not authenticated"; 4]);
}

#[tokio::test]
async fn one_that_a_service_hands_on_names_its_user() {
    let world = World::new();
    let sign = |certificate, audience: &str, at| {
        let mut claims = claims(certificate, at);
        claims["aud"] = json!(audience);
        claims["htu"] = json!("https://ib.bank.example/top");
        world.signer.sign(&claims)
    };
    let Caller::User(shown) = the_user() else { unreachable!() };
    let fingerprint = sha256(&[DER]);
    for (token, expected) in [
        (sign(fingerprint, "ib", NOW), Ok(shown.clone())),
        (sign(fingerprint, "ib-admin", NOW), Ok(shown)),
        (sign(fingerprint, "issuer", NOW), Err(Why::Assertion(AssertionError::Audience))),
        (sign(fingerprint, "other", NOW), Err(Why::Assertion(AssertionError::Audience))),
        (sign(fingerprint, "ib", NOW.plus_seconds(-40)), Err(Why::Assertion(AssertionError::Expired))),
        (sign(IB, "ib", NOW), Err(Why::UnknownCertificate)),
        (sign([7; 32], "ib", NOW), Err(Why::UnknownCertificate)),
        (TokenSigner::new("k1").token(fingerprint), Err(Why::Assertion(AssertionError::Signature))),
        ("forged".to_owned(), Err(Why::Assertion(AssertionError::Form))),
    ] {
        let handed_on = world.authenticator.handed_on(&token, NOW).await;
        assert_eq!(handed_on, expected.map_err(NotAuthenticated::Refused), "{token}");
    }
    let token = |headers: &[(&str, &str)]| {
        world.authenticator.handed_on_token(&head(headers)).map(|token| token.map(str::to_owned))
    };
    assert_eq!(token(&[]), Ok(None));
    assert_eq!(token(&[("x-sekisho-assertion", "a")]), Ok(None));
    assert_eq!(token(&[("X-User-Assertion", "a")]), Ok(Some("a".to_owned())));
    assert_eq!(
        token(&[("X-User-Assertion", "a"), ("x-user-assertion", "a")]),
        Err(NotAuthenticated::Refused(Why::Header))
    );
}

#[tokio::test]
async fn without_a_gateway_no_assertion_is_believed() {
    let world = World::new();
    let alone = Authenticator::new(world.store.clone(), &services(), None).unwrap();
    let token = world.signer.token(IB);
    let head = head(&[("x-sekisho-assertion", &token), ("x-user-assertion", &token)]);
    assert_eq!(alone.caller(&peer(None), &head, NOW).await, refused(Why::Nobody));
    assert_eq!(alone.caller(&peer(Some(DESK)), &head, NOW).await, Ok(service("desk", &[Right::Desk])));
    assert_eq!(alone.handed_on(&token, NOW).await, Err(NotAuthenticated::Refused(Why::NoGateway)));
    assert_eq!(alone.handed_on_token(&head), Ok(None));
}

#[test]
fn a_configuration_that_is_not_clear_is_refused() {
    let world = World::new();
    let refused = |services: &[ServiceConfig], change: &dyn Fn(&mut sekisho_config::issuer::GatewayKeys)| {
        let mut keys = gateway(JwksSource::File(world.folder.path().join("jwks.json")));
        change(&mut keys);
        let error = Authenticator::new(world.store.clone(), services, Some(&keys)).err().expect("it is accepted");
        let error = error.to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    };
    let file = |name: &str, content: &str| placed(JwksSource::File(write(world.folder.path(), name, content)));
    let mut same = services();
    same[1].fingerprint = IB;
    let mut right = services();
    right[0].rights.push("root".to_owned());
    let url = |url: &str| placed(JwksSource::Url(url.to_owned()));
    for (wanted, error) in [
        ("[[service]] desk: fingerprint: is another service's", refused(&same, &|_| ())),
        ("[[service]] ib: rights: \"root\" is not a right", refused(&right, &|_| ())),
        (
            "[gateway]: header: \"a b\" is not the name of a header",
            refused(&[], &|keys| keys.header = "a b".to_owned()),
        ),
        ("user_header: \"\" is not", refused(&[], &|keys| keys.user_header = String::new())),
        ("issuer.toml:7: key: ", refused(&[], &|keys| keys.jwks = file("html", "<html>"))),
        ("html: not a JWK Set", refused(&[], &|keys| keys.jwks = file("html", "<html>"))),
        ("empty: it has no ES256 key", refused(&[], &|keys| keys.jwks = file("empty", r#"{"keys":[]}"#))),
        (
            "none: cannot be read",
            refused(&[], &|keys| {
                keys.jwks = placed(JwksSource::File(world.folder.path().join("none")));
            }),
        ),
        ("http:// beyond a loopback address", refused(&[], &|keys| keys.jwks = url("http://gw.example/jwks"))),
        ("scheme file", refused(&[], &|keys| keys.jwks = url("file:///etc/jwks.json"))),
    ] {
        assert!(error.contains(wanted), "{wanted}: {error}");
    }
}
