package trace

import (
	"context"
	"fmt"
	"time"

	"mailstead/internal/sqlite"
)

// chunk is how many rows one commit deletes.
const chunk = 1000

// Trim deletes what is older than Keep, and the oldest of what is too much. It
// is a job of once a day or oftener.
func (s *Store) Trim(ctx context.Context) error {
	before := time.Now().Add(-s.o.Keep).UnixMicro()
	for {
		n, err := trim(ctx, s.main, "trace_kept", func(tx *sqlite.Tx) (int64, error) {
			var over int64
			err := tx.QueryRow(`SELECT coalesce(max(id), 0) - ? FROM trace_kept`, s.o.MaxKept).Scan(&over)
			return over, err
		}, before)
		if err != nil {
			return err
		}
		m, err := trim(ctx, s.own, "event", s.overSize, before)
		if err != nil {
			return err
		}
		if n+m == 0 {
			return nil
		}
	}
}

// overSize gives the id up to which rows of trace.db must go: a chunk of the
// oldest while the pages in use are more than MaxBytes.
func (s *Store) overSize(tx *sqlite.Tx) (int64, error) {
	var pages, free, size, oldest int64
	err := tx.QueryRow(`SELECT (SELECT page_count FROM pragma_page_count),
		(SELECT freelist_count FROM pragma_freelist_count), (SELECT page_size FROM pragma_page_size),
		(SELECT coalesce(min(id), 0) FROM event)`).Scan(&pages, &free, &size, &oldest)
	if err != nil || (pages-free)*size <= s.o.MaxBytes {
		return 0, err
	}
	return oldest + chunk - 1, nil
}

// trim deletes one chunk and tells how many rows that were.
func trim(ctx context.Context, db *sqlite.DB, table string, over func(*sqlite.Tx) (int64, error), before int64) (n int64, err error) {
	err = db.Update(ctx, func(tx *sqlite.Tx) error {
		last, err := over(tx)
		if err != nil {
			return err
		}
		// Ids rise with time, so the oldest rows are the first ones.
		r, err := tx.Exec(`DELETE FROM `+table+` WHERE id IN (
			SELECT id FROM (SELECT id, time FROM `+table+` ORDER BY id LIMIT ?) WHERE time < ? OR id <= ?)`,
			chunk, before, last)
		if err != nil {
			return err
		}
		n, err = r.RowsAffected()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("trim %s: %w", table, err)
	}
	return n, nil
}
