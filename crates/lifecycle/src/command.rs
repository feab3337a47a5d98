//! What is to be done.

use super::identifiers::UserId;
use crate::profile::{Operation, RoleName};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::fmt;
use std::sync::Arc;

/// A command. The values that need chance (serial, secret, request) come from the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Registers the user 利用者登録.
    Register {
        /// Their ID.
        user: UserId,
        /// Their role.
        role: RoleName,
        /// The offer that comes with it where the profile opens acquisitions by offer.
        offer: OfferRequest,
    },
    /// Offers an acquisition to a user who holds no live certificate.
    Offer(OfferRequest),
    /// Offers anew 再発行, whatever the user holds.
    Reissue(OfferRequest),
    /// Attempts the acquisition 取得.
    Acquire {
        /// For the certificate, should the secret be right.
        issuing: Issuing,
        /// The keyed hash of the secret as the user typed it, where the profile has one.
        secret: Option<SecretDigest>,
    },
    /// Counts a wrong factor; by the service.
    WrongFactor(Against),
    /// Renews 更新.
    Renew {
        /// For the new certificate.
        issuing: Issuing,
    },
    /// The certificate is signed and stored, and about to be handed over; by the service.
    Complete {
        /// Its serial.
        serial: SerialNumber,
    },
    /// The certificate that was begun will not be handed over; by the service.
    Interrupt,
    /// Revokes 失効.
    Revoke {
        /// RFC 5280 section 5.3.1.
        reason: RevocationReason,
    },
    /// Leaves the certificate as it is 現在の電子証明書を継続する.
    Continue,
    /// Locks the acquisition.
    Lock,
    /// Unlocks it.
    Unlock,
    /// Suspends the user 利用者停止.
    Suspend,
    /// Ends the suspension 停止解除.
    Resume,
    /// Deletes the user 登録抹消.
    Delete,
    /// Switches the contract's feature on.
    SwitchOn,
    /// Switches it off.
    SwitchOff,
}

/// Against whom a wrong factor counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// The user's acquisitions, the contract's and the address's: of somebody who showed no certificate.
    User,
    /// The contract's and the address's: of a user who is there, whose factors were not all given.
    Contract,
    /// The address's alone: of a user who is not there, or for whom even right factors open nothing now. They must not keep
    /// the contract's other users out.
    Address,
    /// The user's acts alone: of somebody who showed the certificate that lives.
    Holder,
}

/// A request for an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferRequest {
    /// Whose repeat is shown the same secret again.
    pub request: RequestId,
    /// The keyed hash of a fresh secret, where the profile has one.
    pub secret: Option<SecretDigest>,
}

/// The idempotency key of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(pub Arc<str>);

/// What a new certificate needs from the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issuing {
    /// A serial that was never used.
    pub serial: SerialNumber,
    /// Microseconds of the moment, below 1,000,000: part of `{issued_at}`.
    pub microseconds: u32,
    /// First second at which the authority is valid: no certificate begins before it.
    pub earliest: Timestamp,
}

/// A keyed hash of an acquisition secret. Comparing takes the same time whatever is in it.
#[derive(Clone, Copy)]
pub struct SecretDigest(pub [u8; 32]);

impl PartialEq for SecretDigest {
    fn eq(&self, other: &Self) -> bool {
        // Where they differ does not show in the time. The hash is keyed besides.
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for SecretDigest {}

/// Not its octets: records are logged.
impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretDigest(…)")
    }
}

impl Command {
    /// What the matrix is asked; `None` for the service's own commands.
    pub fn operation(&self) -> Option<Operation> {
        match self {
            Self::Register { .. } => Some(Operation::Register),
            Self::Offer(_) => Some(Operation::Offer),
            Self::Reissue(_) => Some(Operation::Reissue),
            Self::Acquire { .. } => Some(Operation::Acquire),
            Self::Renew { .. } => Some(Operation::Renew),
            Self::Revoke { .. } => Some(Operation::Revoke),
            Self::Continue => Some(Operation::Continue),
            Self::Lock => Some(Operation::Lock),
            Self::Unlock => Some(Operation::Unlock),
            Self::Suspend => Some(Operation::Suspend),
            Self::Resume => Some(Operation::Resume),
            Self::Delete => Some(Operation::Delete),
            Self::SwitchOn => Some(Operation::SwitchOn),
            Self::SwitchOff => Some(Operation::SwitchOff),
            Self::WrongFactor(_) | Self::Complete { .. } | Self::Interrupt => None,
        }
    }

    /// The name in audit records.
    pub fn word(&self) -> &'static str {
        match self {
            Self::WrongFactor(_) => "wrong-factor",
            Self::Complete { .. } => "complete",
            Self::Interrupt => "interrupt",
            other => other.operation().map_or("", Operation::word),
        }
    }

    /// Whether it leads towards a certificate: then the feature must be on and the user neither suspended nor locked.
    pub(super) fn leads_to_a_certificate(&self) -> bool {
        matches!(
            self,
            Self::Offer(_) | Self::Reissue(_) | Self::Acquire { .. } | Self::Renew { .. } | Self::Complete { .. }
        )
    }

    /// Whether it may ask for and be let go without the contract's feature.
    pub(super) fn needs_the_feature(&self) -> bool {
        self.leads_to_a_certificate() || matches!(self, Self::Register { .. } | Self::Continue)
    }
}
