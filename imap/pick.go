package imap

import (
	"slices"
	"sort"

	"mailstead/imap/wire"
	"mailstead/mailbox"
)

// span is a half-open range of positions.
type span struct{ from, to int }

// picked are the messages that a set names, as ascending disjoint spans of
// positions. gone tells that sequence numbers named messages that are expunged.
type picked struct {
	spans []span
	gone  bool
}

// pick resolves a set of the running command: UIDs after UID, else sequence
// numbers. UIDs that are not there count for nothing; a sequence number that
// the client was never told of is its mistake (RFC 9051, 9: seq-number).
func (s *session) pick(set wire.NumSet) (p picked, err error) {
	v := s.view
	if !s.uid && !set.Saved {
		n := uint32(v.told)
		for _, r := range set.Ranges {
			if from, to := r.Resolve(n); from == 0 || to > n {
				return p, bad("no such message")
			}
		}
	}
	p = v.pick(set, s.uid)
	for _, g := range v.gone {
		p.gone = p.gone || !s.uid && !set.Saved && p.has(g.pos)
	}
	return p, nil
}

// pick resolves a set of UIDs or of sequence numbers; what is not there counts
// for nothing.
func (v *view) pick(set wire.NumSet, uid bool) (p picked) {
	switch {
	case set.Saved:
		p.spans = v.spansOf(v.saved)
	case uid:
		p.spans = v.uidSpans(set.Ranges)
	default:
		n := uint32(v.told)
		for _, r := range set.Ranges {
			from, to := r.Resolve(n)
			if from, to = max(from, 1), min(to, n); from <= to {
				p.spans = append(p.spans, span{int(from) - 1, int(to)})
			}
		}
	}
	p.spans = joined(p.spans)
	return p
}

// uidSpans finds the positions of ranges of UIDs, gone ones that the client
// still counts included. "*" is the last message's.
func (v *view) uidSpans(ranges []wire.Range) (spans []span) {
	n := v.count()
	if n == 0 {
		return nil
	}
	last, _ := v.known(n - 1)
	most := last.UID
	for _, r := range ranges {
		from, to := r.Resolve(most)
		lo, _ := v.snap.Index(from)
		hi, ok := v.snap.Index(to)
		if ok {
			hi++
		}
		if lo < hi {
			spans = append(spans, span{v.pos(lo), v.pos(hi-1) + 1})
		}
		for _, g := range v.gone {
			if from <= g.UID && g.UID <= to {
				spans = append(spans, span{g.pos, g.pos + 1})
			}
		}
	}
	return spans
}

// spansOf finds the positions of UIDs.
func (v *view) spansOf(uids []uint32) (spans []span) {
	for _, uid := range uids {
		if i, ok := v.snap.Index(uid); ok {
			pos := v.pos(i)
			spans = append(spans, span{pos, pos + 1})
		}
	}
	return joined(spans)
}

// joined sorts spans and joins those that meet.
func joined(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	out := spans[:0]
	for _, x := range spans {
		if n := len(out); n > 0 && x.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, x.to)
			continue
		}
		out = append(out, x)
	}
	return out
}

func (p picked) has(pos int) bool {
	i := sort.Search(len(p.spans), func(i int) bool { return p.spans[i].to > pos })
	return i < len(p.spans) && p.spans[i].from <= pos
}

// each calls fn at every picked message that is still there.
func (v *view) each(p picked, fn func(pos int, e mailbox.Entry) error) error {
	for _, x := range p.spans {
		for pos := x.from; pos < x.to; pos++ {
			if e, ok := v.at(pos); ok {
				if err := fn(pos, e); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// eachKnown calls fn at every picked message that the client counts, also at
// those that are gone.
func (v *view) eachKnown(p picked, fn func(pos int, e mailbox.Entry, gone bool) error) error {
	for _, x := range p.spans {
		for pos := x.from; pos < x.to; pos++ {
			e, gone := v.known(pos)
			if err := fn(pos, e, gone); err != nil {
				return err
			}
		}
	}
	return nil
}

// uids gives the UIDs of what was picked, ascending.
func (v *view) uids(p picked) (list []uint32) {
	v.each(p, func(_ int, e mailbox.Entry) error {
		list = append(list, e.UID)
		return nil
	})
	return list
}
