package account

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"

	"mailstead/internal/sqlite"
)

// Setting reads a setting of the whole server; found is false when nobody set it.
func (s *Store) Setting(ctx context.Context, name string) (value string, found bool, err error) {
	err = s.db.View(ctx, func(tx *sqlite.Tx) error {
		switch err := tx.QueryRow(`SELECT value FROM setting WHERE name = ?`, name).Scan(&value); {
		case errors.Is(err, sql.ErrNoRows):
			return nil
		case err != nil:
			return err
		}
		found = true
		return nil
	})
	if err != nil {
		return "", false, fmt.Errorf("read setting %s: %w", name, err)
	}
	return value, found, nil
}

// SetSetting sets it.
func (s *Store) SetSetting(tx *sqlite.Tx, name, value string) error {
	_, err := tx.Exec(`INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	if err != nil {
		return fmt.Errorf("set %s: %w", name, err)
	}
	return nil
}

// loadSecret reads the key of the salts for unknown names, and makes it once:
// it outlives restarts, or a second look would tell who exists.
func (s *Store) loadSecret(ctx context.Context) (secret []byte, err error) {
	const name = "account.salt_key"
	read := func(tx *sqlite.Tx) error {
		return tx.QueryRow(`SELECT value FROM setting WHERE name = ?`, name).Scan(&secret)
	}
	if err := s.db.View(ctx, read); !errors.Is(err, sql.ErrNoRows) {
		return secret, err
	}
	fresh := make([]byte, 32)
	rand.Read(fresh)
	err = s.db.Update(ctx, func(tx *sqlite.Tx) error {
		if _, err := tx.Exec(`INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING`, name, fresh); err != nil {
			return err
		}
		return read(tx)
	})
	return secret, err
}
