//! What verification yields: a proof, or a refusal with its evidence.

use super::kept_headers::ChainHeaders;
use super::policy::SitePolicy;
use super::signed::VerifiedPath;
use super::standing::Standing;
use crate::gateway::verify::identity::Identity;
use rustls::pki_types::CertificateDer;
use sekisho_pki::certificate::Certificate;
use sekisho_pki::fingerprint::{AuthorityKey, Fingerprint};
use sekisho_pki::points::DistributionPoint;
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use sekisho_trust::blocks::Holder;
use sekisho_trust::{Authority, Need, Question, Stale, Subject, TrustSnapshot};
use std::fmt;
use std::sync::Arc;

/// What stays true of a presented chain while the set of CAs stays the same: its path was built, its signatures,
/// usages and identity checked. It is **not** a proof, since time and revocation are open.
/// Only `verify` makes one; the chain cache holds it.
#[derive(Debug)]
pub struct VerifiedChain {
    pub(super) presented: Vec<CertificateDer<'static>>,
    pub(super) above: Vec<CertificateDer<'static>>,
    pub(super) fingerprint: Fingerprint,
    pub(super) identity: Identity,
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) ca: Arc<str>,
    pub(super) links: Vec<Link>,
    pub(super) headers: ChainHeaders,
}

/// One certificate of a verified path and the authority that issued it: what revocation looks up.
/// A path has one for each certificate, leaf first; a trust anchor has none of its own serial to look up
/// (nobody above it can revoke it), only its validity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Serial number of the certificate.
    pub serial: SerialNumber,
    /// Name and key of its issuer.
    pub issued_by: AuthorityKey,
    /// Start of the certificate's validity.
    pub not_before: Timestamp,
    /// Its last valid second.
    pub not_after: Timestamp,
    /// Where its issuer says that its list is. `None` in a ticket, which does not keep it: `verify` decides on the stored
    /// chain once the session is resumed.
    pub points: Option<Arc<[DistributionPoint]>>,
}

/// What is accepted although its status cannot be told for certain, because the CA's policy for that
/// (`when_stale`) says so (requirement R4). Logged and counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unenforced {
    /// The list is stale.
    Stale(Stale),
    /// There is no list that tells (`when_stale = "report-only"`).
    Unavailable {
        /// The CA.
        ca: Arc<str>,
        /// Why.
        why: Arc<str>,
    },
}

/// What a session ticket keeps of its client beside the path, so that whoever is blocked by hand is not resumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketHolder {
    /// SHA-256 of the leaf.
    pub fingerprint: Fingerprint,
    /// The contract that its CN named.
    pub contract_id: Option<String>,
    /// The user that its CN named.
    pub user_id: Option<String>,
}

/// The proof that a client's certificate chain was valid for a site at a moment by a snapshot.
///
/// Private fields and no public constructor: only [`super::verify`] makes one (invariant 4), so whoever holds one
/// may set identity headers from it.
#[derive(Clone, Debug)]
pub struct VerifiedClient {
    pub(super) chain: Arc<VerifiedChain>,
    pub(super) verified_at: Timestamp,
    pub(super) snapshot_generation: u64,
    pub(super) authorities_generation: u64,
    pub(super) policy_fingerprint: [u8; 32],
    pub(super) crl_number: Option<Arc<str>>,
    pub(super) unenforced: Option<Unenforced>,
}

impl Link {
    /// What revocation is asked about it.
    pub(super) fn question(&self, subject: Subject) -> Question<'_> {
        Question { issuer: &self.issued_by, serial: &self.serial, subject, points: self.points.as_deref() }
    }
}

impl Unenforced {
    /// The CA whose policy it is.
    pub const fn ca(&self) -> &Arc<str> {
        match self {
            Self::Stale(stale) => &stale.ca,
            Self::Unavailable { ca, .. } => ca,
        }
    }

    /// What it would have been refused for.
    pub const fn reason(&self) -> Reason {
        Reason::RevocationUnavailable
    }
}

/// The evidence.
impl fmt::Display for Unenforced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale(stale) => stale.fmt(f),
            Self::Unavailable { ca, why } => {
                write!(f, "the revocation status of certificates from CA {ca} is unavailable: {why}")
            }
        }
    }
}

