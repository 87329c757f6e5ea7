package wire

import (
	"bytes"
	"io"
	"strconv"
)

// Literal is the announcement of a literal.
type Literal struct {
	Size   int64
	Sync   bool // the client waits for a continuation request
	Binary bool // literal8, RFC 3516: may hold NUL
}

// LiteralHeader parses an announcement at the end of the line without reading
// what it announces.
func (r *Reader) LiteralHeader() Literal {
	l := Literal{Sync: true, Binary: r.Accept('~')}
	r.Expect('{')
	start := r.pos
	for r.isDigit() {
		r.pos++
	}
	digits := ""
	if r.err == nil {
		digits = string(r.line[start:r.pos])
	}
	if r.Accept('+') {
		l.Sync = false
	}
	r.Expect('}')
	if r.err != nil {
		return Literal{}
	}
	if r.pos != len(r.line) {
		r.Fail("literal not at the end of the line")
		return Literal{}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		if len(digits) == 0 {
			r.Fail("literal without a size")
		} else {
			r.err = ErrLiteralTooBig
		}
		return Literal{}
	}
	l.Size = n
	return l
}

// Stream accepts a literal that is not charged to the budget and gives it as a
// stream. What the caller leaves unread is drained by Finish. After the last
// byte the command goes on with Resume.
func (r *Reader) Stream(l Literal) (io.Reader, error) {
	if r.err != nil {
		return nil, r.err
	}
	if l.Sync {
		if r.err = r.Continue(); r.err != nil {
			return nil, r.err
		}
	}
	r.line, r.pos = nil, 0
	r.body = literalReader{r: r, n: l.Size}
	return &r.body, nil
}

// Resume reads the line that follows a streamed literal.
func (r *Reader) Resume() {
	if r.err == nil && r.body.n == 0 {
		r.nextLine()
	}
}

// literal reads a literal into memory and the line that follows it.
func (r *Reader) literal() string {
	l := r.LiteralHeader()
	if r.err != nil {
		return ""
	}
	if l.Binary {
		r.Fail("literal8 not allowed here")
		return ""
	}
	if l.Size > r.left {
		r.err = ErrLiteralTooBig
		return ""
	}
	r.left -= l.Size
	src, err := r.Stream(l)
	if err != nil {
		return ""
	}
	b := make([]byte, l.Size)
	if _, err := io.ReadFull(src, b); err != nil {
		r.err = err
		return ""
	}
	r.nextLine()
	if bytes.IndexByte(b, 0) >= 0 {
		r.Fail("NUL in a literal")
		return ""
	}
	return string(b)
}

// literalReader gives the next n bytes of the connection. Large reads go
// around the buffer.
type literalReader struct {
	r *Reader
	n int64
}

func (l *literalReader) Read(p []byte) (int, error) {
	if l.n == 0 {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	if int64(len(p)) > l.n {
		p = p[:l.n]
	}
	r := l.r
	if r.rd == r.wr {
		if len(p) >= bufferSize/2 {
			n, err := r.read(p)
			l.n -= int64(n)
			return n, unexpected(n, err)
		}
		if err := r.fill(); err != nil {
			return 0, unexpected(0, err)
		}
	}
	n := copy(p, r.buf[r.rd:r.wr])
	r.rd += n
	l.n -= int64(n)
	return n, nil
}

// unexpected makes the end of the connection inside a literal an error that
// nobody takes for the literal's end.
func unexpected(n int, err error) error {
	if n > 0 {
		return nil
	}
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
