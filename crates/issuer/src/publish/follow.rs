//! The task that follows the store and publishes.

use super::cover::{Cover, Reach};
use super::folder;
use super::ledger::{Ledger, Times};
use super::shelf::Which;
use super::witness::{PublishedCrl, WitnessError, wrong_clock};
use super::{GATHER, POLL, Publisher, StartError, over};
use crate::authorities::{Authorities, IssuingAuthority};
use crate::store::{Place, Store, StoreError};
use sekisho_ca::crl::{CrlNumber, ListError, Lists, PartIndex, SignedList, UnsignedList};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// Statuses read at a time: half a megabyte of rows.
const PAGE: u32 = 5_000;

/// Publishing takes at most this share of the time, so that a burst under an authority with a list of a million entries
/// leaves the machine to others: the wait after a publication is so many times what it took.
const REST: u32 = 4;

/// The wait before a list that failed is tried again, the first and the longest: short, since nobody learns of a
/// revocation meanwhile.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(15);

/// Follows the store.
pub(super) struct Follower {
    publisher: Arc<Publisher>,
    store: Arc<dyn Store>,
    desks: Vec<Desk>,
    /// What was read last.
    seen: Place,
    /// Authorities of statuses that are not configured; each is told once.
    strangers: BTreeSet<Arc<str>>,
}

/// One authority's.
struct Desk {
    authority: Arc<IssuingAuthority>,
    ledger: Ledger,
    failures: HashMap<PartIndex, Failure>,
    /// How far the lists of each part reach.
    covers: BTreeMap<PartIndex, Cover>,
}

/// A part whose lists did not get out.
#[derive(Clone, Copy, Debug)]
struct Failure {
    wait: Duration,
    until: Instant,
}

/// Why a part was not published.
enum Unpublished {
    Store(StoreError),
    List(ListError),
    File(PathBuf, std::io::Error),
    Clock(String),
}

impl Follower {
    pub(super) fn new(publisher: Arc<Publisher>, store: Arc<dyn Store>, authorities: &Authorities) -> Self {
        let desk = |authority: &Arc<IssuingAuthority>| {
            let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
            let config = &authority.config;
            let times = Times { lifetime: seconds(config.crl_lifetime), interval: seconds(config.crl_interval) };
            let ledger = Ledger::new(config.parts, times);
            let covers = PartIndex::all(config.parts).map(|part| (part, Cover::default())).collect();
            Desk { authority: Arc::clone(authority), ledger, failures: HashMap::new(), covers }
        };
        let desks = authorities.iter().map(desk).collect();
        Self { publisher, store, desks, seen: Place::default(), strangers: BTreeSet::new() }
    }

    /// Reads everything there is and publishes every part.
    pub(super) async fn begin(&mut self) -> Result<(), StartError> {
        for desk in &mut self.desks {
            for row in self.store.list_numbers(&desk.authority.name).await? {
                desk.ledger.resume(&row).map_err(|error| {
                    let authority = Arc::clone(&desk.authority.name);
                    match error {
                        ListError::NoSuchPart => StartError::Parts { authority, part: row.part },
                        error => StartError::List { authority, error },
                    }
                })?;
            }
        }
        self.read().await?;
        self.compare_with_published().await?;
        match self.publish().await {
            None => Ok(self.settle().await?),
            Some((authority, why)) => Err(match why {
                Unpublished::Store(error) => StartError::Store(error),
                Unpublished::List(error) => StartError::List { authority, error },
                Unpublished::File(file, error) => StartError::Folder { file, error },
                Unpublished::Clock(why) => StartError::Clock(why),
            }),
        }
    }

