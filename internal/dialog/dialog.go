// Package dialog runs written conversations against a server, for the tests of
// every protocol made of lines (SMTP, IMAP, POP3, ManageSieve).
//
// A script has one step a line; empty lines and lines beginning with # are left
// out. A step may name its connection, which is opened at its first step:
// "C[bob]: NOOP". Without a name it is the connection "".
//
//	C: text        send the text and CRLF
//	C| "text"      send the bytes of a Go string, nothing added
//	S: pattern     read one line, without its CRLF, that matches
//	S* pattern     read lines until one matches
//	S| "text"      read exactly these bytes
//	TLS            shake hands as a client (TLS[bob] for a named connection)
//	CLOSE          close our end
//	EOF            the server has closed; nothing more came
//
// In a pattern "..." matches any run of characters, and <name> takes a run into
// a variable; ${name} in any later step is its value. Variables may also be
// given from outside.
package dialog

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Runner holds what a script needs.
type Runner struct {
	// Dial opens a connection; name is the one in brackets, "" without.
	Dial func(name string) (net.Conn, error)
	// TLS is the client's configuration; nil trusts any certificate.
	TLS *tls.Config
	// Vars are variables known before the first step.
	Vars map[string]string
	// Timeout bounds each step; 0 means half a minute.
	Timeout time.Duration
}

// Addr is a Runner whose connections all go to one TCP address.
func Addr(addr string) *Runner {
	return &Runner{Dial: func(string) (net.Conn, error) { return net.Dial("tcp", addr) }}
}

// Run runs a script and fails t at the first step that goes wrong. It returns
// the variables.
func (r *Runner) Run(t testing.TB, script string) map[string]string {
	t.Helper()
	vars, err := r.run(script)
	if err != nil {
		t.Fatal(err)
	}
	return vars
}

// RunFile runs the script in a file.
func (r *Runner) RunFile(t testing.TB, path string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return r.Run(t, string(b))
}

// conn is one open connection of a script.
type conn struct {
	net.Conn
	br *bufio.Reader
}

// play is one run of a script.
type play struct {
	r     *Runner
	conns map[string]*conn
	vars  map[string]string
}

func (r *Runner) run(script string) (map[string]string, error) {
	p := &play{r: r, conns: make(map[string]*conn), vars: make(map[string]string)}
	for k, v := range r.Vars {
		p.vars[k] = v
	}
	defer func() {
		for _, c := range p.conns {
			c.Close()
		}
	}()
	for i, line := range strings.Split(script, "\n") {
		line = strings.TrimLeft(strings.TrimSuffix(line, "\r"), " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		if err := p.step(line); err != nil {
			return p.vars, fmt.Errorf("line %d: %s\n\t%w", i+1, line, err)
		}
	}
	return p.vars, nil
}

var stepForm = regexp.MustCompile(`^(TLS|CLOSE|EOF|C|S)(?:\[([^\]]*)\])?([:|*]?) ?(.*)$`)

func (p *play) step(line string) error {
	m := stepForm.FindStringSubmatch(line)
	if m == nil {
		return fmt.Errorf("not a step")
	}
	c, err := p.conn(m[2])
	if err != nil {
		return err
	}
	timeout := p.r.Timeout
	if timeout == 0 {
		timeout = 30 * time.Second
	}
	c.SetDeadline(time.Now().Add(timeout))
	text := variable.ReplaceAllStringFunc(m[4], p.expand)
	switch m[1] + m[3] {
	case "C:":
		_, err = io.WriteString(c, text+"\r\n")
	case "C|", "S|":
		if text, err = strconv.Unquote(text); err != nil {
			return err
		}
		if m[1] == "C" {
			_, err = io.WriteString(c, text)
			return err
		}
		return c.exact(text)
	case "S:", "S*":
		return p.expect(c, text, m[3] == "*")
	case "TLS":
		return p.startTLS(m[2], c)
	case "CLOSE":
		err = c.Close()
	case "EOF":
		return c.eof()
	default:
		return fmt.Errorf("not a step")
	}
	return err
}

var variable = regexp.MustCompile(`\$\{[A-Za-z][A-Za-z0-9_]*\}`)

// expand leaves what is not a variable as it is.
func (p *play) expand(ref string) string {
	if v, ok := p.vars[ref[2:len(ref)-1]]; ok {
		return v
	}
	return ref
}

func (p *play) conn(name string) (*conn, error) {
	if c, ok := p.conns[name]; ok {
		return c, nil
	}
	nc, err := p.r.Dial(name)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, br: bufio.NewReader(nc)}
	p.conns[name] = c
	return c, nil
}

func (p *play) startTLS(name string, c *conn) error {
	if n := c.br.Buffered(); n > 0 {
		return fmt.Errorf("%d bytes came before the handshake", n)
	}
	cfg := p.r.TLS
	if cfg == nil {
		cfg = &tls.Config{InsecureSkipVerify: true}
	}
	t := tls.Client(c.Conn, cfg)
	if err := t.Handshake(); err != nil {
		return err
	}
	p.conns[name] = &conn{Conn: t, br: bufio.NewReader(t)}
	return nil
}

// expect reads a line that matches; with skip, lines that do not are passed over.
func (p *play) expect(c *conn, pattern string, skip bool) error {
	re, err := compile(pattern)
	if err != nil {
		return err
	}
	var passed []string
	for {
		got, err := c.br.ReadString('\n')
		if err != nil {
			return fmt.Errorf("read %q%s: %w", got, strings.Join(passed, "\n\tpassed over "), err)
		}
		if !strings.HasSuffix(got, "\r\n") {
			return fmt.Errorf("line without CRLF: %q", got)
		}
		got = strings.TrimSuffix(got, "\r\n")
		if m := re.FindStringSubmatch(got); m != nil {
			for i, name := range re.SubexpNames() {
				if name != "" {
					p.vars[name] = m[i]
				}
			}
			return nil
		}
		if !skip {
			return fmt.Errorf("got %s", got)
		}
		passed = append(passed, "\n\tpassed over "+got)
	}
}

var special = regexp.MustCompile(`\.\.\.|<[A-Za-z][A-Za-z0-9_]*>`)

// compile makes a pattern a regular expression. A <word> that is followed by
// nothing special is taken too: quote it with dots where it must be literal.
func compile(pattern string) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString(`(?s)^`)
	at := 0
	for _, m := range special.FindAllStringIndex(pattern, -1) {
		b.WriteString(regexp.QuoteMeta(pattern[at:m[0]]))
		if s := pattern[m[0]:m[1]]; s == "..." {
			b.WriteString(`.*?`)
		} else {
			b.WriteString(`(?P` + s + `.*?)`)
		}
		at = m[1]
	}
	b.WriteString(regexp.QuoteMeta(pattern[at:]) + `$`)
	return regexp.Compile(b.String())
}

func (c *conn) exact(want string) error {
	got := make([]byte, len(want))
	n, err := io.ReadFull(c.br, got)
	if string(got[:n]) != want {
		return fmt.Errorf("got %q", got[:n])
	}
	return err
}

// eof takes a reset for an end: a server that closes with unread input sends one.
func (c *conn) eof() error {
	got, err := io.ReadAll(c.br)
	if len(got) > 0 {
		return fmt.Errorf("got %q", got)
	}
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		return fmt.Errorf("still open")
	}
	return nil
}
