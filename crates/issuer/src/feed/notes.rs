//! Writes down which gateways are there and what they have: many notes in one transaction.

use super::gateways::{Gateways, LEASE, RENEWAL};
use super::{NotAcknowledged, over};
use crate::store::{GatewayNote, Store, StoreError};
use aws_lc_rs::rand;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The least time between two transactions: a single acknowledgement is written at once, and of a burst each
/// transaction takes many. Revocations write to the same disk.
const GATHER: Duration = Duration::from_millis(50);

/// Notes that wait, at most, and that go into one transaction.
const MOST: usize = 1_024;

/// Where notes are given.
pub(super) struct Notes(mpsc::Sender<Note>);

/// Something about one gateway.
struct Note {
    gateway: Arc<str>,
    what: What,
}

enum What {
    Connected,
    Disconnected,
    Acknowledged { to: u64, at: Instant, follows: Option<Arc<str>>, answer: oneshot::Sender<Result<(), StoreError>> },
}

impl Notes {
    /// Begins to write.
    pub(super) fn start(
        store: Arc<dyn Store>,
        gateways: Arc<Gateways>,
        shutdown: watch::Receiver<bool>,
    ) -> (Self, JoinHandle<()>) {
        let (sender, receiver) = mpsc::channel(MOST);
        (Self(sender), tokio::spawn(write(store, gateways, receiver, shutdown)))
    }

    /// A stream has begun.
    pub(super) fn connected(&self, gateway: &Arc<str>) {
        self.tell(gateway, What::Connected);
    }

    /// A stream has ended.
    pub(super) fn disconnected(&self, gateway: &Arc<str>) {
        self.tell(gateway, What::Disconnected);
    }

    /// Waits until it is kept.
    pub(super) async fn acknowledged(
        &self,
        gateway: &Arc<str>,
        to: u64,
        follows: Option<Arc<str>>,
    ) -> Result<(), NotAcknowledged> {
        let (answer, answered) = oneshot::channel();
        let what = What::Acknowledged { to, at: Instant::now(), follows, answer };
        let note = Note { gateway: Arc::clone(gateway), what };
        self.0.try_send(note).map_err(|_| NotAcknowledged::Busy)?;
        let unknown = |_| StoreError::Unavailable("acknowledgements are not written any more".into());
        answered.await.map_err(unknown).and_then(|written| written).map_err(NotAcknowledged::Store)
    }

    fn tell(&self, gateway: &Arc<str>, what: What) {
        // Where there is no room it is told at the next renewal.
        let _ = self.0.try_send(Note { gateway: Arc::clone(gateway), what });
    }
}

async fn write(
    store: Arc<dyn Store>,
    gateways: Arc<Gateways>,
    mut notes: mpsc::Receiver<Note>,
    mut shutdown: watch::Receiver<bool>,
) {
    let node = node_name();
    let mut renewal = Instant::now() + RENEWAL;
    let mut waiting = Vec::new();
    loop {
        let is_last = tokio::select! {
            biased;
            taken = notes.recv_many(&mut waiting, MOST) => taken == 0,
            () = tokio::time::sleep_until(renewal) => {
                renewal = Instant::now() + RENEWAL;
                waiting.extend(gateways.here().into_iter().map(|gateway| Note { gateway, what: What::Connected }));
                false
            }
            () = over(&mut shutdown) => true,
        };
        if !waiting.is_empty() {
            put(&*store, &gateways, &node, waiting.drain(..)).await;
            tokio::select! {
                () = tokio::time::sleep(GATHER) => {}
                () = over(&mut shutdown) => {}
            }
        }
        if is_last {
            return;
        }
    }
}

/// What tells this node's word about a stream from another's: of this start, and no more.
fn node_name() -> String {
    let mut octets = [0; 8];
    // Without randomness two nodes may have one name, and a stream that moved between them is not waited for.
    let _ = rand::fill(&mut octets);
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

async fn put(store: &dyn Store, gateways: &Gateways, node: &str, waiting: impl Iterator<Item = Note>) {
    let now = Instant::now();
    let mut rows: BTreeMap<Arc<str>, GatewayNote> = BTreeMap::new();
    let mut answers = Vec::new();
    for Note { gateway, what } in waiting {
        let row = rows.entry(Arc::clone(&gateway)).or_insert_with(|| GatewayNote {
            name: Arc::clone(&gateway),
            connected: None,
            acknowledged: Vec::new(),
            follows: None,
        });
        match what {
            What::Connected | What::Disconnected => {
                // As it is now, whatever came of it since.
                row.connected = Some(if gateways.is_here(&gateway) { LEASE } else { Duration::ZERO });
            }
            What::Acknowledged { to, at, follows, answer } => {
                row.follows = follows.or(row.follows.take());
                let ago = now.saturating_duration_since(at);
                // A statement may not touch a row twice; the first time counts.
                if row.acknowledged.iter().all(|(known, _)| *known != to) {
                    row.acknowledged.push((to, ago));
                }
                answers.push(answer);
            }
        }
    }
    let rows: Vec<GatewayNote> = rows.into_values().collect();
    let written = store.feed_note(node, &rows).await;
    if let Err(error) = &written {
        tracing::warn!(%error, "what gateways have in force cannot be written down");
    }
    for answer in answers {
        // The gateway went away.
        let _ = answer.send(written.clone());
    }
}
