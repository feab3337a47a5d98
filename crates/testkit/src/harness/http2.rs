//! An HTTP/2 client whose connection and streams stay open as long as a test wants.

use super::{Gateway, PATIENCE, RUNTIME, TlsClient};
use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::Request;
use rustls::pki_types::ServerName;
use std::future::Future;
use std::io;
use std::sync::Arc;

/// An open connection.
pub struct Http2 {
    requests: SendRequest<Bytes>,
    driver: Option<tokio::task::JoinHandle<Result<(), h2::Error>>>,
}

/// A request whose answer has not begun.
pub struct Http2Request {
    answer: Option<h2::client::ResponseFuture>,
    request: Option<SendStream<Bytes>>,
}

/// A response under way.
pub struct Http2Stream {
    /// Its status.
    pub status: u16,
    /// Read as it comes: h2 gives up a connection whose small frames nobody takes.
    body: tokio::sync::mpsc::UnboundedReceiver<Result<Bytes, h2::Error>>,
    /// Kept, so that the stream is not reset.
    _request: SendStream<Bytes>,
}

impl Http2 {
    /// Connects to a site with HTTP/2.
    ///
    /// # Errors
    /// What rustls or h2 says.
    pub fn connect(client: &TlsClient, gateway: &Gateway, site: &str) -> io::Result<Self> {
        let client = client.clone().with(|config| config.alpn_protocols = vec![b"h2".to_vec()]);
        let address = gateway.tls();
        let name = ServerName::try_from(site.to_owned()).map_err(io::Error::other)?;
        within(async move {
            let tcp = tokio::net::TcpStream::connect(address).await?;
            let connector = tokio_rustls::TlsConnector::from(Arc::clone(&client.config()));
            let tls = connector.connect(name, tcp).await?;
            let (requests, connection) = h2::client::handshake(tls).await.map_err(io::Error::other)?;
            Ok(Self { requests, driver: Some(tokio::spawn(connection)) })
        })
    }

    /// Begins a request without body and waits for the header of its answer.
    ///
    /// # Errors
    /// When the stream or connection ends before it.
    pub fn begin(&mut self, authority: &str, path: &str) -> io::Result<Http2Stream> {
        self.start(authority, path)?.answer()
    }

    /// Sends a request without body.
    ///
    /// # Errors
    /// When the connection takes no more.
    pub fn start(&mut self, authority: &str, path: &str) -> io::Result<Http2Request> {
        let request = Request::get(format!("https://{authority}{path}")).body(()).map_err(io::Error::other)?;
        let mut requests = self.requests.clone();
        within(async move {
            std::future::poll_fn(|context| requests.poll_ready(context)).await.map_err(io::Error::other)?;
            let (answer, request) = requests.send_request(request, true).map_err(io::Error::other)?;
            Ok(Http2Request { answer: Some(answer), request: Some(request) })
        })
    }

    /// A GET: status and body.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn get(&mut self, authority: &str, path: &str) -> io::Result<(u16, String)> {
        let mut stream = self.begin(authority, path)?;
        let mut body = Vec::new();
        while let Some(data) = stream.next()? {
            body.extend_from_slice(&data);
        }
        Ok((stream.status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// Waits until the gateway has ended the connection; panics when it does not.
    #[track_caller]
    pub fn wait_for_its_end(&mut self) {
        let driver = self.driver.take().expect("its end was waited for already");
        // However it ends.
        let ended = within(async { driver.await.map_err(io::Error::other) });
        let goes_on = ended.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut);
        assert!(!goes_on, "the connection was not ended");
    }
}

impl Http2Request {
    /// Waits for the header of its answer.
    ///
    /// # Errors
    /// When the stream or connection ends before it.
    pub fn answer(&mut self) -> io::Result<Http2Stream> {
        let answer = self.answer.take().expect("its answer was waited for already");
        let request = self.request.take().expect("with it");
        within(async move {
            let answer = answer.await.map_err(io::Error::other)?;
            let status = answer.status().as_u16();
            Ok(Http2Stream { status, body: follow(answer.into_body()), _request: request })
        })
    }
}

impl Http2Stream {
    /// The next piece of the body; none at its end.
    ///
    /// # Errors
    /// When the stream or connection ended before the body did.
    pub fn next(&mut self) -> io::Result<Option<Bytes>> {
        let body = &mut self.body;
        within(async move { body.recv().await.transpose().map_err(io::Error::other) })
    }

    /// Whether the body breaks off, rather than end or go on for ever.
    pub fn breaks_off(&mut self) -> bool {
        loop {
            match self.next() {
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(error) => return error.kind() != io::ErrorKind::TimedOut,
            }
        }
    }
}

fn follow(mut body: RecvStream) -> tokio::sync::mpsc::UnboundedReceiver<Result<Bytes, h2::Error>> {
    let (pieces, received) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(piece) = body.data().await {
            // An error of it comes with the next piece.
            let _ = body.flow_control().release_capacity(piece.as_ref().map_or(0, Bytes::len));
            // After an error h2 says the same for ever.
            let ended = piece.is_err();
            if pieces.send(piece).is_err() || ended {
                return;
            }
        }
    });
    received
}

/// Runs to the end, or is an error of kind `TimedOut` after [`PATIENCE`].
fn within<T>(future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    RUNTIME.block_on(async {
        tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    })
}
