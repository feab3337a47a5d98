//! What the feed told of the CAs that follow it, beside the lists in force: immutable, replaced with each message.

use super::changes::{Changes, Entry, Origin};
use super::coverage::Part;
use super::join::{Anew, Step};
use super::message::{Message, PublishedList, Word};
use sekisho_pki::crl::{CrlNumber, RevocationReason};
use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_pki::points::PointName;
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::fmt;
use std::sync::Arc;

/// Changes held in all, about 32 MB of them: far more than are made between two lists of a bank's CA. Beyond it no
/// message is taken, so that the CAs count as not followed.
pub const MOST_CHANGES_HELD: usize = 400_000;

/// Seconds by which the clocks of issuer and gateway may differ: both are kept by NTP. A message signed longer ago says
/// what it says, but not that nothing has happened since.
pub(super) const CLOCK_TOLERANCE: i64 = 5;

/// Seconds after a certificate's end for which what was told of it is still held: a clock that was a day ahead once
/// does not let it in again.
const HELD_BEYOND_END: i64 = 86_400;

/// What the feed told since the lists in force were made; immutable.
#[derive(Clone, Debug, Default)]
pub struct FeedView {
    pub(super) position: Option<Position>,
    /// When the last message was signed that said how things stand, at most now by this gateway's clock: a message that
    /// was held back or is told again makes nothing fresher.
    pub(super) heard: Option<Timestamp>,
    pub(super) since_start: SinceStart,
    pub(super) lost_after: i64,
    pub(super) followed: Vec<Arc<Followed>>,
}

/// How far a feed was followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Whose.
    pub feed: Arc<str>,
    /// Every change up to this sequence number was told.
    pub to: u64,
    /// What stands at that number in the issuer's store.
    pub mark: Arc<str>,
}

/// What the configuration says of the feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The CAs with `feed = true`.
    pub authorities: Vec<AuthorityKey>,
    /// `lost_after`, in seconds.
    pub lost_after: i64,
    /// When the configuration was read: since then a CA that it adds was not followed.
    pub made_at: Timestamp,
}

/// One CA that follows the feed.
#[derive(Clone, Debug)]
pub(super) struct Followed {
    pub(super) key: AuthorityKey,
    /// Since when it is to be followed.
    pub(super) added: Timestamp,
    /// Every change after this one is in `changes`; those before it are on the lists in force if they are new enough.
    /// `None`: the feed has not been heard of it.
    pub(super) base: Option<u64>,
    pub(super) parts: Vec<Part>,
    pub(super) changes: Changes,
    /// Whether some of them are of another feed, or of this one before its store was restored.
    pub(super) estranged: bool,
    /// Revocations that the lists in force should have and have not.
    pub(super) withdrawn: usize,
    /// Whether something was told that the lists in force should have.
    pub(super) unsettled: bool,
    /// Why the lists in force do not reach `base`, when they do not.
    pub(super) gap: Option<&'static str>,
}

/// What a view is compared with the lists in force for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Other lists came in force.
    Lists,
    /// The feed told something.
    Message,
}

/// The lists in force, as far as the feed has to know them.
pub trait InForce {
    /// The number of a CA's list for the certificates of a distribution point; `None` for the point: the complete one.
    fn number(&self, issuer: &AuthorityKey, point: Option<&str>) -> Option<CrlNumber>;
    /// Whether a list of the CA has this certificate, and how.
    fn listed(&self, issuer: &AuthorityKey, serial: &SerialNumber) -> Listing;
}

/// How a certificate is on the lists in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// It is on none.
    Absent,
    /// On hold.
    Held,
    /// Revoked for good.
    Revoked,
}

/// Whether the issuer was heard since this process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SinceStart {
    /// It was, or there was nothing before.
    #[default]
    Heard,
    /// What there is comes from a disk, which may have been set back: it refuses, and lets nobody in as current.
    NotHeard,
}

/// What the feed says of one certificate.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// Nothing.
    Nothing,
    /// It is revoked or on hold.
    Revoked {
        /// When.
        at: Timestamp,
        /// Why.
        reason: RevocationReason,
    },
    /// It is no longer on hold.
    Released {
        /// The change's place among all.
        sequence: u64,
        /// What was told of the lists that may still have the hold.
        parts: &'a [Part],
    },
}

/// Whether a CA is followed at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Following {
    /// Its certificates are not on the feed.
    NotConfigured,
    /// Yes.
    Current,
    /// No: its lists count as stale.
    Lapsed(Lapse),
}

/// Why and since when a CA is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lapse {
    /// The last second in which it was.
    pub since: Timestamp,
    /// Why, for readiness and the log.
    pub why: &'static str,
    /// Whether a time of grace may count from `since`.
    pub before: Before,
}

