//! OCSP answers down to what no honest responder would sign, the real `openssl ocsp`, and an address that a test puts
//! one or the other behind.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by a panic")]

use crate::revocation::{element, extension};
use rcgen::{KeyPair, SigningKey as _};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::time::Timestamp;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

pub const OCSP_BASIC: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1];
pub const OCSP_NONCE: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 2];
const ECDSA_WITH_SHA256: &[u8] = &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

/// What an answer says of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    Good,
    /// With this reason code.
    Revoked(u8),
    Unknown,
}

/// One answer.
#[derive(Clone, Debug)]
pub struct AnswerBuilder {
    /// DER CertIDs with what is said of each.
    pub about: Vec<(Vec<u8>, Says)>,
    pub produced_at: Timestamp,
    pub this_update: Timestamp,
    pub next_update: Option<Timestamp>,
    /// DER ResponderID.
    pub responder: Vec<u8>,
    /// DER extensions of the response and of each single response.
    pub extensions: Vec<u8>,
    pub single_extensions: Vec<u8>,
    pub certificates: Vec<Vec<u8>>,
}

impl AnswerBuilder {
    /// Good, for an hour, in the name of `signer`.
    pub fn good(id: &[u8], signer: &Certificate, now: Timestamp) -> Self {
        Self {
            about: vec![(id.to_vec(), Says::Good)],
            produced_at: now,
            this_update: now,
            next_update: Some(now.plus_seconds(3600)),
            responder: element(0xa1, signer.subject().der()),
            extensions: Vec::new(),
            single_extensions: Vec::new(),
            certificates: Vec::new(),
        }
    }

    pub fn says(mut self, says: Says) -> Self {
        self.about.iter_mut().for_each(|about| about.1 = says);
        self
    }

    pub fn times(mut self, this_update: Timestamp, next_update: Option<Timestamp>) -> Self {
        (self.produced_at, self.this_update, self.next_update) = (this_update, this_update, next_update);
        self
    }

    pub fn nonce(mut self, nonce: &[u8]) -> Self {
        self.extensions = extension(OCSP_NONCE, false, &element(0x04, nonce));
        self
    }

    pub fn with_certificate(mut self, certificate: &Certificate) -> Self {
        self.certificates.push(certificate.der().to_vec());
        self
    }

    /// The DER OCSPResponse, signed by a P-256 key.
    pub fn sign(&self, key: &KeyPair) -> Vec<u8> {
        let mut singles = Vec::new();
        for (id, says) in &self.about {
            let mut single = id.clone();
            single.extend(match says {
                Says::Good => element(0x80, &[]),
                Says::Unknown => element(0x82, &[]),
                Says::Revoked(reason) => {
                    let reason = element(0xa0, &element(0x0a, &[*reason]));
                    element(0xa1, &[time(self.this_update), reason].concat())
                }
            });
            single.extend(time(self.this_update));
            single.extend(self.next_update.map(|at| element(0xa0, &time(at))).into_iter().flatten());
            if !self.single_extensions.is_empty() {
                single.extend(element(0xa1, &element(0x30, &self.single_extensions)));
            }
            singles.extend(element(0x30, &single));
        }
        let mut data = self.responder.clone();
        data.extend(time(self.produced_at));
        data.extend(element(0x30, &singles));
        if !self.extensions.is_empty() {
            data.extend(element(0xa1, &element(0x30, &self.extensions)));
        }
        let data = element(0x30, &data);
        let mut basic = data.clone();
        basic.extend(ECDSA_WITH_SHA256);
        basic.extend(element(0x03, &[&[0], key.sign(&data).unwrap().as_slice()].concat()));
        if !self.certificates.is_empty() {
            basic.extend(element(0xa0, &element(0x30, &self.certificates.concat())));
        }
        successful(&element(0x30, &basic))
    }
}

/// An OCSPResponse around a BasicOCSPResponse.
pub fn successful(basic: &[u8]) -> Vec<u8> {
    let bytes = [element(0x06, OCSP_BASIC), element(0x04, basic)].concat();
    element(0x30, &[element(0x0a, &[0]), element(0xa0, &element(0x30, &bytes))].concat())
}

/// An OCSPResponse that says why there is none.
pub fn declined(code: u8) -> Vec<u8> {
    element(0x30, &element(0x0a, &[code]))
}

/// The CertID in a question.
pub fn certificate_id(question: &[u8]) -> Vec<u8> {
    // OCSPRequest, tbsRequest, requestList, Request, CertID.
    let mut rest = question;
    for _ in 0..4 {
        rest = content(rest);
    }
    let header = rest.len() - content(rest).len();
    rest[..header + length(rest)].to_vec()
}

/// The nonce in a question.
pub fn nonce(question: &[u8]) -> Option<Vec<u8>> {
    let at = question.windows(OCSP_NONCE.len()).position(|window| window == OCSP_NONCE)?;
    Some(content(content(&question[at + OCSP_NONCE.len()..])).to_vec())
}

fn length(der: &[u8]) -> usize {
    match der[1] {
        short @ 0..=0x7f => usize::from(short),
        0x81 => usize::from(der[2]),
        _ => usize::from(der[2]) << 8 | usize::from(der[3]),
    }
}

/// What follows the header of the first element, to the end of all.
fn content(der: &[u8]) -> &[u8] {
    &der[match der[1] {
        0..=0x7f => 2,
        0x81 => 3,
        _ => 4,
    }..]
}

fn time(at: Timestamp) -> Vec<u8> {
    let digits: String = at.to_string().chars().filter(char::is_ascii_digit).collect();
    element(0x18, format!("{digits}Z").as_bytes())
}

