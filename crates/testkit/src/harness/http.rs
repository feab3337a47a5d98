//! As much of HTTP/1.1 and WebSocket as a client in a test needs, raw, so that it can be wrong on purpose.

use std::io::{self, Read, Write};

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// The first header field of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// Reads one answer; `pending` holds what was read before, and then what came after.
    ///
    /// # Errors
    /// When the connection ends before the answer does.
    pub(super) fn read(stream: &mut impl Read, pending: &mut Vec<u8>) -> io::Result<Self> {
        let end = loop {
            if let Some(end) = pending.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            more(stream, pending)?;
        };
        let head = String::from_utf8_lossy(&pending[..end]).into_owned();
        pending.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let status: u16 = status.ok_or_else(|| io::Error::other(format!("no status line: {head}")))?;
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut response = Self { status, headers, body: Vec::new() };
        if status >= 200 && status != 204 && status != 304 {
            response.body = response.read_body(stream, pending)?;
        }
        Ok(response)
    }

    fn read_body(&self, stream: &mut impl Read, pending: &mut Vec<u8>) -> io::Result<Vec<u8>> {
        if self.header("transfer-encoding") == Some("chunked") {
            return read_chunks(stream, pending);
        }
        if let Some(length) = self.header("content-length") {
            return take(stream, pending, length.parse().map_err(io::Error::other)?);
        }
        // RFC 9112 section 6.3: without either the body ends with the connection.
        while more(stream, pending).is_ok() {}
        Ok(std::mem::take(pending))
    }
}

fn read_chunks(stream: &mut impl Read, pending: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = loop {
            if let Some(end) = pending.windows(2).position(|window| window == b"\r\n") {
                break pending.drain(..end + 2).take(end).collect::<Vec<_>>();
            }
            more(stream, pending)?;
        };
        let size = String::from_utf8_lossy(&line).into_owned();
        let size = usize::from_str_radix(size.split(';').next().unwrap_or("").trim(), 16).map_err(io::Error::other)?;
        let chunk = take(stream, pending, size + 2)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

fn take(stream: &mut impl Read, pending: &mut Vec<u8>, count: usize) -> io::Result<Vec<u8>> {
    while pending.len() < count {
        more(stream, pending)?;
    }
    Ok(pending.drain(..count).collect())
}

fn more(stream: &mut impl Read, pending: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    match stream.read(&mut buffer)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        count => {
            pending.extend_from_slice(&buffer[..count]);
            Ok(())
        }
    }
}

/// A WebSocket client over any connection.
#[derive(Debug)]
pub struct WebSocket<S>(S);

impl<S: Read + Write> WebSocket<S> {
    /// Asks for the upgrade at `/ws` and expects 101.
    #[track_caller]
    pub fn open(mut stream: S, host: &str) -> Self {
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        stream.flush().unwrap();
        let mut pending = Vec::new();
        let response = Response::read(&mut stream, &mut pending).unwrap();
        assert_eq!((response.status, pending.len()), (101, 0), "{response:?}");
        // RFC 6455 section 1.3 has this very key.
        assert_eq!(response.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        Self(stream)
    }

    /// Sends a short text and reads it back; the error when the connection is gone.
    ///
    /// # Errors
    /// Whatever the connection says.
    pub fn echo(&mut self, text: &str) -> io::Result<String> {
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 126).expect("a short text");
        // FIN and text; masked (RFC 6455 section 5.3) with zeros, which leaves the payload as it is.
        self.0.write_all(&[0x81, 0x80 | length, 0, 0, 0, 0])?;
        self.0.write_all(text.as_bytes())?;
        self.0.flush()?;
        let mut head = [0; 2];
        self.0.read_exact(&mut head)?;
        let mut payload = vec![0; usize::from(head[1] & 0x7f)];
        self.0.read_exact(&mut payload)?;
        Ok(String::from_utf8_lossy(&payload).into_owned())
    }

    /// The connection.
    pub fn into_inner(self) -> S {
        self.0
    }
}
