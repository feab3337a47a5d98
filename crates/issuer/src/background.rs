//! What goes on beside requests: what crashes left, and what other nodes wrote.

use super::service::{Service, Wakes};
use super::store::{Signals, Store};
use sekisho_config::issuer::{IssuerConfig, StoreUrl};
use sekisho_runtime::clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often intents that nobody works on any more are looked for, at least and at most: some index look-ups each.
const RECOVERY_INTERVAL: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(15)];

/// How often the head of the audit log is logged, at most.
const HEAD_INTERVAL: Duration = Duration::from_secs(60);

/// Interrupts what a crash left. An embedded store has one node, this one, which has not begun anything yet; beside
/// other nodes only what is older than any request can be is nobody's.
pub(super) async fn recover(service: &Service, config: &IssuerConfig) -> Result<(), String> {
    let age = match config.store.url.value {
        // In the same second too.
        StoreUrl::Sqlite(_) => -1,
        StoreUrl::Postgres(_) => oldest_request(config),
    };
    recover_older(service, age).await
}

/// Goes on looking: a request that was given up between its two transactions leaves its intent, as another node's crash
/// does.
pub(super) async fn recover_always(service: Arc<Service>, config: IssuerConfig, mut rest: watch::Receiver<bool>) {
    let age = oldest_request(&config);
    let [least, most] = RECOVERY_INTERVAL;
    let interval = config.limits.request_timeout.clamp(least, most);
    loop {
        tokio::select! {
            _ = rest.wait_for(|rest| *rest) => return,
            () = tokio::time::sleep(interval) => {}
        }
        if let Err(error) = recover_older(&service, age).await {
            tracing::warn!(error, "acts that were left half done cannot be looked for");
        }
    }
}

async fn recover_older(service: &Service, age: i64) -> Result<(), String> {
    match service.recover(clock::now().plus_seconds(-age)).await {
        Ok(0) => Ok(()),
        Ok(interrupted) => {
            tracing::warn!(interrupted, "certificates that were begun and not completed are interrupted");
            Ok(())
        }
        Err(refused) => Err(format!("{refused:?}")),
    }
}

/// Seconds after which no request is worked on any more, clocks of nodes that differ included.
fn oldest_request(config: &IssuerConfig) -> i64 {
    let seconds = config.limits.request_timeout.as_secs().saturating_mul(2).saturating_add(1);
    i64::try_from(seconds).unwrap_or(i64::MAX / 2)
}

/// Logs where the audit log ends whenever it has grown: a log that is kept elsewhere is a witness of it.
pub(super) async fn log_audit_head(store: Arc<dyn Store>, mut rest: watch::Receiver<bool>) {
    let mut last = None;
    loop {
        match store.audit_head().await {
            Ok(head) if last != Some(head) => {
                last = Some(head);
                tracing::info!(%head, "the audit log has come to here");
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "the head of the audit log cannot be read"),
        }
        tokio::select! {
            _ = rest.wait_for(|rest| *rest) => return,
            () = tokio::time::sleep(HEAD_INTERVAL) => {}
        }
    }
}

/// Publishes what other nodes wrote as soon as the store tells of it.
pub(super) async fn wake_publisher(mut signals: Signals, wakes: Arc<Wakes>, mut rest: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = rest.wait_for(|rest| *rest) => return,
            told = signals.statuses.changed() => match told {
                Ok(()) => wakes.statuses.notify_one(),
                Err(_) => return,
            },
        }
    }
}
