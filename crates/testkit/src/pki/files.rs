//! Files of the development PKI: written whole or not at all, keys for their owner only.

use super::P12_PASSWORD;
use base64::Engine as _;
use p12_keystore::{KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sekisho_pki::serial::SerialNumber;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Why a development PKI cannot be made or used.
#[derive(Debug)]
pub enum PkiError {
    /// The folder holds something that is not a development PKI.
    NotOurs(PathBuf),
    /// A file cannot be read or written.
    File(PathBuf, std::io::Error),
    /// A key, certificate or list cannot be made.
    Make(String),
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// Its owner only.
    Secret,
    /// Anybody.
    Public,
}

/// Makes the folder, or makes sure that it is empty or carries `marker`.
pub(super) fn claim(folder: &Path, marker: &str) -> Result<(), PkiError> {
    let failed = |error| PkiError::File(folder.to_owned(), error);
    fs::create_dir_all(folder).map_err(failed)?;
    let holds_anything = fs::read_dir(folder).map_err(failed)?.next().is_some();
    if holds_anything && !folder.join(marker).is_file() {
        return Err(PkiError::NotOurs(folder.to_owned()));
    }
    Ok(())
}

/// Writes a file beside its place and renames it there: a reader sees the old or the new one.
pub(super) fn write(path: &Path, content: &[u8], secrecy: Secrecy) -> Result<(), PkiError> {
    let failed = |error| PkiError::File(path.to_owned(), error);
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".tmp");
    let unfinished = PathBuf::from(unfinished);
    let mode = if secrecy == Secrecy::Secret { 0o600 } else { 0o644 };
    // Left over from a run that was stopped; opening it anew would keep its mode.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&unfinished).map_err(failed)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&unfinished, path).map_err(failed)
}

pub(super) fn read(path: &Path) -> Result<String, PkiError> {
    fs::read_to_string(path).map_err(|error| PkiError::File(path.to_owned(), error))
}

pub(super) fn read_if_there(path: &Path) -> Result<Option<String>, PkiError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(PkiError::File(path.to_owned(), error)),
    }
}

/// Writes `NAME.pem` (leaf, issuer), `NAME.key` and `NAME.p12`.
pub(super) fn write_identity(
    folder: &Path,
    name: &str,
    leaf: &CertificateDer<'_>,
    issuer: &CertificateDer<'_>,
    key: &rcgen::KeyPair,
) -> Result<(), PkiError> {
    let chain = pem(leaf) + &pem(issuer);
    write(&folder.join(format!("{name}.key")), key.serialize_pem().as_bytes(), Secrecy::Secret)?;
    write(&folder.join(format!("{name}.p12")), &p12(name, leaf, issuer, key)?, Secrecy::Secret)?;
    write(&folder.join(format!("{name}.pem")), chain.as_bytes(), Secrecy::Public)
}

/// One certificate as PEM (RFC 7468: lines of 64).
pub(super) fn pem(certificate: &CertificateDer<'_>) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for (index, character) in text.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem + "\n-----END CERTIFICATE-----\n"
}

/// The serial of the first certificate in a PEM file.
pub(super) fn leaf_serial(path: &Path) -> Result<SerialNumber, PkiError> {
    let wrong = |error: String| PkiError::Make(format!("{}: {error}", path.display()));
    let certificate = CertificateDer::from_pem_file(path).map_err(|error| wrong(error.to_string()))?;
    let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).map_err(|error| wrong(error.to_string()))?;
    SerialNumber::from_der_content(parsed.raw_serial()).map_err(|error| wrong(error.to_string()))
}

/// AES-256-CBC with PBKDF2 and HMAC-SHA-256: what OpenSSL 3, NSS, Windows 10 and macOS 15 read.
fn p12(
    name: &str,
    leaf: &CertificateDer<'_>,
    issuer: &CertificateDer<'_>,
    key: &rcgen::KeyPair,
) -> Result<Vec<u8>, PkiError> {
    let made = |error: p12_keystore::error::Error| PkiError::Make(format!("{name}.p12: {error}"));
    let certificate = |der: &[u8]| p12_keystore::Certificate::from_der(der).map_err(made);
    let private_key = PrivateKey::from_der(key.serialized_der()).map_err(made)?;
    let chain = PrivateKeyChain::new(name.as_bytes(), private_key, [certificate(leaf)?, certificate(issuer)?]);
    let mut store = KeyStore::new();
    store.add_entry(name, KeyStoreEntry::PrivateKeyChain(chain));
    store
        .writer(P12_PASSWORD)
        .encryption_algorithm(p12_keystore::EncryptionAlgorithm::PbeWithHmacSha256AndAes256)
        .mac_algorithm(p12_keystore::MacAlgorithm::HmacSha256)
        // A published password: more rounds protect nothing and each test makes ten of these.
        .encryption_iterations(2048)
        .mac_iterations(2048)
        .write()
        .map_err(made)
}

impl From<rcgen::Error> for PkiError {
    fn from(error: rcgen::Error) -> Self {
        Self::Make(error.to_string())
    }
}

impl fmt::Display for PkiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOurs(folder) => {
                write!(f, "{} holds files that are not a development PKI; nothing was written", folder.display())
            }
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Make(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for PkiError {}
