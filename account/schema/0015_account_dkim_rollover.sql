-- Keys that come and go: a next key is published before it signs, and a retired
-- one stays published until what it signed has arrived. dns/rollover has the
-- table of states. The keys of before all sign, or did.
ALTER TABLE dkim_key ADD COLUMN seen INTEGER;      -- the world sees the record since, of a key that does not sign yet
ALTER TABLE dkim_key ADD COLUMN live INTEGER;      -- signs since
ALTER TABLE dkim_key ADD COLUMN withdrawn INTEGER; -- the record is to go since
UPDATE dkim_key SET live = created;
