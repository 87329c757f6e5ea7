package message

import "strings"

// baseSubject extracts the base subject of RFC 5256, 2.1 from a decoded one.
// reply tells whether the subject is that of a reply or forward.
func baseSubject(s string) (base string, reply bool) {
	s = oneSpace(s)
	for {
		for { // subj-trailer
			n := strings.TrimRight(s, " ")
			if len(n) >= 5 && strings.EqualFold(n[len(n)-5:], "(fwd)") {
				n, reply = n[:len(n)-5], true
			}
			if n == s {
				break
			}
			s = n
		}
		for { // subj-leader, subj-blob
			n := strings.TrimLeft(s, " ")
			if rest, ok := cutRefwd(n); ok {
				n, reply = rest, true
			} else if rest, ok := cutBlob(n); ok && strings.TrimLeft(rest, " ") != "" {
				n = rest
			}
			if n == s {
				break
			}
			s = n
		}
		if len(s) >= 6 && strings.EqualFold(s[:5], "[fwd:") && s[len(s)-1] == ']' {
			s, reply = s[5:len(s)-1], true
			continue
		}
		return s, reply
	}
}

// cutRefwd removes subj-leader: *subj-blob ("re" / "fw" / "fwd") *WSP [subj-blob] ":".
func cutRefwd(s string) (rest string, ok bool) {
	for {
		n, ok := cutBlob(s)
		if !ok {
			break
		}
		s = n
	}
	switch {
	case len(s) >= 3 && strings.EqualFold(s[:3], "fwd"):
		s = s[3:]
	case len(s) >= 2 && (strings.EqualFold(s[:2], "re") || strings.EqualFold(s[:2], "fw")):
		s = s[2:]
	default:
		return "", false
	}
	s = strings.TrimLeft(s, " ")
	if n, ok := cutBlob(s); ok {
		s = n
	}
	return strings.CutPrefix(s, ":")
}

// cutBlob removes "[" *BLOBCHAR "]" *WSP.
func cutBlob(s string) (rest string, ok bool) {
	if !strings.HasPrefix(s, "[") {
		return s, false
	}
	i := strings.IndexAny(s[1:], "[]")
	if i < 0 || s[i+1] != ']' {
		return s, false
	}
	return strings.TrimLeft(s[i+2:], " "), true
}

// oneSpace turns every run of white space into one space.
func oneSpace(s string) string {
	if !strings.ContainsAny(s, "\t\r\n") && !strings.Contains(s, "  ") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\t' || c == '\r' || c == '\n' {
			c = ' '
		}
		if c == ' ' && len(b) > 0 && b[len(b)-1] == ' ' {
			continue
		}
		b = append(b, c)
	}
	return string(b)
}
