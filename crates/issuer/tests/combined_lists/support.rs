//! One CA's lists, and what a gateway makes of them.

use crate::revocation::{NOW, TestCa};
use sekisho_config::WhenStale;
use sekisho_pki::crl::RevocationReason;
use sekisho_pki::fingerprint::AuthorityKey;
use sekisho_pki::points::DistributionPoint;
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use sekisho_trust::*;
use std::sync::Arc;

/// What lists come to for one CA.
pub struct Loaded {
    pub snapshot: Arc<TrustSnapshot>,
    pub alarms: Vec<Alarm>,
    key: AuthorityKey,
}

/// How a certificate stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// By the list of this number; after the policy let a stale one pass, with `!`.
    Good(String),
    Revoked(RevocationReason, String),
    Unavailable(String),
    Unenforced(String),
}

pub fn load(ca: &TestCa, lists: &[&[u8]], previous: Option<&Loaded>) -> Loaded {
    load_with(ca, ListPolicy::default(), lists, previous, NOW)
}

pub fn load_with(
    ca: &TestCa,
    policy: ListPolicy,
    lists: &[&[u8]],
    previous: Option<&Loaded>,
    now: Timestamp,
) -> Loaded {
    let parts = AuthorityParts { revocation: RevocationParts::Lists(policy), ..ca.parts("a", None) };
    load_parts(&parts, lists, previous, now)
}

pub fn load_parts(parts: &AuthorityParts, lists: &[&[u8]], previous: Option<&Loaded>, now: Timestamp) -> Loaded {
    let named: Vec<_> =
        lists.iter().enumerate().map(|(place, der)| ListParts { file: format!("{place}.crl").into(), der }).collect();
    let previous = previous.map(|loaded| &*loaded.snapshot);
    let outcome = TrustSnapshot::from_parts(std::slice::from_ref(parts), &named, previous, now).unwrap();
    Loaded { snapshot: outcome.snapshot, alarms: outcome.alarms, key: parts.certificate.authority_key() }
}

impl Loaded {
    pub fn kinds(&self) -> Vec<AlarmKind> {
        self.alarms.iter().map(|alarm| alarm.kind).collect()
    }

    /// A client's certificate without distribution points.
    pub fn of(&self, serial: u8) -> Standing {
        self.at(serial, &[], NOW)
    }

    /// A client's certificate with these.
    pub fn at(&self, serial: u8, points: &[DistributionPoint], now: Timestamp) -> Standing {
        let serial = SerialNumber::from_der_content(&[serial]).unwrap();
        self.ask(&Question::client(&self.key, &serial).at(points), now)
    }

    pub fn ask(&self, question: &Question<'_>, now: Timestamp) -> Standing {
        let number = |number: Option<Arc<str>>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
        match self.snapshot.revocation(question, now) {
            RevocationStatus::Good { crl_number, warning: None } => Standing::Good(number(crl_number)),
            RevocationStatus::Good { crl_number, .. } => Standing::Good(format!("{}!", number(crl_number))),
            RevocationStatus::Revoked { reason, crl_number, .. } => Standing::Revoked(reason, number(crl_number)),
            RevocationStatus::Unavailable { why, .. } => Standing::Unavailable(why),
            RevocationStatus::Unenforced { why, .. } => Standing::Unenforced(why),
            RevocationStatus::Pending { .. } => panic!("there is nobody to ask"),
            RevocationStatus::NotChecked => panic!("it is checked"),
        }
    }

    pub fn status(&self) -> AuthorityStatus {
        self.snapshot.status(NOW).remove(0)
    }
}

pub fn good(number: &str) -> Standing {
    Standing::Good(number.to_owned())
}

/// Revoked with the reason that `ListBuilder::revoke` writes.
pub fn revoked(number: &str) -> Standing {
    Standing::Revoked(RevocationReason::KeyCompromise, number.to_owned())
}

pub fn unavailable(why: &str) -> Standing {
    Standing::Unavailable(why.to_owned())
}

pub fn policy(when_stale: WhenStale) -> ListPolicy {
    ListPolicy::when_stale(when_stale)
}
