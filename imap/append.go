package imap

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"time"

	"github.com/emersion/go-imap/v2"

	"mailstead/imap/wire"
	"mailstead/internal/maillog"
	"mailstead/mailbox"
)

// appending is a parsed APPEND up to its literal.
type appending struct {
	name     string
	flags    mailbox.Flags
	keywords []string
	err      error // of the flags
	received time.Time
	utf8     bool // UTF8 (~{...}), RFC 6855, 4
	literal  wire.Literal
}

// append is APPEND (RFC 9051, 6.3.12). The message streams from the connection
// into the store; whatever can be refused is refused before the client is asked
// for it.
func (s *session) append() run {
	var a appending
	s.r.SP()
	a.name = s.mailboxName()
	s.r.SP()
	if s.r.Peek() == '(' {
		a.flags, a.keywords, a.err = parseFlags(s.r.Flags())
		s.r.SP()
	}
	if s.r.Peek() == '"' {
		a.received = s.r.DateTime()
		s.r.SP()
	}
	if s.r.AcceptWord("UTF8") {
		a.utf8 = true
		s.r.SP()
		s.r.Expect('(')
		if s.r.Peek() != '~' {
			s.r.Fail("literal8 expected")
		}
	}
	a.literal = s.r.LiteralHeader()
	return func(ctx context.Context) (reply, error) { return s.runAppend(ctx, &a) }
}

func (s *session) runAppend(ctx context.Context, a *appending) (reply, error) {
	box, err := s.mayAppend(ctx, a)
	if err != nil {
		return reply{}, err
	}
	src, err := s.r.Stream(a.literal)
	if err != nil {
		return reply{}, err
	}
	if !a.literal.Binary || a.utf8 {
		src = &crlf{src: src}
	}
	start := time.Now()
	in, err := s.srv.Mailboxes.Receive(ctx, src)
	if err != nil {
		return reply{}, err
	}
	defer in.Close()
	s.r.Resume()
	if a.utf8 {
		s.r.Expect(')')
	}
	s.r.End()
	if err := s.r.Err(); err != nil {
		return reply{}, err
	}
	placed, err := s.srv.Mailboxes.Deliver(ctx, in, s.account.ID, mailbox.Placing{
		Mailbox: box, Flags: a.flags, Keywords: a.keywords, Received: a.received,
	})
	if err != nil {
		return reply{}, tryCreate(err)
	}
	s.srv.record(maillog.Event{
		Time: start, Kind: maillog.Appended, CID: s.conn.ID, Account: s.account.ID, Mailbox: a.name, UID: placed.UID,
		Remote: s.remote(), MessageID: in.Summary.MessageID, Size: in.Draft.Size(), Dur: time.Since(start),
	})
	code := make([]byte, 0, 40)
	code = strconv.AppendUint(append(code, "APPENDUID "...), uint64(placed.UIDValidity), 10)
	code = strconv.AppendUint(append(code, ' '), uint64(placed.UID), 10)
	return reply{code: string(code)}, nil
}

// mayAppend refuses what can be refused before the message comes, and finds the
// mailbox.
func (s *session) mayAppend(ctx context.Context, a *appending) (mailbox int64, err error) {
	switch {
	case a.err != nil:
		return 0, a.err
	case a.utf8 && !s.utf8:
		return 0, bad("UTF8 needs ENABLE UTF8=ACCEPT")
	case a.literal.Size > s.srv.maxMessage():
		return 0, no(imap.ResponseCodeTooBig, "message too big")
	case a.literal.Size == 0:
		return 0, no(imap.ResponseCodeCannot, "empty message")
	}
	if mailbox, err = s.target.find(ctx, s, a.name); err != nil {
		return 0, tryCreate(err)
	}
	if err := s.srv.Mailboxes.Room(a.literal.Size); err != nil {
		return 0, err
	}
	return mailbox, s.checkQuota(ctx, a.literal.Size)
}

// checkQuota refuses a large message that would not be kept.
func (s *session) checkQuota(ctx context.Context, size int64) error {
	if size < askQuota {
		return nil
	}
	u, err := s.srv.Mailboxes.Usage(ctx, s.account.ID)
	if err == nil && u.Limit > 0 && u.Bytes+size > u.Limit {
		return mailbox.ErrOverQuota
	}
	return err
}

// askQuota is the size from which the quota is asked before the message comes;
// below it the commit's own check is soon enough.
const askQuota = 1 << 20

// target remembers where the last APPEND went, for clients that append many:
// the change feed says when names have to be looked up again.
type target struct {
	name  string
	id    int64
	watch *mailbox.Watch
}

func (t *target) find(ctx context.Context, s *session, name string) (int64, error) {
	if t.watch == nil {
		t.watch = s.srv.Mailboxes.Watch(s.account.ID)
	}
	if _, list := t.watch.Take(); !list && t.id != 0 && t.name == name {
		return t.id, nil
	}
	t.id = 0
	box, err := s.srv.Mailboxes.Mailbox(ctx, s.account.ID, name)
	if err != nil {
		return 0, err
	}
	t.name, t.id = name, box.ID
	return t.id, nil
}

func (t *target) close() {
	if t.watch != nil {
		t.watch.Close()
	}
}

// crlf gives what it reads with every lone LF as CRLF, the only line end that
// the store keeps.
type crlf struct {
	src  io.Reader
	cr   bool   // the last byte given was CR
	rest []byte // read, and did not fit
	buf  []byte // behind rest
	err  error
}

func (c *crlf) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(c.rest) > 0 {
		return c.expand(p), nil
	}
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.src.Read(p)
	if !c.lone(p[:n]) {
		if n > 0 {
			c.cr = p[n-1] == '\r'
		}
		return n, err
	}
	c.buf = append(c.buf[:0], p[:n]...)
	c.rest, c.err = c.buf, err
	return c.expand(p), nil
}

// lone tells whether p has an LF without CR before it.
func (c *crlf) lone(p []byte) bool {
	for i := 0; ; {
		j := bytes.IndexByte(p[i:], '\n')
		if j < 0 {
			return false
		}
		i += j
		if i == 0 && !c.cr || i > 0 && p[i-1] != '\r' {
			return true
		}
		i++
	}
}

// expand moves bytes from rest to p.
func (c *crlf) expand(p []byte) (n int) {
	for len(c.rest) > 0 && n < len(p) {
		b := c.rest[0]
		if b == '\n' && !c.cr {
			p[n] = '\r'
			c.cr = true
			n++
			continue
		}
		p[n] = b
		c.cr = b == '\r'
		n++
		c.rest = c.rest[1:]
	}
	return n
}
