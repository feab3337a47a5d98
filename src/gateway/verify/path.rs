//! Paths from a leaf to a configured CA: found by name under a budget, then verified one at a time by webpki.
//!
//! webpki searches by itself, but a chain made of many CAs with one subject takes its search hundreds of milliseconds.
//! Here the search is over names alone and ends at a small number of steps, before any signature.

use super::standing;
use super::types::{Reason, Refusal};
use crate::pki::certificate::Certificate;
use crate::pki::fingerprint::AuthorityKey;
use crate::pki::time::Timestamp;
use crate::trust::{Authority, Role, TrustSnapshot};
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor};
use webpki::aws_lc_rs as algorithms;
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter};

/// Edges from a certificate to a possible issuer that the search may walk.
///
/// A root and an issuing CA, each with two keys in use during a rollover, need 6; three levels need 14. Each path found
/// costs a forger one signature check, so the worst refusal costs at most 8 checks where a normal chain costs 2.
pub(super) const MAX_ISSUER_EDGES: usize = 16;

/// CA certificates between leaf and anchor; webpki's own limit.
const MAX_INTERMEDIATES: usize = 6;

/// What webpki may verify with; [`super::rules`] has the same list by OID and says why.
static SIGNATURE_ALGORITHMS: [&dyn SignatureVerificationAlgorithm; 16] = [
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P256_SHA512,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ECDSA_P384_SHA512,
    algorithms::ED25519,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
    algorithms::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
    algorithms::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// A path whose names chain; nothing else is known of it yet.
pub(super) struct CandidatePath<'a> {
    leaf: &'a Certificate,
    /// From the leaf's issuer upward.
    intermediates: Vec<&'a Certificate>,
    anchor: &'a Authority,
    trust_anchor: &'a TrustAnchor<'static>,
}

impl<'a> CandidatePath<'a> {
    pub(super) fn leaf(&self) -> &'a Certificate {
        self.leaf
    }

    /// CA certificates below the anchor, from the leaf's issuer upward.
    pub(super) fn intermediates(&self) -> impl Iterator<Item = &'a Certificate> {
        self.intermediates.iter().copied()
    }

    /// The leaf and the CA certificates below the anchor.
    pub(super) fn certificates(&self) -> impl Iterator<Item = &'a Certificate> {
        std::iter::once(self.leaf).chain(self.intermediates())
    }

    /// The certificates and the anchor that issued the last.
    pub(super) fn anchor(&self) -> &'a Authority {
        self.anchor
    }

    /// Who issued each of [`Self::certificates`].
    pub(super) fn issuers(&self) -> impl Iterator<Item = AuthorityKey> {
        self.intermediates().map(Certificate::authority_key).chain([self.anchor.key()])
    }
}

/// Every path from the leaf to an anchor, shortest first from each certificate.
///
/// Issuers are looked for among the configured CAs and the certificates the client sent along, which a client need not
/// do when its issuing CA is configured.
pub(super) fn candidates<'a>(
    presented: &'a [Certificate],
    trust: &'a TrustSnapshot,
) -> Result<Vec<CandidatePath<'a>>, Refusal> {
    let Some((leaf, sent_along)) = presented.split_first() else {
        return Err(Refusal::new(Reason::NoCertificate, "the client presented no certificate"));
    };
    let mut search = Search { trust, pool: pool(sent_along, trust), edges: 0, highest: leaf, found: Vec::new() };
    search.upward(leaf, leaf, &mut Vec::new())?;
    if search.found.is_empty() {
        let evidence = format!(
            "no configured CA is named {}, the issuer of {}",
            search.highest.issuer(),
            search.highest.subject()
        );
        return Err(Refusal::new(Reason::UnknownCa, evidence));
    }
    Ok(search.found)
}

pub(super) fn describe(found: &[CandidatePath<'_>]) -> String {
    let names = |path: &CandidatePath<'_>| {
        let above = path.intermediates().chain([path.anchor.certificate()]);
        above.map(|certificate| certificate.subject().to_string()).collect::<Vec<_>>().join(" <- ")
    };
    found.iter().map(names).collect::<Vec<_>>().join("; or ")
}

/// Verifies signatures, basic constraints and name constraints of a path (RFC 5280 section 6.1).
///
/// Validity at `now` is not this step's: it asks webpki about a time at which the whole path is valid, so that what it
/// finds stays true (and can be cached) and a time error never hides a forged signature.
pub(super) fn verify(candidate: &CandidatePath<'_>, now: Timestamp) -> Result<(), Refusal> {
    let time = time_inside(candidate, now).ok_or_else(|| never_valid_together(candidate, now))?;
    let intermediates: Vec<CertificateDer<'_>> =
        candidate.intermediates().map(|certificate| CertificateDer::from(certificate.der().as_ref())).collect();
    EndEntityCert::try_from(candidate.leaf.der())
        .and_then(|leaf| {
            leaf.verify_for_usage(
                &SIGNATURE_ALGORITHMS,
                std::slice::from_ref(candidate.trust_anchor),
                &intermediates,
                time.to_unix_time(),
                UsageIsCheckedElsewhere,
                None,
                None,
            )
            .map(drop)
        })
        .map_err(|error| refusal(candidate, &error))
}

struct Search<'a> {
    trust: &'a TrustSnapshot,
    pool: Vec<&'a Certificate>,
    edges: usize,
    /// The certificate highest up that was reached, for the refusal's evidence.
    highest: &'a Certificate,
    found: Vec<CandidatePath<'a>>,
}

