package smtp

import (
	"strings"

	"mailstead/message"
)

// command is one row of the table of commands.
type command struct {
	run   func(s *session, args string) Reply
	hello bool // after EHLO or HELO only
	tls   bool // held by Server.RequireTLS
	auth  bool // held by Server.RequireAuth
	bare  bool // takes no parameters
}

// commandOf is the table of commands.
func commandOf(verb string) command {
	switch verb {
	case "EHLO":
		return command{run: (*session).ehlo}
	case "HELO":
		return command{run: (*session).helo}
	case "MAIL":
		return command{run: (*session).mail, hello: true, tls: true, auth: true}
	case "RCPT":
		return command{run: (*session).rcpt, hello: true}
	case "DATA":
		return command{run: (*session).data, hello: true, bare: true}
	case "BDAT":
		return command{run: (*session).bdat, hello: true}
	case "RSET":
		return command{run: (*session).rset, bare: true}
	case "NOOP":
		return command{run: (*session).noop}
	case "QUIT":
		return command{run: (*session).quit, bare: true}
	case "VRFY":
		return command{run: (*session).vrfy, tls: true, auth: true}
	case "HELP":
		return command{run: (*session).help}
	case "STARTTLS":
		return command{run: (*session).startTLS, hello: true, bare: true}
	case "AUTH":
		return command{run: (*session).auth, hello: true}
	case "EXPN", "TURN", "ETRN", "SEND", "SOML", "SAML", "ATRN", "BURL", "LHLO":
		return command{run: (*session).notOffered}
	case "GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS":
		return command{run: (*session).notSMTP}
	}
	return command{}
}

// splitVerb gives the verb in upper case ("" when it cannot be one) and what
// follows it.
func splitVerb(line []byte) (verb, args string) {
	n := 0
	for n < len(line) && line[n] != ' ' {
		n++
	}
	if n == 0 || n > 10 {
		return "?", ""
	}
	up := make([]byte, n, 16)
	for i, c := range line[:n] {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c < 'A' || c > 'Z' {
			if c < ' ' || c > '~' {
				return "", ""
			}
			return "?", ""
		}
		up[i] = c
	}
	return string(up), strings.Trim(string(line[n:]), " ")
}

// clean tells that a command has no control character; a bare CR is one.
func clean(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// param is one esmtp-param (RFC 5321, 4.1.1.11).
type param struct {
	name  string // upper case
	value string
	given bool // "=" was there
}

// nextParam takes the first parameter from args.
func nextParam(args string) (p param, rest string) {
	word, rest, _ := strings.Cut(strings.TrimLeft(args, " \t"), " ")
	p.name, p.value, p.given = strings.Cut(word, "=")
	p.name = strings.ToUpper(p.name)
	return p, strings.TrimLeft(rest, " \t")
}

// path splits "FROM:<path> params". Spaces around the path are tolerated, the
// angle brackets are not optional; a source route is skipped (RFC 5321, 4.1.1.3).
func path(args, keyword string) (inner, params string, ok bool) {
	if len(args) < len(keyword) || !strings.EqualFold(args[:len(keyword)], keyword) {
		return "", "", false
	}
	args = strings.TrimLeft(args[len(keyword):], " \t")
	if args == "" || args[0] != '<' {
		return "", "", false
	}
	end := closing(args)
	if end < 0 {
		return "", "", false
	}
	inner, params = args[1:end], args[end+1:]
	if params != "" && params[0] != ' ' {
		return "", "", false
	}
	if strings.HasPrefix(inner, "@") {
		_, after, found := strings.Cut(inner, ":")
		if !found {
			return "", "", false
		}
		inner = after
	}
	return inner, strings.TrimLeft(params, " \t"), true
}

// closing finds the ">" that ends s, not one within a quoted local part.
func closing(s string) int {
	quoted := false
	for i := 1; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '>' && !quoted:
			return i
		}
	}
	return -1
}

// address parses a path's inside. utf8 tells that SMTPUTF8 was asked for;
// bad is the reply for bad syntax.
func address(inner string, utf8 bool, bad Reply) (message.Address, Reply) {
	if !utf8 {
		for i := 0; i < len(inner); i++ {
			if inner[i] >= 0x80 {
				return message.Address{}, NeedUTF8
			}
		}
	}
	if len(inner) > 512 { // RFC 5321, 4.5.3.1.3 has 256; UTF-8 and quoting may double
		return message.Address{}, bad
	}
	a, err := message.ParseAddress(inner)
	if err != nil {
		return message.Address{}, bad
	}
	return a, Reply{}
}

// xtext checks RFC 3461's encoding, 4.
func xtext(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			if i+2 >= len(s) || !upperHex(s[i+1]) || !upperHex(s[i+2]) {
				return false
			}
			i += 2
		case c <= ' ' || c > '~' || c == '=':
			return false
		}
	}
	return true
}

func upperHex(c byte) bool { return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' }
