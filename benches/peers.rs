//! The gateway beside nginx in one run: CPU time of the server for each operation, memory, and start.
//!
//! `make bench-peers`. Server on one core, client and upstream on the other; CPU time is read from the kernel's own
//! account of the server's threads, so that the figures hold on a noisy machine. Ratios of one run can be compared,
//! figures of two runs cannot. nginx checks the same chain and the same lists (`ssl_crl`); it does not look at a session's
//! certificate again when it is resumed.

#[path = "../tests/common/revocation.rs"]
mod revocation;

use rcgen::KeyPair;
use revocation::{DAY, ListBuilder, many_entries, pem, random_serial};
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sekisho::clock;
use sekisho::demo::pki::PkiDir;
use sekisho::pki::certificate::Certificate;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SITE: &str = "ib.localhost";
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: ib.localhost\r\n\r\n";
/// Operations that are measured, after a tenth of them to warm up.
const HANDSHAKES: usize = 1500;
const REQUESTS: usize = 15_000;

fn main() {
    if Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_err() {
        eprintln!("nginx is not installed: apt-get install nginx-light");
        std::process::exit(1);
    }
    pin(std::process::id(), "1");
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(folder.path());
    let _upstream = bench.upstream();
    println!("{:<44} {:>12} {:>12} {:>8}", "", "nginx", "sekisho", "ratio");
    for entries in [1_000, 1_000_000] {
        bench.write_lists(entries);
        let (nginx, sekisho) = (bench.nginx(entries), bench.sekisho());
        let named = |what: &str| format!("{what}, list of {entries}");
        // nginx verifies a million entries' signature each time: fewer will do.
        let count = if entries > 100_000 { HANDSHAKES / 10 } else { HANDSHAKES };
        row(&named("full handshake + request (us)"), [&nginx, &sekisho].map(|it| bench.handshakes(it, count, Full)));
        row(
            &named("resumed handshake + request (us)"),
            [&nginx, &sekisho].map(|it| bench.handshakes(it, count, Resumed)),
        );
        row(&named("kept-alive request (us)"), [&nginx, &sekisho].map(|it| bench.requests(it)));
        row(&named("start to first handshake (ms)"), [&nginx, &sekisho].map(|it| it.start.as_secs_f64() * 1e3));
        row(&named("resident memory (MB)"), [&nginx, &sekisho].map(Server::resident));
    }
}

fn row(what: &str, [nginx, sekisho]: [f64; 2]) {
    println!("{what:<44} {nginx:>12.1} {sekisho:>12.1} {:>8.3}", sekisho / nginx);
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Full,
    Resumed,
}
use Kind::{Full, Resumed};

struct Bench {
    folder: PathBuf,
    pki: PkiDir,
    upstream: SocketAddr,
}

/// A running server, pinned to core 0.
struct Server {
    process: Child,
    address: SocketAddr,
    start: Duration,
}

impl Bench {
    fn new(folder: &Path) -> Self {
        let pki = PkiDir::create(&folder.join("pki"), clock::now()).unwrap();
        Self { folder: folder.to_owned(), pki, upstream: free_address() }
    }

    fn path(&self, file: &str) -> String {
        self.pki.path(file).display().to_string()
    }

    /// The root's empty list, the issuing CA's of so many entries, and both in one file for nginx.
    fn write_lists(&self, entries: usize) {
        let list = |ca: &str, entries: Vec<u8>| {
            let key = KeyPair::from_pem(&fs::read_to_string(self.pki.path(&format!("{ca}.key"))).unwrap()).unwrap();
            let certificate = self.chain(ca).remove(0);
            let certificate = Certificate::parse(&certificate).unwrap();
            let builder = ListBuilder::new(&key, certificate.subject().der());
            let now = clock::now();
            builder.this_update(now.plus_seconds(-60)).next_update(now.plus_seconds(DAY)).entries(entries).sign()
        };
        let root = list("root-ca", Vec::new());
        let issuing = list("issuing-ca", many_entries(entries, random_serial));
        fs::write(self.pki.path("both.pem"), pem(&root) + &pem(&issuing)).unwrap();
        fs::write(self.pki.path("root.crl"), root).unwrap();
        fs::write(self.pki.path("issuing.crl"), issuing).unwrap();
    }

