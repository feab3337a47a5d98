//! One transaction for all the acts that wait: read for all of them, decide one after the other, write for all of them.
//!
//! However many acts there are, the statements are as many as there are kinds of records; only acts that come back to
//! what an act of the same batch is about to sign cost one more.

use super::columns;
use super::database::{Database, On, Transaction};
use super::overlay::{Overlay, each};
use super::statement::{Kind, Statement, There, rows};
use super::tables::{AUDIT, CERTIFICATES, CREDENTIALS, HEAD, OUTBOX, STATUSES};
use super::value::{Corrupt, Value};
use super::{Ask, Committed, Decide, Everyone, IdempotencyKey, StoreError, Write, feed, user_columns, words};
use crate::audit::{self, Head};
use crate::secret::ServiceSecret;
use sekisho_lifecycle::{ContractId, UserKey};
use sekisho_pki::serial::SerialNumber;
use sekisho_pki::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::time::timeout;

/// How long a transaction, and then its commit, may take: a database that hangs longer is gone.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A batch that is committed.
pub(super) struct Written {
    /// How each of its acts ended.
    pub(super) outcomes: Vec<Result<Committed, StoreError>>,
    /// The newest time in its audit records.
    pub(super) newest: Option<Timestamp>,
    /// Whether a status was changed.
    pub(super) statuses: Touches,
}

/// Whether a batch has changes of status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Touches {
    Statuses,
    NoStatus,
}

/// Does the acts in one transaction, in their order.
///
/// # Errors
/// Nothing of any act was written, but for [`StoreError::Unknown`].
pub(super) async fn write(
    database: &Database,
    secret: &ServiceSecret,
    acts: Vec<(Ask, Decide)>,
) -> Result<Written, StoreError> {
    let decided = async {
        let mut transaction = database.transaction().await?;
        let written = write_in(&mut transaction, secret, acts).await?;
        Ok((transaction, written))
    };
    let hangs = || Arc::from("the database hangs");
    let decided = timeout(TIMEOUT, decided).await.unwrap_or_else(|_| Err(StoreError::Unavailable(hangs())));
    let (transaction, written) = decided?;
    timeout(TIMEOUT, transaction.commit()).await.unwrap_or_else(|_| Err(StoreError::Unknown(hangs())))?;
    Ok(written)
}

async fn write_in(
    transaction: &mut Transaction,
    secret: &ServiceSecret,
    acts: Vec<(Ask, Decide)>,
) -> Result<Written, StoreError> {
    let mut on = transaction.on();
    let mut ends = Ends::lock(&mut on).await?;
    let asks: Vec<&Ask> = acts.iter().map(|(ask, _)| ask).collect();
    let mut batch = Batch { overlay: Overlay::read(&mut on, &asks).await?, ..Batch::default() };
    for (ask, decide) in acts {
        batch.act(&mut on, ask, decide).await?;
    }
    batch.settle(&mut on).await?;
    let before = ends.status;
    batch.put(&mut on, secret, &mut ends).await?;
    let entries = batch.done.iter().filter_map(|done| done.as_ref().ok()).flat_map(|write| &write.audit);
    let newest = entries.map(|entry| entry.at).max();
    let statuses = if ends.status > before { Touches::Statuses } else { Touches::NoStatus };
    if statuses == Touches::Statuses {
        // Other nodes hear of it when this commits, and not if it does not.
        feed::tell(&mut on, feed::Told::Statuses).await?;
    }
    Ok(Written { outcomes: committed(batch.done, before), newest, statuses })
}

/// What each act is told: the number of its last change of status. They were given in the order of the acts.
fn committed(done: Vec<Result<Write, StoreError>>, mut last: u64) -> Vec<Result<Committed, StoreError>> {
    let mut one = |write: Write| {
        last = last.saturating_add(write.statuses.len() as u64);
        Committed { status: (!write.statuses.is_empty()).then_some(last) }
    };
    done.into_iter().map(|done| done.map(&mut one)).collect()
}

