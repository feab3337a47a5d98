//! Bodies of requests. None has `Debug`: they hold what users typed.

use super::problem::Problem;
use super::text::{
    AcquisitionText, AddressText, ContractText, FactorText, MailText, NewFactorText, P12Text, PersonText, ProfileText,
    RequestText, RoleText, SeedText, StaffText, UserText,
};
use crate::authenticate::{Caller, Factors, ShownCertificate};
use crate::service::{By, KeyRequest};
use crate::store::{Contact, Language};
use sekisho_lifecycle::profile::Factor;
use sekisho_lifecycle::{ContractOneTimePassword, StaffChannel, StaffId, StaffPair, UserKey};
use sekisho_pki::crl::RevocationReason;
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::Arc;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, OneOfBuilder, Ref, Schema, Type};
use utoipa::{PartialSchema, ToSchema};
use zeroize::Zeroizing;

/// What every act may say about who acts: a service says one of `acting_user` and `staff`, a user neither.
pub(super) struct Who {
    pub(super) acting_user: Option<UserRef>,
    pub(super) staff: Option<Staff>,
    pub(super) factors: Option<FactorsBody>,
    pub(super) client_address: Option<AddressText>,
}

/// A body of an act: its own fields and who acts.
pub(super) trait ActBody: serde::de::DeserializeOwned + Send {
    /// What it says beside who acts.
    type Own: Send;
    /// Takes it apart.
    fn split(self) -> (Who, Self::Own);
}

/// Defines the body of an act: its own fields, and those of [`Who`]. `serde(flatten)` would let unknown fields through.
macro_rules! act_bodies {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $($(#[$field_doc])* $field: $kind,)*
            /// The user who acts, as a service says; the factors prove it.
            acting_user: Option<UserRef>,
            /// The two members of the bank's staff who act, as a service says.
            staff: Option<Staff>,
            /// What the acting user typed.
            factors: Option<FactorsBody>,
            client_address: Option<AddressText>,
        }

        impl ActBody for $name {
            type Own = ($($kind,)*);

            fn split(self) -> (Who, Self::Own) {
                let Self { $($field,)* acting_user, staff, factors, client_address } = self;
                (Who { acting_user, staff, factors, client_address }, ($($field,)*))
            }
        }
    )*};
}

act_bodies! {
    /// An act of which its path says all.
    PlainBody {}
    /// A registration 利用者登録.
    RegisterBody {
        /// The new user's ID; the profile says which are allowed.
        id: UserText,
        role: RoleText,
        /// How to reach them.
        contact: Option<ContactBody>,
    }
    /// An acquisition 取得.
    AcquireBody {
        /// Where the profile has one.
        acquisition_password: Option<AcquisitionText>,
        key: KeyBody,
    }
    /// A renewal 更新.
    RenewBody {
        key: KeyBody,
    }
    /// A revocation 失効.
    RevokeBody {
        /// Without it: `unspecified`.
        reason: Option<ReasonWord>,
    }
    /// Opens a contract; by staff.
    OpenBody {
        /// The contract's ID; the profile says which are allowed.
        id: ContractText,
        profile: ProfileText,
        /// Whether its users have one-time passwords; it matters where the profile says so.
        one_time_password: OneTimePasswordWord,
    }
    /// How to reach a user, in the place of what was known; by staff.
    ReachBody {
        contact: ContactBody,
    }
    /// A user's factors to be set, each in the place of what was there; by staff.
    EquipBody {
        credentials: CredentialsBody,
    }
    /// Factors of a contract as a whole to be set, each in the place of what was there; by staff.
    EquipContractBody {
        credentials: ContractCredentialsBody,
    }
}

/// A user of a contract.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserRef {
    contract: ContractText,
    user: UserText,
}

/// Two people of the bank's desk, and the way the order came to them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Staff {
    /// Who entered it.
    maker: StaffText,
    /// Who released it: another person.
    #[schema(example = "t0456")]
    checker: StaffText,
    channel: ChannelWord,
}

/// `paper-form`: from a form with the customer's seal. `staff-desk`: of the bank's own motion or by telephone.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Channel)]
pub(super) enum ChannelWord {
    PaperForm,
    StaffDesk,
}

/// Whether a contract's users have one-time passwords.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = OneTimePassword)]
pub(super) enum OneTimePasswordWord {
    Used,
    NotUsed,
}

