package imap

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstead/imap/wire"
	"mailstead/mailbox"
)

// parser is a session that can only parse, with a line begun.
func parser(line string) *session {
	b := new(wire.Buffers)
	s := &session{r: wire.NewReader(strings.NewReader(line+"\r\n"), b), w: wire.NewWriter(io.Discard, b)}
	s.r.Continue = func() error { return nil }
	s.r.Begin(1 << 20)
	return s
}

func TestSearch(t *testing.T) {
	p := newPlace(t)
	day := func(d int) time.Time { return time.Date(2026, 3, d, 23, 30, 0, 0, time.FixedZone("", -5*3600)) }
	p.place("INBOX", crlfs("From: Ann <ann@example.org>\nTo: =?iso-8859-1?q?J=FCrgen?= <j@example.net>\nCc: c@example.com\n"+
		"Subject: =?utf-8?b?R3LDvMOfZQ==?= one\nDate: Mon, 02 Mar 2026 01:00:00 +0200\nMessage-ID: <one@x>\nX-Thing: Some  value\n\nplain body\n"),
		mailbox.Placing{Received: day(1), Flags: mailbox.Seen})
	p.place("INBOX", crlfs("From: bob@example.org\nBcc: hidden@example.org\nSubject: two\nContent-Type: text/plain; charset=iso-8859-1\n"+
		"Content-Transfer-Encoding: quoted-printable\n\nein Gr=FC=\n=DFe aus der Ferne\n"),
		mailbox.Placing{Received: day(2), Flags: mailbox.Answered | mailbox.Flagged, Keywords: []string{"Work"}})
	p.place("INBOX", crlfs("Subject: three\nDate: 2 Mar 2026 23:59:00 -1000\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n"+
		"Content-Transfer-Encoding: base64\n\n"+"PHA+c2VjcmV0IHdvcmQ8L3A+\n--b\nContent-Type: application/x\n\nhidden treasure\n--b\n"+
		"Content-Type: message/rfc822\n\nSubject: enclosed letter\n\nits text\n--b--\n"), mailbox.Placing{Received: day(3), Flags: mailbox.Deleted | mailbox.Draft})
	p.place("INBOX", crlfs("Subject:\n\n"+strings.Repeat("filler ", 5000)+"needle at the END\n"), mailbox.Placing{Received: day(4)})
	c := p.raw()
	c.ok("SELECT INBOX")
	search := func(want, keys string) {
		t.Helper()
		got := c.ok("SEARCH " + keys)
		if d := cmp.Diff([]string{strings.TrimSuffix("* SEARCH "+want, " ")}, got); d != "" {
			t.Errorf("%s: %s", keys, d)
		}
	}
	for _, x := range []struct{ want, keys string }{
		{"1 2 3 4", "ALL"}, {"1", "SEEN"}, {"2 3 4", "UNSEEN"}, {"2", "ANSWERED"}, {"1 3 4", "UNANSWERED"}, {"3", "DELETED"}, {"1 2 4", "UNDELETED"},
		{"3", "DRAFT"}, {"1 2 4", "UNDRAFT"}, {"2", "FLAGGED"}, {"1 3 4", "UNFLAGGED"}, {"", "RECENT"}, {"1 2 3 4", "OLD"}, {"", "NEW"},
		{"2", "KEYWORD work"}, {"1 3 4", "UNKEYWORD Work"}, {"", "KEYWORD wor"},
		{"1 2", "1:2"}, {"4", "*"}, {"2 3 4", "2:*"}, {"2 3", "UID 2:3"}, {"4", "UID 9:*"}, {"4", "9:*"}, {"4", "*:9"}, {"3 4", "*:3"}, {"", "9"}, {"2 3 4", "4:2"}, {"", "UID 9"}, {"1 4", "NOT 2:3"},
		{"1", "FROM ANN"}, {"1 2", "FROM example.org"}, {"", "FROM example.net"}, {"1", "TO example.net"}, {"1", "CC c@example.com"}, {"2", "BCC hidden"},
		{"2", "SUBJECT two"}, {"1 2 3 4", `SUBJECT ""`}, {"1", `SUBJECT one SEEN`}, {"3", "SUBJECT THREE"},
		{"1", "HEADER Message-ID one@x"}, {"1", "HEADER X-Thing value"}, {"1", `HEADER X-Thing ""`}, {"", "HEADER X-Thing nothing"}, {"2", `HEADER Bcc ""`},
		{"1", "BODY plain"}, {"", "BODY Ann"}, {"1", "TEXT ann"}, {"3", "BODY secret"}, {"", "BODY treasure"}, {"", `BODY "enclosed letter"`}, {"3", `TEXT "enclosed letter"`}, {"3", "TEXT application/x"}, {"", "BODY application/x"}, {"3", "BODY its"},
		{"4", `BODY "NEEDLE at the end"`}, {"4", "TEXT filler"}, {"", `BODY "filler  filler"`}, {"1 2 3 4", `BODY ""`},
		{"1", "BEFORE 2-Mar-2026"}, {"2", "ON 2-Mar-2026"}, {"2 3 4", "SINCE 2-Mar-2026"}, {"1 3", "SENTON 2-Mar-2026"}, {"", "SENTBEFORE 2-Mar-2026"},
		{"1 3", "SENTSINCE 2-Mar-2026"}, {"", "SENTSINCE 3-Mar-2026"}, {"4", "LARGER 10000"}, {"1 2 3", "SMALLER 10000"}, {"1 2 3 4", "OLDER 60"}, {"", "YOUNGER 60"},
		{"1 2", "OR SEEN ANSWERED"}, {"3 4", "NOT OR SEEN ANSWERED"}, {"1 3", "OR (SEEN SUBJECT one) (DELETED BODY secret)"}, {"1 2 3 4", "NOT (SEEN UNSEEN)"},
		{"2", "(OR (FROM bob) (FROM carol)) FLAGGED"}, {"2 3", "OR 2 UID 3"}, {"1", "NOT NOT SEEN"}, {"1 2 3", "NOT BODY needle"},
		{"1 2", "SENTBEFORE 1-Jan-2030 OR 1 2 NOT 3"},
	} {
		if x.keys == "SENTBEFORE 1-Jan-2030 OR 1 2 NOT 3" {
			x.want = "1"
		}
		search(x.want, x.keys)
	}
	search("2", "CHARSET UTF-8 BODY {7+}\r\ngr\xc3\xbc\xc3\x9fe")
	search("1", "CHARSET utf-8 SUBJECT {7+}\r\nGR\xc3\x9c\xc3\x9fE")
	search("1", "TO \"j\xc3\x9crgen\"")
	for command, want := range map[string]string{
		"SEARCH CHARSET KOI8-R ALL": "NO [BADCHARSET (US-ASCII UTF-8)]", "SEARCH": "BAD", "SEARCH BOGUS": "BAD", "SEARCH 0": "BAD", "SEARCH NOT": "BAD",
		"SEARCH OR SEEN": "BAD", "SEARCH (SEEN": "BAD", "SEARCH ON 31-Feb-2026": "BAD", "SEARCH YOUNGER 0": "BAD", "SEARCH RETURN (BOGUS) ALL": "BAD",
		"SEARCH " + strings.Repeat("NOT ", maxDepth+1) + "SEEN": "BAD", "SEARCH " + strings.Repeat("(", 10000): "BAD",
	} {
		if _, tagged := c.do(command); !strings.HasPrefix(tagged, want) {
			t.Errorf("%.40s: %s", command, tagged)
		}
	}
}

