package wire

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// reader reads input in pieces as small as a byte, so that no token depends on
// where a packet ended.
func reader(input string) *Reader {
	r := NewReader(iotest.OneByteReader(strings.NewReader(input)), new(Buffers))
	r.Continue = func() error { return nil }
	return r
}

func TestTokens(t *testing.T) {
	for _, c := range []struct {
		in   string
		take func(*Reader) any
		want any
	}{
		{"abc]", func(r *Reader) any { return r.Astring() }, "abc]"},
		{`"a \"b\" \\"`, func(r *Reader) any { return r.Astring() }, `a "b" \`},
		{`""`, func(r *Reader) any { return r.Astring() }, ""},
		{"{3}\r\na\"\r", func(r *Reader) any { return r.Astring() }, "a\"\r"},
		{"{0+}\r\n", func(r *Reader) any { return r.Astring() }, ""},
		{"~abc", func(r *Reader) any { return r.Astring() }, "~abc"},
		{`"grün"`, func(r *Reader) any { return r.Astring() }, "grün"},
		{"fetch", func(r *Reader) any { return r.Word() }, "FETCH"},
		{"in%bo*x]", func(r *Reader) any { return r.ListMailbox() }, "in%bo*x]"},
		{"4294967295", func(r *Reader) any { return r.Number() }, uint32(4294967295)},
		{"1,3:*,9:7", func(r *Reader) any { return r.NumSet() }, NumSet{Ranges: []Range{{1, 1}, {3, 0}, {9, 7}}}},
		{"$", func(r *Reader) any { return r.NumSet() }, NumSet{Saved: true}},
		{`(\Seen $Junk foo)`, func(r *Reader) any { return r.Flags() }, []string{`\Seen`, "$Junk", "foo"}},
		{`()`, func(r *Reader) any { return r.Flags() }, []string(nil)},
		{"1-Feb-1994", func(r *Reader) any { return r.Date() }, time.Date(1994, 2, 1, 0, 0, 0, 0, time.UTC)},
		{`"01-feb-1994"`, func(r *Reader) any { return r.Date() }, time.Date(1994, 2, 1, 0, 0, 0, 0, time.UTC)},
		{`" 7-Jul-1996 02:44:25 +0000"`, func(r *Reader) any { return r.DateTime() }, time.Date(1996, 7, 7, 2, 44, 25, 0, time.UTC)},
		{"BODY.PEEK[", func(r *Reader) any { l := r.Label(); r.Expect('['); return l }, "BODY.PEEK"},
	} {
		r := reader(c.in + "\r\n")
		if err := r.Begin(1000); err != nil {
			t.Fatal(err)
		}
		got := c.take(r)
		r.End()
		if r.Err() != nil {
			t.Errorf("%q: %v", c.in, r.Err())
		} else if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%q: %s", c.in, d)
		}
	}
}

func TestBadTokens(t *testing.T) {
	astring := func(r *Reader) { r.Astring() }
	set := func(r *Reader) { r.NumSet() }
	date := func(r *Reader) { r.Date() }
	dateTime := func(r *Reader) { r.DateTime() }
	for _, c := range []struct {
		in   string
		take func(*Reader)
	}{
		{"", astring}, {"(", astring}, {`"abc`, astring}, {`"a\b"`, astring}, {"\"a\x00\"", astring}, {"\"a\xff\"", astring},
		{"{1+}\r\n\x00", astring}, {"{x}", astring}, {"{}", astring}, {"{3} x", astring}, {"gr\xc3\xbcn", astring},
		{"0", set}, {"1:", set}, {"1,", set}, {"4294967296", set}, {"1::2", set}, {"a", set},
		{"31-Feb-1994", date}, {"0-Feb-1994", date}, {"1-Fbe-1994", date}, {"1-Feb-94", date}, {"1-anf-1994", date},
		{`"17-Jul-1996 24:44:25 -0700"`, dateTime}, {`17-Jul-1996 02:44:25 -0700`, dateTime}, {`"17-Jul-1996 02:44:25"`, dateTime},
		{"4294967296", func(r *Reader) { r.Number() }}, {"99999999999999999999", func(r *Reader) { r.Number64() }},
		{"(a b", func(r *Reader) { r.Flags() }}, {"(a(b)", func(r *Reader) { r.Flags() }},
	} {
		r := reader(c.in + "\r\n")
		if err := r.Begin(1000); err != nil {
			t.Fatal(err)
		}
		c.take(r)
		r.End()
		if _, ok := r.Err().(*SyntaxError); !ok {
			t.Errorf("%q: %v, want a syntax error", c.in, r.Err())
		}
		if err := r.Finish(100); err != nil {
			t.Errorf("%q: finish: %v", c.in, err)
		}
	}
}

