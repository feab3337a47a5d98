//! One gateway's stream.

use super::gateways::Place;
use super::hub::{Next, State};
use super::message::{MOST_CHANGES, Said};
use super::{Feed, over};
use crate::metrics::StreamEnd;
use crate::publish::CoveredList;
use crate::store::{Place as Told, StatusRow, StoreError};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// A gateway that does not take a message for so long is stuck. It comes again with its last number.
pub(super) const STUCK: Duration = Duration::from_secs(10);

/// A stream on its way.
pub(super) struct Stream {
    pub(super) feed: Arc<Feed>,
    pub(super) place: Place,
    /// Everything up to here was sent.
    pub(super) position: Told,
}

impl Stream {
    /// Sends until the end.
    pub(super) async fn run(mut self, sender: mpsc::Sender<Bytes>, mut stopping: watch::Receiver<bool>) {
        let displaced = self.place.displaced();
        let end = tokio::select! {
            end = self.send_all(&sender) => end,
            () = displaced.notified() => StreamEnd::Displaced,
            () = sender.closed() => StreamEnd::Left,
            () = over(&mut stopping) => StreamEnd::Stopping,
        };
        let (gateway, position) = (self.place.gateway(), self.position.sequence);
        self.feed.metrics.stream_ends_total(end).inc();
        match end {
            StreamEnd::Stuck | StreamEnd::Unreadable => {
                tracing::warn!(%gateway, position, why = end.as_str(), "a stream is ended")
            }
            _ => tracing::info!(%gateway, position, why = end.as_str(), "a stream has ended"),
        }
        let gateway = Arc::clone(gateway);
        let feed = Arc::clone(&self.feed);
        drop(self);
        feed.notes.disconnected(&gateway);
    }

    async fn send_all(&mut self, sender: &mpsc::Sender<Bytes>) -> StreamEnd {
        let mut watched = self.feed.hub.watch();
        loop {
            // From its place to where the hub is, with all lists; then the hub's own messages, each as it comes.
            let state = Arc::clone(&watched.borrow_and_update());
            if let Err(end) = self.catch_up(sender, &state).await {
                return end;
            }
            if let Err(end) = self.follow(sender, state.number, &mut watched).await {
                return end;
            }
        }
    }

    /// Returns when the stream has fallen behind.
    async fn follow(
        &mut self,
        sender: &mpsc::Sender<Bytes>,
        mut number: u64,
        watched: &mut watch::Receiver<Arc<State>>,
    ) -> Result<(), StreamEnd> {
        loop {
            let state = Arc::clone(&watched.borrow_and_update());
            match state.after(number) {
                // It is of the past for one that began further on than the hub was.
                Next::Message(sent) if sent.to.sequence < self.position.sequence => number += 1,
                Next::Message(sent) if sent.from == self.position => {
                    send(sender, sent.event.clone()).await?;
                    (self.position, number) = (sent.to, number + 1);
                }
                Next::Message(_) | Next::Gone => return Ok(()),
                Next::NotYet => super::changed(watched).await,
            }
        }
    }

    /// Sends what the store has between the stream's place and the hub's, the lists in the first message. There is
    /// always one.
    async fn catch_up(&mut self, sender: &mpsc::Sender<Bytes>, state: &State) -> Result<(), StreamEnd> {
        let mut lists: &[CoveredList] = &state.lists;
        let target = if state.place.sequence > self.position.sequence { state.place } else { self.position };
        loop {
            let limit = u32::try_from(MOST_CHANGES).unwrap_or(u32::MAX);
            let rows = if self.position.sequence < target.sequence {
                self.feed.store.statuses(self.position.sequence, limit).await.map_err(unreadable)?
            } else {
                Vec::new()
            };
            let is_page = rows.len() == MOST_CHANGES;
            let changes = rows.get(..rows.partition_point(|row| row.sequence <= target.sequence)).unwrap_or_default();
            let last = changes.last().map(StatusRow::place);
            let to = last.filter(|_| is_page && changes.len() == rows.len()).unwrap_or(target);
            let said = Said {
                at: state.at,
                from: self.position,
                to,
                head: state.head.max(target.sequence),
                changes,
                lists,
                audit: None,
            };
            send(sender, self.feed.hub.event(&said).map_err(unreadable)?).await?;
            self.position = to;
            lists = &[];
            if to.sequence >= target.sequence {
                return Ok(());
            }
        }
    }
}

fn unreadable(error: StoreError) -> StreamEnd {
    tracing::warn!(%error, "what a gateway lacks cannot be told");
    StreamEnd::Unreadable
}

async fn send(sender: &mpsc::Sender<Bytes>, event: Bytes) -> Result<(), StreamEnd> {
    match tokio::time::timeout(STUCK, sender.send(event)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(StreamEnd::Left),
        Err(_) => Err(StreamEnd::Stuck),
    }
}
