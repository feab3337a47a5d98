//! Delta lists over their base (RFC 5280 section 5.2.4).
//!
//! A delta with base number B and number N is combined with a list of the same signer and scope whose number is from B
//! to below N. A list of number N or more has all that it says. One below B cannot be combined: the delta then still
//! revokes whom it names, and proves that a newer list exists which did not come.

use super::alarm::{Alarm, AlarmKind};
use super::authority::AuthorityFacts;
use super::choose::{alarm, describe, newer};
use super::lists::RevocationList;
use std::sync::Arc;

/// Delta lists that build on lists which did not come: an issuer that publishes a full list each day goes without
/// notice for a month. Beyond it the oldest are let go of, and their CA is closed until a list comes.
pub(super) const MAX_BEYOND: usize = 32;

/// The delta lists of one signer and scope that count.
#[derive(Debug, Default)]
pub(super) struct Deltas {
    /// The newest that builds on the base.
    pub(super) applied: Option<Arc<RevocationList>>,
    /// Those that do not build on the base, and say more than one another: whom they revoke is revoked. The newest first.
    pub(super) beyond: Vec<Arc<RevocationList>>,
    /// Others of the same numbers as `applied` and other contents: both revoke.
    pub(super) conflicting: Vec<Arc<RevocationList>>,
}

/// Chooses among the delta lists that are offered and those that were in force before.
pub(super) fn choose(
    authority: &AuthorityFacts,
    base: Option<&RevocationList>,
    offered: &[Arc<RevocationList>],
    before: &[Arc<RevocationList>],
    alarms: &mut Vec<Alarm>,
) -> Deltas {
    let all = newest_first(offered.iter().chain(before), base);
    report_withdrawn(authority, offered, &newest_first(before.iter(), base), alarms);
    let (builds, beyond): (Vec<_>, Vec<_>) = all.into_iter().partition(|delta| builds_on(delta, base));
    let beyond = indispensable(&beyond);
    if let Some(delta) = beyond.first() {
        let number = delta.header.base.map_or_else(String::new, |base| format!(" {base} or later"));
        let message = format!(
            "it builds on a list that did not come (number{number}): whom it revokes is revoked, and what is in force \
             counts as stale"
        );
        alarms.push(alarm(authority, delta, AlarmKind::DeltaWithoutBase, message));
    }
    let mut builds = builds.into_iter();
    let applied = builds.next();
    let contradicts = |one: &Arc<RevocationList>, other: &Arc<RevocationList>| one.contradicts(other);
    let conflicting: Vec<_> =
        builds.filter(|delta| applied.iter().any(|applied| contradicts(applied, delta))).collect();
    let counted: Vec<_> = applied.iter().chain(&conflicting).chain(&beyond).collect();
    for (place, delta) in counted.iter().enumerate() {
        if counted.iter().take(place).any(|earlier| contradicts(earlier, delta)) {
            let message =
                format!("another delta list has the same {} and other contents; both revoke", describe(delta));
            alarms.push(alarm(authority, delta, AlarmKind::Conflict, message));
        }
    }
    Deltas { applied, beyond, conflicting }
}

/// Without those that another has all of, from as old a base up to a later number; but the first of all stays, since
/// which what is in force is known to be stale.
fn indispensable(beyond: &[Arc<RevocationList>]) -> Vec<Arc<RevocationList>> {
    let first = beyond.iter().map(|delta| delta.header.this_update).min();
    let is_in = |delta: &RevocationList, other: &RevocationList| {
        other.header.base <= delta.header.base && other.header.number > delta.header.number
    };
    let is_needed = |delta: &&Arc<RevocationList>| {
        Some(delta.header.this_update) == first || !beyond.iter().any(|other| is_in(delta, other))
    };
    beyond.iter().filter(is_needed).take(MAX_BEYOND).map(Arc::clone).collect()
}

/// Those that say more than the base, each once, the newest first.
fn newest_first<'a>(
    lists: impl Iterator<Item = &'a Arc<RevocationList>>,
    base: Option<&RevocationList>,
) -> Vec<Arc<RevocationList>> {
    let mut left: Vec<_> = lists.filter(|delta| adds_to(delta, base)).map(Arc::clone).collect();
    left.sort_by(|one, other| {
        let (one, other) = (&one.header, &other.header);
        other.order(one).then(other.identity.cmp(&one.identity))
    });
    left.dedup_by_key(|delta| delta.header.identity);
    left
}

/// Alarms where the source has no more, or something older, than the delta list that was in force and stays so.
fn report_withdrawn(
    authority: &AuthorityFacts,
    offered: &[Arc<RevocationList>],
    known: &[Arc<RevocationList>],
    alarms: &mut Vec<Alarm>,
) {
    let Some(in_force) = known.first() else { return };
    match offered.iter().reduce(|best, list| if newer(best, list) { best } else { list }) {
        None => {
            let message = "its source has no such delta list any more; it stays in force".to_owned();
            alarms.push(alarm(authority, in_force, AlarmKind::Missing, message));
        }
        Some(best) if best.header.steps_back_from(&in_force.header) => {
            let (older, newer) = (describe(best), describe(in_force));
            let message = format!("it is older ({older}) than the delta list in force ({newer}), which stays");
            alarms.push(alarm(authority, best, AlarmKind::RolledBack, message));
        }
        Some(_) => {}
    }
}

/// Whether a delta says something that the base does not.
fn adds_to(delta: &RevocationList, base: Option<&RevocationList>) -> bool {
    base.is_none_or(|base| base.header.number.is_none() || delta.header.number > base.header.number)
}

/// Whether the base has everything that the delta leaves out. A base without number cannot be told to have it.
fn builds_on(delta: &RevocationList, base: Option<&RevocationList>) -> bool {
    base.is_some_and(|base| base.header.number.is_some() && delta.header.base <= base.header.number)
}