/// What makes an answer of a question.
pub type Maker = Box<dyn Fn(&[u8]) -> Vec<u8> + Send>;

/// What a responder does with a question.
pub enum Behaviour {
    /// Lets another address answer.
    To(SocketAddr),
    /// Closes at once.
    Closes,
    /// Reads and says nothing.
    IsSilent,
    /// Says these octets, a whole HTTP answer or not.
    Says(Vec<u8>),
    /// Answers with what this makes of the question.
    Makes(Maker),
}

/// The address that is in the configuration; what is behind it changes as a test wants.
pub struct Front {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    behaviour: Mutex<Behaviour>,
    questions: AtomicUsize,
}

impl Front {
    pub fn new(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { behaviour: Mutex::new(behaviour), questions: AtomicUsize::new(0) });
        let of_thread = Arc::clone(&shared);
        std::thread::spawn(move || {
            for tcp in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&of_thread);
                // A peer that goes away ends its thread.
                std::thread::spawn(move || shared.serve(tcp));
            }
        });
        Self { address, shared }
    }

    pub fn url(&self) -> String {
        format!("http://{}/ocsp", self.address)
    }

    /// How many questions came.
    pub fn questions(&self) -> usize {
        self.shared.questions.load(Ordering::SeqCst)
    }

    pub fn now(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().unwrap() = behaviour;
    }
}

impl Shared {
    fn serve(&self, tcp: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(tcp.try_clone().ok()?);
        let mut tcp = tcp;
        let (head, body) = read_message(&mut reader)?;
        self.questions.fetch_add(1, Ordering::SeqCst);
        assert!(head.starts_with("POST /ocsp HTTP/1.1\r\n"), "{head}");
        assert!(head.to_ascii_lowercase().contains("content-type: application/ocsp-request\r\n"), "{head}");
        let answer = match &*self.behaviour.lock().unwrap() {
            Behaviour::Closes => return None,
            Behaviour::IsSilent => None,
            Behaviour::Says(octets) => Some(octets.clone()),
            Behaviour::Makes(make) => Some(http(&make(&body))),
            Behaviour::To(address) => Some(forward(*address, &body)?),
        };
        match answer {
            Some(answer) => tcp.write_all(&answer).ok(),
            // Until the other end gives up.
            None => reader.read_to_end(&mut Vec::new()).map(drop).ok(),
        }
    }
}

/// An HTTP answer with this OCSPResponse.
pub fn http(response: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/ocsp-response\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        response.len()
    );
    [head.as_bytes(), response].concat()
}

fn forward(address: SocketAddr, question: &[u8]) -> Option<Vec<u8>> {
    let mut tcp = TcpStream::connect(address).ok()?;
    let head = format!(
        "POST / HTTP/1.0\r\nContent-Type: application/ocsp-request\r\nContent-Length: {}\r\n\r\n",
        question.len()
    );
    tcp.write_all(&[head.as_bytes(), question].concat()).ok()?;
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).ok()?;
    Some(answer)
}

/// Head and body of one message.
fn read_message(reader: &mut impl std::io::BufRead) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
    });
    let mut body = vec![0; length?];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// A running `openssl ocsp`; killed when dropped.
pub struct OpensslResponder {
    process: Child,
    address: SocketAddr,
}

/// A line of `openssl ca`'s database: `V` or `R`.
pub fn database(folder: &Path, name: &str, certificates: &[(&Certificate, Says)]) -> PathBuf {
    let mut lines = String::new();
    for (certificate, says) in certificates {
        let serial: String = certificate.serial().as_bytes().iter().fold(String::new(), |mut text, octet| {
            let _ = write!(text, "{octet:02X}");
            text
        });
        // openssl writes the magnitude, in pairs of digits.
        let serial = serial.strip_prefix("00").filter(|rest| !rest.is_empty()).unwrap_or(&serial);
        match says {
            Says::Good => writeln!(lines, "V\t350101000000Z\t\t{serial}\tunknown\t/CN={serial}").unwrap(),
            Says::Revoked(_) => {
                writeln!(lines, "R\t350101000000Z\t260101000000Z,keyCompromise\t{serial}\tunknown\t/CN={serial}")
                    .unwrap();
            }
            Says::Unknown => {}
        }
    }
    let path = folder.join(name);
    std::fs::write(&path, lines).unwrap();
    path
}

impl OpensslResponder {
    /// Starts one on a free port, with the signer `SIGNER.pem` and `SIGNER.key` for the CA `CA.pem`.
    pub fn start(folder: &Path, database: &Path, ca: &str, signer: &str, options: &[&str]) -> Self {
        let mut command = Command::new("openssl");
        command.args(["ocsp", "-port", "0", "-index"]).arg(database);
        command.arg("-CA").arg(folder.join(format!("{ca}.pem")));
        command.arg("-rsigner").arg(folder.join(format!("{signer}.pem")));
        command.arg("-rkey").arg(folder.join(format!("{signer}.key"))).args(options);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            let address = line.strip_prefix("ACCEPT ")?.split(' ').next()?.to_owned();
            address.rsplit(':').next()?.parse::<u16>().ok()
        });
        // Its further lines are read, so that it never waits for that.
        std::thread::spawn(move || lines.for_each(drop));
        let address = SocketAddr::from(([127, 0, 0, 1], port.expect("openssl ocsp did not start")));
        // It listens by now; a connection without a question would hang it.
        Self { process, address }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for OpensslResponder {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
