//! An authority in memory, a store, and publication over a real listener.

use crate::switch::Switch;
use sekisho_ca::certificate::{Purpose, Template};
use sekisho_ca::hierarchy::{self, Wanted};
use sekisho_ca::name::{AttributeType, Name};
use sekisho_ca::p12::{DeliveredKey, UserKey as CertificateKey};
use sekisho_ca::validity::{Rounding, Validity};
use sekisho_ca::{FileKey, KeyKind, PublicationPoints, download, serial};
use sekisho_config::issuer::{AuthorityConfig, IssuerLimits, PassphraseSource};
use sekisho_config::{Place, Placed};
use sekisho_issuer::authorities::{Authorities, IssuingAuthority};
use sekisho_issuer::listen::{self, ConnectionLimits, Listener};
use sekisho_issuer::publish::{self, Publisher, StartError};
use sekisho_issuer::store::{
    Ask, CertificateRow, CompletedRow, Contact, ContractRow, Status, StatusChange, Store, UserRow, Write, change,
};
use sekisho_lifecycle::profile::RoleName;
use sekisho_lifecycle::{
    Contract, ContractId, ContractOneTimePassword, Counter, Feature, Intent, User, UserId, UserKey,
};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::crl::{CertificateList, RevocationReason};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use sekisho_runtime::clock;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};

/// How long anything that should happen may take on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub const REVOKED: Status = Status::Revoked(RevocationReason::Superseded);

/// What a list says: of each serial the reason.
pub type Entries = BTreeMap<SerialNumber, RevocationReason>;

/// A root and an issuing CA below it, on whose key authorities are built.
pub struct Hierarchy {
    pub root: Certificate,
    pub issuing: Certificate,
    pub key: Arc<FileKey>,
}

/// Everything but a running publisher.
pub struct World {
    pub hierarchy: Hierarchy,
    pub folder: tempfile::TempDir,
    pub store: Arc<Switch>,
    pub config: AuthorityConfig,
    pub limits: IssuerLimits,
    pub wake: Arc<Notify>,
    /// Which user the next certificate is of.
    users: std::sync::atomic::AtomicU32,
}

/// A publisher and its address.
pub struct Running {
    pub publisher: Arc<Publisher>,
    pub address: SocketAddr,
    pub shutdown: watch::Sender<bool>,
    authorities: Arc<Authorities>,
}

/// An HTTP response.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

fn wanted(common_name: &str, years: u16, path_len: u8) -> Wanted {
    let name = Name::new(vec![(AttributeType::CommonName, common_name.to_owned())]).unwrap();
    Wanted { name, key: KeyKind::EcdsaP256, years, path_len }
}

impl Hierarchy {
    pub fn new(common_name: &str) -> Self {
        // A minute ago, so that a certificate that is backdated fits in.
        let begin = clock::now().plus_seconds(-60);
        let root = hierarchy::root(&wanted("Publication Root", 10, 1), begin).unwrap();
        let root = root.into_authority(PublicationPoints::default()).unwrap();
        let issuing = hierarchy::intermediate(&wanted(common_name, 5, 0), &root, begin).unwrap();
        Self { root: root.certificate().clone(), issuing: issuing.certificate, key: Arc::new(issuing.key) }
    }
}

pub fn placed<T>(value: T, key: &str) -> Placed<T> {
    Placed { value, place: Place { file: "issuer.toml".into(), line: 7, key: format!("authority[0].{key}") } }
}

/// As a configuration would have it, of files in the folder.
pub fn config(folder: &Path, parts: u16) -> AuthorityConfig {
    let part = if parts > 1 { "{part}" } else { "0" };
    std::fs::create_dir_all(folder.join("published")).unwrap();
    AuthorityConfig {
        name: "hokugin".into(),
        profiles: vec![placed("hokugin".into(), "profiles[0]")],
        certificate: placed(folder.join("issuing.pem"), "certificate"),
        chain: placed(folder.join("chain.pem"), "chain"),
        key: placed(folder.join("issuing.key"), "key"),
        passphrase: placed(PassphraseSource::File(folder.join("passphrase")), "passphrase_file"),
        crl_url: format!("http://pki.example.jp/crl/hokugin/{part}.crl"),
        delta_url: Some(format!("http://pki.example.jp/crl/hokugin/{part}-delta.crl")),
        parts: NonZeroU16::new(parts).unwrap(),
        ocsp_url: Some("http://pki.example.jp/ocsp/hokugin".to_owned()),
        ca_issuers_url: Some("http://pki.example.jp/ca/hokugin.cer".to_owned()),
        publish_folder: Some(placed(folder.join("published"), "publish_folder")),
        crl_lifetime: Duration::from_secs(86_400),
        crl_interval: Duration::from_secs(3_600),
        ocsp_lifetime: Duration::from_secs(3_600),
        ocsp_nonces: true,
        place: Place { key: "authority[0]".to_owned(), ..placed((), "").place },
    }
}

