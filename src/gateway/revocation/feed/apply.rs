//! A message comes in force.

use crate::gateway::Gateway;
use crate::gateway::live::publish;
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use sekisho_trust::feed::{FeedFull, FeedView, Following, Message, Step};
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinHandle;

/// A message that is in force, to be kept.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) message: Message,
    pub(super) step: Step,
    pub(super) heard: Timestamp,
}

/// Why a message is not in force.
#[derive(Debug)]
pub(super) enum ApplyError {
    /// There is no room for its changes.
    Full(FeedFull),
    /// The task that was to put it in force panicked, or the gateway stops.
    Failed(String),
}

/// Puts a message in force; when it is back, live connections that lost their right are cut.
///
/// # Errors
/// [`ApplyError`]: nothing of it is in force, or not known to be.
pub(super) async fn apply(gateway: &Arc<Gateway>, message: Message, step: Step) -> Result<Applied, ApplyError> {
    let began = Instant::now();
    let heard = clock::now();
    if says_nothing_new(gateway, &message, step, heard) {
        let mut outcome = Ok(());
        // It can only make what is known fresher, so nobody is to be cut.
        publish::freshen_live(gateway, |live| outcome = tell(&mut live.feed, &message, step, heard));
        return outcome.map(|()| Applied { message, step, heard }).map_err(ApplyError::Full);
    }
    let shared = Arc::clone(gateway);
    // Ten thousand connections are looked at: not on a thread that serves them.
    let applied = tokio::task::spawn_blocking(move || {
        let mut outcome = Ok(());
        publish::change_live(&shared, |live| outcome = tell(&mut live.feed, &message, step, heard));
        outcome.map(|()| Applied { message, step, heard })
    });
    let applied = outcome(applied).await?;
    if !applied.message.changes.is_empty() {
        gateway.metrics.feed.changes_total().inc_by(applied.message.changes.len() as u64);
        gateway.metrics.feed.apply_duration_seconds().observe(began.elapsed().as_secs_f64());
    }
    Ok(applied)
}

async fn outcome<T>(task: JoinHandle<Result<T, FeedFull>>) -> Result<T, ApplyError> {
    match task.await {
        Ok(outcome) => outcome.map_err(ApplyError::Full),
        Err(error) => Err(ApplyError::Failed(error.to_string())),
    }
}

fn tell(feed: &mut Arc<FeedView>, message: &Message, step: Step, now: Timestamp) -> Result<(), FeedFull> {
    *feed = Arc::new(feed.after(message, step, now)?);
    Ok(())
}

/// A heartbeat to a gateway that was not lost: all that it changes is when the feed was last heard of.
fn says_nothing_new(gateway: &Gateway, message: &Message, step: Step, now: Timestamp) -> bool {
    let trust = gateway.snapshot().trust.clone();
    let feed = &trust.live().feed;
    let is_current = |key: &_| !matches!(feed.following(key, now), Following::Lapsed(_));
    step == Step::Continue
        && message.changes.is_empty()
        && message.lists.is_empty()
        && trust.authorities().iter().all(|authority| is_current(&authority.key()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::metrics::StreamEnd;
    use crate::gateway::revocation::feed::stream::End;

    #[tokio::test]
    async fn a_task_that_panics_is_not_a_view_that_is_full() {
        let panics = tokio::task::spawn_blocking(|| -> Result<(), FeedFull> { panic!("on purpose") });
        assert_eq!(End::from(outcome(panics).await.unwrap_err()).kind(), StreamEnd::Failed);
        let full = tokio::task::spawn_blocking(|| -> Result<(), FeedFull> { Err(FeedFull) });
        assert_eq!(End::from(outcome(full).await.unwrap_err()).kind(), StreamEnd::Full);
    }
}
