//! Upstreams that take nothing but what is right, and keep exactly what came on which connection.

use crate::common::{PATIENCE, TestPki, wait_until};
use bytes::Bytes;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

/// What an upstream saw.
#[derive(Debug, Default)]
pub struct Seen {
    pub requests: Vec<SeenRequest>,
    /// What came that is no part of a request, and what of a request was wrong.
    pub strays: Vec<String>,
    /// Connections that the gateway has ended.
    pub ended: Vec<usize>,
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRequest {
    pub connection: usize,
    pub method: String,
    pub target: String,
    /// `length`, `chunked` or `none`.
    pub framing: &'static str,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub whole: bool,
}

/// An upstream of either version of HTTP. It answers with the target and the length of the body. A target below `/early`
/// is answered before the body; one below `/mute` never (HTTP/1.1).
#[derive(Clone, Debug)]
pub struct Strict {
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Strict {
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    /// Requests for a target.
    pub fn requests(&self, target: &str) -> Vec<SeenRequest> {
        self.seen().requests.iter().filter(|request| request.target == target).cloned().collect()
    }

    /// Waits until a request for a target has come, its header at least.
    pub fn wait_for(&self, target: &str) {
        wait_until(&format!("{target} is with the upstream"), || !self.requests(target).is_empty());
    }

    /// Speaks HTTP/1.1 on a free port.
    pub fn http1() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let this = Self { address: listener.local_addr().unwrap(), seen: Arc::default() };
        let serving = this.clone();
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (Ok(stream), this) = (stream, serving.clone()) else {
                    return;
                };
                std::thread::spawn(move || {
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    Wire { stream, buffer: Vec::new(), this: this.clone(), connection: number }.serve();
                    this.seen().ended.push(number);
                });
            }
        });
        this
    }

    /// Speaks HTTP/2 over TLS on a free port, as `ib.localhost`.
    pub fn http2(pki: &TestPki, runtime: &tokio::runtime::Runtime) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = CertificateDer::pem_file_iter(pki.path("ib.localhost.pem")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(pki.path("ib.localhost.key")).unwrap();
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let this = Self { address: listener.local_addr().unwrap(), seen: Arc::default() };
        let serving = this.clone();
        runtime.spawn(async move {
            for connection in 0.. {
                let (Ok((tcp, _)), acceptor, this) = (listener.accept().await, acceptor.clone(), serving.clone())
                else {
                    return;
                };
                tokio::spawn(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else { return };
                    let Ok(mut http2) = h2::server::handshake(tls).await else { return };
                    while let Some(Ok((request, respond))) = http2.accept().await {
                        tokio::spawn(take(this.clone(), connection, request, respond));
                    }
                    this.seen().ended.push(connection);
                });
            }
        });
        this
    }

    fn began(&self, request: SeenRequest) -> usize {
        let mut seen = self.seen();
        seen.requests.push(request);
        seen.requests.len() - 1
    }

    fn ended(&self, index: usize, body: &[u8], whole: bool) {
        let mut seen = self.seen();
        let request = &mut seen.requests[index];
        (request.body, request.whole) = (body.to_vec(), whole);
    }
}

async fn take(
    this: Strict,
    connection: usize,
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
) {
    let (parts, mut body) = request.into_parts();
    let target = parts.uri.path().to_owned();
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let index = this.began(SeenRequest {
        connection,
        method: parts.method.to_string(),
        target: target.clone(),
        framing: if body.is_end_stream() { "none" } else { "frames" },
        headers: headers.collect(),
        body: Vec::new(),
        whole: false,
    });
    let answer = |bytes: usize| format!("{target} {bytes}");
    let send = |respond: &mut h2::server::SendResponse<Bytes>, status: u16, text: String| {
        let head = http::Response::builder().status(status).body(()).unwrap();
        if let Ok(mut stream) = respond.send_response(head, false) {
            let _ = stream.send_data(text.into(), true);
        }
    };
    if target.starts_with("/early") {
        return send(&mut respond, 413, answer(0));
    }
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let Ok(piece) = piece else { return this.ended(index, &bytes, false) };
        let _ = body.flow_control().release_capacity(piece.len());
        bytes.extend_from_slice(&piece);
    }
    if let Ok(Some(trailers)) = body.trailers().await {
        this.seen().strays.push(format!("trailers to {target}: {trailers:?}"));
    }
    this.ended(index, &bytes, true);
    send(&mut respond, 200, answer(bytes.len()));
}

