//! Clients of a gateway: one identity, its connections, and what they do until they are cut.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CipherSuite, ClientConfig, RootCertStore};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The gateway's site.
pub const SITE: &str = "ib.localhost";

/// An open connection.
pub type Tls = TlsStream<TcpStream>;

/// What a connection is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// Kept alive between requests that are this far apart.
    Resting(Duration),
    /// A request that is answered when the bench is long over.
    LongPoll,
    /// A response that says something ten times a second.
    Stream,
    /// A WebSocket on which nothing is said.
    WebSocket,
}

impl Use {
    /// In tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resting(between) if between < Duration::from_millis(100) => "kept alive, busy",
            Self::Resting(_) => "kept alive, resting",
            Self::LongPoll => "long poll",
            Self::Stream => "streamed response",
            Self::WebSocket => "WebSocket",
        }
    }
}

/// Somebody with a certificate; connections share one configuration, and resume sessions as a browser's do.
#[derive(Clone, Debug)]
pub struct Identity {
    config: Arc<ClientConfig>,
}

impl Identity {
    /// With that chain and key.
    pub fn new(roots: RootCertStore, chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Self {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        // First what the gateway prefers: a server takes the client's order.
        provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
        let provider = Arc::new(provider);
        let key = provider.key_provider.load_private_key(key).unwrap();
        let certified = SingleCertAndKey::from(CertifiedKey::new(chain, key));
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = builder.with_root_certificates(roots).with_client_cert_resolver(Arc::new(certified));
        Self { config: Arc::new(config) }
    }

    /// Opens a connection.
    pub async fn connect(&self, gateway: SocketAddr) -> io::Result<Tls> {
        let tcp = TcpStream::connect(gateway).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(SITE).map_err(io::Error::other)?;
        TlsConnector::from(Arc::clone(&self.config)).connect(name, tcp).await
    }

    /// Opens a connection and begins its use: the first answer has come, where there is one.
    pub async fn begin(&self, gateway: SocketAddr, purpose: Use) -> io::Result<Tls> {
        let mut tls = self.connect(gateway).await?;
        match purpose {
            Use::Resting(_) => request(&mut tls).await?,
            Use::LongPoll => ask(&mut tls, "/slow?seconds=36000", "").await?,
            Use::Stream => {
                ask(&mut tls, "/stream?seconds=36000", "").await?;
                read_until(&mut tls, |answer| find(answer, b"line 0")).await?;
            }
            Use::WebSocket => {
                let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                               Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
                ask(&mut tls, "/ws", upgrade).await?;
                read_until(&mut tls, |answer| answer.ends_with(b"\r\n\r\n")).await?;
            }
        }
        Ok(tls)
    }
}

/// Uses a connection until it ends; gives how.
pub async fn until_cut(mut tls: Tls, purpose: Use, mut answered: impl FnMut()) -> io::Error {
    let mut buffer = [0; 256];
    let ended = || io::Error::from(io::ErrorKind::UnexpectedEof);
    loop {
        let read = match purpose {
            Use::Resting(between) => tokio::select! {
                read = tls.read(&mut buffer) => read,
                () = tokio::time::sleep(between) => match request(&mut tls).await {
                    Ok(()) => { answered(); continue },
                    Err(error) => return error,
                },
            },
            Use::LongPoll | Use::Stream | Use::WebSocket => tls.read(&mut buffer).await,
        };
        match (read, purpose) {
            (Ok(0), _) => return ended(),
            (Ok(_), Use::Stream) => {}
            (Ok(_), _) => return io::Error::other("something came that nobody asked for"),
            (Err(error), _) => return error,
        }
    }
}

/// One request and its answer, which must be a good one.
pub async fn request(tls: &mut Tls) -> io::Result<()> {
    ask(tls, "/healthz", "").await?;
    let answer = read_until(tls, |answer| answer.ends_with(b"\r\n\r\nok\n")).await?;
    if answer.starts_with(b"HTTP/1.1 200") { Ok(()) } else { Err(io::Error::other("it was refused")) }
}

async fn ask(tls: &mut Tls, path: &str, more: &str) -> io::Result<()> {
    tls.write_all(format!("GET {path} HTTP/1.1\r\nHost: {SITE}\r\n{more}\r\n").as_bytes()).await?;
    tls.flush().await
}

async fn read_until(tls: &mut Tls, complete: impl Fn(&[u8]) -> bool) -> io::Result<Vec<u8>> {
    let mut answer = Vec::with_capacity(512);
    while !complete(&answer) {
        if tls.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if answer.starts_with(b"HTTP/1.1 4") || answer.starts_with(b"HTTP/1.1 5") {
            return Err(io::Error::other("it was refused"));
        }
    }
    Ok(answer)
}

fn find(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}
