//! An issuer without listeners: store, authority, service.

use async_trait::async_trait;
use sekisho_ca::hierarchy::{self, Wanted};
use sekisho_ca::name::{AttributeType, Name};
use sekisho_ca::{FileKey, KeyKind, PublicationPoints};
use sekisho_config::issuer::{AuthorityConfig, PassphraseSource, StoreConfig, StoreUrl};
use sekisho_config::{Place, Placed};
use sekisho_issuer::authenticate::{
    BuiltIn, Caller, Checked, Credentials, CredentialsUnavailable, Factors, Right, Rights,
};
use sekisho_issuer::authorities::{Authorities, IssuingAuthority};
use sekisho_issuer::profiles::Profiles;
use sekisho_issuer::secret::ServiceSecret;
use sekisho_issuer::service::{Act, By, Request, Service, ServiceParts, Wakes};
use sekisho_issuer::store::{Ask, Contact, ContractRow, Store, UserRow, Write, change, init, open};
use sekisho_lifecycle::profile::{Factor, RoleName};
use sekisho_lifecycle::{
    Contract, ContractId, ContractOneTimePassword, Counter, Feature, StaffChannel, StaffId, StaffPair, User, UserId,
    UserKey,
};
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Users of a contract: neighbours in the queue are of different ones, as customers are.
pub const USERS_OF_A_CONTRACT: usize = 100;

/// What every user types.
pub const PASSWORD: &str = "correct horse battery";

/// Store, authority and service of one bank.
pub struct Bank {
    pub store: Arc<dyn Store>,
    pub authorities: Arc<Authorities>,
    pub wakes: Arc<Wakes>,
    /// Users' passwords are checked by somebody else, who answers at once.
    pub service: Arc<Service>,
    /// Users' passwords are checked here.
    pub checking: Arc<Service>,
}

/// The IB system, where credentials are delegated to it: without the time that its answer takes.
struct Elsewhere;

#[async_trait]
impl Credentials for Elsewhere {
    async fn check(
        &self,
        _: &UserKey,
        factors: &Factors,
        wanted: &[Factor],
        _: Timestamp,
    ) -> Result<Checked, CredentialsUnavailable> {
        let given = |factor: &&Factor| factors.get(**factor) == Some(PASSWORD);
        Ok(Checked { right: wanted.iter().filter(given).copied().collect(), wrong: Vec::new() })
    }
}

impl Bank {
    /// One with an empty store.
    pub async fn new(folder: &Path, name: &str, url: StoreUrl) -> Self {
        let secret = Arc::new(ServiceSecret::new(&[7; 32]).unwrap());
        // Of the reference configuration.
        let config = StoreConfig { url: placed(url), connections: 8, waiting: 1_024, together: 128 };
        let _ = init(&config, Arc::clone(&secret)).await;
        let store = open(&config, Arc::clone(&secret)).await.unwrap();
        // As a bank of a million users has them.
        let authorities = authorities(&folder.join(name), NonZeroU16::new(64).unwrap());
        let profiles = Arc::new(Profiles::load(&[placed(PathBuf::from("config/profiles/hokugin.toml"))]).unwrap());
        let wakes = Arc::new(Wakes::default());
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let built_in = Arc::new(BuiltIn::new(Arc::clone(&store), Arc::clone(&secret), cores));
        let service = |credentials: Arc<dyn Credentials>| {
            Arc::new(Service::new(ServiceParts {
                store: Arc::clone(&store),
                profiles: Arc::clone(&profiles),
                authorities: Arc::clone(&authorities),
                credentials,
                built_in: Some(Arc::clone(&built_in)),
                secret: Arc::clone(&secret),
                wakes: Arc::clone(&wakes),
            }))
        };
        let (elsewhere, here) = (service(Arc::new(Elsewhere)), service(built_in.clone()));
        Self { store, authorities, wakes, service: elsewhere, checking: here }
    }

    /// Opens contracts of that prefix with so many users in all, each of whom may acquire a certificate.
    pub async fn register(&self, prefix: char, users: usize) -> Vec<UserKey> {
        let contracts = users.div_ceil(USERS_OF_A_CONTRACT);
        let key = |number: usize| UserKey {
            contract: ContractId::new(&format!("{prefix}{:07}", number % contracts)).unwrap(),
            user: UserId::new(&format!("user{:04}", number / contracts)).unwrap(),
        };
        let keys: Vec<UserKey> = (0..users).map(key).collect();
        for contract in 0..contracts {
            let rows = keys.iter().skip(contract).step_by(contracts).map(user_row).collect();
            let id = keys[contract].contract.clone();
            let write = Write { contract: Some(contract_row(id.clone())), users: rows, ..Write::default() };
            change(&*self.store, Ask::about(id), |_| (write, ())).await.unwrap();
        }
        keys
    }
}

