//! The immutable snapshot that the hot path borrows.

use super::authority::{Authority, AuthorityFacts, Revocation, Role, anchor};
use super::feed;
use super::files::FileMemory;
use super::lists::{Lookup, RevocationLists};
use super::live::Live;
use super::need::Need;
use super::ocsp::Responder;
use super::staleness::{Freshness, Stale};
use crate::config::WhenStale;
use crate::pki::crl::{CrlNumber, RevocationReason};
use crate::pki::fingerprint::AuthorityKey;
use crate::pki::serial::SerialNumber;
use crate::pki::time::Timestamp;
use rustls::pki_types::{CertificateDer, TrustAnchor};
use std::sync::Arc;

/// Everything that is trusted at one moment; never changes once it is made.
#[derive(Debug)]
pub struct TrustSnapshot {
    generation: u64,
    ground: Arc<Ground>,
    /// Which of the CAs follow the issuer's feed.
    rules: Arc<feed::Rules>,
    live: Live,
}

/// What a load of the configured files made: shared by all snapshots until the next load.
#[derive(Debug)]
struct Ground {
    authorities_generation: u64,
    authorities: Vec<Authority>,
    /// Keys in order, each with its place in `authorities`.
    by_key: Vec<(AuthorityKey, usize)>,
    anchors: Vec<TrustAnchor<'static>>,
    intermediates: Vec<CertificateDer<'static>>,
    /// What is known of the files, so that a reload reads only what changed.
    files: FileMemory,
}

/// What revocation says of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationStatus {
    /// On no list, and the complete list in force is fresh enough.
    Good {
        /// The number of the list in force, decimal.
        crl_number: Option<String>,
        /// The list is stale and the policy let it serve on.
        warning: Option<Stale>,
    },
    /// On a list.
    Revoked {
        /// When, to the minute.
        at: Timestamp,
        /// Why.
        reason: RevocationReason,
        /// The number of the list, decimal.
        crl_number: Option<String>,
    },
    /// The CA says `revocation = "none"`.
    NotChecked,
    /// It cannot be told yet: something is to be asked for first. Not good, and not to be told to the client.
    Pending {
        /// The CA whose source is to be asked.
        ca: Arc<str>,
        /// What for.
        need: Need,
    },
    /// It cannot be told, so the certificate must be refused.
    Unavailable {
        /// The CA whose list is missing, stale or not understood; for an issuer that is no configured CA, its key.
        ca: Arc<str>,
        /// Why.
        why: String,
    },
}

/// One CA's revocation data at a moment, for metrics and readiness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityStatus {
    /// The configured name.
    pub ca: Arc<str>,
    /// Whether its certificates can be told good now.
    pub readiness: Readiness,
    /// CRLNumber of the list in force, decimal.
    pub crl_number: Option<String>,
    /// thisUpdate of the list in force.
    pub this_update: Option<Timestamp>,
    /// When the list in force grows stale.
    pub next_update: Option<Timestamp>,
    /// Revoked certificates on all its lists.
    pub entries: usize,
    /// Octets of memory that its indexes take.
    pub index_octets: usize,
}

/// Whether a CA's certificates can be told good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// `revocation = "none"`, or a certificate that signs lists only.
    NotChecked,
    /// Yes.
    Fresh,
    /// Yes, by a stale list that the policy tolerates.
    Tolerated,
    /// No: the gateway is not ready (requirement O2).
    Unavailable(String),
}

