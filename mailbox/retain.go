package mailbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailstead/internal/sqlite"
)

// defaultLog is how many expunges of a mailbox are remembered at least. A client
// that comes back after more than that compares all UIDs (RFC 7162, 3.2.5.2).
const defaultLog = 20_000

// pause between two chunks of housekeeping leaves the writer to the doors.
const pause = 20 * time.Millisecond

// Retention is after how many days mail in Trash and Junk goes; 0 is never.
type Retention struct {
	Trash int `json:"trash_days"`
	Junk  int `json:"junk_days"`
}

// Retention of an account, 30 days each unless it was set.
func (s *Store) Retention(ctx context.Context, account int64) (r Retention, err error) {
	err = s.db.View(ctx, func(tx *sqlite.Tx) error {
		err := tx.QueryRow(`SELECT trash_days, junk_days FROM mail_account WHERE account = ?`, account).Scan(&r.Trash, &r.Junk)
		if errors.Is(err, sqlite.ErrNoRows) {
			r, err = Retention{30, 30}, nil
		}
		return err
	})
	if err != nil {
		return r, fmt.Errorf("retention: %w", err)
	}
	return r, nil
}

// SetRetention changes it.
func (s *Store) SetRetention(tx *sqlite.Tx, account int64, r Retention) error {
	_, err := tx.Exec(`INSERT INTO mail_account (account, trash_days, junk_days) VALUES (?, ?, ?)
		ON CONFLICT (account) DO UPDATE SET trash_days = excluded.trash_days, junk_days = excluded.junk_days`,
		account, max(r.Trash, 0), max(r.Junk, 0))
	if err != nil {
		return fmt.Errorf("set retention: %w", err)
	}
	return nil
}

// Retain is the housekeeping of a day: it empties Trash and Junk of what was
// put there too long ago, finishes deletions of mailboxes that were cut short,
// and shortens the logs of expunges. It returns how many messages went.
func (s *Store) Retain(ctx context.Context) (removed int, err error) {
	if err := s.buryAll(ctx); err != nil {
		return 0, fmt.Errorf("retain: %w", err)
	}
	boxes, err := s.expiring(ctx, time.Now())
	if err != nil {
		return 0, fmt.Errorf("retain: %w", err)
	}
	for _, b := range boxes {
		n, err := s.expire(ctx, b)
		removed += n
		if err != nil {
			return removed, fmt.Errorf("retain: %w", err)
		}
	}
	if err := s.trimLogs(ctx); err != nil {
		return removed, fmt.Errorf("retain: %w", err)
	}
	return removed, nil
}

// rest yields to the doors; it ends with the context.
func rest(ctx context.Context) error {
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *Store) buryAll(ctx context.Context) error {
	ids, err := s.ids(ctx, `SELECT id FROM mailbox WHERE state = 2`)
	for i := 0; err == nil && i < len(ids); i++ {
		err = s.bury(ctx, ids[i])
	}
	return err
}

