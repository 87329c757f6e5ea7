package account

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"mailstead/internal/sqlite"
	"mailstead/message"
)

// Login is what a door knows of an attempt.
type Login struct {
	Name   string // as the client gave it
	Scope  Scope
	Remote netip.Addr
}

// CheckPassword tries app passwords and the person's own password. A wrong one
// is answered later and later, and after some refused untried for a while; the
// network's other accounts, and the same account elsewhere, are not touched.
// Errors: ErrBadCredentials, ErrThrottled, ErrDisabled (only for who knows the password).
func (s *Store) CheckPassword(ctx context.Context, l Login, password string) (Account, error) {
	return s.check(ctx, l, password, true)
}

// CheckOwnPassword accepts the person's own password only: what was made for one
// program changes nothing else. Errors: those of CheckPassword.
func (s *Store) CheckOwnPassword(ctx context.Context, l Login, password string) (Account, error) {
	return s.check(ctx, l, password, false)
}

func (s *Store) check(ctx context.Context, l Login, password string, apps bool) (Account, error) {
	d, err := s.dir(ctx)
	if err != nil {
		return Account{}, err
	}
	a := d.login(l.Name)
	id := s.throttle.who(a, l.Name)
	mark := s.proven.mark(id, password)
	switch s.throttle.admit(l.Remote, id, mark, d.generation) {
	case refused:
		return Account{}, ErrThrottled
	case repeated: // the same wrong password again: no news
		return Account{}, s.failed(ctx, l, id, mark, d.generation)
	}
	if a != nil && apps && a.Live() {
		if app, ok := s.proven.get(a.ID, l.Scope, mark); ok {
			s.succeeded(l, a.ID, app)
			return *a, nil
		}
	}
	app, err := s.try(ctx, a, l.Scope, password, apps)
	switch {
	case errors.Is(err, ErrBadCredentials):
		if late := s.failed(ctx, l, id, mark, d.generation); late != ErrBadCredentials {
			return Account{}, late
		}
		return Account{}, err
	case err != nil:
		return Account{}, err
	case !a.Live():
		return Account{}, ErrDisabled
	}
	scope := Everything
	var appID int64
	if app != nil {
		scope, appID = app.scope, app.id
	}
	s.proven.put(s, a.ID, d.generation, proof{mark, appID, scope, time.Now().Add(provenFor)})
	s.succeeded(l, a.ID, appID)
	return *a, nil
}

// try compares the password with what is stored; a is nil for an unknown name,
// which costs the same hashing. It returns the app password that fitted, nil
// for the person's own.
func (s *Store) try(ctx context.Context, a *Account, scope Scope, password string, apps bool) (*appCredential, error) {
	var c credentials
	if a != nil {
		var err error
		if c, err = s.credentials(ctx, a.ID); err != nil {
			return nil, err
		}
	}
	if p := c.findApp(password); p != nil && apps {
		if p.scope&scope != scope || scope == 0 {
			return nil, fmt.Errorf("app password is for %s, not %s: %w", p.scope, scope, ErrBadCredentials)
		}
		return p, nil
	}
	if len(password) > maxPassword {
		password = ""
	}
	ok, err := s.hasher.matches(ctx, c.password, password)
	if err != nil {
		return nil, fmt.Errorf("check password: %w", err)
	}
	if !ok {
		return nil, ErrBadCredentials
	}
	return nil, nil
}

// failed counts a failed login and answers it late.
func (s *Store) failed(ctx context.Context, l Login, id who, mark mark, generation uint64) error {
	delay := s.throttle.fail(l.Remote, id, mark, generation)
	if delay > 0 {
		t := time.NewTimer(delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ErrBadCredentials
}

func (s *Store) succeeded(l Login, account, app int64) {
	s.throttle.succeed(l.Remote, account)
	if app != 0 {
		s.uses.note(app, time.Now())
	}
}

// Hold tells that an authenticated session of the account lives until release:
// its network is not throttled for this account, and end (which must not block)
// is called when the account is disabled, deleted, or changes its passwords.
func (s *Store) Hold(account int64, remote netip.Addr, end func()) (release func()) {
	return s.throttle.hold(account, remote, end)
}

// cut ends the live sessions of an account once tx is committed.
func (s *Store) cut(tx *sqlite.Tx, account int64) {
	tx.AfterCommit(func() { s.throttle.end(account) })
}

// login finds the account of a login name: any of its addresses, or the part
// before the @ alone where we have one domain. nil when there is none.
func (d *directory) login(name string) *Account {
	if len(name) > 320 { // RFC 5321, 4.5.3.1: 64 + 1 + 255
		return nil
	}
	var a message.Address
	if strings.Contains(name, "@") {
		var err error
		if a, err = message.ParseAddress(name); err != nil {
			return nil
		}
	} else {
		if len(d.domains) != 1 {
			return nil
		}
		for domain := range d.domains {
			a = message.Address{Local: name, Domain: domain}
		}
	}
	e := d.addresses[keyOf(a)]
	if e == nil || e.owner == 0 {
		return nil
	}
	return d.accounts[e.owner]
}
