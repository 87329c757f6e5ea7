package message

import (
	"crypto/rand"
	"encoding/base32"
	"io"
	"mime/quotedprintable"
	"strings"
	"time"
)

// Mail is a small message of text that the server itself writes: notices and
// reports.
type Mail struct {
	FromName  string
	From, To  Address
	Subject   string
	Date      time.Time
	MessageID string // with its brackets; see NewMessageID
	InReplyTo string // with its brackets; "" for none
	Text      string // plain text, lines ended by LF or CRLF
	Fields    []Param
}

// Append appends the message, CRLF everywhere, pure ASCII unless an address
// needs UTF-8. It says Auto-Submitted: auto-generated (RFC 3834, 5), so that no
// machine answers it.
func (m Mail) Append(dst []byte) []byte {
	utf8OK := m.From.NeedsUTF8() || m.To.NeedsUTF8()
	dst = appendHead(dst, m, utf8OK, "auto-generated")
	return appendText(dst, m.Text)
}

// appendHead appends the fields that every message of ours has.
func appendHead(dst []byte, m Mail, utf8OK bool, auto string) []byte {
	dst = appendField(dst, "From", formatMailbox(m.FromName, m.From, utf8OK))
	dst = appendField(dst, "To", formatMailbox("", m.To, utf8OK))
	dst = appendField(dst, "Subject", encodeText(m.Subject, utf8OK))
	dst = appendField(dst, "Date", FormatDate(m.Date))
	dst = appendField(dst, "Message-ID", m.MessageID)
	if m.InReplyTo != "" {
		dst = appendField(dst, "In-Reply-To", m.InReplyTo)
		dst = appendField(dst, "References", m.InReplyTo)
	}
	for _, f := range m.Fields {
		dst = appendField(dst, f.Name, encodeText(f.Value, utf8OK))
	}
	dst = appendField(dst, "Auto-Submitted", auto)
	return append(dst, "MIME-Version: 1.0\r\n"...)
}

// appendText appends the fields and body of a text/plain entity.
func appendText(dst []byte, text string) []byte {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	text = strings.ReplaceAll(strings.TrimRight(text, "\n")+"\n", "\n", "\r\n")
	if sendable(text) {
		dst = append(dst, "Content-Type: text/plain; charset=us-ascii\r\n\r\n"...)
		return append(dst, text...)
	}
	dst = append(dst, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"...)
	w := appender{dst}
	q := quotedprintable.NewWriter(&w)
	_, _ = io.WriteString(q, text) // an appender does not fail
	_ = q.Close()
	return w.b
}

// sendable tells whether a text can travel as 7bit (RFC 2045, 2.7).
func sendable(text string) bool {
	if !isASCII(text) || strings.IndexByte(text, 0) >= 0 {
		return false
	}
	for line := range strings.Lines(text) {
		if len(line) > 1000 { // RFC 5322, 2.1.1, with CRLF
			return false
		}
	}
	return true
}

type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

// NewMessageID makes a msg-id with its brackets: 120 random bits at our host.
// It tells nothing of the time or the sender.
func NewMessageID(host string) string {
	return "<" + randomToken() + "@" + host + ">"
}

// randomToken is 24 characters of lower-case base32.
func randomToken() string {
	var b [15]byte
	_, _ = rand.Read(b[:]) // never fails
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}
