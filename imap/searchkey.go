package imap

import (
	"slices"
	"strings"
	"time"

	"mailstead/mailbox"
)

// cost is what a key has to look at.
type cost uint8

const (
	fromSnapshot cost = iota
	fromRow
	fromHeader
	fromBody
)

// criterion is a node of the search tree.
type criterion interface {
	cost() cost
	matches(x *examined) (bool, error)
	// split divides into what the snapshot alone decides and the rest, so that
	// both must match. The rest is nil where there is none.
	split() (quick, slow criterion)
}

// leaf is one key.
type leaf struct {
	price cost
	fn    func(x *examined) (bool, error)
}

func (l leaf) cost() cost                        { return l.price }
func (l leaf) matches(x *examined) (bool, error) { return l.fn(x) }
func (l leaf) split() (criterion, criterion)     { return split(l) }

// and is satisfied when all of its keys are; cheap ones stand first.
type and []criterion

func (a and) cost() cost { return dearest(a) }

func (a and) matches(x *examined) (bool, error) {
	for _, c := range a {
		if ok, err := c.matches(x); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (a and) split() (criterion, criterion) {
	i := slices.IndexFunc(a, func(c criterion) bool { return c.cost() > fromSnapshot })
	if i < 0 {
		return a, nil
	}
	return a[:i], a[i:]
}

// or is satisfied when one of its keys is.
type or []criterion

func (o or) cost() cost { return dearest(o) }

func (o or) matches(x *examined) (bool, error) {
	for _, c := range o {
		if ok, err := c.matches(x); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

func (o or) split() (criterion, criterion) { return split(o) }

// not is satisfied when its key is not.
type not struct{ key criterion }

func (n not) cost() cost { return n.key.cost() }

func (n not) matches(x *examined) (bool, error) {
	ok, err := n.key.matches(x)
	return !ok, err
}

func (n not) split() (criterion, criterion) { return split(n) }

func split(c criterion) (criterion, criterion) {
	if c.cost() == fromSnapshot {
		return c, nil
	}
	return and{}, c
}

func dearest(list []criterion) (most cost) {
	for _, c := range list {
		most = max(most, c.cost())
	}
	return most
}

func cheapFirst(list []criterion) []criterion {
	slices.SortStableFunc(list, func(a, b criterion) int { return int(a.cost()) - int(b.cost()) })
	return list
}

// keys takes search keys for as long as more says that another one follows.
func (q *searching) keys(more func() bool) criterion {
	list := and{q.key()}
	for q.s.r.Err() == nil && more() {
		list = append(list, q.key())
	}
	return and(cheapFirst(list))
}

// key takes one search key.
func (q *searching) key() criterion {
	r := q.s.r
	if q.depth++; q.depth > maxDepth {
		r.Fail("search keys nest too deep")
	}
	if q.n++; q.n > maxKeys {
		r.Fail("too many search keys")
	}
	defer func() { q.depth-- }()
	if r.Err() != nil {
		return and{}
	}
	switch c := r.Peek(); {
	case c == '(':
		r.Accept('(')
		list := q.keys(func() bool { return r.Accept(' ') })
		r.Expect(')')
		return list
	case c >= '0' && c <= '9', c == '*', c == '$':
		return q.set(false)
	}
	name := r.Word()
	switch name {
	case "NOT":
		r.SP()
		return not{q.key()}
	case "OR":
		r.SP()
		a := q.key()
		r.SP()
		return or(cheapFirst([]criterion{a, q.key()}))
	case "UID":
		r.SP()
		return q.set(true)
	}
	parse, ok := searchKeys[name]
	if !ok {
		r.Fail("unknown search key")
		return and{}
	}
	return parse(q)
}

// set takes a set of sequence numbers or UIDs. What it stands for is found when
// the search runs: a saved result or "*" may change before.
func (q *searching) set(uid bool) criterion {
	s := q.s
	set := s.r.NumSet()
	var p *picked
	return leaf{fromSnapshot, func(x *examined) (bool, error) {
		if p == nil {
			found := s.view.pick(set, uid)
			p = &found
		}
		return p.has(x.pos), nil
	}}
}

// searchKeys is the table of keys with and without arguments.
var searchKeys = map[string]func(q *searching) criterion{
	"ALL":        func(*searching) criterion { return and{} },
	"ANSWERED":   flagKey(mailbox.Answered, true),
	"DELETED":    flagKey(mailbox.Deleted, true),
	"DRAFT":      flagKey(mailbox.Draft, true),
	"FLAGGED":    flagKey(mailbox.Flagged, true),
	"SEEN":       flagKey(mailbox.Seen, true),
	"UNANSWERED": flagKey(mailbox.Answered, false),
	"UNDELETED":  flagKey(mailbox.Deleted, false),
	"UNDRAFT":    flagKey(mailbox.Draft, false),
	"UNFLAGGED":  flagKey(mailbox.Flagged, false),
	"UNSEEN":     flagKey(mailbox.Seen, false),
	"RECENT":     func(q *searching) criterion { return q.recent() },
	"OLD":        func(q *searching) criterion { return not{q.recent()} },
	"NEW": func(q *searching) criterion {
		return and{q.recent(), flagKey(mailbox.Seen, false)(q)}
	},
	"KEYWORD":   func(q *searching) criterion { return q.keyword() },
	"UNKEYWORD": func(q *searching) criterion { return not{q.keyword()} },

	"LARGER":  func(q *searching) criterion { return q.size(func(have, n int64) bool { return have > n }) },
	"SMALLER": func(q *searching) criterion { return q.size(func(have, n int64) bool { return have < n }) },

	"BEFORE":     func(q *searching) criterion { return q.date(received, before) },
	"ON":         func(q *searching) criterion { return q.date(received, on) },
	"SINCE":      func(q *searching) criterion { return q.date(received, since) },
	"SENTBEFORE": func(q *searching) criterion { return q.date(sent, before) },
	"SENTON":     func(q *searching) criterion { return q.date(sent, on) },
	"SENTSINCE":  func(q *searching) criterion { return q.date(sent, since) },
	"OLDER":      func(q *searching) criterion { return q.age(true) },
	"YOUNGER":    func(q *searching) criterion { return q.age(false) },

	"FROM":    func(q *searching) criterion { return q.addresses(envelopeFrom) },
	"TO":      func(q *searching) criterion { return q.addresses(envelopeTo) },
	"CC":      func(q *searching) criterion { return q.addresses(envelopeCc) },
	"BCC":     func(q *searching) criterion { return q.addresses(envelopeBcc) },
	"SUBJECT": func(q *searching) criterion { return q.subject() },
	"HEADER":  func(q *searching) criterion { return q.header() },
	"BODY":    func(q *searching) criterion { return q.text(false) },
	"TEXT":    func(q *searching) criterion { return q.text(true) },
}

func flagKey(f mailbox.Flags, set bool) func(*searching) criterion {
	return func(*searching) criterion {
		return leaf{fromSnapshot, func(x *examined) (bool, error) { return (x.entry.Flags&f != 0) == set, nil }}
	}
}

func (q *searching) recent() criterion {
	return leaf{fromSnapshot, func(x *examined) (bool, error) { return x.s.view.isRecent(x.entry.UID), nil }}
}

// keyword takes a keyword. System flags are taken too: some clients mean it so.
func (q *searching) keyword() criterion {
	q.s.r.SP()
	name := q.s.r.Flag()
	if f, _, err := parseFlags([]string{name}); err == nil && f != 0 {
		return flagKey(f, true)(q)
	}
	return leaf{fromSnapshot, func(x *examined) (bool, error) {
		return slices.ContainsFunc(x.entry.Keywords, func(k string) bool { return strings.EqualFold(k, name) }), nil
	}}
}

func (q *searching) size(fits func(have, n int64) bool) criterion {
	q.s.r.SP()
	n := q.s.r.Number64()
	return leaf{fromRow, func(x *examined) (bool, error) {
		return x.row != nil && fits(x.row.Size(), n), nil
	}}
}

// Dates are compared as days, without regard to time and zone (RFC 9051, 6.4.4).
func before(a, b time.Time) bool { return a.Before(b) }
func on(a, b time.Time) bool     { return a.Equal(b) }
func since(a, b time.Time) bool  { return !a.Before(b) }

// received is the day of INTERNALDATE, in the zone it is shown in.
func received(x *examined) (time.Time, bool) { return day(x.row.Received), true }

// sent is the day that the Date field names.
func sent(x *examined) (time.Time, bool) {
	t, ok := x.sent()
	return day(t), ok
}

func day(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

func (q *searching) date(of func(*examined) (time.Time, bool), fits func(a, b time.Time) bool) criterion {
	q.s.r.SP()
	want := q.s.r.Date()
	return leaf{fromRow, func(x *examined) (bool, error) {
		if x.row == nil {
			return false, nil
		}
		have, ok := of(x)
		return ok && fits(have, want), nil
	}}
}

// age is OLDER and YOUNGER in seconds (RFC 5032).
func (q *searching) age(older bool) criterion {
	q.s.r.SP()
	n := q.s.r.Number()
	if n == 0 {
		q.s.r.Fail("interval of no seconds")
	}
	var limit time.Time // one for the whole search
	return leaf{fromRow, func(x *examined) (bool, error) {
		if limit.IsZero() {
			limit = time.Now().Add(-time.Duration(n) * time.Second)
		}
		if x.row == nil {
			return false, nil
		}
		if older {
			return !x.row.Received.After(limit), nil
		}
		return !x.row.Received.Before(limit), nil
	}}
}
