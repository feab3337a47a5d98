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
pub use types::{
    Decision, LeafFacts, Link, Pending, Reason, Refusal, TicketHolder, Unenforced, VerifiedChain, VerifiedClient,
};

use path::{CandidatePath, Candidates};
use rustls::pki_types::CertificateDer;
use sekisho_pki::certificate::Certificate;
use sekisho_pki::time::Timestamp;
use sekisho_trust::{Authority, Need, TrustSnapshot};
use signed::{Signatures, Unproven, VerifiedPath};
use standing::Whose;
use std::sync::Arc;
use trace::Trace;
use types::Denial;

/// Decides on a presented chain, leaf first, for a site, by a snapshot, at a time.
///
/// With a `cache`, a chain whose signatures, usage and identity were found good under the same CAs and policy is only
/// looked up: time and revocation are checked again on every call.
pub fn verify(
    chain: &[CertificateDer<'_>],
    policy: &SitePolicy,
    trust: &TrustSnapshot,
    cache: Option<&ChainCache>,
    now: Timestamp,
) -> Decision {
    about(chain.first(), decide(&Evaluation { chain, policy, trust, cache, now }, &mut Trace::off()))
}

/// [`verify`] without a cache, which calls `sink` with each [`Step`] as it is taken.
pub fn verify_traced(
    chain: &[CertificateDer<'_>],
    policy: &SitePolicy,
    trust: &TrustSnapshot,
    now: Timestamp,
    sink: &mut dyn FnMut(Step),
) -> Decision {
    about(chain.first(), decide(&Evaluation { chain, policy, trust, cache: None, now }, &mut Trace::to(sink)))
}

/// Decides again on a client already verified: on its next request, or when a new snapshot is published.
///
/// Time and revocation only, unless the CAs or the policy have changed since: then all of it.
pub fn recheck(client: &VerifiedClient, policy: &SitePolicy, trust: &TrustSnapshot, now: Timestamp) -> Decision {
    let same_ground = client.authorities_generation == trust.authorities_generation()
        && client.policy_fingerprint == *policy.fingerprint();
    if same_ground {
        let chain = &client.chain;
        match standing::check(&chain.links, Some(&chain.holder()), trust, now) {
            Ok(standing) => {
                return Decision::Verified(VerifiedClient::of(Arc::clone(chain), standing, policy, trust, now));
            }
            // Another certificate of the same CA may be valid.
            Err((Whose::AuthoritysTime, _)) => {}
            Err((_, denial)) => {
                let denial = denial.map(|refusal| refusal.issued_by(&chain.ca));
                return about(client.presented().first(), Err(denial));
            }
        }
    }
    verify(client.presented(), policy, trust, None, now)
}

/// Decides whether the session of a ticket may be resumed, from the [`Link`]s kept in it: the CAs are still there and
/// accepted by the site, and every certificate of the path is valid, not revoked and not blocked by its serial number.
///
/// Good is not verified: after the handshake [`verify`] decides on the stored chain.
pub fn recheck_links(links: &[Link], policy: &SitePolicy, trust: &TrustSnapshot, now: Timestamp) -> LinksDecision {
    if !policy.accepts_path(links.iter().map(|link| link.issued_by)) {
        let evidence = "no CA of the session's path is accepted by this site any more";
        return LinksDecision::Refused(Refusal::new(Reason::UnknownCa, evidence));
    }
    match standing::check(links, None, trust, now) {
        Ok(_) => LinksDecision::Good,
        Err((_, Denial::Pending(pending))) => LinksDecision::Pending(pending),
        Err((_, Denial::Refused(refusal))) => LinksDecision::Refused(refusal),
    }
}

/// What [`recheck_links`] decides.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a session that is not good is not resumed"]
pub enum LinksDecision {
    /// The session may be resumed.
    Good,
    /// It may be resumed, and its client has no right before the status of its certificates is known.
    Pending(Pending),
    /// It may not be resumed.
    Refused(Refusal),
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

/// What a chain is decided by.
struct Evaluation<'a> {
    chain: &'a [CertificateDer<'a>],
    policy: &'a SitePolicy,
    trust: &'a TrustSnapshot,
    cache: Option<&'a ChainCache>,
    now: Timestamp,
}

/// The decision, whose refusal has what can be read of the leaf.
fn about(leaf: Option<&CertificateDer<'_>>, decided: Result<VerifiedClient, Denial>) -> Decision {
    decided.map_err(|denial| denial.map(|refusal| refusal.about(leaf))).into()
}

/// The table of contents.
fn decide(evaluation: &Evaluation<'_>, trace: &mut Trace<'_>) -> Result<VerifiedClient, Denial> {
    let Evaluation { chain, policy, trust, cache, now } = *evaluation;
    trace.step(StepName::Budget, || budget::check(chain, policy.limits()), |()| budget::describe(chain))?;
    let place = cache.map(|cache| (cache, cache::key(chain, policy, trust)));
    if let Some((cache, key)) = &place
        && let Some(verified) = cache.get(key)
        && let Some(decided) = stand(&verified, policy, trust, now)
    {
        return decided;
    }
    let presented = trace.step(StepName::Parse, || parse(chain), |presented| describe_presented(presented))?;
    let candidates =
        trace.step(StepName::Path, || path::candidates(&presented, policy, trust), |found| path::describe(found))?;
    let mut keep = |verified: Arc<VerifiedChain>| {
        if let Some((cache, key)) = &place {
            cache.insert(*key, verified, now);
        }
    };
    first_verified(&candidates, evaluation, trace, &mut keep)
}

/// The decision on the first candidate whose signatures verify and whose CAs are valid at this time; without one, that
/// there were too many, or the refusal of the candidate that came furthest, where one whose signatures are another key's
/// says less than one that breaks a rule.
fn first_verified(
    candidates: &Candidates<'_>,
    evaluation: &Evaluation<'_>,
    trace: &mut Trace<'_>,
    keep: &mut impl FnMut(Arc<VerifiedChain>),
) -> Result<VerifiedClient, Denial> {
    let mut signatures = Signatures::new(evaluation.trust);
    let mut furthest: Option<((StepName, bool), Refusal)> = None;
    for candidate in &candidates.found {
        let refusal = match prove(candidate, &mut signatures, trace) {
            Ok(path) => match evaluate(&path, evaluation, trace, keep) {
                Err((Whose::AuthoritysTime, Denial::Refused(refusal))) => refusal,
                decided => return decided.map_err(|(_, denial)| denial),
            },
            Err(Unproven::Refused(refusal)) => refusal,
            Err(Unproven::Ended(refusal)) => return Err(refusal.into()),
        };
        let reached = (trace.reached(), refusal.reason != Reason::UnknownCa);
        if furthest.as_ref().is_none_or(|(before, _)| *before < reached) {
            furthest = Some((reached, refusal));
        }
    }
    if let Some(more) = &candidates.more {
        return Err(more.clone().into());
    }
    // `path::candidates` refuses rather than find none.
    let refusal = furthest.map_or_else(|| Refusal::new(Reason::UnknownCa, "no candidate path"), |(_, refusal)| refusal);
    Err(refusal.into())
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

/// Takes a path whose signatures verify through every further step. What does not change with time comes first, and is kept
/// if the client is verified or its status is pending.
fn evaluate(
    path: &VerifiedPath<'_>,
    evaluation: &Evaluation<'_>,
    trace: &mut Trace<'_>,
    keep: &mut impl FnMut(Arc<VerifiedChain>),
) -> Result<VerifiedClient, (Whose, Denial)> {
    let Evaluation { policy, trust, now, .. } = *evaluation;
    let verified = lasting(path, evaluation, trace).map_err(|refusal| (Whose::Leaf, refusal.into()))?;
    let mut whose = Whose::Leaf;
    let decided = trace.step(
        StepName::Standing,
        || {
            let standing = standing::check(&verified.links, Some(&verified.holder()), trust, now);
            let standing = standing.map_err(|(of, denial)| {
                whose = of;
                denial.map(|refusal| refusal.issued_by(&verified.ca))
            })?;
            Ok::<_, Denial>(VerifiedClient::of(Arc::clone(&verified), standing, policy, trust, now))
        },
        |client| standing::describe(client, trust),
    );
    if !matches!(decided, Err(Denial::Refused(_))) {
        keep(verified);
    }
    decided.map_err(|denial| (whose, denial))
}

/// What stays true of a path while CAs and policy stay the same.
fn lasting(
    path: &VerifiedPath<'_>,
    evaluation: &Evaluation<'_>,
    trace: &mut Trace<'_>,
) -> Result<Arc<VerifiedChain>, Refusal> {
    let policy = evaluation.policy;
    trace.step(StepName::Usage, || usage::check(path), |()| usage::describe(path))?;
    let named = |issuer: &&Authority| format!("issued by CA {}", issuer.name());
    let issuer = trace.step(StepName::Site, || policy.admit(path), named)?;
    let identity = trace.step(StepName::Identity, || policy.identify(path, issuer), policy::describe)?;
    Ok(Arc::new(VerifiedChain::of(path, evaluation.chain, issuer, identity)))
}

/// Time and revocation of a chain verified before. `None`: a CA certificate of its path is not valid at this time, and
/// another one of the same CA may be.
fn stand(
    verified: &Arc<VerifiedChain>,
    policy: &SitePolicy,
    trust: &TrustSnapshot,
    now: Timestamp,
) -> Option<Result<VerifiedClient, Denial>> {
    match standing::check(&verified.links, Some(&verified.holder()), trust, now) {
        Ok(standing) => Some(Ok(VerifiedClient::of(Arc::clone(verified), standing, policy, trust, now))),
        Err((Whose::AuthoritysTime, _)) => None,
        Err((_, denial)) => Some(Err(denial.map(|refusal| refusal.issued_by(&verified.ca)))),
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
