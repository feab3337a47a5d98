//! The real gateway before the real listener: what it signs is believed, as it comes over HTTP.

use crate::common::{Gateway, Setup, TestApp, TestPki, TlsClient, Version};
use crate::planted::{Planted, certificate};
use crate::support::user;
use crate::tokens::gateway as gateway_keys;
use axum::Router;
use axum::extract::{ConnectInfo, Request};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sekisho_config::issuer::{JwksSource, ServiceConfig};
use sekisho_issuer::authenticate::Authenticator;
use sekisho_issuer::listen::{ConnectionLimits, Listener, Peer, serve};
use sekisho_runtime::clock;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;

const HOST: &str = "ib.localhost";

/// A service that says who it thinks is calling, on a runtime of its own: the gateway's tests are not asynchronous.
struct Issuer {
    runtime: tokio::runtime::Runtime,
    stop: watch::Sender<bool>,
    port: u16,
    /// Made once the gateway has told where its keys are.
    authenticator: Arc<OnceLock<Authenticator>>,
}

impl Issuer {
    fn start() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let authenticator: Arc<OnceLock<Authenticator>> = Arc::default();
        let asked = Arc::clone(&authenticator);
        let router = Router::new().fallback(move |ConnectInfo(peer): ConnectInfo<Peer>, request: Request| {
            let authenticator = Arc::clone(&asked);
            async move {
                let (head, _) = request.into_parts();
                match authenticator.get().unwrap().caller(&peer, &head, clock::now()).await {
                    Ok(caller) => format!("{caller:?}"),
                    Err(refused) => format!("refused: {}", refused.for_log()),
                }
            }
        });
        let (stop, stopping) = watch::channel(false);
        let address = "127.0.0.1:0".parse().unwrap();
        let listener = runtime.block_on(Listener::bind(address, None, ConnectionLimits::new(100))).unwrap();
        let port = listener.local_address().port();
        runtime.spawn(serve(listener, router, stopping, Duration::from_secs(10)));
        Self { runtime, stop, port, authenticator }
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

#[test]
fn what_the_gateway_signs_is_believed_and_its_bare_headers_are_not() {
    let (pki, app, issuer) = (TestPki::new(), TestApp::new(), Issuer::start());
    let key = std::process::Command::new("openssl")
        .args(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"])
        .arg(pki.path("assertion.key"))
        .output()
        .unwrap();
    assert!(key.status.success(), "{key:?}");
    let config = Setup::configuration(&app).replace(&app.peer(), &format!("127.0.0.1:{}", issuer.port)).replacen(
        "[[ca]]",
        "[gateway.assertion]\nkey_file = \"assertion.key\"\nissuer = \"gw\"\n\n[[ca]]",
        1,
    );
    let gateway = Gateway::start(&pki, &config);

    let leaf = |name: &str| CertificateDer::from_pem_file(pki.path(&format!("{name}.pem"))).unwrap();
    let store = Arc::new(Planted::default());
    store.plant(certificate(&user("00009876543", "riyousya"), 5, &leaf("client-good")));
    let fingerprint = sekisho_pki::fingerprint::sha256(&[&leaf("client-rsa")]);
    let service = ServiceConfig { name: "batch".into(), fingerprint, rights: vec!["read".to_owned()] };
    let mut keys = gateway_keys(JwksSource::Url(gateway.admin_url("/.well-known/jwks.json")));
    (keys.issuer, keys.audience) = ("gw".to_owned(), HOST.to_owned());
    let authenticator = Authenticator::new(store, &[service], Some(&keys)).unwrap();
    assert!(issuer.authenticator.set(authenticator).is_ok());

    let ask = |client: &str, host: &str, path: &str| {
        let client = TlsClient::new(&pki, Some(client), Version::Tls13);
        client.connect(&gateway, HOST).unwrap().get(host, path).unwrap().text()
    };
    for (host, path) in [
        (HOST, "/ib"),
        ("IB.localhost.", "/ib/v1/contracts?limit=1&after=a%2Fb"),
        ("ib.localhost:8443", "/ib/%E5%A5%91%E7%B4%84;v=1"),
    ] {
        let told = ask("client-good", host, path);
        assert!(
            told.starts_with("User(ShownCertificate { of: UserKey { contract: ContractId(\"00009876543\")"),
            "{told}"
        );
        assert!(ask("client-rsa", host, path).starts_with("Service { name: \"batch\""), "{host} {path}");
    }
    let told = ask("client-no-user-id", HOST, "/ib");
    assert_eq!(told, "refused: the assertion names a certificate that was not issued here");

    // Past the gateway the same headers, but for the signature, prove nothing.
    let bare = issuer.runtime.block_on(async {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(crate::support::client_config(
                &crate::support::Ca::new("Nobody"),
                None,
                &rustls::version::TLS13,
            ))
            .build()
            .unwrap();
        let request = client.get(format!("http://127.0.0.1:{}/ib", issuer.port)).header("Client-Cert", ":AA==:");
        let request = request.header("X-Sekisho-Contract-Id", "00009876543").header("X-Sekisho-User-Id", "riyousya");
        request.send().await.unwrap().text().await.unwrap()
    });
    assert_eq!(bare, "refused: neither a client certificate nor an assertion");
}
