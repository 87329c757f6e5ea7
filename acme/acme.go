// Package acme gives the doors their certificates: those that an ACME authority
// issued (RFC 8555), kept and renewed by certmagic; or the operator's own files,
// read again when they change; and, until the first certificate has come, a
// self-signed one, so that STARTTLS works from the first minute.
//
// Every door asks at every handshake, so a renewed certificate is served at once
// and nobody restarts. A client that names one of our names gets that name's
// certificate; every other, and one without SNI, gets the host's (RFC 6066,
// section 3, leaves that to the server).
//
//	Open ─▶ Manage(names) ─▶ Configure(settings) ─▶ Status
//	                          │ off: no goroutine, no request
//	                          └ on:  what is kept is served at once, what is
//	                                 missing comes in the background
//
// It does not listen: the doors hand HTTPHandler what comes to port 80 and serve
// WebConfig on port 443, and a DNS provider sets the records of DNS-01.
//
// # Keys
//
// A name keeps its key over all renewals, and has a next one beside it, so that
// TLSA records (RFC 6698, 3 1 1) of both can be published (RFC 7671, 8.1). A new
// key is used only after its record has been live for its TTL:
//
//	| state     | in use | next | published  | goes on when                           |
//	|-----------|--------|------|------------|----------------------------------------|
//	| steady    | A      | B    | A, B       | Roll                                   |
//	| held back | A      | B    | A          | B's record was seen, and its TTL after |
//	| issuing   | A      | B    | A, B       | a certificate for B has come           |
//	| steady    | B      | C    | B, C wanted| C is published                         |
//
// A crash while issuing leaves a certificate for B: the next start sees it and
// takes B into use.
//
// # Dry runs
//
// The first certificate of a name, and one after a failure, is asked of the CA's
// staging directory before, because what fails there costs nothing.
package acme

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libdns/libdns"
	"github.com/mholt/acmez/v3"

	"mailstead/dns"
)

// DNSProvider sets and removes the records of DNS-01, as every libdns client does.
type DNSProvider interface {
	libdns.RecordAppender
	libdns.RecordDeleter
}

// Options of Open. Dir and Hostname are needed.
type Options struct {
	Dir               string // where everything is kept: data/acme
	Hostname          string // whose certificate is the one for all who name no other
	CertFile, KeyFile string // the operator's own pair instead of ACME's, for the names in it
	Log               *slog.Logger

	// Door tells where the doors "http" and "https" listen; nil where they do
	// not. Without it neither is used.
	Door func(name string) net.Addr
	// DNS gives the provider of a name's zone; found is false when nobody told.
	DNS func(ctx context.Context, name string) (p DNSProvider, found bool, err error)
	// Resolver looks whether a name has an address before the CA is asked, and
	// Server ("address:port", "" for the system's) is where DNS-01 looks for its
	// record.
	Resolver dns.Resolver
	Server   string
	// TLSA gives the TLSA records that the world sees for a name, with their
	// TTL; none where there are none. Without it keys are rolled at once.
	TLSA func(ctx context.Context, name string) (hashes []string, ttl time.Duration, err error)
	// Changed is told when a certificate, a key or the account changed. It must
	// not wait for anything here.
	Changed func()

	renewCheck time.Duration // how often renewals are looked for; 0 is certmagic's
}

// Certificates are all that this server shows.
type Certificates struct {
	o    Options
	keys *keys
	host *Source // the operator's files, or the self-signed one
	own  bool    // host is the operator's

	authority atomic.Pointer[authority] // nil while ACME is off

	mu    sync.Mutex // one change at a time; guards what follows
	set   Settings
	names []string
	seen  map[string]sighting // of next keys' TLSA records, by name
	held  map[string]string   // why keys that are to be rolled are not
}

// Open reads what is there, and makes a self-signed certificate where nothing
// is. It asks nobody.
func Open(o Options) (*Certificates, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Door == nil {
		o.Door = func(string) net.Addr { return nil }
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	c := &Certificates{
		o: o, own: o.CertFile != "", keys: &keys{dir: filepath.Join(o.Dir, "keys")}, seen: make(map[string]sighting),
		held: make(map[string]string),
	}
	var err error
	if c.own {
		c.host, err = Files(o.CertFile, o.KeyFile)
	} else {
		c.host, err = selfSigned(o.Dir, o.Hostname, c.keys)
	}
	return c, err
}

// Close ends all work in the background.
func (c *Certificates) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.authority.Swap(nil); a != nil {
		a.close()
	}
}

