//! Both databases, and records to put into them.

use crate::postgres;
use sekisho_config::issuer::{StoreConfig, StoreUrl};
use sekisho_config::{Place, Placed};
use sekisho_issuer::audit::{ActResult, Entry};
use sekisho_issuer::secret::ServiceSecret;
use sekisho_issuer::store::{
    Ask, CertificateRow, Contact, ContractRow, Everyone, Found, Language, OpenError, Store, StoreError, UserRow, Write,
    change, init, open,
};
use sekisho_lifecycle::profile::RoleName;
use sekisho_lifecycle::{
    Contract, ContractId, ContractOneTimePassword, Counter, Feature, Held, Intent, Target, User, UserId, UserKey,
};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::sync::Arc;

pub const NOW: Timestamp = Timestamp::from_unix(1_795_311_060);

/// Every test for both databases.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::support::Database::sqlite()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::support::Database::postgres()).await;
            })*
        }
    };
}
pub(crate) use on_both;

/// An empty database.
pub struct Database {
    pub config: StoreConfig,
    pub secret: Arc<ServiceSecret>,
    _folder: tempfile::TempDir,
}

impl Database {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::Sqlite(folder.path().join("issuer.db"));
        Self { config: config(url), secret: secret(7), _folder: folder }
    }

    pub fn postgres() -> Self {
        let url = StoreUrl::Postgres(postgres::new_database());
        Self { config: config(url), secret: secret(7), _folder: tempfile::tempdir().unwrap() }
    }

    pub async fn open(&self) -> Arc<dyn Store> {
        self.try_open().await.unwrap_or_else(|error| panic!("{error}"))
    }

    pub async fn try_open(&self) -> Result<Arc<dyn Store>, OpenError> {
        // It is there already, mostly; whatever else is wrong, opening it says too.
        let _ = init(&self.config, Arc::clone(&self.secret)).await;
        open(&self.config, Arc::clone(&self.secret)).await
    }

    /// A store with the contract `C1` and its users `u1` to `u<users>`.
    pub async fn with_users(&self, users: u32) -> Arc<dyn Store> {
        let store = self.open().await;
        let rows = (1..=users).map(|number| user("C1", &format!("u{number}"))).collect();
        put(&*store, ask("C1", None), Write { contract: Some(contract("C1")), users: rows, ..Write::default() }).await;
        store
    }

    /// Runs SQL beside the store.
    pub fn sql(&self, statements: &str) -> String {
        match &self.config.url.value {
            StoreUrl::Postgres(url) => postgres::sql(postgres::name(url), statements),
            StoreUrl::Sqlite(path) => {
                let script = "import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=5)
for statement in sys.argv[2].split(';'):
    for row in connection.execute(statement):
        print('|'.join(str(value) for value in row))";
                let mut command = std::process::Command::new("python3");
                let output = command.args(["-c", script]).arg(path).arg(statements).output().unwrap();
                assert!(output.status.success(), "{statements}: {}", String::from_utf8_lossy(&output.stderr));
                String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
            }
        }
    }
}

pub fn config(url: StoreUrl) -> StoreConfig {
    let place = Place { file: "issuer.toml".into(), line: 1, key: "url".into() };
    StoreConfig { url: Placed { value: url, place }, connections: 4, waiting: 10_000, together: 256 }
}

pub fn secret(octet: u8) -> Arc<ServiceSecret> {
    Arc::new(ServiceSecret::new(&[octet; 32]).unwrap())
}

pub fn contract_id(id: &str) -> ContractId {
    ContractId::new(id).unwrap()
}

pub fn key(contract: &str, user: &str) -> UserKey {
    UserKey { contract: contract_id(contract), user: UserId::new(user).unwrap() }
}

pub fn contract(id: &str) -> ContractRow {
    let contract = Contract {
        id: contract_id(id),
        feature: Feature::On,
        one_time_password: ContractOneTimePassword::Used,
        wrong_tries: Counter::default(),
    };
    ContractRow { contract, profile: "bizstation".into(), since: NOW }
}

pub fn user(contract: &str, id: &str) -> UserRow {
    let contact = Contact {
        name: Some("山田 太郎".into()),
        mail: Some(format!("{id}@example.jp").into()),
        language: Language::Japanese,
    };
    UserRow { user: User::new(key(contract, id), RoleName("general".into())), contact, since: NOW }
}

pub fn serial(number: u64) -> SerialNumber {
    SerialNumber::from_der_content(&[&[0x51; 8][..], &number.to_be_bytes()].concat()).unwrap()
}

pub fn held(number: u64) -> Held {
    Held { serial: serial(number), not_before: NOW, not_after: NOW.plus_years(1), issue_number: 3, registered_at: NOW }
}

pub fn intent(number: u64) -> Intent {
    Intent {
        serial: serial(number),
        common_name: format!("logid031 A001 {number}"),
        organizational_unit: Some("(9999)ANSER-WEB(BizSOL)".to_owned()),
        organization: None,
        not_before: NOW,
        not_after: NOW.plus_years(1),
        issue_number: 3,
    }
}

pub fn begun(user: &UserKey, number: u64) -> CertificateRow {
    let mut public_key = [0; 32];
    public_key[..8].copy_from_slice(&number.to_be_bytes());
    CertificateRow {
        user: user.clone(),
        authority: "issuing".into(),
        intent: intent(number),
        public_key,
        begun_at: NOW,
        der: None,
    }
}

/// Asks for a contract and a user of it.
pub fn ask(contract: &str, user: Option<&str>) -> Ask {
    Ask {
        contract: contract_id(contract),
        user: user.map(|user| UserId::new(user).unwrap()),
        actor: None,
        address: None,
        public_key: None,
        idempotency: None,
        everyone: Everyone::No,
        names: Vec::new(),
    }
}

/// An audit entry about a user.
pub fn entry(user: &UserKey, reference: &str) -> Entry {
    Entry {
        at: NOW,
        caller: "ib".into(),
        actor: None,
        command: "acquire".into(),
        target: Target::User(user.clone()),
        channel: None,
        screen: Some("BRSK018".into()),
        form: None,
        serial: None,
        address: None,
        reference: reference.into(),
        result: ActResult::Done,
    }
}

/// Writes without looking.
pub async fn put(store: &dyn Store, ask: Ask, write: Write) {
    try_put(store, ask, write).await.unwrap();
}

pub async fn try_put(store: &dyn Store, ask: Ask, write: Write) -> Result<(), StoreError> {
    change(store, ask, move |_| (write, ())).await
}

/// Looks without writing, as an act does.
pub async fn look(store: &dyn Store, ask: Ask) -> Found {
    change(store, ask, |found| (Write::default(), found.clone())).await.unwrap()
}

/// The whole audit log, its chain checked.
pub async fn whole_audit(store: &dyn Store, secret: &ServiceSecret) -> Vec<Entry> {
    let mut verifier = sekisho_issuer::audit::Verifier::new(secret);
    let mut entries = Vec::new();
    loop {
        let records = store.audit(verifier.head().sequence + 1, 1_000).await.unwrap();
        if records.is_empty() {
            return entries;
        }
        for record in records {
            verifier.push(&record).unwrap();
            entries.push(record.entry);
        }
    }
}
