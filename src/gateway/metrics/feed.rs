//! Metrics of the issuer's feed.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use sekisho_pki::time::Timestamp;
use sekisho_trust::TrustSnapshot;
use sekisho_trust::feed::Following;

/// What messages come to.
const MESSAGES: [&str; 4] = ["applied", "heartbeat", "outdated", "repeated"];

/// Why streams end.
const ENDS: [&str; 20] = [
    "algorithm",
    "another-feed",
    "another-history",
    "backwards",
    "connect",
    "ended",
    "events",
    "failed",
    "feed-ahead",
    "form",
    "full",
    "gap",
    "header",
    "overlap",
    "payload",
    "refused",
    "signature",
    "silent",
    "type",
    "unknown-key",
];

/// `sekisho_feed_*`.
#[derive(Debug)]
pub(in crate::gateway) struct FeedMetrics {
    /// 1 from a stream's first message to its end.
    pub(in crate::gateway) connected: IntGauge,
    sequence: IntGauge,
    last_message: IntGauge,
    current: IntGaugeVec,
    held: IntGaugeVec,
    withdrawn: IntGaugeVec,
    pub(in crate::gateway) messages: IntCounterVec,
    pub(in crate::gateway) changes: IntCounter,
    pub(in crate::gateway) not_followed: IntCounterVec,
    pub(in crate::gateway) ends: IntCounterVec,
    pub(in crate::gateway) acknowledgements: IntCounterVec,
    pub(in crate::gateway) state_errors: IntCounter,
    pub(in crate::gateway) apply_seconds: Histogram,
}

impl FeedMetrics {
    /// Registers every metric.
    ///
    /// # Errors
    /// Never in practice: the names are constants and each is registered once.
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let by_ca = |name: &str, help: &str| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), &["ca"])?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let counters = |name: &str, help: &str, label: &str, values: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counter.clone()))?;
            values.iter().for_each(|value| counter.with_label_values(&[value]).inc_by(0));
            Ok::<_, prometheus::Error>(counter)
        };
        let buckets = vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];
        let opts = HistogramOpts::new(
            "sekisho_feed_apply_seconds",
            "Time from a message's arrival until it is in force and live connections are cut.",
        );
        let apply_seconds = Histogram::with_opts(opts.buckets(buckets))?;
        registry.register(Box::new(apply_seconds.clone()))?;
        Ok(Self {
            connected: gauge("sekisho_feed_connected", "1 while a node of the issuer is followed.")?,
            sequence: gauge("sekisho_feed_sequence", "Sequence number up to which the feed's changes are in force.")?,
            last_message: gauge(
                "sekisho_feed_last_message_seconds",
                "When the last message came that said how things stand, seconds since 1970.",
            )?,
            current: by_ca("sekisho_feed_current", "1 while the CA is followed without a gap and not lost.")?,
            held: by_ca("sekisho_feed_held_changes", "Changes told that no list in force has yet.")?,
            withdrawn: by_ca(
                "sekisho_withdrawn_revocations",
                "Revocations that stay in force although no list has them that should.",
            )?,
            messages: counters(
                "sekisho_feed_messages_total",
                "Messages of the feed with a right signature, by what they came to.",
                "outcome",
                &MESSAGES,
            )?,
            changes: counter("sekisho_feed_changes_total", "Changes that the feed told.")?,
            not_followed: counters(
                "sekisho_feed_not_followed_total",
                "Changes told of certificates of a CA that does not follow the feed.",
                "ca",
                &[],
            )?,
            ends: counters("sekisho_feed_stream_ends_total", "Streams of the feed that ended, by why.", "why", &ENDS)?,
            acknowledgements: counters(
                "sekisho_feed_acknowledgements_total",
                "Acknowledgements sent, by outcome.",
                "outcome",
                &["accepted", "failed", "refused"],
            )?,
            state_errors: counter(
                "sekisho_feed_state_errors_total",
                "Times that the state could not be kept on disk.",
            )?,
            apply_seconds,
        })
    }

    /// Shows how the feed stands.
    pub(super) fn show(&self, trust: &TrustSnapshot, now: Timestamp) {
        let feed = &trust.live().feed;
        let sequence = feed.position().map_or(0, |position| position.to);
        self.sequence.set(i64::try_from(sequence).unwrap_or(i64::MAX));
        self.last_message.set(feed.heard().map_or(0, Timestamp::unix));
        for authority in trust.authorities() {
            let (ca, key) = ([&**authority.name()], authority.key());
            let withdrawn = i64::try_from(trust.withdrawn_of(authority)).unwrap_or(i64::MAX);
            self.withdrawn.with_label_values(&ca).set(withdrawn);
            let current = match feed.following(&key, now) {
                Following::NotConfigured => continue,
                Following::Current => 1,
                Following::Lapsed(_) => 0,
            };
            self.current.with_label_values(&ca).set(current);
            let held = i64::try_from(feed.held_of(&key)).unwrap_or(i64::MAX);
            self.held.with_label_values(&ca).set(held);
        }
    }
}
