//! The admin address: metrics, liveness, readiness, the assertion keys and the block list. Never reachable through the
//! TLS listeners.

mod blocks;
mod exposition;

use super::Gateway;
use crate::gateway::base::limits::ACCEPT_PAUSE;
use crate::gateway::revocation::outstanding;
use crate::gateway::revocation::sources;
use async_trait::async_trait;
use http::{Method, Response, StatusCode, header};
use pingora_core::apps::ServerApp;
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::l4::stream::Stream;
use sekisho_runtime::clock;
use sekisho_runtime::metrics::EXPOSITION_TYPE;
use sekisho_trust::Readiness;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

const TEXT: &str = "text/plain; charset=utf-8";
/// RFC 8259.
const JSON: &str = "application/json";
/// RFC 7517 section 8.5.1.
const JWK_SET: &str = "application/jwk-set+json";

/// Serves the admin address until the process ends: readiness has to tell a load balancer that we are draining.
pub(super) async fn serve(listener: TcpListener, gateway: Arc<Gateway>, stopping: watch::Receiver<bool>) {
    loop {
        match listener.accept().await {
            Ok((tcp, peer)) => {
                let app = Arc::new(Admin { gateway: gateway.clone(), stopping: stopping.clone(), peer });
                tokio::spawn(async move { app.process_new(Box::new(Stream::from(tcp)), &app.stopping).await });
            }
            Err(error) => {
                tracing::error!(%error, "accept on the admin address");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

struct Admin {
    gateway: Arc<Gateway>,
    stopping: watch::Receiver<bool>,
    peer: SocketAddr,
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let request = session.req_header();
        let (method, path) = (request.method.clone(), request.uri.path().to_owned());
        if blocks::is_mine(&path) {
            return blocks::respond(&self.gateway, self.peer, session).await;
        }
        if method != Method::GET && method != Method::HEAD {
            return answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, b"only GET and HEAD\n".to_vec());
        }
        let mut response = match path.as_str() {
            "/metrics" => self.metrics().await,
            "/livez" => answer(StatusCode::OK, TEXT, b"alive\n".to_vec()),
            "/readyz" => self.readiness(),
            "/status/revocation" => self.revocation(),
            "/.well-known/jwks.json" => self.keys(),
            _ => answer(
                StatusCode::NOT_FOUND,
                TEXT,
                b"try /metrics, /livez, /readyz, /status/revocation, /.well-known/jwks.json, /blocks\n".to_vec(),
            ),
        };
        if method == Method::HEAD {
            response.body_mut().clear();
        }
        response
    }
}

impl Admin {
    /// On a thread of its own: it reads files of the system, which no request has to wait for.
    async fn metrics(&self) -> Response<Vec<u8>> {
        let gateway = Arc::clone(&self.gateway);
        match tokio::task::spawn_blocking(move || exposition::exposition(&gateway)).await {
            Ok(Ok(text)) => answer(StatusCode::OK, EXPOSITION_TYPE, text.into_bytes()),
            Ok(Err(error)) => answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n").into_bytes()),
            Err(error) => answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{error}\n").into_bytes()),
        }
    }

    /// Ready while serving, while every CA can tell who is revoked (requirement O2), and while nothing newer than what is
    /// in force is known of (requirement R7).
    fn readiness(&self) -> Response<Vec<u8>> {
        let now = clock::now();
        let mut problems = Vec::new();
        if *self.stopping.borrow() {
            problems.push("draining".to_owned());
        }
        let snapshot = self.gateway.snapshot();
        for status in snapshot.trust.status(now) {
            if let Readiness::Unavailable(why) = status.readiness {
                problems.push(format!("{}: {why}", status.ca));
            }
        }
        problems.extend(outstanding::not_ready(&self.gateway, now));
        if problems.is_empty() {
            answer(StatusCode::OK, TEXT, b"ready\n".to_vec())
        } else {
            answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, (problems.join("\n") + "\n").into_bytes())
        }
    }

    /// Every source of revocation, for people and scripts (requirement R4).
    fn revocation(&self) -> Response<Vec<u8>> {
        let now = clock::now();
        let told = sources::look(&self.gateway, now).json(self.gateway.snapshot().generation, now);
        answer(StatusCode::OK, JSON, (told.to_string() + "\n").into_bytes())
    }

    fn keys(&self) -> Response<Vec<u8>> {
        match &self.gateway.snapshot().signer {
            Some(signer) => answer(StatusCode::OK, JWK_SET, signer.jwks().as_bytes().to_vec()),
            None => answer(StatusCode::NOT_FOUND, TEXT, b"[gateway.assertion] is not configured\n".to_vec()),
        }
    }
}

fn answer(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<Vec<u8>> {
    let length = body.len();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_LENGTH, header::HeaderValue::from(length));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}
