//! What the demo application answers, by path.

use super::{Body, bodies, page, websocket};
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{Request, Response};
use std::convert::Infallible;

/// Answers one request.
pub(super) async fn handle(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    Ok(match path.as_str() {
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/echo" => echo(&request),
        "/upload" => upload(request).await,
        "/download" => download(&request),
        "/slow" => slow(&request).await,
        "/stream" => {
            response(StatusCode::OK, "text/plain; charset=utf-8", bodies::ticking(number(&request, "seconds", 30)))
        }
        "/status" => status(&request),
        "/ws" => websocket::upgrade(request),
        _ if request.method() == Method::GET => {
            response(StatusCode::OK, "text/html; charset=utf-8", bodies::whole(page::render(request.headers())))
        }
        _ => text(StatusCode::NOT_FOUND, "not found\n"),
    })
}

/// Method, target, version and header fields as JSON; a field that comes twice is listed twice.
fn echo(request: &Request<Incoming>) -> Response<Body> {
    let headers: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
        .collect();
    json(&serde_json::json!({
        "method": request.method().as_str(),
        "target": request.uri().to_string(),
        "version": format!("{:?}", request.version()),
        "headers": headers,
    }))
}

/// Reads the body to its end and answers its length, SHA-256 and trailers.
async fn upload(request: Request<Incoming>) -> Response<Body> {
    let mut body = request.into_body();
    let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let (mut bytes, mut trailers) = (0_u64, Vec::new());
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return text(StatusCode::BAD_REQUEST, "the body broke off\n") };
        if let Some(data) = frame.data_ref() {
            bytes += data.len() as u64;
            digest.update(data);
        } else if let Some(fields) = frame.trailers_ref() {
            trailers.extend(fields.iter().map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            }));
        }
    }
    let sha256 = bodies::hex(digest.finish().as_ref());
    json(&serde_json::json!({ "bytes": bytes, "sha256": sha256, "trailers": trailers }))
}

/// `?bytes=N` octets; `?chunked` leaves the length out.
fn download(request: &Request<Incoming>) -> Response<Body> {
    let bytes = number(request, "bytes", 1024);
    let mut answer = response(StatusCode::OK, "application/octet-stream", bodies::octets(bytes));
    if !query(request).any(|(name, _)| name == "chunked") {
        answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    answer
}

/// Answers after `?seconds=N`: a long poll.
async fn slow(request: &Request<Incoming>) -> Response<Body> {
    tokio::time::sleep(std::time::Duration::from_secs(number(request, "seconds", 30))).await;
    text(StatusCode::OK, "at last\n")
}

/// Answers the status `?code=N`.
fn status(request: &Request<Incoming>) -> Response<Body> {
    let code = u16::try_from(number(request, "code", 200)).ok().and_then(|code| StatusCode::from_u16(code).ok());
    match code {
        Some(code) if code.as_u16() >= 200 => text(code, "as asked\n"),
        _ => text(StatusCode::BAD_REQUEST, "no such status\n"),
    }
}

fn query(request: &Request<Incoming>) -> impl Iterator<Item = (&str, &str)> {
    let pairs = request.uri().query().unwrap_or_default().split('&');
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn number(request: &Request<Incoming>, name: &str, default: u64) -> u64 {
    query(request).find(|(key, _)| *key == name).and_then(|(_, value)| value.parse().ok()).unwrap_or(default)
}

pub(super) fn text(status: StatusCode, body: &'static str) -> Response<Body> {
    response(status, "text/plain; charset=utf-8", bodies::whole(body))
}

fn json(value: &serde_json::Value) -> Response<Body> {
    response(StatusCode::OK, "application/json", bodies::whole(value.to_string()))
}

fn response(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
