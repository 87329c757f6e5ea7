package app

import (
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"mailstead/acme"
	"mailstead/admin/doctor"
	"mailstead/dns"
	"mailstead/dns/publish"
	"mailstead/dns/wanted"
	"mailstead/dns/zone"
	"mailstead/internal/sqlite"
)

// certificates says where they are kept and by whose help they come.
func (a *App) certificates() acme.Options {
	cfg := a.Config
	return acme.Options{
		Dir: filepath.Join(cfg.Data, "acme"), Hostname: cfg.Hostname, CertFile: cfg.TLSCert, KeyFile: cfg.TLSKey, Log: a.Log,
		Door: func(name string) net.Addr { return a.Addr(name) }, DNS: a.dnsProvider,
		Resolver: freshDNS{a.Resolver}, Server: cfg.DNS.Resolver, TLSA: a.publishedTLSA,
		Changed: func() {
			select {
			case a.certChanged <- struct{}{}:
			default: // it is known already
			}
		},
	}
}

// certify brings the certificates in line with the settings and the domains, as
// they are now. It is called whenever one of these may have changed.
func (a *App) certify(ctx context.Context) error {
	var set acme.Settings
	if err := a.Accounts.Setting(ctx, acme.SettingName, &set); err != nil {
		return err
	}
	names, err := a.certificateNames(ctx)
	if err != nil {
		return err
	}
	a.cert.Manage(ctx, names)
	return a.cert.Configure(ctx, set)
}

// certificateNames are those that our domains want served over HTTPS, as their
// DNS records have them.
func (a *App) certificateNames(ctx context.Context) ([]string, error) {
	domains, err := a.Accounts.Domains(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range domains {
		s, err := a.Wanted.Settings(ctx, d.Name)
		if err != nil {
			return nil, err
		}
		for _, r := range zone.Records(s) {
			web := r.Kind == zone.KindMTASTSHost || r.Kind == zone.KindAutoconfig
			if web && !strings.HasPrefix(r.Name, "_") && !slices.Contains(names, r.Name) {
				names = append(names, r.Name)
			}
		}
	}
	return names, nil
}

// keepCertificateFacts writes what the DNS records say of certificates whenever
// that changes, and has it published where we publish, until ctx ends. Keys in the operator's own files are not
// published: nobody would tell us before they are changed, and a TLSA record of
// another key stops mail.
func (a *App) keepCertificateFacts(ctx context.Context) {
	for {
		switch changed, err := a.noteCertificate(ctx); {
		case ctx.Err() != nil:
		case err != nil:
			a.Log.Warn("facts about certificates not kept", "err", err)
		case changed:
			if err := a.socket.Ops.Follow(ctx); err != nil && ctx.Err() == nil {
				a.Log.Warn("records of certificates are not published yet", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-a.certChanged:
		}
	}
}

func (a *App) noteCertificate(ctx context.Context) (changed bool, err error) {
	// Of the operator's own files nobody knows which authority they are from: a CAA
	// record of ours could forbid it the next ones.
	var fact wanted.Certificate
	if a.Config.TLSCert == "" {
		fact.Issuer, fact.AccountURI = a.cert.CAIssuer(), a.cert.AccountURI()
		if fact.TLSA, err = a.cert.TLSA(a.Config.Hostname); err != nil {
			return false, err
		}
	}
	old, err := a.Wanted.Certificate(ctx)
	if err != nil || reflect.DeepEqual(old, fact) {
		return false, err
	}
	return true, a.DB.Update(ctx, func(tx *sqlite.Tx) error { return a.Wanted.SetCertificate(tx, fact) })
}

// dnsProvider finds the provider of the zone that a name lies in, by the access
// that was given for a domain of ours above it.
func (a *App) dnsProvider(ctx context.Context, name string) (acme.DNSProvider, bool, error) {
	for above := name; strings.Contains(above, "."); _, above, _ = strings.Cut(above, ".") {
		var access publish.Access
		if err := a.Accounts.Setting(ctx, publish.SettingName(above), &access); err != nil {
			return nil, false, err
		}
		if access.Provider == "" {
			continue
		}
		p, err := publish.New(access.Provider, access.Credentials, publish.Options{})
		return p, err == nil, err
	}
	return nil, false, nil
}

// freshDNS looks addresses up without the cache: that a name was missing a
// minute ago is no reason to let its certificate wait after it was published.
type freshDNS struct{ *dns.Client }

// LookupAddr implements dns.Resolver.
func (f freshDNS) LookupAddr(ctx context.Context, host string) ([]netip.Addr, bool, error) {
	var addrs []netip.Addr
	for _, typ := range []string{"A", "AAAA"} {
		answer, err := f.Ask(ctx, dns.Question{Name: host, Type: typ, Recursive: true})
		if err != nil {
			return nil, false, err
		}
		for _, r := range answer.Of(typ) {
			if ip, err := netip.ParseAddr(r.Data); err == nil {
				addrs = append(addrs, ip)
			}
		}
	}
	if len(addrs) == 0 {
		return nil, false, &dns.NotExistError{Name: host, Type: "address"}
	}
	return addrs, false, nil
}

// leastTLSATTL is how long others may remember an answer at least: a resolver
// tells what is left of the TTL, not what it was.
const leastTLSATTL = time.Hour

// publishedTLSA is what the world sees of the records of port 25.
func (a *App) publishedTLSA(ctx context.Context, name string) (hashes []string, ttl time.Duration, err error) {
	answer, err := a.Resolver.Ask(ctx, dns.Question{Name: "_25._tcp." + name, Type: "TLSA", Recursive: true})
	if err != nil {
		return nil, 0, err
	}
	ttl = leastTLSATTL
	for _, r := range answer.Of("TLSA") {
		hash := strings.ToLower(strings.ReplaceAll(r.Data, " ", ""))
		hashes = append(hashes, strings.TrimPrefix(hash, "311"))
		ttl = max(ttl, r.TTL)
	}
	return hashes, ttl, nil
}

// shownCertificates is what the doctor looks at.
func (a *App) shownCertificates(context.Context) []doctor.Certificate {
	var list []doctor.Certificate
	for _, s := range a.cert.Status() {
		c := doctor.Certificate{
			Name: s.Name, NotBefore: s.NotBefore, NotAfter: s.NotAfter, SelfMade: s.Origin == acme.SelfMade, HeldBack: s.HeldBack,
		}
		if p := s.Problem; p != nil {
			c.Problem, c.Fix, c.Evidence = p.Sentence, p.Fix, p.Evidence
		}
		if a.cert.Enabled() || s.Origin != acme.NotYetHere {
			list = append(list, c)
		}
	}
	return list
}
