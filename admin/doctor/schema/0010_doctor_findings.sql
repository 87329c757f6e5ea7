-- What the doctor remembers: what somebody does not want to hear of any more and
-- why, what was found last, so that a night's report tells the difference alone,
-- and the free space of each day. Times are seconds since 1970.
CREATE TABLE doctor_mute (
	id      TEXT    NOT NULL,
	subject TEXT    NOT NULL DEFAULT '',       -- '' is every subject
	reason  TEXT    NOT NULL,
	since   INTEGER NOT NULL,
	PRIMARY KEY (id, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE doctor_finding (
	id       TEXT    NOT NULL,
	subject  TEXT    NOT NULL,
	finding  TEXT    NOT NULL,                 -- JSON
	found    INTEGER NOT NULL,                 -- when; the same for all rows
	PRIMARY KEY (id, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE doctor_disk (
	day  INTEGER PRIMARY KEY,                  -- days since 1970
	free INTEGER NOT NULL                      -- bytes
) STRICT;
