package blob

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"mailstead/internal/sqlite"
)

// Found is a file whose body the database does not know: after a restore, what
// was received since the snapshot.
type Found struct {
	ID     ID
	Owners []int64 // whose folders hold its name, ascending
	Time   time.Time
	s      *Store
}

// Unknown lists the files without a row, by id. Those of drafts that are on
// their way are left out.
func (s *Store) Unknown(ctx context.Context) ([]Found, error) {
	owners, err := s.owners()
	if err != nil {
		return nil, fmt.Errorf("look for files: %w", err)
	}
	byID := make(map[ID][]int64)
	for _, owner := range owners {
		shards, err := s.shards(owner, 0)
		for i := 0; err == nil && i < len(shards); i++ {
			err = s.unknownIn(ctx, owner, shards[i], byID)
		}
		if err != nil {
			return nil, fmt.Errorf("look for files: %w", err)
		}
	}
	all := make([]Found, 0, len(byID))
	for id, owners := range byID {
		slices.Sort(owners)
		f := Found{ID: id, Owners: owners, s: s}
		if info, err := os.Stat(s.path(id, owners[0])); err == nil {
			f.Time = info.ModTime()
		}
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b Found) int { return int(a.ID - b.ID) })
	return all, nil
}

// unknownIn adds the names of one folder that have no row.
func (s *Store) unknownIn(ctx context.Context, owner, shard int64, byID map[ID][]int64) error {
	ids, err := s.names(owner, shard)
	if err != nil || len(ids) == 0 {
		return err
	}
	known := make(map[ID]bool, len(ids))
	err = s.db.View(ctx, func(tx *sqlite.Tx) error {
		rows, err := tx.Query("SELECT id FROM body WHERE id BETWEEN ? AND ?", int64(slices.Min(ids)), int64(slices.Max(ids)))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id ID
			if err := rows.Scan(&id); err != nil {
				return err
			}
			known[id] = true
		}
		return rows.Err()
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if !known[id] && !s.flying[id] {
			byID[id] = append(byID[id], owner)
		}
	}
	return nil
}

// Open reads the file as a draft under its old id: Commit gives it a row, Close
// without one leaves the file where it is.
func (f Found) Open(ctx context.Context) (*Draft, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d := &Draft{s: f.s, id: f.ID, owners: f.Owners, found: true}
	d.kept.Store(true) // the name is not ours to remove
	d.commit = d.committed
	var err error
	if d.file, err = os.Open(f.s.path(f.ID, f.Owners[0])); err != nil {
		return nil, err
	}
	h := sha256.New()
	if d.size, err = io.Copy(h, d.file); err != nil {
		d.Close()
		return nil, err
	}
	h.Sum(d.sum[:0])
	return d, nil
}

// Missing lists the filed bodies whose first owner this is and whose file is not
// there. A name that another owner's folder still has is linked anew instead:
// after a restore the first owner may be one that has left since.
func (s *Store) Missing(ctx context.Context, owner int64) (missing []ID, err error) {
	var rows []ID
	err = s.db.View(ctx, func(tx *sqlite.Tx) error {
		rows, err = filedBy(tx, owner)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for missing files: %w", err)
	}
	names := make(map[ID]bool)
	shards, err := s.shards(owner, 0)
	for i := 0; err == nil && i < len(shards); i++ {
		var ids []ID
		ids, err = s.names(owner, shards[i])
		for _, id := range ids {
			names[id] = true
		}
	}
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("look for missing files: %w", err)
	}
	for _, id := range rows {
		if names[id] {
			continue
		}
		again, err := s.relink(ctx, id, owner)
		if err != nil {
			return nil, fmt.Errorf("link body %d anew: %w", id, err)
		}
		if !again {
			missing = append(missing, id)
		}
	}
	return missing, nil
}

// relink gives an owner the name of a body back from another owner's folder.
func (s *Store) relink(ctx context.Context, id ID, owner int64) (bool, error) {
	var others []int64
	err := s.db.View(ctx, func(tx *sqlite.Tx) error {
		rows, err := tx.Query("SELECT owner FROM body_owner WHERE body = ?", int64(id))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var o int64
			if err := rows.Scan(&o); err != nil {
				return err
			}
			others = append(others, o)
		}
		return rows.Err()
	})
	if err != nil {
		return false, err
	}
	dir := s.folder(id, owner)
	for _, o := range others {
		if _, err := os.Stat(s.path(id, o)); err != nil {
			continue
		}
		if err := s.need(dir); err != nil {
			return false, err
		}
		if err := os.Link(s.path(id, o), s.path(id, owner)); err != nil {
			return false, err
		}
		return true, s.syncFolder(dir)
	}
	return false, nil
}

// filedBy lists the bodies in state filed whose first owner it is.
func filedBy(tx *sqlite.Tx, owner int64) (ids []ID, err error) {
	rows, err := tx.Query("SELECT id FROM body WHERE owner = ? AND state = 1 AND gone IS NULL", owner)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id ID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}