// Configure takes new settings and begins or ends the work by them. The account
// and what was issued are kept under the CA's name: going back finds them.
func (c *Certificates) Configure(ctx context.Context, s Settings) error {
	if err := s.Check(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.authority.Load()
	if s == c.set && s.Enabled == (old != nil) {
		return nil
	}
	c.set = s
	var a *authority
	if s.Enabled {
		var err error
		if a, err = newAuthority(c, s); err != nil {
			return err
		}
		a.manage(ctx, c.wanted(c.names))
	}
	c.authority.Store(a)
	if old != nil {
		old.close()
	}
	if a != nil {
		a.start()
	}
	return nil
}

// Manage says which names want a certificate; the host's always does. What is
// kept is served at once, what is missing comes in the background.
func (c *Certificates) Manage(ctx context.Context, names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names = names
	if a := c.authority.Load(); a != nil {
		a.manage(ctx, c.wanted(names))
	}
}

// wanted are the names that ACME is to serve: all but those of own files.
func (c *Certificates) wanted(names []string) []string {
	var list []string
	for _, n := range append([]string{c.o.Hostname}, names...) {
		n = plain(n)
		if n == "" || slices.Contains(list, n) || c.own && c.host.covers(n) {
			continue
		}
		list = append(list, n)
	}
	return list
}

// Enabled tells whether certificates come from a CA.
func (c *Certificates) Enabled() bool { return c.authority.Load() != nil }

// GetCertificate is for tls.Config.
func (c *Certificates) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := cmp.Or(plain(hello.ServerName), c.o.Hostname)
	if c.own && (name == c.o.Hostname || c.host.covers(name)) {
		return c.host.GetCertificate(hello)
	}
	if a := c.authority.Load(); a != nil {
		if cert := a.certificate(name); cert != nil {
			return cert, nil
		}
		if cert := a.certificate(c.o.Hostname); cert != nil && !c.own {
			return cert, nil
		}
	}
	return c.host.GetCertificate(hello)
}

// Config is the base of every mail door's TLS: 1.2 and newer (RFC 8996).
func (c *Certificates) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.GetCertificate}
}

// WebConfig is Config for the https door: HTTP/2, and the answers to TLS-ALPN-01
// (RFC 8737), which no other door gives.
func (c *Certificates) WebConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1", acmez.ACMETLS1Protocol},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			a := c.authority.Load()
			if a != nil && len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acmez.ACMETLS1Protocol {
				return a.challenge(hello)
			}
			return c.GetCertificate(hello)
		},
	}
}

// HTTPHandler answers HTTP-01 (RFC 8555, 8.3) and leaves the rest to next.
func (c *Certificates) HTTPHandler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/.well-known/acme-challenge/") {
			if a := c.authority.Load(); a == nil || !a.answer(w, r) {
				http.NotFound(w, r)
			}
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Names are those that want a certificate of their own, the host's first.
func (c *Certificates) Names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.wanted(c.names)
	if !slices.Contains(list, c.o.Hostname) {
		list = append([]string{c.o.Hostname}, list...)
	}
	return list
}

// Leaf is the certificate that a client gets who names name.
func (c *Certificates) Leaf(name string) *x509.Certificate {
	cert, err := c.GetCertificate(&tls.ClientHelloInfo{ServerName: name})
	if err != nil {
		return nil
	}
	return cert.Leaf
}

// AccountURI is the account at the CA, for CAA records (RFC 8657); "" before
// the first certificate, and while ACME is off.
func (c *Certificates) AccountURI() string {
	if a := c.authority.Load(); a != nil {
		return a.accountURI()
	}
	return ""
}

// CAIssuer is the CA's name in CAA records (RFC 8659, 4.2); "" while it is not
// known.
func (c *Certificates) CAIssuer() string {
	if a := c.authority.Load(); a != nil {
		return a.caIssuer()
	}
	return ""
}

// plain is the form that names have here.
func plain(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
