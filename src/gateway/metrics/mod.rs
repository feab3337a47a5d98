//! Prometheus metrics of the gateway; `docs/reference/metrics.md` lists them.

mod labels;

pub(super) use labels::{
    AcknowledgementOutcome, Act, HandshakeOutcome, HandshakeReason, MessageOutcome, ReloadOutcome, Resumed, StreamEnd,
    UpstreamError,
};

use super::base::limits::Limit;
use super::verify::{Reason, Unenforced};
use sekisho_config::CaState;
use sekisho_runtime::metrics;
use sekisho_runtime::metrics::{
    CertificateMetrics, Declaration, MetricSet as _, ProcessMetrics, Registered, Series, exposition,
};
use sekisho_trust::AlarmKind;
use sekisho_trust::sources::ocsp::OcspOutcome;
use sekisho_trust::sources::{FetchErrorKind, FetchOutcome};

/// From a handshake without waiting to the longest that a limit allows.
const HANDSHAKE: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
const REQUEST: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
/// From a responder in the same room to the longest timeout.
const STATUS_QUERY: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0, 30.0];
const FEED_APPLY: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];

metrics! {
    /// What the gateway counts as it happens.
    pub(super) struct GatewayMetrics in "sekisho" {
        /// TLS handshakes, by site, outcome, reason of the refusal or failure, and whether the session was resumed.
        handshakes_total: Counter[site, outcome: HandshakeOutcome, reason: HandshakeReason, resumed: Resumed],
        /// Time from accept to the end of the handshake.
        handshake_duration_seconds: Histogram(HANDSHAKE),
        /// Accepted handshakes, by the CA that issued the certificate and its state.
        ca_handshakes_total: Counter[ca, state: CaState],
        /// Live client connections after their handshake.
        connections: Gauge,
        /// Connections that the operating system could not hand over: descriptors or memory are used up.
        accept_errors_total: Counter,
        /// Requests, by site and status; status 0 is a request without a response.
        requests_total: Counter[site, status],
        /// Time from the header of a request to the end of its response.
        request_duration_seconds: Histogram(REQUEST),
        /// Requests refused because of the client's certificate, by site and reason.
        refused_requests_total: Counter[site, reason: Reason],
        /// Clients whose revocation status was pending after the handshake, by site, final outcome and reason.
        pending_revocation_checks_total: Counter[site, outcome: HandshakeOutcome, reason: HandshakeReason],
        /// Time that the first request of a client waited for a pending revocation status.
        pending_revocation_check_duration_seconds: Histogram(STATUS_QUERY),
        /// Handshakes and requests that only the CA's when_stale lets pass, by CA and the reason for a refusal otherwise.
        unenforced_refusals_total: Counter[ca, reason: Reason],
        /// Live connections cut because the client is no longer accepted, by reason.
        cut_connections_total: Counter[reason: Reason],
        /// Limits reached, by the key of the limit in the configuration.
        limits_reached_total: Counter[limit: Limit],
        /// Failures of upstreams, by pool and kind.
        upstream_errors_total: Counter[pool, kind: UpstreamError],
        /// Loads of the configuration and its files, by outcome.
        reloads_total: Counter[outcome: ReloadOutcome],
        /// Problems with CRLs when they were loaded, by CA and kind; the CRL before stays in force.
        crl_problems_total: Counter[ca, kind: AlarmKind],
        /// Attempts to fetch a CRL, by CA, URL and outcome.
        crl_fetches_total: Counter[ca, source, outcome: FetchOutcome],
        /// Requests to OCSP responders, by CA and outcome.
        ocsp_requests_total: Counter[ca, outcome: OcspOutcome],
        /// Time from a request to an OCSP responder to its end.
        ocsp_request_duration_seconds: Histogram(STATUS_QUERY),
        /// Changes of the block list and denied attempts to change it, by act.
        block_changes_total: Counter[act: Act],
    }
}

metrics! {
    /// What the gateway counts of the issuer's feed as it happens.
    pub(super) struct FeedMetrics in "sekisho_feed" {
        /// Messages of the feed with a valid signature, by outcome.
        messages_total: Counter[outcome: MessageOutcome],
        /// Changes of status in messages of the feed.
        changes_total: Counter,
        /// Changes of status of a CA without feed = true: they are in force with its next CRL only.
        not_followed_total: Counter[ca],
        /// Streams of the feed that ended, by reason.
        stream_ends_total: Counter[reason: StreamEnd],
        /// Acknowledgements sent to the issuer, by outcome.
        acknowledgements_total: Counter[outcome: AcknowledgementOutcome],
        /// Times that the state of the feed could not be stored on disk.
        state_errors_total: Counter,
        /// Time from the arrival of a message until it is in force and live connections are cut.
        apply_duration_seconds: Histogram(FEED_APPLY),
    }
}

