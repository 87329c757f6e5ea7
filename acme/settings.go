package acme

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/certmagic"
)

// SettingName is where the Settings are kept among those of the server.
const SettingName = "acme"

// Settings are what people change while the server runs.
type Settings struct {
	Enabled   bool      `json:"enabled"`
	CA        string    `json:"ca,omitempty"`        // directory; "" is Let's Encrypt's
	Staging   string    `json:"staging,omitempty"`   // directory of dry runs; "" is Let's Encrypt's for its own CA, none for others
	Roots     string    `json:"roots,omitempty"`     // PEM: what the CA's own server is verified with; "" is the system's
	Email     string    `json:"email,omitempty"`     // where the CA writes to
	Challenge Challenge `json:"challenge,omitempty"` // "" takes what is possible: web doors, else DNS
	KeyDays   int       `json:"key_days,omitempty"`  // keys are rolled when so old; 0: only by hand
}

// Challenge is how the CA is shown that a name is ours.
type Challenge string

const (
	Any     Challenge = ""
	HTTP    Challenge = "http"     // HTTP-01 on port 80
	TLSALPN Challenge = "tls-alpn" // TLS-ALPN-01 on port 443
	DNS     Challenge = "dns"      // DNS-01 by the domain's DNS provider
)

// Check finds what cannot work. Its error is for people.
func (s Settings) Check() error {
	for _, at := range []string{s.CA, s.Staging} {
		u, err := url.Parse(at)
		if at != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
			return fmt.Errorf("%q is not the address of an ACME directory: https://…", at)
		}
	}
	if !slices.Contains([]Challenge{Any, HTTP, TLSALPN, DNS}, s.Challenge) {
		return fmt.Errorf("%q is no challenge: http, tls-alpn or dns", s.Challenge)
	}
	if s.Email != "" && !strings.Contains(s.Email, "@") {
		return fmt.Errorf("%q is no e-mail address", s.Email)
	}
	if s.KeyDays < 0 {
		return errors.New("keys cannot be rolled before they are made")
	}
	_, err := s.pool()
	return err
}

// pool is what the CA's server is verified with; nil for the system's.
func (s Settings) pool() (*x509.CertPool, error) {
	if s.Roots == "" {
		return nil, nil
	}
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM([]byte(s.Roots)) {
		return nil, errors.New("the roots of the CA hold no certificate (PEM)")
	}
	return p, nil
}

func (s Settings) ca() string {
	if s.CA == "" {
		return certmagic.LetsEncryptProductionCA
	}
	return s.CA
}

// staging is where dry runs go; "" for nowhere.
func (s Settings) staging() string {
	if s.Staging == "" && s.ca() == certmagic.LetsEncryptProductionCA {
		return certmagic.LetsEncryptStagingCA
	}
	return s.Staging
}

// caHost names the CA to people.
func caHost(directory string) string {
	if u, err := url.Parse(directory); err == nil && u.Host != "" {
		return u.Hostname()
	}
	return directory
}