    /// Refuses to go on where the store has less than was published.
    async fn compare_with_published(&self) -> Result<(), StartError> {
        for Desk { authority, ledger, .. } in &self.desks {
            let numbers = self.store.list_numbers(&authority.name).await?;
            for part in PartIndex::all(authority.config.parts) {
                let (file, published) = match PublishedCrl::of_part(authority, part) {
                    Ok(Some(found)) => found,
                    Ok(None) => continue,
                    Err((file, WitnessError::OtherKey)) => {
                        // The key of an authority of that name was changed: its lists are another's.
                        tracing::warn!(file = %file.display(), "another key signed the list that is replaced");
                        continue;
                    }
                    Err((file, error)) => return Err(StartError::Witness { file, error }),
                };
                let last = numbers.iter().find(|row| row.part == part.value());
                let is_revoked = |serial: &SerialNumber| ledger.is_revoked(serial);
                if let Some(set_back) = published.lacking(file, &*self.store, last, is_revoked).await? {
                    return Err(StartError::SetBack(set_back));
                }
            }
        }
        Ok(())
    }

    /// Goes on until the shutdown. What was stored before that is published, or tried to be.
    pub(super) async fn run(mut self, wake: Arc<Notify>, mut shutdown: watch::Receiver<bool>) {
        let mut not_before = Instant::now();
        let mut next = not_before + POLL;
        loop {
            let is_last = tokio::select! {
                () = wake.notified() => false,
                () = tokio::time::sleep_until(next) => false,
                () = over(&mut shutdown) => true,
            };
            let mut unread = self.read().await.err();
            if let Some(error @ StoreError::WentBack(_)) = unread {
                // What was read and is not there is in the ledgers: only a new start is right.
                self.report(Some(error), None);
                self.publisher.went_back.send_replace(true);
                return;
            }
            let begin = Instant::now();
            // Also where nothing is owed: then everything that was read is published already.
            let is_owed = self.has_owed();
            let unpublished = if begin >= not_before || is_last || !is_owed {
                let unpublished = self.publish().await;
                if is_owed {
                    not_before = begin + GATHER.max(begin.elapsed() * (REST + 1));
                }
                unpublished.map(|(authority, why)| why.describe(&authority))
            } else {
                None
            };
            unread = unread.or(self.settle().await.err());
            self.report(unread, unpublished);
            if is_last {
                return;
            }
            let poll = Instant::now() + POLL;
            next = if self.has_owed() { poll.min(not_before.max(self.first_retry())) } else { poll };
        }
    }

    /// Takes the changes of status that came since. The answers about them are forgotten here: they are wrong from now
    /// on, whenever lists come.
    async fn read(&mut self) -> Result<(), StoreError> {
        loop {
            let rows = self.seen.after(&*self.store, PAGE).await?;
            let now = clock::now();
            for row in &rows {
                let change = &row.change;
                match self.desks.iter_mut().find(|desk| desk.authority.name == change.authority) {
                    Some(desk) => {
                        self.publisher.answers.forget(&change.authority, &change.serial);
                        desk.ledger.take(change, now);
                        desk.touch(&change.serial, row.sequence);
                    }
                    None if change.not_after > now && self.strangers.insert(Arc::clone(&change.authority)) => {
                        let authority = &change.authority;
                        tracing::error!(%authority, "its certificates live and it is not configured: no lists of it");
                    }
                    None => {}
                }
                self.seen = row.place();
            }
            if rows.len() < PAGE as usize {
                return Ok(());
            }
        }
    }

    /// Publishes what is owed and not waiting after a failure. Gives the first failure, after trying all.
    async fn publish(&mut self) -> Option<(Arc<str>, Unpublished)> {
        let mut first = None;
        for place in 0..self.desks.len() {
            let failure = self.publish_one(place).await;
            first = first.or(failure);
        }
        if first.is_none() && !self.has_owed() {
            self.publisher.caught_up.send_if_modified(|caught_up| {
                let is_new = *caught_up < self.seen.sequence;
                *caught_up = self.seen.sequence;
                is_new
            });
        }
        first
    }

