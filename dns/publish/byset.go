package publish

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libdns/libdns"
)

// set is all records of one name and type, with one TTL (RFC 2181, 5.2).
type set struct {
	name string // relative, "@" for the zone itself
	typ  string
	ttl  time.Duration
	data []string // normal form; none: the set is to go
	old  bool     // the provider has a set of this name and type

	hidden bool // it has records besides that put cannot write
}

// setAPI is a provider that changes whole sets.
type setAPI interface {
	FindZone(ctx context.Context, name string) (string, error)
	sets(ctx context.Context, zone string) ([]set, error)
	put(ctx context.Context, zone string, changed []set) error
	// atomic tells whether put does all of its sets or none.
	atomic() bool
}

// bySet makes a Provider of a setAPI. A set is read and written again with the
// foreign records of it as they are.
type bySet struct {
	setAPI
	mu *sync.Mutex // held from reading a set until it is written
}

// GetRecords implements libdns.RecordGetter.
func (p bySet) GetRecords(ctx context.Context, zone string) ([]libdns.Record, error) {
	all, err := p.sets(ctx, zone)
	if err != nil {
		return nil, err
	}
	return expand(flat(all)), nil
}

func flat(all []set) []libdns.RR {
	var rrs []libdns.RR
	for _, s := range all {
		for _, d := range s.data {
			rrs = append(rrs, libdns.RR{Name: s.name, Type: s.typ, TTL: s.ttl, Data: d})
		}
	}
	return rrs
}

// AppendRecords implements libdns.RecordAppender. Where there is a set already
// its TTL stays.
func (p bySet) AppendRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return records, p.ReplaceRecords(ctx, zone, nil, records)
}

// SetRecords implements libdns.RecordSetter.
func (p bySet) SetRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	old, err := p.GetRecords(ctx, zone)
	if err != nil {
		return nil, err
	}
	return records, p.ReplaceRecords(ctx, zone, setsOf(reduce(old), reduce(records)), records)
}

// DeleteRecords implements libdns.RecordDeleter.
func (p bySet) DeleteRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	old, err := p.GetRecords(ctx, zone)
	if err != nil {
		return nil, err
	}
	patterns := reduce(records)
	gone := slices.DeleteFunc(reduce(old), func(o libdns.RR) bool {
		return !slices.ContainsFunc(patterns, func(r libdns.RR) bool { return matches(o, r) })
	})
	return expand(gone), p.ReplaceRecords(ctx, zone, expand(gone), nil)
}

// ReplaceRecords removes some records and adds others. What is to be removed and
// not there, or to be added and there, is passed over.
func (p bySet) ReplaceRecords(ctx context.Context, zone string, removes, adds []libdns.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	all, err := p.sets(ctx, zone)
	if err != nil {
		return err
	}
	if changed := edit(all, reduce(removes), reduce(adds)); len(changed) > 0 {
		return p.put(ctx, zone, changed)
	}
	return nil
}

// edit gives the sets that change, those that go first: an alias must be gone
// before other types may stand at its name.
func edit(all []set, removes, adds []libdns.RR) []set {
	var changed []set
	find := func(name, typ string) *set {
		is := func(s set) bool { return s.name == name && s.typ == typ }
		if i := slices.IndexFunc(changed, is); i >= 0 {
			return &changed[i]
		}
		s := set{name: name, typ: typ}
		if i := slices.IndexFunc(all, is); i >= 0 {
			s = all[i]
			s.data, s.old = slices.Clone(s.data), true
		}
		changed = append(changed, s)
		return &changed[len(changed)-1]
	}
	for _, r := range removes {
		s := find(r.Name, r.Type)
		s.data = slices.DeleteFunc(s.data, func(d string) bool { return d == r.Data })
	}
	for _, r := range adds {
		s := find(r.Name, r.Type)
		if len(s.data) == 0 {
			s.ttl = r.TTL
		}
		if !slices.Contains(s.data, r.Data) {
			s.data = append(s.data, r.Data)
		}
	}
	changed = slices.DeleteFunc(changed, func(s set) bool {
		i := slices.IndexFunc(all, func(o set) bool { return o.name == s.name && o.typ == s.typ })
		return i < 0 && len(s.data) == 0 || i >= 0 && sameData(all[i].data, s.data)
	})
	slices.SortStableFunc(changed, func(a, b set) int { return min(len(a.data), 1) - min(len(b.data), 1) })
	return changed
}

func sameData(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

// wires are the data of a set as most providers take it.
func wires(s set) []string {
	var all []string
	for _, d := range s.data {
		all = append(all, wire(libdns.RR{Type: s.typ, Data: d}))
	}
	return all
}

// setData reads the data of a set, where a name may be relative to the zone.
func setData(s set, zone, data string) string {
	switch s.typ {
	case "CNAME", "MX", "SRV", "NS", "PTR", "DNAME":
		if !strings.HasSuffix(data, ".") {
			data += "." + strings.TrimSuffix(zone, ".") + "."
		}
	}
	return normal(libdns.RR{Type: s.typ, Data: unwire(s.typ, data)}).Data
}
