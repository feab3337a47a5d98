//! A request as its upstream gets it: nothing the client claims of itself, everything that was verified.

use super::context::RequestContext;
use super::failure::{Cause, Failure};
use super::forward::Forwarding;
use super::wire::{self, Framing};
use crate::gateway::request::assertion::AssertedRequest;
use crate::gateway::request::headers::{RequestFacts, strip};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Uri, Version, header};
use pingora_core::upstreams::peer::{HttpPeer, Peer as _};
use pingora_http::RequestHeader;
use sekisho_runtime::clock;

/// A request's header, and how the end of its body is told.
pub(super) struct Outgoing {
    pub(super) head: RequestHeader,
    pub(super) framing: Framing,
}

/// The request for a peer, in the version of HTTP it speaks.
pub(super) fn request(
    forwarding: &Forwarding<'_>,
    ctx: &RequestContext,
    http2: bool,
    peer: &HttpPeer,
    bodiless: bool,
    websocket: bool,
) -> Result<Outgoing, Failure> {
    let (request, admitted) = (forwarding.request, forwarding.admitted);
    // Taken out of pingora's header, which keeps each name's spelling in a second map: names go on in lower case, as
    // HTTP/2 has them, at half the price.
    let mut parts = Parts::from(request.clone());
    // Trailers pass from HTTP/2 to HTTP/2 only: there an application is told whether they may be sent.
    let te = parts.headers.remove(header::TE).filter(|_| http2 && request.version == Version::HTTP_2);
    set_headers(&mut parts.headers, forwarding, ctx, request.method.clone())?;
    if te.is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers")) {
        parts.headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    let framing = frame(&mut parts, bodiless, http2);
    if websocket {
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        parts.headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    // The origin-form of its target, whichever form it came in ([`Target::parse`](crate::gateway::request::access::Target::parse)).
    let target = admitted.rewritten.as_deref().map_or_else(|| request.raw_path(), str::as_bytes).to_vec();
    if http2 {
        parts.headers.remove(header::HOST);
        let scheme = if peer.tls() { Scheme::HTTPS } else { Scheme::HTTP };
        parts.uri = uri(scheme, admitted.host.authority(), &target)?;
        parts.version = Version::HTTP_2;
        return Ok(Outgoing { head: parts.into(), framing });
    }
    if !parts.headers.contains_key(header::HOST) {
        let host = HeaderValue::try_from(admitted.host.authority()).map_err(internal)?;
        parts.headers.try_insert(header::HOST, host).map_err(full)?;
    }
    parts.version = Version::HTTP_11;
    let mut head = RequestHeader::from(parts);
    head.set_raw_path(&target).map_err(internal)?;
    Ok(Outgoing { head, framing })
}

fn set_headers(
    headers: &mut HeaderMap,
    forwarding: &Forwarding<'_>,
    ctx: &RequestContext,
    method: Method,
) -> Result<(), Failure> {
    let (admitted, connection) = (forwarding.admitted, &forwarding.served.connection);
    let now = clock::now();
    let assertion = match (admitted.client.verified(), &ctx.snapshot.signer) {
        (Some(client), Some(signer)) => {
            let asserted = AssertedRequest {
                site: connection.site_name(),
                method: &method,
                host: admitted.host.name(),
                path: &admitted.path,
                query: &admitted.query,
                now,
                authenticated_at: connection.authenticated_at,
                request_id: &ctx.request_id,
            };
            Some(signer.sign(client, &asserted).map_err(internal)?)
        }
        _ => None,
    };
    strip(headers, &ctx.snapshot.strip);
    wire::take_request_hop_by_hop(headers);
    wire::join_cookies(headers);
    let facts = RequestFacts { now, request_id: &ctx.request_id, assertion: assertion.as_deref() };
    admitted
        .client
        .headers
        .apply(headers, &facts)
        .and_then(|()| connection.forwarding.apply(headers, admitted.host.authority()))
        .map_err(full)
}

/// How the upstream is told where the body ends, and the fields that tell it; in HTTP/2 its frames do.
fn frame(parts: &mut Parts, bodiless: bool, http2: bool) -> Framing {
    let headers = &mut parts.headers;
    if bodiless {
        // Whoever asks for a length before a body (411) is told that there is none.
        if matches!(parts.method, Method::POST | Method::PUT | Method::PATCH) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        return Framing::Empty;
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    match length {
        Some(length) => Framing::Length(length),
        None => {
            headers.remove(header::CONTENT_LENGTH);
            if !http2 {
                headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
            Framing::Chunked
        }
    }
}

fn uri(scheme: Scheme, authority: &str, target: &[u8]) -> Result<Uri, Failure> {
    let authority = Authority::try_from(authority).map_err(internal)?;
    let path = PathAndQuery::try_from(target).map_err(internal)?;
    Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build().map_err(internal)
}

/// A trailer section of an answer, without what may only stand in a header.
pub(super) fn trailers(mut trailers: HeaderMap) -> HeaderMap {
    wire::take_request_hop_by_hop(&mut trailers);
    trailers.remove(header::CONTENT_LENGTH);
    trailers.remove(header::HOST);
    trailers
}

fn internal(error: impl std::fmt::Display) -> Failure {
    Failure::new(Cause::Internal, error.to_string())
}

fn full(error: impl std::fmt::Display) -> Failure {
    Failure::new(Cause::HeadersTooLarge, format!("headers: {error}"))
}