/// What was known before a lapse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Everything: the CA was followed until then.
    Everything,
    /// Not everything, or nobody knows when: there is nothing that could be tolerated for a while longer.
    Gap,
}

/// There are [`MOST_CHANGES_HELD`] changes that no list in force has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedFull;

impl FeedView {
    /// What the feed says of a certificate of a CA that follows it.
    pub fn told(&self, issuer: &AuthorityKey, serial: &SerialNumber) -> Told<'_> {
        let Some(followed) = self.followed(issuer) else { return Told::Nothing };
        let Some(Entry { word, at, sequence, .. }) = followed.changes.get(serial) else { return Told::Nothing };
        match *word {
            Word::Revoked(reason) => Told::Revoked { at: *at, reason },
            Word::Held => Told::Revoked { at: *at, reason: RevocationReason::CertificateHold },
            Word::Released => Told::Released { sequence: *sequence, parts: &followed.parts },
        }
    }

    /// Whether a CA is followed at `now`: what was told is recent, and the lists in force reach back to it.
    pub fn following(&self, issuer: &AuthorityKey, now: Timestamp) -> Following {
        let Some(followed) = self.followed(issuer) else { return Following::NotConfigured };
        let lapsed = |since, why, before| Following::Lapsed(Lapse { since, why, before });
        let never = followed.added.plus_seconds(-1);
        if let Some(why) = followed.gap {
            return lapsed(never, why, Before::Gap);
        }
        let Some(heard) = self.heard else {
            return lapsed(never, "the issuer's feed was not heard of yet", Before::Gap);
        };
        let since = heard.plus_seconds(self.lost_after);
        // The clock was set back: how long ago it was cannot be known.
        if heard > now.plus_seconds(CLOCK_TOLERANCE) {
            lapsed(now.plus_seconds(-1), "the issuer's feed was last heard of in the future", Before::Gap)
        } else if now > since {
            lapsed(since, "the issuer's feed was not heard of for longer than lost_after", Before::Everything)
        } else if self.since_start == SinceStart::NotHeard {
            lapsed(now.plus_seconds(-1), "the issuer's feed was not heard of since the start", Before::Everything)
        } else {
            Following::Current
        }
    }

    /// The same, as a disk has it: nobody is let in as current before the issuer was heard.
    #[must_use]
    pub fn from_disk(self) -> Self {
        Self { since_start: SinceStart::NotHeard, ..self }
    }

    /// How far the feed was followed.
    pub const fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// When the last message came that said how things stand.
    pub const fn heard(&self) -> Option<Timestamp> {
        self.heard
    }

    /// Whether a stream has to begin where the published lists end, since of some CA nothing was told yet.
    pub fn must_begin_anew(&self) -> bool {
        self.position.is_none() || self.followed.iter().any(|followed| followed.base.is_none())
    }

    /// Whether newer lists of a CA are needed than are in force.
    pub fn lacks_lists(&self, issuer: &AuthorityKey) -> bool {
        self.followed(issuer).is_some_and(|followed| followed.base.is_some() && followed.gap.is_some())
    }

    /// What is held as revoked or on hold: issuer, certificate, when and why.
    pub fn revocations(&self) -> impl Iterator<Item = (AuthorityKey, SerialNumber, Timestamp, RevocationReason)> {
        self.followed.iter().flat_map(|followed| {
            followed.changes.iter().filter_map(|entry| match entry.word {
                Word::Revoked(reason) => Some((followed.key, entry.serial, entry.at, reason)),
                Word::Held => Some((followed.key, entry.serial, entry.at, RevocationReason::CertificateHold)),
                Word::Released => None,
            })
        })
    }

    /// Changes held in all.
    pub fn held(&self) -> usize {
        self.followed.iter().map(|followed| followed.changes.len()).sum()
    }

    /// Changes held of one CA's certificates.
    pub fn held_of(&self, issuer: &AuthorityKey) -> usize {
        self.followed(issuer).map_or(0, |followed| followed.changes.len())
    }

    /// Revocations of one CA's certificates that the lists in force should have and have not.
    pub fn withdrawn_of(&self, issuer: &AuthorityKey) -> usize {
        self.followed(issuer).map_or(0, |followed| followed.withdrawn)
    }

    /// What is known after a message, whose place [`super::Join::judge`] has found.
    ///
    /// # Errors
    /// [`FeedFull`]: then nothing of the message counts.
    pub fn after(&self, message: &Message, step: Step, now: Timestamp) -> Result<Self, FeedFull> {
        let mut view = self.clone();
        match step {
            Step::Repeat => return Ok(view),
            Step::Begin(why) => view.begin(message, why),
            Step::Continue => {}
        }
        if view.held() + message.changes.len() > MOST_CHANGES_HELD {
            return Err(FeedFull);
        }
        for followed in &mut view.followed {
            let concerns = |issuer: &AuthorityKey| *issuer == followed.key;
            let is_told = message.changes.iter().any(|change| concerns(&change.issuer))
                || message.lists.iter().any(|list| concerns(&list.issuer));
            if is_told {
                Arc::make_mut(followed).hear(message, now);
            }
        }
        let (feed, mark) = (Arc::clone(&message.feed), Arc::clone(&message.mark));
        view.position = Some(Position { feed, to: message.to, mark });
        if Self::says_now(message, now) {
            (view.heard, view.since_start) = (Some(message.signed().min(now)), SinceStart::Heard);
        }
        Ok(view)
    }

    /// Returns `true` if a message says how things stand now: signed now, and with everything that the issuer's store
    /// had. Whoever holds a gateway's link back gives it pages of what happened before, each signed now.
    pub fn says_now(message: &Message, now: Timestamp) -> bool {
        let tolerated = now.plus_seconds(-CLOCK_TOLERANCE)..=now.plus_seconds(CLOCK_TOLERANCE);
        message.is_complete() && tolerated.contains(&message.signed())
    }

    /// The view beside these lists and by these rules: what the lists have is forgotten, and whether they reach back to
    /// what is held is found out.
    #[must_use]
    pub fn beside(&self, lists: &impl InForce, rules: &Rules, occasion: Occasion) -> Self {
        let of_rule = |key: &AuthorityKey| {
            let known = self.followed.iter().find(|followed| followed.key == *key);
            let mut followed = known.map_or_else(|| Arc::new(Followed::new(*key, rules.made_at)), Arc::clone);
            if let Some(change) = followed.compared(lists, occasion) {
                Arc::make_mut(&mut followed).settle(&change, lists);
            }
            followed
        };
        let followed = rules.authorities.iter().map(of_rule).collect();
        Self { position: self.position.clone(), lost_after: rules.lost_after, followed, ..*self }
    }

    /// From where the published lists end. What was told before stays until the lists have it.
    fn begin(&mut self, message: &Message, why: Anew) {
        let same_feed = self.position.as_ref().is_some_and(|position| position.feed == message.feed);
        let kept_to = self.position.as_ref().filter(|_| same_feed && why == Anew::Unknown).map(|position| position.to);
        for followed in &mut self.followed {
            let followed = Arc::make_mut(followed);
            followed.gap = Some(NOT_COMPARED);
            match (followed.base, kept_to) {
                // Told without a gap up to beyond the beginning: what is held goes on counting.
                (Some(_), Some(kept_to)) if message.from <= kept_to => continue,
                // One feed, of which something was not told: the lists have it, the releases of holds too.
                (_, Some(_)) => followed.changes.estrange(Origin::Another, |entry| entry.word == Word::Held),
                (_, None) => {
                    followed.parts.clear();
                    followed.changes.retain(|entry| entry.word != Word::Released);
                    followed.changes.estrange(if same_feed { Origin::Restored } else { Origin::Another }, |_| true);
                }
            }
            followed.estranged = followed.changes.iter().any(|entry| entry.origin != Origin::This);
            followed.base = Some(message.from);
        }
    }

    fn followed(&self, issuer: &AuthorityKey) -> Option<&Followed> {
        self.followed.iter().find(|followed| followed.key == *issuer).map(|followed| &**followed)
    }
}

