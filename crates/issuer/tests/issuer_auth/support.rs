//! Certificates made in memory, a listener with a small router, and clients.

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sekisho_config::issuer::ApiTls;
use sekisho_config::{Place, Placed};
use sekisho_issuer::listen::{ConnectionLimits, Listener, Peer, Proof, serve, server_config};
use sekisho_lifecycle::{ContractId, UserId, UserKey};
use sekisho_pki::fingerprint::sha256;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// The longest that anything may take here; a test that needs it has failed.
pub const DEADLINE: Duration = Duration::from_secs(20);

pub fn placed<T>(value: T) -> Placed<T> {
    Placed { value, place: Place { file: "issuer.toml".into(), line: 7, key: "key".to_owned() } }
}

/// A certification authority in memory.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

/// A certificate and its key.
pub struct Identity {
    pub pem: String,
    pub key: String,
}

/// What a certificate is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum For {
    Server,
    Client,
}

impl Ca {
    pub fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(parameters, key), pem }
    }

    /// A certificate that is valid until so many seconds from now.
    pub fn issue(&self, name: &str, used_for: For, seconds: i64) -> Identity {
        let mut parameters = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.extended_key_usages = vec![match used_for {
            For::Server => ExtendedKeyUsagePurpose::ServerAuth,
            For::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        let now = time::OffsetDateTime::from_unix_timestamp(sekisho_runtime::clock::now().unix()).unwrap();
        parameters.not_before = now - Duration::from_secs(7200);
        parameters.not_after = now + time::Duration::seconds(seconds);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        Identity { pem: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Identity {
    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()
    }

    pub fn fingerprint(&self) -> [u8; 32] {
        sha256(&[&self.der()])
    }
}

/// A client that believes the CA and shows the certificate.
pub fn client_config(
    ca: &Ca,
    identity: Option<&Identity>,
    version: &'static rustls::SupportedProtocolVersion,
) -> ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.pem.as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    match identity {
        Some(identity) => {
            let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![identity.der()], key).unwrap()
        }
        None => builder.with_no_client_auth(),
    }
}

/// reqwest over it.
pub fn https(ca: &Ca, identity: Option<&Identity>) -> reqwest::Client {
    reqwest::Client::builder()
        .tls_backend_preconfigured(client_config(ca, identity, &rustls::version::TLS13))
        .timeout(DEADLINE)
        .build()
        .unwrap()
}

/// Writes a file of mode 0600.
pub fn write(folder: &Path, name: &str, content: &str) -> PathBuf {
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = folder.join(name);
    let mut file = std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&path).unwrap();
    std::io::Write::write_all(&mut file, content.as_bytes()).unwrap();
    path
}

/// The files of `[issuer.tls]`.
pub struct TlsFiles {
    folder: TempDir,
    pub server_ca: Ca,
    pub client_ca: Ca,
}

