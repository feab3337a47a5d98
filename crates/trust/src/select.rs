//! Which of the accepted lists are in force, whatever order they came in (requirement R2).

use super::alarm::{Alarm, AlarmKind};
use super::authority::{Authority, AuthorityFacts, Revocation, Role};
use super::choose::{Candidates, Chosen, alarm, newer};
use super::in_force::RevocationLists;
use super::lists::{InForce, RevocationList, Says};
use super::policy::ListPolicy;
use super::snapshot::TrustSnapshot;
use super::withdrawn::{self, MAX_WITHDRAWN, Withdrawn, WithdrawnBook};
use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_pki::time::Timestamp;
use std::collections::BTreeMap;
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
    pub(super) policies: &'a [Option<ListPolicy>],
    pub(super) offers: &'a [Offer],
    pub(super) previous: Option<&'a TrustSnapshot>,
    /// What was in force of CAs that `previous` does not know.
    pub(super) recalled: &'a BTreeMap<AuthorityKey, RevocationLists>,
    /// What was withdrawn of them.
    pub(super) remembered: &'a WithdrawnBook,
    pub(super) now: Timestamp,
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
        policy: ListPolicy,
        own: Chosen,
        revoked: &[usize],
        alarms: &mut Vec<Alarm>,
    ) -> RevocationLists {
        let Chosen { mut lists, mut closed_by } = own;
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
                for list in chosen.lists.iter().flat_map(InForce::all).chain(&chosen.closed_by) {
                    alarms.push(alarm(signer, list, AlarmKind::SignerNotAllowed, message.to_owned()));
                }
                continue;
            }
            closed_by.extend(chosen.closed_by);
            for mut one in chosen.lists {
                one.next_update = one.next_update.min(signer.certificate.not_after());
                self.add_delegated(place, &mut lists, one);
            }
        }
        let (withdrawn, overflow) = self.withdrawn(place, &mut lists, alarms);
        RevocationLists::new(policy, lists, closed_by).remembering(withdrawn, overflow)
    }

    /// What the lists before revoked for good and these do not; it stays revoked.
    fn withdrawn(
        &self,
        place: usize,
        lists: &mut Vec<InForce>,
        alarms: &mut Vec<Alarm>,
    ) -> (Withdrawn, Option<Arc<RevocationList>>) {
        let (before, key) = (self.lists_before(place), self.key(place));
        let known = before.filter(|_| !self.recalled.contains_key(&key)).map(|before| before.withdrawn());
        let known = known.or_else(|| self.remembered.get(&key)).cloned().unwrap_or_default();
        let compared = withdrawn::compare(before, &known, lists, MAX_WITHDRAWN);
        let file = lists.first().map_or_else(|| "".into(), |one| Arc::clone(&one.newest().file));
        let ca = self.authorities.get(place).map(|authority| Arc::clone(&authority.name));
        let mut report = |message| {
            alarms.push(Alarm { ca: ca.clone(), file: Arc::clone(&file), kind: AlarmKind::Withdrawn, message });
        };
        if compared.new > 0 {
            let examples: Vec<_> = compared.examples.iter().map(ToString::to_string).collect();
            let (new, examples) = (compared.new, examples.join(", "));
            report(format!(
                "{new} revocations are missing from the new CRL and stay in force ({examples}): if those certificates have \
                 expired, do nothing; if not, the issuer's store is older than its CRLs: reconcile it. To accept one of \
                 these certificates again, stop the gateway and delete its line from the file withdrawn in the state folder"
            ));
        }
        let is_retained = |one: &InForce| before.is_some_and(|before| before.each().any(|old| old.says == one.says));
        if compared.retained.first().is_some_and(|one| !is_retained(one)) {
            report(format!(
                "more than {MAX_WITHDRAWN} revocations are missing from the new CRL; the previous CRL stays in force for its \
                 revocations, also after a restart. To end that, stop the gateway and remove the file whose name ends in \
                 -retained.crl from in_force in the state folder"
            ));
        }
        if let Some(list) = &compared.too_many {
            report(format!(
                "more revocations of the CRL in {} are missing from its successor than can be stored: no certificate of this \
                 CA is accepted until the gateway is restarted. Restart it only when the issuer's store was reconciled and \
                 its CRL has them again: a restart forgets which are missing",
                list.file
            ));
        }
        lists.extend(compared.retained);
        let overflow = before.and_then(RevocationLists::overflow).cloned().or(compared.too_many);
        (compared.withdrawn, overflow)
    }

    /// What the CA signed itself says who is good; of two delegated lists of one scope, the newer.
    fn add_delegated(&self, place: usize, lists: &mut Vec<InForce>, mut one: InForce) {
        let says_good = |other: &&mut InForce| {
            one.says == Says::Good && other.says == Says::Good && other.list.header.scope == one.list.header.scope
        };
        if let Some(other) = lists.iter_mut().find(says_good) {
            if other.list.signer == self.key(place) || newer(other.newest(), one.newest()) {
                one.says = Says::RevokedOnly;
            } else {
                other.says = Says::RevokedOnly;
            }
        }
        lists.push(one);
    }

    /// The lists that one signer made for one CA, from its sources and from the snapshot before.
    fn choose(&self, place: usize, signer: usize, alarms: &mut Vec<Alarm>) -> Chosen {
        let (Some(authority), Some(Some(policy))) = (self.authorities.get(place), self.policies.get(place)) else {
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
        let before = self.in_force_before(place).filter(|list| list.signer == signer).collect();
        Candidates { authority, policy, offered, before }.choose(alarms)
    }

    fn lists_before(&self, place: usize) -> Option<&RevocationLists> {
        let key = self.key(place);
        match self.previous.and_then(|previous| previous.authority(&key)).map(Authority::revocation) {
            Some(Revocation::Lists(lists)) => Some(lists),
            Some(Revocation::NotChecked) | None => self.recalled.get(&key),
        }
    }

    fn in_force_before(&self, place: usize) -> impl Iterator<Item = &Arc<RevocationList>> {
        self.lists_before(place).into_iter().flat_map(|lists| lists.chosen().chain(lists.not_understood()))
    }

    /// Delegated signers whose own certificate its CA has revoked.
    fn revoked_signers(&self, own: &[Chosen]) -> Vec<usize> {
        let is_revoked = |signer: &AuthorityFacts| {
            let issuer = self.authorities.iter().position(|one| Some(one.key()) == signer.issued_by);
            issuer.and_then(|issuer| own.get(issuer)).is_some_and(|lists| {
                let serial = signer.certificate.serial();
                lists.lists.iter().any(|one| one.revoked(&serial).is_some())
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
        if let Some(list) = lists.closed_by.first()
            && let Err(message) = lists.state(self.now)
        {
            let kind = if list.is_malformed() { AlarmKind::Malformed } else { AlarmKind::NotUnderstood };
            alarms.push(alarm(authority, list, kind, message));
        }
        if !lists.can_tell() && authority.role == Role::Issuer {
            alarms.push(Alarm {
                ca: Some(Arc::clone(&authority.name)),
                file: "".into(),
                kind: AlarmKind::Missing,
                message: "no revocation list that says who is good is in force".to_owned(),
            });
        }
        for list in lists.all() {
            if let Some(message) = list.odd_serials() {
                alarms.push(alarm(authority, list, AlarmKind::OddSerial, message));
            }
        }
        // One that a delta proved to be stale has its alarm already.
        for one in lists.good().filter(|one| self.now > one.next_update && one.outdated_by.is_none()) {
            let message = format!("it is stale since {}", one.next_update);
            alarms.push(alarm(authority, one.newest(), AlarmKind::Stale, message));
        }
    }

    fn key(&self, place: usize) -> AuthorityKey {
        self.authorities.get(place).map_or_else(|| AuthorityKey::from_bytes([0; 32]), AuthorityFacts::key)
    }
}
