//! What one site accepts: which CAs, what their CNs must look like, how long a chain may be.

use super::path::CandidatePath;
use super::types::{Reason, Refusal};
use crate::config::{self, ConfigError, ContractRange};
use crate::gateway::identity::{self, Identity, IdentityRule};
use crate::pki::fingerprint::{AuthorityKey, sha256};
use crate::trust::{Authority, TrustSnapshot};
use std::collections::{BTreeMap, BTreeSet};

/// A site's policy for client certificates, resolved against one set of CAs.
#[derive(Clone, Debug)]
pub struct SitePolicy {
    accepted: BTreeSet<AuthorityKey>,
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
        let mut rules = BTreeMap::new();
        for authority in trust.authorities() {
            if with_those_above(authority, trust).any(|above| named.contains(&above.key())) {
                accepted.insert(authority.key());
                match rule_of(authority, cas, trust) {
                    Ok(Some(rule)) => {
                        rules.insert(authority.key(), rule);
                    }
                    Ok(None) => {}
                    Err(error) => errors.push(error),
                }
            }
        }
        if errors.is_empty() { Ok(Self::from_parts(&site.name, accepted, rules, limits)) } else { Err(errors) }
    }

    /// From CAs and their rules already resolved.
    pub fn from_parts(
        site: &str,
        accepted: BTreeSet<AuthorityKey>,
        rules: BTreeMap<AuthorityKey, IdentityRule>,
        limits: ChainLimits,
    ) -> Self {
        let fingerprint = fingerprint(site, &accepted, &rules, limits);
        Self { accepted, rules, limits, fingerprint }
    }

    /// Whether clients of this CA, or of one below it, may enter.
    pub fn accepts(&self, authority: &AuthorityKey) -> bool {
        self.accepted.contains(authority)
    }

    /// CAs whose clients may enter: what the handshake's hints name.
    pub fn accepted(&self) -> impl Iterator<Item = &AuthorityKey> {
        self.accepted.iter()
    }

    /// What a client may present.
    pub fn limits(&self) -> ChainLimits {
        self.limits
    }

    /// Changes whenever anything in the policy does.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// The configured CA that issued the leaf, if this site accepts it.
    pub(super) fn admit<'a>(
        &self,
        candidate: &CandidatePath<'a>,
        trust: &'a TrustSnapshot,
    ) -> Result<&'a Authority, Refusal> {
        if !candidate.issuers().any(|issuer| self.accepts(&issuer)) {
            let evidence = format!("this site does not accept CA {}", candidate.anchor().name());
            return Err(Refusal::new(Reason::UnknownCa, evidence));
        }
        let mut names = candidate.intermediates().chain([candidate.anchor().certificate()]);
        let mut issuing = None;
        for key in candidate.issuers() {
            let name = names.next();
            match trust.authority(&key) {
                Some(authority) => {
                    issuing.get_or_insert(authority);
                }
                None => {
                    let name = name.map_or_else(String::new, |certificate| certificate.subject().to_string());
                    let evidence = format!("CA {name} is not configured, so its revocation list is missing");
                    return Err(Refusal::new(Reason::RevocationUnavailable, evidence));
                }
            }
        }
        issuing.ok_or_else(|| Refusal::new(Reason::UnknownCa, "the path has no issuer"))
    }

    /// The identity of the path's leaf under the issuing CA's rule.
    pub(super) fn identify(&self, candidate: &CandidatePath<'_>, issuer: &Authority) -> Result<Identity, Refusal> {
        let Some(rule) = self.rules.get(&issuer.key()) else {
            let evidence = format!("CA {} has no identity pattern, so it issues no clients", issuer.name());
            return Err(Refusal::new(Reason::NotPermitted, evidence));
        };
        identity::extract(candidate.leaf().subject(), rule)
    }
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

/// SHA-256 over everything the policy says; its texts are quoted, so that no two policies read alike.
fn fingerprint(
    site: &str,
    accepted: &BTreeSet<AuthorityKey>,
    rules: &BTreeMap<AuthorityKey, IdentityRule>,
    limits: ChainLimits,
) -> [u8; 32] {
    let mut text = format!("{site:?} {limits:?}");
    for key in accepted {
        text += &format!(" {:?}", key.as_bytes());
    }
    for (key, rule) in rules {
        text += &format!(" {:?} {:?} {:?}", key.as_bytes(), rule.pattern(), rule.contracts());
    }
    sha256(&[text.as_bytes()])
}
