package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base32"
	"fmt"
	"strings"
	"sync"
	"time"

	"mailstead/internal/sqlite"
)

// AppPassword is a password made for one program: 128 random bits, shown once,
// for chosen doors, revoked alone.
type AppPassword struct {
	ID       int64
	Account  int64
	Name     string // "phone"
	Scope    Scope
	Created  time.Time
	LastUsed time.Time // zero: never; written in batches, minutes late
}

const (
	appSecretSize = 16
	appNameMax    = 100
	appsMax       = 50 // SCRAM tries each
)

// appAlphabet writes the bits so that they can be typed: 26 letters and digits
// without separators, since SCRAM needs both sides to hold the same string.
var appAlphabet = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// AppSecret is a new app password before it is stored.
type AppSecret struct {
	Text string // what the person types; never stored
	hash []byte
	keys scramKeys
}

// appCredential is a stored one as a login needs it.
type appCredential struct {
	id    int64
	scope Scope
	hash  []byte
	keys  scramKeys
}

// NewAppSecret makes the bits and their keys for the account. Errors: ErrUnknown.
func (s *Store) NewAppSecret(ctx context.Context, account int64) (AppSecret, error) {
	c, err := s.credentials(ctx, account)
	if err != nil {
		return AppSecret{}, err
	}
	bits := make([]byte, appSecretSize)
	rand.Read(bits)
	text, hash := appAlphabet.EncodeToString(bits), sha256.Sum256(bits)
	keys, err := deriveKeys(text, c.salt, c.iterations)
	return AppSecret{text, hash[:], keys}, err
}

// AddAppPassword stores it under a name. Errors: ErrInvalid, ErrExists.
func (s *Store) AddAppPassword(tx *sqlite.Tx, account int64, name string, scope Scope, secret AppSecret) (int64, error) {
	switch err := validName(name); {
	case err != nil:
		return 0, err
	case name == "" || len(name) > appNameMax:
		return 0, fmt.Errorf("%w: an app password needs a name of at most %d bytes", ErrInvalid, appNameMax)
	case scope == 0 || scope&^(IMAP|SMTP|POP|Sieve) != 0:
		return 0, fmt.Errorf("%w: an app password is for imap, smtp, pop or sieve", ErrInvalid)
	}
	var same, all int
	err := tx.QueryRow(`SELECT count(*) FILTER (WHERE name = ?), count(*) FROM app_password WHERE account = ?`, name, account).Scan(&same, &all)
	switch {
	case err != nil:
		return 0, fmt.Errorf("add app password: %w", err)
	case same > 0:
		return 0, fmt.Errorf("app password %q: %w", name, ErrExists)
	case all >= appsMax:
		return 0, fmt.Errorf("%w: an account has at most %d app passwords", ErrInvalid, appsMax)
	}
	id, err := tx.Insert(`INSERT INTO app_password (account, name, scope, hash, stored_key, server_key, created)
		VALUES (?, ?, ?, ?, ?, ?, ?)`,
		account, name, scope, secret.hash, secret.keys.stored, secret.keys.server, time.Now().Unix())
	if err != nil {
		return 0, fmt.Errorf("add app password: %w", err)
	}
	s.changed(tx, account)
	return id, nil
}

// RevokeAppPassword removes one by name and ends the account's sessions; those
// with another password come back by themselves. Errors: ErrUnknown.
func (s *Store) RevokeAppPassword(tx *sqlite.Tx, account int64, name string) error {
	res, err := tx.Exec(`DELETE FROM app_password WHERE account = ? AND name = ?`, account, name)
	if err != nil {
		return fmt.Errorf("revoke app password: %w", err)
	}
	if n, err := res.RowsAffected(); err == nil && n == 0 {
		return fmt.Errorf("app password %q: %w", name, ErrUnknown)
	}
	s.changed(tx, account)
	s.cut(tx, account)
	return nil
}

// AppPasswords lists those of an account, newest first.
func (s *Store) AppPasswords(ctx context.Context, account int64) ([]AppPassword, error) {
	var all []AppPassword
	err := s.db.View(ctx, func(tx *sqlite.Tx) error {
		all = nil
		return each(tx, func(rows *sqlite.Rows) error {
			p := AppPassword{Account: account}
			var created int64
			var used sql.NullInt64
			if err := rows.Scan(&p.ID, &p.Name, &p.Scope, &created, &used); err != nil {
				return err
			}
			p.Created = time.Unix(created, 0)
			if t, ok := s.uses.get(p.ID); ok {
				p.LastUsed = t
			} else if used.Valid {
				p.LastUsed = time.Unix(used.Int64, 0)
			}
			all = append(all, p)
			return nil
		}, `SELECT id, name, scope, created, last_used FROM app_password WHERE account = ? ORDER BY id DESC`, account)
	})
	if err != nil {
		return nil, fmt.Errorf("list app passwords: %w", err)
	}
	return all, nil
}

// appHash gives the hash of what may be an app password as typed, with the
// spaces, hyphens and capitals that people and keyboards put in; nil when it is none.
func appHash(password string) []byte {
	text := strings.ToLower(strings.NewReplacer(" ", "", "-", "").Replace(password))
	if len(text) != appAlphabet.EncodedLen(appSecretSize) {
		return nil
	}
	bits, err := appAlphabet.DecodeString(text)
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(bits)
	return sum[:]
}

// findApp finds the app password that was typed, whatever its scope.
func (c *credentials) findApp(password string) *appCredential {
	hash := appHash(password)
	if hash == nil {
		return nil
	}
	for i := range c.app {
		if subtle.ConstantTimeCompare(c.app[i].hash, hash) == 1 {
			return &c.app[i]
		}
	}
	return nil
}

// uses keeps when app passwords were used until SaveLastUse writes it.
type uses struct {
	mu   sync.Mutex
	last map[int64]time.Time
}

func (u *uses) note(id int64, t time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last == nil {
		u.last = map[int64]time.Time{}
	}
	u.last[id] = t
}

func (u *uses) get(id int64) (time.Time, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	t, ok := u.last[id]
	return t, ok
}

func (u *uses) take() map[int64]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	last := u.last
	u.last = nil
	return last
}

// SaveLastUse writes the times of last use that wait in memory, in one commit:
// a job of every ten minutes. A crash loses them, and nothing else.
func (s *Store) SaveLastUse(ctx context.Context) error {
	last := s.uses.take()
	if len(last) == 0 {
		return nil
	}
	err := s.db.Update(ctx, func(tx *sqlite.Tx) error {
		for id, t := range last {
			if _, err := tx.Exec(`UPDATE app_password SET last_used = max(?, ifnull(last_used, 0)) WHERE id = ?`, t.Unix(), id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("save last use of app passwords: %w", err)
	}
	return nil
}
