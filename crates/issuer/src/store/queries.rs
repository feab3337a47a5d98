//! Statements beside those of the writer. Every one finds its rows by an index.

use super::overlay;
use super::statement::Kind::{Bytes, Int, Rows, Text};
use super::statement::{Kind, Statement};
use super::tables::{AUDIT, CERTIFICATES, CONTRACTS, CREDENTIALS, OUTBOX, STATUSES, USERS};
use super::{batch, feed, names, prune};
use std::sync::LazyLock;

/// A statement that is put together when it is first wanted.
type Lazy = LazyLock<Statement>;

pub(super) static CONTRACTS_AFTER: Lazy = LazyLock::new(|| {
    statement(
        &format!("SELECT {} FROM contracts WHERE id > $1 ORDER BY id LIMIT $2", CONTRACTS.columns()),
        &[Text, Int],
    )
});
pub(super) static USERS_AFTER: Lazy = LazyLock::new(|| {
    let columns = USERS.columns();
    let words = format!("SELECT {columns} FROM users WHERE contract = $1 AND id > $2 ORDER BY id LIMIT $3");
    statement(&words, &[Text, Text, Int])
});
pub(super) static CERTIFICATE: Lazy = LazyLock::new(|| {
    statement(&format!("SELECT {} FROM certificates WHERE serial = $1", CERTIFICATES.columns()), &[Bytes])
});
pub(super) static CERTIFICATES_AFTER: Lazy = LazyLock::new(|| {
    let columns = CERTIFICATES.columns();
    statement(&format!("SELECT {columns} FROM certificates WHERE serial > $1 ORDER BY serial LIMIT $2"), &[Bytes, Int])
});
pub(super) static CERTIFICATE_BY_FINGERPRINT: Lazy = LazyLock::new(|| {
    let words = format!("SELECT {} FROM certificates WHERE fingerprint = $1 LIMIT 1", CERTIFICATES.columns());
    statement(&words, &[Bytes])
});
/// The index has only those who have something under way: few at any time. One without a certificate's row counts.
pub(super) static UNDER_WAY: Lazy = LazyLock::new(|| {
    let words = "SELECT u.contract, u.id FROM users u LEFT JOIN certificates c ON c.serial = u.next_serial
        WHERE u.next_serial IS NOT NULL AND coalesce(c.begun_at, $1 - 1) < $1 ORDER BY u.next_serial LIMIT $2";
    statement(words, &[Int, Int])
});
pub(super) static EXPIRING: Lazy = LazyLock::new(|| {
    let columns = USERS.columns();
    let words = format!(
        "SELECT {columns} FROM users WHERE certificate = 'held' AND not_after >= $1 AND not_after <= $2
        AND (not_after, contract, id) > ($3, $4, $5) ORDER BY not_after, contract, id LIMIT $6"
    );
    statement(&words, &[Int, Int, Int, Text, Text, Int])
});
pub(super) static STATUSES_AFTER: Lazy = LazyLock::new(|| {
    let columns = STATUSES.columns();
    statement(&format!("SELECT {columns} FROM statuses WHERE sequence > $1 ORDER BY sequence LIMIT $2"), &[Int, Int])
});
pub(super) static STATUS: Lazy = LazyLock::new(|| {
    let columns = STATUSES.columns();
    let words = format!("SELECT {columns} FROM statuses WHERE serial = $1 ORDER BY sequence DESC LIMIT 1");
    statement(&words, &[Bytes])
});
/// Numbers are no less than the database's time in milliseconds: after a restore from a backup they go on above all that were given before it, of
/// which the store knows nothing (RFC 5280 section 5.2.3: they only grow).
pub(super) static TAKE_LIST_NUMBER: Lazy = LazyLock::new(|| {
    let words = "INSERT INTO lists (authority, part, number, this_update) VALUES ($1, $2, {now}, $3)
        ON CONFLICT (authority, part) DO UPDATE SET this_update = excluded.this_update,
        number = CASE WHEN lists.number < excluded.number THEN excluded.number ELSE lists.number + 1 END
        RETURNING number";
    statement(words, &[Text, Int, Int])
});
/// It was published, whatever the store knows of it.
pub(super) static RAISE_LIST_NUMBER: Lazy = LazyLock::new(|| {
    let words = "INSERT INTO lists (authority, part, number, this_update) VALUES ($1, $2, $3, $4)
        ON CONFLICT (authority, part) DO UPDATE SET
        number = CASE WHEN lists.number < excluded.number THEN excluded.number ELSE lists.number END,
        this_update = CASE WHEN lists.this_update < excluded.this_update
            THEN excluded.this_update ELSE lists.this_update END";
    statement(words, &[Text, Int, Int, Int])
});
pub(super) static REDATE_LISTS: Lazy =
    LazyLock::new(|| statement("UPDATE lists SET this_update = $1 WHERE this_update > $1", &[Int]));
