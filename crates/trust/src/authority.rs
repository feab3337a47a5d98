//! The configured certification authorities, each checked before it is trusted with anything.

use super::in_force::RevocationLists;
use super::ocsp::Responder;
use rustls::pki_types::TrustAnchor;
use sekisho_config::{AnchorExpiry, OcspSource, PointPlace};
use sekisho_pki::certificate::Certificate;
use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_pki::signature::verify_certificate;
use std::sync::Arc;

/// One configured CA.
#[derive(Debug)]
pub struct Authority {
    pub(super) facts: AuthorityFacts,
    pub(super) revocation: Revocation,
}

/// A configured CA without its lists.
#[derive(Clone, Debug)]
pub(super) struct AuthorityFacts {
    pub(super) name: Arc<str>,
    pub(super) certificate: Certificate,
    pub(super) issued_by: Option<AuthorityKey>,
    pub(super) anchor_expiry: AnchorExpiry,
    pub(super) role: Role,
    pub(super) responder: Option<Arc<Responder>>,
    /// Where the lists at its certificates' distribution points may be fetched from.
    pub(super) points: Arc<[PointPlace]>,
    pub(super) lists_at: ListsAt,
}

/// What a CA's certificates are looked up in.
#[derive(Debug)]
pub enum Revocation {
    /// `revocation = "none"`, said in so many words.
    NotChecked,
    /// Its lists.
    Lists(RevocationLists),
}

/// Where a CA's lists are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ListsAt {
    /// At places that the configuration names.
    #[default]
    Places,
    /// At its certificates' distribution points and nowhere else: there is none before the first client.
    PointsOnly,
}

/// What a configured certificate may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Certificates, and lists if its keyUsage has cRLSign or is absent.
    Issuer,
    /// Revocation lists only, for a CA of the same name (RFC 5280 section 6.3.3 (f)).
    ListSigner,
}

/// One CA as it is configured, before it is checked.
pub(super) struct Candidate<'a> {
    pub(super) name: &'a Arc<str>,
    pub(super) certificate: Certificate,
    pub(super) issued_by: Option<&'a Arc<str>>,
    pub(super) anchor_expiry: AnchorExpiry,
    pub(super) ocsp: Option<&'a OcspSource>,
    pub(super) points: Arc<[PointPlace]>,
    pub(super) lists_at: ListsAt,
}

impl Authority {
    /// The configured name.
    pub const fn name(&self) -> &Arc<str> {
        &self.facts.name
    }

    /// Its certificate.
    pub const fn certificate(&self) -> &Certificate {
        &self.facts.certificate
    }

    /// Its name and key.
    pub fn key(&self) -> AuthorityKey {
        self.facts.key()
    }

    /// The CA above it; none for a trust anchor.
    pub const fn issued_by(&self) -> Option<AuthorityKey> {
        self.facts.issued_by
    }

    /// Whether its own validity counts, if it is a trust anchor.
    pub const fn anchor_expiry(&self) -> AnchorExpiry {
        self.facts.anchor_expiry
    }

    /// What it may sign.
    pub const fn role(&self) -> Role {
        self.facts.role
    }

    /// Whom to ask about its certificates, if anybody.
    pub const fn responder(&self) -> Option<&Arc<Responder>> {
        self.facts.responder.as_ref()
    }

    /// Whether the lists at its certificates' distribution points may be fetched.
    pub fn fetches_points(&self) -> bool {
        !self.facts.points.is_empty()
    }

    /// What its certificates are looked up in.
    pub const fn revocation(&self) -> &Revocation {
        &self.revocation
    }
}

impl AuthorityFacts {
    pub(super) fn key(&self) -> AuthorityKey {
        self.certificate.authority_key()
    }

    /// Whether its keyUsage lets it sign lists (RFC 5280 section 6.3.3 (f): where the extension is there).
    pub(super) fn may_sign_lists(&self) -> bool {
        self.certificate.key_usage().is_none_or(|usage| usage.crl_sign())
    }

    /// Whether this key may sign lists for another CA of the same name (section 6.3.3 (f): the list's issuer is
    /// certified under the same trust anchor and has cRLSign).
    ///
    /// Only a key that `of` itself certified, or one that its own CA certified for nothing but lists. Two full CA keys
    /// side by side do **not** sign for each other: after a rollover many products give each key its own list, and
    /// then the list of one says nothing of the other's certificates.
    pub(super) fn may_sign_lists_for(&self, of: &Self) -> bool {
        let certificate = &self.certificate;
        self.key() != of.key()
            && certificate.subject() == of.certificate.subject()
            && certificate.key_usage().is_some_and(|usage| usage.crl_sign())
            && self.issued_by.is_some()
            && (self.issued_by == Some(of.key()) || (self.role == Role::ListSigner && self.issued_by == of.issued_by))
    }