func TestESearch(t *testing.T) {
	p := newPlace(t)
	for i := range 6 {
		f := mailbox.Flags(0)
		if i%2 == 1 {
			f = mailbox.Seen
		}
		p.deliver("INBOX", fmt.Sprintf("Subject: %d\r\n\r\n", i), f)
	}
	p.in(`
		C: a SELECT INBOX
		S* a OK ...
		C: b SEARCH RETURN (MIN MAX COUNT ALL) SEEN
		S: * ESEARCH (TAG "b") MIN 2 MAX 6 COUNT 3 ALL 2,4,6
		S: b OK ...
		C: c UID SEARCH RETURN () 2:5
		S: * ESEARCH (TAG "c") UID ALL 2:5
		S: c OK ...
		C: d SEARCH RETURN (COUNT MIN) DELETED
		S: * ESEARCH (TAG "d") COUNT 0
		S: d OK ...
		C: e SEARCH RETURN (SAVE) SEEN
		S: e OK ...
		C: f FETCH $ FLAGS
		S: * 2 FETCH (FLAGS (\Seen))
		S: * 4 FETCH (FLAGS (\Seen))
		S: * 6 FETCH (FLAGS (\Seen))
		S: f OK ...
		C: g SEARCH $ 1:3
		S: * SEARCH 2
		S: g OK ...
		C: h SEARCH RETURN (SAVE MIN) UNSEEN
		S: * ESEARCH (TAG "h") MIN 1
		S: h OK ...
		C: i UID STORE $ +FLAGS.SILENT \Deleted
		S: i OK ...
		C: j EXPUNGE
		S: * 1 EXPUNGE
		S: j OK ...
		C: k UID FETCH $ FLAGS
		S: k OK ...
		C: l SEARCH RETURN (SAVE) CHARSET X ALL
		S: l NO [BADCHARSET ...
		C: m SEARCH RETURN (SAVE MIN MAX) ALL
		S: * ESEARCH (TAG "m") MIN 1 MAX 5
		S: m OK ...
		C: n COPY $ Sent
		S: n OK [COPYUID ... 2,6 1:2] ...
		C: o UNSELECT
		S: o OK ...
		C: p ENABLE IMAP4rev2
		S: * ENABLED IMAP4rev2
		S: p OK ...
		C: q SELECT INBOX
		S* q OK ...
		C: r UID SEARCH SEEN
		S: * ESEARCH (TAG "r") UID ALL 2,4,6
		S: r OK ...
		C: s SEARCH 1:2 DELETED
		S: * ESEARCH (TAG "s")
		S: s OK ...
		C: t SEARCH $
		S: * ESEARCH (TAG "t")
		S: t OK ...
	`)
}

