//! Credentials that the service keeps: each factor is checked, and nothing is told by how.

use crate::planted::Planted;
use crate::support::user;
use sekisho_issuer::authenticate::{BuiltIn, CannotKeep, Checked, Credentials as _, CredentialsUnavailable, Factors};
use sekisho_issuer::secret::ServiceSecret;
use sekisho_issuer::store::{CredentialOwner, CredentialRow, StoreError};
use sekisho_lifecycle::profile::Factor::{
    self, ConfirmationPassword, ContractConfirmationPin, CurrentCertificate, ExecutionPassword, LoginPassword,
    OneTimePassword, Pin,
};
use sekisho_pki::time::Timestamp;
use std::sync::Arc;
use zeroize::Zeroizing;

/// RFC 6238 appendix B: 20 octets "12345678901234567890", of which the one-time password at 59 s is 94287082.
const SEED: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const PASSWORD_AT_59: &str = "287082";
const AT_59: Timestamp = Timestamp::from_unix(59);

fn factors(typed: &[(Factor, &str)]) -> Factors {
    Factors(typed.iter().map(|(factor, text)| (*factor, Zeroizing::new((*text).to_owned()))).collect())
}

fn owner(contract: &str, id: &str) -> CredentialOwner {
    CredentialOwner::User(user(contract, id))
}

fn contract(id: &str) -> CredentialOwner {
    CredentialOwner::Contract(user(id, "any").contract)
}

struct World {
    store: Arc<Planted>,
    built_in: BuiltIn,
}

impl World {
    /// C1/u1 has a login password, a PIN and one-time passwords; C1 a confirmation PIN; others have other ones.
    fn new() -> Self {
        let secret = Arc::new(ServiceSecret::new(&[7; 32]).unwrap());
        let store = Arc::new(Planted::default());
        let world = Self { built_in: BuiltIn::new(store.clone(), secret, 2), store };
        world.keep(owner("C1", "u2"), LoginPassword, "of u2");
        world.keep(owner("C2", "u1"), LoginPassword, "of C2");
        world.keep(owner("C1", "u1"), LoginPassword, "correct horse");
        world.keep(owner("C1", "u1"), Pin, "4711");
        world.keep(owner("C1", "u1"), OneTimePassword, SEED);
        world.keep(contract("C2"), ContractConfirmationPin, "2222");
        world.keep(contract("C1"), ContractConfirmationPin, "1111");
        world
    }

    fn keep(&self, of: CredentialOwner, factor: Factor, text: &str) {
        let verifier = self.built_in.verifier(&of, factor, text).unwrap();
        assert!(!verifier.contains(text), "it is kept plain: {verifier}");
        self.store.keep(CredentialRow { of, factor, verifier });
    }

    async fn check(&self, id: &str, typed: &[(Factor, &str)], wanted: &[Factor]) -> (Vec<Factor>, Vec<Factor>) {
        self.check_at(id, typed, wanted, AT_59).await
    }

    async fn check_at(
        &self,
        id: &str,
        typed: &[(Factor, &str)],
        wanted: &[Factor],
        now: Timestamp,
    ) -> (Vec<Factor>, Vec<Factor>) {
        let Checked { right, wrong } =
            self.built_in.check(&user("C1", id), &factors(typed), wanted, now).await.unwrap();
        (right, wrong)
    }

    /// Argon2 computations that something costs.
    async fn cost(&self, id: &str, typed: &[(Factor, &str)]) -> u64 {
        let before = self.built_in.computations();
        let wanted: Vec<Factor> = typed.iter().map(|(factor, _)| *factor).collect();
        self.check(id, typed, &wanted).await;
        self.built_in.computations() - before
    }
}

#[tokio::test]
async fn every_wanted_factor_is_checked_whatever_the_others_are() {
    let world = World::new();
    let all = [LoginPassword, Pin, ContractConfirmationPin];
    for (typed, right, wrong) in [
        (["correct horse", "4711", "1111"], vec![LoginPassword, Pin, ContractConfirmationPin], vec![]),
        (["wrong", "4711", "1111"], vec![Pin, ContractConfirmationPin], vec![LoginPassword]),
        (["correct horse", "0000", "1111"], vec![LoginPassword, ContractConfirmationPin], vec![Pin]),
        (["correct horse", "4711", "2222"], vec![LoginPassword, Pin], vec![ContractConfirmationPin]),
        (["", "", ""], vec![], vec![LoginPassword, Pin, ContractConfirmationPin]),
        (["4711", "correct horse", "4711"], vec![], vec![LoginPassword, Pin, ContractConfirmationPin]),
    ] {
        let given: Vec<_> = all.into_iter().zip(typed).collect();
        assert_eq!(world.check("u1", &given, &all).await, (right, wrong), "{typed:?}");
    }
}