    /// The same authority in the eyes of a chain that was verified.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        self.name == other.name
            && self.certificate.fingerprint() == other.certificate.fingerprint()
            && self.issued_by == other.issued_by
            && self.anchor_expiry == other.anchor_expiry
    }
}

/// Checks all CAs together.
///
/// # Errors
/// The index of each CA that is wrong and what is wrong with it.
pub(super) fn check(candidates: &[Candidate<'_>]) -> Result<Vec<AuthorityFacts>, Vec<(usize, String)>> {
    let mut errors = Vec::new();
    let mut checked = Vec::with_capacity(candidates.len());
    for (index, candidate) in candidates.iter().enumerate() {
        match check_one(candidate, candidates, index) {
            Ok(facts) => checked.push(facts),
            Err(message) => errors.push((index, message)),
        }
    }
    if errors.is_empty() { Ok(checked) } else { Err(errors) }
}

fn check_one(candidate: &Candidate<'_>, all: &[Candidate<'_>], index: usize) -> Result<AuthorityFacts, String> {
    let certificate = &candidate.certificate;
    if let Some(twin) = all.iter().take(index).find(|earlier| earlier.certificate.is_same_authority(certificate)) {
        return Err(format!("the CA {} has the same name and key already", twin.name));
    }
    // RFC 5280 section 4.1.2.6: a CA has a name. Without one, any other without one could be taken for it.
    if certificate.subject().is_empty() {
        return Err("its subject is empty; a CA has a name".to_owned());
    }
    let role = role(candidate, all)?;
    let issued_by = match candidate.issued_by {
        None => None,
        Some(above) => {
            let above = all
                .iter()
                .find(|other| other.name == above)
                .ok_or_else(|| format!("issued_by names {above}, which is no CA here"))?;
            if certificate.issuer() != above.certificate.subject() {
                return Err(format!(
                    "its issuer is {}, but issued_by = {} is {}",
                    certificate.issuer(),
                    above.name,
                    above.certificate.subject()
                ));
            }
            verify_certificate(certificate.der(), above.certificate.subject_public_key_info())
                .map_err(|error| format!("it was not issued by {}: {error}", above.name))?;
            Some(above.certificate.authority_key())
        }
    };
    let responder = |source| Responder::new(candidate.name, certificate, source).map(Arc::new);
    Ok(AuthorityFacts {
        responder: candidate.ocsp.map(responder).transpose()?,
        points: Arc::clone(&candidate.points),
        lists_at: candidate.lists_at,
        name: Arc::clone(candidate.name),
        certificate: certificate.clone(),
        issued_by,
        anchor_expiry: candidate.anchor_expiry,
        role,
    })
}

/// What its extensions let it sign (RFC 5280 sections 4.2.1.3 and 4.2.1.9).
fn role(candidate: &Candidate<'_>, all: &[Candidate<'_>]) -> Result<Role, String> {
    let certificate = &candidate.certificate;
    let usage = certificate.key_usage();
    if certificate.basic_constraints().is_some_and(|constraints| constraints.ca) {
        return match usage {
            Some(usage) if usage.key_cert_sign() => Ok(Role::Issuer),
            // A CA by basicConstraints whose key may sign lists and nothing else.
            Some(usage) if usage.crl_sign() && candidate.issued_by.is_some() => Ok(Role::ListSigner),
            Some(_) => Err("its keyUsage does not allow it to sign certificates (keyCertSign)".to_owned()),
            None => Ok(Role::Issuer),
        };
    }
    let signs_lists = usage.is_some_and(|usage| usage.crl_sign() && !usage.key_cert_sign());
    let of_a_ca = all.iter().any(|other| {
        other.certificate.authority_key() != certificate.authority_key()
            && other.certificate.subject() == certificate.subject()
            && other.certificate.basic_constraints().is_some_and(|constraints| constraints.ca)
    });
    if signs_lists && of_a_ca && candidate.issued_by.is_some() {
        Ok(Role::ListSigner)
    } else {
        Err("it is not the certificate of a CA (basicConstraints cA)".to_owned())
    }
}

/// The trust anchor that a CA certificate stands for.
pub(super) fn anchor(certificate: &Certificate) -> Result<TrustAnchor<'static>, String> {
    webpki::anchor_from_trusted_cert(certificate.der())
        .map(|anchor| anchor.to_owned())
        .map_err(|error| format!("it cannot be a trust anchor: {error}"))
}
