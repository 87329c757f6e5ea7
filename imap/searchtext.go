package imap

import (
	"bytes"
	"context"
	"io"
	"strings"
	"time"

	"mailstead/mailbox"
	"mailstead/mailbox/blob"
	"mailstead/message"
)

// examined is one message in a search, with what has been looked at so far.
type examined struct {
	ctx   context.Context
	s     *session
	pos   int
	entry mailbox.Entry
	row   *mailbox.Email // nil when the message is gone

	env    *envelope
	root   *message.Part
	bytes  blob.Reader
	head   []message.Field // of the message's own header
	header bool            // head was read
}

func (x *examined) close() {
	if x.bytes != nil {
		x.bytes.Close()
		x.bytes = nil
	}
}

// envelope parses the row's ENVELOPE once.
func (x *examined) envelope() *envelope {
	if x.env == nil {
		x.env = parseEnvelope(x.row.Envelope)
	}
	return x.env
}

func (x *examined) sent() (time.Time, bool) {
	t, err := message.ParseDate(x.envelope().date)
	return t, err == nil
}

// open opens the message's bytes once.
func (x *examined) open() error {
	if x.bytes != nil {
		return nil
	}
	if x.row == nil {
		return mailbox.ErrExpunged
	}
	content, err := x.s.srv.Mailboxes.Content(x.ctx, x.row)
	if err != nil {
		return err
	}
	x.bytes = content
	x.root, err = message.UnmarshalParts(x.row.Parts)
	return err
}

// fields gives the message's own header.
func (x *examined) fields() ([]message.Field, error) {
	if x.header {
		return x.head, nil
	}
	if err := x.open(); err != nil {
		return nil, err
	}
	b, err := x.read(message.Span{Start: -int64(len(x.row.Prefix)), End: x.root.Header.End})
	if err != nil {
		return nil, err
	}
	x.head, x.header = message.ParseHeader(b).Fields, true
	return x.head, nil
}

// part gives a stretch of the body; offsets before it reach into the prefix.
func (x *examined) part(s message.Span) *io.SectionReader {
	return io.NewSectionReader(x.bytes, s.Start+int64(len(x.row.Prefix)), s.Len())
}

// read reads a header into memory.
func (x *examined) read(s message.Span) ([]byte, error) {
	s.End = min(s.End, s.Start+2*message.MaxHeader)
	return io.ReadAll(x.part(s))
}

// needle is what a text key looks for, folded.
func (q *searching) needle() string {
	q.s.r.SP()
	return fold(q.s.r.Astring())
}

// addresses is FROM, TO, CC and BCC: the string stands in the envelope's field.
func (q *searching) addresses(field int) criterion {
	needle := q.needle()
	return leaf{fromRow, func(x *examined) (bool, error) {
		return x.row != nil && contains(x.envelope().addresses(field), needle), nil
	}}
}

func (q *searching) subject() criterion {
	needle := q.needle()
	return leaf{fromRow, func(x *examined) (bool, error) {
		return x.row != nil && contains(message.DecodeText(x.envelope().subject), needle), nil
	}}
}

// header is HEADER with a field's name; an empty string asks whether the field
// is there.
func (q *searching) header() criterion {
	q.s.r.SP()
	name := strings.TrimSuffix(q.s.r.Astring(), ":")
	needle := q.needle()
	if strings.EqualFold(name, "Message-ID") && needle != "" {
		// The envelope has it, and clients look their own messages up by it.
		return leaf{fromRow, func(x *examined) (bool, error) {
			return x.row != nil && contains(x.envelope().messageID, needle), nil
		}}
	}
	return leaf{fromHeader, func(x *examined) (bool, error) {
		list, err := x.fields()
		if err != nil {
			return false, err
		}
		for _, f := range list {
			if strings.EqualFold(f.Name, name) && contains(message.DecodeText(f.Body()), needle) {
				return true, nil
			}
		}
		return false, nil
	}}
}

// text is BODY, which looks into no header, and TEXT, which looks into all of
// them, those of parts and enclosed messages too (RFC 9051, 6.4.4).
func (q *searching) text(headers bool) criterion {
	needle := q.needle()
	return leaf{fromBody, func(x *examined) (bool, error) {
		if err := x.open(); err != nil {
			return false, err
		}
		if headers {
			list, err := x.fields()
			if err != nil {
				return false, err
			}
			if headerContains(list, needle) {
				return true, nil
			}
		}
		return x.contains(x.root, needle, headers)
	}}
}

// headerContains looks through "Name: decoded value" of every field.
func headerContains(list []message.Field, needle string) bool {
	for _, f := range list {
		if contains(f.Name+": "+message.DecodeText(f.Body()), needle) {
			return true
		}
	}
	return false
}

// contains looks through the text of a part and what is inside it, decoded.
// What a person does not read, pictures and the like, is not looked through.
func (x *examined) contains(p *message.Part, needle string, headers bool) (bool, error) {
	if needle == "" {
		return true, nil
	}
	inside := p.Parts
	if p.Message != nil {
		inside = []*message.Part{p.Message}
	}
	for _, c := range inside {
		if ok, err := x.inHeader(c, needle, headers); ok || err != nil {
			return ok, err
		}
		if ok, err := x.contains(c, needle, headers); ok || err != nil {
			return ok, err
		}
	}
	switch {
	case len(inside) > 0:
		return false, nil
	case p.Type == "text", p.Type == "", p.Type == "message":
		return streamContains(utf8Reader(decoder(x.part(p.Body), p.Encoding), p.Param("charset")), needle)
	}
	return false, nil
}

func (x *examined) inHeader(p *message.Part, needle string, headers bool) (bool, error) {
	if !headers || p.Header.Len() == 0 {
		return false, nil
	}
	b, err := x.read(p.Header)
	return err == nil && headerContains(message.ParseHeader(b).Fields, needle), err
}

// fold makes letters equal that differ in case only.
func fold(s string) string { return strings.ToLower(s) }

func contains(s, needle string) bool { return needle == "" || strings.Contains(fold(s), needle) }

// streamContains looks for a folded needle in a stream of UTF-8.
func streamContains(r io.Reader, needle string) (bool, error) {
	const size = 16 << 10
	want := []byte(needle)
	buf := make([]byte, 0, size)
	var window []byte // folded text that a match may begin in
	for {
		n, err := r.Read(buf[len(buf):size])
		buf = buf[:len(buf)+n]
		use := len(buf)
		if err == nil {
			use = wholeRunes(buf)
		}
		window = append(window, lower(buf[:use])...)
		buf = buf[:copy(buf, buf[use:])]
		if bytes.Contains(window, want) {
			return true, nil
		}
		if keep := len(want) - 1; len(window) > keep {
			window = window[:copy(window, window[len(window)-keep:])]
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
}
