//! The answers that are kept, and how the responders do.

use super::responder::{Pause, Responder};
use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_pki::ocsp::{Answer, CertificateStatus};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Certificates that something is kept about: five times the connections of a gateway; some 25 MB. One that was let go
/// of is asked about again.
const MAX_ANSWERS: usize = 100_000;

/// Independent locks, so that workers seldom meet.
const SHARDS: usize = 64;

/// A responder that could not be reached so often in a row is left alone for a while: one lost packet is no outage.
const FAILURES_TO_BACK_OFF: u32 = 3;

/// Whose certificate: the CA and the serial number.
type Key = (AuthorityKey, SerialNumber);

/// Answers by certificate, shared by all snapshots.
pub struct OcspAnswers {
    shards: [Mutex<HashMap<Key, Known>>; SHARDS],
    hash: RandomState,
    responders: Mutex<HashMap<AuthorityKey, Health>>,
    room: usize,
}

/// What is known about one certificate.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) answer: Option<KeptAnswer>,
    /// The last question came to nothing.
    pub(super) failure: Option<Failure>,
    /// The last question was not sent: there was no place for it.
    not_sent: Option<Pause>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct KeptAnswer {
    pub(super) answer: Answer,
    pub(super) holds_until: Timestamp,
    /// Until it is asked for anew.
    rest: Pause,
}

#[derive(Clone, Debug)]
pub(super) struct Failure {
    times: u32,
    pause: Pause,
    why: Arc<str>,
}

/// Whether a responder may be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MayAsk {
    NotYet,
    Now,
}

/// How a responder does, once it failed.
#[derive(Clone, Debug)]
struct Health {
    failures: u32,
    pause: Option<Pause>,
    since: Timestamp,
    why: Arc<str>,
    /// What it is asked to see whether it is back.
    last: SerialNumber,
}

/// Who is at fault where there is no answer that is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The responder: no connection, no answer in time, an error of HTTP.
    Responder,
    /// The answer: the responder is there, and what it says of this certificate is not believed, or nothing.
    Answer,
    /// Neither: it was not asked.
    Nobody,
}

/// How a responder does whose last answers did not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Questions in a row that came to nothing.
    pub failures: u32,
    /// When the first of them did.
    pub since: Timestamp,
    /// Why the last one did.
    pub why: Arc<str>,
    /// When it is asked next, once it is left alone for a time ([`OcspAnswers::backs_off`]).
    pub retry_at: Option<Timestamp>,
}

/// What an answer changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The certificate was not known to be revoked, and is: whoever uses it is to be cut.
    NowRevoked,
    /// Nothing that takes a right away at once.
    None,
    /// The answer that is kept stays, for this reason.
    Refused(&'static str),
}

impl OcspAnswers {
    /// With room for so many certificates in each shard.
    pub(super) fn with_room(room: usize) -> Self {
        let shards = std::array::from_fn(|_| Mutex::default());
        Self { shards, hash: RandomState::new(), responders: Mutex::default(), room }
    }

    /// Keeps a responder's answer, unless the one before it knew more: then it counts as none.
    pub fn answered(&self, responder: &Responder, serial: SerialNumber, answer: Answer, now: Timestamp) -> Change {
        let key = (responder.authority(), serial);
        if let Some(why) = self.known(key.0, serial).answer.and_then(|before| before.outweighs(&answer)) {
            self.failed(responder, serial, Blame::Answer, why, now);
            return Change::Refused(why);
        }
        lock(&self.responders).remove(&key.0);
        let holds_until = Responder::holds_until(&answer, now);
        let kept = KeptAnswer { answer, holds_until, rest: Pause::until(responder.refresh_at(holds_until, now), now) };
        let mut shard = self.shard(&serial);
        self.make_room(&mut shard, &key, now);
        let before = shard.insert(key, Known { answer: Some(kept), ..Known::default() });
        let was_revoked = before.and_then(|known| known.answer).is_some_and(|kept| kept.is_revoked());
        if kept.is_revoked() && !was_revoked { Change::NowRevoked } else { Change::None }
    }

    /// Notes that a question came to nothing; an answer that was there before stays for as long as it holds.
    ///
    /// Only what is the responder's own fault counts against it: else whoever has a certificate that it does not answer
    /// for could have it left alone, and who is revoked there be let in by a list.
    pub fn failed(&self, responder: &Responder, serial: SerialNumber, blame: Blame, why: &str, now: Timestamp) {
        let key = (responder.authority(), serial);
        let why: Arc<str> = why.into();
        match blame {
            Blame::Nobody => return self.not_sent(key, now),
            Blame::Answer => drop(lock(&self.responders).remove(&key.0)),
            Blame::Responder => self.count_failure(key, &why, now),
        }
        self.keep_failure(key, why, now);
    }

