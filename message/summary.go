package message

import (
	"io"
	"strings"
)

// Summary is what an index keeps of a message beside its structure.
type Summary struct {
	MessageID    string // without brackets
	InReplyTo    []string
	References   []string
	Subject      string // decoded
	BaseSubject  string // RFC 5256, 2.1
	Date         int64  // unix seconds of the Date field, 0 when missing
	From, To, Cc string // first address's mailbox for SORT, lower case (RFC 5256, 3)
	FromName     string // display of the first author
	Preview      string // up to 200 characters of text, RFC 8970
	Attachments  bool
}

// maxReferences of a message are kept, its last ones: those next to it.
const maxReferences = 100

// maxSubject bounds what an index keeps of a subject, in bytes.
const maxSubject = 1000

// Summarize reads what Summary needs; p comes from Scan on the same bytes.
// Beside the tree it reads only the first 4 KiB of the first text part.
func Summarize(r io.ReaderAt, size int64, p *Part) (Summary, error) {
	e := p.Envelope
	if e == nil {
		e = &ImapEnvelope{}
	}
	s := Summary{
		InReplyTo:  messageIDs(e.InReplyTo),
		References: messageIDs(p.refs),
		Subject:    clipText(DecodeText(e.Subject), maxSubject),
	}
	if n := len(s.References); n > maxReferences {
		s.References = s.References[n-maxReferences:]
	}
	if ids := messageIDs(e.MessageID); len(ids) > 0 {
		s.MessageID = ids[0]
	}
	s.BaseSubject, _ = baseSubject(s.Subject)
	s.BaseSubject = strings.Clone(s.BaseSubject)
	if t, err := ParseDate(e.Date); err == nil {
		s.Date = t.Unix()
	}
	s.From, s.FromName = sortKey(e.From)
	s.To, _ = sortKey(e.To)
	s.Cc, _ = sortKey(e.Cc)
	s.Attachments = hasAttachments(p)
	var err error
	s.Preview, err = preview(r, min(size, p.Body.End), p)
	return s, err
}

// sortKey gives the first address's mailbox in lower case and what to show of
// the author: the decoded name, else the address. The name of a group counts as
// a mailbox (RFC 5256, 3 as IMAP's addr-mailbox).
func sortKey(list []ImapAddress) (mailbox, name string) {
	if len(list) == 0 {
		return "", ""
	}
	a := &list[0]
	mailbox = strings.ToLower(clipText(DecodeText(a.Mailbox), maxSubject))
	switch {
	case a.Name != "":
		name = clipText(strings.TrimSpace(DecodeText(a.Name)), maxSubject)
	case a.Host != "":
		d := a.Host
		if u, err := ParseDomain(d); err == nil {
			d = u.Unicode()
		}
		name = clipText(DecodeText(a.Mailbox+"@"+d), maxSubject)
	default:
		name = clipText(DecodeText(a.Mailbox), maxSubject)
	}
	return mailbox, name
}

// messageIDs finds the msg-ids of a field, without brackets. A field without
// any bracket is one id as it stands.
func messageIDs(s string) (ids []string) {
	whole := s
	for len(ids) < 10*maxReferences {
		i := strings.IndexByte(s, '<')
		if i < 0 {
			break
		}
		j := strings.IndexByte(s[i:], '>')
		if j < 0 {
			break
		}
		if id := withoutSpace(s[i+1 : i+j]); id != "" && len(id) <= maxSubject {
			if k := strings.LastIndexByte(id, '<'); k >= 0 {
				id = id[k+1:]
			}
			ids = append(ids, id)
		}
		s = s[i+j+1:]
	}
	if whole = strings.TrimSpace(whole); ids == nil && whole != "" && len(whole) <= 200 &&
		strings.IndexByte(whole, '@') > 0 && !strings.ContainsAny(whole, " \t\"(") {
		ids = []string{strings.Trim(whole, "<>")}
	}
	return ids
}

// hasAttachments tells whether the message holds something to save: a part that
// says so, a file name outside of multipart/related, a message, or a leaf that
// is neither text nor an inline picture.
func hasAttachments(p *Part) bool {
	if p.Multipart() {
		for _, c := range p.Parts {
			if p.Subtype == "related" && c.Disposition != "attachment" && !c.Multipart() {
				continue
			}
			if hasAttachments(c) {
				return true
			}
		}
		return false
	}
	switch {
	case p.Disposition == "attachment":
		return true
	case p.Disposition == "inline" && p.ID != "":
		return false
	case p.Type == "text":
		return p.Filename() != ""
	case p.Type == "message":
		return p.IsMessage()
	case p.Type == "application":
		return !strings.HasSuffix(p.Subtype, "-signature") && p.Subtype != "pgp-encrypted"
	}
	return true
}

// clipText shortens to at most n bytes at a character's border.
func clipText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}
