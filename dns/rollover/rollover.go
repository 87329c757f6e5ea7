// Package rollover changes the DKIM keys of a domain without a message that
// cannot be verified: the records of new keys come first, those of old ones stay
// for the mail that is on its way. It decides when; the keys and their times are
// account's, dns/check looks at the name servers, dns/zone lists the records of
// all keys that should be published, and whoever publishes does so (a provider's
// client by itself, or a person who pastes).
//
//	Begin ─▶ next keys ─▶ records are published ─▶ Advance, every few minutes ─▶ new keys sign ─▶ old records go
//
// # States of a key
//
// Each is a time in the key's row, so that a restart goes on where it was.
//
//	| state     | record    | signs | becomes   | when                                                                  |
//	|-----------|-----------|-------|-----------|-----------------------------------------------------------------------|
//	| next      | wanted    | no    | signing   | all next keys were seen at every authoritative server for their TTL   |
//	| next      | wanted    | no    | forgotten | Cancel                                                                |
//	| signing   | wanted    | yes   | retired   | in the same commit in which the next keys sign                        |
//	| retired   | wanted    | no    | withdrawn | Kept after that                                                       |
//	| withdrawn | is to go  | no    | forgotten | no server gives it any more, or after Forgotten                       |
//
// Invariants: a domain always has a key that signs and is published, since the
// switch is one commit; a record that vanishes from one server starts the
// waiting anew; nothing is asked of the DNS for a domain whose keys all sign.
//
// RFC 6376, 3.1 (selectors and change of keys); RFC 6781, 4.1.1.1 (the same
// order, pre-publish, for DNSSEC); RFC 5321, 4.5.4.1 (how long mail is on its
// way).
package rollover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"mailstead/account"
	"mailstead/dns/check"
	"mailstead/dns/zone"
	"mailstead/internal/sqlite"
	"mailstead/message"
)

const (
	// Kept is how long the record of a retired key stays: mail that was signed
	// with it is delivered or given up by then (RFC 5321, 4.5.4.1: 4 to 5 days).
	Kept = 7 * 24 * time.Hour
	// Forgotten is how long a record that was to go is looked after.
	Forgotten = 30 * 24 * time.Hour
	// LeastTTL is how long a record must have been seen at least.
	LeastTTL = time.Hour
)

// Rollover changes keys. The fields are set before the first call.
type Rollover struct {
	DB       *sqlite.DB
	Accounts *account.Store
	Log      *slog.Logger

	// Shown asks the authoritative servers of a domain for DKIM records.
	Shown func(ctx context.Context, d message.Domain, records ...zone.Record) (check.Showing, error)
}

// RunningError says that the keys of a domain are being changed already.
type RunningError struct {
	Domain message.Domain
	Since  time.Time
}

func (e *RunningError) Error() string {
	return fmt.Sprintf("the keys of %s are being changed already, since %s", e.Domain.Unicode(), e.Since.Local().Format(time.DateTime))
}

// Hint is the next step for a person.
func (e *RunningError) Hint() string {
	return fmt.Sprintf("`mailstead dns keys %s` shows how far it is; `mailstead dns roll %[1]s --cancel` ends it", e.Domain.Unicode())
}

// Begin makes the next keys of a domain, one of each algorithm. Errors:
// account.ErrNotLocal, *RunningError.
func (r *Rollover) Begin(ctx context.Context, d message.Domain) error {
	if _, err := r.Accounts.Domain(ctx, d); err != nil {
		return err
	}
	known, err := r.Accounts.DKIMKeys(ctx, d)
	if err != nil {
		return err
	}
	if next := in(account.KeyNext, known); len(next) > 0 {
		return &RunningError{Domain: d, Since: next[0].Created}
	}
	now := time.Now()
	made, err := account.NewDKIMKeys(now)
	if err != nil {
		return err
	}
	for i := range made {
		made[i].Live = time.Time{}
		made[i].Selector = free(made[i].Selector, known)
	}
	err = r.DB.Update(ctx, func(tx *sqlite.Tx) error { return r.Accounts.AddDKIMKeys(tx, d, made...) })
	if errors.Is(err, account.ErrExists) { // somebody else began in this moment
		return &RunningError{Domain: d, Since: now}
	}
	return err
}

// free gives a selector that no key of the domain has: a second change on one
// day counts up.
func free(selector string, known []account.DKIMKey) string {
	taken := func(s string) bool {
		return slices.ContainsFunc(known, func(k account.DKIMKey) bool { return k.Selector == s })
	}
	name := selector
	for n := 2; taken(name); n++ {
		name = fmt.Sprintf("%s-%d", selector, n)
	}
	return name
}

// Cancel forgets the next keys of a domain; false says that there were none.
func (r *Rollover) Cancel(ctx context.Context, d message.Domain) (bool, error) {
	keys, err := r.Accounts.DKIMKeys(ctx, d)
	if err != nil {
		return false, err
	}
	next := in(account.KeyNext, keys)
	err = r.DB.Update(ctx, func(tx *sqlite.Tx) error {
		for _, k := range next {
			if err := r.Accounts.CancelDKIMKey(tx, k.ID); err != nil {
				return err
			}
		}
		return nil
	})
	return len(next) > 0, err
}

