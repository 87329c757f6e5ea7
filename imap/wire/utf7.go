package wire

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// ErrUTF7 is a mailbox name that is not modified UTF-7.
var ErrUTF7 = errors.New("mailbox name is not modified UTF-7")

var utf7 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)

// EncodeUTF7 gives a mailbox name in the modified UTF-7 of RFC 3501, 5.1.3.
func EncodeUTF7(name string) string {
	plain := true
	for i := 0; i < len(name); i++ {
		if c := name[i]; c < 0x20 || c > 0x7e || c == '&' {
			plain = false
			break
		}
	}
	if plain {
		return name
	}
	var b strings.Builder
	var wide []uint16
	flush := func() {
		if len(wide) == 0 {
			return
		}
		raw := make([]byte, 0, 2*len(wide))
		for _, u := range wide {
			raw = append(raw, byte(u>>8), byte(u))
		}
		b.WriteByte('&')
		b.WriteString(utf7.EncodeToString(raw))
		b.WriteByte('-')
		wide = wide[:0]
	}
	for _, c := range name {
		if c < 0x20 || c > 0x7e {
			wide = utf16.AppendRune(wide, c)
			continue
		}
		flush()
		if c == '&' {
			b.WriteString("&-")
		} else {
			b.WriteByte(byte(c))
		}
	}
	flush()
	return b.String()
}

// DecodeUTF7 gives the UTF-8 of a mailbox name. Only the one right spelling of
// each name is taken: RFC 3501 forbids superfluous shifts, and two spellings
// of one name would make it two mailboxes for a client.
func DecodeUTF7(s string) (string, error) {
	if !strings.Contains(s, "&") {
		for i := 0; i < len(s); i++ {
			if s[i] < 0x20 || s[i] > 0x7e {
				return "", ErrUTF7
			}
		}
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		c := s[i]
		if c < 0x20 || c > 0x7e {
			return "", ErrUTF7
		}
		if c != '&' {
			b.WriteByte(c)
			i++
			continue
		}
		end := strings.IndexByte(s[i:], '-')
		if end < 0 {
			return "", ErrUTF7
		}
		chunk := s[i+1 : i+end]
		i += end + 1
		if chunk == "" {
			b.WriteByte('&')
			continue
		}
		if !decodeShift(&b, chunk) {
			return "", ErrUTF7
		}
	}
	if EncodeUTF7(b.String()) != s {
		return "", ErrUTF7
	}
	return b.String(), nil
}

// decodeShift decodes what stands between & and -.
func decodeShift(b *strings.Builder, chunk string) bool {
	raw, err := utf7.DecodeString(chunk)
	if err != nil || len(raw)%2 != 0 {
		return false
	}
	for j := 0; j < len(raw); j += 2 {
		u := rune(raw[j])<<8 | rune(raw[j+1])
		if utf16.IsSurrogate(u) {
			if j += 2; j >= len(raw) {
				return false
			}
			u = utf16.DecodeRune(u, rune(raw[j])<<8|rune(raw[j+1]))
			if u == utf8.RuneError {
				return false
			}
		}
		b.WriteRune(u)
	}
	return true
}
