package imap

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailstead/internal/sqlite"
	"mailstead/mailbox"
)

// An idling client is told of everything that others do.
func TestIdle(t *testing.T) {
	p := newPlace(t)
	p.deliver("INBOX", "Subject: a\r\n\r\n", 0)
	p.in(`
		C: a SELECT INBOX
		S* a OK ...
		C: b IDLE
		S: + ...
		C[bob]: a SELECT INBOX
		S[bob]* a OK ...
		C[bob]: b STORE 1 +FLAGS (\Seen New)
		S[bob]* b OK ...
		S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft New)
		S: * OK [PERMANENTFLAGS ...
		S: * 1 FETCH (FLAGS (\Seen New))
		C[bob]| "c APPEND INBOX {14+}\r\nSubject: b\r\n\r\n\r\n"
		S[bob]* c OK ...
		S: * 2 EXISTS
		S: * ... RECENT
		C[bob]: d STORE 1 +FLAGS.SILENT \Deleted
		S[bob]* d OK ...
		S: * 1 FETCH (FLAGS (\Deleted \Seen New))
		C[bob]: e EXPUNGE
		S[bob]: * 1 EXPUNGE
		S[bob]: e OK ...
		S: * 1 EXPUNGE
		C: DONE
		S: b OK ...
		C: c IDLE
		S: + ...
		C: NOOP
		S: c BAD ...
		C: d NOOP
		S: d OK ...
	`, "bob")
}

func TestDeletedWhileSelected(t *testing.T) {
	p := newPlace(t)
	p.in(`
		C: a CREATE x
		S: a OK ...
		C: b SELECT x
		S* b OK ...
		C[bob]: a SELECT x
		S[bob]* a OK ...
		C[bob]: b DELETE x
		S[bob]: * OK [CLOSED] ...
		S[bob]: b OK ...
		C[bob]: c FETCH 1 FLAGS
		S[bob]: c BAD ...
		C: c NOOP
		S: * BYE ...
		EOF
	`, "bob")
}

// FETCH, STORE and SEARCH keep sequence numbers as they are; what is gone can be
// read still, but not changed, and is told by the next command that may.
func TestExpungeIsHeldBack(t *testing.T) {
	p := newPlace(t)
	for _, s := range []string{"a", "b", "c", "d"} {
		p.deliver("INBOX", "Subject: "+s+"\r\n\r\n", 0)
	}
	p.in(`
		C: a SELECT INBOX
		S* a OK ...
		C[bob]: a SELECT INBOX
		S[bob]* a OK ...
		C[bob]: b STORE 2 +FLAGS.SILENT \Deleted
		S[bob]* b OK ...
		C[bob]: c EXPUNGE
		S[bob]* c OK ...
		C[bob]| "d APPEND INBOX {14+}\r\nSubject: e\r\n\r\n\r\n"
		S[bob]* d OK ...
		C: b FETCH 1:* UID
		S: * 1 FETCH (UID 1)
		S: * 2 FETCH (UID 2)
		S: * 3 FETCH (UID 3)
		S: * 4 FETCH (UID 4)
		S: * 5 EXISTS
		S: * 0 RECENT
		S: b OK ...
		C: c FETCH 2:3 (UID ENVELOPE)
		S: * 2 FETCH (UID 2 ENVELOPE (NIL "b" NIL NIL NIL NIL NIL NIL NIL NIL))
		S: * 3 FETCH (UID 3 ENVELOPE (NIL "c" NIL NIL NIL NIL NIL NIL NIL NIL))
		S: c OK ...
		C: c FETCH 2 (FLAGS BODY[])
		S: * 2 FETCH (FLAGS () BODY[] {14}
		S| "Subject: b\r\n\r\n)\r\n"
		S: c OK ...
		C: d STORE 2:3 +FLAGS x
		S: * FLAGS ...
		S: * OK ...
		S: * 3 FETCH (FLAGS (x))
		S: d NO [EXPUNGEISSUED] ...
		C: e SEARCH ALL
		S: * SEARCH 1 3 4 5
		S: e OK ...
		C: f FETCH 5 UID
		S: * 5 FETCH (UID 5)
		S: f OK ...
		C: g FETCH 6 UID
		S: g BAD ...
		C: h COPY 1:2 Sent
		S: * 2 EXPUNGE
		S: h NO [EXPUNGEISSUED] ...
		C: i UID FETCH 1:* UID
		S: * 1 FETCH (UID 1)
		S: * 2 FETCH (UID 3)
		S: * 3 FETCH (UID 4)
		S: * 4 FETCH (UID 5)
		S: i OK ...
	`, "bob")
}