impl<'a> Search<'a> {
    fn upward(
        &mut self,
        leaf: &'a Certificate,
        top: &'a Certificate,
        below: &mut Vec<&'a Certificate>,
    ) -> Result<(), Refusal> {
        self.highest = top;
        let trust = self.trust;
        for trust_anchor in trust.anchors().iter().filter(|anchor| anchor.subject.as_ref() == top.issuer().content()) {
            self.walk_edge()?;
            let key = AuthorityKey::of(&trust_anchor.subject, &trust_anchor.subject_public_key_info);
            if let Some(anchor) = trust.authority(&key) {
                self.found.push(CandidatePath { leaf, intermediates: below.clone(), anchor, trust_anchor });
            }
        }
        if below.len() == MAX_INTERMEDIATES {
            return Ok(());
        }
        for index in 0..self.pool.len() {
            let Some(issuer) = self.pool.get(index).copied() else { break };
            // A key once on the path may not come again (RFC 4158 section 5.2).
            let again =
                below.iter().chain([&leaf]).any(|certificate| certificate.authority_key() == issuer.authority_key());
            if issuer.subject() == top.issuer() && !again {
                self.walk_edge()?;
                below.push(issuer);
                self.upward(leaf, issuer, below)?;
                below.pop();
            }
        }
        Ok(())
    }

    fn walk_edge(&mut self) -> Result<(), Refusal> {
        self.edges += 1;
        if self.edges > MAX_ISSUER_EDGES {
            let evidence =
                format!("more than {MAX_ISSUER_EDGES} possible issuers, by name, lead from the leaf to a CA");
            return Err(Refusal::new(Reason::BadCertificate, evidence));
        }
        Ok(())
    }
}

/// CA certificates that may stand between leaf and anchor, each once; an anchor's own key need not be certified.
fn pool<'a>(sent_along: &'a [Certificate], trust: &'a TrustSnapshot) -> Vec<&'a Certificate> {
    let issuing = |authority: &&Authority| authority.issued_by().is_some() && authority.role() == Role::Issuer;
    let mut pool: Vec<&Certificate> = trust.authorities().iter().filter(issuing).map(Authority::certificate).collect();
    for certificate in sent_along {
        let is_anchor =
            trust.authority(&certificate.authority_key()).is_some_and(|authority| authority.issued_by().is_none());
        if !is_anchor && !pool.iter().any(|other| other.fingerprint() == certificate.fingerprint()) {
            pool.push(certificate);
        }
    }
    pool
}

/// The time nearest to `now` at which every certificate of the path is valid.
fn time_inside(candidate: &CandidatePath<'_>, now: Timestamp) -> Option<Timestamp> {
    let first = candidate.certificates().map(Certificate::not_before).max()?;
    let last = candidate.certificates().map(Certificate::not_after).min()?;
    (first <= last).then(|| now.clamp(first, last))
}

/// The refusal of a path whose certificates were never valid together: one of them is not valid now.
fn never_valid_together(candidate: &CandidatePath<'_>, now: Timestamp) -> Refusal {
    let invalid_now = candidate.certificates().find_map(|certificate| {
        let (first, last) = (certificate.not_before(), certificate.not_after());
        standing::within(first, last, now, || certificate.subject().to_string()).err()
    });
    // A time inside all of them would be inside their intersection, which is empty.
    invalid_now
        .unwrap_or_else(|| Refusal::new(Reason::BadCertificate, "the path's certificates were never valid together"))
}

/// extKeyUsage is [`super::usage`]'s: webpki would refuse a CA with anyExtendedKeyUsage alone.
struct UsageIsCheckedElsewhere;

impl ExtendedKeyUsageValidator for UsageIsCheckedElsewhere {
    fn validate(&self, mut purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        purposes.try_for_each(|purpose| purpose.map(drop))
    }
}

fn refusal(candidate: &CandidatePath<'_>, error: &webpki::Error) -> Refusal {
    use webpki::Error;
    let reason = match error {
        Error::CaUsedAsEndEntity
        | Error::EndEntityUsedAsCa
        | Error::PathLenConstraintViolated
        | Error::NameConstraintViolation
        | Error::EmptyEkuExtension => Reason::WrongUsage,
        Error::CertExpired { .. } => Reason::Expired,
        Error::CertNotValidYet { .. } => Reason::NotYetValid,
        Error::UnknownIssuer => Reason::UnknownCa,
        Error::InvalidSignatureForPublicKey | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            return wrong_signature(candidate);
        }
        _ => Reason::BadCertificate,
    };
    Refusal::new(
        reason,
        format!("the path of {} to CA {}: {error:?}", candidate.leaf.subject(), candidate.anchor.name()),
    )
}

/// A signature that does not verify was damaged or is another CA's of the same name. The certificate's authority key
/// identifier tells: when it names another key, the CA is unknown.
fn wrong_signature(candidate: &CandidatePath<'_>) -> Refusal {
    let issuers = candidate.intermediates().chain([candidate.anchor.certificate()]);
    for (certificate, issuer) in candidate.certificates().zip(issuers) {
        if let (Some(named), Some(actual)) = (certificate.authority_key_identifier(), issuer.subject_key_identifier())
            && named != actual
        {
            let evidence = format!("{} was issued by another CA named {}", certificate.subject(), issuer.subject());
            return Refusal::new(Reason::UnknownCa, evidence);
        }
    }
    let evidence = format!(
        "a signature of the path of {} to CA {} does not verify",
        candidate.leaf.subject(),
        candidate.anchor.name()
    );
    Refusal::new(Reason::BadCertificate, evidence)
}
