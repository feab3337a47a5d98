//! What is asked of the service, and what it answers.

use crate::authenticate::{Caller, Factors, ShownCertificate};
use crate::store::{Contact, ContractRow, UserRow};
use sekisho_lifecycle::profile::{Factor, Operation, RoleName, SecretDelivery};
use sekisho_lifecycle::{ContractId, PublicReason, StaffChannel, StaffPair, UserId, UserKey};
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::serial::SerialNumber;
use std::sync::Arc;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// One request.
#[derive(Debug)]
pub struct Request {
    /// Who speaks.
    pub caller: Caller,
    /// Who acts.
    pub by: By,
    /// The contract.
    pub contract: ContractId,
    /// The target; for [`Act::Register`] the new user. `None` for a contract's acts.
    pub user: Option<UserId>,
    /// What is to be done.
    pub act: Act,
    /// What the acting user typed.
    pub factors: Factors,
    /// The client's address, as a service told it.
    pub address: Option<Arc<str>>,
    /// The idempotency key. Offers, registrations and everything that gives out a certificate need one.
    pub idempotency: Option<Arc<str>>,
    /// SHA-256 of the request as the caller wrote it: a repeat has the same.
    pub digest: [u8; 32],
    /// The request's reference number.
    pub reference: Arc<str>,
}

/// Who acts.
#[derive(Clone, Debug)]
pub enum By {
    /// A user.
    User {
        /// Who they say they are; the factors prove it.
        key: UserKey,
        /// The certificate they came with.
        certificate: Option<ShownCertificate>,
    },
    /// Two members of the bank's staff; the caller needs the right `desk`.
    Staff(StaffPair, StaffChannel),
}

/// What is to be done.
#[derive(Debug)]
#[allow(missing_docs, reason = "each is the lifecycle's command of that name")]
pub enum Act {
    /// A contract; by staff.
    Open {
        profile: Arc<str>,
        one_time_password: sekisho_lifecycle::ContractOneTimePassword,
    },
    Register {
        role: RoleName,
        contact: Contact,
    },
    /// How to reach a user; by staff.
    Reach(Contact),
    /// Sets factors, of the user or where there is none of the contract; by staff. The text of a one-time password is
    /// its seed in base32.
    Equip(Factors),
    Offer,
    Reissue,
    Acquire {
        /// The acquisition secret, where the profile has one.
        secret: Option<Zeroizing<String>>,
        key: KeyRequest,
    },
    Renew(KeyRequest),
    Revoke(RevocationReason),
    Continue,
    Lock,
    Unlock,
    Suspend,
    Resume,
    Delete,
    SwitchOn,
    SwitchOff,
}

impl Act {
    /// What the matrix is asked; `None` for what is kept beside the lifecycle.
    pub fn operation(&self) -> Option<Operation> {
        match self {
            Self::Open { .. } | Self::Reach(_) | Self::Equip(_) => None,
            Self::Register { .. } => Some(Operation::Register),
            Self::Offer => Some(Operation::Offer),
            Self::Reissue => Some(Operation::Reissue),
            Self::Acquire { .. } => Some(Operation::Acquire),
            Self::Renew(_) => Some(Operation::Renew),
            Self::Revoke(_) => Some(Operation::Revoke),
            Self::Continue => Some(Operation::Continue),
            Self::Lock => Some(Operation::Lock),
            Self::Unlock => Some(Operation::Unlock),
            Self::Suspend => Some(Operation::Suspend),
            Self::Resume => Some(Operation::Resume),
            Self::Delete => Some(Operation::Delete),
            Self::SwitchOn => Some(Operation::SwitchOn),
            Self::SwitchOff => Some(Operation::SwitchOff),
        }
    }

    /// The name in audit records.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Reach(_) => "reach",
            Self::Equip(_) => "equip",
            other => other.operation().map_or("", Operation::word),
        }
    }
}

/// Whose key is certified.
#[derive(Debug)]
pub enum KeyRequest {
    /// The client's: PKCS#10 in PEM or DER.
    Csr(Vec<u8>),
    /// One that the service makes and hands over as PKCS#12 under this password.
    P12(Zeroizing<String>),
}

/// What the caller gets.
#[derive(Debug)]
pub struct Done {
    /// The contract as it is now.
    pub contract: ContractRow,
    /// The user as they are now; `None` for a contract's acts.
    pub user: Option<UserRow>,
    /// The acquisition secret, where it is to be shown.
    pub secret: Option<ShownSecret>,
    /// The certificate, where one was made.
    pub delivered: Option<Delivered>,
    /// The last change of a certificate's status that it made.
    pub changed: Option<ChangedStatus>,
}

/// A change of a certificate's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangedStatus {
    /// Its sequence number.
    pub sequence: u64,
    /// When its commit was known.
    pub at: Instant,
}

/// An acquisition secret on its way to its user.
#[derive(Debug)]
pub struct ShownSecret {
    /// Digits.
    pub secret: Zeroizing<String>,
    /// To whom it is to be shown: on the operator's screen, or printed and posted.
    pub to: SecretDelivery,
}

/// A certificate on its way to its user.
#[derive(Debug)]
pub struct Delivered {
    /// Its serial number.
    pub serial: SerialNumber,
    /// Its DER.
    pub certificate: Arc<[u8]>,
    /// The authorities above it in DER, its issuer first, without the root.
    pub chain: Vec<Arc<[u8]>>,
    /// Key and certificates, where the service made the key: file name and content.
    pub p12: Option<(String, Zeroizing<Vec<u8>>)>,
}

/// What the caller gets instead. Its text is for the log; the caller learns the problem type only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The rules say no; the audit log says why.
    Rules(PublicReason),
    /// These factors are to be given, all of them right. Not said before the actor is known to be permitted the act.
    Proof(Vec<Factor>),
    /// `bad-request`: something in the request cannot be taken: field and what is wrong with it. Of the caller's own making
    /// only, nothing that the store knows.
    Request(&'static str, Arc<str>),
    /// `key-not-acceptable`: the certification request is malformed, oversized, weak, unproven, in another's name or of a
    /// key that was certified before; which of them.
    Key(Arc<str>),
    /// `idempotency-key-reused`: that key was another request's.
    IdempotencyKeyReused,
    /// `not-repeatable`: done before; what it gave out (a .p12) is not kept.
    NotRepeatable,
    /// `in-progress`: the first request is being worked on.
    InProgress,
    /// `already-there`: the contract is open.
    AlreadyThere,
    /// `unavailable`: store, signer or credentials do not answer. Try again.
    Unavailable(Arc<str>),
}
