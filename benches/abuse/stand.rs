//! The gateway under abuse, its application, and who connects from where.

use crate::measure::server;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sekisho_runtime::clock;
use sekisho_testkit::configuration::{self, Addresses, IssuerPart};
use sekisho_testkit::pki::PkiDir;
use sekisho_testkit::process::GatewayProcess;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A site that asks for a certificate, and one that serves clients without.
pub const CLOSED: &str = "ib.localhost";
pub const OPEN: &str = "portal.localhost";

/// Addresses of this machine, so that limits by address are what they are on a network.
const HONEST: [u8; 4] = [127, 0, 0, 2];
const HOSTILE: [u8; 4] = [127, 0, 0, 3];

/// A gateway with its default limits.
pub struct Stand {
    gateway: GatewayProcess,
    pki: PkiDir,
    /// Connections that fill the queue of the peer which never accepts.
    _queue: Vec<TcpStream>,
    _dead: TcpListener,
    _folder: tempfile::TempDir,
}

/// A client: where it connects from, to which site, and its certificate in the configuration.
#[derive(Clone)]
pub struct Client {
    gateway: SocketAddr,
    from: SocketAddr,
    site: &'static str,
    config: Arc<ClientConfig>,
}

/// What the gateway takes.
#[derive(Clone, Copy)]
pub struct Usage {
    pub megabytes: f64,
    pub descriptors: f64,
}

impl Stand {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pki = PkiDir::create(&folder.path().join("pki"), clock::now()).unwrap();
        let (dead, queue) = never_accepting().await;
        let text = configuration(application().await, dead.local_addr().unwrap());
        let gateway = server::gateway(pki.folder(), configuration::FILE, &text);
        Self { gateway, pki, _queue: queue, _dead: dead, _folder: folder }
    }

    /// An honest client, with its certificate.
    pub fn honest(&self) -> Client {
        self.client(HONEST, CLOSED, Some("client-good"))
    }

    /// A hostile client without certificate.
    pub fn stranger(&self) -> Client {
        self.client(HOSTILE, OPEN, None)
    }

    /// A hostile client with one, and not the honest one's: what one certificate may have under way is its own limit.
    pub fn customer(&self) -> Client {
        self.client(HOSTILE, CLOSED, Some("client-rsa"))
    }

    pub fn usage(&self) -> Usage {
        let process = self.gateway.id();
        let descriptors = std::fs::read_dir(format!("/proc/{process}/fd")).map_or(0, Iterator::count);
        Usage { megabytes: server::memory(process, "VmRSS"), descriptors: descriptors as f64 }
    }

    fn client(&self, from: [u8; 4], site: &'static str, certificate: Option<&str>) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.pki.path("server-ca.pem")).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(sekisho::gateway::crypto_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let config = if let Some(name) = certificate {
            let chain =
                CertificateDer::pem_file_iter(self.pki.path(&format!("{name}.pem"))).unwrap().map(Result::unwrap);
            let key = PrivateKeyDer::from_pem_file(self.pki.path(&format!("{name}.key"))).unwrap();
            builder.with_client_auth_cert(chain.collect(), key).unwrap()
        } else {
            builder.with_no_client_auth()
        };
        Client { gateway: self.gateway.tls(), from: (from, 0).into(), site, config: Arc::new(config) }
    }
}

impl Client {
    /// The site's name.
    pub fn site(&self) -> &'static str {
        self.site
    }

    /// The same client speaking HTTP/2.
    pub fn http2(mut self) -> Self {
        Arc::make_mut(&mut self.config).alpn_protocols = vec![b"h2".to_vec()];
        self
    }

    /// Connects, without TLS yet.
    pub async fn tcp(&self) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(self.from)?;
        let tcp = socket.connect(self.gateway).await?;
        tcp.set_nodelay(true)?;
        Ok(tcp)
    }

    /// Connects.
    pub async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(self.site).map_err(io::Error::other)?;
        TlsConnector::from(Arc::clone(&self.config)).connect(name, self.tcp().await?).await
    }
}

impl Usage {
    pub fn max(self, other: Self) -> Self {
        Self { megabytes: self.megabytes.max(other.megabytes), descriptors: self.descriptors.max(other.descriptors) }
    }

    pub fn beyond(self, rest: Self) -> Self {
        Self { megabytes: self.megabytes - rest.megabytes, descriptors: self.descriptors - rest.descriptors }
    }
}

/// The demo's configuration with an open site and a route to a peer that never accepts.
fn configuration(application: SocketAddr, dead: SocketAddr) -> String {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let addresses = Addresses { listen: any, admin: any, upstream: application };
    let text = configuration::render(&addresses, &IssuerPart::default());
    let replaced = |text: &str, from: &str, to: &str| {
        let at = text.rfind(from).unwrap_or_else(|| panic!("the demo's configuration lacks {from}"));
        format!("{}{to}{}", &text[..at], &text[at + from.len()..])
    };
    let text = replaced(&text, "require = [\"certificate\"]", "");
    let text = replaced(&text, "client_auth = \"required\"", "client_auth = \"optional\"");
    format!(
        "{text}\n[[site.route]]\npath = \"/dead\"\npool = \"dead\"\n\n[[pool]]\nname = \"dead\"\npeers = [\"{dead}\"]\n"
    )
}

/// A listener whose queue is full: connections to it are never established, as to a host that drops packets.
async fn never_accepting() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(connected) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        queue.push(connected.unwrap());
    }
    (listener, queue)
}

/// The application: `/endless` never stops answering, `/hang` never answers, anything else is answered `ok`.
async fn application() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            // However it ends.
            tokio::spawn(async move { drop(answer(connection).await) });
        }
    });
    address
}

async fn answer(mut connection: TcpStream) -> io::Result<()> {
    let mut read = Vec::with_capacity(4096);
    let piece = vec![b'x'; 64 * 1024];
    loop {
        let end = loop {
            if let Some(at) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if connection.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
        };
        let header: Vec<u8> = read.drain(..end).collect();
        let target = header.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        if target.starts_with(b"/endless") {
            connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n").await?;
            loop {
                connection.write_all(&piece).await?;
            }
        }
        if target.starts_with(b"/hang") {
            // Until the gateway gives up.
            while connection.read_buf(&mut read).await? > 0 {
                read.clear();
            }
            return Ok(());
        }
        connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n").await?;
    }
}
