package mailbox

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"mailstead/internal/sqlite"
)

// maxMailboxes of one account: LIST answers all of them in one go.
const maxMailboxes = 10_000

// Create makes a mailbox and its missing parents, which become mailboxes too. A
// name that was left for its children becomes a mailbox again.
// Errors: ErrExists, ErrName, ErrUse, ErrTooMany.
func (s *Store) Create(ctx context.Context, account int64, name, use string) (m Mailbox, err error) {
	if name, err = cleanName(name); err != nil {
		return m, fmt.Errorf("create mailbox: %w", err)
	}
	if use, err = cleanUse(use); err != nil {
		return m, fmt.Errorf("create %q: %w", name, err)
	}
	m, err = update(ctx, s.db, func(tx *sqlite.Tx) (Mailbox, error) {
		return s.create(tx, account, name, use)
	})
	if err != nil {
		return m, fmt.Errorf("create %q: %w", name, err)
	}
	return m, nil
}

func (s *Store) create(tx *sqlite.Tx, account int64, name, use string) (Mailbox, error) {
	old, err := s.byName(tx, account, name)
	switch {
	case err == nil && !old.NoSelect:
		return old, ErrExists
	case err != nil && !errors.Is(err, ErrNotExist):
		return old, err
	}
	if use != "" {
		if _, err := s.Use(tx, account, use); !errors.Is(err, ErrNotExist) {
			return old, errors.Join(ErrUse, err)
		}
	}
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM mailbox WHERE account = ?`, account).Scan(&n); err != nil {
		return old, err
	}
	if n >= maxMailboxes {
		return old, ErrTooMany
	}
	for _, p := range parents(name) {
		_, err := s.byName(tx, account, p)
		if errors.Is(err, ErrNotExist) {
			err = s.insert(tx, account, p, "", stateReal)
		}
		if err != nil {
			return old, err
		}
	}
	if old.NoSelect {
		if _, err := tx.Exec(`DELETE FROM mailbox WHERE id = ?`, old.ID); err != nil {
			return old, err
		}
	}
	if err := s.insert(tx, account, name, use, stateReal); err != nil {
		return old, err
	}
	s.announceList(tx, account)
	return s.byName(tx, account, name)
}

// insert adds a mailbox's row with a UIDVALIDITY that the account never had.
func (s *Store) insert(tx *sqlite.Tx, account int64, name, use string, state int) error {
	v, err := nextUIDValidity(tx, account, time.Now())
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO mailbox (account, name, special, state, uidvalidity) VALUES (?, ?, ?, ?, ?)`,
		account, name, use, state, v)
	return err
}

// Delete removes a mailbox with its mail. Where it has children, its name stays
// without mail, as \Noselect (RFC 9051, 6.3.5).
// Errors: ErrNotExist, ErrName (INBOX), ErrHasChildren (already \Noselect).
func (s *Store) Delete(ctx context.Context, account int64, name string) error {
	name, err := cleanName(name)
	if err != nil {
		return fmt.Errorf("delete mailbox: %w", ErrNotExist)
	}
	id, err := update(ctx, s.db, func(tx *sqlite.Tx) (int64, error) {
		return s.doom(tx, account, name)
	})
	if err == nil && id != 0 {
		err = s.bury(ctx, id)
	}
	if err != nil {
		return fmt.Errorf("delete %q: %w", name, err)
	}
	return nil
}

// doom takes a mailbox out of sight in one commit; bury empties it afterwards
// in chunks, or Retain does when that was cut short. id is 0 when nothing is
// left to empty.
func (s *Store) doom(tx *sqlite.Tx, account int64, name string) (id int64, err error) {
	m, err := s.byName(tx, account, name)
	if err != nil {
		return 0, err
	}
	if name == Inbox {
		return 0, fmt.Errorf("%w: INBOX stays", ErrName)
	}
	after, before := below(name)
	var children bool
	err = tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM mailbox WHERE account = ? AND name > ? AND name < ?)`,
		account, after, before).Scan(&children)
	switch {
	case err != nil:
		return 0, err
	case m.NoSelect && children:
		return 0, ErrHasChildren
	case m.NoSelect:
		_, err = tx.Exec(`DELETE FROM mailbox WHERE id = ?`, m.ID)
		s.announceList(tx, account)
		return 0, err
	}
	_, err = tx.Exec(`UPDATE mailbox SET state = 2, special = '', name = ? WHERE id = ?`,
		Separator+strconv.FormatInt(m.ID, 10), m.ID)
	if err == nil && children {
		err = s.insert(tx, account, name, "", stateNoSelect)
	}
	tx.AfterCommit(func() { s.snapshots.drop(m.ID) })
	s.announce(tx, account, m.ID, m.ModSeq+1)
	s.announceList(tx, account)
	return m.ID, err
}

// bury empties a doomed mailbox and removes its row.
func (s *Store) bury(ctx context.Context, id int64) error {
	for {
		left, err := update(ctx, s.db, func(tx *sqlite.Tx) (bool, error) {
			n, err := s.removeFirst(tx, id)
			if err == nil {
				_, err = tx.Exec(`DELETE FROM expunged WHERE mailbox = ?`, id)
			}
			if err == nil && n == 0 {
				_, err = tx.Exec(`DELETE FROM mailbox WHERE id = ? AND state = 2`, id)
			}
			return n > 0, err
		})
		if err != nil || !left {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// CreateDefaults makes INBOX and the special-use mailboxes of a new account,
// subscribed. What is there already stays.
func (s *Store) CreateDefaults(tx *sqlite.Tx, account int64) error {
	for _, d := range [...]struct{ name, use string }{
		{Inbox, ""}, {"Drafts", UseDrafts}, {"Sent", UseSent},
		{"Junk", UseJunk}, {"Trash", UseTrash}, {"Archive", UseArchive},
	} {
		_, err := s.create(tx, account, d.name, d.use)
		if errors.Is(err, ErrExists) || errors.Is(err, ErrUse) {
			continue
		}
		if err == nil {
			err = subscribe(tx, account, d.name)
		}
		if err != nil {
			return fmt.Errorf("create %q: %w", d.name, err)
		}
	}
	return nil
}
