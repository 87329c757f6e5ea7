package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"sync"

	"mailstead/internal/sqlite"
)

// States of a body's row.
const (
	inlined = 0
	filed   = 1
)

// Reader gives a body's bytes.
type Reader interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

type memReader []byte

func (m memReader) ReadAt(p []byte, off int64) (int, error) { return readMem(m, p, off) }
func (m memReader) Size() int64                             { return int64(len(m)) }
func (m memReader) Close() error                            { return nil }

type fileReader struct {
	*os.File
	size int64
}

func (f fileReader) Size() int64 { return f.size }

// Open finds the bytes wherever they are now (inline or file). An open Reader
// keeps working when the body goes.
// ErrNotExist: no such body; ErrMissing: the row is there and the file is not.
func (s *Store) Open(ctx context.Context, id ID) (Reader, error) {
	if b, ok := s.recent.get(id); ok {
		return memReader(b), nil
	}
	var err error
	for range 2 { // the name may move to another owner's folder between row and open
		var r Reader
		if r, err = s.open(ctx, id); err == nil || !errors.Is(err, ErrMissing) {
			return r, err
		}
	}
	return nil, err
}

func (s *Store) open(ctx context.Context, id ID) (Reader, error) {
	var state, owner, size int64
	var mem []byte
	err := s.db.View(ctx, func(tx *sqlite.Tx) error {
		err := tx.QueryRow("SELECT state, ifnull(owner, 0), size FROM body WHERE id = ?", int64(id)).Scan(&state, &owner, &size)
		if err == nil && state == inlined {
			err = tx.QueryRow("SELECT bytes FROM inline_body WHERE id = ?", int64(id)).Scan(&mem)
		}
		return err
	})
	switch {
	case errors.Is(err, sqlite.ErrNoRows):
		return nil, fmt.Errorf("body %d: %w", id, ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("body %d: %w", id, err)
	case state == inlined:
		return memReader(mem), nil
	}
	return s.openFile(id, owner, size)
}

func (s *Store) openFile(id ID, owner, size int64) (Reader, error) {
	f, err := os.Open(s.path(id, owner))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("body %d: %w: %w", id, ErrMissing, err)
	}
	if err != nil {
		return nil, fmt.Errorf("body %d: %w", id, err)
	}
	fi, err := f.Stat()
	if err == nil && fi.Size() != size {
		err = fmt.Errorf("%w: it has %d bytes of %d", ErrMissing, fi.Size(), size)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("body %d: %w", id, err)
	}
	return fileReader{f, size}, nil
}

// recent holds the bytes of bodies that were just accepted, so that the filer
// and the first reader need not ask the database.
type recent struct {
	mu     sync.Mutex
	bodies map[ID][]byte
	bytes  int
	wait   []ID // accepted inline and not yet filed, in order of commit
}

// recentLimit bounds the memory. What does not fit is read from its row.
const recentLimit = 4 << 20

func (r *recent) put(id ID, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wait = append(r.wait, id)
	if r.bytes+cap(b) <= recentLimit {
		r.bodies[id] = b
		r.bytes += cap(b)
	}
}

func (r *recent) get(id ID) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b, ok := r.bodies[id]
	return b, ok
}

func (r *recent) drop(id ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b, ok := r.bodies[id]; ok {
		r.bytes -= cap(b)
		delete(r.bodies, id)
	}
}

// take gives up to n ids that wait to be filed.
func (r *recent) take(n int) []ID {
	r.mu.Lock()
	defer r.mu.Unlock()
	n = min(n, len(r.wait))
	ids := append([]ID(nil), r.wait[:n]...)
	r.wait = append(r.wait[:0], r.wait[n:]...)
	return ids
}

// again puts ids back.
func (r *recent) again(ids []ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wait = append(r.wait, ids...)
}

// lowest is the least id that waits, or a number above all.
func (r *recent) lowest() ID {
	r.mu.Lock()
	defer r.mu.Unlock()
	low := ID(math.MaxInt64)
	for _, id := range r.wait {
		low = min(low, id)
	}
	return low
}

func (r *recent) waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.wait)
}
