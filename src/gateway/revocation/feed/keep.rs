//! The thread that writes what is in force to the disk, and then lets it be acknowledged.

use super::apply::Applied;
use super::witness::Witness;
use crate::gateway::Gateway;
use sekisho_trust::feed::Keeper;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// Messages that wait for the disk: beyond it the stream waits, and what it tells is in force later.
pub(super) const MOST_WAITING: usize = 64;

/// What the disk has, to be acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) feed: Arc<str>,
    pub(super) to: u64,
    pub(super) mark: Arc<str>,
}

/// Starts the thread; it ends with the queue.
pub(super) fn start(
    gateway: &Arc<Gateway>,
    mut keeper: Keeper,
) -> (mpsc::Sender<Applied>, watch::Receiver<Option<Kept>>) {
    let (queue, mut waiting) = mpsc::channel(MOST_WAITING);
    let feed = gateway.snapshot().trust.live().feed.clone();
    let known = feed.position().map(|position| Kept {
        feed: Arc::clone(&position.feed),
        to: keeper.to(),
        mark: Arc::clone(keeper.mark()),
    });
    let (told, kept) = watch::channel(known);
    let gateway = Arc::clone(gateway);
    let folder = gateway.snapshot().config.gateway.state_folder.as_ref().map(|folder| folder.value.join(super::FOLDER));
    let mut witness = folder.map(Witness::in_folder);
    // On the runtime's threads for such work, which a stopping gateway waits for.
    tokio::task::spawn_blocking(move || {
        while let Some(first) = waiting.blocking_recv() {
            let mut batch = vec![first];
            while let Ok(next) = waiting.try_recv() {
                batch.push(next);
            }
            if let Some(witness) = &mut witness {
                batch.iter().for_each(|applied| witness.keep(applied));
            }
            if let Some(kept) = keep(&gateway, &mut keeper, &batch) {
                told.send_if_modified(|known| {
                    let is_new = known.as_ref() != Some(&kept);
                    *known = Some(kept);
                    is_new
                });
            }
        }
    });
    (queue, kept)
}

fn keep(gateway: &Gateway, keeper: &mut Keeper, batch: &[Applied]) -> Option<Kept> {
    let last = batch.last()?;
    let feed = gateway.snapshot().trust.live().feed.clone();
    let messages = batch.iter().map(|applied| (&applied.message, applied.step));
    match keeper.keep(messages, last.heard, &feed) {
        Ok(()) => {
            let (feed, mark) = (Arc::clone(&last.message.feed), Arc::clone(keeper.mark()));
            Some(Kept { feed, to: keeper.to(), mark })
        }
        Err(error) => {
            gateway.metrics.feed.state_errors_total().inc();
            tracing::error!(%error, "what the feed told is in force and cannot be kept; it is not acknowledged");
            None
        }
    }
}
