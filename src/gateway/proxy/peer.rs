//! An upstream's side of a request: a connection to a peer, new or kept, and what goes over it both ways at once.

use super::duplex::Duplex;
use super::failure::Failure;
use super::idle::Idle;
use super::wire::Framing;
use crate::gateway::request::upstream::{IDLE_UPSTREAM_CONNECTIONS, connector_options};
use bytes::Bytes;
use h2::SendStream;
use http::HeaderMap;
use pingora_core::connectors::TransportConnector;
use pingora_core::connectors::http::v2::Connector as Http2Connector;
use pingora_core::protocols::http::HttpTask;
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::protocols::http::v1::client::HttpSession as Http1Session;
use pingora_core::protocols::http::v2::client::Http2Session;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use std::future::poll_fn;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// Connections to all peers of all pools, the idle ones among them.
pub(super) struct Upstreams {
    http1: TransportConnector,
    idle: Idle,
    http2: Http2Connector,
}

/// A connection that a request may use.
pub(super) struct Taken {
    line: Line,
    /// It was kept from an earlier request.
    pub(super) reused: bool,
}

enum Line {
    Http1 { io: Duplex, pooled: bool },
    Http2(Box<Http2Session>),
}

/// What of a request is written to.
pub(super) enum Writer {
    Http1 {
        io: Duplex,
        framing: Framing,
    },
    Http2(SendStream<Bytes>),
    /// The header was all.
    Nothing,
}

/// What of the answer is read from.
pub(super) enum Reader {
    Http1 { session: Box<Http1Session>, pooled: bool },
    Http2(Box<Http2Session>),
}

/// What comes of an answer.
pub(super) enum Event {
    /// An interim header or the header; `true`: no body follows.
    Head(Box<ResponseHeader>, bool),
    /// `true`: the last one.
    Piece(Bytes, bool),
    End(Option<HeaderMap>),
}

impl Default for Upstreams {
    fn default() -> Self {
        Self {
            http1: TransportConnector::new(Some(connector_options())),
            idle: Idle::new(IDLE_UPSTREAM_CONNECTIONS),
            http2: Http2Connector::new(Some(connector_options())),
        }
    }
}

impl Upstreams {
    /// A connection to a peer that is kept from an earlier request, if there is one.
    pub(super) async fn kept(&self, peer: &HttpPeer, http2: bool) -> Result<Option<Taken>> {
        let line = if http2 {
            self.http2.reused_http_session(peer).await?.map(|session| Line::Http2(Box::new(session)))
        } else {
            self.idle.take(peer).map(|stream| Line::Http1 { io: Duplex::new(stream), pooled: true })
        };
        Ok(line.map(|line| Taken { line, reused: true }))
    }

    /// A new connection to a peer.
    pub(super) async fn open(&self, peer: &HttpPeer, http2: bool) -> Result<Taken> {
        let line = if http2 {
            match self.http2.new_http_session::<_, ()>(peer).await? {
                HttpSession::H2(session) => Line::Http2(Box::new(session)),
                // A peer that does not speak it after all.
                HttpSession::H1(session) => Line::Http1 { io: Duplex::new(session.into_inner()), pooled: false },
                HttpSession::Custom(()) => return Err(Error::new(ErrorType::InternalError)),
            }
        } else {
            Line::Http1 { io: Duplex::new(self.http1.new_stream(peer).await?), pooled: true }
        };
        Ok(Taken { line, reused: false })
    }

    /// Keeps a connection for the next request: to be called once a request and its answer have **both** ended as they
    /// should. Anything else that happens drops it, and so closes it.
    pub(super) async fn keep(&self, reader: Reader, writer: Writer, peer: &HttpPeer, idle: Duration) {
        match (reader, writer) {
            (Reader::Http1 { mut session, pooled: true }, Writer::Http1 { io, .. }) => {
                session.respect_keepalive();
                // Gives it back only when the answer left nothing over and the peer goes on.
                if !session.will_keepalive() || session.reuse().await.is_none() {
                    return;
                }
                if let Some(stream) = io.into_stream() {
                    self.idle.put(peer, stream, idle);
                }
            }
            (Reader::Http2(session), _) => self.http2.release_http_session(*session, peer, Some(idle)),
            (Reader::Http1 { .. }, _) => {}
        }
    }
}

