//! The lists of Sekisho's own issuer: parts, their deltas, holds and releases.

#[allow(dead_code, reason = "the issuer's own tests use the rest")]
#[path = "../issuer_ca/support.rs"]
mod hierarchy;

use crate::support::{Loaded, Standing, load_parts};
use hierarchy::{Hierarchy, now, points};
use sekisho_ca::crl::{
    Due, Hold, HoldState, Holds, NextBase, PartCount, PartIndex, Reason, RevocationRegister, Revoked,
};
use sekisho_ca::p12::DeliveredKey;
use sekisho_config::AnchorExpiry;
use sekisho_pki::certificate::Certificate;
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::time::Timestamp;
use sekisho_trust::{AuthorityParts, ListPolicy, Question, RevocationParts};

const PARTS: u16 = 4;

/// The issuing CA with its lists in parts, and some clients.
struct Bank {
    hierarchy: Hierarchy,
    register: RevocationRegister,
    clients: Vec<Certificate>,
    begin: Timestamp,
}

impl Bank {
    fn new(clients: usize) -> Self {
        let hierarchy = Hierarchy::new(points(PARTS, true));
        let clients = (0..clients).map(|_| hierarchy.user("a", DeliveredKey::EcdsaP256).0).collect();
        let register = RevocationRegister::new(PartCount::new(PARTS).unwrap());
        Self { hierarchy, register, clients, begin: now() }
    }

    fn revoke(&mut self, client: usize) {
        let serial = self.clients[client].serial();
        let entry = Revoked { serial, at: self.begin, reason: Reason::Superseded, not_after: self.begin };
        self.register.revoke(&entry).unwrap();
    }

    /// The full lists and the deltas of all parts, of so many seconds later, with holds.
    fn publish(&mut self, seconds: i64, held: &[Hold], changed: &[Hold]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let this_update = self.begin.plus_seconds(seconds);
        let due = Due { this_update, next_update: this_update.plus_seconds(3_600) };
        let authority = &self.hierarchy.issuing;
        let parts = PartIndex::all(PartCount::new(PARTS).unwrap()).map(|part| {
            let of_part = |holds: &[Hold]| -> Vec<Hold> {
                let count = PartCount::new(PARTS).unwrap();
                holds.iter().copied().filter(|hold| PartIndex::of(&hold.serial, count) == part).collect()
            };
            let (held, changed) = (of_part(held), of_part(changed));
            let holds = Holds { held: &held, changed: &changed };
            let number = self.register.next_number(part).unwrap();
            let lists = self.register.lists(authority, part, number, due, holds, NextBase::Same).unwrap();
            (lists.full.sign(authority).unwrap().der, lists.delta.unwrap().sign(authority).unwrap().der)
        });
        parts.unzip()
    }

    fn load(&self, lists: &[&Vec<u8>], previous: Option<&Loaded>) -> Loaded {
        let parts = AuthorityParts {
            name: "a".into(),
            certificate: self.hierarchy.issuing.certificate().clone(),
            issued_by: None,
            anchor_expiry: AnchorExpiry::Check,
            revocation: RevocationParts::Lists(ListPolicy::default()),
        };
        let lists: Vec<&[u8]> = lists.iter().map(|list| list.as_slice()).collect();
        load_parts(&parts, &lists, previous, now())
    }

    fn standing(&self, loaded: &Loaded, client: usize) -> Standing {
        let client = &self.clients[client];
        let (key, serial) = (self.hierarchy.issuing.certificate().authority_key(), client.serial());
        loaded.ask(&Question::client(&key, &serial).at(client.distribution_points()), now())
    }

    /// The clients that are good, and what the others are.
    fn standings(&self, loaded: &Loaded) -> Vec<Option<RevocationReason>> {
        let told = |client| match self.standing(loaded, client) {
            Standing::Good(_) => None,
            Standing::Revoked(reason, _) => Some(reason),
            other => panic!("{client}: {other:?}"),
        };
        (0..self.clients.len()).map(told).collect()
    }

    fn hold(&self, client: usize, state: HoldState) -> Hold {
        Hold { serial: self.clients[client].serial(), at: self.begin, state }
    }
}

#[test]
fn the_issuers_parts_and_deltas_say_what_its_full_lists_say() {
    let mut bank = Bank::new(24);
    let superseded = Some(RevocationReason::Superseded);
    bank.revoke(0);
    let held: Vec<Hold> = (1..9).map(|client| bank.hold(client, HoldState::Held)).collect();
    let (bases, _) = bank.publish(0, &held, &[]);
    let mut expected = vec![None; 24];
    expected[0] = superseded;
    expected[1..9].fill(Some(RevocationReason::CertificateHold));
    let first = bank.load(&bases.iter().collect::<Vec<_>>(), None);
    assert_eq!((bank.standings(&first), first.alarms.len()), (expected.clone(), 0));

    // Half of the holds end, some of them in a revocation; others are revoked.
    (3..5).chain(12..18).for_each(|client| bank.revoke(client));
    let released: Vec<Hold> = [1, 2].map(|client| bank.hold(client, HoldState::Released)).into();
    let still: Vec<Hold> = (5..9).map(|client| bank.hold(client, HoldState::Held)).collect();
    let (full, deltas) = bank.publish(1, &still, &released);
    expected[1..3].fill(None);
    expected[3..5].fill(superseded);
    expected[12..18].fill(superseded);
    let by_full = bank.load(&full.iter().collect::<Vec<_>>(), Some(&first));
    assert_eq!((bank.standings(&by_full), by_full.alarms.len()), (expected.clone(), 0));
    let by_deltas = bank.load(&bases.iter().chain(&deltas).collect::<Vec<_>>(), Some(&first));
    assert_eq!((bank.standings(&by_deltas), by_deltas.alarms.len()), (expected.clone(), 0));
    let all = bank.load(&deltas.iter().chain(&full).chain(&bases).collect::<Vec<_>>(), None);
    assert_eq!((bank.standings(&all), all.alarms.len()), (expected, 0));
}

#[test]
fn a_part_of_the_issuers_that_did_not_come_refuses_its_clients_only() {
    let mut bank = Bank::new(24);
    let (bases, _) = bank.publish(0, &[], &[]);
    let without_first = bank.load(&bases.iter().skip(1).collect::<Vec<_>>(), None);
    let part_of = |client: &Certificate| PartIndex::of(&client.serial(), PartCount::new(PARTS).unwrap()).value();
    for (place, client) in bank.clients.iter().enumerate() {
        let is_good = matches!(bank.standing(&without_first, place), Standing::Good(_));
        assert_eq!(is_good, part_of(client) != 0, "{place}");
    }
    assert!(bank.clients.iter().any(|client| part_of(client) == 0), "24 clients in 4 parts");
}
