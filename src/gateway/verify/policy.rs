//! What one site accepts: which CAs, what their CNs must look like, how long a chain may be.

use super::rules;
use super::signed::{MAX_CAS_OF_ONE_NAME, VerifiedPath};
use super::types::{Reason, Refusal};
use super::usage;
use crate::gateway::verify::identity::{self, Identity, IdentityRule};
use sekisho_config::{self as config, ConfigError, ContractRange};
use sekisho_pki::fingerprint::{AuthorityKey, sha256};
use sekisho_trust::{Authority, Role, TrustSnapshot};
use std::collections::{BTreeMap, BTreeSet};

/// A site's policy for client certificates, resolved against one set of CAs.
#[derive(Clone, Debug)]
pub struct SitePolicy {
    /// CAs that the site names: one of them has to be on a client's path.
    named: BTreeSet<AuthorityKey>,
    /// These and those below them.
    accepted: BTreeSet<AuthorityKey>,
    /// These and those above them: what a path may consist of.
    concerned: BTreeSet<AuthorityKey>,
    /// Contract limits of each CA, which hold for every path over it.
    contracts: BTreeMap<AuthorityKey, Vec<ContractRange>>,
    rules: BTreeMap<AuthorityKey, IdentityRule>,
    limits: ChainLimits,
    fingerprint: [u8; 32],
}

/// What a client may present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainLimits {
    /// Certificates, the leaf counted.
    pub certificates: usize,
    /// Octets of their DER, together.
    pub bytes: usize,
}

impl Default for ChainLimits {
    /// Those of the reference configuration.
    fn default() -> Self {
        Self::from(&config::Limits::default())
    }
}

impl From<&config::Limits> for ChainLimits {
    fn from(limits: &config::Limits) -> Self {
        Self { certificates: limits.chain_certificates, bytes: limits.chain_bytes }
    }
}

impl SitePolicy {
    /// Resolves a site's `ca` list and the CAs' identity patterns against a snapshot.
    ///
    /// A CA in the list lets in every CA below it; a pattern or contract limit holds for the CAs below too, limits
    /// all together, of patterns the nearest.
    ///
    /// # Errors
    /// Every name in the list that is no configured CA, every pattern that cannot be matched whole.
    pub fn new(
        site: &config::Site,
        cas: &[config::Ca],
        trust: &TrustSnapshot,
        limits: ChainLimits,
    ) -> Result<Self, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut named = BTreeSet::new();
        for name in &site.cas {
            match trust.authority_named(name) {
                Some(authority) => {
                    named.insert(authority.key());
                }
                None => errors.push(ConfigError {
                    place: site.place.clone(),
                    message: format!("site {} trusts CA {name}, which is not loaded", site.name),
                }),
            }
        }
        let mut accepted = BTreeSet::new();
        let mut concerned = BTreeSet::new();
        let mut rules = BTreeMap::new();
        for authority in trust.authorities() {
            if with_those_above(authority, trust).any(|above| named.contains(&above.key())) {
                accepted.insert(authority.key());
                concerned.extend(with_those_above(authority, trust).map(Authority::key));
                match rule_of(authority, cas, trust) {
                    Ok(Some(rule)) => {
                        rules.insert(authority.key(), rule);
                    }
                    Ok(None) => {}
                    Err(error) => errors.push(error),
                }
            }
        }
        errors.extend(concerned.iter().filter_map(|key| trust.authority(key)).filter_map(|ca| unusable(ca, cas)));
        if let Some(message) = too_many_of_one_name(&accepted, trust) {
            errors.push(ConfigError { place: site.place.clone(), message: format!("site {} {message}", site.name) });
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let limits_of = |authority: &Authority| cas.iter().find(|ca| ca.name == *authority.name())?.contracts.clone();
        let with_limits = |authority: &Authority| Some((authority.key(), limits_of(authority)?));
        let contracts = trust.authorities().iter().filter_map(with_limits).collect();
        let mut policy = Self { named, accepted, concerned, contracts, rules, limits, fingerprint: [0; 32] };
        policy.fingerprint = policy.digest(&site.name);
        Ok(policy)
    }

    /// From CAs and their rules already resolved; each of the CAs counts as named by the site.
    pub fn from_parts(
        site: &str,
        accepted: BTreeSet<AuthorityKey>,
        rules: BTreeMap<AuthorityKey, IdentityRule>,
        limits: ChainLimits,
    ) -> Self {
        let (named, concerned, contracts) = (accepted.clone(), accepted.clone(), BTreeMap::new());
        let mut policy = Self { named, accepted, concerned, contracts, rules, limits, fingerprint: [0; 32] };
        policy.fingerprint = policy.digest(site);
        policy
    }

    /// Returns `true` if the site names one of these CAs, which are those of a path.
    pub(super) fn accepts_path(&self, mut authorities: impl Iterator<Item = AuthorityKey>) -> bool {
        authorities.any(|authority| self.named.contains(&authority))
    }

    /// Returns `true` if a path of the site's clients may go over this CA.
    pub(super) fn concerns(&self, authority: &AuthorityKey) -> bool {
        self.concerned.contains(authority)
    }

    /// Returns `true` if clients of this CA may enter: what the handshake's hints name.
    pub fn accepts(&self, authority: &AuthorityKey) -> bool {
        self.accepted.contains(authority)
    }

    /// What a client may present.
    pub fn limits(&self) -> ChainLimits {
        self.limits
    }

