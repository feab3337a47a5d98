//! The lists of one CA that are in force: what a lookup asks.

use super::feed::Told;
use super::lists::{Content, InForce, RevocationList, Says};
use super::policy::ListPolicy;
use super::question::Question;
use super::revoked::Revoked;
use super::staleness::Freshness;
use super::withdrawn::Withdrawn;
use sekisho_config::WhenStale;
use sekisho_pki::crl::CrlNumber;
use sekisho_pki::points::{PointName, Reasons};
use sekisho_pki::time::Timestamp;
use std::sync::Arc;

/// The lists of one CA.
///
/// Every list that can be read may revoke. That a certificate is good takes fresh lists that speak of it, for every
/// reason there is: the complete one, or those of its distribution points (RFC 5280 section 6.3.3); and no list that is
/// newer and not understood may stand beside them, since it might have revoked.
#[derive(Debug)]
pub struct RevocationLists {
    policy: ListPolicy,
    /// Those that are asked about every certificate, then those with a distribution point's name.
    lists: Vec<InForce>,
    /// How many are asked about every certificate.
    always: usize,
    /// Names of distribution points in order, each with the place of its list.
    by_point: Vec<(PointName, usize)>,
    /// Why no certificate can be told good, when that is so: lists newer than the others that are not understood, or a
    /// delta list before which too many lists did not come.
    pub(super) closed_by: Vec<Arc<RevocationList>>,
    /// What was revoked for good by lists that were in force, and is on none of these.
    withdrawn: Withdrawn,
    /// A list that was in force, and of which more is on none of these than can be kept.
    overflow: Option<Arc<RevocationList>>,
}

/// What the lists of a CA say of a certificate.
pub(super) enum Lookup<'a> {
    Revoked(Revoked, &'a RevocationList),
    /// By a list that was in force before.
    Withdrawn(Revoked),
    Good {
        by: &'a RevocationList,
        /// thisUpdate; of several lists that it takes, the earliest.
        made_at: Timestamp,
        stale_since: Option<Timestamp>,
    },
    /// The lists of its distribution points are to be asked, and the points were not kept.
    LeftOpen,
    Unavailable(String),
}

/// What the lists asked so far come to.
#[derive(Default)]
struct Answer<'a> {
    fresh: Reasons,
    tolerated: Reasons,
    by: Option<&'a InForce>,
    made_at: Option<Timestamp>,
    stale_since: Option<Timestamp>,
    expired: Option<&'a InForce>,
}

impl RevocationLists {
    pub(super) fn new(policy: ListPolicy, mut lists: Vec<InForce>, closed_by: Vec<Arc<RevocationList>>) -> Self {
        // The complete list first: it alone says that a certificate is good.
        lists.sort_by_key(|one| (!one.list.points().is_empty(), !one.is_complete(), one.says != Says::Good));
        let always = lists.iter().filter(|one| one.list.points().is_empty()).count();
        let names = |(place, one): (usize, &InForce)| {
            one.list.points().iter().map(|name| (name.clone(), place)).collect::<Vec<_>>()
        };
        let mut by_point: Vec<_> = lists.iter().enumerate().flat_map(names).collect();
        by_point.sort_unstable();
        Self { policy, lists, always, by_point, closed_by, withdrawn: Withdrawn::default(), overflow: None }
    }

    /// The same after others that were in force: what those revoked for good stays revoked.
    pub(super) fn remembering(mut self, withdrawn: Withdrawn, overflow: Option<Arc<RevocationList>>) -> Self {
        (self.withdrawn, self.overflow) = (withdrawn, overflow);
        self
    }

    /// What was revoked for good by lists that were in force, and is on none of these.
    pub const fn withdrawn(&self) -> &Withdrawn {
        &self.withdrawn
    }

    pub(super) const fn overflow(&self) -> Option<&Arc<RevocationList>> {
        self.overflow.as_ref()
    }

    /// Every list with its delta.
    pub(super) fn each(&self) -> impl Iterator<Item = &InForce> {
        self.lists.iter()
    }

    /// The lists that were chosen, and not only retained.
    pub(super) fn chosen(&self) -> impl Iterator<Item = &Arc<RevocationList>> {
        self.lists.iter().filter(|one| one.says != Says::Retained).flat_map(InForce::all)
    }

