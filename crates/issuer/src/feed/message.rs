//! Messages as gateways read them.

use super::key::FeedKey;
use crate::audit::Head;
use crate::publish::CoveredList;
use crate::store::{Place, Status, StatusRow, StoreError};
use bytes::Bytes;
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::fingerprint::AuthorityKey;
use serde::{Serialize, Serializer};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Changes in a message at most: 130 KB on the wire, which a gateway verifies and applies within a millisecond or two.
pub(super) const MOST_CHANGES: usize = 500;

/// What signs, and whose changes they are.
pub(super) struct Press {
    feed: Arc<str>,
    key: FeedKey,
    authorities: HashMap<Arc<str>, AuthorityKey>,
    /// The last change there was when this node started.
    start: u64,
}

/// What is said: all changes after `from`, up to and with `to`.
pub(super) struct Said<'a> {
    /// Milliseconds since 1970.
    pub(super) at: i64,
    pub(super) from: Place,
    pub(super) to: Place,
    /// How far the store was at `at`, at least.
    pub(super) head: u64,
    pub(super) changes: &'a [StatusRow],
    pub(super) lists: &'a [CoveredList],
    /// Where the audit log ends, for gateways to keep: a witness of it outside of the store.
    pub(super) audit: Option<Head>,
}

#[derive(Serialize)]
struct Message<'a> {
    v: u8,
    feed: &'a str,
    at: i64,
    from: u64,
    from_mark: String,
    to: u64,
    mark: String,
    head: u64,
    changes: Vec<Change<'a>>,
    lists: Vec<List<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<String>,
}

#[derive(Serialize)]
struct Change<'a> {
    sequence: u64,
    issuer: Hex<'a>,
    /// The content octets of the DER INTEGER, a leading sign octet among them.
    serial: Hex<'a>,
    status: &'static str,
    reason: &'static str,
    at: i64,
    not_after: i64,
}

#[derive(Serialize)]
struct List<'a> {
    issuer: Hex<'a>,
    part: u16,
    parts: u16,
    point: Option<&'a str>,
    /// A text: numbers of lists may be longer than what JSON readers keep whole.
    number: String,
    to: u64,
}

/// Octets in lower-case hex.
struct Hex<'a>(&'a [u8]);

impl Press {
    pub(super) fn new(feed: Arc<str>, key: FeedKey, authorities: HashMap<Arc<str>, AuthorityKey>, start: u64) -> Self {
        Self { feed, key, authorities, start }
    }

    /// The feed's name.
    pub(super) fn feed(&self) -> &str {
        &self.feed
    }

    /// The issuer ID of an authority, in hex as messages have it.
    pub(super) fn issuer(&self, authority: &str) -> Option<String> {
        self.authorities.get(authority).map(|key| Hex(key.as_bytes()).to_string())
    }

    /// The event that says it, signed.
    ///
    /// Changes of authorities that are not configured here cannot be named. Those from before the start are of authorities
    /// that were taken out, of which nobody has a list.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] without randomness, and where another node knows an authority that this one does not:
    /// a message that left its changes out would say that there are none.
    pub(super) fn event(&self, said: &Said<'_>) -> Result<Bytes, StoreError> {
        let is_missing =
            |row: &&StatusRow| row.sequence > self.start && !self.authorities.contains_key(&row.change.authority);
        if let Some(row) = said.changes.iter().find(is_missing) {
            let why = format!(
                "a certificate of authority {} has changed, which another node has and this one has not",
                row.change.authority
            );
            return Err(StoreError::Unavailable(why.into()));
        }
        let change = |row: &'_ StatusRow| self.authorities.get(&row.change.authority).map(|key| (key, row.sequence));
        let named: Vec<_> = said.changes.iter().filter_map(|row| change(row).map(|found| (found, row))).collect();
        let changes = named.iter().map(|((issuer, sequence), row)| {
            let (status, reason) = words(row.change.status);
            let serial = Hex(row.change.serial.as_bytes());
            let (at, not_after) = (row.change.at.unix(), row.change.not_after.unix());
            Change { sequence: *sequence, issuer: Hex(issuer.as_bytes()), serial, status, reason, at, not_after }
        });
        let lists = said.lists.iter().map(|list| List {
            issuer: Hex(list.issuer.as_bytes()),
            part: list.part,
            parts: list.parts,
            point: list.point.as_deref(),
            number: list.number.to_string(),
            to: list.to,
        });
        let message = Message {
            v: 1,
            feed: &self.feed,
            at: said.at,
            from: said.from.sequence,
            from_mark: said.from.mark.to_string(),
            to: said.to.sequence,
            mark: said.to.mark.to_string(),
            head: said.head.max(said.to.sequence),
            changes: changes.collect(),
            lists: lists.collect(),
            audit: said.audit.map(|head| head.to_string()),
        };
        // Nothing in it fails to be written.
        let token = self.key.sign(&serde_json::to_vec(&message).unwrap_or_default());
        let token = token.ok_or_else(|| StoreError::Unavailable("nothing can be signed".into()))?;
        Ok(Bytes::from(format!("id: {}\nevent: revocations\ndata: {token}\n\n", said.to.sequence)))
    }
}

/// Status and reason, as RFC 5280 names it.
pub(super) fn words(status: Status) -> (&'static str, &'static str) {
    match status {
        Status::Revoked(reason) => ("revoked", reason.name()),
        Status::Held => ("held", RevocationReason::CertificateHold.name()),
        Status::Released => ("released", RevocationReason::RemoveFromCrl.name()),
    }
}

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
