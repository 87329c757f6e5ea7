-- What was imported before, so that a second run brings only what is missing.
-- key: the first 16 bytes of a SHA-256 over mailbox name, number of times these
-- bytes came before in the same run, and the SHA-256 of the message.
CREATE TABLE import_done (
    account INTEGER NOT NULL,
    key     BLOB    NOT NULL,
    PRIMARY KEY (account, key)
) STRICT, WITHOUT ROWID;
