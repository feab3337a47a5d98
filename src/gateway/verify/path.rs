//! Candidate paths from a leaf to a trust anchor, found by name alone and under a budget.
//!
//! Nothing is known of a [`CandidatePath`] but that its names chain, so nothing can be asked of it: neither revocation
//! status nor identity nor site. [`super::signed`] makes a [`super::signed::VerifiedPath`] of one whose signatures verify.

use super::policy::SitePolicy;
use super::types::{Reason, Refusal};
use sekisho_pki::certificate::Certificate;
use sekisho_trust::{Authority, Role, TrustSnapshot};
use std::cmp::Reverse;

/// Edges from a certificate to a possible issuer that the search may walk.
///
/// A configured CA has one issuer, which is known, so that a leaf below the most CAs of one name that a site may have, each
/// as deep as may be, needs 42: what a client sends along never takes the place of a configured path. Names are compared
/// quickly; what costs is bounded by [`super::signed::MAX_SIGNATURE_CHECKS`].
pub(super) const MAX_ISSUER_EDGES: usize = 64;

/// CA certificates between leaf and anchor; the longest chains of banks have two.
const MAX_INTERMEDIATES: usize = 6;

/// A certificate that may have issued another, and the configured CA that it is, if it is one.
#[derive(Clone, Copy)]
pub(super) struct Issuer<'a> {
    pub(super) certificate: &'a Certificate,
    pub(super) authority: Option<&'a Authority>,
}

/// What the search came to.
pub(super) struct Candidates<'a> {
    /// The paths, in the order of trust.
    pub(super) found: Vec<CandidatePath<'a>>,
    /// There may be more: the search ended at [`MAX_ISSUER_EDGES`].
    pub(super) more: Option<Refusal>,
}

/// A path whose names chain; nothing else is known of it yet.
pub(super) struct CandidatePath<'a> {
    pub(super) leaf: &'a Certificate,
    /// CA certificates between leaf and anchor, from the leaf's issuer upward.
    pub(super) intermediates: Vec<Issuer<'a>>,
    pub(super) anchor: &'a Authority,
}

impl<'a> CandidatePath<'a> {
    /// The leaf and the CA certificates below the anchor.
    pub(super) fn certificates(&self) -> impl Iterator<Item = &'a Certificate> {
        std::iter::once(self.leaf).chain(self.intermediates.iter().map(|issuer| issuer.certificate))
    }

    /// The issuer of each of [`Self::certificates`].
    pub(super) fn issuers(&self) -> impl Iterator<Item = Issuer<'a>> {
        self.intermediates.iter().copied().chain([Issuer::configured(self.anchor)])
    }
}

impl<'a> Issuer<'a> {
    const fn configured(authority: &'a Authority) -> Self {
        Self { certificate: authority.certificate(), authority: Some(authority) }
    }
}

/// Every path from the leaf to an anchor by which clients may enter this site.
///
/// Issuers are looked for among the site's CAs and those above them, and after these among the certificates that the
/// client sent along. A client need not send any when its issuing CA is configured.
///
/// The order is that of trust: of the issuers of one certificate first the configured ones, and of these first those that
/// its authorityKeyIdentifier names.
pub(super) fn candidates<'a>(
    presented: &'a [Certificate],
    policy: &SitePolicy,
    trust: &'a TrustSnapshot,
) -> Result<Candidates<'a>, Refusal> {
    let Some((leaf, sent_along)) = presented.split_first() else {
        return Err(Refusal::new(Reason::NoCertificate, "the client presented no certificate"));
    };
    let is_issuer = |authority: &&Authority| authority.role() == Role::Issuer && policy.concerns(&authority.key());
    let configured: Vec<&Authority> = trust.authorities().iter().filter(is_issuer).collect();
    let sent_along = sent_along_issuers(sent_along, policy, trust);
    let mut search = Search { trust, configured, sent_along, leaf, edges: 0, highest: leaf, found: Vec::new() };
    let more = search.upward(leaf, &mut Vec::new()).err();
    match (search.found.is_empty(), more) {
        (true, more) => Err(more.unwrap_or_else(|| search.nothing_found())),
        (false, more) => Ok(Candidates { found: search.found, more }),
    }
}

pub(super) fn describe(candidates: &Candidates<'_>) -> String {
    let names = |path: &CandidatePath<'_>| {
        path.issuers().map(|issuer| issuer.certificate.subject().to_string()).collect::<Vec<_>>().join(" <- ")
    };
    candidates.found.iter().map(names).collect::<Vec<_>>().join("; or ")
}

