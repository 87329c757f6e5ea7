package message

import (
	"encoding/binary"
	"errors"
)

// The marshalled form: one byte of version, then the root in depth-first order:
//
//	kind      byte     bit 0: multipart children follow, bit 1: inner message, bit 2: a message (has an envelope)
//	type, subtype, encoding, id, description          strings
//	params    varint   count, then name and value
//	header, body       varints: gap from the parent's position, length, length
//	lines     varint
//	envelope  strings  of inner messages only; the root's is kept in wire form elsewhere
//	parts     varint   count, then the children
//
// A string is one byte below len(known) for a frequent one, or its length plus
// len(known) and its bytes. Left out are the root's envelope, disposition,
// language, location and MD5, which only the extended BODYSTRUCTURE shows.
const partsVersion = 1

const (
	kindChildren = 1 << iota
	kindMessage
	kindEnvelope
)

var known = [...]string{"", "text", "plain", "html", "multipart", "alternative", "mixed", "related", "signed",
	"report", "application", "octet-stream", "pdf", "image", "jpeg", "png", "gif", "message", "rfc822",
	"delivery-status", "7bit", "8bit", "base64", "quoted-printable", "binary", "charset", "utf-8", "us-ascii",
	"iso-8859-1", "windows-1252", "boundary", "name", "format", "flowed", "delsp", "yes", "UTF-8", "type",
	"text/html", "audio", "video", "calendar", "method", "ISO-8859-1"}

// MarshalParts and UnmarshalParts keep a tree compactly in a database row:
// enough to serve every section of FETCH and to make BODY without extension
// data. The root's envelope and the extension data are left out, because their
// wire forms are kept beside it.
func MarshalParts(p *Part) []byte {
	return appendPart(append(make([]byte, 0, 192), partsVersion), p, true)
}

func appendPart(b []byte, p *Part, root bool) []byte {
	kind := byte(0)
	if len(p.Parts) > 0 {
		kind |= kindChildren
	}
	if p.Message != nil {
		kind |= kindMessage
	}
	if p.Envelope != nil && !root {
		kind |= kindEnvelope
	}
	b = append(b, kind)
	for _, s := range [...]string{p.Type, p.Subtype, p.Encoding, p.ID, p.Description} {
		b = packString(b, s)
	}
	b = binary.AppendUvarint(b, uint64(len(p.Params)))
	for _, x := range p.Params {
		b = packString(packString(b, x.Name), x.Value)
	}
	b = binary.AppendUvarint(b, uint64(p.Header.Start))
	b = binary.AppendUvarint(b, uint64(p.Header.Len()))
	b = binary.AppendUvarint(b, uint64(p.Body.Len()))
	b = binary.AppendUvarint(b, uint64(p.Lines))
	if kind&kindEnvelope != 0 {
		b = packEnvelope(b, p.Envelope)
	}
	if kind&kindChildren != 0 {
		b = binary.AppendUvarint(b, uint64(len(p.Parts)))
		for _, c := range p.Parts {
			b = appendPart(b, c, false)
		}
	}
	if kind&kindMessage != 0 {
		b = appendPart(b, p.Message, false)
	}
	return b
}

func packString(b []byte, s string) []byte {
	if len(s) <= 16 {
		for i, k := range known {
			if k == s {
				return append(b, byte(i))
			}
		}
	}
	b = binary.AppendUvarint(b, uint64(len(known)+len(s)))
	return append(b, s...)
}

func packEnvelope(b []byte, e *ImapEnvelope) []byte {
	has := byte(0)
	for i, h := range [...]bool{e.HasDate, e.HasSubject, e.HasInReplyTo, e.HasMessageID} {
		if h {
			has |= 1 << i
		}
	}
	b = append(b, has)
	for _, s := range [...]string{e.Date, e.Subject, e.InReplyTo, e.MessageID} {
		b = packString(b, s)
	}
	for _, list := range [...][]ImapAddress{e.From, e.Sender, e.ReplyTo, e.To, e.Cc, e.Bcc} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, a := range list {
			has = 0
			for i, h := range [...]bool{a.HasName, a.HasRoute, a.HasMailbox, a.HasHost} {
				if h {
					has |= 1 << i
				}
			}
			b = append(b, has)
			for _, s := range [...]string{a.Name, a.Route, a.Mailbox, a.Host} {
				b = packString(b, s)
			}
		}
	}
	return b
}

