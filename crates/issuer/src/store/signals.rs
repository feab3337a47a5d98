//! Who waits for what is written, here or on another node.

use super::database::Database;
use super::feed::Told;
use sqlx::postgres::PgListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Between two tries to listen to a database that is away. Whoever waits looks by itself meanwhile.
const RETRY: Duration = Duration::from_secs(1);

/// How long nothing is heard before the server is asked whether it is there: a host that is gone without a word leaves
/// the connection open for ever.
const SILENCE: Duration = Duration::from_secs(15);

/// Changes each time something was written.
#[derive(Clone, Debug)]
pub struct Signals {
    /// A change of status.
    pub statuses: watch::Receiver<u64>,
    /// A gateway came, went or acknowledged.
    pub gateways: watch::Receiver<u64>,
}

/// What rings.
#[derive(Debug, Default)]
pub(super) struct Bells {
    statuses: watch::Sender<u64>,
    gateways: watch::Sender<u64>,
}

/// The task that hears other nodes over PostgreSQL; none with SQLite.
#[derive(Debug)]
pub(super) struct Ears(Mutex<Option<JoinHandle<()>>>);

impl Bells {
    pub(super) fn signals(&self) -> Signals {
        Signals { statuses: self.statuses.subscribe(), gateways: self.gateways.subscribe() }
    }

    pub(super) fn ring_statuses(&self) {
        self.statuses.send_modify(|times| *times = times.wrapping_add(1));
    }

    pub(super) fn ring_gateways(&self) {
        self.gateways.send_modify(|times| *times = times.wrapping_add(1));
    }

    fn ring_all(&self) {
        self.ring_statuses();
        self.ring_gateways();
    }
}

impl Ears {
    /// Begins to listen.
    pub(super) fn open(database: Arc<Database>, bells: Arc<Bells>) -> Self {
        let task = matches!(&*database, Database::Postgres(_)).then(|| {
            tokio::spawn(async move {
                if let Database::Postgres(pools) = &*database
                    && let Some(pool) = &pools.listening
                {
                    listen(pool, &bells).await;
                }
            })
        });
        Self(Mutex::new(task))
    }

    /// Ends it.
    pub(super) async fn close(&self) {
        let task = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
            // It was aborted, or had ended: nothing more is to be known.
            let _ = task.await;
        }
    }
}

/// Listens for ever. What was told while the connection was lost is made up for by ringing.
async fn listen(pool: &sqlx::PgPool, bells: &Bells) {
    loop {
        if let Err(error) = hear(pool, bells).await {
            if pool.is_closed() {
                return;
            }
            tracing::warn!(%error, "what other nodes write is learned of by looking only, until the database is back");
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn hear(pool: &sqlx::PgPool, bells: &Bells) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen_all([Told::Statuses.channel(), Told::Gateways.channel()]).await?;
    bells.ring_all();
    loop {
        let Ok(heard) = tokio::time::timeout(SILENCE, listener.try_recv()).await else {
            // Nothing was written, or nobody is there any more: the server's answer tells.
            let answers = sqlx::query("SELECT 1").execute(&mut listener);
            let answered = tokio::time::timeout(SILENCE, answers).await;
            answered.map_err(|_| sqlx::Error::PoolTimedOut)??;
            continue;
        };
        match heard? {
            Some(told) if told.channel() == Told::Statuses.channel() => bells.ring_statuses(),
            Some(_) => bells.ring_gateways(),
            // The connection was lost and is there again.
            None => bells.ring_all(),
        }
    }
}
