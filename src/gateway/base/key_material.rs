//! Files that the configuration names: certificates, private keys and other secrets.

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sekisho_config::{ConfigError, Placed};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::pem;
use sekisho_pki::time::Timestamp;
use sekisho_runtime::process::secret_file;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Bytes of a file with a private key or another secret: RSA keys of 16,384 bits have 13 KiB in PEM.
const MAX_SECRET_BYTES: u64 = 64 << 10;

/// A certificate chain and its key, which must belong together; the errors of both files.
pub(in crate::gateway) fn certified_key(
    certificate: &Placed<PathBuf>,
    key: &Placed<PathBuf>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let chain = certificates(certificate).map_err(|error| errors.push(error)).ok();
    let private_key = private_key(key).map_err(|error| errors.push(error)).ok();
    let (Some(chain), Some(private_key)) = (chain, private_key) else {
        return Err(errors);
    };
    let place = place_of_own(&chain, &private_key, provider);
    CertifiedKey::from_der(chain, private_key, provider).map_err(|error| {
        let file = certificate.value.display();
        let message = match place {
            Some(place @ 1..) => format!(
                "is the key of certificate {} in {file}; the server's own certificate has to come first, then its issuer's",
                place + 1
            ),
            _ => format!("does not go with the certificate {file}: {error}"),
        };
        vec![unusable(key, &message)]
    })
}

/// Which certificate of a chain has this key.
fn place_of_own(
    chain: &[CertificateDer<'_>],
    private_key: &PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Option<usize> {
    let key = provider.key_provider.load_private_key(private_key.clone_key()).ok()?;
    let public_key = key.public_key()?;
    let is_its = |der: &CertificateDer<'_>| {
        Certificate::parse(der).is_ok_and(|found| found.subject_public_key_info() == public_key.as_ref())
    };
    chain.iter().position(is_its)
}

/// The certificates of a PEM file; at least one.
pub(in crate::gateway) fn certificates(path: &Placed<PathBuf>) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    match pem::certificates(&read(path)?) {
        Ok(certificates) if certificates.is_empty() => Err(unusable(path, &"there is no certificate in it")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unusable(path, &error)),
    }
}

/// The private key of a PEM file.
pub(in crate::gateway) fn private_key(path: &Placed<PathBuf>) -> Result<PrivateKeyDer<'static>, ConfigError> {
    pem::private_key(&read_secret(path)?).map_err(|error| unusable(path, &error))
}

/// Reads a file that the configuration names and only we may read.
pub(in crate::gateway) fn read_secret(path: &Placed<PathBuf>) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    secret_file::read(&path.value, MAX_SECRET_BYTES).map_err(|error| unusable(path, &error))
}

/// Reads a file that the configuration names.
pub(in crate::gateway) fn read(path: &Placed<PathBuf>) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(&path.value).map_err(|error| unusable(path, &format!("cannot be read: {error}")))
}

/// The error for a file that the configuration names.
pub(in crate::gateway) fn unusable(path: &Placed<PathBuf>, why: &dyn std::fmt::Display) -> ConfigError {
    ConfigError { place: path.place.clone(), message: format!("{}: {why}", path.value.display()) }
}

/// Returns notAfter of a certificate; `None` for one that our parser does not take, though TLS does.
pub(in crate::gateway) fn not_after(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    Certificate::parse(certificate).ok().map(|certificate| certificate.not_after())
}
