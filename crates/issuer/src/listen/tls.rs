//! TLS of the API: the service's certificate, and clients' where they have one.

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use sekisho_config::issuer::ApiTls;
use sekisho_config::{ConfigError, Placed};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::pem;
use sekisho_pki::time::Timestamp;
use sekisho_runtime::process::secret_file;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// TLS of the API, ready for use.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// For connections.
    pub config: Arc<ServerConfig>,
    /// notAfter of the service's certificate.
    pub not_after: Timestamp,
}

/// The TLS of `[issuer.tls]`: TLS 1.3 and 1.2, HTTP/2 and HTTP/1.1 by ALPN. A client may come without a certificate;
/// one that presents a certificate which does not lead to `client_ca`, is not valid now or is not for client
/// authentication does not get through the handshake.
///
/// Sessions are not resumed: rustls does not verify the certificate again when one is.
///
/// # Errors
/// Every file that cannot be used, with its place in the configuration.
pub fn server_config(tls: &ApiTls) -> Result<ServerTls, Vec<ConfigError>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let (certified, verifier) = match (certified_key(tls, &provider), verifier(&tls.client_ca, &provider)) {
        (Ok(certified), Ok(verifier)) => (certified, verifier),
        (certified, verifier) => {
            let mut errors = certified.err().unwrap_or_default();
            errors.extend(verifier.err());
            return Err(errors);
        }
    };
    let not_after = not_after(&certified).map_err(|error| vec![unusable(&tls.certificate, &error)])?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| vec![unusable(&tls.certificate, &error)])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(ServerTls { config: Arc::new(config), not_after })
}

/// Bytes of the file with the private key: RSA keys of 16,384 bits have 13 KiB in PEM.
const MAX_KEY_BYTES: u64 = 64 << 10;

/// The service's own chain and key, which go together.
fn certified_key(tls: &ApiTls, provider: &CryptoProvider) -> Result<CertifiedKey, Vec<ConfigError>> {
    let chain = read(&tls.certificate)
        .and_then(|pem| pem::certificates(&pem).map_err(|error| unusable(&tls.certificate, &error)));
    let key = secret_file::read(&tls.key.value, MAX_KEY_BYTES).map_err(|error| unusable(&tls.key, &error));
    let key = key.and_then(|pem| pem::private_key(&pem).map_err(|error| unusable(&tls.key, &error)));
    let (chain, key) = match (chain, key) {
        (Ok(chain), Ok(key)) => (chain, key),
        (chain, key) => return Err(chain.err().into_iter().chain(key.err()).collect()),
    };
    CertifiedKey::from_der(chain, key, provider).map_err(|error| {
        let certificate = tls.certificate.value.display();
        vec![unusable(&tls.key, &format!("does not go with the certificate {certificate}: {error}"))]
    })
}

fn not_after(certified: &CertifiedKey) -> Result<Timestamp, String> {
    let leaf = certified.end_entity_cert().map_err(|error| error.to_string())?;
    Certificate::parse(leaf).map(|leaf| leaf.not_after()).map_err(|error| error.to_string())
}

/// Takes clients' certificates of these CAs, and clients without one.
fn verifier(
    client_ca: &Placed<PathBuf>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, ConfigError> {
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates(&read(client_ca)?).map_err(|error| unusable(client_ca, &error))? {
        roots.add(certificate).map_err(|error| unusable(client_ca, &error))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .allow_unauthenticated()
        .build()
        .map_err(|error| unusable(client_ca, &error))
}

fn read(path: &Placed<PathBuf>) -> Result<Vec<u8>, ConfigError> {
    let path_of: &Path = &path.value;
    std::fs::read(path_of).map_err(|error| unusable(path, &format!("cannot be read: {error}")))
}

fn unusable(path: &Placed<PathBuf>, why: &dyn Display) -> ConfigError {
    ConfigError { place: path.place.clone(), message: format!("{}: {why}", path.value.display()) }
}
