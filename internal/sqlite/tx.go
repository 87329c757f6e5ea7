package sqlite

import (
	"context"
	"fmt"
	"runtime/debug"

	lib "modernc.org/sqlite/lib"
)

// Tx is a transaction. Statements are prepared once per connection and kept.
// It is used by the goroutine that runs fn, and only until fn returns.
type Tx struct {
	c     *conn
	ctx   context.Context
	hooks []func()
	done  bool
}

func (tx *Tx) start(query string, args []any) (*stmt, error) {
	if tx.done {
		return nil, errTxDone
	}
	if err := tx.ctx.Err(); err != nil {
		return nil, err
	}
	s, err := tx.c.prepare(query)
	if err != nil {
		return nil, err
	}
	if err := s.bind(args); err != nil {
		s.release()
		return nil, err
	}
	return s, nil
}

// Exec runs a statement that gives no rows.
func (tx *Tx) Exec(query string, args ...any) (Result, error) {
	s, err := tx.start(query, args)
	if err != nil {
		return Result{}, err
	}
	for more := true; more && err == nil; {
		more, err = s.step()
	}
	var r Result
	if err == nil {
		r.id = lib.Xsqlite3_last_insert_rowid(tx.c.tls, tx.c.db)
		r.rows = lib.Xsqlite3_changes64(tx.c.tls, tx.c.db)
	}
	s.release()
	return r, err
}

// Query runs a statement that gives rows.
func (tx *Tx) Query(query string, args ...any) (*Rows, error) {
	s, err := tx.start(query, args)
	if err != nil {
		return nil, err
	}
	return &Rows{s: s, gen: s.gen, ctx: tx.ctx}, nil
}

// QueryRow runs a statement that gives at most one row.
func (tx *Tx) QueryRow(query string, args ...any) Row {
	s, err := tx.start(query, args)
	if err != nil {
		return Row{err: err}
	}
	row, err := s.step()
	if err == nil && !row {
		err = ErrNoRows
	}
	if err != nil {
		s.release()
		return Row{err: err}
	}
	return Row{s: s, gen: s.gen}
}

// Insert executes and returns the new row's id.
func (tx *Tx) Insert(query string, args ...any) (int64, error) {
	r, err := tx.Exec(query, args...)
	return r.id, err
}

// AfterCommit registers fn to run once after the commit and before the caller
// of Update is answered (the change feed). Dropped when this fn's savepoint is
// rolled back. It must not call Update.
func (tx *Tx) AfterCommit(fn func()) { tx.hooks = append(tx.hooks, fn) }

// call runs fn and turns a panic into an error.
func (tx *Tx) call(fn func(*Tx) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
		tx.done = true
		tx.c.reset()
	}()
	return fn(tx)
}

// guard runs a hook; a panic in it must not stop the writer.
func guard(fn func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("after commit: %w", &PanicError{Value: v, Stack: debug.Stack()})
		}
	}()
	fn()
	return nil
}
