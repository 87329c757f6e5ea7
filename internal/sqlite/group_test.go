package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// hold stops the writer inside a transaction until the returned func is called,
// so that what is handed in meanwhile becomes one batch.
func hold(db *DB) func() {
	in, out := make(chan bool), make(chan bool)
	var once sync.Once // fn may run twice
	var wg sync.WaitGroup
	wg.Go(func() {
		db.Update(context.Background(), func(tx *Tx) error {
			once.Do(func() { in <- true; <-out })
			return nil
		})
	})
	<-in
	return func() { close(out); wg.Wait() }
}

// waitQueue waits until n requests stand behind the held one.
func waitQueue(db *DB, n int) {
	for {
		db.mu.Lock()
		got := len(db.queue)
		db.mu.Unlock()
		if got == n {
			return
		}
		runtime.Gosched()
	}
}

// batch runs 32 updates as one batch; the one numbered bad runs odd.
func batch(t *testing.T, db *DB, ctx context.Context, bad int, odd func(*Tx) error) []error {
	t.Helper()
	release := hold(db)
	errs := make([]error, 32)
	var wg sync.WaitGroup
	for i := range errs {
		c, fn := context.Background(), put(fmt.Sprint("row ", i))
		if i == bad {
			c, fn = ctx, odd
		}
		wg.Go(func() { errs[i] = db.Update(c, fn) })
		waitQueue(db, i+1)
	}
	release()
	wg.Wait()
	return errs
}

