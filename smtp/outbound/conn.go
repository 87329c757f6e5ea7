package outbound

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"mailstead/smtp"
)

// How long we wait: RFC 5321, 4.5.3.2. Connecting has no figure there.
const (
	connectTimeout = 30 * time.Second
	bannerTimeout  = 5 * time.Minute
	commandTimeout = 5 * time.Minute // MAIL, RCPT
	dataTimeout    = 2 * time.Minute // to 354
	blockTimeout   = 3 * time.Minute // one block of the message
	endTimeout     = 10 * time.Minute
	quitTimeout    = 5 * time.Second // ours: nothing hangs on it
)

// conn is a connection after its greeting. One goroutine uses it at a time.
type conn struct {
	net  net.Conn
	in   *bufio.Reader
	out  *bufio.Writer
	name string // "mx.example.org [192.0.2.1]"
	key  string // in the pool
	ext  map[string]string
	tls  string // what is told of it: "over TLS 1.3", "in clear"

	taken  int  // messages handed over
	reused bool // has waited in the pool
	dirty  bool // a transaction is open
}

// sessionError is a conversation that ended before a transaction: what the host
// said, or what broke.
type sessionError struct {
	step  string // "the greeting"
	reply smtp.Reply
	err   error
	tls   bool // the handshake failed
}

func (e *sessionError) Error() string {
	if e.err != nil {
		return fmt.Sprintf("%s: %v", e.step, e.err)
	}
	return fmt.Sprintf("%s: %s", e.step, said(e.reply))
}

