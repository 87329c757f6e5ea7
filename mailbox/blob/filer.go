package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"mailstead/internal/sqlite"
)

// The filer works in batches: each folder is synced once and one transaction
// serves them all. It waits for a quiet moment, but not for ever.
const (
	batchFiles  = 64
	filers      = 4
	quiet       = 20 * time.Millisecond
	patience    = 500 * time.Millisecond
	backlogMany = 1024 // bodies that make the filer stop waiting

	// After a burst the rows' pages are free: the database gives them back, but
	// keepPages, once nothing has come for a while.
	rest      = 250 * time.Millisecond
	keepPages = 128
)

// Run sweeps, then files what was accepted inline and unlinks what is gone,
// until ctx ends. It gives an error only when a sync failed.
func (s *Store) Run(ctx context.Context) error {
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	idle := time.NewTimer(rest)
	defer idle.Stop()
	err := s.Sweep(ctx)
	s.signal() // what the last run left
	for {
		if s.failure() != nil {
			return s.failure()
		}
		if err != nil && ctx.Err() == nil { // a full disk, say: the next minute tries again
			s.o.Log.Error("message files", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-minute.C:
			err = errors.Join(s.File(ctx), s.Reap(ctx))
		case <-s.wake:
			s.linger(ctx)
			err = s.File(ctx)
			idle.Reset(rest)
		case <-idle.C:
			err = s.giveBack(ctx)
		}
	}
}

// giveBack stops as soon as there is mail.
func (s *Store) giveBack(ctx context.Context) error {
	for more := true; more && s.recent.waiting() == 0 && ctx.Err() == nil; {
		var err error
		if more, err = s.db.Shrink(ctx, keepPages); err != nil {
			return full(err)
		}
	}
	return nil
}

// linger waits until nothing was accepted for a moment.
func (s *Store) linger(ctx context.Context) {
	end := time.Now().Add(patience)
	t := time.NewTimer(quiet)
	defer t.Stop()
	for n := s.recent.waiting(); n < backlogMany; {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		now := s.recent.waiting()
		if now == n || time.Now().After(end) {
			return
		}
		n = now
		t.Reset(quiet)
	}
}

// File makes files of all bodies that wait, in batches.
func (s *Store) File(ctx context.Context) error {
	s.work.Lock()
	defer s.work.Unlock()
	for ctx.Err() == nil {
		ids := s.recent.take(batchFiles)
		if len(ids) == 0 {
			return errors.Join(s.linkFurther(ctx), s.tidy(ctx))
		}
		if err := s.fileBatch(ctx, ids); err != nil {
			s.recent.again(ids)
			return full(err)
		}
	}
	return ctx.Err()
}

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
	if err := s.writeAll(jobs); err != nil {
		return err
	}
	dirs := make(map[string]bool)
	for _, j := range jobs {
		dirs[s.folder(j.id, j.owner)] = true
		for _, o := range j.further {
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
	err = s.commitFiled(ctx, jobs)
	s.step("file: committed")
	return err
}

// jobs reads the rows of those ids that are still inline and held.
func (s *Store) jobs(ctx context.Context, ids []ID) ([]job, error) {
	slices.Sort(ids)
	ids = slices.Compact(ids) // a second job of a body would take the first one's file away
	var jobs []job
	err := s.db.View(ctx, func(tx *sqlite.Tx) error {
		jobs = jobs[:0]
		for _, id := range ids {
			j := job{id: id}
			err := tx.QueryRow("SELECT owner FROM body WHERE id = ? AND state = 1 AND gone IS NULL AND owner IS NOT NULL", int64(id)).Scan(&j.owner)
			if errors.Is(err, sqlite.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			var ok bool
			if j.bytes, ok = s.recent.get(id); !ok {
				if err := tx.QueryRow("SELECT bytes FROM inline_body WHERE id = ?", int64(id)).Scan(&j.bytes); err != nil {
					return err
				}
			}
			jobs = append(jobs, j)
		}
		if len(jobs) == 0 {
			return nil
		}
		return furtherOwners(tx, jobs)
	})
	return jobs, err
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

// writeAll writes and syncs the files with a few workers: the file system joins
// syncs that happen at once.
func (s *Store) writeAll(jobs []job) error {
	for _, j := range jobs {
		for _, o := range append(j.further, j.owner) {
			if err := s.need(s.folder(j.id, o)); err != nil {
				return err
			}
		}
	}
	var wg sync.WaitGroup
	errs := make([]error, filers)
	for w := range min(filers, len(jobs)) {
		wg.Go(func() {
			for i := w; i < len(jobs) && errs[w] == nil; i += filers {
				errs[w] = s.writeFile(jobs[i])
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// writeFile writes under the final name: until the commit the row is what
// counts, so a torn file does no harm and is made anew.
func (s *Store) writeFile(j job) error {
	path := s.path(j.id, j.owner)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		if err = os.Remove(path); err == nil {
			f, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		}
	}
	if err != nil {
		return err
	}
	s.step("file: created")
	if _, err = f.Write(j.bytes); err == nil {
		err = s.syncFile(f)
	}
	s.step("file: synced")
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

// commitFiled makes the files the authority, for those bodies that are still
// inline, held, and owned as they were.
func (s *Store) commitFiled(ctx context.Context, jobs []job) error {
	done := make([]bool, len(jobs))
	mark := min(s.known(), jobs[0].id-1)
	// Not to be given up: who does not know whether it was committed would
	// make or remove files that have become the authority.
	err := s.db.Update(context.WithoutCancel(ctx), func(tx *sqlite.Tx) error {
		for i, j := range jobs {
			r, err := tx.Exec("UPDATE body SET state = 2 WHERE id = ? AND state = 1 AND gone IS NULL AND owner = ?", int64(j.id), j.owner)
			if err != nil {
				return err
			}
			n, _ := r.RowsAffected()
			if done[i] = n == 1; !done[i] {
				continue
			}
			if _, err := tx.Exec("DELETE FROM inline_body WHERE id = ?", int64(j.id)); err != nil {
				return err
			}
			for _, o := range j.further {
				if _, err := tx.Exec("UPDATE body_owner SET linked = 1 WHERE body = ? AND owner = ?", int64(j.id), o); err != nil {
					return err
				}
			}
		}
		return s.mark(tx, mark)
	})
	if err != nil {
		return err
	}
	s.swept = max(s.swept, int64(mark))
	for i, j := range jobs {
		if done[i] {
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

// linkFurther gives bodies that are files already their names in the folders of
// owners that came later.
func (s *Store) linkFurther(ctx context.Context) error {
	type link struct {
		id           ID
		owner, first int64
	}
	var links []link
	err := s.db.View(ctx, func(tx *sqlite.Tx) error {
		rows, err := tx.Query("SELECT o.body, o.owner, b.owner FROM body_owner o JOIN body b ON b.id = o.body WHERE o.linked = 0 AND b.state = 2")
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