impl Taken {
    /// Whether requests go over it in HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        matches!(self.line, Line::Http2(_))
    }

    /// Sends a request's header, behind which a body comes in `framing`.
    pub(super) async fn send(self, request: RequestHeader, framing: Framing) -> Result<(Writer, Reader)> {
        match self.line {
            Line::Http1 { io, pooled } => {
                let mut session = Http1Session::new(Box::new(io.clone()));
                session.write_request_header(Box::new(request)).await?;
                Ok((Writer::Http1 { io, framing }, Reader::Http1 { session: Box::new(session), pooled }))
            }
            Line::Http2(mut session) => {
                let end = framing == Framing::Empty;
                session.write_request_header(Box::new(request), end)?;
                let body = session.take_request_body_writer().filter(|_| !end);
                Ok((body.map_or(Writer::Nothing, Writer::Http2), Reader::Http2(session)))
            }
        }
    }
}

impl Writer {
    /// Writes a piece of the body; returns when the upstream's socket or window has taken it.
    pub(super) async fn piece(&mut self, mut piece: Bytes) -> Result<(), Failure> {
        match self {
            Self::Http1 { io, framing } => {
                let written = framing.frame(&piece).map_err(|_| wrong_length("more"))?;
                for bytes in written.iter().filter(|bytes| !bytes.is_empty()) {
                    io.write_all(bytes).await.map_err(broken)?;
                }
                io.flush().await.map_err(broken)
            }
            Self::Http2(body) => {
                while !piece.is_empty() {
                    body.reserve_capacity(piece.len());
                    let room = match body.capacity() {
                        0 => match poll_fn(|cx| body.poll_capacity(cx)).await {
                            Some(room) => room.map_err(broken)?,
                            None => return Err(broken("the stream was reset")),
                        },
                        room => room,
                    };
                    body.send_data(piece.split_to(room.min(piece.len())), false).map_err(broken)?;
                }
                Ok(())
            }
            Self::Nothing => Err(wrong_length("more")),
        }
    }

    /// Whether the upstream has all that was announced, and would take nothing more.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self, Self::Http1 { framing: Framing::Length(0), .. })
    }

    /// Ends the body: once, whatever the client's last frame was.
    pub(super) async fn end(&mut self) -> Result<(), Failure> {
        match self {
            Self::Http1 { io, framing } => {
                let end = framing.end().map_err(|_| wrong_length("less"))?;
                *framing = Framing::Empty;
                if !end.is_empty() {
                    io.write_all(end).await.map_err(broken)?;
                    io.flush().await.map_err(broken)?;
                }
                Ok(())
            }
            Self::Http2(body) => {
                let ended = body.send_data(Bytes::new(), true).map_err(broken);
                *self = Self::Nothing;
                ended
            }
            Self::Nothing => Ok(()),
        }
    }

    /// From here on everything that comes is passed on as it is.
    pub(super) fn become_raw(&mut self) {
        if let Self::Http1 { framing, .. } = self {
            *framing = Framing::Close;
        }
    }
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::broken(format!("writing to the upstream: {error}"))
}

fn wrong_length(than: &str) -> Failure {
    Failure::new(super::failure::Cause::ClientBad, format!("{than} of a body than was announced"))
}

impl Reader {
    /// What comes next.
    pub(super) async fn next(&mut self) -> Result<Event> {
        match self {
            Self::Http1 { session, .. } => Ok(match session.read_response_task().await? {
                HttpTask::Header(head, end) => Event::Head(head, end),
                HttpTask::Body(Some(piece), end) | HttpTask::UpgradedBody(Some(piece), end) => Event::Piece(piece, end),
                HttpTask::Failed(error) => return Err(error),
                HttpTask::Body(None, _) | HttpTask::UpgradedBody(None, _) | HttpTask::Trailer(_) | HttpTask::Done => {
                    Event::End(None)
                }
            }),
            Self::Http2(session) => {
                if session.response_header().is_none() {
                    session.read_response_header().await?;
                    let end = session.check_response_end_or_error()?;
                    let head = session.response_header().ok_or_else(|| Error::new(ErrorType::InternalError))?;
                    return Ok(Event::Head(Box::new(head.clone()), end));
                }
                match session.read_response_body().await? {
                    Some(piece) => Ok(Event::Piece(piece, session.check_response_end_or_error()?)),
                    None => Ok(Event::End(session.read_trailers().await?)),
                }
            }
        }
    }
}
