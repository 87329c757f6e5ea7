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

// item is the present entry of the list: what is known of it so far.
type item struct {
	ImapAddress
	comment    string
	hasComment bool
	done       bool // the address is complete; what follows is a comment at most
}

// item reads up to and with the next comma, semicolon or colon of a group.
func (p *listParser) item() {
	whole := p.s
	p.words.reset()
	var it item
	for p.s != "" {
		switch c := p.s[0]; c {
		case ' ', '\t', '\r', '\n':
			p.s = p.s[1:]
			p.words.gap = true
		case '(':
			it.comment, p.s = cutComment(p.s)
			it.hasComment, p.words.gap = true, true
		case ',', ';':
			p.s = p.s[1:]
			p.emit(it)
			if c == ';' {
				p.endGroup()
			}
			return
		case ':':
			p.s = p.s[1:]
			if it.done || p.inGroup || p.words.empty() {
				p.words.add(":", false)
				continue
			}
			p.list = append(p.list, ImapAddress{Mailbox: p.words.phrase(), HasMailbox: true})
			p.inGroup = true
			return
		case '<':
			p.bracket(&it, whole)
		case '@':
			p.at(&it)
		case '"':
			var text string
			text, p.s = cutQuoted(p.s)
			p.word(&it, text, true)
		case '>':
			p.s = p.s[1:]
		default:
			n := atomLen(p.s)
			word := p.s[:n]
			p.s = p.s[n:]
			p.word(&it, word, false)
		}
	}
	p.emit(it)
}

func (p *listParser) word(it *item, s string, quoted bool) {
	if !it.done {
		p.words.add(s, quoted)
	}
}

// bracket reads "<address>", the words before it being the name; of
// "a@b <a@b>" the first address is.
func (p *listParser) bracket(it *item, whole string) {
	if it.done && !it.HasRoute && !it.HasName {
		p.words.reset()
		p.words.add(strings.Trim(whole[:len(whole)-len(p.s)], " \t\r\n"), true)
		it.ImapAddress = ImapAddress{}
	}
	if !p.words.empty() {
		it.Name, it.HasName = p.words.phrase(), true
	}
	p.angle(&it.ImapAddress)
	it.done = true
}

// at reads the domain of an address without brackets.
func (p *listParser) at(it *item) {
	p.s = p.s[1:]
	d := p.domain()
	if it.done {
		if !p.words.gap && len(it.Host) < maxPath { // "a@b@c"
			it.Host += "@" + d
		}
		return
	}
	it.Name, it.Mailbox = p.words.localPart()
	it.HasName, it.HasMailbox, it.HasHost = it.Name != "", true, true
	it.Host = d
	it.done, p.words.gap = true, false
}

// emit appends the item unless it is empty. Words alone are a local part
// without its domain.
func (p *listParser) emit(it item) {
	if !it.done {
		if p.words.empty() && !p.words.quoted {
			return
		}
		it.Mailbox, it.HasMailbox, it.HasHost = p.words.phrase(), true, true
	}
	if name := strings.TrimSpace(it.comment); it.hasComment && !it.HasName && name != "" {
		it.Name, it.HasName = name, true
	}
	p.list = append(p.list, it.ImapAddress)
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