// wantOthers checks that all but bad were answered nil and are there.
func wantOthers(t *testing.T, db *DB, errs []error, bad int) {
	t.Helper()
	for i, err := range errs {
		if i != bad && err != nil {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	if n := count(t, db); n != 31 {
		t.Errorf("%d rows, want 31", n)
	}
}

func TestBatchErrorHurtsNobody(t *testing.T) {
	t.Parallel()
	own := errors.New("own error")
	for _, bad := range []int{0, 15, 31} {
		db := openKV(t, Options{})
		dropped := false
		errs := batch(t, db, context.Background(), bad, func(tx *Tx) error {
			tx.AfterCommit(func() { dropped = true })
			if err := put("half")(tx); err != nil {
				return err
			}
			return fmt.Errorf("wrapped: %w", own)
		})
		if !errors.Is(errs[bad], own) {
			t.Errorf("bad one got %v", errs[bad])
		}
		if dropped {
			t.Error("hook of a failed fn ran")
		}
		wantOthers(t, db, errs, bad)
		if s := db.Stats(); s.Reruns != 0 {
			t.Errorf("%+v", s)
		}
	}
}

func TestBatchPanicHurtsNobody(t *testing.T) {
	t.Parallel()
	for _, bad := range []int{0, 15, 31} {
		db := openKV(t, Options{})
		errs := batch(t, db, context.Background(), bad, func(tx *Tx) error {
			put("half")(tx)
			panic("oops")
		})
		var p *PanicError
		if !errors.As(errs[bad], &p) || p.Value != "oops" || len(p.Stack) == 0 {
			t.Errorf("bad one got %v", errs[bad])
		}
		wantOthers(t, db, errs, bad)
	}
}

func TestBatchCancelHurtsNobody(t *testing.T) {
	t.Parallel()
	t.Run("before it begins", func(t *testing.T) {
		t.Parallel()
		db := openKV(t, Options{})
		ctx, cancel := context.WithCancel(context.Background())
		release := hold(db)
		ran := false
		errs := make([]error, 32)
		var wg sync.WaitGroup
		for i := range errs {
			c, fn := context.Background(), put(i)
			if i == 15 {
				c, fn = ctx, func(*Tx) error { ran = true; return nil }
			}
			wg.Go(func() { errs[i] = db.Update(c, fn) })
			waitQueue(db, i+1)
		}
		cancel()
		release()
		wg.Wait()
		if !errors.Is(errs[15], context.Canceled) || ran {
			t.Errorf("got %v, ran %v", errs[15], ran)
		}
		wantOthers(t, db, errs, 15)
	})
	t.Run("while it runs", func(t *testing.T) {
		t.Parallel()
		db := openKV(t, Options{})
		ctx, cancel := context.WithCancel(context.Background())
		left := make(chan bool)
		go func() { <-ctx.Done(); close(left) }()
		errs := batch(t, db, ctx, 15, func(tx *Tx) error {
			cancel()
			<-left
			return put("still written")(tx)
		})
		if errs[15] != nil && !errors.Is(errs[15], context.Canceled) {
			t.Errorf("got %v", errs[15])
		}
		for i, err := range errs {
			if i != 15 && err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
		}
		if n := count(t, db); n != 32 {
			t.Errorf("%d rows, want 32", n)
		}
	})
}

func TestBatchDiskFullHurtsNobody(t *testing.T) {
	t.Parallel()
	for _, bad := range []int{0, 15, 31} {
		db := openKV(t, Options{})
		err := db.between(context.Background(), func(c *conn) error { return c.script("PRAGMA max_page_count=40") })
		if err != nil {
			t.Fatal(err)
		}
		errs := batch(t, db, context.Background(), bad, put(make([]byte, 200_000)))
		if !errors.Is(errs[bad], ErrFull) || errors.Is(errs[bad], ErrFailed) {
			t.Errorf("bad one got %v", errs[bad])
		}
		wantOthers(t, db, errs, bad)
		if err := db.Update(context.Background(), put("after")); err != nil {
			t.Error(err)
		}
	}
}

// An fn that hides that its transaction was lost must not be told nil.
func TestSwallowedDiskFull(t *testing.T) {
	t.Parallel()
	db := openKV(t, Options{})
	err := db.between(context.Background(), func(c *conn) error { return c.script("PRAGMA max_page_count=40") })
	if err != nil {
		t.Fatal(err)
	}
	errs := batch(t, db, context.Background(), 15, func(tx *Tx) error {
		put("half")(tx)
		put(make([]byte, 200_000))(tx)
		return nil
	})
	if errs[15] == nil {
		t.Error("told nil")
	}
	wantOthers(t, db, errs, 15)
}

func TestFailedSyncEndsTheRightToSayOK(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kv.db")
	var fatal atomic.Int32
	called := make(chan error, 9)
	db := openAt(t, path, Options{Fatal: func(err error) { fatal.Add(1); called <- err }})
	if err := db.Update(context.Background(), put("before")); err != nil {
		t.Fatal(err)
	}
	release := hold(db)
	errs := make([]error, 32)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = db.Update(context.Background(), put(i)) })
		waitQueue(db, i+1)
	}
	db.disk.state.fail.Store(1) // one sync fails; the next would succeed
	release()
	wg.Wait()
	for i, err := range errs {
		if !errors.Is(err, ErrFailed) {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	if err := <-called; !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
	for range 3 {
		if err := db.Update(context.Background(), put("after")); !errors.Is(err, ErrFailed) {
			t.Errorf("later caller: %v", err)
		}
	}
	if n := fatal.Load(); n != 1 {
		t.Errorf("Fatal called %d times", n)
	}
}

func TestFailedCheckpointIsFatal(t *testing.T) {
	t.Parallel()
	called := make(chan error, 1)
	db := openKV(t, Options{Fatal: func(err error) { called <- err }})
	if err := db.Update(context.Background(), put("row")); err != nil {
		t.Fatal(err)
	}
	db.disk.state.fail.Store(-1)
	if err := db.Checkpoint(context.Background()); !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
	if err := <-called; !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
	if err := db.Update(context.Background(), put("after")); !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
}

func TestDeferredConstraintHurtsNobody(t *testing.T) {
	t.Parallel()
	db := openKV(t, Options{})
	err := db.Update(context.Background(), func(tx *Tx) error {
		_, err := tx.Exec("CREATE TABLE child (k INTEGER REFERENCES kv DEFERRABLE INITIALLY DEFERRED)")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	errs := batch(t, db, context.Background(), 15, func(tx *Tx) error {
		_, err := tx.Exec("INSERT INTO child VALUES (99999)")
		return err
	})
	if !errors.Is(errs[15], ErrConstraint) {
		t.Errorf("bad one got %v", errs[15])
	}
	wantOthers(t, db, errs, 15)
}

// A batch whose log is longer than one write is committed, not run again.
func TestLargeBatch(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kv.db")
	db := openAt(t, path, Options{})
	release := hold(db)
	var wg sync.WaitGroup
	for g := range 32 {
		wg.Go(func() {
			for i := range 10 {
				b := make([]byte, 20_000)
				copy(b, fmt.Sprint(g, " ", i))
				if err := db.Update(context.Background(), put(b)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	waitQueue(db, 32)
	release()
	wg.Wait()
	if n := count(t, db); n != 320 {
		t.Errorf("%d rows", n)
	}
	if s := db.Stats(); s.Reruns != 0 || s.Commits >= s.Updates {
		t.Errorf("%+v", s)
	}
	if err := db.Checkpoint(context.Background()); err != nil {
		t.Error(err)
	}
	if err := Verify(context.Background(), path); err != nil {
		t.Error(err)
	}
}

// An fn that ends its goroutine (a test's FailNow, say) leaves nobody waiting.
func TestGoexitAnswersEverybody(t *testing.T) {
	t.Parallel()
	db := openKV(t, Options{})
	errs := batch(t, db, context.Background(), 15, func(*Tx) error { runtime.Goexit(); return nil })
	told := 0
	for _, err := range errs {
		if errors.Is(err, ErrFailed) {
			told++
		}
	}
	if told == 0 {
		t.Error("nobody was told")
	}
	if err := db.Update(context.Background(), put("after")); !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
}

// waitIdle waits until nobody writes, so that the next caller does it himself.
func waitIdle(db *DB) {
	for idle := false; !idle; runtime.Gosched() {
		db.mu.Lock()
		idle = db.idle
		db.mu.Unlock()
	}
}

// Who runs his own fn is told what came of it, whatever his context says.
func TestAloneIsToldTheOutcome(t *testing.T) {
	t.Parallel()
	db := openKV(t, Options{})
	waitIdle(db)
	ctx, cancel := context.WithCancel(context.Background())
	if err := db.Update(ctx, func(tx *Tx) error { cancel(); return put("row")(tx) }); err != nil {
		t.Error(err)
	}
	if n := count(t, db); n != 1 {
		t.Errorf("%d rows", n)
	}
	if err := db.Update(ctx, put("dropped")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// What comes while a caller writes is the writer's, when it does not fit into the batch.
func TestWriterFollowsCaller(t *testing.T) {
	t.Parallel()
	db := openKV(t, Options{})
	waitIdle(db)
	release := hold(db)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			large := make([]byte, batchBytes)
			large[0] = byte(i)
			if err := db.Update(context.Background(), put(large)); err != nil {
				t.Errorf("caller %d: %v", i, err)
			}
		})
		waitQueue(db, i+1)
	}
	release()
	wg.Wait()
	if n := count(t, db); n != 8 {
		t.Errorf("%d rows", n)
	}
	waitIdle(db)
}

// A caller whose fn ends his goroutine leaves the place to nobody.
func TestGoexitAlone(t *testing.T) {
	t.Parallel()
	db := openKV(t, Options{})
	waitIdle(db)
	var wg sync.WaitGroup
	wg.Go(func() {
		db.Update(context.Background(), func(*Tx) error { runtime.Goexit(); return nil })
	})
	wg.Wait()
	if err := db.Update(context.Background(), put("after")); !errors.Is(err, ErrFailed) {
		t.Error(err)
	}
}
