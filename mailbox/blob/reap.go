package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"mailstead/internal/sqlite"
)

// grace is how long a body outlives its last holder: a session that has not been
// told of the expunge may still open it. Later ones answer NO [EXPUNGEISSUED].
const grace = 10 * time.Minute

// reapBatch bounds one transaction.
const reapBatch = 500

// crowd is how many files unlinked at once from the folders in use make the next
// ids begin new ones: ext4 steps over lately deleted inodes for each file that it
// makes near them, for minutes.
const crowd = 200

// entry is a name to be unlinked.
type entry struct {
	id    ID
	owner int64
	state int64
}

// Reap unlinks what has been gone for ten minutes; nothing while somebody holds
// the files.
func (s *Store) Reap(ctx context.Context) error {
	if err := s.reap(ctx, time.Now().Add(-grace).Unix()); err != nil {
		return fmt.Errorf("reap: %w", err)
	}
	return s.reapLost(time.Now())
}

func (s *Store) reap(ctx context.Context, before int64) error {
	s.work.Lock()
	defer s.work.Unlock()
	for ctx.Err() == nil {
		if s.held.Load() > 0 {
			return nil
		}
		bodies, err := s.entries(ctx, "SELECT id, ifnull(owner, 0), state FROM body WHERE gone <= ? LIMIT ?", before)
		if err != nil {
			return err
		}
		names, err := s.entries(ctx, "SELECT body, owner, 1 FROM body_unlink WHERE gone <= ? LIMIT ?", before)
		if err != nil {
			return err
		}
		if len(bodies)+len(names) == 0 {
			return nil
		}
		if err := s.unlink(append(names, bodies...)); err != nil {
			return err
		}
		s.step("reap: folders synced")
		if err := s.forget(ctx, bodies, names); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (s *Store) entries(ctx context.Context, query string, before int64) ([]entry, error) {
	var all []entry
	err := s.db.View(ctx, func(tx *sqlite.Tx) error {
		rows, err := tx.Query(query, before, reapBatch)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var e entry
			if err := rows.Scan(&e.id, &e.owner, &e.state); err != nil {
				return err
			}
			all = append(all, e)
		}
		return rows.Err()
	})
	return all, err
}

// unlink removes names and makes that durable before the rows go: a name that
// came back after a crash would have no row.
func (s *Store) unlink(all []entry) error {
	dirs := make(map[string]bool)
	fresh := 0
	for _, e := range all { // inline ones too: the filer may have been cut short
		path := s.path(e.id, e.owner)
		err := os.Remove(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		dirs[filepath.Dir(path)] = true
		if int64(e.id)/perFolder == s.last.Load()/perFolder {
			fresh++
		}
		s.step("reap: unlinked")
	}
	if fresh >= crowd {
		s.nextFolder()
	}
	for dir := range dirs {
		if err := s.syncFolder(dir); err != nil {
			return err
		}
		s.prune(dir)
	}
	return nil
}

// prune removes an empty folder that no new file will be made in: ext4's folders
// never shrink. A body of its ids that gets a further owner makes it again.
func (s *Store) prune(dir string) {
	shard, err := strconv.ParseInt(filepath.Base(dir), 10, 64)
	if err != nil || shard >= int64(s.known())/perFolder {
		return
	}
	s.folders.mu.Lock()
	defer s.folders.mu.Unlock()
	if os.Remove(dir) == nil {
		delete(s.folders.known, dir)
	}
}

func (s *Store) forget(ctx context.Context, bodies, names []entry) error {
	var last ID
	for _, e := range bodies {
		last = max(last, e.id)
	}
	err := s.db.Update(context.WithoutCancel(ctx), func(tx *sqlite.Tx) error {
		if err := s.retire(tx, last); err != nil {
			return err
		}
		for _, e := range bodies {
			if _, err := tx.Exec("DELETE FROM inline_body WHERE id = ?", int64(e.id)); err != nil {
				return err
			}
			if _, err := tx.Exec("DELETE FROM body WHERE id = ? AND gone IS NOT NULL", int64(e.id)); err != nil {
				return err
			}
		}
		for _, e := range names {
			if _, err := tx.Exec("DELETE FROM body_unlink WHERE body = ? AND owner = ?", int64(e.id), e.owner); err != nil {
				return err
			}
		}
		return nil
	})
	for _, e := range bodies {
		s.recent.drop(e.id)
	}
	return err
}
