package account

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"mailstead/internal/sqlite"
	"mailstead/message"
)

// Separator stands between a local part and its detail (RFC 5233).
const Separator = '+'

// roles are the local parts that reach the operator in every domain unless
// somebody took them (RFC 2142; RFC 5321, 4.5.1; reports is where DMARC and
// TLS-RPT reports go).
var roles = []string{"postmaster", "abuse", "reports"}

// directory is an immutable picture of the tables, for questions that come
// with every message.
type directory struct {
	generation uint64
	domains    map[message.Domain]*Domain
	addresses  map[key]*entry
	accounts   map[int64]*Account
	owned      map[int64][]message.Address // primary first
	operators  []int64                     // live ones
	keys       map[message.Domain][]DKIMKey
	before     map[message.Domain][]DKIMKey // those of the directory before, while loading
}

// key is an address as it is compared.
type key struct {
	local  string // folded
	domain message.Domain
}

// entry is where an address leads.
type entry struct {
	address message.Address
	owner   int64    // account whose own address it is; 0 for an alias or a role
	members []int64  // accounts it leads to, live or not
	role    bool     // built in, no row
	targets []Target // live ones; shared, never changed
	err     error    // why there are none
}

// fold gives a local part the form in which it is compared.
func fold(local string) string {
	for i := 0; i < len(local); i++ {
		if local[i] >= utf8.RuneSelf {
			return norm.NFC.String(strings.ToLower(norm.NFC.String(local)))
		}
	}
	return strings.ToLower(local) // allocates only when it changes something
}

func keyOf(a message.Address) key { return key{fold(a.Local), a.Domain} }

// dir returns the directory of the last committed change.
func (s *Store) dir(ctx context.Context) (*directory, error) {
	if d := s.directory.Load(); d != nil && d.generation == s.generation.Load() {
		return d, nil
	}
	s.loading.Lock()
	defer s.loading.Unlock()
	// Read before the tables: a change that commits in between is seen again.
	g := s.generation.Load()
	if d := s.directory.Load(); d != nil && d.generation == g {
		return d, nil
	}
	d := &directory{generation: g}
	if old := s.directory.Load(); old != nil {
		d.before = old.keys
	}
	if err := s.db.View(ctx, d.load); err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	s.directory.Store(d)
	return d, nil
}

func (d *directory) load(tx *sqlite.Tx) error {
	d.domains = map[message.Domain]*Domain{}
	d.addresses = map[key]*entry{}
	d.accounts = map[int64]*Account{}
	d.owned = map[int64][]message.Address{}
	d.operators = nil
	for _, load := range []func(*sqlite.Tx) error{d.loadAccounts, d.loadDomains, d.loadKeys, d.loadAddresses, d.loadAliases} {
		if err := load(tx); err != nil {
			return err
		}
	}
	d.before = nil
	d.finish()
	return nil
}

func (d *directory) loadAccounts(tx *sqlite.Tx) error {
	return each(tx, func(rows *sqlite.Rows) error {
		a := new(Account)
		var created int64
		var deleted sql.NullInt64
		if err := rows.Scan(&a.ID, &a.Name, &a.Operator, &a.Disabled, &created, &deleted); err != nil {
			return err
		}
		a.Created = time.Unix(created, 0)
		if deleted.Valid {
			a.Deleted = time.Unix(deleted.Int64, 0)
		}
		d.accounts[a.ID] = a
		if a.Operator && a.Live() {
			d.operators = append(d.operators, a.ID)
		}
		return nil
	}, `SELECT id, name, operator, disabled, created, deleted FROM account ORDER BY id`)
}

func (d *directory) loadDomains(tx *sqlite.Tx) error {
	return each(tx, func(rows *sqlite.Rows) error {
		m := new(Domain)
		var catchAll sql.NullInt64
		var created int64
		if err := rows.Scan(&m.Name, &m.Plus, &catchAll, &created); err != nil {
			return err
		}
		m.CatchAll, m.Created = catchAll.Int64, time.Unix(created, 0)
		d.domains[m.Name] = m
		return nil
	}, `SELECT name, plus, catch_all, created FROM domain`)
}

func (d *directory) loadAddresses(tx *sqlite.Tx) error {
	return each(tx, func(rows *sqlite.Rows) error {
		e := new(entry)
		var local string
		var owner sql.NullInt64
		var first bool
		if err := rows.Scan(&local, &e.address.Local, &e.address.Domain, &owner, &first); err != nil {
			return err
		}
		d.addresses[key{local, e.address.Domain}] = e
		if !owner.Valid {
			return nil
		}
		e.owner, e.members = owner.Int64, []int64{owner.Int64}
		d.owned[e.owner] = append(d.owned[e.owner], e.address)
		if first {
			d.accounts[e.owner].Address = e.address
		}
		return nil
	}, `SELECT a.local, a.shown, d.name, a.account, a.first
		FROM address a JOIN domain d ON d.id = a.domain ORDER BY a.first DESC, d.name, a.local`)
}

func (d *directory) loadAliases(tx *sqlite.Tx) error {
	return each(tx, func(rows *sqlite.Rows) error {
		var k key
		var account int64
		if err := rows.Scan(&k.local, &k.domain, &account); err != nil {
			return err
		}
		e := d.addresses[k]
		e.members = append(e.members, account)
		return nil
	}, `SELECT a.local, d.name, t.account FROM alias_target t
		JOIN address a ON a.id = t.alias JOIN domain d ON d.id = a.domain ORDER BY t.alias, t.account`)
}

// finish adds the operator's addresses and works out every entry's targets.
func (d *directory) finish() {
	for name := range d.domains {
		for _, role := range roles {
			k := key{role, name}
			if d.addresses[k] == nil {
				d.addresses[k] = &entry{address: message.Address{Local: role, Domain: name}, members: d.operators, role: true}
			}
		}
	}
	for _, e := range d.addresses {
		e.targets, e.err = d.live(e.members, e.address)
	}
}

// live makes targets of those accounts that take mail. A deleted account is as
// unknown as one that never was; its grace is the owner's, not the sender's.
func (d *directory) live(accounts []int64, reached message.Address) ([]Target, error) {
	err := ErrUnknown
	var targets []Target
	for _, id := range accounts {
		switch a := d.accounts[id]; {
		case a.Live():
			targets = append(targets, Target{Account: id, Address: reached})
		case a.Deleted.IsZero():
			err = ErrDisabled
		}
	}
	if len(targets) > 0 {
		return targets, nil
	}
	return nil, err
}

func (d *directory) list() []Account {
	all := make([]Account, 0, len(d.accounts))
	for _, a := range d.accounts {
		all = append(all, *a)
	}
	slices.SortFunc(all, func(a, b Account) int { return compareAddresses(a.Address, b.Address) })
	return all
}

func compareAddresses(a, b message.Address) int {
	if c := strings.Compare(string(a.Domain), string(b.Domain)); c != 0 {
		return c
	}
	return strings.Compare(fold(a.Local), fold(b.Local))
}

// each runs fn on every row.
func each(tx *sqlite.Tx, fn func(*sqlite.Rows) error, query string, args ...any) error {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
