package publish

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/libdns/libdns"

	"mailstead/dns/zone"
	"mailstead/internal/sqlite"
	"mailstead/message"
)

// Publisher brings the wanted records of domains into one provider's zones. Two
// changes of one domain must not run at once; the caller sees to it.
type Publisher struct {
	DB       *sqlite.DB // has the tables of Schema
	Provider Provider
	Name     string                                     // the provider's, as New takes it
	Wait     func(context.Context, time.Duration) error // between looks after a change; nil sleeps
}

// looker is a Provider that need not read the whole zone.
type looker interface {
	LookupRecords(ctx context.Context, zone string, names []string) ([]libdns.Record, error)
}

// replacer is a Provider that removes and adds in one go.
type replacer interface {
	ReplaceRecords(ctx context.Context, zone string, removes, adds []libdns.Record) error
}

// Plan compares the wanted records with the provider's. wanted is all that the
// domain needs: what we published and is not among it is to go. take names sets
// of records ("_dmarc.example.org/TXT") whose foreign records are to be replaced.
// Errors: *Error.
func (p *Publisher) Plan(ctx context.Context, domain message.Domain, wanted []zone.Record, take ...string) (Diff, error) {
	d := Diff{Domain: domain, Provider: p.Name}
	var err error
	if d.Zone, err = p.zone(ctx, domain); err != nil {
		return d, err
	}
	s := state{zone: d.Zone, title: p.Name, take: map[string]bool{}}
	if info, ok := Lookup(p.Name); ok {
		s.title, s.without = info.Title, info.Without
	}
	for _, t := range take {
		name, typ, _ := strings.Cut(t, "/")
		s.take[strings.ToLower(strings.TrimSuffix(name, "."))+"/"+strings.ToUpper(typ)] = true
	}
	if s.owned, err = p.owned(ctx, domain); err != nil {
		return d, err
	}
	var names []string
	for _, w := range wanted {
		names = append(names, strings.ToLower(strings.TrimSuffix(w.Name, ".")))
	}
	for _, o := range s.owned {
		names = append(names, o.Name)
	}
	if s.live, err = p.look(ctx, d.Zone, names); err != nil {
		return d, err
	}
	for _, o := range s.owned {
		if !has(s.live, o) {
			d.lost = append(d.lost, o)
		}
	}
	d.Changes = compare(s, wanted)
	left, err := p.unfinished(ctx, d)
	if err != nil {
		return d, err
	}
	d.Unfinished = left != 0
	return d, d.seal()
}

func (p *Publisher) zone(ctx context.Context, domain message.Domain) (string, error) {
	f, ok := p.Provider.(Finder)
	if !ok {
		return string(domain), nil
	}
	return f.FindZone(ctx, string(domain))
}

// look reads the provider's records at the names that are in the zone.
func (p *Publisher) look(ctx context.Context, origin string, names []string) ([]Record, error) {
	var inside []string
	for _, n := range names {
		if zone.Within(n, message.Domain(origin)) {
			inside = append(inside, relative(n, origin))
		}
	}
	slices.Sort(inside)
	inside = slices.Compact(inside)
	var records []libdns.Record
	var err error
	if l, ok := p.Provider.(looker); ok {
		records, err = l.LookupRecords(ctx, origin, inside)
	} else {
		records, err = p.Provider.GetRecords(ctx, origin)
	}
	if err != nil {
		return nil, err
	}
	var all []Record
	for _, r := range reduce(records) {
		if slices.Contains(inside, r.Name) {
			all = append(all, Record{Name: absolute(r.Name, origin), Type: r.Type, TTL: seconds(r.TTL, 0), Data: r.Data})
		}
	}
	return all, nil
}

// replace asks the provider for a change.
func (p *Publisher) replace(ctx context.Context, zone string, removes, adds []Record) error {
	if len(removes)+len(adds) == 0 {
		return nil
	}
	old, fresh := records(zone, removes), records(zone, adds)
	if r, ok := p.Provider.(replacer); ok {
		return r.ReplaceRecords(ctx, zone, old, fresh)
	}
	if len(old) > 0 {
		if _, err := p.Provider.DeleteRecords(ctx, zone, old); err != nil {
			return err
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	_, err := p.Provider.AppendRecords(ctx, zone, fresh)
	return err
}

func records(zone string, list []Record) []libdns.Record {
	all := make([]libdns.RR, len(list))
	for i, r := range list {
		all[i] = r.rr(zone)
	}
	return expand(all)
}

// atomic tells whether the provider does a whole change or none of it.
func (p *Publisher) atomic() bool {
	switch a := p.Provider.(type) {
	case bySet:
		return a.setAPI.atomic()
	case interface{ atomic() bool }:
		return a.atomic()
	}
	return false
}
