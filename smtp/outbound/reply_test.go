package outbound

import (
	"bufio"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailstead/smtp"
)

func TestReadReply(t *testing.T) {
	for in, want := range map[string]smtp.Reply{
		"250 2.1.0 ok\r\n": {Code: 250, Status: "2.1.0", Text: "ok"},
		"250 ok\n":         {Code: 250, Text: "ok"},
		"250\r\n":          {Code: 250},
		"250-\r\n250 \r\n": {Code: 250, Text: "\n"},
		"550-5.1.1 a\r\n550-b\r\n550 5.7.1 c\r\n": {Code: 550, Status: "5.1.1", Text: "a\nb\nc"},
		"550 4.1.1 wrong class\r\n":               {Code: 550, Text: "4.1.1 wrong class"},
		"250-a\r\n550 b\r\n":                      {},
		"25\r\n":                                  {},
		"999 x\r\n":                               {},
		"250x\r\n":                                {},
		"250 no end":                              {},
		"":                                        {},
		strings.Repeat("2", 10000) + "\r\n":       {},
		"220 " + strings.Repeat("x", 9000) + "\r\n": {},
	} {
		got, _, err := readReply(bufio.NewReader(strings.NewReader(in)))
		if err != nil {
			got = smtp.Reply{}
		}
		if d := cmp.Diff(want, got); d != "" || (err == nil) != (want.Code != 0) {
			t.Errorf("%.40q: %v\n%s", in, err, d)
		}
	}
}

func TestSaidIsShort(t *testing.T) {
	r := smtp.Reply{Code: 550, Text: strings.Repeat("ü", 5000)}
	if s := said(r); len(s) > maxReply+len("…") || !strings.HasSuffix(s, "ü…") {
		t.Error(len(s))
	}
}

// FuzzReply: whatever a host says ends in a bounded, printable reply.
func FuzzReply(f *testing.F) {
	f.Add("250-a\r\n250 2.0.0 b\r\n")
	f.Add("550 5.1.1 \x1b[31m\xff\r\n")
	f.Add("220")
	f.Fuzz(func(t *testing.T, in string) {
		r, lines, err := readReply(bufio.NewReader(strings.NewReader(in)))
		if err != nil {
			return
		}
		if len(lines) > maxReplyLines || r.Code < 200 || r.Code > 599 || len(said(r)) > maxReply+len("…") {
			t.Errorf("%+v", r)
		}
		if strings.ContainsFunc(said(r), func(c rune) bool { return c < ' ' || c == 0x7f }) {
			t.Errorf("%q", said(r))
		}
		if s := status(r); s[0] != '0'+byte(r.Code/100) {
			t.Errorf("status %s of %d", s, r.Code)
		}
	})
}

// FuzzDots: the stuffed form of a message ends once, and only at its end.
func FuzzDots(f *testing.F) {
	f.Add("a\r\n.\r\nb", 3)
	f.Add(".", 1)
	f.Add("", 1)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		text = strings.NewReplacer("\r", "", "\n", "\r\n").Replace(text)
		var out strings.Builder
		w := &dotWriter{w: &out}
		cut = max(0, min(cut, len(text)))
		for _, part := range []string{text[:cut], text[cut:]} {
			if n, err := io.WriteString(w, part); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
		}
		if err := w.end(); err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		lines := strings.SplitAfter(out.String(), "\r\n")
		for i, line := range lines {
			if line == ".\r\n" {
				if i != len(lines)-2 {
					t.Fatalf("ends early: %q", out.String())
				}
				break
			}
			got.WriteString(strings.TrimPrefix(line, "."))
		}
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\r\n"
		}
		if got.String() != text {
			t.Fatalf("%q became %q", text, got.String())
		}
	})
}
