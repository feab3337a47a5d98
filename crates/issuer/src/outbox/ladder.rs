//! The ladder of expiry notices 有効期限のお知らせ: who has come to a step of it, found by the days that are left.

use super::deliver::ask;
use crate::profiles::Profiles;
use crate::store::{self, NewNotice, NoticeAbout, Store, StoreError, UserRow, Write};
use sekisho_lifecycle::profile::Profile;
use sekisho_lifecycle::{ContractId, expiry_notice};
use sekisho_pki::time::Timestamp;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Seconds in a day.
const DAY: i64 = 86_400;

/// Users read and notices put in at a time: a writer is held up for no longer than by an act.
const PAGE: u32 = 200;

/// Contracts whose profile is remembered during a scan.
const MOST_CONTRACTS: usize = 10_000;

/// Seconds between two scans of the whole span; those between look only at who has come to a step since the last one. A
/// certificate that is made shorter than a step, or found late, is found by this one.
const WHOLE_EVERY: i64 = DAY;

/// Finds users in the ladder and puts their notices in, each once.
///
/// The store keeps one notice a serial and step, so that several nodes and repeated scans do no harm.
#[derive(Debug, Default)]
pub struct Ladder {
    whole_at: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Ladder {
    /// Nothing scanned yet: the first scan is of the whole span.
    pub fn new() -> Self {
        Self::default()
    }

    /// Scans; how many notices it put in, those among them that were in already.
    ///
    /// # Errors
    /// [`StoreError`]: the next scan begins where the last whole one ended.
    pub async fn scan(&mut self, store: &dyn Store, profiles: &Profiles, now: Timestamp) -> Result<usize, StoreError> {
        let steps: BTreeSet<u16> =
            profiles.iter().flat_map(|profile| profile.notices.before_expiry_days.iter().copied()).collect();
        let spans = self.spans(&steps, now);
        let mut scan = Scan { store, profiles, now, known: HashMap::new(), put: 0 };
        for (from, to) in &spans.list {
            scan.span(*from, *to).await?;
        }
        self.last = Some(now);
        if spans.whole == Whole::Yes {
            self.whole_at = Some(now);
        }
        Ok(scan.put)
    }

    /// The spans of expiries to look at, for these steps.
    fn spans(&self, steps: &BTreeSet<u16>, now: Timestamp) -> Spans {
        let days = |step: &u16| i64::from(*step) * DAY;
        match (self.last, self.whole_at) {
            // A clock that went back makes a new beginning.
            (Some(last), Some(whole)) if last <= now && now < whole.plus_seconds(WHOLE_EVERY) => {
                let since = |step: &u16| (last.plus_seconds(days(step) + 1), now.plus_seconds(days(step)));
                Spans { whole: Whole::No, list: steps.iter().map(since).collect() }
            }
            _ => {
                let list = steps.last().map(|longest| (now, now.plus_seconds(days(longest))));
                Spans { whole: Whole::Yes, list: list.into_iter().collect() }
            }
        }
    }
}

struct Spans {
    whole: Whole,
    list: Vec<(Timestamp, Timestamp)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whole {
    Yes,
    No,
}

struct Scan<'a> {
    store: &'a dyn Store,
    profiles: &'a Profiles,
    now: Timestamp,
    known: HashMap<ContractId, Option<Arc<Profile>>>,
    put: usize,
}

impl Scan<'_> {
    async fn span(&mut self, from: Timestamp, to: Timestamp) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let rows = self.store.expiring(from, to, after.as_ref(), PAGE).await?;
            let mut notices = Vec::new();
            for row in &rows {
                notices.extend(self.notice(row).await?);
            }
            self.put += notices.len();
            if let Some(first) = notices.first() {
                let ask = ask(&first.to.contract, None);
                store::change(self.store, ask, move |_| (Write { notices, ..Write::default() }, ())).await?;
            }
            // A user who holds nothing any more was read in between; the page's last one who does is where it goes on.
            after = rows.iter().rev().find_map(|row| Some((end(row)?, row.user.key.clone())));
            if rows.len() < PAGE as usize || after.is_none() {
                return Ok(());
            }
        }
    }

    async fn notice(&mut self, row: &UserRow) -> Result<Option<NewNotice>, StoreError> {
        let Some(profile) = self.profile(&row.user.key.contract).await? else { return Ok(None) };
        Ok(expiry_notice(&profile, &row.user, self.now).map(|notice| NewNotice {
            mail: None,
            to: row.user.key.clone(),
            about: NoticeAbout::Expiry(notice.step_days),
            once: format!("expiry/{}/{}", notice.serial, notice.step_days).into(),
            serial: Some(notice.serial),
            not_after: Some(notice.expires),
            at: self.now,
        }))
    }

    async fn profile(&mut self, contract: &ContractId) -> Result<Option<Arc<Profile>>, StoreError> {
        if let Some(profile) = self.known.get(contract) {
            return Ok(profile.clone());
        }
        let found = self.store.find(&ask(contract, None)).await?;
        let profile = found.contract.and_then(|row| self.profiles.get(&row.profile).cloned());
        if profile.is_none() {
            tracing::error!(%contract, "a contract's profile is not configured; its users get no expiry notices");
        }
        if self.known.len() >= MOST_CONTRACTS {
            self.known.clear();
        }
        self.known.insert(contract.clone(), profile.clone());
        Ok(profile)
    }
}

fn end(row: &UserRow) -> Option<Timestamp> {
    match &row.user.certificate {
        sekisho_lifecycle::Certificate::Held(held) => Some(held.not_after),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(seconds: i64) -> Timestamp {
        Timestamp::from_unix(seconds)
    }

    fn scanned(whole: i64, last: i64) -> Ladder {
        Ladder { whole_at: Some(time(whole)), last: Some(time(last)) }
    }

    #[test]
    fn the_first_scan_is_of_the_longest_ladder_and_one_a_day_again() {
        let steps = BTreeSet::from([7, 40]);
        let whole = |ladder: Ladder, now| {
            let spans = ladder.spans(&steps, time(now));
            assert_eq!(spans.list == [(time(now), time(now + 40 * DAY))], spans.whole == Whole::Yes);
            spans.whole
        };
        assert_eq!(whole(Ladder::new(), 1_000), Whole::Yes);
        assert_eq!(whole(scanned(1_000, 1_600), 1_000 + DAY), Whole::Yes);
        assert_eq!(whole(scanned(1_000, 1_600), 1_000 + DAY - 1), Whole::No);
        assert_eq!(whole(scanned(1_000, 1_600), 1_599), Whole::Yes, "the clock went back");
    }

    #[test]
    fn between_whole_scans_each_step_is_looked_at_where_time_has_moved_on() {
        let steps = BTreeSet::from([7, 40]);
        let spans = scanned(1_000, 1_600).spans(&steps, time(2_200));
        let at = |days: i64, seconds| time(days * DAY + seconds);
        assert_eq!(spans.list, [(at(7, 1_601), at(7, 2_200)), (at(40, 1_601), at(40, 2_200))]);
        assert_eq!(Ladder::new().spans(&BTreeSet::new(), time(0)).list, []);
    }
}
