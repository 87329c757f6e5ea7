package acme

import (
	"context"
	"fmt"

	"github.com/caddyserver/certmagic"
	"github.com/libdns/libdns"
	"go.uber.org/zap"
)

// zoneEditor is a DNSProvider that is looked for when it is needed, because
// tokens change while the server runs.
type zoneEditor struct {
	name string
	find func(ctx context.Context, name string) (DNSProvider, bool, error)
}

// providerError is what a DNS provider said.
type providerError struct{ err error }

func (e *providerError) Error() string { return "the DNS provider: " + e.err.Error() }
func (e *providerError) Unwrap() error { return e.err }

func (z zoneEditor) provider(ctx context.Context) (DNSProvider, error) {
	p, found, err := z.find(ctx, z.name)
	switch {
	case err != nil:
		return nil, &providerError{err}
	case !found:
		return nil, &providerError{fmt.Errorf("none is known for %s", z.name)}
	}
	return p, nil
}

// AppendRecords implements libdns.RecordAppender.
func (z zoneEditor) AppendRecords(ctx context.Context, zone string, recs []libdns.Record) ([]libdns.Record, error) {
	p, err := z.provider(ctx)
	if err != nil {
		return nil, err
	}
	done, err := p.AppendRecords(ctx, zone, recs)
	if err != nil {
		return done, &providerError{err}
	}
	return done, nil
}

// DeleteRecords implements libdns.RecordDeleter.
func (z zoneEditor) DeleteRecords(ctx context.Context, zone string, recs []libdns.Record) ([]libdns.Record, error) {
	p, err := z.provider(ctx)
	if err != nil {
		return nil, err
	}
	return p.DeleteRecords(ctx, zone, recs)
}

// solver sets the record of DNS-01 and waits until it can be seen.
func (c *Certificates) solver(name string, log *zap.Logger) *certmagic.DNS01Solver {
	s := &certmagic.DNS01Solver{}
	s.DNSProvider, s.Logger, s.TTL = zoneEditor{name, c.o.DNS}, log, challengeTTL
	if c.o.Server != "" {
		s.Resolvers = []string{c.o.Server}
	}
	return s
}
