//! Random lives: every operation by everybody on everybody, under every profile.
//!
//! What holds is checked against what the outside has seen (revocations, signatures, hand-overs) and against a table of
//! permissions that is written here by hand from the products' documents, not against the rules' own records.

use super::world::*;
use crate::profile::{Factor, Operation};
use crate::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::serial::SerialNumber;
use std::collections::{BTreeMap, BTreeSet};

/// One random act.
#[derive(Clone, Debug)]
struct Act {
    /// Index into the contract's users, or the desk, a form, the service.
    actor: Who,
    target: usize,
    what: What,
    proofs: Proofs,
    /// Seconds that pass before it; sometimes the clock goes back.
    passes: i64,
    /// It goes as it should: renewals in their window, completions right after.
    likely: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Target,
    User(usize),
    Form,
    Desk,
    Service,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Register,
    Offer,
    Reissue,
    RepeatReissue,
    AcquireRight,
    AcquireWrong,
    WrongFactor,
    WrongAct,
    Renew,
    Complete,
    Interrupt,
    Revoke,
    Hold,
    Continue,
    Lock,
    Unlock,
    Suspend,
    Resume,
    Delete,
    SwitchOn,
    SwitchOff,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proofs {
    All,
    /// All but the one at this index of the permit's.
    Without(usize),
    OfAnother,
}

fn act() -> impl Strategy<Value = Act> {
    use What::*;
    let who = prop_oneof![
        8 => Just(Who::Target),
        8 => (0..7_usize).prop_map(Who::User),
        3 => Just(Who::Form),
        2 => Just(Who::Desk),
        8 => Just(Who::Service),
    ];
    let what = prop_oneof![
        3 => Just(Register), 3 => Just(Offer), 8 => Just(Reissue), 3 => Just(RepeatReissue),
        14 => Just(AcquireRight), 4 => Just(AcquireWrong), 3 => Just(WrongFactor), 2 => Just(WrongAct), 8 => Just(Renew),
        20 => Just(Complete), 8 => Just(Interrupt), 4 => Just(Revoke), 1 => Just(Hold), 6 => Just(Continue),
        1 => Just(Lock), 10 => Just(Unlock), 2 => Just(Suspend), 10 => Just(Resume), 1 => Just(Delete),
        10 => Just(SwitchOn), 1 => Just(SwitchOff),
    ];
    let proofs = prop_oneof![
        10 => Just(Proofs::All),
        2 => (0..3_usize).prop_map(Proofs::Without),
        1 => Just(Proofs::OfAnother),
    ];
    let passes = prop_oneof![
        20 => 0..30_i64,
        2 => 0..(2 * DAY),
        2 => (20 * DAY)..(60 * DAY),
        1 => (300 * DAY)..(340 * DAY),
        1 => Just(-DAY),
    ];
    // Few people, so that their lives go far.
    let target = prop_oneof![4 => 0..2_usize, 3 => 2..6_usize, 2 => Just(6)];
    (who, any::<bool>(), target, what, proofs, passes).prop_map(|(anybody, likely, target, what, proofs, passes)| {
        let actor = if likely { likely_actor(what, anybody) } else { anybody };
        Act { actor, target, what, proofs, passes, likely }
    })
}

/// Somebody who might be permitted: half of all acts, or nothing would ever happen.
fn likely_actor(what: What, anybody: Who) -> Who {
    use What::*;
    let superior = match anybody {
        Who::Form | Who::Desk | Who::Service => Who::Form,
        Who::User(index) if index % 2 == 0 => Who::User(0),
        Who::User(_) | Who::Target => Who::User(1),
    };
    match what {
        Complete | Interrupt | WrongFactor | WrongAct => Who::Service,
        AcquireRight | AcquireWrong | Renew => Who::Target,
        Lock => Who::Desk,
        SwitchOn | SwitchOff => Who::Form,
        Suspend | Resume | Revoke if superior == Who::Form => Who::Desk,
        Continue => Who::User(0),
        _ => superior,
    }
}

/// The users of each profile's contract: two of each role, and one who is not registered yet.
fn users(profile: &str) -> [(&'static str, &'static str); 7] {
    let roles = match profile {
        "bizstation" => ["service-manager", "reissuer", "user"],
        "shinkin" => ["administrator", "user", "user"],
        _ => ["master", "administrator", "general"],
    };
    let [a, b, c] = roles;
    [("a1", a), ("a2", a), ("b1", b), ("b2", b), ("c1", c), ("c2", c), ("new", c)]
}

/// Who may do what to whom, from the documents: `by > on`, `self`, in one line for each operation and channel.
fn documents_allow(profile: &str, operation: Operation, by: &str, on: &str, own: bool) -> bool {
    use Operation::*;
    let staff_form = by == "form";
    let staff_desk = by == "desk";
    let any_target = ["user", "general", "reissuer"].contains(&on);
    match (profile, operation) {
        // Everywhere: oneself only; forms switch features and delete; the desk stops what is dangerous.
        (_, Acquire) => own && !staff_form && !staff_desk,
        (_, SwitchOn | SwitchOff) => staff_form,
        (_, Lock) => staff_desk,
        ("anser-bizsol" | "hokugin", Renew) => own,
        (_, Renew) => false,
        (_, _) if staff_desk => matches!(operation, Revoke | Suspend | Resume),
        ("bizstation", _) if staff_form => matches!(operation, Register | Offer | Reissue | Unlock | Delete),
        ("shinkin", _) if staff_form => matches!(operation, Register | Offer | Reissue | Unlock | Delete | Revoke),
        (_, _) if staff_form => matches!(operation, Register | Unlock | Delete | Revoke),
        // 001: 実行権限をお持ちの利用者 for themselves and others.
        ("bizstation", Offer | Reissue) => ["service-manager", "reissuer"].contains(&by) && (!own || by == on),
        ("bizstation", Register | Unlock | Suspend | Resume | Delete) => by == "service-manager" && !own && any_target,
        ("bizstation", _) => false,
        // 003: 管理者 on 利用者; never on 管理者.
        ("shinkin", Register | Delete | Unlock | Suspend | Resume | Continue | Offer | Reissue | Revoke) => {
            by == "administrator" && on == "user" && !own
        }
        // 002: マスターユーザ on the others. 004: 管理者ユーザ as well, on themselves and on 一般ユーザ.
        ("anser-bizsol", Revoke) => by == "master" && on != "master",
        ("hokugin", Revoke) if own => by != "general",
        ("hokugin", Revoke) => (by == "master" && on != "master") || (by == "administrator" && on == "general"),
        ("anser-bizsol" | "hokugin", Register | Delete | Suspend | Resume | Unlock) => by == "master" && on != "master",
        _ => false,
    }
}

/// What must be proven of a user, from the documents; a second check beside the matrix.
fn documents_ask(profile: &str, operation: Operation, own: bool) -> Vec<Factor> {
    use Factor::*;
    match (profile, operation) {
        ("bizstation", Operation::Acquire) => vec![LoginPassword],
        ("bizstation", Operation::Offer | Operation::Reissue) if own => vec![LoginPassword, OneTimePassword],
        ("bizstation", _) => vec![CurrentCertificate, ExecutionPassword],
        ("shinkin", Operation::Acquire) => vec![Pin, OneTimePassword],
        ("shinkin", _) => vec![CurrentCertificate, ContractConfirmationPin],
        ("anser-bizsol", Operation::Acquire) => vec![LoginPassword, OneTimePassword],
        ("anser-bizsol", Operation::Renew) => vec![CurrentCertificate, LoginPassword, OneTimePassword],
        ("hokugin", Operation::Acquire) => vec![LoginPassword],
        ("hokugin", Operation::Renew) => vec![CurrentCertificate, LoginPassword],
        _ => vec![CurrentCertificate, ConfirmationPassword],
    }
}

struct Life {
    name: &'static str,
    world: World,
    users: [(&'static str, &'static str); 7],
    /// The last reissue of each user, to be repeated.
    last: BTreeMap<usize, OfferRequest>,
    /// How often each thing was done, so that a property that is never reached is noticed.
    done: BTreeMap<String, u32>,
}

impl Life {
    fn new(name: &'static str) -> Self {
        let users = users(name);
        let contract = if name == "shinkin" { "00009876543" } else { "1000123" };
        let world = World::new(name, contract, &users[..6]);
        Self { name, world, users, last: BTreeMap::new(), done: BTreeMap::new() }
    }

