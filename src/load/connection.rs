//! One connection of the load: TCP, TLS, and requests on it.

use super::plan::{HttpVersion, Plan};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig, HandshakeKind};
use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How an operation can fail or be refused; the name is stable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Failure {
    /// No TCP connection: the operating system's word for it.
    Connect(String),
    /// The server ended the handshake, or the connection after it, with this alert.
    Alert(String),
    /// The handshake failed on our side.
    Tls(String),
    /// The connection ended without an alert, in the middle of a request.
    Closed,
    /// The connection had ended before the request was sent.
    Gone,
    /// It is no HTTP.
    Http(String),
    /// Nothing came in time.
    Timeout,
    /// The run was over before its turn came: the server is slower than the rate.
    NotBegun,
    /// A session was to be resumed and was not.
    NotResumed,
}

impl Failure {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Connect(why) => format!("connect: {why}"),
            Self::Alert(alert) => format!("alert: {alert}"),
            Self::Tls(why) => format!("tls: {why}"),
            Self::Closed => "closed".to_owned(),
            Self::Gone => "gone".to_owned(),
            Self::NotBegun => "not-begun".to_owned(),
            Self::Http(why) => format!("http: {why}"),
            Self::Timeout => "timeout".to_owned(),
            Self::NotResumed => "not-resumed".to_owned(),
        }
    }
}

/// A connection on which requests can be sent.
#[derive(Debug)]
pub(super) struct Connection {
    sender: Sender,
    pub(super) handshake: Option<HandshakeKind>,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

impl Connection {
    /// Connects and shakes hands.
    pub(super) async fn open(plan: &Plan, config: &Arc<ClientConfig>) -> Result<Self, Failure> {
        let tcp = TcpStream::connect(plan.target).await.map_err(|error| Failure::Connect(error.kind().to_string()))?;
        // Otherwise the request waits for the acknowledgement of the handshake's last flight.
        let _ = tcp.set_nodelay(true);
        let name = ServerName::try_from(plan.server_name.clone()).map_err(|error| Failure::Tls(error.to_string()))?;
        let tls = TlsConnector::from(Arc::clone(config)).connect(name, tcp).await.map_err(|error| of_io(&error))?;
        let handshake = tls.get_ref().1.handshake_kind();
        let io = TokioIo::new(tls);
        let sender = match plan.http {
            HttpVersion::Http1 => {
                let (sender, driver) = http1::handshake(io).await.map_err(|error| of_hyper(&error))?;
                tokio::spawn(driver);
                Sender::Http1(sender)
            }
            HttpVersion::Http2 => {
                let (sender, driver) =
                    http2::handshake(TokioExecutor::new(), io).await.map_err(|error| of_hyper(&error))?;
                tokio::spawn(driver);
                Sender::Http2(sender)
            }
        };
        Ok(Self { sender, handshake })
    }

    /// Another sender on the same connection; none for HTTP/1.1, which has one request at a time.
    pub(super) fn share(&self) -> Option<Self> {
        match &self.sender {
            Sender::Http1(_) => None,
            Sender::Http2(sender) => Some(Self { sender: Sender::Http2(sender.clone()), handshake: self.handshake }),
        }
    }

    /// One request and its whole answer.
    pub(super) async fn request(&mut self, plan: &Plan) -> Result<StatusCode, Failure> {
        let request = request(plan)?;
        let answer = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await.map_err(|error| not_sent(&error))?;
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                sender.ready().await.map_err(|error| not_sent(&error))?;
                sender.send_request(request).await
            }
        };
        let answer = answer.map_err(|error| if error.is_canceled() { not_sent(&error) } else { of_hyper(&error) })?;
        let status = answer.status();
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            frame.map_err(|error| of_hyper(&error))?;
        }
        Ok(status)
    }
}

fn request(plan: &Plan) -> Result<Request<Empty<Bytes>>, Failure> {
    let builder = match plan.http {
        HttpVersion::Http1 => Request::get(&plan.path).header(header::HOST, &plan.authority),
        HttpVersion::Http2 => Request::get(format!("https://{}{}", plan.authority, plan.path)),
    };
    builder.body(Empty::new()).map_err(|error| Failure::Http(error.to_string()))
}

/// Nothing of the request was written: the connection had ended, perhaps with an alert.
fn not_sent(error: &hyper::Error) -> Failure {
    match of_hyper(error) {
        Failure::Closed => Failure::Gone,
        failure => failure,
    }
}

fn of_hyper(error: &hyper::Error) -> Failure {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return of_io(io);
        }
        cause = inner.source();
    }
    if error.is_closed() || error.is_canceled() || error.is_incomplete_message() {
        Failure::Closed
    } else {
        Failure::Http(error.to_string())
    }
}

fn of_io(error: &io::Error) -> Failure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => Failure::Alert(alert_name(*alert)),
        Some(error) => Failure::Tls(error.to_string()),
        None => match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Failure::Closed,
            kind => Failure::Tls(kind.to_string()),
        },
    }
}

/// `CertificateRevoked` as `certificate_revoked`, the name of RFC 8446 section 6.
fn alert_name(alert: AlertDescription) -> String {
    let debug = format!("{alert:?}");
    let mut name = String::with_capacity(debug.len() + 4);
    let mut before_is_lower = false;
    for letter in debug.chars() {
        if letter.is_ascii_uppercase() && before_is_lower {
            name.push('_');
        }
        before_is_lower = letter.is_ascii_lowercase();
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_have_the_names_of_the_standard() {
        assert_eq!(alert_name(AlertDescription::CertificateRevoked), "certificate_revoked");
        assert_eq!(alert_name(AlertDescription::UnknownCA), "unknown_ca");
        assert_eq!(alert_name(AlertDescription::CertificateRequired), "certificate_required");
    }
}
