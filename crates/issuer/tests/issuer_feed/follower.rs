//! A gateway, as far as the issuer can tell: reads the stream, checks every message, acknowledges.
#![allow(dead_code, reason = "each test uses a part")]

use crate::common::PATIENCE;
use crate::support::{Issuer, Plan};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

type Tls = rustls::StreamOwned<rustls::ClientConnection, TcpStream>;

/// A stream of one gateway.
pub struct Follower {
    lines: BufReader<Tls>,
    key: UnparsedPublicKey<Vec<u8>>,
    /// The header of the answer.
    pub head: String,
    /// The last `to`.
    pub position: Option<u64>,
    /// What stands there; nothing before the first message.
    mark: Option<String>,
    /// Octets of the chunk that is being read.
    chunk: Vec<u8>,
    at: i64,
}

/// One message that was right.
#[derive(Clone, Debug)]
pub struct Message(pub Value);

/// What a TCP connection to the API as that service is.
pub fn connect(plan: &Plan, address: SocketAddr, service: &str) -> Tls {
    let service = plan.pki.service_named(service);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(plan.pki.ca.as_bytes()).unwrap()).unwrap();
    let chain = CertificateDer::pem_slice_iter(service.certificate.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(service.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_root_certificates(roots).with_client_auth_cert(chain, key).unwrap();
    let name = ServerName::try_from("issuer.localhost").unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None).unwrap();
    // Little, so that who does not read is soon noticed.
    socket.set_recv_buffer_size(16 * 1_024).unwrap();
    socket.connect(&address.into()).unwrap();
    let socket = TcpStream::from(socket);
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    rustls::StreamOwned::new(connection, socket)
}

impl Follower {
    /// Follows from there, or from where the lists leave off; the answer must be 200.
    #[track_caller]
    pub fn open(issuer: &Issuer, gateway: &str, after: Option<u64>) -> Self {
        let query = after.map(|after| format!("?after={after}")).unwrap_or_default();
        let mut tls = connect(&issuer.plan, issuer.address("api"), gateway);
        write!(tls, "GET /v1/feed{query} HTTP/1.1\r\nhost: issuer.localhost\r\n\r\n").unwrap();
        let mut lines = BufReader::new(tls);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(lines.read_line(&mut head).unwrap(), 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.contains("content-type: text/event-stream\r\n"), "{head}");
        assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
        Self { lines, key: public_key(&issuer.plan), head, position: after, mark: None, chunk: Vec::new(), at: 0 }
    }

    /// The next message; none when the stream has ended in order.
    #[track_caller]
    pub fn next(&mut self) -> Option<Message> {
        let event = self.event()?;
        let mut fields = event.lines();
        let id = fields.next().and_then(|line| line.strip_prefix("id: ")).unwrap().to_owned();
        assert_eq!(fields.next(), Some("event: revocations"));
        let token = fields.next().and_then(|line| line.strip_prefix("data: ")).unwrap();
        assert_eq!(fields.next(), None);
        let message = self.verified(token);
        assert_eq!(message.to().to_string(), id);
        let (from, to) = (message.from(), message.to());
        assert!(self.position.is_none_or(|position| position == from), "a gap before {message:?}");
        assert!(message.at() >= self.at, "time went back in {message:?}");
        let sequences: Vec<u64> = message.changes().iter().map(|change| change["sequence"].as_u64().unwrap()).collect();
        assert!(sequences.is_sorted_by(|one, next| one < next), "{message:?}");
        assert!(sequences.iter().all(|sequence| (from + 1..=to).contains(sequence)), "{message:?}");
        assert!(sequences.len() <= 500);
        let mark = |name: &str| message.0[name].as_str().unwrap().to_owned();
        assert!(self.mark.as_ref().is_none_or(|known| *known == mark("from_mark")), "another history in {message:?}");
        assert_eq!(mark("mark").len(), if to == 0 { 0 } else { 16 }, "{message:?}");
        (self.position, self.mark, self.at) = (Some(to), Some(mark("mark")), message.at());
        Some(message)
    }

    /// Up to where everything was told, as an acknowledgement has it.
    pub fn place(&self) -> (u64, String) {
        (self.position.unwrap(), self.mark.clone().unwrap())
    }

