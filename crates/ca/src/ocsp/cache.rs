//! Signed answers, kept so that most requests cost a look-up (RFC 5019 section 2.2).

use super::answer::Answer;
use super::request::HashAlgorithm;
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Answers that are kept: of every live certificate of a big bank, at some 600 octets each.
pub(super) const MAX_ANSWERS: usize = 1_000_000;

/// Answers of one authority by serial number and the hash that the request named it by.
#[derive(Debug)]
pub struct AnswerCache {
    state: Mutex<State>,
    limit: usize,
}

#[derive(Debug, Default)]
struct State {
    answers: HashMap<(SerialNumber, HashAlgorithm), Kept>,
    epoch: Epoch,
}

#[derive(Debug)]
struct Kept {
    answer: Answer,
    demand: Demand,
}

/// Whether somebody asked since an answer was made: what nobody asks for is not made anew for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    None,
    Asked,
}

/// Counts the changes of status: an answer that was begun before one may be of the time before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Epoch(u64);

impl Default for AnswerCache {
    fn default() -> Self {
        Self::with_limit(MAX_ANSWERS)
    }
}

impl AnswerCache {
    /// A cache of so many answers.
    pub fn with_limit(limit: usize) -> Self {
        Self { state: Mutex::default(), limit }
    }

    /// An answer that holds now.
    pub(super) fn get(&self, serial: &SerialNumber, algorithm: HashAlgorithm, now: Timestamp) -> Option<Answer> {
        let mut state = self.lock();
        let kept = state.answers.get_mut(&(*serial, algorithm))?;
        kept.demand = Demand::Asked;
        let answer = &kept.answer;
        (answer.this_update <= now && now < answer.next_update).then(|| answer.clone())
    }

    /// To be taken before the status is looked up.
    pub(super) fn epoch(&self) -> Epoch {
        self.lock().epoch
    }

    /// Keeps an answer, unless a status changed since `epoch` or there is no room.
    pub(super) fn keep(
        &self,
        epoch: Epoch,
        serial: SerialNumber,
        algorithm: HashAlgorithm,
        answer: &Answer,
        demand: Demand,
    ) {
        let mut state = self.lock();
        let key = (serial, algorithm);
        let has_room = state.answers.len() < self.limit || state.answers.contains_key(&key);
        if state.epoch == epoch && has_room {
            state.answers.insert(key, Kept { answer: answer.clone(), demand });
        }
    }

    /// Forgets the answers of a certificate whose status changed. To be called once the change is stored.
    pub fn forget(&self, serial: &SerialNumber) {
        let mut state = self.lock();
        state.epoch = Epoch(state.epoch.0.wrapping_add(1));
        state.answers.remove(&(*serial, HashAlgorithm::Sha1));
        state.answers.remove(&(*serial, HashAlgorithm::Sha256));
    }

    /// Lets go of answers that are over, and names those that will be by `horizon` and that somebody asked for since
    /// they were made, at most `limit`: for a task that renews them before somebody waits.
    pub fn due(&self, now: Timestamp, horizon: Timestamp, limit: usize) -> Vec<(SerialNumber, HashAlgorithm)> {
        let mut state = self.lock();
        state.answers.retain(|_, kept| kept.answer.next_update > now);
        let is_due = |kept: &Kept| kept.answer.next_update <= horizon && kept.demand == Demand::Asked;
        let due = state.answers.iter().filter(|(_, kept)| is_due(kept));
        due.map(|(key, _)| *key).take(limit).collect()
    }

    /// Answers that are kept.
    pub fn len(&self) -> usize {
        self.lock().answers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Nothing panics while it is held, so what is in it is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
