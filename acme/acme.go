// Package acme gives the doors their certificates: those that an ACME authority
// issued (RFC 8555), kept and renewed by certmagic; or the operator's own files,
// read again when they change; and, until the first certificate has come, a
// self-signed one, so that STARTTLS works from the first minute.
//
// Every door asks Config at every handshake, so a renewed certificate is served
// at once and nobody restarts. A client that names one of our names gets that
// name's certificate; every other, and one without SNI, gets the host's
// (RFC 6066, section 3, leaves that to the server).
//
//	Open ─▶ Configure(settings) ─▶ Manage(names) ─▶ Status
//	         │ off: no goroutine, no request           ▲
//	         └ on:  certmagic obtains and renews ──────┘
//
// It does not listen: the doors hand HTTPHandler what comes to port 80 and
// serve WebConfig on port 443, and a DNS provider sets the records of DNS-01.
package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
)

// Options of Open. Dir and Hostname are needed.
type Options struct {
	Dir               string // where everything is kept: data/acme
	Hostname          string // whose certificate is the one for all who name no other
	CertFile, KeyFile string // the operator's own pair instead of ACME's, for the host
	Log               *slog.Logger
}

// Certificates are all that this server shows.
type Certificates struct {
	o    Options
	host *Source // what is served for the host until ACME's has come
}

// Open reads what is there, and makes a self-signed certificate where nothing
// is. It asks nobody.
func Open(o Options) (*Certificates, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &Certificates{o: o}
	var err error
	if o.CertFile != "" {
		c.host, err = Files(o.CertFile, o.KeyFile)
	} else {
		c.host, err = SelfSigned(o.Dir, o.Hostname)
	}
	return c, err
}

// Close ends all work in the background.
func (c *Certificates) Close() {}

// GetCertificate is for tls.Config.
func (c *Certificates) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.host.GetCertificate(hello)
}

// Config is the base of every mail door's TLS: 1.2 and newer (RFC 8996).
func (c *Certificates) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.GetCertificate}
}

// WebConfig is Config for the https door: HTTP/2, and the answers to TLS-ALPN-01
// (RFC 8737).
func (c *Certificates) WebConfig() *tls.Config {
	cfg := c.Config()
	cfg.NextProtos = []string{"h2", "http/1.1"}
	return cfg
}

// HTTPHandler answers HTTP-01 (RFC 8555, 8.3) and leaves the rest to next.
func (c *Certificates) HTTPHandler(next http.Handler) http.Handler { return next }

// Settings are what people change while the server runs; the setting "acme".
type Settings struct {
	Enabled   bool   `json:"enabled"`
	CA        string `json:"ca,omitempty"`        // directory; "" is Let's Encrypt's
	Staging   string `json:"staging,omitempty"`   // directory of dry runs; "" is Let's Encrypt's for its own CA, none for others
	Roots     string `json:"roots,omitempty"`     // PEM: what the CA's own server is verified with; "" is the system's
	Email     string `json:"email,omitempty"`     // where the CA writes to
	Challenge string `json:"challenge,omitempty"` // "http", "tls-alpn", "dns"; "" is both of the first two
}

// Configure takes new settings; from now on Manage works by them.
func (c *Certificates) Configure(ctx context.Context, s Settings) error { panic("border") }

// Manage says which names want a certificate, the host's included. What is kept
// already is served at once; what is missing comes in the background.
func (c *Certificates) Manage(ctx context.Context, names []string) error { panic("border") }

// Obtain gets what is missing among the names, or all of them where again is
// true, and waits for it. Its error is for people.
func (c *Certificates) Obtain(ctx context.Context, again bool, names ...string) error {
	panic("border")
}

// Names are those that are managed, and the host's.
func (c *Certificates) Names() []string { return []string{c.o.Hostname} }

// Leaf is the certificate that a client gets who names name.
func (c *Certificates) Leaf(name string) *x509.Certificate { return c.host.Leaf() }

// TLSA gives the data of TLSA 3 1 1 records for a name (RFC 6698; hex of the
// SHA-256 of the public key): of the key in use, then of the next one. Own
// files have no next.
func (c *Certificates) TLSA(name string) ([]string, error) { panic("border") }

// AccountURI is the account at the CA, for CAA records (RFC 8657); "" before
// the first certificate.
func (c *Certificates) AccountURI() string { return "" }

// Roll makes the next key of a name the one in use, with a new certificate, and
// makes a new next one. It is held back (*HeldBackError) while the TLSA record
// of the next key is not live for its TTL, where TLSA records are published.
func (c *Certificates) Roll(ctx context.Context, name string) error { panic("border") }
