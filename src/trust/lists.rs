//! Accepted lists, and which of them are in force for one CA.

use super::feed::Told;
use super::revoked::{Revoked, RevokedIndex};
use super::staleness::Freshness;
use crate::config::WhenStale;
use crate::pki::crl::{CrlNumber, NotUnderstood, RevocationListHeader};
use crate::pki::fingerprint::AuthorityKey;
use crate::pki::serial::SerialNumber;
use crate::pki::time::Timestamp;
use std::sync::Arc;

/// A list whose signature was verified.
#[derive(Debug)]
pub struct RevocationList {
    pub(super) header: RevocationListHeader,
    pub(super) number: Option<String>,
    pub(super) signer: AuthorityKey,
    pub(super) file: Arc<str>,
    pub(super) content: Content,
}

/// What a list holds for a lookup.
#[derive(Debug)]
pub(super) enum Content {
    /// Its entries.
    Index(RevokedIndex),
    /// Nothing that can be relied on.
    NotUnderstood(NotUnderstood),
}

/// The lists of one CA: what a lookup asks.
///
/// Every list that can be read may revoke; only a complete, fresh one may say that a certificate is not revoked, and
/// no list that is newer and not understood may stand beside it, since it might have revoked.
#[derive(Debug)]
pub struct RevocationLists {
    pub(super) when_stale: WhenStale,
    /// The one complete list in force.
    pub(super) base: Option<Base>,
    /// Lists that can only revoke: of a part of the scope, of a second signer, or in conflict with the base.
    pub(super) additions: Vec<Arc<RevocationList>>,
    /// Why no certificate can be told good, when that is so: a list newer than the base that is not understood.
    pub(super) closed_by: Option<Arc<RevocationList>>,
}

/// A complete list in force.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub(super) list: Arc<RevocationList>,
    /// nextUpdate, or the end of validity of the certificate of a delegated signer if that comes first.
    pub(super) next_update: Option<Timestamp>,
}

/// What the lists of a CA say of a serial.
pub(super) enum Lookup<'a> {
    Revoked(Revoked, &'a RevocationList),
    Good { base: &'a RevocationList, stale_since: Option<Timestamp> },
    Unavailable(String),
}

impl RevocationList {
    /// What the list says of itself.
    pub const fn header(&self) -> &RevocationListHeader {
        &self.header
    }

    /// CRLNumber in decimal.
    pub fn number(&self) -> Option<&str> {
        self.number.as_deref()
    }

    /// The CA whose key signed it.
    pub const fn signer(&self) -> AuthorityKey {
        self.signer
    }

    /// The file it came from.
    pub const fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// Revoked certificates on it.
    pub fn entries(&self) -> usize {
        match &self.content {
            Content::Index(index) => index.len(),
            Content::NotUnderstood(_) => 0,
        }
    }

    /// Octets of memory its index takes.
    pub fn index_octets(&self) -> usize {
        match &self.content {
            Content::Index(index) => index.allocated_octets(),
            Content::NotUnderstood(_) => 0,
        }
    }

    /// Whether and when this list revokes a serial.
    pub fn revoked(&self, serial: &SerialNumber) -> Option<Revoked> {
        match &self.content {
            Content::Index(index) => index.get(serial),
            Content::NotUnderstood(_) => None,
        }
    }
}

impl RevocationLists {
    /// The complete list in force.
    pub fn in_force(&self) -> Option<&Arc<RevocationList>> {
        self.base.as_ref().map(|base| &base.list)
    }

    /// Every list a lookup asks, the one in force first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<RevocationList>> {
        self.in_force().into_iter().chain(&self.additions)
    }

    /// The policy for a stale list.
    pub const fn when_stale(&self) -> WhenStale {
        self.when_stale
    }

    /// The number of the list that says who is good among the certificates of a distribution point; `None` for the point:
    /// of the complete one.
    pub(super) fn number(&self, point: Option<&str>) -> Option<CrlNumber> {
        let _ = point;
        self.in_force()?.header.number
    }

    /// When the list in force grows stale.
    pub fn next_update(&self) -> Option<Timestamp> {
        self.base.as_ref().and_then(|base| base.next_update)
    }

    /// Whether a certificate can be told good at `now`, and if so how fresh that is; else why not.
    pub(super) fn state(&self, now: Timestamp) -> Result<(&RevocationList, Freshness), String> {
        if let Some(list) = &self.closed_by {
            let why = match &list.content {
                Content::NotUnderstood(what) => what.to_string(),
                Content::Index(_) => "it conflicts".to_owned(),
            };
            return Err(format!("the revocation list in {} is not understood: {why}", list.file));
        }
        let Some(base) = &self.base else {
            return Err(if self.additions.is_empty() {
                "no revocation list was accepted".to_owned()
            } else {
                "only revocation lists of a part of the certificates were accepted".to_owned()
            });
        };
        match Freshness::at(base.next_update, self.when_stale, now) {
            Freshness::Expired { next_update } => {
                Err(format!("the revocation list in {} is stale since {next_update}", base.list.file))
            }
            freshness => Ok((&base.list, freshness)),
        }
    }

    /// What the lists say of a serial at `now`. A revocation stands however stale its list is.
    ///
    /// A hold that the issuer's feed told to be undone since the list was made is passed over.
    pub(super) fn lookup(&self, serial: &SerialNumber, now: Timestamp, told: &Told<'_>) -> Lookup<'_> {
        let stands = |revoked: &Revoked, list: &RevocationList| match told {
            Told::Released(release) => !release.undoes(revoked.reason, list.header.number.as_ref(), None),
            Told::Nothing | Told::Revoked { .. } => true,
        };
        let revoked_by = |list| RevocationList::revoked(list, serial).filter(|revoked| stands(revoked, list));
        if let Some((revoked, list)) = self.all().find_map(|list| Some((revoked_by(list)?, list))) {
            return Lookup::Revoked(revoked, list);
        }
        match self.state(now) {
            Err(why) => Lookup::Unavailable(why),
            Ok((base, Freshness::Tolerated { next_update })) => Lookup::Good { base, stale_since: Some(next_update) },
            Ok((base, _)) => Lookup::Good { base, stale_since: None },
        }
    }
}
