//! The gateway's keys: read again, fetched at need, and never by storm.

use crate::planted::Planted;
use crate::support::{Canned, DEADLINE, placed, write};
use crate::tokens::{NOW, TokenSigner, claims, gateway, jwks};
use sekisho_config::issuer::{GatewayKeys, JwksSource, ServiceConfig};
use sekisho_issuer::authenticate::{AssertionError, Authenticator, NotAuthenticated, Why};
use sekisho_issuer::listen::Peer;
use std::sync::Arc;
use std::time::Duration;

const SERVICE: [u8; 32] = [1; 32];

fn authenticator(keys: &GatewayKeys) -> Authenticator {
    let service = ServiceConfig { name: "ib".into(), fingerprint: SERVICE, rights: Vec::new() };
    Authenticator::new(Arc::new(Planted::default()), &[service], Some(keys)).unwrap()
}

async fn ask(authenticator: &Authenticator, signer: &TokenSigner, seconds: i64) -> Result<(), NotAuthenticated> {
    let now = NOW.plus_seconds(seconds);
    let request = http::Request::post("/v1/contracts")
        .header("host", "api.bank.example")
        .header("x-sekisho-assertion", signer.sign(&claims(SERVICE, now)));
    let head = request.body(()).unwrap().into_parts().0;
    let peer = Peer { address: "192.0.2.7:40000".parse().unwrap(), certificate: None };
    authenticator.caller(&peer, &head, now).await.map(drop)
}

const UNKNOWN: Result<(), NotAuthenticated> =
    Err(NotAuthenticated::Refused(Why::Assertion(AssertionError::UnknownKey)));

fn is_unavailable(asked: &Result<(), NotAuthenticated>, why: &str) -> bool {
    matches!(asked, Err(NotAuthenticated::Unavailable(told)) if told.contains(why))
}

fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn url(server: &Canned) -> GatewayKeys {
    gateway(JwksSource::Url(server.url("/.well-known/jwks.json")))
}

#[tokio::test]
async fn a_file_is_read_again_when_it_changes_and_the_last_good_keys_serve_on() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (TokenSigner::new("old"), TokenSigner::new("new"));
    let path = write(folder.path(), "jwks.json", &jwks(&[&old]));
    let authenticator = authenticator(&gateway(JwksSource::File(path.clone())));
    assert_eq!(ask(&authenticator, &old, 0).await, Ok(()));
    assert_eq!(ask(&authenticator, &new, 0).await, UNKNOWN);
    write(folder.path(), "jwks.json", &jwks(&[&old, &new]));
    assert_eq!(ask(&authenticator, &new, 1).await, Ok(()));
    // Broken, empty, gone: nothing changes for keys that are known, and no other is refused for good.
    for broken in ["", "{\"keys\":[]}", "<html>"] {
        write(folder.path(), "jwks.json", broken);
        assert_eq!(ask(&authenticator, &new, 2).await, Ok(()), "{broken}");
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(ask(&authenticator, &old, 10).await, Ok(()));
    let unknown = ask(&authenticator, &TokenSigner::new("other"), 11).await;
    assert!(is_unavailable(&unknown, "No such file"), "{unknown:?}");
    // A key that was taken out is believed no longer.
    write(folder.path(), "jwks.json", &jwks(&[&new]));
    assert_eq!(ask(&authenticator, &new, 20).await, Ok(()));
    assert_eq!(ask(&authenticator, &old, 20).await, UNKNOWN);
    // Also where another file took its place by rename.
    let renamed = write(folder.path(), "next.json", &jwks(&[&old]));
    std::fs::rename(renamed, &path).unwrap();
    assert_eq!(ask(&authenticator, &old, 30).await, Ok(()));
    assert_eq!(ask(&authenticator, &new, 30).await, UNKNOWN);
}

