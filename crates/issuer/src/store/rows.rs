//! What is kept.

use sekisho_lifecycle::profile::{Factor, NoticeEvent};
use sekisho_lifecycle::{Contract, Intent, User, UserId, UserKey};
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// A contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractRow {
    /// ID, feature, one-time passwords, wrong tries.
    pub contract: Contract,
    /// The profile's name.
    pub profile: Arc<str>,
    /// When it was put in.
    pub since: Timestamp,
}

/// A user and how to reach them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    /// The lifecycle's record.
    pub user: User,
    /// How to reach them.
    pub contact: Contact,
    /// When they were put in.
    pub since: Timestamp,
}

/// How to reach a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// Their name, as they are addressed.
    pub name: Option<Arc<str>>,
    /// Where mail goes; without it notices are on the screen only.
    pub mail: Option<Arc<str>>,
    /// In which language.
    pub language: Language,
}

/// Languages of everything users read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// 日本語, `ja`.
    #[default]
    Japanese,
    /// `en`.
    English,
}

/// A certificate from its intent on. Rows stay for ever: a serial is never used twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRow {
    /// Whose.
    pub user: UserKey,
    /// The authority's name in the configuration.
    pub authority: Arc<str>,
    /// What was to be signed.
    pub intent: Intent,
    /// SHA-256 of its subjectPublicKeyInfo.
    pub public_key: [u8; 32],
    /// When it was begun.
    pub begun_at: Timestamp,
    /// Its DER, once it was completed.
    pub der: Option<Arc<[u8]>>,
}

/// A certificate that was signed, to be put to its intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletedRow {
    /// Which intent.
    pub serial: SerialNumber,
    /// The DER; its SHA-256 is kept as the fingerprint.
    pub der: Arc<[u8]>,
}

/// A change of a certificate's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusChange {
    /// The authority's name in the configuration. Of a certificate that was begun, its own is kept whatever is said
    /// here.
    pub authority: Arc<str>,
    /// Which certificate.
    pub serial: SerialNumber,
    /// What it is from now on.
    pub status: Status,
    /// When.
    pub at: Timestamp,
    /// Its notAfter.
    pub not_after: Timestamp,
}

/// What a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Revoked, for ever.
    Revoked(RevocationReason),
    /// The user is suspended: `certificateHold`, until released.
    Held,
    /// The hold is over.
    Released,
}

/// A change of status in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusRow {
    /// From 1, growing; numbers may be left out, but never come later than a greater one was seen.
    pub sequence: u64,
    /// The change.
    pub change: StatusChange,
}

/// The last number taken of a part's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListNumberRow {
    /// Which part.
    pub part: u16,
    /// CRLNumber.
    pub number: u64,
    /// thisUpdate.
    pub this_update: Timestamp,
}

/// A list that was published and how far it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettledList<'a> {
    /// The authority's name.
    pub authority: &'a str,
    /// Which part.
    pub part: u16,
    /// CRLNumber.
    pub number: u64,
    /// The sequence number up to which everything was committed before the number was taken: whatever node makes a list
    /// of a greater number reads it.
    pub covers: u64,
    /// The last sequence number that made a difference to the part; at most `covers`.
    pub touched: u64,
}

/// From which list on a part has every change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Every list of this number or a greater one, of whatever node, …
    pub number: u64,
    /// … has every change of the part up to this sequence number.
    pub sequence: u64,
}

/// What a node knows of a gateway that follows the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayNote {
    /// The name of its service.
    pub name: Arc<str>,
    /// How long its stream is counted on, from now; zero: it has ended. `None`: nothing is said of it.
    pub connected: Option<Duration>,
    /// What it has in force: up to which sequence number, and how long ago it said so.
    pub acknowledged: Vec<(u64, Duration)>,
    /// For which authorities, as [`GatewayRow::follows`] has it. `None`: nothing is said of it.
    pub follows: Option<Arc<str>>,
}

/// A gateway that follows the feed. Times are milliseconds since 1970 by the database's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayRow {
    /// The name of its service.
    pub name: Arc<str>,
    /// When a node had to do with it last.
    pub seen_ms: i64,
    /// For so many milliseconds its stream is still counted on; zero or less: it has none.
    pub connected_ms: i64,
    /// Up to which sequence number it has everything in force.
    pub acknowledged: Option<u64>,
    /// When it said that it has the sequence number that was asked about.
    pub has_ms: Option<i64>,
    /// For which authorities the feed is in force there: issuer IDs in hex, with commas between. `None`: it did not say.
    pub follows: Option<Arc<str>>,
}

/// A notice to be put into the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNotice {
    /// To whom.
    pub to: UserKey,
    /// What it tells.
    pub about: NoticeAbout,
    /// What makes it the same notice: `issued/<serial>`, `expiry/<serial>/40`. Only the first is kept.
    pub once: Arc<str>,
    /// The certificate, where there is one.
    pub serial: Option<SerialNumber>,
    /// Its last second of validity.
    pub not_after: Option<Timestamp>,
    /// When it was put in.
    pub at: Timestamp,
    /// Where it goes, if not to the address that the user has: to the one they had.
    pub mail: Option<Arc<str>>,
}

/// What a notice tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeAbout {
    /// An act.
    Event(NoticeEvent),
    /// The certificate ends in at most so many days.
    Expiry(u16),
    /// The user's mail address was changed.
    Contact,
    /// The user's passwords, PINs or one-time passwords were set anew.
    Credentials,
}

/// A notice in the outbox, with what is needed to send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeRow {
    /// Its number.
    pub id: u64,
    /// What it is.
    pub notice: NewNotice,
    /// The contract's profile.
    pub profile: Arc<str>,
    /// How to reach the user, as of now.
    pub contact: Contact,
    /// Attempts to send it so far.
    pub attempts: u32,
    /// When it was handed to the mail server.
    pub sent_at: Option<Timestamp>,
}

/// A factor that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRow {
    /// The contract's or the user's.
    pub of: CredentialOwner,
    /// Which.
    pub factor: Factor,
    /// A PHC string of Argon2id, or an encrypted seed of one-time passwords. Never plain.
    pub verifier: String,
}

/// Whose factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialOwner {
    /// One for the whole contract: ご契約先確認暗証番号.
    Contract(sekisho_lifecycle::ContractId),
    /// The user's own.
    User(UserKey),
}

/// An idempotency key is one caller's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey {
    /// The caller's name, or the user's contract and ID.
    pub caller: Arc<str>,
    /// The key.
    pub key: Arc<str>,
}

/// What a request left for its repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyRow {
    /// Whose.
    pub key: IdempotencyKey,
    /// SHA-256 of what was asked: another request under the same key is refused.
    pub request: [u8; 32],
    /// The user it was about.
    pub user: Option<UserId>,
    /// The certificate that it began, if it did.
    pub serial: Option<SerialNumber>,
    /// When. Rows may be forgotten a day later.
    pub at: Timestamp,
}
