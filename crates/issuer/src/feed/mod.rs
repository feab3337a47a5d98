//! The feed: gateways are told of every change of a certificate's status within milliseconds of its commit, and say when
//! they have it in force.
//!
//! # The way of a change
//! ```text
//! commit → the store's bell → Hub reads, signs once → every Stream sends the same octets → the gateway acknowledges
//!        → Gateways: who waits for an answer is woken at once; the store learns of it in groups
//! ```
//! # A stream
//! Server-sent events over the API's TLS. Each message says "these are all changes in (`from`, `to`]", is signed
//! (`key`) and joins the one before it: nothing can be left out unnoticed. A stream has no queue: it knows its place,
//! takes the hub's newest messages from there, and reads the store where it fell too far behind. What a gateway does not
//! take for `stream::STUCK` ends its stream; it comes again with its last number. So no gateway ever holds up another.
//!
//! # What a message is a proof of
//! It is made after the store was read at its time `at`. While the store cannot be read there is none, not even a
//! heartbeat: a gateway that hears nothing knows that it knows nothing.
//!
//! # Several nodes
//! Every node tells everything, whoever wrote it: over PostgreSQL a commit wakes all of them, and each looks by itself
//! at every heartbeat. Which gateways there are and what they have is in the store; each node keeps a copy in memory.

mod gateways;
mod hub;
mod key;
mod message;
mod notes;
mod propagation;
mod stream;

pub use key::{FeedKey, FeedKeyError};
pub use propagation::{NodeState, Propagation};

use super::metrics::FeedMetrics;
use super::publish::CoveredList;
use super::store::{Place, Signals, Store, StoreError};
use bytes::Bytes;
use gateways::{GatewayReport, Gateways};
use hub::{Following, Hub};
use notes::Notes;
use sekisho_config::issuer::FeedConfig;
use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_runtime::metrics::Registered;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use stream::Stream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Between the name of a gateway's service and which of the gateways with that certificate it is. No name has it.
const INSTANCE: char = '#';

/// A gateway as the feed knows it: the name of its service and, where it says so, which one of those with that
/// certificate it is.
pub fn gateway_name(service: &str, instance: Option<&str>) -> Arc<str> {
    instance.map_or_else(|| service.into(), |instance| format!("{service}{INSTANCE}{instance}").into())
}

/// What the feed is made of.
pub struct FeedParts {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// `[feed]`.
    pub config: FeedConfig,
    /// What signs.
    pub key: FeedKey,
    /// The authorities' keys by their names in the store.
    pub authorities: HashMap<Arc<str>, AuthorityKey>,
    /// From which list on each part has everything.
    pub covered: watch::Receiver<Arc<[CoveredList]>>,
    /// The last sequence number that was published at the start.
    pub start: u64,
    /// True: streams end.
    pub stopping: watch::Receiver<bool>,
    /// True: everything ends.
    pub shutdown: watch::Receiver<bool>,
    /// What is counted.
    pub(super) metrics: Arc<Registered<FeedMetrics>>,
}

/// The feed.
pub struct Feed {
    hub: Arc<Hub>,
    gateways: Arc<Gateways>,
    notes: Notes,
    store: Arc<dyn Store>,
    wait: Duration,
    forget_after: Duration,
    stopping: watch::Receiver<bool>,
    metrics: Arc<Registered<FeedMetrics>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// Why there is no stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOpened {
    /// The store has not come to that number: it is another one, or an earlier state of it.
    Ahead,
    /// The service stops; another node serves.
    Stopping,
    /// The store.
    Store(StoreError),
}

/// Why an acknowledgement is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAcknowledged {
    /// It is of another feed.
    OtherFeed,
    /// Nobody was told of that number, or it is of what the store had before it was restored.
    Ahead,
    /// Too many wait.
    Busy,
    /// The store.
    Store(StoreError),
}