impl World {
    pub async fn new() -> Self {
        Self::in_parts(1).await
    }

    pub async fn in_parts(parts: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hierarchy = Hierarchy::new("Publication Issuing");
        write_pem(&folder.path().join("root.pem"), &hierarchy.root);
        write_pem(&folder.path().join("issuing.pem"), &hierarchy.issuing);
        let config = config(folder.path(), parts);
        let limits = IssuerLimits {
            body: 65_536,
            request_timeout: Duration::from_secs(10),
            requests_per_second: 100,
            burst: 100,
            public_requests_per_second: 10_000,
            connections: 64,
            password_checks: 1,
            password_memory: 19 << 20,
            password_passes: 2,
        };
        let store = Arc::new(Switch::open(folder.path()).await);
        let wake = Arc::new(Notify::new());
        let world = Self { hierarchy, folder, store, config, limits, wake, users: 0.into() };
        world.put_contract().await;
        world
    }

    /// As a process that starts anew.
    pub async fn reopen(&mut self) {
        self.store = Arc::new(Switch::open(self.folder.path()).await);
        self.wake = Arc::new(Notify::new());
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The file of a full list.
    pub fn list_file(&self, part: u16) -> PathBuf {
        self.path(&format!("published/hokugin-{part}.crl"))
    }

    pub fn delta_file(&self, part: u16) -> PathBuf {
        self.path(&format!("published/hokugin-{part}-delta.crl"))
    }

    pub fn authorities(&self) -> Arc<Authorities> {
        let chain = vec![self.hierarchy.root.clone()];
        let key: Arc<FileKey> = Arc::clone(&self.hierarchy.key);
        let issuing = self.hierarchy.issuing.clone();
        let authority = IssuingAuthority::new(self.config.clone(), issuing, chain, key, clock::now()).unwrap();
        Arc::new(Authorities::of(vec![authority]).unwrap())
    }

    pub async fn start(&self) -> Running {
        self.try_start().await.unwrap()
    }

    pub async fn try_start(&self) -> Result<Running, StartError> {
        let (shutdown, stopping) = watch::channel(false);
        let authorities = self.authorities();
        let store: Arc<dyn Store> = self.store.clone();
        let wake = Arc::clone(&self.wake);
        let publisher = Publisher::start(store, Arc::clone(&authorities), wake, stopping.clone()).await?;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind(any, None, ConnectionLimits::new(64)).await.unwrap();
        let address = listener.local_address();
        let router = publish::router(Arc::clone(&publisher), &self.limits);
        tokio::spawn(listen::serve(listener, router, stopping, Duration::from_secs(1)));
        Ok(Running { publisher, address, shutdown, authorities })
    }

    /// Signs a user's certificate; it is in the store once it is completed.
    pub async fn issue(&self, running: &Running) -> Certificate {
        let certificate = self.sign(running);
        self.begin(&certificate, Some(certificate.der().as_ref().into())).await;
        certificate
    }

    pub fn sign(&self, running: &Running) -> Certificate {
        let authority = &running.authorities.named("hokugin").unwrap().authority;
        let key = CertificateKey::generate(DeliveredKey::EcdsaP256).unwrap();
        let subject = Name::new(vec![(AttributeType::CommonName, "a".to_owned())]).unwrap();
        let validity = Validity::one_year(clock::now(), Rounding::ToTheSecond);
        let template = Template { subject: &subject, validity, purpose: Purpose::Client };
        let prepared = authority.prepare(serial::random().unwrap(), &template, key.public_key()).unwrap();
        authority.sign(prepared).unwrap()
    }

    /// Records an intent, and what was made of it.
    pub async fn begin(&self, certificate: &Certificate, der: Option<Arc<[u8]>>) {
        let number = self.users.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let user = UserKey { contract: contract(), user: UserId::new(&format!("u{number}")).unwrap() };
        let intent = Intent {
            serial: certificate.serial(),
            common_name: "a".to_owned(),
            organizational_unit: None,
            organization: None,
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
            issue_number: 1,
        };
        let row = CertificateRow {
            user: user.clone(),
            authority: "hokugin".into(),
            intent,
            public_key: *certificate.fingerprint().as_bytes(),
            begun_at: clock::now(),
            der: None,
        };
        let completed = der.map(|der| CompletedRow { serial: certificate.serial(), der });
        let user = UserRow {
            user: User::new(user, RoleName("user".into())),
            contact: Contact::default(),
            since: clock::now(),
        };
        let write = Write { users: vec![user], intent: Some(row), ..Write::default() };
        self.write(write).await;
        if completed.is_some() {
            self.write(Write { certificate: completed, ..Write::default() }).await;
        }
    }

    /// Records a change of status, and wakes the publisher as the service does.
    pub async fn set(&self, serial: SerialNumber, status: Status) {
        self.set_quietly(vec![change_of(serial, status)]).await;
        self.wake.notify_one();
    }

    /// Without waking anybody, as another node would.
    pub async fn set_quietly(&self, statuses: Vec<StatusChange>) {
        self.write(Write { statuses, ..Write::default() }).await;
    }

    async fn put_contract(&self) {
        let contract = Contract {
            id: contract(),
            feature: Feature::On,
            one_time_password: ContractOneTimePassword::NotUsed,
            wrong_tries: Counter::default(),
        };
        let row = ContractRow { contract, profile: "hokugin".into(), since: clock::now() };
        self.write(Write { contract: Some(row), ..Write::default() }).await;
    }

    async fn write(&self, write: Write) {
        change(&*self.store, Ask::about(contract()), |_| (write, ())).await.unwrap();
    }

    /// The last sequence number there is.
    pub async fn last(&self) -> u64 {
        let (mut last, page) = (0, 10_000);
        loop {
            let rows = self.store.statuses(last, page).await.unwrap();
            match rows.last() {
                Some(row) => last = row.sequence,
                None => return last,
            }
        }
    }

    /// Waits until everything that was recorded is published.
    pub async fn published(&self, running: &Running) {
        let last = self.last().await;
        within("it is published", running.publisher.wait_for(last)).await.unwrap();
    }

    /// Runs a tool in the folder; gives whether it succeeded and what it printed on both streams.
    pub fn tool(&self, line: &str) -> (bool, String) {
        let mut words = line.split(' ');
        let mut command = Command::new(words.next().unwrap());
        command.args(words).current_dir(self.folder.path()).stdin(std::process::Stdio::null());
        let output = tokio::task::block_in_place(|| command.output().unwrap());
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text)
    }

