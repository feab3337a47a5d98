//! Whether the store's state is what its audit log says: the chain covers the records, and this the rows beside it.
//!
//! Who can write to the database can take a revocation out of `statuses`, give a user back a certificate, put in one that
//! was never issued or cut the log itself, and leave the chain whole. So both ways are gone: from each record to what it
//! must have left ([`of_record`]), and from each certificate, status and user to the record that must be there
//! ([`of_state`]). A record is written in the transaction of what it is about and is never taken out, so none may lack; it
//! is looked for after the row was read, so that an issuer may go on meanwhile.
//!
//! What a log and a state that were set back together were before, only a head that was kept elsewhere tells.

mod certificates;
mod found;
mod history;
mod records;
mod statuses;
mod users;

pub use found::{Contradiction, Contradictions};
pub use records::of_record;

use super::store::{Status, Store, StoreError};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;

/// Rows and records read at a time: of records some 300 KiB, of certificates less than twice that.
const PAGE: u32 = 500;

/// Looks for what accounts for every certificate, status and user, a page of rows at a time.
///
/// # Errors
/// [`StoreError`].
pub async fn of_state(store: &dyn Store, now: Timestamp, found: &mut Contradictions) -> Result<(), StoreError> {
    certificates::account(store, found).await?;
    statuses::account(store, found).await?;
    users::account(store, now, found).await
}

/// What was read; rows that no issuer wrote so are a finding, and what can be read is gone on with.
fn readable<T>(
    read: Result<T, StoreError>,
    found: &mut Contradictions,
    rows: impl FnOnce() -> String,
) -> Result<Option<T>, StoreError> {
    match read {
        Err(StoreError::Corrupt(why)) => {
            found.push(Contradiction::Unreadable(rows().into(), why));
            Ok(None)
        }
        read => read.map(Some),
    }
}

async fn is_revoked(store: &dyn Store, serial: &SerialNumber) -> Result<bool, StoreError> {
    Ok(matches!(status(store, serial).await?, Some(Status::Revoked(_))))
}

async fn status(store: &dyn Store, serial: &SerialNumber) -> Result<Option<Status>, StoreError> {
    Ok(store.status(serial).await?.map(|row| row.change.status))
}
