package smtp

import (
	"strconv"
	"strings"
)

// mail begins a transaction (RFC 5321, 4.1.1.2).
func (s *session) mail(args string) Reply {
	if s.tx != nil && s.tx.idle { // many clients do not say RSET after that
		s.drop()
	}
	if s.tx != nil {
		return NestedMail
	}
	inner, params, ok := path(args, "FROM:")
	if !ok {
		return BadSender
	}
	var m Mail
	if reply := s.mailParams(&m, params); !reply.IsZero() {
		return reply
	}
	if inner != "" {
		a, reply := address(inner, m.Envelope.SMTPUTF8, BadSender)
		if !reply.IsZero() {
			return reply
		}
		if a.Domain == "" {
			return BadSender
		}
		m.Envelope.ReversePath = a
	}
	if m.Size > s.srv.maxSize() {
		if w, ok := s.backend.(Watcher); ok {
			w.Refused(m, TooBig)
		}
		return TooBig
	}
	if s.transactions++; s.transactions > s.srv.maxTransactions() {
		return TooManyMails
	}
	tx, reply, err := s.backend.Mail(s.ctx, m)
	if reply = s.answer("mail", reply, err, SenderOK); reply.Positive() && tx != nil {
		s.tx = &transaction{Transaction: tx, utf8: m.Envelope.SMTPUTF8}
	}
	return reply
}

// mailParams reads the parameters that are offered; any other is refused (RFC
// 5321, 4.1.1.11). HELO offers none, but a SIZE or BODY there harms nobody.
func (s *session) mailParams(m *Mail, args string) Reply {
	env := &m.Envelope
	for args != "" {
		var p param
		p, args = nextParam(args)
		ok := p.given
		switch {
		case p.name == "SIZE":
			n, err := strconv.ParseInt(p.value, 10, 64)
			ok = ok && err == nil && n >= 0 && len(p.value) <= 20
			m.Size = n
		case p.name == "BODY":
			body := strings.ToUpper(p.value)
			ok = body == "7BIT" || body == "8BITMIME"
			env.EightBit = body == "8BITMIME"
		case p.name == "SMTPUTF8":
			ok = !p.given
			env.SMTPUTF8 = true
		case p.name == "AUTH": // RFC 4954, 5: nobody is trusted to vouch for another
			ok = ok && xtext(p.value)
		case p.name == "RET" && s.srv.DSN:
			env.Return = strings.ToUpper(p.value)
			ok = env.Return == "FULL" || env.Return == "HDRS"
		case p.name == "ENVID" && s.srv.DSN:
			ok = ok && len(p.value) <= 100 && xtext(p.value) // RFC 3461, 4.4
			env.EnvID = p.value
		default:
			return BadParameter
		}
		if !ok {
			return BadSyntax
		}
	}
	return Reply{}
}
