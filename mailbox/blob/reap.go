package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"mailstead/internal/sqlite"
)

// grace is how long a body outlives its last holder: an IMAP session that has
// not been told of the expunge may still fetch it.
const grace = 10 * time.Minute

// reapBatch bounds one transaction.
const reapBatch = 500

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
		s.step("reap: unlinked")
	}
	for dir := range dirs {
		if err := s.syncFolder(dir); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) forget(ctx context.Context, bodies, names []entry) error {
	err := s.db.Update(context.WithoutCancel(ctx), func(tx *sqlite.Tx) error {
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
