//! What `sekisho verify` decides on: the chain, the trust and the policy, from files or from a configuration.

use super::Arguments;
use crate::gateway::verify::identity::IdentityRule;
use crate::gateway::verify::{ChainLimits, SitePolicy};
use crate::gateway::{RecalledTrust, recalled_trust};
use regex::Regex;
use rustls::pki_types::CertificateDer;
use sekisho_config::{self as config, AnchorExpiry, Config, ConfigError, WithoutNumber};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::signature::verify_certificate;
use sekisho_pki::time::Timestamp;
use sekisho_pki::{fingerprint::AuthorityKey, pem};
use sekisho_trust::{self as trust, Alarm, AuthorityParts, ListParts, ListPolicy, RevocationParts, TrustSnapshot};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Everything the decision needs.
pub(super) struct Ground {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) trust: Arc<TrustSnapshot>,
    pub(super) policy: SitePolicy,
    /// Lists that were not taken, and why.
    pub(super) alarms: Vec<Alarm>,
    /// What a running gateway may know beyond this.
    pub(super) unknown: Vec<String>,
}

impl Ground {
    /// Reads it; each error is one line that names file and option.
    pub(super) fn read(arguments: &Arguments, now: Timestamp) -> Result<Self, Vec<String>> {
        let chain = certificates(&arguments.chain, "--chain").map_err(|error| vec![error])?;
        match (&arguments.config, &arguments.site) {
            (Some(file), Some(site)) => Self::from_config(chain, file, site, now),
            _ => Self::from_files(chain, arguments, now).map_err(|error| vec![error]),
        }
    }

    fn from_config(
        chain: Vec<CertificateDer<'static>>,
        file: &Path,
        site: &str,
        now: Timestamp,
    ) -> Result<Self, Vec<String>> {
        let config = config::load(file).map_err(lines)?;
        let Config { cas, sites, limits, .. } = &config;
        let Some(site) = sites.iter().find(|candidate| *candidate.name == *site) else {
            let known: Vec<&str> = sites.iter().map(|site| &*site.name).collect();
            return Err(vec![format!("--site {site}: {} has only {}", file.display(), known.join(", "))]);
        };
        let RecalledTrust { trust, alarms, unknown } = recalled_trust(&config, now).map_err(lines)?;
        let policy = SitePolicy::new(site, cas, &trust, limits.into()).map_err(lines)?;
        Ok(Self { chain, trust, policy, alarms, unknown })
    }

    fn from_files(chain: Vec<CertificateDer<'static>>, arguments: &Arguments, now: Timestamp) -> Result<Self, String> {
        let mut authorities = Authorities { found: Vec::new(), revocation: revocation(arguments) };
        for file in &arguments.ca {
            for certificate in parsed(file, "--ca")? {
                authorities.add(certificate, None, &format!("--ca {}", file.display()));
            }
        }
        let mut issuing = Vec::new();
        for file in &arguments.issuing {
            let option = format!("--issuing {}", file.display());
            issuing.extend(parsed(file, "--issuing")?.into_iter().map(|certificate| (certificate, option.clone())));
        }
        if let Some((left, option)) = authorities.add_below(issuing).first() {
            return Err(format!("{option}: no --ca or --issuing CA issued {}", left.subject()));
        }
        let configured = authorities.found.len();
        let sent_along = chain.iter().skip(1).filter_map(|der| Certificate::parse(der).ok());
        authorities.add_below(sent_along.map(|certificate| (certificate, "--chain".to_owned())).collect());

        let lists = lists(arguments)?;
        let lists: Vec<ListParts<'_>> =
            lists.iter().map(|(file, der)| ListParts { file: Arc::clone(file), der }).collect();
        let outcome = authorities.snapshot(configured, &lists, now)?;
        let policy = policy(arguments.identity.as_deref(), &outcome.snapshot)?;
        Ok(Self { chain, trust: outcome.snapshot, policy, alarms: outcome.alarms, unknown: Vec::new() })
    }
}

/// CAs as they are found, each below one found before.
struct Authorities {
    found: Vec<(AuthorityParts, String)>,
    revocation: RevocationParts,
}

impl Authorities {
    /// A CA under its subject; the same name and key twice is one CA.
    fn add(&mut self, certificate: Certificate, issued_by: Option<Arc<str>>, option: &str) {
        let has = |key: &AuthorityKey| self.found.iter().any(|(other, _)| other.certificate.authority_key() == *key);
        if has(&certificate.authority_key()) {
            return;
        }
        let subject = certificate.subject().to_string();
        let same_name = self.found.iter().filter(|(other, _)| other.certificate.subject() == certificate.subject());
        let name = match same_name.count() {
            0 => subject,
            others => format!("{subject} (key {})", others + 1),
        };
        let parts = AuthorityParts {
            name: name.into(),
            certificate,
            issued_by,
            anchor_expiry: AnchorExpiry::Check,
            revocation: self.revocation,
        };
        self.found.push((parts, option.to_owned()));
    }

