//! What all servers have in common: the PKI, the lists, the upstream, and the certificates of clients.

use crate::client::{self, Clients, Identity};
use crate::process::{Core, Server, free_address};
use crate::products::{self, Log, Product, Setup, Wanted};
use crate::revocation::{DAY, ListBuilder, many_entries, random_serial};
use rcgen::KeyPair;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sekisho_pki::certificate::Certificate;
use sekisho_runtime::clock;
use sekisho_testkit::pki::{Authority, ClientRequest, PkiDir};
use std::cell::{Cell, OnceCell};
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};

/// How many certificates the issuing CA has revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Revocation is not checked at all.
    None,
    Thousand,
    Million,
    /// None at first; then rewritten while servers run.
    Changing,
}

impl List {
    /// The file of the root's and the issuing CA's lists in the PKI's folder.
    pub fn file(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Thousand => Some("lists-thousand.pem"),
            Self::Million => Some("lists-million.pem"),
            Self::Changing => Some("lists-changing.pem"),
        }
    }

    fn entries(self) -> usize {
        match self {
            Self::None | Self::Changing => 0,
            Self::Thousand => 1_000,
            Self::Million => 1_000_000,
        }
    }
}

/// Everything but the servers under measure.
pub struct Stand {
    pki: PkiDir,
    folder: PathBuf,
    pub clients: Clients,
    upstream: Server,
    started: Cell<usize>,
    thousand: OnceCell<Vec<Identity>>,
}

impl Stand {
    /// Makes the PKI and starts the upstream in a folder of its own.
    pub fn new(folder: &Path) -> Self {
        let pki = PkiDir::create(&folder.join("pki"), clock::now()).unwrap();
        let read = |name: &str| fs::read(pki.path(name)).unwrap();
        fs::write(pki.path("ib.localhost.bundle"), [read("ib.localhost.pem"), read("ib.localhost.key")].concat())
            .unwrap();
        let roots = CertificateDer::pem_file_iter(pki.path("server-ca.pem")).unwrap().map(Result::unwrap);
        let (clients, upstream) = (Clients::new(roots), upstream(folder));
        Self { pki, folder: folder.to_owned(), clients, upstream, started: Cell::new(0), thousand: OnceCell::new() }
    }

    /// The PKI's folder.
    pub fn pki(&self) -> &PkiDir {
        &self.pki
    }

    /// A client of the development PKI.
    pub fn identity(&self, name: &str) -> Identity {
        let chain = CertificateDer::pem_file_iter(self.pki.path(&format!("{name}.pem"))).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.pki.path(&format!("{name}.key"))).unwrap();
        Identity::new(chain.map(Result::unwrap).collect(), key)
    }

    /// So many further clients, with keys of P-256.
    pub fn identities(&self, count: usize) -> Vec<Identity> {
        let authority = Authority::read(self.pki.folder(), "issuing-ca").unwrap();
        let new = |number: usize| {
            let key = KeyPair::generate().unwrap();
            let request = ClientRequest::good(&format!("00009876543 user{number} 1635"), clock::now());
            let leaf = authority.sign(&request.parameters().unwrap(), &key).unwrap();
            let der = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            Identity::new(vec![leaf, authority.certificate.clone()], der)
        };
        (0..count).map(new).collect()
    }

    /// A thousand of them, the same ones each time.
    pub fn thousand(&self) -> &[Identity] {
        self.thousand.get_or_init(|| self.identities(1_000))
    }

    /// Writes the lists into a file: the root's, which is empty, and the issuing CA's.
    pub fn write_lists(&self, path: &Path, number: u64, entries: Vec<u8>) {
        let list = |ca: &str, entries: Vec<u8>| {
            let key = KeyPair::from_pem(&fs::read_to_string(self.pki.path(&format!("{ca}.key"))).unwrap()).unwrap();
            let certificate = CertificateDer::from_pem_file(self.pki.path(&format!("{ca}.pem"))).unwrap();
            let certificate = Certificate::parse(&certificate).unwrap();
            let builder = ListBuilder::new(&key, certificate.subject().der()).number(number);
            let now = clock::now();
            builder.this_update(now.plus_seconds(-60)).next_update(now.plus_seconds(DAY)).entries(entries).pem()
        };
        let unfinished = path.with_extension("unfinished");
        fs::write(&unfinished, list("root-ca", Vec::new()) + &list("issuing-ca", entries)).unwrap();
        fs::rename(unfinished, path).unwrap();
    }

    /// Starts a server and waits for its first handshake with a request.
    pub fn start(&self, wanted: Wanted, gateway: &Path) -> Server {
        if let Some(file) = wanted.list.file()
            && !self.pki.path(file).exists()
        {
            self.write_lists(&self.pki.path(file), 1, many_entries(wanted.list.entries(), random_serial));
        }
        self.started.set(self.started.get() + 1);
        let own = self.folder.join(format!("server-{}", self.started.get()));
        fs::create_dir_all(&own).unwrap();
        let (address, upstream) = (free_address(), self.upstream.address);
        let setup = Setup { wanted, address, upstream, pki: self.pki.folder(), own: &own };
        let configuration = own.join("configuration");
        let (text, program) = match wanted.product {
            Product::Nginx => (products::nginx(&setup), Path::new("nginx")),
            Product::Haproxy => (products::haproxy(&setup), Path::new("haproxy")),
            Product::Sekisho => (products::sekisho(&setup, free_address()), gateway),
        };
        fs::write(&configuration, text).unwrap();
        let mut command = Core::Servers.command(program);
        match wanted.product {
            Product::Nginx => command.arg("-p").arg(&own).args(["-c", "configuration"]),
            // In the foreground.
            Product::Haproxy => command.args(["-db", "-f"]).arg(&configuration),
            Product::Sekisho => command.args(["gateway", "--config"]).arg(&configuration).env("RUST_LOG", "warn"),
        };
        let client = self.clients.config(&self.identity("client-good"), Resumption::disabled());
        let served = |address| client::exchange(&client, address, &client::EMPTY).is_ok();
        Server::start(command, &own, address, served)
    }
}

/// nginx that answers with bodies of several sizes, and only to requests that tell a serial number.
fn upstream(folder: &Path) -> Server {
    let own = folder.join("upstream");
    fs::create_dir_all(own.join("www")).unwrap();
    for body in client::BODIES {
        fs::write(own.join("www").join(body.path.trim_start_matches('/')), body.content()).unwrap();
    }
    let address = free_address();
    let server = format!(
        "map $http_x_serial$http_x_sekisho_serial $known {{ default 1; '' 0; }}
         open_file_cache max=100;
         server {{
             listen {address}; root www;
             if ($known = 0) {{ return 403; }}
             location = /0 {{ return 200; }}
             location = /slow {{ alias www/256k; limit_rate 16k; }}
         }}"
    );
    fs::write(own.join("configuration"), products::nginx_around(&server, Log::Off)).unwrap();
    let mut command = Core::Clients.command("nginx");
    command.arg("-p").arg(&own).args(["-c", "configuration"]);
    Server::start(command, &own, address, |address| TcpStream::connect(address).is_ok())
}
