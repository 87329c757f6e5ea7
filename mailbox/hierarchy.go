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

// nextUIDValidity gives the time in seconds or one more than the last, whatever
// is greater (RFC 9051, 2.3.1.1).
func nextUIDValidity(tx *sqlite.Tx, account int64, now time.Time) (v uint32, err error) {
	err = tx.QueryRow(`INSERT INTO mail_account (account, uidvalidity) VALUES (?, ?)
		ON CONFLICT (account) DO UPDATE SET uidvalidity = CASE
			WHEN mail_account.uidvalidity < excluded.uidvalidity THEN excluded.uidvalidity
			ELSE mail_account.uidvalidity + 1 END
		RETURNING uidvalidity`, account, now.Unix()).Scan(&v)
	return v, err
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

// Rename moves a mailbox with its children; renaming INBOX moves its mail
// into a new mailbox (RFC 9051, 6.3.6). Subscriptions stay as they are: they
// are names, and only their owner removes them (6.3.8).
// Errors: ErrNotExist, ErrExists, ErrName.
func (s *Store) Rename(ctx context.Context, account int64, from, to string) error {
	from, err := cleanName(from)
	if err != nil {
		return fmt.Errorf("rename mailbox: %w", ErrNotExist)
	}
	if to, err = cleanName(to); err != nil {
		return fmt.Errorf("rename %q: %w", from, err)
	}
	if from == Inbox {
		err = s.renameInbox(ctx, account, to)
	} else {
		err = s.db.Update(ctx, func(tx *sqlite.Tx) error { return s.rename(tx, account, from, to) })
	}
	if err != nil {
		return fmt.Errorf("rename %q to %q: %w", from, to, err)
	}
	return nil
}

func (s *Store) rename(tx *sqlite.Tx, account int64, from, to string) error {
	m, err := s.byName(tx, account, from)
	if err != nil {
		return err
	}
	after, before := below(from)
	if to > after && to < before {
		return fmt.Errorf("%w: inside itself", ErrName)
	}
	if _, err := s.byName(tx, account, to); !errors.Is(err, ErrNotExist) {
		return errors.Join(err, ErrExists)
	}
	for _, p := range parents(to) {
		_, err := s.byName(tx, account, p)
		if errors.Is(err, ErrNotExist) {
			err = s.insert(tx, account, p, "", stateReal)
		}
		if err != nil {
			return err
		}
	}
	children, err := s.children(tx, account, from)
	if err != nil {
		return err
	}
	if err := setName(tx, m.ID, to); err != nil {
		return err
	}
	for id, name := range children {
		if err := setName(tx, id, to+name[len(from):]); err != nil {
			return err
		}
	}
	s.announceList(tx, account)
	return nil
}

func setName(tx *sqlite.Tx, id int64, name string) error {
	if _, err := cleanName(name); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE mailbox SET name = ? WHERE id = ?`, name, id)
	return err
}

// children gives the names under name, by mailbox.
func (s *Store) children(tx *sqlite.Tx, account int64, name string) (map[int64]string, error) {
	after, before := below(name)
	rows, err := tx.Query(`SELECT id, name FROM mailbox WHERE account = ? AND name > ? AND name < ?`, account, after, before)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[int64]string{}
	for rows.Next() {
		var id int64
		var child string
		if err := rows.Scan(&id, &child); err != nil {
			return nil, err
		}
		out[id] = child
	}
	return out, rows.Err()
}

func (s *Store) renameInbox(ctx context.Context, account int64, to string) error {
	inbox, err := s.Mailbox(ctx, account, Inbox)
	if err != nil {
		return err
	}
	m, err := s.Create(ctx, account, to, "")
	if err != nil {
		return err
	}
	v, err := s.Snapshot(ctx, inbox.ID)
	if err != nil {
		return err
	}
	uids := make([]uint32, v.Len())
	for i := range uids {
		uids[i] = v.At(i).UID
	}
	_, err = s.Move(ctx, inbox.ID, uids, m.ID)
	return err
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

// RenewUIDValidity gives every mailbox a UIDVALIDITY that it never had and makes
// sure that no object id of an abandoned time line is given again. For the start
// after a restore (a new epoch), before the doors open.
func (s *Store) RenewUIDValidity(tx *sqlite.Tx) error {
	// What the abandoned time line gave out since the snapshot is unknown: its
	// counter may have run ahead of the clock by the mailboxes it made at once.
	const margin = 1 << 14
	now := time.Now().Unix()
	_, err := tx.Exec(`UPDATE mail_account SET uidvalidity = ? +
		CASE WHEN uidvalidity < ? THEN ? ELSE uidvalidity END`, margin, now, now)
	if err != nil {
		return fmt.Errorf("renew uidvalidity: %w", err)
	}
	type row struct{ id, account int64 }
	var all []row
	rows, err := tx.Query(`SELECT id, account FROM mailbox ORDER BY id`)
	if err != nil {
		return fmt.Errorf("renew uidvalidity: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.id, &r.account); err != nil {
			return fmt.Errorf("renew uidvalidity: %w", err)
		}
		all = append(all, r)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("renew uidvalidity: %w", err)
	}
	rows.Close()
	for _, r := range all {
		v, err := nextUIDValidity(tx, r.account, time.Unix(now, 0))
		if err == nil {
			_, err = tx.Exec(`UPDATE mailbox SET uidvalidity = ? WHERE id = ?`, v, r.id)
		}
		if err != nil {
			return fmt.Errorf("renew uidvalidity: %w", err)
		}
	}
	if err := skipIDs(tx); err != nil {
		return fmt.Errorf("renew object ids: %w", err)
	}
	tx.AfterCommit(s.snapshots.dropAll)
	return nil
}
