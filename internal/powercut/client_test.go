package powercut

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mail is one message made for a proof. Its token stands in its Subject and
// Message-ID as Row and four times at its end as Tail.
type mail struct {
	token string
	bytes []byte
	size  int
	sum   [sha256.Size]byte
}

func (m mail) row() string  { return "hd-" + m.token }
func (m mail) tail() string { return "tl-" + m.token }

// in tells whether b ends with the whole message: what a server puts before it
// is its own.
func (m mail) in(b []byte) bool {
	return m.size > 0 && len(b) >= m.size && sha256.Sum256(b[len(b)-m.size:]) == m.sum
}

func newMail(from, to string, size int) mail {
	var r [8]byte
	rand.Read(r[:])
	m := mail{token: hex.EncodeToString(r[:])}
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: %s\r\nTo: %s\r\nSubject: %s\r\nMessage-ID: <%s@%s>\r\nDate: Sat, 21 Nov 2026 21:00:00 +0000\r\n\r\n", from, to, m.row(), m.row(), domain)
	line := make([]byte, 36)
	for b.Len() < size {
		rand.Read(line)
		b.WriteString(hex.EncodeToString(line) + "\r\n")
	}
	for i := range 4 {
		fmt.Fprintf(&b, "%d %s\r\n", i, m.tail())
	}
	m.bytes, m.size, m.sum = b.Bytes(), b.Len(), sha256.Sum256(b.Bytes())
	return m
}

var tailRE = regexp.MustCompile(`3 tl-([0-9a-f]{16})\r\n$`)

type wire struct {
	net.Conn
	br   *bufio.Reader
	port int
}

func dial(addr string, withTLS bool) (*wire, error) {
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	port := c.LocalAddr().(*net.TCPAddr).Port
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	if withTLS {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	return &wire{Conn: c, br: bufio.NewReader(c), port: port}, nil
}

// smtpConn is a client that can be cut off at any moment.
type smtpConn struct{ *wire }

func dialSMTP(addr, user string) (*smtpConn, error) {
	w, err := dial(addr, user != "")
	if err != nil {
		return nil, err
	}
	c := &smtpConn{w}
	if _, err = c.reply("220"); err == nil {
		_, err = c.cmd("250", "EHLO client.test")
	}
	if err == nil && user != "" {
		cred := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "@" + domain + "\x00" + password))
		_, err = c.cmd("235", "AUTH PLAIN %s", cred)
	}
	if err != nil {
		w.Close()
		return nil, err
	}
	return c, nil
}

// reply reads one reply, which must have the code.
func (c *smtpConn) reply(code string) (string, error) {
	var all strings.Builder
	for {
		l, err := c.br.ReadString('\n')
		if err != nil {
			return "", err
		}
		all.WriteString(l)
		if len(l) > 3 && l[3] == '-' {
			continue
		}
		if !strings.HasPrefix(l, code) {
			return all.String(), fmt.Errorf("wanted %s, got %q", code, all.String())
		}
		return all.String(), nil
	}
}

func (c *smtpConn) cmd(code, format string, args ...any) (string, error) {
	if _, err := fmt.Fprintf(c, format+"\r\n", args...); err != nil {
		return "", err
	}
	return c.reply(code)
}

// envelope goes as far as the 354.
func (c *smtpConn) envelope(from string, rcpts ...string) error {
	if _, err := c.cmd("250", "MAIL FROM:<%s>", from); err != nil {
		return err
	}
	for _, r := range rcpts {
		if _, err := c.cmd("250", "RCPT TO:<%s>", r); err != nil {
			return err
		}
	}
	_, err := c.cmd("354", "DATA")
	return err
}

// send delivers one message; d learns when it went and whether it was taken.
func (c *smtpConn) send(d *deed, from string, m mail, rcpts ...string) error {
	if err := c.envelope(from, rcpts...); err != nil {
		return err
	}
	last := len(m.bytes) - 10
	if _, err := c.Write(m.bytes[:last]); err != nil {
		return err
	}
	d.begin(c.wire)
	if _, err := c.Write(append(slices.Clone(m.bytes[last:]), ".\r\n"...)); err != nil {
		return err
	}
	if _, err := c.reply("250"); err != nil {
		return err
	}
	d.end()
	return nil
}

// imapConn is the reader.
type imapConn struct {
	*wire
	n int
}

