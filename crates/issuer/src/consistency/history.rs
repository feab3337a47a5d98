//! The records about somebody, looked through for what is wanted.

use super::PAGE;
use crate::audit::{ActResult, Record};
use crate::store::{Store, StoreError};
use sekisho_lifecycle::{ContractId, UserId, UserKey};
use std::ops::ControlFlow;

/// Shows what was done to a user, the newest first, until enough was seen.
pub(super) async fn of_user(
    store: &dyn Store,
    user: &UserKey,
    see: impl FnMut(&Record) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    of(store, &user.contract, Some(&user.user), see).await
}

/// The same of a contract and all its users.
pub(super) async fn of(
    store: &dyn Store,
    contract: &ContractId,
    user: Option<&UserId>,
    mut see: impl FnMut(&Record) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut before = None;
    loop {
        let records = store.history(contract, user, before, PAGE).await?;
        let done = records.iter().filter(|record| record.entry.result == ActResult::Done);
        for record in done {
            if see(record).is_break() {
                return Ok(());
            }
        }
        before = records.last().map(|record| record.sequence);
        if records.len() < PAGE as usize {
            return Ok(());
        }
    }
}

/// Whether something was done to a user that `wanted` is true of.
pub(super) async fn has(
    store: &dyn Store,
    user: &UserKey,
    wanted: impl Fn(&Record) -> bool,
) -> Result<bool, StoreError> {
    let mut has = false;
    let see = |record: &Record| {
        has = wanted(record);
        if has { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    of_user(store, user, see).await?;
    Ok(has)
}