var errParts = errors.New("damaged structure of a message")

// UnmarshalParts is the inverse of MarshalParts.
func UnmarshalParts(b []byte) (*Part, error) {
	u := unpacker{b: b}
	if u.byte() != partsVersion {
		return nil, errParts
	}
	p := u.part(0)
	if u.bad || len(u.b) > 0 {
		return nil, errParts
	}
	return p, nil
}

// unpacker reads; after the first error everything is zero.
type unpacker struct {
	b     []byte
	parts int
	bad   bool
}

func (u *unpacker) byte() byte {
	if len(u.b) == 0 {
		u.bad = true
		return 0
	}
	c := u.b[0]
	u.b = u.b[1:]
	return c
}

func (u *unpacker) number() uint64 {
	n, k := binary.Uvarint(u.b)
	if k <= 0 || n > 1<<62 {
		u.bad, u.b = true, nil
		return 0
	}
	u.b = u.b[k:]
	return n
}

// count is a number of things that take at least one byte each.
func (u *unpacker) count() int {
	n := u.number()
	if n > uint64(len(u.b)) {
		u.bad, u.b = true, nil
		return 0
	}
	return int(n)
}

func (u *unpacker) string() string {
	n := u.number()
	if n < uint64(len(known)) {
		return known[n]
	}
	n -= uint64(len(known))
	if n > uint64(len(u.b)) {
		u.bad, u.b = true, nil
		return ""
	}
	s := string(u.b[:n])
	u.b = u.b[n:]
	return s
}

func (u *unpacker) part(depth int) *Part {
	if u.parts++; depth > MaxDepth+1 || u.parts > 4*MaxParts {
		u.bad, u.b = true, nil
		return nil
	}
	kind := u.byte()
	p := &Part{Type: u.string(), Subtype: u.string(), Encoding: u.string(), ID: u.string(), Description: u.string()}
	if n := u.count(); n > 0 {
		p.Params = make([]Param, n)
		for i := range p.Params {
			p.Params[i] = Param{u.string(), u.string()}
		}
	}
	p.Header.Start = int64(u.number())
	p.Header.End = p.Header.Start + int64(u.number())
	p.Body = Span{p.Header.End, p.Header.End + int64(u.number())}
	p.Lines = int64(u.number())
	if kind&kindEnvelope != 0 {
		p.Envelope = u.envelope()
	}
	if kind&kindChildren != 0 {
		n := u.count()
		for range n {
			if c := u.part(depth + 1); c != nil {
				p.Parts = append(p.Parts, c)
			}
			if u.bad {
				return p
			}
		}
	}
	if kind&kindMessage != 0 {
		p.Message = u.part(depth + 1)
	}
	return p
}

func (u *unpacker) envelope() *ImapEnvelope {
	has := u.byte()
	e := &ImapEnvelope{Date: u.string(), Subject: u.string(), InReplyTo: u.string(), MessageID: u.string(),
		HasDate: has&1 != 0, HasSubject: has&2 != 0, HasInReplyTo: has&4 != 0, HasMessageID: has&8 != 0}
	for _, list := range [...]*[]ImapAddress{&e.From, &e.Sender, &e.ReplyTo, &e.To, &e.Cc, &e.Bcc} {
		n := u.count()
		for range n {
			has := u.byte()
			*list = append(*list, ImapAddress{Name: u.string(), Route: u.string(), Mailbox: u.string(), Host: u.string(),
				HasName: has&1 != 0, HasRoute: has&2 != 0, HasMailbox: has&4 != 0, HasHost: has&8 != 0})
		}
	}
	return e
}