pub(super) static CLOCK: Lazy = LazyLock::new(|| statement("SELECT CAST({now} AS BIGINT)", &[]));
pub(super) static LIST_NUMBERS: Lazy = LazyLock::new(|| {
    statement("SELECT part, number, this_update FROM lists WHERE authority = $1 ORDER BY part", &[Text])
});
pub(super) static HEAD: Lazy = LazyLock::new(|| statement("SELECT sequence, hash FROM head WHERE id = 1", &[]));
pub(super) static AUDIT_FROM: Lazy = LazyLock::new(|| {
    let columns = AUDIT.columns();
    statement(&format!("SELECT {columns} FROM audit WHERE sequence >= $1 ORDER BY sequence LIMIT $2"), &[Int, Int])
});
pub(super) static HISTORY_OF_CONTRACT: Lazy = LazyLock::new(|| {
    let columns = AUDIT.columns();
    let words =
        format!("SELECT {columns} FROM audit WHERE contract = $1 AND sequence < $2 ORDER BY sequence DESC LIMIT $3");
    statement(&words, &[Text, Int, Int])
});
pub(super) static HISTORY_OF_USER: Lazy = LazyLock::new(|| {
    let columns = AUDIT.columns();
    let words = format!(
        "SELECT {columns} FROM audit WHERE contract = $1 AND user_id = $2 AND sequence < $3
        ORDER BY sequence DESC LIMIT $4"
    );
    statement(&words, &[Text, Text, Int, Int])
});
pub(super) static CREDENTIALS_OF: Lazy = LazyLock::new(|| {
    let columns = CREDENTIALS.columns();
    let words = format!("SELECT {columns} FROM credentials WHERE contract = $1 AND user_id IN ('', $2)");
    statement(&words, &[Text, Text])
});
pub(super) static USE_TIME_STEP: Lazy = LazyLock::new(|| {
    let words = "INSERT INTO time_steps (contract, user_id, step) VALUES ($1, $2, $3)
        ON CONFLICT (contract, user_id) DO UPDATE SET step = excluded.step WHERE excluded.step > time_steps.step";
    statement(words, &[Text, Text, Int])
});
/// Rows that another node takes at this moment are passed over.
pub(super) static TAKE_NOTICES: Lazy = LazyLock::new(|| {
    let words = "UPDATE outbox SET due = $2 WHERE id IN
        (SELECT id FROM outbox WHERE due IS NOT NULL AND due <= $1 ORDER BY due, id LIMIT $3 {skip locked})
        RETURNING id";
    statement(words, &[Int, Int, Int])
});
pub(super) static NOTICES_BY_ID: Lazy = LazyLock::new(|| {
    let words = format!("{}{NOTICE_JOINS} WHERE o.id = {{0:int}} ORDER BY o.id", notices("{each} CROSS JOIN outbox o"));
    statement(&words, &[Rows])
});
pub(super) static NOTICE_SENT: Lazy = LazyLock::new(|| {
    let words = "UPDATE outbox SET sent_at = $2, due = NULL, attempts = attempts + 1, failure = NULL
        WHERE id = $1 AND sent_at IS NULL";
    statement(words, &[Int, Int])
});
pub(super) static NOTICE_FAILED: Lazy = LazyLock::new(|| {
    let words = "UPDATE outbox SET due = $2, attempts = attempts + 1, failure = $3 WHERE id = $1 AND sent_at IS NULL";
    statement(words, &[Int, Int, Text])
});
pub(super) static NOTICES_OF: Lazy = LazyLock::new(|| {
    let words = format!(
        "{}{NOTICE_JOINS} WHERE o.contract = $1 AND o.user_id = $2 ORDER BY o.id DESC LIMIT $3",
        notices("outbox o")
    );
    statement(&words, &[Text, Text, Int])
});

/// Whom a notice goes to need not be there any more.
const NOTICE_JOINS: &str = " LEFT JOIN contracts c ON c.id = o.contract
    LEFT JOIN users u ON u.contract = o.contract AND u.id = o.user_id";

fn notices(from: &str) -> String {
    let columns = OUTBOX.columns_of("o");
    format!("SELECT {columns}, coalesce(c.profile, ''), u.name, u.mail, coalesce(u.language, 'ja') FROM {from}")
}

fn statement(words: &str, parameters: &'static [Kind]) -> Statement {
    Statement::new(words, parameters)
}

/// Every statement that looks for rows.
pub(super) fn all() -> [(&'static str, &'static Statement); 37] {
    [
        ("contracts by ID", &overlay::CONTRACTS_BY_ID),
        ("users by ID", &overlay::USERS_BY_ID),
        ("users concerned", &overlay::USERS_CONCERNED),
        ("addresses", &overlay::ADDRESSES_BY_ADDRESS),
        ("idempotency keys", &overlay::IDEMPOTENCY_BY_KEY),
        ("names", &overlay::NAMES_BY_NAME),
        ("holder of a name", &names::HOLDER),
        ("public keys", &overlay::PUBLIC_KEYS),
        ("serials", &batch::SERIALS),
        ("completion", &batch::COMPLETE),
        ("lock of the head", &batch::LOCK_HEAD),
        ("old requests", &prune::OLD_REQUESTS),
        ("old addresses", &prune::OLD_ADDRESSES),
        ("old acknowledgements", &prune::OLD_ACKNOWLEDGEMENTS),
        ("settled lists", &feed::SETTLE),
        ("feed", &feed::FEED),
        ("gateways", &feed::GATEWAYS),
        ("status written", &feed::WRITTEN),
        ("contracts after", &CONTRACTS_AFTER),
        ("users after", &USERS_AFTER),
        ("certificate", &CERTIFICATE),
        ("certificates after", &CERTIFICATES_AFTER),
        ("certificate by fingerprint", &CERTIFICATE_BY_FINGERPRINT),
        ("under way", &UNDER_WAY),
        ("expiring", &EXPIRING),
        ("statuses after", &STATUSES_AFTER),
        ("status", &STATUS),
        ("list numbers", &LIST_NUMBERS),
        ("audit from", &AUDIT_FROM),
        ("history of a contract", &HISTORY_OF_CONTRACT),
        ("history of a user", &HISTORY_OF_USER),
        ("credentials", &CREDENTIALS_OF),
        ("take notices", &TAKE_NOTICES),
        ("notices by ID", &NOTICES_BY_ID),
        ("notice sent", &NOTICE_SENT),
        ("notice failed", &NOTICE_FAILED),
        ("notices of a user", &NOTICES_OF),
    ]
}
