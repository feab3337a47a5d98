//! Of the lists that one key signed for one CA: which are in force, scope by scope (requirement R2).

use super::alarm::{Alarm, AlarmKind};
use super::authority::AuthorityFacts;
use super::deltas::{self, Deltas, MAX_BEYOND};
use super::lists::{Content, InForce, RevocationList, Says};
use super::policy::ListPolicy;
use sekisho_pki::crl::{Holders, ListKind, Scope};
use std::cmp::Ordering;
use std::sync::Arc;

/// Lists that are not understood, of one signer: one closes a CA as well as all.
const MAX_CLOSING: usize = 16;

/// CRLs of one number that contradict each other and are all asked. A CA that makes more of them has lost its numbers: then
/// nobody is good by it until it has a greater one.
const MAX_CONFLICTING: usize = 16;

/// What is chosen among.
pub(super) struct Candidates<'a> {
    /// Whose lists they are, for alarms.
    pub(super) authority: &'a AuthorityFacts,
    pub(super) policy: &'a ListPolicy,
    /// By the sources, each once.
    pub(super) offered: Vec<&'a Arc<RevocationList>>,
    /// In force so far.
    pub(super) before: Vec<&'a Arc<RevocationList>>,
}

/// The lists of one signer that count for one CA.
#[derive(Default)]
pub(super) struct Chosen {
    pub(super) lists: Vec<InForce>,
    /// Those for which nobody can be told good; the newest first.
    pub(super) closed_by: Vec<Arc<RevocationList>>,
}

impl Candidates<'_> {
    /// The choice.
    pub(super) fn choose(mut self, alarms: &mut Vec<Alarm>) -> Chosen {
        self.offered.retain(|list| match list.admitted_by(self.policy) {
            Ok(()) => true,
            Err((kind, message)) => {
                alarms.push(alarm(self.authority, list, kind, message.to_owned()));
                false
            }
        });
        self.before.retain(|list| list.admitted_by(self.policy).is_ok());
        let mut scopes: Vec<&Scope> = Vec::new();
        for list in self.offered.iter().chain(&self.before) {
            if is_index(list) && !scopes.contains(&&list.header.scope) {
                scopes.push(&list.header.scope);
            }
        }
        let mut chosen = Chosen::default();
        for scope in scopes {
            self.choose_of(scope, &mut chosen, alarms);
        }
        let closed_by = self.not_understood(&chosen.lists, alarms);
        chosen.closed_by.extend(closed_by);
        chosen
    }

    /// The list in force of one scope with its delta, and whatever contradicts them.
    fn choose_of(&self, scope: &Scope, chosen: &mut Chosen, alarms: &mut Vec<Alarm>) {
        let of = |lists: &[&Arc<RevocationList>], kind: ListKind| -> Vec<Arc<RevocationList>> {
            let is_meant = |list: &&&Arc<RevocationList>| {
                is_index(list) && list.header.scope == *scope && list.header.kind() == kind
            };
            lists.iter().filter(is_meant).map(|list| Arc::clone(list)).collect()
        };
        let (offered, before) = (of(&self.offered, ListKind::Base), of(&self.before, ListKind::Base));
        if matches!(scope, Scope::Partial(part) if part.holders == Holders::AttributeCertificates) {
            for list in &offered {
                let message = "it is of attribute certificates, which are nobody's here; it is not used".to_owned();
                alarms.push(alarm(self.authority, list, AlarmKind::NotUnderstood, message));
            }
            return;
        }
        let mut full = newest(self.authority, &offered, &before, alarms).into_iter();
        let base = full.next();
        if full.len() > MAX_CONFLICTING {
            chosen.closed_by.extend(full.as_slice().last().map(Arc::clone));
        }
        let full = full.take(MAX_CONFLICTING);
        let (offered, before) = (of(&self.offered, ListKind::Delta), of(&self.before, ListKind::Delta));
        let deltas = deltas::choose(self.authority, base.as_deref(), &offered, &before, alarms);
        let Deltas { applied, beyond, conflicting } = deltas;
        if beyond.len() >= MAX_BEYOND {
            chosen.closed_by.extend(beyond.first().map(Arc::clone));
        }
        chosen.lists.extend(base.map(|base| self.in_force(base, applied, &beyond)));
        chosen.lists.extend(full.chain(beyond).chain(conflicting).map(|list| self.only_revoking(list)));
    }

    /// The lists that are not understood and newer than what is in force. One of them stays where its source goes back
    /// to the list before it: it might have revoked anybody.
    fn not_understood(&self, lists: &[InForce], alarms: &mut Vec<Alarm>) -> Vec<Arc<RevocationList>> {
        let closes = |list: &&&Arc<RevocationList>| !is_index(list) && !superseded(list, lists);
        let mut closing: Vec<_> = self.offered.iter().filter(closes).map(|list| Arc::clone(list)).collect();
        for list in self.before.iter().filter(closes).filter(|list| !self.is_succeeded(list, lists)) {
            if !closing.iter().any(|one| one.header.identity == list.header.identity) {
                let message = "its source has no such list any more, nor a newer one; it is still not understood";
                alarms.push(alarm(self.authority, list, AlarmKind::RolledBack, message.to_owned()));
                closing.push(Arc::clone(list));
            }
        }
        closing.sort_by(|one, other| {
            other.header.order(&one.header).then(other.header.identity.cmp(&one.header.identity))
        });
        closing.truncate(MAX_CLOSING);
        closing
    }

    /// Whether a list came since a malformed one that says nothing of its own time: one that is newer than all that was
    /// in force with it.
    fn is_succeeded(&self, list: &RevocationList, lists: &[InForce]) -> bool {
        may_supersede(list, lists).filter(|one| !list.header.is_comparable_with(&one.newest().header)).any(|one| {
            let of_scope = |old: &&&Arc<RevocationList>| is_index(old) && old.header.scope == one.list.header.scope;
            let is_newer = |old: &Arc<RevocationList>| one.newest().header.order(&old.header) == Ordering::Greater;
            self.before.iter().filter(of_scope).all(|old| is_newer(old))
        })
    }

    fn in_force(
        &self,
        list: Arc<RevocationList>,
        delta: Option<Arc<RevocationList>>,
        beyond: &[Arc<RevocationList>],
    ) -> InForce {
        // The two together are as fresh as the delta (section 5.2.4).
        let newest = delta.as_ref().unwrap_or(&list);
        // One without nextUpdate is only taken with a setting that gives it one.
        let next_update = self.policy.next_update(&newest.header).unwrap_or(newest.header.this_update);
        let outdated_by = beyond.iter().min_by_key(|delta| delta.header.this_update).map(Arc::clone);
        let next_update = outdated_by.as_ref().map_or(next_update, |by| by.header.this_update.min(next_update));
        InForce { list, delta, outdated_by, next_update, says: Says::Good }
    }

    fn only_revoking(&self, list: Arc<RevocationList>) -> InForce {
        let next_update = self.policy.next_update(&list.header).unwrap_or(list.header.this_update);
        InForce { list, delta: None, outdated_by: None, next_update, says: Says::RevokedOnly }
    }
}

