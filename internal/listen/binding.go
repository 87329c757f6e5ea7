package listen

import (
	"crypto"
	_ "crypto/sha256" // linked for crypto.Hash.New below
	_ "crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
)

// connKey finds the Conn in the context of its own handshake.
type connKey struct{}

// Recording gives a configuration that notes in each Conn which certificate it
// was shown, which crypto/tls does not tell a server afterwards. Make it once
// per door and hand it to StartTLS, so that session tickets stay valid between
// connections; for implicit TLS the Server does so itself.
func Recording(cfg *tls.Config) *tls.Config {
	if cfg == nil {
		return nil
	}
	w := cfg.Clone()
	w.Certificates = nil // or crypto/tls takes the first by itself where no name is asked for
	w.GetCertificate = func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		cert, err := choose(cfg, h)
		if c, ok := h.Context().Value(connKey{}).(*Conn); ok && err == nil {
			c.cert = cert
		}
		return cert, err
	}
	return w
}

// choose does what crypto/tls does: GetCertificate, then the list.
func choose(cfg *tls.Config, h *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cfg.GetCertificate != nil {
		if cert, err := cfg.GetCertificate(h); cert != nil || err != nil {
			return cert, err
		}
	}
	for i := range cfg.Certificates {
		if h.SupportsCertificate(&cfg.Certificates[i]) == nil {
			return &cfg.Certificates[i], nil
		}
	}
	if len(cfg.Certificates) > 0 {
		return &cfg.Certificates[0], nil
	}
	return nil, errors.New("no certificate")
}

// Bindings gives the channel bindings of the connection by type, for SCRAM:
// tls-exporter (RFC 9266) and tls-server-end-point (RFC 5929, 4). It is nil
// without TLS. A resumed session has shown no certificate and has only the first.
func (c *Conn) Bindings() map[string][]byte {
	if c.tls == nil {
		return nil
	}
	m := make(map[string][]byte, 2)
	st := c.tls.ConnectionState()
	// Fails on TLS 1.2 without the extended master secret, as RFC 9266 demands.
	if b, err := st.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32); err == nil {
		m["tls-exporter"] = b
	}
	if c.cert != nil && len(c.cert.Certificate) > 0 {
		if b := endPoint(c.cert.Certificate[0]); b != nil {
			m["tls-server-end-point"] = b
		}
	}
	return m
}

// endPoint hashes a certificate with the hash of its signature, SHA-256 in
// place of MD5 and SHA-1; nil where the signature names none (RFC 5929, 4.1).
func endPoint(der []byte) []byte {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil
	}
	var h crypto.Hash
	switch cert.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1,
		x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256:
		h = crypto.SHA256
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		h = crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		h = crypto.SHA512
	default:
		return nil
	}
	d := h.New()
	d.Write(der)
	return d.Sum(nil)
}