    /// The next message; there is one.
    #[track_caller]
    pub fn message(&mut self) -> Message {
        self.next().expect("the stream has ended")
    }

    /// Messages until one that is wanted.
    #[track_caller]
    pub fn until(&mut self, what: &str, wanted: impl Fn(&Message) -> bool) -> Vec<Message> {
        let begun = Instant::now();
        let mut messages = Vec::new();
        loop {
            assert!(begun.elapsed() < PATIENCE, "no {what} in {messages:?}");
            let message = self.message();
            let is_last = wanted(&message);
            messages.push(message);
            if is_last {
                return messages;
            }
        }
    }

    /// Reads on until the stream ends in order; it must do so in time.
    #[track_caller]
    pub fn until_its_end(mut self) {
        let begun = Instant::now();
        while self.next().is_some() {
            assert!(begun.elapsed() < PATIENCE, "it goes on");
        }
    }

    /// All changes up to a sequence number: serial in hex, status, reason.
    #[track_caller]
    pub fn changes_up_to(&mut self, sequence: u64) -> Vec<(u64, String, String, String)> {
        let messages = self.until(&format!("change {sequence}"), |message| message.to() >= sequence);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let changes = messages.iter().flat_map(|message| message.changes().to_vec());
        changes
            .map(|change| {
                let serial = text(&change["serial"]);
                let serial = serial.strip_prefix("00").map_or(serial.clone(), str::to_owned);
                (change["sequence"].as_u64().unwrap(), serial, text(&change["status"]), text(&change["reason"]))
            })
            .collect()
    }

    /// Asserts that nothing comes for so long; the time is the issuer's to break.
    pub fn is_silent_for(&mut self, time: Duration) -> bool {
        self.lines.get_ref().sock.set_read_timeout(Some(time)).unwrap();
        let is_silent = self.lines.fill_buf().is_err();
        self.lines.get_ref().sock.set_read_timeout(Some(PATIENCE)).unwrap();
        is_silent
    }

    /// One event without its blank line.
    fn event(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.chunk.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.chunk.drain(..end + 2).collect();
                return Some(String::from_utf8(event).unwrap().trim_end().to_owned());
            }
            let mut size = String::new();
            if self.lines.read_line(&mut size).expect("the stream broke or is silent") == 0 {
                panic!("the stream broke off");
            }
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let mut content = vec![0; size + 2];
            self.lines.read_exact(&mut content).unwrap();
            if size == 0 {
                assert!(self.chunk.is_empty(), "it ended within an event");
                return None;
            }
            self.chunk.extend_from_slice(&content[..size]);
        }
    }

    fn verified(&self, token: &str) -> Message {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        self.key.verify(signed.as_bytes(), &signature).expect("the signature");
        let (header, payload) = signed.split_once('.').unwrap();
        let part =
            |text: &str| -> Value { serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap() };
        let header = part(header);
        assert_eq!((&header["alg"], &header["typ"]), (&"ES256".into(), &"sekisho-feed+jwt".into()));
        assert_eq!(header["kid"].as_str().unwrap().len(), 43);
        let message = part(payload);
        assert_eq!(message["v"], 1);
        Message(message)
    }
}

impl Message {
    pub fn from(&self) -> u64 {
        self.0["from"].as_u64().unwrap()
    }

    pub fn to(&self) -> u64 {
        self.0["to"].as_u64().unwrap()
    }

    /// Its number and what stands there, as an acknowledgement has them.
    pub fn place(&self) -> (u64, String) {
        (self.to(), self.0["mark"].as_str().unwrap().to_owned())
    }

    pub fn at(&self) -> i64 {
        self.0["at"].as_i64().unwrap()
    }

    pub fn feed(&self) -> String {
        self.0["feed"].as_str().unwrap().to_owned()
    }

    pub fn changes(&self) -> &[Value] {
        self.0["changes"].as_array().unwrap()
    }

    pub fn lists(&self) -> &[Value] {
        self.0["lists"].as_array().unwrap()
    }
}

/// The public half of `feed.key`.
fn public_key(plan: &Plan) -> UnparsedPublicKey<Vec<u8>> {
    let pem = std::fs::read(plan.path("feed.key")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&pem).unwrap();
    let algorithm = &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = EcdsaKeyPair::from_private_key_der(algorithm, key.secret_der()).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref().to_vec())
}