    fn command(&mut self, act: &Act) -> Command {
        let (target, role) = self.users[act.target];
        let wrong = self.world.profile.acquisition.secret.is_some().then_some(SecretDigest([0; 32]));
        match act.what {
            What::Register => self.world.register(target, role),
            What::Offer => Command::Offer(self.world.offer()),
            What::Reissue => {
                let offer = self.world.offer();
                self.last.insert(act.target, offer.clone());
                Command::Reissue(offer)
            }
            What::RepeatReissue => {
                let fresh = self.world.offer();
                Command::Reissue(self.last.get(&act.target).cloned().unwrap_or(fresh))
            }
            What::AcquireRight => {
                Command::Acquire { issuing: self.world.issuing(), secret: self.world.right_secret(target) }
            }
            What::AcquireWrong => Command::Acquire { issuing: self.world.issuing(), secret: wrong },
            What::WrongFactor => Command::WrongFactor(Against::User),
            What::WrongAct => Command::WrongFactor(Against::Holder),
            What::Renew => Command::Renew { issuing: self.world.issuing() },
            What::Complete => {
                let under_way = self.world.users.get(target).and_then(|user| user.next.intent());
                let serial = under_way.map(|intent| intent.serial);
                // Otherwise one that was signed long ago, or never.
                let old = self.world.outside.signed.keys().next().copied();
                Command::Complete { serial: serial.or(old).unwrap_or_else(|| self.world.issuing().serial) }
            }
            What::Interrupt => Command::Interrupt,
            What::Revoke => Command::Revoke { reason: RevocationReason::KeyCompromise },
            What::Hold => Command::Revoke { reason: RevocationReason::CertificateHold },
            What::Continue => Command::Continue,
            What::Lock => Command::Lock,
            What::Unlock => Command::Unlock,
            What::Suspend => Command::Suspend,
            What::Resume => Command::Resume,
            What::Delete => Command::Delete,
            What::SwitchOn => Command::SwitchOn,
            What::SwitchOff => Command::SwitchOff,
        }
    }

