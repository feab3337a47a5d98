//! Metrics of the sources of revocation: each list by the CA it is for and the URL or file that it comes from.

use crate::gateway::revocation::sources::Sources;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};
use sekisho_pki::time::Timestamp;

/// Of every source; one that is gone is not shown any more.
#[derive(Debug)]
pub(in crate::gateway) struct SourceMetrics {
    /// Attempts to fetch a list, by CA, URL and outcome (`new`, `unchanged`, or why it changed nothing).
    pub(in crate::gateway) fetches: IntCounterVec,
    failures: IntGaugeVec,
    answered: IntGaugeVec,
    due: IntGaugeVec,
    errors: IntGaugeVec,
    number: IntGaugeVec,
    this_update: IntGaugeVec,
    next_update: IntGaugeVec,
    age: IntGaugeVec,
    entries: IntGaugeVec,
    /// Without labels, so that it can be absent.
    reload_refused_since: IntGaugeVec,
    reload_successful: IntGaugeVec,
    crl_current: IntGaugeVec,
}

impl SourceMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// Never in practice: the names are constants and each is registered once.
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let fetches = IntCounterVec::new(
            Opts::new("sekisho_fetches_total", "Attempts to fetch a revocation list, by CA, source and outcome."),
            &["ca", "source", "outcome"],
        )?;
        registry.register(Box::new(fetches.clone()))?;
        let labelled = |name: &str, help: &str, labels: &[&str]| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let gauges = |name: &str, help: &str| labelled(name, help, &["ca", "source"]);
        Ok(Self {
            fetches,
            failures: gauges("sekisho_source_failures", "Attempts in a row that failed.")?,
            answered: gauges(
                "sekisho_source_answered_seconds",
                "When the server last said what its list is, seconds since 1970.",
            )?,
            due: gauges("sekisho_source_due_seconds", "When the list is asked for next, seconds since 1970.")?,
            errors: labelled(
                "sekisho_source_error",
                "1 while the last thing that came from the source was refused, by reason.",
                &["ca", "source", "reason"],
            )?,
            number: gauges("sekisho_source_list_number", "CRLNumber of the source's list in force.")?,
            this_update: gauges(
                "sekisho_source_list_this_update_seconds",
                "thisUpdate of the source's list in force, seconds since 1970.",
            )?,
            next_update: gauges(
                "sekisho_source_list_next_update_seconds",
                "nextUpdate of the source's list in force, seconds since 1970; 0 without one.",
            )?,
            age: gauges("sekisho_source_list_age_seconds", "Seconds since thisUpdate of the source's list in force.")?,
            entries: gauges("sekisho_source_list_entries", "Certificates on the source's list in force.")?,
            reload_refused_since: labelled(
                "sekisho_reload_refused_since_timestamp_seconds",
                "When the first reload was refused since the last accepted one; absent when none was.",
                &[],
            )?,
            reload_successful: labelled(
                "sekisho_last_reload_successful",
                "1 while the configuration and files in force are the last ones that were read.",
                &[],
            )?,
            crl_current: labelled(
                "sekisho_crl_current",
                "0 while a CRL of the CA was refused or cannot be read, and may be newer than the one in force.",
                &["ca"],
            )?,
        })
    }

    /// Shows the sources as they stand.
    pub(in crate::gateway) fn show(&self, sources: &Sources, now: Timestamp) {
        let gauges = [
            &self.failures,
            &self.answered,
            &self.due,
            &self.errors,
            &self.number,
            &self.this_update,
            &self.next_update,
            &self.age,
            &self.entries,
            &self.reload_refused_since,
            &self.crl_current,
        ];
        gauges.iter().for_each(|gauge| gauge.reset());
        for one in &sources.fetched {
            let labels = [&*one.target.ca, &*one.target.url];
            self.failures.with_label_values(&labels).set(i64::from(one.failures));
            let times = [(&self.answered, one.answered_at), (&self.due, one.due_at)];
            for (gauge, at) in times {
                gauge.with_label_values(&labels).set(at.map_or(0, Timestamp::unix));
            }
        }
        for one in &sources.in_force {
            let (labels, list) = ([&*one.ca, &*one.source], &one.list);
            // A number beyond 64 bits, which random ones are, is shown as the greatest: it does not fit a sample either.
            let number = list.number.as_deref().map_or(0, |number| number.parse().unwrap_or(i64::MAX));
            self.number.with_label_values(&labels).set(number);
            self.this_update.with_label_values(&labels).set(list.this_update.unix());
            self.next_update.with_label_values(&labels).set(list.next_update.map_or(0, Timestamp::unix));
            self.age.with_label_values(&labels).set(now.unix().saturating_sub(list.this_update.unix()));
            self.entries.with_label_values(&labels).set(i64::try_from(list.entries).unwrap_or(i64::MAX));
        }
        for ca in sources.cas() {
            self.crl_current.with_label_values(&[ca]).set(i64::from(!sources.outdated.iter().any(|one| one == ca)));
        }
        let none: [&str; 0] = [];
        self.reload_successful.with_label_values(&none).set(i64::from(sources.refused_since.is_none()));
        if let Some(since) = sources.refused_since {
            self.reload_refused_since.with_label_values(&none).set(since.unix());
        }
        for error in &sources.errors {
            self.errors.with_label_values(&[&*error.ca, &*error.source, error.reason]).set(1);
        }
    }
}
