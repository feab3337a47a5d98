//! The certification authorities of the configuration, with their keys, ready to sign.

use sekisho_ca::authority::{AuthorityError, PublicUrl};
use sekisho_ca::crl::DistributionPoints;
use sekisho_ca::key_file::{self, KeyFileError, Passphrase};
use sekisho_ca::{Authority, PublicationPoints, SigningKey};
use sekisho_config::issuer::{AuthorityConfig, PassphraseSource};
use sekisho_config::{ConfigError, Place, Placed};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::pem;
use sekisho_pki::signature::verify_certificate;
use sekisho_pki::time::Timestamp;
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Octets of a certificate file that are read: a hundred times a chain of three with its text.
const MAX_CERTIFICATE_FILE_BYTES: u64 = 1 << 20;

/// Certificates a chain may have above an authority: clients refuse longer ones.
const MAX_CHAIN: usize = 8;

/// Every authority, and which one signs for a profile.
#[derive(Debug)]
pub struct Authorities {
    list: Vec<Arc<IssuingAuthority>>,
    by_profile: HashMap<Arc<str>, Arc<IssuingAuthority>>,
}

/// An authority that signs users' certificates.
pub struct IssuingAuthority {
    /// Its name in the configuration, in URLs and in the store.
    pub name: Arc<str>,
    /// Its certificate, key and publication points.
    pub authority: Authority,
    /// The authorities above it, the root last; empty when it is a root itself.
    pub chain: Vec<Certificate>,
    /// Its table.
    pub config: AuthorityConfig,
    key: Arc<dyn SigningKey>,
}

