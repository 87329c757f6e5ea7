package wire

import (
	"io"
	"strconv"
	"strings"
	"time"
)

// Writer gathers responses. The first error sticks; Err tells it, and nothing
// is written after it.
type Writer struct {
	UTF8 bool // the client takes UTF-8 in quoted strings (RFC 6855, RFC 9051)

	dst     io.Writer
	buffers *Buffers
	buf     []byte // lent while something waits to be flushed
	err     error
}

// NewWriter makes a writer to dst.
func NewWriter(dst io.Writer, b *Buffers) *Writer {
	return &Writer{dst: dst, buffers: b}
}

// Err is the first error.
func (w *Writer) Err() error { return w.err }

// Flush sends what was gathered and gives the buffer back.
func (w *Writer) Flush() error {
	w.send()
	if w.buf != nil {
		w.buffers.put(w.buf)
		w.buf = nil
	}
	return w.err
}

func (w *Writer) send() {
	if len(w.buf) > 0 && w.err == nil {
		_, w.err = w.dst.Write(w.buf)
	}
	w.buf = w.buf[:0]
}

// room makes sure that n more bytes fit, where n is small.
func (w *Writer) room(n int) {
	if w.buf == nil {
		w.buf = w.buffers.get()[:0]
	}
	if cap(w.buf)-len(w.buf) < n {
		w.send()
	}
}

// Str writes s as it is.
func (w *Writer) Str(s string) {
	for len(s) > 0 {
		w.room(1)
		n := min(len(s), cap(w.buf)-len(w.buf))
		w.buf = append(w.buf, s[:n]...)
		s = s[n:]
	}
}

// Bytes writes b as it is.
func (w *Writer) Bytes(b []byte) {
	for len(b) > 0 {
		w.room(1)
		n := min(len(b), cap(w.buf)-len(w.buf))
		w.buf = append(w.buf, b[:n]...)
		b = b[n:]
	}
}

// Byte writes one byte.
func (w *Writer) Byte(c byte) {
	w.room(1)
	w.buf = append(w.buf, c)
}

// CRLF ends a response.
func (w *Writer) CRLF() { w.Str("\r\n") }

// Num writes a number.
func (w *Writer) Num(n uint64) {
	w.room(20)
	w.buf = strconv.AppendUint(w.buf, n, 10)
}

// quotable tells whether s can go as a quoted string: 7-bit text without CR,
// LF and NUL (8-bit text where the client takes UTF-8).
func (w *Writer) quotable(s string) bool {
	if len(s) > 1024 {
		return false
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == 0 || c == '\r' || c == '\n':
			return false
		case c >= 0x80 && !w.UTF8:
			return false
		}
	}
	return true
}

// String writes s as a quoted string where it can be one, else as a literal.
func (w *Writer) String(s string) {
	if !w.quotable(s) {
		w.LiteralHead(int64(len(s)), false)
		w.Str(s)
		return
	}
	w.Byte('"')
	start := 0
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			w.Str(s[start:i])
			w.Byte('\\')
			start = i
		}
	}
	w.Str(s[start:])
	w.Byte('"')
}

// Astring writes s as an atom where it can be one, else as a string.
func (w *Writer) Astring(s string) {
	ok := s != "" && !strings.EqualFold(s, "NIL")
	for i := 0; ok && i < len(s); i++ {
		ok = class[s[i]]&atomChar != 0
	}
	if ok {
		w.Str(s)
		return
	}
	w.String(s)
}

// LiteralHead announces a literal of n bytes, to be written next.
func (w *Writer) LiteralHead(n int64, binary bool) {
	if binary {
		w.Byte('~')
	}
	w.Byte('{')
	w.Num(uint64(n))
	w.Str("}\r\n")
}

// Literal writes b as a literal.
func (w *Writer) Literal(b []byte) {
	w.LiteralHead(int64(len(b)), false)
	w.Bytes(b)
}

// Copy writes exactly n bytes of src through the buffer. When src gives fewer,
// the promise of the literal's head cannot be kept and the writer fails for
// good.
func (w *Writer) Copy(src io.Reader, n int64) {
	for n > 0 && w.err == nil {
		w.room(1)
		free := w.buf[len(w.buf):min(int64(cap(w.buf)), int64(len(w.buf))+n)]
		m, err := src.Read(free)
		w.buf = w.buf[:len(w.buf)+m]
		n -= int64(m)
		if err != nil && n > 0 {
			w.send()
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			w.err = err
		}
	}
}

// Set writes ascending numbers as a set, runs joined.
func (w *Writer) Set(list []uint32) {
	comma := false
	for r := range Runs(list) {
		if comma {
			w.Byte(',')
		}
		comma = true
		w.Num(uint64(r.From))
		if r.To > r.From {
			w.Byte(':')
			w.Num(uint64(r.To))
		}
	}
}

// DateTime writes a date-time: "17-Jul-1996 02:44:25 -0700".
func (w *Writer) DateTime(t time.Time) {
	w.room(40)
	w.buf = t.AppendFormat(w.buf, `"_2-Jan-2006 15:04:05 -0700"`)
}

// AppendAstring appends s as an atom where it can be one, else quoted; what a
// quoted string cannot hold is left out. It is for names that are echoed.
func AppendAstring(b []byte, s string) []byte {
	ok := s != ""
	for i := 0; ok && i < len(s); i++ {
		ok = class[s[i]]&atomChar != 0
	}
	if ok {
		return append(b, s...)
	}
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == 0 || c == '\r' || c == '\n' || c >= 0x80:
			continue
		case c == '"' || c == '\\':
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}
