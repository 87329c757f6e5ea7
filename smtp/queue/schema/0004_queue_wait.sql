-- Mail that waits. A message's row goes with its last recipient's.
CREATE TABLE queue_message (
	id           INTEGER PRIMARY KEY AUTOINCREMENT, -- the QID, never used twice: a DSN follows the message it ends
	mid          TEXT NOT NULL,       -- our id, as told in the 250
	account      INTEGER NOT NULL,    -- who submitted; 0 for mail of the world and DSNs
	verified     INTEGER NOT NULL,    -- a DSN may go to reverse_path
	reverse_path TEXT NOT NULL,       -- '' is the null reverse-path
	smtputf8     INTEGER NOT NULL,
	eightbit     INTEGER NOT NULL,
	envid        TEXT NOT NULL,       -- RFC 3461, ENVID
	ret          TEXT NOT NULL,       -- RFC 3461, RET
	body         INTEGER NOT NULL,    -- of mailbox/blob
	prefix       BLOB NOT NULL,       -- stands before the body on the wire
	size         INTEGER NOT NULL,    -- prefix and body
	created      INTEGER NOT NULL     -- milliseconds since 1970, as all times here
) STRICT;

CREATE TABLE queue_recipient (
	id          INTEGER PRIMARY KEY AUTOINCREMENT,
	message     INTEGER NOT NULL REFERENCES queue_message (id) ON DELETE CASCADE,
	destination TEXT NOT NULL,        -- A-label; what travels together
	address     TEXT NOT NULL,
	original    TEXT NOT NULL,        -- RFC 3461, ORCPT
	notify      INTEGER NOT NULL,     -- RFC 3461, NOTIFY; 0 when it was not given
	held        INTEGER NOT NULL,     -- an operator keeps it back
	warned      INTEGER NOT NULL,     -- the DSN "delayed" is done with
	attempts    INTEGER NOT NULL,
	next        INTEGER NOT NULL,     -- when the next attempt is due
	status      TEXT NOT NULL,        -- of the last attempt, as all below
	reply       TEXT NOT NULL,
	host        TEXT NOT NULL,
	reason      TEXT NOT NULL
) STRICT;
CREATE INDEX queue_recipient_message ON queue_recipient (message);
