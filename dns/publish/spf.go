package publish

import (
	"fmt"
	"slices"
	"strings"

	"mailstead/dns/zone"
)

// maxLookups is what a receiver looks up for one message at most (RFC 7208,
// 4.6.4), here of the record itself.
const maxLookups = 10

// spf compares the SPF records of one name. There may be only one (RFC 7208,
// 4.5), so that a foreign one is merged with ours and kept as the base: should
// ours change, the merge begins with the base again, and should ours be given
// up, the base comes back.
func (s *state) spf(c *Change, want, live []Record) {
	if len(want) == 0 {
		for _, l := range live {
			if i := slices.IndexFunc(s.owned, l.same); i >= 0 {
				l.Ours, l.Base = true, s.owned[i].Base
				c.Removes = append(c.Removes, l)
				if l.Base != "" {
					c.Adds = append(c.Adds, Record{Name: l.Name, Type: l.Type, TTL: l.TTL, Data: l.Base})
				}
			}
		}
		return
	}
	w := want[0]
	switch len(live) {
	case 0:
		c.Adds = []Record{w}
		return
	case 1:
	default:
		if !s.take[c.Name+"/TXT"] {
			c.Action, c.Foreign, c.Adds = Conflict, live, []Record{w}
			c.Sentence = "There is more than one SPF record, which receivers take as an error. Delete one, or name " + c.Set() + " to have them merged; undo brings them back."
			return
		}
		var texts []string
		for _, l := range live {
			texts = append(texts, l.Data)
		}
		w.Data = zone.MergeSPF(w.Data, texts...)
		c.Action, c.Removes, c.Adds = Merge, live, []Record{w}
		c.Sentence = "There is more than one SPF record: they become one. Undo brings them back."
		return
	}
	l := live[0]
	ours := slices.IndexFunc(s.owned, l.same)
	if ours >= 0 {
		l.Ours, l.Base = true, s.owned[ours].Base
		w.Base = l.Base
		if w.Base != "" {
			w.Data = zone.MergeSPF(w.Data, w.Base)
		}
	} else if covers(l.Data, w.Data) {
		c.Keeps = []Record{l}
		return
	} else {
		w.Base, w.Data = l.Data, zone.MergeSPF(w.Data, l.Data)
	}
	if w.Data == l.Data {
		c.Keeps = []Record{l}
		return
	}
	if n := zone.Lookups(w.Data); n > maxLookups && n > zone.Lookups(l.Data) && !s.take[c.Name+"/TXT"] {
		c.Action, c.Foreign, c.Adds = Conflict, live, []Record{w}
		c.Sentence = fmt.Sprintf("With ours in it the SPF record would need %d lookups, and receivers stop with an error after %d. Take out what it does not need any more, or name %s to have it published so.", n, maxLookups, c.Set())
		return
	}
	c.Removes, c.Adds = []Record{l}, []Record{w}
	if ours < 0 {
		c.Action = Merge
		c.Sentence = "There is an SPF record already, and there may be only one: ours is added to it. Undo brings the old one back."
	}
}

// covers tells whether an SPF record says all that ours says, before its "all".
func covers(there, ours string) bool {
	plain := func(t string) string { return strings.TrimSuffix(strings.TrimPrefix(strings.ToLower(t), "+"), ".") }
	isAll := func(t string) bool { return strings.TrimLeft(plain(t), "-~?") == "all" }
	var terms []string
	for _, t := range zone.Terms(there) {
		if isAll(t) {
			break
		}
		terms = append(terms, plain(t))
	}
	for _, t := range zone.Terms(ours) {
		if !isAll(t) && !slices.Contains(terms, plain(t)) {
			return false
		}
	}
	return true
}
