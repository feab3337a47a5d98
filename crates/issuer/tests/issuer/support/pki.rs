//! Authorities made by `sekisho-issuer ca`, once for all tests of a build, and the certificates of the API and its services.

use super::PROFILES;
use crate::common::issuer_binary;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the issuing authorities' keys are encrypted with.
pub const PASSPHRASE: &str = "correct horse battery staple";

/// Certificates of the API and of the services that call it.
pub struct Pki {
    /// PEM of the CA of both.
    pub ca: String,
    /// The API's certificate and key.
    pub api: (String, String),
    services: Vec<ServiceCertificate>,
    issuer: Issuer<'static, KeyPair>,
}

/// A service that may call.
#[derive(Clone)]
pub struct ServiceCertificate {
    /// Its name in the configuration.
    pub name: String,
    /// What it may do.
    pub rights: Vec<&'static str>,
    /// PEM.
    pub certificate: String,
    /// PEM.
    pub key: String,
    /// SHA-256 of the certificate in hex.
    pub fingerprint: String,
}

impl Pki {
    /// Makes them: `ib` (online, read), `desk` (desk, read) and `reader` (read).
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = named("Service CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let mut params = named("issuer.localhost");
        let names = ["issuer.localhost", "localhost"];
        params.subject_alt_names = names.map(|name| rcgen::SanType::DnsName(name.try_into().unwrap())).into();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let api = (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem());
        let mut pki = Self { ca, api, services: Vec::new(), issuer };
        pki.services = vec![
            pki.service("ib", &["online", "read"]),
            pki.service("desk", &["desk", "read"]),
            pki.service("reader", &["read"]),
        ];
        pki
    }

    /// The services of the configuration.
    pub fn services(&self) -> &[ServiceCertificate] {
        &self.services
    }

    /// One of them.
    #[track_caller]
    pub fn service_named(&self, name: &str) -> &ServiceCertificate {
        self.services.iter().find(|service| service.name == name).unwrap_or_else(|| panic!("no service {name}"))
    }

    /// A further service of the configuration.
    pub fn add_service(&mut self, name: &str, rights: &[&'static str]) -> ServiceCertificate {
        let service = self.service(name, rights);
        self.services.push(service.clone());
        service
    }

    /// Another certificate of the same CA, of no service of the configuration.
    pub fn service(&self, name: &str, rights: &[&'static str]) -> ServiceCertificate {
        let key = KeyPair::generate().unwrap();
        let mut params = named(name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let fingerprint = sekisho_pki::fingerprint::Fingerprint::of(certificate.der());
        ServiceCertificate {
            name: name.to_owned(),
            rights: rights.to_vec(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            fingerprint: fingerprint.as_bytes().iter().map(|octet| format!("{octet:02x}")).collect(),
        }
    }
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

/// The folder with a root and one issuing authority a profile (`biz/issuing.pem`, `chain.pem`, `issuing.key`), and the
/// file `passphrase`. Encrypting keys takes a second or more, so that all tests of one build share it.
pub fn authorities() -> PathBuf {
    let built = std::fs::metadata(issuer_binary()).unwrap();
    let age = built.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("issuing-authorities-{}-{age}", built.len()));
    if !place.exists() {
        let unfinished = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        make(unfinished.path());
        // Another test's process may have been first; then this one's work is removed.
        let _ = std::fs::rename(unfinished.path(), &place);
    }
    place
}

fn make(folder: &Path) {
    let passphrase = folder.join("passphrase");
    write_secret(&passphrase, PASSPHRASE);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(issuer_binary());
        command.current_dir(folder).arg("ca").args(arguments);
        let output = command.args(["--organization", "Example Bank"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let passphrases = ["--root-passphrase-file", "passphrase", "--passphrase-file", "passphrase"];
    let (_, first) = PROFILES[0];
    let root = ["init", "--folder", "made", "--root-name", "Test Root CA", "--issuing-name", "Test Issuing CA biz"];
    run(&[&root[..], &["--root-key", "p256"], &passphrases].concat());
    std::fs::rename(folder.join("made/issuing"), folder.join(first)).unwrap();
    std::thread::scope(|scope| {
        for (_, name) in &PROFILES[1..] {
            scope.spawn(move || {
                let common_name = format!("Test Issuing CA {name}");
                let above = [
                    "issue-intermediate",
                    "--issuer-certificate",
                    "made/root/root.pem",
                    "--issuer-key",
                    "made/root/root.key",
                ];
                run(&[&above[..], &["--folder", name, "--name", &common_name], &passphrases].concat());
            });
        }
    });
}

/// Writes a file that only its owner may read.
pub fn write_secret(path: &Path, content: &str) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
}