/// A user's own request.
pub fn by_user(user: &UserKey, act: Act) -> Request {
    let factors = Factors(vec![(Factor::LoginPassword, Zeroizing::new(PASSWORD.to_owned()))]);
    let key = format!("{}/{}", user.contract, user.user);
    Request {
        factors,
        idempotency: Some(key.into()),
        ..request(By::User { key: user.clone(), certificate: None }, user, act)
    }
}

/// A request of two people of the bank's.
pub fn by_staff(user: &UserKey, act: Act) -> Request {
    let pair = StaffPair::new(StaffId("t0123".into()), StaffId("t0456".into())).unwrap();
    request(By::Staff(pair, StaffChannel::StaffDesk), user, act)
}

fn request(by: By, on: &UserKey, act: Act) -> Request {
    let digest = sekisho_pki::fingerprint::sha256(&[on.contract.as_str().as_bytes(), on.user.as_str().as_bytes()]);
    Request {
        caller: Caller::Service { name: "ib".into(), rights: Rights(vec![Right::Online, Right::Desk]) },
        by,
        contract: on.contract.clone(),
        user: Some(on.user.clone()),
        act,
        factors: Factors::default(),
        address: Some("192.0.2.1".into()),
        idempotency: None,
        digest,
        reference: "7Q3F-K0ZD-93MX-A1VT".into(),
    }
}

/// A root and below it the authority of the profile, with lists in so many parts.
pub fn authorities(folder: &Path, parts: NonZeroU16) -> Arc<Authorities> {
    std::fs::create_dir_all(folder.join("published")).unwrap();
    let wanted = |common_name: &str, years, path_len| {
        let name = Name::new(vec![(AttributeType::CommonName, common_name.to_owned())]).unwrap();
        Wanted { name, key: KeyKind::EcdsaP256, years, path_len }
    };
    let begin = clock::now().plus_seconds(-60);
    let root = hierarchy::root(&wanted("Bench Root", 10, 1), begin).unwrap();
    let root = root.into_authority(PublicationPoints::default()).unwrap();
    let issuing = hierarchy::intermediate(&wanted("Bench Issuing", 5, 0), &root, begin).unwrap();
    let part = if parts.get() == 1 { "" } else { "-{part}" };
    let config = AuthorityConfig {
        name: "hokugin".into(),
        profiles: vec![placed("hokugin".into())],
        certificate: placed(folder.join("issuing.pem")),
        chain: placed(folder.join("chain.pem")),
        key: placed(folder.join("issuing.key")),
        passphrase: placed(PassphraseSource::File(folder.join("passphrase"))),
        crl_url: format!("http://pki.example.jp/crl/hokugin{part}.crl"),
        delta_url: Some(format!("http://pki.example.jp/crl/hokugin{part}-delta.crl")),
        parts,
        ocsp_url: Some("http://pki.example.jp/ocsp/hokugin".to_owned()),
        ca_issuers_url: Some("http://pki.example.jp/ca/hokugin.cer".to_owned()),
        publish_folder: Some(placed(folder.join("published"))),
        crl_lifetime: Duration::from_secs(86_400),
        crl_interval: Duration::from_secs(3_600),
        ocsp_lifetime: Duration::from_secs(3_600),
        ocsp_nonces: false,
        place: Place::default(),
    };
    let chain = vec![root.certificate().clone()];
    let key: Arc<FileKey> = Arc::new(issuing.key);
    let authority = IssuingAuthority::new(config, issuing.certificate, chain, key, clock::now()).unwrap();
    Arc::new(Authorities::of(vec![authority]).unwrap())
}

pub fn placed<T>(value: T) -> Placed<T> {
    Placed { value, place: Place { file: "bench".into(), line: 1, key: "bench".into() } }
}

fn contract_row(id: ContractId) -> ContractRow {
    let contract = Contract {
        id,
        feature: Feature::On,
        one_time_password: ContractOneTimePassword::NotUsed,
        wrong_tries: Counter::default(),
    };
    ContractRow { contract, profile: "hokugin".into(), since: clock::now() }
}

fn user_row(key: &UserKey) -> UserRow {
    let mail = Some(format!("{}@example.jp", key.user).into());
    let contact = Contact { name: Some("山田 太郎".into()), mail, ..Contact::default() };
    UserRow { user: User::new(key.clone(), RoleName("general".into())), contact, since: clock::now() }
}
