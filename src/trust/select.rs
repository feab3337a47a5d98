//! Which of the accepted lists are in force, whatever order they came in (requirement R2).

use super::alarm::{Alarm, AlarmKind};
use super::authority::{AuthorityFacts, Revocation, Role};
use super::lists::{Base, Content, RevocationList, RevocationLists};
use super::snapshot::TrustSnapshot;
use crate::config::WhenStale;
use crate::pki::crl::{NotUnderstood, Scope};
use crate::pki::time::Timestamp;
use std::cmp::Ordering;
use std::sync::Arc;

/// An accepted list and the CAs whose sources it was found in, by their places.
pub(super) struct Offer {
    pub(super) list: Arc<RevocationList>,
    pub(super) sources_of: Vec<usize>,
}

/// What is chosen among.
pub(super) struct Selection<'a> {
    pub(super) authorities: &'a [AuthorityFacts],
    /// For each CA its policy; none when it says `revocation = "none"`.
    pub(super) policies: &'a [Option<WhenStale>],
    pub(super) offers: &'a [Offer],
    pub(super) previous: Option<&'a TrustSnapshot>,
    pub(super) now: Timestamp,
}

/// The lists of one signer that are in force for one CA.
#[derive(Default)]
struct Chosen {
    complete: Option<Arc<RevocationList>>,
    additions: Vec<Arc<RevocationList>>,
    closed_by: Option<Arc<RevocationList>>,
}

