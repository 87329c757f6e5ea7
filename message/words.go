package message

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
)

// DecodeText decodes RFC 2047 words (and raw 8-bit, charset guessed) to UTF-8.
// Broken words are tolerated: adjacent ones without white space, words inside
// quotes or other words, spaces inside, unpadded base64, characters split over
// two words of one charset. What cannot be decoded stays as it is. The result is
// valid UTF-8 without CR, LF and NUL.
func DecodeText(s string) string {
	if strings.Contains(s, "=?") {
		s = decodeWords(s)
	} else if !isASCII(s) {
		s = guessed(s)
	}
	if strings.ContainsAny(s, "\r\n\x00") {
		s = withoutControls(s)
	}
	return s
}

// decodeWords replaces every encoded word; white space between two is dropped.
func decodeWords(s string) string {
	var out strings.Builder
	var held []byte // bytes of preceding words in charset, not yet converted
	var charset string
	flush := func() {
		if len(held) > 0 {
			out.WriteString(toUTF8(held, charset))
			held = held[:0]
		}
	}
	for s != "" {
		i := strings.Index(s, "=?")
		if i < 0 {
			break
		}
		cs, text, n, ok := cutWord(s[i:])
		if !ok {
			flush()
			out.WriteString(guessed(s[:i+2]))
			s = s[i+2:]
			continue
		}
		if strings.Trim(s[:i], " \t\r\n") != "" || len(held) == 0 {
			flush()
			out.WriteString(guessed(s[:i]))
		}
		if !strings.EqualFold(cs, charset) {
			flush()
			charset = cs
		}
		held = append(held, text...)
		s = s[i+n:]
	}
	flush()
	out.WriteString(guessed(s))
	return out.String()
}

// cutWord reads "=?charset*lang?Q?text?=" at the start of s: its bytes and its length.
func cutWord(s string) (charset string, text []byte, n int, ok bool) {
	rest := s[2:]
	i := strings.IndexByte(rest, '?')
	if i < 1 || i > 40 || len(rest) < i+4 || rest[i+2] != '?' {
		return "", nil, 0, false
	}
	charset, _, _ = strings.Cut(rest[:i], "*") // RFC 2231, 5
	kind := rest[i+1] | 0x20
	body := rest[i+3:]
	end := strings.Index(body, "?=")
	if end < 0 || strings.ContainsAny(charset, " \t=") {
		return "", nil, 0, false
	}
	if kind == 'q' && end+2 < len(body) && end == 0 && strings.HasPrefix(body[2:], "?=") {
		end = 0
	}
	n = 2 + i + 3 + end + 2
	body = body[:end]
	switch kind {
	case 'q':
		return charset, decodeQ(body), n, true
	case 'b':
		text, ok = decodeB(body)
		return charset, text, n, ok
	}
	return "", nil, 0, false
}

func decodeQ(s string) []byte {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '_':
			b = append(b, ' ')
		case c == '=' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0:
			b = append(b, byte(unhex(s[i+1])<<4|unhex(s[i+2])))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return b
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// decodeB decodes base64 that may lack its padding, have it in its midst, or
// hold bytes that are none of it.
func decodeB(s string) (out []byte, ok bool) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case alphanumeric(c) || c == '+' || c == '/':
			b = append(b, c)
		case c == '=':
			for len(b)%4 != 0 {
				b = append(b, 'A') // a pad in the midst ends a group
			}
			pad := 1
			for i+1 < len(s) && s[i+1] == '=' {
				pad, i = pad+1, i+1
			}
			d := make([]byte, base64.StdEncoding.DecodedLen(len(b)))
			n, err := base64.StdEncoding.Decode(d, b)
			if err != nil || n < pad {
				return out, len(out) > 0
			}
			out, b = append(out, d[:n-min(pad, 2)]...), b[:0]
		case c == ' ' || c == '\t':
		default:
			return nil, false
		}
	}
	if len(b)%4 == 1 {
		b = b[:len(b)-1]
	}
	d := make([]byte, base64.RawStdEncoding.DecodedLen(len(b)))
	n, err := base64.RawStdEncoding.Decode(d, b)
	if err != nil {
		n = 0
	}
	return append(out, d[:n]...), true
}

// guessed makes raw bytes UTF-8: what is valid UTF-8 is, the rest is taken for
// Windows-1252.
func guessed(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return decodeWith(charmap.Windows1252, []byte(s))
}

// toUTF8 converts from a named charset; an unknown one is guessed.
func toUTF8(b []byte, charset string) string {
	switch lower(charset) {
	case "utf-8", "utf8", "us-ascii", "ascii", "":
		return guessed(string(b))
	}
	if e := charsetOf(charset); e != nil {
		return decodeWith(e, b)
	}
	return guessed(string(b))
}

// charsetOf finds an encoding by its name or by names seen in mail; nil when it
// is not known.
func charsetOf(name string) encoding.Encoding {
	name = lower(strings.Trim(name, " \t\"'"))
	switch name {
	case "cp932", "ms932":
		name = "shift_jis"
	case "cp936", "gb_2312-80":
		name = "gbk"
	case "cp949", "ks_c_5601":
		name = "euc-kr"
	case "cp950":
		name = "big5"
	case "cp850", "cp-850":
		return charmap.CodePage850
	case "cp437":
		return charmap.CodePage437
	}
	if n, ok := strings.CutPrefix(name, "cp-"); ok {
		name = "windows-" + n
	}
	e, err := htmlindex.Get(name)
	if err != nil {
		return nil
	}
	return e
}

func decodeWith(e encoding.Encoding, b []byte) string {
	out, err := e.NewDecoder().Bytes(b)
	if err != nil {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return strings.ToValidUTF8(string(out), "\uFFFD")
}

// decodeExtended decodes RFC 2231's charset'language'percent-encoded.
func decodeExtended(s string) string {
	charset, rest, ok := strings.Cut(s, "'")
	if _, text, two := strings.Cut(rest, "'"); ok && two {
		rest = text
	} else {
		charset, rest = "", s
	}
	b := make([]byte, 0, len(rest))
	for i := 0; i < len(rest); i++ {
		if rest[i] == '%' && i+2 < len(rest) && unhex(rest[i+1]) >= 0 && unhex(rest[i+2]) >= 0 {
			b = append(b, byte(unhex(rest[i+1])<<4|unhex(rest[i+2])))
			i += 2
		} else {
			b = append(b, rest[i])
		}
	}
	return withoutControls(toUTF8(b, charset))
}