/// Where the chain and the growing numbers end.
struct Ends {
    head: Head,
    status: u64,
    notice: u64,
}

impl Ends {
    /// Reads them under the lock that all writers take first.
    async fn lock(on: &mut On<'_>) -> Result<Self, StoreError> {
        let mut found = on.rows(&LOCK_HEAD, Vec::new()).await?;
        let mut row = found.pop().ok_or(Corrupt("the head of the audit log is missing"))?;
        let _id = row.int()?;
        let head = Head { sequence: words::u64(row.int()?)?, hash: words::digest(&mut row)? };
        Ok(Self { head, status: words::u64(row.int()?)?, notice: words::u64(row.int()?)? })
    }

    fn columns(&self) -> Vec<Value> {
        let number = |number: u64| Value::Int(words::int(number));
        vec![
            1.into(),
            number(self.head.sequence),
            self.head.hash.as_slice().into(),
            number(self.status),
            number(self.notice),
        ]
    }
}

/// Acts on their way.
#[derive(Default)]
struct Batch {
    overlay: Overlay,
    /// What became of each act, in their order; one whose serial is not yet looked up is in `pending` besides.
    done: Vec<Result<Write, StoreError>>,
    /// Acts that begin or complete a certificate, with what they asked for: not in the overlay until it is known that
    /// the serial is new.
    pending: Vec<(usize, Ask)>,
    /// What those wrote.
    pending_keys: BTreeSet<Touched>,
    /// Serials of this batch: whether they are completed.
    serials: BTreeMap<SerialNumber, bool>,
}

/// What an act reads or writes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Touched {
    Contract(ContractId),
    Users(ContractId),
    User(UserKey),
    Address(Arc<str>),
    PublicKey([u8; 32]),
    Idempotency(IdempotencyKey),
    Serial(SerialNumber),
}

impl Batch {
    /// Lets an act decide.
    async fn act(&mut self, on: &mut On<'_>, ask: Ask, decide: Decide) -> Result<(), StoreError> {
        if asked(&ask).any(|key| self.pending_keys.contains(&key)) {
            self.settle(on).await?;
        }
        let found = self.overlay.found(&ask);
        // The overlay is not in its hands: when it panics nothing is half-done.
        let Ok(write) = catch_unwind(AssertUnwindSafe(|| decide(&found))) else {
            self.done.push(Err(StoreError::Unavailable("the act panicked".into())));
            return Ok(());
        };
        if has_nul(&write) {
            self.done.push(Err(StoreError::Unavailable("a text with a NUL".into())));
            return Ok(());
        }
        let keys: Vec<Touched> = written(&ask, &write).collect();
        if keys.iter().any(|key| self.pending_keys.contains(key)) {
            self.settle(on).await?;
        }
        if write.intent.is_some() || write.certificate.is_some() {
            self.pending_keys.extend(keys);
            self.pending.push((self.done.len(), ask));
            self.done.push(Ok(write));
        } else {
            self.done.push(self.overlay.apply(&ask, &write).map(|()| write).map_err(Into::into));
        }
        Ok(())
    }

    /// Looks up the serials of pending acts: those that are new go into the overlay, the others end here.
    async fn settle(&mut self, on: &mut On<'_>) -> Result<(), StoreError> {
        self.pending_keys.clear();
        let pending = std::mem::take(&mut self.pending);
        let writes = pending.iter().filter_map(|(index, _)| self.done.get(*index)?.as_ref().ok());
        let serials: BTreeSet<_> =
            writes.flat_map(serials).filter(|serial| !self.serials.contains_key(serial)).collect();
        for mut row in each(on, &SERIALS, serials.iter().map(|serial| vec![serial.as_bytes().into()])).await? {
            self.serials.insert(words::serial(&row.bytes()?)?, row.int()? != 0);
        }
        for (index, ask) in pending {
            let Some(done) = self.done.get_mut(index) else { continue };
            let Ok(write) = done else { continue };
            if let Err(error) = self.serials.take(write).and_then(|()| Ok(self.overlay.apply(&ask, write)?)) {
                *done = Err(error);
            }
        }
        Ok(())
    }

