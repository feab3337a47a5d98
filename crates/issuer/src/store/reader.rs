//! Readers: what requests look up before they act, read together as the writer writes together.
//!
//! A request that comes while all readers are at work is read with all the others that came meanwhile, in one snapshot
//! that begins after each of them was asked for: who was told that something is committed finds it.

use super::database::Database;
use super::overlay::Overlay;
use super::{Ask, Found, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::timeout;

/// Groups that are read at a time: while one waits for the database another is put together or taken apart. More of them
/// would make smaller groups.
const AT_A_TIME: usize = 2;

/// The most lookups that can wait; the configured limit is far below.
const MOST_WAITING: usize = 1 << 20;

/// How long a group may take: a database that hangs longer is gone.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A lookup that waits.
struct Waiting {
    ask: Ask,
    answer: oneshot::Sender<Result<Found, StoreError>>,
}

/// Where lookups wait for a reader.
#[derive(Debug)]
pub(super) struct Readers {
    queue: mpsc::Sender<Waiting>,
}

impl Readers {
    /// Starts them; they end when this is dropped.
    pub(super) fn start(database: &Arc<Database>, waiting: usize, together: usize) -> Self {
        let (queue, receiver) = mpsc::channel(waiting.clamp(1, MOST_WAITING));
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..AT_A_TIME {
            tokio::spawn(run(Arc::clone(database), Arc::clone(&receiver), together.max(1)));
        }
        Self { queue }
    }

    /// Whether nobody reads any more.
    pub(super) fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// Queues a lookup and waits for what it finds.
    pub(super) async fn find(&self, ask: Ask) -> Result<Found, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Waiting { ask, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Unavailable("the store is closed".into()),
        })?;
        answered.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the reader ended".into())))
    }
}

async fn run(database: Arc<Database>, queue: Arc<Mutex<mpsc::Receiver<Waiting>>>, together: usize) {
    let mut waiting = Vec::new();
    while queue.lock().await.recv_many(&mut waiting, together).await > 0 {
        // Whose client went away meanwhile is not looked up.
        waiting.retain(|waiting| !waiting.answer.is_closed());
        let asks: Vec<&Ask> = waiting.iter().map(|waiting| &waiting.ask).collect();
        let found = read(&database, &asks).await;
        for Waiting { ask, answer } in waiting.drain(..) {
            let found = match &found {
                Ok(overlay) => Ok(overlay.found(&ask)),
                // A row that cannot be read is the matter of who asked for it, and of nobody else.
                Err(StoreError::Corrupt(_)) => read(&database, &[&ask]).await.map(|overlay| overlay.found(&ask)),
                Err(error) => Err(error.clone()),
            };
            // Nobody waits any more: the client went away.
            let _ = answer.send(found);
        }
    }
}

/// One state of the database, as far as it is asked for.
async fn read(database: &Database, asks: &[&Ask]) -> Result<Overlay, StoreError> {
    if asks.is_empty() {
        return Ok(Overlay::default());
    }
    let read = async {
        let mut snapshot = database.snapshot().await?;
        let overlay = Overlay::read(&mut snapshot.on(), asks).await?;
        snapshot.commit().await?;
        Ok(overlay)
    };
    timeout(TIMEOUT, read).await.unwrap_or_else(|_| Err(StoreError::Unavailable("the database hangs".into())))
}
