package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// The log is copied into the file when it holds checkpointAt pages, and written
// again from its start once all of it is copied. A log of up to logKeep bytes
// keeps its blocks: writing over them changes nothing in the file system's own
// tables, which makes the sync cheaper.
const (
	pageSize     = 4096
	checkpointAt = 4 << 20 / pageSize
	logKeep      = 16 << 20
	readerPause  = 10 * time.Millisecond
)

// checkpointer copies the log into the file beside the writer.
type checkpointer struct {
	wake chan struct{}
	quit chan struct{}
	done chan struct{}
}

func (k *checkpointer) start(db *DB) {
	k.wake, k.quit, k.done = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	go k.run(db)
}

func (k *checkpointer) stop() {
	close(k.quit)
	<-k.done
}

func (k *checkpointer) run(db *DB) {
	defer close(k.done)
	var c *conn
	defer func() {
		if c != nil {
			c.close()
		}
	}()
	for {
		select {
		case <-k.wake:
		case <-k.quit:
			return
		}
		if c == nil {
			var err error
			if c, err = db.connect(lib.SQLITE_OPEN_READWRITE); err != nil {
				db.o.Log.Error("checkpoint", "err", err)
				continue
			}
		}
		db.copyLog(c)
	}
}

// copyLog copies twice: the second pass takes what was written during the
// first, so that little is left for the writer's own pass.
func (db *DB) copyLog(c *conn) {
	for range 2 {
		if done := db.pass(c); done {
			return
		}
	}
	db.gap.Store(true)
}

// pass copies what no reader still needs in the file's old form. It gives true
// when nothing is left to do or can be done now.
func (db *DB) pass(c *conn) bool {
	log, done, err := c.checkpoint(lib.SQLITE_CHECKPOINT_PASSIVE)
	switch {
	case err == nil:
		db.stats.checkpoints.Add(1)
		return log == done
	case errors.Is(err, ErrBusy), errors.Is(err, ErrFull):
		return true // the log keeps everything; the next commit asks again
	}
	db.fail(fmt.Errorf("checkpoint: %w", err))
	return true
}

// restartLog runs on the writer between two batches, when the log could not be
// copied whole beside it: readers that overlap for ever keep SQLite from ever
// starting the log anew. They are held back for a moment, the rest is copied,
// and the next commit writes the log from its start.
func (db *DB) restartLog() {
	if !db.gap.Swap(false) || db.failure() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), readerPause)
	defer cancel()
	held := db.readers.hold(ctx)
	db.pass(db.w)
	db.readers.resume(held)
}

// hookLog makes SQLite tell after each commit how many pages the log holds.
func hookLog(c *conn) {
	f := walHook
	lib.Xsqlite3_wal_hook(c.tls, c.db, *(*uintptr)(unsafe.Pointer(&f)), c.out+16)
}

func walHook(_ *libc.TLS, arg, _, _ uintptr, pages int32) int32 {
	*(*int32)(at(arg)) = pages
	return lib.SQLITE_OK
}

// logPages is the length of the log after the last commit of the writer.
func (c *conn) logPages() int { return int(*(*int32)(at(c.out + 16))) }

// logged looks at the log after a commit and wakes the checkpointer.
func (db *DB) logged() {
	n := db.w.logPages()
	if n < db.asked { // written from its start again
		db.asked, db.forced = 0, logKeep/pageSize
	}
	if n >= db.forced { // the checkpointer does not keep up
		db.forced = n + checkpointAt/4
		db.gap.Store(true)
	}
	if n-db.asked < checkpointAt {
		return
	}
	db.asked = n
	select {
	case db.check.wake <- struct{}{}:
	default:
	}
}

// Checkpoint copies the whole log into the file and empties it. It waits for
// readers, so it is for the end of a job, not for the mail's way.
func (db *DB) Checkpoint(ctx context.Context) error {
	for {
		err := db.between(ctx, func(c *conn) error {
			_, _, err := c.checkpoint(lib.SQLITE_CHECKPOINT_TRUNCATE)
			return err
		})
		if !errors.Is(err, ErrBusy) {
			return err
		}
		// The checkpointer is at work, for which SQLite does not wait.
		select {
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		case <-time.After(checkpointPause):
		}
	}
}

const checkpointPause = 5 * time.Millisecond