impl Authorities {
    /// Reads certificates and keys and checks everything that would show only when the first certificate is used.
    ///
    /// # Errors
    /// Every error of every authority, each one line at its key's place, without anything of a secret.
    pub fn load(configs: &[AuthorityConfig], now: Timestamp) -> Result<Self, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut list = Vec::with_capacity(configs.len());
        for config in configs {
            match read(config).and_then(|(certificate, chain, key)| {
                IssuingAuthority::new(config.clone(), certificate, chain, key, now).map_err(|error| vec![error])
            }) {
                Ok(authority) => list.push(authority),
                Err(more) => errors.extend(more),
            }
        }
        // Also of those that could not be read: which profiles they name is known.
        errors.extend(doubled_profiles(configs.iter()));
        match Self::of(list) {
            Ok(authorities) if errors.is_empty() => Ok(authorities),
            Ok(_) => Err(errors),
            Err(more) => {
                errors.extend(more.into_iter().filter(|error| !errors.contains(error)).collect::<Vec<_>>());
                Err(errors)
            }
        }
    }

    /// From authorities that are there already.
    ///
    /// # Errors
    /// A profile, name or key that two of them have.
    pub fn of(list: Vec<IssuingAuthority>) -> Result<Self, Vec<ConfigError>> {
        let mut errors = doubled_profiles(list.iter().map(|authority| &authority.config));
        let list: Vec<_> = list.into_iter().map(Arc::new).collect();
        for (index, authority) in list.iter().enumerate() {
            for before in list.iter().take(index) {
                if before.name == authority.name {
                    let message = format!("authority {} is there twice", authority.name);
                    errors.push(ConfigError { place: authority.place("name"), message });
                }
                // Two registers of one key would sign lists that contradict each other.
                if before.authority.certificate().authority_key() == authority.authority.certificate().authority_key() {
                    let message = format!("authority {} has the same name and key", before.name);
                    errors.push(ConfigError { place: authority.config.certificate.place.clone(), message });
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut by_profile = HashMap::new();
        for authority in &list {
            for profile in &authority.config.profiles {
                by_profile.insert(Arc::clone(&profile.value), Arc::clone(authority));
            }
        }
        Ok(Self { list, by_profile })
    }

    /// Checks that each profile has an authority, and that none names a profile that is not there; `place` is where
    /// profiles are configured.
    ///
    /// # Errors
    /// One for each profile that fails.
    pub fn check_profiles<'a>(
        &self,
        profiles: impl IntoIterator<Item = &'a str>,
        place: &Place,
    ) -> Result<(), Vec<ConfigError>> {
        let profiles: Vec<&str> = profiles.into_iter().collect();
        let mut errors: Vec<_> = profiles
            .iter()
            .filter(|profile| !self.by_profile.contains_key(**profile))
            .map(|profile| format!("profile {profile} has no authority; name it in the profiles of one [[authority]]"))
            .map(|message| ConfigError { place: place.clone(), message })
            .collect();
        for named in self.list.iter().flat_map(|authority| &authority.config.profiles) {
            if !profiles.contains(&&*named.value) {
                let message = format!("there is no profile {}", named.value);
                errors.push(ConfigError { place: named.place.clone(), message });
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// The one that signs for a profile.
    pub fn of_profile(&self, profile: &str) -> Option<&Arc<IssuingAuthority>> {
        self.by_profile.get(profile)
    }

    /// The one of this name.
    pub fn named(&self, name: &str) -> Option<&Arc<IssuingAuthority>> {
        self.list.iter().find(|authority| &*authority.name == name)
    }

    /// All of them, in the order of the configuration.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<IssuingAuthority>> {
        self.list.iter()
    }
}

impl IssuingAuthority {
    /// From its parts; `chain` is what lies above it, the root last, and may begin with the certificate itself.
    ///
    /// # Errors
    /// The first thing that is wrong, at its key's place.
    pub fn new(
        config: AuthorityConfig,
        certificate: Certificate,
        mut chain: Vec<Certificate>,
        key: Arc<dyn SigningKey>,
        now: Timestamp,
    ) -> Result<Self, ConfigError> {
        let at = |placed: &Placed<PathBuf>, message: String| refusal(placed, &message);
        if chain.first().is_some_and(|first| first.der() == certificate.der()) {
            chain.remove(0);
        }
        if certificate.is_self_issued() && chain.is_empty() && !config.profiles.is_empty() {
            let message = format!(
                "{} is a root: a root's key stays offline; make an authority below it (sekisho-issuer ca issue-intermediate)",
                certificate.subject()
            );
            return Err(at(&config.certificate, message));
        }
        check_begin(&certificate, now).map_err(|message| at(&config.certificate, message))?;
        if let Err(expired) = check_validity(&certificate, now) {
            // The others must start: it signs no certificate any more, and goes on publishing what it revoked.
            tracing::error!(authority = %config.name, "authority is over, it signs no more certificates: {expired}");
        }
        check_chain(&certificate, &chain, now).map_err(|message| at(&config.chain, message))?;
        let points = points(&config)?;
        check_times(&config)?;
        let authority =
            Authority::new(certificate, Box::new(Arc::clone(&key)), points).map_err(|error| match error {
                AuthorityError::OtherKey => at(&config.key, error.to_string()),
                _ => at(&config.certificate, error.to_string()),
            })?;
        Ok(Self { name: Arc::clone(&config.name), authority, chain, config, key })
    }

    /// What a client needs between its own certificate and the root it has: the authority's own certificate is not
    /// among them, nor is the root.
    pub fn chain_without_root(&self) -> &[Certificate] {
        self.chain.split_last().map_or(&[], |(_, above)| above)
    }

    /// Its key once more, for its OCSP answers.
    pub(super) fn key(&self) -> Arc<dyn SigningKey> {
        Arc::clone(&self.key)
    }

    fn place(&self, key: &str) -> Place {
        key_place(&self.config, key)
    }
}

/// Nothing of its key.
impl fmt::Debug for IssuingAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuingAuthority({}, {:?})", self.name, self.authority)
    }
}

/// Certificate, chain and key from their files; every file that is wrong.
type Read = (Certificate, Vec<Certificate>, Arc<dyn SigningKey>);

fn read(config: &AuthorityConfig) -> Result<Read, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let mut keep = |error: ConfigError| errors.push(error);
    let certificate = read_certificates(&config.certificate, 1).map_err(&mut keep).ok();
    let chain = read_certificates(&config.chain, MAX_CHAIN + 1).map_err(&mut keep).ok();
    let key = read_key(config).map_err(&mut keep).ok();
    if let Some(folder) = config.publish_folder.as_ref().filter(|folder| !folder.value.is_dir()) {
        keep(refusal(folder, "it is not a folder; make it, for the issuer to write and the gateways to read"));
    }
    match (certificate.and_then(|mut one| one.pop()), chain, key) {
        (Some(certificate), Some(chain), Some(key)) if errors.is_empty() => Ok((certificate, chain, key)),
        _ => Err(errors),
    }
}

fn read_certificates(file: &Placed<PathBuf>, most: usize) -> Result<Vec<Certificate>, ConfigError> {
    let refuse = |message: String| refusal(file, &message);
    let bytes = read_file(&file.value).map_err(refuse)?;
    let found = pem::certificates(&bytes).map_err(|error| refuse(error.to_string()))?;
    if found.len() > most {
        return Err(refuse(format!("it holds {} certificates; at most {most} belong here", found.len())));
    }
    found.iter().map(|der| Certificate::parse(der).map_err(|error| refuse(error.to_string()))).collect()
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| format!("it cannot be read: {error}"))?;
    let mut bytes = Vec::new();
    file.take(MAX_CERTIFICATE_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("it cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_CERTIFICATE_FILE_BYTES {
        return Err(format!("it has more than {MAX_CERTIFICATE_FILE_BYTES} octets"));
    }
    Ok(bytes)
}

fn read_key(config: &AuthorityConfig) -> Result<Arc<dyn SigningKey>, ConfigError> {
    let (passphrase, source) = match &config.passphrase.value {
        PassphraseSource::File(path) => (Passphrase::from_file(path), path.display().to_string()),
        PassphraseSource::Variable(name) => (Passphrase::from_variable(name), format!("${name}")),
    };
    let passphrase = passphrase.map_err(|error| ConfigError {
        place: config.passphrase.place.clone(),
        message: match error {
            // It names the variable itself.
            KeyFileError::NoVariable(_) => error.to_string(),
            error => format!("{source}: {error}"),
        },
    })?;
    match key_file::load(&config.key.value, &passphrase) {
        Ok(key) => Ok(Arc::new(key)),
        Err(error) => Err(refusal(&config.key, &error.to_string())),
    }
}