    /// Somebody whom the act is for, where there is one.
    fn retargeted(&self, act: &Act) -> Act {
        let now = self.world.now;
        let is_for = |user: &User| match act.what {
            What::Unlock => user.lock != Lock::Open,
            What::Resume => user.standing == Standing::Suspended,
            What::Complete | What::Interrupt => user.next.intent().is_some(),
            What::Continue | What::Revoke => user.live(now).is_some(),
            _ => false,
        };
        let suits = |(name, _): &(&str, &str)| self.world.users.get(*name).is_some_and(is_for);
        // From the last: the first ones act on the others.
        let found = self.users.iter().rposition(suits).filter(|_| act.likely);
        Act { target: found.unwrap_or(act.target), ..act.clone() }
    }

    fn step(&mut self, act: &Act) {
        let act = &self.retargeted(act);
        self.world.now = self.world.now.plus_seconds(act.passes);
        let target = self.users[act.target].0;
        let live = self.world.users.get(target).and_then(|user| user.live(self.world.now));
        if let (What::Renew, true, Some(live)) = (act.what, act.likely, live) {
            self.world.now = self.world.now.max(live.not_after.plus_seconds(-20 * DAY));
        }
        if act.likely && act.what == What::AcquireRight {
            self.once(&Act { actor: Who::Form, what: What::Reissue, ..act.clone() });
        }
        self.once(act);
        let begun = self.world.users.get(target).is_some_and(|user| user.next.intent().is_some());
        if begun && act.likely && act.passes % 3 != 0 && matches!(act.what, What::Renew | What::AcquireRight) {
            self.once(&Act { actor: Who::Service, what: What::Complete, ..act.clone() });
        }
    }

