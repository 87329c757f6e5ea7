package mailbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mailstead/internal/sqlite"
)

// Snapshot returns the mailbox as it is now, advancing the cached one.
// Errors: ErrNotExist when the mailbox is gone.
func (s *Store) Snapshot(ctx context.Context, mailbox int64) (*Snapshot, error) {
	sl := s.snapshots.slot(mailbox)
	sl.mu.Lock()
	defer sl.mu.Unlock()
	if sl.snap != nil && sl.snap.modseq >= sl.latest.Load() {
		return sl.snap, nil
	}
	v, err := s.load(ctx, sl.snap, mailbox)
	if err != nil {
		if errors.Is(err, ErrNotExist) {
			s.snapshots.drop(mailbox)
		}
		return nil, fmt.Errorf("mailbox %d: %w", mailbox, err)
	}
	sl.snap = v
	s.snapshots.weigh(sl, v.weight())
	return v, nil
}

// head is what a snapshot needs of the mailbox's row.
type head struct {
	validity, next  uint32
	modseq, floor   uint64
	messages, state int
}

// load reads the rows that lead from old to now, or all of them.
func (s *Store) load(ctx context.Context, old *Snapshot, mailbox int64) (v *Snapshot, err error) {
	err = s.db.View(ctx, func(tx *sqlite.Tx) error {
		v, err = s.loadTx(tx, old, mailbox)
		return err
	})
	return v, err
}

func (s *Store) loadTx(tx *sqlite.Tx, old *Snapshot, mailbox int64) (*Snapshot, error) {
	var h head
	err := tx.QueryRow(`SELECT uidvalidity, uidnext, modseq, floor, messages, state FROM mailbox WHERE id = ?`, mailbox).
		Scan(&h.validity, &h.next, &h.modseq, &h.floor, &h.messages, &h.state)
	switch {
	case errors.Is(err, sqlite.ErrNoRows) || err == nil && h.state != stateReal:
		return nil, ErrNotExist
	case err != nil:
		return nil, err
	}
	v := &Snapshot{mailbox: mailbox, uidValidity: h.validity, uidNext: h.next, modseq: h.modseq}
	if old != nil && old.uidValidity == h.validity && old.modseq >= h.floor && old.modseq <= h.modseq {
		if old.modseq == h.modseq {
			return old, nil
		}
		if err := v.advance(tx, old); err != nil {
			return nil, err
		}
		if v.n == h.messages {
			return v, nil
		}
		s.log.Error("snapshot does not match its counter, loading anew", "mailbox", mailbox, "have", v.n, "want", h.messages)
	}
	return v, v.loadAll(tx, h.messages)
}

func (v *Snapshot) loadAll(tx *sqlite.Tx, n int) error {
	rows, err := tx.Query(`SELECT uid, email, flags, modseq, keywords FROM placement WHERE mailbox = ? ORDER BY uid`, v.mailbox)
	if err != nil {
		return err
	}
	v.sets = [][]string{nil}
	all := make([]entry, 0, n)
	if all, err = v.read(rows, all); err != nil {
		return err
	}
	v.build(divide(all))
	return nil
}

// divide cuts a list into runs. Each run's array ends with it, but the last's.
func divide(all []entry) (out []*run) {
	for len(all) > runLength {
		out = append(out, &run{all[:runLength:runLength]})
		all = all[runLength:]
	}
	if len(all) > 0 {
		out = append(out, &run{all})
	}
	return out
}

