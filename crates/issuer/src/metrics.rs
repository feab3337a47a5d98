//! Prometheus metrics of the issuer. Names are stable; docs/reference/metrics.md lists them.

use super::store::StoreError;
use prometheus::core::Collector;
use prometheus::{
    Encoder as _, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use std::sync::Arc;
use std::time::Duration;

/// What [`Metrics::render`] gives.
pub(super) const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// From a group commit on a fast disk to a caller's patience.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Every metric, in a registry of its own (tests run several issuers in one process).
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    acts: IntCounterVec,
    store_changes: IntCounterVec,
    store_seconds: Histogram,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    ocsp_answers: IntCounterVec,
    credentials: IntCounterVec,
    notices: IntCounterVec,
    notices_waiting: IntGauge,
    list_number: IntGaugeVec,
    list_this_update: IntGaugeVec,
    list_next_update: IntGaugeVec,
    dropped_records: IntGauge,
    feed: Arc<FeedMetrics>,
}

/// Those of the feed.
#[derive(Clone, Debug)]
pub(super) struct FeedMetrics {
    streams: IntGaugeVec,
    ended: IntCounterVec,
    messages: IntCounter,
    sequence: IntGauge,
    acknowledged: IntGaugeVec,
    spread_seconds: Histogram,
}

/// A list as it is published now, for its gauges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListFacts<'a> {
    pub(super) authority: &'a str,
    pub(super) part: u16,
    pub(super) number: i64,
    /// Seconds since 1970.
    pub(super) this_update: i64,
    pub(super) next_update: i64,
}

/// What became of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoticeFate {
    /// Put into the outbox.
    New,
    /// Handed to the mail server.
    Sent,
    /// Refused by it; there will be another try.
    Retried,
    /// Refused for the last time.
    GivenUp,
}