    fn once(&mut self, act: &Act) {
        let command = self.command(act);
        let (target, role) = self.users[act.target];
        let before = self.world.clone();
        let pair = desk();
        let acting = match act.actor {
            Who::Target => Some(act.target),
            Who::User(index) => Some(index),
            _ => None,
        };
        let Some(acting_user) = acting
            .map_or(Some(None), |index| before.users.get(self.users[index].0).cloned().map(|user| Some((index, user))))
        else {
            return; // Nobody logs in who is not registered.
        };
        let proofs = match &acting_user {
            Some((index, _)) => self.proofs(act, self.users[*index].0, &command, *index == act.target),
            None => Vec::new(),
        };
        let actor = match (&acting_user, act.actor) {
            (Some((_, user)), _) => Actor::User { user, proofs: &proofs },
            (None, Who::Form) => Actor::Staff { pair: &pair, channel: StaffChannel::PaperForm },
            (None, Who::Desk) => Actor::Staff { pair: &pair, channel: StaffChannel::StaffDesk },
            (None, _) => Actor::Service,
        };
        let by = match (&acting_user, act.actor) {
            (Some((index, _)), _) => self.users[*index].1,
            (None, Who::Form) => "form",
            (None, Who::Desk) => "desk",
            (None, _) => "service",
        };
        let own = acting == Some(act.target) && act.what != What::Register;
        match self.world.act(&actor, target, &command) {
            Err(denial) => {
                assert_eq!(self.world.users, before.users, "denied, and changed: {act:?} {:?}", denial.reason);
                assert_eq!(self.world.contract, before.contract);
                assert_eq!(self.world.address, before.address);
                assert!(matches!(denial.audit.outcome, Outcome::Refused(_)));
                if let (Reason::NotPermitted, Some(operation)) = (&denial.reason, command.operation()) {
                    let allowed = documents_allow(self.name, operation, by, role, own);
                    assert!(!allowed, "{} {operation:?} by {by} on {role}, own: {own}, is denied", self.name);
                }
                *self.done.entry(format!("denied {}", command.word())).or_default() += 1;
            }
            Ok(decision) => {
                let counted = decision.refusal.is_some();
                let has_secret = self.world.profile.acquisition.secret.is_some();
                assert!(counted || !(has_secret && act.what == What::AcquireWrong), "a wrong secret opened: {act:?}");
                *self
                    .done
                    .entry(format!("{}{}", if counted { "counted " } else { "" }, command.word()))
                    .or_default() += 1;
                match command.operation() {
                    None => assert_eq!(by, "service"),
                    Some(operation) => {
                        let allowed = documents_allow(self.name, operation, by, role, own);
                        assert!(allowed, "{} {operation:?} by {by} on {role}, own: {own}", self.name);
                        if let Some((_, user)) = &acting_user {
                            self.check_proofs(act, user, &command, &proofs, own, &before);
                        }
                    }
                }
                self.check_decision(&before, target, &command, &decision);
            }
        }
        self.check_world(&before, target, &command);
    }

    fn proofs(&self, act: &Act, actor: &str, command: &Command, own: bool) -> Vec<Proof> {
        let Some(operation) = command.operation() else { return self.world.every_proof(actor) };
        let mut factors = documents_ask(self.name, operation, own);
        match act.proofs {
            Proofs::All => self.world.proofs(actor, &factors),
            Proofs::Without(index) => {
                if index < factors.len() {
                    factors.remove(index);
                }
                self.world.proofs(actor, &factors)
            }
            Proofs::OfAnother => {
                let another = self.users.iter().map(|(name, _)| *name).find(|name| *name != actor).unwrap();
                self.world.proofs(another, &factors)
            }
        }
    }

    /// What succeeded was proven, of the actor, with a certificate that gateways accept.
    fn check_proofs(&self, act: &Act, user: &User, command: &Command, proofs: &[Proof], own: bool, before: &World) {
        let Some(operation) = command.operation() else { return };
        assert_ne!(act.proofs, Proofs::OfAnother, "{act:?}");
        let repeat = act.what == What::RepeatReissue;
        for factor in documents_ask(self.name, operation, own) {
            let proven = proofs.iter().any(|proof| proof.factor() == factor);
            assert!(proven || (repeat && factor == Factor::OneTimePassword), "{act:?} without {factor:?}");
            if factor == Factor::CurrentCertificate {
                assert_eq!(before.outside.live(&user.key, before.now).len(), 1, "{act:?} without a live certificate");
            }
        }
    }

    fn check_decision(&self, before: &World, target: &str, command: &Command, decision: &Decision) {
        let user_before = before.users.get(target);
        let signs = decision.effects.iter().any(|effect| matches!(effect, Effect::Sign(_)));
        if let Some(user) = user_before {
            // No path past a lock, a suspension, the end of the feature or a deletion.
            // Who renews has shown their certificate: strangers' tries do not stop it.
            let renews = matches!(command, Command::Renew { .. }) || matches!(user.next, Next::Renewing(_));
            let by_strangers = matches!(user.lock, Lock::Locked { by: LockedBy::WrongTries, .. });
            let locked = user.lock != Lock::Open && !(renews && by_strangers);
            let stopped = locked || user.standing != Standing::Active || before.contract.feature == Feature::Off;
            let towards = matches!(
                command,
                Command::Offer(_)
                    | Command::Reissue(_)
                    | Command::Acquire { .. }
                    | Command::Renew { .. }
                    | Command::Complete { .. }
            );
            assert!(!(stopped && (towards || signs)), "{command:?} on {user:?}");
            if user.lock != Lock::Open && *command != Command::Unlock {
                assert_ne!(decision.user.as_ref().unwrap().lock, Lock::Open, "only an unlocking unlocks");
            }
            if user.standing == Standing::Deleted {
                assert_eq!(decision.user.as_ref(), Some(user), "a deleted user changes no more: {command:?}");
            }
        }
        assert!(!(signs && decision.refusal.is_some()), "nothing is signed for a wrong secret");
        // Reissue under BIZ: 電子証明書が無効となる in this very decision.
        if let (Command::Reissue(_), Some(user)) = (command, user_before) {
            let after = self.world.outside.live(&user.key, self.world.now);
            assert_eq!(after, Vec::<SerialNumber>::new(), "{}: the old one lives beside the offer", self.name);
        }
    }

