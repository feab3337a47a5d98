-- For which authorities the feed is in force at a gateway: their issuer IDs in hex, with commas between. NULL: it did not
-- say.
ALTER TABLE feed_gateways ADD COLUMN follows TEXT;
