package acme

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
)

// pauses are between attempts for a certificate that is missing. Renewals are
// begun and repeated by certmagic, which has its own.
var pauses = [...]time.Duration{
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour,
}

// limited is how long a CA that had enough is left alone when it does not say.
const limited = time.Hour

// run looks for certificates that are missing until close.
func (a *authority) run() {
	tidy := time.NewTimer(tidying)
	defer tidy.Stop()
	for {
		wait := a.begin(time.Now())
		timer := time.NewTimer(wait)
		select {
		case <-a.ctx.Done():
			timer.Stop()
			return
		case <-a.wake:
		case <-timer.C:
		case <-tidy.C:
			a.tidy()
			tidy.Reset(tidying)
		}
		timer.Stop()
	}
}

// begin starts the attempts that are due and says when the next one is.
func (a *authority) begin(now time.Time) time.Duration {
	wait := 24 * time.Hour
	for _, s := range a.all() {
		a.mu.RLock()
		due, at := s.missing(now)
		again := s.expired
		a.mu.RUnlock()
		switch {
		case due && s.one.TryLock():
			a.goes.Go(func() {
				defer s.one.Unlock()
				a.attempt(a.ctx, s, again)
				a.poke()
			})
		case !due && !at.IsZero():
			wait = min(wait, time.Until(at))
		}
	}
	return max(wait, time.Second)
}

func (a *authority) tidy() {
	err := certmagic.CleanStorage(a.ctx, a.storage, certmagic.CleanStorageOptions{
		Logger: a.zap, OCSPStaples: true, ExpiredCerts: true, ExpiredCertGracePeriod: 30 * 24 * time.Hour,
	})
	if err != nil {
		a.c.o.Log.Warn("old certificates not removed", "err", err)
	}
}

// attemptKey finds an attempt of ours in the context of certmagic's events.
type attemptKey struct{}

type attempt struct {
	cancel  context.CancelFunc
	problem *Problem
}

// attempt asks for one certificate once. The caller holds s.one.
func (a *authority) attempt(ctx context.Context, s *site, again bool) error {
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	try := &attempt{}
	inner, cancel := context.WithCancel(context.WithValue(ctx, attemptKey{}, try))
	defer cancel()
	defer context.AfterFunc(a.ctx, cancel)()
	// The asynchronous form never asks at a terminal. It would go on trying by
	// itself; the event of a failure ends it.
	try.cancel = cancel
	var err error
	if again {
		err = a.renewing(s).RenewCertAsync(inner, s.name, true)
	} else {
		err = s.config.ObtainCertAsync(inner, s.name)
	}
	switch {
	case try.problem != nil:
		return try.problem
	case inner.Err() != nil:
		return inner.Err()
	case err != nil:
		return a.failed(s, a.explain(s.name, err))
	}
	if err := a.load(s); err != nil {
		return err
	}
	a.c.o.Changed()
	return nil
}

// renewing is what asks for a new certificate in the place of one. Its order names
// the old one (RFC 9773, 5), but not where the CA may not know it any more, or knows
// that it was replaced: it ended long ago, a backup brought it back, or the order
// before this one failed. certmagic leaves it out of its own second attempt, which
// ours never come to.
func (a *authority) renewing(s *site) *certmagic.Config {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if s.expired || s.tries > 0 {
		return s.afresh
	}
	return s.config
}

// event is told what certmagic does.
func (a *authority) event(ctx context.Context, name string, data map[string]any) error {
	identifier, _ := data["identifier"].(string)
	s := a.site(identifier)
	if s == nil {
		return nil
	}
	try, _ := ctx.Value(attemptKey{}).(*attempt)
	switch name {
	case "cert_obtaining":
		if p := a.prepare(ctx, s); p != nil {
			a.failed(s, p)
			if try != nil {
				try.problem = p
			}
			return certmagic.ErrNoRetry{Err: p}
		}
	case "cert_failed":
		err, _ := data["error"].(error)
		if ctx.Err() != nil {
			return nil
		}
		p := a.failed(s, a.explain(s.name, err))
		if try != nil {
			try.problem = p
			try.cancel()
		}
	case "cert_obtained":
		a.succeeded(s)
		if renewal, _ := data["renewal"].(bool); renewal && try == nil {
			a.c.o.Changed()
		}
	}
	return nil
}

// prepare does before an order what costs nothing when it fails.
func (a *authority) prepare(ctx context.Context, s *site) *Problem {
	if len(a.doors()) == 0 {
		if p := a.hasProvider(ctx, s.name); p != nil {
			return p
		}
	} else if p := a.hasAddress(ctx, s.name); p != nil {
		return p
	}
	a.mu.RLock()
	proven := s.proven || s.has && s.tries == 0
	a.mu.RUnlock()
	if proven || a.set.staging() == "" {
		return nil
	}
	if err := a.dryRun(ctx, s); err != nil {
		p := a.explain(s.name, err)
		if p.Kind == CAAForbids && a.accountURI() != "" || p.Kind == RateLimited || p.Kind == CADown {
			// A CAA record that names our account shuts out the one of dry runs
			// (RFC 8657), and staging is not the CA: neither says anything.
			return nil
		}
		p.Sentence = "In a dry run: " + p.Sentence
		return p
	}
	a.mu.Lock()
	s.proven = true
	a.mu.Unlock()
	return nil
}

