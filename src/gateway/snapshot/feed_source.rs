//! `[gateway.feed]` with the files it names read: where the feed is, who we are there, and whose signature counts.

use crate::gateway::base::key_material::{not_after, read, read_secret, unusable};
use reqwest::Client;
use reqwest::redirect::Policy;
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use sekisho_config::{self as config, Config, ConfigError, Followed, Placed, RevocationSource};
use sekisho_pki::es256::PublicKey;
use sekisho_pki::fingerprint::sha256;
use sekisho_pki::pem;
use sekisho_pki::time::Timestamp;
use sekisho_trust::TrustSnapshot;
use sekisho_trust::feed::Rules;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for a connection: three SYNs.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Between two probes of a connection on which nothing comes, so that a node that vanished is noticed below HTTP too.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A feed that can be asked for.
#[derive(Debug)]
pub(in crate::gateway) struct Source {
    /// At least one, without a slash at its end.
    pub(in crate::gateway) urls: Vec<String>,
    pub(in crate::gateway) client: Client,
    pub(in crate::gateway) keys: Vec<PublicKey>,
    pub(in crate::gateway) lost_after: Duration,
    /// notAfter of our certificate.
    not_after: Option<Timestamp>,
    /// Of the configuration and all its files.
    digest: [u8; 32],
}

impl Source {
    /// Reads the files. A source of which nothing changed is the one that there was.
    ///
    /// # Errors
    /// Every file that cannot be used.
    pub(in crate::gateway) fn compile(
        config: &Config,
        previous: Option<&Arc<Self>>,
        provider: &CryptoProvider,
    ) -> Result<Option<Arc<Self>>, Vec<ConfigError>> {
        let Some(feed) = &config.feed else { return Ok(None) };
        let mut errors = Vec::new();
        let key = read_secret(&feed.key).map(|key| key.to_vec());
        let files: Vec<_> = [read(&feed.ca), read(&feed.certificate), key]
            .into_iter()
            .chain(feed.public_keys.iter().map(read))
            .filter_map(|file| file.map_err(|error| errors.push(error)).ok())
            .collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        let digest = digest(feed, &files);
        if let Some(previous) = previous.filter(|previous| previous.digest == digest) {
            return Ok(Some(Arc::clone(previous)));
        }
        let [ca, certificate, key, public_keys @ ..] = files.as_slice() else { return Err(errors) };
        let keys = feed.public_keys.iter().zip(public_keys).filter_map(|(file, pem)| {
            PublicKey::from_pem(pem).map_err(|error| errors.push(unusable(file, &error))).ok()
        });
        let keys: Vec<_> = keys.collect();
        let client = client(feed, [ca, certificate, key], provider).map_err(|error| errors.push(error)).ok();
        let Some(client) = client.filter(|_| errors.is_empty()) else { return Err(errors) };
        let urls = feed.urls.iter().map(|url| url.value.clone()).collect();
        let not_after = pem::certificates(certificate).ok().and_then(|chain| not_after(chain.first()?));
        Ok(Some(Arc::new(Self { urls, client, keys, lost_after: feed.lost_after, not_after, digest })))
    }

    /// Returns notAfter of the certificate that this gateway shows to the issuer.
    pub(in crate::gateway) const fn not_after(&self) -> Option<Timestamp> {
        self.not_after
    }
}

/// Which CAs follow the feed.
pub(in crate::gateway) fn rules(config: &Config, trust: &TrustSnapshot, now: Timestamp) -> Rules {
    let Some(feed) = &config.feed else { return Rules::default() };
    let follows = |ca: &&config::Ca| match &ca.revocation {
        RevocationSource::From(sources) => sources.feed == Followed::Yes,
        RevocationSource::None => false,
    };
    let key = |ca: &config::Ca| trust.authority_named(&ca.name).map(sekisho_trust::Authority::key);
    let authorities = config.cas.iter().filter(follows).filter_map(key).collect();
    Rules { authorities, lost_after: i64::try_from(feed.lost_after.as_secs()).unwrap_or(i64::MAX), made_at: now }
}

fn digest(feed: &config::Feed, files: &[Vec<u8>]) -> [u8; 32] {
    let urls: String = feed.urls.iter().map(|url| format!("{}\n", url.value)).collect();
    let mut parts: Vec<[u8; 32]> =
        vec![sha256(&[urls.as_bytes()]), sha256(&[&feed.lost_after.as_millis().to_be_bytes()])];
    parts.extend(files.iter().map(|file| sha256(&[file])));
    sha256(&[parts.as_flattened()])
}

/// A client that shows our certificate, believes servers of these CAs only, follows no redirect and uses no proxy.
fn client(
    feed: &config::Feed,
    [ca, certificate, key]: [&Vec<u8>; 3],
    provider: &CryptoProvider,
) -> Result<Client, ConfigError> {
    let mut roots = RootCertStore::empty();
    for root in certificates(&feed.ca, ca)? {
        roots.add(root).map_err(|error| unusable(&feed.ca, &error))?;
    }
    let chain = certificates(&feed.certificate, certificate)?;
    let key = pem::private_key(key).map_err(|error| unusable(&feed.key, &error))?;
    let tls = ClientConfig::builder_with_provider(Arc::new(provider.clone()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&feed.ca, &error))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|error| unusable(&feed.key, &error))?;
    Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .http1_only()
        .redirect(Policy::none())
        .no_proxy()
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT.min(feed.lost_after))
        .tcp_keepalive(KEEP_ALIVE)
        .build()
        .map_err(|error| unusable(&feed.certificate, &error))
}

fn certificates(
    file: &Placed<PathBuf>,
    pem: &[u8],
) -> Result<Vec<rustls::pki_types::CertificateDer<'static>>, ConfigError> {
    let found = pem::certificates(pem).map_err(|error| unusable(file, &error))?;
    if found.is_empty() {
        return Err(unusable(file, &"no certificate is in it"));
    }
    Ok(found.into_iter().map(rustls::pki_types::CertificateDer::into_owned).collect())
}
