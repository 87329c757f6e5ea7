package imap

import (
	"strconv"
	"strings"

	"mailstead/imap/wire"
	"mailstead/message"
)

// What of a part or message a section means.
type specifier uint8

const (
	whole     specifier = iota
	header              // HEADER
	fields              // HEADER.FIELDS
	fieldsNot           // HEADER.FIELDS.NOT
	text                // TEXT
	mime                // MIME
)

// section is a section of FETCH (RFC 9051, 6.4.5.1).
type section struct {
	path  []int // part numbers, from 1
	spec  specifier
	names []string // of fields and fieldsNot

	partial      bool
	offset, size int64 // of the partial
}

// maxPath bounds the part numbers of a section; no message is that deep.
const maxPath = message.MaxDepth + 1

// section takes a section in brackets. It returns its canonical form too, as
// responses name it.
func (s *session) section() (sec section, label string) {
	s.r.Expect('[')
	var b strings.Builder
	b.WriteByte('[')
	more := s.r.Peek() != ']'
	for more && s.r.Peek() >= '0' && s.r.Peek() <= '9' {
		n := s.r.Number()
		if n == 0 || len(sec.path) == maxPath {
			s.r.Fail("bad part number")
			return
		}
		sec.path = append(sec.path, int(n))
		if len(sec.path) > 1 {
			b.WriteByte('.')
		}
		b.WriteString(strconv.Itoa(int(n)))
		more = s.r.Accept('.')
	}
	if more {
		if len(sec.path) > 0 {
			b.WriteByte('.')
		}
		s.specifier(&sec, &b)
	}
	s.r.Expect(']')
	b.WriteByte(']')
	return sec, b.String()
}

func (s *session) specifier(sec *section, b *strings.Builder) {
	name := s.r.Label()
	b.WriteString(name)
	switch name {
	case "HEADER":
		sec.spec = header
	case "HEADER.FIELDS":
		sec.spec = fields
	case "HEADER.FIELDS.NOT":
		sec.spec = fieldsNot
	case "TEXT":
		sec.spec = text
	case "MIME":
		sec.spec = mime
		if len(sec.path) == 0 {
			s.r.Fail("MIME needs a part number")
		}
	default:
		s.r.Fail("unknown section")
	}
	if sec.spec == fields || sec.spec == fieldsNot {
		s.fieldNames(sec, b)
	}
}

func (s *session) fieldNames(sec *section, b *strings.Builder) {
	s.r.SP()
	b.WriteString(" (")
	s.r.List(func() {
		name := s.r.Astring()
		if len(sec.names) > 0 {
			b.WriteByte(' ')
		}
		sec.names = append(sec.names, name)
		b.Write(wire.AppendAstring(nil, name))
	})
	b.WriteByte(')')
	if len(sec.names) == 0 {
		s.r.Fail("field name expected")
	}
}

// partialRange takes <offset.size> where it stands, and appends <offset>.
func (s *session) partialRange(sec *section, label string) string {
	if !s.r.Accept('<') {
		return label
	}
	sec.partial = true
	sec.offset = s.r.Number64()
	s.r.Expect('.')
	if sec.size = s.r.Number64(); sec.size == 0 {
		s.r.Fail("partial of no bytes")
	}
	s.r.Expect('>')
	return label + "<" + strconv.FormatInt(sec.offset, 10) + ">"
}

// cut gives the part of n bytes that the partial asks for.
func (sec *section) cut(n int64) (offset, size int64) {
	if !sec.partial {
		return 0, n
	}
	offset = min(sec.offset, n)
	return offset, min(sec.size, n-offset)
}

// find follows part numbers down from a message (RFC 9051, 6.4.5.1): a number
// names a child of a multipart, or as 1 the only part of what is not one;
// behind a message/rfc822 part the numbers go on inside its message.
func find(root *message.Part, path []int) *message.Part {
	at := root
	inside := true // numbers count parts of the message at
	for _, n := range path {
		if !inside && !at.Multipart() {
			if at.Message == nil {
				return nil
			}
			at = at.Message
		}
		inside = false
		switch {
		case at.Multipart() && n <= len(at.Parts):
			at = at.Parts[n-1]
		case at.Multipart() || n != 1:
			return nil
		}
	}
	return at
}

// locate gives the bytes of a section other than field lists, in a body with
// the structure root; ok is false when the message has no such section.
func (sec *section) locate(root *message.Part) (span message.Span, ok bool) {
	at := root
	if len(sec.path) > 0 {
		if at = find(root, sec.path); at == nil {
			return message.Span{}, false
		}
		switch sec.spec {
		case whole:
			return at.Body, true
		case mime:
			return at.Header, true
		}
		if at = at.Message; at == nil {
			return message.Span{}, false
		}
	}
	switch sec.spec {
	case whole:
		return message.Span{Start: 0, End: at.Body.End}, true
	case text:
		return at.Body, true
	}
	return at.Header, true
}

// selects tells whether a field belongs to a list of field names.
func (sec *section) selects(name string) bool {
	for _, n := range sec.names {
		if strings.EqualFold(n, name) {
			return sec.spec == fields
		}
	}
	return sec.spec == fieldsNot
}
