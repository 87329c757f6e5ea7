package publish

import (
	"context"
	"slices"
	"sync"

	"github.com/libdns/libdns"
)

// entry is one record at a provider whose records have ids.
type entry struct {
	id string
	rr libdns.RR // normal form
}

// recordAPI is what such a provider can do.
type recordAPI interface {
	FindZone(ctx context.Context, name string) (string, error)
	// entries gives those at the names, or more; nil is all of the zone.
	entries(ctx context.Context, zone string, names []string) ([]entry, error)
	create(ctx context.Context, zone string, r libdns.RR) error
	update(ctx context.Context, zone string, e entry, r libdns.RR) error
	remove(ctx context.Context, zone string, e entry) error
}

// committer is a recordAPI whose changes wait until they are asked for.
type committer interface {
	commit(ctx context.Context, zone string) error
}

// byRecord makes a Provider of a recordAPI. Only records that are named are
// touched, each by its id.
type byRecord struct {
	recordAPI
	mu *sync.Mutex // held during a change: look, then act
}

// GetRecords implements libdns.RecordGetter.
func (p byRecord) GetRecords(ctx context.Context, zone string) ([]libdns.Record, error) {
	return p.LookupRecords(ctx, zone, nil)
}

// LookupRecords is GetRecords that may leave out all but these names.
func (p byRecord) LookupRecords(ctx context.Context, zone string, names []string) ([]libdns.Record, error) {
	all, err := p.entries(ctx, zone, names)
	if err != nil {
		return nil, err
	}
	rrs := make([]libdns.RR, len(all))
	for i, e := range all {
		rrs[i] = e.rr
	}
	return expand(rrs), nil
}

// AppendRecords implements libdns.RecordAppender. Those that are there already
// are left as they are.
func (p byRecord) AppendRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return records, p.ReplaceRecords(ctx, zone, nil, records)
}

// DeleteRecords implements libdns.RecordDeleter.
func (p byRecord) DeleteRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	patterns := reduce(records)
	all, err := p.entries(ctx, zone, namesOf(patterns))
	if err != nil {
		return nil, err
	}
	var gone []libdns.RR
	for _, e := range all {
		if !slices.ContainsFunc(patterns, func(r libdns.RR) bool { return matches(e.rr, r) }) {
			continue
		}
		if err := p.remove(ctx, zone, e); err != nil {
			return expand(gone), err
		}
		gone = append(gone, e.rr)
	}
	return expand(gone), p.finish(ctx, zone)
}

// SetRecords implements libdns.RecordSetter.
func (p byRecord) SetRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	old, err := p.LookupRecords(ctx, zone, namesOf(reduce(records)))
	if err != nil {
		return nil, err
	}
	return records, p.ReplaceRecords(ctx, zone, setsOf(reduce(old), reduce(records)), records)
}

// setsOf gives the records of old that share name and type with one of records.
func setsOf(old, records []libdns.RR) []libdns.Record {
	return expand(slices.DeleteFunc(old, func(o libdns.RR) bool {
		return !slices.ContainsFunc(records, func(r libdns.RR) bool { return r.Name == o.Name && r.Type == o.Type })
	}))
}

// ReplaceRecords removes some records and adds others; a record that changes its
// value keeps its id, so that its name is never without one. What is to be
// removed and not there, or to be added and there, is passed over.
func (p byRecord) ReplaceRecords(ctx context.Context, zone string, removes, adds []libdns.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	gone, come := reduce(removes), reduce(adds)
	all, err := p.entries(ctx, zone, namesOf(gone, come))
	if err != nil {
		return err
	}
	old, fresh := split(all, gone, come)
	for _, e := range old {
		i := slices.IndexFunc(fresh, func(r libdns.RR) bool { return r.Name == e.rr.Name && r.Type == e.rr.Type })
		if i < 0 {
			err = p.remove(ctx, zone, e)
		} else {
			err = p.update(ctx, zone, e, fresh[i])
			fresh = slices.Delete(fresh, i, i+1)
		}
		if err != nil {
			return err
		}
	}
	for _, r := range fresh {
		if err := p.create(ctx, zone, r); err != nil {
			return err
		}
	}
	return p.finish(ctx, zone)
}

// namesOf gives each name once.
func namesOf(lists ...[]libdns.RR) []string {
	var names []string
	for _, list := range lists {
		for _, r := range list {
			if !slices.Contains(names, r.Name) {
				names = append(names, r.Name)
			}
		}
	}
	return names
}

// split finds what is there of the removes, and what is missing of the adds.
func split(all []entry, removes, adds []libdns.RR) (old []entry, fresh []libdns.RR) {
	for _, e := range all {
		is := func(r libdns.RR) bool { return same(r, e.rr) }
		if slices.ContainsFunc(removes, is) && !slices.ContainsFunc(adds, is) {
			old = append(old, e)
		}
	}
	for _, r := range adds {
		if !slices.ContainsFunc(all, func(e entry) bool { return same(r, e.rr) }) {
			fresh = append(fresh, r)
		}
	}
	return old, fresh
}

func (p byRecord) finish(ctx context.Context, zone string) error {
	if c, ok := p.recordAPI.(committer); ok {
		return c.commit(ctx, zone)
	}
	return nil
}
