//! `sekisho-demo --cluster`: two issuers on one PostgreSQL, three gateways, a demo IB application. Any issuer may be
//! asked, any process may be killed, and every gateway refuses who was revoked.
//!
//! The tests of many nodes and the bench of revocation run the same arrangement.

mod check;
mod configuration;
mod postgres;
mod users;

pub use check::check;
pub use configuration::Reached;
pub use postgres::Postgres;
pub use users::{Page, User, revocation_body};

use super::app::App;
use super::issuer::api::Api;
use super::issuer::files::Files;
use super::issuer::{Addresses, configuration as issuer_configuration};
use super::pki::{ClientRequest, PkiDir};
use super::process::{GatewayProcess, Output, ServerProcess, Signal};
use crate::binaries;
use configuration::{ISSUER_SERVER, Layout};
use sekisho_runtime::clock;
use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many issuers there are.
pub const ISSUERS: usize = 2;
/// How many gateways there are.
pub const GATEWAYS: usize = 3;

/// How long a process may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `sekisho-demo --cluster` is started with.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// Where the development PKI and everybody's files go.
    pub folder: &'a Path,
    /// Port of the first gateway, the others' follow; 0 takes free ones.
    pub port: u16,
    /// Whether the processes' output is shown.
    pub output: Output,
    /// Changes each gateway's configuration before it is started.
    pub change: fn(String) -> String,
}

/// All of them, running; they end when it is dropped.
pub struct Cluster {
    // What depends on others goes before them.
    gateways: Vec<Gateway>,
    issuers: Vec<Issuer>,
    postgres: Postgres,
    files: Files,
    pki: PkiDir,
    layout: Layout,
    _application: Option<App>,
    _runtime: Option<tokio::runtime::Runtime>,
}

/// One issuer, whose process may be down.
struct Issuer {
    process: Option<ServerProcess>,
    addresses: Addresses,
}

/// One gateway, whose process may be down.
struct Gateway {
    process: Option<GatewayProcess>,
    config: PathBuf,
    listen: SocketAddr,
    admin: SocketAddr,
}

impl Cluster {
    /// Makes what is missing and starts everything; the store begins empty.
    ///
    /// # Errors
    /// What could not be made or started, with what it said.
    pub fn start(wanted: &Wanted<'_>) -> Result<Self, Box<dyn Error>> {
        let runtime = tokio::runtime::Runtime::new()?;
        let application = runtime.block_on(App::start(([127, 0, 0, 1], 0).into()))?;
        let upstream = application.address().ok_or("the application has no address")?;
        let cluster = Self::before(wanted, upstream, Reached::Directly)?;
        Ok(Self { _application: Some(application), _runtime: Some(runtime), ..cluster })
    }

