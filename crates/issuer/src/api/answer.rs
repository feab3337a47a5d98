//! Answers.

use super::problem::{Kind, Problem};
use crate::authenticate::Caller;
use crate::service::Done;
use crate::store::{Contact, ContractRow, Language, UserRow};
use axum::Json;
use axum::response::{IntoResponse, Response};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use sekisho_ca::download::pem;
use sekisho_lifecycle::profile::{Label, Profile, SecretDelivery, ShownState};
use sekisho_lifecycle::{ContractOneTimePassword, Feature, Lock, LockedBy, Standing, UserKey, view};
use sekisho_pki::time::Timestamp;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// A text in both languages.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Label)]
pub(super) struct LabelView {
    #[schema(example = "発行済み")]
    ja: String,
    #[schema(example = "Issued")]
    en: String,
}

impl From<&Label> for LabelView {
    fn from(label: &Label) -> Self {
        Self { ja: label.ja.clone(), en: label.en.clone() }
    }
}

/// A contract.
#[derive(Serialize, ToSchema)]
#[schema(as = Contract)]
pub(super) struct ContractView {
    id: String,
    /// The profile's name.
    profile: String,
    /// What customers call the product; `null`: its profile is not configured here.
    product: Option<LabelView>,
    /// 電子証明書機能: `on` or `off`.
    #[schema(value_type = OnOff)]
    feature: &'static str,
    /// Whether its users have one-time passwords: `used` or `not-used`.
    #[schema(value_type = UsedOrNot)]
    one_time_password: &'static str,
    /// When it was opened.
    #[schema(format = DateTime)]
    since: String,
    /// Where an act on it revoked certificates: how far that has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) propagation: Option<PropagationView>,
}

/// How far the last change of a certificate's status that an act made has come by the time of the answer.
#[derive(Serialize, ToSchema)]
#[schema(as = Propagation)]
pub(super) struct PropagationView {
    /// The number of the change of status.
    #[schema(minimum = 1)]
    pub(super) sequence: u64,
    /// Gateways that were seen lately.
    pub(super) gateways: usize,
    /// Those that have it in force.
    pub(super) have: usize,
    /// From the commit until the last of them said so; `null` while one lacks it, and where there are none.
    #[schema(required)]
    pub(super) milliseconds: Option<u64>,
}

/// A word of the document that is no type of the code.
macro_rules! words {
    ($($name:ident { $($word:literal)* })*) => {$(
        struct $name;

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::schema::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .enum_values(Some([$($word),*]))
                    .into()
            }
        }

        impl ToSchema for $name {}
    )*};
}

words! {
    OnOff { "on" "off" }
    UsedOrNot { "used" "not-used" }
    State { "not_issued" "awaiting_acquisition" "issued" "renewable" "expired" "revoked" "acquisition_locked" "user_suspended" }
    StandingWord { "active" "suspended" "deleted" }
    LockWord { "open" "locked" }
    DeliverWord { "operator-screen" "registered-mail" }
}

impl ContractView {
    /// A contract, and its profile where that is configured.
    pub(super) fn new(row: &ContractRow, profile: Option<&Profile>) -> Self {
        Self {
            id: row.contract.id.to_string(),
            profile: row.profile.to_string(),
            product: profile.map(|profile| (&profile.product).into()),
            feature: match row.contract.feature {
                Feature::On => "on",
                Feature::Off => "off",
            },
            one_time_password: match row.contract.one_time_password {
                ContractOneTimePassword::Used => "used",
                ContractOneTimePassword::NotUsed => "not-used",
            },
            since: row.since.to_string(),
            propagation: None,
        }
    }
}

/// A user, as a line of the list of users 利用者一覧.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct UserView {
    contract: String,
    user: String,
    /// The role's name in the profile.
    role: String,
    /// What users read for the role.
    role_label: Option<LabelView>,
    /// 証明書状態.
    #[schema(value_type = State)]
    state: &'static str,
    /// What the product's users read for it.
    label: LabelView,
    /// 証明書有効期限: only where a certificate lives.
    #[schema(format = DateTime)]
    expiry: Option<String>,
    /// 電子証明書シリアル番号 of the last certificate, in hex.
    #[schema(pattern = "^[0-9a-f]+$")]
    serial: Option<String>,
    /// 電子証明書発行番号 of the last certificate, as wide as the profile says.
    #[schema(pattern = "^[0-9]+$", example = "001")]
    issue_number: Option<String>,
    /// 電子証明書発行データ登録日, while the certificate is held.
    #[schema(format = DateTime)]
    registered_at: Option<String>,
    /// Whether the user may act: `suspended` is 利用者停止, `deleted` 登録抹消.
    #[schema(value_type = StandingWord)]
    standing: &'static str,
    /// What the product's users read while they are suspended.
    standing_label: Option<LabelView>,
    /// Whether the acquisition is locked.
    #[schema(value_type = LockWord)]
    lock: &'static str,
    /// `wrong-tries` (of an acquisition), `wrong-acts` (with the certificate; acts are locked too) or `operator`, where it is
    /// locked.
    locked_by: Option<&'static str>,
    /// Since when it is locked.
    #[schema(format = DateTime)]
    locked_at: Option<String>,
    /// When they were registered.
    #[schema(format = DateTime)]
    since: String,
    /// What they are called and how to reach them. Their address only to services and to the user: whoever manages users
    /// knows them by name.
    contact: ContactView,
}

