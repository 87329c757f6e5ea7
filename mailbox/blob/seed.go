package blob

import (
	"context"

	"mailstead/internal/sqlite"
)

// seed finds the greatest id in use and the bodies that wait to be filed.
func (s *Store) seed(ctx context.Context) error {
	var row int64
	err := s.db.View(ctx, func(tx *sqlite.Tx) error {
		if err := tx.QueryRow("SELECT ifnull(max(id), 0) FROM body").Scan(&row); err != nil {
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
	file, err := s.greatestName(ctx)
	if err != nil {
		return err
	}
	s.last.Store(max(row, int64(file)))
	close(s.seeded)
	return nil
}
