package message

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestLineEnds(t *testing.T) {
	for _, c := range []struct {
		in, normal, added string
		cr, lf            bool
	}{
		{"", "", "", false, false},
		{"a\r\nb\r\n", "a\r\nb\r\n", "a\r\nb\r\n", false, false},
		{"a\nb", "a\r\nb", "a\r\nb", false, true},
		{"\n\n", "\r\n\r\n", "\r\n\r\n", false, true},
		{"a\rb", "a\r\nb", "a\rb", true, false},
		{"a\r", "a\r\n", "a\r", true, false},
		{"a\r\r\n", "a\r\n\r\n", "a\r\r\n", true, false},
		{"a\r\n\n", "a\r\n\r\n", "a\r\n\r\n", false, true},
		{"\r\n.\r\r\n", "\r\n.\r\n\r\n", "\r\n.\r\r\n", true, false},
		{"\n\r", "\r\n\r\n", "\r\n\r", true, true},
	} {
		checkLineEnds(t, c.in, c.normal, c.added, c.cr, c.lf)
	}
}

func checkLineEnds(t *testing.T, in, normal, added string, cr, lf bool) {
	t.Helper()
	for _, wrap := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader} {
		got, err := io.ReadAll(NormalizeLineEnds(wrap(strings.NewReader(in))))
		if err != nil || string(got) != normal {
			t.Errorf("NormalizeLineEnds(%q) = %q, want %q", in, got, normal)
		}
		got, err = io.ReadAll(AddCR(wrap(strings.NewReader(in))))
		if err != nil || string(got) != added {
			t.Errorf("AddCR(%q) = %q, want %q", in, got, added)
		}
		var l LineEnds
		if _, err := io.Copy(&l, wrap(strings.NewReader(in))); err != nil {
			t.Fatal(err)
		}
		l.Close()
		if l.BareCR != cr || l.BareLF != lf {
			t.Errorf("LineEnds of %q: CR %v LF %v", in, l.BareCR, l.BareLF)
		}
	}
}

func FuzzLineEnds(f *testing.F) {
	f.Add("a\r\nb\rc\nd\r\r\n\n")
	f.Fuzz(func(t *testing.T, in string) {
		bare := strings.ReplaceAll(in, "\r\n", "")
		unix := strings.ReplaceAll(strings.ReplaceAll(in, "\r\n", "\n"), "\r", "\n")
		added := string(bytes.ReplaceAll([]byte(strings.ReplaceAll(in, "\r\n", "\n")), []byte("\n"), []byte("\r\n")))
		checkLineEnds(t, in, strings.ReplaceAll(unix, "\n", "\r\n"), added,
			strings.Contains(strings.ReplaceAll(in, "\r\n", "\n"), "\r"), strings.Contains(bare, "\n") && strings.Contains(strings.ReplaceAll(in, "\r\n", "x"), "\n"))
	})
}
