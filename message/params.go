package message

import "strings"

// parseContentType understands RFC 2045, 5.1. What is no type at all counts as
// absent (RFC 2045, 5.2: text/plain); "multipart" alone as multipart/mixed.
func parseContentType(s string) (typ, subtype string, params []Param) {
	typ, rest := lowerToken(s)
	rest = skipSpace(rest)
	if strings.HasPrefix(rest, "/") {
		subtype, rest = lowerToken(rest[1:])
	}
	switch {
	case typ == "":
		return "", "", nil
	case subtype == "" && typ == "multipart":
		subtype = "mixed"
	case subtype == "":
		return "", "", nil
	}
	return typ, subtype, parseParams(rest)
}

func parseDisposition(s string) (string, []Param) {
	d, rest := lowerToken(s)
	if d == "" {
		return "", nil
	}
	return d, parseParams(rest)
}

// parseLanguages reads the list of tags of RFC 3282.
func parseLanguages(s string) (tags []string) {
	for s = skipSpace(s); s != ""; s = skipSpace(s) {
		tag, rest := cutToken(s)
		if tag != "" {
			tags = append(tags, tag)
		} else {
			rest = s[1:]
		}
		s = rest
	}
	return tags
}

// skipSpace passes over white space and comments.
func skipSpace(s string) string {
	for s != "" {
		switch s[0] {
		case ' ', '\t', '\r', '\n':
			s = s[1:]
		case '(':
			_, s = cutComment(s)
		default:
			return s
		}
	}
	return s
}

// cutComment divides "(text) rest"; the text has nested comments as written
// and no quoting. A comment that never ends goes to the end.
func cutComment(s string) (text, rest string) {
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			quoted = true
			i++
			continue
		case '(':
			depth++
			continue
		case ')':
			depth--
		default:
			continue
		}
		if depth == 0 {
			text = s[1:i]
			if quoted {
				text = unquotePairs(text)
			}
			return text, s[i+1:]
		}
	}
	text = s[1:]
	if quoted {
		text = unquotePairs(text)
	}
	return text, ""
}

// cutQuoted divides `"text" rest`, the text without its quoting. A string that
// never ends goes to the end.
func cutQuoted(s string) (text, rest string) {
	pairs := false
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			pairs = true
			i++
		case '"':
			if pairs {
				return unquotePairs(s[1:i]), s[i+1:]
			}
			return s[1:i], s[i+1:]
		}
	}
	if pairs {
		return unquotePairs(s[1:]), ""
	}
	return s[1:], ""
}

func unquotePairs(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}

// cutToken divides a token of RFC 2045 (tolerant: any byte above space that is
// no special) from the rest.
func cutToken(s string) (token, rest string) {
	s = skipSpace(s)
	i := 0
	for i < len(s) && !tspecial(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

func lowerToken(s string) (token, rest string) {
	token, rest = cutToken(s)
	return lower(token), rest
}

// lower is strings.ToLower for ASCII alone: other bytes may be no UTF-8.
func lower(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

func tspecial(c byte) bool {
	if c <= ' ' || c == 0x7f {
		return true
	}
	switch c {
	case '(', ')', '<', '>', '@', ',', ';', ':', '\\', '"', '/', '[', ']', '?', '=':
		return true
	}
	return false
}

// withoutSpace removes what folding put into a URI (RFC 2557, 4.4.1).
func withoutSpace(s string) string {
	if !strings.ContainsAny(s, " \t\r\n") {
		return s
	}
	return strings.Join(strings.Fields(s), "")
}

// parseParams reads ";name=value" lists. Tolerated: a missing semicolon, unquoted
// values with spaces and specials, a quoted string followed by more text, empty
// parameters, a value that is missing. At most 64 are kept.
func parseParams(s string) (list []Param) {
	continued := false
	for len(list) < 64 {
		for s = skipSpace(s); s != "" && (s[0] == ';' || s[0] == ','); s = skipSpace(s) {
			s = s[1:]
		}
		if s == "" {
			break
		}
		name, rest := lowerToken(s)
		rest = skipSpace(rest)
		if name == "" || !strings.HasPrefix(rest, "=") {
			s = afterJunk(s)
			continue
		}
		var value string
		value, s = cutValue(rest[1:])
		if strings.IndexByte(name, '*') >= 0 {
			continued = true
		}
		if list == nil {
			list = make([]Param, 0, 2)
		}
		list = append(list, Param{name, value})
	}
	if continued {
		list = joinContinuations(list)
	}
	return list
}

// afterJunk goes on behind the next semicolon.
func afterJunk(s string) string {
	if i := strings.IndexByte(s, ';'); i >= 0 {
		return s[i:]
	}
	return ""
}

// cutValue reads a quoted string or the text up to a semicolon, a comment, or
// what looks like the next parameter.
func cutValue(s string) (value, rest string) {
	s = skipSpace(s)
	if strings.HasPrefix(s, `"`) {
		return cutQuoted(s)
	}
	i, next := 0, false
	for ; i < len(s) && s[i] != ';' && s[i] != '(' && !next; i++ {
		next = (s[i] == ' ' || s[i] == '\t') && startsParam(s[i:])
	}
	value, rest = strings.TrimRight(s[:i], " \t\r\n"), s[i:]
	if next {
		value = strings.TrimRight(value, ",")
	}
	return value, rest
}

// startsParam tells whether a name and "=" follow.
func startsParam(s string) bool {
	s = strings.TrimLeft(s, " \t")
	i := 0
	for i < len(s) && !tspecial(s[i]) {
		i++
	}
	return i > 0 && i < len(s) && s[i] == '='
}
