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
