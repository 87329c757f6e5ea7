package imap

import (
	"context"
	"errors"
	"strings"

	"mailstead/mailbox"
)

// searching is a SEARCH at work (RFC 9051, 6.4.4; results as RFC 4731 and 5182
// have it).
type searching struct {
	s       *session
	root    criterion
	charset string
	depth   int // of keys being parsed
	n       int // keys parsed

	extended                   bool // RETURN was given
	min, max, all, count, save bool
}

// Bounds of a search: every key may be asked for every message.
const (
	maxDepth = 64
	maxKeys  = 2000
)

func (s *session) search() run {
	q := &searching{s: s}
	s.r.SP()
	if s.r.AcceptWord("RETURN") {
		s.r.SP()
		q.results()
		s.r.SP()
	}
	if s.r.AcceptWord("CHARSET") {
		s.r.SP()
		q.charset = s.r.Astring()
		s.r.SP()
	}
	q.root = q.keys(func() bool { return s.r.Accept(' ') })
	return q.run
}

// results takes the result options in parentheses.
func (q *searching) results() {
	q.extended = true
	r := q.s.r
	r.List(func() {
		switch r.Word() {
		case "MIN":
			q.min = true
		case "MAX":
			q.max = true
		case "ALL":
			q.all = true
		case "COUNT":
			q.count = true
		case "SAVE":
			q.save = true
		default:
			r.Fail("unknown search result option")
		}
	})
	if !q.min && !q.max && !q.count && !q.save {
		q.all = true
	}
}

func (q *searching) run(ctx context.Context) (reply, error) {
	s := q.s
	if err := q.checkCharset(); err != nil {
		return reply{}, err
	}
	if s.rev2 && !q.extended { // RFC 9051, 6.4.4: always ESEARCH
		q.extended, q.all = true, true
	}
	found, err := q.find(ctx)
	if err != nil {
		if q.save { // RFC 5182, 2.1: a failed SEARCH with SAVE empties the result
			s.view.saved = nil
		}
		return reply{}, err
	}
	if q.save {
		s.view.saved = q.saved(found)
	}
	q.write(found)
	return reply{}, nil
}

// checkCharset takes US-ASCII and UTF-8. After ENABLE UTF8=ACCEPT no other may
// even be named (RFC 6855, 3).
func (q *searching) checkCharset() error {
	switch strings.ToUpper(q.charset) {
	case "", "UTF-8", "US-ASCII":
		return nil
	}
	if q.s.utf8 {
		return bad("charset other than UTF-8")
	}
	return no("BADCHARSET (US-ASCII UTF-8)", "charset not supported")
}

// hit is a message found.
type hit struct {
	number uint32 // sequence number or UID, as the command counts
	uid    uint32
}

// saved gives what "$" stands for from now on (RFC 5182, 2.4).
func (q *searching) saved(found []hit) []uint32 {
	if (q.min || q.max) && !q.all && !q.count && len(found) > 0 {
		var ends []hit
		if q.min {
			ends = append(ends, found[0])
		}
		if last := found[len(found)-1]; q.max && (!q.min || last != found[0]) {
			ends = append(ends, last)
		}
		found = ends
	}
	list := make([]uint32, len(found))
	for i, h := range found {
		list[i] = h.uid
	}
	return list
}

// write writes SEARCH or ESEARCH.
func (q *searching) write(found []hit) {
	w := q.s.w
	if !q.extended {
		w.Str("* SEARCH")
		for _, h := range found {
			w.Byte(' ')
			w.Num(uint64(h.number))
		}
		w.CRLF()
		return
	}
	if !q.min && !q.max && !q.all && !q.count {
		return // SAVE alone says nothing
	}
	w.Str("* ESEARCH (TAG ")
	w.String(q.s.tag)
	w.Byte(')')
	if q.s.uid {
		w.Str(" UID")
	}
	if q.min && len(found) > 0 {
		w.Str(" MIN ")
		w.Num(uint64(found[0].number))
	}
	if q.max && len(found) > 0 {
		w.Str(" MAX ")
		w.Num(uint64(found[len(found)-1].number))
	}
	if q.count {
		w.Str(" COUNT ")
		w.Num(uint64(len(found)))
	}
	if q.all && len(found) > 0 {
		w.Str(" ALL ")
		list := make([]uint32, len(found))
		for i, h := range found {
			list[i] = h.number
		}
		w.Set(list)
	}
	w.CRLF()
}

// searchBatch is how many rows are read at once.
const searchBatch = 256

// find evaluates the keys: what the snapshot answers first, for every message;
// then, for those left, rows in batches, and bytes only where all else fits.
func (q *searching) find(ctx context.Context) (found []hit, err error) {
	v := q.s.view
	quick, slow := q.root.split()
	x := &examined{ctx: ctx, s: q.s}
	defer x.close()
	batch := make([]examined, 0, searchBatch)
	flush := func() error {
		if err := q.load(ctx, batch); err != nil {
			return err
		}
		for i := range batch {
			m := &batch[i]
			ok, err := slow.matches(m)
			m.close()
			switch {
			case errors.Is(err, mailbox.ErrExpunged): // gone meanwhile, and no match
			case err != nil:
				return err
			case ok:
				found = append(found, m.hit())
			}
		}
		batch = batch[:0]
		return ctx.Err()
	}
	for pos := range v.count() {
		e, ok := v.at(pos)
		if !ok {
			continue
		}
		x.pos, x.entry = pos, e
		if ok, err := quick.matches(x); err != nil {
			return nil, err
		} else if !ok {
			continue
		}
		if slow == nil {
			found = append(found, x.hit())
			continue
		}
		if batch = append(batch, examined{ctx: ctx, s: q.s, pos: pos, entry: e}); len(batch) == searchBatch {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	if len(batch) > 0 {
		err = flush()
	}
	return found, err
}

// load reads the rows of a batch; messages without one are taken out of it.
func (q *searching) load(ctx context.Context, batch []examined) error {
	ids := make([]int64, len(batch))
	at := make(map[int64][]int, len(batch))
	for i := range batch {
		ids[i] = batch[i].entry.Email
		at[ids[i]] = append(at[ids[i]], i)
	}
	return q.s.srv.Mailboxes.Emails(ctx, ids, func(e *mailbox.Email) error {
		for _, i := range at[e.ID] {
			batch[i].row = e
		}
		return nil
	})
}

// hit gives the message as the command counts.
func (x *examined) hit() hit {
	if x.s.uid {
		return hit{x.entry.UID, x.entry.UID}
	}
	return hit{uint32(x.pos + 1), x.entry.UID}
}
