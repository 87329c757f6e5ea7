package message

import (
	"bytes"
	"io"
)

// LineEnds watches bytes go by and tells whether every line ends in CRLF
// (RFC 5321, 2.3.8: a CR or LF of its own must not be sent; accepting it lets
// two servers see two different messages). It is an io.Writer that never fails.
type LineEnds struct {
	BareCR, BareLF bool
	cr             bool // the last byte was CR
}

// Write looks at the next bytes.
func (l *LineEnds) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	crs, pairs := bytes.Count(p, []byte{'\r'}), 0
	if l.cr {
		crs++
	}
	for rest, before := p, l.cr; ; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		if i > 0 {
			before = rest[i-1] == '\r'
		}
		if before {
			pairs++
		} else {
			l.BareLF = true
		}
		rest, before = rest[i+1:], false
	}
	if l.cr = p[len(p)-1] == '\r'; l.cr {
		crs--
	}
	l.BareCR = l.BareCR || crs > pairs
	return len(p), nil
}

// Close says that nothing follows: a CR at the very end is bare.
func (l *LineEnds) Close() error {
	l.BareCR = l.BareCR || l.cr
	l.cr = false
	return nil
}

// Bare tells whether a bare CR or LF was seen.
func (l *LineEnds) Bare() bool { return l.BareCR || l.BareLF }

// NormalizeLineEnds gives r's bytes with every bare LF and bare CR made CRLF, as
// submission does (RFC 6409, 8 lets it repair what it is given).
func NormalizeLineEnds(r io.Reader) io.Reader { return &lineEndReader{r: r, cr: true} }

// AddCR gives r's bytes with every bare LF made CRLF and nothing else changed: a
// lone CR stays. It is for files whose lines end as the system's do.
func AddCR(r io.Reader) io.Reader { return &lineEndReader{r: r} }

type lineEndReader struct {
	r       io.Reader
	cr      bool // bare CRs are line ends too
	in, out []byte
	buf     []byte
	last    byte // the last byte taken from in
	err     error
}

func (l *lineEndReader) Read(p []byte) (int, error) {
	for len(l.out) == 0 {
		if l.err != nil {
			return 0, l.err
		}
		if l.in == nil {
			l.in = make([]byte, 16<<10)
		}
		n, err := l.r.Read(l.in)
		l.err = err
		l.convert(l.in[:n])
		if err != nil && l.cr && l.last == '\r' {
			l.out = append(l.out, '\n')
		}
	}
	n := copy(p, l.out)
	l.out = l.out[n:]
	return n, nil
}

// convert appends b with its line ends made right.
func (l *lineEndReader) convert(b []byte) {
	l.out = l.buf[:0]
	for len(b) > 0 {
		if l.cr && l.last == '\r' && b[0] != '\n' {
			l.out = append(l.out, '\n')
		}
		var i int
		if l.cr {
			i = bytes.IndexAny(b, "\r\n")
		} else {
			i = bytes.IndexByte(b, '\n')
		}
		if i < 0 {
			l.out = append(l.out, b...)
			l.last = b[len(b)-1]
			break
		}
		if i > 0 {
			l.last = b[i-1]
		}
		l.out = append(l.out, b[:i]...)
		if b[i] == '\n' && l.last != '\r' {
			l.out = append(l.out, '\r')
		}
		l.out = append(l.out, b[i])
		l.last, b = b[i], b[i+1:]
	}
	l.buf = l.out[:0]
}