#[tokio::test]
async fn what_was_not_typed_or_not_wanted_is_neither_right_nor_wrong() {
    let world = World::new();
    let typed = [(LoginPassword, "correct horse"), (Pin, "0000"), (CurrentCertificate, "x")];
    for (wanted, right) in [
        (vec![LoginPassword], vec![LoginPassword]),
        (vec![LoginPassword, LoginPassword], vec![LoginPassword]),
        (vec![LoginPassword, OneTimePassword, CurrentCertificate], vec![LoginPassword]),
        (vec![CurrentCertificate, ExecutionPassword], vec![]),
        (vec![], vec![]),
    ] {
        assert_eq!(world.check("u1", &typed, &wanted).await, (right, vec![]), "{wanted:?}");
    }
}

#[tokio::test]
async fn a_factor_is_its_owners_alone() {
    let world = World::new();
    // The store gives all rows here; another user's, another contract's and the contract's own are passed over.
    for (factor, text) in [(LoginPassword, "of u2"), (LoginPassword, "of C2"), (LoginPassword, "1111"), (Pin, "1111")] {
        assert_eq!(world.check("u1", &[(factor, text)], &[factor]).await, (vec![], vec![factor]), "{text}");
    }
    assert_eq!(world.check("u2", &[(LoginPassword, "correct horse")], &[LoginPassword]).await.1, [LoginPassword]);
    // ご契約先確認暗証番号 is every user's of the contract, also of one who is not there.
    for id in ["u1", "u2", "nobody"] {
        let typed = [(ContractConfirmationPin, "1111")];
        assert_eq!(world.check(id, &typed, &[ContractConfirmationPin]).await.0, [ContractConfirmationPin], "{id}");
    }
}

#[tokio::test]
async fn nobody_and_nothing_cost_what_everybody_does() {
    let world = World::new();
    let long = "x".repeat(1_025);
    for id in ["u1", "u2", "nobody"] {
        for typed in [
            vec![(LoginPassword, "correct horse")],
            vec![(LoginPassword, "wrong")],
            vec![(LoginPassword, "")],
            vec![(LoginPassword, long.as_str())],
            vec![(ExecutionPassword, "never set")],
            vec![(ConfirmationPassword, "never set")],
            vec![(ContractConfirmationPin, "1111")],
        ] {
            assert_eq!(world.cost(id, &typed).await, 1, "{id} {typed:?}");
        }
        for typed in [
            [(LoginPassword, "wrong"), (Pin, "4711"), (ExecutionPassword, "x")],
            [(LoginPassword, "correct horse"), (Pin, "4711"), (ExecutionPassword, "x")],
        ] {
            assert_eq!(world.cost(id, &typed).await, 3, "{id} {typed:?}");
        }
        assert_eq!(world.cost(id, &[(OneTimePassword, "123456")]).await, 0, "{id}");
        // Whichever of them the product of the contract asks for.
        let typed = [(Pin, "4711"), (OneTimePassword, "123456")];
        for wanted in [&[Pin, OneTimePassword][..], &[LoginPassword], &[]] {
            let before = world.built_in.computations();
            let (right, wrong) = world.check(id, &typed, wanted).await;
            assert_eq!(world.built_in.computations() - before, 1, "{id} {wanted:?}");
            assert!(right.iter().chain(&wrong).all(|factor| wanted.contains(factor)), "{id} {wanted:?}");
        }
    }
}

#[tokio::test]
async fn a_one_time_password_is_right_once() {
    let world = World::new();
    let typed = [(OneTimePassword, PASSWORD_AT_59)];
    let wanted = [OneTimePassword];
    assert_eq!(world.check("u2", &typed, &wanted).await, (vec![], vec![OneTimePassword]), "another user");
    assert_eq!(world.check("nobody", &typed, &wanted).await, (vec![], vec![OneTimePassword]), "nobody");
    assert_eq!(world.check("u1", &[(OneTimePassword, "287083")], &wanted).await, (vec![], vec![OneTimePassword]));
    assert_eq!(world.check("u1", &typed, &wanted).await, (vec![OneTimePassword], vec![]));
    // RFC 6238 section 5.2, also in the next step, in which it would still be taken.
    for now in [AT_59, Timestamp::from_unix(60), Timestamp::from_unix(89)] {
        assert_eq!(world.check_at("u1", &typed, &wanted, now).await, (vec![], vec![OneTimePassword]), "{now}");
    }
}

