package mailbox

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"mailstead/internal/sqlite"
)

// Usage of an account. Bytes counts each email once, since copies share it
// (RFC 9208, 5.1: STORAGE is an estimate of the physical space); Messages counts
// what all mailboxes show together (5.2). Limit 0 means none.
type Usage struct{ Bytes, Messages, Limit int64 }

// Full tells whether size more bytes would cross the limit.
func (u Usage) Full(size int64) bool { return u.Limit > 0 && u.Bytes+size > u.Limit }

// usageTable is the usage of the accounts that were asked for or changed, as
// of the last commit, so that RCPT need not ask the database.
type usageTable struct {
	mu sync.Mutex
	of map[int64]Usage
}

func (t *usageTable) init() { t.of = map[int64]Usage{} }

// note keeps what the commit of tx makes true.
func (t *usageTable) note(tx *sqlite.Tx, account int64, u Usage) {
	tx.AfterCommit(func() {
		t.mu.Lock()
		t.of[account] = u
		t.mu.Unlock()
	})
}

func (t *usageTable) forget(account int64) {
	t.mu.Lock()
	delete(t.of, account)
	t.mu.Unlock()
}

func (t *usageTable) forgetAll() {
	t.mu.Lock()
	clear(t.of)
	t.mu.Unlock()
}

// Usage tells what an account keeps, from memory where it is known.
func (s *Store) Usage(ctx context.Context, account int64) (Usage, error) {
	s.usage.mu.Lock()
	u, ok := s.usage.of[account]
	s.usage.mu.Unlock()
	if ok {
		return u, nil
	}
	err := s.db.View(ctx, func(tx *sqlite.Tx) error {
		err := tx.QueryRow(`SELECT bytes, messages, quota FROM mail_account WHERE account = ?`, account).Scan(&u.Bytes, &u.Messages, &u.Limit)
		if errors.Is(err, sqlite.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return Usage{}, fmt.Errorf("usage: %w", err)
	}
	s.usage.mu.Lock()
	defer s.usage.mu.Unlock()
	if newer, ok := s.usage.of[account]; ok {
		return newer, nil
	}
	s.usage.of[account] = u
	return u, nil
}

// SetQuota sets the limit in bytes; 0 for none.
func (s *Store) SetQuota(tx *sqlite.Tx, account, bytes int64) error {
	var u Usage
	err := tx.QueryRow(`INSERT INTO mail_account (account, quota) VALUES (?, ?)
		ON CONFLICT (account) DO UPDATE SET quota = excluded.quota,
			warned = CASE WHEN excluded.quota = 0 OR mail_account.bytes * 100 < excluded.quota * 80 THEN 0 ELSE mail_account.warned END
		RETURNING bytes, messages, quota`, account, bytes).Scan(&u.Bytes, &u.Messages, &u.Limit)
	if err != nil {
		return fmt.Errorf("set quota: %w", err)
	}
	s.usage.note(tx, account, u)
	return nil
}

// discharge takes bytes and messages out of the account's usage; messages may
// be negative for copies. Below 80% the next warning is armed.
func (s *Store) discharge(tx *sqlite.Tx, account, bytes, messages int64) error {
	if bytes == 0 && messages == 0 {
		return nil
	}
	var u Usage
	err := tx.QueryRow(`UPDATE mail_account SET bytes = bytes - ?1, messages = messages - ?2,
			warned = CASE WHEN (bytes - ?1) * 100 < quota * 80 THEN 0 ELSE warned END
		WHERE account = ?3 RETURNING bytes, messages, quota`, bytes, messages, account).Scan(&u.Bytes, &u.Messages, &u.Limit)
	if errors.Is(err, sqlite.ErrNoRows) {
		return nil // DeleteAccount has taken the row
	}
	if err == nil {
		s.usage.note(tx, account, u)
	}
	return err
}