impl Selection<'_> {
    /// The revocation data of each CA, in their order.
    pub(super) fn run(&self, alarms: &mut Vec<Alarm>) -> Vec<Revocation> {
        self.report_strangers(alarms);
        // First what each key signed for itself: that also tells which delegated signers are revoked.
        let mut own: Vec<Chosen> = (0..self.authorities.len()).map(|place| self.choose(place, place, alarms)).collect();
        let revoked = self.revoked_signers(&own);
        let mut result = Vec::with_capacity(own.len());
        for (place, authority) in self.authorities.iter().enumerate() {
            let (Some(policy), Some(own)) = (self.policies.get(place).copied().flatten(), own.get_mut(place)) else {
                result.push(Revocation::NotChecked);
                continue;
            };
            let lists = self.combine(place, policy, std::mem::take(own), &revoked, alarms);
            self.report_state(authority, &lists, alarms);
            result.push(Revocation::Lists(lists));
        }
        result
    }

    /// A CA's own lists with those of the signers it delegated to.
    fn combine(
        &self,
        place: usize,
        when_stale: WhenStale,
        own: Chosen,
        revoked: &[usize],
        alarms: &mut Vec<Alarm>,
    ) -> RevocationLists {
        let mut base = own.complete.map(|list| Base { next_update: list.header.next_update, list });
        let mut additions = own.additions;
        let mut closed_by = own.closed_by;
        for (signer_place, signer) in self.authorities.iter().enumerate() {
            if !self.authorities.get(place).is_some_and(|authority| signer.may_sign_lists_for(authority)) {
                continue;
            }
            let chosen = self.choose(place, signer_place, alarms);
            let not_allowed = if revoked.contains(&signer_place) {
                Some("the certificate of its signer is revoked")
            } else if signer.certificate.not_before() > self.now {
                Some("the certificate of its signer is not valid yet")
            } else {
                None
            };
            if let Some(message) = not_allowed {
                for list in chosen.complete.iter().chain(&chosen.additions).chain(&chosen.closed_by) {
                    alarms.push(alarm(signer, list, AlarmKind::SignerNotAllowed, message.to_owned()));
                }
                continue;
            }
            additions.extend(chosen.additions);
            closed_by = closed_by.or(chosen.closed_by);
            let Some(list) = chosen.complete else { continue };
            let signer_end = signer.certificate.not_after();
            let next_update = Some(list.header.next_update.map_or(signer_end, |next| next.min(signer_end)));
            match &base {
                // What the CA signed itself says who is good; of two delegated lists, the newer.
                Some(base) if base.list.signer == self.key(place) || newer(&base.list, &list) => additions.push(list),
                _ => additions.extend(base.replace(Base { list, next_update }).map(|base| base.list)),
            }
        }
        RevocationLists { when_stale, base, additions, closed_by }
    }

    /// The lists that one signer made for one CA, from its sources and from the snapshot before.
    fn choose(&self, place: usize, signer: usize, alarms: &mut Vec<Alarm>) -> Chosen {
        let (Some(authority), Some(Some(_))) = (self.authorities.get(place), self.policies.get(place)) else {
            return Chosen::default();
        };
        let signer = self.key(signer);
        let mut offered: Vec<&Arc<RevocationList>> = self
            .offers
            .iter()
            .filter(|offer| offer.sources_of.contains(&place) && offer.list.signer == signer)
            .map(|offer| &offer.list)
            .collect();
        // The order of files must not matter, even where some lists have a number and some have none.
        offered.sort_by_key(|list| list.header.identity);
        offered.dedup_by_key(|list| list.header.identity);
        let before: Vec<&Arc<RevocationList>> =
            self.in_force_before(place).filter(|list| list.signer == signer).collect();

        let mut scopes: Vec<&Scope> = Vec::new();
        for list in offered.iter().chain(&before) {
            if is_index(list) && !scopes.contains(&&list.header.scope) {
                scopes.push(&list.header.scope);
            }
        }
        let mut chosen = Chosen::default();
        for scope in scopes {
            let of_scope = |list: &&Arc<RevocationList>| is_index(list) && list.header.scope == *scope;
            let offered: Vec<_> = offered.iter().copied().filter(of_scope).collect();
            let before: Vec<_> = before.iter().copied().filter(of_scope).collect();
            let mut in_force = newest(authority, &offered, &before, alarms).into_iter();
            if *scope == Scope::Complete {
                chosen.complete = in_force.next();
            }
            chosen.additions.extend(in_force);
        }
        chosen.closed_by = offered
            .iter()
            .filter(|list| !is_index(list) && !superseded(list, chosen.complete.as_ref()))
            .map(|list| Arc::clone(list))
            .next_back();
        chosen
    }

    fn in_force_before(&self, place: usize) -> impl Iterator<Item = &Arc<RevocationList>> {
        let before = self.previous.and_then(|previous| previous.authority(&self.key(place)));
        let lists = before.and_then(|authority| match authority.revocation() {
            Revocation::Lists(lists) => Some(lists),
            Revocation::NotChecked => None,
        });
        lists.into_iter().flat_map(RevocationLists::all)
    }

    /// Delegated signers whose own certificate its CA has revoked.
    fn revoked_signers(&self, own: &[Chosen]) -> Vec<usize> {
        let is_revoked = |signer: &AuthorityFacts| {
            let issuer = self.authorities.iter().position(|one| Some(one.key()) == signer.issued_by);
            issuer.and_then(|issuer| own.get(issuer)).is_some_and(|lists| {
                let serial = signer.certificate.serial();
                lists.complete.iter().chain(&lists.additions).any(|list| list.revoked(&serial).is_some())
            })
        };
        (0..self.authorities.len()).filter(|place| self.authorities.get(*place).is_some_and(is_revoked)).collect()
    }

    /// Lists that none of the CAs that name their file can use.
    fn report_strangers(&self, alarms: &mut Vec<Alarm>) {
        for offer in self.offers {
            let Some(signer) = self.authorities.iter().find(|one| one.key() == offer.list.signer) else { continue };
            let used = offer
                .sources_of
                .iter()
                .filter_map(|place| self.authorities.get(*place))
                .any(|authority| authority.key() == signer.key() || signer.may_sign_lists_for(authority));
            if !used {
                let message = format!("it is the list of {}, which does not name this file as a source", signer.name);
                alarms.push(alarm(signer, &offer.list, AlarmKind::UnknownIssuer, message));
            }
        }
    }

    fn report_state(&self, authority: &AuthorityFacts, lists: &RevocationLists, alarms: &mut Vec<Alarm>) {
        if let Some(list) = &lists.closed_by
            && let Err(message) = lists.state(self.now)
        {
            alarms.push(alarm(authority, list, AlarmKind::NotUnderstood, message));
        }
        match &lists.base {
            None if authority.role == Role::Issuer => alarms.push(Alarm {
                ca: Some(Arc::clone(&authority.name)),
                file: "".into(),
                kind: AlarmKind::Missing,
                message: "no complete revocation list is in force".to_owned(),
            }),
            None => {}
            Some(Base { list, next_update: None }) => {
                let message = "it has no nextUpdate (RFC 5280 section 5.1.2.5), so it never counts as stale".to_owned();
                alarms.push(alarm(authority, list, AlarmKind::NoNextUpdate, message));
            }
            Some(Base { list, next_update: Some(next_update) }) if self.now > *next_update => {
                alarms.push(alarm(authority, list, AlarmKind::Stale, format!("it is stale since {next_update}")));
            }
            Some(_) => {}
        }
    }

    fn key(&self, place: usize) -> crate::pki::fingerprint::AuthorityKey {
        self.authorities
            .get(place)
            .map_or_else(|| crate::pki::fingerprint::AuthorityKey::from_bytes([0; 32]), AuthorityFacts::key)
    }
}

