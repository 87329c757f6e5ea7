package smtp

import (
	"strconv"
	"strings"
)

func (s *session) ehlo(name string) Reply { return s.hello(name, true) }
func (s *session) helo(name string) Reply { return s.hello(name, false) }

// hello begins or renews the session (RFC 5321, 4.1.1.1); an open transaction
// is dropped (4.1.4). The name is taken as it comes: senders that are right in
// all else have wrong names.
func (s *session) hello(name string, extended bool) Reply {
	name, _, _ = strings.Cut(name, " ")
	if name == "" || len(name) > 255 || strings.IndexFunc(name, notPrintable) >= 0 {
		return BadName
	}
	s.drop()
	s.peer.Helo, s.peer.Extended = name, extended
	reply, err := s.backend.Hello(s.ctx)
	if reply = s.answer("hello", reply, err, OK); !reply.Positive() {
		s.peer.Helo = ""
		return reply
	}
	if !extended {
		return Reply{250, "", s.srv.hostname()}
	}
	return Reply{250, "", s.srv.hostname() + " greets you\n" + strings.Join(s.extensions(), "\n")}
}

// notPrintable holds for what would need care in a Received field.
func notPrintable(r rune) bool { return r <= ' ' || r > '~' }

// extensions lists what is offered now.
func (s *session) extensions() []string {
	list := []string{
		"PIPELINING",
		"SIZE " + strconv.FormatInt(s.srv.maxSize(), 10),
		"8BITMIME",
		"SMTPUTF8",
		"CHUNKING",
		"ENHANCEDSTATUSCODES",
		"LIMITS MAILMAX=" + strconv.Itoa(s.srv.maxTransactions()) + " RCPTMAX=" + strconv.Itoa(s.srv.maxRecipients()),
	}
	if s.srv.DSN {
		list = append(list, "DSN")
	}
	if s.srv.TLS != nil && s.peer.TLS == nil {
		list = append(list, "STARTTLS")
	}
	if _, ok := s.backend.(Authenticator); ok && s.peer.TLS != nil && !s.peer.Authenticated {
		list = append(list, "AUTH "+mechanisms)
	}
	return list
}
