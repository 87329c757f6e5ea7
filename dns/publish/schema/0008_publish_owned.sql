-- What we published, and each change of it, so that it can be taken back.
-- Names are fully qualified, lower case, without the final dot; data as in
-- libdns (presentation form, TXT as plain text).

CREATE TABLE publish_owned (
  domain  TEXT NOT NULL,             -- whose settings wanted the record
  name    TEXT NOT NULL,
  type    TEXT NOT NULL,
  data    TEXT NOT NULL,
  base    TEXT NOT NULL DEFAULT '',  -- the foreign SPF record that data was merged with
  PRIMARY KEY (domain, name, type, data)
) WITHOUT ROWID;

CREATE TABLE publish_change (
  id        INTEGER PRIMARY KEY,
  domain    TEXT    NOT NULL,
  zone      TEXT    NOT NULL,
  provider  TEXT    NOT NULL,
  begun     INTEGER NOT NULL,        -- Unix seconds
  state     TEXT    NOT NULL         -- applying, done, undoing, undone
);
CREATE INDEX publish_change_domain ON publish_change (domain, id);

CREATE TABLE publish_step (
  change   INTEGER NOT NULL REFERENCES publish_change (id) ON DELETE CASCADE,
  seq      INTEGER NOT NULL,
  removes  TEXT    NOT NULL,         -- JSON: the records that stood there
  adds     TEXT    NOT NULL,         -- JSON: the records that replace them
  beside   TEXT    NOT NULL,         -- JSON: what stood with them and stays
  state    TEXT    NOT NULL,         -- waiting, begun, done, undone
  PRIMARY KEY (change, seq)
) WITHOUT ROWID;
