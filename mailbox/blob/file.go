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

// create makes a file under a name that is free: fs.ErrExist. os.OpenFile would
// try to watch it for readiness, five system calls more for each.
func create(path string) (*os.File, error) {
	for {
		fd, err := unix.Open(path, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
		switch {
		case err == nil:
			return os.NewFile(uintptr(fd), path), nil
		case !errors.Is(err, unix.EINTR):
			return nil, &os.PathError{Op: "create", Path: path, Err: err}
		}
	}
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
	} else if err == nil && (dir == s.dir || parent == s.dir) {
		spread(dir)
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

// syncWhole makes all durable that the file system of root holds, names too.
func (s *Store) syncWhole(root *os.File) error {
	if err := unix.Syncfs(int(root.Fd())); err != nil {
		return s.fail(fmt.Errorf("sync the file system: %w", err))
	}
	return nil
}

// wholeIsSafe tells whether syncfs may take the place of syncs: on the file
// systems whose sync commits their journal and empties the disk's cache, and
// from Linux 5.8 on, where it tells of errors.
func wholeIsSafe(dir string) bool {
	var st unix.Statfs_t
	var u unix.Utsname
	if unix.Statfs(dir, &st) != nil || unix.Uname(&u) != nil {
		return false
	}
	var major, minor int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor); err != nil {
		return false
	}
	switch int64(st.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC:
		return major > 5 || major == 5 && minor >= 8
	}
	return false
}

// spread asks ext4 to lay the folders in dir far apart, each beside its files.
// It does not reuse the inodes of files deleted within the last minutes, and
// looks through all of them for each new file of the same neighbourhood: where
// thousands were expunged, making a file took ten times as long.
func spread(dir string) {
	const topOfTree = 0x20000 // EXT4_TOPDIR_FL, chattr +T
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if flags, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS); err == nil {
		unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, flags|topOfTree)
	}
}
