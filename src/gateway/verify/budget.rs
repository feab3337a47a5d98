//! What a peer may make the verifier work on.

use super::policy::ChainLimits;
use super::types::{Reason, Refusal};
use rustls::pki_types::CertificateDer;

/// Octets of a leaf: clients' have one to three thousand. In base64 it still fits into the one header line that carries it
/// (`client-cert`), which would otherwise be missing as if there were no certificate.
const MAX_LEAF_BYTES: usize = 12 * 1024 - 16;

/// Refuses an over-long chain before any of it is parsed or hashed.
pub(super) fn check(chain: &[CertificateDer<'_>], limits: ChainLimits) -> Result<(), Refusal> {
    if chain.is_empty() {
        return Err(Refusal::new(Reason::NoCertificate, "the client presented no certificate"));
    }
    if chain.len() > limits.certificates {
        let evidence =
            format!("the chain has {} certificates; at most {} are accepted", chain.len(), limits.certificates);
        return Err(Refusal::new(Reason::BadCertificate, evidence));
    }
    if let Some(leaf) = chain.first().filter(|leaf| leaf.len() > MAX_LEAF_BYTES) {
        let evidence = format!("the certificate has {} octets; at most {MAX_LEAF_BYTES} are accepted", leaf.len());
        return Err(Refusal::new(Reason::BadCertificate, evidence));
    }
    let bytes = octets(chain);
    if bytes > limits.bytes {
        let evidence = format!("the chain has {bytes} octets; at most {} are accepted", limits.bytes);
        return Err(Refusal::new(Reason::BadCertificate, evidence));
    }
    Ok(())
}

pub(super) fn describe(chain: &[CertificateDer<'_>]) -> String {
    format!("{} certificates, {} octets", chain.len(), octets(chain))
}

fn octets(chain: &[CertificateDer<'_>]) -> usize {
    chain.iter().map(|certificate| certificate.len()).sum()
}
