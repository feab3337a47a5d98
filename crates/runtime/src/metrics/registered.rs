//! Metrics with their registry, and their exposition.

use super::declare::{MetricSet, Series};
use prometheus::core::{MetricVec, MetricVecBuilder};
use prometheus::proto::MetricFamily;
use prometheus::{Registry, TextEncoder};
use std::collections::HashMap;
use std::ops::Deref;

/// The media type of an [`exposition`].
pub const EXPOSITION_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Metrics in a registry of their own: tests run several servers in one process.
#[derive(Debug)]
pub struct Registered<T> {
    registry: Registry,
    metrics: T,
}

impl<T: MetricSet> Registered<T> {
    /// Makes and registers the metrics.
    ///
    /// # Errors
    /// Those of [`MetricSet::register`].
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let metrics = T::register(&registry)?;
        Ok(Self { registry, metrics })
    }

    /// Returns every metric that has a series.
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }
}

impl<T> Deref for Registered<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.metrics
    }
}

/// Returns the metrics of several sets in the Prometheus text format, ordered by name.
pub fn exposition(sets: impl IntoIterator<Item = Vec<MetricFamily>>) -> String {
    let mut families: Vec<_> = sets.into_iter().flatten().collect();
    families.sort_by(|one, other| one.name().cmp(other.name()));
    let mut text = String::new();
    // Only a metric without a name or without a series has an error, and none of those is gathered.
    let _ = TextEncoder::new().encode_utf8(&families, &mut text);
    text
}

/// Removes the series of a metric for which `keep` returns `false`.
pub fn retain<T: MetricVecBuilder>(metric: &MetricVec<T>, keep: &dyn Fn(Series<'_>) -> bool)
where
    MetricVec<T>: prometheus::core::Collector,
{
    use prometheus::core::Collector as _;
    for family in metric.collect() {
        for series in family.get_metric().iter().filter(|series| !keep(Series(series.get_label()))) {
            let labels: HashMap<&str, &str> =
                series.get_label().iter().map(|pair| (pair.name(), pair.value())).collect();
            // It is gone already when another scrape was quicker.
            let _ = metric.remove(&labels);
        }
    }
}
