package world

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"
)

// session is one connection to a remote MTA. It ends when a method says false.
type session struct {
	mta    *MTA
	number int
	conn   net.Conn
	in     *bufio.Reader
	out    *bufio.Writer
	secure bool
	helo   string
	user   string
	taken  int

	mail *Mail // the running transaction
}

func (s *session) run() {
	s.reset()
	if !s.reply(AtConnect, "220 "+s.mta.Name+" ESMTP small world") {
		return
	}
	for {
		if s.in.Buffered() == 0 && s.out.Flush() != nil {
			return
		}
		line, err := s.in.ReadString('\n')
		if err != nil {
			return
		}
		verb, arg, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if !s.command(strings.ToUpper(verb), arg) {
			return
		}
	}
}

func (s *session) reset() {
	s.in, s.out = bufio.NewReader(s.conn), bufio.NewWriter(s.conn)
	s.helo, s.mail = "", nil
}

func (s *session) command(verb, arg string) bool {
	b := s.mta.behaviour()
	switch verb {
	case "EHLO":
		s.helo, s.mail = arg, nil
		return s.reply(AtEHLO, s.greeting(b))
	case "HELO":
		s.helo, s.mail = arg, nil
		return s.say("250 " + s.mta.Name)
	case "STARTTLS":
		return s.startTLS(b)
	case "AUTH":
		return s.auth(b, arg)
	case "MAIL":
		return s.from(b, arg)
	case "RCPT":
		return s.rcpt(b, arg)
	case "DATA":
		return s.data(b)
	case "RSET":
		s.mail = nil
		return s.say("250 2.0.0 forgotten")
	case "NOOP":
		return s.say("250 2.0.0 nothing done")
	case "QUIT":
		s.reply(AtQuit, "221 2.0.0 bye")
		s.out.Flush()
		return false
	}
	return s.say("500 5.5.1 what?")
}

// reply says text unless the behaviour has something else at this step.
func (s *session) reply(at Step, text string) bool {
	b := s.mta.behaviour()
	switch at {
	case b.Drop:
		s.out.Flush()
		return false
	case b.Stall:
		s.out.Flush()
		io.Copy(io.Discard, s.conn) // silent until the other side gives up
		return false
	}
	if other := b.Reply[at]; other != "" {
		text = other
	}
	return s.say(text) && !strings.HasPrefix(text, "421")
}

func (s *session) say(text string) bool {
	if d := s.mta.behaviour().Delay; d > 0 {
		time.Sleep(d)
		defer s.out.Flush()
	}
	s.out.WriteString(text + "\r\n")
	if strings.HasPrefix(text, "421") {
		s.out.Flush()
	}
	return true
}

func (s *session) greeting(b Behaviour) string {
	offers := []string{"PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", fmt.Sprint("SIZE ", b.Size)}
	if b.TLS != NoTLS && !s.secure {
		offers = append(offers, "STARTTLS")
	}
	if b.Limits != "" {
		offers = append(offers, "LIMITS "+b.Limits)
	}
	if b.DSN {
		offers = append(offers, "DSN")
	}
	if b.Users != nil {
		offers = append(offers, "AUTH PLAIN")
	}
	offers = slices.DeleteFunc(offers, func(o string) bool {
		word, _, _ := strings.Cut(o, " ")
		return slices.Contains(b.Without, word)
	})
	text := "250-" + s.mta.Name
	for _, o := range offers {
		text += "\r\n250-" + o
	}
	i := strings.LastIndex(text, "250-")
	return text[:i] + "250 " + text[i+4:]
}

func (s *session) startTLS(b Behaviour) bool {
	if text := b.Reply[AtStartTLS]; text != "" || b.Drop == AtStartTLS || b.Stall == AtStartTLS {
		return s.reply(AtStartTLS, text)
	}
	s.say("220 2.0.0 go ahead")
	s.out.Flush()
	switch {
	case b.TLS == Garbage:
		s.conn.Write([]byte("this is not a ServerHello\r\n"))
		return false
	case b.Drop == AtHandshake:
		return false
	case b.Stall == AtHandshake:
		io.Copy(io.Discard, s.conn)
		return false
	}
	config, err := s.mta.tlsConfig(b.TLS)
	if err != nil {
		return false
	}
	c := tls.Server(s.conn, config)
	if c.Handshake() != nil {
		return false
	}
	s.conn, s.secure = c, true
	s.reset()
	return true
}

