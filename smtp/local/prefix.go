package local

import (
	"strings"
	"time"

	"mailstead/internal/maillog"
	"mailstead/mailbox"
	"mailstead/message"
)

// prefix makes what stands before the body in one account's copy. alone tells
// that nobody else gets the message, so that Received may name its recipient
// without telling one recipient of another (RFC 5321, 7.6).
func (a *Agent) prefix(m *Message, p *placing, alone bool) []byte {
	b := make([]byte, 0, 512)
	b = message.AppendReturnPath(b, m.Envelope.ReversePath)
	b = message.AppendDeliveredTo(b, p.address)
	b = appendVerdict(b, p.copy)
	if m.Auth.ServID != "" {
		b = m.Auth.Append(b)
	}
	r := m.Received
	r.For = message.Address{}
	if alone {
		r.For = p.copy.Recipient.Address
		if r.For.Domain == "" {
			r.For = p.address
		}
	}
	if r.For.Domain == "" {
		r.For = message.Address{}
	}
	return r.Append(b)
}

// appendVerdict shows the verdict and its named reasons. The texts are ours.
func appendVerdict(b []byte, c *Copy) []byte {
	if c.Verdict == "" {
		return b
	}
	b = append(b, "Mailstead-Verdict: "+c.Verdict...)
	for _, r := range c.Reasons {
		b = append(b, ";\r\n\t"+plain(r.Name)+" ("+plain(r.Text)+")"...)
	}
	return append(b, "\r\n"...)
}

// plain keeps a text inside its comment.
func plain(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || c == '(' || c == ')' || c == '\\' || c == ';' {
			return '?'
		}
		return c
	}, s)
}

// arrival is the event of the message itself.
func (m *Message) arrival(now time.Time) maillog.Event {
	e := maillog.Event{
		Time: now, Kind: m.Kind, CID: m.CID, MID: m.MID, Account: m.Account, Remote: m.Remote, Host: m.Host,
		ReversePath: pathText(m.Envelope.ReversePath), Reply: m.Reply, MessageID: m.Incoming.Summary.MessageID,
		Size: m.Incoming.Draft.Size(), Rcpt: recipients(m.Envelope.Recipients),
	}
	if !m.Began.IsZero() {
		e.Dur = now.Sub(m.Began)
	}
	return e
}

// delivery is the event of one placement.
func (m *Message) delivery(p *placing, placed mailbox.Placed, now time.Time) maillog.Event {
	rcpt := p.copy.Recipient.Address
	if rcpt.Domain == "" {
		rcpt = p.address
	}
	e := maillog.Event{
		Time: now, Kind: maillog.Delivered, CID: m.CID, MID: m.MID, Account: p.account,
		Mailbox: p.box.Name, UID: placed.UID, Rcpt: rcpt.String(),
	}
	for i, r := range p.copy.Reasons {
		if i > 0 {
			e.Reason += "; "
		}
		e.Reason += r.Text
	}
	return e
}

// recipients lists a few of them for the trace.
func recipients(list []message.Recipient) string {
	if len(list) == 1 {
		return list[0].Address.String()
	}
	var b strings.Builder
	for i, r := range list {
		if i == 10 {
			b.WriteString(", …")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(r.Address.String())
	}
	return b.String()
}

func pathText(a message.Address) string {
	if a.IsZero() {
		return ""
	}
	return a.String()
}

// equalFold compares a detail with a mailbox's name; neither is empty.
func equalFold(name, detail string) bool { return detail != "" && strings.EqualFold(name, detail) }