impl Metrics {
    /// Registers every metric.
    ///
    /// # Errors
    /// Never in practice: the names are constants and each is registered once.
    pub(super) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let counters =
            |name, help, labels: &[&str]| keep(&registry, IntCounterVec::new(Opts::new(name, help), labels)?);
        let gauges = |name, help| keep(&registry, IntGaugeVec::new(Opts::new(name, help), &["authority", "part"])?);
        let gauge = |name: &str, help: &str| keep(&registry, IntGauge::new(name, help)?);
        let buckets = |name, help| HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
        Ok(Self {
            acts: counters(
                "sekisho_issuer_acts_total",
                "Acts in the audit log, by command and result (done, refused).",
                &["command", "result"],
            )?,
            store_changes: counters(
                "sekisho_issuer_store_changes_total",
                "Transactions of the store, by result (committed, unavailable, unknown, busy, serial-taken, corrupt).",
                &["result"],
            )?,
            store_seconds: keep(
                &registry,
                Histogram::with_opts(buckets(
                    "sekisho_issuer_store_change_seconds",
                    "Time from an act's wish to write to its commit.",
                ))?,
            )?,
            requests: counters(
                "sekisho_issuer_requests_total",
                "Requests by listener (api, public), route and status.",
                &["listener", "route", "status"],
            )?,
            request_seconds: keep(
                &registry,
                HistogramVec::new(
                    buckets("sekisho_issuer_request_seconds", "Time from a request's header to its answer."),
                    &["listener"],
                )?,
            )?,
            ocsp_answers: counters(
                "sekisho_issuer_ocsp_answers_total",
                "Answers of the OCSP responder, by method and HTTP status.",
                &["method", "status"],
            )?,
            credentials: counters(
                "sekisho_issuer_credentials_total",
                "Factors checked, by result (right, wrong), and checks that nobody could make (unavailable).",
                &["result"],
            )?,
            notices: counters(
                "sekisho_issuer_notices_total",
                "Notices, by what became of them (new, sent, retried, given-up).",
                &["result"],
            )?,
            notices_waiting: gauge(
                "sekisho_issuer_notices_waiting",
                "Notices that are due and not yet sent, as of the outbox's last round; as many as a round takes at most.",
            )?,
            list_number: gauges("sekisho_issuer_list_number", "CRLNumber of the list that is published.")?,
            list_this_update: gauges(
                "sekisho_issuer_list_this_update_seconds",
                "thisUpdate of the list that is published, seconds since 1970.",
            )?,
            list_next_update: gauges(
                "sekisho_issuer_list_next_update_seconds",
                "nextUpdate of the list that is published, seconds since 1970; gateways refuse everyone after it.",
            )?,
            dropped_records: gauge(
                "sekisho_issuer_dropped_records",
                "Log records dropped because the log could not keep up.",
            )?,
            feed: Arc::new(FeedMetrics::new(&registry)?),
            registry,
        })
    }

    /// Those of the feed.
    pub(super) fn feed(&self) -> Arc<FeedMetrics> {
        Arc::clone(&self.feed)
    }

    /// An act that is in the audit log now.
    pub(super) fn act(&self, command: &str, result: &str) {
        self.acts.with_label_values(&[command, result]).inc();
    }

    /// A transaction that ended.
    pub(super) fn store_changed<T>(&self, outcome: &Result<T, StoreError>, took: Duration) {
        let result = match outcome {
            Ok(_) => "committed",
            Err(StoreError::Unavailable(_)) => "unavailable",
            Err(StoreError::Unknown(_)) => "unknown",
            Err(StoreError::Busy) => "busy",
            Err(StoreError::SerialTaken) => "serial-taken",
            Err(StoreError::Corrupt(_)) => "corrupt",
            Err(StoreError::WentBack(_)) => "went-back",
        };
        self.store_changes.with_label_values(&[result]).inc();
        self.store_seconds.observe(took.as_secs_f64());
    }

    /// A request that was answered. `route` is its pattern, never the path.
    pub(super) fn request(&self, listener: &str, route: &str, method: &str, status: u16, took: Duration) {
        let status = status.to_string();
        self.requests.with_label_values(&[listener, route, &status]).inc();
        self.request_seconds.with_label_values(&[listener]).observe(took.as_secs_f64());
        if route.starts_with("/ocsp/") {
            self.ocsp_answers.with_label_values(&[method, &status]).inc();
        }
    }

    /// Factors that were checked.
    pub(super) fn credentials_checked(&self, right: usize, wrong: usize) {
        self.credentials.with_label_values(&["right"]).inc_by(right as u64);
        self.credentials.with_label_values(&["wrong"]).inc_by(wrong as u64);
    }

    /// A check that nobody could make.
    pub(super) fn credentials_unavailable(&self) {
        self.credentials.with_label_values(&["unavailable"]).inc();
    }

    /// What became of notices.
    pub(super) fn notices(&self, fate: NoticeFate, count: usize) {
        let result = match fate {
            NoticeFate::New => "new",
            NoticeFate::Sent => "sent",
            NoticeFate::Retried => "retried",
            NoticeFate::GivenUp => "given-up",
        };
        self.notices.with_label_values(&[result]).inc_by(count as u64);
    }

    /// How many notices a round of the outbox found.
    pub(super) fn notices_waiting(&self, count: usize) {
        self.notices_waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A list that is published.
    pub(super) fn list(&self, list: &ListFacts<'_>) {
        let part = list.part.to_string();
        let labels = [list.authority, &part];
        self.list_number.with_label_values(&labels).set(list.number);
        self.list_this_update.with_label_values(&labels).set(list.this_update);
        self.list_next_update.with_label_values(&labels).set(list.next_update);
    }

    /// Records that the log lost so far.
    pub(super) fn dropped_records(&self, count: u64) {
        self.dropped_records.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// All of them in the text exposition format.
    pub(super) fn render(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // Writing to a Vec does not fail.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        text
    }
}

impl FeedMetrics {
    fn new(registry: &Registry) -> prometheus::Result<Self> {
        let gauges = |name, help| keep(registry, IntGaugeVec::new(Opts::new(name, help), &["gateway"])?);
        let spread = HistogramOpts::new(
            "sekisho_issuer_feed_spread_seconds",
            "Time from the commit of a change of status until every gateway had it in force, as answers told it.",
        );
        let ended = Opts::new(
            "sekisho_issuer_feed_streams_ended_total",
            "Streams that ended, by why (left, stuck, displaced, stopping, unreadable).",
        );
        let acknowledged = Opts::new(
            "sekisho_issuer_feed_acknowledged_sequence",
            "Sequence number up to which a gateway has every change of an authority's in force; 0 of one that it does not \
             follow.",
        );
        Ok(Self {
            streams: gauges("sekisho_issuer_feed_streams", "Streams of the feed on this node, by gateway.")?,
            ended: keep(registry, IntCounterVec::new(ended, &["why"])?)?,
            messages: keep(
                registry,
                IntCounter::new(
                    "sekisho_issuer_feed_messages_total",
                    "Messages of the feed, heartbeats among them, each counted once however many streams send it.",
                )?,
            )?,
            sequence: keep(
                registry,
                IntGauge::new(
                    "sekisho_issuer_feed_sequence",
                    "Sequence number of the last change of status that the feed told.",
                )?,
            )?,
            acknowledged: keep(registry, IntGaugeVec::new(acknowledged, &["authority", "gateway"])?)?,
            spread_seconds: keep(registry, Histogram::with_opts(spread.buckets(SECONDS.to_vec()))?)?,
        })
    }

    /// How many streams a gateway has.
    pub(super) fn streams(&self, gateway: &str, count: usize) {
        self.streams.with_label_values(&[gateway]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A stream that ended.
    pub(super) fn ended(&self, why: &str) {
        self.ended.with_label_values(&[why]).inc();
    }

    /// Messages that were made, and how far they come.
    pub(super) fn told(&self, messages: u64, to: u64) {
        self.messages.inc_by(messages);
        self.sequence.set(i64::try_from(to).unwrap_or(i64::MAX));
    }

    /// What a gateway has of an authority's.
    pub(super) fn acknowledged(&self, gateway: &str, authority: &str, to: u64) {
        self.acknowledged.with_label_values(&[authority, gateway]).set(i64::try_from(to).unwrap_or(i64::MAX));
    }

    /// A change that every gateway has.
    pub(super) fn spread(&self, took: Duration) {
        self.spread_seconds.observe(took.as_secs_f64());
    }
}

/// Registers a metric and keeps a handle on it.
fn keep<T: Collector + Clone + 'static>(registry: &Registry, metric: T) -> prometheus::Result<T> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_rendered_with_its_labels() {
        let metrics = Metrics::new().unwrap();
        metrics.act("revoke", "done");
        metrics.store_changed::<()>(&Err(StoreError::Busy), Duration::from_millis(3));
        metrics.request("public", "/ocsp/{authority}", "POST", 200, Duration::from_millis(1));
        metrics.request("public", "/crl/{authority}/{file}", "GET", 304, Duration::from_millis(1));
        metrics.credentials_checked(2, 1);
        metrics.notices(NoticeFate::GivenUp, 1);
        let list = ListFacts { authority: "biz", part: 3, number: 7, this_update: 10, next_update: 20 };
        metrics.list(&list);
        let text = String::from_utf8(metrics.render()).unwrap();
        for line in [
            "sekisho_issuer_acts_total{command=\"revoke\",result=\"done\"} 1",
            "sekisho_issuer_store_changes_total{result=\"busy\"} 1",
            "sekisho_issuer_store_change_seconds_count 1",
            "sekisho_issuer_requests_total{listener=\"public\",route=\"/ocsp/{authority}\",status=\"200\"} 1",
            "sekisho_issuer_request_seconds_count{listener=\"public\"} 2",
            "sekisho_issuer_ocsp_answers_total{method=\"POST\",status=\"200\"} 1",
            "sekisho_issuer_credentials_total{result=\"right\"} 2",
            "sekisho_issuer_credentials_total{result=\"wrong\"} 1",
            "sekisho_issuer_notices_total{result=\"given-up\"} 1",
            "sekisho_issuer_list_number{authority=\"biz\",part=\"3\"} 7",
            "sekisho_issuer_list_next_update_seconds{authority=\"biz\",part=\"3\"} 20",
            "sekisho_issuer_dropped_records 0",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("ocsp_answers_total{method=\"GET\""), "a list is no OCSP answer");
    }
}
