//! A request's body, as it comes from the client in either version of HTTP.

use super::duplex::Duplex;
use super::failure::{Cause, Failure};
use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use pingora_core::protocols::http::v1::server::HttpSession;
use std::future::pending;
use tokio::io::AsyncReadExt as _;

/// The most that is read at once of an upgraded connection.
const PIECE: usize = 32 * 1024;

/// Frames without content that may follow each other: each costs us as much as one with content (CVE-2019-9518). h2
/// itself ends a connection that floods it; this ends the request.
const MAX_EMPTY: usize = 64;

/// What a client sends after a request's header.
pub(super) struct RequestBody {
    source: Source,
    /// Read while something else was waited for.
    first: Option<Bytes>,
}

enum Source {
    Http1 {
        session: Box<HttpSession>,
        io: Duplex,
    },
    Http2 {
        stream: RecvStream,
        /// Of the piece that was handed out last: the client may send as much again when the next one is asked for.
        unreleased: usize,
    },
    /// Of an upgraded connection: all that comes.
    Raw(Duplex),
}

impl RequestBody {
    pub(super) fn http1(session: HttpSession, io: Duplex) -> Self {
        Self { source: Source::Http1 { session: Box::new(session), io }, first: None }
    }

    pub(super) fn http2(stream: RecvStream) -> Self {
        Self { source: Source::Http2 { stream, unreleased: 0 }, first: None }
    }

    /// Whether all of it has been handed out.
    pub(super) fn is_done(&mut self) -> bool {
        self.first.is_none()
            && match &mut self.source {
                Source::Http1 { session, .. } => session.is_body_done(),
                Source::Http2 { stream, .. } => stream.is_end_stream(),
                Source::Raw(_) => false,
            }
    }

    /// From here on it is whatever comes: the request, which has no body, asks for another protocol.
    pub(super) fn become_raw(&mut self) {
        if let Source::Http1 { io, .. } = &self.source {
            self.source = Source::Raw(io.clone());
        }
    }

    /// The next piece with something in it; none at the end.
    ///
    /// # Errors
    /// The client is gone, or its message is none.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        for _ in 0..MAX_EMPTY {
            match self.read().await? {
                Some(piece) if piece.is_empty() => {}
                piece => return Ok(piece),
            }
        }
        Err(Failure::new(Cause::ClientBad, "frames without content, one after the other"))
    }

    async fn read(&mut self) -> Result<Option<Bytes>, Failure> {
        match &mut self.source {
            Source::Http1 { session, .. } => {
                session.read_body_bytes().await.map_err(|error| Failure::of_client(&error))
            }
            Source::Http2 { stream, unreleased } => {
                // Fails for a stream that is gone, which the next read tells.
                let _ = stream.flow_control().release_capacity(std::mem::take(unreleased));
                let piece = stream.data().await.transpose().map_err(Failure::gone)?;
                *unreleased = piece.as_ref().map_or(0, Bytes::len);
                Ok(piece)
            }
            Source::Raw(io) => {
                let mut piece = BytesMut::with_capacity(PIECE);
                let read = io.read_buf(&mut piece).await.map_err(Failure::gone)?;
                Ok((read > 0).then(|| piece.freeze()))
            }
        }
    }

    /// Waits until the client is gone, as far as that is seen by reading: of a body that is still to come one piece is
    /// read meanwhile and kept.
    pub(super) async fn gone(&mut self) -> Failure {
        if self.first.is_none() && !self.is_done() && !matches!(self.source, Source::Raw(_)) {
            match self.next().await {
                Ok(piece) => self.first = piece,
                Err(failure) => return failure,
            }
        }
        match &mut self.source {
            Source::Http1 { session, io } => {
                if self.first.is_none() && session.is_body_done() {
                    return Failure::gone(io.ended().await);
                }
                pending().await
            }
            Source::Raw(io) => Failure::gone(io.ended().await),
            // The answer's side hears of a reset.
            Source::Http2 { .. } => pending().await,
        }
    }

    /// HTTP/1.1: the session again, to go on to the next request.
    pub(super) fn into_session(self) -> Option<HttpSession> {
        match self.source {
            Source::Http1 { session, .. } => Some(*session),
            Source::Http2 { .. } | Source::Raw(_) => None,
        }
    }
}
