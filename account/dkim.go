package account

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"mailstead/internal/sqlite"
	"mailstead/message"
)

// DKIMKey is a key that mail of a domain is signed with.
type DKIMKey struct {
	ID        int64
	Selector  string
	Algorithm string        // "rsa" or "ed25519"
	Private   crypto.Signer // *rsa.PrivateKey, ed25519.PrivateKey
	Created   time.Time
	Retired   time.Time // zero while it signs
}

// Public is the key as its DNS record has it: SubjectPublicKeyInfo for RSA (RFC
// 6376, 3.6.1), the 32 octets for Ed25519 (RFC 8463, 4.2), in base64.
func (k DKIMKey) Public() (string, error) {
	if p, ok := k.Private.Public().(ed25519.PublicKey); ok {
		return base64.StdEncoding.EncodeToString(p), nil
	}
	der, err := x509.MarshalPKIXPublicKey(k.Private.Public())
	if err != nil {
		return "", fmt.Errorf("public half of %s: %w", k.Selector, err)
	}
	return base64.StdEncoding.EncodeToString(der), nil
}

// NewDKIMKeys makes a pair for a domain: RSA of 2048 bits, which everybody
// verifies, and Ed25519. It takes a second on a small machine: call it before
// the transaction that adds them.
func NewDKIMKeys(now time.Time) ([]DKIMKey, error) {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make an RSA key: %w", err)
	}
	_, e, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make an Ed25519 key: %w", err)
	}
	date := now.UTC().Format("20060102")
	return []DKIMKey{
		{Selector: "r" + date, Algorithm: "rsa", Private: r, Created: now},
		{Selector: "e" + date, Algorithm: "ed25519", Private: e, Created: now},
	}, nil
}

// AddDKIMKeys gives a domain keys, which sign from now on. Errors: ErrNotLocal,
// ErrExists (the domain has such a selector).
func (s *Store) AddDKIMKeys(tx *sqlite.Tx, name message.Domain, keys ...DKIMKey) error {
	id, err := domainID(tx, name)
	if err != nil {
		return err
	}
	for _, k := range keys {
		der, err := x509.MarshalPKCS8PrivateKey(k.Private)
		if err != nil {
			return fmt.Errorf("keep key %s: %w", k.Selector, err)
		}
		_, err = tx.Exec(`INSERT INTO dkim_key (domain, selector, algorithm, private, created) VALUES (?, ?, ?, ?, ?)`,
			id, k.Selector, k.Algorithm, der, k.Created.Unix())
		if errors.Is(err, sqlite.ErrConstraint) {
			return fmt.Errorf("selector %s of %s: %w", k.Selector, name.Unicode(), ErrExists)
		}
		if err != nil {
			return fmt.Errorf("add key %s: %w", k.Selector, err)
		}
	}
	s.changed(tx)
	return nil
}

// RetireDKIMKey stops signing with a key.
func (s *Store) RetireDKIMKey(tx *sqlite.Tx, id int64) error {
	if _, err := tx.Exec(`UPDATE dkim_key SET retired = ? WHERE id = ? AND retired IS NULL`, time.Now().Unix(), id); err != nil {
		return fmt.Errorf("retire key %d: %w", id, err)
	}
	s.changed(tx)
	return nil
}

// RemoveDKIMKey forgets a key; its record should be gone from the DNS.
func (s *Store) RemoveDKIMKey(tx *sqlite.Tx, id int64) error {
	if _, err := tx.Exec(`DELETE FROM dkim_key WHERE id = ?`, id); err != nil {
		return fmt.Errorf("remove key %d: %w", id, err)
	}
	s.changed(tx)
	return nil
}

// DKIMKeys gives a domain's keys, the retired ones too, oldest first; none for a
// domain that is not ours. They are shared and never changed.
func (s *Store) DKIMKeys(ctx context.Context, name message.Domain) ([]DKIMKey, error) {
	d, err := s.dir(ctx)
	if err != nil {
		return nil, err
	}
	return d.keys[name], nil
}

// MakeDKIMKeys gives keys to every domain that has none: those from before keys
// were made. It is a job of the start.
func (s *Store) MakeDKIMKeys(ctx context.Context) error {
	d, err := s.dir(ctx)
	if err != nil {
		return err
	}
	for name := range d.domains {
		if len(d.keys[name]) > 0 {
			continue
		}
		keys, err := NewDKIMKeys(time.Now())
		if err != nil {
			return err
		}
		err = s.db.Update(ctx, func(tx *sqlite.Tx) error { return s.AddDKIMKeys(tx, name, keys...) })
		if err != nil && !errors.Is(err, ErrExists) && !errors.Is(err, ErrNotLocal) {
			return err
		}
		s.log.Info("made DKIM keys", "domain", string(name))
	}
	return nil
}

// loadKeys reads the keys. Reading an RSA key costs more than the rest of the
// directory, and a key never changes, so those of the last directory are taken.
func (d *directory) loadKeys(tx *sqlite.Tx) error {
	d.keys = map[message.Domain][]DKIMKey{}
	known := map[int64]crypto.Signer{}
	for _, list := range d.before {
		for _, k := range list {
			known[k.ID] = k.Private
		}
	}
	return each(tx, func(rows *sqlite.Rows) error {
		var k DKIMKey
		var name string
		var der []byte
		var created int64
		var retired sql.NullInt64
		if err := rows.Scan(&k.ID, &name, &k.Selector, &k.Algorithm, &der, &created, &retired); err != nil {
			return err
		}
		k.Created = time.Unix(created, 0)
		if retired.Valid {
			k.Retired = time.Unix(retired.Int64, 0)
		}
		if k.Private = known[k.ID]; k.Private == nil {
			parsed, err := x509.ParsePKCS8PrivateKey(der)
			signer, ok := parsed.(crypto.Signer)
			if err != nil || !ok {
				return fmt.Errorf("DKIM key %s of %s cannot be read: %w", k.Selector, name, err)
			}
			k.Private = signer
		}
		d.keys[message.Domain(name)] = append(d.keys[message.Domain(name)], k)
		return nil
	}, `SELECT k.id, d.name, k.selector, k.algorithm, k.private, k.created, k.retired
		FROM dkim_key k JOIN domain d ON d.id = k.domain ORDER BY k.id`)
}
