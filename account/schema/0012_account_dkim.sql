-- The keys that a domain's mail is signed with. Both halves are made when the
-- domain is added; a retired key signs nothing any more, and its record stays
-- published until what it signed has arrived.
CREATE TABLE dkim_key (
	id        INTEGER PRIMARY KEY,
	domain    INTEGER NOT NULL REFERENCES domain(id) ON DELETE CASCADE,
	selector  TEXT    NOT NULL,
	algorithm TEXT    NOT NULL,                -- rsa, ed25519
	private   BLOB    NOT NULL,                -- PKCS #8
	created   INTEGER NOT NULL,
	retired   INTEGER,
	UNIQUE (domain, selector)
) STRICT;
