//! Mutual handshakes in memory, both ends on one core: the gateway's terminator beside the stock webpki verifier of
//! rustls with the same certificates and lists, so that the figures are a ratio taken in one run.
//!
//! `floor` is what cannot be avoided: the same handshake with a verifier that accepts everything and a plain ticketer.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, DigitallySignedStruct, DistinguishedName, HandshakeKind,
    RootCertStore, ServerConfig, ServerConnection, SideData, SignatureScheme,
};
use sekisho::gateway::Terminator;
use sekisho_config as config;
use sekisho_runtime::clock;
use sekisho_testkit::pki::PkiDir;
use std::ops::DerefMut;
use std::sync::Arc;

/// The gateway's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SITE: &str = "ib.localhost";

criterion_group!(benches, full, resumed);
criterion_main!(benches);

/// How a server gets the configuration of its next connection.
type NextConfig = Box<dyn Fn() -> Arc<ServerConfig>>;

struct Bench {
    pki: PkiDir,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pki = PkiDir::create(&folder.path().join("pki"), clock::now()).unwrap();
        Self { pki, _folder: folder }
    }

    fn chain(&self, name: &str) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_file_iter(self.pki.path(&format!("{name}.pem"))).unwrap().map(Result::unwrap).collect()
    }

    fn key(&self, name: &str) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_file(self.pki.path(&format!("{name}.key"))).unwrap()
    }

    fn client(&self, resumption: Resumption) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.chain("server-ca"));
        let provider = Arc::new(sekisho::gateway::crypto_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(self.chain("client-good"), self.key("client-good"))
            .unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = resumption;
        Arc::new(config)
    }

    /// The gateway's own.
    fn sekisho(&self) -> NextConfig {
        let text = std::fs::read_to_string("config/sekisho.toml").unwrap();
        let folder = self.pki.folder().display();
        let text = text.replace("../certs/dev", &folder.to_string());
        let parsed = config::parse(&text, "bench", std::path::Path::new("config")).unwrap();
        let terminator = Terminator::new(parsed).unwrap();
        Box::new(move || terminator.server_config(Some(SITE)).unwrap())
    }

    /// rustls with its own verifier and lists.
    fn stock(&self) -> NextConfig {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.chain("root-ca"));
        let lists = CertificateRevocationListDer::pem_file_iter(self.pki.path("crl.pem")).unwrap().map(Result::unwrap);
        let provider = Arc::new(sekisho::gateway::crypto_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).with_crls(lists).build();
        self.server(verifier.unwrap())
    }

    /// Nothing but the protocol and the client's proof of possession.
    fn floor(&self) -> NextConfig {
        self.server(Arc::new(AcceptAll))
    }

    fn server(&self, verifier: Arc<dyn ClientCertVerifier>) -> NextConfig {
        let provider = Arc::new(sekisho::gateway::crypto_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain(SITE), self.key(SITE))
            .unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = aws_lc_rs::Ticketer::new().unwrap();
        let config = Arc::new(config);
        Box::new(move || config.clone())
    }
}

fn full(criterion: &mut Criterion) {
    let bench = Bench::new();
    let client = bench.client(Resumption::disabled());
    let mut group = criterion.benchmark_group("full mutual handshake, both ends");
    for (name, next) in [("floor", bench.floor()), ("sekisho", bench.sekisho()), ("stock webpki", bench.stock())] {
        measure(&mut group, name, &client, &next, HandshakeKind::Full);
    }
}

fn resumed(criterion: &mut Criterion) {
    let bench = Bench::new();
    let mut group = criterion.benchmark_group("resumed mutual handshake, both ends");
    for (name, next) in [("floor", bench.floor()), ("sekisho", bench.sekisho()), ("stock webpki", bench.stock())] {
        let client = bench.client(Resumption::store(Arc::new(ClientSessionMemoryCache::new(8))));
        handshake(&client, next());
        measure(&mut group, name, &client, &next, HandshakeKind::Resumed);
    }
}

fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    client: &Arc<ClientConfig>,
    next: &NextConfig,
    kind: HandshakeKind,
) {
    group.bench_function(name, |bencher| {
        bencher.iter(|| assert_eq!(handshake(client, next()), Some(kind)));
    });
}

/// One handshake, tickets included.
fn handshake(client: &Arc<ClientConfig>, server: Arc<ServerConfig>) -> Option<HandshakeKind> {
    let name = ServerName::try_from(SITE).unwrap();
    let mut client = ClientConnection::new(client.clone(), name).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    while client.is_handshaking() || server.is_handshaking() || server.wants_write() {
        carry(&mut client, &mut server);
        carry(&mut server, &mut client);
    }
    server.handshake_kind()
}

fn carry<A: SideData, B: SideData>(
    from: &mut impl DerefMut<Target = ConnectionCommon<A>>,
    to: &mut impl DerefMut<Target = ConnectionCommon<B>>,
) {
    let mut flight = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut flight).unwrap();
    }
    let mut rest = &flight[..];
    while !rest.is_empty() {
        to.read_tls(&mut rest).unwrap();
        to.process_new_packets().unwrap();
    }
}

#[derive(Debug)]
struct AcceptAll;

impl ClientCertVerifier for AcceptAll {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
