//! The hub: follows the store and makes each message once, for all streams.

use super::key::FeedKey;
use super::message::{MOST_CHANGES, Press, Said};
use super::{changed, over};
use crate::audit::Head;
use crate::metrics::FeedMetrics;
use crate::publish::CoveredList;
use crate::store::{Place, StatusRow, Store, StoreError};
use bytes::Bytes;
use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_runtime::clock;
use sekisho_runtime::metrics::Registered;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Messages that are kept for streams that are a little behind: 8 MB where each is full. Who is further behind reads the
/// store.
const RECENT: usize = 64;

/// Statuses read at a time: ten messages' worth.
const PAGE: u32 = 5_000;

/// The longest wait before the store is asked again after it did not answer.
const RETRY: Duration = Duration::from_millis(500);

/// Where the feed is.
pub(super) struct Hub {
    press: Press,
    state: watch::Sender<Arc<State>>,
    /// Why nothing is told, while that is so.
    trouble: Mutex<Option<Arc<str>>>,
}

/// By how many milliseconds the clock may go back: so far gateways let it differ from theirs. Further back it was wrong
/// before, and messages that kept to it would say nothing of now.
const CLOCK_STEP: i64 = 5_000;

/// Where it is at a moment.
pub(super) struct State {
    /// Everything up to here was told.
    pub(super) place: Place,
    /// How far the store was then, at least: further, while its changes are read page by page.
    pub(super) head: u64,
    /// `at` of the last message.
    pub(super) at: i64,
    /// How many messages there were.
    pub(super) number: u64,
    recent: VecDeque<Arc<Sent>>,
    /// From which list on each part has everything.
    pub(super) lists: Arc<[CoveredList]>,
}

/// A message for everybody.
pub(super) struct Sent {
    number: u64,
    pub(super) from: Place,
    pub(super) to: Place,
    pub(super) event: Bytes,
}

/// What comes for a stream that has sent so many messages.
pub(super) enum Next {
    Message(Arc<Sent>),
    /// It is not kept any more.
    Gone,
    NotYet,
}

/// The task that follows the store.
pub(super) struct Following {
    pub(super) hub: Arc<Hub>,
    pub(super) store: Arc<dyn Store>,
    pub(super) heartbeat: Duration,
    pub(super) metrics: Arc<Registered<FeedMetrics>>,
}

/// Whether a message is due even without news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beat {
    Due,
    NotYet,
}

impl Hub {
    pub(super) fn new(
        feed: Arc<str>,
        key: FeedKey,
        authorities: HashMap<Arc<str>, AuthorityKey>,
        start: Place,
        lists: Arc<[CoveredList]>,
    ) -> Self {
        let at = clock::now_in_milliseconds();
        let state = State { place: start, head: start.sequence, at, number: 0, recent: VecDeque::new(), lists };
        Self {
            press: Press::new(feed, key, authorities, start.sequence),
            state: watch::Sender::new(Arc::new(state)),
            trouble: Mutex::default(),
        }
    }

    /// The feed's name.
    pub(super) fn feed(&self) -> &str {
        self.press.feed()
    }

    /// The issuer ID of an authority, in hex.
    pub(super) fn issuer(&self, authority: &str) -> Option<String> {
        self.press.issuer(authority)
    }

    /// Where it is now.
    pub(super) fn now(&self) -> Arc<State> {
        Arc::clone(&self.state.borrow())
    }

    /// Why nothing is told, while that is so.
    pub(super) fn trouble(&self) -> Option<Arc<str>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes whether it goes well; gives whether that is new.
    fn set_trouble(&self, trouble: Option<Arc<str>>) -> bool {
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = known.is_some() != trouble.is_some();
        *known = trouble;
        is_new
    }

    /// Where it is now and will be.
    pub(super) fn watch(&self) -> watch::Receiver<Arc<State>> {
        self.state.subscribe()
    }

    /// See [`Press::event`].
    pub(super) fn event(&self, said: &Said<'_>) -> Result<Bytes, StoreError> {
        self.press.event(said)
    }
}

impl State {
    /// Up to where the published lists say everything, of every part.
    pub(super) fn covered_by_all(&self) -> u64 {
        self.lists.iter().map(|list| list.to).min().unwrap_or(self.place.sequence).min(self.place.sequence)
    }

    /// What stood at that number when it was told, if that was not long ago.
    pub(super) fn told(&self, sequence: u64) -> Option<Place> {
        let recent = self.recent.iter().rev().map(|sent| sent.to);
        std::iter::once(self.place).chain(recent).find(|place| place.sequence == sequence)
    }

    /// The message after so many.
    pub(super) fn after(&self, number: u64) -> Next {
        if number >= self.number {
            return Next::NotYet;
        }
        let first = self.recent.front().map_or(u64::MAX, |sent| sent.number);
        let place = (number + 1).checked_sub(first).and_then(|place| usize::try_from(place).ok());
        place.and_then(|place| self.recent.get(place)).map_or(Next::Gone, |sent| Next::Message(Arc::clone(sent)))
    }
}

