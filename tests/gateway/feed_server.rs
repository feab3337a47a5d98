//! An issuer's feed in the test's hands: mutual TLS, one stream at a time, each message as honest as the test wants it.

use crate::common::{Gateway, PATIENCE, Setup, TestApp, TestPki, wait_until};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::es256::PublicKey;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

type Tls = StreamOwned<ServerConnection, TcpStream>;

/// What signs messages.
pub struct Signer {
    pair: EcdsaKeyPair,
    key: PublicKey,
}

impl Signer {
    pub fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let key = PublicKey::from_spki(&Self::spki(&pair)).unwrap();
        Self { pair, key }
    }

    fn spki(pair: &EcdsaKeyPair) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        der.as_ref().to_vec()
    }

    pub fn public_pem(&self) -> String {
        let text = BASE64_STANDARD.encode(Self::spki(&self.pair));
        format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
    }

    pub fn sign(&self, payload: &Value) -> String {
        let header = json!({ "alg": "ES256", "typ": "sekisho-feed+jwt", "kid": self.key.key_id() });
        let text = [&header, payload].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

/// A gateway that asked for the feed.
pub struct Asked {
    /// `after=`.
    pub after: Option<u64>,
    tls: Tls,
}

/// A stream that goes on until it is dropped.
pub struct Live(Tls);

impl Asked {
    pub fn accept(mut self) -> Live {
        self.tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n").unwrap();
        self.tls.flush().unwrap();
        Live(self.tls)
    }

    pub fn answer(mut self, status: &str, body: &Value) {
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.tls.write_all((head + &body).as_bytes()).unwrap();
        self.tls.flush().unwrap();
    }
}

impl Live {
    /// Whether the gateway still took it.
    pub fn raw(&mut self, octets: &[u8]) -> bool {
        self.0.write_all(octets).and_then(|()| self.0.flush()).is_ok()
    }

    pub fn event(&mut self, token: &str) -> bool {
        self.raw(format!("event: revocations\ndata: {token}\n\n").as_bytes())
    }

    /// Waits until the gateway leaves.
    pub fn wait_for_end(mut self) {
        let mut octets = [0; 64];
        while matches!(self.0.read(&mut octets), Ok(1..)) {}
    }
}

/// One node.
pub struct Node {
    pub address: SocketAddr,
    asked: Receiver<Asked>,
    acknowledged: Arc<Mutex<Vec<(String, u64)>>>,
}

impl Node {
    pub fn start(pki: &TestPki) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(pki.path("root-ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let chain = CertificateDer::pem_file_iter(pki.path("issuer.pem")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(pki.path("issuer.key")).unwrap();
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(config.with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, asked) = channel();
        let acknowledged = Arc::default();
        let kept = Arc::clone(&acknowledged);
        std::thread::spawn(move || {
            while let Ok((tcp, _)) = listener.accept() {
                let (config, sender, kept) = (config.clone(), sender.clone(), Arc::clone(&kept));
                std::thread::spawn(move || serve(tcp, config, &sender, &kept));
            }
        });
        Self { address, asked, acknowledged }
    }

    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// The next time that a gateway asks.
    #[track_caller]
    pub fn asked(&self) -> Asked {
        self.asked.recv_timeout(PATIENCE).expect("nobody asked for the feed")
    }

    /// A gateway that has asked since, if one has.
    pub fn asks(&self) -> Option<Asked> {
        self.asked.try_recv().ok()
    }

    /// Whether nobody has asked since.
    pub fn is_quiet(&self) -> bool {
        self.asks().is_none()
    }

    pub fn acknowledged(&self) -> Vec<(String, u64)> {
        self.acknowledged.lock().unwrap().clone()
    }

    #[track_caller]
    pub fn wait_for_acknowledgement(&self, feed: &str, to: u64) {
        let wanted = (feed.to_owned(), to);
        wait_until(&format!("{to} is acknowledged"), || self.acknowledged().last() == Some(&wanted));
    }
}

fn serve(tcp: TcpStream, config: Arc<ServerConfig>, sender: &Sender<Asked>, acknowledged: &Mutex<Vec<(String, u64)>>) {
    tcp.set_read_timeout(Some(PATIENCE * 3)).unwrap();
    tcp.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), tcp);
    loop {
        let mut head = Vec::new();
        let mut octet = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match tls.read(&mut octet) {
                Ok(1) => head.push(octet[0]),
                _ => return,
            }
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let target = head.split(' ').nth(1).unwrap().to_owned();
        if let Some(query) = target.strip_prefix("/v1/feed").filter(|_| head.starts_with("get ")) {
            let mut parameters = query.trim_start_matches('?').split('&');
            let after = parameters.find_map(|one| one.strip_prefix("after=")).map(|after| after.parse().unwrap());
            let _ = sender.send(Asked { after, tls });
            return;
        }
        assert!(head.starts_with("post /v1/feed/acknowledgements "), "{head}");
        let length = head.split("content-length: ").nth(1).unwrap().split('\r').next().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        tls.read_exact(&mut body).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        acknowledged.lock().unwrap().push((body["feed"].as_str().unwrap().to_owned(), body["to"].as_u64().unwrap()));
        tls.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        tls.flush().unwrap();
    }
}

/// A gateway whose issuing CA follows a feed of this many nodes.
pub struct World {
    pub setup: Setup,
    pub nodes: Vec<Node>,
    pub signer: Arc<Signer>,
    /// The feed's id.
    pub feed: String,
    /// What marks its changes: another one once its store was restored.
    pub history: String,
    /// The number that the feed tells of as the published list's, and up to where it goes.
    pub list: (u64, u64),
}

/// How a [`World`] begins.
pub struct Plan {
    pub nodes: usize,
    pub lost_after: &'static str,
    pub when_stale: &'static str,
}

