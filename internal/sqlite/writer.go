package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A batch ends when nobody waits, and at these limits.
const (
	batchTime  = 5 * time.Millisecond
	batchBytes = 1 << 20
	yields     = 4
)

// request is one Update on its way through the writer.
type request struct {
	ctx   context.Context
	fn    func(*Tx) error
	done  chan error // room for one: the writer never waits for a caller
	hooks []func()
	raw   func(*conn) error // instead of fn: work between two batches
}

// Update hands fn to the single writer and returns when the commit that holds
// it is on stable storage. fn runs in a savepoint, has no effect outside tx,
// does no I/O and may run twice; it must not call Update or View. A cancelled
// ctx ends only the waiting, except that an fn not yet started is dropped.
// Errors: fn's own, ErrFull, ErrBusy, ErrFailed, ErrClosed, *PanicError.
func (db *DB) Update(ctx context.Context, fn func(tx *Tx) error) error {
	r := db.requests.Get().(*request)
	r.ctx, r.fn = ctx, fn
	if err := db.enqueue(r); err != nil {
		return err
	}
	select {
	case err := <-r.done:
		clear(r.hooks)
		r.ctx, r.fn, r.hooks = nil, nil, r.hooks[:0]
		db.requests.Put(r)
		return err
	case <-ctx.Done():
		return fmt.Errorf("waiting for a commit: %w", context.Cause(ctx))
	}
}

func (db *DB) enqueue(r *request) error {
	db.mu.Lock()
	if err := db.stopped; err != nil {
		db.mu.Unlock()
		return err
	}
	db.queue = append(db.queue, r)
	idle := db.idle
	db.idle = false
	db.mu.Unlock()
	if idle {
		db.wake <- struct{}{}
	}
	return nil
}

// next takes the request that waited longest; nil when none waits.
func (db *DB) next() *request {
	if db.at == len(db.taken) {
		clear(db.taken)
		db.mu.Lock()
		db.taken, db.queue = db.queue, db.taken[:0]
		db.mu.Unlock()
		db.at = 0
	}
	if db.at == len(db.taken) {
		return nil
	}
	db.at++
	return db.taken[db.at-1]
}

// await sleeps until a request waits; nil when the database was closed.
func (db *DB) await() *request {
	for {
		if r := db.next(); r != nil {
			return r
		}
		db.mu.Lock()
		if len(db.queue) > 0 {
			db.mu.Unlock()
			continue
		}
		if db.stopped != nil {
			db.mu.Unlock()
			return nil
		}
		db.idle = true
		db.mu.Unlock()
		<-db.wake
	}
}

// write is the writer.
func (db *DB) write() {
	orderly := false
	defer func() {
		if !orderly { // fn ended its goroutine, which is this one
			db.fail(errors.New("the writer was ended by the function it ran"))
			db.abandon()
		}
		close(db.written)
	}()
	for r := db.await(); r != nil; r = db.await() {
		db.batch(r)
		db.restartLog()
	}
	orderly = true
}

// abandon answers everybody who waits, when there is no writer any more.
func (db *DB) abandon() {
	db.answer(db.joined, db.failure())
	for _, r := range db.taken[max(0, db.at-1):] {
		r.done <- db.failure()
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, r := range db.queue {
		r.done <- db.failure()
	}
	db.queue = nil
}

// between runs fn on the writer between two batches.
func (db *DB) between(ctx context.Context, fn func(c *conn) error) error {
	r := &request{ctx: ctx, raw: fn, done: make(chan error, 1)}
	if err := db.enqueue(r); err != nil {
		return err
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
