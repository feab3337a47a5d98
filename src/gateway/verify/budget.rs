//! What a peer may make the verifier work on.

use super::policy::ChainLimits;
use super::types::{Reason, Refusal};
use rustls::pki_types::CertificateDer;

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
