package acme

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// recheck is how often own files are looked at for a change, at a handshake.
const recheck = 10 * time.Second

// Source holds the certificate that is served now.
type Source struct {
	certFile, keyFile string

	mu      sync.Mutex // guards what follows
	current *tls.Certificate
	stamp   fileStamp
	looked  time.Time
}

// fileStamp tells a changed pair of files.
type fileStamp struct{ cert, key time.Time }

// Files serves the operator's own chain and key (PEM).
func Files(certFile, keyFile string) (*Source, error) {
	s := &Source{certFile: certFile, keyFile: keyFile}
	cert, stamp, err := s.load()
	if err != nil {
		return nil, err
	}
	s.current, s.stamp, s.looked = cert, stamp, time.Now()
	return s, nil
}

// SelfSigned serves a certificate for hostname kept in dir, made when it is
// missing or was made for another name.
func SelfSigned(dir, hostname string) (*Source, error) {
	certFile, keyFile := filepath.Join(dir, "self-signed.pem"), filepath.Join(dir, "self-signed.key")
	s, err := Files(certFile, keyFile)
	if err == nil && s.current.Leaf.VerifyHostname(hostname) == nil && time.Now().Before(s.current.Leaf.NotAfter) {
		return s, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	// Missing, for another name, out of date, or torn: nobody vouched for it,
	// so a new one is as good.
	if err := makeSelfSigned(certFile, keyFile, hostname); err != nil {
		return nil, fmt.Errorf("make a self-signed certificate: %w", err)
	}
	return Files(certFile, keyFile)
}

// GetCertificate is for tls.Config. A changed pair that cannot be read leaves
// the old one in service.
func (s *Source) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.looked) < recheck {
		return s.current, nil
	}
	s.looked = time.Now()
	if stamp, err := s.stat(); err == nil && stamp != s.stamp {
		if cert, stamp, err := s.load(); err == nil {
			s.current, s.stamp = cert, stamp
		}
	}
	return s.current, nil
}

// Leaf is the certificate in service.
func (s *Source) Leaf() *x509.Certificate {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current.Leaf
}

// Config is the base of every door's TLS: 1.2 and newer (RFC 8996).
func (s *Source) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.GetCertificate}
}

func (s *Source) stat() (fileStamp, error) {
	c, err := os.Stat(s.certFile)
	if err != nil {
		return fileStamp{}, err
	}
	k, err := os.Stat(s.keyFile)
	if err != nil {
		return fileStamp{}, err
	}
	return fileStamp{c.ModTime(), k.ModTime()}, nil
}

func (s *Source) load() (*tls.Certificate, fileStamp, error) {
	stamp, err := s.stat()
	if err != nil {
		return nil, stamp, fmt.Errorf("read the certificate: %w", err)
	}
	cert, err := tls.LoadX509KeyPair(s.certFile, s.keyFile)
	if err != nil {
		return nil, stamp, fmt.Errorf("read the certificate %s: %w", s.certFile, err)
	}
	return &cert, stamp, nil
}

// makeSelfSigned writes a P-256 pair for ten years; the key first, so that a
// certificate never stands without it.
func makeSelfSigned(certFile, keyFile, hostname string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: hostname},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(hostname); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{hostname}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(certFile), 0o700); err != nil {
		return err
	}
	if err := replace(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})); err != nil {
		return err
	}
	return replace(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// replace puts a file in place whole or not at all, whatever becomes of the
// power: the bytes are synced before the name.
func replace(name string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
