package imap

import (
	"context"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"mailstead/imap/wire"
	"mailstead/mailbox"
)

// listing is a parsed LIST (RFC 9051, 6.3.9).
type listing struct {
	extended         bool
	patterns         []string // reference included
	selectSubscribed bool
	selectUse        bool
	recursive        bool
	returnSubscribed bool
	returnStatus     []int
}

// maxPattern bounds a pattern: matching costs its length for each byte of a name.
const maxPattern = 1024

func (s *session) list() run {
	l := &listing{}
	s.r.SP()
	if s.r.Peek() == '(' {
		l.extended = true
		s.listSelection(l)
		s.r.SP()
	}
	reference := s.mailboxName()
	s.r.SP()
	if s.r.Peek() == '(' {
		l.extended = true
		s.r.List(func() { l.patterns = append(l.patterns, s.pattern(reference)) })
		if len(l.patterns) == 0 {
			s.r.Fail("mailbox pattern expected")
		}
	} else {
		l.patterns = []string{s.pattern(reference)}
	}
	if s.r.Accept(' ') {
		l.extended = true
		s.listReturn(l)
	}
	return func(ctx context.Context) (reply, error) {
		if !l.extended && l.patterns[0] == "" {
			s.w.Str(`* LIST (\Noselect) "` + separator + `" ""` + "\r\n")
			return reply{}, nil
		}
		return reply{}, s.runList(ctx, l)
	}
}

// pattern takes a pattern and puts the reference before it. An empty one
// stays empty: it asks for the separator.
func (s *session) pattern(reference string) string {
	p := s.r.ListMailbox()
	if p == "" {
		return ""
	}
	if !s.utf8 && s.r.Err() == nil {
		var err error
		if p, err = wire.DecodeUTF7(p); err != nil {
			return noName
		}
	}
	if len(p) > maxPattern {
		s.r.Fail("mailbox pattern too long")
	}
	return reference + p
}

// noName is a pattern that no name fits.
const noName = "\x00"

func (s *session) listSelection(l *listing) {
	s.r.List(func() {
		switch s.r.Word() {
		case "SUBSCRIBED":
			l.selectSubscribed, l.returnSubscribed = true, true
		case "SPECIAL-USE":
			l.selectUse = true
		case "RECURSIVEMATCH":
			l.recursive = true
		case "REMOTE": // there are none to add
		default:
			s.r.Fail("unknown selection option")
		}
	})
	if l.recursive && !l.selectSubscribed && !l.selectUse {
		s.r.Fail("RECURSIVEMATCH needs another selection option")
	}
}

func (s *session) listReturn(l *listing) {
	if !s.r.AcceptWord("RETURN") {
		s.r.Fail("RETURN expected")
		return
	}
	s.r.SP()
	s.r.List(func() {
		switch s.r.Word() {
		case "SUBSCRIBED":
			l.returnSubscribed = true
		case "STATUS":
			s.r.SP()
			l.returnStatus = s.statusAtts()
		case "CHILDREN", "SPECIAL-USE": // always told
		default:
			s.r.Fail("unknown return option")
		}
	})
}

// listed is a name that LIST may show.
type listed struct {
	name       string
	box        *mailbox.Mailbox // nil when no mailbox has the name
	subscribed bool
	children   bool // mailboxes below it
	shown      bool // fits the patterns
	wanted     bool // fits the selection options
	below      bool // something below it does, and is not listed itself
}

// runList lists what fits. With RECURSIVEMATCH a name is listed for what is below
// it as well, but only where that is not listed by itself (RFC 5258, 3).
func (s *session) runList(ctx context.Context, l *listing) error {
	names, err := s.names(ctx, l.selectSubscribed || l.returnSubscribed)
	if err != nil {
		return err
	}
	byName := make(map[string]*listed, len(names))
	for i := range names {
		n := &names[i]
		n.wanted = (n.box != nil || l.selectSubscribed) && (!l.selectSubscribed || n.subscribed) &&
			(!l.selectUse || n.box != nil && n.box.Use != "")
		n.shown = matchesAny(l.patterns, n.name)
		byName[n.name] = n
	}
	for i := range names {
		for _, above := range ancestors(names[i].name) {
			if a := byName[above]; a != nil {
				a.children = a.children || names[i].box != nil
				a.below = a.below || names[i].wanted && !names[i].shown
			}
		}
	}
	for i := range names {
		n := &names[i]
		if !n.shown || !n.wanted && !(l.recursive && n.below) {
			continue
		}
		s.writeListed(l, n)
		if n.box != nil && !n.box.NoSelect && l.returnStatus != nil {
			s.writeStatus(*n.box, l.returnStatus)
		}
	}
	return nil
}