func dialIMAP(addr, user string) (*imapConn, error) {
	w, err := dial(addr, true)
	if err != nil {
		return nil, err
	}
	c := &imapConn{wire: w}
	if _, err = c.response(); err == nil {
		_, err = c.cmd("LOGIN %s@%s %q", user, domain, password)
	}
	if err != nil {
		w.Close()
		return nil, err
	}
	return c, nil
}

// response is one line with its literals taken out.
type response struct {
	line     string
	literals [][]byte
}

var literalRE = regexp.MustCompile(`\{(\d+)\}\r\n$`)

func (c *imapConn) response() (response, error) {
	var r response
	for {
		l, err := c.br.ReadString('\n')
		if err != nil {
			return r, err
		}
		r.line += l
		m := literalRE.FindStringSubmatch(l)
		if m == nil {
			return r, nil
		}
		n, _ := strconv.Atoi(m[1])
		b := make([]byte, n)
		if _, err := io.ReadFull(c.br, b); err != nil {
			return r, err
		}
		r.literals = append(r.literals, b)
	}
}

// cmd sends a command and reads to its OK.
func (c *imapConn) cmd(format string, args ...any) ([]response, error) {
	c.n++
	if _, err := fmt.Fprintf(c, "a%d "+format+"\r\n", append([]any{c.n}, args...)...); err != nil {
		return nil, err
	}
	return c.finish()
}

func (c *imapConn) finish() (untagged []response, err error) {
	tag := fmt.Sprintf("a%d ", c.n)
	for {
		r, err := c.response()
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(r.line, tag) {
			untagged = append(untagged, r)
			continue
		}
		if !strings.HasPrefix(r.line, tag+"OK") {
			return untagged, fmt.Errorf("not OK: %q", r.line)
		}
		return untagged, nil
	}
}

// append puts a message into a mailbox.
func (c *imapConn) append(d *deed, box string, m mail) error {
	c.n++
	last := len(m.bytes) - 10
	if _, err := fmt.Fprintf(c, "a%d APPEND %q {%d+}\r\n", c.n, box, len(m.bytes)); err != nil {
		return err
	}
	if _, err := c.Write(m.bytes[:last]); err != nil {
		return err
	}
	d.begin(c.wire)
	if _, err := c.Write(append(slices.Clone(m.bytes[last:]), "\r\n"...)); err != nil {
		return err
	}
	if _, err := c.finish(); err != nil {
		return err
	}
	d.end()
	return nil
}

// change is a command that is a deed.
func (c *imapConn) change(d *deed, format string, args ...any) error {
	d.begin(c.wire)
	if _, err := c.cmd(format, args...); err != nil {
		return err
	}
	d.end()
	return nil
}

var (
	listRE  = regexp.MustCompile(`^\* LIST \(([^)]*)\) \S+ "?([^"\r]*)"?\r\n$`)
	fetchRE = regexp.MustCompile(`^\* \d+ FETCH \(.*UID (\d+).*`)
	wordRE  = regexp.MustCompile(`kw-[0-9a-z]+`)
)

// boxes lists the mailboxes that can be selected.
func (c *imapConn) boxes() ([]string, error) {
	rs, err := c.cmd(`LIST "" "*"`)
	var out []string
	for _, r := range rs {
		if m := listRE.FindStringSubmatch(r.line); m != nil && !strings.Contains(m[1], `\Noselect`) {
			out = append(out, m[2])
		}
	}
	return out, err
}

// found is one message as the server shows it.
type found struct {
	uid      int
	keywords string
	bytes    []byte
}

// fetch reads every message of a mailbox from uid on.
func (c *imapConn) fetch(box string, from int) ([]found, error) {
	if _, err := c.cmd("EXAMINE %q", box); err != nil {
		return nil, err
	}
	rs, err := c.cmd("UID FETCH %d:* (UID FLAGS BODY.PEEK[])", from)
	var out []found
	for _, r := range rs {
		m := fetchRE.FindStringSubmatch(r.line)
		if m == nil || len(r.literals) == 0 {
			continue
		}
		f := found{keywords: strings.Join(wordRE.FindAllString(r.line, -1), ","), bytes: r.literals[len(r.literals)-1]}
		if f.uid, _ = strconv.Atoi(m[1]); f.uid >= from {
			out = append(out, f)
		}
	}
	return out, err
}
