//! What the feed told of the CAs that follow it, beside the lists in force: immutable, replaced with each message.

use super::changes::{Changes, Entry, Origin};
use super::coverage::Part;
use super::join::{Anew, Step};
use super::message::{Message, PublishedList, Word};
use crate::pki::crl::{CrlNumber, RevocationReason};
use crate::pki::fingerprint::AuthorityKey;
use crate::pki::points::PointName;
use crate::pki::serial::SerialNumber;
use crate::pki::time::Timestamp;
use std::fmt;
use std::sync::Arc;

/// Changes held in all, about 32 MB of them: far more than are made between two lists of a bank's CA. Beyond it no
/// message is taken, so that the CAs count as not followed.
pub const MOST_CHANGES_HELD: usize = 400_000;

/// Seconds by which the clocks of issuer and gateway may differ: both are kept by NTP. A message signed longer ago says
/// what it says, but not that nothing has happened since.
pub(super) const CLOCK_TOLERANCE: i64 = 5;

/// What the feed told since the lists in force were made; immutable.
#[derive(Clone, Debug, Default)]
pub struct FeedView {
    pub(super) position: Option<Position>,
    /// When the last message came that said how things stand, by this gateway's clock.
    pub(super) heard: Option<Timestamp>,
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
    /// Whether a list of the CA has this certificate.
    fn has(&self, issuer: &AuthorityKey, serial: &SerialNumber) -> bool;
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
        if let Some(why) = followed.gap {
            return Following::Lapsed(Lapse { since: followed.added.plus_seconds(-1), why });
        }
        match self.heard {
            None => Following::Lapsed(Lapse {
                since: followed.added.plus_seconds(-1),
                why: "the issuer's feed was not heard of yet",
            }),
            // The clock was set back: how long ago it was cannot be known.
            Some(heard) if heard > now.plus_seconds(CLOCK_TOLERANCE) => Following::Lapsed(Lapse {
                since: now.plus_seconds(-1),
                why: "the issuer's feed was last heard of in the future",
            }),
            Some(heard) => {
                let since = heard.plus_seconds(self.lost_after);
                let why = "the issuer's feed was not heard of for longer than lost_after";
                if now > since { Following::Lapsed(Lapse { since, why }) } else { Following::Current }
            }
        }
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

    /// Changes held in all.
    pub fn held(&self) -> usize {
        self.followed.iter().map(|followed| followed.changes.len()).sum()
    }

    /// Changes held of one CA's certificates.
    pub fn held_of(&self, issuer: &AuthorityKey) -> usize {
        self.followed(issuer).map_or(0, |followed| followed.changes.len())
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
                Arc::make_mut(followed).hear(message);
            }
        }
        let (feed, mark) = (Arc::clone(&message.feed), Arc::clone(&message.mark));
        view.position = Some(Position { feed, to: message.to, mark });
        let signed = Timestamp::from_unix(message.at.div_euclid(1_000));
        let is_recent = (now.plus_seconds(-CLOCK_TOLERANCE)..=now.plus_seconds(CLOCK_TOLERANCE)).contains(&signed);
        if is_recent {
            view.heard = Some(now);
        }
        Ok(view)
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
        Self { position: self.position.clone(), heard: self.heard, lost_after: rules.lost_after, followed }
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
                // One feed, of which something was not told: the lists have it.
                (_, Some(_)) => {}
                (_, None) => {
                    followed.parts.clear();
                    followed.changes.retain(|entry| entry.word != Word::Released);
                    followed.changes.estrange(if same_feed { Origin::Restored } else { Origin::Another });
                    followed.estranged = followed.changes.len() > 0;
                }
            }
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
        Self { key, added, base: None, parts: Vec::new(), changes: Changes::default(), estranged: false, gap }
    }

    fn hear(&mut self, message: &Message) {
        let key = self.key;
        for list in message.lists.iter().filter(|list| list.issuer == key) {
            self.hear_of(list);
        }
        for change in message.changes.iter().filter(|change| change.issuer == key) {
            // What the lists in force have is not held; where they do not reach `base`, they have nothing for certain.
            if self.gap.is_some() || self.base.is_none_or(|base| change.sequence > base) {
                self.changes.tell(Entry::of(change));
            }
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
        let may_be_listed = self.estranged && occasion == Occasion::Lists;
        let changed = gap != self.gap || base != self.base || may_be_listed;
        changed.then_some(Settlement { gap, base })
    }

    fn settle(&mut self, settlement: &Settlement, lists: &impl InForce) {
        (self.gap, self.base) = (settlement.gap, settlement.base);
        let (reached, base, key) = (self.gap.is_none(), self.base, self.key);
        for part in &mut self.parts {
            if let Some(number) = lists.number(&key, part.point.as_deref()) {
                part.in_force(&number);
            }
        }
        self.changes.retain(|entry| match entry.origin {
            Origin::This => !reached || base.is_none_or(|base| entry.sequence > base),
            // A list from before the store was restored may have it, and the next one not.
            Origin::Restored => !(reached && lists.has(&key, &entry.serial)),
            // A list of the old feed that has it may be followed by one of the new before all of these are in force.
            Origin::Another => !reached,
        });
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
