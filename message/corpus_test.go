package message

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailstead/internal/corpus"
)

// eachSharedMessage gives every message of the shared corpora and suites, with
// CRLF line ends.
func eachSharedMessage(t *testing.T, fn func(name string, raw []byte)) {
	t.Helper()
	corpus.Each(t, func(name string, b []byte) { fn(name, corpus.Message(b)) })
}

func TestSharedMail(t *testing.T) {
	n := 0
	eachSharedMessage(t, func(name string, raw []byte) {
		n++
		p, err := Scan(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		checkTree(t, p, Span{0, int64(len(raw))})
		if _, err := Summarize(bytes.NewReader(raw), int64(len(raw)), p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		checkWire(t, AppendEnvelope(nil, p.Envelope))
		checkWire(t, AppendBodyStructure(nil, p, true))
		checkMarshal(t, p)
	})
	t.Logf("%d messages", n)
}

// checkMarshal passes a tree through its stored form.
func checkMarshal(t testing.TB, p *Part) {
	t.Helper()
	q, err := UnmarshalParts(MarshalParts(p))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(AppendBodyStructure(nil, p, false)), string(AppendBodyStructure(nil, q, false))); diff != "" {
		t.Fatal(diff)
	}
	var same func(a, b *Part)
	same = func(a, b *Part) {
		if a.Header != b.Header || a.Body != b.Body || len(a.Parts) != len(b.Parts) || (a.Message == nil) != (b.Message == nil) {
			t.Fatalf("%v %v became %v %v", a.Header, a.Body, b.Header, b.Body)
		}
		for i := range a.Parts {
			same(a.Parts[i], b.Parts[i])
		}
		if a.Message != nil {
			same(a.Message, b.Message)
		}
	}
	same(p, q)
}

// checkWire reads one parenthesised list of RFC 9051's strings, numbers and NIL
// and fails where a client's parser would.
func checkWire(t testing.TB, b []byte) {
	t.Helper()
	rest, ok := skipWire(b)
	if !ok || len(rest) > 0 {
		t.Fatalf("not a list at %q of %q", rest[:min(len(rest), 60)], b)
	}
}

func skipWire(b []byte) (rest []byte, ok bool) {
	if len(b) == 0 {
		return b, false
	}
	switch c := b[0]; {
	case c == '(':
		b = b[1:]
		for len(b) > 0 && b[0] != ')' {
			if b[0] == ' ' {
				b = b[1:]
			}
			if b, ok = skipWire(b); !ok {
				return b, false
			}
		}
		return b[min(1, len(b)):], len(b) > 0
	case c == '"':
		for i := 1; i < len(b); i++ {
			switch b[i] {
			case '\\':
				i++
			case '"':
				return b[i+1:], true
			case '\r', '\n', 0:
				return b[i:], false
			}
			if i < len(b) && b[i] >= 0x80 {
				return b[i:], false
			}
		}
		return b, false
	case c == '{':
		i := bytes.Index(b, []byte("}\r\n"))
		n := number(string(b[1:max(i, 1)]))
		if i < 0 || n < 0 || i+3+n > len(b) || bytes.IndexByte(b[i+3:i+3+n], 0) >= 0 {
			return b, false
		}
		return b[i+3+n:], true
	case '0' <= c && c <= '9':
		for len(b) > 0 && '0' <= b[0] && b[0] <= '9' {
			b = b[1:]
		}
		return b, true
	}
	return bytes.CutPrefix(b, []byte("NIL"))
}
