//! What is measured: a cluster of two issuers and three gateways, certificates, and their revocation over the API.

use crate::measure::client::Identity;
use crate::measure::server;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sekisho_testkit::cluster::{Cluster, GATEWAYS, ISSUERS, Reached, User, Wanted, revocation_body};
use sekisho_testkit::process::{Output, ServerProcess};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Certificates that are asked for at a time.
const AT_A_TIME: usize = 4;

/// Everything that runs.
pub struct Stand {
    cluster: Cluster,
    desk: reqwest::Client,
    users: Vec<User>,
    pub holders: Vec<Identity>,
    pub revocable: Vec<Identity>,
    _application: ServerProcess,
    _folder: tempfile::TempDir,
}

/// One revocation.
pub struct Revocation {
    pub requested: Instant,
    pub answered: Instant,
    /// What the issuer said of the gateways that have it.
    pub propagation: Value,
}

impl Stand {
    /// With so many certificates that nobody revokes, and so many others.
    pub fn start(holders: usize, revocable: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let application = server::application();
        let wanted =
            Wanted { folder: &folder.path().join("pki"), port: 0, output: Output::Keep, change: server::with_room };
        let cluster = Cluster::before(&wanted, application.address("application"), Reached::Directly);
        let cluster = cluster.unwrap_or_else(|error| panic!("{error}"));
        let users = acquire(&cluster, holders + revocable);
        let roots = roots(&cluster);
        let identity = |user: &User| Identity::new(roots.clone(), chain(user.certificate()), key(user.key()));
        let mut revocable: Vec<_> = users.iter().map(identity).collect();
        let holders = revocable.split_off(revocable.len() - holders);
        let desk = desk(&cluster);
        Self { cluster, desk, users, holders, revocable, _application: application, _folder: folder }
    }

    pub fn gateways(&self) -> Vec<SocketAddr> {
        (0..GATEWAYS).map(|number| self.cluster.gateway(number)).collect()
    }

    /// Revokes one certificate, at one issuer or the other.
    pub async fn revoke(&self, number: usize) -> Revocation {
        let issuer = self.cluster.issuer(number % ISSUERS);
        let url = format!("https://{issuer}{}", self.users[number].revocation_path());
        let request = self.desk.post(url).header("content-type", "application/json");
        let request = request.body(revocation_body().to_string());
        let requested = Instant::now();
        let answer = request.send().await.unwrap();
        let (status, body) = (answer.status(), answer.bytes().await.unwrap());
        let answered = Instant::now();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(status, 200, "{body}");
        Revocation { requested, answered, propagation: body["propagation"].clone() }
    }

    /// What the gateways have to say of a connection that they should not have ended.
    pub fn trouble(&self) -> String {
        let mut text = String::new();
        for number in 0..GATEWAYS {
            let log = format!("gateway-{}/access.log", number + 1);
            let log = std::fs::read_to_string(self.cluster.pki().path(&log)).unwrap_or_default();
            let unexpected =
                |line: &&str| line.contains("\"kind\":\"cut\"") && !line.contains("\"reason\":\"revoked\"");
            let cuts = log.lines().filter(unexpected).take(2);
            text += &cuts.map(|line| format!("{line}\n")).collect::<String>();
            text += &self.cluster.gateway_process(number).map_or(String::new(), |process| process.last_lines(10));
        }
        text
    }

    /// Resident memory of each gateway.
    pub fn memory(&self) -> String {
        let processes = (0..GATEWAYS).filter_map(|number| self.cluster.gateway_process(number));
        let each = processes.map(|gateway| format!("{:.0}", server::memory(gateway.id(), "VmRSS")));
        format!("resident memory of the gateways: {} MB", each.collect::<Vec<_>>().join(", "))
    }
}

fn acquire(cluster: &Cluster, count: usize) -> Vec<User> {
    // The first opens the contract.
    let acquire = |number: usize| cluster.acquire(number % ISSUERS, &format!("user{number}")).unwrap();
    let mut users = vec![acquire(0)];
    let rest: Vec<_> = (1..count).collect();
    for some in rest.chunks(AT_A_TIME) {
        let acquired = std::thread::scope(|scope| {
            let asking: Vec<_> = some.iter().map(|number| scope.spawn(|| acquire(*number))).collect();
            asking.into_iter().map(|asked| asked.join().unwrap()).collect::<Vec<_>>()
        });
        users.extend(acquired);
    }
    users
}

/// The bank's desk, with the service certificate of the IB application.
fn desk(cluster: &Cluster) -> reqwest::Client {
    let provider = Arc::new(sekisho::gateway::crypto_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let pki = cluster.pki();
    let tls = builder
        .with_root_certificates(roots(cluster))
        .with_client_auth_cert(chain(&pki.path("service-ib.pem")), key(&pki.path("service-ib.key")))
        .unwrap();
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap()
}

fn roots(cluster: &Cluster) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(cluster.pki().path("server-ca.pem")).unwrap()).unwrap();
    roots
}

fn chain(pem: &Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(pem).unwrap().map(Result::unwrap).collect()
}

fn key(pem: &Path) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_file(pem).unwrap()
}