#[tokio::test]
async fn two_requests_at_a_time_do_not_both_use_a_one_time_password() {
    let world = World::new();
    let checks = (0..20).map(|_| world.check("u1", &[(OneTimePassword, PASSWORD_AT_59)], &[OneTimePassword]));
    let right = futures_util::future::join_all(checks).await.into_iter().filter(|(right, _)| !right.is_empty()).count();
    assert_eq!(right, 1);
}

#[tokio::test]
async fn a_one_time_password_is_used_up_beside_a_wrong_password() {
    let world = World::new();
    let wanted = [LoginPassword, OneTimePassword];
    let typed = |password| [(LoginPassword, password), (OneTimePassword, PASSWORD_AT_59)];
    assert_eq!(world.check("u1", &typed("wrong"), &wanted).await, (vec![OneTimePassword], vec![LoginPassword]));
    assert_eq!(world.check("u1", &typed("correct horse"), &wanted).await, (vec![LoginPassword], vec![OneTimePassword]));
}

#[tokio::test]
async fn what_cannot_be_checked_is_not_wrong() {
    let world = World::new();
    let check = |id: &'static str, typed: &'static [(Factor, &'static str)]| {
        let built_in = &world.built_in;
        async move {
            let wanted: Vec<Factor> = typed.iter().map(|(factor, _)| *factor).collect();
            built_in.check(&user("C1", id), &factors(typed), &wanted, AT_59).await
        }
    };
    world.store.fail(Some(StoreError::Busy));
    let busy = Err(CredentialsUnavailable("too many acts wait for the store".into()));
    assert_eq!(check("u1", &[(LoginPassword, "correct horse")]).await, busy);
    world.store.fail(None);
    // A row that another program wrote, a PHC string of another function, a seed under another secret.
    let foreign = BuiltIn::new(world.store.clone(), Arc::new(ServiceSecret::new(&[8; 32]).unwrap()), 1);
    for (id, factor, verifier) in [
        ("u3", LoginPassword, "plain".to_owned()),
        ("u4", LoginPassword, "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW".to_owned()),
        ("u5", OneTimePassword, foreign.verifier(&owner("C1", "u5"), OneTimePassword, SEED).unwrap()),
        // Another user's seed, put into this one's row.
        ("u6", OneTimePassword, world.built_in.verifier(&owner("C1", "u1"), OneTimePassword, SEED).unwrap()),
    ] {
        world.store.keep(CredentialRow { of: owner("C1", id), factor, verifier });
        let typed: &'static [_] =
            if factor == OneTimePassword { &[(OneTimePassword, "287082")] } else { &[(LoginPassword, "plain")] };
        assert!(check(id, typed).await.is_err(), "{id}");
    }
}

#[tokio::test]
async fn checks_beyond_the_limit_wait_for_their_turn_and_are_all_made() {
    let world = World::new();
    let checks = (0..8).map(|_| world.check("u1", &[(LoginPassword, "correct horse")], &[LoginPassword]));
    let all = futures_util::future::join_all(checks).await;
    assert_eq!(all, vec![(vec![LoginPassword], vec![]); 8]);
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let world = World::new();
    let (mine, ours) = (owner("C1", "u1"), contract("C1"));
    let (most, more) = ("x".repeat(1_024), "x".repeat(1_025));
    for (of, factor, text, expected) in [
        (&mine, CurrentCertificate, "x", CannotKeep::NotAFactorToKeep),
        (&ours, CurrentCertificate, "x", CannotKeep::NotAFactorToKeep),
        (&mine, ContractConfirmationPin, "1111", CannotKeep::NotTheirs),
        (&ours, LoginPassword, "x", CannotKeep::NotTheirs),
        (&ours, OneTimePassword, SEED, CannotKeep::NotTheirs),
        (&mine, LoginPassword, "", CannotKeep::Length),
        (&ours, ContractConfirmationPin, "", CannotKeep::Length),
        (&mine, Pin, more.as_str(), CannotKeep::Length),
        (&mine, OneTimePassword, "", CannotKeep::Seed),
        (&mine, OneTimePassword, "GEZDGNBVGY3TQOJQ", CannotKeep::Seed),
        (&mine, OneTimePassword, "12345678901234567890", CannotKeep::Seed),
    ] {
        assert_eq!(world.built_in.verifier(of, factor, text), Err(expected), "{factor:?}");
    }
    assert!(world.built_in.verifier(&mine, Pin, &most).is_ok());
}