    fn upstream(&self) -> Server {
        let server = format!("server {{ listen {}; location / {{ return 200 ok; }} }}", self.upstream);
        self.start_nginx("upstream", &server, self.upstream, "1")
    }

    fn nginx(&self, entries: usize) -> Server {
        let address = free_address();
        let server = format!(
            "upstream ib {{ server {upstream}; keepalive 64; }}
             server {{
                 listen {address} ssl;
                 keepalive_requests 1000000;
                 ssl_protocols TLSv1.3; ssl_certificate {certificate}; ssl_certificate_key {key};
                 ssl_client_certificate {root}; ssl_verify_client on; ssl_verify_depth 3; ssl_crl {lists};
                 location / {{ proxy_pass http://ib; proxy_http_version 1.1; proxy_set_header Connection '';
                               proxy_set_header X-Subject $ssl_client_s_dn; proxy_set_header X-Serial $ssl_client_serial; }}
             }}",
            upstream = self.upstream,
            certificate = self.path("ib.localhost.pem"),
            key = self.path("ib.localhost.key"),
            root = self.path("root-ca.pem"),
            lists = self.path("both.pem"),
        );
        self.start_nginx(&format!("nginx-{entries}"), &server, address, "0")
    }

    fn start_nginx(&self, name: &str, server: &str, address: SocketAddr, core: &str) -> Server {
        let prefix = self.folder.join(name);
        fs::create_dir_all(&prefix).unwrap();
        let user = "user root; worker_processes 1; daemon off; error_log stderr crit; pid nginx.pid;";
        let temporary =
            "client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;";
        let config = format!(
            "{user} events {{ worker_connections 1024; }}
             http {{ access_log off; {temporary} keepalive_requests 100000000; {server} }}"
        );
        fs::write(prefix.join("nginx.conf"), config).unwrap();
        let mut command = Command::new("taskset");
        command.args(["-c", core, "nginx", "-p"]).arg(&prefix).args(["-c", "nginx.conf"]);
        self.start(command, address, name == "upstream")
    }

