package acme

import (
	"crypto"
	"crypto/rand"
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
	"time"
)

// selfSigned serves a certificate for hostname that nobody vouches for, kept in
// dir and of the key in use, made when it is missing or does not fit.
func selfSigned(dir, hostname string, k *keys) (*Source, error) {
	certFile, keyFile := filepath.Join(dir, "self-signed.pem"), k.file(hostname)
	key, err := k.current(hostname)
	if err != nil {
		return nil, err
	}
	s, err := Files(certFile, keyFile)
	if err == nil && s.current.Leaf.VerifyHostname(hostname) == nil && time.Now().Before(s.current.Leaf.NotAfter) {
		return s, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	// Missing, for another name or key, out of date, or torn: a new one is as good.
	if err := makeSelfSigned(certFile, key, hostname); err != nil {
		return nil, fmt.Errorf("make a self-signed certificate: %w", err)
	}
	return Files(certFile, keyFile)
}

// makeSelfSigned writes a certificate for ten years.
func makeSelfSigned(certFile string, key crypto.Signer, hostname string) error {
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
	if err := os.MkdirAll(filepath.Dir(certFile), 0o700); err != nil {
		return err
	}
	return replace(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
