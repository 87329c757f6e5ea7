package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailstead/internal/sqlite"
	"mailstead/message"
)

// Domain is a domain that we receive mail for.
type Domain struct {
	Name     message.Domain
	Plus     bool  // local+detail reaches local
	CatchAll int64 // account that gets what is for nobody; 0 for none
	Created  time.Time
}

// Domains lists all, by name.
func (s *Store) Domains(ctx context.Context) ([]Domain, error) {
	d, err := s.dir(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Domain, 0, len(d.domains))
	for _, m := range d.domains {
		all = append(all, *m)
	}
	slices.SortFunc(all, func(a, b Domain) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return all, nil
}

// Domain loads one; ErrNotLocal.
func (s *Store) Domain(ctx context.Context, name message.Domain) (Domain, error) {
	d, err := s.dir(ctx)
	if err != nil {
		return Domain{}, err
	}
	if m := d.domains[name]; m != nil {
		return *m, nil
	}
	return Domain{}, fmt.Errorf("%s: %w", name.Unicode(), ErrNotLocal)
}

// InDomain counts the addresses of accounts and aliases in a domain.
func (s *Store) InDomain(ctx context.Context, name message.Domain) (int, error) {
	d, err := s.dir(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	for k, e := range d.addresses {
		if k.domain == name && !e.role {
			n++
		}
	}
	return n, nil
}

// AddDomain makes a domain ours, with plus-addressing and without catch-all.
// Its postmaster@, abuse@ and reports@ reach the operator from the start, and
// its mail is signed with the keys, which NewDKIMKeys made before the
// transaction; without any it is not signed until MakeDKIMKeys.
// Errors: ErrExists, ErrInvalid.
func (s *Store) AddDomain(tx *sqlite.Tx, name message.Domain, keys ...DKIMKey) error {
	if name == "" || name[0] == '[' {
		return fmt.Errorf("%w: %q is no domain name", ErrInvalid, string(name))
	}
	switch _, err := domainID(tx, name); {
	case err == nil:
		return fmt.Errorf("domain %s: %w", name.Unicode(), ErrExists)
	case !errors.Is(err, ErrNotLocal):
		return err
	}
	_, err := tx.Exec(`INSERT INTO domain (name, created) VALUES (?, ?)`, string(name), time.Now().Unix())
	if err != nil {
		return fmt.Errorf("add domain %s: %w", name.Unicode(), err)
	}
	return s.AddDKIMKeys(tx, name, keys...)
}

// RemoveDomain gives a domain up. Accounts and aliases in it must be gone.
// Errors: ErrNotLocal, ErrInvalid.
func (s *Store) RemoveDomain(tx *sqlite.Tx, name message.Domain) error {
	id, err := domainID(tx, name)
	if err != nil {
		return err
	}
	var left int
	if err := tx.QueryRow(`SELECT count(*) FROM address WHERE domain = ?`, id).Scan(&left); err != nil {
		return fmt.Errorf("remove domain %s: %w", name.Unicode(), err)
	}
	if left > 0 {
		return fmt.Errorf("%w: %s still has %d addresses of accounts and aliases", ErrInvalid, name.Unicode(), left)
	}
	if _, err := tx.Exec(`DELETE FROM domain WHERE id = ?`, id); err != nil {
		return fmt.Errorf("remove domain %s: %w", name.Unicode(), err)
	}
	s.changed(tx)
	return nil
}

// SetDomain changes the settings of a domain: Plus and CatchAll.
// Errors: ErrNotLocal, ErrUnknown (no such account to catch all).
func (s *Store) SetDomain(tx *sqlite.Tx, d Domain) error {
	id, err := domainID(tx, d.Name)
	if err != nil {
		return err
	}
	catchAll := sql.NullInt64{Int64: d.CatchAll, Valid: d.CatchAll != 0}
	if catchAll.Valid {
		if err := exists(tx, d.CatchAll); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(`UPDATE domain SET plus = ?, catch_all = ? WHERE id = ?`, d.Plus, catchAll, id); err != nil {
		return fmt.Errorf("set domain %s: %w", d.Name.Unicode(), err)
	}
	s.changed(tx)
	return nil
}

func domainID(tx *sqlite.Tx, name message.Domain) (int64, error) {
	var id int64
	err := tx.QueryRow(`SELECT id FROM domain WHERE name = ?`, string(name)).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("%s: %w", name.Unicode(), ErrNotLocal)
	}
	return id, err
}

// exists tells whether there is such an account; ErrUnknown.
func exists(tx *sqlite.Tx, account int64) error {
	var one int
	err := tx.QueryRow(`SELECT 1 FROM account WHERE id = ?`, account).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("account %d: %w", account, ErrUnknown)
	}
	return err
}
