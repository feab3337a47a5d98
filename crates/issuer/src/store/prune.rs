//! What is old and of no use any more is taken out, a little at a time.

use super::StoreError;
use super::batch::LOCK_HEAD;
use super::database::Database;
use super::statement::{Kind, Statement};
use sekisho_pki::time::Timestamp;
use std::sync::LazyLock;

/// How long a repeat of a request finds what the first one left: a day, and an hour for clocks that differ.
const IDEMPOTENCY_SECONDS: i64 = 90_000;

/// How long after its last wrong try or lock an address is forgotten: longer than any window or lock with an end, and
/// an address that was locked for ever is by then another's.
const ADDRESS_SECONDS: i64 = 400 * 86_400;

/// How long it is kept when a gateway had what in force: a month.
pub(super) const ACKNOWLEDGEMENT_SECONDS: i64 = 30 * 86_400;

/// Rows that are taken out in one go, at most: the writer waits for it.
const AT_A_TIME: i64 = 1_024;

/// Takes out what is old at `now`.
pub(super) async fn prune(database: &Database, now: Timestamp) -> Result<(), StoreError> {
    let mut transaction = database.transaction().await?;
    let mut on = transaction.on();
    // As every writer: rows that two nodes touch are touched one node after the other.
    on.rows(&LOCK_HEAD, Vec::new()).await?;
    for (statement, seconds) in [(&*OLD_REQUESTS, IDEMPOTENCY_SECONDS), (&*OLD_ADDRESSES, ADDRESS_SECONDS)] {
        on.execute(statement, vec![now.plus_seconds(-seconds).unix().into(), AT_A_TIME.into()]).await?;
    }
    let old = now.plus_seconds(-ACKNOWLEDGEMENT_SECONDS).unix().saturating_mul(1_000);
    on.execute(&OLD_ACKNOWLEDGEMENTS, vec![old.into(), AT_A_TIME.into()]).await?;
    transaction.commit().await
}

pub(super) static OLD_REQUESTS: LazyLock<Statement> = LazyLock::new(|| {
    let words = "DELETE FROM idempotency WHERE (caller, key) IN
        (SELECT caller, key FROM idempotency WHERE at < $1 ORDER BY at LIMIT $2)";
    Statement::new(words, &[Kind::Int, Kind::Int])
});
pub(super) static OLD_ADDRESSES: LazyLock<Statement> = LazyLock::new(|| {
    let words = "DELETE FROM addresses WHERE address IN
        (SELECT address FROM addresses WHERE last_at < $1 ORDER BY last_at LIMIT $2)";
    Statement::new(words, &[Kind::Int, Kind::Int])
});
/// The last one of a gateway stays: it says what the gateway has.
pub(super) static OLD_ACKNOWLEDGEMENTS: LazyLock<Statement> = LazyLock::new(|| {
    let words = "DELETE FROM feed_acknowledgements WHERE (gateway, to_sequence) IN
        (SELECT a.gateway, a.to_sequence FROM feed_acknowledgements a WHERE a.at_ms < $1
        AND a.to_sequence < (SELECT max(b.to_sequence) FROM feed_acknowledgements b WHERE b.gateway = a.gateway)
        ORDER BY a.at_ms LIMIT $2)";
    Statement::new(words, &[Kind::Int, Kind::Int])
});
