package blob

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// unnamed makes a file that has no name until link gives it one: what is cut
// short by a crash leaves nothing to clean up.
func (s *Store) unnamed() (*os.File, error) {
	fd, err := unix.Open(s.dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return os.NewFile(uintptr(fd), filepath.Join(s.dir, "unnamed")), nil
	}
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EINVAL) {
		return nil, &os.PathError{Op: "open unnamed file in", Path: s.dir, Err: err}
	}
	return os.CreateTemp(s.dir, temporary+"*")
}

// temporary begins the names of files on file systems without O_TMPFILE; a
// start removes them.
const temporary = ".receiving-"

// link names an unnamed file. It never replaces one: fs.ErrExist.
func link(f *os.File, to string) error {
	var err error
	if base := filepath.Base(f.Name()); len(base) > len(temporary) && base[:len(temporary)] == temporary {
		err = os.Link(f.Name(), to)
	} else {
		from := "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
		err = unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.AT_SYMLINK_FOLLOW)
	}
	if err != nil {
		return &os.LinkError{Op: "link", Old: f.Name(), New: to, Err: err}
	}
	return nil
}

// discard closes a file that may still have its temporary name.
func discard(f *os.File) {
	if base := filepath.Base(f.Name()); len(base) > len(temporary) && base[:len(temporary)] == temporary {
		os.Remove(f.Name())
	}
	f.Close()
}

// folders remembers which folders exist and have been synced into their parents.
type folders struct {
	mu    sync.Mutex
	known map[string]bool
}

// need makes a folder and its parents durable, once.
func (s *Store) need(dir string) error {
	s.folders.mu.Lock()
	defer s.folders.mu.Unlock()
	return s.needLocked(dir)
}

func (s *Store) needLocked(dir string) error {
	if s.folders.known[dir] {
		return nil
	}
	parent := filepath.Dir(dir)
	if dir != s.dir {
		if err := s.needLocked(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	// Also one that was there: whoever made it may have died before the sync.
	if err := s.syncFolder(parent); err != nil {
		return err
	}
	s.folders.known[dir] = true
	return nil
}

// syncFolder makes the names in a folder durable.
func (s *Store) syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return s.fail(fmt.Errorf("sync folder: %w", err))
	}
	return nil
}

// syncFile makes a file's bytes durable. There is no second try: the kernel may
// have dropped what it could not write.
func (s *Store) syncFile(f *os.File) error {
	if err := f.Sync(); err != nil {
		return s.fail(fmt.Errorf("sync file: %w", err))
	}
	return nil
}
