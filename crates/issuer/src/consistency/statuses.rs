//! From a change of status to the record of the act that made it.

use super::{Contradiction, Contradictions, PAGE, history, readable};
use crate::audit::Record;
use crate::reconcile::no_contract;
use crate::store::{Status, StatusRow, Store, StoreError};
use sekisho_pki::serial::SerialNumber;
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
    while let Some(rows) = page(store, after, found).await? {
        for row in &rows {
            let one = of_row(store, row).await;
            match readable(one, found, || format!("table statuses: what is about {}", row.change.serial))? {
                Some(Recorded::No) => found.push(unrecorded(row.sequence, &row.change.serial, row.change.status)),
                Some(Recorded::OfUnknown) => {
                    unknown.insert(row.change.serial, (row.sequence, row.change.status));
                }
                Some(Recorded::Yes) | None => {}
            }
        }
        let Some(last) = rows.last() else { break };
        after = last.sequence;
        if unknown.len() >= UNKNOWN_AT_A_TIME {
            account_for_unknown(store, std::mem::take(&mut unknown), found).await?;
        }
    }
    account_for_unknown(store, unknown, found).await
}

/// The next rows; one by one where one of them cannot be read, so that it is named. `None`: behind it nothing is seen.
async fn page(store: &dyn Store, after: u64, found: &mut Contradictions) -> Result<Option<Vec<StatusRow>>, StoreError> {
    match store.statuses(after, PAGE).await {
        Err(StoreError::Corrupt(_)) => readable(store.statuses(after, 1).await, found, || {
            format!("table statuses: the row behind sequence {after}, and so what comes then,")
        }),
        rows => rows.map(Some),
    }
}

/// Whether a change is on record.
enum Recorded {
    Yes,
    No,
    /// The store has no such certificate.
    OfUnknown,
}

async fn of_row(store: &dyn Store, row: &StatusRow) -> Result<Recorded, StoreError> {
    let Some(certificate) = store.certificate(&row.change.serial).await? else { return Ok(Recorded::OfUnknown) };
    let is_recorded = history::has(store, &certificate.user, |record| made(record, row)).await?;
    Ok(if is_recorded { Recorded::Yes } else { Recorded::No })
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
