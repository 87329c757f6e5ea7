package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"mailstead/internal/sqlite"
)

// linkFurther gives bodies that are files already their names in the folders of
// owners that came later.
func (s *Store) linkFurther(ctx context.Context) error {
	type link struct {
		id           ID
		owner, first int64
	}
	var links []link
	err := s.db.View(ctx, func(tx *sqlite.Tx) error {
		rows, err := tx.Query("SELECT o.body, o.owner, b.owner FROM body_owner o JOIN body b ON b.id = o.body WHERE o.linked = 0 AND b.state = 1")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var l link
			if err := rows.Scan(&l.id, &l.owner, &l.first); err != nil {
				return err
			}
			links = append(links, l)
		}
		return rows.Err()
	})
	if err != nil || len(links) == 0 {
		return err
	}
	dirs := make(map[string]bool)
	for _, l := range links {
		to := s.path(l.id, l.owner)
		if err := s.need(filepath.Dir(to)); err != nil {
			return err
		}
		if err := os.Link(s.path(l.id, l.first), to); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		dirs[filepath.Dir(to)] = true
		s.step("link: linked")
	}
	for dir := range dirs {
		if err := s.syncFolder(dir); err != nil {
			return err
		}
	}
	s.step("link: folders synced")
	for _, l := range links {
		if err := s.commitLink(ctx, l.id, l.owner); err != nil {
			return fmt.Errorf("link body %d: %w", l.id, err)
		}
	}
	return nil
}

// commitLink records a name; the first owner may have left meanwhile.
func (s *Store) commitLink(ctx context.Context, id ID, owner int64) error {
	stale := false
	err := s.db.Update(context.WithoutCancel(ctx), func(tx *sqlite.Tx) error {
		var refs, firstRefs int64
		err := tx.QueryRow("UPDATE body_owner SET linked = 1 WHERE body = ? AND owner = ? RETURNING refs", int64(id), owner).Scan(&refs)
		if stale = errors.Is(err, sqlite.ErrNoRows); stale {
			return nil
		}
		if err == nil {
			_, err = tx.Exec("DELETE FROM body_unlink WHERE body = ? AND owner = ?", int64(id), owner)
		}
		if err == nil {
			err = tx.QueryRow("SELECT refs FROM body WHERE id = ?", int64(id)).Scan(&firstRefs)
		}
		if err == nil && firstRefs == 0 {
			err = promote(tx, id, owner, refs, true)
		}
		return err
	})
	if err == nil && stale {
		err = os.Remove(s.path(id, owner))
	}
	return err
}

// tidy removes names that Settle gave to owners who then did not hold the body.
func (s *Store) tidy(ctx context.Context) error {
	s.mu.Lock()
	shared := s.shared
	s.shared = nil
	s.mu.Unlock()
	for _, d := range shared {
		for _, owner := range d.owners {
			unheld, err := s.unknown(ctx, owner, []ID{d.id})
			if err == nil && len(unheld) > 0 {
				err = os.Remove(s.path(d.id, owner))
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
