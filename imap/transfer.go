package imap

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"io"
)

func knownEncoding(name string) bool {
	switch name {
	case "", "7bit", "8bit", "binary", "base64", "quoted-printable":
		return true
	}
	return false
}

// decoder undoes a transfer encoding (RFC 2045, 6). It takes what comes: bytes
// that are no base64 are passed over, a broken escape stands for itself.
func decoder(r io.Reader, encoding string) io.Reader {
	switch encoding {
	case "base64":
		return lenient{base64.NewDecoder(base64.RawStdEncoding, &alphabet{r: r})}
	case "quoted-printable":
		return &quotedPrintable{r: bufio.NewReaderSize(r, 4096)}
	}
	return r
}

// lenient ends where base64 is cut off.
type lenient struct{ r io.Reader }

func (l lenient) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if _, corrupt := err.(base64.CorruptInputError); corrupt || err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}

// alphabet gives the base64 characters of a stream up to the padding.
type alphabet struct {
	r   io.Reader
	end bool
}

func (a *alphabet) Read(p []byte) (int, error) {
	for !a.end && len(p) > 0 {
		n, err := a.r.Read(p)
		out := p[:0]
		for _, c := range p[:n] {
			if c == '=' {
				a.end = true
				break
			}
			if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' {
				out = append(out, c)
			}
		}
		if err == io.EOF {
			a.end = true
		} else if err != nil {
			return len(out), err
		}
		if len(out) > 0 {
			return len(out), nil
		}
	}
	return 0, io.EOF
}

// quotedPrintable decodes line by line.
type quotedPrintable struct {
	r    *bufio.Reader
	line []byte // decoded, not yet given
	raw  []byte
	err  error
}

func (q *quotedPrintable) Read(p []byte) (int, error) {
	for len(q.line) == 0 {
		if q.err != nil {
			return 0, q.err
		}
		q.next()
	}
	n := copy(p, q.line)
	q.line = q.line[n:]
	return n, nil
}

// next decodes a line, or a piece of a very long one that ends outside of an
// escape.
func (q *quotedPrintable) next() {
	raw, err := q.r.ReadSlice('\n')
	q.raw = append(q.raw[:0], raw...)
	if err == bufio.ErrBufferFull {
		for range 2 { // an escape may be cut: take two bytes more
			c, rerr := q.r.ReadByte()
			if rerr != nil {
				break
			}
			if q.raw = append(q.raw, c); c == '\n' {
				break
			}
		}
	} else if q.err = err; err != nil {
		q.raw = bytes.TrimRight(q.raw, " \t")
	}
	q.line = decodeLine(q.raw)
}

// decodeLine decodes in place. White space before the line end came on the way
// (RFC 2045, 6.7, rule 3).
func decodeLine(b []byte) []byte {
	if end := bytes.TrimRight(b, "\r\n"); len(end) < len(b) {
		text := bytes.TrimRight(end, " \t")
		b = append(text, b[len(end):]...)
	}
	out := b[:0]
	for i := 0; i < len(b); i++ {
		if b[i] != '=' {
			out = append(out, b[i])
			continue
		}
		if i+2 < len(b) {
			if hi, lo := unhex(b[i+1]), unhex(b[i+2]); hi >= 0 && lo >= 0 {
				out = append(out, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		j := i + 1
		for j < len(b) && (b[j] == ' ' || b[j] == '\t' || b[j] == '\r') {
			j++
		}
		if j == len(b) || b[j] == '\n' { // a soft line end
			return out
		}
		out = append(out, '=')
	}
	return out
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
