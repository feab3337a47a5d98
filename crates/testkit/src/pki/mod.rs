//! The development PKI: a folder of CAs, certificates and a revocation list, never for real use.
//!
//! `sekisho-demo` keeps one under `certs/dev/`; every integration test makes its own in a temporary folder.
//! The keys lie beside the certificates in clear, which is why [`PkiDir`] only ever writes to a folder that is empty
//! or carries its own marker.

mod authority;
mod files;
mod templates;

pub use authority::Authority;
pub use files::PkiError;
pub use templates::{CLIENTS, ClientProfile, ClientRequest, DAY, KeyKind, Signer};

use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The password of every `.p12` file.
pub const P12_PASSWORD: &str = "sekisho";

/// The server names the PKI has certificates for.
pub const SERVERS: [&str; 3] = ["ib.localhost", "portal.localhost", "acquire.localhost"];

/// The file that says a folder is a development PKI, and holds what the next revocation list needs.
const MARKER: &str = "development-pki.json";

/// Raised when the layout changes, so that an older folder is made anew.
const FORMAT: u32 = 2;

/// A PKI with less time than this left is made anew, a list re-issued: a demo started today still works tomorrow.
const RENEW_BEFORE: i64 = 2 * DAY;

/// How long a revocation list is valid.
const CRL_LIFETIME: i64 = 30 * DAY;

/// A folder that holds a development PKI.
#[derive(Debug)]
pub struct PkiDir {
    folder: PathBuf,
    record: Record,
}

/// Whether [`PkiDir::ensure`] made the PKI or found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// It was there and is valid.
    Found,
    /// It was made, or made anew.
    Anew,
}

/// What the marker file holds.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    warning: String,
    format: u32,
    /// Unix time at which the first certificate that should be valid ends.
    valid_until: i64,
    crl_number: u64,
    crl_next_update: i64,
    revoked: Vec<RevokedRecord>,
}

/// One entry of the issuing CA's list.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct RevokedRecord {
    /// Content octets of the serial.
    serial: Vec<u8>,
    /// Unix time of the revocation.
    at: i64,
}

impl PkiDir {
    /// Finds the development PKI in `folder`, or makes it when there is none or it is about to expire.
    ///
    /// # Errors
    /// [`PkiError::NotOurs`] when the folder holds anything else; [`PkiError::File`] when a file cannot be written.
    pub fn ensure(folder: &Path, now: Timestamp) -> Result<(Self, Made), PkiError> {
        if let Some(mut found) = Self::open(folder)?
            && found.record.valid_until > now.plus_seconds(RENEW_BEFORE).unix()
            && found.is_complete()
        {
            if found.record.crl_next_update <= now.plus_seconds(RENEW_BEFORE).unix() {
                found.issue_revocation_lists(now)?;
            }
            return Ok((found, Made::Found));
        }
        Ok((Self::create(folder, now)?, Made::Anew))
    }

