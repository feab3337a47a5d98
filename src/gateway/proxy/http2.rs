//! HTTP/2 with a client: each stream a task of its own.

use super::Proxy;
use super::answer::ClientAnswer;
use super::body::RequestBody;
use super::request;
use super::served::Served;
use crate::gateway::live::stream::ClientStream;
use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Builder, SendResponse};
use http::Request;
use pingora_http::RequestHeader;
use sekisho_config::Limits;
use std::sync::Arc;

/// Streams reset by the client that h2 itself holds before it says ENHANCE_YOUR_CALM (CVE-2023-44487).
const PENDING_ACCEPT_RESETS: usize = 20;

/// Bytes of one answer that h2 takes before the client does: two records' worth. The rest stays with the upstream.
const SEND_BUFFER: usize = 32 * 1024;

/// Bytes of requests' bodies that a connection's streams may send ahead, together: so that one whose upstream takes
/// nothing does not stop the others. Of each stream it is 64 KiB (RFC 9113 section 6.9.2).
const RECEIVE_WINDOW: u32 = 256 * 1024;

/// Serves streams until the client or the gateway ends the connection.
pub(super) async fn serve(proxy: &Arc<Proxy>, served: &Arc<Served>, stream: Box<ClientStream>, limits: &Limits) {
    let Ok(mut connection) = options(limits).handshake::<_, Bytes>(stream).await else {
        return;
    };
    let mut retiring = served.connection.retiring();
    let mut told = false;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = retiring.wait_for(|retires| *retires), if !told => {
                told = true;
                connection.graceful_shutdown();
                continue;
            }
            accepted = connection.accept() => accepted,
        };
        let Some(Ok((request, respond))) = accepted else {
            return;
        };
        tokio::spawn(take(proxy.clone(), served.clone(), request, respond));
    }
}

async fn take(proxy: Arc<Proxy>, served: Arc<Served>, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
    let (parts, stream) = request.into_parts();
    let head = RequestHeader::from(parts);
    let (mut body, mut answer) = (RequestBody::http2(stream), ClientAnswer::http2(respond));
    request::handle(&proxy, &served, &head, &mut body, &mut answer).await;
}

fn options(limits: &Limits) -> Builder {
    let mut options = Builder::new();
    options
        .max_concurrent_streams(limits.http2_concurrent_streams)
        // Up to twice the limit a header is read, so that it can be answered, counted and logged; h2 answers a longer
        // one by itself, and bounds the CONTINUATION frames of one header by the same number.
        .max_header_list_size(u32::try_from(limits.request_header_bytes.saturating_mul(2)).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(PENDING_ACCEPT_RESETS)
        .max_send_buffer_size(SEND_BUFFER)
        .initial_connection_window_size(RECEIVE_WINDOW);
    options
}
