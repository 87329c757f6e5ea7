package mailbox

import (
	"context"
	"fmt"
	"time"

	"mailstead/internal/sqlite"
)

// SortKeys is what SORT and THREAD (RFC 5256) compare, and what a list of
// messages shows without their bytes.
type SortKeys struct {
	Email       int64
	Thread      int64
	Size        int64
	Received    time.Time
	Date        time.Time // zero when the message has none; SORT then takes Received
	BaseSubject string
	From        string
	To          string
	Cc          string
	FromName    string
	Attachments bool
}

// SortKeys loads the keys of emails by id; order is that of ids, missing ones
// are left out. k is reused between calls of fn.
func (s *Store) SortKeys(ctx context.Context, ids []int64, fn func(k *SortKeys) error) error {
	q := loader[SortKeys]{
		columns: `id, thread, size, received, facts`,
		scan: func(rows *sqlite.Rows, k *SortKeys) error {
			var received int64
			var facts []byte
			if err := rows.Scan(&k.Email, &k.Thread, &k.Size, &received, &facts); err != nil {
				return err
			}
			k.Received = time.Unix(received, 0).UTC()
			return unpackSort(facts, k)
		},
		id: func(k *SortKeys) int64 { return k.Email },
	}
	if err := q.load(ctx, s.db, ids, fn); err != nil {
		return fmt.Errorf("load sort keys: %w", err)
	}
	return nil
}
