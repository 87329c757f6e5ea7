package message

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Address is RFC 5321's Mailbox. Local is the unquoted local part. The zero
// value is the null reverse-path.
type Address struct {
	Local  string
	Domain Domain
}

// Limits of RFC 5321, 4.5.3.1. A local part may be twice as long as the section
// says: variable reverse-paths (VERP, SRS) of large senders are, and a receiver
// is asked to impose no limit where it can.
const (
	maxLocal = 128
	maxPath  = 512
)

var errAddress = errors.New("not an address")

func badAddress(s string) error { return fmt.Errorf("%w: %q", errAddress, clip(s)) }

// clip keeps text from outside short in an error.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}

// ParseAddress parses a Mailbox of RFC 5321, 4.1.2 with RFC 6531's UTF-8.
// "postmaster" alone is accepted and has an empty Domain (RFC 5321, 4.1.1.3).
func ParseAddress(s string) (Address, error) {
	local, rest, err := cutLocal(s)
	if err != nil {
		return Address{}, err
	}
	if rest == "" && strings.EqualFold(local, "postmaster") && s[0] != '"' {
		return Address{Local: local}, nil
	}
	if !strings.HasPrefix(rest, "@") {
		return Address{}, badAddress(s)
	}
	d, err := ParseDomain(rest[1:])
	if err != nil || rest[len(rest)-1] == '.' {
		return Address{}, badAddress(s)
	}
	return Address{local, d}, nil
}

// cutLocal reads Dot-string or Quoted-string at the start of s and gives it
// without its quoting.
func cutLocal(s string) (local, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		i := 0
		for i < len(s) && (s[i] == '.' || atext(s[i])) {
			i++
		}
		local, rest = s[:i], s[i:]
		if local == "" || local[0] == '.' || local[i-1] == '.' || strings.Contains(local, "..") ||
			len(local) > maxLocal || !utf8.ValidString(local) {
			return "", "", badAddress(s)
		}
		return local, rest, nil
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '"':
			if b.Len() == 0 || b.Len() > maxLocal || !utf8.ValidString(b.String()) {
				return "", "", badAddress(s)
			}
			return b.String(), s[i+1:], nil
		case c == '\\':
			if i++; i == len(s) || s[i] < ' ' || s[i] >= 0x7f {
				return "", "", badAddress(s)
			}
			c = s[i]
		case c < ' ' || c == 0x7f:
			return "", "", badAddress(s)
		}
		b.WriteByte(c)
	}
	return "", "", badAddress(s)
}

// atext of RFC 5322, 3.2.3, with RFC 6531's UTF8-non-ascii.
func atext(c byte) bool {
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '/', '=', '?', '^', '_', '`', '{', '|', '}', '~':
		return true
	}
	return alphanumeric(c) || c >= 0x80
}

// ParsePath reads a Path of RFC 5321, 4.1.2 at the start of s, as MAIL and RCPT
// hold it, and gives what follows it. "<>" is the zero Address: the null
// reverse-path, for MAIL alone. A source route ("<@a,@b:user@dom>") is accepted
// and dropped (RFC 5321, appendix C). White space before the path is none of
// the grammar's, and left to the caller.
func ParsePath(s string) (a Address, rest string, err error) {
	if !strings.HasPrefix(s, "<") {
		return Address{}, "", badAddress(s)
	}
	if strings.HasPrefix(s, "<>") {
		return Address{}, s[2:], nil
	}
	inner := s[1:]
	if strings.HasPrefix(inner, "@") {
		if inner, err = cutRoute(inner); err != nil {
			return Address{}, "", err
		}
	}
	_, after, err := cutLocal(inner)
	if err != nil {
		return Address{}, "", err
	}
	end := strings.IndexByte(after, '>')
	if end < 0 || end > maxPath {
		return Address{}, "", badAddress(s)
	}
	a, err = ParseAddress(inner[:len(inner)-len(after)+end])
	return a, after[end+1:], err
}

// cutRoute passes over A-d-l: "@" Domain *("," "@" Domain) ":".
func cutRoute(s string) (rest string, err error) {
	route, rest, ok := strings.Cut(s, ":")
	if !ok || len(route) > maxPath {
		return "", badAddress(s)
	}
	for _, hop := range strings.Split(route, ",") {
		d, ok := strings.CutPrefix(hop, "@")
		if !ok {
			return "", badAddress(s)
		}
		if _, err := ParseDomain(d); err != nil {
			return "", err
		}
	}
	return rest, nil
}

// String is the wire form: the local part quoted where needed, the A-label.
// The null reverse-path is "".
func (a Address) String() string {
	if a.Domain == "" {
		return quoteLocal(a.Local)
	}
	return quoteLocal(a.Local) + "@" + string(a.Domain)
}

// Unicode is the form for people.
func (a Address) Unicode() string {
	if a.Domain == "" {
		return quoteLocal(a.Local)
	}
	return quoteLocal(a.Local) + "@" + a.Domain.Unicode()
}

// IsZero tells the null reverse-path.
func (a Address) IsZero() bool { return a == Address{} }

// NeedsUTF8 tells whether the address can only travel under SMTPUTF8.
func (a Address) NeedsUTF8() bool { return !isASCII(a.Local) }

func quoteLocal(s string) string {
	plain := s != "" && s[0] != '.' && s[len(s)-1] != '.' && !strings.Contains(s, "..")
	for i := 0; plain && i < len(s); i++ {
		plain = s[i] == '.' || atext(s[i])
	}
	if plain || s == "" {
		return s
	}
	return quote(s)
}

// quote makes a quoted-string of RFC 5322. CR, LF and NUL are left out.
func quote(s string) string {
	b := make([]byte, 0, len(s)+2)
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '\r', '\n', 0:
		case '"', '\\':
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}
