//! Paths whose signatures verify: the only ones of which anything further is asked.

use super::path::{CandidatePath, Issuer, known_issuer};
use super::types::{Reason, Refusal};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::fingerprint::{AuthorityKey, Fingerprint};
use sekisho_pki::signature::{SignatureError, verify_certificate};
use sekisho_trust::{Authority, TrustSnapshot};

/// Signatures that one chain may cost. A normal one costs one: the leaf's, since those of configured CAs were verified when
/// they were loaded. Each further CA of the issuer's name costs one more at most ([`MAX_CAS_OF_ONE_NAME`]); what is left
/// is for a CA certificate that a client sends along because the configured one has expired.
pub(super) const MAX_SIGNATURE_CHECKS: usize = 8;

/// CAs of one subject that one site may accept: keys of one CA that are in use together.
pub(super) const MAX_CAS_OF_ONE_NAME: usize = 6;

/// A path in which the signature of each certificate verifies under the key of the next, up to a trust anchor.
///
/// Only [`VerifiedPath::prove`] makes one. Everything that is said of a client — usage, site, identity, revocation status,
/// what its headers and tickets carry — is taken from one of these and from no other list of certificates.
pub(super) struct VerifiedPath<'a> {
    leaf: &'a Certificate,
    intermediates: Vec<Issuer<'a>>,
    anchor: &'a Authority,
}

/// Why a candidate is no verified path.
pub(super) enum Unproven {
    /// This candidate is not; another may be.
    Refused(Refusal),
    /// Nothing further is tried for this chain.
    Ended(Refusal),
}

/// The signatures checked for one chain, each once.
pub(super) struct Signatures<'a> {
    trust: &'a TrustSnapshot,
    known: Vec<(Fingerprint, &'a [u8], Result<(), SignatureError>)>,
}

impl<'a> VerifiedPath<'a> {
    /// Verifies every signature of a candidate, from the leaf upward.
    pub(super) fn prove(candidate: &CandidatePath<'a>, signatures: &mut Signatures<'a>) -> Result<Self, Unproven> {
        for (certificate, issuer) in candidate.certificates().zip(candidate.issuers()) {
            match signatures.check(certificate, issuer) {
                Some(Ok(())) => {}
                Some(Err(error)) => return Err(Unproven::Refused(wrong_signature(certificate, issuer, &error))),
                None => {
                    let evidence = format!(
                        "the chain takes more than {MAX_SIGNATURE_CHECKS} signature checks: too many CAs are named {}",
                        issuer.certificate.subject()
                    );
                    return Err(Unproven::Ended(Refusal::new(Reason::BadCertificate, evidence)));
                }
            }
        }
        let CandidatePath { leaf, intermediates, anchor } = candidate;
        Ok(Self { leaf, intermediates: intermediates.clone(), anchor })
    }

    /// The leaf.
    pub(super) const fn leaf(&self) -> &'a Certificate {
        self.leaf
    }

    /// CA certificates below the anchor, from the leaf's issuer upward.
    pub(super) fn intermediates(&self) -> impl DoubleEndedIterator<Item = &'a Certificate> {
        self.intermediates.iter().map(|issuer| issuer.certificate)
    }

    /// The leaf and the CA certificates below the anchor.
    pub(super) fn certificates(&self) -> impl Iterator<Item = &'a Certificate> {
        std::iter::once(self.leaf).chain(self.intermediates())
    }

    /// The trust anchor.
    pub(super) const fn anchor(&self) -> &'a Authority {
        self.anchor
    }

    /// The issuer of each of [`Self::certificates`].
    pub(super) fn issuers(&self) -> impl Iterator<Item = Issuer<'a>> {
        let anchor = Issuer { certificate: self.anchor.certificate(), authority: Some(self.anchor) };
        self.intermediates.iter().copied().chain([anchor])
    }

    /// Name and key of the issuer of each of [`Self::certificates`], as the configuration has them.
    pub(super) fn issuer_keys(&self) -> impl Iterator<Item = AuthorityKey> {
        let key = |issuer: Issuer<'a>| issuer.authority.map_or(issuer.certificate.authority_key(), Authority::key);
        self.issuers().map(key)
    }
}

impl<'a> Signatures<'a> {
    pub(super) const fn new(trust: &'a TrustSnapshot) -> Self {
        Self { trust, known: Vec::new() }
    }

    /// How many were checked.
    pub(super) fn count(&self) -> usize {
        self.known.len()
    }

    /// Whether a certificate's signature is that of an issuer's key; none when that would be one too many.
    fn check(&mut self, certificate: &'a Certificate, issuer: Issuer<'a>) -> Option<Result<(), SignatureError>> {
        if let Some(known) = known_issuer(certificate, self.trust) {
            // Verified when it was loaded, and a signature is of one key.
            let is_its = issuer.authority.is_some_and(|authority| authority.key() == known.key());
            return Some(if is_its { Ok(()) } else { Err(SignatureError::Invalid) });
        }
        let (fingerprint, key) = (certificate.fingerprint(), issuer.certificate.subject_public_key_info());
        if let Some((.., result)) = self.known.iter().find(|(of, by, _)| *of == fingerprint && *by == key) {
            return Some(result.clone());
        }
        if self.known.len() == MAX_SIGNATURE_CHECKS {
            return None;
        }
        let result = verify_certificate(certificate.der(), key);
        self.known.push((fingerprint, key, result.clone()));
        Some(result)
    }
}

impl From<Unproven> for Refusal {
    fn from(unproven: Unproven) -> Self {
        match unproven {
            Unproven::Refused(refusal) | Unproven::Ended(refusal) => refusal,
        }
    }
}

/// A signature that does not verify was damaged or is another CA's of the same name. The certificate's authority key
/// identifier tells: when it names another key, the CA is unknown.
fn wrong_signature(certificate: &Certificate, issuer: Issuer<'_>, error: &SignatureError) -> Refusal {
    let (subject, name) = (certificate.subject(), issuer.certificate.subject());
    if let (Some(named), Some(actual)) =
        (certificate.authority_key_identifier(), issuer.certificate.subject_key_identifier())
        && named != actual
    {
        return Refusal::new(Reason::UnknownCa, format!("{subject} was issued by another CA named {name}"));
    }
    Refusal::new(Reason::BadCertificate, format!("the signature of {subject} by {name} does not verify: {error}"))
}
