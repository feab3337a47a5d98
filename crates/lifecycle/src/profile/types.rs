//! What a profile says, as types.

use super::matrix::Matrix;
use super::states::StateLabels;
use super::template::Template;
use sekisho_config::Place;
use std::fmt;
use std::sync::Arc;

/// One product's rules: labels, roles, who may do what, secrets, times, names and delivery.
///
/// A value of this type is consistent: [`super::parse`] lets no other out.
#[derive(Clone, Debug)]
pub struct Profile {
    /// `name`: what contracts refer to: `bizstation`.
    pub name: Arc<str>,
    /// `product`: what customers call it.
    pub product: Label,
    /// `[[role]]`: every role a user may have, once.
    pub roles: Vec<Role>,
    /// `[states]`: what users read for each state.
    pub states: StateLabels,
    /// `[[screen]]`: every screen that a permit or an audit event names.
    pub screens: Vec<Screen>,
    /// `[[permit]]`: who may do what to whom through which channel, and what they must prove.
    pub matrix: Matrix,
    /// `[identifiers]`.
    pub identifiers: Identifiers,
    /// `[acquisition]`.
    pub acquisition: Acquisition,
    /// `[reissue] old_certificate`.
    pub old_certificate: OldCertificate,
    /// `[renewal]`; absent where a certificate is only ever acquired again.
    pub renewal: Option<Renewal>,
    /// `[tries]`.
    pub tries: Tries,
    /// `[certificate]`.
    pub certificate: CertificateRule,
    /// `[notices]`.
    pub notices: Notices,
    /// `[delivery]`.
    pub delivery: Delivery,
    /// `[contract] feature_off`.
    pub feature_off: FeatureOff,
    /// `proof_lifetime`: seconds for which a checked password, PIN or one-time password proves an act.
    pub proof_lifetime: i64,
}

/// A text in both languages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// Japanese, as the seed has it.
    pub ja: String,
    /// English.
    pub en: String,
}

/// The name of a role in code and data: `master`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleName(pub Arc<str>);

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `[[role]]`.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its name.
    pub name: RoleName,
    /// What users read.
    pub label: Label,
    /// `common_name`: its certificates' CN where it differs from `[certificate] common_name`.
    pub common_name: Option<Template>,
    /// Where the file has it.
    pub(super) place: Place,
}

/// `[[screen]]`.
#[derive(Clone, Debug)]
pub struct Screen {
    /// The product's screen id: `BRSK019`.
    pub id: Arc<str>,
    /// Its title.
    pub label: Label,
}

/// `[identifiers]`: what contract and user IDs look like; the longest ones decide whether a CN fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifiers {
    /// `contract_id`.
    pub contract_id: IdentifierRule,
    /// `user_id`.
    pub user_id: IdentifierRule,
    /// `user_id.unique`.
    pub unique: UniqueIn,
}

/// Among whom a user ID is given once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UniqueIn {
    /// Among the users of a contract.
    #[default]
    Contract,
    /// Among all users of the product, those who were deleted too: a CN needs no contract ID then, and neither does a login.
    Profile,
}

/// `{ least = 11, most = 11, characters = "digits" }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentifierRule {
    /// Fewest characters.
    pub least: u8,
    /// Most characters.
    pub most: u8,
    /// Which characters.
    pub characters: Characters,
}

/// Which characters an identifier has. Never a space: a CN could then be read in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Characters {
    /// `0` to `9`.
    Digits,
    /// ASCII letters and digits.
    LettersAndDigits,
    /// ASCII letters, digits and `-`, `_`, `.`, `@`.
    LoginId,
}

impl IdentifierRule {
    /// Whether a text is such an identifier.
    pub fn accepts(&self, text: &str) -> bool {
        let fits = usize::from(self.least) <= text.len() && text.len() <= usize::from(self.most);
        // HTTP clients take these out of a path: such a user could not be named in a URL (RFC 3986 section 5.2.4).
        let is_dots = matches!(text, "." | "..");
        fits && !is_dots && text.chars().all(|character| self.characters.contains(character))
    }
}

impl Characters {
    /// Returns `true` if an identifier may have this character.
    pub(super) fn contains(self, character: char) -> bool {
        match self {
            Self::Digits => character.is_ascii_digit(),
            Self::LettersAndDigits => character.is_ascii_alphanumeric(),
            Self::LoginId => character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.' | '@'),
        }
    }
}

/// `[acquisition]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acquisition {
    /// `opens`.
    pub opens: Opens,
    /// `one_time_password`.
    pub one_time_password: OneTimePasswordRule,
    /// `interrupted`.
    pub interrupted: Interrupted,
    /// `deadline`: seconds for which an offer stands.
    pub deadline: i64,
    /// `[acquisition.secret]`; absent where the first factor alone opens an offer.
    pub secret: Option<AcquisitionSecret>,
}

