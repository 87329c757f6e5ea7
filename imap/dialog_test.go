package imap

import (
	"testing"

	"mailstead/mailbox"
)

func TestLogin(t *testing.T) {
	p := newPlace(t)
	p.run(`
		S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 AUTH=PLAIN AUTH=LOGIN AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-256-PLUS SASL-IR LITERAL+ ...] ...
		C: a NOOP
		S: a OK ...
		C: b SELECT INBOX
		S: b BAD [CLIENTBUG] ...
		C: c LOGIN alice@example.org wrong
		S: c NO [AUTHENTICATIONFAILED] ...
		C: d LOGIN {17}
		S: + ...
		C: alice@example.org "${password}"
		S: d OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ ...] ...
		C: e LOGIN a b
		S: e BAD [CLIENTBUG] ...
		C: f LOGOUT
		S: * BYE ...
		S: f OK ...
		EOF
	`)
}

func TestSelectFetchStore(t *testing.T) {
	p := newPlace(t)
	p.deliver("INBOX", crlfs("From: a@b.example\nSubject: one\n\ntext one\n"), 0)
	p.deliver("INBOX", crlfs("Subject: two\n\ntext two\n"), mailbox.Seen, "$Junk")
	p.in(`
		C: a SELECT inbox
		S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Junk)
		S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft $Junk \*)] ...
		S: * 2 EXISTS
		S: * 0 RECENT
		S: * OK [UNSEEN 1] ...
		S: * OK [UIDVALIDITY ...] ...
		S: * OK [UIDNEXT 3] ...
		S: a OK [READ-WRITE] ...
		C: b FETCH 1:* (FLAGS UID)
		S: * 1 FETCH (FLAGS () UID 1)
		S: * 2 FETCH (FLAGS (\Seen $Junk) UID 2)
		S: b OK ...
		C: c FETCH 1 (RFC822.SIZE BODY[HEADER.FIELDS (SUBJECT x)] BODY.PEEK[TEXT]<5.3> ENVELOPE)
		S: * 1 FETCH (RFC822.SIZE 45 BODY[HEADER.FIELDS (SUBJECT x)] {16}
		S: Subject: one
		S:
		S:  BODY[TEXT]<5> {3}
		S: one ENVELOPE (NIL "one" ((NIL NIL "a" "b.example")) ((NIL NIL "a" "b.example")) ((NIL NIL "a" "b.example")) NIL NIL NIL NIL NIL) FLAGS (\Seen))
		S: c OK ...
		C: d STORE 1:2 +FLAGS (work \Flagged)
		S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Junk work)
		S: * OK [PERMANENTFLAGS ...
		S: * 1 FETCH (FLAGS (\Flagged \Seen work))
		S: * 2 FETCH (FLAGS (\Flagged \Seen $Junk work))
		S: d OK ...
		C: e UID STORE 2 FLAGS.SILENT \Deleted
		S: e OK ...
		C: f SEARCH DELETED
		S: * SEARCH 2
		S: f OK ...
		C: g EXPUNGE
		S: * 2 EXPUNGE
		S: g OK ...
		C: h NOOP
		S: h OK ...
	`)
}
