use super::*;
use sekisho_ca::crl::{DistributionPoints, SignedList};
use sekisho_ca::hierarchy::{self, Wanted};
use sekisho_ca::name::{AttributeType, Name};
use sekisho_ca::{KeyKind, PublicationPoints, serial};
use sekisho_pki::crl::{CertificateList, RevocationReason, Scope};

const NOW: Timestamp = Timestamp::from_unix(1_795_311_060);
const TIMES: Times = Times { lifetime: 7_200, interval: 3_600 };

fn authority() -> Authority {
    let name = Name::new(vec![(AttributeType::CommonName, "Ledger".to_owned())]).unwrap();
    let wanted = Wanted { name, key: KeyKind::EcdsaP256, years: 10, path_len: 0 };
    let lists = DistributionPoints::whole("http://a.example/0.crl", Some("http://a.example/0-delta.crl")).unwrap();
    let points = PublicationPoints { revocation_lists: Some(lists), ..PublicationPoints::default() };
    hierarchy::root(&wanted, NOW).unwrap().into_authority(points).unwrap()
}

struct World {
    authority: Authority,
    ledger: Ledger,
    number: u64,
}

/// What a list says: of each serial the reason.
type Entries = BTreeMap<SerialNumber, RevocationReason>;

impl World {
    fn new() -> Self {
        Self { authority: authority(), ledger: Ledger::new(PartCount::MIN, TIMES), number: 0 }
    }

    fn take(&mut self, serial: SerialNumber, status: Status, at: Timestamp) {
        let not_after = NOW.plus_seconds(86_400 * 365);
        let change = StatusChange { authority: "a".into(), serial, status, at, not_after };
        self.ledger.take(&change, at);
    }

    /// The full list and the delta.
    fn publish(&mut self, now: Timestamp) -> (SignedList, SignedList) {
        let part = only();
        self.number += 1;
        let this_update = self.ledger.this_update(part, now);
        let number = CrlNumber::from_stored(self.number);
        let lists = self.ledger.prepare(&self.authority, part, number, this_update).unwrap();
        (lists.full.sign(&self.authority).unwrap(), lists.delta.unwrap().sign(&self.authority).unwrap())
    }

    fn entries(&mut self, now: Timestamp) -> (Entries, Entries) {
        let (full, delta) = self.publish(now);
        (entries(&full), entries(&delta))
    }
}

fn only() -> PartIndex {
    PartIndex::all(PartCount::MIN).next().unwrap()
}

fn entries(list: &SignedList) -> Entries {
    let parsed = CertificateList::parse(&list.der).unwrap();
    let found: Vec<_> = parsed.entries().map(|entry| entry.unwrap()).collect();
    let map: Entries = found.iter().map(|entry| (entry.serial, entry.reason)).collect();
    assert_eq!(map.len(), found.len(), "a serial stands there twice");
    map
}

/// What a client knows that had one full list and then a delta.
fn combined(full: &Entries, delta: &Entries) -> Entries {
    let mut combined = full.clone();
    for (serial, reason) in delta {
        if *reason == RevocationReason::RemoveFromCrl {
            combined.remove(serial);
        } else {
            combined.insert(*serial, *reason);
        }
    }
    combined
}

fn random() -> SerialNumber {
    serial::random().unwrap()
}

const REVOKED: Status = Status::Revoked(RevocationReason::Superseded);

#[test]
fn whoever_has_any_list_since_the_base_knows_by_the_delta_what_the_full_list_says() {
    let mut world = World::new();
    let (held_then_revoked, held_then_released, held_before, revoked_before) = (random(), random(), random(), random());
    world.take(revoked_before, REVOKED, NOW);
    world.take(held_before, Status::Held, NOW);
    let mut known = vec![world.entries(NOW).0];
    let steps: [(SerialNumber, Status); 9] = [
        (random(), REVOKED),
        (held_then_revoked, Status::Held),
        (held_then_released, Status::Held),
        (random(), REVOKED),
        (held_then_revoked, REVOKED),
        (held_then_released, Status::Released),
        (held_before, Status::Released),
        (held_before, Status::Held),
        (held_before, REVOKED),
    ];
    for (step, (serial, status)) in steps.into_iter().enumerate() {
        let at = NOW.plus_seconds(i64::try_from(step).unwrap());
        world.take(serial, status, at);
        let (full, delta) = world.entries(at);
        for earlier in &known {
            assert_eq!(combined(earlier, &delta), full, "step {step}");
        }
        known.push(full);
    }
}

#[test]
fn a_hold_is_on_the_full_list_until_its_release_and_a_revocation_for_ever() {
    let mut world = World::new();
    let serial = random();
    world.publish(NOW);
    world.take(serial, Status::Held, NOW);
    assert_eq!(world.entries(NOW).0, [(serial, RevocationReason::CertificateHold)].into());
    world.take(serial, Status::Released, NOW);
    assert_eq!(world.entries(NOW).0, Entries::new());
    world.take(serial, REVOKED, NOW);
    let revoked: Entries = [(serial, RevocationReason::Superseded)].into();
    assert_eq!(world.entries(NOW).0, revoked);
    // Nothing changes it any more.
    for status in [Status::Held, Status::Released, Status::Revoked(RevocationReason::KeyCompromise)] {
        world.take(serial, status, NOW);
        assert_eq!(world.ledger.owed(NOW), [], "{status:?}");
        assert_eq!(world.entries(NOW).0, revoked, "{status:?}");
    }
}