    /// The same before an application that is there already, with issuers that are reached in a way of one's own.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn before(wanted: &Wanted<'_>, upstream: SocketAddr, reached: Reached<'_>) -> Result<Self, Box<dyn Error>> {
        let now = clock::now();
        let (pki, _) = PkiDir::ensure(wanted.folder, now)?;
        let files = Files::ensure(&pki, &configuration::AUTHORITIES, now)?;
        pki.issue_server(ISSUER_SERVER, &[super::issuer::SERVER, "127.0.0.1"], now)?;
        for number in 0..GATEWAYS {
            pki.issue_client(&configuration::gateway_name(number), &ClientRequest::good("gateway", now))?;
        }
        let layout = Layout::prepare(wanted, &pki, &files, upstream)?;
        let postgres = Postgres::start(layout.postgres())?;
        let mut cluster = Self {
            gateways: Vec::new(),
            issuers: Vec::new(),
            postgres,
            files,
            pki,
            layout,
            _application: None,
            _runtime: None,
        };
        for number in 0..ISSUERS {
            let addresses = cluster.layout.issuer(number);
            if number == 0 {
                let config = cluster.layout.write_issuer(number, addresses, &cluster.postgres.url())?;
                super::issuer::make_store(&config)?;
            }
            cluster.issuers.push(Issuer { process: None, addresses });
            cluster.start_issuer(number)?;
        }
        let apis: Vec<_> = cluster.issuers.iter().map(|issuer| issuer.addresses.api).collect();
        let publics: Vec<_> = cluster.issuers.iter().map(|issuer| issuer.addresses.public).collect();
        for number in 0..GATEWAYS {
            let (feeds, lists) = (reached.addresses(number, &apis), reached.addresses(number, &publics));
            let (config, listen, admin) = cluster.layout.write_gateway(number, &feeds, &lists)?;
            cluster.gateways.push(Gateway { process: None, config, listen, admin });
            cluster.start_gateway(number)?;
        }
        Ok(cluster)
    }

    /// Starts an issuer that is down, where it was before.
    ///
    /// # Errors
    /// What it said instead of coming up.
    pub fn start_issuer(&mut self, number: usize) -> Result<(), Box<dyn Error>> {
        let issuer = self.issuers.get_mut(number).ok_or("no such issuer")?;
        let url = self.postgres.url();
        let config = self.layout.write_issuer(number, issuer.addresses, &url)?;
        let mut command = std::process::Command::new(binaries::issuer()?);
        command.args(["serve", "--config"]).arg(config);
        let kinds = ["api", "public", "admin"];
        let process = ServerProcess::start(&mut command, &kinds, self.layout.output(), PATIENCE)?;
        let [api, public, admin] = kinds.map(|kind| process.address(kind));
        issuer.addresses = Addresses { api, public, admin };
        issuer.process = Some(process);
        Ok(())
    }

    /// SIGKILL: what it had not written down is gone.
    pub fn kill_issuer(&mut self, number: usize) {
        // Dropping it kills it and waits for its end.
        drop(self.issuers.get_mut(number).and_then(|issuer| issuer.process.take()));
    }

    /// Starts a gateway that is down, where it was before; it listens, ready or not.
    ///
    /// # Errors
    /// What it said instead of coming up.
    pub fn start_gateway(&mut self, number: usize) -> Result<(), Box<dyn Error>> {
        let gateway = self.gateways.get_mut(number).ok_or("no such gateway")?;
        let output = self.layout.output();
        let process = GatewayProcess::listening(&binaries::gateway()?, &gateway.config, output, PATIENCE)?;
        (gateway.listen, gateway.admin) = (process.tls(), process.admin());
        self.layout.fix_gateway(&gateway.config, gateway.listen, gateway.admin)?;
        gateway.process = Some(process);
        Ok(())
    }

    /// SIGKILL.
    pub fn kill_gateway(&mut self, number: usize) {
        drop(self.gateways.get_mut(number).and_then(|gateway| gateway.process.take()));
    }

    /// The database; a test may stop it and start it again.
    pub fn postgres(&mut self) -> &mut Postgres {
        &mut self.postgres
    }

    /// Where a gateway serves, also while it is down.
    pub fn gateway(&self, number: usize) -> SocketAddr {
        self.gateways.get(number).map_or(SocketAddr::from(([127, 0, 0, 1], 0)), |gateway| gateway.listen)
    }

    /// A gateway's admin address.
    pub fn gateway_admin(&self, number: usize) -> SocketAddr {
        self.gateways.get(number).map_or(SocketAddr::from(([127, 0, 0, 1], 0)), |gateway| gateway.admin)
    }

    /// Where an issuer's API is, also while it is down.
    pub fn issuer(&self, number: usize) -> SocketAddr {
        self.issuers.get(number).map_or(SocketAddr::from(([127, 0, 0, 1], 0)), |issuer| issuer.addresses.api)
    }

    /// A gateway's process, where it runs.
    pub fn gateway_process(&self, number: usize) -> Option<&GatewayProcess> {
        self.gateways.get(number)?.process.as_ref()
    }

    /// An issuer's process, where it runs.
    pub fn issuer_process(&self, number: usize) -> Option<&ServerProcess> {
        self.issuers.get(number)?.process.as_ref()
    }

    /// The development PKI: CAs, and certificates of the IB application's service (`service-ib`).
    pub fn pki(&self) -> &PkiDir {
        &self.pki
    }

    /// An issuer's API, spoken to as the IB application.
    fn api(&self, number: usize) -> Api {
        Api::new(self.issuer(number), self.files.certificates())
    }

    /// Lets the gateways end by themselves; who does not is killed.
    fn stop(mut self) {
        for gateway in &self.gateways {
            gateway.process.iter().for_each(|process| process.signal(Signal::Terminate));
        }
        for process in self.gateways.iter_mut().filter_map(|gateway| gateway.process.as_mut()) {
            process.wait_for_end(super::STOP_PATIENCE);
        }
    }
}

/// Serves the cluster until Ctrl-C.
///
/// # Errors
/// When something cannot be made or does not come up.
pub fn serve(folder: &Path, port: u16) -> Result<(), Box<dyn Error>> {
    let wanted = Wanted { folder, port, output: Output::Keep, change: |text| text };
    let cluster = Cluster::start(&wanted)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let stop = {
        let _entered = runtime.enter();
        super::StopSignals::listen()?
    };
    println!("{}", cluster.guide()?);
    runtime.block_on(stop.one());
    cluster.stop();
    Ok(())
}

/// Where the issuer's folder is, for those who make files.
fn issuer_folder() -> &'static str {
    super::issuer::files::FOLDER
}

/// SHA-256 of a certificate, as a `[[service]]` names it.
fn fingerprint(pem: &Path) -> Result<String, Box<dyn Error>> {
    issuer_configuration::fingerprint(pem)
}
