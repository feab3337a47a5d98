-- BIGINT, BYTEA and TEXT read as INTEGER, BLOB and TEXT in SQLite; what stands in {sqlite ...} is SQLite's alone. Texts are
-- compared by their octets in both. Times are seconds since 1970.

CREATE TABLE contracts (
    id TEXT PRIMARY KEY,
    profile TEXT NOT NULL,
    feature TEXT NOT NULL,
    one_time_password TEXT NOT NULL,
    wrong BIGINT NOT NULL,
    wrong_first_at BIGINT,
    wrong_locked_at BIGINT,
    since BIGINT NOT NULL
) {sqlite STRICT, WITHOUT ROWID};

-- One row a user, one certificate slot a row: two live certificates cannot be written down.
CREATE TABLE users (
    contract TEXT NOT NULL REFERENCES contracts (id),
    id TEXT NOT NULL,
    role TEXT NOT NULL,
    standing TEXT NOT NULL,
    locked_at BIGINT,
    locked_by TEXT,
    wrong BIGINT NOT NULL,
    wrong_first_at BIGINT,
    wrong_locked_at BIGINT,
    certificate TEXT NOT NULL,
    serial BYTEA,
    not_before BIGINT,
    not_after BIGINT,
    issue_number BIGINT,
    registered_at BIGINT,
    revoked_at BIGINT,
    reason BIGINT,
    -- What is under way, as JSON, and the serial in it.
    next TEXT,
    next_serial BYTEA,
    issues BIGINT NOT NULL,
    offers BIGINT NOT NULL,
    name TEXT,
    mail TEXT,
    language TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (contract, id)
) {sqlite STRICT, WITHOUT ROWID};
CREATE INDEX users_who_hold ON users (not_after, contract, id) WHERE certificate = 'held';
CREATE INDEX users_under_way ON users (next_serial) WHERE next_serial IS NOT NULL;
CREATE INDEX users_concerned ON users (contract, id) WHERE certificate = 'held' OR next IS NOT NULL;

-- Rows are never taken out: the primary key is what keeps a serial from coming twice.
CREATE TABLE certificates (
    serial BYTEA PRIMARY KEY,
    contract TEXT NOT NULL,
    user_id TEXT NOT NULL,
    authority TEXT NOT NULL,
    common_name TEXT NOT NULL,
    organizational_unit TEXT,
    organization TEXT,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    issue_number BIGINT NOT NULL,
    public_key BYTEA NOT NULL,
    begun_at BIGINT NOT NULL,
    der BYTEA,
    fingerprint BYTEA,
    FOREIGN KEY (contract, user_id) REFERENCES users (contract, id)
) {sqlite STRICT};
CREATE INDEX certificates_public_key ON certificates (public_key);
CREATE INDEX certificates_fingerprint ON certificates (fingerprint) WHERE fingerprint IS NOT NULL;

CREATE TABLE statuses (
    sequence BIGINT PRIMARY KEY,
    authority TEXT NOT NULL,
    serial BYTEA NOT NULL,
    status TEXT NOT NULL,
    reason BIGINT,
    at BIGINT NOT NULL,
    not_after BIGINT NOT NULL
) {sqlite STRICT};
CREATE INDEX statuses_serial ON statuses (serial, sequence);

CREATE TABLE lists (
    authority TEXT NOT NULL,
    part BIGINT NOT NULL,
    number BIGINT NOT NULL,
    this_update BIGINT NOT NULL,
    PRIMARY KEY (authority, part)
) {sqlite STRICT, WITHOUT ROWID};

CREATE TABLE audit (
    sequence BIGINT PRIMARY KEY,
    contract TEXT NOT NULL,
    user_id TEXT,
    text TEXT NOT NULL,
    hash BYTEA NOT NULL
) {sqlite STRICT};
CREATE INDEX audit_contract ON audit (contract, sequence);
CREATE INDEX audit_user ON audit (contract, user_id, sequence) WHERE user_id IS NOT NULL;

-- One row. Whoever writes takes its lock first: the chain has no forks, and numbers are given in the order of commits.
CREATE TABLE head (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    sequence BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    status BIGINT NOT NULL,
    notice BIGINT NOT NULL
) {sqlite STRICT};

INSERT INTO head (id, sequence, hash, status, notice) VALUES (1, 0, {zeros}, 0, 0);

CREATE TABLE outbox (
    id BIGINT PRIMARY KEY,
    once TEXT NOT NULL UNIQUE,
    contract TEXT NOT NULL,
    user_id TEXT NOT NULL,
    about TEXT NOT NULL,
    days BIGINT,
    serial BYTEA,
    not_after BIGINT,
    at BIGINT NOT NULL,
    -- Not before; a node that takes it moves it on for as long as its lease. NULL: sent or given up.
    due BIGINT,
    attempts BIGINT NOT NULL,
    sent_at BIGINT,
    failure TEXT
) {sqlite STRICT};
CREATE INDEX outbox_due ON outbox (due, id) WHERE due IS NOT NULL;
CREATE INDEX outbox_user ON outbox (contract, user_id, id);

CREATE TABLE credentials (
    contract TEXT NOT NULL REFERENCES contracts (id),
    -- Empty: the contract's own.
    user_id TEXT NOT NULL,
    factor TEXT NOT NULL,
    verifier TEXT NOT NULL,
    PRIMARY KEY (contract, user_id, factor)
) {sqlite STRICT, WITHOUT ROWID};

CREATE TABLE time_steps (
    contract TEXT NOT NULL,
    user_id TEXT NOT NULL,
    step BIGINT NOT NULL,
    PRIMARY KEY (contract, user_id)
) {sqlite STRICT, WITHOUT ROWID};

CREATE TABLE idempotency (
    caller TEXT NOT NULL,
    key TEXT NOT NULL,
    request BYTEA NOT NULL,
    user_id TEXT,
    serial BYTEA,
    at BIGINT NOT NULL,
    PRIMARY KEY (caller, key)
) {sqlite STRICT, WITHOUT ROWID};
CREATE INDEX idempotency_at ON idempotency (at);

CREATE TABLE addresses (
    address TEXT PRIMARY KEY,
    wrong BIGINT NOT NULL,
    wrong_first_at BIGINT,
    wrong_locked_at BIGINT,
    -- The later of the two.
    last_at BIGINT NOT NULL
) {sqlite STRICT, WITHOUT ROWID};
CREATE INDEX addresses_last_at ON addresses (last_at);
