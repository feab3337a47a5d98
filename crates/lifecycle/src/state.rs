//! What is known about a contract and a user.

use super::actor::StaffPair;
use super::command::{RequestId, SecretDigest};
use super::identifiers::{ContractId, UserKey};
use super::tries::Counter;
use crate::profile::RoleName;
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;

/// What a command meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Situation {
    /// The contract the target belongs to.
    pub contract: Contract,
    /// The target; `None` where there is no such user (yet), and for a contract's commands.
    pub user: Option<User>,
    /// Wrong tries from the client's address; `None` where it has none, as staff and the service.
    pub address: Option<Counter>,
    /// Whether another user has a name that the target of a registration is to have.
    pub names: Names,
}

/// Whether the names that one user of many may have ([`crate::profile::UniqueName`]) are to be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// No other user has them.
    #[default]
    Free,
    /// Another user has one of them.
    Taken,
}

/// A contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// Its ID.
    pub id: ContractId,
    /// Whether its users have certificates.
    pub feature: Feature,
    /// Whether its users have one-time passwords.
    pub one_time_password: ContractOneTimePassword,
    /// Wrong tries of all its users.
    pub wrong_tries: Counter,
}

/// The certificate feature of a contract 電子証明書機能.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Feature {
    /// Not applied for: no certificate is offered, acquired or renewed.
    #[default]
    Off,
    /// Applied for.
    On,
}

/// Whether a contract uses one-time passwords; the profile says whether that matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContractOneTimePassword {
    /// They are asked for.
    #[default]
    Used,
    /// They are not.
    NotUsed,
}

/// A user of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Who.
    pub key: UserKey,
    /// Their role.
    pub role: RoleName,
    /// Whether they may act at all.
    pub standing: Standing,
    /// Whether they may acquire.
    pub lock: Lock,
    /// Wrong secrets and factors of acquisitions since the last right one: of anybody who knows the user's ID.
    pub wrong_tries: Counter,
    /// Wrong factors since the last right ones, of acts with the certificate that lives.
    pub wrong_acts: Counter,
    /// The last certificate: the only one that can live.
    pub certificate: Certificate,
    /// What is under way towards the next one.
    pub next: Next,
    /// How many intents there have been: the last issue number 電子証明書発行番号.
    pub issues: u32,
    /// How many offers there have been.
    pub offers: u32,
}

/// Whether a user may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Yes.
    Active,
    /// 利用者停止: not until resumed; the certificate is kept and blocked.
    Suspended,
    /// 登録抹消: never again.
    Deleted,
}

/// Whether a user's acquisition is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// No.
    Open,
    /// Yes: no offer, no acquisition, no renewal until an unlocking.
    Locked {
        /// Since when.
        at: Timestamp,
        /// Why.
        by: LockedBy,
    },
}

/// What locked an acquisition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockedBy {
    /// Too many wrong tries of somebody who showed no certificate: it bars acquisitions, and whoever shows the certificate
    /// that lives acts and renews all the same.
    WrongTries,
    /// Too many wrong tries with the certificate that lives: it bars acts too, for the certificate may be in other hands.
    WrongActs,
    /// Somebody with the right to: it bars acquisitions and renewals.
    Operator,
}

/// The last certificate of a user ID. One slot: there is no way to write two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// There has been none.
    None,
    /// Acquired, and neither revoked nor replaced; it lives until it expires.
    Held(Held),
    /// Revoked, for ever.
    Revoked(Revoked),
}

/// A certificate that was completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// 電子証明書シリアル番号.
    pub serial: SerialNumber,
    /// First second of validity.
    pub not_before: Timestamp,
    /// Last second of validity 電子証明書有効期間終了日時.
    pub not_after: Timestamp,
    /// 電子証明書発行番号.
    pub issue_number: u32,
    /// 電子証明書発行データ登録日: when it was completed.
    pub registered_at: Timestamp,
}

/// A certificate that was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Its serial.
    pub serial: SerialNumber,
    /// When.
    pub at: Timestamp,
    /// Why (RFC 5280 section 5.3.1).
    pub reason: RevocationReason,
    /// Its issue number.
    pub issue_number: u32,
}

/// What is under way towards the next certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Nothing,
    /// The user may acquire.
    Offered(Offer),
    /// The serial is recorded; the certificate is being made and handed over.
    Acquiring {
        /// The offer it goes back to where the profile lets the user try again; `None` by the user's own login.
        offer: Option<Offer>,
        /// What is being made.
        intent: Intent,
    },
    /// As `Acquiring`, of a certificate that will take the place of the one that lives.
    Renewing(Intent),
    /// An offer was used up by an interruption or withdrawn by a lock: only a reissue makes another.
    ReissueNeeded,
}

/// Leave to acquire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its number among the user's offers.
    pub number: u32,
    /// When.
    pub made_at: Timestamp,
    /// Last second at which it stands.
    pub deadline: Timestamp,
    /// By whom.
    pub made_by: ActorName,
    /// The request that made it: its repeat is shown the secret again.
    pub request: RequestId,
    /// The acquisition secret as a keyed hash, where the profile has one.
    pub secret: Option<SecretDigest>,
}

/// A certificate that is to be signed, exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Its serial.
    pub serial: SerialNumber,
    /// Its subject's CN.
    pub common_name: String,
    /// Its subject's OU.
    pub organizational_unit: Option<String>,
    /// Its subject's O.
    pub organization: Option<String>,
    /// First second of validity.
    pub not_before: Timestamp,
    /// Last second of validity.
    pub not_after: Timestamp,
    /// Its issue number.
    pub issue_number: u32,
}

/// Who acted, as records name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActorName {
    /// A user.
    User(UserKey),
    /// Maker and checker of the bank's desk.
    Staff(StaffPair),
    /// The service itself.
    Service,
}

impl User {
    /// A new user without a certificate.
    pub fn new(key: UserKey, role: RoleName) -> Self {
        Self {
            key,
            role,
            standing: Standing::Active,
            lock: Lock::Open,
            wrong_tries: Counter::default(),
            wrong_acts: Counter::default(),
            certificate: Certificate::None,
            next: Next::Nothing,
            issues: 0,
            offers: 0,
        }
    }

    /// The certificate that lives now, if one does: held and not expired.
    ///
    /// One whose time has not come counts: a clock that went back must not make room for a second.
    pub fn live(&self, now: Timestamp) -> Option<&Held> {
        match &self.certificate {
            Certificate::Held(held) if now <= held.not_after => Some(held),
            _ => None,
        }
    }
}

impl Next {
    /// The certificate that is being made, if one is.
    pub fn intent(&self) -> Option<&Intent> {
        match self {
            Self::Acquiring { intent, .. } | Self::Renewing(intent) => Some(intent),
            Self::Nothing | Self::Offered(_) | Self::ReissueNeeded => None,
        }
    }
}