    /// The complete list in force; where there is none, the first of a part.
    pub fn in_force(&self) -> Option<&Arc<RevocationList>> {
        self.good().next().map(|one| &one.list)
    }

    /// The number up to which everything is known of certificates with this distribution point's name, or of those
    /// without one: that of the list, or of the delta list that was combined with it. Issuers number each part for
    /// itself, so that the number of the complete list says nothing of a part.
    pub fn number_at(&self, point: Option<&PointName>) -> Option<CrlNumber> {
        let list = match point {
            None => self.good().find(|one| one.is_complete()),
            Some(point) => self.at(point).find(|one| one.says == Says::Good),
        };
        list.and_then(InForce::number)
    }

    /// Every list a lookup asks.
    pub fn all(&self) -> impl Iterator<Item = &Arc<RevocationList>> {
        self.lists.iter().flat_map(InForce::all)
    }

    /// The lists that close their CA since they are not understood.
    pub(super) fn not_understood(&self) -> impl Iterator<Item = &Arc<RevocationList>> {
        self.closed_by.iter().filter(|list| matches!(list.content, Content::NotUnderstood(_)))
    }

    /// Every list that says who is good, with its delta.
    pub(super) fn good(&self) -> impl Iterator<Item = &InForce> {
        self.lists.iter().filter(|one| one.says == Says::Good)
    }

    /// Whether there are lists by which some certificate can be told good, once they are fresh.
    pub(super) fn can_tell(&self) -> bool {
        let reasons = |one: &InForce| one.list.part().map_or(Reasons::ALL, |part| part.reasons);
        self.good().map(reasons).fold(Reasons::NONE, Reasons::and).is_all()
    }

    /// How its lists are judged.
    pub const fn policy(&self) -> &ListPolicy {
        &self.policy
    }

    /// When the first of the lists that say who is good grows stale: the complete one where there is one.
    pub fn next_update(&self) -> Option<Timestamp> {
        let complete = self.good().find(|one| one.is_complete());
        complete.map(|one| one.next_update).or_else(|| self.good().map(|one| one.next_update).min())
    }

    /// Whether certificates can be told good at `now`, and if so how fresh that is; else why not. Where there are only
    /// lists of parts, all of them count.
    pub(super) fn state(&self, now: Timestamp) -> Result<Freshness, String> {
        if let Some(why) = self.why_closed() {
            return Err(why);
        }
        if !self.can_tell() {
            return Err(self.why_not_covered(&[]));
        }
        let complete = self.good().find(|one| one.is_complete());
        let mut state = Freshness::Fresh;
        for one in self.good().filter(|one| complete.is_none() || one.is_complete()) {
            match Freshness::at(one.next_update, self.policy.when_stale, now) {
                Freshness::Expired { .. } => return Err(why_expired(one)),
                Freshness::Tolerated { next_update } => state = Freshness::Tolerated { next_update },
                Freshness::Fresh => {}
            }
        }
        Ok(state)
    }

