// Package blob keeps the bytes of messages: inline rows first where small,
// then one immutable file each. It knows nothing of what a message is, who may
// read it, or why it is kept: mailbox and smtp/queue hold references.
//
// A body's way: Put reads it to its end, Settle makes a large one a durable
// file before the transaction, Commit writes its row inside the transaction of
// its holders, Ref counts them. Run makes files of what was accepted inline and
// unlinks what nobody holds any more.
//
// States of a body:
//
//	| state          | bytes are                                        | reached by                                      | after a crash                      |
//	|----------------|--------------------------------------------------|-------------------------------------------------|------------------------------------|
//	| receiving      | memory to 1 MiB, else a file without a name      | Put                                             | gone; never accepted               |
//	| inline         | row in inline_body, in its holders' commit       | COMMIT = accepted                               | stays; the filer goes on           |
//	| inline + file  | the row; the filer has named a file              | filer                                           | the row wins; the file is made anew |
//	| file, no row   | synced, linked into each owner's folder, folder synced | Settle                                    | swept: moved to messages/lost/     |
//	| filed          | file and row                                     | COMMIT = accepted, or the filer's commit        | final                              |
//	| gone           | as before, until unlinked                        | commit of the last Unref                        | unlinked by the next Reap          |
//
// Layout: messages/ACCOUNT/ID÷4096/ID.eml, and messages/queue/… for bodies that
// the queue holds. A body of several accounts is one inode with one name each.
//
// Invariants: a file with a row is never written again. A name is unlinked only
// after the commit that says gone, and its row is deleted only after the unlink,
// so a file without a row is either a body that was never accepted or one that
// a newer database knew. A sync that fails ends the right to promise anything:
// Fatal is called and nothing more is settled or filed.
package blob

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"mailstead/internal/sqlite"
)

// Queue is the account number whose folder holds bodies that only the queue
// refers to.
const Queue int64 = 0

// Limits of where bytes are kept.
const (
	// InlineLimit is the size up to which a body is accepted as a row. Rows are
	// the cheaper way up to 32 KiB, in time and CPU; but they are written twice.
	InlineLimit = 16 << 10
	// memoryLimit is the size up to which a body is received in memory.
	memoryLimit = 1 << 20
)

// What callers branch on.
var (
	ErrNotExist = errors.New("no such body")
	ErrMissing  = errors.New("the message's file is missing")
	ErrFailed   = sqlite.ErrFailed
)

var errClosed = errors.New("draft is closed")

// ID names a body.
type ID int64

//go:embed schema/*.sql
var schema embed.FS

// Schema holds this room's tables.
func Schema() fs.FS { return sqlite.Folder(schema, "schema") }

// Options of New. The zero value of each field is useful.
type Options struct {
	Log   *slog.Logger
	Fatal func(error) // called once when a sync of a file or folder failed
}

// Store is a directory of message files with its table of bodies.
type Store struct {
	db  *sqlite.DB
	dir string
	o   Options

	whole bool // one sync of the file system is as good as one of each file

	opened   time.Time
	restored atomic.Bool
	seeded   chan struct{} // closed when the next three are known
	seedErr  error
	start    int64        // greatest id of a row or a name when this run began
	last     atomic.Int64 // greatest id allotted
	top      atomic.Int64 // greatest id that the database knows as not to be given out again

	folders folders
	recent  recent
	settle  chan struct{} // one token per Settle that runs
	wake    chan struct{} // tells the filer of a commit
	wakeFn  func()
	failed  atomic.Pointer[error]

	stop func(step string) // the crash tests look at the folder between two steps

	held   atomic.Int32 // nothing is unlinked while it is above zero, see Hold
	work   sync.Mutex   // held by whoever makes, moves or unlinks files of rows
	swept  int64        // under work: names up to this id are known to have rows
	mu     sync.Mutex
	flying map[ID]bool // under mu: named files whose commit is not known to have happened
	shared []*Draft    // under mu: committed with names in several folders, to be looked at
}

// New opens the store in dir (the folder messages). db has the tables of Schema.
func New(ctx context.Context, db *sqlite.DB, dir string, o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		db: db, dir: dir, o: o, opened: time.Now(),
		seeded: make(chan struct{}),
		settle: make(chan struct{}, 16),
		wake:   make(chan struct{}, 1),
		flying: make(map[ID]bool),
	}
	s.wakeFn = s.signal
	s.recent.bodies = make(map[ID][]byte)
	s.folders.known = make(map[string]bool)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := s.need(dir); err != nil {
		return nil, fmt.Errorf("message files: %w", err)
	}
	s.whole = wholeIsSafe(dir)
	if err := s.seed(ctx); err != nil {
		return nil, fmt.Errorf("message files: %w", err)
	}
	if err := s.checkEpoch(ctx); err != nil {
		return nil, fmt.Errorf("message files: %w", err)
	}
	return s, nil
}

func (s *Store) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Store) step(name string) {
	if s.stop != nil {
		s.stop(name)
	}
}

// fail ends the right to promise anything about files.
func (s *Store) fail(cause error) error {
	err := fmt.Errorf("%w: %w", ErrFailed, cause)
	if s.failed.CompareAndSwap(nil, &err) {
		s.o.Log.Error("message files failed", "err", cause)
		if s.o.Fatal != nil {
			go s.o.Fatal(err)
		}
	}
	return err
}

func (s *Store) failure() error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// path of a body in an owner's folder.
func (s *Store) path(id ID, owner int64) string {
	return filepath.Join(s.folder(id, owner), name(id))
}
