//! Which gateways there are and what they have, in memory: what the store knows, and what this node knows sooner.

use super::{changed, over};
use crate::store::{Store, StoreError};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// How long a node counts on a stream without renewing it in the store: other nodes wait for its gateway's word so long
/// after the node died.
pub(super) const LEASE: Duration = Duration::from_secs(30);

/// How often it is renewed, and the store looked at without having rung.
pub(super) const RENEWAL: Duration = Duration::from_secs(10);

/// Streams of one gateway at a time: one, and those from before its restarts that nobody has noticed are dead. A further
/// one ends the oldest.
const STREAMS: usize = 4;

/// The gateways.
pub(super) struct Gateways {
    known: Mutex<BTreeMap<Arc<str>, Known>>,
    /// Changes with anything that somebody could wait for.
    version: watch::Sender<u64>,
    /// The configured authorities by name, and their issuer IDs in hex.
    authorities: Vec<(Arc<str>, String)>,
    forget_after: Duration,
}

/// One of them.
struct Known {
    acknowledged: Option<u64>,
    /// For which authorities the feed is in force there, where it said so: see [`follows`].
    follows: Option<Arc<str>>,
    seen: Instant,
    /// Until when another node counts on its stream.
    elsewhere: Option<Instant>,
    /// The streams of this node, the oldest first; notified when they are to end.
    streams: VecDeque<Arc<Notify>>,
    /// An answer waited in vain for this number: nobody waits again until it has it.
    late_for: Option<u64>,
}

/// How far a change of status has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spread {
    /// Gateways that count.
    pub(super) gateways: usize,
    /// Those that have it.
    pub(super) have: usize,
    /// Those that are connected, lack it and are worth waiting for.
    pub(super) awaited: usize,
}

/// The state of one gateway, for metrics.
pub(crate) struct GatewayReport {
    pub(crate) gateway: Arc<str>,
    /// Its streams on this node.
    pub(crate) streams: usize,
    /// The sequence number up to which it has every change in force, by authority that it follows.
    pub(crate) acknowledged: Vec<(Arc<str>, u64)>,
}

/// A stream's place among those of its gateway.
pub(super) struct Place {
    gateways: Arc<Gateways>,
    gateway: Arc<str>,
    displaced: Arc<Notify>,
}

impl Gateways {
    pub(super) fn new(authorities: Vec<(Arc<str>, String)>, forget_after: Duration) -> Self {
        Self { known: Mutex::default(), version: watch::Sender::new(0), authorities, forget_after }
    }

    /// A stream begins.
    pub(super) fn enter(self: &Arc<Self>, gateway: &Arc<str>) -> Place {
        let displaced = Arc::new(Notify::new());
        let mut known = self.known();
        let entry = known.entry(Arc::clone(gateway)).or_insert_with(Known::new);
        entry.streams.push_back(Arc::clone(&displaced));
        if entry.streams.len() > STREAMS
            && let Some(oldest) = entry.streams.pop_front()
        {
            oldest.notify_one();
        }
        (entry.seen, entry.late_for) = (Instant::now(), None);
        Place { gateways: Arc::clone(self), gateway: Arc::clone(gateway), displaced }
    }

    /// A gateway has everything up to a number.
    pub(super) fn acknowledged(&self, gateway: &Arc<str>, to: u64, following: Option<&Arc<str>>) {
        let mut known = self.known();
        let entry = known.entry(Arc::clone(gateway)).or_insert_with(Known::new);
        entry.seen = Instant::now();
        entry.have(to);
        entry.follows = following.cloned().or(entry.follows.take());
        drop(known);
        self.ring();
    }

    /// Whether it has a stream here.
    pub(super) fn is_here(&self, gateway: &str) -> bool {
        self.known().get(gateway).is_some_and(|known| !known.streams.is_empty())
    }

    /// Gateways with a stream here.
    pub(super) fn here(&self) -> Vec<Arc<str>> {
        let known = self.known();
        known.iter().filter(|(_, known)| !known.streams.is_empty()).map(|(name, _)| Arc::clone(name)).collect()
    }

    /// How far a number has come by now, of a change of that authority's.
    pub(super) fn spread(&self, sequence: u64, issuer: &str) -> Spread {
        let now = Instant::now();
        let mut spread = Spread { gateways: 0, have: 0, awaited: 0 };
        for known in self.known().values() {
            if known.streams.is_empty() && now.saturating_duration_since(known.seen) > self.forget_after {
                continue;
            }
            spread.gateways += 1;
            // One that has the message and does not follow the authority lets its clients in.
            let is_followed = follows(known.follows.as_deref(), issuer);
            if known.acknowledged >= Some(sequence) && is_followed {
                spread.have += 1;
            } else if known.is_awaited(now) && is_followed {
                spread.awaited += 1;
            }
        }
        spread
    }

