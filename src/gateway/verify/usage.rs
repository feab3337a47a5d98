//! What the certificates of a verified path may be used for: basicConstraints, keyUsage, extKeyUsage with one rule for
//! leaves and another for CAs, name constraints, certificate policies; the anchor's own extensions too.

use super::signed::VerifiedPath;
use super::types::{Reason, Refusal};
use sekisho_pki::certificate::{Certificate, Version};
use sekisho_pki::name_constraints::{self, Comparisons};
use sekisho_pki::policies;
use sekisho_trust::Authority;

/// Checks the usage extensions of a path whose signatures hold.
///
/// An absent extension restricts nothing (RFC 5280 sections 4.2.1.3 and 4.2.1.12), and many private CAs leave
/// extKeyUsage out; since only a bank's own configured CAs come this far, absence is accepted. One that is there must
/// allow it: on a leaf `clientAuth` by name (`anyExtendedKeyUsage` may be refused by section 4.2.1.12), on a CA either.
pub(super) fn check(path: &VerifiedPath<'_>) -> Result<(), Refusal> {
    check_leaf(path.leaf())?;
    // To RFC 5280 an anchor is a name and a key; a bank that configures a certificate means its extensions too.
    for authority in path.intermediates().chain([path.anchor().certificate()]) {
        check_authority(authority)?;
    }
    check_path_lengths(path)?;
    check_names(path)?;
    let mut from_above: Vec<&Certificate> = path.certificates().collect();
    from_above.reverse();
    policies::check(path.anchor().certificate(), from_above.into_iter()).map_err(|error| {
        Refusal::new(Reason::BadCertificate, format!("the path of {}: {error}", path.leaf().subject()))
    })
}

pub(super) fn describe(path: &VerifiedPath<'_>) -> String {
    let leaf = path.leaf();
    let said = |there: bool, what: &str| if there { what.to_owned() } else { format!("no {what} extension") };
    format!(
        "{}, {}",
        said(leaf.key_usage().is_some(), "keyUsage digitalSignature"),
        said(leaf.extended_key_usages().is_some(), "extKeyUsage clientAuth")
    )
}

fn check_leaf(leaf: &Certificate) -> Result<(), Refusal> {
    if leaf.basic_constraints().is_some_and(|constraints| constraints.ca) {
        return wrong(leaf, "is the certificate of a CA (basicConstraints cA), not of a client");
    }
    if let Some(usage) = leaf.key_usage() {
        if !usage.digital_signature() {
            return wrong(leaf, "has a keyUsage without digitalSignature");
        }
        // RFC 5280 section 4.2.1.9: keyCertSign goes with cA only.
        if usage.key_cert_sign() {
            return wrong(leaf, "has a keyUsage with keyCertSign and is no CA (basicConstraints)");
        }
    }
    // Section 4.2.1.10: only in a CA certificate.
    if leaf.name_constraints().is_some() {
        return wrong(leaf, "has nameConstraints and is no CA");
    }
    if leaf.extended_key_usages().is_some_and(|usages| !usages.has_client_auth()) {
        return wrong(leaf, "has an extKeyUsage without clientAuth");
    }
    Ok(())
}

fn check_authority(authority: &Certificate) -> Result<(), Refusal> {
    if authority.version() == Version::V3 && !authority.basic_constraints().is_some_and(|constraints| constraints.ca) {
        return wrong(authority, "issued a certificate and is no CA (basicConstraints cA)");
    }
    if authority.key_usage().is_some_and(|usage| !usage.key_cert_sign()) {
        return wrong(authority, "is a CA with a keyUsage without keyCertSign");
    }
    if authority.extended_key_usages().is_some_and(|usages| !usages.has_client_auth() && !usages.any()) {
        return wrong(authority, "is a CA with an extKeyUsage without clientAuth");
    }
    Ok(())
}

/// Checks the usage of a configured CA by itself, so that one that refuses each of its clients is an error of the
/// configuration.
pub(super) fn check_configured(authority: &Authority) -> Result<(), Refusal> {
    check_authority(authority.certificate())
}

/// pathLenConstraint of each CA, the anchor's too: CAs that follow below it, self-issued ones not counted.
fn check_path_lengths(path: &VerifiedPath<'_>) -> Result<(), Refusal> {
    let mut below = 0;
    for authority in path.intermediates().chain([path.anchor().certificate()]) {
        let path_len = authority.basic_constraints().and_then(|constraints| constraints.path_len);
        if let Some(path_len) = path_len.filter(|path_len| below > *path_len) {
            return wrong(authority, &format!("allows {path_len} CAs below it; the path has {below}"));
        }
        below += u32::from(!authority.is_self_issued());
    }
    Ok(())
}

/// nameConstraints of each CA hold for all certificates below it but self-issued CAs (RFC 5280 section 6.1.3).
fn check_names(path: &VerifiedPath<'_>) -> Result<(), Refusal> {
    let mut comparisons = Comparisons::default();
    for (depth, ca) in path.intermediates().chain([path.anchor().certificate()]).enumerate() {
        let cas_below = path.intermediates().take(depth).filter(|certificate| !certificate.is_self_issued());
        for certificate in std::iter::once(path.leaf()).chain(cas_below) {
            name_constraints::check(ca, certificate, &mut comparisons).map_err(|error| {
                let evidence =
                    format!("{} may not have been issued by {}: {error}", certificate.subject(), ca.subject());
                Refusal::new(Reason::WrongUsage, evidence)
            })?;
        }
    }
    Ok(())
}

fn wrong(certificate: &Certificate, what: &str) -> Result<(), Refusal> {
    Err(Refusal::new(Reason::WrongUsage, format!("{} {what}", certificate.subject())))
}
