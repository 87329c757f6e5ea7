package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"mailstead/internal/sqlite"
	"mailstead/message"
)

// Grace is how long a deleted account can be taken back.
const Grace = 30 * 24 * time.Hour

// DeletionPlan says what deleting an account will do, before it is done. What
// this room does not know (mail, queue) is filled in by the caller.
type DeletionPlan struct {
	Account      Account
	LastOperator bool              // Delete will refuse: somebody else must be one first
	Until        time.Time         // when it is removed for good
	Addresses    []message.Address // refused as unknown from now on, kept for it until then
	AliasesLost  []message.Address // lead to nobody else
	AliasesLess  []message.Address // go on with the other members
	CatchAll     []message.Domain  // have no catch-all any more
	AppPasswords int
	Messages     int64 // mail it holds, removed with it; export it first
	Bytes        int64
	Queued       int // mail of it on its way, still sent; nobody hears of failures
}

// PlanDeletion works out what Delete would do. Errors: ErrUnknown.
func (s *Store) PlanDeletion(ctx context.Context, account int64) (DeletionPlan, error) {
	d, err := s.dir(ctx)
	if err != nil {
		return DeletionPlan{}, err
	}
	a := d.accounts[account]
	if a == nil {
		return DeletionPlan{}, fmt.Errorf("account %d: %w", account, ErrUnknown)
	}
	p := DeletionPlan{Account: *a, Until: time.Now().Add(Grace), Addresses: d.owned[account]}
	if !a.Deleted.IsZero() {
		p.Until = a.Deleted.Add(Grace)
	}
	err = s.db.View(ctx, func(tx *sqlite.Tx) (err error) {
		p.LastOperator, err = lastOperator(tx, account)
		return err
	})
	if err != nil {
		return DeletionPlan{}, err
	}
	for _, e := range d.addresses {
		switch {
		case e.owner != 0 || e.role || !slices.Contains(e.members, account):
		case d.alone(e, account):
			p.AliasesLost = append(p.AliasesLost, e.address)
		default:
			p.AliasesLess = append(p.AliasesLess, e.address)
		}
	}
	slices.SortFunc(p.AliasesLost, compareAddresses)
	slices.SortFunc(p.AliasesLess, compareAddresses)
	for _, m := range d.domains {
		if m.CatchAll == account {
			p.CatchAll = append(p.CatchAll, m.Name)
		}
	}
	slices.Sort(p.CatchAll)
	apps, err := s.AppPasswords(ctx, account)
	p.AppPasswords = len(apps)
	return p, err
}

// alone tells whether no other live account stands behind the entry.
func (d *directory) alone(e *entry, account int64) bool {
	return !slices.ContainsFunc(e.targets, func(t Target) bool { return t.Account != account })
}

// Delete closes the account now and marks it for removal after Grace. Until
// then its rows, its mail and its addresses stay, and Undelete takes it back.
// Errors: ErrUnknown, ErrInvalid (the last operator; already deleted).
func (s *Store) Delete(tx *sqlite.Tx, account int64) error {
	deleted, err := deletedAt(tx, account)
	if err != nil {
		return err
	}
	if deleted.Valid {
		return fmt.Errorf("%w: the account is deleted already", ErrInvalid)
	}
	if err := notLastOperator(tx, account); err != nil {
		return err
	}
	s.cut(tx, account)
	return s.update(tx, account, `UPDATE account SET deleted = ? WHERE id = ?`, time.Now().Unix(), account)
}

// Undelete takes a deleted account back as it was. Errors: ErrUnknown (also
// when it was removed meanwhile), ErrInvalid (it is not deleted, or its grace is
// over: its mail may be going already).
func (s *Store) Undelete(tx *sqlite.Tx, account int64) error {
	deleted, err := deletedAt(tx, account)
	if err != nil {
		return err
	}
	if !deleted.Valid {
		return fmt.Errorf("%w: the account is not deleted", ErrInvalid)
	}
	if time.Since(time.Unix(deleted.Int64, 0)) >= Grace {
		return fmt.Errorf("%w: the 30 days are over, its mail is being removed", ErrInvalid)
	}
	return s.update(tx, account, `UPDATE account SET deleted = NULL WHERE id = ?`, account)
}

// Expired lists deleted accounts whose grace is over: work for the daily job,
// which removes their mail first and calls Remove when nothing is left.
func (s *Store) Expired(ctx context.Context) ([]Account, error) {
	d, err := s.dir(ctx)
	if err != nil {
		return nil, err
	}
	var due []Account
	for _, a := range d.list() {
		if !a.Deleted.IsZero() && time.Since(a.Deleted) >= Grace {
			due = append(due, a)
		}
	}
	return due, nil
}

// Remove forgets a deleted account for good: its row, addresses, credentials,
// and the aliases that led to it alone. Its mail must be gone already.
// Errors: ErrUnknown, ErrInvalid (its grace is not over).
func (s *Store) Remove(tx *sqlite.Tx, account int64) error {
	deleted, err := deletedAt(tx, account)
	if err != nil {
		return err
	}
	if !deleted.Valid || time.Since(time.Unix(deleted.Int64, 0)) < Grace {
		return fmt.Errorf("%w: the grace of account %d is not over", ErrInvalid, account)
	}
	for _, query := range []string{
		`UPDATE domain SET catch_all = NULL WHERE catch_all = ?`,
		`DELETE FROM address WHERE account IS NULL AND id IN (SELECT alias FROM alias_target WHERE account = ?1)
			AND NOT EXISTS (SELECT 1 FROM alias_target WHERE alias = address.id AND account <> ?1)`,
		`DELETE FROM alias_target WHERE account = ?`,
		`DELETE FROM address WHERE account = ?`,
		`DELETE FROM app_password WHERE account = ?`,
		`DELETE FROM account WHERE id = ?`,
	} {
		if _, err := tx.Exec(query, account); err != nil {
			return fmt.Errorf("remove account %d: %w", account, err)
		}
	}
	s.changed(tx, account)
	return nil
}

func deletedAt(tx *sqlite.Tx, account int64) (t sql.NullInt64, err error) {
	err = tx.QueryRow(`SELECT deleted FROM account WHERE id = ?`, account).Scan(&t)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("account %d: %w", account, ErrUnknown)
	}
	return t, err
}
