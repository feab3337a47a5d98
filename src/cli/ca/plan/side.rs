//! One of the two configurations, with the CAs' certificates: a CA is its name and key, whatever it is called.

use regex::Regex;
use sekisho_config::{self as config, Ca, CaState, ClientAuth, Config, Site};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_pki::pem;
use std::path::Path;

/// A configuration and its CAs' certificates.
pub(super) struct Side {
    pub(super) config: Config,
    cas: Vec<Known>,
    /// By the CA's place: what a CN must match, whole.
    patterns: Vec<Option<Regex>>,
}

/// One CA of it.
pub(super) struct Known {
    pub(super) key: AuthorityKey,
    pub(super) subject: String,
    pub(super) name: String,
}

/// Why a client would not get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Locked {
    NoSite,
    NoCa,
    NotAtSite,
    NotForContract,
    NotThePattern,
}

impl Side {
    /// Reads a configuration and the CA certificates that it names.
    ///
    /// # Errors
    /// Every error, a line each.
    pub(super) fn load(path: &Path) -> Result<Self, Vec<String>> {
        let config = config::load(path).map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        let (mut cas, mut patterns, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for ca in &config.cas {
            match certificate(ca) {
                Ok(certificate) => cas.push(Known {
                    key: certificate.authority_key(),
                    subject: certificate.subject().to_string(),
                    name: ca.name.to_string(),
                }),
                Err(why) => {
                    let file = ca.certificate.value.display();
                    errors.push(format!("{}: {file}: {why}", ca.certificate.place));
                }
            }
            let written = config.line_up(&ca.name).find_map(|ca| ca.identity.as_ref());
            match written.map(|written| Regex::new(&format!(r"\A(?:{})\z", written.value.as_str()))).transpose() {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => errors.push(format!("{}: the pattern cannot be matched whole: {error}", ca.place)),
            }
        }
        if errors.is_empty() { Ok(Self { config, cas, patterns }) } else { Err(errors) }
    }

    /// Its CAs, in the order of the file.
    pub(super) fn cas(&self) -> &[Known] {
        &self.cas
    }

    /// The CA with this name and key.
    pub(super) fn of_key(&self, key: &AuthorityKey) -> Option<&Known> {
        self.cas.iter().find(|ca| ca.key == *key)
    }

    /// The state of a CA's clients; none when it is not there.
    pub(super) fn state(&self, key: &AuthorityKey) -> Option<CaState> {
        self.of_key(key).map(|ca| self.config.state_of(&ca.name))
    }

    /// Whether a client would get in at a site of another configuration.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn lets_in(
        &self,
        site: Option<&Site>,
        key: &AuthorityKey,
        contract: Option<&str>,
        common_name: Option<&str>,
    ) -> Result<(), Locked> {
        let site = site.and_then(|site| self.site_like(site)).ok_or(Locked::NoSite)?;
        if site.client_auth == ClientAuth::None {
            return Ok(());
        }
        let place = self.cas.iter().position(|ca| ca.key == *key).ok_or(Locked::NoCa)?;
        let name = self.cas.get(place).map_or("", |ca| &ca.name);
        if !self.config.lets_in(site, name) {
            return Err(Locked::NotAtSite);
        }
        let mut limits = self.config.line_up(name).filter_map(|ca| ca.contracts.as_ref());
        let is_within = match contract {
            Some(contract) => limits.all(|ranges| ranges.iter().any(|range| range.contains(contract))),
            None => limits.next().is_none(),
        };
        if !is_within {
            return Err(Locked::NotForContract);
        }
        match (self.patterns.get(place).and_then(Option::as_ref), common_name) {
            (Some(pattern), Some(name)) if !pattern.is_match(name) => Err(Locked::NotThePattern),
            (None, _) => Err(Locked::NotThePattern),
            (Some(_), _) => Ok(()),
        }
    }

    /// The site of the same name, or else the one that has one of its server names.
    fn site_like(&self, other: &Site) -> Option<&Site> {
        let sites = &self.config.sites;
        let shares = |site: &&Site| site.server_names.iter().any(|name| other.server_names.contains(name));
        sites.iter().find(|site| site.name == other.name).or_else(|| sites.iter().find(shares))
    }
}

fn certificate(ca: &Ca) -> Result<Certificate, String> {
    let octets = std::fs::read(&ca.certificate.value).map_err(|error| format!("cannot be read: {error}"))?;
    match pem::certificates(&octets).map_err(|error| error.to_string())?.as_slice() {
        [one] => Certificate::parse(one).map_err(|error| error.to_string()),
        several => Err(format!("it holds {} certificates; each CA has its own file with one", several.len())),
    }
}

impl Locked {
    /// In words, after "site ib: ".
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::NoSite => "the site is not there",
            Self::NoCa => "the CA is not there",
            Self::NotAtSite => "the site does not accept the CA",
            Self::NotForContract => "the CA is not for the contract",
            Self::NotThePattern => "the CA's identity pattern does not match the CN",
        }
    }
}
