// Package account is who: domains, accounts, addresses, aliases, credentials,
// app passwords, settings, login throttle. It is not mail: mailboxes and quota
// belong to mailbox, and what a session may do with a proven account belongs to
// the doors.
//
// Data passes in two ways. Whatever the wire asks (Resolve, LocalDomain,
// MaySend) is answered from a directory in memory, which every committed change
// makes stale and the next question renews: RCPT does not touch the database.
// Changes are methods that take a *sqlite.Tx first, so that the caller can put
// them into a bigger commit (a new account and its mailboxes); nothing slow
// happens inside them, hashes are made before.
//
// Invariants:
//
//   - an address leads somewhere in exactly one way: it is an account's own, an
//     alias, one of the operator's (postmaster, abuse, reports), or caught by the
//     domain's catch-all, and is looked for in this order;
//   - local parts are compared without case and after Unicode normalisation;
//   - a password is kept as argon2id and SCRAM keys of 65,536 iterations, an app
//     password as SHA-256 and SCRAM keys (RFC 5802, 7677); neither is ever logged;
//   - no number of failed logins from elsewhere locks a living owner out.
package account

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mailstead/internal/sqlite"
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

var scopeNames = []struct {
	scope Scope
	name  string
}{{IMAP, "imap"}, {SMTP, "smtp"}, {POP, "pop"}, {Sieve, "sieve"}, {Web, "web"}}

// String lists the doors: "imap,smtp".
func (s Scope) String() string {
	var names []string
	for _, n := range scopeNames {
		if s&n.scope != 0 {
			names = append(names, n.name)
		}
	}
	return strings.Join(names, ",")
}

// ParseScope reads what String writes. Errors: ErrInvalid.
func ParseScope(text string) (Scope, error) {
	var s Scope
next:
	for _, word := range strings.Split(text, ",") {
		for _, n := range scopeNames {
			if strings.EqualFold(strings.TrimSpace(word), n.name) {
				s |= n.scope
				continue next
			}
		}
		return 0, fmt.Errorf("%w: scope %q is none of imap, smtp, pop, sieve", ErrInvalid, word)
	}
	return s, nil
}

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

// Live tells whether the account may log in and receive mail.
func (a Account) Live() bool { return !a.Disabled && a.Deleted.IsZero() }

// Options of Open.
type Options struct {
	Log *slog.Logger // nil discards
}

// Store is the table of who.
type Store struct {
	db     *sqlite.DB
	log    *slog.Logger
	secret []byte // keys the salts that unknown users get

	generation atomic.Uint64 // counts committed changes
	directory  atomic.Pointer[directory]
	loading    sync.Mutex // held while the directory is renewed

	hasher   *hasher
	throttle *throttle
	proven   *proven
	uses     uses
}

//go:embed schema/*.sql
var schema embed.FS

// Schema holds the migrations of this room.
func Schema() fs.FS { return sqlite.Folder(schema, "schema") }

// Open makes the store over a database that has this room's tables.
func Open(ctx context.Context, db *sqlite.DB, o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		db:       db,
		log:      o.Log,
		hasher:   newHasher(),
		throttle: newThrottle(),
		proven:   newProven(),
	}
	secret, err := s.loadSecret(ctx)
	if err != nil {
		return nil, fmt.Errorf("open accounts: %w", err)
	}
	s.secret = secret
	if _, err := s.dir(ctx); err != nil {
		return nil, fmt.Errorf("open accounts: %w", err)
	}
	return s, nil
}

// Close writes what was kept back: the times of last use. It does so even when
// ctx has ended, as it has at a stop.
func (s *Store) Close(ctx context.Context) error {
	s.hasher.close()
	return s.SaveLastUse(context.WithoutCancel(ctx))
}

// Account loads one by id; ErrUnknown. Deleted ones are found until they are
// removed.
func (s *Store) Account(ctx context.Context, id int64) (Account, error) {
	d, err := s.dir(ctx)
	if err != nil {
		return Account{}, err
	}
	a, ok := d.accounts[id]
	if !ok {
		return Account{}, fmt.Errorf("account %d: %w", id, ErrUnknown)
	}
	return *a, nil
}

// Find loads the account that owns the address; ErrUnknown.
func (s *Store) Find(ctx context.Context, a message.Address) (Account, error) {
	d, err := s.dir(ctx)
	if err != nil {
		return Account{}, err
	}
	if e := d.addresses[keyOf(a)]; e != nil && e.owner != 0 {
		return *d.accounts[e.owner], nil
	}
	return Account{}, fmt.Errorf("%s: %w", a.Unicode(), ErrUnknown)
}

// Accounts lists all, by primary address.
func (s *Store) Accounts(ctx context.Context) ([]Account, error) {
	d, err := s.dir(ctx)
	if err != nil {
		return nil, err
	}
	return d.list(), nil
}

// Addresses lists the account's own addresses, the primary one first.
func (s *Store) Addresses(ctx context.Context, id int64) ([]message.Address, error) {
	d, err := s.dir(ctx)
	if err != nil {
		return nil, err
	}
	if d.accounts[id] == nil {
		return nil, fmt.Errorf("account %d: %w", id, ErrUnknown)
	}
	return d.owned[id], nil
}

// changed makes the directory stale, and forgets what was proven for these
// accounts, once tx is committed.
func (s *Store) changed(tx *sqlite.Tx, accounts ...int64) {
	tx.AfterCommit(func() {
		s.generation.Add(1)
		s.proven.forget(accounts...)
	})
}
