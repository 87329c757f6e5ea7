package acme

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// sighting is when the TLSA record of a name's next key was first seen.
type sighting struct {
	hash string
	at   time.Time
}

// HeldBackError says why a key is not rolled yet.
type HeldBackError struct {
	Name  string
	Why   string
	Until time.Time // zero while the record is not there
}

func (e *HeldBackError) Error() string { return "the key of " + e.Name + " is held back: " + e.Why }

// Hint is the next step for a person.
func (e *HeldBackError) Hint() string {
	if e.Until.IsZero() {
		return "publish the TLSA records that `mailstead dns show` lists, both of them"
	}
	return "try again after " + e.Until.Local().Format(time.DateTime)
}

// TLSA gives the data of TLSA 3 1 1 records for a name (hex of the SHA-256 of
// the public key): of the key in use, then of the next one. Own files have no
// next one.
func (c *Certificates) TLSA(name string) ([]string, error) {
	name = plain(name)
	if c.own && (name == c.o.Hostname || c.host.covers(name)) {
		return []string{fingerprint(c.host.Leaf().PublicKey)}, nil
	}
	key, err := c.keys.current(name)
	if err != nil {
		return nil, err
	}
	next, err := c.keys.next(name)
	if err != nil {
		return nil, err
	}
	return []string{fingerprint(key.Public()), fingerprint(next.Public())}, nil
}

// Roll takes the next key of a name into use, with a new certificate, and makes
// a new next one. While the TLSA records of the name do not show the next key
// for as long as others may remember them without it, it is held back
// (*HeldBackError); where none are published, nothing holds it.
func (c *Certificates) Roll(ctx context.Context, name string) error {
	name = plain(name)
	if c.own && (name == c.o.Hostname || c.host.covers(name)) {
		return fmt.Errorf("roll the key of %s: it is in a file of yours, %s", name, c.o.KeyFile)
	}
	if err := c.live(ctx, name); err != nil {
		var held *HeldBackError
		if errors.As(err, &held) {
			c.hold(name, held.Why)
		}
		return err
	}
	c.hold(name, "")
	a := c.authority.Load()
	if a == nil {
		return c.rollSelfSigned(name)
	}
	s := a.site(name)
	if s == nil {
		return fmt.Errorf("%s: %w", name, ErrUnknown)
	}
	set := func(on bool) {
		a.mu.Lock()
		s.rolling = on
		a.mu.Unlock()
	}
	s.one.Lock()
	defer s.one.Unlock()
	set(true)
	defer set(false)
	if err := a.attempt(ctx, s, true); err != nil {
		return fmt.Errorf("roll the key of %s: %w", name, err)
	}
	return nil
}

// hold notes why a key is held back; "" ends it.
func (c *Certificates) hold(name, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held[name] = why; why == "" {
		delete(c.held, name)
	}
}

// rollSelfSigned needs nobody.
func (c *Certificates) rollSelfSigned(name string) error {
	if name != c.o.Hostname {
		return fmt.Errorf("%s: %w", name, ErrUnknown)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.keys.next(name); err != nil {
		return err
	}
	if err := c.keys.promote(name); err != nil {
		return err
	}
	fresh, err := selfSigned(c.o.Dir, name, c.keys)
	if err != nil {
		return err
	}
	c.host.replaceBy(fresh)
	c.o.Changed()
	return nil
}

// live tells whether the next key may be used; *HeldBackError when not.
func (c *Certificates) live(ctx context.Context, name string) error {
	if c.o.TLSA == nil {
		return nil
	}
	next, err := c.keys.next(name)
	if err != nil {
		return err
	}
	hash := fingerprint(next.Public())
	published, ttl, err := c.o.TLSA(ctx, name)
	if err != nil {
		return &HeldBackError{Name: name, Why: fmt.Sprintf("its TLSA records cannot be asked for (%v)", err)}
	}
	if len(published) == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(published, hash) {
		delete(c.seen, name)
		return &HeldBackError{Name: name, Why: "the TLSA record of the next key is not published"}
	}
	seen := c.seen[name]
	if seen.hash != hash {
		seen = sighting{hash, time.Now()}
		c.seen[name] = seen
	}
	if until := seen.at.Add(ttl); time.Now().Before(until) {
		return &HeldBackError{Name: name, Until: until,
			Why: fmt.Sprintf("the TLSA record of the next key is there, but servers may remember the old answer until %s", until.UTC().Format(time.DateTime))}
	}
	return nil
}

// Watch is to be called about once an hour: it notes since when the TLSA record
// of the host's next key is live, and rolls keys that are older than the
// settings allow.
func (c *Certificates) Watch(ctx context.Context) error {
	a := c.authority.Load()
	if a == nil { // nobody is asked anything then
		return nil
	}
	host := c.o.Hostname
	if !c.own {
		// What it says matters only to Roll; this is for the sighting.
		if err := c.live(ctx, host); err != nil {
			c.o.Log.Debug("next key is not live", "name", host, "err", err)
		}
	}
	if a.set.KeyDays == 0 {
		return nil
	}
	var errs []error
	for _, s := range a.all() {
		since, err := c.keys.since(s.name)
		if err != nil || time.Since(since) < time.Duration(a.set.KeyDays)*24*time.Hour {
			continue
		}
		errs = append(errs, c.Roll(ctx, s.name)) // one that is held back is nobody else's reason to wait
	}
	return errors.Join(errs...)
}