    /// Notes that a question found no place. It is no failure: no CRL stands in for a responder that was not asked. But
    /// a stream whose answer has ended meanwhile does not go on until a place is free.
    fn not_sent(&self, key: Key, now: Timestamp) {
        let mut shard = self.shard(&key.1);
        self.make_room(&mut shard, &key, now);
        shard.entry(key).or_default().not_sent = Some(Pause::after(1, now));
    }

    fn count_failure(&self, (authority, serial): Key, why: &Arc<str>, now: Timestamp) {
        let mut responders = lock(&self.responders);
        let fresh = Health { failures: 0, pause: None, since: now, why: Arc::clone(why), last: serial };
        let health = responders.entry(authority).or_insert(fresh);
        // Questions that were under way together fail together, and count once.
        if !health.is_left_alone(now) {
            health.failures = health.failures.saturating_add(1);
            let failures = health.failures.saturating_sub(FAILURES_TO_BACK_OFF - 1);
            health.pause = health.is_down().then(|| Pause::after(failures, now));
        }
        (health.why, health.last) = (Arc::clone(why), serial);
    }

    fn keep_failure(&self, key: Key, why: Arc<str>, now: Timestamp) {
        let mut shard = self.shard(&key.1);
        self.make_room(&mut shard, &key, now);
        let known = shard.entry(key).or_default();
        let times = known.failure.as_ref().map_or(1, |failure| failure.times.saturating_add(1));
        known.failure = Some(Failure { times, pause: Pause::after(times, now), why });
        known.not_sent = None;
    }

    /// Why a responder is left alone at `now`, if it is; a question to it then fails without being asked.
    pub fn backs_off(&self, responder: &AuthorityKey, now: Timestamp) -> Option<Arc<str>> {
        let responders = lock(&self.responders);
        let health = responders.get(responder).filter(|health| health.is_left_alone(now))?;
        Some(health.why.clone())
    }

    /// Since when a responder does not answer, and why not.
    pub fn down(&self, responder: &AuthorityKey) -> Option<(Timestamp, Arc<str>)> {
        let responders = lock(&self.responders);
        responders.get(responder).filter(|health| health.is_down()).map(|health| (health.since, health.why.clone()))
    }

    /// What is wrong with a responder; `None`: its last answer came, or it was never asked.
    pub fn trouble(&self, responder: &AuthorityKey) -> Option<Trouble> {
        let responders = lock(&self.responders);
        responders.get(responder).map(|health| Trouble {
            failures: health.failures,
            since: health.since,
            why: health.why.clone(),
            retry_at: health.pause.map(Pause::ends_at),
        })
    }

    /// What to ask responders that do not answer, to see whether they are back by `now`.
    pub fn probes(&self, now: Timestamp) -> Vec<(AuthorityKey, SerialNumber)> {
        let responders = lock(&self.responders);
        let due = responders.iter().filter(|(_, health)| health.is_down() && !health.is_left_alone(now));
        due.map(|(authority, health)| (*authority, health.last)).collect()
    }

    /// Whether an answer is kept that holds, was not asked for in vain since, and is not yet to be asked for anew.
    pub fn is_fresh(&self, authority: AuthorityKey, serial: SerialNumber, now: Timestamp) -> bool {
        let known = self.known(authority, serial);
        known.failure.is_none() && known.answer.is_some_and(|kept| now < kept.holds_until && kept.rest.lasts(now))
    }

    /// Whether a certificate that is in use is to be asked about anew at `now`.
    pub fn is_due(&self, authority: AuthorityKey, serial: SerialNumber, now: Timestamp) -> bool {
        self.known(authority, serial).is_due(now) && self.backs_off(&authority, now).is_none()
    }

    /// Why a responder gives nothing at `now`, where it was asked about a certificate in vain or does not answer at all,
    /// and whether it may be asked.
    pub(super) fn silence(&self, authority: AuthorityKey, known: &Known, now: Timestamp) -> Option<(Arc<str>, MayAsk)> {
        let left_alone = self.backs_off(&authority, now).is_some();
        let (why, just_asked) = match &known.failure {
            Some(failure) => (Arc::clone(&failure.why), failure.pause.lasts(now) || known.was_not_sent(now)),
            None => (self.down(&authority)?.1, false),
        };
        Some((why, if left_alone || just_asked { MayAsk::NotYet } else { MayAsk::Now }))
    }

