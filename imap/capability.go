package imap

import (
	"context"
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"
)

// capabilities is the table of what is offered, and in which states. Order is
// that of the response.
var capabilities = []struct {
	cap  imap.Cap
	when func(s *session) bool
}{
	{imap.CapIMAP4rev1, nil},
	{imap.CapIMAP4rev2, nil},
	{imap.CapStartTLS, (*session).offersTLS},
	{imap.CapLoginDisabled, func(s *session) bool { return s.before() && !s.private() }},
	{imap.AuthCap("PLAIN"), (*session).offersAuth},
	{imap.AuthCap("LOGIN"), (*session).offersAuth},
	{imap.AuthCap("SCRAM-SHA-256"), (*session).offersAuth},
	{imap.AuthCap("SCRAM-SHA-256-PLUS"), func(s *session) bool { return s.offersAuth() && len(s.conn.Bindings()) > 0 }},
	{imap.CapSASLIR, (*session).before},
	{imap.CapLiteralPlus, nil}, // RFC 7888, 5: never beside LITERAL-, which it includes
	{imap.CapID, nil},
	{imap.CapEnable, nil},
	{imap.CapIdle, nil},
	{imap.CapNamespace, (*session).after},
	{imap.CapUnselect, (*session).after},
	{imap.CapUIDPlus, (*session).after},
	{imap.CapMove, (*session).after},
	{imap.CapESearch, (*session).after},
	{imap.CapSearchRes, (*session).after},
	{imap.CapWithin, (*session).after},
	{imap.CapListExtended, (*session).after},
	{imap.CapListStatus, (*session).after},
	{imap.CapStatusSize, (*session).after},
	{imap.CapChildren, (*session).after},
	{imap.CapSpecialUse, (*session).after},
	{imap.CapCreateSpecialUse, (*session).after},
	{imap.CapBinary, (*session).after},
	{imap.CapUTF8Accept, (*session).after},
}

func (s *session) before() bool     { return s.state == notAuthenticated }
func (s *session) after() bool      { return s.state != notAuthenticated }
func (s *session) private() bool    { return s.conn.TLS() != nil }
func (s *session) offersAuth() bool { return s.before() && s.private() }
func (s *session) offersTLS() bool  { return s.before() && !s.private() && s.srv.TLS != nil }

// capabilityCode is the CAPABILITY response code that a successful login
// carries (RFC 9051, 7.1).
func (s *session) capabilityCode() string {
	var b strings.Builder
	b.WriteString("CAPABILITY")
	for _, c := range capabilities {
		if c.when == nil || c.when(s) {
			b.WriteByte(' ')
			b.WriteString(string(c.cap))
		}
	}
	if s.after() {
		b.WriteString(" APPENDLIMIT=" + strconv.FormatInt(s.srv.maxMessage(), 10))
	}
	return b.String()
}

func (s *session) capability() run {
	return func(context.Context) (reply, error) {
		s.w.Str("* ")
		s.w.Str(s.capabilityCode())
		s.w.CRLF()
		return reply{}, nil
	}
}

// enable switches extensions on (RFC 5161). Unknown ones are passed over.
func (s *session) enable() run {
	var names []string
	for {
		s.r.SP()
		names = append(names, s.r.Word())
		if s.r.Err() != nil || s.r.Peek() != ' ' {
			break
		}
	}
	return func(context.Context) (reply, error) {
		s.w.Str("* ENABLED")
		for _, name := range names {
			switch {
			case strings.EqualFold(name, string(imap.CapIMAP4rev2)) && !s.rev2:
				s.rev2, s.utf8 = true, true
				name = string(imap.CapIMAP4rev2)
			case strings.EqualFold(name, string(imap.CapUTF8Accept)):
				s.utf8 = true
			default:
				continue
			}
			s.w.Byte(' ')
			s.w.Str(name)
		}
		s.w.CRLF()
		s.w.UTF8 = s.utf8
		return reply{}, nil
	}
}

// noop is NOOP and CHECK: the report before the reply is all they do.
func (s *session) noop() run {
	return func(context.Context) (reply, error) { return reply{}, nil }
}

func (s *session) logout() run {
	return func(context.Context) (reply, error) {
		s.w.Str("* BYE logging out\r\n")
		s.view = nil
		s.state = loggedOut
		return reply{}, nil
	}
}

// id answers with our name and does nothing with the client's (RFC 2971).
func (s *session) id() run {
	s.r.SP()
	if !s.r.AcceptWord("NIL") {
		fields := 0
		s.r.List(func() {
			_ = s.r.String()
			s.r.SP()
			s.r.Nstring()
			if fields++; fields > 30 { // RFC 2971, 3.3
				s.r.Fail("more than 30 fields")
			}
		})
	}
	return func(context.Context) (reply, error) {
		s.w.Str(`* ID ("name" "Mailstead"`)
		if s.srv.Version != "" {
			s.w.Str(` "version" `)
			s.w.String(s.srv.Version)
		}
		s.w.Str(")\r\n")
		return reply{}, nil
	}
}

// namespace answers with the one personal namespace (RFC 2342).
func (s *session) namespace() run {
	return func(context.Context) (reply, error) {
		s.w.Str(`* NAMESPACE (("" "` + separator + `")) NIL NIL` + "\r\n")
		return reply{}, nil
	}
}
