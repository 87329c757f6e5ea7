package blob

import (
	"fmt"

	"mailstead/internal/sqlite"
)

// Disown lets the queue go of a body in a database that is being put back, and
// leaves its files alone: whose folder has a name of it by now may have received
// it since, and then finds it as a file without a row.
func (s *Store) Disown(tx *sqlite.Tx, id ID) error {
	r, err := tx.Exec(`DELETE FROM body WHERE id = ?1 AND owner = ?2 AND refs <= 1
		AND NOT EXISTS (SELECT 1 FROM body_owner WHERE body = ?1)`, int64(id), Queue)
	if err != nil {
		return fmt.Errorf("disown body %d: %w", id, err)
	}
	if n, _ := r.RowsAffected(); n == 0 {
		return s.Unref(tx, id, Queue)
	}
	if _, err := tx.Exec("DELETE FROM inline_body WHERE id = ?", int64(id)); err != nil {
		return fmt.Errorf("disown body %d: %w", id, err)
	}
	return nil
}
