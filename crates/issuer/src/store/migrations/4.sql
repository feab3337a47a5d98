-- Names that one user has of all in a scope: `login/PROFILE` with the login ID, where login IDs are unique in the product, and
-- `role/CONTRACT` with the role, where certificates of the role do not name the user. Rows are never taken out: a login ID
-- stays that of a user who was deleted. That of the empty name says that the users who were there before have theirs.
CREATE TABLE unique_names (
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    contract TEXT NOT NULL,
    user_id TEXT NOT NULL,
    PRIMARY KEY (scope, name)
) {sqlite STRICT, WITHOUT ROWID};

-- Wrong factors of acts with the certificate that lives, apart from those of acquisitions, which anybody can try.
ALTER TABLE users ADD COLUMN wrong_acts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN wrong_acts_first_at BIGINT;
ALTER TABLE users ADD COLUMN wrong_acts_locked_at BIGINT;

-- Where a notice goes, if not to the address that the user has now.
ALTER TABLE outbox ADD COLUMN mail TEXT;
