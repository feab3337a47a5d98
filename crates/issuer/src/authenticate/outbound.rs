//! The HTTP client with which the service asks others: for the gateway's keys, and about credentials.

use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use sekisho_config::{ConfigError, Place, Placed};
use sekisho_pki::pem;
use sekisho_runtime::telemetry::outbound::describe;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The URL, which must be `https://`, or `http://` on a loopback address, where nobody can listen.
///
/// # Errors
/// At `place`.
pub(super) fn url(text: &str, place: &Place) -> Result<Url, ConfigError> {
    let refuse = |message: String| ConfigError { place: place.clone(), message };
    let url = Url::parse(text).map_err(|error| refuse(format!("is not a URL: {error}")))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    match url.scheme() {
        "https" => Ok(url),
        "http" if host.parse().is_ok_and(|address: IpAddr| address.is_loopback()) => Ok(url),
        "http" => Err(refuse("is http:// beyond a loopback address such as 127.0.0.1; write https://".to_owned())),
        other => Err(refuse(format!("has the scheme {other}; write https://"))),
    }
}

/// A client that follows no redirect, uses no proxy, and believes servers with a certificate of these CAs; without any,
/// of those that the system trusts.
///
/// # Errors
/// A file that cannot be used, or a system that trusts nobody.
pub(super) fn client(
    ca: Option<&Placed<PathBuf>>,
    url: &Url,
    place: &Place,
    timeout: Duration,
) -> Result<Client, ConfigError> {
    // Where nothing else is set, reqwest takes the process's; a second installation changes nothing.
    let _ = aws_lc_rs::default_provider().install_default();
    let builder = Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .https_only(url.scheme() == "https")
        .referer(false)
        .timeout(timeout);
    let builder = match ca {
        Some(ca) => builder.tls_backend_preconfigured(tls(roots(ca)?, &ca.place)?),
        // Without TLS the system's CAs, which a machine need not have, are not looked for.
        None if url.scheme() == "http" => builder.tls_backend_preconfigured(tls(RootCertStore::empty(), place)?),
        None => builder,
    };
    builder.build().map_err(|error| ConfigError { place: place.clone(), message: describe(&error) })
}

/// The body of a response, up to so many octets.
///
/// # Errors
/// One line.
pub(super) async fn body(mut response: Response, most: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| describe(&error))? {
        if body.len() + chunk.len() > most {
            return Err(format!("the answer has more than {most} octets"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn roots(ca: &Placed<PathBuf>) -> Result<RootCertStore, ConfigError> {
    let unusable =
        |why: String| ConfigError { place: ca.place.clone(), message: format!("{}: {why}", ca.value.display()) };
    let octets = std::fs::read(&ca.value).map_err(|error| unusable(format!("cannot be read: {error}")))?;
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates(&octets).map_err(|error| unusable(error.to_string()))? {
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    Ok(roots)
}

fn tls(roots: RootCertStore, place: &Place) -> Result<ClientConfig, ConfigError> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ConfigError { place: place.clone(), message: error.to_string() })?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