// open connects, greets and goes over to TLS. With plain it does not.
func (o *Outbound) open(ctx context.Context, h host, at netip.AddrPort, p Policy, plain bool) (*conn, error) {
	dial := o.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	if err := o.pool.isDown(at, time.Now()); err != nil {
		return nil, &sessionError{step: "connect", err: err}
	}
	dctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	nc, err := dial(dctx, "tcp", at.String())
	if err != nil {
		if dctx.Err() != nil && ctx.Err() == nil {
			err = fmt.Errorf("no answer within %v", connectTimeout)
			o.pool.goesDown(at, time.Now(), err)
		}
		return nil, &sessionError{step: "connect", err: err}
	}
	c := &conn{net: nc, name: fmt.Sprintf("%s [%s]", h.name, at.Addr()), tls: "in clear"}
	if _, literal := netip.ParseAddr(strings.Trim(h.name, "[]")); literal == nil || strings.HasPrefix(h.name, "[") {
		c.name = "[" + at.Addr().String() + "]"
	}
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	err = c.greet(ctx, o, h, p, plain)
	if !stop() && err == nil {
		err = &sessionError{step: "greet", err: context.Cause(ctx)}
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

func (c *conn) greet(ctx context.Context, o *Outbound, h host, p Policy, plain bool) error {
	if h.smart != nil && h.smart.ImplicitTLS {
		if err := c.handshake(ctx, o, h, p); err != nil {
			return err
		}
	}
	c.use(c.net)
	r, err := c.reply(bannerTimeout)
	if err != nil || r.Code != 220 {
		return &sessionError{step: "the greeting", reply: r, err: err}
	}
	if err := c.hello(o.Hostname); err != nil {
		return err
	}
	if err := c.startTLS(ctx, o, h, p, plain); err != nil {
		return err
	}
	if h.smart != nil && h.smart.Username != "" {
		return c.login(h.smart)
	}
	return nil
}

func (c *conn) use(n net.Conn) {
	c.net = n
	c.in, c.out = bufio.NewReader(n), bufio.NewWriterSize(n, 32<<10)
}

// hello says EHLO, or HELO to a host that does not know it.
func (c *conn) hello(name string) error {
	c.ext = make(map[string]string)
	c.say("EHLO " + name)
	r, lines, err := c.replyLines(commandTimeout)
	if err == nil && (r.Code == 500 || r.Code == 502 || r.Code == 504) { // RFC 5321, 4.1.4
		c.say("HELO " + name)
		r, err = c.reply(commandTimeout)
		lines = nil
	}
	if err != nil || r.Code != 250 {
		return &sessionError{step: "EHLO", reply: r, err: err}
	}
	for _, line := range lines[min(1, len(lines)):] {
		word, value, _ := strings.Cut(line, " ")
		c.ext[strings.ToUpper(word)] = value
	}
	return nil
}

// startTLS follows the policy. Where TLS is not demanded and the host refuses
// it in words, the conversation goes on in clear.
func (c *conn) startTLS(ctx context.Context, o *Outbound, h host, p Policy, plain bool) error {
	if _, done := c.net.(*tls.Conn); done {
		return nil
	}
	if _, offered := c.ext["STARTTLS"]; !offered || plain {
		if p.Require {
			return &sessionError{step: "TLS", err: fmt.Errorf("%s demands it and it is not offered", p.Name), tls: true}
		}
		if plain {
			c.tls = "in clear, because TLS failed"
		}
		return nil
	}
	c.say("STARTTLS")
	r, err := c.reply(commandTimeout)
	switch {
	case err != nil:
		return &sessionError{step: "STARTTLS", err: err, tls: true}
	case r.Code != 220 && (p.Require || r.Code == 421):
		return &sessionError{step: "STARTTLS", reply: r, tls: p.Require}
	case r.Code != 220:
		return nil
	case c.in.Buffered() > 0: // what came in clear must not be taken for what is encrypted
		return &sessionError{step: "STARTTLS", err: errors.New("more than a reply came before TLS"), tls: true}
	}
	if err := c.handshake(ctx, o, h, p); err != nil {
		return err
	}
	c.use(c.net)
	return c.hello(o.Hostname)
}

func (c *conn) handshake(ctx context.Context, o *Outbound, h host, p Policy) error {
	config := &tls.Config{
		ServerName:         h.name,
		InsecureSkipVerify: true, // Verify judges, or nobody: RFC 7435
		MinVersion:         tls.VersionTLS10,
	}
	if p.Require {
		config.MinVersion = tls.VersionTLS12 // RFC 8996
	}
	t := tls.Client(c.net, config)
	hctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	err := t.HandshakeContext(hctx)
	if err == nil && p.Verify != nil {
		err = p.Verify(t.ConnectionState())
	}
	if err != nil {
		return &sessionError{step: "TLS", err: err, tls: true}
	}
	state := t.ConnectionState()
	c.tls = "over " + tls.VersionName(state.Version)
	if err := o.verify(h.name)(state); err == nil {
		c.tls += " with a valid certificate"
	} else {
		c.tls += " with a certificate that proves nothing"
	}
	c.net = t
	return nil
}

// say queues a command; reply sends what is queued.
func (c *conn) say(line string) {
	c.out.WriteString(line)
	c.out.WriteString("\r\n")
}

func (c *conn) reply(wait time.Duration) (smtp.Reply, error) {
	r, _, err := c.replyLines(wait)
	return r, err
}

func (c *conn) replyLines(wait time.Duration) (smtp.Reply, []string, error) {
	c.net.SetDeadline(time.Now().Add(wait))
	if err := c.out.Flush(); err != nil {
		return smtp.Reply{}, nil, err
	}
	r, lines, err := readReply(c.in)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("no answer within %v", wait)
	}
	return r, lines, err
}

func (c *conn) has(ext string) bool {
	_, ok := c.ext[ext]
	return ok
}

// limit is a number in an extension's value, 0 when there is none.
func (c *conn) limit(ext string) int64 {
	n, err := strconv.ParseInt(c.ext[ext], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// most is a limit that the host tells by LIMITS (RFC 9422, 5), if it is below
// ours.
func (c *conn) most(name string, ours int) int {
	for _, f := range strings.Fields(c.ext["LIMITS"]) {
		if v, ok := strings.CutPrefix(strings.ToUpper(f), name+"="); ok {
			if n, err := strconv.Atoi(v); err == nil && 0 < n && n < ours {
				return n
			}
		}
	}
	return ours
}

// quit ends a connection politely, but waits for nobody long.
func (c *conn) quit() {
	c.say("QUIT")
	c.reply(quitTimeout)
	c.net.Close()
}
