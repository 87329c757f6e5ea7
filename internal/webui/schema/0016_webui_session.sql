-- Who is signed in on the pages. The browser holds a random token, the table its
-- SHA-256. Times are seconds since 1970.
CREATE TABLE webui_session (
	hash    BLOB    PRIMARY KEY,
	account INTEGER NOT NULL REFERENCES account(id) ON DELETE CASCADE,
	created INTEGER NOT NULL,
	used    INTEGER NOT NULL                   -- written at most every ten minutes
) STRICT, WITHOUT ROWID;

CREATE INDEX webui_session_account ON webui_session(account);

-- A new password, or a closed account, ends its sessions in the same commit,
-- whoever makes the change and whether or not a server runs.
CREATE TRIGGER webui_session_end AFTER UPDATE ON account
WHEN OLD.password IS NOT NEW.password OR OLD.disabled IS NOT NEW.disabled OR OLD.deleted IS NOT NEW.deleted
BEGIN
	DELETE FROM webui_session WHERE account = NEW.id;
END;
