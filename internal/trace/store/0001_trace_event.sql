-- trace.db: what happened besides. The columns are those of trace_kept.
CREATE TABLE event (
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
CREATE INDEX event_mid ON event (mid) WHERE mid IS NOT NULL;
