//! What is true of a verified path only now: validity and revocation.

use super::types::{Denial, LeafFacts, Link, Pending, Reason, Refusal, Unenforced, VerifiedClient};
use sekisho_config::AnchorExpiry;
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_pki::time::Timestamp;
use sekisho_trust::blocks::{Block, Holder};
use sekisho_trust::{Authority, Need, RevocationStatus, Subject, TrustSnapshot};
use std::sync::Arc;

/// A path that stands.
#[derive(Debug)]
pub(super) struct Standing {
    /// Number of the list the leaf was looked up in.
    pub(super) crl_number: Option<Arc<str>>,
    /// What is not certain and tolerated.
    pub(super) unenforced: Option<Unenforced>,
}

/// Whose fault it is that a path does not stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The leaf's.
    Leaf,
    /// A CA's above it: it is revoked or blocked, or its status is missing.
    Authority,
    /// A CA's above it, whose certificate is not valid at this time: another one of the same CA may be. Nothing else is
    /// answered by another path, since the client chooses what it sends along.
    AuthoritysTime,
}

/// Checks every certificate of a path, leaf first, who holds its leaf if that is known, and the anchor's validity.
///
/// A revoked one anywhere is told before a blocked one, that before an expired one, and that before one whose status is
/// unavailable ([`super`] says why).
pub(super) fn check(
    links: &[Link],
    holder: Option<&Holder<'_>>,
    trust: &TrustSnapshot,
    now: Timestamp,
) -> Result<Standing, (Whose, Denial)> {
    let refused = |(whose, refusal): (Whose, Refusal)| (whose, Denial::Refused(refusal));
    let mut crl_number = None;
    let (mut unavailable, mut unenforced) = (None, None);
    let mut pending: Option<Pending> = None;
    for (link, whose) in with_owner(links) {
        let issuer = configured(link, trust).map_err(|refusal| refused((whose, refusal)))?;
        match trust.revocation(&link.question(whose.into()), now) {
            RevocationStatus::Good { crl_number: number, warning } => {
                if whose == Whose::Leaf {
                    crl_number = number;
                }
                unenforced = unenforced.or(warning.map(Unenforced::Stale));
            }
            RevocationStatus::NotChecked => {}
            RevocationStatus::Unenforced { ca, why } => {
                unenforced.get_or_insert_with(|| Unenforced::Unavailable { ca, why: why.into() });
            }
            RevocationStatus::Revoked { at, reason, crl_number } => {
                // A CA on hold is nothing that its client could have released.
                let is_hold = whose == Whose::Leaf && reason == RevocationReason::CertificateHold;
                let reason = if is_hold { Reason::Suspended } else { Reason::Revoked };
                return Err(refused((whose, revoked(reason, link, issuer, at, crl_number))));
            }
            RevocationStatus::Unavailable { ca, why } => {
                unavailable.get_or_insert((whose, ca, why));
            }
            RevocationStatus::Pending { ca, need } => {
                pending
                    .get_or_insert_with(|| Pending { refusal: not_known_yet(&ca), needs: Vec::new() })
                    .needs
                    .push(need);
            }
        }
    }
    check_blocks(links, holder, trust, now).map_err(refused)?;
    for (link, whose) in with_owner(links) {
        let whose = if whose == Whose::Leaf { whose } else { Whose::AuthoritysTime };
        check_time(link, now).map_err(|refusal| refused((whose, refusal)))?;
    }
    check_anchor(links, trust, now).map_err(|refusal| refused((Whose::AuthoritysTime, refusal)))?;
    match unavailable {
        Some((whose, ca, why)) => {
            let evidence = format!("the revocation status of certificates from CA {ca} is unavailable: {why}");
            Err(refused((whose, Refusal::new(Reason::RevocationUnavailable, evidence))))
        }
        None => match pending {
            // The leaf's, even if it is a CA's status that is missing: no other path is looked for meanwhile.
            Some(pending) => Err((Whose::Leaf, Denial::Pending(pending))),
            None => Ok(Standing { crl_number, unenforced }),
        },
    }
}

impl From<Whose> for Subject {
    fn from(whose: Whose) -> Self {
        match whose {
            Whose::Leaf => Self::EndEntity,
            Whose::Authority | Whose::AuthoritysTime => Self::Authority,
        }
    }
}

/// What has to be asked for before the status of these certificates can be told.
pub(super) fn needs(links: &[Link], trust: &TrustSnapshot, now: Timestamp) -> Vec<Need> {
    let status = |(link, whose): (&Link, Whose)| trust.revocation(&link.question(whose.into()), now);
    let need = |status| match status {
        RevocationStatus::Pending { need, .. } => Some(need),
        _ => None,
    };
    with_owner(links).map(status).filter_map(need).collect()
}

/// Returns `true` if the first certificate of a path is revoked.
pub(super) fn is_leaf_revoked(links: &[Link], trust: &TrustSnapshot, now: Timestamp) -> bool {
    let status = |link: &Link| trust.revocation(&link.question(Subject::EndEntity), now);
    links.first().is_some_and(|leaf| matches!(status(leaf), RevocationStatus::Revoked { .. }))
}

