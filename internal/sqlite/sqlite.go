// Package sqlite is the only room that knows the database library: one writer
// with group commit, a pool of readers, forward migrations, online copies.
//
// It is no query builder and knows no table. Rooms hand it functions:
//
//	Update(fn) ─▶ queue ─▶ writer: BEGIN IMMEDIATE
//	                               fn, savepoint, fn, savepoint, fn …   what waits, at most 5 ms or 1 MiB of log
//	                               COMMIT: one sync of the log
//	                               hooks, then every caller is answered
//	               a caller who finds the writer asleep runs that batch himself
//	View(fn)   ─▶ a read-only connection of the pool, one short transaction
//	checkpoint ─▶ a connection of its own, beside the writer
//
// What happens to an fn of a batch when something goes wrong:
//
//	| event                            | its caller gets     | the others of the batch          |
//	|----------------------------------|---------------------|----------------------------------|
//	| fn gives an error                | that error          | untouched: its savepoint is undone |
//	| fn panics                        | *PanicError         | untouched                        |
//	| caller's context ends, not begun | the context's error | untouched: fn is dropped         |
//	| caller's context ends, begun     | the context's error, or the outcome when he runs the batch | untouched: fn commits |
//	| transaction gone (disk full, …)  | its own outcome     | every fn runs again alone        |
//	| COMMIT: disk full, constraint    | its own outcome     | every fn runs again alone        |
//	| read, write or sync fails        | ErrFailed           | ErrFailed, and so does every later Update; Fatal is called |
//
// Invariants: no caller is told nil before its commit has been synced. After a
// sync failed nobody is told nil again in this process, since the kernel may
// have dropped the dirty pages: only a new start may look at what is there.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// Options of Open. The zero value of each field is useful.
type Options struct {
	Synchronous string // "FULL" (the default) or "NORMAL"
	Readers     int    // pool of read-only connections; 0 means 4
	Log         *slog.Logger
	Fatal       func(error) // called once when a sync or commit failed for good
	Migrations  []fs.FS     // files NNNN_owner_what.sql, NNNN global
	Snapshots   string      // folder for the copy made before a migration; "" is snapshots beside the file
}

// Reverting ends the name of the file that is about to replace a database. While
// it is there the database and its log may not belong together, and Open refuses.
const Reverting = ".reverting"

// DB is one database file in WAL mode.
type DB struct {
	path string
	o    Options
	disk *disk
	w    *conn // the writer's

	mu      sync.Mutex
	queue   []*request // under mu
	idle    bool       // under mu: nobody writes, the writer sleeps
	stopped error      // under mu: why no more requests are taken
	wake    chan struct{}

	// of who has the writer's place: the writer, or a caller
	taken  []*request
	at     int
	joined []*request
	before int // length of the last batch
	asked  int // pages of the log when the checkpointer was last woken
	forced int // pages of the log at which the writer does not wait for it

	failed   atomic.Pointer[error] // set once
	requests sync.Pool
	written  chan struct{} // closed when the writer has ended
	readers  pool
	check    checkpointer
	gap      atomic.Bool // the checkpointer wants the log restarted
	stats    counters
}

