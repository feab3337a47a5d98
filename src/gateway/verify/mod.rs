//! The decision on a client's certificate chain: [`verify`] is the one function that makes a [`VerifiedClient`], for
//! the handshake, for a resumed session, and for `sekisho verify`.
//!
//! Several reasons may be true of one chain; the one told is always the same one. In order: budget, encoding,
//! path by name, keys and algorithms, signatures, usage, the site's CAs, identity, and then what changes with time:
//! **revoked**, **blocked** by hand, expired or not yet valid, status unavailable, the leaf before its CAs. Revoked comes
//! before expired since it is the graver and needs another act (a call to the bank, not a renewal), and so does blocked;
//! expired comes before unavailable since it is certain.

mod budget;
mod cache;
pub mod identity;
mod kept_headers;
mod path;
mod policy;
mod rules;
mod signed;
mod standing;
mod trace;
mod types;
mod usage;

pub use cache::{ChainCache, DEFAULT_CACHE_BYTES};

pub use policy::{ChainLimits, SitePolicy};
pub use trace::{Outcome, Step, StepName};
pub use types::{LeafFacts, Link, Reason, Refusal, TicketHolder, Unenforced, VerifiedChain, VerifiedClient};

use path::{CandidatePath, Candidates};
use rustls::pki_types::CertificateDer;
use sekisho_pki::certificate::Certificate;
use sekisho_pki::time::Timestamp;
use sekisho_trust::{Authority, Need, TrustSnapshot};
use signed::{Signatures, Unproven, VerifiedPath};
use standing::Whose;
use std::sync::Arc;
use trace::Trace;

