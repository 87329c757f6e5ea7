package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"mailstead/internal/sqlite"
)

// lostName is the folder of files that no row knew at a start.
const (
	lostName = "lost"
	lostKept = 30 * 24 * time.Hour
)

// Sweep moves the files of bodies that were never accepted to messages/lost. It
// looks only at names above the last one known to have a row and not above the
// last one of the run before, so it may run behind open doors. When database
// and files are not of one epoch it does nothing.
func (s *Store) Sweep(ctx context.Context) error {
	if err := s.ready(); err != nil || s.restored.Load() {
		return err
	}
	s.work.Lock()
	defer s.work.Unlock()
	if err := s.removeTemporary(); err != nil {
		return err
	}
	err := s.eachName(ctx, ID(s.swept+1), func(owner int64, ids []ID) error {
		var unknown []ID
		for _, id := range ids {
			if int64(id) > s.swept && int64(id) <= s.start {
				unknown = append(unknown, id)
			}
		}
		unknown, err := s.unknown(ctx, owner, unknown)
		if err != nil {
			return err
		}
		return s.lose(owner, unknown)
	})
	if err != nil {
		return fmt.Errorf("sweep: %w", full(err))
	}
	return s.saveMark(ctx)
}

// eachName calls fn for each folder that may hold names from id from on.
func (s *Store) eachName(ctx context.Context, from ID, fn func(owner int64, ids []ID) error) error {
	owners, err := s.owners()
	if err != nil {
		return err
	}
	for _, owner := range owners {
		shards, err := s.shards(owner, from)
		if err != nil {
			return err
		}
		for _, shard := range shards {
			if err := ctx.Err(); err != nil {
				return err
			}
			ids, err := s.names(owner, shard)
			if err != nil {
				return err
			}
			if err := fn(owner, ids); err != nil {
				return err
			}
		}
	}
	return nil
}

// unknown keeps those of one owner's names that no row explains.
func (s *Store) unknown(ctx context.Context, owner int64, ids []ID) ([]ID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var out []ID
	err := s.db.View(ctx, func(tx *sqlite.Tx) error {
		out = out[:0]
		for _, id := range ids {
			var n int
			err := tx.QueryRow(`SELECT 1 WHERE EXISTS (SELECT 1 FROM body WHERE id = ?1 AND owner = ?2)
				OR EXISTS (SELECT 1 FROM body_owner WHERE body = ?1 AND owner = ?2)
				OR EXISTS (SELECT 1 FROM body_unlink WHERE body = ?1 AND owner = ?2)`, int64(id), owner).Scan(&n)
			if errors.Is(err, sqlite.ErrNoRows) {
				out = append(out, id)
			} else if err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// lose moves names to messages/lost as OWNER-ID.eml.
func (s *Store) lose(owner int64, ids []ID) error {
	if len(ids) == 0 {
		return nil
	}
	lost := filepath.Join(s.dir, lostName)
	if err := s.need(lost); err != nil {
		return err
	}
	dirs := map[string]bool{}
	for _, id := range ids {
		from, to := s.path(id, owner), filepath.Join(lost, ownerName(owner)+"-"+name(id))
		err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // the file system cannot
			if err = os.Link(from, to); err == nil {
				err = os.Remove(from)
			}
		}
		if err != nil {
			return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
		}
		dirs[filepath.Dir(from)] = true
		s.step("sweep: moved")
		s.o.Log.Warn("file without a row moved to lost", "file", to)
	}
	dirs[lost] = true
	for dir := range dirs {
		if err := s.syncFolder(dir); err != nil {
			return err
		}
	}
	return nil
}

// removeTemporary removes what was being received, on file systems where that
// has a name.
func (s *Store) removeTemporary() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.HasPrefix(e.Name(), temporary) || !info.ModTime().Before(s.opened) {
			continue
		}
		if err := os.Remove(filepath.Join(s.dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// saveMark records how far every name is known to have a row.
func (s *Store) saveMark(ctx context.Context) error {
	mark := s.known()
	if int64(mark) <= s.swept {
		return nil
	}
	err := s.db.Update(ctx, func(tx *sqlite.Tx) error { return s.mark(tx, mark) })
	if err == nil {
		s.swept = int64(mark)
	}
	return err
}

// mark is saveMark inside another commit. After a restore nothing is marked:
// the files that have no row must stay found.
func (s *Store) mark(tx *sqlite.Tx, id ID) error {
	if s.restored.Load() {
		return nil
	}
	_, err := tx.Exec("UPDATE blob_store SET swept = ?1 WHERE swept < ?1", int64(id))
	return err
}

// reapLost removes what has been in lost for 30 days. A rename changes the time
// of a file's last change of status, not of its bytes.
func (s *Store) reapLost(now time.Time) error {
	all, err := s.Lost()
	if err != nil {
		return err
	}
	for _, path := range all {
		var st unix.Stat_t
		err := unix.Lstat(path, &st)
		if err == nil && now.Sub(time.Unix(st.Ctim.Unix())) >= lostKept {
			err = os.Remove(path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("empty lost: %w", err)
		}
	}
	return nil
}
