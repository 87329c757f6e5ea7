package message

import (
	"encoding/base64"
	"html"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	previewBytes = 4 << 10 // read of the first text part
	previewRunes = 200     // RFC 8970, 3.1
)

// preview makes the first words of a message readable: the first text/plain
// part, else the first text/html, decoded, in one line, quoted text and what
// only machines read left out.
func preview(r io.ReaderAt, size int64, root *Part) (string, error) {
	p := textPart(root, "plain")
	if p == nil {
		p = textPart(root, "html")
	}
	if p == nil || p.Body.Start >= size {
		return "", nil
	}
	buf := make([]byte, min(previewBytes, p.Body.End-p.Body.Start, size-p.Body.Start))
	n, err := r.ReadAt(buf, p.Body.Start)
	if n < len(buf) && err != nil && err != io.EOF {
		return "", err
	}
	cut := int64(n) < p.Body.Len()
	raw := decodeTransfer(buf[:n], p.Encoding)
	text := toUTF8Clipped(raw, p.Param("charset"), cut)
	if p.Subtype == "html" {
		text = stripHTML(text)
	} else {
		text = withoutQuotes(text)
	}
	return firstRunes(text, previewRunes), nil
}

// textPart finds the first inline text part of a subtype that is not inside an
// encapsulated message.
func textPart(p *Part, subtype string) *Part {
	if p.Type == "text" && p.Subtype == subtype && p.Disposition != "attachment" {
		return p
	}
	for _, c := range p.Parts {
		if t := textPart(c, subtype); t != nil {
			return t
		}
	}
	return nil
}

// decodeTransfer undoes a transfer encoding of a piece that may be cut off.
func decodeTransfer(b []byte, encoding string) []byte {
	switch encoding {
	case "quoted-printable":
		return decodeQuotedPrintable(b)
	case "base64":
		src := b[:0:len(b)]
		for _, c := range b {
			if alphanumeric(c) || c == '+' || c == '/' {
				src = append(src, c)
			} else if c == '=' {
				break
			}
		}
		if len(src)%4 == 1 {
			src = src[:len(src)-1]
		}
		out := make([]byte, base64.RawStdEncoding.DecodedLen(len(src)))
		n, _ := base64.RawStdEncoding.Decode(out, src)
		return out[:n]
	}
	return b
}

// decodeQuotedPrintable decodes in place.
func decodeQuotedPrintable(b []byte) []byte {
	out := b[:0]
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c != '=' {
			out = append(out, c)
			continue
		}
		j := i + 1
		for j < len(b) && (b[j] == ' ' || b[j] == '\t' || b[j] == '\r') {
			j++
		}
		switch {
		case j >= len(b):
			return out
		case b[j] == '\n':
			i = j
		case i+2 < len(b) && unhex(b[i+1]) >= 0 && unhex(b[i+2]) >= 0:
			out = append(out, byte(unhex(b[i+1])<<4|unhex(b[i+2])))
			i += 2
		case i+2 >= len(b):
			return out
		default:
			out = append(out, c)
		}
	}
	return out
}

// toUTF8Clipped is toUTF8 for a piece whose last character may be cut off.
func toUTF8Clipped(b []byte, charset string, cut bool) string {
	for i := 1; cut && i <= 3 && i <= len(b); i++ {
		if c := b[len(b)-i]; c >= 0xc0 {
			if !utf8.FullRune(b[len(b)-i:]) {
				b = b[:len(b)-i]
			}
			break
		} else if c < 0x80 {
			break
		}
	}
	return toUTF8(b, charset)
}

// stripHTML removes comments, tags and what style, script, head and title hold.
func stripHTML(s string) string {
	var b strings.Builder
	b.Grow(min(len(s), 1024))
	for s != "" && b.Len() < 4*previewRunes {
		i := strings.IndexByte(s, '<')
		if i < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		s = s[i:]
		if strings.HasPrefix(s, "<!--") {
			_, rest, ok := strings.Cut(s, "-->")
			if !ok {
				break
			}
			s = rest
			continue
		}
		j := strings.IndexByte(s, '>')
		if j < 0 {
			break
		}
		tag := tagName(s[1:j])
		s = s[j+1:]
		switch tag {
		case "style", "script", "head", "title":
			s = afterEndTag(s, tag)
			b.WriteByte(' ')
		case "b", "i", "u", "em", "strong", "a", "span", "font", "big", "small", "tt", "/b", "/i", "/u", "/em", "/strong",
			"/a", "/span", "/font", "/big", "/small", "/tt":
		default:
			b.WriteByte(' ')
		}
	}
	return html.UnescapeString(b.String())
}

func tagName(s string) string {
	i := 0
	for i < len(s) && (alphanumeric(s[i]) || i == 0 && s[i] == '/') {
		i++
	}
	return lower(s[:i])
}

// afterEndTag goes on behind "</tag"; to the end if there is none. The search
// does not change case of what is not ASCII, so offsets stay.
func afterEndTag(s, tag string) string {
	for rest := s; ; {
		i := strings.Index(rest, "</")
		if i < 0 {
			return ""
		}
		rest = rest[i+2:]
		if len(rest) >= len(tag) && strings.EqualFold(rest[:len(tag)], tag) {
			if j := strings.IndexByte(rest, '>'); j >= 0 {
				return rest[j+1:]
			}
			return ""
		}
	}
}

// withoutQuotes leaves out quoted lines, unless nothing else is there.
func withoutQuotes(s string) string {
	if !strings.HasPrefix(s, ">") && !strings.Contains(s, "\n>") {
		return s
	}
	var b strings.Builder
	for line := range strings.Lines(s) {
		if !strings.HasPrefix(line, ">") {
			b.WriteString(line)
		}
	}
	if strings.TrimSpace(b.String()) == "" {
		return s
	}
	return b.String()
}

// firstRunes gives the first n characters with white space and controls as
// single spaces; invisible characters that fill previews are left out.
func firstRunes(s string, n int) string {
	var b strings.Builder
	b.Grow(min(len(s), n+16))
	space := false
	for _, c := range s {
		switch {
		case c > ' ' && c < 0x7f:
		case c <= ' ' || c == 0x7f || c == 0xa0 || unicode.IsSpace(c) || unicode.IsControl(c):
			space = true
			continue
		case c == 0xad || c == 0x34f || unicode.Is(unicode.Cf, c) && c != 0x200d || c == utf8.RuneError:
			continue
		}
		if space && b.Len() > 0 {
			if n--; n == 0 {
				break
			}
			b.WriteByte(' ')
		}
		space = false
		b.WriteRune(c)
		if n--; n <= 0 {
			break
		}
	}
	return b.String()
}