const NOT_COMPARED: &str = "the issuer's feed has just begun";

/// What a look at the lists changes.
struct Settlement {
    gap: Option<&'static str>,
    base: Option<u64>,
}

impl Followed {
    pub(super) fn new(key: AuthorityKey, added: Timestamp) -> Self {
        let gap = Some("the issuer's feed has not told of this CA yet");
        Self {
            key,
            added,
            base: None,
            parts: Vec::new(),
            changes: Changes::default(),
            estranged: false,
            withdrawn: 0,
            unsettled: false,
            gap,
        }
    }

    fn hear(&mut self, message: &Message, now: Timestamp) {
        let key = self.key;
        if message.lists.iter().any(|list| list.issuer == key) {
            // Now and then: nobody is let in with a certificate that is over.
            let over = now.plus_seconds(-HELD_BEYOND_END);
            self.changes.retain(|entry| entry.not_after.is_none_or(|end| end >= over));
        }
        for list in message.lists.iter().filter(|list| list.issuer == key) {
            self.hear_of(list);
        }
        for change in message.changes.iter().filter(|change| change.issuer == key) {
            self.changes.tell(Entry::of(change));
            self.unsettled |= self.base.is_some_and(|base| change.sequence <= base);
        }
    }

    fn hear_of(&mut self, list: &PublishedList) {
        if self.base.is_some_and(|base| list.to < base) {
            // The store may have been restored from a backup: what the lists in force have is to be found out again.
            self.gap = Some(NOT_COMPARED);
        }
        match self.parts.iter_mut().find(|part| part.is_of(list)) {
            Some(part) => part.hear(list),
            None => {
                // A CA's parts are fixed; of two ways to cut its lists the one told last is true.
                self.parts.retain(|part| part.parts == list.parts && part.part != list.part);
                self.parts.push(Part::new(list));
            }
        }
    }

