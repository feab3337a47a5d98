//! An entry's canonical text: the JSON that the chain's hash covers.
//!
//! ```json
//! {"at":"2026-11-22T01:31:00Z","caller":"desk","actor":{"staff":{"maker":"m1","checker":"c1"}},"command":"revoke",
//!  "target":{"user":{"contract":"C1","user":"u1"}},"channel":"paper-form","screen":null,
//!  "form":{"ja":"…","en":"…"},"serial":"8001","address":null,"reference":"R1","result":"done"}
//! ```
//! On one line and without spaces; every key, in this order, `null` where there is nothing. An entry has exactly one
//! text and a text exactly one entry, so that a text which only reads the same is not the one that was written.

use super::entry::{Entry, Result as ActResult};
use sekisho_lifecycle::profile::{Channel, Label};
use sekisho_lifecycle::{ActorName, ContractId, StaffId, StaffPair, Target, UserId, UserKey};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// The canonical text of an entry.
///
/// Times have four digits of the year: one outside the years 0 to 9999 is written and does not read back.
pub fn encode(entry: &Entry) -> String {
    // Text keys and strings only: there is nothing in it that JSON cannot say.
    serde_json::to_string(&Written::of(entry)).unwrap_or_default()
}

/// The entry of which it is the canonical text.
///
/// # Errors
/// [`NotAnEntry`]: not JSON, a key too many, too few or twice, a value that none has, or another way to write the same.
pub fn decode(text: &str) -> Result<Entry, NotAnEntry> {
    let written: Written<'_> = serde_json::from_str(text).map_err(|error| NotAnEntry::Malformed(error.to_string()))?;
    let entry = written.read()?;
    // Keys out of order, spaces, escapes that need not be, and keys left out that would read as `null`.
    if encode(&entry) == text { Ok(entry) } else { Err(NotAnEntry::NotCanonical) }
}

