-- Who: domains, accounts, their addresses and aliases, credentials, settings.
-- Times are seconds since 1970. Account numbers are never used twice, because
-- messages/NUMBER is a folder.

CREATE TABLE account (
	id          INTEGER PRIMARY KEY AUTOINCREMENT,
	name        TEXT    NOT NULL DEFAULT '',   -- display name
	operator    INTEGER NOT NULL DEFAULT 0,
	disabled    INTEGER NOT NULL DEFAULT 0,
	created     INTEGER NOT NULL,
	deleted     INTEGER,                       -- when deletion was asked for
	password    TEXT    NOT NULL DEFAULT '',   -- $argon2id$..., '' for none
	salt        BLOB    NOT NULL,              -- SCRAM: one salt and one count for
	iterations  INTEGER NOT NULL,              -- all passwords of the account
	stored_key  BLOB,                          -- SCRAM keys of the person's own password,
	server_key  BLOB                           -- NULL where switched off
) STRICT;

CREATE TABLE domain (
	id        INTEGER PRIMARY KEY,
	name      TEXT    NOT NULL UNIQUE,         -- A-label
	plus      INTEGER NOT NULL DEFAULT 1,      -- local+detail reaches local
	catch_all INTEGER REFERENCES account(id) ON DELETE SET NULL,
	created   INTEGER NOT NULL
) STRICT;

-- An address belongs to one account, or (account is NULL) is an alias.
CREATE TABLE address (
	id      INTEGER PRIMARY KEY,
	domain  INTEGER NOT NULL REFERENCES domain(id),
	local   TEXT    NOT NULL,                  -- folded for comparison
	shown   TEXT    NOT NULL,                  -- as it was written
	account INTEGER REFERENCES account(id) ON DELETE CASCADE,
	first   INTEGER NOT NULL DEFAULT 0,        -- the account's primary address
	UNIQUE (domain, local)
) STRICT;

CREATE INDEX address_account ON address(account);

CREATE TABLE alias_target (
	alias   INTEGER NOT NULL REFERENCES address(id) ON DELETE CASCADE,
	account INTEGER NOT NULL REFERENCES account(id) ON DELETE CASCADE,
	PRIMARY KEY (alias, account)
) STRICT, WITHOUT ROWID;

CREATE INDEX alias_target_account ON alias_target(account);

CREATE TABLE app_password (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	account    INTEGER NOT NULL REFERENCES account(id) ON DELETE CASCADE,
	name       TEXT    NOT NULL,
	scope      INTEGER NOT NULL,
	hash       BLOB    NOT NULL,               -- SHA-256 of the 128 random bits
	stored_key BLOB    NOT NULL,
	server_key BLOB    NOT NULL,
	created    INTEGER NOT NULL,
	last_used  INTEGER,
	UNIQUE (account, name)
) STRICT;

CREATE TABLE setting (
	name  TEXT PRIMARY KEY,
	value ANY
) STRICT, WITHOUT ROWID;
