//! History and notices, as callers may see them.

use super::answer::LabelView;
use crate::audit::{ActResult, Record};
use crate::authenticate::Caller;
use crate::store::{NoticeAbout, NoticeRow};
use sekisho_lifecycle::ActorName;
use sekisho_lifecycle::profile::{NoticeEvent, Profile};
use serde::Serialize;
use utoipa::ToSchema;

/// One act in the operation history 操作履歴.
#[derive(Serialize, ToSchema)]
#[schema(as = HistoryEntry)]
pub(super) struct HistoryView {
    /// Its number in the audit log.
    #[schema(minimum = 1)]
    sequence: u64,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// Who acted; `null` where nobody could be told.
    actor: Option<ActorView>,
    /// What: `revoke`.
    #[schema(example = "revoke")]
    command: String,
    /// Of which contract.
    contract: String,
    /// On which user; `null`: on the contract.
    user: Option<String>,
    /// `online`, `paper-form`, `staff-desk`; `null`: by the service itself.
    channel: Option<&'static str>,
    /// The product's screen.
    screen: Option<ScreenView>,
    /// The paper form.
    form: Option<LabelView>,
    /// The certificate it was about, in hex.
    #[schema(pattern = "^[0-9a-f]+$")]
    serial: Option<String>,
    /// `done` or `refused`.
    result: &'static str,
    /// The request's reference number.
    reference: String,
    /// Why it was refused; to services only.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Which service spoke; to services only.
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<String>,
    /// The client's address; to services only.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
}

/// Who acted.
#[derive(Serialize, ToSchema)]
#[schema(as = Actor)]
pub(super) struct ActorView {
    /// `user`, `staff`, or `service`: the issuance service itself.
    kind: &'static str,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<ActingUser>,
    /// Who entered it; to services only.
    #[serde(skip_serializing_if = "Option::is_none")]
    maker: Option<String>,
    /// Who released it; to services only.
    #[serde(skip_serializing_if = "Option::is_none")]
    checker: Option<String>,
}

/// A user of a contract.
#[derive(Serialize, ToSchema)]
pub(super) struct ActingUser {
    contract: String,
    user: String,
}

/// A screen of the product.
#[derive(Serialize, ToSchema)]
#[schema(as = Screen)]
pub(super) struct ScreenView {
    #[schema(example = "BRSK019")]
    id: String,
    label: Option<LabelView>,
}

impl HistoryView {
    /// A record as that caller may see it. Users do not learn why something was refused, who of the bank's staff acted,
    /// or from where.
    pub(super) fn new(record: Record, profile: Option<&Profile>, caller: &Caller) -> Self {
        let service = matches!(caller, Caller::Service { .. });
        let entry = record.entry;
        let (result, reason) = match &entry.result {
            ActResult::Done => ("done", None),
            ActResult::Refused(why) => ("refused", Some(why.to_string())),
        };
        Self {
            sequence: record.sequence,
            at: entry.at.to_string(),
            actor: entry.actor.map(|actor| ActorView::new(actor, service)),
            command: entry.command.to_string(),
            contract: entry.target.contract().to_string(),
            user: entry.target.user().map(ToString::to_string),
            channel: entry.channel.map(sekisho_lifecycle::profile::Channel::word),
            screen: entry.screen.map(|id| ScreenView {
                label: profile.and_then(|profile| profile.screen(&id)).map(|screen| (&screen.label).into()),
                id: id.to_string(),
            }),
            form: entry.form.as_ref().map(LabelView::from),
            serial: entry.serial.map(|serial| serial.to_string()),
            result,
            reference: entry.reference.to_string(),
            reason: reason.filter(|_| service),
            caller: service.then(|| entry.caller.to_string()),
            address: entry.address.filter(|_| service).map(|address| address.to_string()),
        }
    }
}

impl ActorView {
    fn new(actor: ActorName, service: bool) -> Self {
        let nobody = |kind| Self { kind, user: None, maker: None, checker: None };
        match actor {
            ActorName::User(key) => {
                let user = ActingUser { contract: key.contract.to_string(), user: key.user.to_string() };
                Self { user: Some(user), ..nobody("user") }
            }
            ActorName::Staff(pair) if service => Self {
                maker: Some(pair.maker().0.to_string()),
                checker: Some(pair.checker().0.to_string()),
                ..nobody("staff")
            },
            ActorName::Staff(_) => nobody("staff"),
            ActorName::Service => nobody("service"),
        }
    }
}

/// A notice to a user.
#[derive(Serialize, ToSchema)]
#[schema(as = Notice)]
pub(super) struct NoticeView {
    #[schema(minimum = 1)]
    id: u64,
    /// `issued`, `reissued`, `revoked`, `locked`, `expiry`, `contact`, `credentials`.
    about: &'static str,
    /// Of `expiry`: the step of the profile's ladder, in days before the end.
    days: Option<u16>,
    /// The certificate, in hex.
    #[schema(pattern = "^[0-9a-f]+$")]
    serial: Option<String>,
    /// Its last second of validity.
    #[schema(format = DateTime)]
    expiry: Option<String>,
    /// When it was put in.
    #[schema(format = DateTime)]
    at: String,
    /// When it was handed to the mail server.
    #[schema(format = DateTime)]
    sent_at: Option<String>,
}

impl From<NoticeRow> for NoticeView {
    fn from(row: NoticeRow) -> Self {
        let (about, days) = match row.notice.about {
            NoticeAbout::Event(NoticeEvent::Issued) => ("issued", None),
            NoticeAbout::Event(NoticeEvent::Reissued) => ("reissued", None),
            NoticeAbout::Event(NoticeEvent::Revoked) => ("revoked", None),
            NoticeAbout::Event(NoticeEvent::Locked) => ("locked", None),
            NoticeAbout::Expiry(days) => ("expiry", Some(days)),
            NoticeAbout::Contact => ("contact", None),
            NoticeAbout::Credentials => ("credentials", None),
        };
        Self {
            id: row.id,
            about,
            days,
            serial: row.notice.serial.map(|serial| serial.to_string()),
            expiry: row.notice.not_after.map(|time| time.to_string()),
            at: row.notice.at.to_string(),
            sent_at: row.sent_at.map(|time| time.to_string()),
        }
    }
}