/// Why a text is not an entry's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAnEntry {
    /// Not the JSON of an entry; what the parser says.
    Malformed(String),
    /// A value that no entry has; of which key.
    Impossible(&'static str),
    /// It reads as an entry whose text is another.
    NotCanonical,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    at: Cow<'a, str>,
    caller: Cow<'a, str>,
    actor: Option<WrittenActor<'a>>,
    command: Cow<'a, str>,
    target: WrittenTarget<'a>,
    channel: Option<Cow<'a, str>>,
    screen: Option<Cow<'a, str>>,
    form: Option<WrittenLabel<'a>>,
    serial: Option<Cow<'a, str>>,
    address: Option<Cow<'a, str>>,
    reference: Cow<'a, str>,
    result: WrittenResult<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenActor<'a> {
    User(WrittenUser<'a>),
    Staff(WrittenStaff<'a>),
    Service,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenUser<'a> {
    contract: Cow<'a, str>,
    user: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStaff<'a> {
    maker: Cow<'a, str>,
    checker: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenTarget<'a> {
    User(WrittenUser<'a>),
    Contract(Cow<'a, str>),
    Unknown(Cow<'a, str>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLabel<'a> {
    ja: Cow<'a, str>,
    en: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenResult<'a> {
    Done,
    Refused(Cow<'a, str>),
}

impl<'a> Written<'a> {
    fn of(entry: &'a Entry) -> Self {
        Self {
            at: entry.at.to_string().into(),
            caller: (&*entry.caller).into(),
            actor: entry.actor.as_ref().map(WrittenActor::of),
            command: (&*entry.command).into(),
            target: WrittenTarget::of(&entry.target),
            channel: entry.channel.map(|channel| channel.word().into()),
            screen: entry.screen.as_deref().map(Cow::from),
            form: entry.form.as_ref().map(|form| WrittenLabel { ja: (&form.ja).into(), en: (&form.en).into() }),
            serial: entry.serial.as_ref().map(|serial| serial_text(serial).into()),
            address: entry.address.as_deref().map(Cow::from),
            reference: (&*entry.reference).into(),
            result: match &entry.result {
                ActResult::Done => WrittenResult::Done,
                ActResult::Refused(why) => WrittenResult::Refused((&**why).into()),
            },
        }
    }

    fn read(self) -> Result<Entry, NotAnEntry> {
        Ok(Entry {
            at: Timestamp::from_rfc_3339(&self.at).ok_or(NotAnEntry::Impossible("at"))?,
            caller: self.caller.into(),
            actor: self.actor.map(WrittenActor::read).transpose()?,
            command: self.command.into(),
            target: self.target.read()?,
            channel: self.channel.map(|word| channel(&word)).transpose()?,
            screen: self.screen.map(Arc::from),
            form: self.form.map(|form| Label { ja: form.ja.into_owned(), en: form.en.into_owned() }),
            serial: self.serial.map(|text| serial(&text).ok_or(NotAnEntry::Impossible("serial"))).transpose()?,
            address: self.address.map(Arc::from),
            reference: self.reference.into(),
            result: match self.result {
                WrittenResult::Done => ActResult::Done,
                WrittenResult::Refused(why) => ActResult::Refused(why.into()),
            },
        })
    }
}

impl<'a> WrittenActor<'a> {
    fn of(actor: &'a ActorName) -> Self {
        match actor {
            ActorName::User(key) => Self::User(WrittenUser::of(key)),
            ActorName::Staff(pair) => {
                Self::Staff(WrittenStaff { maker: (&*pair.maker().0).into(), checker: (&*pair.checker().0).into() })
            }
            ActorName::Service => Self::Service,
        }
    }

    fn read(self) -> Result<ActorName, NotAnEntry> {
        Ok(match self {
            Self::User(user) => ActorName::User(user.read()?),
            Self::Staff(staff) => {
                let pair = StaffPair::new(StaffId(staff.maker.into()), StaffId(staff.checker.into()));
                ActorName::Staff(pair.map_err(|_| NotAnEntry::Impossible("actor"))?)
            }
            Self::Service => ActorName::Service,
        })
    }
}

impl<'a> WrittenTarget<'a> {
    fn of(target: &'a Target) -> Self {
        match target {
            Target::User(key) => Self::User(WrittenUser::of(key)),
            Target::Contract(contract) => Self::Contract(contract.as_str().into()),
            Target::Unknown(contract) => Self::Unknown(contract.as_str().into()),
        }
    }

    fn read(self) -> Result<Target, NotAnEntry> {
        Ok(match self {
            Self::User(user) => Target::User(user.read()?),
            Self::Contract(id) => Target::Contract(contract(&id)?),
            Self::Unknown(id) => Target::Unknown(contract(&id)?),
        })
    }
}

impl<'a> WrittenUser<'a> {
    fn of(key: &'a UserKey) -> Self {
        Self { contract: key.contract.as_str().into(), user: key.user.as_str().into() }
    }

    fn read(self) -> Result<UserKey, NotAnEntry> {
        let user = UserId::new(&self.user).ok_or(NotAnEntry::Impossible("user"))?;
        Ok(UserKey { contract: contract(&self.contract)?, user })
    }
}

fn contract(id: &str) -> Result<ContractId, NotAnEntry> {
    ContractId::new(id).ok_or(NotAnEntry::Impossible("contract"))
}

fn channel(word: &str) -> Result<Channel, NotAnEntry> {
    let known = [Channel::Online, Channel::PaperForm, Channel::StaffDesk];
    known.into_iter().find(|channel| channel.word() == word).ok_or(NotAnEntry::Impossible("channel"))
}

/// As everywhere else; `-` before the octets of a negative one, which the service never makes.
fn serial_text(serial: &SerialNumber) -> String {
    if is_negative(serial.as_bytes()) { format!("-{serial}") } else { serial.to_string() }
}

fn serial(text: &str) -> Option<SerialNumber> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let mut content = octets(digits)?;
    if !negative && is_negative(&content) {
        content.insert(0, 0);
    }
    SerialNumber::from_der_content(&content).ok()
}

/// Two's complement.
fn is_negative(content: &[u8]) -> bool {
    content.first().is_some_and(|octet| octet & 0x80 != 0)
}

/// From lower-case hex.
pub(super) fn octets(hex: &str) -> Option<Vec<u8>> {
    let digit = |octet: u8| match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'a'..=b'f' => Some(octet - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let octets = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    if rest.is_empty() { octets } else { None }
}

impl fmt::Display for NotAnEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "not an entry of the audit log: {why}"),
            Self::Impossible(key) => write!(f, "not an entry of the audit log: {key} is not one that there is"),
            Self::NotCanonical => f.write_str("an entry of the audit log, but not in its canonical form"),
        }
    }
}

impl std::error::Error for NotAnEntry {}