struct Search<'a> {
    trust: &'a TrustSnapshot,
    configured: Vec<&'a Authority>,
    sent_along: Vec<Issuer<'a>>,
    leaf: &'a Certificate,
    edges: usize,
    /// The certificate highest up that was reached, for the refusal's evidence.
    highest: &'a Certificate,
    found: Vec<CandidatePath<'a>>,
}

impl<'a> Search<'a> {
    fn upward(&mut self, top: &'a Certificate, below: &mut Vec<Issuer<'a>>) -> Result<(), Refusal> {
        self.highest = top;
        for issuer in self.issuers_of(top, below) {
            self.walk_edge()?;
            match issuer.authority {
                Some(anchor) if anchor.issued_by().is_none() => {
                    self.found.push(CandidatePath { leaf: self.leaf, intermediates: below.clone(), anchor });
                }
                _ if below.len() < MAX_INTERMEDIATES => {
                    below.push(issuer);
                    self.upward(issuer.certificate, below)?;
                    below.pop();
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What may have issued a certificate, by its name. Of a configured CA that is known: its signature was verified when
    /// the configuration was loaded.
    fn issuers_of(&self, top: &'a Certificate, below: &[Issuer<'a>]) -> Vec<Issuer<'a>> {
        let configured = |authority: &&'a Authority| Issuer::configured(authority);
        if let Some(above) = known_issuer(top, self.trust) {
            return vec![configured(&above)];
        }
        let mut issuers: Vec<Issuer<'a>> = self.configured.iter().map(configured).collect();
        issuers.extend(&self.sent_along);
        // A CA once on the path may not come again (RFC 4158 section 5.2).
        let on_path = |issuer: &Issuer<'a>| {
            let mut path = below.iter().map(|issuer| issuer.certificate).chain([self.leaf]);
            path.any(|certificate| certificate.is_same_authority(issuer.certificate))
        };
        issuers.retain(|issuer| issuer.certificate.subject() == top.issuer() && !on_path(issuer));
        let named = top.authority_key_identifier();
        let is_named = |issuer: &Issuer<'a>| named.is_some() && issuer.certificate.subject_key_identifier() == named;
        // Those sent along stay behind the configured ones: the sort is stable.
        issuers.sort_by_key(|issuer| (!self.is_configured(issuer), Reverse(is_named(issuer))));
        issuers
    }

    fn is_configured(&self, issuer: &Issuer<'a>) -> bool {
        issuer.authority.is_some_and(|authority| std::ptr::eq(authority.certificate(), issuer.certificate))
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

    fn nothing_found(&self) -> Refusal {
        let issuer = self.highest.issuer();
        let other_sites = self.trust.authorities().iter().find(|authority| authority.certificate().subject() == issuer);
        let evidence = match other_sites {
            Some(authority) => format!("this site does not accept CA {}", authority.name()),
            None => format!("no configured CA is named {issuer}, the issuer of {}", self.highest.subject()),
        };
        Refusal::new(Reason::UnknownCa, evidence)
    }
}

/// The configured CA that issued this very certificate of a configured CA.
pub(super) fn known_issuer<'a>(certificate: &Certificate, trust: &'a TrustSnapshot) -> Option<&'a Authority> {
    let authority = trust.authority(&certificate.authority_key())?;
    let is_its_own = authority.certificate().fingerprint() == certificate.fingerprint();
    authority.issued_by().filter(|_| is_its_own).and_then(|above| trust.authority(&above))
}

/// The CA certificates that a client sent along, each once, without those that are configured, those of a CA that is
/// configured for other sites, and those of an anchor's key, which need not be certified.
fn sent_along_issuers<'a>(
    sent_along: &'a [Certificate],
    policy: &SitePolicy,
    trust: &'a TrustSnapshot,
) -> Vec<Issuer<'a>> {
    let mut issuers: Vec<Issuer<'a>> = Vec::new();
    for certificate in sent_along {
        let is_its = |authority: &&Authority| authority.certificate().is_same_authority(certificate);
        let authority = trust.authorities().iter().find(is_its);
        let is_configured = authority.is_some_and(|authority| {
            let is_itself = authority.certificate().fingerprint() == certificate.fingerprint();
            authority.issued_by().is_none()
                || !policy.concerns(&authority.key())
                || (is_itself && authority.role() == Role::Issuer)
        });
        let is_twice = issuers.iter().any(|other| other.certificate.fingerprint() == certificate.fingerprint());
        if !is_configured && !is_twice {
            issuers.push(Issuer { certificate, authority });
        }
    }
    issuers
}