    fn sekisho(&self) -> Server {
        let (address, admin) = (free_address(), free_address());
        let config = format!(
            "[gateway]
             listen = [\"{address}\"]\nadmin = \"{admin}\"\nthreads = 1\naccess_log = \"off\"\nwatch_files = false
             [gateway.limits]\nrequests_per_connection = 100000000
             [[ca]]\nname = \"root\"\ncertificate = \"root-ca.pem\"\nrevocation = {{ crl = [\"root.crl\"] }}
             [[ca]]\nname = \"issuing\"\nissued_by = \"root\"\ncertificate = \"issuing-ca.pem\"
             revocation = {{ crl = [\"issuing.crl\"] }}\nidentity = '{identity}'
             [[pool]]\nname = \"ib\"\npeers = [\"{upstream}\"]
             [[site]]\nserver_names = [\"{SITE}\"]\ncertificate = \"ib.localhost.pem\"\nkey = \"ib.localhost.key\"\nca = [\"root\"]
             [[site.route]]\npath = \"/\"\npool = \"ib\"\n",
            identity = sekisho::demo::configuration::IDENTITY,
            upstream = self.upstream,
        );
        fs::write(self.pki.path("peers.toml"), config).unwrap();
        let mut command = Command::new("taskset");
        command
            .args(["-c", "0", env!("CARGO_BIN_EXE_sekisho"), "gateway", "--config"])
            .arg(self.pki.path("peers.toml"));
        command.env("RUST_LOG", "warn");
        self.start(command, address, false)
    }

    /// Starts a server and waits for its first handshake (or, in the clear, connection).
    fn start(&self, mut command: Command, address: SocketAddr, in_the_clear: bool) -> Server {
        let began = Instant::now();
        let mut process = command.spawn().unwrap();
        let client = self.client(Resumption::disabled());
        let accepted = || match TcpStream::connect(address) {
            Ok(_) if in_the_clear => true,
            Ok(tcp) => try_request(&client, tcp).is_some(),
            Err(_) => false,
        };
        while !accepted() {
            assert!(process.try_wait().unwrap().is_none(), "the server has ended");
            assert!(began.elapsed() < Duration::from_secs(60), "the server does not serve");
        }
        Server { process, address, start: began.elapsed() }
    }

    fn chain(&self, name: &str) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_file_iter(self.pki.path(&format!("{name}.pem"))).unwrap().map(Result::unwrap).collect()
    }

    /// TLS 1.3, X25519, AES-128-GCM first: what both servers have.
    fn client(&self, resumption: Resumption) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.chain("server-ca"));
        let mut provider = sekisho::gateway::crypto_provider();
        provider.kx_groups = vec![kx_group::X25519];
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(
                self.chain("client-good"),
                PrivateKeyDer::from_pem_file(self.pki.path("client-good.key")).unwrap(),
            )
            .unwrap();
        config.resumption = resumption;
        Arc::new(config)
    }

    /// Microseconds of server CPU for each handshake with one request.
    fn handshakes(&self, server: &Server, count: usize, kind: Kind) -> f64 {
        let client = self.client(match kind {
            Full => Resumption::disabled(),
            Resumed => Resumption::store(Arc::new(ClientSessionMemoryCache::new(8))),
        });
        let once = || {
            let tls = try_request(&client, TcpStream::connect(server.address).unwrap()).expect("a response");
            tls.conn.handshake_kind()
        };
        (0..=count / 10).for_each(|_| drop(once()));
        let before = server.cpu();
        for _ in 0..count {
            let resumed = once() == Some(rustls::HandshakeKind::Resumed);
            assert_eq!(resumed, kind == Resumed, "the kind of handshake that was to be measured");
        }
        (server.cpu() - before).as_secs_f64() * 1e6 / count as f64
    }

    /// Microseconds of server CPU for each request on one connection.
    fn requests(&self, server: &Server) -> f64 {
        let client = self.client(Resumption::disabled());
        let mut tls = try_request(&client, TcpStream::connect(server.address).unwrap()).unwrap();
        let mut again = |count: usize| (0..count).for_each(|_| request(&mut tls).unwrap());
        again(REQUESTS / 10);
        let before = server.cpu();
        again(REQUESTS);
        (server.cpu() - before).as_secs_f64() * 1e6 / REQUESTS as f64
    }
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

fn try_request(client: &Arc<ClientConfig>, tcp: TcpStream) -> Option<Tls> {
    tcp.set_nodelay(true).unwrap();
    let name = ServerName::try_from(SITE).unwrap();
    let mut tls = StreamOwned::new(ClientConnection::new(client.clone(), name).unwrap(), tcp);
    request(&mut tls).map(|()| tls)
}

/// One request and its response, which ends in `ok`.
fn request(tls: &mut Tls) -> Option<()> {
    tls.write_all(REQUEST).ok()?;
    let mut response = Vec::new();
    let mut buffer = [0; 4096];
    while !response.ends_with(b"\r\n\r\nok") {
        let read = tls.read(&mut buffer).ok()?;
        if read == 0 {
            return None;
        }
        response.extend_from_slice(&buffer[..read]);
    }
    response.starts_with(b"HTTP/1.1 200").then_some(())
}

impl Server {
    /// The process that serves: nginx's worker, the gateway itself.
    fn serving(&self) -> u32 {
        let id = self.process.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        children.split_whitespace().next().map_or(id, |child| child.parse().unwrap())
    }

    /// CPU time of all its threads, from the scheduler's account in nanoseconds.
    fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.serving())).unwrap();
        let spent = tasks.filter_map(|task| {
            let account = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            account.split_whitespace().next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(spent.sum())
    }

    /// Resident memory in MB.
    fn resident(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.serving())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap() / 1e3
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM, so that nginx's master stops its worker.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

fn pin(process: u32, core: &str) {
    let _ = Command::new("taskset").args(["-cp", core, &process.to_string()]).stdout(Stdio::null()).status();
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