/// Decides on a presented chain, leaf first, for a site, by a snapshot, at a time.
///
/// With a `cache`, a chain whose signatures, usage and identity were found good under the same CAs and policy is only
/// looked up: time and revocation are checked anew on every call.
///
/// # Errors
/// The [`Refusal`] with its reason, evidence and what could be read of the leaf.
pub fn verify(
    chain: &[CertificateDer<'_>],
    policy: &SitePolicy,
    trust: &TrustSnapshot,
    cache: Option<&ChainCache>,
    now: Timestamp,
) -> Result<VerifiedClient, Refusal> {
    decide(chain, policy, trust, cache, now, &mut Trace::off()).map_err(|refusal| refusal.about(chain.first()))
}

/// [`verify`] without a cache, telling each [`Step`] to `sink` as it is taken.
///
/// # Errors
/// As [`verify`].
pub fn verify_traced(
    chain: &[CertificateDer<'_>],
    policy: &SitePolicy,
    trust: &TrustSnapshot,
    now: Timestamp,
    sink: &mut dyn FnMut(Step),
) -> Result<VerifiedClient, Refusal> {
    decide(chain, policy, trust, None, now, &mut Trace::to(sink)).map_err(|refusal| refusal.about(chain.first()))
}

/// Decides again on a client already verified: on its next request, or when a new snapshot is published.
///
/// Time and revocation only, unless the CAs or the policy have changed since: then all of it.
///
/// # Errors
/// As [`verify`].
pub fn recheck(
    client: &VerifiedClient,
    policy: &SitePolicy,
    trust: &TrustSnapshot,
    now: Timestamp,
) -> Result<VerifiedClient, Refusal> {
    let same_ground = client.authorities_generation == trust.authorities_generation()
        && client.policy_fingerprint == *policy.fingerprint();
    if same_ground && let Some(decision) = stand(&client.chain, policy, trust, now) {
        return decision.map_err(|refusal| refusal.about(client.presented().first()));
    }
    verify(client.presented(), policy, trust, None, now)
}

/// Decides whether the session of a ticket may be resumed, from the [`Link`]s kept in it: the CAs are still there and
/// accepted by the site, and every certificate of the path is valid, not revoked and not blocked by its serial number.
///
/// It makes no [`VerifiedClient`]: after the handshake [`verify`] decides on the stored chain.
///
/// # Errors
/// As [`verify`], without facts of the leaf.
pub fn recheck_links(
    links: &[Link],
    policy: &SitePolicy,
    trust: &TrustSnapshot,
    now: Timestamp,
) -> Result<(), Refusal> {
    if !policy.accepts_path(links.iter().map(|link| link.issued_by)) {
        return Err(Refusal::new(Reason::UnknownCa, "no CA of the session's path is accepted by this site any more"));
    }
    standing::check(links, None, trust, now).map(drop).map_err(|(_, refusal)| refusal)
}

/// Decides whether the client of a ticket may be resumed, by who it was: nobody has blocked it since.
///
/// # Errors
/// [`Reason::Blocked`].
pub fn recheck_holder(holder: &TicketHolder, trust: &TrustSnapshot, now: Timestamp) -> Result<(), Refusal> {
    standing::check_holder(&holder.holder(), trust, now)
}

/// What has to be asked for before it can be told whether a verified client still is one; nothing costs the look-ups of
/// its certificates.
pub fn needs(client: &VerifiedClient, trust: &TrustSnapshot, now: Timestamp) -> Vec<Need> {
    standing::needs(client.links(), trust, now)
}

/// Returns `true` if the client's own certificate, and not one above it, is revoked.
pub fn is_leaf_revoked(client: &VerifiedClient, trust: &TrustSnapshot, now: Timestamp) -> bool {
    standing::is_leaf_revoked(client.links(), trust, now)
}

/// The table of contents.
fn decide(
    chain: &[CertificateDer<'_>],
    policy: &SitePolicy,
    trust: &TrustSnapshot,
    cache: Option<&ChainCache>,
    now: Timestamp,
    trace: &mut Trace<'_>,
) -> Result<VerifiedClient, Refusal> {
    trace.step(StepName::Budget, || budget::check(chain, policy.limits()), |()| budget::describe(chain))?;
    let place = cache.map(|cache| (cache, cache::key(chain, policy, trust)));
    if let Some((cache, key)) = &place
        && let Some(verified) = cache.get(key)
        && let Some(decision) = stand(&verified, policy, trust, now)
    {
        return decision;
    }
    let presented = trace.step(StepName::Parse, || parse(chain), |presented| describe_presented(presented))?;
    let candidates =
        trace.step(StepName::Path, || path::candidates(&presented, policy, trust), |found| path::describe(found))?;
    let mut keep = |verified: Arc<VerifiedChain>| {
        if let Some((cache, key)) = &place {
            cache.insert(*key, verified, now);
        }
    };
    let ground = Ground { chain, policy, trust, now };
    first_verified(&candidates, &ground, trace, &mut keep)
}

/// What a path is judged by.
struct Ground<'a> {
    chain: &'a [CertificateDer<'a>],
    policy: &'a SitePolicy,
    trust: &'a TrustSnapshot,
    now: Timestamp,
}

/// The decision on the first candidate whose signatures verify and whose CAs are valid at this time; without one, that
/// there were too many, or the refusal of the candidate that came furthest, where one whose signatures are another key's
/// says less than one that breaks a rule.
fn first_verified(
    candidates: &Candidates<'_>,
    ground: &Ground<'_>,
    trace: &mut Trace<'_>,
    keep: &mut impl FnMut(Arc<VerifiedChain>),
) -> Result<VerifiedClient, Refusal> {
    let mut signatures = Signatures::new(ground.trust);
    let mut furthest: Option<((StepName, bool), Refusal)> = None;
    for candidate in &candidates.found {
        let refusal = match prove(candidate, &mut signatures, trace) {
            Ok(path) => match judge(&path, ground, trace, keep) {
                Err((Whose::AuthoritysTime, refusal)) => refusal,
                decision => return decision.map_err(|(_, refusal)| refusal),
            },
            Err(Unproven::Refused(refusal)) => refusal,
            Err(Unproven::Ended(refusal)) => return Err(refusal),
        };
        let reached = (trace.reached(), refusal.reason != Reason::UnknownCa);
        if furthest.as_ref().is_none_or(|(before, _)| *before < reached) {
            furthest = Some((reached, refusal));
        }
    }
    if let Some(more) = &candidates.more {
        return Err(more.clone());
    }
    // `path::candidates` refuses rather than find none.
    Err(furthest.map_or_else(|| Refusal::new(Reason::UnknownCa, "no candidate path"), |(_, refusal)| refusal))
}

/// Spends signature checks on a candidate that is worth them.
fn prove<'a>(
    candidate: &CandidatePath<'a>,
    signatures: &mut Signatures<'a>,
    trace: &mut Trace<'_>,
) -> Result<VerifiedPath<'a>, Unproven> {
    trace
        .step(StepName::Algorithms, || rules::check(candidate), |()| rules::describe(candidate))
        .map_err(Unproven::Refused)?;
    let mut ended = false;
    let path = trace.step(
        StepName::Signatures,
        || {
            let path = VerifiedPath::prove(candidate, signatures);
            ended = matches!(path, Err(Unproven::Ended(_)));
            Ok((path?, signatures.count()))
        },
        |(_, count)| format!("every signature verifies ({count} checked)"),
    );
    path.map(|(path, _)| path).map_err(if ended { Unproven::Ended } else { Unproven::Refused })
}

