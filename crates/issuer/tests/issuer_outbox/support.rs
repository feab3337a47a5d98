//! A store with users, a mail server and an outbox between them.

use crate::python;
use sekisho_config::Placed;
use sekisho_config::issuer::{MailConfig, MailTls, StoreConfig, StoreUrl};
use sekisho_issuer::outbox::{self, OutboxParts};
use sekisho_issuer::profiles::Profiles;
use sekisho_issuer::secret::ServiceSecret;
use sekisho_issuer::store::{
    self, Ask, Contact, ContractRow, Everyone, Language, NewNotice, NoticeAbout, NoticeRow, Store, UserRow, Write,
};
use sekisho_lifecycle::profile::{NoticeEvent, RoleName};
use sekisho_lifecycle::{
    Certificate, Contract, ContractId, ContractOneTimePassword, Counter, Feature, Held, User, UserId, UserKey,
};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

/// How long anything that should happen may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub const DAY: i64 = 86_400;

/// Before every test: skipped where the mail server cannot be had.
#[macro_export]
macro_rules! mail_server_or_skip {
    ($options:expr) => {
        match $crate::support::MailServer::start($options).await {
            Some(server) => server,
            None => return,
        }
    };
}

/// aiosmtpd in a process of its own.
pub struct MailServer {
    process: Child,
    told: mpsc::UnboundedReceiver<Value>,
    pub port: u16,
}

/// What it does: see `server.py`.
pub struct Options {
    pub tls: &'static str,
    pub chain: Option<PathBuf>,
    pub login: Option<(&'static str, &'static str)>,
    pub answers: Value,
}

impl Default for Options {
    fn default() -> Self {
        Self { tls: "none", chain: None, login: None, answers: json!({}) }
    }
}