    /// Writes what the acts gave, a statement for each kind.
    async fn put(&self, on: &mut On<'_>, secret: &ServiceSecret, ends: &mut Ends) -> Result<(), StoreError> {
        let writes: Vec<&Write> = self.done.iter().filter_map(|done| done.as_ref().ok()).collect();
        for (statement, changed) in self.overlay.changed() {
            put(on, statement, changed).await?;
        }
        let intents = writes.iter().filter_map(|write| write.intent.as_ref());
        put(on, &PUT_CERTIFICATES, intents.map(columns::certificate).collect()).await?;
        let completed = writes.iter().filter_map(|write| write.certificate.as_ref());
        put(on, &COMPLETE, completed.map(columns::completed).collect()).await?;
        let statuses = writes.iter().flat_map(|write| &write.statuses);
        put(on, &PUT_STATUSES, statuses.map(|change| columns::status(next(&mut ends.status), change)).collect())
            .await?;
        let notices = writes.iter().flat_map(|write| &write.notices);
        put(on, &PUT_NOTICES, notices.map(|notice| columns::notice(next(&mut ends.notice), notice)).collect()).await?;
        // The last one of a factor counts; a statement may not touch a row twice.
        let credentials = writes.iter().flat_map(|write| &write.credentials).map(columns::credential);
        let credentials: BTreeMap<_, _> = credentials.map(|row| (row.get(..3).map(<[_]>::to_vec), row)).collect();
        put(on, &PUT_CREDENTIALS, credentials.into_values().collect()).await?;
        let entries = writes.iter().flat_map(|write| &write.audit);
        let records = entries.map(|entry| columns::record(&audit::append(secret, &mut ends.head, entry)));
        put(on, &PUT_AUDIT, records.collect()).await?;
        put(on, &PUT_HEAD, vec![ends.columns()]).await
    }
}

/// Takes the serials of a write into use.
trait Take {
    fn take(&mut self, write: &Write) -> Result<(), StoreError>;
}

impl Take for BTreeMap<SerialNumber, bool> {
    fn take(&mut self, write: &Write) -> Result<(), StoreError> {
        let begun = write.intent.as_ref().map(|row| row.intent.serial);
        if begun.is_some_and(|serial| self.contains_key(&serial)) {
            return Err(StoreError::SerialTaken);
        }
        let completed = write.certificate.as_ref().map(|row| row.serial);
        if completed.is_some_and(|serial| self.get(&serial) != Some(&false) && begun != Some(serial)) {
            return Err(Corrupt("a certificate that was never begun or is complete was completed").into());
        }
        let der_of_intent = write.intent.as_ref().is_some_and(|row| row.der.is_some());
        self.extend(begun.map(|serial| (serial, der_of_intent)));
        self.extend(completed.map(|serial| (serial, true)));
        Ok(())
    }
}

async fn put(on: &mut On<'_>, statement: &'static Statement, values: Vec<Vec<Value>>) -> Result<(), StoreError> {
    if !values.is_empty() {
        on.execute(statement, vec![rows(values.iter().map(Vec::as_slice))]).await?;
    }
    Ok(())
}

/// The number after it. 2^64 changes do not come.
fn next(last: &mut u64) -> u64 {
    *last = last.saturating_add(1);
    *last
}

fn serials(write: &Write) -> impl Iterator<Item = SerialNumber> {
    let begun = write.intent.as_ref().map(|row| row.intent.serial);
    begun.into_iter().chain(write.certificate.as_ref().map(|row| row.serial))
}

/// What an act reads.
fn asked(ask: &Ask) -> impl Iterator<Item = Touched> {
    let target = ask.user.as_ref().map(|user| UserKey { contract: ask.contract.clone(), user: user.clone() });
    let everyone = (ask.everyone == Everyone::WithCertificates).then(|| Touched::Users(ask.contract.clone()));
    [
        Some(Touched::Contract(ask.contract.clone())),
        target.map(Touched::User),
        ask.actor.clone().map(Touched::User),
        ask.address.clone().map(Touched::Address),
        ask.public_key.map(Touched::PublicKey),
        ask.idempotency.clone().map(Touched::Idempotency),
        everyone,
    ]
    .into_iter()
    .flatten()
}

