package mailbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"mailstead/internal/sqlite"
)

// fresh loads a snapshot past the cache, at a mod-sequence not below v's.
func (p *place) fresh(mailbox int64) (v *Snapshot) {
	p.must(p.db.View(context.Background(), func(tx *sqlite.Tx) (err error) {
		v, err = p.loadTx(tx, nil, mailbox)
		return err
	}))
	return v
}

// While several writers append, flag, copy, move and expunge, readers advance
// their views by Diff alone; each view stays what it was, and all end equal to
// what is loaded anew.
func TestSnapshotsUnderConcurrentChange(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	boxes := []int64{p.box("INBOX").ID, p.box("Archive").ID}
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	for i := range 4 {
		writers.Go(func() { p.disturb(rand.New(rand.NewPCG(7, uint64(i))), boxes, 120) })
	}
	for i := range 3 {
		readers.Go(func() { p.follow(boxes[i%2], stop) })
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	for _, id := range boxes {
		v, err := p.Snapshot(ctx, id)
		p.must(err)
		if diff := compare(entries(p.fresh(id)), entries(v)); diff != "" {
			t.Errorf("cached differs from loaded (-want +got):\n%s", diff)
		}
	}
	p.consistent()
}

// disturb does n random things.
func (p *place) disturb(r *rand.Rand, boxes []int64, n int) {
	ctx := context.Background()
	check := func(err error) {
		if err != nil {
			p.t.Error(err)
		}
	}
	for i := range n {
		box, other := boxes[r.IntN(2)], boxes[r.IntN(2)]
		v, err := p.Snapshot(ctx, box)
		check(err)
		var uids []uint32
		for i := range v.Len() {
			if r.IntN(4) == 0 {
				uids = append(uids, v.At(i).UID)
			}
		}
		switch k := r.IntN(10); {
		case k < 4 || v.Len() == 0:
			in, err := p.Receive(ctx, strings.NewReader(fmt.Sprintf("Subject: %d\r\n\r\n", i)))
			check(err)
			_, err = p.Deliver(ctx, in, alice, Placing{Mailbox: box, Flags: Flags(r.IntN(32))})
			check(err)
			in.Close()
		case k < 7:
			_, err = p.SetFlags(ctx, box, uids, FlagOp(r.IntN(3)), Flags(r.IntN(32)), []string{fmt.Sprint("k", r.IntN(3))}, 0)
			check(err)
		case k < 8:
			_, err = p.Copy(ctx, box, uids[:min(len(uids), 10)], other)
			check(err)
		case k < 9:
			_, err = p.Move(ctx, box, uids, other)
			check(err)
		default:
			_, err = p.Expunge(ctx, box, nil)
			check(err)
		}
	}
}

// follow advances a view whenever the feed speaks, until stop.
func (p *place) follow(box int64, stop <-chan struct{}) {
	w := p.Watch(alice)
	defer w.Close()
	v, err := p.Snapshot(context.Background(), box)
	if err != nil {
		p.t.Error(err)
		return
	}
	seen := entries(v)
	for {
		select {
		case <-stop:
			return
		case <-w.C:
		}
		boxes, _ := w.Take()
		next, err := p.Snapshot(context.Background(), box)
		if err != nil {
			p.t.Error(err)
			return
		}
		if next.ModSeq() < boxes[box] {
			p.t.Errorf("the feed spoke of %d, the snapshot is at %d", boxes[box], next.ModSeq())
		}
		if diff := compare(seen, entries(v)); diff != "" {
			p.t.Errorf("a view changed:\n%s", diff)
			return
		}
		got := replay(v, next)
		v, seen = next, entries(next)
		if diff := compare(seen, got); diff != "" {
			p.t.Errorf("replayed (-want +got):\n%s", diff)
			return
		}
	}
}

// A caller whose context ended while the writer was busy gets an error, not the
// result of what may be committed later, and looks at nothing the writer writes.
func TestGivenUpCallIsNotAnswered(t *testing.T) {
	p := newPlace(t)
	p.deliver("INBOX", "a", Deleted)
	inbox, trash := p.box("INBOX").ID, p.box("Trash").ID
	uids := []uint32{1}
	for name, call := range map[string]func(ctx context.Context) error{
		"create": func(ctx context.Context) error { _, err := p.Create(ctx, alice, "new", ""); return err },
		"delete": func(ctx context.Context) error { return p.Delete(ctx, alice, "Sent") },
		"flags": func(ctx context.Context) error {
			_, err := p.SetFlags(ctx, inbox, uids, AddFlags, Seen, nil, 0)
			return err
		},
		"copy":    func(ctx context.Context) error { _, err := p.Copy(ctx, inbox, uids, trash); return err },
		"move":    func(ctx context.Context) error { _, err := p.Move(ctx, inbox, uids, trash); return err },
		"expunge": func(ctx context.Context) error { _, err := p.Expunge(ctx, trash, uids); return err },
	} {
		ctx, cancel := context.WithCancel(context.Background())
		busy, free := make(chan struct{}), make(chan struct{})
		var others sync.WaitGroup
		others.Go(func() {
			p.update(func(*sqlite.Tx) error {
				close(busy)
				<-free
				return nil
			})
		})
		<-busy
		others.Go(cancel)
		if err := call(ctx); err == nil {
			t.Errorf("%s: answered before its commit", name)
		}
		close(free)
		others.Wait()
	}
	p.update(func(*sqlite.Tx) error { return nil })
	p.consistent()
}