impl MailServer {
    pub async fn start(options: Options) -> Option<Self> {
        let programs = python::programs("aiosmtpd==1.4.6", "aiosmtpd")?;
        let options = json!({
            "tls": options.tls,
            "chain": options.chain,
            "login": options.login,
            "answers": options.answers,
        });
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/issuer_outbox/server.py");
        let mut process = Command::new(programs.join("python3"))
            .arg(script)
            .arg(options.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (tell, told) = mpsc::unbounded_channel();
        // Until it ends.
        std::thread::spawn(move || {
            for line in output.lines() {
                let _ = tell.send(serde_json::from_str(&line.unwrap()).unwrap());
            }
        });
        let mut server = Self { process, told, port: 0 };
        let listening = server.next("listening").await;
        server.port = u16::try_from(listening["port"].as_u64().unwrap()).unwrap();
        Some(server)
    }

    /// The next thing it tells, whatever it is.
    pub async fn any(&mut self) -> Value {
        let told = tokio::time::timeout(PATIENCE, self.told.recv()).await.expect("the mail server is silent");
        told.expect("the mail server ended")
    }

    /// The next thing of that kind; connections are passed over.
    pub async fn next(&mut self, kind: &str) -> Value {
        loop {
            let told = self.any().await;
            if told["event"] == kind {
                return told;
            }
            assert_eq!(told["event"], "connection", "waited for {kind}: {told}");
        }
    }

    /// Ends it, and gives out all that it told and nobody read.
    pub async fn stop(mut self) -> Vec<Value> {
        self.process.kill().unwrap();
        let mut rest = Vec::new();
        while let Some(told) = self.told.recv().await {
            rest.push(told);
        }
        rest
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How the bank's configuration has that server.
pub fn mail(port: u16) -> MailConfig {
    MailConfig {
        host: "127.0.0.1".to_owned(),
        port,
        tls: MailTls::None,
        ca: None,
        login: None,
        from: "IBセンター <ib@example.jp>".to_owned(),
        portal_url: "https://portal.example.jp/".to_owned(),
        attempts: 5,
        retry: Duration::from_millis(10),
    }
}

/// A store with contract `C1` of BizSTATION.
pub struct Bank {
    pub store: Arc<dyn Store>,
    pub profiles: Arc<Profiles>,
    _folder: tempfile::TempDir,
}

impl Bank {
    pub async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = StoreConfig {
            url: Placed { value: StoreUrl::Sqlite(folder.path().join("issuer.db")), place: Default::default() },
            connections: 2,
            waiting: 64,
            together: 16,
        };
        let secret = Arc::new(ServiceSecret::new(&[7; 32]).unwrap());
        store::init(&config, secret.clone()).await.unwrap();
        let store = store::open(&config, secret).await.unwrap();
        let bank = Self { store, profiles: Arc::new(profiles()), _folder: folder };
        let contract = ContractRow {
            contract: Contract {
                id: contract(),
                feature: Feature::On,
                one_time_password: ContractOneTimePassword::Used,
                wrong_tries: Counter::default(),
            },
            profile: "bizstation".into(),
            since: clock::now(),
        };
        bank.write(Write { contract: Some(contract), ..Write::default() }).await;
        bank
    }

    pub async fn write(&self, write: Write) {
        let ask = Ask {
            contract: contract(),
            user: None,
            actor: None,
            address: None,
            public_key: None,
            idempotency: None,
            everyone: Everyone::No,
            names: Vec::new(),
        };
        store::change(&*self.store, ask, move |_| (write, ())).await.unwrap();
    }

    /// Puts a user in.
    pub async fn user(&self, id: &str, contact: Contact, certificate: Certificate) {
        let user = User { certificate, ..User::new(key(id), RoleName("master".into())) };
        let row = UserRow { user, contact, since: clock::now() };
        self.write(Write { users: vec![row], ..Write::default() }).await;
    }

    /// A user with an address, and a certificate that ends then.
    pub async fn holder(&self, id: &str, serial: u8, not_after: Timestamp) {
        self.user(id, reachable(id), held(serial, not_after)).await;
    }

    /// Puts a notice in, as an act does.
    pub async fn notice(&self, to: &str, about: NoticeAbout, once: &str) {
        self.write(Write { notices: vec![new_notice(to, about, once)], ..Write::default() }).await;
    }

    pub async fn notices(&self, of: &str) -> Vec<NoticeRow> {
        self.store.notices(&key(of), 100).await.unwrap()
    }

    /// Starts an outbox.
    pub fn outbox(&self, mail: Option<MailConfig>) -> Outbox {
        let (stop, shutdown) = watch::channel(false);
        let wake = Arc::new(Notify::new());
        let parts = OutboxParts {
            store: Arc::clone(&self.store),
            profiles: Arc::clone(&self.profiles),
            mail,
            wake: Arc::clone(&wake),
            shutdown,
        };
        Outbox { wake, stop, task: tokio::spawn(outbox::run(parts).unwrap()) }
    }

    /// Waits until a user's only notice is as it should be.
    pub async fn wait(&self, of: &str, what: &str, mut is: impl FnMut(&NoticeRow) -> bool) -> NoticeRow {
        let look = async {
            loop {
                if let Some(row) = self.notices(of).await.into_iter().find(|row| is(row)) {
                    return row;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, look).await;
        match found {
            Ok(row) => row,
            Err(_) => panic!("waited in vain until {what}: {:?}", self.notices(of).await),
        }
    }

    /// Whether the notice will be taken again, ever.
    pub async fn is_over(&self, id: u64) -> bool {
        let end_of_time = Timestamp::from_unix(1 << 40);
        let rows = self.store.take_notices(end_of_time, end_of_time.plus_seconds(1), 100).await.unwrap();
        !rows.iter().any(|row| row.id == id)
    }
}

pub struct Outbox {
    pub wake: Arc<Notify>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Outbox {
    /// Tells it to stop, and waits for that.
    pub async fn stop(self) {
        self.stop.send(true).unwrap();
        tokio::time::timeout(PATIENCE, self.task).await.expect("the outbox does not stop").unwrap();
    }

    /// As a crash does.
    pub fn kill(self) {
        self.task.abort();
    }
}

fn profiles() -> Profiles {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/profiles/bizstation.toml");
    Profiles::load(&[Placed { value: file, place: Default::default() }]).unwrap()
}

pub fn contract() -> ContractId {
    ContractId::new("C1").unwrap()
}

pub fn key(user: &str) -> UserKey {
    UserKey { contract: contract(), user: UserId::new(user).unwrap() }
}

pub fn reachable(user: &str) -> Contact {
    let mail = format!("{user}@example.co.jp");
    Contact { name: Some("山田 太郎".into()), mail: Some(mail.into()), language: Language::Japanese }
}

pub fn serial(number: u8) -> SerialNumber {
    SerialNumber::from_der_content(&[0x20, number]).unwrap()
}

pub fn held(number: u8, not_after: Timestamp) -> Certificate {
    let not_before = not_after.plus_seconds(-365 * DAY);
    Certificate::Held(Held {
        serial: serial(number),
        not_before,
        not_after,
        issue_number: 1,
        registered_at: not_before,
    })
}

pub fn new_notice(to: &str, about: NoticeAbout, once: &str) -> NewNotice {
    NewNotice {
        mail: None,
        to: key(to),
        about,
        once: once.into(),
        serial: Some(serial(1)),
        not_after: Timestamp::from_rfc_3339("2027-12-31T23:59:59Z"),
        at: clock::now(),
    }
}

pub const ISSUED: NoticeAbout = NoticeAbout::Event(NoticeEvent::Issued);
