//! The HTTP client of all sources: what it believes, and what it never does.

use reqwest::Client;
use reqwest::redirect::Policy;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use sekisho_config::{ConfigError, Fetch, Placed};
use sekisho_pki::pem;
use std::path::PathBuf;
use std::sync::Arc;

/// A client that follows no redirect, uses no proxy, decodes nothing, and believes servers with a certificate of the
/// CAs in `[gateway.fetch]` and no other: the system's roots are never asked.
///
/// # Errors
/// At `ca`, when it cannot be used.
pub(super) fn client(fetch: &Fetch) -> Result<Client, ConfigError> {
    let refuse = |message: String| ConfigError {
        place: fetch.ca.as_ref().map(|ca| ca.place.clone()).unwrap_or_default(),
        message,
    };
    let tls = client_config(fetch)?;
    Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(Policy::none())
        .no_proxy()
        .referer(false)
        .user_agent(concat!("sekisho/", env!("CARGO_PKG_VERSION")))
        .timeout(fetch.timeout)
        // A list a minute at most: nothing is gained by keeping connections to it.
        .pool_max_idle_per_host(0)
        .build()
        .map_err(|error| refuse(super::download::why(&error)))
}

/// TLS with the CAs in `[gateway.fetch]`.
///
/// # Errors
/// At `ca`, when it cannot be used.
pub(super) fn client_config(fetch: &Fetch) -> Result<ClientConfig, ConfigError> {
    let refuse = |message: String| ConfigError {
        place: fetch.ca.as_ref().map(|ca| ca.place.clone()).unwrap_or_default(),
        message,
    };
    let roots = fetch.ca.as_ref().map(roots).transpose().map_err(refuse)?.unwrap_or_else(RootCertStore::empty);
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| refuse(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn roots(ca: &Placed<PathBuf>) -> Result<RootCertStore, String> {
    let unusable = |why: String| format!("{}: {why}", ca.value.display());
    let octets = crate::files::read(&ca.value, crate::files::MAX_CERTIFICATE_FILE_OCTETS);
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates(&octets.map_err(unusable)?).map_err(|error| unusable(error.to_string()))? {
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    Ok(roots)
}
