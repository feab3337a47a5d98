//! A user as columns: the slot is in columns, what is under way is JSON.

use super::statement::hex;
use super::value::{Columns, Corrupt, Value};
use super::words::{self, counter, identifier, reason, seconds, serial};
use super::{Contact, UserRow};
use sekisho_lifecycle::profile::RoleName;
use sekisho_lifecycle::{
    ActorName, Certificate, ContractId, Held, Intent, Lock, Next, Offer, RequestId, Revoked, SecretDigest, StaffId,
    StaffPair, User, UserId, UserKey,
};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use serde::{Deserialize, Serialize};

/// In the order of [`super::tables::USERS`].
pub(super) fn encode(row: &UserRow) -> Vec<Value> {
    let user = &row.user;
    let (locked_at, locked_by) = match user.lock {
        Lock::Open => (None, None),
        Lock::Locked { at, by } => (Some(at.unix()), Some(words::of(&words::LOCKED_BY, by))),
    };
    let mut columns: Vec<Value> = vec![
        user.key.contract.as_str().into(),
        user.key.user.as_str().into(),
        (&*user.role.0).into(),
        words::of(&words::STANDING, user.standing).into(),
        locked_at.into(),
        locked_by.into(),
    ];
    columns.extend(words::counter_columns(&user.wrong_tries));
    columns.extend(words::counter_columns(&user.wrong_acts));
    columns.extend(slot(&user.certificate));
    columns.extend([
        next_json(&user.next).into(),
        user.next.intent().map(|intent| intent.serial.as_bytes()).into(),
        i64::from(user.issues).into(),
        i64::from(user.offers).into(),
        row.contact.name.as_deref().into(),
        row.contact.mail.as_deref().into(),
        words::of(&words::LANGUAGE, row.contact.language).into(),
        row.since.unix().into(),
    ]);
    columns
}

/// From columns in that order.
pub(super) fn decode(columns: &mut Columns) -> Result<UserRow, Corrupt> {
    let key = UserKey {
        contract: identifier(ContractId::new(&columns.text()?))?,
        user: identifier(UserId::new(&columns.text()?))?,
    };
    let role = RoleName(columns.text()?.into());
    let standing = words::read(&words::STANDING, &columns.text()?)?;
    let lock = match (columns.maybe_int()?, columns.maybe_text()?) {
        (None, None) => Lock::Open,
        (Some(at), Some(by)) => Lock::Locked { at: Timestamp::from_unix(at), by: words::read(&words::LOCKED_BY, &by)? },
        _ => return Err(Corrupt("a lock in part")),
    };
    let (wrong_tries, wrong_acts) = (counter(columns)?, counter(columns)?);
    let certificate = read_slot(columns)?;
    let next = read_next(columns.maybe_text()?.as_deref())?;
    let _next_serial = columns.maybe_bytes()?;
    let user = User {
        key,
        role,
        standing,
        lock,
        wrong_tries,
        wrong_acts,
        certificate,
        next,
        issues: words::u32(columns.int()?)?,
        offers: words::u32(columns.int()?)?,
    };
    Ok(UserRow { user, contact: contact(columns)?, since: seconds(columns)? })
}

/// Name, mail and language.
pub(super) fn contact(columns: &mut Columns) -> Result<Contact, Corrupt> {
    Ok(Contact {
        name: columns.maybe_text()?.map(Into::into),
        mail: columns.maybe_text()?.map(Into::into),
        language: words::read(&words::LANGUAGE, &columns.text()?)?,
    })
}

fn slot(certificate: &Certificate) -> [Value; 8] {
    let time = |time: Timestamp| Value::Int(time.unix());
    let none = || Value::Null;
    match certificate {
        Certificate::None => ["none".into(), none(), none(), none(), none(), none(), none(), none()],
        Certificate::Held(held) => [
            "held".into(),
            held.serial.as_bytes().into(),
            time(held.not_before),
            time(held.not_after),
            i64::from(held.issue_number).into(),
            time(held.registered_at),
            none(),
            none(),
        ],
        Certificate::Revoked(revoked) => [
            "revoked".into(),
            revoked.serial.as_bytes().into(),
            none(),
            none(),
            i64::from(revoked.issue_number).into(),
            none(),
            time(revoked.at),
            i64::from(revoked.reason.code()).into(),
        ],
    }
}

fn read_slot(columns: &mut Columns) -> Result<Certificate, Corrupt> {
    let kind = columns.text()?;
    let serial_number = columns.maybe_bytes()?;
    let not_before = columns.maybe_int()?.map(Timestamp::from_unix);
    let not_after = columns.maybe_int()?.map(Timestamp::from_unix);
    let issue_number = columns.maybe_int()?.map(words::u32).transpose()?;
    let registered_at = columns.maybe_int()?.map(Timestamp::from_unix);
    let revoked_at = columns.maybe_int()?.map(Timestamp::from_unix);
    let code = columns.maybe_int()?;
    let missing = Corrupt("a certificate in part");
    match kind.as_str() {
        "none" => Ok(Certificate::None),
        "held" => Ok(Certificate::Held(Held {
            serial: serial(&serial_number.ok_or(missing)?)?,
            not_before: not_before.ok_or(missing)?,
            not_after: not_after.ok_or(missing)?,
            issue_number: issue_number.ok_or(missing)?,
            registered_at: registered_at.ok_or(missing)?,
        })),
        "revoked" => Ok(Certificate::Revoked(Revoked {
            serial: serial(&serial_number.ok_or(missing)?)?,
            at: revoked_at.ok_or(missing)?,
            reason: reason(code.ok_or(missing)?)?,
            issue_number: issue_number.ok_or(missing)?,
        })),
        _ => Err(Corrupt("an unknown kind of certificate")),
    }
}

