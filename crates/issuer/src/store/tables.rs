//! The tables, as `migrations/` makes them.

use super::statement::Kind::{Bytes, Int, Text};
use super::statement::Table;

pub(super) const CONTRACTS: Table = Table {
    name: "contracts",
    keys: 1,
    columns: &[
        ("id", Text),
        ("profile", Text),
        ("feature", Text),
        ("one_time_password", Text),
        ("wrong", Int),
        ("wrong_first_at", Int),
        ("wrong_locked_at", Int),
        ("since", Int),
    ],
};

pub(super) const USERS: Table = Table {
    name: "users",
    keys: 2,
    columns: &[
        ("contract", Text),
        ("id", Text),
        ("role", Text),
        ("standing", Text),
        ("locked_at", Int),
        ("locked_by", Text),
        ("wrong", Int),
        ("wrong_first_at", Int),
        ("wrong_locked_at", Int),
        ("wrong_acts", Int),
        ("wrong_acts_first_at", Int),
        ("wrong_acts_locked_at", Int),
        ("certificate", Text),
        ("serial", Bytes),
        ("not_before", Int),
        ("not_after", Int),
        ("issue_number", Int),
        ("registered_at", Int),
        ("revoked_at", Int),
        ("reason", Int),
        ("next", Text),
        ("next_serial", Bytes),
        ("issues", Int),
        ("offers", Int),
        ("name", Text),
        ("mail", Text),
        ("language", Text),
        ("since", Int),
    ],
};

pub(super) const CERTIFICATES: Table = Table {
    name: "certificates",
    keys: 1,
    columns: &[
        ("serial", Bytes),
        ("contract", Text),
        ("user_id", Text),
        ("authority", Text),
        ("common_name", Text),
        ("organizational_unit", Text),
        ("organization", Text),
        ("not_before", Int),
        ("not_after", Int),
        ("issue_number", Int),
        ("public_key", Bytes),
        ("begun_at", Int),
        ("der", Bytes),
        ("fingerprint", Bytes),
    ],
};

pub(super) const STATUSES: Table = Table {
    name: "statuses",
    keys: 1,
    columns: &[
        ("sequence", Int),
        ("authority", Text),
        ("serial", Bytes),
        ("status", Text),
        ("reason", Int),
        ("at", Int),
        ("not_after", Int),
    ],
};

pub(super) const UNIQUE_NAMES: Table = Table {
    name: "unique_names",
    keys: 2,
    columns: &[("scope", Text), ("name", Text), ("contract", Text), ("user_id", Text)],
};

pub(super) const AUDIT: Table = Table {
    name: "audit",
    keys: 1,
    columns: &[("sequence", Int), ("contract", Text), ("user_id", Text), ("text", Text), ("hash", Bytes)],
};

pub(super) const HEAD: Table = Table {
    name: "head",
    keys: 1,
    columns: &[("id", Int), ("sequence", Int), ("hash", Bytes), ("status", Int), ("notice", Int)],
};

pub(super) const OUTBOX: Table = Table {
    name: "outbox",
    keys: 1,
    columns: &[
        ("id", Int),
        ("once", Text),
        ("contract", Text),
        ("user_id", Text),
        ("about", Text),
        ("days", Int),
        ("serial", Bytes),
        ("not_after", Int),
        ("at", Int),
        ("due", Int),
        ("attempts", Int),
        ("sent_at", Int),
        ("mail", Text),
    ],
};

pub(super) const CREDENTIALS: Table = Table {
    name: "credentials",
    keys: 3,
    columns: &[("contract", Text), ("user_id", Text), ("factor", Text), ("verifier", Text)],
};

pub(super) const IDEMPOTENCY: Table = Table {
    name: "idempotency",
    keys: 2,
    columns: &[("caller", Text), ("key", Text), ("request", Bytes), ("user_id", Text), ("serial", Bytes), ("at", Int)],
};

pub(super) const ADDRESSES: Table = Table {
    name: "addresses",
    keys: 1,
    columns: &[("address", Text), ("wrong", Int), ("wrong_first_at", Int), ("wrong_locked_at", Int), ("last_at", Int)],
};
