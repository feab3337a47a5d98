//! Two configurations and who came: what becomes of each CA and of each person.

use super::seen::Visit;
use super::side::{Known, Locked, Side};
use sekisho_config::CaState;
use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_pki::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// A person: a contract and a user of it; an administrator has no user ID.
pub(super) type Person = (Option<String>, Option<String>);

/// The comparison, filled by what the logs tell.
pub(super) struct Comparison<'c> {
    old: &'c Side,
    new: &'c Side,
    /// For each person at each site: the CAs of the certificates they came with.
    seen: BTreeMap<(String, Person), BTreeMap<AuthorityKey, Came>>,
    /// Visits with a CA that the old configuration does not have.
    pub(super) unknown_ca: u64,
}

/// How somebody came with a certificate of one CA.
#[derive(Clone, Debug)]
struct Came {
    last: Timestamp,
    fate: Result<(), Locked>,
}

/// What becomes of a CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Stays,
    Drains,
    Returns,
    Goes,
    Comes,
}

/// One CA, before and after.
pub(super) struct CaPlan<'c> {
    pub(super) ca: &'c Known,
    pub(super) was: Option<CaState>,
    pub(super) will_be: Option<CaState>,
    pub(super) change: Change,
    pub(super) seen: Crowd,
    pub(super) last_seen: Option<Timestamp>,
    pub(super) locked_out: Crowd,
    /// Locked-out people by site and reason.
    pub(super) by_site: BTreeMap<(String, Locked), Crowd>,
    /// People who would be, but for a certificate of a CA that stays.
    pub(super) moved: Crowd,
}

/// People.
#[derive(Clone, Debug, Default)]
pub(super) struct Crowd(BTreeSet<Person>);

/// Somebody who would be locked out of a site.
pub(super) struct LockedOut<'c> {
    pub(super) site: &'c str,
    pub(super) person: &'c Person,
    pub(super) ca: &'c str,
    pub(super) why: Locked,
    pub(super) last_seen: Timestamp,
}

impl<'c> Comparison<'c> {
    /// Nobody came yet.
    pub(super) const fn new(old: &'c Side, new: &'c Side) -> Self {
        Self { old, new, seen: BTreeMap::new(), unknown_ca: 0 }
    }

    /// Somebody came.
    pub(super) fn came(&mut self, visit: Visit) {
        let candidates: Vec<AuthorityKey> = match &visit.ca {
            Some(name) => self.old.cas().iter().filter(|ca| ca.name == *name).map(|ca| ca.key).collect(),
            // Two keys of one name cannot be told apart then: the one with the worse fate is taken.
            None => self.old.cas().iter().filter(|ca| ca.subject == visit.issuer).map(|ca| ca.key).collect(),
        };
        let site = self.old.config.sites.iter().find(|site| *site.name == *visit.site);
        let fate = |key| self.new.lets_in(site, key, visit.contract.as_deref(), visit.common_name.as_deref());
        let fates = candidates.iter().map(|key| (*key, fate(key)));
        let Some((key, fate)) = fates.max_by_key(|(_, fate)| fate.is_err()) else {
            self.unknown_ca += 1;
            return;
        };
        let came = self.seen.entry((visit.site, (visit.contract, visit.user))).or_default();
        let last = came.get(&key).map_or(visit.at, |came| came.last.max(visit.at));
        came.insert(key, Came { last, fate });
    }

    /// Every CA of the two, the old configuration's first.
    pub(super) fn cas(&self) -> Vec<CaPlan<'_>> {
        let comes = self.new.cas().iter().filter(|ca| self.old.of_key(&ca.key).is_none());
        self.old.cas().iter().chain(comes).map(|ca| self.ca(ca)).collect()
    }

    fn ca<'a>(&'a self, ca: &'a Known) -> CaPlan<'a> {
        let (was, will_be) = (self.old.state(&ca.key), self.new.state(&ca.key));
        let change = match (was, will_be) {
            (None, _) => Change::Comes,
            (Some(_), None) => Change::Goes,
            (Some(CaState::Active), Some(CaState::Draining)) => Change::Drains,
            (Some(CaState::Draining), Some(CaState::Active)) => Change::Returns,
            (Some(_), Some(_)) => Change::Stays,
        };
        let mut plan = CaPlan {
            ca,
            was,
            will_be,
            change,
            seen: Crowd::default(),
            last_seen: None,
            locked_out: Crowd::default(),
            by_site: BTreeMap::new(),
            moved: Crowd::default(),
        };
        for ((site, person), came) in &self.seen {
            let Some(with_this) = came.get(&ca.key) else {
                continue;
            };
            plan.seen.add(person);
            plan.last_seen = plan.last_seen.max(Some(with_this.last));
            match with_this.fate {
                Err(why) if came.values().all(|came| came.fate.is_err()) => {
                    plan.locked_out.add(person);
                    plan.by_site.entry((site.clone(), why)).or_default().add(person);
                }
                Err(_) => plan.moved.add(person),
                Ok(()) => {}
            }
        }
        plan
    }

    /// Everybody who would be locked out of a site: nothing they came with there gets in.
    pub(super) fn locked_out(&self) -> impl Iterator<Item = LockedOut<'_>> {
        self.seen.iter().filter_map(|((site, person), came)| {
            if came.values().any(|came| came.fate.is_ok()) {
                return None;
            }
            let (key, last) = came.iter().max_by_key(|(_, came)| came.last)?;
            let ca = self.old.of_key(key).map_or("", |ca| &ca.name);
            Some(LockedOut { site, person, ca, why: last.fate.err()?, last_seen: last.last })
        })
    }
}

impl Crowd {
    pub(super) fn add(&mut self, person: &Person) {
        self.0.insert(person.clone());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn users(&self) -> usize {
        self.0.len()
    }

    pub(super) fn contracts(&self) -> usize {
        self.0.iter().map(|(contract, _)| contract).collect::<BTreeSet<_>>().len()
    }
}

impl Change {
    /// Its stable name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Stays => "stays",
            Self::Drains => "drains",
            Self::Returns => "returns",
            Self::Goes => "goes",
            Self::Comes => "comes",
        }
    }
}
