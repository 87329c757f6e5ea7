package account

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"mailstead/internal/sqlite"
	"mailstead/message"
)

// maxLocal is RFC 5321, 4.5.3.1.1.
const maxLocal = 64

// atext is what a local part may hold without quotes (RFC 5322, 3.2.3), beside
// letters and digits, less the separator.
const atext = "!#$%&'*-/=?^_`{|}~."

// validAddress tells whether an address may be given to somebody here. Foreign
// addresses may be stranger; ours are such that every program can type them.
func validAddress(a message.Address) error {
	bad := func(why string) error {
		return fmt.Errorf("%w: address %q: %s", ErrInvalid, a.String(), why)
	}
	switch {
	case a.Local == "" || a.Domain == "":
		return bad("it needs the form name@domain")
	case len(a.Local) > maxLocal:
		return bad("the part before the @ is longer than 64 bytes")
	case !utf8.ValidString(a.Local):
		return bad("it is not valid UTF-8")
	case strings.HasPrefix(a.Local, "."), strings.HasSuffix(a.Local, "."), strings.Contains(a.Local, ".."):
		return bad("a dot stands at an end or beside another")
	case strings.ContainsRune(a.Local, Separator):
		return bad("the + is kept for plus-addressing")
	}
	for _, r := range a.Local {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && !strings.ContainsRune(atext, r) {
			return bad(fmt.Sprintf("%q may not stand before the @", r))
		}
	}
	return nil
}

// AddAddress gives the account one more address of its own.
// Errors: ErrInvalid, ErrNotLocal, ErrExists, ErrUnknown.
func (s *Store) AddAddress(tx *sqlite.Tx, account int64, a message.Address) error {
	if err := exists(tx, account); err != nil {
		return err
	}
	_, err := insertAddress(tx, a, sql.NullInt64{Int64: account, Valid: true}, false)
	if err != nil {
		return err
	}
	s.changed(tx, account)
	return nil
}

// RemoveAddress takes an address from its account; never the primary one.
// Errors: ErrUnknown, ErrInvalid.
func (s *Store) RemoveAddress(tx *sqlite.Tx, a message.Address) error {
	id, owner, err := findAddress(tx, a)
	if err != nil {
		return err
	}
	if !owner.Valid {
		return fmt.Errorf("%s is an alias: %w", a.Unicode(), ErrInvalid)
	}
	var first bool
	if err := tx.QueryRow(`SELECT first FROM address WHERE id = ?`, id).Scan(&first); err != nil {
		return fmt.Errorf("remove address %s: %w", a.Unicode(), err)
	}
	if first {
		return fmt.Errorf("%w: %s is the account's primary address", ErrInvalid, a.Unicode())
	}
	if _, err := tx.Exec(`DELETE FROM address WHERE id = ?`, id); err != nil {
		return fmt.Errorf("remove address %s: %w", a.Unicode(), err)
	}
	s.changed(tx, owner.Int64)
	return nil
}

// SetPrimary makes one of the account's addresses its primary one.
// Errors: ErrUnknown.
func (s *Store) SetPrimary(tx *sqlite.Tx, account int64, a message.Address) error {
	id, owner, err := findAddress(tx, a)
	if err != nil {
		return err
	}
	if owner.Int64 != account {
		return fmt.Errorf("%s is not the account's: %w", a.Unicode(), ErrUnknown)
	}
	if _, err := tx.Exec(`UPDATE address SET first = (id = ?) WHERE account = ?`, id, account); err != nil {
		return fmt.Errorf("set primary address %s: %w", a.Unicode(), err)
	}
	s.changed(tx, account)
	return nil
}

// insertAddress adds the row; owner is NULL for an alias.
func insertAddress(tx *sqlite.Tx, a message.Address, owner sql.NullInt64, first bool) (int64, error) {
	if err := validAddress(a); err != nil {
		return 0, err
	}
	domain, err := domainID(tx, a.Domain)
	if err != nil {
		return 0, err
	}
	switch _, _, err := findAddress(tx, a); {
	case err == nil:
		return 0, fmt.Errorf("address %s: %w", a.Unicode(), ErrExists)
	case !errors.Is(err, ErrUnknown):
		return 0, err
	}
	id, err := tx.Insert(`INSERT INTO address (domain, local, shown, account, first) VALUES (?, ?, ?, ?, ?)`,
		domain, fold(a.Local), a.Local, owner, first)
	if err != nil {
		return 0, fmt.Errorf("add address %s: %w", a.Unicode(), err)
	}
	return id, nil
}

// findAddress finds the row of an address or alias; ErrUnknown.
func findAddress(tx *sqlite.Tx, a message.Address) (id int64, owner sql.NullInt64, err error) {
	err = tx.QueryRow(`SELECT a.id, a.account FROM address a JOIN domain d ON d.id = a.domain
		WHERE d.name = ? AND a.local = ?`, string(a.Domain), fold(a.Local)).Scan(&id, &owner)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("%s: %w", a.Unicode(), ErrUnknown)
	}
	return id, owner, err
}
