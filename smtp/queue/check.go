package queue

import (
	"context"
	"fmt"

	"mailstead/internal/sqlite"
)

// Check compares the queue's rows with each other and with the table of bodies:
// every message that waits has bytes and somebody to go to. report gets plain
// sentences.
func (q *Queue) Check(ctx context.Context, report func(qid int64, text string)) error {
	var found []func()
	err := q.db.View(ctx, func(tx *sqlite.Tx) error {
		found = nil
		rows, err := tx.Query(`SELECT m.id, m.body, b.id IS NULL, EXISTS (SELECT 1 FROM queue_recipient r WHERE r.message = m.id)
			FROM queue_message m LEFT JOIN body b ON b.id = m.body AND b.gone IS NULL`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var qid, body int64
			var missing, waits bool
			if err := rows.Scan(&qid, &body, &missing, &waits); err != nil {
				return err
			}
			if missing {
				found = append(found, func() {
					report(qid, fmt.Sprintf("message %d of the queue needs body %d, which is not there", qid, body))
				})
			}
			if !waits {
				found = append(found, func() { report(qid, fmt.Sprintf("message %d of the queue goes to nobody", qid)) })
			}
		}
		return rows.Err()
	})
	if err != nil {
		return fmt.Errorf("check the queue: %w", err)
	}
	for _, tell := range found {
		tell()
	}
	return nil
}