impl TrustSnapshot {
    /// From checked parts. The generations go on from `previous`.
    pub(super) fn assemble(
        authorities: Vec<Authority>,
        files: FileMemory,
        previous: Option<&Self>,
    ) -> Result<Self, (usize, String)> {
        let mut by_key: Vec<_> =
            authorities.iter().enumerate().map(|(index, authority)| (authority.key(), index)).collect();
        by_key.sort_unstable();
        let mut anchors = Vec::new();
        let mut intermediates = Vec::new();
        for (index, authority) in authorities.iter().enumerate() {
            match (authority.issued_by(), authority.role()) {
                (None, _) => anchors.push(anchor(authority.certificate()).map_err(|message| (index, message))?),
                (Some(_), Role::Issuer) => intermediates.push(authority.certificate().der().clone()),
                (Some(_), Role::ListSigner) => {}
            }
        }
        let authorities_generation = match previous {
            None => 1,
            Some(previous) if previous.has_same_authorities(authorities.iter().map(|authority| &authority.facts)) => {
                previous.authorities_generation()
            }
            Some(previous) => previous.authorities_generation() + 1,
        };
        let generation = previous.map_or(1, |previous| previous.generation + 1);
        let ground = Ground { authorities_generation, authorities, by_key, anchors, intermediates, files };
        let live = previous.map(|previous| previous.live.clone()).unwrap_or_default();
        let rules = previous.map(|previous| Arc::clone(&previous.rules)).unwrap_or_default();
        Ok(Self { generation, ground: Arc::new(ground), rules, live })
    }

    /// The same with these CAs following the issuer's feed.
    #[must_use]
    pub fn following(&self, rules: feed::Rules) -> Self {
        let (ground, rules) = (Arc::clone(&self.ground), Arc::new(rules));
        let live = beside(&ground, &rules, self.live.clone(), feed::Occasion::Lists);
        Self { generation: self.generation, ground, rules, live }
    }

    /// The same CAs and lists with something else live.
    pub fn with_live(&self, live: Live) -> Self {
        let (ground, rules) = (Arc::clone(&self.ground), Arc::clone(&self.rules));
        let live = beside(&ground, &rules, live, feed::Occasion::Message);
        Self { generation: self.generation + 1, ground, rules, live }
    }

    /// These CAs and lists with what has become live since they began to be read.
    pub fn taking_over(&self, current: &Self) -> Self {
        let generation = self.generation.max(current.generation) + 1;
        let (ground, rules) = (Arc::clone(&self.ground), Arc::clone(&self.rules));
        let live = beside(&ground, &rules, current.live.clone(), feed::Occasion::Lists);
        Self { generation, ground, rules, live }
    }

    /// What is live beside the lists.
    pub const fn live(&self) -> &Live {
        &self.live
    }

    /// What is known of the files, so that a reload reads only what changed.
    pub(super) fn files(&self) -> &FileMemory {
        &self.ground.files
    }

    /// Grows with each publication.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Grows only when the set of CAs changes: what a cache of verified chains is keyed with.
    pub fn authorities_generation(&self) -> u64 {
        self.ground.authorities_generation
    }

    /// The configured CAs, in the order of the configuration.
    pub fn authorities(&self) -> &[Authority] {
        &self.ground.authorities
    }

    /// The CA with this name and key.
    pub fn authority(&self, key: &AuthorityKey) -> Option<&Authority> {
        let place = self.ground.by_key.binary_search_by(|(candidate, _)| candidate.cmp(key)).ok()?;
        self.ground.authorities.get(self.ground.by_key.get(place)?.1)
    }

    /// The CA with this configured name.
    pub fn authority_named(&self, name: &str) -> Option<&Authority> {
        self.ground.authorities.iter().find(|authority| &**authority.name() == name)
    }