/// What an act writes and others could read.
fn written(ask: &Ask, write: &Write) -> impl Iterator<Item = Touched> {
    let users = write.users.iter().map(|row| &row.user.key);
    let users = users.flat_map(|key| [Touched::User(key.clone()), Touched::Users(key.contract.clone())]);
    let others = [
        write.contract.as_ref().map(|row| Touched::Contract(row.contract.id.clone())),
        write.address.and_then(|_| ask.address.clone()).map(Touched::Address),
        write.intent.as_ref().map(|row| Touched::PublicKey(row.public_key)),
        write.idempotency.as_ref().map(|row| Touched::Idempotency(row.key.clone())),
    ];
    users.chain(others.into_iter().flatten()).chain(serials(write).map(Touched::Serial))
}

/// PostgreSQL keeps no NUL in a text: one act's would fail the whole batch.
fn has_nul(write: &Write) -> bool {
    let rows = write.contract.iter().map(columns::contract);
    let rows = rows.chain(write.users.iter().map(user_columns::encode));
    let rows = rows.chain(write.intent.iter().map(columns::certificate));
    let rows = rows.chain(write.statuses.iter().map(|change| columns::status(0, change)));
    let rows = rows.chain(write.notices.iter().map(|notice| columns::notice(0, notice)));
    let rows = rows.chain(write.credentials.iter().map(columns::credential));
    let mut rows = rows.chain(write.idempotency.iter().map(columns::idempotency));
    rows.any(|row| row.iter().any(|value| matches!(value, Value::Text(text) if text.contains('\0'))))
}

pub(super) static LOCK_HEAD: LazyLock<Statement> = LazyLock::new(|| {
    let words = format!("SELECT {} FROM head WHERE id = 1 {{for update}}", HEAD.columns());
    Statement::new(&words, &[])
});
pub(super) static SERIALS: LazyLock<Statement> = LazyLock::new(|| {
    let words = "SELECT t.serial, CASE WHEN t.der IS NULL THEN 0 ELSE 1 END
        FROM {each} CROSS JOIN certificates t WHERE t.serial = {0:bytes}";
    Statement::new(words, &[Kind::Rows])
});
pub(super) static COMPLETE: LazyLock<Statement> = LazyLock::new(|| {
    let words = "UPDATE certificates SET der = {1:bytes}, fingerprint = {2:bytes} FROM {each} WHERE serial = {0:bytes}";
    Statement::new(words, &[Kind::Rows])
});
static PUT_CERTIFICATES: LazyLock<Statement> = LazyLock::new(|| Statement::insert(&CERTIFICATES, There::Fails));
/// A certificate's status is its own authority's to publish, also when its profile has moved to another since.
static PUT_STATUSES: LazyLock<Statement> = LazyLock::new(|| {
    let its_own = "COALESCE((SELECT c.authority FROM certificates c WHERE c.serial = {2:bytes}), {1:text})";
    let values = STATUSES.values().replace("{1:text}", its_own);
    let columns = STATUSES.columns();
    let words =
        format!("INSERT INTO statuses ({columns}, written_ms) SELECT {values}, {{now}} FROM {{each}} WHERE true");
    Statement::new(&words, &[Kind::Rows])
});
static PUT_NOTICES: LazyLock<Statement> = LazyLock::new(|| Statement::insert(&OUTBOX, There::Stays("once")));
static PUT_CREDENTIALS: LazyLock<Statement> = LazyLock::new(|| Statement::insert(&CREDENTIALS, There::Replaced));
static PUT_AUDIT: LazyLock<Statement> = LazyLock::new(|| Statement::insert(&AUDIT, There::Fails));
static PUT_HEAD: LazyLock<Statement> = LazyLock::new(|| Statement::insert(&HEAD, There::Replaced));
