package account

import (
	"database/sql"
	"fmt"
	"strings"
	"time"
	"unicode"

	"mailstead/internal/sqlite"
	"mailstead/message"
)

// New is what a new account is made of. Password is made by Secret before the
// transaction; empty means that nobody can log in with a password yet.
type New struct {
	Address  message.Address
	Name     string
	Operator bool
	Password Secret
}

// Add makes an account. The first one becomes an operator, so that no server
// is without one. The caller makes its mailboxes in the same transaction.
// Errors: ErrInvalid, ErrNotLocal, ErrExists.
func (s *Store) Add(tx *sqlite.Tx, n New) (Account, error) {
	if err := validName(n.Name); err != nil {
		return Account{}, err
	}
	var operators int
	if err := tx.QueryRow(`SELECT count(*) FROM account WHERE operator`).Scan(&operators); err != nil {
		return Account{}, fmt.Errorf("add account: %w", err)
	}
	a := Account{Address: n.Address, Name: n.Name, Operator: n.Operator || operators == 0, Created: time.Unix(time.Now().Unix(), 0)}
	p := n.Password
	if p.salt == nil {
		p.salt, p.iterations = newSalt(), iterations
	}
	id, err := tx.Insert(`INSERT INTO account (name, operator, created, password, salt, iterations, stored_key, server_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		a.Name, a.Operator, a.Created.Unix(), string(p.hash), p.salt, p.iterations, p.keys.stored, p.keys.server)
	if err != nil {
		return Account{}, fmt.Errorf("add account %s: %w", n.Address.Unicode(), err)
	}
	a.ID = id
	if _, err := insertAddress(tx, n.Address, sql.NullInt64{Int64: id, Valid: true}, true); err != nil {
		return Account{}, err
	}
	s.changed(tx, id)
	return a, nil
}

// SetName changes the display name. Errors: ErrInvalid, ErrUnknown.
func (s *Store) SetName(tx *sqlite.Tx, account int64, name string) error {
	if err := validName(name); err != nil {
		return err
	}
	return s.update(tx, account, `UPDATE account SET name = ? WHERE id = ?`, name, account)
}

// SetOperator makes the account an operator or not. The last live operator
// stays one. Errors: ErrInvalid, ErrUnknown.
func (s *Store) SetOperator(tx *sqlite.Tx, account int64, on bool) error {
	if !on {
		if err := notLastOperator(tx, account); err != nil {
			return err
		}
	}
	return s.update(tx, account, `UPDATE account SET operator = ? WHERE id = ?`, on, account)
}

// SetDisabled closes the account for logins and for new mail, or opens it again.
// What it holds stays. Errors: ErrInvalid (the last operator), ErrUnknown.
func (s *Store) SetDisabled(tx *sqlite.Tx, account int64, disabled bool) error {
	if disabled {
		if err := notLastOperator(tx, account); err != nil {
			return err
		}
		s.cut(tx, account)
	}
	return s.update(tx, account, `UPDATE account SET disabled = ? WHERE id = ?`, disabled, account)
}

// update runs a statement that changes one account's row.
func (s *Store) update(tx *sqlite.Tx, account int64, query string, args ...any) error {
	res, err := tx.Exec(query, args...)
	if err != nil {
		return fmt.Errorf("change account %d: %w", account, err)
	}
	if n, err := res.RowsAffected(); err == nil && n == 0 {
		return fmt.Errorf("account %d: %w", account, ErrUnknown)
	}
	s.changed(tx, account)
	return nil
}

// notLastOperator refuses what would leave nobody behind postmaster@.
func notLastOperator(tx *sqlite.Tx, account int64) error {
	last, err := lastOperator(tx, account)
	if err == nil && last {
		err = fmt.Errorf("%w: this is the last operator; make somebody else one first", ErrInvalid)
	}
	return err
}

func lastOperator(tx *sqlite.Tx, account int64) (bool, error) {
	var isOne bool
	var others int
	err := tx.QueryRow(`SELECT
		EXISTS (SELECT 1 FROM account WHERE id = ?1 AND operator AND NOT disabled AND deleted IS NULL),
		(SELECT count(*) FROM account WHERE id <> ?1 AND operator AND NOT disabled AND deleted IS NULL)`, account).Scan(&isOne, &others)
	if err != nil {
		return false, fmt.Errorf("count operators: %w", err)
	}
	return isOne && others == 0, nil
}

// validName keeps a display name fit for a header and a terminal.
func validName(name string) error {
	switch {
	case len(name) > 200:
		return fmt.Errorf("%w: the name is longer than 200 bytes", ErrInvalid)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%w: the name has control characters", ErrInvalid)
	}
	return nil
}