impl TlsFiles {
    pub fn new() -> Self {
        let (server_ca, client_ca) = (Ca::new("Servers"), Ca::new("Services"));
        let folder = tempfile::tempdir().unwrap();
        let server = server_ca.issue("localhost", For::Server, 3600);
        write(folder.path(), "server.pem", &server.pem);
        write(folder.path(), "server.key", &server.key);
        write(folder.path(), "client-ca.pem", &client_ca.pem);
        Self { folder, server_ca, client_ca }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn config(&self) -> ApiTls {
        ApiTls {
            certificate: placed(self.path("server.pem")),
            key: placed(self.path("server.key")),
            client_ca: placed(self.path("client-ca.pem")),
        }
    }
}

/// A service on a free port, stopped and joined by [`Running::stop`].
pub struct Running {
    pub address: SocketAddr,
    pub shutdown: watch::Sender<bool>,
    pub served: JoinHandle<()>,
    /// Lets every `/wait` go on.
    pub go_on: Arc<Notify>,
    /// Told when a `/wait` has begun.
    pub waiting: Arc<Notify>,
}

pub async fn start(tls: Option<&TlsFiles>, limits: ConnectionLimits, drain: Duration) -> Running {
    let (go_on, waiting) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (then, begun) = (Arc::clone(&go_on), Arc::clone(&waiting));
    let router = Router::new()
        .route("/prove", get(|proof: axum::Extension<Proof>| async move { proof.given() }))
        .route("/peer", get(|ConnectInfo(peer): ConnectInfo<Peer>| async move { told(&peer) }))
        .route(
            "/wait",
            get(move || async move {
                begun.notify_one();
                then.notified().await;
                "done"
            }),
        );
    let tls = tls.map(|files| server_config(&files.config()).unwrap().config);
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), tls, limits).await.unwrap();
    let address = listener.local_address();
    assert_ne!(address.port(), 0);
    let (shutdown, stop) = watch::channel(false);
    let served = tokio::spawn(serve(listener, router, stop, drain));
    Running { address, shutdown, served, go_on, waiting }
}

/// A peer as `/peer` tells it.
pub fn told(peer: &Peer) -> String {
    format!("{} {}", peer.address.ip(), peer.certificate.map_or("none".to_owned(), hex))
}

pub fn hex(octets: [u8; 32]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

impl Running {
    pub fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://127.0.0.1:{}{path}", self.address.port())
    }

    pub async fn stop(self) {
        self.shutdown.send(true).unwrap();
        tokio::time::timeout(DEADLINE, self.served).await.expect("it stops").unwrap();
    }
}

pub fn user(contract: &str, user: &str) -> UserKey {
    UserKey { contract: ContractId::new(contract).unwrap(), user: UserId::new(user).unwrap() }
}

/// An HTTP server that says what it was given, whatever it is asked, and keeps what it was asked.
pub struct Canned {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<String>>,
    task: JoinHandle<()>,
}

/// What it does after it said it.
#[derive(Clone, Copy)]
enum Then {
    Close,
    Hold,
    /// Says it one octet at a time.
    Trickle,
}

impl Canned {
    pub async fn start(answer: String) -> Self {
        Self::with(answer, Then::Close).await
    }

    pub async fn hold(answer: String) -> Self {
        Self::with(answer, Then::Hold).await
    }

    pub async fn trickle(answer: String) -> Self {
        Self::with(answer, Then::Trickle).await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Says something else from now on.
    pub fn say(&self, answer: String) {
        *self.answer.lock().unwrap() = answer;
    }

    async fn with(answer: String, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(answer)));
        let (kept, said) = (Arc::clone(&requests), Arc::clone(&answer));
        let task = tokio::spawn(async move {
            let mut held = tokio::task::JoinSet::new();
            loop {
                let (mut tcp, _) = listener.accept().await.unwrap();
                let (kept, said) = (Arc::clone(&kept), Arc::clone(&said));
                held.spawn(async move {
                    let Some(request) = read_request(&mut tcp).await else { return };
                    kept.lock().unwrap().push(request);
                    let answer = said.lock().unwrap().clone().into_bytes();
                    match then {
                        Then::Trickle => {
                            for octet in answer {
                                if tcp.write_all(&[octet]).await.is_err() {
                                    return;
                                }
                                tokio::time::sleep(Duration::from_millis(50)).await;
                            }
                        }
                        Then::Close => drop(tcp.write_all(&answer).await),
                        Then::Hold => {
                            drop(tcp.write_all(&answer).await);
                            std::future::pending::<()>().await;
                        }
                    }
                });
            }
        });
        Self { address, requests, answer, task }
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Header and body, whose length it says.
async fn read_request(tcp: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        let mut part = [0; 4096];
        match tcp.read(&mut part).await {
            Ok(0) | Err(_) => return None,
            Ok(octets) => request.extend_from_slice(&part[..octets]),
        }
    }
}