impl VerifiedChain {
    /// What was found of a path that passed every step which does not change with time.
    pub(super) fn of(
        path: &VerifiedPath<'_>,
        presented: &[CertificateDer<'_>],
        issuer: &Authority,
        identity: Identity,
    ) -> Self {
        let link = |(certificate, issued_by): (&Certificate, AuthorityKey)| Link {
            serial: certificate.serial(),
            issued_by,
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
            points: Some(Arc::clone(certificate.distribution_points())),
        };
        Self {
            presented: presented.iter().map(|certificate| certificate.clone().into_owned()).collect(),
            fingerprint: path.leaf().fingerprint(),
            identity,
            subject: path.leaf().subject().to_string(),
            issuer: path.leaf().issuer().to_string(),
            ca: Arc::clone(issuer.name()),
            above: path.intermediates().map(|certificate| certificate.der().clone()).collect(),
            links: path.certificates().zip(path.issuer_keys()).map(link).collect(),
            headers: ChainHeaders::default(),
        }
    }

    /// Who it is, as the block list looks people up.
    pub(super) fn holder(&self) -> Holder<'_> {
        let (contract_id, user_id) = (self.identity.contract_id(), self.identity.user_id());
        Holder { fingerprint: self.fingerprint, contract_id, user_id }
    }
}

impl TicketHolder {
    /// Who it is, as the block list looks people up.
    pub(super) fn holder(&self) -> Holder<'_> {
        let (contract_id, user_id) = (self.contract_id.as_deref(), self.user_id.as_deref());
        Holder { fingerprint: self.fingerprint, contract_id, user_id }
    }
}

impl VerifiedClient {
    /// Whether both were verified by the same CAs and policy.
    pub(in crate::gateway) fn is_on_the_ground_of(&self, other: &Self) -> bool {
        self.authorities_generation == other.authorities_generation
            && self.policy_fingerprint == other.policy_fingerprint
    }

    pub(super) fn of(
        chain: Arc<VerifiedChain>,
        standing: Standing,
        policy: &SitePolicy,
        trust: &TrustSnapshot,
        now: Timestamp,
    ) -> Self {
        Self {
            chain,
            verified_at: now,
            snapshot_generation: trust.generation(),
            authorities_generation: trust.authorities_generation(),
            policy_fingerprint: *policy.fingerprint(),
            crl_number: standing.crl_number,
            unenforced: standing.unenforced,
        }
    }

    /// The identity from the certificate's one CN.
    pub fn identity(&self) -> &Identity {
        &self.chain.identity
    }

    /// The leaf's serial number.
    pub fn serial(&self) -> SerialNumber {
        self.leaf().serial
    }

    /// The leaf's subject, RFC 4514.
    pub fn subject(&self) -> &str {
        &self.chain.subject
    }

    /// The leaf's issuer, RFC 4514.
    pub fn issuer(&self) -> &str {
        &self.chain.issuer
    }

    /// The configured name of the CA that issued the leaf.
    pub fn ca(&self) -> &Arc<str> {
        &self.chain.ca
    }

    /// The leaf's notBefore.
    pub fn not_before(&self) -> Timestamp {
        self.leaf().not_before
    }

    /// The leaf's notAfter.
    pub fn not_after(&self) -> Timestamp {
        self.leaf().not_after
    }

    /// SHA-256 of the leaf.
    pub fn fingerprint(&self) -> Fingerprint {
        self.chain.fingerprint
    }

    /// The presented chain, leaf first.
    pub fn presented(&self) -> &[CertificateDer<'static>] {
        &self.chain.presented
    }

    /// The CA certificates of the verified path below its trust anchor, from the leaf's issuer upward, whether the client
    /// sent them or not (RFC 9440 section 2.2).
    pub fn path_above(&self) -> &[CertificateDer<'static>] {
        &self.chain.above
    }

    /// What the chain's certificates say in headers, once it was written.
    pub(in crate::gateway) fn headers(&self) -> &ChainHeaders {
        &self.chain.headers
    }

    /// The path's certificates and who issued each, leaf first; never empty.
    pub fn links(&self) -> &[Link] {
        &self.chain.links
    }

    /// What a ticket of its session keeps of it beside the path.
    pub fn ticket_holder(&self) -> TicketHolder {
        let Holder { fingerprint, contract_id, user_id } = self.chain.holder();
        TicketHolder { fingerprint, contract_id: contract_id.map(str::to_owned), user_id: user_id.map(str::to_owned) }
    }

    /// When this proof was made.
    pub fn verified_at(&self) -> Timestamp {
        self.verified_at
    }

    /// The generation of the trust snapshot it was made by.
    pub fn snapshot_generation(&self) -> u64 {
        self.snapshot_generation
    }