    /// Changes whenever anything in the policy does.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// The configured CA that issued the leaf, if this site accepts the path.
    pub(super) fn admit<'a>(&self, path: &VerifiedPath<'a>) -> Result<&'a Authority, Refusal> {
        if !self.accepts_path(path.issuer_keys()) {
            let evidence = format!("this site does not accept CA {}", path.anchor().name());
            return Err(Refusal::new(Reason::UnknownCa, evidence));
        }
        let mut issuing = None;
        for issuer in path.issuers() {
            let Some(authority) = issuer.authority else {
                let name = issuer.certificate.subject();
                let evidence = format!("CA {name} is not configured, so its revocation list is missing");
                return Err(Refusal::new(Reason::RevocationUnavailable, evidence));
            };
            issuing.get_or_insert(authority);
        }
        issuing.ok_or_else(|| Refusal::new(Reason::UnknownCa, "the path has no issuer"))
    }

    /// The identity of the path's leaf under the issuing CA's rule and the contract limits of every CA of the path.
    pub(super) fn identify(&self, path: &VerifiedPath<'_>, issuer: &Authority) -> Result<Identity, Refusal> {
        let Some(rule) = self.rules.get(&issuer.key()) else {
            let evidence = format!("CA {} has no identity pattern, so it issues no clients", issuer.name());
            return Err(Refusal::new(Reason::NotPermitted, evidence));
        };
        let identity = identity::extract(path.leaf().subject(), rule)?;
        for ranges in path.issuer_keys().filter_map(|key| self.contracts.get(&key)) {
            identity::check_contract(&identity, ranges)?;
        }
        Ok(identity)
    }

    /// SHA-256 over everything the policy says; its texts are quoted, so that no two policies read alike.
    fn digest(&self, site: &str) -> [u8; 32] {
        let mut text = format!("{site:?} {:?}", self.limits);
        for (set, keys) in [("named", &self.named), ("accepted", &self.accepted), ("concerned", &self.concerned)] {
            text += &format!(" {set}");
            for key in keys {
                text += &format!(" {:?}", key.as_bytes());
            }
        }
        for (key, ranges) in &self.contracts {
            text += &format!(" {:?} {ranges:?}", key.as_bytes());
        }
        for (key, rule) in &self.rules {
            text += &format!(" {:?} {:?} {:?}", key.as_bytes(), rule.pattern(), rule.contracts());
        }
        sha256(&[text.as_bytes()])
    }
}

/// What makes a CA refuse each of its clients.
fn unusable(authority: &Authority, cas: &[config::Ca]) -> Option<ConfigError> {
    if authority.role() != Role::Issuer {
        return None;
    }
    let settings = cas.iter().find(|ca| ca.name == *authority.name())?;
    let usage = || usage::check_configured(authority).map_err(|refusal| refusal.evidence);
    let what =
        rules::check_configured(authority).map_err(|what| format!("{} {what}", authority.certificate().subject()));
    let what = what.and_then(|()| usage()).err()?;
    let file = settings.certificate.value.display();
    Some(ConfigError { place: settings.certificate.place.clone(), message: format!("{file}: {what}") })
}

/// Of more CAs of one name than [`MAX_CAS_OF_ONE_NAME`], a client's could be the one that is not tried any more.
fn too_many_of_one_name(accepted: &BTreeSet<AuthorityKey>, trust: &TrustSnapshot) -> Option<String> {
    let authorities: Vec<&Authority> = accepted.iter().filter_map(|key| trust.authority(key)).collect();
    authorities.iter().find_map(|first| {
        let name = first.certificate().subject();
        let same: Vec<&str> = authorities
            .iter()
            .filter(|other| other.role() == Role::Issuer && other.certificate().subject() == name)
            .map(|other| &**other.name())
            .collect();
        (same.len() > MAX_CAS_OF_ONE_NAME).then(|| {
            format!(
                "accepts {} CAs with the one subject {name} ({}); at most {MAX_CAS_OF_ONE_NAME} are tried for a client. \
                 Remove those that have no valid certificates any more, or give them sites of their own",
                same.len(),
                same.join(", ")
            )
        })
    })
}

pub(super) fn describe(identity: &Identity) -> String {
    let captures: Vec<String> = identity.captures().map(|(name, value)| format!("{name} {value:?}")).collect();
    format!("CN {:?} ({})", identity.common_name(), captures.join(", "))
}

/// A CA and the CAs above it; `config` has made sure that `issued_by` runs in no circle, and the number of CAs ends it.
fn with_those_above<'a>(authority: &'a Authority, trust: &'a TrustSnapshot) -> impl Iterator<Item = &'a Authority> {
    std::iter::successors(Some(authority), |below| below.issued_by().and_then(|key| trust.authority(&key)))
        .take(trust.authorities().len())
}

fn rule_of(
    authority: &Authority,
    cas: &[config::Ca],
    trust: &TrustSnapshot,
) -> Result<Option<IdentityRule>, ConfigError> {
    let settings: Vec<&config::Ca> =
        with_those_above(authority, trust).filter_map(|above| cas.iter().find(|ca| ca.name == *above.name())).collect();
    let Some(pattern) = settings.iter().find_map(|ca| ca.identity.as_ref()) else { return Ok(None) };
    let contracts: Vec<Vec<ContractRange>> = settings.iter().filter_map(|ca| ca.contracts.clone()).collect();
    IdentityRule::new(&pattern.value, contracts).map(Some).map_err(|error| ConfigError {
        place: pattern.place.clone(),
        message: format!("the pattern cannot be matched whole: {error}"),
    })
}
