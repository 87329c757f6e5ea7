package acme

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// recheck is how often own files are looked at for a change, at a handshake.
const recheck = 10 * time.Second

// Source is a pair of files whose certificate is served, read again when they
// change.
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
	return syncDir(filepath.Dir(name))
}

func syncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// covers tells whether the certificate is good for a name.
func (s *Source) covers(name string) bool { return s.Leaf().VerifyHostname(name) == nil }

// replaceBy serves what other serves.
func (s *Source) replaceBy(other *Source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.stamp, s.looked = other.current, other.stamp, other.looked
}
