//! What went wrong while a snapshot was made and did not stop it: for the log and for metrics.

use std::fmt;
use std::sync::Arc;

/// One thing that an operator must know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// The CA it concerns, where one could be told.
    pub ca: Option<Arc<str>>,
    /// The file, or what else the list came from; empty when there is no list.
    pub file: Arc<str>,
    /// Its kind, for metrics.
    pub kind: AlarmKind,
    /// What happened, in one English sentence.
    pub message: String,
}

/// Kind of an [`Alarm`]; the name is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlarmKind {
    /// The file or folder cannot be read, or is beyond a limit.
    Unreadable,
    /// Not a revocation list: garbage, truncated, or against the profile. One that is validly signed closes its CA.
    Malformed,
    /// Its signature is not that of a CA of its issuer's name.
    BadSignature,
    /// Signed with the right key by a certificate whose keyUsage does not allow it (cRLSign), or that is not valid now.
    SignerNotAllowed,
    /// The list is of no CA that names this file.
    UnknownIssuer,
    /// thisUpdate lies in the future.
    FromTheFuture,
    /// Older than the list in force, by number or thisUpdate; the one in force stays.
    RolledBack,
    /// Validly signed and not understood: closes its CA.
    NotUnderstood,
    /// Two different lists have the same number and thisUpdate; both revoke.
    Conflict,
    /// A CA that has a source has no list from it.
    Missing,
    /// The list has no CRLNumber, and the setting does not take such lists.
    NoNumber,
    /// The list has no nextUpdate, so that nobody can see it grow stale, and no setting says how long it lasts.
    NoNextUpdate,
    /// A delta list builds on a list that did not come: what is in force counts as stale.
    DeltaWithoutBase,
    /// nextUpdate has passed.
    Stale,
    /// Revocations that were in force are on no list any more; they stay refused.
    Withdrawn,
    /// Entries with serial numbers that no certificate has; the list is in force all the same.
    OddSerial,
}

impl AlarmKind {
    /// Returns `true` if newer revocation data may lie where the alarm came from and is not in force.
    ///
    /// Not those that say so in another way: a stale CRL (`when_stale` decides), one that closes its CA, and conflicting
    /// CRLs, which are in force. Nor the CRL of a CA that does not name its file: it is nobody's here.
    pub const fn keeps_newer_data_out(self) -> bool {
        match self {
            Self::Unreadable
            | Self::Malformed
            | Self::BadSignature
            | Self::SignerNotAllowed
            | Self::FromTheFuture
            | Self::RolledBack
            | Self::Missing
            | Self::NoNumber
            | Self::NoNextUpdate => true,
            Self::UnknownIssuer
            | Self::NotUnderstood
            | Self::Conflict
            | Self::DeltaWithoutBase
            | Self::Stale
            | Self::Withdrawn
            | Self::OddSerial => false,
        }
    }

    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::Unreadable,
        Self::Malformed,
        Self::BadSignature,
        Self::SignerNotAllowed,
        Self::UnknownIssuer,
        Self::FromTheFuture,
        Self::RolledBack,
        Self::NotUnderstood,
        Self::Conflict,
        Self::Missing,
        Self::NoNumber,
        Self::NoNextUpdate,
        Self::DeltaWithoutBase,
        Self::Stale,
        Self::Withdrawn,
        Self::OddSerial,
    ];

    /// Returns the stable name: `rolled-back`, …
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Malformed => "malformed",
            Self::BadSignature => "bad-signature",
            Self::SignerNotAllowed => "signer-not-allowed",
            Self::UnknownIssuer => "unknown-issuer",
            Self::FromTheFuture => "from-the-future",
            Self::RolledBack => "rolled-back",
            Self::NotUnderstood => "not-understood",
            Self::Conflict => "conflict",
            Self::Missing => "missing",
            Self::NoNumber => "no-number",
            Self::NoNextUpdate => "no-next-update",
            Self::DeltaWithoutBase => "delta-without-base",
            Self::Stale => "stale",
            Self::Withdrawn => "withdrawn",
            Self::OddSerial => "odd-serial",
        }
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ca {}", self.kind.as_str(), self.ca.as_deref().unwrap_or("?"))?;
        if !self.file.is_empty() {
            write!(f, ", {}", self.file)?;
        }
        write!(f, ": {}", self.message)
    }
}
