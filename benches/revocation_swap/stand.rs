//! A gateway whose issuing CA has a list of a million entries, and the next list, ready to be put in its place.

use crate::measure::server;
use crate::revocation::{DAY, ListBuilder, many_entries, random_serial};
use rcgen::KeyPair;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use sekisho_config as config;
use sekisho_pki::certificate::Certificate;
use sekisho_runtime::clock;
use sekisho_testkit::pki::PkiDir;
use sekisho_testkit::process::{GatewayProcess, ServerProcess};
use sekisho_trust as trust;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

pub struct Stand {
    gateway: GatewayProcess,
    pki: PkiDir,
    entries: Vec<u8>,
    number: u64,
    /// The last generation that was told when the next list was made.
    generation: u64,
    /// The file that the next list is to replace: while it is open nobody has to free what it takes on the disk, which
    /// is milliseconds of whoever replaces it.
    replaced: Option<File>,
    memory_empty: f64,
    _application: ServerProcess,
    _folder: tempfile::TempDir,
}

impl Stand {
    pub fn start(entries: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pki = PkiDir::create(&folder.path().join("pki"), clock::now()).unwrap();
        let application = server::application();
        let demo = server::configured(application.address("application"));
        let text = demo.replacen("\"crl.pem\"", "\"root.crl\"", 1).replacen("\"crl.pem\"", "\"issuing.crl\"", 1);
        assert!(!text.contains("crl.pem"), "{text}");
        // The first list is empty: what the gateway takes without one shows.
        write_list(&pki, "root-ca", "root.crl", Vec::new(), 1);
        write_list(&pki, "issuing-ca", "issuing.crl", Vec::new(), 1);
        let gateway = server::gateway(pki.folder(), "sekisho.toml", &text);
        let memory_empty = server::memory(gateway.id(), "VmRSS");
        let entries = many_entries(entries, random_serial);
        let mut stand = Self {
            gateway,
            pki,
            entries,
            number: 1,
            generation: 0,
            replaced: None,
            memory_empty,
            _application: application,
            _folder: folder,
        };
        stand.make_next();
        stand.swap();
        stand
    }

    /// What the list's index takes, as the gateway's own code builds it.
    pub fn index_octets(&self) -> usize {
        let config = config::load(&self.pki.path("sekisho.toml")).unwrap();
        let now = clock::now();
        let loaded = trust::load(&config.cas, None, now).unwrap();
        loaded.snapshot.status(now).iter().map(|status| status.index_octets).max().unwrap_or_default()
    }

    pub fn gateway(&self) -> SocketAddr {
        self.gateway.tls()
    }

    /// The gateway's resident memory in MB, and what it was with an empty list.
    pub fn memory(&self) -> f64 {
        server::memory(self.gateway.id(), "VmRSS")
    }

    pub fn memory_empty(&self) -> f64 {
        self.memory_empty
    }

    /// Signs the next list and writes it beside the one in force, down to the disk: all that is the bench's own work.
    pub fn make_next(&mut self) {
        self.number += 1;
        write_list(&self.pki, "issuing-ca", "next", self.entries.clone(), self.number);
        self.generation = self.gateway.output().lines().filter_map(generation).max().unwrap_or_default();
        self.replaced = Some(File::open(self.pki.path("issuing.crl")).unwrap());
    }

    /// Puts it in its place, and waits until the gateway says that it is in force.
    pub fn swap(&mut self) {
        let before = self.generation;
        fs::rename(self.next(), self.pki.path("issuing.crl")).unwrap();
        let reloaded = self.gateway.wait_for_line(server::PATIENCE, |line| {
            assert!(!line.contains("refused"), "{line}");
            generation(line).filter(|generation| *generation > before)
        });
        reloaded.expect("the list never came to be in force");
    }

    fn next(&self) -> PathBuf {
        self.pki.path("elsewhere").join("next")
    }

    pub fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.pki.path("server-ca.pem")).unwrap()).unwrap();
        let chain = CertificateDer::pem_file_iter(self.pki.path("client-good.pem")).unwrap().map(Result::unwrap);
        let key = PrivateKeyDer::from_pem_file(self.pki.path("client-good.key")).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(sekisho::gateway::crypto_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        Arc::new(builder.with_root_certificates(roots).with_client_auth_cert(chain.collect(), key).unwrap())
    }
}

fn generation(line: &str) -> Option<u64> {
    let record: serde_json::Value = serde_json::from_str(line).ok()?;
    let field = |name: &str| record.get(name).or_else(|| record.get("fields")?.get(name));
    (field("message")?.as_str()? == "reloaded").then(|| field("generation")?.as_u64())?
}

fn write_list(pki: &PkiDir, ca: &str, file: &str, entries: Vec<u8>, number: u64) {
    let key = KeyPair::from_pem(&fs::read_to_string(pki.path(&format!("{ca}.key"))).unwrap()).unwrap();
    let certificate = CertificateDer::from_pem_file(pki.path(&format!("{ca}.pem"))).unwrap();
    let certificate = Certificate::parse(&certificate).unwrap();
    let now = clock::now();
    let list = ListBuilder::new(&key, certificate.subject().der()).number(number);
    let list = list.this_update(now.plus_seconds(-60)).next_update(now.plus_seconds(DAY)).entries(entries).sign();
    // Not in the folder that the gateway watches, but on the same disk.
    let path = if file == "next" {
        fs::create_dir_all(pki.path("elsewhere")).unwrap();
        pki.path("elsewhere").join(file)
    } else {
        pki.path(file)
    };
    let mut file = File::create(path).unwrap();
    file.write_all(&list).unwrap();
    // Its way to the disk is not to be measured.
    file.sync_all().unwrap();
}
