package blob

import (
	"bytes"
	"context"
	"errors"
	"os"
	"sync"
	"testing"

	"mailstead/internal/sqlite"
)

// One sync that fails ends all promises: there is no second try.
func TestFailedSyncIsFatal(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	called := make(chan error, 9)
	p.s.o.Fatal = func(err error) { called <- err }
	ctx := context.Background()
	waiting := p.put(letter(100))
	defer waiting.Close()
	d := p.put(letter(50_000))
	defer d.Close()
	p.s.stop = func(step string) {
		if step == "settle: written" {
			d.file.Close() // its sync will fail
		}
	}
	if err := d.Settle(ctx, 7); !errors.Is(err, ErrFailed) {
		t.Fatalf("settle: %v", err)
	}
	if err := <-called; !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
	p.s.stop = nil
	if _, err := p.s.Put(ctx, bytes.NewReader(nil)); !errors.Is(err, ErrFailed) {
		t.Errorf("put: %v", err)
	}
	err := p.db.Update(ctx, func(tx *sqlite.Tx) error { _, err := waiting.Commit(tx); return err })
	if !errors.Is(err, ErrFailed) {
		t.Errorf("commit: %v", err)
	}
	if err := p.s.Run(ctx); !errors.Is(err, ErrFailed) {
		t.Errorf("run: %v", err)
	}
	if len(called) != 0 {
		t.Error("Fatal was called again")
	}
	if got := p.files(); len(got) != 0 {
		t.Errorf("files %v", got)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error)
	go func() { ran <- p.s.Run(ctx) }()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 12 {
				size := []int{300, 9000, 30_000, 1_200_000}[(g+i)%4]
				owners := [][]int64{{1}, {2}, {1, 2}, {Queue}}[i%4]
				id := p.accept(letter(size), owners...)
				p.want(id, letter(size))
				if i%3 == 0 {
					for _, o := range owners {
						p.unref(id, o)
					}
				}
				if i == 6 {
					p.reapAll()
				}
			}
		})
	}
	wg.Wait()
	cancel()
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	p.file()
	p.reapAll()
	p.sound("at the end")
	if n := len(p.files()); n < 64 {
		t.Errorf("%d files", n)
	}
}

// waitedFor is a context that tells when somebody begins to wait for its end.
type waitedFor struct {
	context.Context
	once  sync.Once
	begun chan bool
}

func (c *waitedFor) Done() <-chan struct{} {
	c.once.Do(func() { close(c.begun) })
	return c.Context.Done()
}

// An update that was given up may still be accepted: its file must stay. It can
// be given up only while somebody else's goroutine runs it.
func TestGivenUpButAccepted(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	d := p.put(letter(50_000))
	if err := d.Settle(context.Background(), 7); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	running, left := make(chan bool), make(chan bool)
	ids := make(chan ID, 2)
	go func() {
		<-running
		cancel()
	}()
	waits := &waitedFor{Context: ctx, begun: make(chan bool)}
	held := make(chan bool)
	go p.db.Update(context.Background(), func(*sqlite.Tx) error {
		close(held)
		<-waits.begun
		return nil
	})
	<-held
	err := p.db.Update(waits, func(tx *sqlite.Tx) error {
		id, err := d.Commit(tx)
		if err == nil {
			err = p.s.Ref(tx, id, 7)
		}
		ids <- id
		close(running)
		<-left
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	closed := make(chan error)
	go func() { closed <- d.Close() }()
	close(left)
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	p.want(<-ids, letter(50_000))
	p.sound("given up")
}

// A filer that is told to stop while its commit is under way leaves a file
// alone that the commit makes the authority.
func TestFilerStoppedDuringItsCommit(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 20} {
		p := newPlace(t)
		var ids []ID
		for range n {
			ids = append(ids, p.accept(letter(3000), Queue))
		}
		ctx, cancel := context.WithCancel(context.Background())
		held, release := make(chan bool), make(chan bool)
		go p.db.Update(context.Background(), func(tx *sqlite.Tx) error {
			close(held)
			<-release
			return nil
		})
		<-held
		p.s.stop = func(step string) {
			if step == "file: synced whole" || step == "file: folders synced" {
				cancel()
				close(release)
			}
		}
		if err := p.s.File(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		p.s.stop = nil
		p.file()
		for _, id := range ids {
			p.want(id, letter(3000))
		}
		p.sound("stopped")
	}
}

// Where a crowd was unlinked no new files are made: ext4 would step over each of
// the deleted inodes for each of them.
func TestNewFolderAfterACrowdHasGone(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	leave := func(n int, file bool) ID {
		var ids []ID
		for range n {
			ids = append(ids, p.accept(letter(10), 7))
		}
		if file {
			p.file()
		}
		for _, id := range ids {
			p.unref(id, 7)
		}
		p.reapAll()
		return p.accept(letter(10), 7)
	}
	few, inline, many := leave(crowd-1, true), leave(crowd, false), leave(crowd, true)
	if few/perFolder != 0 || inline/perFolder != 0 || many != perFolder {
		t.Errorf("next ids: %d after a few, %d after inline ones, %d after a crowd", few, inline, many)
	}
	p.file()
	p.unref(few, 7)
	p.unref(inline, 7)
	p.reapAll()
	if _, err := os.Stat(p.s.folder(few, 7)); err == nil {
		t.Error("the empty folder is still there")
	}
	p.reopen()
	if id := p.accept(letter(10), 7); id <= perFolder {
		t.Errorf("id %d after a start", id)
	}
	p.sound("after a crowd")
}

// A snapshot may know a body that is gone: its id must never name another one.
func TestIDsAreNeverGivenOutAgain(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	var last ID
	for range 3 {
		for range 70 {
			reaped, relayed := p.accept(letter(10), 7), p.accept(letter(10), Queue)
			if reaped <= last {
				t.Fatalf("id %d after %d", reaped, last)
			}
			last = relayed
			p.unref(reaped, 7)
			p.unref(relayed, Queue)
		}
		p.reapAll()
		p.reopen()
	}
	if last > 3*(140+topAhead) {
		t.Errorf("ids run away: %d", last)
	}
}
