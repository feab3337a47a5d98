//! What a certificate must be by itself before a signature is spent on it.

use super::path::CandidatePath;
use super::types::{Reason, Refusal};
use sekisho_pki::certificate::{Certificate, PublicKeyKind, Version};
use sekisho_pki::form;
use sekisho_trust::Authority;

/// Sizes of RSA keys: below, factoring is in reach; above, one verification costs a peer nothing and us much.
const RSA_BITS: std::ops::RangeInclusive<u32> = 2048..=4096;

/// Signature algorithms, by OID: SHA-1 and MD5 are forgeable.
const SIGNATURE_ALGORITHMS: [&str; 8] = [
    "1.2.840.113549.1.1.11", // sha256WithRSAEncryption
    "1.2.840.113549.1.1.12", // sha384WithRSAEncryption
    "1.2.840.113549.1.1.13", // sha512WithRSAEncryption
    "1.2.840.113549.1.1.10", // id-RSASSA-PSS; webpki takes it with SHA-2 only
    "1.2.840.10045.4.3.2",   // ecdsa-with-SHA256
    "1.2.840.10045.4.3.3",   // ecdsa-with-SHA384
    "1.2.840.10045.4.3.4",   // ecdsa-with-SHA512
    "1.3.101.112",           // id-Ed25519
];

/// Checks every certificate of a path. Of the anchor only the key: nobody relies on its own signature.
pub(super) fn check(candidate: &CandidatePath<'_>) -> Result<(), Refusal> {
    for certificate in candidate.certificates() {
        check_form(certificate).map_err(|what| bad(certificate, &what))?;
        check_key(certificate).map_err(|what| bad(certificate, &what))?;
    }
    let anchor = candidate.anchor.certificate();
    check_key(anchor).map_err(|what| bad(anchor, &what))
}

pub(super) fn describe(candidate: &CandidatePath<'_>) -> String {
    let keys: Vec<String> = candidate
        .certificates()
        .chain([candidate.anchor.certificate()])
        .map(|certificate| certificate.public_key().to_string())
        .collect();
    format!("keys, leaf first: {}", keys.join(", "))
}

/// Checks a configured CA by itself, so that one that refuses each of its clients is an error of the configuration.
///
/// Of an anchor its own signature, form and serial number do not count: some old roots are no v3, or have the serial 0.
pub(super) fn check_configured(authority: &Authority) -> Result<(), String> {
    let certificate = authority.certificate();
    if let [oid, ..] = certificate.unknown_critical_extensions() {
        return Err(format!("has the unknown critical extension {oid}, so that no client of it could be accepted"));
    }
    if authority.issued_by().is_some() {
        check_form(certificate)?;
    }
    check_key(certificate)
}

fn check_form(certificate: &Certificate) -> Result<(), String> {
    if certificate.version() != Version::V3 {
        return Err("is not an X.509 v3 certificate".into());
    }
    if let [oid, ..] = certificate.unknown_critical_extensions() {
        return Err(format!("has the unknown critical extension {oid}"));
    }
    form::check(certificate.der()).map_err(|error| format!("is not the DER of RFC 5280 section 4.1: {error}"))?;
    if !certificate.serial().is_positive() {
        return Err(format!("has the serial number {}, which is not positive", certificate.serial()));
    }
    let algorithm = certificate.signature_algorithm();
    if !SIGNATURE_ALGORITHMS.contains(&algorithm) {
        return Err(format!("is signed with algorithm {algorithm}, which is weak or unknown"));
    }
    Ok(())
}

fn check_key(certificate: &Certificate) -> Result<(), String> {
    match certificate.public_key() {
        PublicKeyKind::EcP256 | PublicKeyKind::EcP384 | PublicKeyKind::Ed25519 => Ok(()),
        PublicKeyKind::Rsa { bits } if RSA_BITS.contains(bits) => Ok(()),
        weak @ PublicKeyKind::Rsa { .. } => {
            Err(format!("has an {weak} key; {} to {} bits are accepted", RSA_BITS.start(), RSA_BITS.end()))
        }
        other @ PublicKeyKind::Other(_) => Err(format!("has {other}; P-256, P-384, Ed25519 and RSA are accepted")),
    }
}

fn bad(certificate: &Certificate, what: &str) -> Refusal {
    Refusal::new(Reason::BadCertificate, format!("{} {what}", certificate.subject()))
}