/// A verified path through every further step; what does not change with time comes first and is kept, of a client that
/// stands or may stand once its status was asked for.
fn judge(
    path: &VerifiedPath<'_>,
    ground: &Ground<'_>,
    trace: &mut Trace<'_>,
    keep: &mut impl FnMut(Arc<VerifiedChain>),
) -> Result<VerifiedClient, (Whose, Refusal)> {
    let Ground { policy, trust, now, .. } = *ground;
    let verified = lasting(path, ground, trace).map_err(|refusal| (Whose::Leaf, refusal))?;
    let mut whose = Whose::Leaf;
    let decision = trace.step(
        StepName::Standing,
        || {
            let standing = standing::check(&verified.links, Some(&verified.holder()), trust, now);
            let standing = standing.map_err(|(of, refusal)| {
                whose = of;
                refusal.issued_by(&verified.ca)
            })?;
            Ok(VerifiedClient::of(Arc::clone(&verified), standing, policy, trust, now))
        },
        |client| standing::describe(client, trust),
    );
    if decision.as_ref().map_or_else(Refusal::is_pending, |_| true) {
        keep(verified);
    }
    decision.map_err(|refusal| (whose, refusal))
}

/// What stays true of a path while CAs and policy stay the same.
fn lasting(path: &VerifiedPath<'_>, ground: &Ground<'_>, trace: &mut Trace<'_>) -> Result<Arc<VerifiedChain>, Refusal> {
    let policy = ground.policy;
    trace.step(StepName::Usage, || usage::check(path), |()| usage::describe(path))?;
    let named = |issuer: &&Authority| format!("issued by CA {}", issuer.name());
    let issuer = trace.step(StepName::Site, || policy.admit(path), named)?;
    let identity = trace.step(StepName::Identity, || policy.identify(path, issuer), policy::describe)?;
    Ok(Arc::new(VerifiedChain::of(path, ground.chain, issuer, identity)))
}

/// Time and revocation of a chain verified before. `None`: a CA certificate of its path is not valid at this time, and
/// another one of the same CA may be.
fn stand(
    verified: &Arc<VerifiedChain>,
    policy: &SitePolicy,
    trust: &TrustSnapshot,
    now: Timestamp,
) -> Option<Result<VerifiedClient, Refusal>> {
    match standing::check(&verified.links, Some(&verified.holder()), trust, now) {
        Ok(standing) => Some(Ok(VerifiedClient::of(Arc::clone(verified), standing, policy, trust, now))),
        Err((Whose::AuthoritysTime, _)) => None,
        Err((_, refusal)) => Some(Err(refusal.issued_by(&verified.ca))),
    }
}

/// Every presented certificate, leaf first: one that cannot be read spoils the chain, used or not.
fn parse(chain: &[CertificateDer<'_>]) -> Result<Vec<Certificate>, Refusal> {
    chain
        .iter()
        .enumerate()
        .map(|(index, der)| {
            Certificate::parse(der).map_err(|error| {
                Refusal::new(Reason::BadCertificate, format!("certificate {index} of the chain: {error}"))
            })
        })
        .collect()
}

fn describe_presented(presented: &[Certificate]) -> String {
    presented.first().map_or_else(String::new, |leaf| {
        format!("subject {}, serial {}, {} in all", leaf.subject(), leaf.serial(), presented.len())
    })
}
