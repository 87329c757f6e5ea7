package message

import (
	"bufio"
	"fmt"
	"io"
	"mime/quotedprintable"
	"strings"
	"time"
)

// Action of RFC 3464, 2.3.3.
type Action string

const (
	Failed    Action = "failed"
	Delayed   Action = "delayed"
	Delivered Action = "delivered"
	Relayed   Action = "relayed"
	Expanded  Action = "expanded"
)

// DSN is a delivery status notification about one message (RFC 3464): a
// multipart/report (RFC 6522) of a text for people, the fields for machines and
// the original message or its header. Its own reverse-path must be null.
type DSN struct {
	ReportingMTA string    // our host name
	From         Address   // who writes: postmaster or MAILER-DAEMON at our host
	To           Address   // the reverse-path of the original
	Date         time.Time // now
	MessageID    string    // of this DSN, with brackets
	EnvID        string    // ENVID of the original, decoded; "" for none
	Arrival      time.Time // when the original came
	Recipients   []RecipientStatus

	// Original gives the original message from its start. Unless Full is set only
	// its header is read and returned (RFC 3461, 5.2: always so for anything but
	// failures). EightBit says that it may hold 8-bit bytes.
	Original io.Reader
	Full     bool
	EightBit bool

	// UTF8 says that this DSN can travel under SMTPUTF8, because the original
	// did: the forms of RFC 6533 are used.
	UTF8 bool
}

// RecipientStatus is what became of one recipient.
type RecipientStatus struct {
	Final      Address
	Original   string // ORCPT as it came: "rfc822;user@example.org"
	Action     Action
	Status     string    // "5.1.1"
	RemoteMTA  string    // name or [address] of who answered; "" when it was ourselves
	Diagnostic string    // that one's reply: "550 5.1.1 no such user"
	Reason     string    // the same in plain words
	Attempted  time.Time // last attempt
	RetryUntil time.Time // for Delayed
}

// WriteTo writes the whole message with CRLF line ends.
func (d *DSN) WriteTo(w io.Writer) (int64, error) {
	out := bufio.NewWriter(w)
	n, err := d.write(&counter{w: out})
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return n, fmt.Errorf("write DSN: %w", err)
	}
	return n, nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func (d *DSN) write(w *counter) (int64, error) {
	var original *bufio.Reader
	var header Header
	if d.Original != nil {
		original = bufio.NewReader(d.Original)
		var err error
		if header, err = ReadHeader(original); err != nil {
			return 0, err
		}
	}
	raw := header.raw()
	eight := d.UTF8 || d.Full && (d.EightBit || !isASCII(raw))
	boundary := "report-" + randomToken()
	_, err := w.Write(d.appendParts(nil, header, boundary, eight))
	if err == nil && original != nil {
		err = d.writeOriginal(w, original, raw, eight)
	}
	if err == nil {
		_, err = io.WriteString(w, "\r\n--"+boundary+"--\r\n")
	}
	return w.n, err
}

// appendParts appends header, text and machine-readable part.
func (d *DSN) appendParts(b []byte, original Header, boundary string, eight bool) []byte {
	m := Mail{FromName: "Mail delivery system", From: d.From, To: d.To, Subject: d.subject(), Date: d.Date, MessageID: d.MessageID}
	if ids := messageIDs(original.Get("Message-ID")); len(ids) > 0 && isASCII(ids[0]) {
		m.InReplyTo = "<" + ids[0] + ">"
	}
	b = appendHead(b, m, d.UTF8, "auto-replied")
	b = append(b, "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\""+boundary+"\"\r\n"...)
	if eight {
		b = append(b, "Content-Transfer-Encoding: 8bit\r\n"...)
	}
	b = append(b, "\r\n--"+boundary+"\r\n"...)
	b = appendText(b, d.text(original))
	b = append(b, "\r\n--"+boundary+"\r\nContent-Type: message/"...)
	if d.UTF8 {
		b = append(b, "global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"...)
	} else {
		b = append(b, "delivery-status\r\n\r\n"...)
	}
	b = d.appendStatus(b)
	return append(b, "\r\n--"+boundary+"\r\n"...)
}

