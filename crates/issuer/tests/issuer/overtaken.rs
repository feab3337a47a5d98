//! What changes while factors are being checked: the decision looks again, inside its transaction.

use crate::support::{Issuer, Plan};
use async_trait::async_trait;
use sekisho_config::issuer::{self, IssuerConfig};
use sekisho_issuer::authenticate::{
    BuiltIn, Caller, Checked, Credentials, CredentialsUnavailable, Factors, Right, Rights, ShownCertificate,
};
use sekisho_issuer::authorities::Authorities;
use sekisho_issuer::profiles::Profiles;
use sekisho_issuer::secret::ServiceSecret;
use sekisho_issuer::service::{Act, By, Refused, Request, Service, ServiceParts, Wakes};
use sekisho_issuer::store::{self, Store};
use sekisho_lifecycle::profile::Factor;
use sekisho_lifecycle::{ContractId, StaffChannel, StaffId, StaffPair, UserId, UserKey};
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use std::sync::Arc;
use tokio::sync::Notify;
use zeroize::Zeroizing;

const CONTRACT: &str = "H7654321";

/// The built-in credentials, whose answer is held up until it is let go.
struct HeldUp {
    built_in: BuiltIn,
    checked: Notify,
    go_on: Notify,
}

#[async_trait]
impl Credentials for HeldUp {
    async fn check(
        &self,
        user: &UserKey,
        factors: &Factors,
        wanted: &[Factor],
        now: Timestamp,
    ) -> Result<Checked, CredentialsUnavailable> {
        let checked = self.built_in.check(user, factors, wanted, now).await;
        self.checked.notify_one();
        self.go_on.notified().await;
        checked
    }
}

fn service(config: &IssuerConfig, store: &Arc<dyn Store>, credentials: Arc<dyn Credentials>) -> Service {
    Service::new(ServiceParts {
        store: Arc::clone(store),
        profiles: Arc::new(Profiles::load(&config.profiles).unwrap()),
        authorities: Arc::new(Authorities::load(&config.authorities, clock::now()).unwrap()),
        credentials,
        built_in: None,
        secret: Arc::new(ServiceSecret::load(&config.issuer.secret_file.value).unwrap()),
        wakes: Arc::new(Wakes::default()),
    })
}

fn key(user: &str) -> UserKey {
    UserKey { contract: ContractId::new(CONTRACT).unwrap(), user: UserId::new(user).unwrap() }
}

fn request(by: By, on: &str, act: Act, confirmation: &str) -> Request {
    let factors = vec![(Factor::ConfirmationPassword, Zeroizing::new(confirmation.to_owned()))];
    Request {
        caller: Caller::Service { name: "ib".into(), rights: Rights(vec![Right::Online, Right::Desk]) },
        by,
        contract: ContractId::new(CONTRACT).unwrap(),
        user: UserId::new(on),
        act,
        factors: Factors(factors),
        address: None,
        idempotency: None,
        digest: [0; 32],
        reference: "TEST".into(),
    }
}

/// A contract whose master and general user hold certificates; its issuer has ended, and its store is left.
fn contract() -> (Plan, ShownCertificate) {
    let issuer = Issuer::of(&["hokugin"]);
    let bank = issuer.bank();
    bank.open("hokugin", CONTRACT);
    let (master, _) = bank.register(CONTRACT, "master01", "master");
    let held = master.acquire(None, &["login-password"]);
    let (general, _) = bank.register(CONTRACT, "ippan01", "general");
    general.acquire(None, &["login-password"]);
    let serial = held.parsed().serial();
    (issuer.stop().1, ShownCertificate { of: key("master01"), serial, at: clock::now() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_comes_while_factors_are_checked_makes_right_ones_as_good_as_wrong_ones() {
    let (plan, shown) = tokio::task::spawn_blocking(contract).await.unwrap();
    let config = issuer::load(&plan.write_config()).unwrap();
    let secret = Arc::new(ServiceSecret::load(&config.issuer.secret_file.value).unwrap());
    let store = store::open(&config.store, Arc::clone(&secret)).await.unwrap();
    let built_in = || BuiltIn::new(Arc::clone(&store), Arc::clone(&secret), 2);
    let held_up = Arc::new(HeldUp { built_in: built_in(), checked: Notify::new(), go_on: Notify::new() });
    let slow = Arc::new(service(&config, &store, Arc::clone(&held_up) as Arc<dyn Credentials>));
    let quick = service(&config, &store, Arc::new(built_in()));

    let mut answers = Vec::new();
    for password in [crate::support::SECRETS[2], "guessed"] {
        let by = By::User { key: key("master01"), certificate: Some(shown.clone()) };
        let revoke = request(by, "ippan01", Act::Revoke(RevocationReason::Unspecified), password);
        let acting = Arc::clone(&slow);
        let act = tokio::spawn(async move { acting.execute(revoke).await });
        held_up.checked.notified().await;
        if answers.is_empty() {
            let pair = StaffPair::new(StaffId("t0123".into()), StaffId("t0456".into())).unwrap();
            let desk = By::Staff(pair, StaffChannel::StaffDesk);
            // A suspension: a lock is about acquiring, and does not keep a certificate from acting.
            quick.execute(request(desk, "master01", Act::Suspend, "")).await.unwrap();
        }
        held_up.go_on.notify_one();
        answers.push(act.await.unwrap().map(drop));
    }
    assert_eq!(answers[0], Err(Refused::Proof(vec![Factor::CurrentCertificate, Factor::ConfirmationPassword])));
    assert_eq!(answers[0], answers[1], "the right password was told from the wrong one");
    let caller = Caller::Service { name: "ib".into(), rights: Rights(vec![Right::Read]) };
    let (_, general) = slow.user(&caller, &key("ippan01")).await.unwrap();
    assert!(general.user.live(clock::now()).is_some(), "who was suspended revoked");
    store.close().await;
}