func (s *session) auth(b Behaviour, arg string) bool {
	_, initial, _ := strings.Cut(arg, " ")
	plain, err := base64.StdEncoding.DecodeString(initial)
	parts := bytes.Split(plain, []byte{0})
	if err != nil || len(parts) != 3 || b.Users[string(parts[1])] != string(parts[2]) {
		return s.say("535 5.7.8 no")
	}
	s.user = string(parts[1])
	return s.say("235 2.7.0 welcome")
}

// path takes "FROM:<a@b> ARGS" apart.
func path(arg string) (addr, args string) {
	_, rest, _ := strings.Cut(arg, "<")
	i := strings.LastIndex(rest, ">")
	if i < 0 {
		return "", ""
	}
	return rest[:i], strings.TrimSpace(rest[i+1:])
}

func (s *session) from(b Behaviour, arg string) bool {
	switch {
	case s.helo == "" || s.mail != nil:
		return s.say("503 5.5.1 not now")
	case b.Users != nil && s.user == "":
		return s.say("530 5.7.0 who are you?")
	case b.PerConn > 0 && s.taken >= b.PerConn:
		s.say("421 4.7.0 enough for one connection")
		return false
	}
	mail := Mail{Helo: s.helo, TLS: s.secure, Conn: s.number, User: s.user}
	mail.From, mail.FromArgs = path(arg)
	if b.Reply[AtMail] == "" {
		s.mail = &mail
	}
	return s.reply(AtMail, "250 2.1.0 ok")
}

func (s *session) rcpt(b Behaviour, arg string) bool {
	if s.mail == nil {
		return s.say("503 5.5.1 MAIL first")
	}
	addr, args := path(arg)
	text := b.Rcpt[addr]
	switch {
	case text != "":
		return s.say(text)
	case b.Reply[AtRcpt] != "" || b.Drop == AtRcpt || b.Stall == AtRcpt:
		return s.reply(AtRcpt, "")
	case b.MaxRcpt > 0 && len(s.mail.To) >= b.MaxRcpt:
		return s.say("452 4.5.3 too many recipients")
	case s.mta.greylisted(addr, b.Greylist):
		return s.say("451 4.7.1 greylisted, try again later")
	}
	s.mail.To = append(s.mail.To, addr)
	s.mail.ToArgs = append(s.mail.ToArgs, args)
	return s.say("250 2.1.5 ok")
}

func (s *session) data(b Behaviour) bool {
	if s.mail == nil || len(s.mail.To) == 0 {
		return s.say("554 5.5.1 no valid recipients")
	}
	if b.Reply[AtData] != "" || b.Drop == AtData || b.Stall == AtData {
		s.mail = nil
		return s.reply(AtData, "")
	}
	s.say("354 go on")
	if s.out.Flush() != nil {
		return false
	}
	if b.Drop == AtBody || b.Stall == AtBody {
		s.in.ReadString('\n')
		return s.reply(AtBody, "")
	}
	body, err := readBody(s.in)
	if err != nil {
		return false
	}
	s.mail.Data = body
	if b.Reply[AtEnd] == "" {
		s.mta.keep(*s.mail)
		s.taken++
	}
	s.mail = nil
	return s.reply(AtEnd, fmt.Sprintf("250 2.0.0 taken as %d.%d", s.number, s.taken))
}

// maxBody is far above what any test sends.
const maxBody = 256 << 20

// readBody reads to CRLF.CRLF and nothing else, removing stuffed dots.
func readBody(in *bufio.Reader) ([]byte, error) {
	var body []byte
	start := true // of a line that follows CRLF
	for len(body) < maxBody {
		line, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if start && string(line) == ".\r\n" {
			return body, nil
		}
		if start && line[0] == '.' {
			line = line[1:]
		}
		body = append(body, line...)
		start = bytes.HasSuffix(body, []byte("\r\n")) && err == nil
	}
	return nil, errors.New("message without end")
}
