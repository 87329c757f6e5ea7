package account

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"mailstead/internal/sqlite"
)

// Setting reads a setting of the whole server into v, as JSON. Where nobody set
// it v stays as it is, so that its defaults are written into it before.
func (s *Store) Setting(ctx context.Context, name string, v any) error {
	return s.db.View(ctx, func(tx *sqlite.Tx) error { return s.SettingIn(tx, name, v) })
}

// SettingIn is Setting inside of a transaction.
func (s *Store) SettingIn(tx *sqlite.Tx, name string, v any) error {
	var text string
	err := tx.QueryRow(`SELECT value FROM setting WHERE name = ?`, name).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), v)
	}
	if err != nil {
		return fmt.Errorf("read setting %s: %w", name, err)
	}
	return nil
}

// SetSetting sets it; nil forgets it.
func (s *Store) SetSetting(tx *sqlite.Tx, name string, v any) error {
	var err error
	if v == nil {
		_, err = tx.Exec(`DELETE FROM setting WHERE name = ?`, name)
	} else {
		var text []byte
		if text, err = json.Marshal(v); err == nil {
			_, err = tx.Exec(`INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, string(text))
		}
	}
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
