//! One record and one count for each request, whatever became of it.

use super::listen::Peer;
use super::metrics::{ListenerName, Method, Metrics};
use axum::Router;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use sekisho_runtime::telemetry::log::{Record, RecordLog, Weight};
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// The header of an answer with its request's reference number.
const REFERENCE: &str = "sekisho-reference";

/// Which requests are observed, and by whom.
pub(super) struct Access {
    pub(super) listener: ListenerName,
    pub(super) metrics: Arc<Metrics>,
    pub(super) records: Arc<RecordLog>,
}

/// One request. Nothing of its query, header or body: they may hold what users typed.
#[derive(Debug, Serialize)]
struct AccessRecord<'a> {
    kind: &'static str,
    time: Timestamp,
    listener: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<SocketAddr>,
    method: &'a str,
    path: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    microseconds: u128,
}

impl Record for AccessRecord<'_> {
    /// The public address is anybody's, and so is a refusal.
    fn weight(&self) -> Weight {
        if self.listener == ListenerName::Api.as_str() && self.status < 400 { Weight::Access } else { Weight::Refusal }
    }
}

/// The router with every request recorded and counted, those to no route too.
pub(super) fn observed(router: Router, access: Access) -> Router {
    router.layer(from_fn_with_state(Arc::new(access), observe))
}

async fn observe(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let client = request.extensions().get::<ConnectInfo<Peer>>().map(|ConnectInfo(peer)| peer.address);
    let route = request.extensions().get::<MatchedPath>().cloned();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let took = began.elapsed();
    let route = route.as_ref().map_or_else(|| known_prefix(uri.path()), MatchedPath::as_str);
    let method = Method::of(&method);
    access.metrics.count_request(access.listener, route, method, status, took);
    if access.records.is_on() {
        access.records.write(&AccessRecord {
            kind: "request",
            time: clock::now(),
            listener: access.listener.as_str(),
            client,
            method: method.as_str(),
            path: uri.path(),
            status,
            reference: response.headers().get(REFERENCE).and_then(|reference| reference.to_str().ok()),
            microseconds: took.as_micros(),
        });
    }
    response
}

/// The kind of thing that a path without a route of its own asks for: of the public address, which takes paths apart by
/// itself. Any other is the client's own text, and would be a label of its own each time.
fn known_prefix(path: &str) -> &'static str {
    const KNOWN: [&str; 3] = ["/crl/", "/ocsp/", "/ca/"];
    KNOWN.into_iter().find(|known| path.starts_with(known)).unwrap_or("none")
}
