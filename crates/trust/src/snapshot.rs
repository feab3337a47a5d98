//! The immutable snapshot that the hot path borrows.

use super::authority::{Authority, AuthorityFacts, ListsAt, Revocation, Role, anchor};
use super::feed;
use super::files::FileMemory;
use super::in_force::{Lookup, RevocationLists};
use super::lists::RevocationList;
use super::live::Live;
use super::need::Need;
use super::ocsp::{Listed, Responder};
use super::question::{Question, Subject};
use super::staleness::{Freshness, Stale};
use super::withdrawn::WithdrawnBook;
use rustls::pki_types::{CertificateDer, TrustAnchor};
use sekisho_config::WhenStale;
use sekisho_pki::crl::{CrlNumber, RevocationReason};
use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_pki::points::PointName;
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
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
    /// On no list, and the lists in force that speak of it are fresh enough.
    Good {
        /// The number of the list that says so, decimal; none while the lists of its distribution points are left to be
        /// asked.
        crl_number: Option<Arc<str>>,
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
        crl_number: Option<Arc<str>>,
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
    /// It cannot be told, which the CA's policy (`when_stale = "report-only"`) has reported and not refused.
    Unenforced {
        /// The CA whose list is missing or not understood.
        ca: Arc<str>,
        /// Why.
        why: String,
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
    /// CRLNumber of the list in force (with its delta list, if it has one), decimal. Of several parts, the first's.
    pub crl_number: Option<String>,
    /// thisUpdate of the list in force; of several parts, the earliest.
    pub this_update: Option<Timestamp>,
    /// When the list in force grows stale; of several parts, the first to do so.
    pub next_update: Option<Timestamp>,
    /// Revoked certificates on all its lists.
    pub entries: usize,
    /// Octets of memory that its indexes take.
    pub index_octets: usize,
    /// Each list that is asked.
    pub lists: Vec<ListStatus>,
}

/// One list that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListStatus {
    /// The file it came from.
    pub file: Arc<str>,
    /// Its CRLNumber, decimal.
    pub number: Option<Arc<str>>,
    /// BaseCRLNumber of a delta list, decimal.
    pub base: Option<String>,
    /// The names of its distribution point, if it has one.
    pub points: Vec<String>,
    /// Its thisUpdate.
    pub this_update: Timestamp,
    /// Its nextUpdate.
    pub next_update: Option<Timestamp>,
    /// Its entries.
    pub entries: usize,
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
    /// No, and the policy only reports it (`when_stale = "report-only"`).
    Reported(String),
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

    /// What each CA's lists revoked for good and have no more.
    pub fn withdrawn(&self) -> WithdrawnBook {
        let of = |authority: &Authority| match authority.revocation() {
            Revocation::Lists(lists) => Some((authority.key(), lists.withdrawn().clone())),
            Revocation::NotChecked => None,
        };
        self.ground.authorities.iter().filter_map(of).collect()
    }

    /// Revocations of one CA's certificates that stay in force although no list has them that should.
    pub fn withdrawn_of(&self, authority: &Authority) -> usize {
        let by_lists = match authority.revocation() {
            Revocation::Lists(lists) => lists.withdrawn().len(),
            Revocation::NotChecked => 0,
        };
        by_lists + self.live.feed.withdrawn_of(&authority.key())
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

    /// Whether a certificate is revoked at `now`, by all sources together.
    pub fn revocation(&self, question: &Question<'_>, now: Timestamp) -> RevocationStatus {
        let listed = self.listed(question, now);
        let Some((responder, when_stale)) = self.authority(question.issuer).and_then(Authority::asked) else {
            return listed.status;
        };
        let is_revoked = |delegate: &SerialNumber| self.revokes(question.issuer, delegate, now);
        self.live.answers.weigh(responder, when_stale, question.serial, listed, is_revoked, now)
    }

    /// Whether a list revokes the certificate with this issuer and serial, whatever a responder says.
    pub fn revokes(&self, issuer: &AuthorityKey, serial: &SerialNumber, now: Timestamp) -> bool {
        let question = Question { issuer, serial, subject: Subject::EndEntity, points: None };
        matches!(self.listed(&question, now).status, RevocationStatus::Revoked { .. })
    }

    /// What the lists and the feed say.
    fn listed(&self, question: &Question<'_>, now: Timestamp) -> Listed {
        let Some(authority) = self.authority(question.issuer) else {
            return RevocationStatus::Unavailable {
                ca: format!("{:?}", question.issuer).into(),
                why: "the issuer is not a configured CA".to_owned(),
            }
            .into();
        };
        if authority.role() == Role::ListSigner {
            return RevocationStatus::Unavailable {
                ca: Arc::clone(authority.name()),
                why: "the issuer may sign revocation lists only".to_owned(),
            }
            .into();
        }
        let Revocation::Lists(lists) = authority.revocation() else {
            return RevocationStatus::NotChecked.into();
        };
        let told = self.live.feed.told(question.issuer, question.serial);
        if let feed::Told::Revoked { at, reason } = told {
            return RevocationStatus::Revoked { at, reason, crl_number: None }.into();
        }
        let ca = || Arc::clone(authority.name());
        let found = lists.lookup(question, &told, now);
        let made_at = if let Lookup::Good { made_at, .. } = &found { Some(*made_at) } else { None };
        let by_lists = match found {
            Lookup::Revoked(revoked, list) => {
                RevocationStatus::Revoked { at: revoked.at, reason: revoked.reason, crl_number: list.number.clone() }
            }
            Lookup::Withdrawn(revoked) => {
                return RevocationStatus::Revoked { at: revoked.at, reason: revoked.reason, crl_number: None }.into();
            }
            Lookup::Good { by, stale_since, .. } => RevocationStatus::Good {
                crl_number: by.number.clone(),
                warning: stale_since.map(|next_update| Stale { ca: ca(), next_update }),
            },
            Lookup::LeftOpen => RevocationStatus::Good { crl_number: None, warning: None },
            Lookup::Unavailable(_)
                if let Some(need) = self.live.points.as_ref().and_then(|book| book.need(authority, question)) =>
            {
                RevocationStatus::Pending { ca: ca(), need }
            }
            Lookup::Unavailable(why) if lists.policy().when_stale == WhenStale::ReportOnly => {
                RevocationStatus::Unenforced { ca: ca(), why }
            }
            Lookup::Unavailable(why) => RevocationStatus::Unavailable { ca: ca(), why },
        };
        let status = self.unless_feed_lapsed(by_lists, authority, lists.policy().when_stale, now);
        Listed { status, made_at }
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
        match freshness(&lapse, when_stale, now) {
            _ if when_stale == WhenStale::ReportOnly => RevocationStatus::Unenforced { ca, why: lapse.to_string() },
            Freshness::Expired { .. } => RevocationStatus::Unavailable { ca, why: lapse.to_string() },
            Freshness::Tolerated { next_update } => {
                RevocationStatus::Good { crl_number, warning: warning.or(Some(Stale { ca, next_update })) }
            }
            Freshness::Fresh => RevocationStatus::Good { crl_number, warning },
        }
    }

    /// Whether there is a source that is asked about single certificates, or for the lists that they name: whether a
    /// status may be [`RevocationStatus::Pending`] at all.
    pub fn asks(&self) -> bool {
        let asks = |one: &Authority| one.responder().is_some() || one.fetches_points();
        self.ground.authorities.iter().any(asks)
    }

    /// Each CA's revocation data at `now`, for metrics and readiness.
    pub fn status(&self, now: Timestamp) -> Vec<AuthorityStatus> {
        self.ground.authorities.iter().map(|authority| self.status_of(authority, now)).collect()
    }

    /// One CA's, as its lists, the feed and its responder have it. A responder that answers stands in for the others, and
    /// one that does not leaves the CA with what they are.
    fn status_of(&self, authority: &Authority, now: Timestamp) -> AuthorityStatus {
        let mut status = authority.status(now);
        status.readiness = self.readiness_by_feed(authority, status.readiness, now);
        if authority.waits_for_points() {
            // A client brings the list's address; a gateway that is not ready would never see one.
            status.readiness = Readiness::Fresh;
        }
        let (Some((responder, when_stale)), Readiness::Unavailable(lists) | Readiness::Reported(lists)) =
            (authority.asked(), &status.readiness)
        else {
            return status;
        };
        status.readiness = match self.live.answers.down(&authority.key()) {
            None => Readiness::Fresh,
            Some((since, why)) => {
                let why =
                    format!("the OCSP responder {} has not answered since {since}: {why}; {lists}", responder.url);
                if when_stale == WhenStale::ReportOnly { Readiness::Reported(why) } else { Readiness::Unavailable(why) }
            }
        };
        status
    }

    /// Lists that can tell are as fresh as the feed that their CA follows.
    fn readiness_by_feed(&self, authority: &Authority, by_lists: Readiness, now: Timestamp) -> Readiness {
        let (Revocation::Lists(lists), feed::Following::Lapsed(lapse), Readiness::Fresh | Readiness::Tolerated) =
            (authority.revocation(), self.live.feed.following(&authority.key(), now), &by_lists)
        else {
            return by_lists;
        };
        let when_stale = lists.policy().when_stale;
        match freshness(&lapse, when_stale, now) {
            _ if when_stale == WhenStale::ReportOnly => Readiness::Reported(lapse.to_string()),
            Freshness::Expired { .. } => Readiness::Unavailable(lapse.to_string()),
            Freshness::Tolerated { .. } => Readiness::Tolerated,
            Freshness::Fresh => by_lists,
        }
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

/// How a CA stands whose feed lapsed. A time of grace is for one that was followed before: who never heard the feed, or
/// not all of it, has nothing that could be tolerated for a while longer.
fn freshness(lapse: &feed::Lapse, when_stale: WhenStale, now: Timestamp) -> Freshness {
    let when_stale = match (when_stale, lapse.before) {
        (WhenStale::Grace(_), feed::Before::Gap) => WhenStale::Closed,
        (policy, _) => policy,
    };
    Freshness::at(lapse.since, when_stale, now)
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
        self.lists(issuer)?.number_at(point.map(PointName::from_uri).as_ref())
    }

    fn listed(&self, issuer: &AuthorityKey, serial: &SerialNumber) -> feed::Listing {
        let Some(lists) = self.lists(issuer) else { return feed::Listing::Absent };
        if lists.withdrawn().get(serial).is_some() {
            // It is remembered beside the lists, for as long.
            return feed::Listing::Revoked;
        }
        let lists = lists.all();
        let found = lists.filter_map(|list| list.revoked(serial)).map(|revoked| match revoked.reason {
            RevocationReason::CertificateHold => feed::Listing::Held,
            _ => feed::Listing::Revoked,
        });
        found.fold(feed::Listing::Absent, |most, one| if most == feed::Listing::Revoked { most } else { one })
    }
}

impl Authority {
    /// Whom to ask about its certificates, and what becomes of an answer that grew old.
    fn asked(&self) -> Option<(&Arc<Responder>, WhenStale)> {
        match self.revocation() {
            Revocation::Lists(lists) => Some((self.responder()?, lists.policy().when_stale)),
            Revocation::NotChecked => None,
        }
    }

    /// Whether all its lists are at its certificates' distribution points, and none is in force: not asked for yet, or in
    /// vain.
    fn waits_for_points(&self) -> bool {
        let is_empty = matches!(self.revocation(), Revocation::Lists(lists) if lists.all().next().is_none());
        is_empty && self.facts.lists_at == ListsAt::PointsOnly
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
            lists: Vec::new(),
        };
        let Revocation::Lists(lists) = self.revocation() else {
            return status;
        };
        status.readiness = match lists.state(now) {
            Ok(Freshness::Tolerated { .. }) => Readiness::Tolerated,
            Ok(_) => Readiness::Fresh,
            // It issues no certificates, so nobody asks.
            Err(_) if self.role() == Role::ListSigner => Readiness::NotChecked,
            Err(why) if lists.policy().when_stale == WhenStale::ReportOnly => Readiness::Reported(why),
            Err(why) => Readiness::Unavailable(why),
        };
        let complete = lists.good().find(|one| one.is_complete());
        if let Some(one) = complete.or_else(|| lists.good().next()) {
            let newest = one.newest();
            status.crl_number = newest.number().map(str::to_owned);
            let parts = lists.good().map(|one| one.newest().header().this_update);
            status.this_update = if complete.is_some() { Some(newest.header().this_update) } else { parts.min() };
            status.next_update = lists.next_update();
        }
        status.entries = lists.all().map(|list| list.entries()).sum();
        status.index_octets = lists.all().map(|list| list.index_octets()).sum();
        status.lists = lists.all().map(|list| ListStatus::of(list)).collect();
        status
    }
}

impl ListStatus {
    fn of(list: &RevocationList) -> Self {
        let header = list.header();
        Self {
            file: Arc::clone(list.file()),
            number: list.number.clone(),
            base: header.base.map(|base| base.to_string()),
            points: list.points().iter().map(ToString::to_string).collect(),
            this_update: header.this_update,
            next_update: header.next_update,
            entries: list.entries(),
        }
    }
}
