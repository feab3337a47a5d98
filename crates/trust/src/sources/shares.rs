//! Places for what goes on at once, so many for each: who is slow keeps nobody else waiting.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// As many places for each of those that are configured: kept for as long as the process, since they are few.
#[derive(Debug)]
pub(super) struct Shares<K> {
    each: usize,
    taken: Mutex<HashMap<K, Arc<Semaphore>>>,
}

impl<K: Clone + Eq + Hash> Shares<K> {
    pub(super) fn of(each: usize) -> Self {
        Self { each, taken: Mutex::default() }
    }

    /// Waits for a place of this one's. `None` never comes: nobody closes what is waited for.
    pub(super) async fn take(&self, whose: &K) -> Option<OwnedSemaphorePermit> {
        let places = {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(taken.entry(whose.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.each))))
        };
        places.acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn each_has_its_own_places_and_no_more() {
        let shares = Shares::of(2);
        let first = [shares.take(&"a").await, shares.take(&"a").await];
        let third = tokio::time::timeout(Duration::from_millis(1), shares.take(&"a"));
        assert!(third.await.is_err(), "both are taken");
        assert!(shares.take(&"b").await.is_some());
        drop(first);
        assert!(shares.take(&"a").await.is_some());
    }
}
