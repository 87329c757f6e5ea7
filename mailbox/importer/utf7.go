package importer

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// utf7 is base64 with RFC 3501's comma.
func utf7() *base64.Encoding {
	return base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)
}

// decodeName reads RFC 3501's modified UTF-7, in which Maildir folders are named.
// A name that is none of it is UTF-8, or else taken for Latin 1.
func decodeName(s string) string {
	if !utf8.ValidString(s) {
		runes := make([]rune, len(s))
		for i := range runes {
			runes[i] = rune(s[i])
		}
		return string(runes)
	}
	var b strings.Builder
	for rest := s; rest != ""; {
		i := strings.IndexByte(rest, '&')
		if i < 0 {
			b.WriteString(rest)
			break
		}
		j := strings.IndexByte(rest[i:], '-')
		if j < 0 {
			return s
		}
		b.WriteString(rest[:i])
		if j == 1 {
			b.WriteByte('&')
		} else {
			raw, err := utf7().DecodeString(rest[i+1 : i+j])
			if err != nil || len(raw)%2 != 0 || len(raw) == 0 {
				return s
			}
			units := make([]uint16, len(raw)/2)
			for k := range units {
				units[k] = uint16(raw[2*k])<<8 | uint16(raw[2*k+1])
			}
			b.WriteString(string(utf16.Decode(units)))
		}
		rest = rest[i+j+1:]
	}
	return b.String()
}

// encodeName writes a level of a name for Maildir++: modified UTF-7, a dot
// encoded too, because there it divides levels.
func encodeName(s string) string {
	var b strings.Builder
	var wide []rune
	flush := func() {
		if len(wide) == 0 {
			return
		}
		var raw []byte
		for _, u := range utf16.Encode(wide) {
			raw = append(raw, byte(u>>8), byte(u))
		}
		b.WriteString("&" + utf7().EncodeToString(raw) + "-")
		wide = wide[:0]
	}
	for _, c := range s {
		switch {
		case c == '&':
			flush()
			b.WriteString("&-")
		case c >= ' ' && c < 0x7f && c != '.':
			flush()
			b.WriteRune(c)
		default:
			wide = append(wide, c)
		}
	}
	flush()
	return b.String()
}
