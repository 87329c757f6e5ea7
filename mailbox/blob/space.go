package blob

import (
	"fmt"

	"golang.org/x/sys/unix"

	"mailstead/internal/sqlite"
)

// minFree is the space that is left alone: for the log, the database, and the
// work of getting out of a full disk.
const minFree = 64 << 20

// Free is the space of the file system that this process may use.
func (s *Store) Free() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(s.dir, &st); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", s.dir, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// Room tells whether a message of that size may begin: sqlite.ErrFull while
// less than it, or less than 64 MiB, is free.
func (s *Store) Room(size int64) error {
	free, err := s.Free()
	if err != nil {
		return err
	}
	if free < max(minFree, size) {
		return fmt.Errorf("%w: %d MiB free", sqlite.ErrFull, free>>20)
	}
	return nil
}
