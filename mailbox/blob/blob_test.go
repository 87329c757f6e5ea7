package blob

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"mailstead/internal/sqlite"
)

// place is a data directory that can be closed and opened again.
type place struct {
	t   testing.TB
	dir string
	db  *sqlite.DB
	s   *Store
}

func newPlace(t testing.TB) *place {
	p := &place{t: t, dir: t.TempDir()}
	p.open()
	t.Cleanup(func() { p.db.Close() })
	return p
}

func (p *place) open() {
	p.t.Helper()
	var err error
	p.db, err = sqlite.Open(context.Background(), filepath.Join(p.dir, "mailstead.db"), sqlite.Options{Migrations: []fs.FS{Schema()}})
	if err != nil {
		p.t.Fatal(err)
	}
	p.s, err = New(context.Background(), p.db, filepath.Join(p.dir, "messages"), Options{})
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) reopen() {
	p.t.Helper()
	if err := p.db.Close(); err != nil {
		p.t.Fatal(err)
	}
	p.open()
}

func (p *place) put(body []byte) *Draft {
	p.t.Helper()
	d, err := p.s.Put(context.Background(), bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

// accept is the whole way of one body.
func (p *place) accept(body []byte, owners ...int64) ID {
	p.t.Helper()
	d := p.put(body)
	defer d.Close()
	if err := d.Settle(context.Background(), owners...); err != nil {
		p.t.Fatal(err)
	}
	return p.commit(d, owners...)
}

func (p *place) commit(d *Draft, owners ...int64) (id ID) {
	p.t.Helper()
	p.update(func(tx *sqlite.Tx) (err error) {
		if id, err = d.Commit(tx); err != nil {
			return err
		}
		for _, o := range owners {
			if err := p.s.Ref(tx, id, o); err != nil {
				return err
			}
		}
		return nil
	})
	return id
}

func (p *place) update(fn func(tx *sqlite.Tx) error) {
	p.t.Helper()
	if err := p.db.Update(context.Background(), fn); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) unref(id ID, owner int64) {
	p.t.Helper()
	p.update(func(tx *sqlite.Tx) error { return p.s.Unref(tx, id, owner) })
}

func (p *place) file() {
	p.t.Helper()
	if err := p.s.File(context.Background()); err != nil {
		p.t.Fatal(err)
	}
}

// reapAll reaps without waiting for the grace.
func (p *place) reapAll() {
	p.t.Helper()
	if err := p.s.reap(context.Background(), now()+1); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) want(id ID, body []byte) {
	p.t.Helper()
	r, err := p.s.Open(context.Background(), id)
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
	if err != nil || !bytes.Equal(got, body) {
		p.t.Fatalf("body %d: %d bytes, want %d, err %v", id, len(got), len(body), err)
	}
}

func (p *place) wantNone(id ID) {
	p.t.Helper()
	if _, err := p.s.Open(context.Background(), id); !errors.Is(err, ErrNotExist) {
		p.t.Fatalf("body %d: %v, want ErrNotExist", id, err)
	}
}

// files lists every name below messages that is a message's.
func (p *place) files() (all []string) {
	p.t.Helper()
	root := filepath.Join(p.dir, "messages")
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && filepath.Base(path) != "EPOCH" {
			rel, _ := filepath.Rel(root, path)
			all = append(all, rel)
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return all
}

func letter(n int) []byte { return bytes.Repeat([]byte("0123456789abcde\n"), n/16+1)[:n] }

func TestWayOfABody(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 4000, InlineLimit, InlineLimit + 1, memoryLimit, memoryLimit + 1, 3*memoryLimit + 5} {
		p := newPlace(t)
		id := p.accept(letter(size), 7)
		p.want(id, letter(size))
		p.reopen()
		p.want(id, letter(size))
		p.file()
		p.want(id, letter(size))
		p.reopen()
		p.want(id, letter(size))
		if got := p.files(); len(got) != 1 || got[0] != "7/0/1.eml" {
			t.Fatalf("size %d: files %v", size, got)
		}
		r, err := p.s.Open(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		p.unref(id, 7)
		p.want(id, letter(size)) // a session may still fetch it
		p.reapAll()
		p.wantNone(id)
		if got := p.files(); len(got) != 0 {
			t.Fatalf("size %d: files left %v", size, got)
		}
		got, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
		if err != nil || !bytes.Equal(got, letter(size)) {
			t.Fatalf("size %d: open reader lost its bytes: %v", size, err)
		}
		r.Close()
	}
}

func TestMissingFile(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	id := p.accept(letter(20_000), 7)
	if err := os.Remove(p.s.path(id, 7)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.s.Open(context.Background(), id); !errors.Is(err, ErrMissing) {
		t.Fatal(err)
	}
}

func TestUncommittedLeavesNothing(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for _, size := range []int{100, 50_000, 2 << 20} {
		d := p.put(letter(size))
		if err := d.Settle(context.Background(), 7, 8); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		_, err := p.s.Put(context.Background(), io.MultiReader(bytes.NewReader(letter(size)), errReader{}))
		if !errors.Is(err, errBroken) {
			t.Fatal(err)
		}
	}
	if got := p.files(); len(got) != 0 {
		t.Fatalf("files left %v", got)
	}
}

var errBroken = errors.New("peer has gone")

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errBroken }

func TestSeveralOwners(t *testing.T) {
	t.Parallel()
	for _, size := range []int{500, 40_000} {
		p := newPlace(t)
		id := p.accept(letter(size), 7, 8, Queue)
		p.file()
		if got := p.files(); len(got) != 3 {
			t.Fatalf("size %d: files %v", size, got)
		}
		one, _ := os.Stat(p.s.path(id, 7))
		two, _ := os.Stat(p.s.path(id, 8))
		if !os.SameFile(one, two) {
			t.Fatal("two inodes")
		}
		p.unref(id, Queue)
		p.unref(id, 7)
		p.reapAll()
		p.want(id, letter(size))
		if got := p.files(); len(got) != 1 || got[0] != "8/0/1.eml" {
			t.Fatalf("size %d: files %v", size, got)
		}
		p.unref(id, 8)
		p.reapAll()
		if got := p.files(); len(got) != 0 {
			t.Fatalf("size %d: files %v", size, got)
		}
		p.wantNone(id)
	}
}
