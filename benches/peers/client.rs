//! The client: HTTP/1.1 over TLS 1.3 on blocking sockets, which costs little and leaves nothing to chance.

use crate::measure::client::SITE;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, kx_group};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a request asks for and its answer has to be.
#[derive(Clone, Copy, Debug)]
pub struct Body {
    pub path: &'static str,
    pub octets: usize,
    /// What is sent with the request.
    pub upload: usize,
}

/// The empty body.
pub const EMPTY: Body = Body { path: "/0", octets: 0, upload: 0 };
/// A file that is sent.
pub const UPLOAD: Body = Body { upload: 16 * 1024, ..EMPTY };
/// Every body that the upstream has.
pub const BODIES: [Body; 4] = [
    EMPTY,
    Body { path: "/1k", octets: 1024, ..EMPTY },
    Body { path: "/16k", octets: 16 * 1024, ..EMPTY },
    Body { path: "/256k", octets: 256 * 1024, ..EMPTY },
];

/// Longer than anything takes; a server that hangs is an error and no endless wait.
const PATIENCE: Duration = Duration::from_secs(30);

impl Body {
    /// Its content.
    pub fn content(&self) -> Vec<u8> {
        letters(self.octets)
    }

    /// The request that gets it.
    pub fn request(&self) -> Vec<u8> {
        let (method, length) = match self.upload {
            0 => ("GET", String::new()),
            octets => ("POST", format!("Content-Length: {octets}\r\n")),
        };
        let path = self.path;
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: {SITE}\r\nUser-Agent: bench\r\nAccept: */*\r\n{length}\r\n");
        [head.into_bytes(), letters(self.upload)].concat()
    }
}

/// A certificate with its chain and key.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Leaf first.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Self {
        Self { chain, key }
    }

    /// Its own certificate.
    pub fn leaf(&self) -> &CertificateDer<'static> {
        self.chain.first().unwrap()
    }
}

/// Makes configurations of clients.
pub struct Clients {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl Clients {
    /// That believe servers of these CAs.
    pub fn new(roots: impl Iterator<Item = CertificateDer<'static>>) -> Self {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots);
        let provider = CryptoProvider {
            cipher_suites: vec![cipher_suite::TLS13_AES_128_GCM_SHA256, cipher_suite::TLS13_AES_256_GCM_SHA384],
            kx_groups: vec![kx_group::X25519],
            ..sekisho::gateway::crypto_provider()
        };
        Self { roots: Arc::new(store), provider: Arc::new(provider) }
    }

    /// A client with that certificate and HTTP/1.1.
    pub fn config(&self, identity: &Identity, resumption: Resumption) -> Arc<ClientConfig> {
        self.config_with(identity, resumption, b"http/1.1")
    }

    /// A client with that certificate and protocol.
    pub fn config_with(&self, identity: &Identity, resumption: Resumption, protocol: &[u8]) -> Arc<ClientConfig> {
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(Arc::clone(&self.roots))
            .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
            .unwrap();
        config.resumption = resumption;
        config.alpn_protocols = vec![protocol.to_vec()];
        Arc::new(config)
    }
}

/// An open connection.
pub struct Connection {
    tls: ClientConnection,
    tcp: TcpStream,
    answer: Vec<u8>,
    /// When it was begun.
    pub began: Instant,
}

impl Connection {
    /// Connects and sends the ClientHello. `first` goes out together with the end of the handshake.
    pub fn begin(config: &Arc<ClientConfig>, address: SocketAddr, first: &[u8]) -> io::Result<Self> {
        let began = Instant::now();
        let tcp = TcpStream::connect(address)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from(SITE).map_err(io::Error::other)?;
        let tls = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        let mut connection = Self { tls, tcp, answer: Vec::new(), began };
        connection.tls.writer().write_all(first)?;
        connection.flush()?;
        Ok(connection)
    }

    /// Ends the handshake, as far as the client sees it.
    pub fn shake_hands(&mut self) -> io::Result<()> {
        while self.tls.is_handshaking() {
            self.fill()?;
            self.flush()?;
        }
        let suite = self.tls.negotiated_cipher_suite().map(|suite| suite.suite());
        assert_eq!(suite, Some(rustls::CipherSuite::TLS13_AES_128_GCM_SHA256), "the suite that was to be measured");
        Ok(())
    }

    /// How hands were shaken.
    pub fn kind(&self) -> Option<HandshakeKind> {
        self.tls.handshake_kind()
    }

    /// Sends a request.
    pub fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.tls.writer().write_all(request)?;
        self.flush()
    }

    /// Reads the answer, which has to be `content` and nothing more.
    pub fn receive(&mut self, content: &[u8]) -> io::Result<()> {
        self.answer.clear();
        let head = loop {
            if let Some(head) = find(&self.answer, b"\r\n\r\n") {
                break head + 4;
            }
            self.read()?;
        };
        let (head_text, _) = self.answer.split_at(head);
        check_head(head_text, content.len())?;
        while self.answer.len() < head + content.len() {
            self.read()?;
        }
        if self.answer.get(head..) == Some(content) { Ok(()) } else { Err(io::Error::other("another body")) }
    }

    /// Reads something into the answer.
    pub fn read(&mut self) -> io::Result<usize> {
        loop {
            let length = self.answer.len();
            self.answer.resize(length + 32 * 1024, 0);
            let read = self.tls.reader().read(&mut self.answer[length..]);
            self.answer.truncate(length + read.as_ref().copied().unwrap_or_default());
            match read {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.fill()?,
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                read => return read,
            }
        }
    }

    /// Forgets what was read.
    pub fn forget(&mut self) {
        self.answer.clear();
    }

    /// How long a read may wait.
    pub fn set_patience(&self, patience: Duration) {
        self.tcp.set_read_timeout(Some(patience)).unwrap();
    }

    fn fill(&mut self) -> io::Result<()> {
        let read = loop {
            match self.tls.read_tls(&mut self.tcp) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.tls.process_new_packets().map_err(io::Error::other)?;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.tcp)?;
        }
        Ok(())
    }
}

/// A handshake, a request, its answer; the connection is left open.
pub fn exchange(config: &Arc<ClientConfig>, address: SocketAddr, body: &Body) -> io::Result<Connection> {
    let mut connection = Connection::begin(config, address, &body.request())?;
    connection.shake_hands()?;
    connection.receive(&body.content())?;
    Ok(connection)
}

fn check_head(head: &[u8], octets: usize) -> io::Result<()> {
    let wrong = || io::Error::other(String::from_utf8_lossy(head).into_owned());
    if !head.starts_with(b"HTTP/1.1 200 ") {
        return Err(wrong());
    }
    let value_of_length = |line: &[u8]| {
        let (name, value) = line.split_at_checked(b"content-length:".len())?;
        name.eq_ignore_ascii_case(b"content-length:").then(|| String::from_utf8_lossy(value).trim().parse().ok())?
    };
    let length: Option<usize> = head.split(|octet| *octet == b'\n').find_map(value_of_length);
    if length == Some(octets) { Ok(()) } else { Err(wrong()) }
}

fn letters(count: usize) -> Vec<u8> {
    (0..count).map(|number| b'a' + (number % 23) as u8).collect()
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
