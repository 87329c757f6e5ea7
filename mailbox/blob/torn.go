package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"mailstead/internal/sqlite"
)

// Torn lists the filed bodies whose files have another length than was received,
// by id. Where one owner's file is whole the others get its name instead. Bodies
// that the queue holds are left as they are: nobody's mailbox could take them.
func (s *Store) Torn(ctx context.Context) (torn []ID, err error) {
	for last := ID(0); err == nil; {
		var rows []checked
		if rows, err = s.checkRows(ctx, last); err != nil || len(rows) == 0 {
			break
		}
		for _, r := range rows {
			last = r.id
			if r.state != filed {
				continue
			}
			var lost bool
			if lost, err = s.mend(r); err != nil {
				break
			}
			if lost {
				torn = append(torn, r.id)
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("look for torn files: %w", err)
	}
	return torn, nil
}

// mend puts the name of a whole file in the place of torn ones. It tells whether
// there are torn ones and no whole one.
func (s *Store) mend(r checked) (lost bool, err error) {
	var bad []int64
	whole := int64(-1)
	for _, owner := range r.owners {
		info, err := os.Stat(s.path(r.id, owner))
		switch {
		case errors.Is(err, fs.ErrNotExist): // another matter: see Missing
		case err != nil:
			return false, err
		case info.Size() == r.size:
			whole = owner
		case owner == Queue:
			return false, nil
		default:
			bad = append(bad, owner)
		}
	}
	if whole < 0 {
		return len(bad) > 0, nil
	}
	for _, owner := range bad {
		next := s.path(r.id, owner) + ".whole"
		if err := os.Link(s.path(r.id, whole), next); err != nil && !errors.Is(err, fs.ErrExist) {
			return false, err
		}
		if err := os.Rename(next, s.path(r.id, owner)); err != nil {
			return false, err
		}
		if err := s.syncFolder(s.folder(r.id, owner)); err != nil {
			return false, err
		}
	}
	return false, nil
}

// Abandon removes the row of a body and leaves its files alone: Unknown lists
// them then. The caller removes what refers to it in the same transaction.
func (s *Store) Abandon(tx *sqlite.Tx, id ID) error {
	for _, query := range []string{
		"DELETE FROM body WHERE id = ?", // its owners go with it
		"DELETE FROM body_unlink WHERE body = ?",
	} {
		if _, err := tx.Exec(query, int64(id)); err != nil {
			return fmt.Errorf("abandon body %d: %w", id, err)
		}
	}
	return nil
}
