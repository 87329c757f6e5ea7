package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// batch runs r and what waits behind it in one transaction.
func (db *DB) batch(r *request) {
	db.joined = db.joined[:0]
	db.w.written = 0
	start := time.Now()
	for ; r != nil; r = db.gather() {
		if r.raw != nil {
			db.commit()
			r.done <- db.outcome(r.raw(db.w))
			return
		}
		if !db.join(r) {
			return
		}
		if db.w.written > batchBytes || time.Since(start) > batchTime {
			break
		}
	}
	db.before = len(db.joined)
	db.commit()
}

// gather takes the next request. Where several have met, in this batch or the one
// before, more are often about to come: they get the processor, never time.
func (db *DB) gather() *request {
	r := db.next()
	for range yields {
		if r != nil || max(db.before, len(db.joined)) < 2 {
			break
		}
		runtime.Gosched()
		r = db.next()
	}
	return r
}

// join runs one request inside the batch's transaction. It gives false when
// the transaction is gone and everybody of the batch has been served.
func (db *DB) join(r *request) bool {
	if err := r.ctx.Err(); err != nil {
		r.done <- err
		return true
	}
	if err := db.failure(); err != nil {
		r.done <- err
		return true
	}
	first := len(db.joined) == 0
	// The first of a batch needs no savepoint: nobody loses by its rollback.
	begin := "SAVEPOINT one"
	if first {
		begin = "BEGIN IMMEDIATE"
	}
	if err := db.w.run(begin); err != nil {
		return db.lost(r, fmt.Errorf("begin: %w", err))
	}
	err := db.call(r)
	switch {
	case db.w.ioerr != nil || db.w.autocommit():
		return db.lost(r, err)
	case err != nil && first:
		if e := db.w.run("ROLLBACK"); e != nil {
			return db.lost(r, err)
		}
		r.done <- err
		return true
	case err != nil:
		if e := db.undo(); e != nil {
			return db.lost(r, err)
		}
		r.done <- err
		return true
	case !first:
		if e := db.w.run("RELEASE one"); e != nil {
			return db.lost(r, e)
		}
	}
	db.joined = append(db.joined, r)
	return true
}

func (db *DB) undo() error {
	if err := db.w.run("ROLLBACK TO one"); err != nil {
		return err
	}
	return db.w.run("RELEASE one")
}

// call runs a request's fn on the writer's context.
func (db *DB) call(r *request) error {
	tx := &Tx{c: db.w, ctx: context.Background(), hooks: r.hooks[:0]}
	err := tx.call(r.fn)
	r.hooks = tx.hooks
	return err
}

// lost serves a batch whose transaction is gone: all fail when the disk failed,
// else each runs again alone, r with them. It gives false.
func (db *DB) lost(r *request, cause error) bool {
	all := db.joined
	if r != nil {
		all = append(all, r)
	}
	db.joined = db.joined[:0]
	if db.w.ioerr != nil {
		db.fail(db.w.ioerr)
	}
	if !db.w.autocommit() {
		if err := db.w.run("ROLLBACK"); err != nil && !db.w.autocommit() {
			db.fail(fmt.Errorf("rollback: %w", err))
		}
	}
	if len(all) == 1 && cause != nil { // it was alone already
		db.answer(all, db.outcome(cause))
		return false
	}
	for _, one := range all {
		db.answer([]*request{one}, db.alone(one))
	}
	return false
}

// alone runs one request in a transaction of its own.
func (db *DB) alone(r *request) error {
	if err := db.failure(); err != nil {
		return err
	}
	db.stats.reruns.Add(1)
	if err := db.w.run("BEGIN IMMEDIATE"); err != nil {
		return db.outcome(fmt.Errorf("begin: %w", err))
	}
	err := db.call(r)
	if err == nil && db.w.autocommit() {
		err = errLost
	}
	if err == nil && db.w.ioerr == nil {
		err = db.finish(1)
	}
	if err != nil && !db.w.autocommit() {
		if e := db.w.run("ROLLBACK"); e != nil && !db.w.autocommit() {
			db.fail(fmt.Errorf("rollback: %w", e))
		}
	}
	return db.outcome(err)
}

// commit ends the batch: one sync for all.
func (db *DB) commit() {
	if len(db.joined) == 0 {
		return
	}
	if err := db.finish(len(db.joined)); err != nil {
		db.lost(nil, nilUnlessAlone(len(db.joined), err))
		return
	}
	db.answer(db.joined, nil)
}

func nilUnlessAlone(n int, err error) error {
	if n == 1 {
		return err
	}
	return nil
}

// finish commits. An error other than a full disk, a constraint checked at the
// end, or a lock ends the right to say OK: what is on the disk is not known.
func (db *DB) finish(n int) error {
	err := db.w.run("COMMIT")
	if err == nil && db.w.ioerr == nil {
		db.stats.commits.Add(1)
		db.stats.updates.Add(int64(n))
		db.logged()
		return nil
	}
	if err == nil {
		err = db.w.ioerr
	}
	if !errors.Is(err, ErrFull) && !errors.Is(err, ErrConstraint) && !errors.Is(err, ErrBusy) {
		db.fail(fmt.Errorf("commit: %w", err))
	}
	return fmt.Errorf("commit: %w", err)
}

// outcome is what a caller is told: after a failure of the disk nothing but that.
func (db *DB) outcome(err error) error {
	if db.w.ioerr != nil {
		db.fail(db.w.ioerr)
	}
	if err := db.failure(); err != nil {
		return err
	}
	return err
}

// answer runs the hooks of what was committed and tells the callers.
func (db *DB) answer(all []*request, err error) {
	if err == nil {
		for _, r := range all {
			for _, hook := range r.hooks {
				if e := guard(hook); e != nil {
					db.o.Log.Error("hook", "err", e)
				}
			}
		}
	}
	for _, r := range all {
		r.done <- err
	}
}

// fail ends the right to say OK. The writer and the checkpointer call it.
func (db *DB) fail(cause error) {
	err := fmt.Errorf("%w: %w", ErrFailed, cause)
	if !db.failed.CompareAndSwap(nil, &err) {
		return
	}
	db.mu.Lock()
	if db.stopped == nil {
		db.stopped = err
	}
	db.mu.Unlock()
	db.o.Log.Error("database failed", "err", cause)
	if db.o.Fatal != nil {
		go db.o.Fatal(err)
	}
}

func (db *DB) failure() error {
	if err := db.failed.Load(); err != nil {
		return *err
	}
	return nil
}
