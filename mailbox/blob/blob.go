// Package blob keeps the bytes of messages: inline rows first where small,
// then one immutable file each. DESIGN: states of a body.
package blob

import (
	"context"
	"io"

	"mailstead/internal/sqlite"
)

// Queue is the account number whose folder holds bodies that only the queue
// refers to.
const Queue int64 = 0

// ID names a body.
type ID int64

// Store is a directory of message files with its table of bodies.
type Store struct{}

// Put reads r to its end (memory to 1 MiB, then a temporary file) while
// hashing. Nothing is accepted yet. On error nothing is left behind.
func (s *Store) Put(ctx context.Context, r io.Reader) (*Draft, error) { panic("border") }

// Draft is a body that was received but not accepted.
type Draft struct{}

func (d *Draft) Size() int64                             { panic("border") }
func (d *Draft) ReadAt(p []byte, off int64) (int, error) { panic("border") }

// Settle makes a body above the inline limit a synced, named file in the folder
// of each owner (hard links; folders synced), before the transaction. It does
// nothing for a small one. owners: account numbers, or Queue.
func (d *Draft) Settle(ctx context.Context, owners ...int64) error { panic("border") }

// Commit writes the body's row (and its bytes when inline) in tx. It may run
// twice, as every fn of Update. It gives no reference: call Store.Ref for each
// row that will hold the id.
func (d *Draft) Commit(tx *sqlite.Tx) (ID, error) { panic("border") }

// Close drops what was not committed. Safe to call after a commit.
func (d *Draft) Close() error { panic("border") }

// Ref and Unref count one more or less holder of the body in owner's name.
// When the last one goes the body is "gone" and is unlinked later.
func (s *Store) Ref(tx *sqlite.Tx, id ID, owner int64) error   { panic("border") }
func (s *Store) Unref(tx *sqlite.Tx, id ID, owner int64) error { panic("border") }

// Reader gives a body's bytes.
type Reader interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Open finds the bytes wherever they are now (inline or file).
// ErrNotExist: no such body; ErrMissing: the row is there and the file is not.
func (s *Store) Open(ctx context.Context, id ID) (Reader, error) { panic("border") }