/// One connection of HTTP/1.1.
struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    this: Strict,
    connection: usize,
}

impl Wire {
    fn serve(mut self) {
        while let Ok(true) = self.one() {}
    }

    /// One request; false at the connection's end.
    fn one(&mut self) -> io::Result<bool> {
        if self.buffer.is_empty() && !self.more()? {
            return Ok(false);
        }
        let line = self.line()?;
        let parts: Vec<&str> = line.split(' ').collect();
        let &[method, target, "HTTP/1.1"] = &parts[..] else {
            return self.stray(format!("{line:?} where a request begins"));
        };
        let (method, target) = (method.to_owned(), target.to_owned());
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let Some((name, value)) = line.split_once(": ") else {
                return self.stray(format!("{line:?} where a field stands"));
            };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let all = |name: &str| -> Vec<String> {
            headers.iter().filter(|(field, _)| field == name).map(|(_, value)| value.clone()).collect()
        };
        let (lengths, codings) = (all("content-length"), all("transfer-encoding"));
        let framing = match (&lengths[..], &codings[..]) {
            ([], []) => "none",
            ([_], []) => "length",
            ([], [coding]) if coding == "chunked" => "chunked",
            _ => return self.stray(format!("{target} is told by {lengths:?} and {codings:?}")),
        };
        if all("host").len() != 1 {
            return self.stray(format!("hosts of {target}: {:?}", all("host")));
        }
        let expects = all("expect");
        let began = SeenRequest {
            connection: self.connection,
            method,
            target: target.clone(),
            framing,
            headers,
            body: Vec::new(),
            whole: false,
        };
        let index = self.this.began(began);
        if target.starts_with("/early") {
            self.answer("413 Content Too Large", &target, 0)?;
            // What comes of the body is nobody's: were the connection used again, nobody would answer.
            while self.more()? {}
            return Ok(false);
        }
        if target.starts_with("/mute") {
            while self.more()? {}
            return Ok(false);
        }
        if !expects.is_empty() {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let mut body = Vec::new();
        let whole = match framing {
            "length" => match lengths[0].parse() {
                Ok(length) => self.take(length, &mut body)?,
                Err(_) => return self.stray(format!("a length {lengths:?}")),
            },
            "chunked" => self.chunks(&mut body)?,
            _ => true,
        };
        self.this.ended(index, &body, whole);
        if !whole {
            return Ok(false);
        }
        self.answer("200 OK", &target, body.len())?;
        Ok(true)
    }

    fn answer(&mut self, status: &str, target: &str, bytes: usize) -> io::Result<()> {
        let text = format!("{target} {bytes}");
        // In one piece: the kernel would keep a second small one back until the first is acknowledged.
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        self.stream.write_all(answer.as_bytes())
    }

    /// Keeps what should not have come, and answers as a server does that keeps its connection after a 400.
    fn stray(&mut self, what: String) -> io::Result<bool> {
        self.this.seen().strays.push(format!("connection {}: {what}", self.connection));
        self.buffer.clear();
        self.stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 6\r\n\r\nstray\n")?;
        Ok(true)
    }

    fn more(&mut self) -> io::Result<bool> {
        let mut room = [0; 64 * 1024];
        let count = self.stream.read(&mut room)?;
        self.buffer.extend_from_slice(&room[..count]);
        Ok(count > 0)
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|window| window == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).take(end).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            if !self.more()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn take(&mut self, count: usize, body: &mut Vec<u8>) -> io::Result<bool> {
        while self.buffer.len() < count {
            if !self.more()? {
                body.append(&mut self.buffer);
                return Ok(false);
            }
        }
        body.extend(self.buffer.drain(..count));
        Ok(true)
    }

    /// Chunks without extensions and trailers: the gateway sends neither.
    fn chunks(&mut self, body: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            let Ok(line) = self.line() else { return Ok(false) };
            let Ok(size) = usize::from_str_radix(&line, 16) else {
                self.this.seen().strays.push(format!("connection {}: a chunk of size {line:?}", self.connection));
                return Ok(false);
            };
            if !self.take(size, body)? {
                return Ok(false);
            }
            let mut end = Vec::new();
            if !self.take(2, &mut end)? {
                return Ok(false);
            }
            if end != b"\r\n" {
                self.this.seen().strays.push(format!("connection {}: {end:?} behind a chunk", self.connection));
            }
            if size == 0 {
                return Ok(true);
            }
        }
    }
}
