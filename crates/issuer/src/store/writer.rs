//! The writer: takes the acts that wait, as many as may go together, and writes them in one transaction.

use super::batch::Touches;
use super::database::Database;
use super::signals::Bells;
use super::{Ask, Committed, Decide, StoreError, batch, prune};
use crate::secret::ServiceSecret;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// Old rows are taken out after so many transactions: seldom enough to cost nothing.
const PRUNE_EVERY: u32 = 64;

/// An act that waits.
struct Waiting {
    ask: Ask,
    decide: Decide,
    answer: oneshot::Sender<Result<Committed, StoreError>>,
}

/// Where acts wait for the writer.
#[derive(Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Waiting>,
    closing: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts it.
    pub(super) fn start(
        database: Arc<Database>,
        secret: Arc<ServiceSecret>,
        bells: Arc<Bells>,
        waiting: usize,
        together: usize,
    ) -> Self {
        let (queue, receiver) = mpsc::channel(waiting.clamp(1, MOST_WAITING));
        let (closing, closes) = watch::channel(false);
        let task = tokio::spawn(run(database, secret, bells, receiver, closes, together.max(1)));
        Self { queue, closing, task: Mutex::new(Some(task)) }
    }

    /// Queues an act and waits until it is committed.
    pub(super) async fn change(&self, ask: Ask, decide: Decide) -> Result<Committed, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Waiting { ask, decide, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Unavailable("the store is closed".into()),
        })?;
        answered.await.unwrap_or_else(|_| Err(StoreError::Unknown("the writer ended".into())))
    }

    /// Whether it still takes acts.
    pub(super) fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// Ends it once what waits is written.
    pub(super) async fn close(&self) {
        self.closing.send_replace(true);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // It ended by a panic: there is nothing more to wait for.
            let _ = task.await;
        }
    }
}

/// The most acts that can wait; the queue's own limit is far above.
const MOST_WAITING: usize = 1 << 20;

async fn run(
    database: Arc<Database>,
    secret: Arc<ServiceSecret>,
    bells: Arc<Bells>,
    mut queue: mpsc::Receiver<Waiting>,
    mut closes: watch::Receiver<bool>,
    together: usize,
) {
    let (mut waiting, mut transactions) = (Vec::new(), 0_u32);
    loop {
        let taken = tokio::select! {
            biased;
            // What is in the queue is still taken, and nothing more comes in.
            () = closing(&mut closes), if !queue.is_closed() => {
                queue.close();
                continue;
            }
            taken = queue.recv_many(&mut waiting, together) => taken,
        };
        if taken == 0 {
            return;
        }
        // The time by which a row is old is that of the acts, not this node's.
        let newest = write(&database, &secret, &bells, waiting.drain(..)).await;
        transactions = transactions.wrapping_add(1);
        if transactions.is_multiple_of(PRUNE_EVERY)
            && let Some(now) = newest
        {
            // It is tried again later; nothing depends on it.
            let _ = prune::prune(&database, now).await;
        }
    }
}

async fn closing(closes: &mut watch::Receiver<bool>) {
    // An error: the store was dropped.
    drop(closes.wait_for(|closing| *closing).await);
}

/// Writes a batch and answers its acts; the newest time in it.
async fn write(
    database: &Database,
    secret: &ServiceSecret,
    bells: &Bells,
    waiting: impl Iterator<Item = Waiting>,
) -> Option<sekisho_pki::time::Timestamp> {
    let (acts, answers): (Vec<_>, Vec<_>) =
        waiting.map(|waiting| ((waiting.ask, waiting.decide), waiting.answer)).unzip();
    let (outcomes, newest) = match batch::write(database, secret, acts).await {
        Ok(written) => {
            if written.statuses == Touches::Statuses {
                bells.ring_statuses();
            }
            (written.outcomes, written.newest)
        }
        Err(error) => (vec![Err(error); answers.len()], None),
    };
    for (answer, outcome) in answers.into_iter().zip(outcomes) {
        // Nobody waits any more: the client went away. What was decided is written all the same.
        let _ = answer.send(outcome);
    }
    newest
}
