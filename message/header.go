package message

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
)

// Header is a parsed header: fields in order with their raw bytes.
type Header struct{ Fields []Field }

// Field is one header field. Raw includes name, colon, folding and CRLF. A line
// that is no field (mbox's "From " at the head, a line without a colon) is kept
// with an empty Name, so that Raw of all fields together is the header.
type Field struct {
	Name string // as written
	Raw  []byte
}

// ReadHeader parses the header at the start of r, at most 256 KiB of it. The
// empty line is consumed, but not necessarily no more: r's rest is not the body
// unless r is a *bufio.Reader.
func ReadHeader(r io.Reader) (Header, error) {
	br, ok := r.(*bufio.Reader)
	if !ok {
		br = bufio.NewReaderSize(r, 1024)
	}
	raw := make([]byte, 0, 2048)
	begin := true
	for {
		line, err := br.ReadSlice('\n')
		if begin && (len(line) == 1 && line[0] == '\n' || len(line) == 2 && line[0] == '\r' && line[1] == '\n') {
			return ParseHeader(raw), nil
		}
		raw = append(raw, line[:min(len(line), MaxHeader-len(raw))]...)
		begin = err == nil
		switch {
		case err == io.EOF || len(raw) >= MaxHeader:
			return ParseHeader(raw), nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return Header{}, err
		}
	}
}

// ParseHeader parses the header at the start of b, up to an empty line, the end
// of b, or 256 KiB. The fields share b's bytes.
func ParseHeader(b []byte) Header {
	b = b[:min(len(b), MaxHeader)]
	var h Header
	if n := bytes.Count(b[:min(len(b), 16<<10)], []byte{'\n'}); n > 0 {
		h.Fields = make([]Field, 0, min(n, 64))
	}
	for len(b) > 0 && b[0] != '\n' && !(len(b) > 1 && b[0] == '\r' && b[1] == '\n') {
		end := 0
		for {
			i := bytes.IndexByte(b[end:], '\n')
			if i < 0 {
				end = len(b)
				break
			}
			end += i + 1
			if end == len(b) || b[end] != ' ' && b[end] != '\t' {
				break
			}
		}
		f := Field{Raw: b[:end:end]}
		if name, _, ok := cutField(f.Raw); ok {
			f.Name = string(name)
		}
		h.Fields = append(h.Fields, f)
		b = b[end:]
	}
	return h
}

// raw is the header as it came, without its empty line.
func (h Header) raw() string {
	var b strings.Builder
	for _, f := range h.Fields {
		b.Write(f.Raw)
	}
	return b.String()
}

// Body is the field's unfolded body without white space around it.
func (f Field) Body() string {
	i := bytes.IndexByte(f.Raw, ':')
	if i < 0 {
		return ""
	}
	return unfold(f.Raw[i+1:])
}

// unfold removes line ends, and white space around the whole (RFC 5322, 2.2.3).
func unfold(b []byte) string {
	b = bytes.Trim(b, " \t\r\n")
	if bytes.IndexByte(b, '\n') < 0 {
		return string(b)
	}
	out := make([]byte, 0, len(b))
	for i, c := range b {
		if c == '\n' || c == '\r' && i+1 < len(b) && b[i+1] == '\n' {
			continue
		}
		out = append(out, c)
	}
	return string(out)
}

// Get returns the first field's unfolded body, "" when there is none.
func (h Header) Get(name string) string {
	for i := range h.Fields {
		if strings.EqualFold(h.Fields[i].Name, name) {
			return h.Fields[i].Body()
		}
	}
	return ""
}

// Has tells whether a field of the name is there, empty or not.
func (h Header) Has(name string) bool { return h.Count(name) > 0 }

// Count is the number of fields of a name; "Received" for loop detection
// (RFC 5321, 6.3).
func (h Header) Count(name string) (n int) {
	for i := range h.Fields {
		if strings.EqualFold(h.Fields[i].Name, name) {
			n++
		}
	}
	return n
}

// Values returns every field's unfolded body.
func (h Header) Values(name string) (list []string) {
	for i := range h.Fields {
		if strings.EqualFold(h.Fields[i].Name, name) {
			list = append(list, h.Fields[i].Body())
		}
	}
	return list
}

// Addresses returns the mailboxes of every field of the name in order, groups
// resolved; entries without a domain are left out.
func (h Header) Addresses(name string) (list []ImapAddress) {
	for _, v := range h.Values(name) {
		for _, a := range appendAddresses(nil, v) {
			if a.HasHost && a.Host != "" && a.Mailbox != "" {
				list = append(list, a)
			}
		}
	}
	return list
}

// Address is the mailbox as SMTP's Address. Errors where SMTP could not carry it.
func (a ImapAddress) Address() (Address, error) {
	return ParseAddress(quoteLocal(a.Mailbox) + "@" + a.Host)
}