/// [`Next`] as it is kept; [`Next::Nothing`] is NULL.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum NextJson {
    Offered(OfferJson),
    Acquiring { offer: Option<OfferJson>, intent: IntentJson },
    Renewing(IntentJson),
    ReissueNeeded,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfferJson {
    number: u32,
    made_at: i64,
    deadline: i64,
    made_by: ActorJson,
    request: String,
    secret: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum ActorJson {
    User { contract: String, user: String },
    Staff { maker: String, checker: String },
    Service,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IntentJson {
    serial: String,
    common_name: String,
    organizational_unit: Option<String>,
    organization: Option<String>,
    not_before: i64,
    not_after: i64,
    issue_number: u32,
}

fn next_json(next: &Next) -> Option<Value> {
    let json = match next {
        Next::Nothing => return None,
        Next::Offered(offer) => NextJson::Offered(offer.into()),
        Next::Acquiring { offer, intent } => {
            NextJson::Acquiring { offer: offer.as_ref().map(Into::into), intent: intent.into() }
        }
        Next::Renewing(intent) => NextJson::Renewing(intent.into()),
        Next::ReissueNeeded => NextJson::ReissueNeeded,
    };
    // Nothing in it fails: no map, no foreign code. An empty text is refused when it is read.
    Some(Value::Text(serde_json::to_string(&json).unwrap_or_default()))
}

fn read_next(json: Option<&str>) -> Result<Next, Corrupt> {
    let Some(json) = json else { return Ok(Next::Nothing) };
    let next = serde_json::from_str(json).map_err(|_| Corrupt("what is under way is not JSON of ours"))?;
    Ok(match next {
        NextJson::Offered(offer) => Next::Offered(offer.try_into()?),
        NextJson::Acquiring { offer, intent } => {
            Next::Acquiring { offer: offer.map(TryInto::try_into).transpose()?, intent: intent.try_into()? }
        }
        NextJson::Renewing(intent) => Next::Renewing(intent.try_into()?),
        NextJson::ReissueNeeded => Next::ReissueNeeded,
    })
}

impl From<&Offer> for OfferJson {
    fn from(offer: &Offer) -> Self {
        Self {
            number: offer.number,
            made_at: offer.made_at.unix(),
            deadline: offer.deadline.unix(),
            made_by: (&offer.made_by).into(),
            request: offer.request.0.to_string(),
            secret: offer.secret.map(|SecretDigest(digest)| hex(&digest)),
        }
    }
}

impl TryFrom<OfferJson> for Offer {
    type Error = Corrupt;
    fn try_from(json: OfferJson) -> Result<Self, Corrupt> {
        let digest = |text: String| {
            let octets = words::unhex(&text)?;
            octets.try_into().map(SecretDigest).map_err(|_| Corrupt("a digest of another length"))
        };
        Ok(Self {
            number: json.number,
            made_at: Timestamp::from_unix(json.made_at),
            deadline: Timestamp::from_unix(json.deadline),
            made_by: json.made_by.try_into()?,
            request: RequestId(json.request.into()),
            secret: json.secret.map(digest).transpose()?,
        })
    }
}

impl From<&ActorName> for ActorJson {
    fn from(actor: &ActorName) -> Self {
        match actor {
            ActorName::User(key) => Self::User { contract: key.contract.to_string(), user: key.user.to_string() },
            ActorName::Staff(pair) => {
                Self::Staff { maker: pair.maker().0.to_string(), checker: pair.checker().0.to_string() }
            }
            ActorName::Service => Self::Service,
        }
    }
}

impl TryFrom<ActorJson> for ActorName {
    type Error = Corrupt;
    fn try_from(json: ActorJson) -> Result<Self, Corrupt> {
        Ok(match json {
            ActorJson::User { contract, user } => Self::User(UserKey {
                contract: identifier(ContractId::new(&contract))?,
                user: identifier(UserId::new(&user))?,
            }),
            ActorJson::Staff { maker, checker } => Self::Staff(
                StaffPair::new(StaffId(maker.into()), StaffId(checker.into()))
                    .map_err(|_| Corrupt("one person as two"))?,
            ),
            ActorJson::Service => Self::Service,
        })
    }
}

impl From<&Intent> for IntentJson {
    fn from(intent: &Intent) -> Self {
        Self {
            serial: hex(intent.serial.as_bytes()),
            common_name: intent.common_name.clone(),
            organizational_unit: intent.organizational_unit.clone(),
            organization: intent.organization.clone(),
            not_before: intent.not_before.unix(),
            not_after: intent.not_after.unix(),
            issue_number: intent.issue_number,
        }
    }
}

impl TryFrom<IntentJson> for Intent {
    type Error = Corrupt;
    fn try_from(json: IntentJson) -> Result<Self, Corrupt> {
        let serial: SerialNumber = serial(&words::unhex(&json.serial)?)?;
        Ok(Self {
            serial,
            common_name: json.common_name,
            organizational_unit: json.organizational_unit,
            organization: json.organization,
            not_before: Timestamp::from_unix(json.not_before),
            not_after: Timestamp::from_unix(json.not_after),
            issue_number: json.issue_number,
        })
    }
}
