package blob

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"

	"mailstead/internal/sqlite"
)

// A batch of several files is synced by one sync of the whole file
// system, where that keeps the promise; smaller ones, and those on other file
// systems, file by file with a few workers, since the file system joins syncs
// that happen at once.
const (
	wholeFrom = 2
	filers    = 4
)

// job is one body on its way from row to file.
type job struct {
	id      ID
	owner   int64
	further []int64
	bytes   []byte
}

func (s *Store) fileBatch(ctx context.Context, ids []ID) error {
	jobs, err := s.jobs(ctx, ids)
	if err != nil || len(jobs) == 0 {
		return err
	}
	if err := s.makeFolders(jobs); err != nil {
		return err
	}
	if s.whole && len(jobs) >= wholeFrom {
		err = s.writeWhole(jobs)
	} else {
		err = s.writeEach(jobs)
	}
	if err != nil {
		return err
	}
	err = s.commitFiled(ctx, jobs)
	s.step("file: committed")
	return err
}

// run is a stretch of ids without a gap.
func run(ids []ID) (n int) {
	for n = 1; n < len(ids) && ids[n] == ids[n-1]+1; n++ {
	}
	return n
}

// jobs reads the rows of those ids that are still inline and held.
func (s *Store) jobs(ctx context.Context, ids []ID) ([]job, error) {
	slices.Sort(ids)
	ids = slices.Compact(ids)
	var jobs []job
	err := s.db.View(ctx, func(tx *sqlite.Tx) error {
		jobs = make([]job, 0, len(ids))
		for left := ids; len(left) > 0; {
			n := run(left)
			err := inlineRows(tx, left[0], left[n-1], func(id ID, owner int64) { jobs = append(jobs, job{id: id, owner: owner}) })
			if err != nil {
				return err
			}
			left = left[n:]
		}
		for i := range jobs {
			j, ok := &jobs[i], false
			if j.bytes, ok = s.recent.get(j.id); ok {
				continue
			}
			if err := tx.QueryRow("SELECT bytes FROM inline_body WHERE id = ?", int64(j.id)).Scan(&j.bytes); err != nil {
				return err
			}
		}
		if len(jobs) == 0 {
			return nil
		}
		return furtherOwners(tx, jobs)
	})
	return jobs, err
}

// inlineRows gives the bodies from first to last that are inline and held.
func inlineRows(tx *sqlite.Tx, first, last ID, fn func(id ID, owner int64)) error {
	rows, err := tx.Query("SELECT id, owner FROM body WHERE id BETWEEN ? AND ? AND state = 0 AND gone IS NULL AND owner IS NOT NULL", int64(first), int64(last))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, owner int64
		if err := rows.Scan(&id, &owner); err != nil {
			return err
		}
		fn(ID(id), owner)
	}
	return rows.Err()
}

func furtherOwners(tx *sqlite.Tx, jobs []job) error {
	rows, err := tx.Query("SELECT body, owner FROM body_owner WHERE body BETWEEN ? AND ?", int64(jobs[0].id), int64(jobs[len(jobs)-1].id))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id ID
		var owner int64
		if err := rows.Scan(&id, &owner); err != nil {
			return err
		}
		i, ok := slices.BinarySearchFunc(jobs, id, func(j job, id ID) int { return int(j.id - id) })
		if ok {
			jobs[i].further = append(jobs[i].further, owner)
		}
	}
	return rows.Err()
}

func (s *Store) makeFolders(jobs []job) error {
	for _, j := range jobs {
		for _, o := range append(j.further, j.owner) {
			if err := s.need(s.folder(j.id, o)); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeWhole writes all files and syncs all that the file system holds. The
// descriptor is opened first: it is what remembers an error of the time between.
func (s *Store) writeWhole(jobs []job) error {
	root, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, j := range jobs {
		if err := s.writeFile(j, false); err != nil {
			return err
		}
	}
	s.step("file: written")
	err = s.syncWhole(root)
	s.step("file: synced whole")
	return err
}

// writeEach writes and syncs file by file, then each folder once.
func (s *Store) writeEach(jobs []job) error {
	var wg sync.WaitGroup
	errs := make([]error, filers)
	for w := range min(filers, len(jobs)) {
		wg.Go(func() {
			for i := w; i < len(jobs) && errs[w] == nil; i += filers {
				errs[w] = s.writeFile(jobs[i], true)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	dirs := make(map[string]bool)
	for _, j := range jobs {
		for _, o := range append(j.further, j.owner) {
			dirs[s.folder(j.id, o)] = true
		}
	}
	s.step("file: written")
	for dir := range dirs {
		if err := s.syncFolder(dir); err != nil {
			return err
		}
	}
	s.step("file: folders synced")
	return nil
}

// writeFile writes under the final name: until the commit the row is what
// counts, so a torn file does no harm and is made anew.
func (s *Store) writeFile(j job, sync bool) error {
	path := s.path(j.id, j.owner)
	f, err := create(path)
	if errors.Is(err, fs.ErrExist) {
		if err = os.Remove(path); err == nil {
			f, err = create(path)
		}
	}
	if err != nil {
		return err
	}
	s.step("file: created")
	if _, err = f.Write(j.bytes); err == nil && sync {
		err = s.syncFile(f)
		s.step("file: synced")
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	for _, o := range j.further {
		to := s.path(j.id, o)
		if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Link(path, to); err != nil {
			return err
		}
	}
	return nil
}
