package message

import (
	"bytes"
	"strings"
)

// field is a header field that the scanner reads; all others are passed over.
type field uint8

const (
	fieldNone field = iota
	fieldType
	fieldID
	fieldDescription
	fieldEncoding
	fieldDisposition
	fieldLanguage
	fieldLocation
	fieldMD5
	fieldDate // from here on only of messages, not of parts
	fieldSubject
	fieldInReplyTo
	fieldMessageID
	fieldFrom
	fieldSender
	fieldReplyTo
	fieldTo
	fieldCc
	fieldBcc
	fieldReferences
	fields
)

// fieldReader gathers one field's body at a time.
type fieldReader struct {
	id    field
	body  []byte // unfolded so far
	size  int    // bytes of this header passed
	blank bool   // the header was closed by an empty line
	seen  [fields]bool
}

func (f *fieldReader) reset() { *f = fieldReader{body: f.body[:0]} }

// fieldOf finds the field of a name without regard to case.
func fieldOf(name []byte) field {
	var low [32]byte
	if len(name) < 2 || len(name) > len(low) {
		return fieldNone
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		low[i] = c
	}
	switch string(low[:len(name)]) {
	case "content-type":
		return fieldType
	case "content-id":
		return fieldID
	case "content-description":
		return fieldDescription
	case "content-transfer-encoding":
		return fieldEncoding
	case "content-disposition":
		return fieldDisposition
	case "content-language":
		return fieldLanguage
	case "content-location":
		return fieldLocation
	case "content-md5":
		return fieldMD5
	case "date":
		return fieldDate
	case "subject":
		return fieldSubject
	case "in-reply-to":
		return fieldInReplyTo
	case "message-id":
		return fieldMessageID
	case "from":
		return fieldFrom
	case "sender":
		return fieldSender
	case "reply-to":
		return fieldReplyTo
	case "to":
		return fieldTo
	case "cc":
		return fieldCc
	case "bcc":
		return fieldBcc
	case "references":
		return fieldReferences
	}
	return fieldNone
}

// headerLine takes a line, or a piece of one, of the innermost header.
func (s *scanner) headerLine(line []byte, begin bool) {
	f := &s.fields
	text := bytes.TrimSuffix(line, []byte{'\n'})
	if len(text) < len(line) {
		text = bytes.TrimSuffix(text, []byte{'\r'})
		if begin && len(text) == 0 {
			f.blank = true
			s.endHeader(s.in.offset())
			return
		}
	}
	if begin && (len(text) == 0 || text[0] != ' ' && text[0] != '\t') {
		s.fieldDone()
		name, body, ok := cutField(text)
		if !ok || f.size >= MaxHeader { // a broken line, mbox's "From ", or too much
			f.size += len(line)
			return
		}
		f.id = fieldOf(name)
		if f.id >= fieldDate && s.stack[len(s.stack)-1].part.Envelope == nil {
			f.id = fieldNone
		}
		text = body
	}
	if f.id != fieldNone {
		room := max(min(MaxHeader-f.size, maxKept-s.kept-len(f.body)), 0)
		if len(f.body) == 0 {
			text = bytes.TrimLeft(text, " \t")
		}
		f.body = append(f.body, text[:min(len(text), room)]...)
	}
	f.size += len(line)
}

// cutField divides "Name : body"; a name is printable ASCII without spaces.
func cutField(line []byte) (name, body []byte, ok bool) {
	i := bytes.IndexByte(line, ':')
	if i < 1 {
		return nil, nil, false
	}
	name = bytes.TrimRight(line[:i], " \t")
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return nil, nil, false
		}
	}
	return name, line[i+1:], len(name) > 0
}

// fieldDone stores the field that was gathered.
func (s *scanner) fieldDone() {
	f := &s.fields
	id := f.id
	if id == fieldNone {
		return
	}
	f.id = fieldNone
	body := string(bytes.TrimRight(f.body, " \t\r"))
	f.body = f.body[:0]
	s.kept += len(body)
	first := !f.seen[id]
	f.seen[id] = true
	p := s.stack[len(s.stack)-1].part
	switch {
	case id < fieldDate && first:
		p.setField(id, body)
	case id == fieldReferences:
		if p == s.root && first {
			p.refs = body
		}
	case id >= fieldFrom:
		p.Envelope.addAddresses(id, body)
	case id >= fieldDate && first:
		p.Envelope.setField(id, body)
	}
}

// setField understands a field of MIME. Of several only the first counts.
func (p *Part) setField(id field, body string) {
	switch id {
	case fieldType:
		p.Type, p.Subtype, p.Params = parseContentType(body)
	case fieldID:
		p.ID = body
	case fieldDescription:
		p.Description = body
	case fieldEncoding:
		p.Encoding, _ = lowerToken(body)
	case fieldDisposition:
		p.Disposition, p.DispositionParams = parseDisposition(body)
	case fieldLanguage:
		p.Language = parseLanguages(body)
	case fieldLocation:
		p.Location = withoutSpace(body)
	case fieldMD5:
		p.MD5, _, _ = strings.Cut(skipSpace(body), " ")
	}
}