fn check_validity(certificate: &Certificate, now: Timestamp) -> Result<(), String> {
    let end = certificate.not_after();
    if now > end {
        return Err(format!("{} expired: it was valid until {end}", certificate.subject()));
    }
    check_begin(certificate, now)
}

fn check_begin(certificate: &Certificate, now: Timestamp) -> Result<(), String> {
    let begin = certificate.not_before();
    if now < begin {
        return Err(format!("{} is not valid before {begin}", certificate.subject()));
    }
    Ok(())
}

/// Each signed by the next, up to one that signed itself.
fn check_chain(certificate: &Certificate, above: &[Certificate], now: Timestamp) -> Result<(), String> {
    if above.len() > MAX_CHAIN {
        return Err(format!("there are more than {MAX_CHAIN} authorities above it"));
    }
    let mut below = certificate;
    for issuer in above {
        let name = issuer.subject();
        if below.issuer() != name {
            return Err(format!("{} is issued by {}, and {name} follows it", below.subject(), below.issuer()));
        }
        if !issuer.basic_constraints().is_some_and(|constraints| constraints.ca)
            || !issuer.key_usage().is_none_or(|usage| usage.key_cert_sign())
        {
            return Err(format!("{name} may not sign certificates"));
        }
        check_begin(issuer, now)?;
        signed_by(below, issuer)?;
        below = issuer;
    }
    if !below.is_self_issued() {
        return Err(format!(
            "the chain ends with {}, which is no root: it is issued by {}",
            below.subject(),
            below.issuer()
        ));
    }
    signed_by(below, below)
}

fn signed_by(certificate: &Certificate, issuer: &Certificate) -> Result<(), String> {
    verify_certificate(certificate.der(), issuer.subject_public_key_info())
        .map_err(|error| format!("{} is not signed by the key of {}: {error}", certificate.subject(), issuer.subject()))
}

fn points(config: &AuthorityConfig) -> Result<PublicationPoints, ConfigError> {
    let at = |key: &str, message: String| ConfigError { place: key_place(config, key), message };
    let parse = |key: &str, url: &Option<String>| {
        url.as_ref().map(|url| url.parse::<PublicUrl>().map_err(|message| at(key, message))).transpose()
    };
    // Alone first, so that the error is at the URL that is wrong.
    DistributionPoints::new(&config.crl_url, None, config.parts).map_err(|message| at("crl_url", message))?;
    let lists = DistributionPoints::new(&config.crl_url, config.delta_url.as_deref(), config.parts)
        .map_err(|message| at("delta_url", message))?;
    Ok(PublicationPoints {
        revocation_lists: Some(lists),
        ocsp: parse("ocsp_url", &config.ocsp_url)?,
        ca_issuers: parse("ca_issuers_url", &config.ca_issuers_url)?,
    })
}

/// A list must be followed by the next before it is over, and times are in seconds.
fn check_times(config: &AuthorityConfig) -> Result<(), ConfigError> {
    let at = |key: &str, message: &str| ConfigError { place: key_place(config, key), message: message.to_owned() };
    if config.crl_interval.as_secs() == 0 {
        return Err(at("crl_interval", "a list is made at most every second"));
    }
    if config.crl_interval >= config.crl_lifetime {
        return Err(at("crl_interval", "must be shorter than crl_lifetime, or lists are over before the next comes"));
    }
    if config.ocsp_lifetime.as_secs() == 0 || u32::try_from(config.ocsp_lifetime.as_secs()).is_err() {
        return Err(at("ocsp_lifetime", "an answer must hold for a second at least, and a century at most"));
    }
    Ok(())
}

fn doubled_profiles<'a>(configs: impl Iterator<Item = &'a AuthorityConfig>) -> Vec<ConfigError> {
    let mut seen: HashMap<&str, &str> = HashMap::new();
    let mut errors = Vec::new();
    for config in configs {
        for profile in &config.profiles {
            if let Some(other) = seen.insert(&profile.value, &config.name) {
                let message = format!("profile {} is authority {other}'s already", profile.value);
                errors.push(ConfigError { place: profile.place.clone(), message });
            }
        }
    }
    errors
}

fn refusal(file: &Placed<PathBuf>, message: &str) -> ConfigError {
    ConfigError { place: file.place.clone(), message: format!("{}: {message}", file.value.display()) }
}

/// The place of a key whose line was not kept: the table's, with the key.
fn key_place(config: &AuthorityConfig, key: &str) -> Place {
    let key = if config.place.key.is_empty() { key.to_owned() } else { format!("{}.{key}", config.place.key) };
    Place { key, ..config.place.clone() }
}