/// How to reach a user.
#[derive(Serialize, ToSchema)]
#[schema(as = KnownContact)]
pub(super) struct ContactView {
    name: Option<String>,
    mail: Option<String>,
    /// `ja` or `en`.
    language: &'static str,
}

impl UserView {
    /// A user as that caller may see them at `now`.
    pub(super) fn new(row: &UserRow, profile: &Profile, caller: &Caller, now: Timestamp) -> Self {
        let shown = view(profile, &row.user, now);
        let width = usize::from(profile.certificate.issue_number_width);
        let (lock, locked_by, locked_at) = match shown.lock {
            Lock::Open => ("open", None, None),
            Lock::Locked { at, by: LockedBy::WrongTries } => ("locked", Some("wrong-tries"), Some(at.to_string())),
            Lock::Locked { at, by: LockedBy::WrongActs } => ("locked", Some("wrong-acts"), Some(at.to_string())),
            Lock::Locked { at, by: LockedBy::Operator } => ("locked", Some("operator"), Some(at.to_string())),
        };
        Self {
            contract: row.user.key.contract.to_string(),
            user: row.user.key.user.to_string(),
            role: row.user.role.to_string(),
            role_label: profile.role(&row.user.role).map(|role| (&role.label).into()),
            state: word(shown.certificate),
            label: profile.states.label(shown.certificate).into(),
            expiry: shown.expiry.map(|time| time.to_string()),
            serial: shown.serial.map(|serial| serial.to_string()),
            issue_number: shown.issue_number.map(|number| format!("{number:0width$}")),
            registered_at: shown.registered_at.map(|time| time.to_string()),
            standing_label: (shown.standing == Standing::Suspended)
                .then(|| profile.states.label(ShownState::UserSuspended).into()),
            standing: match shown.standing {
                Standing::Active => "active",
                Standing::Suspended => "suspended",
                Standing::Deleted => "deleted",
            },
            lock,
            locked_by,
            locked_at,
            since: row.since.to_string(),
            contact: ContactView::new(&row.contact, may_see_mail(caller, &row.user.key)),
        }
    }
}

fn may_see_mail(caller: &Caller, of: &UserKey) -> bool {
    match caller {
        Caller::Service { .. } => true,
        Caller::User(shown) => shown.of == *of,
    }
}

fn word(state: ShownState) -> &'static str {
    ShownState::ALL.iter().find(|(_, known)| *known == state).map_or("", |(word, _)| word)
}

impl ContactView {
    fn new(contact: &Contact, with_mail: bool) -> Self {
        Self {
            name: contact.name.as_deref().map(str::to_owned),
            mail: contact.mail.as_deref().filter(|_| with_mail).map(str::to_owned),
            language: match contact.language {
                Language::Japanese => "ja",
                Language::English => "en",
            },
        }
    }
}

/// What an act on a user gave.
#[derive(Serialize, ToSchema)]
#[schema(as = Done)]
pub(super) struct DoneView {
    /// The user as they are now.
    user: UserView,
    /// The acquisition password 証明書取得用パスワード, where the act made one: shown here and, to the repeat of the same
    /// request, for a while again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Password, pattern = "^[0-9]+$")]
    acquisition_password: Option<Shown>,
    /// How the acquisition password gets to its user: on the screen of who asked for it, or printed and posted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<DeliverWord>)]
    deliver: Option<&'static str>,
    /// The certificate in PEM, where the act made one.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    /// The authorities above it in PEM, its issuer first, without the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<Vec<String>>,
    /// Key and certificates, where the service made the key. It is not kept: it cannot be had again.
    #[serde(skip_serializing_if = "Option::is_none")]
    p12: Option<P12View>,
    /// Where it changed a certificate's status: how far that has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) propagation: Option<PropagationView>,
}

/// A .p12 file.
#[derive(Serialize, ToSchema)]
#[schema(as = P12)]
pub(super) struct P12View {
    #[schema(example = "BizSTATION.p12")]
    file_name: String,
    /// Base64.
    #[schema(value_type = String, content_encoding = "base64")]
    content: Shown,
}

/// A secret that is sent.
pub(super) struct Shown(Zeroizing<String>);

impl Serialize for Shown {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl DoneView {
    /// The answer to the caller.
    ///
    /// # Errors
    /// `unavailable` where the act was on no user.
    pub(super) fn new(done: Done, profile: &Profile, caller: &Caller, now: Timestamp) -> Result<Self, Problem> {
        let nobody = || Problem::new(Kind::Unavailable).because("an act on a user gave none");
        let user = UserView::new(done.user.as_ref().ok_or_else(nobody)?, profile, caller, now);
        let certificate = |der: &Arc<[u8]>| pem("CERTIFICATE", der);
        let (deliver, acquisition_password) = done.secret.map_or((None, None), |shown| {
            let word = match shown.to {
                SecretDelivery::OperatorScreen => "operator-screen",
                SecretDelivery::RegisteredMail => "registered-mail",
            };
            (Some(word), Some(Shown(shown.secret)))
        });
        let delivered = done.delivered;
        Ok(Self {
            user,
            acquisition_password,
            deliver,
            certificate: delivered.as_ref().map(|one| certificate(&one.certificate)),
            chain: delivered.as_ref().map(|one| one.chain.iter().map(certificate).collect()),
            p12: delivered.and_then(|one| one.p12).map(|(file_name, content)| P12View {
                file_name,
                content: Shown(Zeroizing::new(BASE64_STANDARD.encode(&*content))),
            }),
            propagation: None,
        })
    }
}

impl IntoResponse for DoneView {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}