impl Feed {
    /// Begins to follow the store.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn start(parts: FeedParts) -> Result<Arc<Self>, StoreError> {
        let FeedParts { store, config, key, authorities, covered, start, stopping, shutdown, metrics } = parts;
        let feed = store.feed_id().await?;
        let Signals { statuses, gateways: others } = store.signals();
        let start = Place::at(&*store, start).await?.ok_or(StoreError::WentBack(start))?;
        let names: Vec<Arc<str>> = authorities.keys().cloned().collect();
        let hub = Arc::new(Hub::new(feed, key, authorities, start, covered.borrow().clone()));
        let named = names.into_iter().filter_map(|name| hub.issuer(&name).map(|issuer| (name, issuer))).collect();
        let gateways = Arc::new(Gateways::new(named, config.forget_after));
        gateways.refresh(&*store).await?;
        let (notes, writing) = Notes::start(Arc::clone(&store), Arc::clone(&gateways), shutdown.clone());
        let following = Following {
            hub: Arc::clone(&hub),
            store: Arc::clone(&store),
            heartbeat: config.heartbeat,
            metrics: Arc::clone(&metrics),
        };
        let follow = tokio::spawn(following.run(statuses, covered, shutdown.clone()));
        let others = tokio::spawn(Arc::clone(&gateways).follow(Arc::clone(&store), others, shutdown));
        let tasks = Mutex::new(vec![follow, writing, others]);
        let (wait, forget_after) = (config.wait, config.forget_after);
        Ok(Arc::new(Self { hub, gateways, notes, store, wait, forget_after, stopping, metrics, tasks }))
    }

    /// A gateway's stream of events, from after that sequence number or, without one, from where the published lists
    /// leave off. It never ends but for a shutdown, a gateway that takes nothing, or too many newer streams of the same
    /// gateway.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub async fn open(
        self: &Arc<Self>,
        gateway: Arc<str>,
        after: Option<u64>,
    ) -> Result<mpsc::Receiver<Bytes>, NotOpened> {
        if *self.stopping.borrow() {
            return Err(NotOpened::Stopping);
        }
        let now = self.hub.now();
        let position = after.unwrap_or_else(|| now.covered_by_all());
        // Also where the hub knows enough: a stream is promised only while the store can be read.
        let known = Place::at(&*self.store, position).await.map_err(NotOpened::Store)?;
        let Some(place) = known else {
            let last = now.place.sequence;
            tracing::warn!(%gateway, position, last, "a gateway knows more than the store");
            return Err(NotOpened::Ahead);
        };
        let (sender, receiver) = mpsc::channel(1);
        let entered = self.gateways.enter(&gateway);
        self.notes.connected(&gateway);
        tracing::info!(%gateway, after, position, "a gateway follows the feed");
        let stream = Stream { feed: Arc::clone(self), place: entered, position: place };
        tokio::spawn(stream.run(sender, self.stopping.clone()));
        Ok(receiver)
    }

    /// Notes that a gateway has everything up to a sequence number in force. When this returns `Ok` it is kept.
    ///
    /// # Errors
    /// [`NotAcknowledged`].
    pub async fn acknowledge(
        &self,
        gateway: &Arc<str>,
        feed: &str,
        to: u64,
        mark: &str,
        follows: Option<Arc<str>>,
    ) -> Result<(), NotAcknowledged> {
        if feed != self.hub.feed() {
            return Err(NotAcknowledged::OtherFeed);
        }
        let place = match self.hub.now().told(to) {
            Some(place) => Some(place),
            // Long ago, or another node told of it already.
            None => Place::at(&*self.store, to).await.map_err(NotAcknowledged::Store)?,
        };
        if place.is_none_or(|place| place.mark.to_string() != mark) {
            return Err(NotAcknowledged::Ahead);
        }
        // Whoever waits for it is told before it is on disk: it is true already.
        self.gateways.acknowledged(gateway, to, follows.as_ref());
        self.notes.acknowledged(gateway, to, follows).await
    }

    /// Why gateways are told nothing, while that is so.
    pub fn trouble(&self) -> Option<Arc<str>> {
        self.hub.trouble()
    }

    /// Returns the state of every gateway that is known, for metrics.
    pub(super) fn gateways(&self) -> Vec<GatewayReport> {
        self.gateways.report()
    }

    /// Returns the sequence number of the last change in the feed, for metrics.
    pub(super) fn sequence(&self) -> u64 {
        self.hub.now().place.sequence
    }

    /// Waits until every task has ended, after a shutdown.
    pub async fn join(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the feed failed");
            }
        }
    }
}

/// Returns once something has changed; never, where nothing can any more.
async fn changed<T>(watched: &mut watch::Receiver<T>) {
    if watched.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Returns once it is true, or its sender is gone.
async fn over(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|is_over| *is_over).await;
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Feed(told up to {})", self.hub.now().place.sequence)
    }
}