// appendStatus appends the groups of fields of RFC 3464, 2.
func (d *DSN) appendStatus(b []byte) []byte {
	if d.EnvID != "" {
		b = appendField(b, "Original-Envelope-Id", encodeText(d.EnvID, d.UTF8))
	}
	b = appendField(b, "Reporting-MTA", "dns; "+traceName(d.ReportingMTA))
	if !d.Arrival.IsZero() {
		b = appendField(b, "Arrival-Date", FormatDate(d.Arrival))
	}
	for _, r := range d.Recipients {
		b = append(b, "\r\n"...)
		if r.Original != "" {
			b = appendField(b, "Original-Recipient", d.originalRecipient(r.Original))
		}
		b = appendField(b, "Final-Recipient", d.typed(r.Final))
		b = appendField(b, "Action", string(r.Action))
		b = appendField(b, "Status", r.Status)
		if r.RemoteMTA != "" {
			b = appendField(b, "Remote-MTA", "dns; "+encodeText(r.RemoteMTA, d.UTF8))
		}
		if r.Diagnostic != "" {
			b = appendField(b, "Diagnostic-Code", "smtp; "+d.diagnostic(r.Diagnostic))
		}
		if !r.Attempted.IsZero() {
			b = appendField(b, "Last-Attempt-Date", FormatDate(r.Attempted))
		}
		if r.Action == Delayed && !r.RetryUntil.IsZero() {
			b = appendField(b, "Will-Retry-Until", FormatDate(r.RetryUntil))
		}
	}
	return b
}

// typed writes an address with its type (RFC 6533, 3): as it is, in UTF-8, or in
// utf-8-addr-xtext where only ASCII may travel.
func (d *DSN) typed(a Address) string {
	switch {
	case !a.NeedsUTF8():
		return "rfc822; " + a.String()
	case d.UTF8:
		return "utf-8; " + a.String()
	}
	return "utf-8; " + escapeUnicode(a.String())
}

// originalRecipient passes ORCPT's value on; it was xtext-decoded by the door.
func (d *DSN) originalRecipient(s string) string {
	s = strings.Replace(s, ";", "; ", 1)
	if d.UTF8 || isASCII(s) {
		return s
	}
	return escapeUnicode(s)
}

// diagnostic keeps a reply from outside short, in one line and in the charset.
func (d *DSN) diagnostic(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	s = clipText(s, 900)
	if !d.UTF8 {
		s = strings.Map(func(c rune) rune {
			if c >= 0x7f {
				return '?'
			}
			return c
		}, s)
	}
	return s
}

// escapeUnicode writes RFC 6533's "\x{10FFFF}".
func escapeUnicode(s string) string {
	var b strings.Builder
	for _, c := range s {
		if c < 0x80 {
			b.WriteByte(byte(c))
		} else {
			fmt.Fprintf(&b, `\x{%X}`, c)
		}
	}
	return b.String()
}

// writeOriginal writes the third part: the message, or its header.
func (d *DSN) writeOriginal(w io.Writer, body *bufio.Reader, raw string, eight bool) error {
	if d.Full {
		head := "Content-Type: message/rfc822\r\n"
		if d.UTF8 {
			head = "Content-Type: message/global\r\n"
		}
		if eight {
			head += "Content-Transfer-Encoding: 8bit\r\n"
		}
		if _, err := io.WriteString(w, head+"\r\n"+raw+"\r\n"); err != nil {
			return err
		}
		_, err := io.Copy(w, body)
		return err
	}
	switch {
	case d.UTF8:
		_, err := io.WriteString(w, "Content-Type: message/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"+raw)
		return err
	case !isASCII(raw): // RFC 6522, 4 leaves the encoding open; 8-bit could not pass everywhere
		if _, err := io.WriteString(w, "Content-Type: text/rfc822-headers; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"); err != nil {
			return err
		}
		q := quotedprintable.NewWriter(w)
		if _, err := io.WriteString(q, raw); err != nil {
			return err
		}
		return q.Close()
	}
	_, err := io.WriteString(w, "Content-Type: text/rfc822-headers\r\n\r\n"+raw)
	return err
}