    /// What holds after every act, whatever it was.
    fn check_world(&self, before: &World, target: &str, command: &Command) {
        let world = &self.world;
        assert!(before.outside.revoked.is_subset(&world.outside.revoked), "revoked is for ever");
        for (name, user) in &world.users {
            let live = world.outside.live(&user.key, world.now);
            assert!(live.len() <= 1, "{name}: {live:?} after {command:?} on {target}");
            assert_eq!(user.live(world.now).map(|held| held.serial), live.first().copied(), "{name} {command:?}");
            let shown = view(&world.profile, user, world.now);
            assert_eq!(shown.expiry.is_some(), !live.is_empty(), "expiry shows only where a certificate lives");
            if let Certificate::Held(held) = &user.certificate {
                assert!(!world.outside.revoked.contains(&held.serial), "{name} holds a revoked one");
            }
            if let Some(intent) = user.next.intent() {
                assert!(!world.outside.revoked.contains(&intent.serial), "{name} makes a revoked one");
            }
            let notice = expiry_notice(&world.profile, user, world.now);
            assert!(notice.is_none_or(|notice| Some(&notice.serial) == live.first()), "notices of live ones only");
        }
        // Nothing that was signed may live but what the one slot holds or is about to hold.
        let held = world.users.values().filter_map(|user| match &user.certificate {
            Certificate::Held(held) => Some(held.serial),
            _ => None,
        });
        let held: BTreeSet<SerialNumber> = held.collect();
        let making: BTreeSet<_> =
            world.users.values().filter_map(|user| user.next.intent()).map(|intent| intent.serial).collect();
        for serial in world.outside.signed.keys().filter(|serial| !world.outside.revoked.contains(*serial)) {
            assert!(held.contains(serial) || making.contains(serial), "{serial} was signed and forgotten");
        }
    }
}

fn run(name: &'static str) {
    let mut runner = TestRunner::new_with_rng(
        Config { cases: 120, failure_persistence: None, ..Config::default() },
        // The same lives every time: what they reach is asserted below.
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let done = std::cell::RefCell::new(BTreeMap::<String, u32>::new());
    let lives = prop::collection::vec(act(), 1..140);
    let outcome = runner.run(&lives, |acts| {
        let mut life = Life::new(name);
        acts.iter().for_each(|act| life.step(act));
        for (what, times) in life.done {
            *done.borrow_mut().entry(what).or_default() += times;
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    let done = done.into_inner();
    let profile = profile(name);
    // A property of what never happens would hold for nothing: every permitted operation was done, and denied.
    let permitted = profile.matrix.permits().iter().flat_map(|permit| permit.operations.iter());
    let words = permitted.map(|operation| operation.word()).chain(["complete", "interrupt", "counted wrong-factor"]);
    for word in words {
        assert!(done.get(word).copied().unwrap_or(0) >= 1, "{word} was never done: {done:#?}");
    }
    for (word, _) in Operation::ALL {
        let denied = done.get(&format!("denied {word}")).copied().unwrap_or(0);
        assert!(denied >= 5, "{word} was hardly denied: {done:#?}");
    }
}

#[test]
fn every_life_under_bizstation_keeps_the_rules() {
    run("bizstation");
}

#[test]
fn every_life_under_anser_bizsol_keeps_the_rules() {
    run("anser-bizsol");
}

#[test]
fn every_life_under_shinkin_keeps_the_rules() {
    run("shinkin");
}

#[test]
fn every_life_under_hokugin_keeps_the_rules() {
    run("hokugin");
}
