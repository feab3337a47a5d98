//! Metrics of the sources of revocation: each list by the CA it is for and where it comes from.

use prometheus::{IntCounterVec, Opts, Registry};

/// Of every source; a source that is gone is not shown any more.
#[derive(Debug)]
pub(in crate::gateway) struct SourceMetrics {
    /// Attempts to fetch a list, by CA, URL and outcome (`new`, `unchanged`, or why it changed nothing).
    pub(in crate::gateway) fetches: IntCounterVec,
}

impl SourceMetrics {
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        Ok(Self {
            fetches: counters(
                "sekisho_fetches_total",
                "Attempts to fetch a revocation list, by CA, source and outcome.",
                &["ca", "source", "outcome"],
            )?,
        })
    }
}