// names gives mailboxes, with subscriptions to names that have none and the
// levels above those where they are asked for; INBOX first, then by name.
func (s *session) names(ctx context.Context, subscriptions bool) ([]listed, error) {
	boxes, err := s.srv.Mailboxes.Mailboxes(ctx, s.account.ID)
	if err != nil {
		return nil, err
	}
	list := make([]listed, len(boxes))
	at := make(map[string]int, len(boxes))
	for i := range boxes {
		list[i] = listed{name: boxes[i].Name, box: &boxes[i], subscribed: boxes[i].Subscribed}
		at[boxes[i].Name] = i
	}
	if !subscriptions {
		return list, nil
	}
	subs, err := s.srv.Mailboxes.Subscriptions(ctx, s.account.ID)
	if err != nil {
		return nil, err
	}
	add := func(name string) int {
		i, ok := at[name]
		if !ok {
			i = len(list)
			list = append(list, listed{name: name})
			at[name] = i
		}
		return i
	}
	for _, name := range subs {
		list[add(name)].subscribed = true
		for _, above := range ancestors(name) {
			add(above)
		}
	}
	slices.SortStableFunc(list[len(boxes):], func(a, b listed) int { return strings.Compare(a.name, b.name) })
	return list, nil
}

// ancestors gives the levels above a name.
func ancestors(name string) (list []string) {
	for i := strings.LastIndex(name, separator); i > 0; i = strings.LastIndex(name[:i], separator) {
		list = append(list, name[:i])
	}
	return list
}

func (s *session) writeListed(l *listing, n *listed) {
	var attrs []string
	put := func(a imap.MailboxAttr) { attrs = append(attrs, string(a)) }
	if n.box == nil {
		put(imap.MailboxAttrNonExistent)
	}
	if n.box != nil && n.box.NoSelect {
		put(imap.MailboxAttrNoSelect)
	}
	if n.children {
		put(imap.MailboxAttrHasChildren)
	} else {
		put(imap.MailboxAttrHasNoChildren)
	}
	if n.subscribed && l.returnSubscribed {
		put(imap.MailboxAttrSubscribed)
	}
	if n.box != nil && n.box.Use != "" {
		attrs = append(attrs, n.box.Use)
	}
	s.w.Str("* LIST (")
	s.w.Str(strings.Join(attrs, " "))
	s.w.Str(`) "` + separator + `" `)
	s.writeMailbox(n.name)
	if l.recursive && n.below {
		s.w.Str(` ("CHILDINFO" (`)
		space := ""
		if l.selectSubscribed {
			s.w.Str(`"SUBSCRIBED"`)
			space = " "
		}
		if l.selectUse {
			s.w.Str(space + `"SPECIAL-USE"`)
		}
		s.w.Str("))")
	}
	s.w.CRLF()
}

// lsub is LSUB of RFC 3501, 6.3.9: a name whose children only are subscribed
// shows as \Noselect where the pattern ends in "%".
func (s *session) lsub() run {
	s.r.SP()
	reference := s.mailboxName()
	s.r.SP()
	pattern := s.pattern(reference)
	return func(ctx context.Context) (reply, error) {
		names, err := s.names(ctx, true)
		if err != nil {
			return reply{}, err
		}
		parents := make(map[string]bool)
		for _, n := range names {
			if n.subscribed {
				for _, above := range ancestors(n.name) {
					parents[above] = true
				}
			}
		}
		for _, n := range names {
			if !matches(pattern, n.name) {
				continue
			}
			switch {
			case n.subscribed:
				s.w.Str(`* LSUB () "` + separator + `" `)
			case parents[n.name] && strings.HasSuffix(pattern, "%"):
				s.w.Str(`* LSUB (\Noselect) "` + separator + `" `)
			default:
				continue
			}
			s.writeMailbox(n.name)
			s.w.CRLF()
		}
		return reply{}, nil
	}
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, name) })
}

// matches tells whether a name fits a pattern: "*" stands for anything, "%" for
// anything within a level. INBOX is matched in any case. All places of the
// pattern that can be reached are followed at once, so that no pattern is slow.
func matches(pattern, name string) bool {
	inbox := 0
	if name == "INBOX" || strings.HasPrefix(name, "INBOX"+separator) {
		inbox = len("INBOX")
	}
	at := make([]bool, len(pattern)+1)
	next := make([]bool, len(pattern)+1)
	at[0] = true
	spread := func(set []bool) {
		for i := 0; i < len(pattern); i++ {
			if set[i] && (pattern[i] == '*' || pattern[i] == '%') {
				set[i+1] = true
			}
		}
	}
	spread(at)
	for j := 0; j < len(name); j++ {
		clear(next)
		any := false
		for i := 0; i < len(pattern); i++ {
			if !at[i] {
				continue
			}
			p, c := pattern[i], name[j]
			switch {
			case p == '*', p == '%' && c != separator[0]:
				next[i], any = true, true
			case p == c, j < inbox && p|0x20 == c|0x20 && c >= 'A' && c <= 'Z':
				next[i+1], any = true, true
			}
		}
		if !any {
			return false
		}
		at, next = next, at
		spread(at)
	}
	return at[len(pattern)]
}