// read takes the rows of a SELECT uid, email, flags, modseq, keywords.
func (v *Snapshot) read(rows *sqlite.Rows, out []entry) ([]entry, error) {
	defer rows.Close()
	var known map[string]uint32 // made when the first keyword comes
	var (
		e        entry
		flags    uint32
		modseq   int64
		keywords string
	)
	dest := []any{&e.uid, &e.email, &flags, &modseq, &keywords}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		e.bits, e.modseq = flags, uint64(modseq)
		if keywords != "" {
			if known == nil {
				known = v.knownSets()
			}
			set, ok := known[keywords]
			if !ok {
				set = uint32(len(v.sets))
				known[keywords] = set
				// A new array each time: older snapshots share the former one.
				v.sets = append(slices.Clip(v.sets), strings.Split(keywords, " "))
			}
			e.bits |= set << setShift
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// knownSets gives the index of each list of keywords in its kept form.
func (v *Snapshot) knownSets() map[string]uint32 {
	known := make(map[string]uint32, len(v.sets))
	for i, set := range v.sets {
		known[strings.Join(set, " ")] = uint32(i)
	}
	return known
}

// advance applies what happened since old: rows with a greater mod-sequence and
// the log of expunges.
func (v *Snapshot) advance(tx *sqlite.Tx, old *Snapshot) error {
	v.sets = old.sets
	rows, err := tx.Query(`SELECT uid, email, flags, modseq, keywords FROM placement WHERE mailbox = ? AND modseq > ?`, v.mailbox, old.modseq)
	if err != nil {
		return err
	}
	changed, err := v.read(rows, nil)
	if err != nil {
		return err
	}
	gone, err := expungedSince(tx, v.mailbox, old.modseq)
	if err != nil {
		return err
	}
	slices.SortFunc(changed, func(a, b entry) int { return compareUID(a, b.uid) })
	v.build(old.apply(changed, gone))
	return nil
}

// expungedSince gives the UIDs that went after modseq, ascending.
func expungedSince(tx *sqlite.Tx, mailbox int64, modseq uint64) (uids []uint32, err error) {
	rows, err := tx.Query(`SELECT uid FROM expunged WHERE mailbox = ? AND modseq > ?`, mailbox, modseq)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var uid uint32
		if err := rows.Scan(&uid); err != nil {
			return nil, err
		}
		uids = append(uids, uid)
	}
	slices.Sort(uids)
	return uids, rows.Err()
}

// apply gives the chunks after changes (ascending; UIDs from uidNext on are new)
// and removals (ascending; unknown ones came and went since).
func (v *Snapshot) apply(changed []entry, gone []uint32) []*run {
	at, _ := slices.BinarySearchFunc(changed, v.uidNext, compareUID)
	changed, added := changed[:at], changed[at:]
	out := make([]*run, 0, len(v.chunks)+1+len(added)/runLength)
	for _, c := range v.chunks {
		last := c.last()
		i, _ := slices.BinarySearchFunc(changed, last+1, compareUID)
		j, _ := slices.BinarySearch(gone, last+1)
		if i > 0 || j > 0 {
			c = c.apply(changed[:i], gone[:j])
			changed, gone = changed[i:], gone[j:]
		}
		if len(c.entries) > 0 {
			out = append(out, c)
		}
	}
	if out = extend(out, added); sparse(out) {
		return divide(gather(out))
	}
	return out
}

// apply copies the run with its changes.
func (c *run) apply(changed []entry, gone []uint32) *run {
	out := make([]entry, 0, len(c.entries))
	for _, e := range c.entries {
		for len(gone) > 0 && gone[0] < e.uid {
			gone = gone[1:]
		}
		for len(changed) > 0 && changed[0].uid < e.uid {
			changed = changed[1:]
		}
		if len(gone) > 0 && gone[0] == e.uid {
			continue
		}
		if len(changed) > 0 && changed[0].uid == e.uid {
			e = changed[0]
		}
		out = append(out, e)
	}
	return &run{out}
}

// extend adds new entries. The last run grows into the room behind it, which no
// reader of an older snapshot looks at; only the holder of the slot's lock
// extends, and only the newest snapshot, so nobody else writes there.
func extend(runs []*run, added []entry) []*run {
	for len(added) > 0 {
		n := len(runs)
		if n == 0 || len(runs[n-1].entries) >= runLength {
			take := min(len(added), runLength)
			runs = append(runs, &run{slices.Clone(added[:take])})
			added = added[take:]
			continue
		}
		last := runs[n-1].entries
		take := min(len(added), runLength-len(last))
		runs[n-1] = &run{append(last, added[:take]...)}
		added = added[take:]
	}
	return runs
}

// sparse tells whether expunges left so many small runs that they should be
// gathered.
func sparse(runs []*run) bool {
	n := 0
	for _, c := range runs {
		n += len(c.entries)
	}
	return len(runs) > 8+4*n/runLength
}

func gather(runs []*run) []entry {
	var all []entry
	for _, c := range runs {
		all = append(all, c.entries...)
	}
	return all
}

// weight is the memory of a snapshot that nothing else shares.
func (v *Snapshot) weight() int { return 24*v.n + 64*len(v.chunks) + 256 }
