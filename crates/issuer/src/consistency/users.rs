//! From a user's row to the records that made it.

use super::{Contradiction, Contradictions, PAGE, history, readable, status};
use crate::audit::Record;
use crate::store::{Ask, Status, Store, StoreError};
use sekisho_lifecycle::{Certificate, ContractId, Held, Standing, User, UserId};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Times that a row is looked at which an issuer changes meanwhile. It would take as many acts on one user, each just
/// between the reading of the row and that of its records.
const READINGS: u32 = 4;

/// Compares every user's row with the statuses, and with the records about them.
pub(super) async fn account(store: &dyn Store, now: Timestamp, found: &mut Contradictions) -> Result<(), StoreError> {
    let mut contract: Option<ContractId> = None;
    loop {
        let rows = match store.contracts(contract.as_ref(), PAGE).await {
            Err(StoreError::Corrupt(_)) => store.contracts(contract.as_ref(), 1).await,
            rows => rows,
        };
        let behind =
            || contract.as_ref().map_or_else(|| "the first row".to_owned(), |id| format!("the row behind {id}"));
        let rows = readable(rows, found, || format!("table contracts: {}, and so what comes then,", behind()))?;
        let rows = rows.unwrap_or_default();
        for row in &rows {
            account_in(store, &row.contract.id, now, found).await?;
        }
        let Some(last) = rows.last() else { return Ok(()) };
        contract = Some(last.contract.id.clone());
    }
}

/// The users of one contract; one by one where one of them cannot be read, so that it is named.
async fn account_in(
    store: &dyn Store,
    contract: &ContractId,
    now: Timestamp,
    found: &mut Contradictions,
) -> Result<(), StoreError> {
    let mut user: Option<UserId> = None;
    loop {
        let rows = match store.users(contract, user.as_ref(), PAGE).await {
            Err(StoreError::Corrupt(_)) => store.users(contract, user.as_ref(), 1).await,
            rows => rows,
        };
        let behind = || user.as_ref().map_or_else(|| "the first".to_owned(), |id| format!("the one behind {id}"));
        let named = || format!("table users: of {contract} {}, and so what comes then,", behind());
        let rows = readable(rows, found, named)?.unwrap_or_default();
        for row in &rows {
            let all = of_row(store, row.user.clone(), now).await;
            let all = readable(all, found, || format!("table users: what is about {}", named_user(&row.user)))?;
            found.extend(all.unwrap_or_default());
        }
        let Some(last) = rows.last() else { return Ok(()) };
        user = Some(last.user.key.user.clone());
    }
}

/// Judges a row; anew when it is another by then.
async fn of_row(store: &dyn Store, mut user: User, now: Timestamp) -> Result<Vec<Contradiction>, StoreError> {
    let mut left = READINGS;
    loop {
        let logged = Logged::of(store, &user).await?;
        let mut found = logged.judge(&user);
        found.extend(of_status(store, &user, &logged, now).await?);
        left -= 1;
        if found.is_empty() || left == 0 {
            return Ok(found);
        }
        match store.find(&Ask::on(&user.key)).await?.user {
            Some(row) if row.user != user => user = row.user,
            _ => return Ok(found),
        }
    }
}

/// What the log says of a user.
#[derive(Debug, Default)]
struct Logged {
    /// They were registered.
    registered: bool,
    /// The last certificate that was completed for them.
    issued: Option<SerialNumber>,
    /// The record of the act that ended it.
    ended_by: Option<u64>,
    /// Where the last record of it leaves their standing, and which that is.
    standing: Option<(Standing, u64)>,
    /// A status was taken over since: a hold suspends, and its record does not say that it was one.
    taken_over: bool,
}

impl Logged {
    async fn of(store: &dyn Store, user: &User) -> Result<Self, StoreError> {
        let mut logged = Self::default();
        let held = match &user.certificate {
            Certificate::Held(held) => Some(held),
            Certificate::None | Certificate::Revoked(_) => None,
        };
        let see = |record: &Record| {
            logged.see(record, held);
            ControlFlow::Continue(())
        };
        history::of_user(store, &user.key, see).await?;
        Ok(logged)
    }

