//! Who acts, and what was checked about them.

use super::identifiers::UserKey;
use super::state::{ActorName, User};
use crate::profile::{ActorRole, Channel, Factor};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::fmt;
use std::sync::Arc;

/// Who acts.
#[derive(Clone, Copy, Debug)]
pub enum Actor<'a> {
    /// A user through the product's screens. For an act on themselves, the very record of the situation.
    User {
        /// Their record, read in the same transaction.
        user: &'a User,
        /// What was checked about them.
        proofs: &'a [Proof],
    },
    /// Two people of the bank's desk.
    Staff {
        /// Who entered it and who released it.
        pair: &'a StaffPair,
        /// From a form or of the bank's own motion.
        channel: StaffChannel,
    },
    /// The service itself: it completes, interrupts and counts wrong factors, and nothing else.
    Service,
}

/// The channels that staff have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaffChannel {
    /// A customer's form.
    PaperForm,
    /// The desk.
    StaffDesk,
}

impl From<StaffChannel> for Channel {
    fn from(channel: StaffChannel) -> Self {
        match channel {
            StaffChannel::PaperForm => Self::PaperForm,
            StaffChannel::StaffDesk => Self::StaffDesk,
        }
    }
}

/// A member of the bank's staff.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StaffId(pub Arc<str>);

/// Maker and checker: always two people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaffPair {
    maker: StaffId,
    checker: StaffId,
}

/// Maker and checker are one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SamePerson;

impl StaffPair {
    /// Who entered the order and who released it.
    ///
    /// # Errors
    /// [`SamePerson`].
    pub fn new(maker: StaffId, checker: StaffId) -> Result<Self, SamePerson> {
        if maker.0.eq_ignore_ascii_case(&checker.0) { Err(SamePerson) } else { Ok(Self { maker, checker }) }
    }

    /// Who entered it.
    pub fn maker(&self) -> &StaffId {
        &self.maker
    }

    /// Who released it.
    pub fn checker(&self) -> &StaffId {
        &self.checker
    }
}

/// That something was checked: of whom, what and when.
///
/// Only the issuer's authentication makes these, after a check that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub(super) of: UserKey,
    pub(super) shown: Shown,
    pub(super) at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Secret(Factor),
    Certificate(SerialNumber),
}

impl Proof {
    /// A password, PIN or one-time password of `of` was right at `at`, and not locked.
    ///
    /// `None` for [`Factor::CurrentCertificate`], which takes a serial: [`Self::certificate`].
    pub fn secret(factor: Factor, of: &UserKey, at: Timestamp) -> Option<Self> {
        let shown = Shown::Secret(factor);
        (factor != Factor::CurrentCertificate).then(|| Self { of: of.clone(), shown, at })
    }

    /// The gateway's signed assertion of `at` says that `of` came with the certificate of that serial.
    pub fn certificate(serial: SerialNumber, of: &UserKey, at: Timestamp) -> Self {
        Self { of: of.clone(), shown: Shown::Certificate(serial), at }
    }

    /// What was checked.
    pub fn factor(&self) -> Factor {
        match self.shown {
            Shown::Secret(factor) => factor,
            Shown::Certificate(_) => Factor::CurrentCertificate,
        }
    }
}

impl Actor<'_> {
    /// How records name them.
    pub fn name(&self) -> ActorName {
        match self {
            Self::User { user, .. } => ActorName::User(user.key.clone()),
            Self::Staff { pair, .. } => ActorName::Staff((*pair).clone()),
            Self::Service => ActorName::Service,
        }
    }

    /// Where they stand in the matrix; `None` for the service, which is not in it.
    pub(super) fn in_matrix(&self) -> Option<(ActorRole, Channel)> {
        match self {
            Self::User { user, .. } => Some((ActorRole::Role(user.role.clone()), Channel::Online)),
            Self::Staff { channel, .. } => Some((ActorRole::Staff, (*channel).into())),
            Self::Service => None,
        }
    }
}

impl fmt::Display for SamePerson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("maker and checker are the same person")
    }
}