// The bytes of a refused literal are thrown away, whatever they look like.
func TestRefusedLiteralIsNoCommand(t *testing.T) {
	for _, in := range []string{
		"a1 LOGIN {200+}\r\n" + strings.Repeat("b LOGOUT", 25) + " {8+}\r\nb LOGOUT\r\n",
		"a1 LOGIN ( {8+}\r\nb LOGOUT {8+}\r\nb LOGOUT\r\n",
		"a1 LOGIN ~{8+}\r\nb LOGOUT\r\n",
		"a1 LOGIN {99999999999999999999999}\r\n",
	} {
		r := reader(in + "c NOOP\r\n")
		if err := r.Begin(64); err != nil {
			t.Fatal(err)
		}
		r.Tag()
		r.SP()
		r.Atom()
		r.SP()
		r.Astring()
		r.End()
		if r.Err() == nil {
			t.Fatalf("%q was taken", in)
		}
		if err := r.Finish(1000); err != nil {
			t.Fatalf("%q: %v", in, err)
		}
		if err := r.Begin(64); err != nil {
			t.Fatal(err)
		}
		if tag := r.Tag(); tag != "c" {
			t.Errorf("%q: next command has the tag %q", in, tag)
		}
	}
}

func TestLimits(t *testing.T) {
	r := reader("a LOGIN {2000+}\r\n" + strings.Repeat("x", 2000) + "\r\n")
	r.Begin(100)
	r.Tag()
	r.SP()
	r.Atom()
	r.SP()
	r.Astring()
	if !errors.Is(r.Err(), ErrLiteralTooBig) {
		t.Errorf("literal over budget: %v", r.Err())
	}
	if err := r.Finish(1999); !errors.Is(err, ErrTooLong) {
		t.Errorf("drain over its bound: %v", err)
	}
	for _, n := range []int{200, bufferSize, 3 * bufferSize} {
		r = reader(strings.Repeat("x", n) + "\r\n")
		if err := r.Begin(int64(n)); !errors.Is(err, ErrTooLong) {
			t.Errorf("line of %d: %v", n, err)
		}
		r = reader(strings.Repeat("x", n) + "\r\nnext\r\n")
		if err := r.Begin(int64(n) + 2); err != nil || len(r.line) != n {
			t.Errorf("line of %d: %d, %v", n, len(r.line), err)
		}
		if err := r.Begin(10); err != nil || r.Atom() != "next" {
			t.Errorf("after a line of %d: %v", n, err)
		}
	}
	r = reader("a LOGIN {5}\r\nabc")
	r.Begin(100)
	r.Tag()
	r.SP()
	r.Atom()
	r.SP()
	r.Astring()
	if !errors.Is(r.Err(), io.ErrUnexpectedEOF) {
		t.Errorf("cut literal: %v", r.Err())
	}
}

func TestStream(t *testing.T) {
	body := strings.Repeat("0123456789", 10000)
	for _, in := range []io.Reader{
		strings.NewReader("a APPEND x {100000}\r\n" + body + " (more)\r\nnext\r\n"),
		iotest.HalfReader(strings.NewReader("a APPEND x {100000}\r\n" + body + " (more)\r\nnext\r\n")),
	} {
		r := NewReader(in, new(Buffers))
		asked := 0
		r.Continue = func() error { asked++; return nil }
		r.Begin(100)
		r.Tag()
		r.SP()
		r.Atom()
		r.SP()
		r.Astring()
		r.SP()
		src, err := r.Stream(r.LiteralHeader())
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(src)
		if err != nil || string(got) != body || asked != 1 {
			t.Fatalf("%d bytes, %d continuations, %v", len(got), asked, err)
		}
		r.Resume()
		r.SP()
		if d := cmp.Diff([]string{"more"}, r.Flags()); d != "" {
			t.Error(d)
		}
		r.End()
		if err := r.Finish(0); err != nil {
			t.Fatal(err)
		}
		r.Begin(100)
		if r.Atom() != "next" {
			t.Error("next command lost")
		}
	}
}

// A streamed literal that the caller gives up is thrown away with its line.
func TestAbandonedStream(t *testing.T) {
	r := reader("a APPEND x {20+}\r\n0123456789\r\nb BAD\r\n rest\r\nnext\r\n")
	r.Begin(100)
	r.Tag()
	r.SP()
	r.Atom()
	r.SP()
	r.Astring()
	r.SP()
	src, err := r.Stream(r.LiteralHeader())
	if err != nil {
		t.Fatal(err)
	}
	io.ReadFull(src, make([]byte, 5))
	if err := r.Finish(100); err != nil {
		t.Fatal(err)
	}
	r.Begin(100)
	if got := r.Atom(); got != "next" {
		t.Errorf("next command is %q", got)
	}
}

