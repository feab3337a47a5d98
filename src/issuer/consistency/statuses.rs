//! From a change of status to the record of the act that made it.

use super::{Contradiction, Contradictions, PAGE, history};
use crate::issuer::audit::Record;
use crate::issuer::reconcile::no_contract;
use crate::issuer::store::{Status, StatusRow, Store, StoreError};
use crate::pki::serial::SerialNumber;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Serials of which the store has no certificate, looked for together in the records of those that were taken over: some
/// megabytes. A store that was lost has as many as were revoked.
const UNKNOWN_AT_A_TIME: usize = 100_000;

/// Acts that revoke a certificate that lives, one that another takes the place of, or one that is being made.
const REVOKING: [&str; 10] =
    ["revoke", "delete", "switch-off", "reissue", "acquire", "renew", "complete", "interrupt", "lock", "suspend"];

/// Looks for every change's record.
pub(super) async fn account(store: &dyn Store, found: &mut Contradictions) -> Result<(), StoreError> {
    let (mut after, mut unknown) = (0, BTreeMap::new());
    loop {
        let rows = store.statuses(after, PAGE).await?;
        for row in &rows {
            match store.certificate(&row.change.serial).await? {
                Some(certificate) => {
                    let recorded = history::has(store, &certificate.user, |record| made(record, row)).await?;
                    found.extend((!recorded).then(|| unrecorded(row.sequence, &row.change.serial, row.change.status)));
                }
                None => {
                    unknown.insert(row.change.serial, (row.sequence, row.change.status));
                }
            }
        }
        after = rows.last().map_or(after, |row| row.sequence);
        let is_last = rows.len() < PAGE as usize;
        if is_last || unknown.len() >= UNKNOWN_AT_A_TIME {
            account_for_unknown(store, std::mem::take(&mut unknown), found).await?;
        }
        if is_last {
            return Ok(());
        }
    }
}

/// Whether a record is that of the change. An act that revokes two names one of them: both are of its second.
fn made(record: &Record, row: &StatusRow) -> bool {
    let (entry, change) = (&record.entry, &row.change);
    let command = &*entry.command;
    let may = match change.status {
        Status::Revoked(_) => REVOKING.contains(&command),
        Status::Held => command == "suspend",
        Status::Released => command == "resume",
    };
    // No release is taken over.
    let taken_over = command == "reconcile" && change.status != Status::Released;
    (may && entry.at == change.at) || (taken_over && entry.serial == Some(change.serial))
}

/// Those of which nothing but the status is known were taken over, under a contract that is nobody's.
async fn account_for_unknown(
    store: &dyn Store,
    mut unknown: BTreeMap<SerialNumber, (u64, Status)>,
    found: &mut Contradictions,
) -> Result<(), StoreError> {
    if unknown.is_empty() {
        return Ok(());
    }
    let see = |record: &Record| {
        if let (Some(serial), "reconcile") = (record.entry.serial, &*record.entry.command)
            && matches!(unknown.get(&serial), Some((_, Status::Revoked(_))))
        {
            unknown.remove(&serial);
        }
        if unknown.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    history::of(store, &no_contract()?, None, see).await?;
    found.extend(unknown.iter().map(|(serial, (sequence, status))| unrecorded(*sequence, serial, *status)));
    Ok(())
}

fn unrecorded(sequence: u64, serial: &SerialNumber, status: Status) -> Contradiction {
    let what = match status {
        Status::Revoked(_) => "was revoked",
        Status::Held => "was put on hold",
        Status::Released => "was released",
    };
    Contradiction::Unrecorded(
        format!("table statuses: {serial} {what} (sequence {sequence})").into(),
        "no record says so",
    )
}
