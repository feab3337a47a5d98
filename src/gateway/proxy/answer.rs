//! An answer on its way to the client, in either version of HTTP.

use super::duplex::Duplex;
use super::failure::Failure;
use super::wire::{self, Body, Framing};
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::{HeaderMap, HeaderValue, Response, Version, header};
use pingora_core::protocols::http::date::get_cached_date;
use pingora_http::ResponseHeader;
use std::future::{pending, poll_fn};
use tokio::io::AsyncWriteExt as _;

/// The answer to one request. Whoever drops it before its end breaks it off.
pub(super) struct ClientAnswer {
    side: Side,
    /// What the client was told, once it was.
    pub(super) status: Option<u16>,
    /// Bytes of its body that went out.
    pub(super) body_bytes: u64,
    pub(super) ended: bool,
}

enum Side {
    Http1(Http1Answer),
    Http2(Http2Answer),
}

struct Http1Answer {
    io: Duplex,
    version: Version,
    keep: bool,
    framing: Framing,
    unflushed: bool,
}

struct Http2Answer {
    respond: SendResponse<Bytes>,
    body: Option<SendStream<Bytes>>,
}

impl ClientAnswer {
    /// `keep`: whether the client wants to go on with its connection.
    pub(super) fn http1(io: Duplex, version: Version, keep: bool) -> Self {
        Self::new(Side::Http1(Http1Answer { io, version, keep, framing: Framing::Empty, unflushed: false }))
    }

    pub(super) fn http2(respond: SendResponse<Bytes>) -> Self {
        Self::new(Side::Http2(Http2Answer { respond, body: None }))
    }

    fn new(side: Side) -> Self {
        Self { side, status: None, body_bytes: 0, ended: false }
    }

    /// HTTP/1: no further request is taken on this connection, and the answer says so if it has not begun.
    pub(super) fn close(&mut self) {
        if let Side::Http1(answer) = &mut self.side {
            answer.keep = false;
        }
    }

    /// HTTP/1: whether the answer is whole and another request may follow.
    pub(super) fn keeps_connection(&self) -> bool {
        self.ended && matches!(&self.side, Side::Http1(answer) if answer.keep)
    }

    /// An interim answer (RFC 9110 section 15.2), which HTTP/1.0 does not have.
    pub(super) async fn interim(&mut self, head: &ResponseHeader) -> Result<(), Failure> {
        match &mut self.side {
            Side::Http1(answer) if answer.version == Version::HTTP_11 => {
                answer.io.write_all(&wire::response_head(head)).await.map_err(Failure::gone)?;
                answer.flush().await
            }
            Side::Http1(_) => Ok(()),
            Side::Http2(answer) => answer
                .respond
                .send_informational(Response::from_parts(head.as_owned_parts(), ()))
                .map_err(Failure::gone),
        }
    }

    /// The answer's header, from which everything that ends at this hop was taken; `end`: nothing follows.
    pub(super) async fn head(&mut self, mut head: ResponseHeader, body: Body, end: bool) -> Result<(), Failure> {
        self.status = Some(head.status.as_u16());
        if !head.headers.contains_key(header::DATE) {
            set(&mut head, header::DATE, get_cached_date());
        }
        match &mut self.side {
            Side::Http1(answer) => answer.head(head, body).await?,
            Side::Http2(answer) => {
                let end = end || body == Body::None;
                let head = Response::from_parts(head.as_owned_parts(), ());
                answer.body = Some(answer.respond.send_response(head, end).map_err(Failure::gone)?);
                self.ended = end;
            }
        }
        if end || body == Body::None { self.end(None).await } else { Ok(()) }
    }

    /// HTTP/1.1: the connection belongs to another protocol from here on.
    pub(super) async fn switch(&mut self, mut head: ResponseHeader) -> Result<(), Failure> {
        let Side::Http1(answer) = &mut self.side else {
            return Err(Failure::broken("an upgrade over HTTP/2"));
        };
        self.status = Some(head.status.as_u16());
        (answer.keep, answer.framing) = (false, Framing::Close);
        set(&mut head, header::CONNECTION, HeaderValue::from_static("Upgrade"));
        answer.io.write_all(&wire::response_head(&head)).await.map_err(Failure::gone)?;
        answer.flush().await
    }

    /// The next piece of its body; `last`: nothing follows.
    pub(super) async fn piece(&mut self, piece: Bytes, last: bool) -> Result<(), Failure> {
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        match &mut self.side {
            Side::Http1(answer) => answer.piece(&piece, last).await?,
            Side::Http2(answer) => answer.piece(piece, last).await?,
        }
        self.body_bytes += length;
        self.ended = last;
        Ok(())
    }

