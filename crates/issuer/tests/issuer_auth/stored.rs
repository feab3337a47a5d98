//! Over the real store: what is kept is found, and a one-time password is used up for every node.

use crate::support::{placed, user};
use crate::tokens::{NOW, TokenSigner, gateway, jwks};
use sekisho_config::issuer::{JwksSource, StoreConfig, StoreUrl};
use sekisho_issuer::authenticate::{
    Authenticator, BuiltIn, Caller, Checked, Credentials as _, Factors, NotAuthenticated, Why,
};
use sekisho_issuer::listen::Peer;
use sekisho_issuer::secret::ServiceSecret;
use sekisho_issuer::store::{
    Ask, CompletedRow, Contact, ContractRow, CredentialOwner, CredentialRow, Everyone, Store, UserRow, Write, change,
    init, open,
};
use sekisho_lifecycle::profile::Factor::{LoginPassword, OneTimePassword};
use sekisho_lifecycle::profile::RoleName;
use sekisho_lifecycle::{Certificate, Contract, ContractOneTimePassword, Counter, Feature, Lock, Next, Standing, User};
use sekisho_pki::fingerprint::sha256;
use sekisho_pki::time::Timestamp;
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

const SEED: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const AT_59: Timestamp = Timestamp::from_unix(59);

/// One more node over the same file.
async fn node(folder: &Path) -> (Arc<dyn Store>, BuiltIn) {
    let secret = Arc::new(ServiceSecret::new(&[7; 32]).unwrap());
    let url = placed(StoreUrl::Sqlite(folder.join("issuer.db")));
    let config = StoreConfig { url, connections: 2, waiting: 100, together: 10 };
    if !folder.join("issuer.db").exists() {
        init(&config, secret.clone()).await.unwrap();
    }
    let store = open(&config, secret.clone()).await.unwrap();
    (store.clone(), BuiltIn::new(store, secret, 2))
}

async fn write(store: &dyn Store, write: Write) {
    let key = user("C1", "u1");
    let ask = Ask {
        contract: key.contract,
        user: Some(key.user),
        actor: None,
        address: None,
        public_key: None,
        idempotency: None,
        everyone: Everyone::No,
        names: Vec::new(),
    };
    change(store, ask, move |_| (write, ())).await.unwrap();
}

async fn with_one_user(store: &dyn Store) {
    let key = user("C1", "u1");
    let contract = Contract {
        id: key.contract.clone(),
        feature: Feature::On,
        one_time_password: ContractOneTimePassword::Used,
        wrong_tries: Counter::default(),
    };
    let user = User {
        key,
        role: RoleName("user".into()),
        standing: Standing::Active,
        lock: Lock::Open,
        wrong_tries: Counter::default(),
        wrong_acts: Counter::default(),
        certificate: Certificate::None,
        next: Next::Nothing,
        issues: 0,
        offers: 0,
    };
    let contract = ContractRow { contract, profile: "shinkin".into(), since: NOW };
    let user = UserRow { user, contact: Contact::default(), since: NOW };
    write(store, Write { contract: Some(contract), users: vec![user], ..Write::default() }).await;
}

#[tokio::test]
async fn kept_factors_are_found_and_a_one_time_password_is_used_up_for_every_node() {
    let folder = tempfile::tempdir().unwrap();
    let (store, built_in) = node(folder.path()).await;
    with_one_user(&*store).await;
    let mut credentials = Vec::new();
    for (factor, text) in [(LoginPassword, "correct horse"), (OneTimePassword, SEED)] {
        let of = CredentialOwner::User(user("C1", "u1"));
        let verifier = built_in.verifier(&of, factor, text).unwrap();
        credentials.push(CredentialRow { of, factor, verifier });
    }
    write(&*store, Write { credentials, ..Write::default() }).await;
    let (other_store, other) = node(folder.path()).await;
    let wanted = [LoginPassword, OneTimePassword];
    let typed = |password: &str| {
        Factors(vec![
            (LoginPassword, Zeroizing::new(password.to_owned())),
            (OneTimePassword, Zeroizing::new("287082".to_owned())),
        ])
    };
    for (node, id, password, right, wrong) in [
        (&other, "nobody", "correct horse", vec![], vec![LoginPassword, OneTimePassword]),
        (&other, "u1", "wrong", vec![OneTimePassword], vec![LoginPassword]),
        (&built_in, "u1", "correct horse", vec![LoginPassword], vec![OneTimePassword]),
        (&other, "u1", "correct horse", vec![LoginPassword], vec![OneTimePassword]),
    ] {
        let checked = node.check(&user("C1", id), &typed(password), &wanted, AT_59).await;
        assert_eq!(checked, Ok(Checked { right, wrong }), "{id} {password}");
    }
    store.close().await;
    other_store.close().await;
}

#[tokio::test]
async fn only_a_completed_certificate_names_its_user() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = node(folder.path()).await;
    with_one_user(&*store).await;
    let mut begun = crate::planted::certificate(&user("C1", "u1"), 5, b"DER");
    begun.der = None;
    let serial = begun.intent.serial;
    write(&*store, Write { intent: Some(begun), ..Write::default() }).await;
    let signer = TokenSigner::new("k1");
    let file = crate::support::write(folder.path(), "jwks.json", &jwks(&[&signer]));
    let authenticator = Authenticator::new(store.clone(), &[], Some(&gateway(JwksSource::File(file)))).unwrap();
    let request = http::Request::post("/v1/contracts").header("host", "api.bank.example");
    let request = request.header("x-sekisho-assertion", signer.token(sha256(&[b"DER"])));
    let head = request.body(()).unwrap().into_parts().0;
    let peer = Peer { address: "192.0.2.7:40000".parse().unwrap(), certificate: None };
    let refused = Err(NotAuthenticated::Refused(Why::UnknownCertificate));
    assert_eq!(authenticator.caller(&peer, &head, NOW).await, refused);
    let certificate = CompletedRow { serial, der: b"DER".as_slice().into() };
    write(&*store, Write { certificate: Some(certificate), ..Write::default() }).await;
    let Ok(Caller::User(shown)) = authenticator.caller(&peer, &head, NOW).await else { panic!("not the user") };
    assert_eq!((shown.of, shown.serial, shown.at), (user("C1", "u1"), serial, NOW));
    store.close().await;
}
