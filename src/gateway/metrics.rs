//! Prometheus metrics of the gateway. Names are stable; docs/reference/metrics.md lists them.

mod feed;
mod sources;

use self::feed::FeedMetrics;
use super::verify::{Reason, Unenforced};
use crate::gateway::request::upstream::Pools;
use crate::gateway::revocation::blocks::Act;
use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};
use sekisho_config::Config;
use sekisho_pki::time::Timestamp;
use sekisho_trust::{Readiness, TrustSnapshot};
use sources::SourceMetrics;

/// The limits that are counted, by their keys in the configuration.
const LIMITS: [&str; 21] = [
    "body_bytes_in_flight",
    "body_idle_timeout",
    "connections",
    "connections_opening_per_connection",
    "connections_opening_per_peer",
    "connections_per_address",
    "finish",
    "handshake_timeout",
    "header_timeout",
    "http2_resets",
    "idle_timeout",
    "new_connections_per_second_per_address",
    "request_body_bytes",
    "request_header_bytes",
    "request_timeout",
    "requests_in_flight",
    "requests_in_flight_per_address",
    "requests_in_flight_per_certificate",
    "requests_in_flight_per_peer",
    "requests_per_connection",
    "slow_body_bytes_per_second",
];

/// What becomes of a question to an OCSP responder: an answer, or why there is none that is believed.
pub(super) const OCSP_OUTCOMES: [&str; 19] = [
    "good",
    "revoked",
    "unknown",
    "declined",
    "from-the-future",
    "http-status",
    "malformed",
    "no-nonce",
    "not-asked",
    "not-newer",
    "not-understood",
    "other-certificate",
    "stale",
    "timeout",
    "too-long",
    "unreachable",
    "wrong-nonce",
    "wrong-signature",
    "wrong-signer",
];

/// Kinds of upstream failures.
const UPSTREAM_ERRORS: [&str; 4] = ["broken", "connect", "no-peer", "timeout"];

/// All metrics of one gateway, in a registry of their own (tests run several gateways in one process).
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    /// Handshakes by site, outcome (`accepted`, `anonymous`, `refused`, `failed`), reason and whether resumed.
    pub(super) handshakes: IntCounterVec,
    pub(super) handshake_seconds: Histogram,
    pub(super) connections: IntGauge,
    /// Requests by site and status.
    pub(super) requests: IntCounterVec,
    pub(super) request_seconds: Histogram,
    /// Requests refused by site and reason.
    pub(super) refused_requests: IntCounterVec,
    /// Clients whose status was told after their handshake, by site, outcome (`accepted`, `refused`) and reason.
    pub(super) settled_clients: IntCounterVec,
    pub(super) settle_seconds: Histogram,
    /// Questions to OCSP responders by CA and outcome ([`OCSP_OUTCOMES`]).
    pub(super) ocsp_questions: IntCounterVec,
    pub(super) ocsp_seconds: Histogram,
    ocsp_answers: IntGauge,
    ocsp_responder_down: IntGaugeVec,
    /// What a CA's policy let pass, by CA and the reason it would have been refused for.
    unenforced: IntCounterVec,
    /// Connections cut by reason.
    pub(super) cut_connections: IntCounterVec,
    /// Limits met, by the limit's key in the configuration.
    pub(super) limits: IntCounterVec,
    /// Upstream failures by pool and kind (`connect`, `timeout`, `broken`, `no-peer`).
    pub(super) upstream_errors: IntCounterVec,
    /// Reloads by outcome (`published`, `refused`).
    pub(super) reloads: IntCounterVec,
    /// Revocation lists or other files refused while the old ones stayed in force, by CA and kind.
    pub(super) alarms: IntCounterVec,
    pub(super) sources: SourceMetrics,
    pub(super) dropped_records: IntGauge,
    /// Accepted handshakes by the CA that issued the certificate and that CA's state (`active`, `draining`).
    pub(super) ca_handshakes: IntCounterVec,
    /// Changes of the block list, and tries of those who may not, by act.
    pub(super) block_changes: IntCounterVec,
    blocks: IntGauge,
    /// CRLs in force that are not on the disk.
    pub(super) crls_not_kept: IntGauge,
    generation: IntGauge,
    list_entries: IntGaugeVec,
    list_this_update: IntGaugeVec,
    list_next_update: IntGaugeVec,
    peer_healthy: IntGaugeVec,
    pub(super) accept_errors: IntCounter,
    /// Of the issuer's feed.
    pub(super) feed: FeedMetrics,
}

