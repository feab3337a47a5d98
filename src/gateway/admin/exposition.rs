//! `/metrics`: what was counted, and the state of the gateway at this moment.

use crate::gateway::Gateway;
use crate::gateway::metrics::{Readings, UpstreamError};
use crate::gateway::revocation::sources::{self, Sources};
use crate::gateway::snapshot::site::Snapshot;
use crate::gateway::verify::Reason;
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use sekisho_runtime::metrics::{CertificateMetrics, ProcessMetrics, Registered, Result, Series};
use sekisho_trust::feed::Following;
use sekisho_trust::sources::ocsp::OcspOutcome;
use sekisho_trust::{AlarmKind, Readiness, TrustSnapshot};
use std::collections::HashSet;

/// Returns every metric in the Prometheus text format.
///
/// # Errors
/// Never in practice: the names are constants.
pub(super) fn exposition(gateway: &Gateway) -> Result<String> {
    let (snapshot, now) = (gateway.snapshot(), clock::now());
    let sources = sources::look(gateway, now);
    retain(gateway, &snapshot, &sources);
    start_at_zero(gateway, &snapshot, now);
    let readings = Registered::<Readings>::new()?;
    of_process(&readings, gateway, &snapshot);
    of_crls(&readings, &snapshot.trust, &sources, now);
    of_sources(&readings, &sources);
    of_feed(&readings, gateway, &snapshot, now);
    let certificates = CertificateMetrics::of(&*snapshot.certificates)?;
    Ok(gateway.metrics.exposition(&readings, &certificates, &ProcessMetrics::read()?))
}

/// Removes the series of sites, CAs, pools and sources that are not configured any more.
fn retain(gateway: &Gateway, snapshot: &Snapshot, sources: &Sources) {
    let config = &snapshot.config;
    let sites: HashSet<&str> = config.sites.iter().map(|site| &*site.name).collect();
    let cas: HashSet<&str> = config.cas.iter().map(|ca| &*ca.name).collect();
    let pools: HashSet<&str> = config.pools.iter().map(|pool| &*pool.name).collect();
    let fetched: HashSet<(&str, &str)> =
        sources.fetched.iter().map(|one| (&*one.target.ca, &*one.target.url)).collect();
    // An empty value is of no site or CA: a handshake without a known server name, a CRL that no CA names.
    let is_known = |known: &HashSet<&str>, value: Option<&str>| {
        value.is_none_or(|value| value.is_empty() || known.contains(value))
    };
    gateway.metrics.retain(&|series: Series<'_>| {
        let source = series.get("ca").zip(series.get("source"));
        is_known(&sites, series.get("site"))
            && is_known(&cas, series.get("ca"))
            && is_known(&pools, series.get("pool"))
            && source.is_none_or(|source| fetched.contains(&source))
    });
}

/// Shows every series of what is configured: one that appears with its first event has no increase for an alert to see.
fn start_at_zero(gateway: &Gateway, snapshot: &Snapshot, now: Timestamp) {
    let (metrics, config) = (&gateway.metrics, &snapshot.config);
    for ca in &config.cas {
        metrics.ca_handshakes_total(&ca.name, config.state_of(&ca.name));
    }
    for pool in &config.pools {
        for kind in UpstreamError::ALL {
            metrics.upstream_errors_total(&pool.name, *kind);
        }
    }
    for status in snapshot.trust.status(now) {
        if status.readiness != Readiness::NotChecked {
            metrics.unenforced_refusals_total(&status.ca, Reason::RevocationUnavailable);
            for kind in AlarmKind::ALL {
                metrics.crl_problems_total(&status.ca, kind);
            }
        }
    }
    for authority in snapshot.trust.authorities().iter().filter(|authority| authority.responder().is_some()) {
        for outcome in OcspOutcome::ALL {
            metrics.ocsp_requests_total(authority.name(), *outcome);
        }
    }
}