metrics! {
    /// The state of the gateway at a scrape.
    pub(super) struct Readings in "sekisho" {
        /// The version of the gateway; the value is always 1.
        build_info: Reading[version],
        /// Configurations and CRLs put in force since the start, that of the start among them.
        snapshots_published_total: Counter,
        /// 1 if the last load of the configuration and its files was accepted.
        config_last_reload_successful: Reading,
        /// Time of the last load of the configuration and its files that was accepted.
        config_last_reload_success_timestamp_seconds: Reading,
        /// Time of the first load that was refused since the last accepted one; absent if none was.
        config_reload_refused_since_timestamp_seconds: Reading,
        /// Log records dropped because the log could not keep up.
        dropped_log_records_total: Counter,
        /// Blocks in force.
        blocks: Reading,
        /// CRLs in force that are not stored in the state folder: after a restart, older ones would be accepted.
        crls_not_stored: Reading,
        /// 0 while a CRL of the CA was refused or cannot be read, and may be newer than the one in force.
        crl_current: Reading[ca],
        /// Certificates on the CRLs in force, by CA.
        crl_entries: Reading[ca],
        /// Time of thisUpdate of the CRL in force, by CA; of a partitioned CRL, the earliest.
        crl_this_update_timestamp_seconds: Reading[ca],
        /// Time at which the CRL in force becomes stale, by CA: nextUpdate, or what without_next_update sets; the earliest of a
        /// partitioned CRL.
        crl_next_update_timestamp_seconds: Reading[ca],
        /// Failed attempts in a row to fetch a CRL, by CA and URL.
        crl_source_consecutive_failures: Reading[ca, source],
        /// Time of the last usable response of a server, by CA and URL.
        crl_source_last_response_timestamp_seconds: Reading[ca, source],
        /// Time at which a CRL is fetched next, by CA and URL.
        crl_source_next_fetch_timestamp_seconds: Reading[ca, source],
        /// 1 while the last CRL of a URL or file was refused or could not be fetched, by CA, source and reason.
        crl_source_error: Reading[ca, source, reason: FetchErrorKind],
        /// CRLNumber of the CRL in force, by CA and the URL or file that it came from.
        crl_source_number: Reading[ca, source],
        /// Time of thisUpdate of the CRL in force, by CA and source.
        crl_source_this_update_timestamp_seconds: Reading[ca, source],
        /// Time of nextUpdate of the CRL in force, by CA and source.
        crl_source_next_update_timestamp_seconds: Reading[ca, source],
        /// Certificates on the CRL in force, by CA and source.
        crl_source_entries: Reading[ca, source],
        /// Certificates of which an OCSP response is kept.
        ocsp_cached_responses: Reading,
        /// 1 while the OCSP responder of the CA does not answer.
        ocsp_responder_down: Reading[ca],
        /// 1 while the peer passes its health checks, by pool and address.
        upstream_peer_healthy: Reading[pool, peer],
        /// 1 while a node of the issuer is followed.
        feed_connected: Reading,
        /// Sequence number up to which the changes of the feed are in force.
        feed_sequence: Reading,
        /// Time of the last message that describes the present state.
        feed_last_message_timestamp_seconds: Reading,
        /// 1 while the CA is followed without a gap and contact is not lost.
        feed_current: Reading[ca],
        /// Changes of the feed that no CRL in force has yet, by CA.
        feed_changes_not_in_crl: Reading[ca],
        /// Revocations that stay in force although no CRL has them that should, by CA.
        withdrawn_revocations: Reading[ca],
    }
}

/// The metrics of a gateway that last as long as it does.
#[derive(Debug)]
pub(super) struct Metrics {
    gateway: Registered<GatewayMetrics>,
    pub(super) feed: Registered<FeedMetrics>,
}

impl Metrics {
    /// Registers every metric.
    ///
    /// # Errors
    /// Never in practice: the names are constants and each is registered once.
    pub(super) fn new() -> metrics::Result<Self> {
        Ok(Self { gateway: Registered::new()?, feed: Registered::new()? })
    }

    /// Removes every series for which `keep` returns `false`.
    pub(super) fn retain(&self, keep: &dyn Fn(Series<'_>) -> bool) {
        self.gateway.retain(keep);
        self.feed.retain(keep);
    }

    /// Returns all of them, with what was read at this scrape, in the text format.
    pub(super) fn exposition(
        &self,
        readings: &Registered<Readings>,
        certificates: &Registered<CertificateMetrics>,
        process: &Registered<ProcessMetrics>,
    ) -> String {
        let sets = [self.gateway.gather(), self.feed.gather(), readings.gather()];
        exposition(sets.into_iter().chain([certificates.gather(), process.gather()]))
    }

    /// Counts what a CA's policy lets pass.
    pub(super) fn count_unenforced(&self, unenforced: &Unenforced) {
        self.unenforced_refusals_total(unenforced.ca(), unenforced.reason()).inc();
    }
}

impl std::ops::Deref for Metrics {
    type Target = GatewayMetrics;

    fn deref(&self) -> &GatewayMetrics {
        &self.gateway
    }
}

/// Returns the declaration of every metric of the gateway, in the order of their names.
pub fn metric_declarations() -> Vec<Declaration> {
    let mut declarations = [
        GatewayMetrics::declarations(),
        FeedMetrics::declarations(),
        Readings::declarations(),
        CertificateMetrics::declarations(),
        ProcessMetrics::declarations(),
    ]
    .concat();
    declarations.sort_by_key(|declaration| declaration.name);
    declarations
}
