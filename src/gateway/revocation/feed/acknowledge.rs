//! Telling the issuer what this gateway has in force and on disk.

use super::keep::Kept;
use crate::gateway::Gateway;
use crate::gateway::metrics::AcknowledgementOutcome;
use crate::gateway::snapshot::feed_source::Source;
use reqwest::StatusCode;
use sekisho_runtime::clock;
use sekisho_trust::Authority;
use sekisho_trust::feed::Following;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch;

/// For one acknowledgement; the next one says more anyway.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Before one that did not get through is sent again.
const PAUSE: Duration = Duration::from_millis(200);

/// Acknowledges what is kept, the newest only, for as long as it is polled.
pub(super) async fn acknowledge(
    gateway: &Gateway,
    source: &Source,
    url: &str,
    mut kept: watch::Receiver<Option<Kept>>,
) -> Infallible {
    let mut pause = PAUSE;
    loop {
        let now = kept.borrow_and_update().clone();
        let outcome = match &now {
            None => None,
            Some(kept) => Some(send(gateway, source, url, kept).await),
        };
        if let Some(outcome) = outcome {
            gateway.metrics.feed.acknowledgements_total(outcome).inc();
        }
        if outcome == Some(AcknowledgementOutcome::Failed) {
            // Or sooner, if there is more to say.
            let _ = tokio::time::timeout(pause, kept.changed()).await;
            pause = (pause * 2).min(TIMEOUT);
        } else {
            pause = PAUSE;
            if kept.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Sends one.
async fn send(gateway: &Gateway, source: &Source, url: &str, kept: &Kept) -> AcknowledgementOutcome {
    let trust = gateway.snapshot().trust.clone();
    let (feed, now) = (&trust.live().feed, clock::now());
    let keys = trust.authorities().iter().map(Authority::key);
    let follows: Vec<String> = keys
        .filter(|key| feed.following(key, now) != Following::NotConfigured)
        .map(|key| key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect())
        .collect();
    let body = serde_json::json!({
        "feed": &*kept.feed, "to": kept.to, "mark": &*kept.mark, "instance": &*gateway.feed.instance(gateway),
        "follows": follows,
    });
    let request = source.client.post(format!("{url}/v1/feed/acknowledgements")).json(&body).timeout(TIMEOUT);
    match request.send().await {
        Ok(response) if response.status() == StatusCode::NO_CONTENT => AcknowledgementOutcome::Accepted,
        Ok(response) if response.status().is_server_error() => AcknowledgementOutcome::Failed,
        Ok(response) => {
            tracing::warn!(
                url,
                status = response.status().as_u16(),
                to = kept.to,
                "the issuer refused an acknowledgement"
            );
            AcknowledgementOutcome::Refused
        }
        Err(_) => AcknowledgementOutcome::Failed,
    }
}
