//! A TLS client on rustls, for what curl does not show: resumption, live connections, the alert itself.

use super::http::Response;
use super::{Gateway, PATIENCE, TestPki};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{AlertDescription, ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// Which version of TLS the client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// TLS 1.2 only.
    Tls12,
    /// TLS 1.3 only.
    Tls13,
}

/// A client with its certificate and its session store: a second connection resumes the first one's session.
#[derive(Clone, Debug)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
}

/// An open connection.
#[derive(Debug)]
pub struct TlsConnection {
    stream: StreamOwned<ClientConnection, TcpStream>,
    /// Octets read beyond the last answer.
    pending: Vec<u8>,
}

impl TlsClient {
    /// A client of the PKI by name, or one without a certificate.
    pub fn new(pki: &TestPki, client: Option<&str>, version: Version) -> Self {
        let chain = client.map(|client| {
            let chain = CertificateDer::pem_file_iter(pki.path(&format!("{client}.pem"))).unwrap();
            let key = PrivateKeyDer::from_pem_file(pki.path(&format!("{client}.key"))).unwrap();
            (chain.map(Result::unwrap).collect(), key)
        });
        Self::with_chain(pki, chain, version)
    }

    /// A client with any chain and key.
    pub fn with_chain(
        pki: &TestPki,
        chain: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
        version: Version,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(pki.path("server-ca.pem")).unwrap()).unwrap();
        let versions: &[_] = match version {
            Version::Tls12 => &[&rustls::version::TLS12],
            Version::Tls13 => &[&rustls::version::TLS13],
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions).unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = match chain {
            Some((chain, key)) => {
                // Not `with_client_auth_cert`, which looks at the certificate: ours may be wrong on purpose.
                let key = provider.key_provider.load_private_key(key).unwrap();
                let certified = SingleCertAndKey::from(CertifiedKey::new(chain, key));
                builder.with_client_cert_resolver(Arc::new(certified))
            }
            None => builder.with_no_client_auth(),
        };
        Self { config: Arc::new(config) }
    }

    /// The configuration, for clients of other protocols.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// Changes the configuration (ALPN, no resumption, …) and keeps the session store.
    pub fn with(mut self, change: impl FnOnce(&mut ClientConfig)) -> Self {
        change(Arc::make_mut(&mut self.config));
        self
    }

    /// Connects to a site and completes the handshake as the client sees it. A TLS 1.3 server may still refuse the
    /// client's certificate with the first read.
    ///
    /// # Errors
    /// What rustls says, the peer's alert among it: see [`alert`].
    pub fn connect(&self, gateway: &Gateway, site: &str) -> io::Result<TlsConnection> {
        let tcp = TcpStream::connect(gateway.tls())?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from(site.to_owned()).map_err(io::Error::other)?;
        let client = ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(client, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(TlsConnection { stream, pending: Vec::new() })
    }

    /// Connects, GETs a path and gives the answer and the connection.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn get(&self, gateway: &Gateway, site: &str, path: &str) -> io::Result<(Response, TlsConnection)> {
        let mut connection = self.connect(gateway, site)?;
        let response = connection.get(site, path)?;
        Ok((response, connection))
    }
}

impl TlsConnection {
    /// Whether the session was resumed.
    pub fn resumed(&self) -> bool {
        self.stream.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Tickets of TLS 1.3 that came so far.
    pub fn tickets(&self) -> u32 {
        self.stream.conn.tls13_tickets_received()
    }

    /// Sends a GET and reads the answer.
    ///
    /// # Errors
    /// When the connection ends before the answer does.
    pub fn get(&mut self, host: &str, path: &str) -> io::Result<Response> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())?;
        self.receive()
    }

    /// How long a write may wait for the other end to read.
    pub fn set_write_timeout(&self, timeout: std::time::Duration) {
        self.stream.sock.set_write_timeout(Some(timeout)).unwrap();
    }

    /// Ends this side of TCP and goes on reading.
    pub fn end_sending(&self) {
        self.stream.sock.shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// Goes away without a word: a reset.
    pub fn reset(self) {
        socket2::SockRef::from(&self.stream.sock).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }

    /// Sends octets as they are.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets)?;
        self.stream.flush()
    }

    /// Reads one answer of HTTP/1.1 with its body.
    ///
    /// # Errors
    /// When the connection ends before the answer does.
    pub fn receive(&mut self) -> io::Result<Response> {
        Response::read(&mut self.stream, &mut self.pending)
    }

    /// The lengths of the TLS records that come next, as they are on the wire, until they hold so many octets: what they
    /// say is there to be read afterwards.
    ///
    /// # Errors
    /// When the connection ends before that.
    pub fn record_lengths(&mut self, octets: usize) -> io::Result<Vec<usize>> {
        let StreamOwned { conn, sock } = &mut self.stream;
        let mut lengths = Vec::new();
        while lengths.iter().sum::<usize>() < octets {
            let mut header = [0; 5];
            sock.read_exact(&mut header)?;
            let mut record = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
            sock.read_exact(&mut record)?;
            lengths.push(record.len());
            let whole = [&header[..], &record].concat();
            let mut left = &whole[..];
            while !left.is_empty() {
                conn.read_tls(&mut left)?;
                conn.process_new_packets().map_err(io::Error::other)?;
            }
        }
        Ok(lengths)
    }

    /// Reads whatever is there next; 0 at the end.
    ///
    /// # Errors
    /// The peer's alert, a reset, or nothing within [`PATIENCE`].
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.pending.is_empty() {
            let count = self.pending.len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.pending[..count]);
            self.pending.drain(..count);
            return Ok(count);
        }
        self.stream.read(buffer)
    }

    /// Reads until the connection ends; `None` when it ended in order or by reset, or the peer's alert.
    #[track_caller]
    pub fn read_to_its_end(&mut self) -> Option<AlertDescription> {
        let mut buffer = [0; 4096];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    panic!("the connection did not end")
                }
                Err(error) => return alert(&error),
            }
        }
    }
}

impl Read for TlsConnection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Self::read(self, buffer)
    }
}

impl Write for TlsConnection {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.stream.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// The peer's alert in an error.
pub fn alert(error: &io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}
