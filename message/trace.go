package message

import (
	"net/netip"
	"strings"
	"time"
)

// Received is the trace field of RFC 5321, 4.4.
type Received struct {
	Helo     string     // what the client called itself
	Host     string     // its name by reverse DNS, confirmed; "" when there is none
	Remote   netip.Addr // its address
	By       string     // our host name
	Protocol string     // see Protocol
	TLS      string     // "TLSv1.3 TLS_AES_128_GCM_SHA256", for people; "" without
	ID       string     // our id of the message
	For      Address    // zero unless there is exactly one recipient, for privacy's sake
	Time     time.Time
}

// Protocol names the transmission type of RFC 3848 and RFC 6531, 4.3.
func Protocol(ehlo, utf8, tls, auth bool) string {
	p := "SMTP"
	switch {
	case utf8:
		p = "UTF8SMTP"
	case ehlo || tls || auth:
		p = "ESMTP"
	}
	if tls {
		p += "S"
	}
	if auth {
		p += "A"
	}
	return p
}

// Append appends the whole field with its CRLF.
func (r Received) Append(dst []byte) []byte {
	var b strings.Builder
	if r.Helo != "" || r.Remote.IsValid() {
		b.WriteString("from " + traceName(r.Helo))
		if r.Remote.IsValid() {
			b.WriteString(" (")
			if r.Host != "" {
				b.WriteString(traceName(r.Host) + " ")
			}
			b.WriteString(string(LiteralDomain(r.Remote.Unmap().WithZone(""))) + ")")
		}
		b.WriteString("\r\n\t")
	}
	b.WriteString("by " + traceName(r.By))
	if r.Protocol != "" {
		b.WriteString(" with " + r.Protocol)
	}
	if r.TLS != "" {
		b.WriteString(" (" + commentText(r.TLS) + ")")
	}
	if r.ID != "" {
		b.WriteString(" id " + traceName(r.ID))
	}
	if !r.For.IsZero() && (!r.For.NeedsUTF8() || strings.HasPrefix(r.Protocol, "UTF8")) {
		b.WriteString("\r\n\tfor <" + r.For.String() + ">")
	}
	b.WriteString(";\r\n\t" + FormatDate(r.Time))
	return appendField(dst, "Received", b.String())
}

// traceName keeps what a client says of itself from being read as anything else.
func traceName(s string) string {
	if s == "" {
		return "unknown"
	}
	s = strings.Map(func(c rune) rune {
		if c < 0x80 && (alphanumeric(byte(c)) || strings.ContainsRune("-._[]:+=", c)) {
			return c
		}
		return '?'
	}, s)
	return s[:min(len(s), 255)] // RFC 5321, 4.5.3.1.2
}

// commentText makes text fit between parentheses.
func commentText(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f || c == '(' || c == ')' || c == '\\' {
			return '?'
		}
		return c
	}, s)
}

// AppendReturnPath appends the field of RFC 5321, 4.4, which final delivery
// writes; "<>" for the null reverse-path.
func AppendReturnPath(dst []byte, a Address) []byte {
	return append(append(append(dst, "Return-Path: <"...), a.String()...), ">\r\n"...)
}

// AppendDeliveredTo appends the field that tells which address was reached.
func AppendDeliveredTo(dst []byte, a Address) []byte {
	return append(append(append(dst, "Delivered-To: "...), a.String()...), "\r\n"...)
}
