// Package account is who: domains, accounts, addresses, aliases, credentials,
// app passwords, settings, login throttle.
package account

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"mailstead/message"
)

var (
	ErrNotLocal       = errors.New("domain is not ours")
	ErrUnknown        = errors.New("no such address")
	ErrDisabled       = errors.New("account is disabled")
	ErrBadCredentials = errors.New("bad credentials")
	ErrThrottled      = errors.New("too many failed logins")
	ErrExists         = errors.New("already exists")
	ErrInvalid        = errors.New("not allowed")
)

// Scope is a door that a credential opens.
type Scope uint8

const (
	IMAP Scope = 1 << iota
	SMTP
	POP
	Sieve
	Web
	Everything = IMAP | SMTP | POP | Sieve | Web
)

// Account is a person's row.
type Account struct {
	ID       int64
	Address  message.Address // the primary address; logins use any of its addresses
	Name     string          // display name
	Operator bool            // gets postmaster@, abuse@, reports@
	Disabled bool
	Created  time.Time
	Deleted  time.Time // zero, or when deletion was asked for; 30 days' grace
}

// Store is the table of who.
type Store struct{}

// Target is one local account that an address leads to.
type Target struct {
	Account int64
	Address message.Address // the address as it was reached, without detail
	Detail  string          // of plus-addressing
}

// Resolve finds the local accounts behind an address: its own, plus-addressed,
// an alias's several, catch-all. Cached in memory, renewed by every change.
// Errors: ErrNotLocal, ErrUnknown, ErrDisabled.
func (s *Store) Resolve(ctx context.Context, a message.Address) ([]Target, error) { panic("border") }

// LocalDomain tells whether the domain is ours.
func (s *Store) LocalDomain(ctx context.Context, d message.Domain) (bool, error) { panic("border") }

// Login is what a door knows of an attempt.
type Login struct {
	Name   string // as the client gave it
	Scope  Scope
	Remote netip.Addr
}

// CheckPassword tries the person's own password and app passwords.
// Errors: ErrBadCredentials, ErrThrottled, ErrDisabled.
func (s *Store) CheckPassword(ctx context.Context, l Login, password string) (Account, error) {
	panic("border")
}

// SCRAM starts a SCRAM-SHA-256 exchange (RFC 5802, 7677). binding is the
// channel binding type and data for -PLUS, nil without TLS.
func (s *Store) SCRAM(ctx context.Context, l Login, bindings map[string][]byte) *SCRAM {
	panic("border")
}

// SCRAM is the server's side of one exchange. l.Name is filled by Next from the
// client's first message. done is true when the account is proven; the last
// challenge (server signature) must still be sent.
type SCRAM struct{}

func (x *SCRAM) Next(response []byte) (challenge []byte, done bool, err error) { panic("border") }
func (x *SCRAM) Account() Account                                              { panic("border") }

// MaySend tells whether the account may use this address as reverse-path and
// author.
func (s *Store) MaySend(ctx context.Context, account int64, a message.Address) (bool, error) {
	panic("border")
}

// Account loads one by id; ErrUnknown.
func (s *Store) Account(ctx context.Context, id int64) (Account, error) { panic("border") }
