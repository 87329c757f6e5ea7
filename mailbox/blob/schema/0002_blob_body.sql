-- One row per message body. state: 0 inline, 1 filed. gone: unix seconds when
-- the last holder left; NULL while it is held. The first owner and its count
-- stand in the row; further owners of the same bytes have a body_owner row.
CREATE TABLE body (
  id     INTEGER PRIMARY KEY,
  state  INTEGER NOT NULL,
  size   INTEGER NOT NULL,
  sha256 BLOB NOT NULL,
  owner  INTEGER,
  refs   INTEGER NOT NULL DEFAULT 0,
  gone   INTEGER
) STRICT;
CREATE INDEX body_gone ON body (gone) WHERE gone IS NOT NULL;

-- linked: the owner's folder has its hard link.
CREATE TABLE body_owner (
  body   INTEGER NOT NULL REFERENCES body (id) ON DELETE CASCADE,
  owner  INTEGER NOT NULL,
  refs   INTEGER NOT NULL,
  linked INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (body, owner)
) STRICT, WITHOUT ROWID;
CREATE INDEX body_owner_unlinked ON body_owner (body) WHERE linked = 0;

-- Names that one owner has left while others still hold the body.
CREATE TABLE body_unlink (
  body  INTEGER NOT NULL,
  owner INTEGER NOT NULL,
  gone  INTEGER NOT NULL,
  PRIMARY KEY (body, owner)
) STRICT, WITHOUT ROWID;

-- The bytes of bodies in state inline.
CREATE TABLE inline_body (
  id    INTEGER PRIMARY KEY,
  bytes BLOB NOT NULL
) STRICT;

-- epoch: the number that messages/EPOCH repeats. swept: every file name up to
-- this id is known to have a row, so a start need not look at it. top: no id up
-- to this one is given out again, though neither row nor file remembers it.
CREATE TABLE blob_store (
  one   INTEGER PRIMARY KEY CHECK (one = 1),
  epoch TEXT NOT NULL,
  swept INTEGER NOT NULL,
  top   INTEGER NOT NULL DEFAULT 0
) STRICT;
