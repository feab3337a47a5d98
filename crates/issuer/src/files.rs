//! What the files hold that the configuration names, read before anything is opened; all errors at once.

use super::authenticate::{Authenticator, Delegated};
use super::authorities::Authorities;
use super::feed::FeedKey;
use super::listen::{self, ServerTls};
use super::outbox;
use super::profiles::Profiles;
use super::secret::ServiceSecret;
use sekisho_config::issuer::{AuthorityConfig, CredentialsConfig, IssuerConfig};
use sekisho_config::{ConfigError, Placed};
use sekisho_runtime::clock;
use sekisho_runtime::metrics::{CertificateUse, OwnCertificate};
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;

/// What the configuration's files hold.
pub(super) struct Files {
    pub(super) profiles: Arc<Profiles>,
    pub(super) authorities: Arc<Authorities>,
    pub(super) secret: Arc<ServiceSecret>,
    pub(super) tls: Option<ServerTls>,
    pub(super) feed_key: Option<FeedKey>,
    /// Who checks factors where that is the IB system.
    pub(super) delegated: Option<Delegated>,
}

impl Files {
    /// Reads every file that the configuration names, and opens nothing else.
    ///
    /// # Errors
    /// Every file that cannot be used, by the key that names it.
    pub(super) fn load(config: &IssuerConfig) -> Result<Self, Vec<ConfigError>> {
        // A second installation (tests) finds the same one in place.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut errors = Vec::new();
        let profiles = keep(&mut errors, Profiles::load(&config.profiles));
        let authorities = keep(&mut errors, Authorities::load(&config.authorities, clock::now()));
        let secret_file = &config.issuer.secret_file;
        let secret = ServiceSecret::load_random(&secret_file.value).map_err(|error| unusable(secret_file, &error));
        let secret = keep(&mut errors, secret);
        let tls = keep(&mut errors, config.issuer.tls.as_ref().map(listen::server_config).transpose());
        let feed_key = config.feed.as_ref().map(|feed| &feed.key);
        let feed_key = feed_key.map(|file| FeedKey::load(&file.value).map_err(|error| unusable(file, &error)));
        let feed_key = keep(&mut errors, feed_key.transpose());
        let delegated = keep(&mut errors, delegated(config));
        // These two are read again when they are made: the one needs the store, the other its tasks.
        keep(&mut errors, Authenticator::check(&config.services, config.gateway.as_ref()));
        keep(&mut errors, config.mail.as_ref().map_or(Ok(()), outbox::check));
        if let (Some(profiles), Some(authorities)) = (&profiles, &authorities) {
            let place = config.profiles.first().map(|file| file.place.clone()).unwrap_or_default();
            let names = profiles.names().map(|name| &**name);
            keep(&mut errors, authorities.check_profiles(names, &place));
            keep(&mut errors, check_names(&config.authorities, profiles));
        }
        match (profiles, authorities, secret, tls, feed_key, delegated) {
            (Some(profiles), Some(authorities), Some(secret), Some(tls), Some(feed_key), Some(delegated))
                if errors.is_empty() =>
            {
                Ok(Self {
                    profiles: Arc::new(profiles),
                    authorities: Arc::new(authorities),
                    secret: Arc::new(secret),
                    tls,
                    feed_key,
                    delegated,
                })
            }
            _ => Err(errors),
        }
    }

    /// Returns the certificates that the issuer itself uses.
    pub(super) fn own_certificates(&self) -> Arc<[OwnCertificate]> {
        let server = self.tls.iter().map(|tls| OwnCertificate {
            purpose: CertificateUse::Server,
            name: "api".into(),
            not_after: tls.not_after,
        });
        let authorities = self.authorities.iter().map(|one| OwnCertificate {
            purpose: CertificateUse::Ca,
            name: Arc::clone(&one.name),
            not_after: one.authority.certificate().not_after(),
        });
        server.chain(authorities).collect()
    }
}

/// A gateway reads the names of an authority's certificates by one pattern, so that all its profiles must write them alike.
fn check_names(authorities: &[AuthorityConfig], profiles: &Profiles) -> Result<(), Vec<ConfigError>> {
    let mut errors = Vec::new();
    for authority in authorities {
        let mut known = authority.profiles.iter().filter_map(|name| Some((name, profiles.get(&name.value)?)));
        let Some((first, one)) = known.next() else { continue };
        for (name, _) in known.filter(|(_, other)| !one.shares_names_with(other)) {
            let message = format!(
                "names users in another way than {:?}: no pattern of a gateway tells the certificates of both apart; give it \
                 an authority of its own",
                first.value
            );
            errors.push(ConfigError { place: name.place.clone(), message: format!("{:?} {message}", name.value) });
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn delegated(config: &IssuerConfig) -> Result<Option<Delegated>, Vec<ConfigError>> {
    match &config.credentials {
        CredentialsConfig::BuiltIn => Ok(None),
        CredentialsConfig::Delegated { url, timeout, authorization, ca } => {
            Delegated::new(url, *timeout, authorization.as_ref(), ca.as_ref()).map(Some)
        }
    }
}

/// The value, or nothing and its errors among the others.
pub(super) fn keep<T>(errors: &mut Vec<ConfigError>, outcome: Result<T, Vec<ConfigError>>) -> Option<T> {
    outcome.map_err(|found| errors.extend(found)).ok()
}

fn unusable(file: &Placed<PathBuf>, why: &dyn Display) -> Vec<ConfigError> {
    vec![ConfigError { place: file.place.clone(), message: format!("{}: {why}", file.value.display()) }]
}