    /// Makes a development PKI in `folder`, over an older one if there is one.
    ///
    /// # Errors
    /// As [`PkiDir::ensure`].
    pub fn create(folder: &Path, now: Timestamp) -> Result<Self, PkiError> {
        files::claim(folder, MARKER)?;
        let record = Record {
            warning: "development only: the keys in this folder protect nothing".to_owned(),
            format: FORMAT,
            valid_until: now.plus_seconds(templates::LEAF_LIFETIME).unix(),
            crl_number: 0,
            crl_next_update: 0,
            revoked: Vec::new(),
        };
        let mut pki = Self { folder: folder.to_owned(), record };
        // The marker first: a run that is stopped half-way leaves a folder that the next one may make anew.
        pki.write_record()?;
        authority::create_all(&pki.folder, now)?;
        for name in SERVERS {
            pki.issue_server(name, &[name], now)?;
        }
        for profile in CLIENTS {
            pki.issue_client(profile.name, &profile.request(now))?;
        }
        let revoked = pki.serial("client-revoked")?;
        pki.revoke(&[revoked], now)?;
        Ok(pki)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of a file in the folder.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// Issues a client certificate: `NAME.pem` (leaf and issuing CA), `NAME.key` (PKCS#8), `NAME.p12`.
    ///
    /// # Errors
    /// [`PkiError`] when the key or certificate cannot be made or written.
    pub fn issue_client(&self, name: &str, request: &ClientRequest) -> Result<SerialNumber, PkiError> {
        self.issue(name, request.signer, &request.parameters()?, &request.key.generate()?)?;
        self.serial(name)
    }

    /// Issues whatever `parameters` say, by `signer`: for certificates that no template would make.
    ///
    /// # Errors
    /// [`PkiError`] when the certificate cannot be made or written.
    pub fn issue(
        &self,
        name: &str,
        signer: Signer,
        parameters: &rcgen::CertificateParams,
        key: &rcgen::KeyPair,
    ) -> Result<(), PkiError> {
        let issuer = Authority::read(&self.folder, signer.file())?;
        let leaf = issuer.sign(parameters, key)?;
        files::write_identity(&self.folder, name, &leaf, &issuer.certificate, key)
    }

    /// Issues a server certificate for DNS names and IP addresses: `NAME.pem` (leaf and server issuing CA) and `NAME.key`.
    ///
    /// # Errors
    /// [`PkiError`] when a name is not a DNS name, or the certificate cannot be made or written.
    pub fn issue_server(&self, name: &str, dns_names: &[&str], now: Timestamp) -> Result<(), PkiError> {
        let key = KeyKind::EcdsaP256.generate()?;
        let serial = authority::random_serial()?;
        self.issue(name, Signer::ServerIssuing, &templates::server(dns_names, &serial, now)?, &key)
    }

    /// The serial number of the leaf in `NAME.pem`.
    ///
    /// # Errors
    /// [`PkiError`] when there is no such certificate.
    pub fn serial(&self, name: &str) -> Result<SerialNumber, PkiError> {
        files::leaf_serial(&self.path(&format!("{name}.pem")))
    }

    /// Puts serials on the issuing CA's list and re-issues `crl.pem` with the next number, in one rename.
    ///
    /// # Errors
    /// [`PkiError`] when the list cannot be signed or written.
    pub fn revoke(&mut self, serials: &[SerialNumber], now: Timestamp) -> Result<(), PkiError> {
        for serial in serials {
            let octets = serial.as_bytes();
            if !self.record.revoked.iter().any(|entry| entry.serial == octets) {
                self.record.revoked.push(RevokedRecord { serial: octets.to_vec(), at: now.unix() });
            }
        }
        self.issue_revocation_lists(now)
    }

    /// Signs the root's and the issuing CA's lists anew, with the next number.
    ///
    /// # Errors
    /// [`PkiError`] when a list cannot be signed or written.
    pub fn issue_revocation_lists(&mut self, now: Timestamp) -> Result<(), PkiError> {
        self.record.crl_number += 1;
        self.record.crl_next_update = now.plus_seconds(CRL_LIFETIME).unix();
        // The number is on the disk before the list that carries it, so that it never comes twice.
        self.write_record()?;
        let pem = self.revocation_lists(now, now.plus_seconds(CRL_LIFETIME))?;
        files::write(&self.path("crl.pem"), pem.as_bytes(), files::Secrecy::Public)
    }

    /// The two lists as PEM, with the current number and the given times, not written anywhere.
    ///
    /// # Errors
    /// [`PkiError`] when a CA's key cannot be read, or `next_update` is not after `this_update`.
    pub fn revocation_lists(&self, this_update: Timestamp, next_update: Timestamp) -> Result<String, PkiError> {
        let revoked: Vec<_> = self
            .record
            .revoked
            .iter()
            .map(|entry| authority::revoked(&entry.serial, Timestamp::from_unix(entry.at)))
            .collect();
        let number = self.record.crl_number;
        let root = Authority::read(&self.folder, "root-ca")?;
        let issuing = Authority::read(&self.folder, "issuing-ca")?;
        Ok(root.revocation_list(Vec::new(), number, this_update, next_update)?
            + &issuing.revocation_list(revoked, number, this_update, next_update)?)
    }

    /// The number of the lists in `crl.pem`.
    pub fn crl_number(&self) -> u64 {
        self.record.crl_number
    }

    fn open(folder: &Path) -> Result<Option<Self>, PkiError> {
        let Some(text) = files::read_if_there(&folder.join(MARKER))? else { return Ok(None) };
        // A marker that cannot be read is an older or broken one: still ours, made anew.
        let record: Option<Record> = serde_json::from_str(&text).ok();
        Ok(record.filter(|record| record.format == FORMAT).map(|record| Self { folder: folder.to_owned(), record }))
    }

    fn is_complete(&self) -> bool {
        let clients =
            CLIENTS.iter().flat_map(|client| ["pem", "key", "p12"].map(|kind| format!("{}.{kind}", client.name)));
        let servers = SERVERS.iter().flat_map(|server| ["pem", "key"].map(|kind| format!("{server}.{kind}")));
        let others = ["root-ca.pem", "issuing-ca.pem", "issuing-ca.key", "root-ca.key", "server-ca.pem", "crl.pem"];
        clients.chain(servers).chain(others.map(str::to_owned)).all(|file| self.path(&file).is_file())
    }

    fn write_record(&self) -> Result<(), PkiError> {
        let text = serde_json::to_string_pretty(&self.record).map_err(|error| PkiError::Make(error.to_string()))?;
        files::write(&self.path(MARKER), text.as_bytes(), files::Secrecy::Public)
    }
}

#[cfg(test)]
mod tests;
