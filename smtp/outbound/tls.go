package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/netip"
	"strings"
	"time"
)

// verify judges a certificate as a browser would, for Policy and the trace.
func (o *Outbound) verify(name string) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return errors.New("no certificate")
		}
		opts := x509.VerifyOptions{Roots: o.Roots, CurrentTime: time.Now(), Intermediates: x509.NewCertPool()}
		for _, c := range s.PeerCertificates[1:] {
			opts.Intermediates.AddCert(c)
		}
		opts.DNSName = name
		if a, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
			opts.DNSName = a.String()
		}
		_, err := s.PeerCertificates[0].Verify(opts)
		return err
	}
}

// login proves who we are to a smart host, under TLS only (RFC 4954). The
// password appears in no error.
func (c *conn) login(s *SmartHost) error {
	offered := " " + strings.ToUpper(c.ext["AUTH"]) + " "
	b64 := base64.StdEncoding.EncodeToString
	switch {
	case strings.Contains(offered, " PLAIN "):
		c.say("AUTH PLAIN " + b64([]byte("\x00"+s.Username+"\x00"+s.Password)))
	case strings.Contains(offered, " LOGIN "):
		for _, line := range []string{"AUTH LOGIN", b64([]byte(s.Username))} {
			c.say(line)
			if r, err := c.reply(commandTimeout); err != nil || r.Code != 334 {
				return &sessionError{step: "AUTH", reply: r, err: err}
			}
		}
		c.say(b64([]byte(s.Password)))
	default:
		return &sessionError{step: "AUTH", err: errors.New("the smart host offers neither PLAIN nor LOGIN")}
	}
	if r, err := c.reply(commandTimeout); err != nil || r.Code != 235 {
		return &sessionError{step: "AUTH", reply: r, err: err}
	}
	return nil
}
