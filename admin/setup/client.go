package setup

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"strings"
	"time"

	"mailstead/message"
)

// client is the smallest mail program: it sends one message and looks whether it
// is in INBOX. It speaks to our own doors on this machine, so that the certificate
// is not judged here; the doctor does that.
type client struct {
	host           string
	doors          map[string]string
	user, password string
}

const clientTime = 30 * time.Second

var errNoDoor = errors.New("this door is switched off")

func (c client) tls() *tls.Config {
	return &tls.Config{ServerName: c.host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
}

func (c client) dial(ctx context.Context, door string) (net.Conn, error) {
	at := c.doors[door]
	if at == "" {
		return nil, fmt.Errorf("%s: %w", door, errNoDoor)
	}
	ctx, cancel := context.WithTimeout(ctx, clientTime)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", at)
	if err == nil {
		conn.SetDeadline(time.Now().Add(clientTime))
	}
	return conn, err
}

// send submits a message with TLS and the password, and gives its Message-ID.
func (c client) send(ctx context.Context, m message.Mail) (id string, err error) {
	door := "submissions"
	if c.doors[door] == "" {
		door = "submission"
	}
	conn, err := c.dial(ctx, door)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if door == "submissions" {
		conn = tls.Client(conn, c.tls())
	}
	s, err := smtp.NewClient(conn, c.host)
	if err != nil {
		return "", err
	}
	if door == "submission" {
		if err := s.StartTLS(c.tls()); err != nil {
			return "", err
		}
	}
	if err := s.Auth(smtp.PlainAuth("", c.user, c.password, c.host)); err != nil {
		return "", err
	}
	if err := s.Mail(m.From.String()); err != nil {
		return "", err
	}
	if err := s.Rcpt(m.To.String()); err != nil {
		return "", err
	}
	w, err := s.Data()
	if err != nil {
		return "", err
	}
	if _, err := w.Write(m.Append(nil)); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return m.MessageID, s.Quit()
}

// find waits until a message is in INBOX.
func (c client) find(ctx context.Context, id string) error {
	door := "imaps"
	if c.doors[door] == "" {
		door = "imap"
	}
	conn, err := c.dial(ctx, door)
	if err != nil {
		return err
	}
	defer func() { conn.Close() }()
	s := &imapSession{Conn: conn}
	if door == "imaps" {
		s.Conn = tls.Client(conn, c.tls())
	}
	s.in = bufio.NewReader(s.Conn)
	if _, err := s.line(); err != nil { // the greeting
		return err
	}
	if door == "imap" {
		if _, err := s.do("STARTTLS"); err != nil {
			return err
		}
		s.Conn = tls.Client(conn, c.tls())
		s.in = bufio.NewReader(s.Conn)
	}
	if _, err := s.do(fmt.Sprintf("LOGIN %s %s", quoted(c.user), quoted(c.password))); err != nil {
		return err
	}
	if _, err := s.do("SELECT INBOX"); err != nil {
		return err
	}
	for {
		lines, err := s.do("SEARCH HEADER Message-ID " + quoted(strings.Trim(id, "<>")))
		if err != nil {
			return err
		}
		for _, l := range lines {
			if numbers, ok := strings.CutPrefix(l, "* SEARCH "); ok && strings.TrimSpace(numbers) != "" {
				_, err := s.do("LOGOUT")
				return err
			}
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// imapSession is a dialogue of commands; its deadline ends it.
type imapSession struct {
	net.Conn
	in  *bufio.Reader
	tag int
}

// do sends a command and gives the lines before its OK.
func (s *imapSession) do(command string) (lines []string, err error) {
	s.tag++
	tag := fmt.Sprintf("s%d", s.tag)
	if _, err := fmt.Fprintf(s, "%s %s\r\n", tag, command); err != nil {
		return nil, err
	}
	for {
		line, err := s.line()
		if err != nil {
			return nil, err
		}
		rest, ours := strings.CutPrefix(line, tag+" ")
		switch {
		case !ours:
			lines = append(lines, line)
		case strings.HasPrefix(rest, "OK"):
			return lines, nil
		default:
			verb, _, _ := strings.Cut(command, " ")
			return nil, fmt.Errorf("%s: the server said %s", verb, rest)
		}
	}
}

func (s *imapSession) line() (string, error) {
	line, err := s.in.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}