/// Why a certificate is revoked (RFC 5280 section 5.3.1): those that an end user's certificate has.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = RevocationReason)]
pub(super) enum ReasonWord {
    Unspecified,
    KeyCompromise,
    AffiliationChanged,
    Superseded,
    CessationOfOperation,
    PrivilegeWithdrawn,
}

/// 日本語 or English.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Language)]
pub(super) enum LanguageWord {
    Ja,
    En,
}

/// How to reach a user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ContactBody {
    name: Option<PersonText>,
    /// Without it, notices are on the screen only.
    mail: Option<MailText>,
    /// Without it: `ja`.
    language: Option<LanguageWord>,
}

/// What the acting user typed. The current certificate is no text: it is shown in the handshake.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schema(as = Factors)]
pub(super) struct FactorsBody {
    login_password: Option<FactorText>,
    pin: Option<FactorText>,
    one_time_password: Option<FactorText>,
    execution_password: Option<FactorText>,
    confirmation_password: Option<FactorText>,
    contract_confirmation_pin: Option<FactorText>,
}

/// Factors that a contract has as a whole.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schema(as = ContractCredentials)]
pub(super) struct ContractCredentialsBody {
    /// ご契約先確認暗証番号.
    contract_confirmation_pin: NewFactorText,
}

/// Factors of a user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schema(as = Credentials)]
pub(super) struct CredentialsBody {
    login_password: Option<NewFactorText>,
    pin: Option<NewFactorText>,
    one_time_password: Option<SeedText>,
    execution_password: Option<NewFactorText>,
    confirmation_password: Option<NewFactorText>,
}

/// Whose key is certified.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KeyBody {
    /// The client's.
    Csr(RequestText),
    /// One that the service makes and hands over in a .p12 file.
    P12Password(P12Text),
}

/// Exactly one of the two: `serde` takes no object of two keys for an enum.
impl PartialSchema for KeyBody {
    fn schema() -> RefOr<Schema> {
        let only = |name: &str, of: &str| {
            ObjectBuilder::new()
                .schema_type(Type::Object)
                .property(name, Ref::from_schema_name(of))
                .required(name)
                .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        };
        OneOfBuilder::new()
            .item(only("csr", "RequestText"))
            .item(only("p12_password", "P12Text"))
            .description(Some(
                "Whose key is certified: the client's, by its certification request, or one that the service makes \
                 and hands over in a .p12 file under this password.",
            ))
            .into()
    }
}

impl ToSchema for KeyBody {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Key")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((RequestText::name().into_owned(), RequestText::schema()));
        schemas.push((P12Text::name().into_owned(), P12Text::schema()));
    }
}

impl Who {
    /// Who acts, as the caller may say it.
    ///
    /// # Errors
    /// `bad-request`: a user who says anything about who acts; a service that does not say exactly one thing.
    pub(super) fn by(
        caller: &Caller,
        acting_user: Option<UserRef>,
        staff: Option<Staff>,
        handed_on: Option<ShownCertificate>,
    ) -> Result<By, Problem> {
        match (caller, acting_user, staff) {
            (Caller::User(_), Some(_), _) => Err(Problem::bad("acting_user", "users act for themselves")),
            (Caller::User(_), None, Some(_)) => Err(Problem::bad("staff", "users act for themselves")),
            (Caller::User(shown), None, None) => {
                Ok(By::User { key: shown.of.clone(), certificate: Some(shown.clone()) })
            }
            (Caller::Service { .. }, Some(user), None) => Ok(By::User { key: user.key()?, certificate: handed_on }),
            (Caller::Service { .. }, None, Some(_)) if handed_on.is_some() => {
                Err(Problem::bad("staff", "staff have no certificate of a user"))
            }
            (Caller::Service { .. }, None, Some(staff)) => staff.by(),
            (Caller::Service { .. }, None, None) => Err(Problem::bad("acting_user", "say acting_user or staff")),
            (Caller::Service { .. }, Some(_), Some(_)) => {
                Err(Problem::bad("staff", "say one of acting_user and staff"))
            }
        }
    }

