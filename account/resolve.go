package account

import (
	"context"
	"slices"
	"strings"

	"mailstead/message"
)

// Target is one local account that an address leads to.
type Target struct {
	Account int64
	Address message.Address // the address as it was reached, without detail
	Detail  string          // of plus-addressing
}

// Resolve finds the local accounts behind an address: its own, plus-addressed,
// an alias's several, catch-all. It is answered from memory; the slice is
// shared and must not be changed. "postmaster" without a domain (RFC 5321,
// 4.5.1) reaches the operator.
// Errors: ErrNotLocal, ErrUnknown, ErrDisabled.
func (s *Store) Resolve(ctx context.Context, a message.Address) ([]Target, error) {
	d, err := s.dir(ctx)
	if err != nil {
		return nil, err
	}
	return d.resolve(a)
}

func (d *directory) resolve(a message.Address) ([]Target, error) {
	if a.Domain == "" {
		if fold(a.Local) != "postmaster" {
			return nil, ErrNotLocal
		}
		return d.live(d.operators, a)
	}
	domain := d.domains[a.Domain]
	if domain == nil {
		return nil, ErrNotLocal
	}
	e, detail := d.lookup(domain, a)
	switch {
	case e == nil && domain.CatchAll == 0:
		return nil, ErrUnknown
	case e == nil:
		return d.live([]int64{domain.CatchAll}, a)
	case e.err != nil || detail == "":
		return e.targets, e.err
	}
	targets := slices.Clone(e.targets)
	for i := range targets {
		targets[i].Detail = detail
	}
	return targets, nil
}

// lookup finds the entry of an address, with and then without its detail.
func (d *directory) lookup(domain *Domain, a message.Address) (*entry, string) {
	if e := d.addresses[keyOf(a)]; e != nil {
		return e, ""
	}
	base, detail, found := strings.Cut(a.Local, string(Separator))
	if !found || base == "" || !domain.Plus {
		return nil, ""
	}
	return d.addresses[key{fold(base), a.Domain}], detail
}

// LocalDomain tells whether the domain is ours.
func (s *Store) LocalDomain(ctx context.Context, name message.Domain) (bool, error) {
	d, err := s.dir(ctx)
	if err != nil {
		return false, err
	}
	return d.domains[name] != nil, nil
}

// MaySend tells whether the account may use this address as reverse-path and
// author: every address that leads to it, with any detail; so the members of an
// alias may answer in its name, and the owner of a catch-all in any name of the
// domain that nobody has.
func (s *Store) MaySend(ctx context.Context, account int64, a message.Address) (bool, error) {
	d, err := s.dir(ctx)
	if err != nil {
		return false, err
	}
	domain, who := d.domains[a.Domain], d.accounts[account]
	if domain == nil || who == nil || !who.Live() {
		return false, nil
	}
	if e, _ := d.lookup(domain, a); e != nil {
		return slices.Contains(e.members, account), nil
	}
	return domain.CatchAll == account, nil
}
