//! A gateway whose issuing CA has an OCSP responder that the test holds.

use crate::common::{Gateway, Response, Setup, TestApp, TestPki, TlsClient, Version, wait_until};
use crate::responder::{AnswerBuilder, Behaviour, Front, OpensslResponder, Says, certificate_id, database};
use rcgen::KeyPair;
use sekisho_pki::certificate::Certificate;
use sekisho_pki::pem;
use sekisho_pki::time::Timestamp;
use std::sync::{Arc, Mutex};

pub const ALERT: &str = "ib.localhost";
pub const PAGE: &str = "portal.localhost";

pub struct Asked {
    pub gateway: Gateway,
    pub app: TestApp,
    pub pki: TestPki,
    pub front: Front,
}

impl Asked {
    /// `keys` go beside `url` in `ocsp = { … }`, `sources` beside `ocsp` in `revocation = { … }`; nobody answers yet.
    pub fn new(keys: &str, sources: &str) -> Self {
        let (pki, app) = (TestPki::new(), TestApp::new());
        let front = Front::new(Behaviour::Closes);
        let gateway = Gateway::start(&pki, &Self::configuration(&app, &front, keys, sources));
        Self { gateway, app, pki, front }
    }

    /// The demo's configuration with the responder in place of the issuing CA's list.
    pub fn configuration(app: &TestApp, front: &Front, keys: &str, sources: &str) -> String {
        let config = Setup::configuration(app);
        let (root, issuing) = config.split_once("issued_by = \"root\"\n").unwrap();
        let list = r#"revocation = { crl = ["crl.pem"] }"#;
        let asks = format!("revocation = {{ ocsp = {{ url = \"{}\"{keys} }}{sources} }}", front.url());
        assert!(issuing.contains(list));
        format!("{root}issued_by = \"root\"\n{}", issuing.replacen(list, &asks, 1))
    }

    pub fn issuing_ca(&self) -> (Certificate, KeyPair) {
        self.signer("issuing-ca")
    }

    pub fn signer(&self, name: &str) -> (Certificate, KeyPair) {
        let key = std::fs::read_to_string(self.pki.path(&format!("{name}.key"))).unwrap();
        (self.certificate(name), KeyPair::from_pem(&key).unwrap())
    }

    pub fn certificate(&self, name: &str) -> Certificate {
        let text = std::fs::read(self.pki.path(&format!("{name}.pem"))).unwrap();
        Certificate::parse(&pem::certificates(&text).unwrap()[0]).unwrap()
    }

    /// The real responder, which knows these clients, signing as `signer`.
    pub fn openssl(&self, signer: &str, clients: &[(&str, Says)], options: &[&str]) -> OpensslResponder {
        let known: Vec<_> = clients.iter().map(|(name, says)| (self.certificate(name), *says)).collect();
        let known: Vec<_> = known.iter().map(|(certificate, says)| (certificate, *says)).collect();
        let database = database(self.pki.folder(), &format!("{signer}.index"), &known);
        OpensslResponder::start(self.pki.folder(), &database, "issuing-ca", signer, options)
    }

    /// Behind the address: answers of the CA itself as `change` makes them of a good one; the test may change what is
    /// said later.
    pub fn answers(&self, change: impl Fn(AnswerBuilder) -> AnswerBuilder + Send + 'static) -> Arc<Mutex<Says>> {
        let (ca, key) = self.issuing_ca();
        let says = Arc::new(Mutex::new(Says::Good));
        let current = Arc::clone(&says);
        self.front.now(Behaviour::Makes(Box::new(move |question| {
            let good = AnswerBuilder::good(&certificate_id(question), &ca, now());
            change(good.says(*current.lock().unwrap())).sign(&key)
        })));
        says
    }

    /// GET of a new connection.
    pub fn get(&self, client: &str, site: &str) -> Response {
        TlsClient::new(&self.pki, Some(client), Version::Tls13).get(&self.gateway, site, "/echo").unwrap().0
    }

    /// `sekisho_ocsp_requests_total` of an outcome.
    pub fn outcomes(&self, outcome: &str) -> f64 {
        self.gateway.metric(&format!("sekisho_ocsp_requests_total{{ca=\"issuing\",outcome=\"{outcome}\"}}"))
    }

    /// How many requests reached the application, its health checks apart.
    pub fn reached(&self) -> usize {
        self.app.requests().iter().filter(|request| request.target != "/healthz").count()
    }

    pub fn wait_until_ready(&self) {
        wait_until("the gateway is ready", || self.gateway.admin_get("/readyz").0 == 200);
    }
}

/// The reason that an answer names, in a page or a problem document.
#[track_caller]
pub fn reason(response: &Response) -> String {
    assert_eq!(response.status, 403, "{}", response.text());
    let reasons = ["revocation-unavailable", "suspended", "revoked", "expired", "malformed-identity"];
    let text = response.text();
    // As the page has its reason code; other words of it may say what the reason is not.
    (*reasons
        .iter()
        .find(|reason| text.contains(&format!("403 {reason}")))
        .unwrap_or_else(|| panic!("no reason in {text}")))
    .to_owned()
}

pub fn now() -> Timestamp {
    sekisho_runtime::clock::now()
}
