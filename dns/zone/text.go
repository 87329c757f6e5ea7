package zone

import (
	"fmt"
	"strings"
)

// maxString is what one character-string of a TXT record holds (RFC 1035, 3.3).
const maxString = 255

// quote writes a text as the data of a TXT record: quoted, and where it is long
// in several strings, which readers join without a space.
func quote(text string) string {
	var b strings.Builder
	for {
		part := text[:min(len(text), maxString)]
		text = text[len(part):]
		b.WriteByte('"')
		for _, c := range []byte(part) {
			switch {
			case c == '"' || c == '\\':
				b.WriteByte('\\')
				b.WriteByte(c)
			case c < ' ' || c > '~':
				fmt.Fprintf(&b, `\%03d`, c)
			default:
				b.WriteByte(c)
			}
		}
		b.WriteByte('"')
		if text == "" {
			return b.String()
		}
		b.WriteByte(' ')
	}
}

// Text is what a TXT record says: its strings joined, nothing quoted. It is ""
// for other types.
func (r Record) Text() string {
	if r.Type != "TXT" {
		return ""
	}
	return unquote(r.Data)
}

// unquote undoes quote, and reads what others write: strings without quotes end
// at a space.
func unquote(data string) string {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(data); i++ {
		c := data[i]
		switch {
		case c == '"':
			quoted = !quoted
		case c == '\\' && i+3 < len(data) && isDigits(data[i+1:i+4]):
			b.WriteByte((data[i+1]-'0')*100 + (data[i+2]-'0')*10 + data[i+3] - '0')
			i += 3
		case c == '\\' && i+1 < len(data):
			i++
			b.WriteByte(data[i])
		case !quoted && (c == ' ' || c == '\t'):
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// Quote writes a text as the data of a TXT record.
func Quote(text string) string { return quote(text) }
