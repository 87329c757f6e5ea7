package control

import (
	"context"
	"errors"
	"time"

	"mailstead/account"
	"mailstead/dns/rollover"
	"mailstead/dns/zone"
	"mailstead/message"
)

// DKIMKeys are the keys of one domain, the next ones last.
type DKIMKeys struct {
	Domain    string    `json:"domain"`
	Keys      []DKIMKey `json:"keys"`
	Published bool      `json:"published,omitempty"` // by us, just now
	Trouble   string    `json:"trouble,omitempty"`   // why not
}

// DKIMKey is one of them. dns/rollover has the table of states.
type DKIMKey struct {
	Selector  string           `json:"selector"`
	Algorithm string           `json:"algorithm"`
	State     account.KeyState `json:"state"`
	Since     time.Time        `json:"since"` // it is in that state
	Until     *time.Time       `json:"until,omitempty"`
	Seen      *time.Time       `json:"seen,omitempty"` // since then the world sees the record of a next key
	Record    *zone.Record     `json:"record,omitempty"`
}

// DNSRoll is what dns.roll takes.
type DNSRoll struct {
	Domain string `json:"domain"`
	Cancel bool   `json:"cancel,omitempty"` // forget the next keys
}

// dnsKeys lists the DKIM keys of one domain, or of all.
func (o *Ops) dnsKeys(ctx context.Context, in DNSQuery) ([]DKIMKeys, error) {
	names, err := o.domainsOf(ctx, in.Domain)
	if err != nil {
		return nil, err
	}
	all := []DKIMKeys{}
	for _, name := range names {
		k, err := o.keysOf(ctx, name)
		if err != nil {
			return nil, err
		}
		all = append(all, k)
	}
	return all, nil
}

func (o *Ops) keysOf(ctx context.Context, name message.Domain) (DKIMKeys, error) {
	out := DKIMKeys{Domain: name.Unicode(), Keys: []DKIMKey{}}
	z, err := o.Wanted.Settings(ctx, name)
	if err != nil {
		return out, err
	}
	records := map[string]zone.Record{}
	for _, r := range zone.Records(z) {
		records[r.Name] = r
	}
	keys, err := o.Accounts.DKIMKeys(ctx, name)
	if err != nil {
		return out, err
	}
	for _, k := range keys {
		v := DKIMKey{Selector: k.Selector, Algorithm: k.Algorithm, State: k.State(), Since: k.Created}
		if r, ok := records[zone.DKIMKey{Selector: k.Selector}.Name(name)]; ok {
			v.Record = &r
		}
		until := func(t time.Time) { v.Until = &t }
		switch v.State {
		case account.KeyNext:
			if !k.Seen.IsZero() {
				v.Seen = &k.Seen
				until(k.Seen.Add(max(rollover.LeastTTL, v.Record.TTL)))
			}
		case account.KeySigning:
			v.Since = k.Live
		case account.KeyRetired:
			v.Since = k.Retired
			until(k.Retired.Add(rollover.Kept))
		case account.KeyWithdrawn:
			v.Since = k.Withdrawn
		}
		out.Keys = append(out.Keys, v)
	}
	return out, nil
}

// dnsRoll begins to change the keys of a domain, or ends that; the new records
// are published at once where the domain was published before.
func (o *Ops) dnsRoll(ctx context.Context, in DNSRoll) (DKIMKeys, error) {
	name, err := o.ourDomain(ctx, in.Domain)
	if err != nil {
		return DKIMKeys{}, err
	}
	if in.Cancel {
		var was bool
		if was, err = o.Rollover.Cancel(ctx, name); err == nil && !was {
			return DKIMKeys{}, &Error{Kind: NotFound, Text: "the keys of " + name.Unicode() + " are not being changed", Next: "`mailstead dns keys " + name.Unicode() + "` shows them"}
		}
	} else {
		err = o.Rollover.Begin(ctx, name)
	}
	var running *rollover.RunningError
	if errors.As(err, &running) {
		return DKIMKeys{}, &Error{Kind: Busy, Text: running.Error(), Next: running.Hint()}
	}
	if err != nil {
		return DKIMKeys{}, err
	}
	published, trouble := o.follow(ctx, name)
	out, err := o.keysOf(ctx, name)
	if out.Published = published; trouble != nil {
		out.Trouble = trouble.Error()
	}
	return out, err
}