#[test]
fn a_full_list_and_its_delta_have_one_number_and_one_time() {
    let mut world = World::new();
    let (first, of_first) = world.publish(NOW);
    world.take(random(), REVOKED, NOW);
    let (second, of_second) = world.publish(NOW.plus_seconds(5));
    for (full, delta) in [(&first, &of_first), (&second, &of_second)] {
        assert_eq!((full.facts.number, full.facts.this_update), (delta.facts.number, delta.facts.this_update));
        let delta = CertificateList::parse(&delta.der).unwrap();
        assert_eq!(
            (delta.header().kind(), &delta.header().scope),
            (sekisho_pki::crl::ListKind::Delta, &Scope::Complete)
        );
        delta.verify_signature(world.authority.certificate().subject_public_key_info()).unwrap();
    }
    // The first is a base for what follows; nothing older can be combined with it.
    let base = |delta: &SignedList| match delta.facts.kind {
        sekisho_ca::crl::ListKind::Delta { base } => base.value(),
        sekisho_ca::crl::ListKind::Full => panic!("no delta"),
    };
    assert_eq!((base(&of_first), base(&of_second)), (1, 1));
    assert_eq!(entries(&of_first), Entries::new());
}

#[test]
fn the_base_moves_once_an_interval_and_deltas_begin_anew() {
    let mut world = World::new();
    world.publish(NOW);
    let serial = random();
    world.take(serial, Status::Held, NOW);
    assert_eq!(world.entries(NOW.plus_seconds(1)).1.len(), 1);
    assert_eq!(world.ledger.owed(NOW.plus_seconds(3_599)), []);
    let later = NOW.plus_seconds(3_600);
    assert_eq!(world.ledger.owed(later), [only()]);
    let (full, delta) = world.entries(later);
    assert_eq!((full.len(), delta.len()), (1, 1), "still since the base of before");
    assert_eq!(world.ledger.owed(later), []);
    let revoked = random();
    world.take(revoked, REVOKED, later);
    let (full, delta) = world.entries(later.plus_seconds(1));
    assert_eq!((full.len(), delta), (2, [(revoked, RevocationReason::Superseded)].into()));
    world.take(serial, Status::Released, later);
    let (_, delta) = world.entries(later.plus_seconds(2));
    assert_eq!(delta.get(&serial), Some(&RevocationReason::RemoveFromCrl));
}

#[test]
fn what_is_long_over_leaves_the_lists() {
    let mut world = World::new();
    let (short, long) = (random(), random());
    for (serial, days) in [(short, 1), (long, 400)] {
        let not_after = NOW.plus_seconds(days * 86_400);
        let change = StatusChange { authority: "a".into(), serial, status: REVOKED, at: NOW, not_after };
        world.ledger.take(&change, NOW);
    }
    assert_eq!(world.entries(NOW).0.len(), 2);
    let over = NOW.plus_seconds(2 * 86_400);
    assert_eq!(world.entries(over).0.len(), 2, "once more, beyond its validity");
    assert_eq!(world.entries(over.plus_seconds(3_600)).0.len(), 2, "the base that was made beyond its validity has it");
    assert_eq!(world.entries(over.plus_seconds(7_200)).0.keys().collect::<Vec<_>>(), [&long]);
    // A start years later does not read it in again.
    let mut again = World::new();
    let not_after = NOW.plus_seconds(86_400);
    let change = StatusChange { authority: "a".into(), serial: short, status: REVOKED, at: NOW, not_after };
    again.ledger.take(&change, not_after.plus_seconds(LONG_OVER_SECONDS + 1));
    assert_eq!(again.ledger.revoked(), 0);
}

#[test]
fn time_never_goes_back_even_when_the_clock_does() {
    let mut world = World::new();
    world.publish(NOW);
    world.take(random(), REVOKED, NOW);
    let (full, _) = world.publish(NOW.plus_seconds(-500));
    assert_eq!(full.facts.this_update, NOW);
    // Nor after a start, and the parts must be those of before.
    let mut ledger = Ledger::new(PartCount::MIN, TIMES);
    let row = |part| ListNumberRow { part, number: 9, this_update: NOW };
    ledger.resume(&row(0)).unwrap();
    assert_eq!(ledger.resume(&row(1)), Err(ListError::NoSuchPart));
    assert_eq!(ledger.this_update(only(), NOW.plus_seconds(-500)), NOW);
    let authority = authority();
    let number = |number| CrlNumber::from_stored(number);
    assert_eq!(ledger.prepare(&authority, only(), number(9), NOW).unwrap_err(), ListError::NumberWentBack);
    assert!(ledger.prepare(&authority, only(), number(10), NOW).is_ok());
}
