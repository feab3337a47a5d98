//! Somebody who speaks to the API.

use super::gateway_key::{AUDIENCE, GatewayKey, USER_AUDIENCE};
use crate::common::PATIENCE;
use reqwest::Method;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());

/// So that no two requests of a process have one idempotency key by accident.
static KEYS: AtomicU64 = AtomicU64::new(1);

/// Somebody who speaks to the API: a service, a user behind the gateway, or a stranger.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    address: SocketAddr,
    as_user: Option<([u8; 32], Arc<GatewayKey>)>,
    handed_on: Option<([u8; 32], Arc<GatewayKey>)>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Vec<u8>,
}

impl Client {
    /// With a client certificate and its key in PEM, or without one.
    pub fn new(address: SocketAddr, ca: &str, certificate: Option<(&str, &str)>) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let tls = match certificate {
            Some((certificate, key)) => {
                let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).map(Result::unwrap).collect();
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .resolve("issuer.localhost", address)
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .unwrap();
        Self { http, address, as_user: None, handed_on: None }
    }

    /// The same connection, behind a gateway to which somebody came with that certificate.
    pub fn with_certificate(&self, certificate: &[u8; 32], gateway: &Arc<GatewayKey>) -> Self {
        Self { as_user: Some((*certificate, Arc::clone(gateway))), ..self.clone() }
    }

    /// A service that hands on the assertion of its own user's request.
    pub fn handing_on(&self, certificate: &[u8; 32], gateway: &Arc<GatewayKey>) -> Self {
        Self { handed_on: Some((*certificate, Arc::clone(gateway))), ..self.clone() }
    }

    /// GET.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None)
    }

    /// POST with an idempotency key of its own.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_with_key(path, &new_key(), body)
    }

    /// POST with that idempotency key.
    #[track_caller]
    pub fn post_with_key(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, &[("idempotency-key", key)], Some(body.to_string().into_bytes()))
    }

    /// PUT.
    #[track_caller]
    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, &[], Some(body.to_string().into_bytes()))
    }

    /// Any request.
    #[track_caller]
    pub fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<Vec<u8>>) -> Answer {
        self.try_send(method, path, headers, body).unwrap_or_else(|error| panic!("{path}: {error:?}"))
    }

    /// Any request, and what becomes of it when there is no answer.
    ///
    /// # Errors
    /// No connection, or one that broke.
    pub fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Answer, reqwest::Error> {
        let url = format!("https://issuer.localhost:{}{path}", self.address.port());
        let without_query = path.split('?').next().unwrap();
        let mut request = self.http.request(method.clone(), url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some((certificate, gateway)) = &self.as_user {
            let assertion = gateway.assertion(certificate, AUDIENCE, method.as_str(), without_query);
            request = request.header("x-sekisho-assertion", assertion);
        }
        if let Some((certificate, gateway)) = &self.handed_on {
            let assertion = gateway.assertion(certificate, USER_AUDIENCE, "POST", "/at/the/bank");
            request = request.header("x-sekisho-user-assertion", assertion);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        RUNTIME.block_on(async {
            let response = request.send().await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Ok(Answer { status, headers, body: response.bytes().await?.to_vec() })
        })
    }
}

/// A fresh idempotency key.
pub fn new_key() -> String {
    format!("test-{}-{}", std::process::id(), KEYS.fetch_add(1, Ordering::Relaxed))
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// The body of an answer that says yes.
    #[track_caller]
    pub fn done(&self) -> Value {
        assert!(matches!(self.status, 200 | 201), "{self}");
        self.json()
    }

    /// Asserts that it says yes and nothing more.
    #[track_caller]
    pub fn accepted(&self) {
        assert_eq!(self.status, 204, "{self}");
    }

    /// The name of the problem that a refusal is.
    #[track_caller]
    pub fn problem(&self) -> String {
        assert!(self.status >= 400, "it was not refused: {self}");
        let content_type = self.headers.get("content-type").and_then(|value| value.to_str().ok());
        assert_eq!(content_type, Some("application/problem+json"), "{self}");
        let kind = self.json()["type"].as_str().unwrap_or_default().to_owned();
        kind.strip_prefix("urn:sekisho:problem:").unwrap_or_else(|| panic!("{self}")).to_owned()
    }

    /// Asserts that it was refused with that status and problem.
    #[track_caller]
    pub fn refused(&self, status: u16, problem: &str) {
        assert_eq!((self.status, self.problem().as_str()), (status, problem), "{self}");
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status, String::from_utf8_lossy(&self.body))
    }
}
