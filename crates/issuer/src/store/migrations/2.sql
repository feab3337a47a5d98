-- The feed of revocations. Times ending in _ms are milliseconds since 1970 by the database's own clock, one for all nodes.

-- When a change of status was written, just before its commit. NULL: before there was a feed.
ALTER TABLE statuses ADD COLUMN written_ms BIGINT;

-- Every list of a part from settled_number on has every change of that part up to settled_sequence.
ALTER TABLE lists ADD COLUMN settled_number BIGINT;
ALTER TABLE lists ADD COLUMN settled_sequence BIGINT;

-- One row: which store this is. Sequence numbers of another mean nothing.
CREATE TABLE feed (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    feed TEXT NOT NULL
) {sqlite STRICT};

INSERT INTO feed (id, feed) VALUES (1, {random});

-- Gateways that ever followed, by the name of their service.
CREATE TABLE feed_gateways (
    name TEXT PRIMARY KEY,
    seen_ms BIGINT NOT NULL,
    -- Until when a node counts on its stream, renewed while it lasts; and which node.
    connected_until_ms BIGINT,
    node TEXT
) {sqlite STRICT, WITHOUT ROWID};
CREATE INDEX feed_gateways_seen ON feed_gateways (seen_ms);

-- From when on a gateway had every change up to a sequence number in force.
CREATE TABLE feed_acknowledgements (
    gateway TEXT NOT NULL,
    to_sequence BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (gateway, to_sequence)
) {sqlite STRICT, WITHOUT ROWID};
CREATE INDEX feed_acknowledgements_at ON feed_acknowledgements (at_ms);
