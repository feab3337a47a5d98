//! What a certificate may be used for, where webpki does not look: keyUsage everywhere, the anchor's own extensions,
//! extKeyUsage with one rule for leaves and another for CAs.

use super::path::CandidatePath;
use super::types::{Reason, Refusal};
use crate::pki::certificate::{Certificate, Version};

/// Checks the usage extensions of a path whose signatures hold.
///
/// An absent extension restricts nothing (RFC 5280 sections 4.2.1.3 and 4.2.1.12), and many private CAs leave
/// extKeyUsage out; since only a bank's own configured CAs come this far, absence is accepted. One that is there must
/// allow it: on a leaf `clientAuth` by name (`anyExtendedKeyUsage` may be refused by section 4.2.1.12), on a CA either.
pub(super) fn check(candidate: &CandidatePath<'_>) -> Result<(), Refusal> {
    check_leaf(candidate.leaf())?;
    for authority in candidate.intermediates() {
        check_authority(authority)?;
    }
    check_anchor(candidate)
}

pub(super) fn describe(candidate: &CandidatePath<'_>) -> String {
    let leaf = candidate.leaf();
    let said = |there: bool, what: &str| if there { what.to_owned() } else { format!("no {what} extension") };
    format!(
        "{}, {}",
        said(leaf.key_usage().is_some(), "keyUsage digitalSignature"),
        said(leaf.extended_key_usages().is_some(), "extKeyUsage clientAuth")
    )
}

fn check_leaf(leaf: &Certificate) -> Result<(), Refusal> {
    if leaf.key_usage().is_some_and(|usage| !usage.digital_signature()) {
        return wrong(leaf, "has a keyUsage without digitalSignature");
    }
    if leaf.extended_key_usages().is_some_and(|usages| !usages.has_client_auth()) {
        return wrong(leaf, "has an extKeyUsage without clientAuth");
    }
    Ok(())
}

fn check_authority(authority: &Certificate) -> Result<(), Refusal> {
    if authority.key_usage().is_some_and(|usage| !usage.key_cert_sign()) {
        return wrong(authority, "is a CA with a keyUsage without keyCertSign");
    }
    if authority.extended_key_usages().is_some_and(|usages| !usages.has_client_auth() && !usages.any()) {
        return wrong(authority, "is a CA with an extKeyUsage without clientAuth");
    }
    Ok(())
}

/// To RFC 5280 an anchor is a name and a key; a bank that configures a certificate means its extensions too.
fn check_anchor(candidate: &CandidatePath<'_>) -> Result<(), Refusal> {
    let anchor = candidate.anchor().certificate();
    check_authority(anchor)?;
    let constraints = anchor.basic_constraints();
    if anchor.version() == Version::V3 && !constraints.is_some_and(|constraints| constraints.ca) {
        return wrong(anchor, "is configured as a CA without basicConstraints cA");
    }
    let below = candidate.intermediates().filter(|certificate| !certificate.is_self_issued()).count();
    if let Some(path_len) = constraints.and_then(|constraints| constraints.path_len)
        && below > usize::try_from(path_len).unwrap_or(usize::MAX)
    {
        return wrong(anchor, &format!("allows {path_len} CAs below it; the path has {below}"));
    }
    Ok(())
}

fn wrong(certificate: &Certificate, what: &str) -> Result<(), Refusal> {
    Err(Refusal::new(Reason::WrongUsage, format!("{} {what}", certificate.subject())))
}
