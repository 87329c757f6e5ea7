package message

// ImapEnvelope is what RFC 9051, 7.5.2 calls ENVELOPE, in the message's own
// strings: raw field bodies, unfolded; addresses split and their quoting
// removed, encoded words as they are. Has* tell a field that is missing (NIL)
// from an empty one. Of several fields of a name the first counts; of address
// fields all do, joined. Sender and ReplyTo are From's where they are missing
// or empty.
type ImapEnvelope struct {
	Date, Subject, InReplyTo, MessageID             string
	HasDate, HasSubject, HasInReplyTo, HasMessageID bool
	From, Sender, ReplyTo, To, Cc, Bcc              []ImapAddress
}

// ImapAddress is one element of an address list. NIL is told from "" by Has*:
// a group begins with an address that has a Mailbox (its name) and no Host, and
// ends with one that has neither (RFC 9051, 7.5.2). An address that lacks its
// domain has an empty Host, so that it does not look like a group.
type ImapAddress struct {
	Name, Route, Mailbox, Host             string
	HasName, HasRoute, HasMailbox, HasHost bool
}

func (e *ImapEnvelope) setField(id field, body string) {
	switch id {
	case fieldDate:
		e.Date, e.HasDate = body, true
	case fieldSubject:
		e.Subject, e.HasSubject = body, true
	case fieldInReplyTo:
		e.InReplyTo, e.HasInReplyTo = body, true
	case fieldMessageID:
		e.MessageID, e.HasMessageID = body, true
	}
}

func (e *ImapEnvelope) addAddresses(id field, body string) {
	var list *[]ImapAddress
	switch id {
	case fieldFrom:
		list = &e.From
	case fieldSender:
		list = &e.Sender
	case fieldReplyTo:
		list = &e.ReplyTo
	case fieldTo:
		list = &e.To
	case fieldCc:
		list = &e.Cc
	case fieldBcc:
		list = &e.Bcc
	default:
		return
	}
	*list = appendAddresses(*list, body)
}

// complete sets what RFC 9051 lets default.
func (e *ImapEnvelope) complete() {
	if len(e.Sender) == 0 {
		e.Sender = e.From
	}
	if len(e.ReplyTo) == 0 {
		e.ReplyTo = e.From
	}
}

// AppendEnvelope appends IMAP's ENVELOPE in wire form (quoted strings, literals
// for what needs them, NIL).
func AppendEnvelope(dst []byte, e *ImapEnvelope) []byte {
	if e == nil {
		e = &ImapEnvelope{}
	}
	dst = append(dst, '(')
	dst = append(appendNString(dst, e.Date, e.HasDate), ' ')
	dst = append(appendNString(dst, e.Subject, e.HasSubject), ' ')
	for _, list := range [...][]ImapAddress{e.From, e.Sender, e.ReplyTo, e.To, e.Cc, e.Bcc} {
		dst = append(appendAddressList(dst, list), ' ')
	}
	dst = append(appendNString(dst, e.InReplyTo, e.HasInReplyTo), ' ')
	return append(appendNString(dst, e.MessageID, e.HasMessageID), ')')
}

func appendAddressList(dst []byte, list []ImapAddress) []byte {
	if len(list) == 0 {
		return append(dst, "NIL"...)
	}
	dst = append(dst, '(')
	for i := range list {
		a := &list[i]
		dst = append(dst, '(')
		dst = append(appendNString(dst, a.Name, a.HasName), ' ')
		dst = append(appendNString(dst, a.Route, a.HasRoute), ' ')
		dst = append(appendNString(dst, a.Mailbox, a.HasMailbox), ' ')
		dst = append(appendNString(dst, a.Host, a.HasHost), ')')
	}
	return append(dst, ')')
}