    /// One authority's.
    async fn publish_one(&mut self, place: usize) -> Option<(Arc<str>, Unpublished)> {
        let authority = Arc::clone(&self.desks.get(place)?.authority);
        let named = |why| (Arc::clone(&authority.name), why);
        let mut first = None;
        let mut numbers = Vec::new();
        if let Err(why) = self.check_clock(place).await {
            let desk = self.desks.get_mut(place)?;
            desk.due().into_iter().for_each(|(part, _)| desk.failed(part));
            return Some(named(why));
        }
        // What whoever takes a greater number reads at least.
        let before = self.seen.sequence;
        for (part, this_update) in self.desks.get(place)?.due() {
            match self.store.take_list_number(&authority.name, part.value(), this_update).await {
                Ok(number) => numbers.push((part, CrlNumber::from_stored(number), this_update)),
                Err(error) => {
                    first.get_or_insert(named(Unpublished::Store(error)));
                    self.desks.get_mut(place)?.failed(part);
                }
            }
        }
        // Between taking the numbers and making the lists: see the module's words on several nodes.
        if !numbers.is_empty()
            && let Err(error) = self.read().await
        {
            first.get_or_insert(named(Unpublished::Store(error)));
            for (part, ..) in numbers.drain(..) {
                self.desks.get_mut(place)?.failed(part);
            }
        }
        for (part, number, this_update) in numbers {
            let lists = self.desks.get_mut(place)?.ledger.prepare(&authority.authority, part, number, this_update);
            let published = match lists {
                Ok(lists) => self.put(&authority, lists).await,
                Err(error) => Err(Unpublished::List(error)),
            };
            let desk = self.desks.get_mut(place)?;
            match published {
                Ok(()) => {
                    desk.failures.remove(&part);
                    desk.published(part, number, before);
                }
                Err(why) => {
                    first.get_or_insert(named(why));
                    desk.failed(part);
                }
            }
        }
        first
    }

    /// Refuses to date lists of an authority into the future. Once an operator says that this clock is right, the last
    /// lists are dated anew in the store.
    async fn check_clock(&mut self, place: usize) -> Result<(), Unpublished> {
        let Some(desk) = self.desks.get_mut(place).filter(|desk| !desk.due().is_empty()) else { return Ok(()) };
        let mut wrong = wrong_clock(&*self.store, desk.ledger.last_dated()).await.map_err(Unpublished::Store)?;
        if wrong.is_some() {
            for row in self.store.list_numbers(&desk.authority.name).await.map_err(Unpublished::Store)? {
                desk.ledger.resume(&row).map_err(Unpublished::List)?;
            }
            wrong = wrong_clock(&*self.store, desk.ledger.last_dated()).await.map_err(Unpublished::Store)?;
        }
        wrong.map_or(Ok(()), |why| Err(Unpublished::Clock(why)))
    }

    /// Notes from which list on each part has everything, and tells how far that reaches.
    async fn settle(&mut self) -> Result<(), StoreError> {
        for desk in &mut self.desks {
            for (part, cover) in &mut desk.covers {
                if let Some(list) = cover.unsettled(&desk.authority.name, *part) {
                    cover.settle(self.store.settle_list(&list).await?);
                }
            }
        }
        let seen = self.seen.sequence;
        self.publisher.tell_covered(self.desks.iter_mut().flat_map(|Desk { authority, covers, .. }| {
            covers.iter_mut().filter_map(move |(part, cover)| cover.covered(authority, *part, seen))
        }));
        Ok(())
    }

    /// Signs the lists of a part, shows them and writes their files. The full list is out before the delta, which is of
    /// no use without it.
    async fn put(&self, authority: &Arc<IssuingAuthority>, lists: Lists) -> Result<(), Unpublished> {
        let (publisher, authority) = (Arc::clone(&self.publisher), Arc::clone(authority));
        // Signing reads every entry, writing waits for the disk.
        let work = move || {
            let sign = |list: UnsignedList| list.sign(&authority.authority).map_err(Unpublished::List);
            let full = sign(lists.full)?;
            let delta = lists.delta.map(sign).transpose()?;
            publisher.shelf.put(&authority.name, Which::Full, &full);
            if let Some(delta) = &delta {
                publisher.shelf.put(&authority.name, Which::Delta, delta);
            }
            let Some(folder) = &authority.config.publish_folder else { return Ok(()) };
            write(&folder.value, &authority.name, "", &full)?;
            delta.as_ref().map_or(Ok(()), |delta| write(&folder.value, &authority.name, "-delta", delta))
        };
        // A panic in there is a failure like another.
        tokio::task::spawn_blocking(work).await.unwrap_or(Err(Unpublished::List(ListError::Signing)))
    }