// What was expunged by another session is there for those who have not been told,
// under its number and its UID, until its bytes are unlinked.
func TestExpungedStaysReadableForAWhile(t *testing.T) {
	p := newPlace(t)
	for _, s := range []string{"a", "b"} {
		p.deliver("INBOX", "Subject: "+s+"\r\n\r\n", 0)
	}
	p.deliver("Sent", "Subject: other\r\n\r\n", 0)
	c, late, other := p.raw(), p.raw(), p.raw()
	c.ok("SELECT INBOX")
	late.ok("SELECT INBOX")
	other.ok("SELECT INBOX")
	other.ok(`STORE 1:2 +FLAGS.SILENT \Deleted`)
	other.ok("EXPUNGE")
	for _, want := range []string{"* 1 FETCH (BODY[] {14}\r\nSubject: a\r\n\r\n)", "* 2 FETCH (BODY[] {14}\r\nSubject: b\r\n\r\n)"} {
		if got := c.ok("FETCH " + want[2:3] + " BODY[]"); got[0] != want { // \Seen is not set on what is gone
			t.Errorf("%q", got)
		}
	}
	got := late.ok("UID FETCH * RFC822.SIZE")
	if d := cmp.Diff([]string{"* 2 FETCH (UID 2 RFC822.SIZE 14)", "* 1 EXPUNGE", "* 1 EXPUNGE"}, got); d != "" {
		t.Error(d)
	}
	p.must(p.db.Update(t.Context(), func(tx *sqlite.Tx) error {
		_, err := tx.Exec("UPDATE body SET gone = 1 WHERE gone IS NOT NULL") // more than ten minutes ago
		return err
	}))
	p.must(p.blobs.Reap(t.Context()))
	if _, tagged := c.do("FETCH 1 BODY.PEEK[]"); !strings.HasPrefix(tagged, "NO [EXPUNGEISSUED]") {
		t.Error(tagged)
	}
	if got := c.ok("UID FETCH 1:* BODY.PEEK[]"); len(got) != 2 || !strings.HasSuffix(got[1], " EXPUNGE") {
		t.Errorf("%q", got)
	}
}

func TestCopyMove(t *testing.T) {
	p := newPlace(t)
	for _, s := range []string{"a", "b", "c", "d"} {
		p.deliver("INBOX", "Subject: "+s+"\r\n\r\n", mailbox.Seen)
	}
	p.in(`
		C: a SELECT INBOX
		S* a OK ...
		C: b COPY 1,3:4 Archive
		S: b OK [COPYUID <v> 1,3:4 1:3] ...
		C: c UID COPY 2 Archive
		S: c OK [COPYUID ${v} 2 4] ...
		C: d UID COPY 99 Archive
		S: d OK ...
		C: e COPY 1 Nowhere
		S: e NO [TRYCREATE] ...
		C: f MOVE 2:3 Archive
		S: * OK [COPYUID ${v} 2:3 5:6] ...
		S: * 2 EXPUNGE
		S: * 2 EXPUNGE
		S: f OK ...
		C: g UID MOVE 4 Nowhere
		S: g NO [TRYCREATE] ...
		C: h STORE 1:2 +FLAGS.SILENT \Deleted
		S: h OK ...
		C: i UID EXPUNGE 4
		S: * 2 EXPUNGE
		S: i OK ...
		C: j CLOSE
		S: j OK ...
		C: k STATUS INBOX (MESSAGES)
		S: * STATUS INBOX (MESSAGES 0)
		S: k OK ...
		C: l EXAMINE Archive
		S* l OK [READ-ONLY] ...
		C: m STORE 1 +FLAGS x
		S: m NO [READ-ONLY] ...
		C: n EXPUNGE
		S: n NO [READ-ONLY] ...
		C: o MOVE 1 INBOX
		S: o NO [READ-ONLY] ...
		C: p FETCH 1 BODY[]
		S: * 1 FETCH (BODY[] {14}
		S: Subject: a
		S:
		S: )
		S: p OK ...
		C: q UNSELECT
		S: q OK ...
		C: r UNSELECT
		S: r BAD ...
	`)
}

func TestStore(t *testing.T) {
	p := newPlace(t)
	p.deliver("INBOX", "Subject: a\r\n\r\n", mailbox.Seen, "one")
	p.in(`
		C: a SELECT INBOX
		S* a OK ...
		C: b STORE 1 -FLAGS (\Seen ONE)
		S: * 1 FETCH (FLAGS ())
		S: b OK ...
		C: c STORE 1 FLAGS \Flagged two
		S: * FLAGS ...
		S: * OK ...
		S: * 1 FETCH (FLAGS (\Flagged two))
		S: c OK ...
		C: d STORE 1 FLAGS ()
		S: * 1 FETCH (FLAGS ())
		S: d OK ...
		C: e STORE 1 FLAGS (\Bogus)
		S: e BAD ...
		C: f STORE 1 +FLAGS (` + strings.Repeat("k", 300) + `)
		S: f NO [LIMIT] ...
		C: g UID STORE 1 +FLAGS three
		S: * FLAGS ...
		S: * OK ...
		S: * 1 FETCH (UID 1 FLAGS (three))
		S: g OK ...
		C: h STORE 1 +X y
		S: h BAD ...
		C: i STORE 1:* +FLAGS.SILENT \Seen
		S: i OK ...
		C: j NOOP
		S: j OK ...
	`)
}

// A silent STORE still tells what another session changed at the same time.
func TestSilentStoreTellsOthersChanges(t *testing.T) {
	p := newPlace(t)
	p.deliver("INBOX", "Subject: a\r\n\r\n", 0)
	p.in(`
		C: a SELECT INBOX
		S* a OK ...
		C[bob]: a SELECT INBOX
		S[bob]* a OK ...
		C[bob]: b STORE 1 +FLAGS \Answered
		S[bob]* b OK ...
		C: b STORE 1 +FLAGS.SILENT \Seen
		S: * 1 FETCH (FLAGS (\Answered \Seen))
		S: b OK ...
	`, "bob")
}
