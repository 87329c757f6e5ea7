package mailbox

import (
	"slices"
	"sort"
	"sync"
)

// Flags are the system flags of RFC 9051, 2.3.2.
type Flags uint8

const (
	Seen Flags = 1 << iota
	Answered
	Flagged
	Deleted
	Draft
)

// Entry is one message of a Snapshot. Keywords points to a shared, sorted list.
type Entry struct {
	UID      uint32
	Flags    Flags
	ModSeq   uint64
	Email    int64
	Keywords []string
}

// Snapshot is the immutable list of a mailbox's messages at one mod-sequence,
// shared by all sessions.
//
// Entries lie in chunks. What leads to the next snapshot copies the chunks it
// touches and shares the others, so that 100,000 messages take 2.4 MB once and a
// changed flag 12 KB more while an older snapshot is still held.
type Snapshot struct {
	mailbox     int64
	uidValidity uint32
	uidNext     uint32
	modseq      uint64
	chunks      []*run
	starts      []int      // index of each chunk's first entry
	n           int        // entries
	sets        [][]string // keyword lists in use since the mailbox was loaded; 0 is none
	keywords    func() []string
}

// run is a chunk of a Snapshot: entries of ascending UIDs, never changed once a
// snapshot holds it. The array behind it may have room that a later run extends.
type run struct{ entries []entry }

// runLength is how many entries a chunk holds at most.
const runLength = 512

// entry is 24 bytes. bits holds the flags below and the index into sets above.
type entry struct {
	modseq uint64
	email  int64
	uid    uint32
	bits   uint32
}

const setShift = 8 // 5 flags, 3 to spare

func (e *entry) flags() Flags { return Flags(e.bits & (1<<setShift - 1)) }
func (e *entry) set() int     { return int(e.bits >> setShift) }

// build makes the snapshot from its parts.
func (v *Snapshot) build(chunks []*run) *Snapshot {
	v.chunks, v.n = chunks, 0
	v.starts = make([]int, len(chunks))
	for i, c := range chunks {
		v.starts[i] = v.n
		v.n += len(c.entries)
	}
	v.keywords = sync.OnceValue(v.findKeywords)
	return v
}

func (v *Snapshot) Mailbox() int64      { return v.mailbox }
func (v *Snapshot) UIDValidity() uint32 { return v.uidValidity }
func (v *Snapshot) UIDNext() uint32     { return v.uidNext }
func (v *Snapshot) ModSeq() uint64      { return v.modseq }
func (v *Snapshot) Len() int            { return v.n }

// At gives the entry of index i (sequence number i+1).
func (v *Snapshot) At(i int) Entry {
	c := sort.Search(len(v.starts), func(c int) bool { return v.starts[c] > i }) - 1
	return v.entry(&v.chunks[c].entries[i-v.starts[c]])
}

func (v *Snapshot) entry(e *entry) Entry {
	return Entry{UID: e.uid, Flags: e.flags(), ModSeq: e.modseq, Email: e.email, Keywords: v.sets[e.set()]}
}

// All gives every entry with its index, in order.
func (v *Snapshot) All(yield func(int, Entry) bool) {
	i := 0
	for _, c := range v.chunks {
		for j := range c.entries {
			if !yield(i, v.entry(&c.entries[j])) {
				return
			}
			i++
		}
	}
}

// Index finds a UID: its index, or where it would stand and false.
func (v *Snapshot) Index(uid uint32) (int, bool) {
	c := sort.Search(len(v.chunks), func(c int) bool { return v.chunks[c].last() >= uid })
	if c == len(v.chunks) {
		return v.n, false
	}
	i, ok := slices.BinarySearchFunc(v.chunks[c].entries, uid, compareUID)
	return v.starts[c] + i, ok
}

func (c *run) last() uint32 { return c.entries[len(c.entries)-1].uid }

func compareUID(e entry, uid uint32) int {
	switch {
	case e.uid < uid:
		return -1
	case e.uid > uid:
		return 1
	}
	return 0
}

// Keywords lists every keyword in use in the mailbox, sorted.
func (v *Snapshot) Keywords() []string { return v.keywords() }

func (v *Snapshot) findKeywords() []string {
	if len(v.sets) == 1 {
		return nil
	}
	used := make([]bool, len(v.sets))
	for _, c := range v.chunks {
		for j := range c.entries {
			used[c.entries[j].set()] = true
		}
	}
	var out []string
	for i, set := range v.sets {
		if used[i] {
			out = append(out, set...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Diff is what leads from one snapshot to a later one.
type Diff struct {
	Expunged []int // ascending indexes in old
	Changed  []int // ascending indexes in v of kept messages whose flags changed
	Added    int   // first new index in v
}

// Diff is what leads from old to v: indexes refer to old for Expunged, to v for
// Changed; messages from index Added on are new. Shared chunks cost nothing.
// When UIDVALIDITY changed, all of old is expunged and all of v is new.
func (v *Snapshot) Diff(old *Snapshot) Diff {
	if v == old {
		return Diff{Added: v.n}
	}
	if v.uidValidity != old.uidValidity || v.mailbox != old.mailbox {
		d := Diff{}
		for i := range old.n {
			d.Expunged = append(d.Expunged, i)
		}
		return d
	}
	a, b := cursor{v: old}, cursor{v: v}
	var d Diff
	for !a.done() && !b.done() {
		if n := sameHead(&a, &b); n > 0 {
			a.skip(n)
			b.skip(n)
			continue
		}
		ea, eb := a.entry(), b.entry()
		switch {
		case ea.uid < eb.uid:
			d.Expunged = append(d.Expunged, a.index())
			a.skip(1)
		case ea.uid > eb.uid: // cannot be: what is new has a greater UID
			b.skip(1)
		default:
			if ea.modseq != eb.modseq {
				d.Changed = append(d.Changed, b.index())
			}
			a.skip(1)
			b.skip(1)
		}
	}
	d.Added = b.index()
	for ; !a.done(); a.skip(1) {
		d.Expunged = append(d.Expunged, a.index())
	}
	return d
}

// cursor walks a snapshot's entries.
type cursor struct {
	v    *Snapshot
	c, i int
}

func (u *cursor) done() bool    { return u.c == len(u.v.chunks) }
func (u *cursor) entry() *entry { return &u.v.chunks[u.c].entries[u.i] }
func (u *cursor) index() int {
	if u.done() {
		return u.v.n
	}
	return u.v.starts[u.c] + u.i
}

// skip stays within the chunk or goes to the start of the next.
func (u *cursor) skip(n int) {
	if u.i += n; u.i == len(u.v.chunks[u.c].entries) {
		u.c, u.i = u.c+1, 0
	}
}

// sameHead counts the entries from here to the end of a chunk that both share.
func sameHead(a, b *cursor) int {
	if a.i != 0 || b.i != 0 {
		return 0
	}
	x, y := a.v.chunks[a.c].entries, b.v.chunks[b.c].entries
	if &x[0] != &y[0] {
		return 0
	}
	return min(len(x), len(y))
}
