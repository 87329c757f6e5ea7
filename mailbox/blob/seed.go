package blob

import (
	"context"
	"fmt"

	"mailstead/internal/sqlite"
)

// seed reads what waits to be filed, and starts the look for the greatest id in
// use: the folders of many accounts take longer than a start may.
func (s *Store) seed(ctx context.Context) error {
	var row, top int64
	err := s.db.View(ctx, func(tx *sqlite.Tx) error {
		if err := tx.QueryRow("SELECT ifnull(max(id), 0) FROM body").Scan(&row); err != nil {
			return err
		}
		if err := tx.QueryRow("SELECT ifnull(max(top), 0) FROM blob_store").Scan(&top); err != nil {
			return err
		}
		rows, err := tx.Query("SELECT id FROM inline_body ORDER BY id")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id ID
			if err := rows.Scan(&id); err != nil {
				return err
			}
			s.recent.wait = append(s.recent.wait, id)
		}
		return rows.Err()
	})
	if err != nil {
		return err
	}
	go func() {
		defer close(s.seeded)
		file, err := s.greatestName()
		if err != nil {
			s.seedErr = fmt.Errorf("look for the last message file: %w", err)
			s.o.Log.Error("message files", "err", s.seedErr)
			return
		}
		s.start = max(row, int64(file), top)
		s.top.Store(top)
		s.last.Store(s.start)
	}()
	return nil
}

// ready waits until ids can be allotted.
func (s *Store) ready() error {
	<-s.seeded
	return s.seedErr
}

// allot gives a new id, above every row and every file name.
func (s *Store) allot() (ID, error) {
	if err := s.ready(); err != nil {
		return 0, err
	}
	return ID(s.last.Add(1)), nil
}

// topAhead is how far the number of ids never to be given out again runs ahead,
// so that not every removal has to move it.
const topAhead = 64

// retire is part of the commit that removes a row: its id is not given out
// again, since a snapshot that is put back may still know it.
func (s *Store) retire(tx *sqlite.Tx, id ID) error {
	if int64(id) <= s.top.Load() {
		return nil
	}
	top := max(s.last.Load(), int64(id)) + topAhead // last is not known at once
	_, err := tx.Exec("UPDATE blob_store SET top = max(top, ?)", top)
	tx.AfterCommit(func() { s.top.Store(top) })
	return err
}

// nextFolder lets the next id begin new folders.
func (s *Store) nextFolder() {
	for {
		last := s.last.Load()
		if s.last.CompareAndSwap(last, (last/perFolder+1)*perFolder-1) {
			return
		}
	}
}

// launch allots the id of a file that gets its name before its row. The sweep
// of a later start must look at it until land.
func (s *Store) launch() (ID, error) {
	if err := s.ready(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := ID(s.last.Add(1))
	s.flying[id] = true
	return id, nil
}

func (s *Store) land(id ID) {
	s.mu.Lock()
	delete(s.flying, id)
	s.mu.Unlock()
}

// landed is called after the commit of a settled draft.
func (s *Store) landed(d *Draft) {
	s.mu.Lock()
	delete(s.flying, d.id)
	if len(d.owners) > 1 {
		s.shared = append(s.shared, d)
		s.signal()
	}
	s.mu.Unlock()
}

// known is the id up to which every file has a row.
func (s *Store) known() ID {
	s.mu.Lock()
	mark := ID(s.last.Load())
	for id := range s.flying {
		mark = min(mark, id-1)
	}
	s.mu.Unlock()
	return min(mark, s.recent.lowest()-1)
}
