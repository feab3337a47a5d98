//! A connection that hands over one line at a time.
//!
//! Before TLS whoever is in between may write what they like. Lines that come with the answer to STARTTLS must not wait in
//! the mail library's buffer and pass for answers of the server behind TLS (CVE-2011-0411 and its kind): here nothing after
//! a line feed is handed over before it is asked for, so that such lines go to the TLS handshake, which fails. And a line
//! that does not end is cut off.

use lettre::transport::smtp::client::AsyncTokioStream;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Octets that are read ahead.
const READ_AHEAD: usize = 1024;

/// Octets that a mail server may say on one connection, TLS and its certificates among them. A hundred mails are 40 KiB.
const MOST_OCTETS: usize = 1 << 20;

/// See the module.
#[derive(Debug)]
pub(super) struct Lines<S = TcpStream> {
    stream: S,
    peer: SocketAddr,
    ahead: Vec<u8>,
    given: usize,
    read: usize,
}

impl<S> Lines<S> {
    pub(super) fn new(stream: S, peer: SocketAddr) -> Self {
        Self { stream, peer, ahead: Vec::new(), given: 0, read: 0 }
    }
}

impl<S: AsyncRead + Unpin> Lines<S> {
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut octets = [0; READ_AHEAD];
        let mut buffer = ReadBuf::new(&mut octets);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        self.read = self.read.saturating_add(buffer.filled().len());
        if self.read > MOST_OCTETS {
            return Poll::Ready(Err(io::Error::other("the mail server does not stop talking")));
        }
        self.ahead.clear();
        self.ahead.extend_from_slice(buffer.filled());
        self.given = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lines<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.given >= self.ahead.len() {
            ready!(self.poll_fill(context))?;
        }
        let rest = self.ahead.get(self.given..).unwrap_or_default();
        let line = rest.split_inclusive(|octet| *octet == b'\n').next().unwrap_or_default();
        let octets = line.len().min(buffer.remaining());
        buffer.put_slice(line.get(..octets).unwrap_or_default());
        self.given += octets;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lines<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug> AsyncTokioStream for Lines<S> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

    fn lines(stream: tokio::io::DuplexStream) -> Lines<tokio::io::DuplexStream> {
        Lines::new(stream, ([127, 0, 0, 1], 25).into())
    }

    #[tokio::test]
    async fn what_follows_a_line_is_not_in_the_readers_buffer() {
        let (mut server, client) = tokio::io::duplex(4096);
        server.write_all(b"220 go\r\n250 forged\r\n").await.unwrap();
        let mut reader = BufReader::new(lines(client));
        let mut line = String::new();
        reader.read_line(&mut line).await.unwrap();
        assert_eq!((line.as_str(), reader.buffer()), ("220 go\r\n", &b""[..]));
        // It is not lost: TLS gets it.
        let mut rest = [0; 12];
        reader.into_inner().read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"250 forged\r\n");
    }

    #[tokio::test]
    async fn a_line_without_end_is_cut_off() {
        let (mut server, client) = tokio::io::duplex(4096);
        let flood = tokio::spawn(async move { while server.write_all(&[b'2'; 4096]).await.is_ok() {} });
        let mut reader = BufReader::new(lines(client));
        let mut line = Vec::new();
        let error = reader.read_until(b'\n', &mut line).await.unwrap_err();
        assert_eq!(error.to_string(), "the mail server does not stop talking");
        assert!(line.len() <= MOST_OCTETS, "{}", line.len());
        drop(reader);
        flood.await.unwrap();
    }

    #[tokio::test]
    async fn the_end_is_the_end() {
        let (mut server, client) = tokio::io::duplex(64);
        server.write_all(b"221 bye").await.unwrap();
        drop(server);
        let mut all = String::new();
        lines(client).read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "221 bye");
    }
}
