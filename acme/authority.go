package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

const (
	// loading bounds how long a start waits for what is kept: an OCSP responder
	// that does not answer must not keep mail from being served.
	loading = 2 * time.Second
	// tidying is how often what expired long ago is removed.
	tidying = 7 * 24 * time.Hour
	// challengeTTL is of the records of DNS-01: short, they live for minutes.
	challengeTTL = 2 * time.Minute
)

// authority is the work with one CA, from Configure to the next Configure.
type authority struct {
	c       *Certificates
	set     Settings
	roots   *x509.CertPool
	storage *certmagic.FileStorage
	cache   *certmagic.Cache
	zap     *zap.Logger

	ctx   context.Context // ends by close
	stop  context.CancelFunc
	goes  sync.WaitGroup
	wake  chan struct{} // holds one wish to look for work
	slots chan struct{} // attempts at a time

	mu    sync.RWMutex // guards what follows, and the changing fields of sites
	sites map[string]*site
}

func newAuthority(c *Certificates, s Settings) (*authority, error) {
	roots, err := s.pool()
	if err != nil {
		return nil, err
	}
	a := &authority{
		c: c, set: s, roots: roots, zap: newZap(c.o.Log), sites: make(map[string]*site),
		storage: &certmagic.FileStorage{Path: filepath.Join(c.o.Dir, "certmagic")},
		wake:    make(chan struct{}, 1), slots: make(chan struct{}, 4),
	}
	a.ctx, a.stop = context.WithCancel(context.Background())
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		RenewCheckInterval: c.o.renewCheck,
		Logger:             a.zap,
		GetConfigForCert: func(cert certmagic.Certificate) (*certmagic.Config, error) {
			for _, n := range cert.Names {
				if s := a.site(n); s != nil {
					return s.config, nil
				}
			}
			return nil, fmt.Errorf("%v: the name went away", cert.Names)
		},
	})
	return a, nil
}

// start begins the work in the background.
func (a *authority) start() { a.goes.Go(a.run) }

func (a *authority) close() {
	a.stop()
	a.goes.Wait()
	a.cache.Stop()
}

func (a *authority) site(name string) *site {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.sites[name]
}

// all gives the sites by name.
func (a *authority) all() []*site {
	a.mu.RLock()
	defer a.mu.RUnlock()
	list := make([]*site, 0, len(a.sites))
	for _, name := range slices.Sorted(maps.Keys(a.sites)) {
		list = append(list, a.sites[name])
	}
	return list
}

// manage takes the names that are wanted from now on. It loads what is kept of
// new ones, but waits for it only a moment.
func (a *authority) manage(ctx context.Context, names []string) {
	var fresh []*site
	var gone []certmagic.SubjectIssuer
	a.mu.Lock()
	for name := range a.sites {
		if !slices.Contains(names, name) {
			delete(a.sites, name)
			gone = append(gone, certmagic.SubjectIssuer{Subject: name})
		}
	}
	for _, name := range names {
		if a.sites[name] == nil {
			s := a.newSite(name)
			a.sites[name] = s
			fresh = append(fresh, s)
		}
	}
	a.mu.Unlock()
	a.cache.RemoveManaged(gone)

	done := make(chan struct{})
	a.goes.Go(func() {
		defer close(done)
		for _, s := range fresh {
			a.load(s)
		}
		a.poke()
	})
	select {
	case <-done:
	case <-ctx.Done():
	case <-time.After(loading):
	}
}

// poke makes run look for work.
func (a *authority) poke() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// certificate is the best that there is for exactly this name; nil for none.
func (a *authority) certificate(name string) *tls.Certificate {
	if a.site(name) == nil {
		return nil
	}
	var best *tls.Certificate
	for _, cert := range a.cache.AllMatchingCertificates(name) {
		if cert.Leaf != nil && (best == nil || cert.Leaf.NotAfter.After(best.Leaf.NotAfter)) {
			best = &cert.Certificate
		}
	}
	return best
}

// challenge is the certificate that proves a name by TLS-ALPN-01.
func (a *authority) challenge(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if s := a.site(plain(hello.ServerName)); s != nil {
		return s.config.GetCertificate(hello)
	}
	return nil, errNoChallenge
}

// answer serves the token of HTTP-01.
func (a *authority) answer(w http.ResponseWriter, r *http.Request) bool {
	ch, ok := certmagic.GetACMEChallenge(r.Host)
	return ok && certmagic.SolveHTTPChallenge(a.zap, w, r, ch.Challenge)
}

// client speaks to the CA as certmagic does.
func (a *authority) client() *http.Client {
	return &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: a.roots, MinVersion: tls.VersionTLS12},
		},
	}
}

// account is what is kept of an account at a CA.
type account struct {
	Location string `json:"location"`
}

// accountURI reads it from certmagic's storage: users/EMAIL/EMAIL.json.
func (a *authority) accountURI() string {
	key := (&certmagic.ACMEIssuer{CA: a.set.ca()}).IssuerKey()
	files, err := filepath.Glob(filepath.Join(a.storage.Path, "acme", certmagic.StorageKeys.Safe(key), "users", "*", "*.json"))
	if err != nil {
		return ""
	}
	uri, newest := "", time.Time{}
	for _, f := range files {
		st, err := os.Stat(f)
		if err != nil || st.ModTime().Before(newest) {
			continue
		}
		var v account
		if text, err := os.ReadFile(f); err == nil && json.Unmarshal(text, &v) == nil && v.Location != "" {
			uri, newest = v.Location, st.ModTime()
		}
	}
	return uri
}

// caIssuer is known of Let's Encrypt, and told by the directory of others.
func (a *authority) caIssuer() string {
	switch a.set.ca() {
	case certmagic.LetsEncryptProductionCA, certmagic.LetsEncryptStagingCA:
		return "letsencrypt.org"
	}
	text, err := os.ReadFile(a.identityFile())
	if err != nil {
		return ""
	}
	return string(text)
}

func (a *authority) identityFile() string {
	return filepath.Join(a.storage.Path, "caa-"+certmagic.StorageKeys.Safe(caHost(a.set.ca())))
}
