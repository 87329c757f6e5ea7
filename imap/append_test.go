package imap

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"mailstead/internal/sqlite"
)

func TestAppend(t *testing.T) {
	p := newPlace(t)
	p.in(`
		C: a APPEND INBOX (\Seen \Recent Work) "17-Jul-1996 02:44:25 -0700" {22}
		S: + ...
		C| "Subject: a\r\n\r\ntext\r\n\r\n\r\n"
		S: a OK [APPENDUID <v> 1] ...
		C| "b APPEND Sent {14+}\r\nSubject: b\r\n\r\n\r\n"
		S: b OK [APPENDUID ... 1] ...
		C: c APPEND Nowhere {10}
		S: c NO [TRYCREATE] ...
		C| "d APPEND Nowhere {10+}\r\ne LOGOUT\r\n\r\nf NOOP\r\n"
		S: d NO [TRYCREATE] ...
		S: f OK ...
		C: g APPEND INBOX (\Nonsense) {10}
		S: g BAD ...
		C: h APPEND INBOX {0}
		S: h NO ...
		C: i SELECT INBOX
		S* i OK ...
		C: j FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE)
		S: * 1 FETCH (FLAGS (\Seen Work \Recent) INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 22)
		S: j OK ...
		C| "k APPEND INBOX {14+}\r\nSubject: k\r\n\r\n\r\n"
		S: * 2 EXISTS
		S: * 2 RECENT
		S: k OK [APPENDUID ${v} 2] ...
		C| "l APPEND INBOX ~{15+}\r\nSubject: l\r\n\r\n\x00\r\n"
		S: * 3 EXISTS
		S: * 3 RECENT
		S: l OK ...
		C: m FETCH 3 BINARY[1]
		S: * 3 FETCH (BINARY[1] ~{1}
		S| "\x00 FLAGS (\\Seen \\Recent))\r\n"
		S: m OK ...
		C: n APPEND INBOX UTF8 (~{10}
		S: n BAD ...
		C: o APPEND INBOX junk
		S: o BAD ...
	`)
	p.in(`
		C: a ENABLE UTF8=ACCEPT
		S: * ENABLED UTF8=ACCEPT
		S: a OK ...
		C| "b APPEND INBOX UTF8 (~{17+}\r\nSubject: \xc3\xbc\r\n\r\n\r\n)\r\n"
		S: b OK ...
		C| "c APPEND INBOX UTF8 (~{17+}\r\nSubject: \xc3\xbc\r\n\r\n\r\n\r\n"
		S: c BAD ...
		C| "d APPEND INBOX {17+}\r\nSubject: \xc3\xbc\r\n\r\n\r\n trailing\r\n"
		S: d BAD ...
		C: e STATUS INBOX (MESSAGES)
		S: * STATUS INBOX (MESSAGES 4)
		S: e OK ...
	`)
}

// An APPEND goes where the name leads now, not where it led for the last one.
func TestAppendAfterRename(t *testing.T) {
	p := newPlace(t)
	p.in(`
		C: a CREATE x
		S: a OK ...
		C| "b APPEND x {14+}\r\nSubject: b\r\n\r\n\r\n"
		S: b OK [APPENDUID <v> 1] ...
		C| "c APPEND x {14+}\r\nSubject: c\r\n\r\n\r\n"
		S: c OK [APPENDUID ${v} 2] ...
		C[bob]: a RENAME x y
		S[bob]: a OK ...
		C| "d APPEND x {14+}\r\nSubject: d\r\n\r\n\r\n"
		S: d NO [TRYCREATE] ...
		C[bob]: b CREATE x
		S[bob]: b OK ...
		C| "e APPEND x {14+}\r\nSubject: e\r\n\r\n\r\n"
		S: e OK [APPENDUID ... 1] ...
		C: f STATUS y (MESSAGES)
		S: * STATUS y (MESSAGES 2)
		S: f OK ...
	`, "bob")
}

func TestAppendLimits(t *testing.T) {
	p := newPlace(t, func(s *Server) { s.MaxMessage = 1000 })
	p.must(p.db.Update(t.Context(), func(tx *sqlite.Tx) error { return p.boxes.SetQuota(tx, p.alice.ID, 1500) }))
	body := "Subject: x\r\n\r\n" + strings.Repeat("x", 985) + "\r\n"
	p.in(`
		C: a APPEND INBOX {1001}
		S: a NO [TOOBIG] ...
		C| "b APPEND INBOX {1001+}\r\n` + strings.Repeat("x", 1001) + `\r\nc NOOP\r\n"
		S: b NO [TOOBIG] ...
		S: c OK ...
		C| "d APPEND INBOX {1001+}\r\n` + strings.ReplaceAll(body, "\r\n", `\r\n`) + `\r\n"
		S: d NO [TOOBIG] ...
		C| "e APPEND INBOX {1000+}\r\n` + strings.ReplaceAll(body[:1000], "\r\n", `\r\n`) + `\r\n"
		S: e OK ...
		C| "f APPEND INBOX {1000+}\r\n` + strings.ReplaceAll(body[:1000], "\r\n", `\r\n`) + `\r\n"
		S: f NO [OVERQUOTA] ...
		C| "g APPEND INBOX {9999999+}\r\n"
		S: g NO [TOOBIG] ...
		S: * BYE ...
		EOF
	`)
}

func TestLoneLineFeeds(t *testing.T) {
	for in, want := range map[string]string{
		"a\nb\r\nc": "a\r\nb\r\nc", "\n\n": "\r\n\r\n", "\r\n": "\r\n", "\r\r\n\n": "\r\r\n\r\n", "": "", "a\rb": "a\rb",
	} {
		for _, wrap := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader} {
			got, err := io.ReadAll(iotest.OneByteReader(&crlf{src: wrap(strings.NewReader(in))}))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, string(got)); d != "" {
				t.Errorf("%q: %s", in, d)
			}
		}
	}
}
