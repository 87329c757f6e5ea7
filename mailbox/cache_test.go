package mailbox

import (
	"context"
	"fmt"
	"testing"
)

// The cache keeps the mailboxes used last within its bound; what it dropped is
// loaded again, and a snapshot that a session holds stays what it was.
func TestCacheIsBounded(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	var ids []int64
	for i := range 20 {
		m := p.create(fmt.Sprint("box ", i), "")
		for range 10 {
			p.deliver(m.Name, "x", 0)
		}
		ids = append(ids, m.ID)
	}
	one, err := p.Snapshot(ctx, ids[0])
	p.must(err)
	p.snapshots.dropAll()
	p.snapshots.bound = 5 * one.weight()
	for _, id := range ids {
		_, err := p.Snapshot(ctx, id)
		p.must(err)
	}
	if n, used := len(p.snapshots.slots), p.snapshots.used; n > 5 || n < 4 || used > p.snapshots.bound || n != p.snapshots.order.Len() {
		t.Errorf("%d mailboxes with %d bytes are kept within %d", n, used, p.snapshots.bound)
	}
	again, err := p.Snapshot(ctx, ids[0])
	p.must(err)
	if again == one || compare(entries(one), entries(again)) != "" {
		t.Error("the dropped mailbox was not loaded anew as it was")
	}
	if same, err := p.Snapshot(ctx, ids[0]); err != nil || same != again {
		t.Errorf("an unchanged mailbox was read twice, %v", err)
	}
	p.snapshots.dropAll()
	if p.snapshots.used != 0 || p.snapshots.order.Len() != 0 {
		t.Errorf("%d bytes are left", p.snapshots.used)
	}
}

// A delivery into an open mailbox costs one new run, not a new list: all other
// runs are shared.
func TestSnapshotsShareRuns(t *testing.T) {
	p := newPlace(t)
	p.fill(5 * runLength)
	a := p.snapshot("INBOX")
	p.deliver("INBOX", "x", 0)
	_, err := p.SetFlags(context.Background(), a.Mailbox(), []uint32{1}, AddFlags, Seen, nil, 0)
	p.must(err)
	b := p.snapshot("INBOX")
	shared := 0
	for _, x := range a.chunks {
		for _, y := range b.chunks {
			if x == y {
				shared++
			}
		}
	}
	if shared != len(a.chunks)-1 {
		t.Errorf("%d of %d runs are shared", shared, len(a.chunks))
	}
	d := b.Diff(a)
	if len(d.Expunged) != 0 || len(d.Changed) != 1 || d.Changed[0] != 0 || d.Added != a.Len() {
		t.Errorf("diff is %+v", d)
	}
}