    /// Trust anchors: the CAs without `issued_by`.
    pub fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.ground.anchors
    }

    /// The configured issuing CAs, so that a client that sends only its leaf still has a path.
    pub fn intermediates(&self) -> &[CertificateDer<'static>] {
        &self.ground.intermediates
    }

    /// Whether the certificate with this issuer and serial is revoked at `now`, by all sources together.
    pub fn revocation(&self, issuer: &AuthorityKey, serial: &SerialNumber, now: Timestamp) -> RevocationStatus {
        let listed = self.listed(issuer, serial, now);
        let Some((responder, when_stale)) = self.authority(issuer).and_then(Authority::asked) else {
            return listed;
        };
        let is_revoked = |delegate: &SerialNumber| self.revokes(issuer, delegate, now);
        self.live.answers.weigh(responder, when_stale, serial, listed, is_revoked, now)
    }

    /// Whether a list revokes the certificate with this issuer and serial, whatever a responder says.
    pub fn revokes(&self, issuer: &AuthorityKey, serial: &SerialNumber, now: Timestamp) -> bool {
        matches!(self.listed(issuer, serial, now), RevocationStatus::Revoked { .. })
    }

    /// What the lists say.
    fn listed(&self, issuer: &AuthorityKey, serial: &SerialNumber, now: Timestamp) -> RevocationStatus {
        let Some(authority) = self.authority(issuer) else {
            return RevocationStatus::Unavailable {
                ca: format!("{issuer:?}").into(),
                why: "the issuer is not a configured CA".to_owned(),
            };
        };
        if authority.role() == Role::ListSigner {
            return RevocationStatus::Unavailable {
                ca: Arc::clone(authority.name()),
                why: "the issuer may sign revocation lists only".to_owned(),
            };
        }
        let Revocation::Lists(lists) = authority.revocation() else {
            return RevocationStatus::NotChecked;
        };
        let told = self.live.feed.told(issuer, serial);
        if let feed::Told::Revoked { at, reason } = told {
            return RevocationStatus::Revoked { at, reason, crl_number: None };
        }
        let by_lists = match lists.lookup(serial, now, &told) {
            Lookup::Revoked(revoked, list) => RevocationStatus::Revoked {
                at: revoked.at,
                reason: revoked.reason,
                crl_number: list.number().map(str::to_owned),
            },
            Lookup::Good { base, stale_since } => RevocationStatus::Good {
                crl_number: base.number().map(str::to_owned),
                warning: stale_since.map(|next_update| Stale { ca: Arc::clone(authority.name()), next_update }),
            },
            Lookup::Unavailable(why) => RevocationStatus::Unavailable { ca: Arc::clone(authority.name()), why },
        };
        self.unless_feed_lapsed(by_lists, authority, lists.when_stale(), now)
    }

    /// What is good by its lists is as fresh as the feed that its CA follows.
    fn unless_feed_lapsed(
        &self,
        by_lists: RevocationStatus,
        authority: &Authority,
        when_stale: WhenStale,
        now: Timestamp,
    ) -> RevocationStatus {
        let RevocationStatus::Good { crl_number, warning } = by_lists else { return by_lists };
        let feed::Following::Lapsed(lapse) = self.live.feed.following(&authority.key(), now) else {
            return RevocationStatus::Good { crl_number, warning };
        };
        let ca = Arc::clone(authority.name());
        match Freshness::at(Some(lapse.since), when_stale, now) {
            Freshness::Expired { .. } => RevocationStatus::Unavailable { ca, why: lapse.to_string() },
            Freshness::Tolerated { next_update } => {
                RevocationStatus::Good { crl_number, warning: warning.or(Some(Stale { ca, next_update })) }
            }
            Freshness::Fresh => RevocationStatus::Good { crl_number, warning },
        }
    }

    /// Whether there is a source that is asked about single certificates: whether a status may be
    /// [`RevocationStatus::Pending`] at all.
    pub fn asks(&self) -> bool {
        self.ground.authorities.iter().any(|authority| authority.responder().is_some())
    }

    /// Each CA's revocation data at `now`, for metrics and readiness.
    pub fn status(&self, now: Timestamp) -> Vec<AuthorityStatus> {
        self.ground.authorities.iter().map(|authority| self.status_of(authority, now)).collect()
    }

    /// One CA's, as its lists and the feed have it. A responder that answers stands in for both, and one that does not
    /// leaves the CA with what they are.
    fn status_of(&self, authority: &Authority, now: Timestamp) -> AuthorityStatus {
        let mut status = authority.status(now);
        if let (Revocation::Lists(lists), feed::Following::Lapsed(lapse)) =
            (authority.revocation(), self.live.feed.following(&authority.key(), now))
            && matches!(status.readiness, Readiness::Fresh | Readiness::Tolerated)
        {
            status.readiness = match Freshness::at(Some(lapse.since), lists.when_stale(), now) {
                Freshness::Expired { .. } => Readiness::Unavailable(lapse.to_string()),
                Freshness::Tolerated { .. } => Readiness::Tolerated,
                Freshness::Fresh => status.readiness,
            };
        }
        let (Readiness::Unavailable(lists), Some((responder, when_stale))) = (&status.readiness, authority.asked())
        else {
            return status;
        };
        status.readiness = match (self.live.answers.down(&authority.key()), when_stale) {
            (None, _) => Readiness::Fresh,
            (Some(_), WhenStale::ReportOnly) => Readiness::Tolerated,
            (Some((since, why)), _) => Readiness::Unavailable(format!(
                "the OCSP responder {} has not answered since {since}: {why}; {lists}",
                responder.url
            )),
        };
        status
    }

    /// Whether each CA that needs lists can tell certificates good at `now`.
    pub fn is_ready(&self, now: Timestamp) -> bool {
        !self.status(now).iter().any(|status| matches!(status.readiness, Readiness::Unavailable(_)))
    }

    pub(super) fn has_same_authorities<'a>(&self, others: impl ExactSizeIterator<Item = &'a AuthorityFacts>) -> bool {
        others.len() == self.ground.authorities.len()
            && others.zip(&self.ground.authorities).all(|(other, own)| other.same_as(&own.facts))
    }
}

