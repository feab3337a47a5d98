//! Whether the store's state is what its audit log says: the chain covers the records, and this the rows beside it.
//!
//! Who can write to the database can take a revocation out of `statuses`, or give a user back a certificate, and leave
//! the chain whole. Every certificate that was completed is on record with its serial, and so is every revocation of one.

use super::audit::{ActResult, Record};
use super::lifecycle::{Certificate, Target, UserKey};
use super::store::{Ask, Status, Store, StoreError};
use crate::pki::serial::SerialNumber;
use crate::pki::time::Timestamp;
use std::fmt;
use std::sync::Arc;

/// Contracts and users read at a time.
const PAGE: u32 = 500;

/// Acts after which the certificate on their record is revoked.
const REVOKING: [&str; 3] = ["revoke", "delete", "interrupt"];

/// What the state lacks, or has against the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// A record says that it was revoked, or a user's row does, and no status row has it.
    NotRevoked(SerialNumber, Arc<str>),
    /// It was completed, and there is no such certificate.
    NoCertificate(SerialNumber, Arc<str>),
    /// It was completed, has not ended, and is neither its user's nor revoked.
    Astray(SerialNumber, Arc<str>),
    /// A user holds it, and it is revoked.
    HeldAndRevoked(SerialNumber, Arc<str>),
}

/// Compares what a record says with the state.
///
/// # Errors
/// [`StoreError`].
pub async fn of_record(
    store: &dyn Store,
    record: &Record,
    now: Timestamp,
) -> Result<Option<Contradiction>, StoreError> {
    let entry = &record.entry;
    let (Some(serial), ActResult::Done) = (entry.serial, &entry.result) else { return Ok(None) };
    let by = || Arc::from(format!("record {}", record.sequence));
    if REVOKING.contains(&&*entry.command) {
        return Ok((!is_revoked(store, &serial).await?).then(|| Contradiction::NotRevoked(serial, by())));
    }
    let (Target::User(user), "complete") = (&entry.target, &*entry.command) else { return Ok(None) };
    let Some(certificate) = store.certificate(&serial).await? else {
        return Ok(Some(Contradiction::NoCertificate(serial, by())));
    };
    let is_over = certificate.intent.not_after < now;
    let is_accounted_for = is_over || is_revoked(store, &serial).await? || holds(store, user, &serial).await?;
    Ok((!is_accounted_for).then(|| Contradiction::Astray(serial, by())))
}

/// Compares what each user's row says with the statuses, and gives every contradiction to `found`.
///
/// # Errors
/// [`StoreError`].
pub async fn of_users(store: &dyn Store, mut found: impl FnMut(Contradiction)) -> Result<(), StoreError> {
    let mut contract = None;
    loop {
        let contracts = store.contracts(contract.as_ref(), PAGE).await?;
        for row in &contracts {
            let mut user = None;
            loop {
                let users = store.users(&row.contract.id, user.as_ref(), PAGE).await?;
                for row in &users {
                    let by = || Arc::from(format!("user {} of {}", row.user.key.user, row.user.key.contract));
                    match &row.user.certificate {
                        Certificate::Revoked(revoked) if !is_revoked(store, &revoked.serial).await? => {
                            found(Contradiction::NotRevoked(revoked.serial, by()));
                        }
                        Certificate::Held(held) if is_revoked(store, &held.serial).await? => {
                            found(Contradiction::HeldAndRevoked(held.serial, by()));
                        }
                        _ => {}
                    }
                }
                user = users.last().map(|row| row.user.key.user.clone());
                if user.is_none() || users.len() < PAGE as usize {
                    break;
                }
            }
        }
        contract = contracts.last().map(|row| row.contract.id.clone());
        if contract.is_none() || contracts.len() < PAGE as usize {
            return Ok(());
        }
    }
}

async fn is_revoked(store: &dyn Store, serial: &SerialNumber) -> Result<bool, StoreError> {
    Ok(store.status(serial).await?.is_some_and(|row| matches!(row.change.status, Status::Revoked(_))))
}

async fn holds(store: &dyn Store, user: &UserKey, serial: &SerialNumber) -> Result<bool, StoreError> {
    let found = store.find(&Ask::on(user)).await?;
    let certificate = found.user.map(|row| row.user.certificate);
    Ok(matches!(certificate, Some(Certificate::Held(held)) if held.serial == *serial))
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRevoked(serial, by) => write!(f, "{by} says that {serial} was revoked, and no status has it"),
            Self::NoCertificate(serial, by) => write!(f, "{by} says that {serial} was issued, and it is not there"),
            Self::Astray(serial, by) => {
                write!(f, "{by} says that {serial} was issued; it is neither its user's nor revoked")
            }
            Self::HeldAndRevoked(serial, by) => write!(f, "{by} holds {serial}, which is revoked"),
        }
    }
}
