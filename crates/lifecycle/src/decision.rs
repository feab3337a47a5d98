//! What was decided: new records, effects, one audit event; or why not.

use super::actor::Actor;
use super::command::Command;
use super::identifiers::UserKey;
use super::state::{ActorName, Contract, Intent, Situation, User};
use super::tries::Counter;
use crate::profile::{Channel, Factor, Label, NoticeEvent, Permit, SecretDelivery};
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::fmt;
use std::sync::Arc;

/// All that one transaction writes.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The contract as it is now.
    pub contract: Contract,
    /// The user as they are now; `None` only for a contract's commands.
    pub user: Option<User>,
    /// The acting user as they are now, where that changed and they are not the target.
    pub actor: Option<User>,
    /// Wrong tries from the address as they are now.
    pub address: Option<Counter>,
    /// What follows, in this order.
    pub effects: Vec<Effect>,
    /// Present when tries were counted and the client gets a refusal all the same.
    pub refusal: Option<Reason>,
    /// What the audit log gets.
    pub audit: AuditEvent,
}

/// What follows from a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// This serial is on the revocation list from now on, for ever.
    Revoke {
        /// Which.
        serial: SerialNumber,
        /// Why.
        reason: RevocationReason,
    },
    /// This is to be signed, after the transaction.
    Sign(Intent),
    /// The acquisition secret of the offer is to be shown.
    ShowSecret {
        /// The offer's number.
        offer: u32,
        /// When it was made.
        made_at: Timestamp,
        /// For the first time, or to the repeat of the same request.
        showing: Showing,
        /// To whom.
        to: SecretDelivery,
    },
    /// A mail and a line on the screen.
    Notify(Notice),
    /// Gateways refuse the user's certificate until `Unblock`, without revoking it.
    Block(UserKey),
    /// They accept it again.
    Unblock(UserKey),
    /// [`super::end_with_contract`] for every user of the contract.
    EndEveryUser,
}

/// Which showing of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Showing {
    /// The first.
    First,
    /// Another, to the repeat of the same request.
    Repeat,
}

/// A notice to a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// To whom.
    pub to: UserKey,
    /// What.
    pub event: NoticeEvent,
}

/// One record of the audit log and the operation history 操作履歴.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// The command's word: `revoke`.
    pub command: &'static str,
    /// Who.
    pub actor: ActorName,
    /// On whom.
    pub target: Target,
    /// The way it came; `None` for the service.
    pub channel: Option<Channel>,
    /// The screen's id: `BRSK019`.
    pub screen: Option<Arc<str>>,
    /// The form.
    pub form: Option<Label>,
    /// How it went.
    pub outcome: Outcome,
}

/// On whom an act is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A user, who need not exist.
    User(UserKey),
    /// The contract.
    Contract(super::ContractId),
    /// A user who is not there and whose ID the command does not say.
    Unknown(super::ContractId),
}

impl Target {
    /// The contract it is in.
    pub fn contract(&self) -> &super::ContractId {
        match self {
            Self::User(key) => &key.contract,
            Self::Contract(contract) | Self::Unknown(contract) => contract,
        }
    }

    /// The user it is, where one is named.
    pub fn user(&self) -> Option<&super::UserId> {
        match self {
            Self::User(key) => Some(&key.user),
            Self::Contract(_) | Self::Unknown(_) => None,
        }
    }
}

/// How an act went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was not.
    Refused(Reason),
}

/// Why not, and the audit event about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// For the log; never for the client.
    pub reason: Reason,
    /// For the audit log.
    pub audit: Box<AuditEvent>,
}

/// Why not, exactly. Inside only: [`Reason::public`] is what a client may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No permit covers it.
    NotPermitted,
    /// Actor and target are of different contracts.
    OtherContract,
    /// The actor is suspended, deleted or locked.
    ActorMayNotAct,
    /// The actor's record is not the one in the situation.
    StaleRecord,
    /// A command of the service by another, or another's by the service.
    NotForThisActor,
    /// There is no such user.
    NoSuchUser,
    /// The user was deleted.
    UserDeleted,
    /// The user ID is or was taken.
    UserExists,
    /// The role is not the profile's.
    UnknownRole,
    /// An ID that the profile does not allow.
    IdentifierNotAllowed,
    /// The contract's feature is off.
    FeatureOff,
    /// The user is suspended.
    UserSuspended,
    /// The user's acquisition is locked.
    Locked,
    /// Too many wrong tries of the contract's users.
    ContractLocked,
    /// Too many wrong tries from the address.
    AddressLocked,
    /// This is not proven.
    ProofMissing(Factor),
    /// It is proven of somebody else.
    ProofOfAnother(Factor),
    /// It was proven too long ago, or in the future.
    ProofNotFresh(Factor),
    /// The certificate shown is not the one that lives.
    NotTheLiveCertificate,
    /// There is no offer.
    NotOffered,
    /// The offer's deadline has passed.
    OfferLapsed,
    /// An interrupted acquisition or a lock used the offer up.
    ReissueNeeded,
    /// The acquisition secret is wrong.
    WrongSecret,
    /// The first factor is wrong.
    WrongFactor,
    /// A secret where the profile has none, or none where it has one.
    SecretNotAsAsked,
    /// The request made an earlier offer, which can no longer be shown.
    RequestAlreadyUsed,
    /// A certificate lives.
    AlreadyIssued,
    /// No certificate lives.
    NothingLive,
    /// There is nothing to revoke or withdraw.
    NothingToRevoke,
    /// It is too early to renew.
    NotYetRenewable,
    /// Something else is under way.
    UnderWay,
    /// That serial is not under way.
    NotUnderWay,
    /// The reason is not one that an end user's certificate has.
    RevocationReasonNotAllowed,
    /// It is so already.
    AlreadySo,
    /// The profile's issue numbers are used up.
    IssueNumbersUsedUp,
}

