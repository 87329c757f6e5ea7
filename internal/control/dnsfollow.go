package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"mailstead/dns/publish"
	"mailstead/dns/zone"
	"mailstead/internal/sqlite"
	"mailstead/message"
)

// followedKey is the setting that holds the digest of the key records that were
// brought into the DNS last, so that a provider is asked only when they change.
func followedKey(name message.Domain) string { return "dns-followed/" + string(name) }

// Follow publishes what keys and certificates changed in the records of each
// domain that was published before: DKIM, TLSA, CAA. It is called when a key has
// changed, and again in a while, since providers are not always there.
func (o *Ops) Follow(ctx context.Context) error {
	domains, err := o.Accounts.Domains(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range domains {
		if _, err := o.follow(ctx, d.Name); err != nil {
			errs = append(errs, fmt.Errorf("publish the keys of %s: %w", d.Name, err))
		}
	}
	return errors.Join(errs...)
}

// follow does one domain; done tells that its records are at its provider.
func (o *Ops) follow(ctx context.Context, name message.Domain) (done bool, err error) {
	v, err := o.dnsRecords(ctx, name, true)
	if err != nil {
		return false, err
	}
	digest := digestOfKeys(slices.Concat(v.Records, missing(v.Outside, v.Records)))
	var last string
	if err := o.Accounts.Setting(ctx, followedKey(name), &last); err != nil || last == digest {
		return last == digest, err
	}
	if a, err := o.access(ctx, name); err != nil || a.Provider == "" { // a person pastes
		return false, err
	}
	p, name, err := o.publisher(ctx, string(name))
	if err != nil {
		return false, err
	}
	if before, err := p.Published(ctx, name); err != nil || !before {
		return false, err
	}
	o.publishing.Lock()
	defer o.publishing.Unlock()
	d, err := o.plan(ctx, p, name, DNSPlan{Domain: string(name)})
	if err != nil {
		return false, err
	}
	refused := p.Apply(ctx, d.OfKeys())
	if refused != nil && !errors.Is(refused, publish.ErrRefused) {
		return false, dnsTrouble(refused)
	}
	// What was refused would be refused again: the doctor tells what is missing.
	err = o.DB.Update(ctx, func(tx *sqlite.Tx) error { return o.Accounts.SetSetting(tx, followedKey(name), digest) })
	return refused == nil && err == nil, errors.Join(dnsTrouble(refused), err)
}

func digestOfKeys(records []zone.Record) string {
	sum := sha256.New()
	for _, r := range records {
		if publish.FollowsKeys(r.Kind) {
			fmt.Fprintf(sum, "%s %s %s\n", r.Name, r.Type, r.Data)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}
