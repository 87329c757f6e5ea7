-- What happened to accepted messages, written in the commits that made it true.
-- It has no index: what is asked of it is rare, what is added to it is every
-- message. Trimmed with the events of trace.db.
CREATE TABLE trace_kept (
	id           INTEGER PRIMARY KEY,
	time         INTEGER NOT NULL, -- microseconds since 1970
	kind         TEXT NOT NULL,
	mid          TEXT,
	qid          INTEGER,
	message_id   TEXT,
	reverse_path TEXT,
	rcpt         TEXT,
	rest         TEXT              -- the other fields as JSON
) STRICT;
