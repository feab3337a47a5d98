//! Prometheus metrics of the issuer; `docs/reference/metrics.md` lists them.

use super::store::StoreError;
use sekisho_runtime::metrics::{
    CertificateMetrics, Declaration, MetricSet as _, ProcessMetrics, Registered, exposition,
};
use sekisho_runtime::{label, metrics};
use std::sync::Arc;
use std::time::Duration;

/// From a group commit on a fast disk to a caller's patience.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

label! {
    /// The result of an act that is in the audit log.
    pub(super) enum ActOutcome {
        /// It was done.
        Done = "done",
        /// It was refused.
        Refused = "refused",
    }
}

label! {
    /// The end of a transaction.
    pub(super) enum TransactionResult {
        /// It is in the store.
        Committed = "committed",
        /// The store does not answer.
        Unavailable = "unavailable",
        /// The store may have committed it or not.
        Unknown = "unknown",
        /// Others wrote the same rows too often.
        Busy = "busy",
        /// Another certificate has the serial number.
        SerialTaken = "serial-taken",
        /// What the store holds cannot be read.
        Corrupt = "corrupt",
        /// The store is in an earlier state than before.
        WentBack = "went-back",
    }
}

label! {
    /// One of the addresses that requests come to.
    pub(super) enum ListenerName {
        /// `listen`.
        Api = "api",
        /// `public_listen`.
        Public = "public",
    }
}

label! {
    /// The method of a request.
    pub(super) enum Method {
        /// GET.
        Get = "GET",
        /// HEAD.
        Head = "HEAD",
        /// POST.
        Post = "POST",
        /// PUT.
        Put = "PUT",
        /// PATCH.
        Patch = "PATCH",
        /// DELETE.
        Delete = "DELETE",
        /// OPTIONS.
        Options = "OPTIONS",
        /// Any other: clients may write any word.
        Other = "other",
    }
}

label! {
    /// The result of a check of a factor.
    pub(super) enum CheckResult {
        /// The factor is right.
        Right = "right",
        /// The factor is wrong.
        Wrong = "wrong",
        /// The factor could not be checked.
        Unavailable = "unavailable",
    }
}

label! {
    /// What became of a notice.
    pub(super) enum NoticeResult {
        /// It is in the outbox.
        New = "new",
        /// The mail server accepted it.
        Sent = "sent",
        /// The mail server did not accept it, and there will be another try.
        Retried = "retried",
        /// The mail server did not accept it at the last try.
        GivenUp = "given-up",
    }
}

label! {
    /// Why a stream of the feed ended.
    pub(super) enum StreamEnd {
        /// The gateway closed it.
        Left = "left",
        /// The gateway did not read.
        Stuck = "stuck",
        /// Newer streams of the gateway took its place.
        Displaced = "displaced",
        /// The issuer stops.
        Stopping = "stopping",
        /// What the gateway lacks cannot be read or signed.
        Unreadable = "unreadable",
    }
}

metrics! {
    /// What the issuer counts as it happens.
    pub(super) struct IssuerMetrics in "sekisho_issuer" {
        /// Acts in the audit log, by command and result.
        acts_total: Counter[command, result: ActOutcome],
        /// Transactions of the store, by result.
        store_transactions_total: Counter[result: TransactionResult],
        /// Time from the start of a transaction of the store to its end.
        store_transaction_duration_seconds: Histogram(SECONDS),
        /// Requests, by listener, route and status.
        requests_total: Counter[listener: ListenerName, route, status],
        /// Time from the header of a request to its response, by listener.
        request_duration_seconds: Histogram[listener: ListenerName](SECONDS),
        /// Responses of the OCSP responder, by method and HTTP status.
        ocsp_responses_total: Counter[method: Method, status],
        /// Checks of factors, by result.
        credential_checks_total: Counter[result: CheckResult],
        /// Notices, by what became of them.
        notices_total: Counter[result: NoticeResult],
        /// Notices that the last round of the outbox found due, at most as many as a round sends.
        notices_due: Reading,
    }
}

metrics! {
    /// What the feed counts as it happens.
    pub(super) struct FeedMetrics in "sekisho_issuer_feed" {
        /// Streams of the feed that ended, by reason.
        stream_ends_total: Counter[reason: StreamEnd],
        /// Messages of the feed, heartbeats among them, each counted once for all streams.
        messages_total: Counter,
        /// Time from the commit of a change of status until every gateway had acknowledged it.
        propagation_duration_seconds: Histogram(SECONDS),
    }
}

metrics! {
    /// The state of the issuer at a scrape.
    pub(super) struct IssuerReadings in "sekisho_issuer" {
        /// The version of the issuer; the value is always 1.
        build_info: Reading[version],
        /// Log records dropped because the log could not keep up.
        dropped_log_records_total: Counter,
        /// CRLNumber of the CRL that is published, by authority and partition.
        crl_number: Reading[authority, partition],
        /// Time of thisUpdate of the CRL that is published, by authority and partition.
        crl_this_update_timestamp_seconds: Reading[authority, partition],
        /// Time of nextUpdate of the CRL that is published, by authority and partition.
        crl_next_update_timestamp_seconds: Reading[authority, partition],
        /// Streams of the feed on this node, by gateway.
        feed_streams: Reading[gateway],
        /// Sequence number of the last change of status in the feed.
        feed_sequence: Reading,
        /// Sequence number up to which a gateway has every change of an authority in force.
        feed_acknowledged_sequence: Reading[authority, gateway],
    }
}

