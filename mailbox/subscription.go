package mailbox

import (
	"context"
	"fmt"

	"mailstead/internal/sqlite"
)

// Subscriptions lists subscribed names, those of mailboxes that are gone too.
func (s *Store) Subscriptions(ctx context.Context, account int64) ([]string, error) {
	var out []string
	err := s.db.View(ctx, func(tx *sqlite.Tx) error {
		out = nil
		rows, err := tx.Query(`SELECT name FROM subscription WHERE account = ? ORDER BY name <> 'INBOX', name`, account)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			out = append(out, name)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list subscriptions: %w", err)
	}
	return out, nil
}

// Subscribe sets or clears a subscription. The mailbox need not exist.
// Errors: ErrName, ErrTooMany when setting.
func (s *Store) Subscribe(ctx context.Context, account int64, name string, on bool) error {
	clean, err := cleanName(name)
	if err != nil {
		if !on {
			return nil // it cannot be there
		}
		return fmt.Errorf("subscribe: %w", err)
	}
	err = s.db.Update(ctx, func(tx *sqlite.Tx) error {
		s.announceList(tx, account)
		if on {
			return subscribe(tx, account, clean)
		}
		_, err := tx.Exec(`DELETE FROM subscription WHERE account = ? AND name = ?`, account, clean)
		return err
	})
	if err != nil {
		return fmt.Errorf("subscribe %q: %w", clean, err)
	}
	return nil
}

func subscribe(tx *sqlite.Tx, account int64, name string) error {
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM subscription WHERE account = ?`, account).Scan(&n); err != nil {
		return err
	}
	if n >= maxMailboxes {
		return ErrTooMany
	}
	_, err := tx.Exec(`INSERT INTO subscription (account, name) VALUES (?, ?) ON CONFLICT DO NOTHING`, account, name)
	return err
}
