//! Which node is asked, from where, and when again after a stream has ended.

use super::acknowledge::acknowledge;
use super::apply::Applied;
use super::keep::{self, Kept};
use super::stream::{End, Stream};
use crate::gateway::Gateway;
use crate::gateway::live::publish;
use crate::gateway::snapshot::feed_source::Source;
use sekisho_trust::feed::{Anew, FeedView, JoinError, Opening};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// The pause after every node failed once; it doubles with each further round.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause; a quarter of `lost_after` where that is less.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A stream that ended sooner counts as a failure, whatever it told: else a node that ends each at once would be asked
/// without a pause.
const LASTING: Duration = Duration::from_secs(1);

/// What is remembered from one stream to the next.
struct Follower {
    queue: mpsc::Sender<Applied>,
    kept: watch::Receiver<Option<Kept>>,
    /// Which node is asked next.
    node: usize,
    /// Streams in a row that told nothing.
    failures: usize,
    /// Why the next stream begins anew, if it must.
    anew: Option<Anew>,
}

/// Follows the feed for as long as the gateway runs and has one.
pub(in crate::gateway) async fn follow(gateway: Arc<Gateway>) {
    let mut follower: Option<Follower> = None;
    loop {
        let Some(source) = gateway.snapshot().feed.clone() else {
            gateway.feed.reloaded.notified().await;
            continue;
        };
        match &mut follower {
            Some(follower) => follower.next_stream(&gateway, &source).await,
            None => follower = Follower::start(&gateway).await,
        }
    }
}

impl Follower {
    /// With the file that was opened at the start, or that of a feed that a reload has brought; `None` after a pause
    /// when it cannot be used.
    async fn start(gateway: &Arc<Gateway>) -> Option<Self> {
        let keeper = match gateway.feed.take_keeper() {
            Some(keeper) => keeper,
            None => match super::open(gateway) {
                Ok((keeper, recalled)) => {
                    publish::change_live(gateway, |live| live.feed = Arc::new(recalled.view));
                    keeper
                }
                Err(error) => {
                    gateway.metrics.feed.state_errors_total().inc();
                    tracing::error!(%error, "the state folder cannot be used; the feed is not followed");
                    let _ = tokio::time::timeout(LONGEST_PAUSE, gateway.feed.reloaded.notified()).await;
                    return None;
                }
            },
        };
        let (queue, kept) = keep::start(gateway, keeper);
        Some(Self { queue, kept, node: 0, failures: 0, anew: None })
    }

    /// One stream, and the pause after it.
    async fn next_stream(&mut self, gateway: &Arc<Gateway>, source: &Arc<Source>) {
        let opening = self.opening(&gateway.snapshot().trust.live().feed);
        let Some(url) = source.urls.get(self.node % source.urls.len().max(1)).cloned() else { return };
        let began = Instant::now();
        let mut stream = Stream::new(gateway, source, &url, opening, &self.queue);
        tracing::debug!(url, ?opening, "asking for the issuer's feed");
        let end = tokio::select! {
            end = stream.follow() => Some(end),
            never = acknowledge(gateway, source, &url, self.kept.clone()) => match never {},
            () = must_ask_anew(gateway, source, opening) => None,
        };
        let applied = stream.applied;
        gateway.feed.set_connected(false);
        if applied > 0 {
            self.anew = None;
        }
        let Some(end) = end else { return };
        gateway.metrics.feed.stream_ends_total(end.kind()).inc();
        tracing::warn!(url, why = %end, end = end.kind().as_str(), messages = applied, "the stream of the issuer's feed ended");
        match end {
            End::Ahead | End::Join(JoinError::AnotherHistory { .. }) => self.anew = Some(Anew::Restored),
            End::Join(JoinError::AnotherFeed) => self.anew = Some(Anew::Unknown),
            _ => {}
        }
        self.node = self.node.wrapping_add(1);
        self.failures = if applied > 0 && began.elapsed() >= LASTING { 0 } else { self.failures.saturating_add(1) };
        // Another node is asked at once; a round of failures is paused after.
        if let Some(rounds) = self.failures.checked_sub(source.urls.len()) {
            let pause = pause(rounds / source.urls.len().max(1), source.lost_after);
            let _ = tokio::time::timeout(pause, gateway.feed.reloaded.notified()).await;
        }
    }

    fn opening(&self, known: &FeedView) -> Opening {
        match (self.anew, known.position()) {
            (Some(why), _) => Opening::Anew(why),
            (None, Some(position)) if !known.must_begin_anew() => Opening::After(position.to),
            (None, _) => Opening::Anew(Anew::Unknown),
        }
    }
}

/// Ends when a reload has brought another source, or a CA of which nothing was told.
async fn must_ask_anew(gateway: &Gateway, source: &Arc<Source>, opening: Opening) {
    loop {
        gateway.feed.reloaded.notified().await;
        let snapshot = gateway.snapshot();
        let is_same = snapshot.feed.as_ref().is_some_and(|now| Arc::ptr_eq(now, source));
        let is_behind = matches!(opening, Opening::After(_)) && snapshot.trust.live().feed.must_begin_anew();
        let has_begun = !matches!(opening, Opening::Anew(_)) || snapshot.trust.live().feed.position().is_some();
        let begins_again = has_begun && snapshot.trust.live().feed.must_begin_anew();
        if !is_same || is_behind || begins_again {
            return;
        }
    }
}

/// Doubles with the rounds up to its longest, of which between half and all is taken: a thousand gateways that lost
/// their issuer at once do not come back at once.
fn pause(rounds: usize, lost_after: Duration) -> Duration {
    let longest = LONGEST_PAUSE.min(lost_after / 4);
    let whole = FIRST_PAUSE.saturating_mul(1 << rounds.min(10)).min(longest);
    let mut random = [0; 4];
    // Without randomness the pause is whole.
    let share = match aws_lc_rs::rand::fill(&mut random) {
        Ok(()) => f64::from(u32::from_be_bytes(random)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    };
    whole.mul_f64(0.5 + share / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_differ() {
        let lost_after = Duration::from_secs(10);
        for round in 0..100 {
            let pause = pause(round, lost_after);
            assert!(pause >= FIRST_PAUSE / 2 && pause <= LONGEST_PAUSE, "{round}: {pause:?}");
        }
        let some: Vec<_> = (0..20).map(|_| pause(50, lost_after)).collect();
        assert!(some.iter().any(|one| *one != some[0]), "jitter");
        assert!(pause(50, Duration::from_secs(2)) <= Duration::from_millis(500), "there is time for many tries");
    }
}
