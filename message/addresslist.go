package message

import "strings"

// maxAddresses of one field are kept. A header of 256 KiB has room for some
// 5,000 real ones.
const maxAddresses = 8192

// appendAddresses reads an address-list of RFC 5322, 3.4 as people and programs
// write it: with the obsolete syntax, comments as names, missing brackets,
// commas and quotes.
func appendAddresses(list []ImapAddress, s string) []ImapAddress {
	if list == nil && s != "" {
		list = make([]ImapAddress, 0, min(strings.Count(s, ",")+1, 64))
	}
	p := listParser{s: s, list: list}
	for p.s != "" && len(p.list) < maxAddresses {
		p.item()
	}
	p.endGroup()
	if len(p.list) == 0 {
		return nil
	}
	return p.list
}

// listParser goes through a list, one address, group start or group end at a
// time.
type listParser struct {
	s       string // what is left
	list    []ImapAddress
	inGroup bool
	words   wordList // of the present item, before "<" or "@"
}

func (p *listParser) endGroup() {
	if p.inGroup {
		p.list = append(p.list, ImapAddress{})
		p.inGroup = false
	}
}

// item reads up to and with the next comma, semicolon or colon of a group.
func (p *listParser) item() {
	whole := p.s
	p.words.reset()
	var a ImapAddress
	var comment string
	var hasComment bool
	done := false // the address itself is complete; what follows is a name at most
	for p.s != "" {
		switch c := p.s[0]; c {
		case ' ', '\t', '\r', '\n':
			p.s = p.s[1:]
			p.words.gap = true
		case '(':
			comment, p.s = cutComment(p.s)
			hasComment = true
			p.words.gap = true
		case ',', ';':
			p.s = p.s[1:]
			p.emit(a, comment, hasComment, done)
			if c == ';' {
				p.endGroup()
			}
			return
		case ':':
			if done || p.inGroup || p.words.empty() {
				p.words.add(p.s[:1], false)
				p.s = p.s[1:]
				continue
			}
			p.s = p.s[1:]
			p.list = append(p.list, ImapAddress{Mailbox: p.words.phrase(), HasMailbox: true})
			p.inGroup = true
			return
		case '<':
			if done && !a.HasRoute && !a.HasName { // "a@b <a@b>": the first is the name
				p.words.reset()
				p.words.add(strings.TrimRight(whole[:len(whole)-len(p.s)], " \t\r\n"), true)
				p.words.text = trimLeftSpace(p.words.text)
				a = ImapAddress{}
			}
			if !p.words.empty() {
				a.Name, a.HasName = p.words.phrase(), true
			}
			p.angle(&a)
			done = true
		case '@':
			p.s = p.s[1:]
			if done {
				if d := p.domain(); !p.words.gap && len(a.Host) < maxPath { // "a@b@c"
					a.Host += "@" + d
				}
				continue
			}
			a.Name, a.Mailbox = p.words.localPart()
			a.HasName, a.HasMailbox, a.HasHost = a.Name != "", true, true
			a.Host = p.domain()
			done = true
			p.words.gap = false
		case '"':
			var text string
			text, p.s = cutQuoted(p.s)
			if !done {
				p.words.add(text, true)
			}
		case '>':
			p.s = p.s[1:]
		default:
			n := atomLen(p.s)
			if !done {
				p.words.add(p.s[:n], false)
			}
			p.s = p.s[n:]
		}
	}
	p.emit(a, comment, hasComment, done)
}

// emit appends the item unless it is empty. Words alone are a local part
// without its domain.
func (p *listParser) emit(a ImapAddress, comment string, hasComment, done bool) {
	if !done {
		if p.words.empty() && !p.words.quoted {
			return
		}
		a.Mailbox, a.HasMailbox, a.HasHost = p.words.phrase(), true, true
	}
	if hasComment && !a.HasName {
		a.Name, a.HasName = strings.TrimSpace(comment), true
		if a.Name == "" {
			a.HasName = false
		}
	}
	p.list = append(p.list, a)
}