impl Following {
    /// Goes on until the shutdown.
    pub(super) async fn run(
        self,
        mut statuses: watch::Receiver<u64>,
        mut covered: watch::Receiver<Arc<[CoveredList]>>,
        mut shutdown: watch::Receiver<bool>,
    ) {
        let mut due = Instant::now();
        loop {
            let beat = tokio::select! {
                () = changed(&mut statuses) => Beat::NotYet,
                () = changed(&mut covered) => Beat::NotYet,
                () = tokio::time::sleep_until(due) => Beat::Due,
                () = over(&mut shutdown) => return,
            };
            let lists = covered.borrow_and_update().clone();
            match self.round(beat, lists).await {
                Ok(0) => {}
                Ok(_) => {
                    due = Instant::now() + self.heartbeat;
                    if self.hub.set_trouble(None) {
                        tracing::info!("the feed goes on");
                    }
                }
                Err(error) => {
                    due = Instant::now() + self.heartbeat.min(RETRY);
                    if self.hub.set_trouble(Some(error.to_string().into())) {
                        tracing::error!(%error, "the feed stands still: gateways are told nothing");
                    }
                }
            }
        }
    }

    /// Tells what is new; how many messages that made.
    async fn round(&self, beat: Beat, lists: Arc<[CoveredList]>) -> Result<u64, StoreError> {
        let mut told = 0;
        loop {
            let before = self.hub.now();
            // Taken before the reading: a message says what was true then.
            let at = time_of_message(clock::now_in_milliseconds(), before.at);
            let rows = before.place.after(&*self.store, PAGE).await?;
            let is_last = rows.len() < PAGE as usize;
            let new = if is_last { newly(&before.lists, &lists) } else { Vec::new() };
            // After a full page there was said to be more: also where there is none, that is to be said.
            let is_silent = rows.is_empty() && new.is_empty() && told == 0;
            if is_silent && beat == Beat::NotYet {
                self.keep(&before, lists);
                return Ok(told);
            }
            let last = rows.last().map_or(before.place.sequence, |row| row.sequence);
            let head = last.saturating_add(u64::from(!is_last));
            // That it cannot be read now is no reason to be silent about revocations.
            let audit = self.store.audit_head().await.ok();
            told += self.tell(&before, (at, head, audit), &rows, &new, if is_last { &lists } else { &before.lists })?;
            if is_last {
                return Ok(told);
            }
        }
    }

    /// Makes the messages of some rows, the newly published lists in the last one.
    fn tell(
        &self,
        before: &State,
        (at, head, audit): (i64, u64, Option<Head>),
        rows: &[StatusRow],
        new: &[CoveredList],
        lists: &Arc<[CoveredList]>,
    ) -> Result<u64, StoreError> {
        let mut recent = before.recent.clone();
        let (mut from, mut number) = (before.place, before.number);
        let mut pieces: Vec<&[StatusRow]> = rows.chunks(MOST_CHANGES).collect();
        if pieces.is_empty() {
            pieces.push(&[]);
        }
        let last = pieces.len() - 1;
        for (index, changes) in pieces.into_iter().enumerate() {
            let to = changes.last().map_or(from, StatusRow::place);
            let lists = if index == last { new } else { &[] };
            let event = self.hub.press.event(&Said { at, from, to, head, changes, lists, audit })?;
            number += 1;
            recent.push_back(Arc::new(Sent { number, from, to, event }));
            if recent.len() > RECENT {
                recent.pop_front();
            }
            from = to;
        }
        let messages = number - before.number;
        self.metrics.messages_total().inc_by(messages);
        self.hub.state.send_replace(Arc::new(State {
            place: from,
            head,
            at,
            number,
            recent,
            lists: Arc::clone(lists),
        }));
        Ok(messages)
    }

    /// Keeps how far the lists reach now, without a message: a stream that begins is told so.
    fn keep(&self, before: &Arc<State>, lists: Arc<[CoveredList]>) {
        if before.lists != lists {
            let State { place, head, at, number, ref recent, .. } = **before;
            self.hub.state.send_replace(Arc::new(State { place, head, at, number, recent: recent.clone(), lists }));
        }
    }
}

/// Not before the last message, but where the clock was wrong then: streams end, and begin again.
fn time_of_message(now: i64, before: i64) -> i64 {
    if now < before.saturating_sub(CLOCK_STEP) { now } else { now.max(before) }
}

/// Lists of a number that was not told.
fn newly(before: &[CoveredList], now: &[CoveredList]) -> Vec<CoveredList> {
    let is_known = |list: &&CoveredList| {
        before.iter().any(|known| (known.issuer, known.part, known.number) == (list.issuer, list.part, list.number))
    };
    now.iter().filter(|list| !is_known(list)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_never_before_the_last_one_unless_the_clock_was_wrong() {
        let before = 1_790_000_000_000;
        assert_eq!(time_of_message(before + 1, before), before + 1);
        assert_eq!(time_of_message(before - 1, before), before, "two nodes of a time service differ so");
        assert_eq!(time_of_message(before - 5_000, before), before);
        assert_eq!(time_of_message(before - 5_001, before), before - 5_001, "it was ahead before");
    }
}