impl Default for Plan {
    fn default() -> Self {
        // Nobody sends heartbeats where losing the feed is not the test's subject, however slow the machine.
        Self { nodes: 1, lost_after: "10m", when_stale: "\"closed\"" }
    }
}

impl World {
    /// A gateway that listens and was told nothing yet.
    pub fn new(plan: &Plan) -> Self {
        let (pki, app) = (TestPki::new(), TestApp::new());
        pki.issue_server("issuer", &["localhost"], sekisho_runtime::clock::now()).unwrap();
        pki.client("gateway-1", "00001111111 gateway 1635");
        pki.client("client-leaving", "00009876543 leaving 1635");
        let signer = Arc::new(Signer::new());
        std::fs::write(pki.path("feed.pub.pem"), signer.public_pem()).unwrap();
        let nodes: Vec<_> = (0..plan.nodes).map(|_| Node::start(&pki)).collect();
        let urls: Vec<_> = nodes.iter().map(Node::url).collect();
        let gateway = Gateway::listening(&pki, &configuration(&app, &urls, plan));
        let list = (pki.crl_number(), 0);
        Self {
            setup: Setup { gateway, app, pki },
            nodes,
            signer,
            feed: "f-1".to_owned(),
            history: "h1".to_owned(),
            list,
        }
    }

    /// As [`Self::new`], and it follows the first node's feed from 0 on.
    pub fn following(plan: &Plan) -> (Self, Live) {
        let world = Self::new(plan);
        let asked = world.nodes[0].asked();
        assert_eq!(asked.after, None, "nothing was told yet");
        let mut live = asked.accept();
        assert!(live.event(&world.told(0, 0, &[])));
        world.wait_until_ready();
        (world, live)
    }

    pub fn wait_until_ready(&self) {
        wait_until("the gateway is ready", || self.setup.gateway.admin_get("/readyz").0 == 200);
    }

    /// The key of the issuing CA in hex.
    pub fn issuer(&self) -> String {
        let pem = std::fs::read(self.setup.pki.path("issuing-ca.pem")).unwrap();
        let certificate = Certificate::parse(&sekisho_pki::pem::certificates(&pem).unwrap()[0]).unwrap();
        certificate.authority_key().as_bytes().iter().map(|octet| format!("{octet:02x}")).collect()
    }

    /// The payload of (from, to] with changes of clients, and the published list.
    pub fn payload(&self, from: u64, to: u64, changes: &[(u64, &str, &str)]) -> Value {
        let issuer = self.issuer();
        let change = |(sequence, client, status): &(u64, &str, &str)| {
            let serial = self.setup.pki.serial(client).unwrap();
            let serial: String = serial.as_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
            let at = sekisho_runtime::clock::now().unix();
            json!({
                "sequence": sequence, "issuer": issuer, "serial": serial, "status": status, "reason": "keyCompromise",
                "at": at, "not_after": at + 86_400
            })
        };
        let changes: Vec<_> = changes.iter().map(change).collect();
        let (number, reach) = self.list;
        let list = json!({ "issuer": issuer, "part": 0, "parts": 1, "point": null, "number": number.to_string(), "to": reach });
        let mark = |number: u64| if number == 0 { String::new() } else { format!("{}-{number}", self.history) };
        json!({
            "v": 1, "feed": self.feed, "at": milliseconds(), "from": from, "from_mark": mark(from), "to": to, "mark": mark(to),
            "head": to, "changes": changes, "lists": [list]
        })
    }

    /// The same, signed.
    pub fn told(&self, from: u64, to: u64, changes: &[(u64, &str, &str)]) -> String {
        self.signer.sign(&self.payload(from, to, changes))
    }

    /// Makes heartbeats after this number, each signed when it is made.
    pub fn heartbeats(&self, to: u64) -> impl Fn() -> String + Send + 'static {
        let (signer, payload) = (Arc::clone(&self.signer), self.payload(to, to, &[]));
        move || {
            let mut now = payload.clone();
            now["at"] = milliseconds().into();
            signer.sign(&now)
        }
    }

    pub fn ends(&self, why: &str) -> f64 {
        self.setup.gateway.metric(&format!("sekisho_feed_stream_ends_total{{reason=\"{why}\"}}"))
    }

    pub fn messages(&self, outcome: &str) -> f64 {
        self.setup.gateway.metric(&format!("sekisho_feed_messages_total{{outcome=\"{outcome}\"}}"))
    }
}

fn milliseconds() -> i64 {
    let (now, micros) = sekisho_runtime::clock::now_with_microseconds();
    now.unix() * 1_000 + i64::from(micros / 1_000)
}

/// The demo's configuration with a feed.
pub fn configuration(app: &TestApp, urls: &[String], plan: &Plan) -> String {
    let Plan { lost_after, when_stale, .. } = plan;
    let feed = format!(
        "[gateway.feed]\nurls = {urls:?}\nca = \"server-ca.pem\"\ncertificate = \"gateway-1.pem\"\nkey = \"gateway-1.key\"\n\
         public_key_files = [\"feed.pub.pem\"]\nlost_after = \"{lost_after}\"\n\n[[ca]]"
    );
    let demo = Setup::configuration(app);
    let (before, issuing) = demo.split_once("name = \"issuing\"").unwrap();
    let follows = format!("{{ crl = [\"crl.pem\"], feed = true, when_stale = {when_stale} }}");
    let issuing = issuing.replacen("{ crl = [\"crl.pem\"] }", &follows, 1);
    let text = format!("{before}name = \"issuing\"{issuing}").replacen("[[ca]]", &feed, 1);
    text.replacen("[gateway]", "[gateway]\nstate_folder = \"state\"", 1)
}
