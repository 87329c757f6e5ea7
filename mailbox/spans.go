package mailbox

import (
	"context"
	"slices"
)

// span is a range of UIDs of which every message that exists is meant. New
// messages get greater UIDs than all of a snapshot, so a span found there stays
// exact whatever is appended or expunged before the writer reads it: thousands
// of UIDs become few statements.
type span struct {
	first, last uint32
	n           int // messages in it when it was found
}

// spans gives the ranges that hold just the given UIDs.
func (s *Store) spans(ctx context.Context, mailbox int64, uids []uint32) ([]span, error) {
	switch len(uids) {
	case 0:
		return nil, nil
	case 1:
		return []span{{uids[0], uids[0], 1}}, nil
	}
	v, err := s.Snapshot(ctx, mailbox)
	if err != nil {
		return nil, err
	}
	return v.spans(uids), nil
}

func (v *Snapshot) spans(uids []uint32) []span {
	if !slices.IsSorted(uids) {
		uids = slices.Sorted(slices.Values(uids))
	}
	var out []span
	before := -2 // index of the last one found
	for _, uid := range uids {
		i, ok := v.Index(uid)
		switch {
		case !ok || i == before:
			continue
		case i == before+1 && len(out) > 0:
			out[len(out)-1].last = uid
			out[len(out)-1].n++
		default:
			out = append(out, span{uid, uid, 1})
		}
		before = i
	}
	return out
}

// chunks deals UIDs out into lists of spans of at most size messages each.
func (s *Store) chunks(ctx context.Context, mailbox int64, uids []uint32, size int) ([][]span, error) {
	if !slices.IsSorted(uids) {
		uids = slices.Sorted(slices.Values(uids))
	}
	var out [][]span
	for part := range slices.Chunk(uids, size) {
		spans, err := s.spans(ctx, mailbox, part)
		if err != nil {
			return nil, err
		}
		if len(spans) > 0 {
			out = append(out, spans)
		}
	}
	return out, nil
}