fn of_process(readings: &Readings, gateway: &Gateway, snapshot: &Snapshot) {
    readings.build_info(env!("CARGO_PKG_VERSION")).set(1);
    readings.snapshots_published_total().inc_by(snapshot.generation);
    readings.dropped_log_records_total().inc_by(gateway.records.dropped());
    readings.blocks().set(count(snapshot.trust.live().blocks.len()));
    readings.crls_not_stored().set(count(gateway.last_in_force.not_kept()));
    let refused_since = gateway.outstanding.refused_reload().map(|refused| refused.since);
    readings.config_last_reload_successful().set(i64::from(refused_since.is_none()));
    if let Some(accepted_at) = gateway.outstanding.accepted_at() {
        readings.config_last_reload_success_timestamp_seconds().set(accepted_at.unix());
    }
    if let Some(since) = refused_since {
        readings.config_reload_refused_since_timestamp_seconds().set(since.unix());
    }
    for (pool, peer, is_healthy) in snapshot.pools.health() {
        readings.upstream_peer_healthy(&pool, &peer).set(i64::from(is_healthy));
    }
}

fn of_crls(readings: &Readings, trust: &TrustSnapshot, sources: &Sources, now: Timestamp) {
    for status in trust.status(now) {
        let ca = &*status.ca;
        let is_current = !sources.outdated.iter().any(|outdated| outdated == ca);
        readings.crl_current(ca).set(i64::from(is_current));
        let Some(this_update) = status.this_update else { continue };
        readings.crl_entries(ca).set(count(status.entries));
        readings.crl_this_update_timestamp_seconds(ca).set(this_update.unix());
        if let Some(next_update) = status.next_update {
            readings.crl_next_update_timestamp_seconds(ca).set(next_update.unix());
        }
    }
    let answers = &trust.live().answers;
    for authority in trust.authorities() {
        readings.withdrawn_revocations(authority.name()).set(count(trust.withdrawn_of(authority)));
        if authority.responder().is_some() {
            let is_down = answers.down(&authority.key()).is_some();
            readings.ocsp_responder_down(authority.name()).set(i64::from(is_down));
            readings.ocsp_cached_responses().set(count(answers.len()));
        }
    }
}

fn of_sources(readings: &Readings, sources: &Sources) {
    for one in &sources.fetched {
        let (ca, source) = (&*one.target.ca, &*one.target.url);
        readings.crl_source_consecutive_failures(ca, source).set(i64::from(one.failures));
        if let Some(answered_at) = one.answered_at {
            readings.crl_source_last_response_timestamp_seconds(ca, source).set(answered_at.unix());
        }
        if let Some(due_at) = one.due_at {
            readings.crl_source_next_fetch_timestamp_seconds(ca, source).set(due_at.unix());
        }
    }
    for error in &sources.errors {
        readings.crl_source_error(&error.ca, &error.source, error.reason).set(1);
    }
    for one in &sources.in_force {
        let (ca, source, crl) = (&*one.ca, &*one.source, &one.list);
        // Random numbers have more than 64 bits, and no sample holds them.
        if let Some(number) = crl.number.as_deref().and_then(|number| number.parse().ok()) {
            readings.crl_source_number(ca, source).set(number);
        }
        readings.crl_source_this_update_timestamp_seconds(ca, source).set(crl.this_update.unix());
        if let Some(next_update) = crl.next_update {
            readings.crl_source_next_update_timestamp_seconds(ca, source).set(next_update.unix());
        }
        readings.crl_source_entries(ca, source).set(count(crl.entries));
    }
}

fn of_feed(readings: &Readings, gateway: &Gateway, snapshot: &Snapshot, now: Timestamp) {
    if snapshot.feed.is_none() {
        return;
    }
    let (trust, feed) = (&snapshot.trust, &snapshot.trust.live().feed);
    readings.feed_connected().set(i64::from(gateway.feed.is_connected()));
    if let Some(position) = feed.position() {
        readings.feed_sequence().set(i64::try_from(position.to).unwrap_or(i64::MAX));
    }
    if let Some(heard) = feed.heard() {
        readings.feed_last_message_timestamp_seconds().set(heard.unix());
    }
    for authority in trust.authorities() {
        let key = authority.key();
        let is_current = match feed.following(&key, now) {
            Following::NotConfigured => continue,
            Following::Current => true,
            Following::Lapsed(_) => false,
        };
        readings.feed_current(authority.name()).set(i64::from(is_current));
        readings.feed_changes_not_in_crl(authority.name()).set(count(feed.held_of(&key)));
    }
}

fn count(things: usize) -> i64 {
    i64::try_from(things).unwrap_or(i64::MAX)
}
