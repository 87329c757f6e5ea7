package message

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// crlf makes a message of a literal with bare line feeds.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// outline draws a tree: type, header, body and lines of each part.
func outline(s string, p *Part) string {
	var b strings.Builder
	var draw func(p *Part, depth int)
	draw = func(p *Part, depth int) {
		fmt.Fprintf(&b, "%s%s/%s %q %d\n", strings.Repeat(" ", depth), p.Type, p.Subtype, s[p.Body.Start:p.Body.End], p.Lines)
		for _, c := range p.Parts {
			draw(c, depth+1)
		}
		if p.Message != nil {
			draw(p.Message, depth+1)
		}
	}
	draw(p, 0)
	return b.String()
}

func scan(t testing.TB, s string) *Part {
	t.Helper()
	p, err := Scan(strings.NewReader(s), int64(len(s)))
	if err != nil {
		t.Fatal(err)
	}
	checkTree(t, p, Span{0, int64(len(s))})
	return p
}

// checkTree holds the package's invariants.
func checkTree(t testing.TB, p *Part, within Span) {
	t.Helper()
	if p.Header.Start < within.Start || p.Header.End < p.Header.Start || p.Body.Start != p.Header.End ||
		p.Body.End < p.Body.Start || p.Body.End > within.End || p.Lines < 0 || p.Lines > p.Body.Len() {
		t.Fatalf("part %s/%s: header %v body %v lines %d outside %v", p.Type, p.Subtype, p.Header, p.Body, p.Lines, within)
	}
	if p.Multipart() != (len(p.Parts) > 0) {
		t.Fatalf("%s/%s has %d parts", p.Type, p.Subtype, len(p.Parts))
	}
	at := p.Body.Start
	for _, c := range p.Parts {
		checkTree(t, c, Span{at, p.Body.End})
		at = c.Body.End
	}
	if p.Message != nil {
		if p.Message.Header.Start != p.Body.Start || p.Message.Body.End != p.Body.End {
			t.Fatalf("message %v %v does not fill %v", p.Message.Header, p.Message.Body, p.Body)
		}
		checkTree(t, p.Message, p.Body)
	}
}

func TestScanBodies(t *testing.T) {
	const mixed = "Content-Type: multipart/mixed; boundary=a\n\n"
	for _, c := range []struct{ name, in, want string }{
		{"plain", "Subject: x\n\none\ntwo\n", `text/plain "one\r\ntwo\r\n" 2` + "\n"},
		{"no body", "Subject: x\n", `text/plain "" 0` + "\n"},
		{"empty", "", `text/plain "" 0` + "\n"},
		{"no header", "\nbody", `text/plain "body" 0` + "\n"},
		{"two parts", mixed + "pre\n--a\n\none\n--a\nContent-Type: text/html\n\n<p>\n\n--a--\nend\n",
			"multipart/mixed \"pre\\r\\n--a\\r\\n\\r\\none\\r\\n--a\\r\\nContent-Type: text/html\\r\\n\\r\\n<p>\\r\\n\\r\\n--a--\\r\\nend\\r\\n\" 11\n" +
				" text/plain \"one\" 0\n text/html \"<p>\\r\\n\" 1\n"},
		{"empty parts", mixed + "--a\n\n--a\nX: y\n--a\n--a--\n",
			"multipart/mixed \"--a\\r\\n\\r\\n--a\\r\\nX: y\\r\\n--a\\r\\n--a--\\r\\n\" 6\n" +
				" text/plain \"\" 0\n text/plain \"\" 0\n text/plain \"\" 0\n"},
		{"never closed", mixed + "--a\n\none\ntwo\n", "multipart/mixed \"--a\\r\\n\\r\\none\\r\\ntwo\\r\\n\" 4\n text/plain \"one\\r\\ntwo\\r\\n\" 2\n"},
		{"no parts", mixed + "one\ntwo\n", "multipart/mixed \"one\\r\\ntwo\\r\\n\" 2\n text/plain \"one\\r\\ntwo\\r\\n\" 2\n"},
		{"no boundary", "Content-Type: multipart/mixed\n\n--a\n\none\n", "multipart/mixed \"--a\\r\\n\\r\\none\\r\\n\" 3\n text/plain \"--a\\r\\n\\r\\none\\r\\n\" 3\n"},
		{"white space after boundary", mixed + "--a \t\n\none\n--a-- \n", "multipart/mixed \"--a \\t\\r\\n\\r\\none\\r\\n--a-- \\r\\n\" 4\n text/plain \"one\" 0\n"},
		{"inner ended by outer", mixed + "--a\nContent-Type: multipart/alternative; boundary=ab\n\n--ab\n\none\n--a\n\ntwo\n--a--\n",
			"multipart/mixed \"--a\\r\\nContent-Type: multipart/alternative; boundary=ab\\r\\n\\r\\n--ab\\r\\n\\r\\none\\r\\n--a\\r\\n\\r\\ntwo\\r\\n--a--\\r\\n\" 10\n" +
				" multipart/alternative \"--ab\\r\\n\\r\\none\" 2\n  text/plain \"one\" 0\n text/plain \"two\" 0\n"},
		{"outer is longer", "Content-Type: multipart/mixed; boundary=ab\n\n--ab\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\none\n--ab--\n",
			"multipart/mixed \"--ab\\r\\nContent-Type: multipart/mixed; boundary=a\\r\\n\\r\\n--a\\r\\n\\r\\none\\r\\n--ab--\\r\\n\" 7\n" +
				" multipart/mixed \"--a\\r\\n\\r\\none\" 2\n  text/plain \"one\" 0\n"},
		{"digest", "Content-Type: multipart/digest; boundary=a\n\n--a\n\nSubject: x\n\none\n--a--\n",
			"multipart/digest \"--a\\r\\n\\r\\nSubject: x\\r\\n\\r\\none\\r\\n--a--\\r\\n\" 6\n" +
				" message/rfc822 \"Subject: x\\r\\n\\r\\none\" 2\n  text/plain \"one\" 0\n"},
		{"encoded message", "Content-Type: message/rfc822\nContent-Transfer-Encoding: Base64\n\nU3Vi\n", "message/rfc822 \"U3Vi\\r\\n\" 1\n"},
		{"boundary with spaces inside", "Content-Type: multipart/mixed; boundary=\"a b\"\n\n--a b\n\none\n--a b--\n",
			"multipart/mixed \"--a b\\r\\n\\r\\none\\r\\n--a b--\\r\\n\" 4\n text/plain \"one\" 0\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := crlf(c.in)
			if diff := cmp.Diff(c.want, outline(in, scan(t, in))); diff != "" {
				t.Error(diff)
			}
		})
	}
}