    /// The next record, which is older than those before.
    fn see(&mut self, record: &Record, held: Option<&Held>) {
        let command = &*record.entry.command;
        let standing = match command {
            "suspend" => Some(Standing::Suspended),
            "resume" => Some(Standing::Active),
            "delete" => Some(Standing::Deleted),
            _ => None,
        };
        self.standing = self.standing.or(standing.map(|standing| (standing, record.sequence)));
        match command {
            "register" => self.registered = true,
            "reconcile" => self.taken_over |= self.standing.is_none(),
            "complete" => self.issued = self.issued.or(record.entry.serial),
            _ => {}
        }
        let ends = match command {
            "delete" | "switch-off" => true,
            // What has expired is let be; what is under way is withdrawn then.
            "revoke" => held.is_some_and(|held| record.entry.at <= held.not_after),
            _ => false,
        };
        if ends && self.issued.is_none() {
            self.ended_by = self.ended_by.or(Some(record.sequence));
        }
    }

    /// Everything that a row has and the log has not.
    fn judge(&self, user: &User) -> Vec<Contradiction> {
        let row = |what: String| Arc::from(format!("table users: {} {what}", named_user(user)));
        let mut found = Vec::new();
        if !self.registered {
            found.push(Contradiction::Unrecorded(
                row("is there".to_owned()),
                "no record says that they were registered",
            ));
        }
        let slot = match &user.certificate {
            Certificate::None => None,
            Certificate::Held(held) => Some((held.serial, "holds")),
            Certificate::Revoked(revoked) => Some((revoked.serial, "held")),
        };
        if let Some((serial, holds)) = slot.filter(|(serial, _)| self.issued != Some(*serial)) {
            let lacking = "no record says that it is the last one that was issued to them";
            found.push(Contradiction::Unrecorded(row(format!("{holds} {serial}")), lacking));
        }
        found.extend(self.judge_standing(user, row));
        found
    }

    fn judge_standing(&self, user: &User, row: impl Fn(String) -> Arc<str>) -> Option<Contradiction> {
        let standing = self.standing.map_or(Standing::Active, |(standing, _)| standing);
        let was_taken_over = self.taken_over && standing == Standing::Active && user.standing == Standing::Suspended;
        if user.standing == standing || was_taken_over {
            return None;
        }
        let row = row(match user.standing {
            Standing::Active => "is active".to_owned(),
            Standing::Suspended => "is suspended".to_owned(),
            Standing::Deleted => "is deleted".to_owned(),
        });
        Some(match self.standing {
            Some((_, sequence)) => Contradiction::Otherwise(row, sequence),
            None => Contradiction::Unrecorded(row, "no record says so"),
        })
    }
}

/// Compares a row with the status of its certificate.
async fn of_status(
    store: &dyn Store,
    user: &User,
    logged: &Logged,
    now: Timestamp,
) -> Result<Option<Contradiction>, StoreError> {
    let by = || Arc::<str>::from(named_user(user));
    Ok(match &user.certificate {
        Certificate::None => None,
        Certificate::Revoked(revoked) => {
            let status = status(store, &revoked.serial).await?;
            let is_revoked = matches!(status, Some(Status::Revoked(_)));
            (!is_revoked).then(|| Contradiction::NotRevoked(revoked.serial, by()))
        }
        Certificate::Held(held) => {
            let row = |what: &str| Arc::from(format!("table users: {} {what} {}", by(), held.serial));
            match (status(store, &held.serial).await?, logged.ended_by) {
                (Some(Status::Revoked(_)), _) => Some(Contradiction::HeldAndRevoked(held.serial, by())),
                (_, Some(sequence)) => Some(Contradiction::Otherwise(row("holds"), sequence)),
                (Some(Status::Held), None) => None,
                (None | Some(Status::Released), None) => {
                    let is_free = user.standing == Standing::Suspended && user.live(now).is_some();
                    is_free.then(|| Contradiction::Unrecorded(row("is suspended and holds"), "no status holds it back"))
                }
            }
        }
    })
}

fn named_user(user: &User) -> String {
    format!("user {} of {}", user.key.user, user.key.contract)
}
