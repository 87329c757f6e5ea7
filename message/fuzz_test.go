package message

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzScan(f *testing.F) {
	f.Add(typical())
	for _, s := range hostile() {
		if len(s) < 2000 {
			f.Add(s)
		} else {
			f.Add(s[:2000])
		}
	}
	f.Add(crlf("Content-Type: multipart/digest; boundary=\"a\"\n\n--a\n\nFrom: A <a@b>\nTo: g: c@d;\n\nx\n--a\nContent-Type: message/rfc822\n--a--\n"))
	f.Fuzz(func(t *testing.T, s string) {
		p := scan(t, s)
		checkWire(t, AppendEnvelope(nil, p.Envelope))
		checkWire(t, AppendBodyStructure(nil, p, true))
		checkMarshal(t, p)
		sum, err := Summarize(strings.NewReader(s), int64(len(s)), p)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{sum.Subject, sum.BaseSubject, sum.Preview, sum.FromName, sum.From} {
			if !utf8.ValidString(text) || strings.ContainsAny(text, "\r\n\x00") {
				t.Fatalf("text %q", text)
			}
		}
		if n := utf8.RuneCountInString(sum.Preview); n > previewRunes {
			t.Fatalf("preview of %d", n)
		}
		h := ParseHeader([]byte(s))
		if !strings.HasPrefix(s, h.raw()) {
			t.Fatal("header is no prefix")
		}
	})
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{"a@b.example", `"a\"b"@[IPv6:::1]`, "jøran@bücher.example", "<@a:b@c>", "postmaster"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err == nil {
			again, err := ParseAddress(a.String())
			if err != nil || again != a {
				t.Fatalf("%q: %+v became %+v, %v", s, a, again, err)
			}
			b, rest, err := ParsePath("<" + a.String() + ">x")
			if err != nil || b != a || rest != "x" {
				t.Fatalf("%q: path %+v %q, %v", s, b, rest, err)
			}
			a.Unicode()
		}
		_, _, _ = ParsePath(s)
	})
}

func FuzzDate(f *testing.F) {
	f.Add("Wed, 04 Mar 2026 05:06:07 +0100")
	f.Add("2006-01-02T15:04:05.25Z")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDate(s)
		if err != nil {
			return
		}
		again, err := ParseDate(FormatDate(d))
		if err != nil || !again.Equal(d) {
			t.Fatalf("%q: %v became %v, %v", s, d, again, err)
		}
	})
}

func FuzzUnmarshalParts(f *testing.F) {
	s := typical()
	p, _ := Scan(strings.NewReader(s), int64(len(s)))
	f.Add(MarshalParts(p))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := UnmarshalParts(b); err == nil {
			AppendBodyStructure(nil, p, false)
		}
	})
}
