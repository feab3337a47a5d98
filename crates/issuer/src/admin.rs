//! The admin address: metrics, liveness and readiness. Plain HTTP, on a loopback address unless meant otherwise.

use super::feed::Feed;
use super::metrics::{ListFacts, Metrics, TEXT_FORMAT};
use super::publish::Publisher;
use super::store::Store;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};
use sekisho_runtime::clock;
use sekisho_runtime::telemetry::log::RecordLog;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long the store may take to say that it is there; a load balancer's own patience is a few seconds.
const STORE_PATIENCE: Duration = Duration::from_secs(2);

/// What is told.
pub(super) struct Admin {
    pub(super) store: Arc<dyn Store>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) feed: Option<Arc<Feed>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) records: Arc<RecordLog>,
    /// True once the issuer is told to stop.
    pub(super) stopping: watch::Receiver<bool>,
}

/// `/metrics`, `/livez` and `/readyz`.
pub(super) fn router(admin: Admin) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(async || answer(StatusCode::OK, "alive\n".into())))
        .route("/readyz", get(readiness))
        .fallback(async || answer(StatusCode::NOT_FOUND, "try /metrics, /livez, /readyz\n".into()))
        .with_state(Arc::new(admin))
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    for (authority, facts) in admin.publisher.lists() {
        admin.metrics.list(&ListFacts {
            authority: &authority,
            part: facts.part.value(),
            // A number is 20 octets wide and begins with the time.
            number: facts.number.to_string().parse().unwrap_or(i64::MAX),
            this_update: facts.this_update.unix(),
            next_update: facts.next_update.unix(),
        });
    }
    admin.metrics.dropped_records(admin.records.dropped());
    let headers = [(header::CONTENT_TYPE, TEXT_FORMAT), (header::CACHE_CONTROL, "no-store")];
    (headers, admin.metrics.render()).into_response()
}

/// Ready while acts can be written, every list is published in time, and gateways are told of changes.
async fn readiness(State(admin): State<Arc<Admin>>) -> Response {
    let mut problems = admin.publisher.troubles(clock::now());
    let untold = admin.feed.as_ref().and_then(|feed| feed.trouble());
    problems.extend(untold.map(|why| format!("the feed stands still: {why}")));
    if *admin.stopping.borrow() {
        problems.push("draining".to_owned());
    }
    match tokio::time::timeout(STORE_PATIENCE, admin.store.ping()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => problems.push(error.to_string()),
        Err(_) => problems.push(format!("the store did not answer for {} s", STORE_PATIENCE.as_secs())),
    }
    if problems.is_empty() {
        answer(StatusCode::OK, "ready\n".into())
    } else {
        answer(StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n")
    }
}

fn answer(status: StatusCode, text: String) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, text).into_response()
}
