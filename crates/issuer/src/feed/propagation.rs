//! How far a change of status has come.

use super::gateways::follows;
use super::{Feed, INSTANCE};
use crate::store::{GatewayRow, StoreError};
use sekisho_pki::time::Timestamp;
use std::sync::Arc;
use tokio::time::Instant;

/// How far a change of status has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Propagation {
    /// Its sequence number.
    pub sequence: u64,
    /// Gateways that were seen lately.
    pub gateways: usize,
    /// Those that have it in force.
    pub have: usize,
    /// From the commit until the last of them said so; `None` while one lacks it, and where there are none.
    pub milliseconds: Option<u64>,
}

/// What one gateway has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeState {
    /// The name of its service.
    pub name: Arc<str>,
    /// Which of those with that certificate it is, where it said so.
    pub instance: Option<Arc<str>>,
    /// Whether it has it in force.
    pub has: bool,
    /// From the commit until it said so.
    pub milliseconds: Option<u64>,
    /// When a node had to do with it last.
    pub seen: Timestamp,
}

impl Feed {
    /// The issuer ID, in hex, of the authority whose certificate changed then; of one that is not configured, nothing.
    async fn issuer_of(&self, sequence: u64) -> Result<String, StoreError> {
        let rows = self.store.statuses(sequence.saturating_sub(1), 1).await?;
        let row = rows.first().filter(|row| row.sequence == sequence);
        Ok(row.and_then(|row| self.hub.issuer(&row.change.authority)).unwrap_or_default())
    }

    /// How far a change has come that was committed at `committed`, once every connected gateway has it, or `wait` has
    /// passed. Where no gateway is connected that is at once.
    pub async fn propagation(&self, sequence: u64, committed: Instant) -> Propagation {
        // Of no authority that any gateway follows, where it cannot be read.
        let issuer = self.issuer_of(sequence).await.unwrap_or_default();
        let mut version = self.gateways.watch();
        let until = committed + self.wait;
        loop {
            version.borrow_and_update();
            let spread = self.gateways.spread(sequence, &issuer);
            let is_late =
                spread.awaited > 0 && tokio::time::timeout_at(until, super::changed(&mut version)).await.is_err();
            if is_late {
                self.gateways.give_up(sequence);
            }
            if spread.awaited == 0 || is_late {
                let took = committed.elapsed();
                let is_whole = spread.have == spread.gateways && spread.gateways > 0;
                if is_whole {
                    self.metrics.propagation_duration_seconds().observe(took.as_secs_f64());
                }
                let milliseconds = is_whole.then(|| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
                return Propagation { sequence, gateways: spread.gateways, have: spread.have, milliseconds };
            }
        }
    }

    /// What every gateway that was seen lately has of a change that was written at `written_ms`, by name; and the sum
    /// of it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn nodes(
        &self,
        sequence: u64,
        written_ms: Option<i64>,
    ) -> Result<(Propagation, Vec<NodeState>), StoreError> {
        let issuer = self.issuer_of(sequence).await?;
        let rows = self.store.feed_gateways(sequence, self.forget_after).await?;
        let node = |row: GatewayRow| {
            let has = row.acknowledged >= Some(sequence) && follows(row.follows.as_deref(), &issuer);
            let took = row.has_ms.zip(written_ms).map(|(has, written)| has.saturating_sub(written));
            let (name, instance) = row
                .name
                .split_once(INSTANCE)
                .map_or((&*row.name, None), |(name, instance)| (name, Some(Arc::from(instance))));
            NodeState {
                name: name.into(),
                instance,
                has,
                milliseconds: took.filter(|_| has).map(|took| u64::try_from(took).unwrap_or(0)),
                seen: Timestamp::from_unix(row.seen_ms / 1_000),
            }
        };
        let nodes: Vec<NodeState> = rows.into_iter().map(node).collect();
        let have = nodes.iter().filter(|node| node.has).count();
        let slowest = nodes.iter().map(|node| node.milliseconds).max().flatten();
        let is_whole = nodes.iter().all(|node| node.milliseconds.is_some());
        let milliseconds = slowest.filter(|_| is_whole);
        Ok((Propagation { sequence, gateways: nodes.len(), have, milliseconds }, nodes))
    }
}
