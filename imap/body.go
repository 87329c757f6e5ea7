package imap

import (
	"io"
	"slices"

	"mailstead/message"
)

// sectionItem is BODY[...] and its elders RFC822, RFC822.HEADER, RFC822.TEXT.
func sectionItem(sec section, label string, seen bool) fetchItem {
	return fetchItem{needs: needsBytes, seen: seen, write: func(f *fetching, m *fetched) error {
		f.s.w.Str(label)
		f.s.w.Byte(' ')
		if sec.spec == fields || sec.spec == fieldsNot {
			return f.writeFields(m, &sec)
		}
		span, ok := m.locate(&sec)
		if !ok {
			f.s.w.Str("NIL")
			return nil
		}
		offset, size := sec.cut(span.Len())
		f.s.w.LiteralHead(size, false)
		f.s.w.Copy(io.NewSectionReader(m.bytes, span.Start+offset, size), size)
		return nil
	}}
}

// locate gives a section's place in the whole message. Offsets of the structure
// count from the body's start; the generated fields before it belong to the
// outermost header.
func (m *fetched) locate(sec *section) (message.Span, bool) {
	span, ok := sec.locate(m.root)
	if !ok {
		return span, false
	}
	prefix := int64(len(m.row.Prefix))
	if !m.outermost(sec) {
		span.Start += prefix
	}
	span.End = min(span.End+prefix, m.bytes.Size())
	span.Start = min(span.Start, span.End)
	return span, true
}

// outermost tells whether a section at the body's start is, or begins with, the
// message's own header.
func (m *fetched) outermost(sec *section) bool {
	if len(sec.path) == 0 {
		return sec.spec != text
	}
	return sec.spec == mime && find(m.root, sec.path) == m.root
}

// writeFields writes the fields that a section names, in their own order, and
// the empty line behind them (RFC 9051, 6.4.5.1).
func (f *fetching) writeFields(m *fetched, sec *section) error {
	found, ok := f.fields(m, sec)
	if !ok {
		f.s.w.Str("NIL")
		return nil
	}
	offset, size := sec.cut(int64(len(found)))
	f.s.w.Literal(found[offset : offset+size])
	return nil
}

// fields gathers the fields that a section names. They are good until the next
// call.
func (f *fetching) fields(m *fetched, sec *section) (found []byte, ok bool) {
	span, ok := m.locate(sec)
	if !ok {
		return nil, false
	}
	span.End = min(span.End, span.Start+2*message.MaxHeader)
	f.scratch = slices.Grow(f.scratch[:0], int(span.Len()))[:span.Len()]
	if _, err := io.ReadFull(io.NewSectionReader(m.bytes, span.Start, span.Len()), f.scratch); err != nil {
		f.damaged(m, err)
		return nil, false
	}
	f.found = f.found[:0]
	for _, field := range message.ParseHeader(f.scratch).Fields {
		if field.Name != "" && sec.selects(field.Name) {
			f.found = append(f.found, field.Raw...)
		}
	}
	if n := len(f.found); n > 0 && f.found[n-1] != '\n' {
		f.found = append(f.found, '\r', '\n')
	}
	f.found = append(f.found, '\r', '\n')
	return f.found, true
}