// angle reads "<@a,@b:local@domain>".
func (p *listParser) angle(a *ImapAddress) {
	p.s = strings.TrimLeft(p.s, "< \t")
	a.HasMailbox, a.HasHost = true, true
	if rest := skipSpace(p.s); strings.HasPrefix(rest, "@") || strings.HasPrefix(rest, ",") {
		if colon := strings.IndexByte(rest, ':'); colon > 0 && strings.IndexByte(rest[:colon], '>') < 0 {
			a.Route, a.HasRoute = withoutSpace(rest[:colon]), true
			p.s = rest[colon+1:]
		}
	}
	var w wordList
	for p.s != "" {
		switch p.s[0] {
		case ' ', '\t', '\r', '\n':
			p.s = p.s[1:]
			w.gap = true
		case '(':
			_, p.s = cutComment(p.s)
			w.gap = true
		case '>':
			p.s = p.s[1:]
			a.Mailbox = w.joined()
			return
		case ',', ';', '<': // never closed
			a.Mailbox = w.joined()
			return
		case '@':
			p.s = p.s[1:]
			a.Mailbox = w.joined()
			a.Host = p.domain()
			for p.s != "" && p.s[0] == '@' { // "a@b@c"
				p.s = p.s[1:]
				if d := p.domain(); len(a.Host) < maxPath {
					a.Host += "@" + d
				}
			}
			if i := strings.IndexAny(p.s, ">,"); i >= 0 && p.s[i] == '>' {
				p.s = p.s[i+1:]
			}
			return
		case '"':
			var text string
			text, p.s = cutQuoted(p.s)
			w.add(text, true)
		default:
			n := atomLen(p.s)
			w.add(p.s[:n], false)
			p.s = p.s[n:]
		}
	}
	a.Mailbox = w.joined()
}

// domain reads a domain or domain literal with the white space and comments
// that the obsolete syntax allows around its dots.
func (p *listParser) domain() string {
	p.s = skipSpace(p.s)
	if strings.HasPrefix(p.s, "[") {
		if i := strings.IndexByte(p.s, ']'); i > 0 {
			d := p.s[:i+1]
			p.s = p.s[i+1:]
			return withoutSpace(d)
		}
	}
	d := ""
	for {
		i := 0
		for i < len(p.s) && domainByte(p.s[i]) {
			i++
		}
		d, p.s = concat(d, p.s[:i]), p.s[i:]
		rest := skipSpace(p.s)
		if len(rest) == len(p.s) || rest == "" || !domainByte(rest[0]) ||
			!strings.HasSuffix(d, ".") && rest[0] != '.' {
			return d
		}
		p.s = rest
	}
}

func concat(a, b string) string {
	if a == "" {
		return b
	}
	return a + b
}

func domainByte(c byte) bool {
	switch c {
	case '<', '>', '(', ')', ',', ';', '@', '"', '[', ']':
		return false
	}
	return c > ' ' && c != 0x7f
}

// atomLen is the length of the run of bytes that need no looking at, at least 1.
func atomLen(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case ' ', '\t', '\r', '\n', '(', ',', ';', ':', '<', '>', '@', '"':
			return i
		}
	}
	return len(s)
}

// wordList gathers the words of a phrase or local part, one space where there
// was any white space. Most have one word: then nothing is copied.
type wordList struct {
	text   string // the only word, while buf is empty
	buf    []byte
	last   int  // where the last word starts
	any    bool // a word came
	gap    bool // white space came since the last word
	quoted bool
}

func (w *wordList) reset() { *w = wordList{buf: w.buf[:0]} }

func (w *wordList) empty() bool { return w.text == "" && len(w.buf) == 0 }

func (w *wordList) add(s string, quoted bool) {
	w.quoted = w.quoted || quoted
	if !w.any {
		w.text, w.any, w.gap = s, true, false
		return
	}
	if len(w.buf) == 0 {
		w.buf = append(w.buf, w.text...)
	}
	if w.gap {
		if len(w.buf) > 0 {
			w.buf = append(w.buf, ' ')
		}
		w.last = len(w.buf)
	}
	w.gap = false
	w.buf = append(w.buf, s...)
}

// phrase is all words.
func (w *wordList) phrase() string {
	if len(w.buf) == 0 {
		return w.text
	}
	return string(w.buf)
}

// joined is all words as a local part: no white space around dots.
func (w *wordList) joined() string {
	s := w.phrase()
	if w.quoted || strings.IndexByte(s, ' ') < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, " .", "."), ". ", ".")
}

// localPart is what stands before "@" without brackets: the last word, with
// those that dots tie to it; words before it are a name.
func (w *wordList) localPart() (name, local string) {
	if len(w.buf) == 0 {
		return "", w.text
	}
	last := w.last
	for last > 1 && (w.buf[last-2] == '.' || last < len(w.buf) && w.buf[last] == '.') {
		i := last - 1
		for i > 0 && w.buf[i-1] != ' ' {
			i--
		}
		last = i
	}
	local = strings.ReplaceAll(string(w.buf[last:]), " ", "")
	if w.quoted && last == w.last { // a quoted string may hold spaces of its own
		local = string(w.buf[last:])
	}
	return strings.TrimRight(string(w.buf[:last]), " "), local
}

func trimLeftSpace(s string) string { return strings.TrimLeft(s, " \t\r\n") }
