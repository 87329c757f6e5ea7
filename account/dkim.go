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

	// Its way, each zero until it is reached; dns/rollover has the table.
	Seen      time.Time // the world sees its record: of a key that does not sign yet
	Live      time.Time // it signs
	Retired   time.Time // it signs no more, and its record stays
	Withdrawn time.Time // its record is to go
}

// KeyState is where a key is on its way.
type KeyState string

const (
	KeyNext      KeyState = "next"      // its record comes first
	KeySigning   KeyState = "signing"   // what leaves is signed with it
	KeyRetired   KeyState = "retired"   // what it signed is still on its way
	KeyWithdrawn KeyState = "withdrawn" // its record should be gone
)

// State is where the key is.
func (k DKIMKey) State() KeyState {
	switch {
	case !k.Withdrawn.IsZero():
		return KeyWithdrawn
	case !k.Retired.IsZero():
		return KeyRetired
	case !k.Live.IsZero():
		return KeySigning
	}
	return KeyNext
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

// NewDKIMKeys makes a pair for a domain that signs at once: RSA of 2048 bits,
// which everybody verifies, and Ed25519. It takes a second on a small machine:
// call it before the transaction that adds them.
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
		{Selector: "r" + date, Algorithm: "rsa", Private: r, Created: now, Live: now},
		{Selector: "e" + date, Algorithm: "ed25519", Private: e, Created: now, Live: now},
	}, nil
}

// AddDKIMKeys gives a domain keys, which sign from now on where they are Live.
// Errors: ErrNotLocal, ErrExists (the domain has such a selector).
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
		_, err = tx.Exec(`INSERT INTO dkim_key (domain, selector, algorithm, private, created, live) VALUES (?, ?, ?, ?, ?, ?)`,
			id, k.Selector, k.Algorithm, der, k.Created.Unix(), moment(k.Live))
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

// SeeDKIMKey notes since when the world sees the record of a key that does not
// sign yet; the zero time is that it does not.
func (s *Store) SeeDKIMKey(tx *sqlite.Tx, id int64, since time.Time) error {
	if _, err := tx.Exec(`UPDATE dkim_key SET seen = ? WHERE id = ? AND live IS NULL`, moment(since), id); err != nil {
		return fmt.Errorf("note key %d: %w", id, err)
	}
	s.changed(tx)
	return nil
}

// SwitchDKIMKeys lets the next keys of a domain sign from now on, and retires
// those that did. Errors: ErrNotLocal; ErrUnknown when one of next is not among
// the keys that wait, and then nothing is to be committed.
func (s *Store) SwitchDKIMKeys(tx *sqlite.Tx, name message.Domain, now time.Time, next ...int64) error {
	id, err := domainID(tx, name)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`UPDATE dkim_key SET retired = ? WHERE domain = ? AND live IS NOT NULL AND retired IS NULL`, now.Unix(), id); err != nil {
		return fmt.Errorf("retire the keys of %s: %w", name.Unicode(), err)
	}
	for _, key := range next {
		res, err := tx.Exec(`UPDATE dkim_key SET live = ? WHERE id = ? AND domain = ? AND live IS NULL`, now.Unix(), key, id)
		if err != nil {
			return fmt.Errorf("sign with key %d: %w", key, err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(fmt.Errorf("key %d of %s: %w", key, name.Unicode(), ErrUnknown), err)
		}
	}
	s.changed(tx)
	return nil
}

// WithdrawDKIMKey notes that the record of a retired key is to go.
func (s *Store) WithdrawDKIMKey(tx *sqlite.Tx, id int64, now time.Time) error {
	if _, err := tx.Exec(`UPDATE dkim_key SET withdrawn = ? WHERE id = ? AND retired IS NOT NULL AND withdrawn IS NULL`, now.Unix(), id); err != nil {
		return fmt.Errorf("withdraw key %d: %w", id, err)
	}
	s.changed(tx)
	return nil
}

// CancelDKIMKey forgets a key that does not sign yet.
func (s *Store) CancelDKIMKey(tx *sqlite.Tx, id int64) error {
	if _, err := tx.Exec(`DELETE FROM dkim_key WHERE id = ? AND live IS NULL`, id); err != nil {
		return fmt.Errorf("cancel key %d: %w", id, err)
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
		var seen, live, retired, withdrawn sql.NullInt64
		if err := rows.Scan(&k.ID, &name, &k.Selector, &k.Algorithm, &der, &created, &seen, &live, &retired, &withdrawn); err != nil {
			return err
		}
		k.Created = time.Unix(created, 0)
		for to, at := range map[*time.Time]sql.NullInt64{&k.Seen: seen, &k.Live: live, &k.Retired: retired, &k.Withdrawn: withdrawn} {
			if at.Valid {
				*to = time.Unix(at.Int64, 0)
			}
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
	}, `SELECT k.id, d.name, k.selector, k.algorithm, k.private, k.created,
			k.seen, k.live, k.retired, k.withdrawn
		FROM dkim_key k JOIN domain d ON d.id = k.domain ORDER BY k.id`)
}

// moment is a time as a column holds it, NULL for none.
func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Unix()
}
