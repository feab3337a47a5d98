//! HTTP/1.1 with a client: one request after the other on a connection.

use super::Proxy;
use super::answer::ClientAnswer;
use super::body::RequestBody;
use super::duplex::Duplex;
use super::request;
use super::served::Served;
use super::wire;
use crate::gateway::live::stream::ClientStream;
use bytes::{Buf as _, BytesMut};
use http::Version;
use pingora_core::protocols::http::v1::server::HttpSession;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

/// What comes next on a connection.
enum Next {
    Request(Box<HttpSession>),
    Malformed(String),
    /// The client has ended, or the connection was told to before a request began.
    Ended,
}

/// Serves requests until client or gateway has had enough; pipelined ones in turn.
pub(super) async fn serve(proxy: &Arc<Proxy>, served: &Arc<Served>, stream: Box<ClientStream>) {
    let mut io = Duplex::new(stream);
    let mut retiring = served.connection.retiring();
    loop {
        served.connection.await_header();
        // Of a pipelined request something is here already.
        if io.ahead() > 0 {
            served.connection.octets_arrived(io.ahead());
        }
        let session = match next(&mut io, &mut retiring).await {
            Next::Request(session) => session,
            Next::Malformed(evidence) => {
                let mut answer = ClientAnswer::http1(io.clone(), Version::HTTP_11, false);
                // In a box of its own, as below.
                Box::pin(request::handle_malformed(proxy, served, &mut answer, evidence)).await;
                break linger(io, &answer).await;
            }
            Next::Ended => {
                let _ = io.shutdown().await;
                break;
            }
        };
        let head = session.req_header().clone();
        let mut answer = ClientAnswer::http1(io.clone(), head.version, session.will_keepalive());
        let mut body = RequestBody::http1(*session, io.clone());
        // In a box of its own, which is gone with the request: some kilobytes that no idle connection keeps.
        Box::pin(request::handle(proxy, served, &head, &mut body, &mut answer)).await;
        if !answer.keeps_connection() || !body.is_done() {
            break linger(io, &answer).await;
        }
        // What was read behind the body is the next request's.
        match body.into_session() {
            Some(session) => match session.reuse().await {
                Ok(Some(reusable)) => {
                    if let (_, Some(behind)) = reusable.into_parts() {
                        io.unread(behind);
                    }
                }
                Ok(None) | Err(_) => break,
            },
            None => break,
        }
    }
}

/// Ends the connection after its last answer: a client that has not sent its whole request reads it all the same. An
/// answer that was broken off is not ended in good order, so that nobody takes it for whole.
async fn linger(mut io: Duplex, answer: &ClientAnswer) {
    if answer.ended {
        // The client may be gone.
        let _ = io.shutdown().await;
    }
}

async fn next(io: &mut Duplex, retiring: &mut watch::Receiver<bool>) -> Next {
    let Some(head) = read_head(io, retiring).await else {
        return Next::Ended;
    };
    if !wire::is_request_line(&head) {
        return Next::Malformed("the request line is none".to_owned());
    }
    let mut session = HttpSession::new(Box::new(io.clone()));
    session.set_pipelining_enabled(true);
    session.set_pipelined_prefix(head);
    // Each read of a body is waited for as long as the limits say.
    session.set_read_timeout(None);
    match session.read_request().await {
        Ok(Some(_)) => Next::Request(Box::new(session)),
        Ok(None) => Next::Ended,
        Err(error) => Next::Malformed(error.to_string()),
    }
}

/// Reads a request's header, whole and nothing behind it; how long it may take and be is seen to below
/// ([`ClientStream`]). None: the client has ended, or the connection shall.
async fn read_head(io: &mut Duplex, retiring: &mut watch::Receiver<bool>) -> Option<BytesMut> {
    let mut head = BytesMut::new();
    let mut looked = 0;
    loop {
        // RFC 9112 section 2.2: empty lines before a request are none of it.
        while head.starts_with(b"\r\n") || head.starts_with(b"\n") {
            head.advance(if head.starts_with(b"\n") { 1 } else { 2 });
            looked = 0;
        }
        if let Some(end) = wire::head_end(&head, looked) {
            io.unread(head.split_off(end));
            return Some(head);
        }
        looked = head.len();
        if head.is_empty() && io.ahead() == 0 {
            // Without a buffer while nothing comes.
            tokio::select! {
                biased;
                came = io.readable() => if !came { return None },
                // An error means that the connection is gone.
                _ = retiring.wait_for(|retires| *retires) => return None,
            }
        }
        head.reserve(4096);
        match io.read_buf(&mut head).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}
