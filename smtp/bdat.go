package smtp

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// bdat reads a message in chunks (RFC 3030, 2). The first chunk starts the
// Transaction's Data, which the further ones feed: see chunks.next.
func (s *session) bdat(args string) Reply {
	size, last, ok := chunkSize(args)
	if !ok {
		// How many octets follow is unknown: nothing after this can be trusted.
		return BadChunk
	}
	refusal := Reply{}
	switch {
	case s.tx == nil:
		refusal = MailFirst
	case s.tx.recipients == 0:
		s.tx.idle = true
		refusal = NoRecipients
	}
	if !refusal.IsZero() {
		return s.discard(size, refusal)
	}
	return s.receive(&chunks{s: s, left: size, last: last})
}

// chunkSize reads "n" or "n LAST".
func chunkSize(args string) (size int64, last, ok bool) {
	number, word, more := strings.Cut(args, " ")
	if more {
		if !strings.EqualFold(strings.TrimLeft(word, " "), "LAST") {
			return 0, false, false
		}
		last = true
	}
	if number == "" || len(number) > 18 || strings.Trim(number, "0123456789") != "" {
		return 0, false, false
	}
	size, err := strconv.ParseInt(number, 10, 64)
	return size, last, err == nil
}

// discard reads a chunk that nobody wants, then refuses it (RFC 3030, 2).
func (s *session) discard(size int64, r Reply) Reply {
	if size/2 > s.srv.maxSize() {
		return SizeExhausted
	}
	s.c.SetTimeout(s.srv.dataTimeout())
	s.c.SetPace(s.srv.dataTimeout(), s.srv.minRate())
	c := &chunks{s: s, left: size, last: true}
	for {
		if _, err := c.next(); err == io.EOF {
			s.c.SetPace(0, 0)
			return r
		} else if err != nil {
			return s.cut(err)
		}
	}
}

// chunks is the source of BDAT. At the end of a chunk that is not the last it
// answers and reads commands until the next chunk comes. The message is whole
// only when every octet of a LAST chunk has come.
type chunks struct {
	s     *session
	left  int64
	last  bool
	n     int64 // octets of this chunk
	lines lineEnds
}

func (c *chunks) bare() bool { return c.lines.isBare }

func (c *chunks) next() ([]byte, error) {
	for c.left == 0 {
		if c.last {
			c.lines.end()
			return nil, io.EOF
		}
		if err := c.advance(); err != nil {
			return nil, err
		}
	}
	in := c.s.in
	if len(in.bytes()) == 0 {
		if err := in.fill(); err == io.EOF {
			return nil, io.ErrUnexpectedEOF
		} else if err != nil {
			return nil, err
		}
	}
	b := in.bytes()
	if int64(len(b)) > c.left {
		b = b[:c.left]
	}
	in.r += len(b)
	c.left -= int64(len(b))
	c.n += int64(len(b))
	if c.s.srv.Strict {
		c.lines.watch(b)
	}
	return b, nil
}

// advance answers the chunk and waits for the next. What ends a transaction ends
// the message; what has no place here is refused and the message goes on.
func (c *chunks) advance() error {
	s := c.s
	s.write(OK.With(fmt.Sprintf("%d octets received", c.n)))
	c.n = 0
	for {
		line, err := s.in.line(smallInput - 2)
		if err == io.EOF {
			return io.ErrUnexpectedEOF
		} else if err != nil {
			return err
		}
		verb, args := splitVerb(line)
		switch verb {
		case "BDAT":
			var ok bool
			if c.left, c.last, ok = chunkSize(args); !ok {
				return errBadChunk
			}
			return nil
		case "RSET", "QUIT", "EHLO", "HELO":
			s.pending = bytes.Clone(line)
			return errAborted
		case "NOOP":
			s.write(OK)
		default:
			s.write(BadSequence)
			s.count(BadSequence)
			if s.over {
				return io.ErrUnexpectedEOF
			}
		}
	}
}
