package wire

import (
	"strings"
	"unicode/utf8"
)

// Character classes of RFC 9051, 9.
const (
	atomChar    = 1 << iota // ATOM-CHAR
	astringChar             // ATOM-CHAR and "]"
	listChar                // ATOM-CHAR, list-wildcards and "]"
	tagChar                 // ASTRING-CHAR without "+"
)

var class = func() (t [256]uint8) {
	for c := 0x21; c < 0x7f; c++ {
		switch c {
		case '(', ')', '{', '"', '\\':
		case '%', '*':
			t[c] = listChar
		case ']':
			t[c] = astringChar | listChar | tagChar
		case '+':
			t[c] = atomChar | astringChar | listChar
		default:
			t[c] = atomChar | astringChar | listChar | tagChar
		}
	}
	return t
}()

// Peek is the next byte of the line, 0 at its end.
func (r *Reader) Peek() byte {
	if r.err != nil || r.pos >= len(r.line) {
		return 0
	}
	return r.line[r.pos]
}

func (r *Reader) isDigit() bool { c := r.Peek(); return c >= '0' && c <= '9' }

// Accept takes c when it is next.
func (r *Reader) Accept(c byte) bool {
	if r.err == nil && r.pos < len(r.line) && r.line[r.pos] == c {
		r.pos++
		return true
	}
	return false
}

// Expect takes c or fails.
func (r *Reader) Expect(c byte) {
	if !r.Accept(c) {
		switch {
		case c == ' ':
			r.Fail("space expected")
		case r.Peek() == 0:
			r.Fail("missing " + string(rune(c)))
		default:
			r.Fail(string(rune(c)) + " expected")
		}
	}
}

// SP takes one space. More than one is taken too: some clients send them.
func (r *Reader) SP() {
	r.Expect(' ')
	for r.Accept(' ') {
	}
}

// End fails unless the line is used up. Spaces at the end are taken.
func (r *Reader) End() {
	for r.Accept(' ') {
	}
	if r.err == nil && r.pos != len(r.line) {
		r.Fail("unexpected characters at the end of the command")
	}
}

// run takes the longest run of characters of a class.
func (r *Reader) run(mask uint8) []byte {
	if r.err != nil {
		return nil
	}
	start := r.pos
	for r.pos < len(r.line) && class[r.line[r.pos]]&mask != 0 {
		r.pos++
	}
	return r.line[start:r.pos]
}

// Tag takes a command's tag.
func (r *Reader) Tag() string {
	b := r.run(tagChar)
	if len(b) == 0 {
		r.Fail("tag expected")
	}
	return string(b)
}

// Atom takes an atom.
func (r *Reader) Atom() string {
	b := r.run(atomChar)
	if len(b) == 0 {
		r.Fail("atom expected")
	}
	return string(b)
}

// Word takes an atom and gives it in upper case.
func (r *Reader) Word() string { return strings.ToUpper(r.Atom()) }

// AcceptWord takes an atom when it is this one, in any case.
func (r *Reader) AcceptWord(word string) bool {
	start := r.pos
	if strings.EqualFold(string(r.run(atomChar)), word) && r.err == nil {
		return true
	}
	r.pos = start
	return false
}

// Label takes letters, digits, dots and the like up to a delimiter, "[" among
// them: the name of a FETCH item. It is given in upper case.
func (r *Reader) Label() string {
	if r.err != nil {
		return ""
	}
	start := r.pos
	for r.pos < len(r.line) && r.line[r.pos] != '[' && r.line[r.pos] != '<' && class[r.line[r.pos]]&atomChar != 0 {
		r.pos++
	}
	if r.pos == start {
		r.Fail("name expected")
	}
	return strings.ToUpper(string(r.line[start:r.pos]))
}

// Astring takes an atom, a quoted string or a literal.
func (r *Reader) Astring() string {
	switch r.Peek() {
	case '"':
		return r.quoted()
	case '{':
		return r.literal()
	}
	b := r.run(astringChar)
	if len(b) == 0 {
		r.Fail("string expected")
	}
	return string(b)
}

// String takes a quoted string or a literal.
func (r *Reader) String() string {
	switch r.Peek() {
	case '"':
		return r.quoted()
	case '{':
		return r.literal()
	}
	r.Fail("quoted string or literal expected")
	return ""
}

// Nstring takes a string or NIL.
func (r *Reader) Nstring() (s string, ok bool) {
	if r.AcceptWord("NIL") {
		return "", false
	}
	return r.String(), r.err == nil
}

// ListMailbox takes a mailbox name with wildcards.
func (r *Reader) ListMailbox() string {
	switch r.Peek() {
	case '"':
		return r.quoted()
	case '{':
		return r.literal()
	}
	b := r.run(listChar)
	if len(b) == 0 {
		r.Fail("mailbox pattern expected")
	}
	return string(b)
}

// quoted takes a quoted string. UTF-8 is taken whether or not the client
// enabled it (RFC 6855 after ENABLE, RFC 9051 always); other 8-bit text is not.
func (r *Reader) quoted() string {
	r.Expect('"')
	var out []byte // set at the first escape
	start := r.pos
	plain := true
	for r.err == nil && r.pos < len(r.line) {
		c := r.line[r.pos]
		switch {
		case c == '"':
			s := r.line[start:r.pos]
			r.pos++
			if out != nil {
				s = append(out, s...)
			}
			if !plain && !utf8.Valid(s) {
				r.Fail("quoted string is not UTF-8")
				return ""
			}
			return string(s)
		case c == '\\':
			if r.pos+1 >= len(r.line) || r.line[r.pos+1] != '"' && r.line[r.pos+1] != '\\' {
				r.Fail("bad escape in a quoted string")
				return ""
			}
			out = append(out, r.line[start:r.pos]...)
			start = r.pos + 1
			r.pos += 2
			continue
		case c == 0 || c == '\r':
			r.Fail("bad character in a quoted string")
			return ""
		case c >= 0x80:
			plain = false
		}
		r.pos++
	}
	r.Fail("quoted string without its end")
	return ""
}

// Number takes a 32-bit number.
func (r *Reader) Number() uint32 {
	n := r.Number64()
	if n > 1<<32-1 {
		r.Fail("number too large")
		return 0
	}
	return uint32(n)
}

// Number64 takes a 63-bit number.
func (r *Reader) Number64() int64 {
	if !r.isDigit() {
		r.Fail("number expected")
		return 0
	}
	var n int64
	for r.isDigit() {
		d := int64(r.line[r.pos] - '0')
		if n > (1<<63-1-d)/10 {
			r.Fail("number too large")
			return 0
		}
		n = n*10 + d
		r.pos++
	}
	return n
}

// List takes a parenthesised list and calls item at each element. An empty
// list is taken; who needs an element says so.
func (r *Reader) List(item func()) {
	r.Expect('(')
	for r.Accept(' ') {
	}
	for r.err == nil && !r.Accept(')') {
		item()
		if r.Peek() != ')' {
			r.SP()
		}
	}
}

// Flag takes a flag: a keyword, or a backslash and an atom.
func (r *Reader) Flag() string {
	if r.Accept('\\') {
		return `\` + r.Atom()
	}
	return r.Atom()
}

// Flags takes a parenthesised list of flags.
func (r *Reader) Flags() (flags []string) {
	r.List(func() { flags = append(flags, r.Flag()) })
	return flags
}
