//! One message of the feed: a compact JWS (RFC 7515), signed with ES256, that says every change of a span of sequence
//! numbers.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use sekisho_pki::crl::{CrlNumber, RevocationReason};
use sekisho_pki::es256::{PublicKey, SIGNATURE_OCTETS};
use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use serde::Deserialize;
use std::fmt;
use std::sync::Arc;

/// The `typ` of a message (RFC 8725 section 3.11).
const TYPE: &str = "sekisho-feed+jwt";

/// The only `alg`.
const ALGORITHM: &str = "ES256";

/// The only `v`.
const VERSION: u32 = 1;

/// Changes in one message: what the protocol allows.
pub(super) const MOST_CHANGES: usize = 500;

/// Lists told in one message: a hundred CAs in 100 parts each.
const MOST_LISTS: usize = 10_000;

/// Octets of the feed's id, which is random and some dozens long.
const LONGEST_FEED: usize = 128;

/// Bytes of the head of an audit log: twenty digits, a colon, and a hash in hex.
const LONGEST_HEAD: usize = 85;

/// Octets of a mark: what stands at a number, in hex, or nothing.
const LONGEST_MARK: usize = 64;

/// Octets of a distribution point's URL.
const LONGEST_POINT: usize = 2_048;

/// A message whose signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Whose feed: fixed for as long as the issuer's store lives.
    pub feed: Arc<str>,
    /// When it was signed, Unix milliseconds by the issuer's clock.
    pub at: i64,
    /// The changes are all of those after this sequence number ...
    pub from: u64,
    /// What stands at `from` in the issuer's store: another mark than was told is another history.
    pub from_mark: Arc<str>,
    /// ... up to this one.
    pub to: u64,
    /// What stands at `to`.
    pub mark: Arc<str>,
    /// How far the issuer's store was when this was signed. A message that ends before it is a page of a backlog: who
    /// has no more than that does not have what was revoked since.
    pub head: u64,
    /// In order of their sequence.
    pub changes: Vec<Change>,
    /// What is published.
    pub lists: Vec<PublishedList>,
    /// Where the issuer's audit log ended, `sequence:hash`: kept as a witness outside of its store.
    pub audit: Option<Arc<str>>,
    /// The payload as it was signed.
    pub payload: Arc<str>,
}

/// One change of a certificate's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its place among all changes.
    pub sequence: u64,
    /// The CA that issued the certificate.
    pub issuer: AuthorityKey,
    /// The certificate.
    pub serial: SerialNumber,
    /// What became of it.
    pub word: Word,
    /// When.
    pub at: Timestamp,
    /// When the certificate ends: until then nothing but a release takes back what was told. `None`: the issuer did
    /// not tell.
    pub not_after: Option<Timestamp>,
}

/// What the feed says of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Revoked for good.
    Revoked(RevocationReason),
    /// On hold (certificateHold).
    Held,
    /// No longer on hold.
    Released,
}

/// A list that the issuer has published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedList {
    /// Whose.
    pub issuer: AuthorityKey,
    /// Which part of how many.
    pub part: u32,
    /// How many parts there are.
    pub parts: u32,
    /// The part's distribution point, where the list names one (RFC 5280 section 5.2.5).
    pub point: Option<Arc<str>>,
    /// Its CRLNumber.
    pub number: CrlNumber,
    /// It has every change of its part up to this sequence number.
    pub to: u64,
}

