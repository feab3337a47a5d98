//! A store with an audit log of 700 records, and the built binary.

use sekisho_config::Placed;
use sekisho_config::issuer::{StoreConfig, StoreUrl};
use sekisho_issuer::audit::{ActResult, Entry};
use sekisho_issuer::secret::ServiceSecret;
use sekisho_issuer::store::{self, Ask, Everyone, Write};
use sekisho_lifecycle::profile::Channel;
use sekisho_lifecycle::{ActorName, ContractId, StaffId, StaffPair, Target, UserId, UserKey};
use sekisho_pki::time::Timestamp;
use sqlx::{Connection as _, SqliteConnection};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock};

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());

pub struct Log(tempfile::TempDir);

/// What the binary came to.
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Log {
    /// Record N has the reference `RN`; every tenth is about contract C2, the others about a user of C1.
    pub fn new() -> Self {
        let log = Self(tempfile::tempdir().unwrap());
        log.write("issuer.toml", include_str!("../../../../config/issuer.toml"));
        log.write_secret(&"A".repeat(43));
        let secret = Arc::new(ServiceSecret::load(&log.path("issuer.secret")).unwrap());
        let config = StoreConfig {
            url: Placed { value: StoreUrl::Sqlite(log.path("issuer.db")), place: Default::default() },
            connections: 1,
            waiting: 16,
            together: 16,
        };
        RUNTIME.block_on(async {
            store::init(&config, Arc::clone(&secret)).await.unwrap();
            let store = store::open(&config, secret).await.unwrap();
            for first in (1..=700).step_by(70) {
                let audit = (first..first + 70).map(entry).collect();
                let write = Write { audit, ..Write::default() };
                store::change(&*store, ask(), move |_| (write, ())).await.unwrap();
            }
            store.close().await;
        });
        log
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// 32 octets in base64 without the last `=`.
    pub fn write_secret(&self, base64: &str) {
        self.write_secret_file("issuer.secret", &format!("{base64}=\n"));
    }

    /// A file that is its owner's alone.
    pub fn write_secret_file(&self, name: &str, text: &str) {
        self.write(name, text);
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub fn open_secret(&self) {
        std::fs::set_permissions(self.path("issuer.secret"), std::fs::Permissions::from_mode(0o644)).unwrap();
    }

    /// Behind the store's back.
    pub fn sql(&self, statements: &'static str) {
        let url = format!("sqlite:{}", self.path("issuer.db").display());
        RUNTIME.block_on(async {
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            let mut changed = 0;
            for statement in statements.split(';') {
                changed += sqlx::query(statement).execute(&mut connection).await.unwrap().rows_affected();
            }
            assert!(changed > 0, "nothing was changed: {statements}");
            connection.close().await.unwrap();
        });
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho-issuer"));
        let output = command.arg("audit").args(arguments).current_dir(self.0.path()).output().unwrap();
        Output {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Any command of the program with that standard output: its exit code, and standard error.
    pub fn command_into(&self, arguments: &[&str], stdout: impl Into<Stdio>) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho-issuer"));
        let output = command.args(arguments).current_dir(self.0.path()).stdout(stdout).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    pub fn verify(&self, arguments: &[&str]) -> Output {
        self.run(&[&["verify", "--config", "issuer.toml"], arguments].concat())
    }

    /// The head of the log as it is.
    pub fn head(&self) -> String {
        self.verify(&[]).stdout.lines().last().unwrap().trim_start_matches("head ").to_owned()
    }
}

fn ask() -> Ask {
    Ask {
        contract: ContractId::new("C1").unwrap(),
        user: None,
        actor: None,
        address: None,
        public_key: None,
        idempotency: None,
        everyone: Everyone::No,
        names: Vec::new(),
    }
}

fn entry(number: i64) -> Entry {
    let user = UserKey { contract: ContractId::new("C1").unwrap(), user: UserId::new("u1").unwrap() };
    let pair = StaffPair::new(StaffId("m1".into()), StaffId("c1".into())).unwrap();
    Entry {
        at: Timestamp::from_unix(1_795_311_060 + number),
        caller: "desk".into(),
        actor: Some(ActorName::Staff(pair)),
        command: "suspend".into(),
        target: if number % 10 == 0 { Target::Contract(ContractId::new("C2").unwrap()) } else { Target::User(user) },
        channel: Some(Channel::StaffDesk),
        screen: None,
        form: None,
        serial: None,
        address: None,
        reference: format!("R{number}").into(),
        result: if number % 3 == 0 { ActResult::Refused("NotPermitted".into()) } else { ActResult::Done },
    }
}