// ids runs a query for one column of numbers.
func (s *Store) ids(ctx context.Context, query string, args ...any) (ids []int64, err error) {
	err = s.db.View(ctx, func(tx *sqlite.Tx) error {
		rows, err := tx.Query(query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id int64
			if err := rows.Scan(&id); err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return rows.Err()
	})
	return ids, err
}

// expiry is a mailbox whose mail goes when it was saved before a time.
type expiry struct{ mailbox, before int64 }

func (s *Store) expiring(ctx context.Context, now time.Time) (out []expiry, err error) {
	err = s.db.View(ctx, func(tx *sqlite.Tx) error {
		rows, err := tx.Query(`SELECT m.id, CASE m.special WHEN '\Trash' THEN a.trash_days ELSE a.junk_days END
			FROM mailbox m JOIN mail_account a ON a.account = m.account
			WHERE m.special IN ('\Trash', '\Junk') AND m.state = 0 AND m.messages > 0`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id int64
			var days int
			if err := rows.Scan(&id, &days); err != nil {
				return err
			}
			if days > 0 {
				out = append(out, expiry{id, now.AddDate(0, 0, -days).Unix()})
			}
		}
		return rows.Err()
	})
	return out, err
}

func (s *Store) expire(ctx context.Context, e expiry) (removed int, err error) {
	for {
		var old []int64
		old, err = s.ids(ctx, `SELECT uid FROM placement WHERE mailbox = ? AND saved < ? ORDER BY uid LIMIT ?`, e.mailbox, e.before, s.chunk)
		if err != nil || len(old) == 0 {
			return removed, err
		}
		uids := make([]uint32, len(old))
		for i, uid := range old {
			uids[i] = uint32(uid)
		}
		gone, err := s.remove(ctx, e.mailbox, uids, 0)
		removed += len(gone)
		if err != nil || len(gone) == 0 {
			return removed, err
		}
		s.log.Info("emptied", "mailbox", e.mailbox, "messages", len(gone))
		if err := rest(ctx); err != nil {
			return removed, err
		}
	}
}

// trimLogs raises the floors of long logs of expunges and deletes what is below.
func (s *Store) trimLogs(ctx context.Context) error {
	boxes, err := s.ids(ctx, `SELECT mailbox FROM expunged GROUP BY mailbox HAVING count(*) > ?`, 2*s.keptLog)
	for i := 0; err == nil && i < len(boxes); i++ {
		err = s.trimLog(ctx, boxes[i])
	}
	return err
}

func (s *Store) trimLog(ctx context.Context, mailbox int64) error {
	at, err := s.ids(ctx, `SELECT modseq FROM expunged WHERE mailbox = ? ORDER BY modseq DESC LIMIT 1 OFFSET ?`, mailbox, s.keptLog)
	if err != nil || len(at) == 0 {
		return err
	}
	for {
		var left bool
		err := s.db.Update(ctx, func(tx *sqlite.Tx) error {
			if _, err := tx.Exec(`UPDATE mailbox SET floor = ?1 WHERE id = ?2 AND floor < ?1`, at[0], mailbox); err != nil {
				return err
			}
			// The mod-sequence up to which about a chunk of rows lies.
			upTo := at[0]
			err := tx.QueryRow(`SELECT modseq FROM expunged WHERE mailbox = ? AND modseq <= ? ORDER BY modseq LIMIT 1 OFFSET ?`,
				mailbox, at[0], s.chunk).Scan(&upTo)
			if left = err == nil; err != nil && !errors.Is(err, sqlite.ErrNoRows) {
				return err
			}
			_, err = tx.Exec(`DELETE FROM expunged WHERE mailbox = ? AND modseq <= ?`, mailbox, upTo)
			return err
		})
		if err != nil || !left {
			return err
		}
		if err := rest(ctx); err != nil {
			return err
		}
	}
}

// DeleteAccount removes all mail of an account. It goes out of sight in one
// commit and is emptied in chunks; Retain goes on where that was cut short.
func (s *Store) DeleteAccount(ctx context.Context, account int64) error {
	var doomed []int64
	err := s.db.Update(ctx, func(tx *sqlite.Tx) (err error) {
		doomed, err = s.doomAll(tx, account)
		return err
	})
	for i := 0; err == nil && i < len(doomed); i++ {
		err = s.bury(ctx, doomed[i])
	}
	if err != nil {
		return fmt.Errorf("delete mail of account %d: %w", account, err)
	}
	return nil
}

func (s *Store) doomAll(tx *sqlite.Tx, account int64) (ids []int64, err error) {
	rows, err := tx.Query(`UPDATE mailbox SET state = 2, special = '', name = '/' || id WHERE account = ? RETURNING id`, account)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for _, query := range [...]string{`DELETE FROM subscription WHERE account = ?`, `DELETE FROM mail_account WHERE account = ?`} {
		if _, err := tx.Exec(query, account); err != nil {
			return nil, err
		}
	}
	tx.AfterCommit(func() {
		s.usage.forget(account)
		for _, id := range ids {
			s.snapshots.drop(id)
			s.feed.publish(account, id, ^uint64(0))
		}
	})
	s.announceList(tx, account)
	return ids, nil
}
