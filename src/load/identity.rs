//! Client certificates and their keys.

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sekisho_pki::pem;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A certificate chain, leaf first, and the leaf's private key.
#[derive(Debug)]
pub struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// Why a client certificate cannot be used: the file and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityError {
    /// The file or folder.
    pub file: PathBuf,
    /// What is wrong.
    pub why: Arc<str>,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

/// A PEM chain and a PEM key (PKCS#8, SEC 1 or PKCS#1), which may be in one file.
///
/// # Errors
/// [`IdentityError`].
pub fn read_pair(certificate: &Path, key: &Path) -> Result<Identity, IdentityError> {
    let chain = pem::certificates(&read(certificate)?).map_err(|error| wrong(certificate, &error))?;
    let chain: Vec<_> = chain.into_iter().map(|der| CertificateDer::from(der.to_vec())).collect();
    let key_der = pem::private_key(&read(key)?).map_err(|error| wrong(key, &error))?;
    Ok(Identity { chain, key: key_der })
}

/// Every `NAME.pem` of a folder that has a `NAME.key` beside it, in the order of names.
///
/// # Errors
/// [`IdentityError`]; a folder without any is one.
pub fn read_folder(folder: &Path) -> Result<Vec<Identity>, IdentityError> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut certificates: Vec<_> =
        entries.map_err(|error| wrong(folder, &error))?.iter().map(fs::DirEntry::path).collect();
    certificates.retain(|path| path.extension().is_some_and(|extension| extension == "pem"));
    certificates.retain(|path| path.with_extension("key").exists());
    certificates.sort_unstable();
    if certificates.is_empty() {
        return Err(wrong(folder, &"it has no NAME.pem with a NAME.key beside it"));
    }
    certificates.iter().map(|path| read_pair(path, &path.with_extension("key"))).collect()
}

fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    fs::read(path).map_err(|error| wrong(path, &error))
}

fn wrong(file: &Path, why: &dyn fmt::Display) -> IdentityError {
    IdentityError { file: file.to_owned(), why: why.to_string().into() }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.why)
    }
}

impl std::error::Error for IdentityError {}