// Open opens or makes the file, applies what migrations are missing (a newer
// schema is refused with ErrNewerSchema), and starts the writer.
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	if o.Synchronous == "" {
		o.Synchronous = "FULL"
	}
	if o.Readers == 0 {
		o.Readers = 4
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Snapshots == "" {
		o.Snapshots = filepath.Join(filepath.Dir(path), "snapshots")
	}
	db := &DB{path: path, o: o, wake: make(chan struct{}, 1), written: make(chan struct{}), forced: logKeep / pageSize}
	if _, err := os.Stat(path + Reverting); err == nil {
		return nil, fmt.Errorf("open %s: %w", path, ErrReverting)
	}
	db.requests.New = func() any { return &request{done: make(chan error, 1)} }
	lockByDescription()
	var err error
	if db.disk, err = newDisk(o.Synchronous == "FULL"); err != nil {
		return nil, err
	}
	fresh, err := private(path)
	if err != nil {
		db.disk.close()
		return nil, err
	}
	if db.w, err = db.connect(lib.SQLITE_OPEN_READWRITE | lib.SQLITE_OPEN_CREATE); err != nil {
		db.disk.close()
		return nil, err
	}
	if err := db.prepareFile(ctx, fresh); err != nil {
		db.w.close()
		db.disk.close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	hookLog(db.w)
	db.readers.open(o.Readers, func() (*conn, error) { return db.connect(lib.SQLITE_OPEN_READONLY) })
	db.check.start(db)
	go db.write()
	return db, nil
}

// private makes the file when it is missing, and closes it to others: it holds
// mail and keys, and the folder may be one that everybody reads. The log gets
// the file's mode from SQLite. fresh tells that it was missing.
func private(path string) (fresh bool, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		return true, f.Close()
	}
	info, staterr := os.Stat(path)
	switch {
	case staterr != nil:
		return false, err
	case info.Mode().Perm()&0o077 == 0:
		return false, nil
	}
	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Chmod(path+end, 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	return false, nil
}

// lockByDescription asks for open-file-description locks: closing any other
// descriptor of the file would drop the process's POSIX locks.
func lockByDescription() {
	tls := libc.NewTLS()
	defer tls.Close()
	lib.Xmodernc_ofd_locking(tls, 1)
}

// connect opens a connection with the settings that every one needs.
func (db *DB) connect(flags int32) (*conn, error) {
	c, err := open(db.path, db.disk.name, flags)
	if err != nil {
		return nil, err
	}
	set := "PRAGMA cache_size=-512;"
	if flags&lib.SQLITE_OPEN_READWRITE != 0 {
		// auto_vacuum binds only while the file is empty. Sub-journals of
		// savepoints stay in memory.
		set = "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=" + db.o.Synchronous + ";" +
			"PRAGMA wal_autocheckpoint=0; PRAGMA foreign_keys=1; PRAGMA secure_delete=FAST; PRAGMA temp_store=MEMORY;" +
			"PRAGMA cache_size=-2048; PRAGMA journal_size_limit=" + fmt.Sprint(logKeep) + ";"
	}
	if err = c.timeout(10_000); err == nil {
		err = c.script(set)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// prepareFile migrates and makes the names of the file and its log durable: the
// look at the schema has made the log, so that no commit has to do it. The
// folders of a new file may be new as well.
func (db *DB) prepareFile(ctx context.Context, fresh bool) error {
	if err := db.migrate(ctx); err != nil {
		return err
	}
	if _, err := db.w.integer("PRAGMA schema_version"); err != nil {
		return err
	}
	dir, err := filepath.Abs(filepath.Dir(db.path))
	if err == nil {
		err = syncFolder(dir)
	}
	for fresh && err == nil && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		err = syncFolder(dir)
		if errors.Is(err, fs.ErrPermission) { // then its folders are not ours either
			return nil
		}
	}
	return err
}

func syncFolder(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Close waits for what was handed in, checkpoints and closes.
func (db *DB) Close() error {
	db.mu.Lock()
	if errors.Is(db.stopped, ErrClosed) {
		db.mu.Unlock()
		return nil
	}
	db.stopped = ErrClosed
	idle := db.idle
	db.idle = false
	db.mu.Unlock()
	if idle {
		db.wake <- struct{}{}
	}
	<-db.written
	db.check.stop()
	db.readers.close()
	var err error
	if db.failure() == nil {
		_, _, err = db.w.checkpoint(lib.SQLITE_CHECKPOINT_TRUNCATE)
		if errors.Is(err, ErrBusy) { // another process reads: its close will do it
			err = nil
		}
	}
	err = errors.Join(err, db.w.close())
	db.disk.close()
	return err
}