    /// What the lists say of a certificate at `now`. A revocation stands however stale its list is; a hold does not
    /// when the issuer's feed told that it was undone since its list was made.
    pub(super) fn lookup(&self, question: &Question<'_>, told: &Told<'_>, now: Timestamp) -> Lookup<'_> {
        let mut answer = Answer::default();
        let (always, of_points) = self.lists.split_at_checked(self.always).unwrap_or((&self.lists, &[]));
        for one in always {
            if let Some((revoked, list)) = answer.ask(one, question, told, self.policy.when_stale, now) {
                return Lookup::Revoked(revoked, list);
            }
        }
        if !of_points.is_empty() {
            let mut is_there = false;
            let names = question.points.unwrap_or_default().iter().flat_map(|point| point.names());
            for one in names.flat_map(|name| self.at(name)) {
                is_there = true;
                if let Some((revoked, list)) = answer.ask(one, question, told, self.policy.when_stale, now) {
                    return Lookup::Revoked(revoked, list);
                }
            }
            // No list says that it is for this certificate: then any may revoke it, and none says that it is good.
            let others = if is_there { &[] } else { of_points };
            if let Some((revoked, list)) = others.iter().find_map(|one| revoked(one, question, told)) {
                return Lookup::Revoked(revoked, list);
            }
        }
        self.conclude(&answer, question)
    }

    fn conclude<'a>(&'a self, answer: &Answer<'a>, question: &Question<'_>) -> Lookup<'a> {
        if let Some(revoked) = self.withdrawn.get(question.serial) {
            return Lookup::Withdrawn(revoked);
        }
        if let Some(why) = self.why_closed() {
            return Lookup::Unavailable(why);
        }
        match answer.by {
            Some(by) if answer.fresh.and(answer.tolerated).is_all() => {
                let by = by.newest();
                let stale_since = if answer.fresh.is_all() { None } else { answer.stale_since };
                Lookup::Good { by, made_at: answer.made_at.unwrap_or(by.header.this_update), stale_since }
            }
            _ if question.points.is_none() && !self.by_point.is_empty() => Lookup::LeftOpen,
            _ => Lookup::Unavailable(match answer.expired {
                Some(expired) => why_expired(expired),
                None => self.why_not_covered(question.points.unwrap_or_default()),
            }),
        }
    }

    /// The lists of a distribution point's name.
    fn at(&self, name: &PointName) -> impl Iterator<Item = &InForce> {
        let first = self.by_point.partition_point(|(other, _)| other < name);
        let of_name = self.by_point.iter().skip(first).take_while(move |(other, _)| other == name);
        of_name.filter_map(|(_, place)| self.lists.get(*place))
    }

    fn why_closed(&self) -> Option<String> {
        if let Some(list) = &self.overflow {
            return Some(format!("more revocations of the list in {} were withdrawn than can be kept", list.file));
        }
        let list = self.closed_by.first()?;
        Some(match &list.content {
            Content::NotUnderstood(what) => {
                format!("the revocation list in {} is not understood: {what}", list.file)
            }
            Content::Index(_) if list.header.base.is_some() => {
                format!("too many lists did not come before the delta list in {}", list.file)
            }
            Content::Index(_) => format!("too many different lists have the number of the one in {}", list.file),
        })
    }

    fn why_not_covered(&self, points: &[sekisho_pki::points::DistributionPoint]) -> String {
        if self.lists.is_empty() {
            return "no revocation list was accepted".to_owned();
        }
        match points.iter().find_map(|point| point.names().first()) {
            Some(name) => format!("no revocation list of its distribution point was accepted ({name})"),
            None => "only revocation lists of a part of the certificates were accepted".to_owned(),
        }
    }
}

impl<'a> Answer<'a> {
    /// Asks one list: who revokes ends it.
    fn ask(
        &mut self,
        one: &'a InForce,
        question: &Question<'_>,
        told: &Told<'_>,
        when_stale: WhenStale,
        now: Timestamp,
    ) -> Option<(Revoked, &'a RevocationList)> {
        if let Some(revoked) = revoked(one, question, told) {
            return Some(revoked);
        }
        let covers = one.covers(question);
        if covers.is_none() {
            return None;
        }
        match Freshness::at(one.next_update, when_stale, now) {
            Freshness::Fresh => self.fresh = self.fresh.and(covers),
            Freshness::Tolerated { next_update } => {
                self.tolerated = self.tolerated.and(covers);
                self.stale_since = Some(self.stale_since.map_or(next_update, |before| before.min(next_update)));
            }
            Freshness::Expired { .. } => {
                self.expired.get_or_insert(one);
                return None;
            }
        }
        self.by.get_or_insert(one);
        let made_at = one.newest().header.this_update;
        self.made_at = Some(self.made_at.map_or(made_at, |before| before.min(made_at)));
        None
    }
}

/// What a list says, but for a hold that was undone since it and its deltas were made.
fn revoked<'a>(one: &'a InForce, question: &Question<'_>, told: &Told<'_>) -> Option<(Revoked, &'a RevocationList)> {
    let number = || one.all().filter_map(|list| list.header.number).max();
    one.revoked(question.serial)
        .filter(|(revoked, _)| !told.undoes(revoked.reason, number().as_ref(), one.list.points()))
}

fn why_expired(one: &InForce) -> String {
    match &one.outdated_by {
        Some(delta) if one.next_update == delta.header.this_update => format!(
            "the delta list in {} builds on a newer revocation list than the one in {}",
            delta.file, one.list.file
        ),
        _ => format!("the revocation list in {} is stale since {}", one.newest().file, one.next_update),
    }
}
