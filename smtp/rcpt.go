package smtp

import (
	"strings"

	"mailstead/message"
)

// rcpt adds a recipient (RFC 5321, 4.1.1.3).
func (s *session) rcpt(args string) Reply {
	tx := s.tx
	if tx == nil {
		return MailFirst
	}
	inner, params, ok := path(args, "TO:")
	if !ok || inner == "" {
		return BadRecipient
	}
	a, reply := address(inner, tx.utf8, BadRecipient)
	if !reply.IsZero() {
		return reply
	}
	// Postmaster alone is for whoever keeps this server (RFC 5321, 4.5.1).
	if a.Domain == "" && !strings.EqualFold(a.Local, "postmaster") {
		return BadRecipient
	}
	r := message.Recipient{Address: a}
	if reply := s.rcptParams(&r, params); !reply.IsZero() {
		return reply
	}
	// Refused ones count too: a list of guesses ends here as well.
	if tx.recipients+tx.refused >= s.srv.maxRecipients() {
		return TooManyRcpts
	}
	reply, err := tx.Recipient(s.ctx, r)
	if reply = s.answer("recipient", reply, err, RecipientOK); reply.Positive() {
		tx.recipients++
		tx.idle = false
	} else {
		tx.refused++
		if reply.Code/100 == 5 {
			s.refused++
		}
	}
	return reply
}

// rcptParams reads NOTIFY and ORCPT (RFC 3461, 4.1 and 4.2).
func (s *session) rcptParams(r *message.Recipient, args string) Reply {
	for args != "" {
		var p param
		p, args = nextParam(args)
		ok := true
		switch {
		case p.name == "NOTIFY" && s.srv.DSN:
			r.Notify, ok = notify(p.value)
		case p.name == "ORCPT" && s.srv.DSN:
			kind, value, cut := strings.Cut(p.value, ";")
			ok = cut && kind != "" && value != "" && len(p.value) <= 500
			r.Original = p.value
		default:
			return BadParameter
		}
		if !ok {
			return BadSyntax
		}
	}
	return Reply{}
}

// notify reads NEVER, or a list of the others.
func notify(s string) (message.Notify, bool) {
	if strings.EqualFold(s, "NEVER") {
		return message.NotifyNever, true
	}
	var n message.Notify
	for word := range strings.SplitSeq(strings.ToUpper(s), ",") {
		switch word {
		case "SUCCESS":
			n |= message.NotifySuccess
		case "FAILURE":
			n |= message.NotifyFailure
		case "DELAY":
			n |= message.NotifyDelay
		default:
			return 0, false
		}
	}
	return n, true
}