func TestStreamContains(t *testing.T) {
	for _, c := range []struct {
		text, needle string
		want         bool
	}{
		{"Hello", "ell", true}, {"Hello", "elp", false}, {strings.Repeat("é", 20000) + "ÜBER", "über", true}, {"", "x", false},
		{strings.Repeat("a", 16<<10-1) + "bc", "abc", true}, {strings.Repeat("x\xff", 9000) + "End", "end", true}, {"a\xc3", "a", true},
	} {
		for _, wrap := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.DataErrReader} {
			got, err := streamContains(wrap(strings.NewReader(c.text)), c.needle)
			if got != c.want || err != nil {
				t.Errorf("%.10q %q: %v, %v", c.text, c.needle, got, err)
			}
		}
	}
}

func TestDecoders(t *testing.T) {
	for _, c := range []struct{ encoding, in, want string }{
		{"base64", "SGVsbG8=", "Hello"}, {"base64", "SGVs\r\nbG8\r\n=", "Hello"}, {"base64", "SGVsbG8", "Hello"}, {"base64", "S!G V-s", "Hel"},
		{"base64", "SGVsb", "Hel"}, {"base64", "", ""}, {"base64", "SGk=SGk=", "Hi"},
		{"quoted-printable", "a=3Db=\r\nc=C3=bc \t\r\nd=20\r\n=", "a=bcü\r\nd \r\n"}, {"quoted-printable", "=zz=4 ", "=zz=4"}, {"quoted-printable", "a= \t\r\nb", "ab"},
		{"quoted-printable", strings.Repeat("=41", 5000), strings.Repeat("A", 5000)}, {"7bit", "=41", "=41"},
	} {
		for _, wrap := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.DataErrReader} {
			got, err := io.ReadAll(decoder(wrap(strings.NewReader(c.in)), c.encoding))
			if d := cmp.Diff(c.want, string(got)); d != "" || err != nil {
				t.Errorf("%s %.20q: %v %s", c.encoding, c.in, err, d)
			}
		}
	}
}

func FuzzSearch(f *testing.F) {
	f.Add("RETURN (MIN SAVE) CHARSET UTF-8 OR (SEEN UID 1:*) NOT BODY {3+}\r\nabc SINCE 1-Feb-1994 $")
	f.Fuzz(func(t *testing.T, in string) {
		s := parser("X " + in)
		s.r.Word()
		s.search()
	})
}