/// What is live, with the feed's view of it compared with the lists.
fn beside(ground: &Ground, rules: &feed::Rules, live: Live, occasion: feed::Occasion) -> Live {
    Live { feed: Arc::new(live.feed.beside(ground, rules, occasion)), ..live }
}

impl Ground {
    fn lists(&self, issuer: &AuthorityKey) -> Option<&RevocationLists> {
        let place = self.by_key.binary_search_by(|(candidate, _)| candidate.cmp(issuer)).ok()?;
        match self.authorities.get(self.by_key.get(place)?.1)?.revocation() {
            Revocation::Lists(lists) => Some(lists),
            Revocation::NotChecked => None,
        }
    }
}

impl feed::InForce for Ground {
    fn number(&self, issuer: &AuthorityKey, point: Option<&str>) -> Option<CrlNumber> {
        self.lists(issuer)?.number(point)
    }

    fn has(&self, issuer: &AuthorityKey, serial: &SerialNumber) -> bool {
        self.lists(issuer).is_some_and(|lists| lists.all().any(|list| list.revoked(serial).is_some()))
    }
}

impl Authority {
    /// Whom to ask about its certificates, and what becomes of an answer that grew old.
    fn asked(&self) -> Option<(&Arc<Responder>, WhenStale)> {
        match self.revocation() {
            Revocation::Lists(lists) => Some((self.responder()?, lists.when_stale())),
            Revocation::NotChecked => None,
        }
    }

    /// Its lists at `now`.
    pub fn status(&self, now: Timestamp) -> AuthorityStatus {
        let mut status = AuthorityStatus {
            ca: Arc::clone(self.name()),
            readiness: Readiness::NotChecked,
            crl_number: None,
            this_update: None,
            next_update: None,
            entries: 0,
            index_octets: 0,
        };
        let Revocation::Lists(lists) = self.revocation() else {
            return status;
        };
        status.readiness = match lists.state(now) {
            Ok((_, Freshness::Tolerated { .. })) => Readiness::Tolerated,
            Ok(_) => Readiness::Fresh,
            // It issues no certificates, so nobody asks.
            Err(_) if self.role() == Role::ListSigner => Readiness::NotChecked,
            Err(why) => Readiness::Unavailable(why),
        };
        if let Some(list) = lists.in_force() {
            status.crl_number = list.number().map(str::to_owned);
            status.this_update = Some(list.header().this_update);
            status.next_update = lists.next_update();
        }
        status.entries = lists.all().map(|list| list.entries()).sum();
        status.index_octets = lists.all().map(|list| list.index_octets()).sum();
        status
    }
}