/// Why a text is no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageError {
    /// Not three parts of base64url without padding, or a signature of another length.
    Form,
    /// Its header is not exactly `alg`, `typ` and `kid`.
    Header(String),
    /// Another `alg` than ES256.
    Algorithm,
    /// Another `typ`.
    Type,
    /// A `kid` that is no configured key's.
    UnknownKey(String),
    /// The signature is not that key's.
    Signature,
    /// Its payload is not what the protocol says.
    Payload(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// Fields that a later version may add are passed over.
#[derive(Deserialize)]
struct Wire {
    v: u32,
    feed: String,
    at: i64,
    from: u64,
    from_mark: String,
    to: u64,
    mark: String,
    head: u64,
    #[serde(default)]
    changes: Vec<WireChange>,
    #[serde(default)]
    lists: Vec<WireList>,
    audit: Option<String>,
}

#[derive(Deserialize)]
struct WireChange {
    sequence: u64,
    issuer: String,
    serial: String,
    status: String,
    reason: Option<String>,
    at: i64,
    not_after: Option<i64>,
}

#[derive(Deserialize)]
struct WireList {
    issuer: String,
    part: u32,
    parts: u32,
    point: Option<String>,
    number: String,
    to: u64,
}

impl Message {
    /// Verifies a compact JWS: the signature first, and only then what it says.
    ///
    /// # Errors
    /// [`MessageError`], the first that applies.
    pub fn verify(token: &str, keys: &[PublicKey]) -> Result<Self, MessageError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(MessageError::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(MessageError::Form)?;
        let signature = decode(signature)?;
        if signature.len() != SIGNATURE_OCTETS || payload.contains('.') {
            return Err(MessageError::Form);
        }
        let header: Header =
            serde_json::from_slice(&decode(header)?).map_err(|error| MessageError::Header(error.to_string()))?;
        if header.alg != ALGORITHM {
            return Err(MessageError::Algorithm);
        }
        if header.typ != TYPE {
            return Err(MessageError::Type);
        }
        let Some(key) = keys.iter().find(|key| key.key_id() == header.kid) else {
            return Err(MessageError::UnknownKey(header.kid.chars().take(64).collect()));
        };
        if !key.verifies(signed.as_bytes(), &signature) {
            return Err(MessageError::Signature);
        }
        let payload = String::from_utf8(decode(payload)?).map_err(|_| payload_error("it is not UTF-8"))?;
        Self::from_payload(&payload)
    }

    /// From a payload whose signature was verified, now or before it was kept on disk.
    pub(super) fn from_payload(payload: &str) -> Result<Self, MessageError> {
        let wire: Wire = serde_json::from_str(payload).map_err(|error| MessageError::Payload(error.to_string()))?;
        if wire.v != VERSION {
            return Err(payload_error(format!("version {} is not known", wire.v)));
        }
        if wire.feed.is_empty() || wire.feed.len() > LONGEST_FEED || !wire.feed.bytes().all(|it| it.is_ascii_graphic())
        {
            return Err(payload_error("feed is no id"));
        }
        if wire
            .audit
            .as_ref()
            .is_some_and(|head| head.len() > LONGEST_HEAD || !head.bytes().all(|it| it.is_ascii_graphic()))
        {
            return Err(payload_error("audit is no head of a log"));
        }
        if wire.mark.len().max(wire.from_mark.len()) > LONGEST_MARK {
            return Err(payload_error("a mark is too long"));
        }
        if wire.from > wire.to {
            return Err(payload_error(format!("from {} is beyond to {}", wire.from, wire.to)));
        }
        if wire.to > wire.head {
            return Err(payload_error(format!("to {} is beyond head {}", wire.to, wire.head)));
        }
        if wire.changes.len() > MOST_CHANGES || wire.lists.len() > MOST_LISTS {
            let (changes, lists) = (wire.changes.len(), wire.lists.len());
            return Err(payload_error(format!("{changes} changes and {lists} lists are too many")));
        }
        let changes = wire.changes.iter().map(WireChange::read).collect::<Result<Vec<_>, _>>()?;
        let mut before = wire.from;
        for change in &changes {
            if change.sequence <= before || change.sequence > wire.to {
                return Err(payload_error(format!("change {} is out of its place", change.sequence)));
            }
            before = change.sequence;
        }
        let lists = wire.lists.into_iter().map(WireList::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            feed: wire.feed.into(),
            at: wire.at,
            from: wire.from,
            from_mark: wire.from_mark.into(),
            to: wire.to,
            mark: wire.mark.into(),
            head: wire.head,
            changes,
            lists,
            audit: wire.audit.map(Arc::from),
            payload: payload.into(),
        })
    }

    /// When it was signed, to the second.
    pub const fn signed(&self) -> Timestamp {
        Timestamp::from_unix(self.at.div_euclid(1_000))
    }

    /// Returns `true` if nothing of what the store had is missing after it.
    pub const fn is_complete(&self) -> bool {
        self.to >= self.head
    }
}

impl WireChange {
    fn read(&self) -> Result<Change, MessageError> {
        let serial = from_hex(&self.serial).and_then(|octets| SerialNumber::from_der_content(&octets).ok());
        let word = match self.status.as_str() {
            "revoked" => Word::Revoked(self.reason()),
            "held" => Word::Held,
            "released" => Word::Released,
            other => return Err(payload_error(format!("status {:?} is not known", shortened(other)))),
        };
        Ok(Change {
            sequence: self.sequence,
            issuer: issuer(&self.issuer)?,
            serial: serial.ok_or_else(|| payload_error("a serial number is none"))?,
            word,
            at: Timestamp::from_unix(self.at),
            not_after: self.not_after.map(Timestamp::from_unix),
        })
    }

    /// What is not known is revoked all the same.
    fn reason(&self) -> RevocationReason {
        let name = self.reason.as_deref().unwrap_or_default();
        let reasons = (0..=10).map(RevocationReason::from_code);
        reasons.into_iter().find(|reason| reason.name() == name).unwrap_or_default()
    }
}

impl WireList {
    fn read(self) -> Result<PublishedList, MessageError> {
        if self.part >= self.parts || usize::try_from(self.parts).is_ok_and(|parts| parts > MOST_LISTS) {
            return Err(payload_error(format!("part {} of {} is none", self.part, self.parts)));
        }
        if self.point.as_ref().is_some_and(|point| point.len() > LONGEST_POINT) {
            return Err(payload_error("a distribution point is too long"));
        }
        Ok(PublishedList {
            issuer: issuer(&self.issuer)?,
            part: self.part,
            parts: self.parts,
            point: self.point.map(Arc::from),
            number: self.number.parse().map_err(|_| payload_error("a list's number is none"))?,
            to: self.to,
        })
    }
}

fn issuer(hex: &str) -> Result<AuthorityKey, MessageError> {
    let octets = from_hex(hex).and_then(|octets| octets.try_into().ok());
    octets.map(AuthorityKey::from_bytes).ok_or_else(|| payload_error("an issuer is no key of a CA"))
}

pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect())?
}

pub(crate) fn to_hex(octets: &[u8]) -> String {
    let digits = octets.iter().flat_map(|octet| [octet >> 4, octet & 15]);
    digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

/// The engine refuses padding and bits that no octet has, so that a token has one spelling.
fn decode(part: &str) -> Result<Vec<u8>, MessageError> {
    BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| MessageError::Form)
}

fn payload_error(what: impl Into<String>) -> MessageError {
    MessageError::Payload(what.into())
}

fn shortened(text: &str) -> String {
    text.chars().take(32).collect()
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str("it is not a compact JWS with an ES256 signature"),
            Self::Header(error) => write!(f, "its header: {error}"),
            Self::Algorithm => f.write_str("its alg is not ES256"),
            Self::Type => write!(f, "its typ is not {TYPE}"),
            Self::UnknownKey(kid) => write!(f, "its kid {kid:?} is none of public_key_files"),
            Self::Signature => f.write_str("its signature is wrong"),
            Self::Payload(error) => write!(f, "its payload: {error}"),
        }
    }
}

impl std::error::Error for MessageError {}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
