//! From a certificate to the record of its making.

use super::{Contradiction, Contradictions, PAGE, history, readable};
use crate::store::{CertificateRow, Store, StoreError};
use sekisho_pki::serial::SerialNumber;

/// Looks for every certificate's record.
pub(super) async fn account(store: &dyn Store, found: &mut Contradictions) -> Result<(), StoreError> {
    let mut after: Option<SerialNumber> = None;
    while let Some(rows) = page(store, after.as_ref(), found).await? {
        for row in &rows {
            let one = of_row(store, row).await;
            let named = || format!("table certificates: what is about {}", row.intent.serial);
            let one = readable(one, found, named)?.flatten();
            found.extend(one);
        }
        let Some(last) = rows.last() else { break };
        after = Some(last.intent.serial);
    }
    Ok(())
}

/// The next rows; one by one where one of them cannot be read, so that it is named. `None`: behind it nothing is seen.
async fn page(
    store: &dyn Store,
    after: Option<&SerialNumber>,
    found: &mut Contradictions,
) -> Result<Option<Vec<CertificateRow>>, StoreError> {
    match store.certificates(after, PAGE).await {
        Err(StoreError::Corrupt(_)) => readable(store.certificates(after, 1).await, found, || {
            let from = after.map_or_else(|| "the first row".to_owned(), |after| format!("the row behind {after}"));
            format!("table certificates: {from}, and so what comes then,")
        }),
        rows => rows.map(Some),
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