    /// The number of the revocation list that the leaf was looked up in (decimal), when its issuer has one with a number.
    pub fn crl_number(&self) -> Option<&str> {
        self.crl_number.as_deref()
    }

    /// What its standing leaves uncertain and the CA's policy tolerates.
    pub fn unenforced(&self) -> Option<&Unenforced> {
        self.unenforced.as_ref()
    }

    fn leaf(&self) -> &Link {
        // `VerifiedChain::of` puts the leaf first, and a path has one.
        &self.chain.links[0]
    }
}

/// Why a client is refused (requirement G5). The name is stable: it stands in logs, metrics and problem+json types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// None was presented where one is required.
    NoCertificate,
    /// notAfter has passed, of the leaf or of a CA above it.
    Expired,
    /// notBefore has not come, of the leaf or of a CA above it.
    NotYetValid,
    /// The leaf or a CA above it is on its issuer's revocation list.
    Revoked,
    /// The leaf is on hold (certificateHold, RFC 5280 section 5.3.1): it is good again once it is released.
    Suspended,
    /// The leaf, its user, its contract, or a CA above it is on the block list.
    Blocked,
    /// No path to a CA that this site trusts.
    UnknownCa,
    /// Key usage, extended key usage, basic constraints or name constraints forbid it.
    WrongUsage,
    /// Not a certificate that can be read or relied on: encoding, signature, weak key or algorithm, unknown critical extension, oversized chain.
    BadCertificate,
    /// The CN is not exactly one, is unsafe or does not match the CA's pattern.
    MalformedIdentity,
    /// A valid certificate that this site, route or contract range does not admit.
    NotPermitted,
    /// The issuer's revocation list is missing, stale or not understood (absent is never empty).
    RevocationUnavailable,
}

impl Reason {
    /// Every reason, in the order of the table in docs/guide/refusals.md.
    pub const ALL: [Self; 12] = [
        Self::NoCertificate,
        Self::Expired,
        Self::NotYetValid,
        Self::Revoked,
        Self::Suspended,
        Self::Blocked,
        Self::UnknownCa,
        Self::WrongUsage,
        Self::BadCertificate,
        Self::MalformedIdentity,
        Self::NotPermitted,
        Self::RevocationUnavailable,
    ];

    /// Returns the stable name: `no-certificate`, `expired`, …
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoCertificate => "no-certificate",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::Revoked => "revoked",
            Self::Suspended => "suspended",
            Self::Blocked => "blocked",
            Self::UnknownCa => "unknown-ca",
            Self::WrongUsage => "wrong-usage",
            Self::BadCertificate => "bad-certificate",
            Self::MalformedIdentity => "malformed-identity",
            Self::NotPermitted => "not-permitted",
            Self::RevocationUnavailable => "revocation-unavailable",
        }
    }
}

/// A refusal: the reason that may be told, and evidence that only the log gets (invariant 9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What may be told.
    pub reason: Reason,
    /// What happened, in one English sentence for the log: which certificate, which CA, which rule.
    pub evidence: String,
    /// The leaf, as far as it could be read.
    pub subject: Option<Box<LeafFacts>>,
    /// The configured name of the CA that issued the leaf, where that is proven: what to do next depends on it.
    pub ca: Option<Arc<str>>,
}

/// What [`super::verify`] decides on a client's chain.
#[derive(Clone, Debug)]
#[must_use = "a client that is not verified has no right"]
pub enum Decision {
    /// It is valid, and may be believed.
    Verified(VerifiedClient),
    /// Everything that is known of it is good; its revocation status is pending.
    Pending(Pending),
    /// It is refused.
    Refused(Refusal),
}

/// A revocation status that is not known before a source was queried. A client whose status is pending has no right, and
/// is not told of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// What the client would be refused with now: [`Reason::RevocationUnavailable`].
    pub refusal: Refusal,
    /// The queries to make; never empty.
    pub needs: Vec<Need>,
}

/// Why a chain is not verified, while the decision is being made.
#[derive(Debug)]
pub(super) enum Denial {
    Refused(Refusal),
    Pending(Pending),
}

/// What a log record says of a leaf, proven or not.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LeafFacts {
    /// Subject, RFC 4514, unproven.
    pub subject: String,
    /// Issuer, RFC 4514, unproven.
    pub issuer: String,
    /// Serial, lower-case hex.
    pub serial: String,
    /// SHA-256, lower-case hex.
    pub fingerprint: String,
    /// notAfter.
    pub not_after: Option<Timestamp>,
    /// The number of the revocation list that said so, when the reason is `revoked`.
    pub crl_number: Option<String>,
}