/// The metrics of an issuer that last as long as it does.
#[derive(Debug)]
pub(super) struct Metrics {
    issuer: Registered<IssuerMetrics>,
    feed: Arc<Registered<FeedMetrics>>,
}

impl Metrics {
    /// Registers every metric.
    ///
    /// # Errors
    /// Never in practice: the names are constants and each is registered once.
    pub(super) fn new() -> metrics::Result<Self> {
        Ok(Self { issuer: Registered::new()?, feed: Arc::new(Registered::new()?) })
    }

    /// Returns those of the feed.
    pub(super) fn feed(&self) -> Arc<Registered<FeedMetrics>> {
        Arc::clone(&self.feed)
    }

    /// Returns all of them, with what was read at this scrape, in the text format.
    pub(super) fn exposition(
        &self,
        readings: &Registered<IssuerReadings>,
        certificates: &Registered<CertificateMetrics>,
        process: &Registered<ProcessMetrics>,
    ) -> String {
        let sets = [self.issuer.gather(), self.feed.gather(), readings.gather()];
        exposition(sets.into_iter().chain([certificates.gather(), process.gather()]))
    }
}

impl std::ops::Deref for Metrics {
    type Target = IssuerMetrics;

    fn deref(&self) -> &IssuerMetrics {
        &self.issuer
    }
}

/// Returns the declaration of every metric of the issuer, in the order of their names.
pub fn metric_declarations() -> Vec<Declaration> {
    let mut declarations = [
        IssuerMetrics::declarations(),
        FeedMetrics::declarations(),
        IssuerReadings::declarations(),
        CertificateMetrics::declarations(),
        ProcessMetrics::declarations(),
    ]
    .concat();
    declarations.sort_by_key(|declaration| declaration.name);
    declarations
}

impl TransactionResult {
    /// Returns the value for the outcome of a transaction.
    pub(super) const fn of<T>(outcome: &Result<T, StoreError>) -> Self {
        match outcome {
            Ok(_) => Self::Committed,
            Err(StoreError::Unavailable(_)) => Self::Unavailable,
            Err(StoreError::Unknown(_)) => Self::Unknown,
            Err(StoreError::Busy) => Self::Busy,
            Err(StoreError::SerialTaken) => Self::SerialTaken,
            Err(StoreError::Corrupt(_)) => Self::Corrupt,
            Err(StoreError::WentBack(_)) => Self::WentBack,
        }
    }
}

impl Method {
    /// Returns the value for a request's method.
    pub(super) fn of(method: &http::Method) -> Self {
        Self::ALL.iter().copied().find(|known| known.as_str() == method.as_str()).unwrap_or(Self::Other)
    }
}

impl IssuerMetrics {
    /// Counts a transaction that ended.
    pub(super) fn count_transaction<T>(&self, outcome: &Result<T, StoreError>, took: Duration) {
        self.store_transactions_total(TransactionResult::of(outcome)).inc();
        self.store_transaction_duration_seconds().observe(took.as_secs_f64());
    }

    /// Counts a request that was answered. `route` is its pattern, never the path.
    pub(super) fn count_request(
        &self,
        listener: ListenerName,
        route: &str,
        method: Method,
        status: u16,
        took: Duration,
    ) {
        let status = status.to_string();
        self.requests_total(listener, route, &status).inc();
        self.request_duration_seconds(listener).observe(took.as_secs_f64());
        if route.starts_with("/ocsp/") {
            self.ocsp_responses_total(method, &status).inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_shown_with_its_labels() {
        let metrics = Metrics::new().unwrap();
        metrics.acts_total("revoke", ActOutcome::Done).inc();
        metrics.count_transaction::<()>(&Err(StoreError::Busy), Duration::from_millis(3));
        let public = ListenerName::Public;
        metrics.count_request(public, "/ocsp/{authority}", Method::Post, 200, Duration::from_millis(1));
        metrics.count_request(public, "/crl/{authority}/{file}", Method::Get, 304, Duration::from_millis(1));
        metrics.credential_checks_total(CheckResult::Right).inc_by(2);
        metrics.notices_total(NoticeResult::GivenUp).inc();
        let text = exposition([metrics.issuer.gather(), metrics.feed.gather()]);
        for line in [
            "sekisho_issuer_acts_total{command=\"revoke\",result=\"done\"} 1",
            "sekisho_issuer_store_transactions_total{result=\"busy\"} 1",
            "sekisho_issuer_store_transactions_total{result=\"committed\"} 0",
            "sekisho_issuer_store_transaction_duration_seconds_count 1",
            "sekisho_issuer_requests_total{listener=\"public\",route=\"/ocsp/{authority}\",status=\"200\"} 1",
            "sekisho_issuer_request_duration_seconds_count{listener=\"public\"} 2",
            "sekisho_issuer_ocsp_responses_total{method=\"POST\",status=\"200\"} 1",
            "sekisho_issuer_credential_checks_total{result=\"right\"} 2",
            "sekisho_issuer_credential_checks_total{result=\"wrong\"} 0",
            "sekisho_issuer_notices_total{result=\"given-up\"} 1",
            "sekisho_issuer_feed_stream_ends_total{reason=\"stuck\"} 0",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("ocsp_responses_total{method=\"GET\""), "a CRL is no OCSP response");
        assert!(!text.contains("sekisho_issuer_notices_due"), "no round of the outbox has been");
    }

    #[test]
    fn a_method_that_is_not_known_is_no_label() {
        assert_eq!(Method::of(&http::Method::PATCH), Method::Patch);
        assert_eq!(Method::of(&http::Method::from_bytes(b"BREW").unwrap()), Method::Other);
    }
}