    /// What changes beside these lists; nothing, most times.
    fn compared(&self, lists: &impl InForce, occasion: Occasion) -> Option<Settlement> {
        let (gap, base) = match self.reach(lists) {
            Err(why) => (Some(why), self.base),
            Ok(reach) if self.base.is_none_or(|base| reach < base) => {
                (Some("the lists in force are older than what the issuer's feed told"), self.base)
            }
            Ok(reach) => (None, Some(reach)),
        };
        let may_be_listed = (self.estranged || self.withdrawn > 0) && occasion == Occasion::Lists;
        let changed = gap != self.gap || base != self.base || may_be_listed || self.unsettled;
        changed.then_some(Settlement { gap, base })
    }

    fn settle(&mut self, settlement: &Settlement, lists: &impl InForce) {
        (self.gap, self.base, self.unsettled) = (settlement.gap, settlement.base, false);
        let (reached, base, key) = (self.gap.is_none(), self.base, self.key);
        for part in &mut self.parts {
            if let Some(number) = lists.number(&key, part.point.as_deref()) {
                part.in_force(&number);
            }
        }
        // Whether the lists in force should have it by their numbers, which says nothing of whether they do: a store that
        // was restored, or a standby that was promoted, numbers its lists beyond those that had it.
        let should_have = |entry: &Entry| {
            reached && (entry.origin != Origin::This || base.is_some_and(|base| entry.sequence <= base))
        };
        let listed = |entry: &Entry| lists.listed(&key, &entry.serial);
        self.changes.retain(|entry| {
            !should_have(entry)
                || match (entry.word, entry.origin) {
                    (Word::Revoked(_), _) => listed(entry) != Listing::Revoked,
                    // What ended it is on the lists.
                    (Word::Held, Origin::Another) | (Word::Released, _) => false,
                    // A release is a change of its own and comes, in its turn.
                    (Word::Held, Origin::This | Origin::Restored) => listed(entry) == Listing::Absent,
                }
        });
        let is_withdrawn = |entry: &&Entry| matches!(entry.word, Word::Revoked(_)) && should_have(entry);
        self.withdrawn = self.changes.iter().filter(is_withdrawn).count();
        self.estranged = self.estranged && self.changes.iter().any(|entry| entry.origin != Origin::This);
    }

    /// The sequence number up to which the lists in force have every change.
    fn reach(&self, lists: &impl InForce) -> Result<u64, &'static str> {
        if self.base.is_none() {
            return Err("the issuer's feed has not told of this CA yet");
        }
        let parts = self.parts.first().map_or(0, |part| part.parts);
        if parts == 0 || u32::try_from(self.parts.len()) != Ok(parts) {
            return Err("the issuer's feed has not told of all published lists of this CA");
        }
        let mut least = u64::MAX;
        for part in &self.parts {
            let number = lists.number(&self.key, part.point.as_deref());
            let number = number.ok_or("a list that the issuer's feed told of is not in force")?;
            let reach = part.at_least(&number);
            least = least.min(reach.ok_or("the lists in force are older than what the issuer's feed told")?);
        }
        Ok(least)
    }
}

impl Told<'_> {
    /// Whether a hold on a list was undone after the list was made. `number` is the list's, `points` the names it has as
    /// a part; where nothing was told of a list of that number, the hold stands.
    pub fn undoes(&self, reason: RevocationReason, number: Option<&CrlNumber>, points: &[PointName]) -> bool {
        let (Self::Released { sequence, parts }, Some(number)) = (self, number) else { return false };
        let is_of = |point: &str| points.iter().any(|name| name.uri() == Some(point));
        let of_list = |part: &&Part| match part.point.as_deref() {
            Some(point) if !points.is_empty() => is_of(point),
            _ => points.is_empty() && part.parts == 1,
        };
        let made = parts.iter().find(of_list).and_then(|part| part.at_most(number));
        reason == RevocationReason::CertificateHold && made.is_some_and(|made| *sequence > made)
    }
}

impl fmt::Display for Lapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (since {})", self.why, self.since)
    }
}

impl fmt::Display for FeedFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MOST_CHANGES_HELD} changes are on no list in force; publish lists and have them fetched")
    }
}

impl std::error::Error for FeedFull {}
