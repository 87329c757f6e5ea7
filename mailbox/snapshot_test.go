package mailbox

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// model is a mailbox as plain lists.
type model struct {
	entries []entry
	next    uint32
	modseq  uint64
}

func (m *model) snapshot() *Snapshot {
	v := &Snapshot{mailbox: 1, uidValidity: 1, uidNext: m.next, modseq: m.modseq, sets: [][]string{nil}}
	return v.build(divide(slices.Clone(m.entries)))
}

// step changes the model at random and returns what advance would read.
func (m *model) step(r *rand.Rand) (changed []entry, gone []uint32) {
	m.modseq++
	for range r.IntN(3) {
		if len(m.entries) == 0 {
			break
		}
		i := r.IntN(len(m.entries))
		n := min(1+r.IntN(700), len(m.entries)-i)
		for _, e := range m.entries[i : i+n] {
			gone = append(gone, e.uid)
		}
		m.entries = slices.Delete(m.entries, i, i+n)
	}
	for range r.IntN(20) {
		if len(m.entries) > 0 {
			e := &m.entries[r.IntN(len(m.entries))]
			e.modseq, e.bits = m.modseq, uint32(r.IntN(32))
		}
	}
	for range r.IntN(600) {
		m.entries = append(m.entries, entry{modseq: m.modseq, uid: m.next, email: int64(m.next)})
		m.next++
		if r.IntN(9) == 0 {
			gone = append(gone, m.next) // came and went between two looks
			m.next++
		}
	}
	for _, e := range m.entries {
		if e.modseq == m.modseq {
			changed = append(changed, e)
		}
	}
	slices.Sort(gone)
	return changed, gone
}

// An advanced snapshot equals one loaded anew; a Diff replayed on the older
// gives the newer; what an older reader holds never changes.
func TestSnapshotAdvances(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		m := &model{next: 1, modseq: 1}
		v := m.snapshot()
		var kept []*Snapshot
		var copies [][]Entry
		for range 40 {
			changed, gone := m.step(r)
			next := &Snapshot{mailbox: 1, uidValidity: 1, uidNext: m.next, modseq: m.modseq, sets: v.sets}
			next.build(v.apply(changed, gone))
			if diff := compare(entries(m.snapshot()), entries(next)); diff != "" {
				t.Fatalf("advanced differs from loaded (-want +got):\n%s", diff)
			}
			if diff := compare(entries(next), replay(v, next)); diff != "" {
				t.Fatalf("replayed diff (-want +got):\n%s", diff)
			}
			kept, copies = append(kept, next), append(copies, entries(next))
			v = next
		}
		for i, k := range kept {
			if diff := compare(copies[i], entries(k)); diff != "" {
				t.Fatalf("snapshot %d changed under its reader:\n%s", i, diff)
			}
			if diff := compare(entries(v), replay(k, v)); diff != "" {
				t.Fatalf("replayed diff from %d:\n%s", i, diff)
			}
		}
	}
}

// compare is cmp.Diff, which is slow, for lists that are mostly equal.
func compare(want, got []Entry) string {
	equal := slices.EqualFunc(want, got, func(a, b Entry) bool {
		return a.UID == b.UID && a.Flags == b.Flags && a.ModSeq == b.ModSeq && a.Email == b.Email && slices.Equal(a.Keywords, b.Keywords)
	})
	if equal {
		return ""
	}
	return cmp.Diff(want, got)
}

func entries(v *Snapshot) []Entry {
	out := make([]Entry, 0, v.Len())
	for i, e := range v.All {
		if i != len(out) {
			panic("All counts wrongly")
		}
		out = append(out, e)
	}
	return out
}

// replay applies v.Diff(old) to old, taking new content from v.
func replay(old, v *Snapshot) []Entry {
	d := v.Diff(old)
	out := make([]Entry, 0, v.Len())
	gone := d.Expunged
	for i := range old.Len() {
		if len(gone) > 0 && gone[0] == i {
			gone = gone[1:]
			continue
		}
		out = append(out, old.At(i))
	}
	for _, i := range d.Changed {
		out[i] = v.At(i)
	}
	if len(out) != d.Added {
		panic("Added does not follow what was kept")
	}
	for i := d.Added; i < v.Len(); i++ {
		out = append(out, v.At(i))
	}
	return out
}

func TestSnapshotIndex(t *testing.T) {
	var all []entry
	for i := range 1500 {
		all = append(all, entry{uid: uint32(3 * (i + 1))})
	}
	v := (&Snapshot{sets: [][]string{nil}}).build(divide(all))
	for uid := range uint32(4600) {
		want, exact := slices.BinarySearchFunc(all, uid, compareUID)
		if i, ok := v.Index(uid); i != want || ok != exact {
			t.Fatalf("Index(%d) = %d, %v, want %d, %v", uid, i, ok, want, exact)
		}
	}
	for i := range v.Len() {
		if got := v.At(i).UID; got != all[i].uid {
			t.Fatalf("At(%d) = %d, want %d", i, got, all[i].uid)
		}
	}
}

func TestSpans(t *testing.T) {
	var all []entry
	for _, uid := range []uint32{2, 4, 6, 8, 10, 12, 14} {
		all = append(all, entry{uid: uid})
	}
	v := (&Snapshot{sets: [][]string{nil}}).build(divide(all))
	for _, tt := range []struct {
		uids []uint32
		want []span
	}{
		{nil, nil},
		{[]uint32{1, 3}, nil},
		{[]uint32{4, 5, 6, 10}, []span{{4, 6, 2}, {10, 10, 1}}},
		{[]uint32{10, 6, 4, 4}, []span{{4, 6, 2}, {10, 10, 1}}},
		{[]uint32{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 99}, []span{{2, 14, 7}}},
	} {
		if diff := cmp.Diff(tt.want, v.spans(tt.uids), cmp.AllowUnexported(span{})); diff != "" {
			t.Errorf("spans(%v) (-want +got):\n%s", tt.uids, diff)
		}
	}
}