    /// Certificates that something is known about.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Certificates of one CA that an answer is kept about.
    pub fn answers_of(&self, authority: &AuthorityKey) -> usize {
        let answers = |shard: &Mutex<HashMap<Key, Known>>| {
            lock(shard).iter().filter(|((of, _), known)| of == authority && known.answer.is_some()).count()
        };
        self.shards.iter().map(answers).sum()
    }

    /// Whether nothing was ever asked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is known about a certificate.
    pub(super) fn known(&self, authority: AuthorityKey, serial: SerialNumber) -> Known {
        self.shard(&serial).get(&(authority, serial)).cloned().unwrap_or_default()
    }

    /// By a hash that nobody outside knows: no CA's way of numbering, and nobody's choice, makes a shard too small.
    fn shard(&self, serial: &SerialNumber) -> MutexGuard<'_, HashMap<Key, Known>> {
        let [first, ..] = self.hash.hash_one(serial).to_le_bytes();
        // The remainder is below SHARDS.
        lock(&self.shards[usize::from(first) % SHARDS])
    }

    /// Lets go of what does not hold any more, and if that is not enough of the eighth that will be over first.
    fn make_room(&self, shard: &mut HashMap<Key, Known>, key: &Key, now: Timestamp) {
        if shard.len() < self.room || shard.contains_key(key) {
            return;
        }
        shard.retain(|_, known| known.is_worth_keeping(now));
        if shard.len() < self.room {
            return;
        }
        // A revocation goes last: what is not known to be revoked has to be asked about in any case.
        let rank = |known: &Known| known.answer.map_or((false, now), |kept| (kept.is_revoked(), kept.holds_until));
        let mut ranks: Vec<_> = shard.values().map(rank).collect();
        ranks.sort_unstable();
        if let Some(least) = ranks.get(self.room / 8).copied() {
            shard.retain(|_, known| rank(known) > least);
        }
    }
}

impl KeptAnswer {
    pub(super) const fn is_revoked(&self) -> bool {
        matches!(self.answer.status, CertificateStatus::Revoked { .. })
    }

    /// Why another answer does not take this one's place, if it does not: whoever sits on the way may play an old one
    /// that still holds, and a revocation is undone by nothing but the release of a hold (RFC 5280 section 5.3.1).
    fn outweighs(&self, other: &Answer) -> Option<&'static str> {
        if other.this_update < self.answer.this_update {
            return Some("the answer is older than the one before it");
        }
        match (self.answer.status, other.status) {
            (CertificateStatus::Revoked { .. }, CertificateStatus::Unknown) => {
                Some("the responder does not know any more what it said was revoked")
            }
            (CertificateStatus::Revoked { .. }, CertificateStatus::Good) if self.is_final() => {
                Some("the responder says good of what it said was revoked for ever")
            }
            _ => None,
        }
    }
}

impl Known {
    /// Returns `true` if the last question found no place, just now.
    pub(super) fn was_not_sent(&self, now: Timestamp) -> bool {
        self.not_sent.is_some_and(|pause| pause.lasts(now))
    }

    /// Returns `true` if the answer is older than `refresh` allows, or missing, and no question has failed just now.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        let may_retry = self.failure.as_ref().is_none_or(|failure| !failure.pause.lasts(now));
        let is_old = self.answer.is_none_or(|kept| !kept.rest.lasts(now) && !kept.is_revoked());
        may_retry && is_old
    }

    fn is_worth_keeping(&self, now: Timestamp) -> bool {
        self.answer.is_some_and(|kept| kept.holds_until >= now || kept.is_revoked())
            || self.failure.as_ref().is_some_and(|failure| failure.pause.lasts(now))
            || self.was_not_sent(now)
    }
}

impl Health {
    const fn is_down(&self) -> bool {
        self.failures >= FAILURES_TO_BACK_OFF
    }

    fn is_left_alone(&self, now: Timestamp) -> bool {
        self.pause.is_some_and(|pause| pause.lasts(now))
    }
}

impl Default for OcspAnswers {
    fn default() -> Self {
        Self::with_room(MAX_ANSWERS / SHARDS)
    }
}

impl fmt::Debug for OcspAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OcspAnswers").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Nothing panics while one is held, so what is in it is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