/// What makes an acquisition possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    /// Somebody with the right to offers it: registration, reissue.
    ByOffer,
    /// The user's own first factor, whenever no certificate lives.
    ByUser,
}

/// When a factor `one-time-password` of a permit is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OneTimePasswordRule {
    /// Always.
    Always,
    /// Where the contract uses one-time passwords.
    WhenContractUses,
}

/// What an interrupted acquisition needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// Somebody's reissue.
    Reissue,
    /// The same user's next attempt.
    Retry,
}

/// `[acquisition.secret]`: BIZ's 証明書取得用パスワード.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcquisitionSecret {
    /// What users call it.
    pub label: Label,
    /// `digits` of it.
    pub digits: u8,
    /// `repeat_for`: seconds for which the idempotent repeat of the same request shows it again.
    pub repeat_for: i64,
    /// `from_screen`: who sees it when a user's screen made it.
    pub from_screen: SecretDelivery,
    /// `from_staff`: who sees it when the bank's staff made it.
    pub from_staff: SecretDelivery,
}

/// How an acquisition secret reaches its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretDelivery {
    /// On the screen of the one who made it, who tells the user.
    OperatorScreen,
    /// By registered mail 簡易書留 to the user; the one who made it does not see it.
    RegisteredMail,
}

/// What a reissue does to the certificate that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldCertificate {
    /// Revoked in the same decision.
    RevokedAtOnce,
    /// Revoked in the decision that completes the next acquisition.
    RevokedWhenReplaced,
}

/// `[renewal]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// `window_days` before expiry.
    pub window_days: u16,
}

/// `[tries]`: how many wrong secrets and first factors, and what then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tries {
    /// For one user ID; until somebody unlocks it.
    pub user: TryLimit,
    /// For all users of one contract together.
    pub contract: TryLimit,
    /// For one client address.
    pub address: TryLimit,
}

/// One limit of wrong tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryLimit {
    /// The wrong try that locks.
    pub most: u32,
    /// Seconds after which wrong tries are forgotten; `None`: never.
    pub window: Option<i64>,
    /// Seconds of the lock; `None`: until somebody unlocks.
    pub locked_for: Option<i64>,
}

/// `[certificate]`.
#[derive(Clone, Debug)]
pub struct CertificateRule {
    /// `years` of validity.
    pub years: u8,
    /// `expiry`.
    pub rounding: Rounding,
    /// `common_name`.
    pub common_name: Template,
    /// `organizational_unit`.
    pub organizational_unit: Option<Template>,
    /// `organization`.
    pub organization: Option<Template>,
    /// `issue_number_width`: digits of `{issue_number}`; the last number that fits is the last certificate.
    pub issue_number_width: u8,
}

/// To what notAfter is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To the second of issuance.
    Second,
    /// To 23:59:59 UTC of its day, which is 08:59:59 JST.
    EndOfDayUtc,
}

/// `[notices]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notices {
    /// `before_expiry_days`, the longest first: the ladder.
    pub before_expiry_days: Vec<u16>,
    /// `on`.
    pub on: Vec<NoticeEvent>,
}

/// What a notice tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoticeEvent {
    /// A certificate was acquired or renewed.
    Issued,
    /// An acquisition was offered anew.
    Reissued,
    /// A certificate was revoked.
    Revoked,
    /// The acquisition was locked.
    Locked,
}

/// `[delivery]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// `keys`: who may make the key, at least one way.
    pub keys: Vec<KeyDelivery>,
    /// `p12_name`: the file's name.
    pub p12_name: String,
    /// `p12_dialect`.
    pub p12_dialect: P12Dialect,
    /// `p12_password`.
    pub p12_password: P12Password,
}

/// Where the private key is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyDelivery {
    /// On the client; it sends a PKCS#10 request (RFC 2986).
    Csr,
    /// By the service, handed over as PKCS#12 (RFC 7292) and not kept.
    P12,
}

/// How a .p12 is encrypted and authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum P12Dialect {
    /// PBES2 with AES-256 and SHA-256.
    Aes256Sha256,
    /// 3DES and SHA-1, for importers that know no other.
    TripleDesSha1,
}

/// Whether a .p12 may have the empty password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum P12Password {
    /// The user chooses one.
    Required,
    /// 入力せずに`[OK]`: the user may press OK on an empty field.
    MayBeEmpty,
}

/// What becomes of a contract's certificates when its feature is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureOff {
    /// All are revoked.
    Revokes,
    /// They live on until they expire.
    Keeps,
}

impl Profile {
    /// The role of that name.
    pub fn role(&self, name: &RoleName) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == *name)
    }

    /// The screen of that id.
    pub fn screen(&self, id: &str) -> Option<&Screen> {
        self.screens.iter().find(|screen| *screen.id == *id)
    }

    /// The CN template of a role's certificates.
    pub fn common_name(&self, role: &RoleName) -> &Template {
        self.role(role).and_then(|role| role.common_name.as_ref()).unwrap_or(&self.certificate.common_name)
    }
}
