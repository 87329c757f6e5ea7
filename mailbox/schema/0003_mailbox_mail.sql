-- What is kept (email), where it lies (placement, mailbox), what went (expunged).
-- Rows of the hot tables carry no foreign keys: `mailstead check` compares them
-- instead, and a delivery saves the look-ups.

-- An account's mail as a whole. bytes counts each email once, messages counts
-- placements (RFC 9208, 5.1 and 5.2). uidvalidity is the last one given out.
CREATE TABLE mail_account (
    account     INTEGER PRIMARY KEY,
    bytes       INTEGER NOT NULL DEFAULT 0,
    messages    INTEGER NOT NULL DEFAULT 0,
    quota       INTEGER NOT NULL DEFAULT 0,
    warned      INTEGER NOT NULL DEFAULT 0,
    uidvalidity INTEGER NOT NULL DEFAULT 0,
    trash_days  INTEGER NOT NULL DEFAULT 30,
    junk_days   INTEGER NOT NULL DEFAULT 30
) STRICT;

-- state: 0 a mailbox, 1 a name without mail (\Noselect), 2 deleted and being
-- emptied, under a name that nobody can type. floor: the expunged table is
-- complete above this mod-sequence.
CREATE TABLE mailbox (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    account     INTEGER NOT NULL,
    name        TEXT    NOT NULL,
    special     TEXT    NOT NULL DEFAULT '',
    state       INTEGER NOT NULL DEFAULT 0,
    uidvalidity INTEGER NOT NULL,
    uidnext     INTEGER NOT NULL DEFAULT 1,
    modseq      INTEGER NOT NULL DEFAULT 1,
    messages    INTEGER NOT NULL DEFAULT 0,
    unseen      INTEGER NOT NULL DEFAULT 0,
    deleted     INTEGER NOT NULL DEFAULT 0,
    size        INTEGER NOT NULL DEFAULT 0,
    floor       INTEGER NOT NULL DEFAULT 0,
    UNIQUE (account, name)
) STRICT;
CREATE UNIQUE INDEX mailbox_special ON mailbox (account, special) WHERE special <> '';

-- A message as one account has it. size is that of prefix and body together,
-- head that of the prefix before it was packed. msgid and thread are hashes of
-- Message-IDs, thread that of the conversation's first message; most mail begins
-- one (msgid = thread) and needs no index. facts are the sort keys, ENVELOPE,
-- BODYSTRUCTURE, part offsets and preview; facts and prefix are packed (pack.go).
CREATE TABLE email (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    account  INTEGER NOT NULL,
    body     INTEGER NOT NULL,
    size     INTEGER NOT NULL,
    head     INTEGER NOT NULL,
    received INTEGER NOT NULL,
    zone     INTEGER NOT NULL DEFAULT 0, -- minutes east in which received was given (RFC 9051, 2.3.3)
    msgid    INTEGER NOT NULL,
    thread   INTEGER NOT NULL,
    facts    BLOB    NOT NULL,
    prefix   BLOB    NOT NULL
) STRICT;
CREATE INDEX email_reply ON email (account, msgid) WHERE msgid <> thread;

-- One email in one mailbox. keywords: sorted, separated by spaces. size repeats
-- email.size so that counters need no join.
CREATE TABLE placement (
    mailbox  INTEGER NOT NULL,
    uid      INTEGER NOT NULL,
    email    INTEGER NOT NULL,
    flags    INTEGER NOT NULL,
    modseq   INTEGER NOT NULL,
    keywords TEXT    NOT NULL,
    saved    INTEGER NOT NULL,
    size     INTEGER NOT NULL,
    PRIMARY KEY (mailbox, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX placement_modseq ON placement (mailbox, modseq);
CREATE INDEX placement_email ON placement (email);

CREATE TABLE expunged (
    mailbox INTEGER NOT NULL,
    modseq  INTEGER NOT NULL,
    uid     INTEGER NOT NULL,
    PRIMARY KEY (mailbox, modseq, uid)
) STRICT, WITHOUT ROWID;

-- Names, not mailboxes: a subscription outlives its mailbox (RFC 9051, 6.3.7).
CREATE TABLE subscription (
    account INTEGER NOT NULL,
    name    TEXT    NOT NULL,
    PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;