impl Refusal {
    /// A refusal without a readable leaf.
    pub fn new(reason: Reason, evidence: impl Into<String>) -> Self {
        Self { reason, evidence: evidence.into(), subject: None, ca: None }
    }

    /// The same refusal of a leaf that the CA of this name issued.
    #[must_use]
    pub(super) fn issued_by(self, ca: &Arc<str>) -> Self {
        Self { ca: Some(Arc::clone(ca)), ..self }
    }

    /// The same refusal with what can be read of the leaf it is about.
    #[must_use]
    pub(super) fn about(mut self, leaf: Option<&CertificateDer<'_>>) -> Self {
        if let Some(leaf) = leaf {
            let crl_number = self.subject.take().and_then(|facts| facts.crl_number);
            self.subject = Some(Box::new(LeafFacts { crl_number, ..LeafFacts::read(leaf) }));
        }
        self
    }
}

impl Decision {
    /// The client if it is verified, and else what it is refused with: for good, or as long as its status is pending.
    ///
    /// # Errors
    /// The refusal.
    #[inline]
    pub fn into_result(self) -> Result<VerifiedClient, Refusal> {
        match self {
            Self::Verified(client) => Ok(client),
            Self::Pending(Pending { refusal, .. }) | Self::Refused(refusal) => Err(refusal),
        }
    }
}

impl From<Result<VerifiedClient, Denial>> for Decision {
    fn from(decided: Result<VerifiedClient, Denial>) -> Self {
        match decided {
            Ok(client) => Self::Verified(client),
            Err(Denial::Pending(pending)) => Self::Pending(pending),
            Err(Denial::Refused(refusal)) => Self::Refused(refusal),
        }
    }
}

impl Denial {
    /// The same with its refusal changed.
    pub(super) fn map(self, change: impl FnOnce(Refusal) -> Refusal) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(change(refusal)),
            Self::Pending(Pending { refusal, needs }) => Self::Pending(Pending { refusal: change(refusal), needs }),
        }
    }
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl AsRef<Refusal> for Denial {
    fn as_ref(&self) -> &Refusal {
        match self {
            Self::Refused(refusal) | Self::Pending(Pending { refusal, .. }) => refusal,
        }
    }
}

impl AsRef<Self> for Refusal {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl LeafFacts {
    /// What can be read of a certificate without believing it; of one that cannot be parsed, its fingerprint.
    pub fn read(der: &[u8]) -> Self {
        let fingerprint = Fingerprint::of(der).to_string();
        match Certificate::parse(der) {
            Ok(leaf) => Self {
                subject: shortened(leaf.subject().to_string()),
                issuer: shortened(leaf.issuer().to_string()),
                serial: leaf.serial().to_string(),
                fingerprint,
                not_after: Some(leaf.not_after()),
                crl_number: None,
            },
            Err(_) => Self { fingerprint, ..Self::default() },
        }
    }
}

/// Octets of an unproven name that a log record repeats: a client can make it as long as its certificate.
const MAX_LOGGED_NAME_BYTES: usize = 1024;

fn shortened(mut name: String) -> String {
    if name.len() > MAX_LOGGED_NAME_BYTES {
        let end = (0..=MAX_LOGGED_NAME_BYTES).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
        name.truncate(end);
        name.push('…');
    }
    name
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.as_str(), self.evidence)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
impl VerifiedClient {
    /// A client that nothing verified, for tests of what is done with one.
    pub(crate) fn for_test(
        identity: Identity,
        presented: Vec<CertificateDer<'static>>,
        issuer: &str,
        serial: SerialNumber,
        validity: [Timestamp; 2],
    ) -> Self {
        let [not_before, not_after] = validity;
        let fingerprint = Fingerprint::of(presented.first().map_or(&[], |leaf| leaf));
        let subject = format!("CN={}", identity.common_name());
        let links = vec![Link { serial, issued_by: AuthorityKey::of(&[], &[]), not_before, not_after, points: None }];
        let (issuer, ca, headers) = (issuer.to_owned(), "test".into(), ChainHeaders::default());
        let above = presented.iter().skip(1).cloned().collect();
        let chain = VerifiedChain { presented, above, fingerprint, identity, subject, issuer, ca, links, headers };
        Self {
            chain: Arc::new(chain),
            verified_at: not_before,
            snapshot_generation: 1,
            authorities_generation: 1,
            policy_fingerprint: [0; 32],
            crl_number: None,
            unenforced: None,
        }
    }
}
