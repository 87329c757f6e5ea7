package blob

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync/atomic"

	"mailstead/internal/sqlite"
)

// Draft is a body that was received but not accepted. One goroutine uses it.
type Draft struct {
	s      *Store
	id     ID
	mem    []byte   // the bytes, or
	file   *os.File // a file without a name until Settle
	size   int64
	sum    [sha256.Size]byte
	owners []int64     // whose folders hold its name
	found  bool        // its file was there before, see Found.Open
	kept   atomic.Bool // a transaction that ran Commit has committed
	closed atomic.Bool // a caller that gave up waiting closes while the writer may run Commit
	commit func()
}

// Put reads r to its end (memory to 1 MiB, then a file without a name) while
// hashing. Nothing is accepted yet. On error nothing is left behind.
func (s *Store) Put(ctx context.Context, r io.Reader) (*Draft, error) {
	if err := s.failure(); err != nil {
		return nil, err
	}
	d := &Draft{s: s}
	d.commit = d.committed
	h := sha256.New()
	if err := d.receive(ctx, r, h); err != nil {
		d.Close()
		return nil, err
	}
	h.Sum(d.sum[:0])
	return d, nil
}

// receive fills memory, and a file once that is full.
func (d *Draft) receive(ctx context.Context, r io.Reader, h hash.Hash) error {
	buf := make([]byte, 0, 5<<10) // most mail fits, and what is kept until it is filed wastes little
	for {
		if len(buf) == cap(buf) {
			if cap(buf) == memoryLimit {
				return d.spill(ctx, r, h, buf)
			}
			bigger := make([]byte, len(buf), min(4*cap(buf), memoryLimit))
			copy(bigger, buf)
			buf = bigger
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		h.Write(buf[len(buf) : len(buf)+n])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			d.mem, d.size = buf, int64(len(buf))
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// spill moves what was read into a file and reads on through the same memory.
func (d *Draft) spill(ctx context.Context, r io.Reader, h hash.Hash, buf []byte) error {
	f, err := d.s.unnamed()
	if err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	d.file = f
	n := len(buf)
	for {
		if _, err := f.Write(buf[:n]); err != nil {
			return fmt.Errorf("receive: %w", full(err))
		}
		d.size += int64(n)
		if n, err = io.ReadFull(r, buf); n == 0 && err == io.EOF {
			return nil
		}
		if err != nil && err != io.ErrUnexpectedEOF {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		h.Write(buf[:n])
	}
}

func (d *Draft) Size() int64 { return d.size }

// SHA256 of the bytes.
func (d *Draft) SHA256() [sha256.Size]byte { return d.sum }

func (d *Draft) ReadAt(p []byte, off int64) (int, error) {
	if d.closed.Load() {
		return 0, errClosed
	}
	if d.file != nil {
		return d.file.ReadAt(p, off)
	}
	return readMem(d.mem, p, off)
}

func readMem(mem, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	if off >= int64(len(mem)) {
		return 0, io.EOF
	}
	n := copy(p, mem[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// inline tells whether the body is accepted as a row.
func (d *Draft) inline() bool { return d.size <= InlineLimit && !d.found }

// Commit writes the body's row (and its bytes when inline) in tx. It may run
// twice, as every fn of Update. It gives no reference: call Store.Ref for each
// row that will hold the id.
func (d *Draft) Commit(tx *sqlite.Tx) (ID, error) {
	switch {
	case d.closed.Load():
		return 0, errClosed
	case d.s.failure() != nil:
		return 0, d.s.failure()
	case d.inline():
		return d.commitInline(tx)
	case d.owners == nil:
		return 0, errors.New("a large body must be settled before its commit")
	}
	_, err := tx.Exec("INSERT INTO body (id, state, size, sha256, owner) VALUES (?, 1, ?, ?, ?)", int64(d.id), d.size, d.sum[:], d.owners[0])
	if err != nil {
		return 0, fmt.Errorf("commit body: %w", err)
	}
	tx.AfterCommit(d.commit)
	return d.id, nil
}

func (d *Draft) commitInline(tx *sqlite.Tx) (ID, error) {
	if d.id == 0 {
		var err error
		if d.id, err = d.s.allot(); err != nil {
			return 0, err
		}
	}
	_, err := tx.Exec("INSERT INTO body (id, state, size, sha256) VALUES (?, 0, ?, ?)", int64(d.id), d.size, d.sum[:])
	if err == nil {
		_, err = tx.Exec("INSERT INTO inline_body (id, bytes) VALUES (?, ?)", int64(d.id), d.bytes())
	}
	if err != nil {
		return 0, fmt.Errorf("commit body: %w", err)
	}
	tx.AfterCommit(d.commit)
	return d.id, nil
}

// bytes are never nil: an empty message is no missing one.
func (d *Draft) bytes() []byte {
	if d.mem == nil {
		return []byte{}
	}
	return d.mem
}

// committed runs on the writer after the commit.
func (d *Draft) committed() {
	d.kept.Store(true)
	if d.inline() {
		d.s.recent.put(d.id, d.mem)
		d.s.signal()
		return
	}
	d.s.landed(d)
}

// Close drops what was not committed. Safe to call after a commit.
func (d *Draft) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	if d.file != nil {
		discard(d.file)
	}
	if d.owners != nil && !d.kept.Load() {
		return d.s.abandon(d.id, d.owners)
	}
	return nil
}
