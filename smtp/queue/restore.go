package queue

import (
	"fmt"

	"mailstead/internal/sqlite"
)

// HoldAll keeps every message of a database back until Retry, and tells how many
// there are. It is for a database that was put back, before a Queue opens on it:
// what waited then may have been delivered since.
func HoldAll(tx *sqlite.Tx) (messages int64, err error) {
	if _, err := tx.Exec(`UPDATE queue_recipient SET held = 1`); err != nil {
		return 0, fmt.Errorf("hold the queue: %w", err)
	}
	if err := tx.QueryRow(`SELECT count(*) FROM queue_message`).Scan(&messages); err != nil {
		return 0, fmt.Errorf("hold the queue: %w", err)
	}
	return messages, nil
}