/// Of lists of one signer and scope: the one in force first, then those that contradict it. Never empty.
fn newest(
    authority: &AuthorityFacts,
    offered: &[&Arc<RevocationList>],
    before: &[&Arc<RevocationList>],
    alarms: &mut Vec<Alarm>,
) -> Vec<Arc<RevocationList>> {
    let in_force = before.first().copied();
    let Some(best) = offered.iter().copied().reduce(|best, list| if newer(best, list) { best } else { list }) else {
        for list in before {
            let message = "its source has no such list any more; it stays in force".to_owned();
            alarms.push(alarm(authority, list, AlarmKind::Missing, message));
        }
        return before.iter().map(|list| Arc::clone(list)).collect();
    };
    if let Some(in_force) = in_force.filter(|in_force| best.header.steps_back_from(&in_force.header)) {
        let message =
            format!("it is older ({}) than the list in force ({}), which stays", describe(best), describe(in_force));
        alarms.push(alarm(authority, best, AlarmKind::RolledBack, message));
        return before.iter().map(|list| Arc::clone(list)).collect();
    }
    let mut chosen = vec![Arc::clone(best)];
    for list in offered.iter().chain(before) {
        let known = chosen.iter().any(|one| one.header.identity == list.header.identity);
        if !known && list.header.order(&best.header) == Ordering::Equal {
            let message = format!("another list has the same {} and other contents; both revoke", describe(list));
            alarms.push(alarm(authority, list, AlarmKind::Conflict, message));
            chosen.push(Arc::clone(list));
        }
    }
    chosen
}

/// Whether `one` is newer than `other`; between equals the identity decides, so that somebody always is.
fn newer(one: &RevocationList, other: &RevocationList) -> bool {
    one.header.order(&other.header).then(one.header.identity.cmp(&other.header.identity)) == Ordering::Greater
}

const fn is_index(list: &RevocationList) -> bool {
    matches!(list.content, Content::Index(_))
}

/// Whether a list that is not understood cannot revoke anything that the complete list in force does not.
///
/// A delta list with the number of a complete one says the same (RFC 5280 section 5.2.3).
fn superseded(list: &RevocationList, complete: Option<&Arc<RevocationList>>) -> bool {
    let is_delta = matches!(&list.content, Content::NotUnderstood(NotUnderstood::Delta));
    complete.is_some_and(|complete| match list.header.order(&complete.header) {
        Ordering::Less => true,
        Ordering::Equal => is_delta,
        Ordering::Greater => false,
    })
}

fn describe(list: &RevocationList) -> String {
    let this_update = list.header.this_update;
    list.number().map_or_else(|| format!("{this_update}"), |number| format!("number {number}, {this_update}"))
}

fn alarm(authority: &AuthorityFacts, list: &RevocationList, kind: AlarmKind, message: String) -> Alarm {
    Alarm { ca: Some(Arc::clone(&authority.name)), file: Arc::clone(&list.file), kind, message }
}
