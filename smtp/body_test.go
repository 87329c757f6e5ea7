package smtp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func itoa(n int) string { return strconv.Itoa(n) }

func unquote(t *testing.T, s string) string {
	t.Helper()
	u, err := strconv.Unquote(`"` + s + `"`)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// readDotted reads one DATA from r as a Transaction would.
func readDotted(r io.Reader, strict bool) (got []byte, rest []byte, err error) {
	in := newInput(r, func() error { return nil }, new(sync.Pool))
	in.enlarge()
	b := &body{src: &dotted{in: in, strict: strict}, limit: 1 << 40, strict: strict}
	got, err = io.ReadAll(b)
	if cut := b.drain(); cut != nil {
		return got, nil, cut
	}
	return got, in.bytes(), err
}

func TestDotted(t *testing.T) {
	for _, tt := range []struct{ in, want, rest string }{
		{".\r\nrest", "", "rest"},
		{"a\r\n.\r\n", "a\r\n", ""},
		{"..\r\n...a\r\n.b\r\n.\r\nx", ".\r\n..a\r\nb\r\n", "x"},
		{"a\n.\nb\r\n.\r\n", "a\n.\nb\r\n", ""},
		{"a\r.\r\n.\r\n", "a\r.\r\n", ""},
		{"\r\r\n.\r\n", "\r\r\n", ""},
		{".\r.\r\n.\r\n", "\r.\r\n", ""},
		{strings.Repeat("x", 100000) + "\r\n.\r\n", strings.Repeat("x", 100000) + "\r\n", ""},
	} {
		for _, r := range []io.Reader{strings.NewReader(tt.in), iotest.OneByteReader(strings.NewReader(tt.in))} {
			got, rest, err := readDotted(r, false)
			if err != nil || string(got) != tt.want {
				t.Errorf("%.40q: got %.40q, %v", tt.in, got, err)
			}
			if _, one := r.(*strings.Reader); one && string(rest) != tt.rest {
				t.Errorf("%.40q: rest %q", tt.in, rest)
			}
		}
	}
}

// FuzzDotted compares with net/textproto where both should agree, and holds
// that the way the octets arrive changes nothing.
func FuzzDotted(f *testing.F) {
	for _, s := range []string{"", ".\r\n", "a\r\n.\r\nb", "a\n.\n", "\r\r\n.\r\n", "..a\r\n.\r\n", ".\r", "a\r\n.\rb\r\n.\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, _, err := readDotted(bytes.NewReader(in), true)
		slow, _, slowErr := readDotted(iotest.OneByteReader(bytes.NewReader(in)), true)
		if !errors.Is(slowErr, err) {
			t.Fatalf("%q: %v, octet by octet %v", in, err, slowErr)
		}
		if err != nil {
			return
		}
		if !bytes.Equal(got, slow) {
			t.Fatalf("%q: %q, octet by octet %q", in, got, slow)
		}
		// Accepted strictly: the grammar is the plain one.
		dot := textproto.NewReader(bufio.NewReader(bytes.NewReader(in))).DotReader()
		want, wantErr := io.ReadAll(dot)
		if wantErr != nil {
			t.Fatalf("%q: accepted, textproto says %v", in, wantErr)
		}
		if diff := cmp.Diff(string(want), strings.ReplaceAll(string(got), "\r\n", "\n")); diff != "" {
			t.Fatalf("%q: %s", in, diff)
		}
	})
}

// FuzzLineEnds compares the watcher of chunks with the plain definition, for
// every way to cut the octets in two.
func FuzzLineEnds(f *testing.F) {
	for _, s := range []string{"", "a\r\n", "\r", "\n", "\r\r\n", "a\rb", "\r\n\n"} {
		f.Add([]byte(s), 1)
	}
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		cut = min(max(cut, 0), len(in))
		want := strings.ContainsAny(strings.ReplaceAll(string(in), "\r\n", ""), "\r\n")
		// "\r\r\n\n" leaves "\r\n" behind: the plain definition is per octet.
		for i, c := range in {
			if c == '\r' && (i+1 == len(in) || in[i+1] != '\n') || c == '\n' && (i == 0 || in[i-1] != '\r') {
				want = true
			}
		}
		var l lineEnds
		l.watch(in[:cut])
		l.watch(in[cut:])
		l.end()
		if l.isBare != want {
			t.Fatalf("%q cut at %d: %v, want %v", in, cut, l.isBare, want)
		}
	})
}

// FuzzCommand holds that no line breaks the parser, and that a path is inside
// the line it came from.
func FuzzCommand(f *testing.F) {
	for _, s := range []string{"MAIL FROM:<a@example.org> SIZE=1", `RCPT TO:<"a>b"@example.org>`, "MAIL FROM:<@a:b@c>", "BDAT 1 LAST", "mail from:<", "RCPT TO:<\">", "\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		verb, args := splitVerb(line)
		if strings.ToUpper(verb) != verb || len(verb) > 10 {
			t.Fatalf("verb %q", verb)
		}
		for _, keyword := range []string{"FROM:", "TO:"} {
			if inner, params, ok := path(args, keyword); ok && !strings.Contains(args, inner+">") {
				t.Fatalf("%q: %q %q", args, inner, params)
			}
		}
		s := &session{srv: &Server{DSN: true}}
		var m Mail
		s.mailParams(&m, args)
		if n, _, ok := chunkSize(args); ok && n < 0 {
			t.Fatalf("%q: negative chunk", args)
		}
	})
}

func BenchmarkDotted64K(b *testing.B) {
	msg := []byte(strings.Repeat(strings.Repeat("x", 70)+"\r\n", 64<<10/72) + ".\r\n")
	pool := new(sync.Pool)
	r := bytes.NewReader(nil)
	in := newInput(r, func() error { return nil }, pool)
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(msg)
		in.enlarge()
		body := &body{src: &dotted{in: in, strict: true}, limit: 1 << 40, strict: true}
		if _, err := io.Copy(io.Discard, body); err != nil {
			b.Fatal(err)
		}
		in.reduce()
	}
}