func TestUTF7(t *testing.T) {
	for name, want := range map[string]string{
		"INBOX": "INBOX", "R&D": "R&-D", "&": "&-", "&&": "&-&-", "Entwürfe": "Entw&APw-rfe",
		"~peter/mail/台北/日本語": "~peter/mail/&U,BTFw-/&ZeVnLIqe-", "☺!": "&Jjo-!", "a😀b": "a&2D3eAA-b", "ü&ü": "&APw-&-&APw-", "": "",
	} {
		if got := EncodeUTF7(name); got != want {
			t.Errorf("encode %q: %q, want %q", name, got, want)
		}
		if got, err := DecodeUTF7(want); got != name || err != nil {
			t.Errorf("decode %q: %q, %v", want, got, err)
		}
	}
	for _, bad := range []string{
		"R&D", "&", "a&APw", "&AGE-", "&APw-&APw-", "&A-", "&APw=-", "&2D0-", "&3gDYPQ-", "ü", "a\x7f", "&AP,,-", "&ACY-", "&Jjo/-", "a\x00",
	} {
		if got, err := DecodeUTF7(bad); err == nil {
			t.Errorf("decode %q: %q, want an error", bad, got)
		}
	}
}

func TestWriter(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b, new(Buffers))
	w.Str("* ")
	w.Num(42)
	for _, s := range []string{"a", "a b", `q"\`, "", "NIL", "ü", "a\r\n", "a]"} {
		w.Byte(' ')
		w.Astring(s)
	}
	w.UTF8 = true
	w.Byte(' ')
	w.Astring("ü")
	w.Byte(' ')
	w.Set([]uint32{1, 2, 3, 5, 7, 8})
	w.Byte(' ')
	w.DateTime(time.Date(1996, 7, 7, 2, 44, 25, 0, time.FixedZone("", -7*3600)))
	w.Byte(' ')
	big := strings.Repeat("x", 3*bufferSize)
	w.LiteralHead(int64(len(big)), true)
	w.Copy(strings.NewReader(big), int64(len(big)))
	w.CRLF()
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	want := `* 42 a "a b" "q\"\\" "" "NIL" {2}` + "\r\nü {3}\r\na\r\n \"a]\" \"ü\" 1:3,5,7:8 \" 7-Jul-1996 02:44:25 -0700\" ~{49152}\r\n" + big + "\r\n"
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Error(d)
	}
	w.Copy(strings.NewReader("short"), 6)
	if !errors.Is(w.Err(), io.ErrUnexpectedEOF) {
		t.Errorf("short source: %v", w.Err())
	}
}

func FuzzUTF7(f *testing.F) {
	f.Add("Entw&APw-rfe")
	f.Add("&U,BTFw-&ZeVnLIqe-")
	f.Fuzz(func(t *testing.T, s string) {
		name, err := DecodeUTF7(s)
		if err == nil && EncodeUTF7(name) != s {
			t.Errorf("%q decodes to %q, which encodes to %q", s, name, EncodeUTF7(name))
		}
	})
}

// Whatever comes, the lexer ends, holds no more than its budget, and never
// reads behind the literal it drains.
func FuzzReader(f *testing.F) {
	f.Add([]byte("a LOGIN {3+}\r\nabc \"x\\\"y\" (a b) 1:*,4 1-Feb-1994\r\n"), uint16(100))
	f.Add([]byte("a X {8+}\r\nb LOGOUT {2}\r\n"), uint16(10))
	f.Fuzz(func(t *testing.T, in []byte, budget uint16) {
		r := NewReader(bytes.NewReader(in), new(Buffers))
		r.Continue = func() error { return nil }
		for r.Begin(int64(budget)) == nil {
			r.Tag()
			for r.Err() == nil && r.Peek() != 0 {
				r.SP()
				switch r.Peek() {
				case '(':
					r.List(func() { r.Astring() })
				case '"', '{':
					r.Astring()
				case '$', '*', '1':
					r.NumSet()
				case '2':
					r.Date()
				case '[':
					r.DateTime()
				case '~':
					r.LiteralHeader()
				default:
					r.Label()
				}
			}
			r.End()
			if r.Finish(1000) != nil {
				return
			}
		}
	})
}