// Advance takes every domain's keys as far as they may go. One that cannot be
// looked at does not keep the others back.
func (r *Rollover) Advance(ctx context.Context) error {
	domains, err := r.Accounts.Domains(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range domains {
		if err := r.advance(ctx, d.Name); err != nil {
			errs = append(errs, fmt.Errorf("change the keys of %s: %w", d.Name.Unicode(), err))
		}
	}
	return errors.Join(errs...)
}

func (r *Rollover) advance(ctx context.Context, d message.Domain) error {
	keys, err := r.Accounts.DKIMKeys(ctx, d)
	if err != nil {
		return err
	}
	return errors.Join(r.takeOver(ctx, d, in(account.KeyNext, keys)),
		r.withdraw(ctx, d, in(account.KeyRetired, keys)),
		r.forget(ctx, d, in(account.KeyWithdrawn, keys)))
}

// in gives the keys in a state.
func in(state account.KeyState, keys []account.DKIMKey) []account.DKIMKey {
	return slices.DeleteFunc(slices.Clone(keys), func(k account.DKIMKey) bool { return k.State() != state })
}

// takeOver lets the next keys sign when the world has seen them long enough.
func (r *Rollover) takeOver(ctx context.Context, d message.Domain, next []account.DKIMKey) error {
	if len(next) == 0 {
		return nil
	}
	records, err := recordsOf(d, next)
	if err != nil {
		return err
	}
	shown, err := r.Shown(ctx, d, records...)
	if err != nil {
		return err
	}
	now := time.Now()
	if !shown.Everywhere {
		return r.see(ctx, next, time.Time{})
	}
	since := next[0].Seen
	for _, k := range next {
		if k.Seen.IsZero() {
			return r.see(ctx, next, now)
		}
		if k.Seen.After(since) {
			since = k.Seen
		}
	}
	if now.Before(since.Add(max(shown.TTL, LeastTTL))) {
		return nil
	}
	var ids []int64
	for _, k := range next {
		ids = append(ids, k.ID)
	}
	if err := r.DB.Update(ctx, func(tx *sqlite.Tx) error { return r.Accounts.SwitchDKIMKeys(tx, d, now, ids...) }); err != nil {
		return err
	}
	r.Log.Info("new DKIM keys sign", "domain", string(d), "selector", next[0].Selector)
	return nil
}

// see notes since when the records are seen, where that changes.
func (r *Rollover) see(ctx context.Context, keys []account.DKIMKey, since time.Time) error {
	if !slices.ContainsFunc(keys, func(k account.DKIMKey) bool { return !k.Seen.Equal(since) }) {
		return nil
	}
	return r.DB.Update(ctx, func(tx *sqlite.Tx) error {
		for _, k := range keys {
			if err := r.Accounts.SeeDKIMKey(tx, k.ID, since); err != nil {
				return err
			}
		}
		return nil
	})
}

// withdraw gives the records of keys up whose mail has arrived.
func (r *Rollover) withdraw(ctx context.Context, d message.Domain, retired []account.DKIMKey) error {
	now := time.Now()
	for _, k := range retired {
		if now.Before(k.Retired.Add(Kept)) {
			continue
		}
		if err := r.DB.Update(ctx, func(tx *sqlite.Tx) error { return r.Accounts.WithdrawDKIMKey(tx, k.ID, now) }); err != nil {
			return err
		}
		r.Log.Info("the record of a DKIM key is to go", "domain", string(d), "selector", k.Selector)
	}
	return nil
}

// forget drops keys whose records are gone.
func (r *Rollover) forget(ctx context.Context, d message.Domain, withdrawn []account.DKIMKey) error {
	for _, k := range withdrawn {
		records, err := recordsOf(d, []account.DKIMKey{k})
		if err != nil {
			return err
		}
		shown, err := r.Shown(ctx, d, records...)
		if err != nil {
			return err
		}
		if shown.Anywhere && time.Since(k.Withdrawn) < Forgotten {
			continue
		}
		if err := r.DB.Update(ctx, func(tx *sqlite.Tx) error { return r.Accounts.RemoveDKIMKey(tx, k.ID) }); err != nil {
			return err
		}
		r.Log.Info("a DKIM key is forgotten", "domain", string(d), "selector", k.Selector)
	}
	return nil
}

// recordsOf gives the DNS records of keys.
func recordsOf(d message.Domain, keys []account.DKIMKey) ([]zone.Record, error) {
	s := zone.Settings{Domain: d}
	for _, k := range keys {
		public, err := k.Public()
		if err != nil {
			return nil, err
		}
		s.Keys = append(s.Keys, zone.DKIMKey{Selector: k.Selector, Algorithm: k.Algorithm, Public: public})
	}
	all := zone.Records(s)
	return slices.DeleteFunc(all, func(r zone.Record) bool { return r.Kind != zone.KindDKIM }), nil
}
