package imap

import (
	"bytes"
	"strconv"
	"strings"

	"mailstead/message"
)

// The places of ENVELOPE's address lists (RFC 9051, 7.5.2).
const (
	envelopeFrom = iota
	envelopeSender
	envelopeReplyTo
	envelopeTo
	envelopeCc
	envelopeBcc
	envelopeLists
)

// envelope is a row's ENVELOPE taken apart again for SEARCH.
type envelope struct {
	date, subject, messageID string
	lists                    [envelopeLists][]string // "name <mailbox@host>", names decoded
}

// addresses gives a list as one text.
func (e *envelope) addresses(list int) string { return strings.Join(e.lists[list], ", ") }

// parseEnvelope reads the wire form that message.AppendEnvelope wrote. Of a
// damaged one it gives what it could read.
func parseEnvelope(b []byte) *envelope {
	t := tokens{b: b}
	e := &envelope{}
	t.accept('(')
	e.date, _ = t.nstring()
	e.subject, _ = t.nstring()
	for i := range e.lists {
		e.lists[i] = t.addresses()
	}
	t.nstring() // In-Reply-To
	e.messageID, _ = t.nstring()
	return e
}

// tokens walks over strings and parentheses.
type tokens struct{ b []byte }

func (t *tokens) accept(c byte) bool {
	t.b = bytes.TrimLeft(t.b, " ")
	if len(t.b) > 0 && t.b[0] == c {
		t.b = t.b[1:]
		return true
	}
	return false
}

// nstring takes a string or NIL.
func (t *tokens) nstring() (string, bool) {
	switch {
	case t.accept('"'):
		var out []byte
		for i := 0; i < len(t.b); i++ {
			switch c := t.b[i]; {
			case c == '"':
				t.b = t.b[i+1:]
				return string(out), true
			case c == '\\' && i+1 < len(t.b):
				i++
				out = append(out, t.b[i])
			default:
				out = append(out, c)
			}
		}
	case t.accept('{'):
		size, rest, ok := bytes.Cut(t.b, []byte("}\r\n"))
		n, err := strconv.Atoi(string(size))
		if ok && err == nil && n <= len(rest) {
			t.b = rest[n:]
			return string(rest[:n]), true
		}
	default:
		if bytes.HasPrefix(t.b, []byte("NIL")) {
			t.b = t.b[3:]
			return "", false
		}
	}
	t.b = nil
	return "", false
}

func (t *tokens) addresses() (list []string) {
	if !t.accept('(') {
		t.nstring()
		return nil
	}
	for t.accept('(') {
		name, _ := t.nstring()
		t.nstring() // route
		mailbox, _ := t.nstring()
		host, hasHost := t.nstring()
		t.accept(')')
		text := mailbox
		if hasHost && host != "" {
			text += "@" + host
		}
		if name != "" {
			text = message.DecodeText(name) + " <" + text + ">"
		}
		list = append(list, text)
	}
	t.accept(')')
	return list
}
