package imap

import "testing"

// A message is recent in the first session that is told of it, and in no other.
func TestRecent(t *testing.T) {
	p := newPlace(t)
	p.in(`
		C| "a APPEND INBOX {14+}\r\nSubject: a\r\n\r\n\r\n"
		S: a OK ...
		C: b STATUS INBOX (RECENT)
		S: * STATUS INBOX (RECENT 1)
		S: b OK ...
		C: c EXAMINE INBOX
		S* * 1 RECENT
		S* c OK ...
		C: d SELECT INBOX
		S* * 1 RECENT
		S* d OK ...
		C: e FETCH 1 FLAGS
		S: * 1 FETCH (FLAGS (\Recent))
		S: e OK ...
		C: f SEARCH NEW
		S: * SEARCH 1
		S: f OK ...
		C[bob]: a SELECT INBOX
		S[bob]* * 0 RECENT
		S[bob]* a OK ...
		C[bob]: b FETCH 1 FLAGS
		S[bob]: * 1 FETCH (FLAGS ())
		S[bob]: b OK ...
		C[bob]| "c APPEND INBOX (\\Seen) {14+}\r\nSubject: b\r\n\r\n\r\n"
		S[bob]: * 2 EXISTS
		S[bob]: * 1 RECENT
		S[bob]: c OK ...
		C: g NOOP
		S: * 2 EXISTS
		S: * 1 RECENT
		S: g OK ...
		C: h SEARCH OLD
		S: * SEARCH 2
		S: h OK ...
		C: i STORE 1:2 +FLAGS.SILENT \Deleted
		S: i OK ...
		C: j EXPUNGE
		S: * 1 EXPUNGE
		S: * 1 EXPUNGE
		S: j OK ...
		C: k STATUS INBOX (RECENT)
		S: * STATUS INBOX (RECENT 0)
		S: k OK ...
	`, "bob")
}
