//! The running gateway: CPU time of handshakes and requests, and what idle connections take.

use super::measure::client::{Identity, Tls, request};
use super::measure::results::{Results, thousands};
use super::measure::{cpu, server};
use super::steps;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sekisho_runtime::clock;
use sekisho_testkit::pki::PkiDir;
use sekisho_testkit::process::GatewayProcess;
use std::time::Duration;

/// Operations that are measured, after a tenth of them.
const HANDSHAKES: usize = 1_000;
const REQUESTS: usize = 10_000;

/// How long an idle gateway is watched.
const IDLE: Duration = Duration::from_secs(5);

/// Descriptors that a process has beside its connections.
const OTHER_DESCRIPTORS: usize = 500;

/// Of the gateway's process.
pub struct Measured {
    pub full: Duration,
    pub resumed: Duration,
    pub request: Duration,
    /// Octets of a connection that rests after a request.
    pub connection: f64,
    /// Octets without any.
    pub base: f64,
}

pub async fn run(greatest: usize, results: &mut Results) -> Measured {
    let application = server::application();
    let folder = tempfile::tempdir().unwrap();
    let pki = PkiDir::create(&folder.path().join("pki"), clock::now()).unwrap();
    let configuration = server::configured(application.address("application"));
    let configuration = configuration.replace("= 20000", "= 40000").replace("{ file = \"access.log\" }", "\"off\"");
    let gateway = server::gateway(pki.folder(), "scaling.toml", &configuration);
    let clients = Clients { resuming: identity(&pki), gateway: &gateway, pki: &pki };
    let [full, resumed] = [clients.handshakes(Sessions::New).await, clients.handshakes(Sessions::Resumed).await];
    let request = clients.requests().await;
    results.table("The running gateway: CPU time of its process", &["operation", "each"]);
    for (name, each) in [
        ("full handshake and a request (returning client)", full),
        ("resumed handshake and a request", resumed),
        ("request on a kept-alive connection", request),
    ] {
        results.row(&[name.to_owned(), super::short(each)]);
    }
    let (connection, base) = clients.idle(greatest, results).await;
    Measured { full, resumed, request, connection, base }
}

struct Clients<'a> {
    resuming: Identity,
    gateway: &'a GatewayProcess,
    pki: &'a PkiDir,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sessions {
    New,
    Resumed,
}

impl Clients<'_> {
    /// Handshakes with a request each.
    async fn handshakes(&self, sessions: Sessions) -> Duration {
        let once = async || {
            // One that never connected has no session to resume.
            let identity = if sessions == Sessions::New { &identity(self.pki) } else { &self.resuming };
            let mut tls = identity.connect(self.gateway.tls()).await.unwrap();
            request(&mut tls).await.unwrap();
            tls.get_ref().1.handshake_kind().unwrap()
        };
        for _ in 0..HANDSHAKES / 10 {
            once().await;
        }
        let before = self.spent();
        for _ in 0..HANDSHAKES {
            let resumed = once().await == rustls::HandshakeKind::Resumed;
            assert_eq!(resumed, sessions == Sessions::Resumed, "the kind of handshake that was to be measured");
        }
        (self.spent() - before).div_f64(HANDSHAKES as f64)
    }

    async fn requests(&self) -> Duration {
        let mut tls = self.resuming.connect(self.gateway.tls()).await.unwrap();
        for _ in 0..REQUESTS / 10 {
            request(&mut tls).await.unwrap();
        }
        let before = self.spent();
        for _ in 0..REQUESTS {
            request(&mut tls).await.unwrap();
        }
        (self.spent() - before).div_f64(REQUESTS as f64)
    }

    /// Memory and CPU time with more and more connections that rest after a request; octets of each, and of the rest.
    async fn idle(&self, greatest: usize, results: &mut Results) -> (f64, f64) {
        results.table(
            "Live connections at rest after a request, one client each from the gateway's point of view",
            &["connections", "resident memory, MB", "octets each", "CPU while idle, % of a core"],
        );
        let greatest = greatest.min(open_files() - OTHER_DESCRIPTORS);
        let base = server::memory(self.gateway.id(), "VmRSS");
        let mut held: Vec<Tls> = Vec::new();
        let mut each = 0.0;
        for count in steps(&[10, 1_000, 5_000, 10_000], greatest) {
            while held.len() < count {
                let mut tls = self.resuming.connect(self.gateway.tls()).await.unwrap();
                request(&mut tls).await.unwrap();
                held.push(tls);
            }
            let before = self.spent();
            tokio::time::sleep(IDLE).await;
            let idle = (self.spent() - before).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
            let resident = server::memory(self.gateway.id(), "VmRSS");
            each = (resident - base) * 1e6 / count as f64;
            results.row(&[thousands(count), format!("{resident:.1}"), thousands(each as usize), format!("{idle:.2}")]);
        }
        // All of them are alive.
        for tls in held.iter_mut().step_by(100) {
            request(tls).await.unwrap();
        }
        (each, base * 1e6)
    }

    fn spent(&self) -> Duration {
        cpu::of_process(self.gateway.id())
    }
}

fn identity(pki: &PkiDir) -> Identity {
    let chain = |name: &str| -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_file_iter(pki.path(&format!("{name}.pem"))).unwrap().map(Result::unwrap).collect()
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(chain("server-ca"));
    Identity::new(roots, chain("client-good"), PrivateKeyDer::from_pem_file(pki.path("client-good.key")).unwrap())
}

/// What `begin` made the limit.
fn open_files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap_or(usize::MAX)
}
