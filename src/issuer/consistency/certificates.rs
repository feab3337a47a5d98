//! From a certificate to the record of its making.

use super::{Contradiction, Contradictions, PAGE, history};
use crate::issuer::store::{CertificateRow, Store, StoreError};

/// Looks for every certificate's record.
pub(super) async fn account(store: &dyn Store, found: &mut Contradictions) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let rows = store.certificates(after.as_ref(), PAGE).await?;
        for row in &rows {
            found.extend(of_row(store, row).await?);
        }
        after = rows.last().map(|row| row.intent.serial);
        if rows.len() < PAGE as usize {
            return Ok(());
        }
    }
}

async fn of_row(store: &dyn Store, row: &CertificateRow) -> Result<Option<Contradiction>, StoreError> {
    let serial = row.intent.serial;
    let (what, lacking, is_recorded) = if row.der.is_some() {
        let completed = history::has(store, &row.user, |record| {
            &*record.entry.command == "complete" && record.entry.serial == Some(serial)
        });
        ("was completed", "no record says that it was issued", completed.await?)
    } else {
        // The record may be about the serial before it, which it gave up: begun at one time is what the two share.
        let begun = history::has(store, &row.user, |record| {
            matches!(&*record.entry.command, "acquire" | "renew") && record.entry.at == row.begun_at
        });
        ("was begun", "no record says so", begun.await?)
    };
    let user = &row.user;
    let of = || format!("table certificates: {serial} of user {} of {} {what}", user.user, user.contract).into();
    Ok((!is_recorded).then(|| Contradiction::Unrecorded(of(), lacking)))
}
