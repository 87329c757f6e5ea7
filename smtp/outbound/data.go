package outbound

import (
	"bytes"
	"io"
	"time"
)

// dotWriter stuffs dots (RFC 5321, 4.5.2). Its input has CRLF line ends only,
// so that no other line end can be taken for the end of the message.
type dotWriter struct {
	w   io.Writer
	mid bool // not at the beginning of a line
}

func (d *dotWriter) Write(p []byte) (int, error) {
	rest := p
	for len(rest) > 0 {
		if !d.mid && rest[0] == '.' {
			if _, err := io.WriteString(d.w, "."); err != nil {
				return 0, err
			}
		}
		// Lines that do not begin with a dot go out together.
		n, at := len(rest), 0
		for at < len(rest) {
			i := bytes.IndexByte(rest[at:], '\n')
			if i < 0 {
				break
			}
			if at += i + 1; at < len(rest) && rest[at] == '.' {
				n = at
				break
			}
		}
		if _, err := d.w.Write(rest[:n]); err != nil {
			return 0, err
		}
		d.mid = rest[n-1] != '\n'
		rest = rest[n:]
	}
	return len(p), nil
}

// end writes the final dot, on a line of its own.
func (d *dotWriter) end() error {
	if d.mid {
		if _, err := io.WriteString(d.w, "\r\n"); err != nil {
			return err
		}
	}
	_, err := io.WriteString(d.w, ".\r\n")
	return err
}

// blockWriter gives each block of the message its own deadline. The last block
// is sent by conn.reply.
type blockWriter struct{ c *conn }

func (b *blockWriter) Write(p []byte) (int, error) {
	if b.c.out.Available() < len(p) {
		b.c.net.SetDeadline(time.Now().Add(blockTimeout))
	}
	return b.c.out.Write(p)
}
