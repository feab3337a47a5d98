//! A CA, a server, and the fetcher between them, in this process.

use crate::common::PATIENCE;
use crate::lists::{ListBuilder, TestCa};
use crate::server::{Answer, RawServer};
use sekisho_config::{self as config, Config};
use sekisho_runtime::clock;
use sekisho_trust::sources::{FetchReport, Fetcher, Host, KeptLists, PointError, SourceStatus, prime};
use sekisho_trust::{TrustSnapshot, load_with_kept};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// One CA, `a`, whose list is fetched; `other` is configured beside it and says that it never revokes.
pub struct Ground {
    pub ca: TestCa,
    pub other: TestCa,
    pub server: RawServer,
    pub config: Config,
    pub fetcher: Fetcher,
    folder: TempDir,
    runtime: Runtime,
    host: Arc<Recorder>,
    told: Receiver<FetchReport>,
}

/// Stands for the gateway: tells the test what it is told.
struct Recorder {
    trust: Arc<TrustSnapshot>,
    tell: Mutex<Sender<FetchReport>>,
}

impl Host for Recorder {
    fn trust(&self) -> Option<Arc<TrustSnapshot>> {
        Some(Arc::clone(&self.trust))
    }

    fn fetched(&self, report: &FetchReport) {
        let _ = self.tell.lock().unwrap().send(report.clone());
    }
}

impl Ground {
    /// With these lines in `[gateway.fetch]`, nothing fetched yet.
    pub fn new(fetch: &str) -> Self {
        Self::with(fetch, |url| format!("{{ crl_urls = [\"{url}\"] }}"))
    }

    /// As [`Self::new`], with the revocation of the CA that `revocation` makes of the server's URL.
    pub fn with(fetch: &str, revocation: impl FnOnce(&str) -> String) -> Self {
        Self::with_both(fetch, revocation, "\"none\"")
    }

    /// As [`Self::with`], with this revocation of the other CA.
    pub fn with_both(fetch: &str, revocation: impl FnOnce(&str) -> String, of_other: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ca, other) = (TestCa::root("A"), TestCa::root("B"));
        std::fs::write(folder.path().join("a.pem"), &ca.pem).unwrap();
        std::fs::write(folder.path().join("b.pem"), &other.pem).unwrap();
        let server = RawServer::new(Answer::Close);
        let text = format!(
            r#"[gateway]
listen = ["127.0.0.1:0"]
state_folder = "state"
[gateway.fetch]
{fetch}
[[ca]]
name = "a"
certificate = "a.pem"
identity = '(?<contract_id>[0-9]+)'
revocation = {}
[[ca]]
name = "b"
certificate = "b.pem"
identity = '(?<contract_id>[0-9]+)'
revocation = {of_other}
[[pool]]
name = "p"
peers = ["127.0.0.1:1"]
[[site]]
server_names = ["s"]
certificate = "s.pem"
key = "s.key"
ca = ["a", "b"]
[[site.route]]
path = "/"
pool = "p"
"#,
            revocation(&server.url())
        );
        let config = config::parse(&text, "sekisho.toml", folder.path()).unwrap_or_else(|errors| panic!("{errors:?}"));
        let trust = load_with_kept(&config.cas, None, None, clock::now()).unwrap().snapshot;
        let (tell, told) = channel();
        let host = Arc::new(Recorder { trust, tell: Mutex::new(tell) });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { ca, other, server, config, fetcher: Fetcher::default(), folder, runtime, host, told }
    }

    /// With a good list kept: number 5, revoking serial 7.
    pub fn kept_with(fetch: &str) -> Self {
        let ground = Self::new(fetch);
        ground.server.answer(Answer::List(list(&ground.ca, 5).revoke(&[7]).sign()));
        let reports = ground.prime();
        assert!(reports[0].outcome.is_ok(), "{reports:?}");
        ground
    }

    pub fn kept(&self) -> KeptLists {
        KeptLists::open(self.config.gateway.state_folder.as_ref().unwrap()).unwrap()
    }

    pub fn prime(&self) -> Vec<FetchReport> {
        self.runtime.block_on(prime(&self.config.cas, &self.config.fetch, &self.kept())).unwrap()
    }

    pub fn follow(&self) {
        let host: Arc<dyn Host> = Arc::clone(&self.host) as _;
        self.fetcher.follow(&self.config, &self.kept(), &host, self.runtime.handle()).unwrap();
    }

    /// The next attempt's end.
    #[track_caller]
    pub fn next(&self) -> FetchReport {
        self.told.recv_timeout(PATIENCE).expect("no attempt ended")
    }

    /// Has the list at a distribution point of the CA fetched.
    pub fn point(&self, url: &str) -> Result<(), PointError> {
        let _runtime = self.runtime.enter();
        self.fetcher.point(&self.config.cas[0], url).map(drop)
    }

    /// What is loaded from what is kept.
    pub fn loaded(&self) -> Arc<TrustSnapshot> {
        load_with_kept(&self.config.cas, Some(&self.kept()), None, clock::now()).unwrap().snapshot
    }

    /// The names of all files that are kept, and the octets of the lists among them.
    pub fn files(&self) -> (Vec<String>, Vec<Vec<u8>>) {
        let folder = self.folder.path().join("state/lists");
        let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let names = paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
        let lists = paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "crl"));
        (names, lists.map(|path| std::fs::read(path).unwrap()).collect())
    }

    pub fn status(&self) -> SourceStatus {
        self.fetcher.status().into_iter().next().unwrap()
    }
}

/// A list that is fresh on the day of the test.
pub fn list(ca: &TestCa, number: u64) -> ListBuilder<'_> {
    let now = clock::now();
    let list = ca.list().number(number).this_update(now.plus_seconds(-3_600));
    list.next_update(now.plus_seconds(86_400))
}