/// What a client may know. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicReason {
    /// `acquisition-refused`: every refusal of an acquisition is this one, so that none helps a guesser.
    AcquisitionRefused,
    /// `not-permitted`.
    NotPermitted,
    /// `proof-required`: some step of the authentication is to be done (again).
    ProofRequired,
    /// `not-possible-now`: permitted, and the target is not in a state for it.
    NotPossibleNow,
}

impl PublicReason {
    /// The stable name, the last part of a problem type (RFC 9457).
    pub fn name(self) -> &'static str {
        match self {
            Self::AcquisitionRefused => "acquisition-refused",
            Self::NotPermitted => "not-permitted",
            Self::ProofRequired => "proof-required",
            Self::NotPossibleNow => "not-possible-now",
        }
    }
}

impl Reason {
    /// What the client of this command may know.
    pub fn public(&self, command: &Command) -> PublicReason {
        if matches!(command, Command::Acquire { .. } | Command::WrongFactor(_)) {
            return PublicReason::AcquisitionRefused;
        }
        match self {
            // Who may not act on others does not learn whether they exist, either.
            Self::NotPermitted
            | Self::OtherContract
            | Self::ActorMayNotAct
            | Self::StaleRecord
            | Self::NotForThisActor
            | Self::NoSuchUser
            | Self::UserDeleted => PublicReason::NotPermitted,
            Self::ProofMissing(_) | Self::ProofOfAnother(_) | Self::ProofNotFresh(_) | Self::NotTheLiveCertificate => {
                PublicReason::ProofRequired
            }
            _ => PublicReason::NotPossibleNow,
        }
    }
}

/// For the log.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProofMissing(factor) => write!(f, "{} is not proven", factor.word()),
            Self::ProofOfAnother(factor) => write!(f, "{} is proven of somebody else", factor.word()),
            Self::ProofNotFresh(factor) => write!(f, "{} was not proven just now", factor.word()),
            other => write!(f, "{other:?}"),
        }
    }
}

/// What a command changes; what it does not name stays.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) contract: Option<Contract>,
    pub(super) user: Option<User>,
    pub(super) address: Option<Counter>,
    pub(super) effects: Vec<Effect>,
    pub(super) refusal: Option<Reason>,
}

impl Change {
    pub(super) fn of(user: User, effects: Vec<Effect>) -> Self {
        Self { user: Some(user), effects, ..Self::default() }
    }
}

impl Decision {
    pub(super) fn new(
        situation: &Situation,
        actor: &Actor<'_>,
        command: &Command,
        permit: Option<&Permit>,
        change: Change,
    ) -> Self {
        let outcome = change.refusal.clone().map_or(Outcome::Done, Outcome::Refused);
        Self {
            audit: AuditEvent::new(situation, actor, command, permit, outcome),
            contract: change.contract.unwrap_or_else(|| situation.contract.clone()),
            user: change.user.or_else(|| situation.user.clone()),
            actor: None,
            address: change.address.or(situation.address),
            effects: change.effects,
            refusal: change.refusal,
        }
    }
}

impl Denial {
    pub(super) fn new(situation: &Situation, actor: &Actor<'_>, command: &Command, reason: Reason) -> Self {
        let outcome = Outcome::Refused(reason.clone());
        Self { reason, audit: Box::new(AuditEvent::new(situation, actor, command, None, outcome)) }
    }
}

impl AuditEvent {
    fn new(
        situation: &Situation,
        actor: &Actor<'_>,
        command: &Command,
        permit: Option<&Permit>,
        outcome: Outcome,
    ) -> Self {
        let contract = || situation.contract.id.clone();
        let target = match (command, &situation.user) {
            (Command::SwitchOn | Command::SwitchOff, _) => Target::Contract(contract()),
            (Command::Register { user, .. }, _) => Target::User(UserKey { contract: contract(), user: user.clone() }),
            (_, Some(user)) => Target::User(user.key.clone()),
            (_, None) => Target::Unknown(contract()),
        };
        let channel = actor.in_matrix().map(|(_, channel)| channel);
        let form = permit.filter(|_| channel == Some(Channel::PaperForm)).and_then(|permit| permit.form.clone());
        Self {
            command: command.word(),
            actor: actor.name(),
            target,
            channel,
            screen: permit.and_then(|permit| permit.screen.clone()),
            form,
            outcome,
        }
    }
}