// hasProvider looks whether DNS-01 can be tried.
func (a *authority) hasProvider(ctx context.Context, name string) *Problem {
	found := false
	if a.c.o.DNS != nil {
		var err error
		if _, found, err = a.c.o.DNS(ctx, name); err != nil {
			return a.explain(name, &providerError{err})
		}
	}
	if found {
		return nil
	}
	return &Problem{
		Kind: Provider, At: time.Now(),
		Sentence: fmt.Sprintf("There is no way to show the CA that %s is ours: no DNS provider is known for it, and no door for HTTP-01 or TLS-ALPN-01 is open.", name),
		Fix:      "Free port 80 or 443 for Mailstead, or tell it the token of your DNS provider, or give it certificate files of your own (tls_cert and tls_key).",
	}
}

// dryRun gets a certificate of the staging directory, with a key of its own,
// and throws it away.
func (a *authority) dryRun(ctx context.Context, s *site) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{s.name}}, key)
	if err != nil {
		return err
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return err
	}
	issuer := a.issuer(s, s.config, a.set.staging())
	if err := issuer.PreCheck(ctx, []string{s.name}, false); err != nil {
		return err
	}
	if _, err := issuer.Issue(ctx, csr); err != nil {
		return fmt.Errorf("dry run: %w", err)
	}
	a.c.o.Log.Debug("dry run of a certificate succeeded", "name", s.name)
	return nil
}

// failed notes why there is no certificate and when to try again.
func (a *authority) failed(s *site, p *Problem) *Problem {
	a.mu.Lock()
	pause := pauses[min(s.tries, len(pauses)-1)]
	if p.Kind == RateLimited {
		pause = max(pause, limited)
	}
	s.tries++
	s.problem, s.proven = p, false
	s.due = p.At.Add(pause)
	if p.after.After(s.due) {
		s.due = p.after
	}
	p.Next = s.due
	a.mu.Unlock()
	a.c.o.Log.Warn("certificate not obtained", "name", s.name, "reason", p.Sentence, "err", p.Evidence)
	return p
}

func (a *authority) succeeded(s *site) {
	a.mu.Lock()
	s.problem, s.tries, s.due, s.has = nil, 0, time.Time{}, true
	a.mu.Unlock()
	a.c.o.Log.Info("certificate obtained", "name", s.name, "ca", caHost(a.set.ca()))
	a.noteIdentity()
}

// noteIdentity keeps the name that the CA has in CAA records.
func (a *authority) noteIdentity() {
	if a.caIssuer() != "" {
		return
	}
	client := acme.Client{Directory: a.set.ca(), HTTPClient: a.client()}
	ctx, cancel := context.WithTimeout(a.ctx, 30*time.Second)
	defer cancel()
	dir, err := client.GetDirectory(ctx)
	if err != nil || dir.Meta == nil || len(dir.Meta.CAAIdentities) == 0 {
		return
	}
	if err := replace(a.identityFile(), []byte(dir.Meta.CAAIdentities[0])); err != nil {
		a.c.o.Log.Warn("the CA's name for CAA records is not kept", "err", err)
	}
}

// Obtain gets what is missing among the names (all, without any), and all of
// them anew where again is true, and waits for it. Its error is for people: one
// *Problem for each name that has none.
func (c *Certificates) Obtain(ctx context.Context, again bool, names ...string) error {
	a := c.authority.Load()
	if a == nil {
		return ErrOff
	}
	var sites []*site
	if len(names) == 0 {
		sites = a.all()
	}
	for _, n := range names {
		s := a.site(plain(n))
		if s == nil {
			return fmt.Errorf("%s: %w", n, ErrUnknown)
		}
		sites = append(sites, s)
	}
	errs := make([]error, len(sites))
	var all sync.WaitGroup
	for i, s := range sites {
		all.Go(func() { errs[i] = a.obtain(ctx, s, again) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// obtain waits for an attempt that is under way before it makes its own.
func (a *authority) obtain(ctx context.Context, s *site, again bool) error {
	s.one.Lock()
	defer s.one.Unlock()
	a.mu.RLock()
	has := s.has
	a.mu.RUnlock()
	if has && !again {
		return nil
	}
	return a.attempt(ctx, s, again)
}

// ErrOff says that certificates do not come from a CA, and ErrUnknown that the
// name is none of ours.
var (
	ErrOff     = errors.New("certificates of a CA are switched off")
	ErrUnknown = errors.New("no certificate is wanted for this name")
)
