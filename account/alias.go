package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"mailstead/internal/sqlite"
	"mailstead/message"
)

// Alias is an address that leads to accounts without being theirs.
type Alias struct {
	Address message.Address
	Members []int64 // accounts
	Role    bool    // postmaster, abuse or reports, reaching the operator by itself
}

// Aliases lists all, by address, the operator's built-in ones included.
func (s *Store) Aliases(ctx context.Context) ([]Alias, error) {
	d, err := s.dir(ctx)
	if err != nil {
		return nil, err
	}
	var all []Alias
	for _, e := range d.addresses {
		if e.owner == 0 {
			all = append(all, Alias{Address: e.address, Members: slices.Clone(e.members), Role: e.role})
		}
	}
	slices.SortFunc(all, func(a, b Alias) int { return compareAddresses(a.Address, b.Address) })
	return all, nil
}

// AddAlias makes a new alias, or adds members to one that exists.
// Errors: ErrInvalid, ErrNotLocal, ErrUnknown (a member), ErrExists (the address
// is an account's own).
func (s *Store) AddAlias(tx *sqlite.Tx, a message.Address, members ...int64) error {
	if len(members) == 0 {
		return fmt.Errorf("%w: alias %s needs at least one account", ErrInvalid, a.Unicode())
	}
	id, owner, err := findAddress(tx, a)
	switch {
	case errors.Is(err, ErrUnknown):
		if id, err = insertAddress(tx, a, sql.NullInt64{}, false); err != nil {
			return err
		}
	case err != nil:
		return err
	case owner.Valid:
		return fmt.Errorf("%s belongs to an account: %w", a.Unicode(), ErrExists)
	}
	for _, m := range members {
		if err := exists(tx, m); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO alias_target (alias, account) VALUES (?, ?) ON CONFLICT DO NOTHING`, id, m)
		if err != nil {
			return fmt.Errorf("add alias %s: %w", a.Unicode(), err)
		}
	}
	s.changed(tx)
	return nil
}

// RemoveAlias removes members from an alias, all when none is named; an alias
// without members is gone. Errors: ErrUnknown.
func (s *Store) RemoveAlias(tx *sqlite.Tx, a message.Address, members ...int64) error {
	id, owner, err := findAddress(tx, a)
	if err != nil {
		return err
	}
	if owner.Valid {
		return fmt.Errorf("%s belongs to an account, it is no alias: %w", a.Unicode(), ErrUnknown)
	}
	for _, m := range members {
		res, err := tx.Exec(`DELETE FROM alias_target WHERE alias = ? AND account = ?`, id, m)
		if err != nil {
			return fmt.Errorf("remove alias %s: %w", a.Unicode(), err)
		}
		if n, err := res.RowsAffected(); err == nil && n == 0 {
			return fmt.Errorf("account %d is not behind %s: %w", m, a.Unicode(), ErrUnknown)
		}
	}
	_, err = tx.Exec(`DELETE FROM address WHERE id = ?
		AND (? OR NOT EXISTS (SELECT 1 FROM alias_target WHERE alias = address.id))`, id, len(members) == 0)
	if err != nil {
		return fmt.Errorf("remove alias %s: %w", a.Unicode(), err)
	}
	s.changed(tx)
	return nil
}