    /// An answer waited in vain.
    pub(super) fn give_up(&self, sequence: u64) {
        let now = Instant::now();
        let mut known = self.known();
        let late = known.values_mut().filter(|known| known.acknowledged < Some(sequence) && known.is_awaited(now));
        late.for_each(|known| known.late_for = Some(sequence));
    }

    /// Changes with anything that [`Self::spread`] says.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Takes over what the store knows, of other nodes' too.
    pub(super) async fn refresh(&self, store: &dyn Store) -> Result<(), StoreError> {
        let rows = store.feed_gateways(0, self.forget_after).await?;
        let now = Instant::now();
        let mut known = self.known();
        // Rows of those that are forgotten do not come: they are let go here too.
        known.retain(|name, known| !known.streams.is_empty() || rows.iter().any(|row| row.name == *name));
        for row in rows {
            let entry = known.entry(Arc::clone(&row.name)).or_insert_with(Known::new);
            if let Some(to) = row.acknowledged {
                entry.have(to);
            }
            entry.follows = row.follows.or(entry.follows.take());
            entry.seen = now;
            let left = u64::try_from(row.connected_ms).map(Duration::from_millis).unwrap_or_default();
            entry.elsewhere = now.checked_add(left.min(LEASE));
        }
        drop(known);
        self.ring();
        Ok(())
    }

    /// Takes over what the store knows whenever it rings, until the shutdown.
    pub(super) async fn follow(
        self: Arc<Self>,
        store: Arc<dyn Store>,
        mut rings: watch::Receiver<u64>,
        mut shutdown: watch::Receiver<bool>,
    ) {
        loop {
            tokio::select! {
                () = changed(&mut rings) => {}
                () = tokio::time::sleep(RENEWAL) => {}
                () = over(&mut shutdown) => return,
            }
            if let Err(error) = self.refresh(&*store).await {
                tracing::debug!(%error, "what gateways have cannot be read");
            }
        }
    }

    /// Returns the state of every gateway that is known, for metrics. An acknowledgement is that of `GET /v1/revocations`:
    /// none for an authority that the gateway does not follow.
    pub(super) fn report(&self) -> Vec<GatewayReport> {
        let report = |(name, known): (&Arc<str>, &Known)| {
            let has = |issuer: &str| known.acknowledged.filter(|_| follows(known.follows.as_deref(), issuer));
            let by_authority = |(authority, issuer): &(Arc<str>, String)| Some((Arc::clone(authority), has(issuer)?));
            let acknowledged = self.authorities.iter().filter_map(by_authority).collect();
            GatewayReport { gateway: Arc::clone(name), streams: known.streams.len(), acknowledged }
        };
        self.known().iter().map(report).collect()
    }

    fn ring(&self) {
        self.version.send_modify(|version| *version = version.wrapping_add(1));
    }

    /// Nothing panics while it is held, so what is in it is whole.
    fn known(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns `true` if a list of issuer IDs in hex has this one. A gateway that did not say is of an earlier version.
pub(super) fn follows(list: Option<&str>, issuer: &str) -> bool {
    list.is_none_or(|list| list.split(',').any(|one| one == issuer))
}

impl Known {
    fn new() -> Self {
        let streams = VecDeque::new();
        Self { acknowledged: None, follows: None, seen: Instant::now(), elsewhere: None, streams, late_for: None }
    }

    fn have(&mut self, to: u64) {
        self.acknowledged = self.acknowledged.max(Some(to));
        if self.acknowledged >= self.late_for {
            self.late_for = None;
        }
    }

    fn is_awaited(&self, now: Instant) -> bool {
        let is_connected = !self.streams.is_empty() || self.elsewhere.is_some_and(|until| until > now);
        is_connected && self.late_for.is_none()
    }
}

impl Place {
    pub(super) fn gateway(&self) -> &Arc<str> {
        &self.gateway
    }

    /// Notified once newer streams have taken the place.
    pub(super) fn displaced(&self) -> Arc<Notify> {
        Arc::clone(&self.displaced)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut known = self.gateways.known();
        if let Some(entry) = known.get_mut(&self.gateway) {
            entry.streams.retain(|stream| !Arc::ptr_eq(stream, &self.displaced));
            entry.seen = Instant::now();
            // The store's word about it is this node's own and old, or is read again once it is written that it ended.
            if entry.streams.is_empty() {
                entry.elsewhere = None;
            }
        }
        drop(known);
        self.gateways.ring();
    }
}
