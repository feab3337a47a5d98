//! From a record to what it left.

use super::{Contradiction, Contradictions, is_revoked, readable, status};
use crate::audit::{ActResult, Record};
use crate::store::{Ask, Store, StoreError};
use sekisho_lifecycle::{Certificate, Target, UserKey};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::sync::Arc;

/// Acts after which the certificate on their record is revoked: of these the serial is that of what was revoked first.
const REVOKING: [&str; 7] = ["revoke", "delete", "interrupt", "reissue", "lock", "suspend", "switch-off"];

/// Compares what a record says with the state.
///
/// # Errors
/// [`StoreError`].
pub async fn of_record(
    store: &dyn Store,
    record: &Record,
    now: Timestamp,
    found: &mut Contradictions,
) -> Result<(), StoreError> {
    let one = compare(store, record, now).await;
    let rows = || format!("what came of record {}", record.sequence);
    let one = readable(one, found, rows)?.flatten();
    found.extend(one);
    Ok(())
}

async fn compare(store: &dyn Store, record: &Record, now: Timestamp) -> Result<Option<Contradiction>, StoreError> {
    let entry = &record.entry;
    let (Some(serial), ActResult::Done) = (entry.serial, &entry.result) else { return Ok(None) };
    let by = || Arc::from(format!("record {}", record.sequence));
    match (&entry.target, &*entry.command) {
        (_, command) if REVOKING.contains(&command) => {
            Ok((!is_revoked(store, &serial).await?).then(|| Contradiction::NotRevoked(serial, by())))
        }
        (_, "reconcile") => Ok(status(store, &serial).await?.is_none().then(|| Contradiction::NoStatus(serial, by()))),
        (Target::User(user), "complete") => of_completion(store, user, serial, now, by).await,
        _ => Ok(None),
    }
}

async fn of_completion(
    store: &dyn Store,
    user: &UserKey,
    serial: SerialNumber,
    now: Timestamp,
    by: impl Fn() -> Arc<str>,
) -> Result<Option<Contradiction>, StoreError> {
    let Some(certificate) = store.certificate(&serial).await? else {
        return Ok(Some(Contradiction::NoCertificate(serial, by())));
    };
    let is_over = certificate.intent.not_after < now;
    // In this order: what took its place since is in the statuses.
    let is_accounted_for = is_over || holds(store, user, &serial).await? || is_revoked(store, &serial).await?;
    Ok((!is_accounted_for).then(|| Contradiction::Astray(serial, by())))
}

async fn holds(store: &dyn Store, user: &UserKey, serial: &SerialNumber) -> Result<bool, StoreError> {
    let found = store.find(&Ask::on(user)).await?;
    let certificate = found.user.map(|row| row.user.certificate);
    Ok(matches!(certificate, Some(Certificate::Held(held)) if held.serial == *serial))
}
