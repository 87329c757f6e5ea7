package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// A batch of objects is synced at once before its files get their names, so that
// what has its name is whole, whatever happens to the power.
const (
	batchFiles = 256
	batchBytes = 32 << 20
)

// pool writes objects. A name says what the file holds, so what is there
// already is not written again: that makes a backup incremental, and lets one
// that was broken off go on.
type pool struct {
	v       *vault
	key     []byte
	root    *os.File // the folder objects
	made    map[string]bool
	n       int
	pending []rename
	size    int64
	buf     []byte
	nolink  bool // another disk: files are copied

	written, bytes int64 // what was not there before
}

type rename struct{ from, to string }

func (v *vault) openPool(key []byte) (*pool, error) {
	dir := filepath.Join(v.dir, objectsName)
	if err := v.mkdir(dir); err != nil {
		return nil, err
	}
	part := filepath.Join(dir, partName)
	if err := os.RemoveAll(part); err != nil { // of a backup that was broken off
		return nil, err
	}
	if err := v.mkdir(part); err != nil {
		return nil, err
	}
	root, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	return &pool{v: v, key: key, root: root, made: map[string]bool{}, buf: make([]byte, 128<<10)}, nil
}

func (p *pool) close() {
	p.root.Close()
	os.RemoveAll(filepath.Join(p.root.Name(), partName))
}

// errChanged tells that a file has other bytes than its database says.
var errChanged = errors.New("other bytes than were received")

// put makes sure that the pool has the file at path, which ought to have this
// hash. When it has another one it is kept under that, and the error is
// errChanged beside the entry.
func (p *pool) put(ctx context.Context, path string, e entry) (entry, error) {
	if err := ctx.Err(); err != nil {
		return e, err
	}
	e.Object = p.v.seal.object(e.SHA256, p.key)
	to := filepath.Join(p.v.dir, filepath.FromSlash(e.Object))
	if p.has(to, e.Size) {
		return e, nil
	}
	if err := p.folder(to); err != nil {
		return e, err
	}
	if linked, err := p.link(path, to, e.Size); linked || err != nil {
		return e, err
	}
	tmp, size, sum, err := p.copy(ctx, path)
	if err != nil {
		return e, err
	}
	if !bytes.Equal(sum, e.SHA256) {
		e.Size, e.SHA256, e.Object = size, sum, p.v.seal.object(sum, p.key)
		to, err = filepath.Join(p.v.dir, filepath.FromSlash(e.Object)), errChanged
		if e := p.folder(to); e != nil {
			return entry{}, e
		}
	}
	p.written++
	p.bytes += size
	p.size += size
	p.pending = append(p.pending, rename{tmp, to})
	if len(p.pending) >= batchFiles || p.size >= batchBytes {
		if e := p.flush(); e != nil {
			return entry{}, e
		}
	}
	return e, err
}

// has tells whether an object is there. One that is pending is written twice,
// which is rare and harms nobody.
func (p *pool) has(path string, size int64) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	return info.Size() == size || p.v.seal.on && info.Size() > size
}

// link takes the file itself where it may: on one file system, in the clear. A
// message's file is never written again.
func (p *pool) link(from, to string, size int64) (bool, error) {
	if p.v.seal.on || p.nolink {
		return false, nil
	}
	info, err := os.Lstat(from)
	if err != nil || info.Size() != size || !info.Mode().IsRegular() {
		return false, nil
	}
	switch err := os.Link(from, to); {
	case err == nil:
		p.written++
		return true, nil
	case errors.Is(err, fs.ErrExist), errors.Is(err, unix.EMLINK):
		return false, nil
	case errors.Is(err, unix.ENOSPC):
		return false, err
	}
	p.nolink = true
	return false, nil
}

// copy writes an object under a temporary name, hashing what it reads.
func (p *pool) copy(ctx context.Context, from string) (tmp string, size int64, sum []byte, err error) {
	in, err := os.Open(from)
	if err != nil {
		return "", 0, nil, err
	}
	defer in.Close()
	p.n++
	tmp = filepath.Join(p.root.Name(), partName, strconv.Itoa(p.n))
	out, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", 0, nil, err
	}
	p.v.own(tmp)
	h := sha256.New()
	w, err := p.v.seal.write(out)
	if err == nil {
		size, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{io.TeeReader(contextReader{ctx, in}, h)}, p.buf)
	}
	if err == nil {
		err = w.Close()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return "", 0, nil, err
	}
	return tmp, size, h.Sum(nil), nil
}

// contextReader stops reading when its context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}

// flush syncs what was written and gives it its names.
func (p *pool) flush() error {
	if len(p.pending) > 0 {
		if err := unix.Syncfs(int(p.root.Fd())); err != nil {
			return fmt.Errorf("sync %s: %w", p.v.dir, err)
		}
	}
	for _, r := range p.pending {
		if err := os.Rename(r.from, r.to); err != nil {
			return err
		}
	}
	p.pending, p.size = p.pending[:0], 0
	return nil
}

// finish makes all names durable.
func (p *pool) finish() error {
	if err := p.flush(); err != nil {
		return err
	}
	if err := unix.Syncfs(int(p.root.Fd())); err != nil {
		return fmt.Errorf("sync %s: %w", p.v.dir, err)
	}
	return nil
}

func (p *pool) folder(object string) error {
	dir := filepath.Dir(object)
	if p.made[dir] {
		return nil
	}
	if err := p.v.mkdir(dir); err != nil {
		return err
	}
	p.made[dir] = true
	return nil
}
