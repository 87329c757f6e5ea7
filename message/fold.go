package message

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// foldAt is the length of line that RFC 5322, 2.1.1 asks not to exceed.
const foldAt = 78

// appendField appends "Name: body" CRLF, folded before a space where a line
// would grow too long. The body may hold "\r\n\t" of its own; any other line end
// and NUL become spaces, so that nothing from outside can begin a field.
func appendField(dst []byte, name, body string) []byte {
	dst = append(append(dst, name...), ':')
	column := len(name) + 1
	for i, line := range strings.Split(body, "\r\n\t") {
		if i > 0 {
			dst = append(dst, "\r\n\t"...)
			column = 8
		}
		line = strings.Map(func(c rune) rune {
			if c == '\r' || c == '\n' || c == 0 {
				return ' '
			}
			return c
		}, line)
		for j, word := range strings.Split(line, " ") {
			if j > 0 || i == 0 {
				if column+1+len(word) > foldAt && column > len(name)+1 && word != "" && column > 8 {
					dst = append(dst, "\r\n\t"...)
					column = 8
				} else {
					dst = append(dst, ' ')
					column++
				}
			}
			dst = append(dst, word...)
			column += len(word)
		}
	}
	return append(dst, "\r\n"...)
}

// encodeText makes unstructured text fit for a header: as it is when it is
// ASCII (or utf8 may travel), else RFC 2047 words in UTF-8 and base64.
func encodeText(s string, utf8OK bool) string {
	s = strings.ToValidUTF8(withoutControls(s), "\uFFFD")
	if utf8OK || isASCII(s) && !strings.Contains(s, "=?") {
		return s
	}
	return encodeWords(s)
}

// encodeWords writes words of at most 75 characters (RFC 2047, 2), no character
// split over two.
func encodeWords(s string) string {
	const room = 39 // 52 characters of base64: the line has room for a name
	var b strings.Builder
	for s != "" {
		n := min(room, len(s))
		for n < len(s) && !utf8.RuneStart(s[n]) {
			n--
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString("=?utf-8?B?" + base64.StdEncoding.EncodeToString([]byte(s[:n])) + "?=")
		s = s[n:]
	}
	return b.String()
}

// formatMailbox writes "Name <address>"; the name is a phrase.
func formatMailbox(name string, a Address, utf8OK bool) string {
	addr := a.String()
	if name == "" {
		return addr
	}
	if utf8OK && !isASCII(name) {
		name = strings.ToValidUTF8(withoutControls(name), "\uFFFD")
		if strings.ContainsAny(name, specials) {
			name = quote(name)
		}
		return name + " <" + addr + ">"
	}
	return FormatMailbox(name, addr)
}
