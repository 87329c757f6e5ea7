package acme

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
)

// errNoChallenge answers a proof that nobody asked for.
var errNoChallenge = errors.New("no challenge is under way for this name")

// site is one name with its own certificate, key and way to prove it. What a
// CA's attempt changes is guarded by authority.mu.
type site struct {
	name   string
	config *certmagic.Config
	afresh *certmagic.Config // the same, whose orders name no certificate that they replace

	one sync.Mutex // held by an attempt: one at a time

	// guarded by authority.mu
	loaded  bool // what is kept was looked for
	has     bool // there is a certificate
	expired bool // it ran out while nobody renewed it
	problem *Problem
	tries   int       // failures since the last success
	due     time.Time // of the next attempt
	proven  bool      // the dry run was good, and the CA has not failed since
	rolling bool      // the next certificate is for the next key
}

func (a *authority) newSite(name string) *site {
	s := &site{name: name}
	for _, c := range []struct {
		to     **certmagic.Config
		afresh bool
	}{{&s.config, false}, {&s.afresh, true}} {
		config := certmagic.New(a.cache, certmagic.Config{
			Storage: a.storage, Logger: a.zap, OnEvent: a.event, KeySource: source{a, s}, DisableARI: c.afresh,
		})
		config.Issuers = []certmagic.Issuer{a.issuer(s, config, a.set.ca())}
		*c.to = config
	}
	return s
}

// issuer asks one directory, by the challenges that are possible.
func (a *authority) issuer(s *site, config *certmagic.Config, directory string) *certmagic.ACMEIssuer {
	t := certmagic.ACMEIssuer{
		CA: directory, Email: cmp.Or(a.set.Email, nobody), NewAccountFunc: a.contact, Agreed: true, TrustedRoots: a.roots, Logger: a.zap,
		CertObtainTimeout: 90 * time.Second, DisableDistributedSolvers: true,
	}
	doors := a.doors()
	if len(doors) == 0 && a.c.o.DNS != nil {
		t.DNS01Solver = a.c.solver(s.name, a.zap)
	}
	// certmagic would listen itself where nobody does; it has to see that the
	// door is there.
	t.DisableHTTPChallenge, t.DisableTLSALPNChallenge = true, true
	for _, d := range doors {
		t.ListenHost = d.host
		if d.by == HTTP {
			t.DisableHTTPChallenge, t.AltHTTPPort = false, d.port
		} else {
			t.DisableTLSALPNChallenge, t.AltTLSALPNPort = false, d.port
		}
	}
	return certmagic.NewACMEIssuer(config, t)
}

// nobody is the name under which certmagic keeps an account without an e-mail
// address; left to itself it takes that for an address later.
const nobody = "default"

// contact leaves the address out of an account that is to have none.
func (a *authority) contact(_ context.Context, _ *certmagic.ACMEIssuer, account acme.Account) (acme.Account, error) {
	if a.set.Email == "" {
		account.Contact = nil
	}
	return account, nil
}

// door is a port of ours at which a challenge can be answered.
type door struct {
	by   Challenge
	host string
	port int
}

// doors are those that prove names; none where DNS-01 has to.
func (a *authority) doors() []door {
	by := a.set.Challenge
	var list []door
	for _, d := range []struct {
		by   Challenge
		name string
	}{{HTTP, "http"}, {TLSALPN, "https"}} {
		at, ok := a.c.o.Door(d.name).(*net.TCPAddr)
		if !ok || at == nil || by != Any && by != d.by {
			continue
		}
		host := ""
		if !at.IP.IsUnspecified() {
			host = at.IP.String()
		}
		if len(list) > 0 && list[0].host != host {
			continue // certmagic knows one host to look at
		}
		list = append(list, door{d.by, host, at.Port})
	}
	return list
}

// source gives certmagic the key of a site: the one in use, or the next one when
// it is being rolled.
type source struct {
	a *authority
	s *site
}

// GenerateKey implements certmagic.KeyGenerator.
func (k source) GenerateKey() (crypto.PrivateKey, error) {
	k.a.mu.RLock()
	rolling := k.s.rolling
	k.a.mu.RUnlock()
	get := k.a.c.keys.current
	if rolling {
		get = k.a.c.keys.next
	}
	key, err := get(k.s.name)
	if err != nil {
		return nil, certmagic.ErrNoRetry{Err: err}
	}
	return key, nil
}

// load serves the newest certificate that is kept for the site, and takes its
// key into use if a roll was cut short.
func (a *authority) load(s *site) error {
	old := a.cache.AllMatchingCertificates(s.name)
	cert, err := s.config.CacheManagedCertificate(a.ctx, s.name)
	a.mu.Lock()
	s.loaded, s.has, s.expired = true, err == nil, err == nil && cert.Expired()
	a.mu.Unlock()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		a.c.o.Log.Warn("kept certificate cannot be read", "name", s.name, "err", err)
		return err
	}
	var stale []string
	for _, o := range old {
		if o.Hash() != cert.Hash() && slices.Contains(o.Names, s.name) {
			stale = append(stale, o.Hash())
		}
	}
	a.cache.Remove(stale)
	return a.settle(s, cert.Leaf)
}

// settle makes the key of the certificate the one in use.
func (a *authority) settle(s *site, leaf *x509.Certificate) error {
	key, err := a.c.keys.current(s.name)
	if err != nil || fingerprint(key.Public()) == fingerprint(leaf.PublicKey) {
		return err
	}
	next, err := a.c.keys.next(s.name)
	if err != nil || fingerprint(next.Public()) != fingerprint(leaf.PublicKey) {
		return err
	}
	if err := a.c.keys.promote(s.name); err != nil {
		return err
	}
	a.c.o.Log.Info("key rolled", "name", s.name)
	return nil
}

// missing tells whether a name has no good certificate and its attempt is due,
// or when it is. certmagic renews what has not run out.
func (s *site) missing(now time.Time) (due bool, at time.Time) {
	if !s.loaded || s.has && !s.expired {
		return false, time.Time{}
	}
	return !now.Before(s.due), s.due
}

var _ certmagic.KeyGenerator = source{}

// hasAddress looks whether the CA can find the name at all.
func (a *authority) hasAddress(ctx context.Context, name string) *Problem {
	if a.c.o.Resolver == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, _, err := a.c.o.Resolver.LookupAddr(ctx, name)
	return a.explainAddress(name, err)
}
