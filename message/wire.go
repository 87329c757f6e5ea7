package message

import "strconv"

// maxQuoted is the longest string sent quoted: clients read lines into buffers.
const maxQuoted = 2000

func appendNString(dst []byte, s string, has bool) []byte {
	if !has {
		return append(dst, "NIL"...)
	}
	return appendString(dst, s)
}

// appendNonEmpty appends NIL for the empty string.
func appendNonEmpty(dst []byte, s string) []byte { return appendNString(dst, s, s != "") }

// appendString appends a string of RFC 9051 that every client can read: quoted
// when it is ASCII, else a literal (IMAP4rev1 has no 8-bit quoted strings). CR,
// LF and NUL, which no header field can rightly hold and neither form may, are
// left out.
func appendString(dst []byte, s string) []byte {
	plain, dirty := true, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 0x80:
			plain = false
		case c == '\r' || c == '\n' || c == 0:
			dirty = true
		}
	}
	if dirty {
		s = withoutControls(s)
	}
	if !plain || len(s) > maxQuoted {
		dst = append(dst, '{')
		dst = strconv.AppendInt(dst, int64(len(s)), 10)
		dst = append(dst, "}\r\n"...)
		return append(dst, s...)
	}
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(append(dst, s[from:i]...), '\\')
			from = i
		}
	}
	return append(append(dst, s[from:]...), '"')
}

func withoutControls(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if c := s[i]; c != '\r' && c != '\n' && c != 0 {
			b = append(b, c)
		}
	}
	return string(b)
}
