//! Certificate policies (RFC 5280 sections 4.2.1.4, 4.2.1.5, 4.2.1.11, 4.2.1.14), which every implementation has to
//! recognise (section 4.2).
//!
//! Any policy is acceptable here (user-initial-policy-set is anyPolicy), so that policies decide only where a CA asks for
//! an explicit one. Then the policies of a path are intersected. Two things are not done, which may refuse more than section
//! 6.1 does, and never less: mappings are not followed, so that a path that maps policies and has to have an explicit one is
//! refused; and anyPolicy stands for no policy that a CA above has named, but in a self-issued certificate.

use super::certificate::Certificate;
use std::fmt;
use x509_parser::extensions::ParsedExtension;

/// Content of the object identifier anyPolicy, 2.5.29.32.0.
const ANY_POLICY: &[u8] = &[0x55, 0x1d, 32, 0];

/// What a certificate says of policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// Contents of the object identifiers of certificatePolicies, when the extension is there.
    named: Option<Vec<Vec<u8>>>,
    has_mappings: bool,
    /// A mapping is from or to anyPolicy, which section 4.2.1.5 forbids.
    maps_any: bool,
    require_explicit: Option<u32>,
    inhibit_any: Option<u32>,
}

/// Why the policies of a path are not acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyError {
    /// A CA asks for an explicit policy and the path has none in common.
    NoneInCommon,
    /// A CA asks for an explicit policy and another maps policies.
    Mapped,
    /// A CA maps anyPolicy.
    MapsAny,
}

/// The policies that are valid so far (section 6.1.2 (a), without the tree, since nothing is mapped).
enum Valid<'a> {
    Any,
    Some(Vec<&'a [u8]>),
}

impl Policies {
    /// Takes in an extension if it is one about policies.
    pub(super) fn read(&mut self, extension: &ParsedExtension<'_>) -> bool {
        match extension {
            ParsedExtension::CertificatePolicies(found) => {
                self.named = Some(found.iter().map(|policy| policy.policy_id.as_bytes().to_vec()).collect());
            }
            ParsedExtension::PolicyMappings(found) => {
                self.has_mappings = true;
                let is_any = |oid: &x509_parser::oid_registry::Oid<'_>| oid.as_bytes() == ANY_POLICY;
                let any = |mapping: &x509_parser::extensions::PolicyMapping<'_>| {
                    is_any(&mapping.issuer_domain_policy) || is_any(&mapping.subject_domain_policy)
                };
                self.maps_any = found.mappings.iter().any(any);
            }
            ParsedExtension::PolicyConstraints(found) => self.require_explicit = found.require_explicit_policy,
            ParsedExtension::InhibitAnyPolicy(found) => self.inhibit_any = Some(found.skip_certs),
            _ => return false,
        }
        true
    }
}

/// Checks the policies of a path: its anchor, the CAs below it from the top, its leaf.
///
/// To RFC 5280 an anchor is a name and a key; what this one says of explicit policies is heeded.
///
/// # Errors
/// [`PolicyError`].
pub fn check<'a>(
    anchor: &Certificate,
    below: impl ExactSizeIterator<Item = &'a Certificate>,
) -> Result<(), PolicyError> {
    let count = u32::try_from(below.len()).unwrap_or(u32::MAX - 1);
    let mut explicit = at_most(count + 1, anchor.policies().require_explicit);
    let mut any_allowed = at_most(count + 1, anchor.policies().inhibit_any);
    let mut valid = Valid::Any;
    let mut is_mapped = anchor.policies().has_mappings;
    for (certificate, place) in below.zip(1..) {
        let policies = certificate.policies();
        let is_last = place == count;
        let is_passed = !is_last && certificate.is_self_issued();
        valid = valid.within(policies, any_allowed > 0 || is_passed, is_passed);
        if explicit == 0 {
            acceptable(&valid, is_mapped)?;
        }
        if policies.maps_any {
            return Err(PolicyError::MapsAny);
        }
        is_mapped |= policies.has_mappings;
        // Section 6.1.4 (h): self-issued certificates are not counted; section 6.1.5 (a): the last one always.
        if is_last || !certificate.is_self_issued() {
            (explicit, any_allowed) = (explicit.saturating_sub(1), any_allowed.saturating_sub(1));
        }
        match policies.require_explicit {
            // Section 6.1.5 (b): of the last certificate, 0 counts only.
            Some(0) if is_last => explicit = 0,
            _ if is_last => {}
            _ => explicit = at_most(explicit, policies.require_explicit),
        }
        any_allowed = at_most(any_allowed, policies.inhibit_any);
    }
    if explicit == 0 { acceptable(&valid, is_mapped) } else { Ok(()) }
}

/// The certificates that may still come before something holds.
fn at_most(left: u32, said: Option<u32>) -> u32 {
    said.map_or(left, |most| most.min(left))
}

fn acceptable(valid: &Valid<'_>, is_mapped: bool) -> Result<(), PolicyError> {
    match valid {
        Valid::Some(policies) if policies.is_empty() => Err(PolicyError::NoneInCommon),
        _ if is_mapped => Err(PolicyError::Mapped),
        _ => Ok(()),
    }
}

impl<'a> Valid<'a> {
    /// Those that a certificate has too (section 6.1.3 (d) and (e)): whether its anyPolicy counts where any is valid so far,
    /// and where some are.
    fn within(self, policies: &'a Policies, any_of_any: bool, any_of_some: bool) -> Self {
        let Some(named) = &policies.named else { return Self::Some(Vec::new()) };
        let is_any = |policy: &Vec<u8>| policy.as_slice() == ANY_POLICY;
        let has_any = named.iter().any(is_any);
        match self {
            Self::Any if has_any && any_of_any => Self::Any,
            Self::Any => Self::Some(named.iter().filter(|policy| !is_any(policy)).map(Vec::as_slice).collect()),
            Self::Some(valid) if has_any && any_of_some => Self::Some(valid),
            Self::Some(mut valid) => {
                valid.retain(|policy| named.iter().any(|other| other.as_slice() == *policy));
                Self::Some(valid)
            }
        }
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoneInCommon => {
                "a CA asks for an explicit certificate policy (policyConstraints) and the path has none in common"
            }
            Self::Mapped => {
                "a CA asks for an explicit certificate policy (policyConstraints) and another maps policies, which is not supported"
            }
            Self::MapsAny => "a CA maps anyPolicy, which RFC 5280 section 4.2.1.5 forbids",
        })
    }
}

impl std::error::Error for PolicyError {}