/// Of lists of one signer and scope: the one in force first, then those that contradict it.
fn newest(
    authority: &AuthorityFacts,
    offered: &[Arc<RevocationList>],
    before: &[Arc<RevocationList>],
    alarms: &mut Vec<Alarm>,
) -> Vec<Arc<RevocationList>> {
    let Some(best) = offered.iter().reduce(|best, list| if newer(best, list) { best } else { list }) else {
        for list in before {
            let message = "its source has no such list any more; it stays in force".to_owned();
            alarms.push(alarm(authority, list, AlarmKind::Missing, message));
        }
        return before.to_vec();
    };
    let in_force = before.first().filter(|in_force| best.header.steps_back_from(&in_force.header));
    if let Some(in_force) = in_force.filter(|in_force| !best.contradicts(in_force)) {
        let (older, stays) = (describe(best), describe(in_force));
        let from = if in_force.file == best.file { String::new() } else { format!(" (from {})", in_force.file) };
        let message = format!("it is older ({older}) than the list in force ({stays}), which stays{from}");
        alarms.push(alarm(authority, best, AlarmKind::RolledBack, message));
    }
    let first = in_force.unwrap_or(best);
    let mut chosen = vec![Arc::clone(first)];
    for list in offered.iter().chain(before) {
        let known = chosen.iter().any(|one| one.header.identity == list.header.identity);
        if !known && list.contradicts(first) {
            let message = format!("another list has the same {} and other contents; both revoke", describe(list));
            alarms.push(alarm(authority, list, AlarmKind::Conflict, message));
            // Else nobody whom it revokes is on that one only.
            if !list.is_within(first) {
                chosen.push(Arc::clone(list));
            }
        }
    }
    chosen
}

/// Whether `one` is newer than `other`; between equals the identity decides, so that somebody always is.
pub(super) fn newer(one: &RevocationList, other: &RevocationList) -> bool {
    one.header.order(&other.header).then(one.header.identity.cmp(&other.header.identity)) == Ordering::Greater
}

const fn is_index(list: &RevocationList) -> bool {
    matches!(list.content, Content::Index(_))
}

/// Whether a list that is not understood cannot revoke anything that one in force does not: a newer one that is
/// complete, or of the same scope.
///
/// A delta list with the number of a full one says the same (RFC 5280 section 5.2.3).
fn superseded(list: &RevocationList, lists: &[InForce]) -> bool {
    may_supersede(list, lists).any(|one| match list.header.order(&one.newest().header) {
        Ordering::Less if list.header.must_agree_with(&one.newest().header) => false,
        Ordering::Less => true,
        Ordering::Equal => {
            list.header.kind() == ListKind::Delta && list.header.is_comparable_with(&one.newest().header)
        }
        Ordering::Greater => false,
    })
}

/// The lists that speak of all certificates that one that is not understood may speak of.
fn may_supersede<'a>(list: &RevocationList, lists: &'a [InForce]) -> impl Iterator<Item = &'a InForce> {
    lists.iter().filter(|one| one.is_complete() || one.list.header.scope == list.header.scope)
}

/// Number and time of a list, for messages.
pub(super) fn describe(list: &RevocationList) -> String {
    let this_update = list.header.this_update;
    list.number().map_or_else(|| format!("{this_update}"), |number| format!("number {number}, {this_update}"))
}

/// An alarm about a list.
pub(super) fn alarm(authority: &AuthorityFacts, list: &RevocationList, kind: AlarmKind, message: String) -> Alarm {
    Alarm { ca: Some(Arc::clone(&authority.name)), file: Arc::clone(&list.file), kind, message }
}
