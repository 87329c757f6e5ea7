package mailbox

import (
	"context"
	"errors"
	"fmt"

	"mailstead/internal/sqlite"
)

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