#[tokio::test]
async fn a_url_is_asked_at_need_and_made_up_key_ids_make_no_storm() {
    let (old, new) = (TokenSigner::new("old"), TokenSigner::new("new"));
    let server = Canned::start(answer(&jwks(&[&old]))).await;
    let authenticator = Arc::new(authenticator(&url(&server)));
    assert_eq!(server.requests().len(), 0, "nothing was needed");
    let asked = (0..50).map(|_| async { ask(&authenticator, &old, 0).await });
    assert_eq!(futures_util::future::join_all(asked).await, vec![Ok(()); 50]);
    assert_eq!(server.requests().len(), 1, "fifty first requests are one fetch");
    let head = server.requests()[0].to_lowercase();
    assert!(head.starts_with("get /.well-known/jwks.json http/1.1"), "{head}");
    for kid in 0..100 {
        assert_eq!(ask(&authenticator, &TokenSigner::new(&format!("made-up-{kid}")), 4).await, UNKNOWN);
    }
    assert_eq!(server.requests().len(), 1);
    server.say(answer(&jwks(&[&old, &new])));
    assert_eq!(ask(&authenticator, &new, 4).await, UNKNOWN, "too early to ask again");
    assert_eq!(ask(&authenticator, &new, 5).await, Ok(()));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_gateway_that_does_not_answer_is_no_refusal_and_its_known_keys_serve_on() {
    let (known, other) = (TokenSigner::new("known"), TokenSigner::new("other"));
    let server = Canned::start(answer("{}")).await;
    let authenticator = authenticator(&url(&server));
    let redirect = "HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n".to_owned();
    let faults = [
        ("not a JWK Set", answer("<html>")),
        ("it has no ES256 key", answer("{\"keys\":[]}")),
        ("more than 65536 octets", answer(&format!("{}{}", " ".repeat(70_000), jwks(&[&known])))),
        ("status is 500", answer(&jwks(&[&known])).replace("200 OK", "500 Internal Server Error")),
        ("status is 302", redirect),
        ("failed", answer(&jwks(&[&known]))[..100].to_owned()),
        ("failed", String::new()),
    ];
    let mut seconds = 0;
    for (why, fault) in &faults {
        server.say(fault.clone());
        seconds += 10;
        let asked = ask(&authenticator, &known, seconds).await;
        assert!(is_unavailable(&asked, why), "{why}: {asked:?}");
    }
    server.say(answer(&jwks(&[&known])));
    seconds += 10;
    assert_eq!(ask(&authenticator, &known, seconds).await, Ok(()));
    for (why, fault) in &faults {
        server.say(fault.clone());
        seconds += 10;
        let asked = ask(&authenticator, &other, seconds).await;
        assert!(is_unavailable(&asked, why), "{why}: {asked:?}");
        assert_eq!(ask(&authenticator, &known, seconds).await, Ok(()), "{why}");
    }
}

#[tokio::test]
async fn a_key_that_the_gateway_withdrew_is_forgotten() {
    let (old, new) = (TokenSigner::new("old"), TokenSigner::new("new"));
    let server = Canned::start(answer(&jwks(&[&old, &new]))).await;
    let authenticator = authenticator(&url(&server));
    assert_eq!(ask(&authenticator, &old, 0).await, Ok(()));
    server.say(answer(&jwks(&[&new])));
    assert_eq!(ask(&authenticator, &old, 299).await, Ok(()));
    assert_eq!(server.requests().len(), 1);
    // The next one sees to it, in the background.
    let withdrawn = async {
        while ask(&authenticator, &old, 300).await != UNKNOWN {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, withdrawn).await.expect("it is believed for ever");
    assert_eq!(ask(&authenticator, &new, 300).await, Ok(()));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_keep_keys_old() {
    let (old, new) = (TokenSigner::new("old"), TokenSigner::new("new"));
    let server = Canned::start(answer(&jwks(&[&old]))).await;
    let authenticator = authenticator(&url(&server));
    assert_eq!(ask(&authenticator, &old, 100_000).await, Ok(()));
    server.say(answer(&jwks(&[&new])));
    assert_eq!(ask(&authenticator, &new, 0).await, Ok(()));
}

#[tokio::test]
async fn over_https_only_a_server_of_the_named_ca_gives_keys() {
    use sekisho_issuer::listen::{ConnectionLimits, Listener, serve, server_config};
    let files = crate::support::TlsFiles::new();
    let signer = TokenSigner::new("k");
    let body = jwks(&[&signer]);
    let router = axum::Router::new().route("/jwks", axum::routing::get(move || async move { body }));
    let tls = server_config(&files.config()).unwrap().config;
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), Some(tls), ConnectionLimits::new(10)).await.unwrap();
    let source = JwksSource::Url(format!("https://127.0.0.1:{}/jwks", listener.local_address().port()));
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let served = tokio::spawn(serve(listener, router, stopping, DEADLINE));
    write(&files.path(""), "server-ca.pem", &files.server_ca.pem);
    let with_ca = |ca: &str| {
        let mut keys = gateway(source.clone());
        keys.jwks_ca = Some(placed(files.path(ca)));
        authenticator(&keys)
    };
    assert_eq!(ask(&with_ca("server-ca.pem"), &signer, 0).await, Ok(()));
    let refused = ask(&with_ca("client-ca.pem"), &signer, 0).await;
    assert!(is_unavailable(&refused, "UnknownIssuer"), "{refused:?}");
    stop.send(true).unwrap();
    served.await.unwrap();
}
