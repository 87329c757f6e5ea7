package app

import (
	"context"
	"crypto/x509"
	"net"

	"mailstead/dns"
	"mailstead/dns/check"
	"mailstead/dns/zone"
	"mailstead/internal/machine"
	"mailstead/message"
)

// reach is how this server gets to the world, where it is not the real one.
type reach struct {
	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	roots *x509.CertPool
	port  int
}

// DomainCheck looks at what the DNS says of one of our domains.
func (s *Stores) DomainCheck(ctx context.Context, name message.Domain) (*check.Domain, error) {
	z, err := s.Wanted.Settings(ctx, name)
	if err != nil {
		return nil, err
	}
	d := &check.Domain{
		Settings: z, Asker: s.Resolver, Trusted: s.Resolver.Trusts(),
		Dial: s.reach.dial, Roots: s.reach.roots, Port: s.reach.port,
	}
	if d.Own, err = machine.Addresses(); err != nil {
		s.Log.Debug("the addresses of the interfaces", "err", err)
	}
	// Two resolvers, that what one of them remembers is not taken for the truth.
	if all := s.Resolver.Servers(); len(all) > 1 {
		d.Resolvers = all[:2]
	}
	return d, nil
}

// judge has the resolver tested where nobody did so yet: a server does at its
// start, a command without one here.
func (s *Stores) judge(ctx context.Context) {
	if s.Resolver.Judged() {
		return
	}
	short, cancel := context.WithTimeout(ctx, check.EachLimit)
	defer cancel()
	if t := s.Resolver.SelfTest(short, dns.PublicNames()); ctx.Err() == nil {
		s.Resolver.Trust(t.Validates)
	}
}

// judgedCheck is DomainCheck by a resolver of which is known whether it validates.
func (s *Stores) judgedCheck(ctx context.Context, name message.Domain) (*check.Domain, error) {
	s.judge(ctx)
	return s.DomainCheck(ctx, name)
}

// shownKeys asks the domain's authoritative servers for DKIM records.
func (s *Stores) shownKeys(ctx context.Context, name message.Domain, records ...zone.Record) (check.Showing, error) {
	d, err := s.DomainCheck(ctx, name)
	if err != nil {
		return check.Showing{}, err
	}
	return d.Shown(ctx, records...), nil
}

// domainChecks are those of all our domains for the doctor; what is about the
// mail host is looked at once.
func (s *Stores) domainChecks(ctx context.Context) (all []check.Check) {
	names, err := s.domains(ctx)
	if err != nil {
		s.Log.Warn("domains are not checked", "err", err)
	}
	s.judge(ctx)
	for i, name := range names {
		d, err := s.DomainCheck(ctx, name)
		if err != nil {
			s.Log.Warn("a domain is not checked", "domain", string(name), "err", err)
			continue
		}
		d.WithoutHost = i > 0
		all = append(all, d.Checks()...)
	}
	return all
}