    /// Adds the CAs that one found before issued, whatever their order; gives back the others.
    fn add_below(&mut self, mut left: Vec<(Certificate, String)>) -> Vec<(Certificate, String)> {
        loop {
            let before = left.len();
            left.retain(|(certificate, option)| match self.issuer_of(certificate) {
                Some(above) => {
                    self.add(certificate.clone(), Some(above), option);
                    false
                }
                None => true,
            });
            if left.len() == before {
                return left;
            }
        }
    }

    fn issuer_of(&self, certificate: &Certificate) -> Option<Arc<str>> {
        let issued = |above: &Certificate| {
            above.subject() == certificate.issuer()
                && verify_certificate(certificate.der(), above.subject_public_key_info()).is_ok()
        };
        self.found.iter().find(|(above, _)| issued(&above.certificate)).map(|(above, _)| Arc::clone(&above.name))
    }

    /// The snapshot. A CA of the chain that a configuration would refuse is left out; one of the options is an error.
    fn snapshot(
        mut self,
        mut configured: usize,
        lists: &[ListParts<'_>],
        now: Timestamp,
    ) -> Result<trust::LoadOutcome, String> {
        loop {
            let parts: Vec<AuthorityParts> = self.found.iter().map(|(parts, _)| parts.clone()).collect();
            let errors = match TrustSnapshot::from_parts(&parts, lists, None, now) {
                Ok(outcome) => return Ok(outcome),
                Err(errors) => errors.0,
            };
            let wrong = |parts: &AuthorityParts| errors.iter().find(|(name, _)| *name == parts.name);
            for (parts, option) in self.found.iter().take(configured) {
                if let Some((name, message)) = wrong(parts) {
                    return Err(format!("{option}: {name}: {message}"));
                }
            }
            let before = self.found.len();
            self.found.retain(|(parts, _)| wrong(parts).is_none());
            configured = configured.min(self.found.len());
            if self.found.len() == before {
                return Err(format!("--chain: {}", trust::PartsError(errors)));
            }
        }
    }
}

fn revocation(arguments: &Arguments) -> RevocationParts {
    if arguments.no_revocation {
        return RevocationParts::None;
    }
    let without_number = if arguments.without_number { WithoutNumber::Accept } else { WithoutNumber::Refuse };
    let hours = |hours: u32| Duration::from_secs(3_600 * u64::from(hours));
    let without_next_update = arguments.without_next_update.map(hours);
    RevocationParts::Lists(ListPolicy { without_number, without_next_update, ..ListPolicy::default() })
}

/// All CAs accepted, one pattern for all of them, the limits of the reference configuration.
fn policy(pattern: Option<&str>, trust: &TrustSnapshot) -> Result<SitePolicy, String> {
    let pattern = Regex::new(pattern.unwrap_or("(?s).*")).map_err(|error| format!("--identity: {error}"))?;
    let rule = IdentityRule::new(&pattern, Vec::new()).map_err(|error| format!("--identity: {error}"))?;
    let keys = || trust.authorities().iter().map(|authority| authority.key());
    let rules = keys().map(|key| (key, rule.clone())).collect();
    Ok(SitePolicy::from_parts("verify", keys().collect(), rules, ChainLimits::default()))
}

/// A list and the file it came from.
type NamedList = (Arc<str>, Vec<u8>);

fn lists(arguments: &Arguments) -> Result<Vec<NamedList>, String> {
    let mut found = Vec::new();
    for file in &arguments.crl {
        let bytes = read(file, "--crl")?;
        let lists = pem::revocation_lists(&bytes).map_err(|error| described("--crl", file, &error))?;
        let name: Arc<str> = file.display().to_string().into();
        found.extend(lists.into_iter().map(|list| (Arc::clone(&name), list.into_owned())));
    }
    Ok(found)
}

fn parsed(file: &Path, option: &str) -> Result<Vec<Certificate>, String> {
    let parse = |der: &CertificateDer<'_>| {
        Certificate::parse(der).map_err(|error| format!("{option} {}: {error}", file.display()))
    };
    certificates(file, option)?.iter().map(parse).collect()
}

fn certificates(file: &Path, option: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    pem::certificates(&read(file, option)?).map_err(|error| described(option, file, &error))
}

fn read(file: &Path, option: &str) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| format!("{option} {}: {error}", file.display()))
}

fn described(option: &str, file: &Path, error: &pem::PemError) -> String {
    let line = if error.line == 0 { String::new() } else { format!(":{}", error.line) };
    format!("{option} {}{line}: {}", file.display(), error.message)
}

fn lines(errors: Vec<ConfigError>) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}
