//! Lists, OCSP and authorities' certificates over plain HTTP: what is signed needs no TLS (RFC 5280 section 8).

use super::Publisher;
use super::route::{NoRoute, Route};
use super::shelf::{Dated, Item};
use crate::buckets::Buckets;
use crate::listen::{Peer, network};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use sekisho_ca::download::{Download, http_date};
use sekisho_ca::ocsp::{Answer, MAX_REQUEST_BYTES, OcspRequest, RequestError, ResponseError};
use sekisho_config::issuer::IssuerLimits;
use sekisho_runtime::clock;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// RFC 6960 appendix A.1.
const OCSP_REQUEST: &str = "application/ocsp-request";

/// Seconds an OCSP answer may be cached on the way, so that a revocation is not hidden for the whole of its life.
const ANSWER_MAX_AGE_SECONDS: u32 = 60;

/// Seconds' worth of requests that may come at once: a gateway that starts fetches the lists of all parts.
const BURST_SECONDS: u32 = 5;

struct Public {
    publisher: Arc<Publisher>,
    rates: Buckets<IpAddr>,
    body_time: Duration,
}

/// What anybody may fetch:
/// `/crl/{authority}/{part}.crl`, `/crl/{authority}/{part}-delta.crl`, `/ca/{authority}.cer`, `/ca/{authority}/{n}.cer`
/// (those above it, the nearest first) and `/ocsp/{authority}`, by POST or, with a request in base64 behind it, GET.
///
/// Addresses are told apart by [`ConnectInfo`] of [`Peer`]; without one all are the same.
pub fn router(publisher: Arc<Publisher>, limits: &IssuerLimits) -> Router {
    let per_second = limits.public_requests_per_second;
    let rates = Buckets::new(per_second, per_second.saturating_mul(BURST_SECONDS), Instant::now());
    let public = Arc::new(Public { publisher, rates, body_time: limits.request_timeout });
    Router::new().fallback(handle).with_state(public)
}

async fn handle(State(public): State<Arc<Public>>, request: Request) -> Response {
    let is_head = request.method() == Method::HEAD;
    let mut response = public.respond(request).await;
    if is_head {
        // Its length is that of the body that GET has; 304 has none (RFC 9110 section 8.6).
        let length = axum::body::HttpBody::size_hint(response.body()).exact();
        if let Some(length) = length.filter(|_| response.status() != StatusCode::NOT_MODIFIED) {
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        *response.body_mut() = Body::empty();
    }
    response
}

impl Public {
    async fn respond(&self, request: Request) -> Response {
        let peer = request.extensions().get::<ConnectInfo<Peer>>();
        let address = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.address.ip());
        if let Err(seconds) = self.rates.take(network(address), Instant::now()) {
            return too_many(seconds);
        }
        let (parts, body) = request.into_parts();
        let shelf = &self.publisher.shelf;
        match Route::of(&parts.method, parts.uri.path()) {
            Ok(Route::List { authority, part, which }) => item(shelf.list(authority, part, which), &parts.headers),
            Ok(Route::Certificate { authority, place }) => item(shelf.certificate(authority, place), &parts.headers),
            Ok(Route::Get { authority, encoded }) => {
                self.ocsp(authority, OcspRequest::from_path(encoded), &parts.headers, address).await
            }
            Ok(Route::Ask { authority }) => match self.body(&parts.headers, body).await {
                Ok(body) => self.ocsp(authority, OcspRequest::from_der(&body), &HeaderMap::new(), address).await,
                Err((status, text)) => plain(status, text),
            },
            Err(NoRoute::NotFound) => plain(StatusCode::NOT_FOUND, "not found\n"),
            Err(NoRoute::Method(allow)) => {
                let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
                response
            }
        }
    }

    async fn ocsp(
        &self,
        authority: &str,
        request: Result<OcspRequest, RequestError>,
        headers: &HeaderMap,
        address: IpAddr,
    ) -> Response {
        // As many as its certificates: the first was taken with the request.
        for _ in request.iter().flat_map(|request| request.ids.iter().skip(1)) {
            if let Err(seconds) = self.rates.take(network(address), Instant::now()) {
                return too_many(seconds);
            }
        }
        let answer: Result<Answer, ResponseError> = match self.publisher.answers.answer(authority, request).await {
            Some(answer) => answer,
            None => return plain(StatusCode::NOT_FOUND, "not found\n"),
        };
        let download = Download::ocsp(answer.as_ref().map_err(|error| *error), ANSWER_MAX_AGE_SECONDS, clock::now());
        // Two answers within a second may differ.
        serve(download, Dated::LikeTheOneBefore, headers)
    }

    async fn body(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, (StatusCode, &'static str)> {
        let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case(OCSP_REQUEST) {
            return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/ocsp-request\n"));
        }
        match tokio::time::timeout(self.body_time, axum::body::to_bytes(body, MAX_REQUEST_BYTES)).await {
            Ok(Ok(body)) => Ok(body),
            // Too long, or broken off: then nobody reads this.
            Ok(Err(_)) => Err((StatusCode::PAYLOAD_TOO_LARGE, "the request is too long\n")),
            Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the request did not come\n")),
        }
    }
}

fn item(item: Option<Arc<Item>>, headers: &HeaderMap) -> Response {
    match item {
        Some(item) => serve(item.kept.at(clock::now()), item.dated, headers),
        None => plain(StatusCode::NOT_FOUND, "not found\n"),
    }
}

/// The body, or 304 to who has it.
fn serve(download: Download, dated: Dated, headers: &HeaderMap) -> Response {
    let Download { media_type, body, cache } = download;
    let is_known = is_known(cache.etag.as_deref(), cache.last_modified.as_deref(), dated, headers);
    // Not copied: a list of a million entries has 40 MB.
    let mut response = Response::new(if is_known { Body::empty() } else { Body::from(Bytes::from_owner(body)) });
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        let media_type = HeaderValue::from_static(media_type.as_str());
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    }
    let mut put = |name: HeaderName, value: Option<String>| {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            response.headers_mut().insert(name, value);
        }
    };
    put(header::CACHE_CONTROL, Some(cache.cache_control));
    put(header::LAST_MODIFIED, cache.last_modified);
    put(header::EXPIRES, cache.expires);
    put(header::ETAG, cache.etag);
    response
}

/// Whether a conditional request is of who has it already (RFC 9110 section 13.2.2): the tag decides where there is one.
fn is_known(etag: Option<&str>, last_modified: Option<&str>, dated: Dated, headers: &HeaderMap) -> bool {
    let mut tags = headers.get_all(header::IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        let mut tags = tags.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        // Weak comparison (section 8.8.3.2).
        return tags.any(|tag| {
            let tag = tag.trim();
            etag.is_some_and(|etag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
        });
    }
    let since = headers.get(header::IF_MODIFIED_SINCE).and_then(|value| http_date(value.to_str().ok()?));
    match (since, last_modified.and_then(http_date), dated) {
        (Some(since), Some(made), Dated::Alone) => made <= since,
        _ => false,
    }
}

fn too_many(seconds: u64) -> Response {
    let mut response = plain(StatusCode::TOO_MANY_REQUESTS, "too many requests\n");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
