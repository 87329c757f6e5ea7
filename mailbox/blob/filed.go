package blob

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"mailstead/internal/sqlite"
)

// commitFiled makes the files the authority, for those bodies that are still
// inline, held, and owned as they were.
func (s *Store) commitFiled(ctx context.Context, jobs []job) error {
	ids := make([]ID, len(jobs))
	for i, j := range jobs {
		ids[i] = j.id
	}
	var done map[ID]bool
	var left []string // names for further owners who have left
	mark := min(s.known(), ids[0]-1)
	// Whoever stops waiting for this commit does not know whose bytes count, and
	// would take a file for one that may be made anew.
	err := s.db.Update(context.WithoutCancel(ctx), func(tx *sqlite.Tx) error {
		done, left = make(map[ID]bool, len(jobs)), nil // fn may run twice
		for i := 0; i < len(ids); {
			n := run(ids[i:])
			if err := stateFiled(tx, jobs[i:i+n], done); err != nil {
				return err
			}
			i += n
		}
		for _, j := range jobs {
			for _, o := range j.further {
				r, err := tx.Exec("UPDATE body_owner SET linked = 1 WHERE body = ? AND owner = ?", int64(j.id), o)
				if err != nil {
					return err
				}
				if n, _ := r.RowsAffected(); n == 0 && done[j.id] {
					left = append(left, s.path(j.id, o))
				}
			}
		}
		return s.mark(tx, mark)
	})
	if errors.Is(err, sqlite.ErrFailed) {
		return s.fail(err) // nor is it known now: these files are left alone
	}
	if err != nil {
		return err
	}
	s.swept = max(s.swept, int64(mark))
	for _, path := range left {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return s.afterFiling(jobs, done)
}

// stateFiled changes the rows of a stretch of ids, by one statement for all
// unless some of them changed meanwhile.
func stateFiled(tx *sqlite.Tx, jobs []job, done map[ID]bool) error {
	first, last := jobs[0].id, jobs[len(jobs)-1].id
	same := 0
	err := inlineRows(tx, first, last, func(id ID, owner int64) {
		if j := jobs[id-first]; j.owner == owner {
			done[id] = true
			same++
		}
	})
	if err != nil {
		return err
	}
	if same == len(jobs) {
		return setFiled(tx, first, last)
	}
	for _, j := range jobs {
		if !done[j.id] {
			continue
		}
		if err := setFiled(tx, j.id, j.id); err != nil {
			return err
		}
	}
	return nil
}

func setFiled(tx *sqlite.Tx, first, last ID) error {
	_, err := tx.Exec("UPDATE body SET state = 1 WHERE id BETWEEN ? AND ?", int64(first), int64(last))
	if err == nil {
		_, err = tx.Exec("DELETE FROM inline_body WHERE id BETWEEN ? AND ?", int64(first), int64(last))
	}
	return err
}

// afterFiling removes the files of bodies that changed meanwhile; they are
// looked at again.
func (s *Store) afterFiling(jobs []job, done map[ID]bool) error {
	for _, j := range jobs {
		if done[j.id] {
			s.recent.drop(j.id)
			continue
		}
		for _, o := range append(j.further, j.owner) {
			if err := os.Remove(s.path(j.id, o)); err != nil {
				return err
			}
		}
		s.recent.again([]ID{j.id})
	}
	return nil
}
