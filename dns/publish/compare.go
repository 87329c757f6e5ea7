package publish

import (
	"fmt"
	"slices"
	"strings"

	"github.com/libdns/libdns"

	"mailstead/dns/zone"
	"mailstead/message"
)

// state is what Plan compares.
type state struct {
	zone    string
	title   string   // of the provider
	without []string // types of records that it cannot hold
	live    []Record
	owned   []Record        // of this domain, Ours
	take    map[string]bool // sets whose foreign records are to be replaced

	aliased map[string]bool // names where an alias is wanted or is
}

// group is what rules each other out, or is at least looked at together.
type group struct{ name, typ, tag string }

// free is the tag of TXT records that may stand beside any other.
const free = "-"

// exclusive tells whether a foreign record of the group rules ours out. TLSA and
// CAA add up, and so do TXT records that are no protocol's.
func (g group) exclusive() bool {
	switch g.typ {
	case "A", "AAAA", "MX", "CNAME", "SRV":
		return true
	case "TXT":
		return g.tag != free
	}
	return false
}

// groupOf sorts a record. At a name with an alias nothing else may stand (RFC
// 1034, 3.6.2), and of the TXT records of one protocol there is only one.
func (s *state) groupOf(r Record) group {
	switch {
	case s.aliased[r.Name]:
		return group{r.Name, "CNAME", ""}
	case r.Type != "TXT":
		return group{r.Name, r.Type, ""}
	}
	return group{r.Name, "TXT", tagOf(r)}
}

func tagOf(r Record) string {
	text := strings.ToLower(strings.TrimSpace(r.Data))
	switch {
	case zone.IsSPF(text):
		return "v=spf1"
	case strings.Contains(r.Name, "._domainkey."):
		return "dkim"
	case strings.HasPrefix(text, "v="):
		return strings.TrimSpace(strings.FieldsFunc(text, func(c rune) bool { return c == ';' || c == ' ' })[0])
	}
	return free
}

// compare finds what is to be done, in the order of the wanted records; what is
// not wanted any more comes last.
func compare(s state, wanted []zone.Record) []Change {
	want := s.mark(wanted)
	var groups []group
	by := map[group][]Record{}
	about := map[group]zone.Record{}
	var changes []Change
	for i, w := range want {
		if reason := s.unable(w); reason != "" {
			changes = append(changes, Change{Action: Elsewhere, Name: w.Name, Type: w.Type, Adds: []Record{w},
				Kind: wanted[i].Kind, Optional: wanted[i].Optional, Sentence: reason})
			continue
		}
		g := s.groupOf(w)
		if by[g] == nil {
			groups, about[g] = append(groups, g), wanted[i]
		}
		by[g] = append(by[g], w)
	}
	for _, o := range s.owned {
		if g := s.groupOf(o); by[g] == nil && !slices.Contains(groups, g) {
			groups = append(groups, g)
		}
	}
	for _, g := range groups {
		c, ok := s.change(g, by[g])
		if !ok {
			continue
		}
		c.Kind, c.Optional = about[g].Kind, about[g].Optional
		changes = append(changes, c)
	}
	return changes
}

// mark writes the wanted records in normal form and notes where aliases are.
func (s *state) mark(wanted []zone.Record) []Record {
	s.aliased = map[string]bool{}
	for _, l := range s.live {
		if l.Type == "CNAME" {
			s.aliased[l.Name] = true
		}
	}
	var want []Record
	for _, w := range wanted {
		r := normal(libdns.RR{Name: w.Name, Type: w.Type, TTL: w.TTL, Data: unwire(w.Type, w.Data)})
		want = append(want, Record{Name: strings.TrimSuffix(r.Name, "."), Type: r.Type, TTL: seconds(r.TTL, 0), Data: r.Data, Ours: true})
		if r.Type == "CNAME" {
			s.aliased[strings.TrimSuffix(r.Name, ".")] = true
		}
	}
	return want
}

func (s *state) unable(w Record) string {
	switch {
	case !zone.Within(w.Name, message.Domain(s.zone)):
		return fmt.Sprintf("%s is not in the zone %s: it has to be published where its own zone is.", w.Name, s.zone)
	case slices.Contains(s.without, w.Type):
		return fmt.Sprintf("%s cannot hold %s records like this one; mail works without it.", s.title, w.Type)
	}
	return ""
}

// change compares one group; ok is false when there is nothing to say.
func (s *state) change(g group, want []Record) (c Change, ok bool) {
	live := slices.DeleteFunc(slices.Clone(s.live), func(l Record) bool { return s.groupOf(l) != g })
	c = Change{Name: g.name, Type: g.typ}
	if g.tag == "v=spf1" {
		s.spf(&c, want, live)
	} else {
		s.sort(&c, g, want, live)
	}
	for i, a := range c.Adds {
		c.Adds[i].TTL = s.ttl(a, c.Removes)
	}
	s.say(&c)
	return c, len(want) > 0 || len(c.Removes)+len(c.Adds) > 0
}

// sort tells kept, missing, stale and foreign records apart.
func (s *state) sort(c *Change, g group, want, live []Record) {
	for _, w := range want {
		if has(live, w) {
			c.Keeps = append(c.Keeps, w)
		} else {
			c.Adds = append(c.Adds, w)
		}
	}
	for _, l := range live {
		switch {
		case has(want, l):
		case has(s.owned, l):
			l.Ours = true
			c.Removes = append(c.Removes, l)
		case g.exclusive() && len(want) > 0:
			c.Foreign = append(c.Foreign, l)
		}
	}
	if len(c.Foreign) == 0 || len(c.Adds) == 0 {
		return
	}
	if s.take[g.name+"/"+g.typ] {
		c.Removes = append(c.Removes, c.Foreign...)
		c.Foreign = nil
		return
	}
	c.Action, c.Removes = Conflict, nil
}

// ttl is that of the set which the record joins: a set has one (RFC 2181, 5.2),
// and the foreign records of it keep theirs. 1 is how Cloudflare writes that it
// chooses.
func (s *state) ttl(r Record, removes []Record) int {
	for _, l := range s.live {
		if l.Name == r.Name && l.Type == r.Type && l.TTL > 1 && !has(removes, l) {
			return l.TTL
		}
	}
	return r.TTL
}

func has(list []Record, r Record) bool { return slices.ContainsFunc(list, r.same) }

// say sets the action, where it is not known yet, and the sentence.
func (s *state) say(c *Change) {
	if c.Action == "" {
		switch {
		case len(c.Adds) > 0 && len(c.Removes) > 0:
			c.Action = Modify
		case len(c.Adds) > 0:
			c.Action = Add
		case len(c.Removes) > 0:
			c.Action = Delete
		default:
			c.Action = Keep
		}
	}
	if c.Sentence != "" {
		return
	}
	switch c.Action {
	case Add:
		c.Sentence = "It is missing."
	case Modify:
		c.Sentence = "It has changed."
	case Delete:
		c.Sentence = "It is not needed any more, and we published it."
	case Keep:
		c.Sentence = "It is there already."
		if len(c.Foreign) > 0 {
			c.Sentence = "It is there already, beside others that are not ours and stay."
		}
	case Conflict:
		c.Sentence = fmt.Sprintf("Somebody else's %s stands there. Delete it at %s, or name %s to let Mailstead replace it; undo brings it back.",
			typesOf(c.Foreign), s.title, c.Set())
	}
}

func typesOf(records []Record) string {
	var types []string
	for _, r := range records {
		if !slices.Contains(types, r.Type) {
			types = append(types, r.Type)
		}
	}
	return strings.Join(types, " and ") + " record"
}