    /// Its end, with the trailer section of an upstream that speaks HTTP/2: HTTP/1.1 clients seldom read one.
    pub(super) async fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), Failure> {
        match &mut self.side {
            _ if self.ended => {}
            Side::Http1(answer) => answer.end().await?,
            Side::Http2(answer) => {
                if let Some(body) = &mut answer.body {
                    let sent = match trailers {
                        Some(trailers) => body.send_trailers(trailers),
                        None => body.send_data(Bytes::new(), true),
                    };
                    sent.map_err(Failure::gone)?;
                }
            }
        }
        self.ended = true;
        Ok(())
    }

    /// Whether something was written that waits for more of it.
    pub(super) fn waits(&self) -> bool {
        matches!(&self.side, Side::Http1(answer) if answer.unflushed)
    }

    /// Lets go what waits.
    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        match &mut self.side {
            Side::Http1(answer) => answer.flush().await,
            Side::Http2(_) => Ok(()),
        }
    }

    /// Waits until the client has reset the stream, or its connection is gone; in HTTP/1.1 reading tells.
    pub(super) async fn gone(&mut self) -> Failure {
        match &mut self.side {
            Side::Http1(_) => pending().await,
            Side::Http2(answer) => {
                let reset = poll_fn(|cx| match &mut answer.body {
                    Some(body) => body.poll_reset(cx),
                    None => answer.respond.poll_reset(cx),
                });
                match reset.await {
                    Ok(reason) => Failure::gone(format!("the stream was reset: {reason}")),
                    Err(error) => Failure::gone(error),
                }
            }
        }
    }

    /// Tells the client that what came is not whole; in HTTP/1.1 the connection's end does.
    pub(super) fn break_off(&mut self) {
        self.close();
        if let Side::Http2(answer) = &mut self.side
            && !self.ended
        {
            match &mut answer.body {
                Some(body) => body.send_reset(Reason::INTERNAL_ERROR),
                None => answer.respond.send_reset(Reason::INTERNAL_ERROR),
            }
        }
    }
}

impl Http1Answer {
    async fn head(&mut self, mut head: ResponseHeader, body: Body) -> Result<(), Failure> {
        self.framing = match body {
            Body::None => Framing::Empty,
            Body::Length(length) => Framing::Length(length),
            Body::Unknown if self.version == Version::HTTP_11 => Framing::Chunked,
            // RFC 9112 section 6.1: never chunks to HTTP/1.0.
            Body::Unknown => Framing::Close,
        };
        self.keep &= self.framing != Framing::Close;
        match self.framing {
            Framing::Chunked => set(&mut head, header::TRANSFER_ENCODING, HeaderValue::from_static("chunked")),
            Framing::Empty | Framing::Length(_) | Framing::Close => {}
        }
        match (self.keep, self.version) {
            (false, _) => set(&mut head, header::CONNECTION, HeaderValue::from_static("close")),
            (true, Version::HTTP_10) => set(&mut head, header::CONNECTION, HeaderValue::from_static("keep-alive")),
            (true, _) => {}
        }
        self.unflushed = true;
        self.io.write_all(&wire::response_head(&head)).await.map_err(Failure::gone)
    }

    async fn piece(&mut self, piece: &Bytes, last: bool) -> Result<(), Failure> {
        // What does not keep to its length is broken off, and never written.
        let written = self.framing.frame(piece).map_err(|_| Failure::broken("more of a body than was announced"))?;
        self.unflushed = true;
        for bytes in written.iter().filter(|bytes| !bytes.is_empty()) {
            self.io.write_all(bytes).await.map_err(Failure::gone)?;
        }
        if last {
            return self.end().await;
        }
        // Somebody may be waiting for it.
        if matches!(self.framing, Framing::Chunked | Framing::Close) { self.flush().await } else { Ok(()) }
    }

    async fn end(&mut self) -> Result<(), Failure> {
        let end = self.framing.end().map_err(|_| Failure::broken("less of a body than was announced"))?;
        if !end.is_empty() {
            self.io.write_all(end).await.map_err(Failure::gone)?;
        }
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        self.unflushed = false;
        self.io.flush().await.map_err(Failure::gone)
    }
}

impl Http2Answer {
    /// Hands h2 as much at a time as it has room for: what the client does not take stays here, and nothing more is read
    /// from the upstream.
    async fn piece(&mut self, mut piece: Bytes, last: bool) -> Result<(), Failure> {
        let Some(body) = &mut self.body else {
            return Err(Failure::new(super::failure::Cause::Internal, "a body before its header"));
        };
        if piece.is_empty() && !last {
            return Ok(());
        }
        while !piece.is_empty() {
            body.reserve_capacity(piece.len());
            let room = match body.capacity() {
                // h2 tells of each increase once: what was left before is not told again.
                0 => match poll_fn(|cx| body.poll_capacity(cx)).await {
                    Some(room) => room.map_err(Failure::gone)?,
                    None => return Err(Failure::gone("the stream was reset")),
                },
                room => room,
            };
            let sent = piece.split_to(room.min(piece.len()));
            body.send_data(sent, last && piece.is_empty()).map_err(Failure::gone)?;
            if piece.is_empty() {
                return Ok(());
            }
        }
        body.send_data(Bytes::new(), last).map_err(Failure::gone)
    }
}

fn set(head: &mut ResponseHeader, name: http::HeaderName, value: HeaderValue) {
    // Fails for more fields than a map holds only: then the answer goes without.
    let _ = head.insert_header(name, value);
}
