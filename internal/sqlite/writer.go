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
// ctx ends only the waiting, except that an fn not yet started is dropped; a
// caller who found nobody at work does the work and has nothing to wait for.
// Errors: fn's own, ErrFull, ErrBusy, ErrFailed, ErrClosed, *PanicError.
func (db *DB) Update(ctx context.Context, fn func(tx *Tx) error) error {
	r := db.requests.Get().(*request)
	r.ctx, r.fn = ctx, fn
	alone, err := db.enqueue(r)
	if err != nil {
		return err
	}
	if alone {
		db.lead()
	}
	select {
	case err = <-r.done:
	default:
		select {
		case err = <-r.done:
		case <-ctx.Done():
			return fmt.Errorf("waiting for a commit: %w", context.Cause(ctx))
		}
	}
	clear(r.hooks)
	r.ctx, r.fn, r.hooks = nil, nil, r.hooks[:0]
	db.requests.Put(r)
	return err
}

// enqueue hands a request in. alone tells that nobody writes: the caller has
// the writer's place now and must lead.
func (db *DB) enqueue(r *request) (alone bool, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.stopped; err != nil {
		return false, err
	}
	db.queue = append(db.queue, r)
	alone = db.idle
	db.idle = false
	return alone, nil
}

// lead is one batch on its caller's own goroutine: with a single client, waking
// the writer and being woken by it costs a tenth of a delivery. Whatever came
// meanwhile is the writer's.
func (db *DB) lead() {
	defer db.leave()
	orderly := false
	defer func() { db.ended(orderly) }()
	db.batch(db.next())
	orderly = true
}

// leave gives the writer's place up: to the writer when something waits for it.
func (db *DB) leave() {
	db.mu.Lock()
	db.idle = len(db.queue) == 0 && db.at == len(db.taken) && db.stopped == nil && !db.gap.Load()
	idle := db.idle
	db.mu.Unlock()
	if !idle {
		db.wake <- struct{}{}
	}
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
		db.restartLog()
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
		db.ended(orderly)
		close(db.written)
	}()
	for r := db.await(); r != nil; r = db.await() {
		db.batch(r)
	}
	orderly = true
}

// ended looks whether an fn ended the goroutine that ran it.
func (db *DB) ended(orderly bool) {
	if !orderly {
		db.fail(errors.New("the writer was ended by the function it ran"))
		db.abandon()
	}
}

// abandon answers everybody who waits, when there is no writer any more.
func (db *DB) abandon() {
	db.answer(db.joined, db.failure())
	for _, r := range db.taken[max(0, db.at-1):] {
		r.done <- db.failure()
	}
	db.at = len(db.taken)
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
	alone, err := db.enqueue(r)
	if err != nil {
		return err
	}
	if alone {
		db.lead()
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
