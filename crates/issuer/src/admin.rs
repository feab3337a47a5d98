//! The admin address: metrics, liveness and readiness. Plain HTTP, on a loopback address unless meant otherwise.

use super::feed::Feed;
use super::metrics::{IssuerReadings, Metrics};
use super::publish::Publisher;
use super::store::Store;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{StatusCode, header};
use sekisho_runtime::clock;
use sekisho_runtime::metrics::{self, CertificateMetrics, EXPOSITION_TYPE, OwnCertificate, ProcessMetrics, Registered};
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
    pub(super) certificates: Arc<[OwnCertificate]>,
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
    match admin.exposition() {
        Ok(text) => {
            let headers = [(header::CONTENT_TYPE, EXPOSITION_TYPE), (header::CACHE_CONTROL, "no-store")];
            (headers, text).into_response()
        }
        Err(error) => answer(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

impl Admin {
    fn exposition(&self) -> metrics::Result<String> {
        let certificates = CertificateMetrics::of(&*self.certificates)?;
        Ok(self.metrics.exposition(&self.readings()?, &certificates, &ProcessMetrics::read()?))
    }

    fn readings(&self) -> metrics::Result<Registered<IssuerReadings>> {
        let readings = Registered::<IssuerReadings>::new()?;
        readings.build_info(env!("CARGO_PKG_VERSION")).set(1);
        readings.dropped_log_records_total().inc_by(self.records.dropped());
        for (authority, crl) in self.publisher.lists() {
            let partition = crl.part.value().to_string();
            // One that is too large for a sample is absent.
            if let Ok(number) = crl.number.to_string().parse() {
                readings.crl_number(&authority, &partition).set(number);
            }
            readings.crl_this_update_timestamp_seconds(&authority, &partition).set(crl.this_update.unix());
            readings.crl_next_update_timestamp_seconds(&authority, &partition).set(crl.next_update.unix());
        }
        if let Some(feed) = &self.feed {
            readings.feed_sequence().set(sample(feed.sequence()));
            for report in feed.gateways() {
                let streams = i64::try_from(report.streams).unwrap_or(i64::MAX);
                readings.feed_streams(&report.gateway).set(streams);
                for (authority, sequence) in report.acknowledged {
                    readings.feed_acknowledged_sequence(&authority, &report.gateway).set(sample(sequence));
                }
            }
        }
        Ok(readings)
    }
}

fn sample(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
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
