//! What is measured: three gateways before one application, certificates, and a way to revoke them.

use crate::measure::client::Identity;
use crate::measure::server;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sekisho::clock;
use sekisho::demo::configuration::IssuerPart;
use sekisho::demo::pki::{ClientRequest, PkiDir};
use sekisho::demo::process::{GatewayProcess, ServerProcess};
use std::net::SocketAddr;
use std::time::Instant;

const GATEWAYS: usize = 3;

pub struct Stand {
    gateways: Vec<GatewayProcess>,
    pub holders: Vec<Identity>,
    pub revocable: Vec<Identity>,
    pki: PkiDir,
    _application: ServerProcess,
    _folder: tempfile::TempDir,
}

impl Stand {
    pub fn start(holders: usize, revocable: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pki = PkiDir::create(&folder.path().join("pki"), clock::now()).unwrap();
        let application = server::application();
        let configuration = server::configured(application.address("application"), &IssuerPart::default());
        let gateways = (0..GATEWAYS)
            .map(|number| server::gateway(pki.folder(), &format!("gateway-{number}.toml"), &configuration));
        let gateways = gateways.collect();
        let identity = |name: String| {
            pki.issue_client(
                &name,
                &ClientRequest::good(&format!("00009876543 {} 1635", name.replace('-', "")), clock::now()),
            )
            .unwrap();
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(pki.path("server-ca.pem")).unwrap()).unwrap();
            let chain = CertificateDer::pem_file_iter(pki.path(&format!("{name}.pem"))).unwrap().map(Result::unwrap);
            let key = PrivateKeyDer::from_pem_file(pki.path(&format!("{name}.key"))).unwrap();
            Identity::new(roots, chain.collect(), key)
        };
        let holders = (0..holders).map(|number| identity(format!("holder-{number}"))).collect();
        let revocable = (0..revocable).map(|number| identity(format!("revocable-{number}"))).collect();
        Self { gateways, holders, revocable, pki, _application: application, _folder: folder }
    }

    pub fn gateways(&self) -> Vec<SocketAddr> {
        self.gateways.iter().map(|gateway| gateway.tls()).collect()
    }

    /// Revokes one certificate: when that was asked for, and when the answer had come.
    pub fn revoke(&mut self, number: usize) -> (Instant, Instant) {
        let serial = self.pki.serial(&format!("revocable-{number}")).unwrap();
        let requested = Instant::now();
        self.pki.revoke(&[serial], clock::now()).unwrap();
        (requested, Instant::now())
    }

    /// Resident memory of each gateway.
    pub fn memory(&self) -> String {
        let each = self.gateways.iter().map(|gateway| format!("{:.0}", server::memory(gateway.id(), "VmRSS")));
        format!("resident memory of the gateways: {} MB", each.collect::<Vec<_>>().join(", "))
    }
}