    /// Readiness and the log. A failure is over when nothing waits for another try.
    fn report(&self, unread: Option<StoreError>, unpublished: Option<String>) {
        match unread.map(|error| error.to_string()).or(unpublished) {
            Some(trouble) => self.publisher.set_trouble(Some(trouble.into())),
            None if self.desks.iter().all(|desk| desk.failures.is_empty()) => self.publisher.set_trouble(None),
            None => {}
        }
    }

    fn has_owed(&self) -> bool {
        let now = clock::now();
        self.desks.iter().any(|desk| !desk.ledger.owed(now).is_empty())
    }

    /// When the first part may be tried again; a part that did not fail, now.
    fn first_retry(&self) -> Instant {
        let (now, instant) = (clock::now(), Instant::now());
        let until = |desk: &Desk| {
            let of_part = |part: PartIndex| desk.failures.get(&part).map_or(instant, |failure| failure.until);
            desk.ledger.owed(now).into_iter().map(of_part).min()
        };
        self.desks.iter().filter_map(until).min().unwrap_or(instant)
    }
}

impl Desk {
    /// Parts that are owed and not waiting after a failure, and thisUpdate of their next lists.
    fn due(&self) -> Vec<(PartIndex, Timestamp)> {
        let (now, instant) = (clock::now(), Instant::now());
        let may_try = |part: &PartIndex| self.failures.get(part).is_none_or(|failure| failure.until <= instant);
        let owed = self.ledger.owed(now).into_iter().filter(may_try);
        owed.map(|part| (part, self.ledger.this_update(part, now))).collect()
    }

    /// A change of status was taken; where it makes a list due, the part is touched by it.
    fn touch(&mut self, serial: &SerialNumber, sequence: u64) {
        let part = PartIndex::of(serial, self.authority.config.parts);
        if self.ledger.owes(part)
            && let Some(cover) = self.covers.get_mut(&part)
        {
            cover.touch(sequence);
        }
    }

    /// A list is out. It may have what came after its number was taken, but another node's next list need not: of such
    /// a part another list is made.
    fn published(&mut self, part: PartIndex, number: CrlNumber, before: u64) {
        let Some(cover) = self.covers.get_mut(&part) else { return };
        if cover.publish(number, before) == Reach::Short {
            self.ledger.owe(part);
        }
    }

    /// A part's lists did not get out: they are made again, as a full list.
    fn failed(&mut self, part: PartIndex) {
        self.ledger.owe(part);
        let wait = self.failures.get(&part).map_or(FIRST_RETRY, |failure| failure.wait * 2).min(LONGEST_RETRY);
        self.failures.insert(part, Failure { wait, until: Instant::now() + wait });
    }
}

fn write(folder: &Path, authority: &str, kind: &str, list: &SignedList) -> Result<(), Unpublished> {
    let name = format!("{authority}-{}{kind}.crl", list.facts.part.value());
    folder::put(folder, &name, &list.der).map_err(|error| Unpublished::File(folder.join(name), error))
}

impl Unpublished {
    fn describe(&self, authority: &str) -> String {
        match self {
            Self::Store(error) => format!("authority {authority}: {error}"),
            Self::List(error) => format!("authority {authority}: no list: {error}"),
            Self::File(file, error) => format!("{}: {error}", file.display()),
            Self::Clock(why) => why.clone(),
        }
    }
}