pub(super) fn describe(client: &VerifiedClient, trust: &TrustSnapshot) -> String {
    let looked_up = client.links().iter().map(|link| {
        let issuer = trust.authority(&link.issued_by).map_or("?", |authority| authority.name());
        format!("{} from CA {issuer} valid until {}", link.serial, link.not_after)
    });
    let list = client.crl_number().map_or_else(|| "no list number".into(), |number| format!("list {number}"));
    let unenforced = client.unenforced().map_or_else(String::new, |unenforced| format!("; not enforced: {unenforced}"));
    format!("none revoked ({list}); {}{unenforced}", looked_up.collect::<Vec<_>>().join(", "))
}

fn with_owner(links: &[Link]) -> impl Iterator<Item = (&Link, Whose)> {
    let owner = |index| if index == 0 { Whose::Leaf } else { Whose::Authority };
    links.iter().enumerate().map(move |(index, link)| (link, owner(index)))
}

fn configured<'a>(link: &Link, trust: &'a TrustSnapshot) -> Result<&'a Authority, Refusal> {
    trust.authority(&link.issued_by).ok_or_else(|| not_configured(&link.issued_by))
}

fn not_configured(key: &AuthorityKey) -> Refusal {
    Refusal::new(Reason::UnknownCa, format!("the CA {key:?} of the path is not configured any more"))
}

fn revoked(reason: Reason, link: &Link, issuer: &Authority, at: Timestamp, crl_number: Option<Arc<str>>) -> Refusal {
    let how = if reason == Reason::Suspended { "put on hold" } else { "revoked" };
    let evidence = format!("serial {} was {how} by CA {} at {at}", link.serial, issuer.name());
    let crl_number = crl_number.map(|number| number.to_string());
    let subject = Some(Box::new(LeafFacts { crl_number, ..LeafFacts::default() }));
    Refusal { subject, ..Refusal::new(reason, evidence) }
}

fn not_known_yet(ca: &str) -> Refusal {
    let evidence = format!("the revocation status of certificates from CA {ca} is pending");
    Refusal::new(Reason::RevocationUnavailable, evidence)
}

/// Nobody who is blocked by hand, whatever any list says of the certificate.
fn check_blocks(
    links: &[Link],
    holder: Option<&Holder<'_>>,
    trust: &TrustSnapshot,
    now: Timestamp,
) -> Result<(), (Whose, Refusal)> {
    let blocks = &trust.live().blocks;
    if blocks.is_empty() {
        return Ok(());
    }
    for (link, whose) in with_owner(links) {
        if let Some(block) = blocks.certificate(&link.issued_by, &link.serial, now) {
            return Err((whose, blocked(block)));
        }
    }
    match holder {
        Some(holder) => check_holder(holder, trust, now).map_err(|refusal| (Whose::Leaf, refusal)),
        None => Ok(()),
    }
}

/// Nobody whose certificate, user ID or contract is blocked by hand.
pub(super) fn check_holder(holder: &Holder<'_>, trust: &TrustSnapshot, now: Timestamp) -> Result<(), Refusal> {
    match trust.live().blocks.holder(holder, now) {
        Some(block) => Err(blocked(block)),
        None => Ok(()),
    }
}

fn blocked(block: &Block) -> Refusal {
    let Block { by, added, reason, .. } = block;
    let evidence = format!("blocked by {} {} since {added} by {by}: {reason}", block.target.kind(), block.id());
    Refusal::new(Reason::Blocked, evidence)
}

fn check_time(link: &Link, now: Timestamp) -> Result<(), Refusal> {
    within(link.not_before, link.not_after, now, || format!("the certificate with serial {}", link.serial))
}

fn check_anchor(links: &[Link], trust: &TrustSnapshot, now: Timestamp) -> Result<(), Refusal> {
    let Some(top) = links.last() else {
        return Err(Refusal::new(Reason::UnknownCa, "the path is empty"));
    };
    let anchor = configured(top, trust)?;
    if anchor.issued_by().is_some() {
        // It was an anchor once: its path must be found anew.
        return Err(Refusal::new(Reason::UnknownCa, format!("CA {} is not a trust anchor any more", anchor.name())));
    }
    match anchor.anchor_expiry() {
        AnchorExpiry::Ignore => Ok(()),
        AnchorExpiry::Check => {
            let certificate = anchor.certificate();
            within(certificate.not_before(), certificate.not_after(), now, || {
                format!("the trust anchor CA {}", anchor.name())
            })
        }
    }
}

/// Refuses a time outside a validity period, whose last second is inside.
pub(super) fn within(
    first: Timestamp,
    last: Timestamp,
    now: Timestamp,
    what: impl FnOnce() -> String,
) -> Result<(), Refusal> {
    if now > last {
        return Err(Refusal::new(Reason::Expired, format!("{} expired at {last}", what())));
    }
    if now < first {
        return Err(Refusal::new(Reason::NotYetValid, format!("{} is not valid before {first}", what())));
    }
    Ok(())
}