    /// The client's address: only services know it.
    pub(super) fn address(caller: &Caller, address: Option<AddressText>) -> Result<Option<Arc<str>>, Problem> {
        match (caller, address) {
            (Caller::User(_), Some(_)) => Err(Problem::bad("client_address", "only a service says it")),
            (_, address) => Ok(address.map(|address| address.0)),
        }
    }
}

impl UserRef {
    fn key(&self) -> Result<UserKey, Problem> {
        let key = self.contract.id().zip(self.user.id()).map(|(contract, user)| UserKey { contract, user });
        key.ok_or_else(|| Problem::bad("acting_user", "is not of its form"))
    }
}

impl Staff {
    fn by(self) -> Result<By, Problem> {
        let id = |text: &StaffText| StaffId(text.as_str().into());
        let pair = StaffPair::new(id(&self.maker), id(&self.checker))
            .map_err(|same| Problem::bad("staff.checker", same.to_string()))?;
        let channel = match self.channel {
            ChannelWord::PaperForm => StaffChannel::PaperForm,
            ChannelWord::StaffDesk => StaffChannel::StaffDesk,
        };
        Ok(By::Staff(pair, channel))
    }
}

impl From<ContactBody> for Contact {
    fn from(body: ContactBody) -> Self {
        Self {
            name: body.name.map(|name| name.as_str().into()),
            mail: body.mail.map(|mail| mail.as_str().into()),
            language: match body.language {
                None | Some(LanguageWord::Ja) => Language::Japanese,
                Some(LanguageWord::En) => Language::English,
            },
        }
    }
}

impl From<FactorsBody> for Factors {
    fn from(body: FactorsBody) -> Self {
        gathered([
            (Factor::LoginPassword, body.login_password.map(FactorText::into_inner)),
            (Factor::Pin, body.pin.map(FactorText::into_inner)),
            (Factor::OneTimePassword, body.one_time_password.map(FactorText::into_inner)),
            (Factor::ExecutionPassword, body.execution_password.map(FactorText::into_inner)),
            (Factor::ConfirmationPassword, body.confirmation_password.map(FactorText::into_inner)),
            (Factor::ContractConfirmationPin, body.contract_confirmation_pin.map(FactorText::into_inner)),
        ])
    }
}

impl From<CredentialsBody> for Factors {
    fn from(body: CredentialsBody) -> Self {
        gathered([
            (Factor::LoginPassword, body.login_password.map(NewFactorText::into_inner)),
            (Factor::Pin, body.pin.map(NewFactorText::into_inner)),
            (Factor::OneTimePassword, body.one_time_password.map(SeedText::into_inner)),
            (Factor::ExecutionPassword, body.execution_password.map(NewFactorText::into_inner)),
            (Factor::ConfirmationPassword, body.confirmation_password.map(NewFactorText::into_inner)),
        ])
    }
}

impl From<ContractCredentialsBody> for Factors {
    fn from(body: ContractCredentialsBody) -> Self {
        gathered([(Factor::ContractConfirmationPin, Some(body.contract_confirmation_pin.into_inner()))])
    }
}

fn gathered<const N: usize>(given: [(Factor, Option<Zeroizing<String>>); N]) -> Factors {
    Factors(given.into_iter().filter_map(|(factor, text)| Some((factor, text?))).collect())
}

impl From<KeyBody> for KeyRequest {
    fn from(body: KeyBody) -> Self {
        match body {
            KeyBody::Csr(pem) => Self::Csr(pem.as_str().as_bytes().to_vec()),
            KeyBody::P12Password(password) => Self::P12(password.into_inner()),
        }
    }
}

impl From<OneTimePasswordWord> for ContractOneTimePassword {
    fn from(word: OneTimePasswordWord) -> Self {
        match word {
            OneTimePasswordWord::Used => Self::Used,
            OneTimePasswordWord::NotUsed => Self::NotUsed,
        }
    }
}

impl From<ReasonWord> for RevocationReason {
    fn from(word: ReasonWord) -> Self {
        match word {
            ReasonWord::Unspecified => Self::Unspecified,
            ReasonWord::KeyCompromise => Self::KeyCompromise,
            ReasonWord::AffiliationChanged => Self::AffiliationChanged,
            ReasonWord::Superseded => Self::Superseded,
            ReasonWord::CessationOfOperation => Self::CessationOfOperation,
            ReasonWord::PrivilegeWithdrawn => Self::PrivilegeWithdrawn,
        }
    }
}
