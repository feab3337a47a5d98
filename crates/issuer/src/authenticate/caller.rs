//! Who speaks to the service.

use sekisho_lifecycle::UserKey;
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::sync::Arc;

/// Who speaks to the service, after it was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A `[[service]]` of the configuration, by its certificate.
    Service {
        /// Its name in the configuration.
        name: Arc<str>,
        /// What it may do.
        rights: Rights,
    },
    /// A user, by the gateway's assertion.
    User(ShownCertificate),
}

/// The certificate with which a user came through the gateway: one of this service's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownCertificate {
    /// Whose it is.
    pub of: UserKey,
    /// Its serial number.
    pub serial: SerialNumber,
    /// When the gateway said so.
    pub at: Timestamp,
}

/// What a service may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// `online`: act for users with the factors they gave, as the IB application's screens do.
    Online,
    /// `desk`: act for two members of the bank's staff; contracts, contacts and credentials.
    Desk,
    /// `read`: read every contract.
    Read,
    /// `feed`: follow the feed of revocations, as gateways do.
    Feed,
}

/// Rights, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights(pub Vec<Right>);

impl Right {
    /// Every right with its word in the configuration.
    pub const ALL: [(&'static str, Self); 4] =
        [("online", Self::Online), ("desk", Self::Desk), ("read", Self::Read), ("feed", Self::Feed)];
}

impl Caller {
    /// Whether it is a service with that right.
    pub fn has(&self, right: Right) -> bool {
        matches!(self, Self::Service { rights, .. } if rights.0.contains(&right))
    }

    /// The name in audit records: the service's, or `gateway`.
    pub fn name(&self) -> Arc<str> {
        match self {
            Self::Service { name, .. } => Arc::clone(name),
            Self::User(_) => "gateway".into(),
        }
    }
}