impl Metrics {
    /// Registers every metric.
    ///
    /// # Errors
    /// Never in practice: the names are constants and each is registered once.
    pub(super) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, prometheus::Error>(histogram)
        };
        let accept_errors =
            IntCounter::new("sekisho_accept_errors_total", "Connections the operating system could not hand over.")?;
        registry.register(Box::new(accept_errors.clone()))?;
        let metrics = Self {
            handshakes: counters(
                "sekisho_handshakes_total",
                "TLS handshakes by site, outcome, refusal reason and whether the session was resumed.",
                &["site", "outcome", "reason", "resumed"],
            )?,
            handshake_seconds: histogram(
                "sekisho_handshake_seconds",
                "Time from accept to the end of the handshake.",
                &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0],
            )?,
            connections: gauge("sekisho_connections", "Live client connections after their handshake.")?,
            requests: counters("sekisho_requests_total", "Requests by site and status.", &["site", "status"])?,
            request_seconds: histogram(
                "sekisho_request_seconds",
                "Time from a request's header to the end of its response.",
                &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0],
            )?,
            refused_requests: counters(
                "sekisho_refused_requests_total",
                "Requests refused because of the client's certificate, by site and reason.",
                &["site", "reason"],
            )?,
            settled_clients: counters(
                "sekisho_settled_clients_total",
                "Clients whose revocation status was told after their handshake, by site, outcome and refusal reason.",
                &["site", "outcome", "reason"],
            )?,
            settle_seconds: histogram(
                "sekisho_settle_seconds",
                "Time that a client's first request waited for its revocation status.",
                &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0, 30.0],
            )?,
            ocsp_questions: counters(
                "sekisho_ocsp_questions_total",
                "Questions to OCSP responders, by CA and outcome.",
                &["ca", "outcome"],
            )?,
            ocsp_seconds: histogram(
                "sekisho_ocsp_question_seconds",
                "Time from a question to an OCSP responder to its end.",
                &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0, 30.0],
            )?,
            ocsp_answers: gauge("sekisho_ocsp_answers", "Certificates of which an OCSP answer is kept.")?,
            ocsp_responder_down: gauges(
                "sekisho_ocsp_responder_down",
                "1 while the CA's OCSP responder does not answer.",
                &["ca"],
            )?,
            unenforced: counters(
                "sekisho_unenforced_refusals_total",
                "Handshakes and requests that only the CA's when_stale let pass, by CA and reason.",
                &["ca", "reason"],
            )?,
            cut_connections: counters(
                "sekisho_cut_connections_total",
                "Live connections cut, by reason.",
                &["reason"],
            )?,
            limits: counters("sekisho_limits_total", "Limits met, by their key in the configuration.", &["limit"])?,
            upstream_errors: counters(
                "sekisho_upstream_errors_total",
                "Upstream failures by pool and kind.",
                &["pool", "kind"],
            )?,
            reloads: counters("sekisho_reloads_total", "Reloads by outcome.", &["outcome"])?,
            alarms: counters(
                "sekisho_trust_alarms_total",
                "Revocation lists refused while the old one stayed in force, by CA and kind.",
                &["ca", "kind"],
            )?,
            sources: SourceMetrics::new(&registry)?,
            dropped_records: gauge(
                "sekisho_dropped_records",
                "Log records dropped because the log could not keep up.",
            )?,
            ca_handshakes: counters(
                "sekisho_ca_handshakes_total",
                "Accepted handshakes by the CA that issued the certificate and its state.",
                &["ca", "state"],
            )?,
            block_changes: counters(
                "sekisho_block_changes_total",
                "Changes of the block list, and denied tries, by act.",
                &["act"],
            )?,
            blocks: gauge("sekisho_blocks", "Blocks in force.")?,
            crls_not_kept: gauge(
                "sekisho_crls_not_kept",
                "CRLs in force that are not stored in the state folder: after a restart, older ones would be accepted.",
            )?,
            generation: gauge("sekisho_snapshot_generation", "Snapshots published since start.")?,
            list_entries: gauges(
                "sekisho_revocation_list_entries",
                "Certificates on the revocation list in force.",
                &["ca"],
            )?,
            list_this_update: gauges(
                "sekisho_revocation_list_this_update_seconds",
                "thisUpdate of the revocation list in force, seconds since 1970.",
                &["ca"],
            )?,
            list_next_update: gauges(
                "sekisho_revocation_list_next_update_seconds",
                "nextUpdate of the revocation list in force, seconds since 1970.",
                &["ca"],
            )?,
            peer_healthy: gauges(
                "sekisho_upstream_peer_healthy",
                "1 while the peer passes its health checks.",
                &["pool", "peer"],
            )?,
            accept_errors,
            feed: FeedMetrics::new(&registry)?,
            registry,
        };
        metrics.begin_at_zero();
        Ok(metrics)
    }

    /// Shows every series whose labels are known from 0 on: one that appears with its first event has no increase for
    /// an alert to see.
    fn begin_at_zero(&self) {
        for limit in LIMITS {
            self.limits.with_label_values(&[limit]);
        }
        for outcome in ["published", "refused"] {
            self.reloads.with_label_values(&[outcome]);
        }
        for act in Act::ALL {
            self.block_changes.with_label_values(&[act.name()]);
        }
        for reason in Reason::ALL {
            self.cut_connections.with_label_values(&[reason.name()]);
        }
    }

    /// Counts what a CA's policy let pass.
    pub(super) fn count_unenforced(&self, unenforced: &Unenforced) {
        self.unenforced.with_label_values(&[&**unenforced.ca(), unenforced.reason().name()]).inc();
    }

    /// Shows the series of what is configured, from 0 on.
    pub(super) fn configured(&self, config: &Config) {
        for ca in &config.cas {
            self.ca_handshakes.with_label_values(&[&*ca.name, config.state_of(&ca.name).name()]);
        }
    }

    /// Shows the published trust.
    pub(super) fn published(&self, generation: u64, trust: &TrustSnapshot, now: Timestamp) {
        self.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        self.blocks.set(i64::try_from(trust.live().blocks.len()).unwrap_or(i64::MAX));
        for status in trust.status(now) {
            let ca = [&*status.ca];
            if status.readiness != Readiness::NotChecked {
                self.unenforced.with_label_values(&[&*status.ca, Reason::RevocationUnavailable.name()]);
            }
            let Some(this_update) = status.this_update else {
                continue;
            };
            self.list_entries.with_label_values(&ca).set(i64::try_from(status.entries).unwrap_or(i64::MAX));
            self.list_this_update.with_label_values(&ca).set(this_update.unix());
            self.list_next_update.with_label_values(&ca).set(status.next_update.map_or(0, Timestamp::unix));
        }
    }

    /// Shows how the OCSP responders do.
    pub(super) fn responders(&self, trust: &TrustSnapshot) {
        let answers = &trust.live().answers;
        self.ocsp_answers.set(i64::try_from(answers.len()).unwrap_or(i64::MAX));
        for authority in trust.authorities().iter().filter(|authority| authority.responder().is_some()) {
            let down = answers.down(&authority.key()).is_some();
            self.ocsp_responder_down.with_label_values(&[&**authority.name()]).set(i64::from(down));
            for outcome in OCSP_OUTCOMES {
                self.ocsp_questions.with_label_values(&[&**authority.name(), outcome]);
            }
        }
    }

    /// The exposition in Prometheus text format.
    pub(super) fn render(&self, pools: &Pools, trust: &TrustSnapshot, now: Timestamp) -> Vec<u8> {
        self.feed.show(trust, now);
        for (pool, peer, healthy) in pools.health() {
            self.peer_healthy.with_label_values(&[&*pool, &peer]).set(i64::from(healthy));
            for kind in UPSTREAM_ERRORS {
                self.upstream_errors.with_label_values(&[&*pool, kind]);
            }
        }
        let mut text = Vec::new();
        // Writing to a Vec does not fail.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        text
    }
}
