package world

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"net/textproto"
	"strings"
	"time"
)

// Letter is a message that the world sends to one of our servers.
type Letter struct {
	Helo     string
	From     string // "" is the null reverse-path
	To       []string
	Data     []byte     // CRLF lines; dots are stuffed and the end is added
	Raw      []byte     // sent after 354 exactly as it is, instead of Data
	StartTLS bool       // without it everything goes in clear
	Source   netip.Addr // loopback address to come from
	Timeout  time.Duration
}

// Smuggled is the bodies of SMTP smuggling: each ends a first message in a way
// that only a careless server takes for the end, and holds a second
// transaction. A correct server sees one message at most.
func Smuggled(from, to string) map[string][]byte {
	inner := "MAIL FROM:<" + from + ">\r\nRCPT TO:<" + to + ">\r\nDATA\r\n" +
		"Subject: smuggled\r\n\r\nsmuggled\r\n.\r\n"
	forms := make(map[string][]byte)
	for name, end := range map[string]string{
		"LF.LF": "\n.\n", "LF.CRLF": "\n.\r\n", "CRLF.LF": "\r\n.\n", "CR.CR": "\r.\r", "CR.CRLF": "\r.\r\n",
		"CRLF.CR": "\r\n.\r", "CRLF NUL.CRLF": "\r\n\x00.\r\n", "CRCRLF.CRCRLF": "\r\r\n.\r\r\n",
	} {
		forms[name] = []byte("Subject: outer\r\n\r\nouter" + end + inner)
	}
	return forms
}

// Send carries a letter to the server at address ("127.0.0.1:2525") as a remote
// MTA would and returns every reply in order. Refusals are replies, not errors;
// it goes on to DATA when a recipient was accepted.
func (w *World) Send(ctx context.Context, address string, l Letter) ([]string, error) {
	conn, err := w.dialFrom(ctx, l.Source, address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	timeout := l.Timeout
	if timeout == 0 {
		timeout = 30 * time.Second
	}
	conn.SetDeadline(time.Now().Add(timeout))
	p := &peer{conn: conn, text: textproto.NewReader(bufio.NewReader(conn))}
	err = p.send(l, w)
	return p.replies, err
}

func (w *World) dialFrom(ctx context.Context, source netip.Addr, address string) (net.Conn, error) {
	if !source.IsValid() || w.memory {
		return w.Dial(ctx, "tcp", address)
	}
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))}
	return d.DialContext(ctx, "tcp", address)
}

type peer struct {
	conn    net.Conn
	text    *textproto.Reader
	replies []string
}

func (p *peer) send(l Letter, w *World) error {
	if l.Helo == "" {
		l.Helo = "client.small-world.test"
	}
	if _, err := p.hear(); err != nil {
		return err
	}
	if _, err := p.say("EHLO " + l.Helo); err != nil {
		return err
	}
	if l.StartTLS {
		if _, err := p.say("STARTTLS"); err != nil {
			return err
		}
		c := tls.Client(p.conn, &tls.Config{RootCAs: w.CA, InsecureSkipVerify: true})
		if err := c.Handshake(); err != nil {
			return err
		}
		p.conn, p.text = c, textproto.NewReader(bufio.NewReader(c))
		if _, err := p.say("EHLO " + l.Helo); err != nil {
			return err
		}
	}
	if code, err := p.say("MAIL FROM:<" + l.From + ">"); err != nil || code != 250 {
		return err
	}
	accepted := 0
	for _, to := range l.To {
		code, err := p.say("RCPT TO:<" + to + ">")
		if err != nil {
			return err
		}
		if code/100 == 2 {
			accepted++
		}
	}
	if accepted == 0 {
		return nil
	}
	if code, err := p.say("DATA"); err != nil || code != 354 {
		return err
	}
	body := l.Raw
	if body == nil {
		body = stuffed(l.Data)
	}
	if _, err := p.conn.Write(body); err != nil {
		return err
	}
	if _, err := p.hear(); err != nil {
		return err
	}
	_, err := p.say("QUIT")
	return err
}

func stuffed(data []byte) []byte {
	data = bytes.ReplaceAll(data, []byte("\r\n."), []byte("\r\n.."))
	if bytes.HasPrefix(data, []byte(".")) {
		data = append([]byte("."), data...)
	}
	if !bytes.HasSuffix(data, []byte("\r\n")) {
		data = append(data, "\r\n"...)
	}
	return append(data, ".\r\n"...)
}

func (p *peer) say(line string) (int, error) {
	if _, err := fmt.Fprintf(p.conn, "%s\r\n", line); err != nil {
		return 0, err
	}
	return p.hear()
}

// hear reads one reply of one or more lines.
func (p *peer) hear() (code int, err error) {
	var lines []string
	for {
		line, err := p.text.ReadLine()
		if err != nil {
			return 0, err
		}
		lines = append(lines, line)
		if len(line) < 4 || line[3] != '-' {
			break
		}
	}
	text := strings.Join(lines, "\n")
	p.replies = append(p.replies, text)
	if _, err := fmt.Sscanf(text, "%3d", &code); err != nil {
		return 0, fmt.Errorf("reply %q: %w", text, err)
	}
	return code, nil
}