    /// The same, which must succeed.
    pub fn succeeds(&self, line: &str) -> String {
        let (success, text) = self.tool(line);
        assert!(success, "{line}\n{text}");
        text
    }
}

impl Running {
    pub async fn stop(self) {
        self.shutdown.send_replace(true);
        within("the tasks have ended", self.publisher.join()).await;
    }

    pub async fn get(&self, path: &str) -> Response {
        self.get_with(path, "").await
    }

    /// `headers` are whole lines.
    pub async fn get_with(&self, path: &str, headers: &str) -> Response {
        self.request(&format!("GET {path} HTTP/1.1\r\nhost: pki.example.jp\r\n{headers}connection: close\r\n\r\n"), &[])
            .await
    }

    pub async fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Response {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: pki.example.jp\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n",
            body.len()
        );
        self.request(&head, body).await
    }

    pub async fn request(&self, head: &str, body: &[u8]) -> Response {
        let exchange = async {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
            let mut octets = Vec::new();
            stream.read_to_end(&mut octets).await.unwrap();
            octets
        };
        let octets = within("a response comes", exchange).await;
        let end = octets.windows(4).position(|window| window == b"\r\n\r\n").expect("a response");
        let head = String::from_utf8(octets[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Response { status, head, body: octets[end + 4..].to_vec() }
    }

    pub async fn list(&self) -> Vec<u8> {
        let response = self.get("/crl/hokugin/0.crl").await;
        assert_eq!(response.status, 200, "{}", response.head);
        response.body
    }
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

pub fn contract() -> ContractId {
    ContractId::new("C1").unwrap()
}

pub fn change_of(serial: SerialNumber, status: Status) -> StatusChange {
    let at = clock::now();
    let not_after = at.plus_seconds(365 * 86_400);
    StatusChange { authority: "hokugin".into(), serial, status, at, not_after }
}

pub fn random() -> SerialNumber {
    serial::random().unwrap()
}

pub fn write_pem(path: &Path, certificate: &Certificate) {
    std::fs::write(path, download::pem("CERTIFICATE", certificate.der())).unwrap();
}

pub fn entries(der: &[u8]) -> Entries {
    let parsed = CertificateList::parse(der).unwrap();
    parsed.entries().map(|entry| entry.unwrap()).map(|entry| (entry.serial, entry.reason)).collect()
}

/// CRLNumber and thisUpdate.
pub fn number(der: &[u8]) -> (u64, Timestamp) {
    let parsed = CertificateList::parse(der).unwrap();
    let number = parsed.header().number.unwrap().to_string();
    (number.parse().unwrap(), parsed.header().this_update)
}

pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain until {what}"))
}

/// Asks again and again until it is so.
pub async fn until<F: Future<Output = bool>>(what: &str, mut look: impl FnMut() -> F) {
    let look = async {
        while !look().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(what, look).await;
}
