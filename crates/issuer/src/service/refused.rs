//! Refused tries in the audit log. Whoever reaches a screen causes them, as often as they like, and a record is kept for
//! ever: of each contract, and of all contracts that are not there together, an hour's first ones are recorded, then each
//! second, fourth, eighth and so on, with how many there were between.

use crate::audit::{ActResult, Entry};
use sekisho_lifecycle::ContractId;
use sekisho_pki::time::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Refused tries of an hour that are recorded one by one: more than a contract has before its acquisitions are locked.
const EACH: u64 = 60;

/// Seconds after which counting begins anew.
const HOUR: i64 = 3_600;

/// Contracts that are told apart; further ones are counted together. Some megabytes.
const MOST: usize = 16_384;

/// Counts them.
#[derive(Debug, Default)]
pub(super) struct RefusedTries(Mutex<HashMap<Option<ContractId>, Count>>);

#[derive(Clone, Copy, Debug)]
struct Count {
    since: Timestamp,
    /// Since then.
    tries: u64,
    /// Since the last one that was recorded.
    unrecorded: u64,
}

impl RefusedTries {
    /// Whether an entry is to be recorded; one that is says how many before it were not.
    pub(super) fn keep(&self, entry: &mut Entry, contract_is_there: bool) -> bool {
        let ActResult::Refused(why) = &entry.result else { return true };
        if &*entry.command != "acquire" && entry.actor.is_some() {
            return true;
        }
        // Counts only; a panic elsewhere breaks none of them.
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = contract_is_there.then(|| entry.target.contract().clone());
        if counts.len() >= MOST && !counts.contains_key(&key) {
            counts.retain(|_, count| !count.is_over(entry.at));
            key = key.filter(|_| counts.len() < MOST);
        }
        let count = counts.entry(key).or_insert(Count { since: entry.at, tries: 0, unrecorded: 0 });
        if count.is_over(entry.at) {
            (count.since, count.tries) = (entry.at, 0);
        }
        count.tries = count.tries.saturating_add(1);
        if count.tries > EACH && !count.tries.is_power_of_two() {
            count.unrecorded = count.unrecorded.saturating_add(1);
            return false;
        }
        let unrecorded = std::mem::take(&mut count.unrecorded);
        if unrecorded > 0 {
            let why = format!("{why}; {unrecorded} refused tries before it are not recorded");
            entry.result = ActResult::Refused(why.into());
        }
        true
    }
}

impl Count {
    fn is_over(&self, now: Timestamp) -> bool {
        now < self.since || self.since.plus_seconds(HOUR) <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sekisho_lifecycle::Target;

    fn refused(contract: &str, second: i64) -> Entry {
        Entry {
            at: Timestamp::from_unix(1_795_311_060 + second),
            caller: "ib".into(),
            actor: None,
            command: "acquire".into(),
            target: Target::Contract(ContractId::new(contract).unwrap()),
            channel: None,
            screen: None,
            form: None,
            serial: None,
            address: None,
            reference: "r".into(),
            result: ActResult::Refused("login-password is wrong".into()),
        }
    }

    #[test]
    fn refused_tries_are_recorded_ever_more_seldom_and_all_of_them_counted() {
        let tries = RefusedTries::default();
        let (mut records, mut counted) = (0, 0);
        for number in 0..100_000 {
            // Each of another contract that is not there.
            let mut entry = refused(&format!("C{number}"), number / 100);
            if tries.keep(&mut entry, false) {
                let ActResult::Refused(why) = &entry.result else { panic!() };
                let unrecorded =
                    why.split_once("; ").map_or(0, |(_, rest)| rest.split(' ').next().unwrap().parse().unwrap());
                (records, counted) = (records + 1, counted + 1 + unrecorded);
            }
        }
        // 64, 128, … 65,536.
        assert_eq!((records, counted), (EACH + 11, 65_536));
        // One that is there has records of its own, and so has the next hour, which tells of the rest.
        assert!(tries.keep(&mut refused("C1", 1_000), true));
        let mut next = refused("C1", 1_000 + HOUR);
        assert!(tries.keep(&mut next, false));
        let told = ActResult::Refused("login-password is wrong; 34464 refused tries before it are not recorded".into());
        assert_eq!(next.result, told);
        // What is done, and other acts of known people, are recorded whatever there was.
        for _ in 0..100 {
            assert!(tries.keep(&mut Entry { result: ActResult::Done, ..refused("C2", 0) }, true));
        }
    }
}
