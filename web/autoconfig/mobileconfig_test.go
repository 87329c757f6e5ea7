package autoconfig

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailstead/message"
)

func public(key any) crypto.PublicKey { return key.(crypto.Signer).Public() }

func TestProfile(t *testing.T) {
	h := newHandler(t)
	for file, address := range map[string]string{"profile.plist": "alice@example.org", "profile-idn.plist": "jörg@bücher.example"} {
		who, err := message.ParseAddress(address)
		if err != nil {
			t.Fatal(err)
		}
		s, err := h.settings(who.Domain)
		if err != nil {
			t.Fatal(err)
		}
		got := string(s.profile(who, ""))
		golden(t, file, got)
		wellFormed(t, got)
		if strings.Contains(got, "Password</key>\n      <string>") {
			t.Error("there is a password in it")
		}
		w := ask(h, "GET", "https://autoconfig.example.org/profile.mobileconfig?address="+address, "")
		if w.Code != 200 || w.Header().Get("Content-Type") != "application/x-apple-aspen-config" ||
			w.Header().Get("Content-Disposition") != "attachment; filename="+string(who.Domain)+".mobileconfig" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
		if content := verify(t, w.Body.Bytes(), h); string(content) != got {
			t.Errorf("signed is another text:\n%s", content)
		}
	}
}

// verify reads SignedData and proves its signature as RFC 5652, 5.4 says.
func verify(t *testing.T, der []byte, h *Handler) []byte {
	t.Helper()
	var c contentInfo
	if rest, err := asn1.Unmarshal(der, &c); err != nil || len(rest) > 0 {
		t.Fatalf("%d octets left, %v", len(rest), err)
	}
	chain, err := x509.ParseCertificates(c.Content.Certificates.Bytes)
	if err != nil || len(chain) != 2 {
		t.Fatalf("%d certificates, %v", len(chain), err)
	}
	cert, err := h.Sign()
	if err != nil || !slices.Equal(chain[0].Raw, cert.Certificate[0]) {
		t.Fatalf("another certificate, %v", err)
	}
	signer := c.Content.Signers[0]
	set := slices.Clone(signer.Attributes.FullBytes)
	set[0] = asn1.TagSet | 0x20
	if err := chain[0].CheckSignature(x509.ECDSAWithSHA256, set, signer.Signature); err != nil {
		t.Error(err)
	}
	return c.Content.Content.Content
}

// OpenSSL takes the signature, for every kind of key that a certificate may have.
func TestOpenSSLVerifiesProfiles(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("needs openssl")
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]any{"ecdsa": ecdsaKey(t), "rsa": rsaKey} {
		t.Run(name, func(t *testing.T) {
			h, cert, dir := newHandler(t), certificate(t, key), t.TempDir()
			h.Sign = func() (*tls.Certificate, error) { return cert, nil }
			w := ask(h, "GET", "https://autoconfig.example.org/profile.mobileconfig?address=alice@example.org", "")
			signed, roots, out := filepath.Join(dir, "p"), filepath.Join(dir, "ca.pem"), filepath.Join(dir, "out")
			ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[1]})
			for file, text := range map[string][]byte{signed: w.Body.Bytes(), roots: ca} {
				if err := os.WriteFile(file, text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			run := func(args ...string) (string, error) {
				text, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput()
				return string(text), err
			}
			verify := []string{"-verify", "-inform", "DER", "-in", signed, "-CAfile", roots, "-purpose", "any", "-out", out}
			tools := [][]string{append([]string{"cms"}, verify...), append([]string{"smime"}, verify...)}
			for _, args := range tools {
				if text, err := run(args...); err != nil {
					t.Errorf("openssl %s: %v\n%s", args[0], err, text)
				}
				who := message.Address{Local: "alice", Domain: "example.org"}
				s, err := h.settings(who.Domain)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := os.ReadFile(out); err != nil || string(got) != string(s.profile(who, "")) {
					t.Errorf("openssl %s: %v\n%s", args[0], err, got)
				}
			}
			broken := slices.Clone(w.Body.Bytes())
			at := strings.Index(string(broken), "mail.example.org</string>")
			broken[at] = 'n'
			if err := os.WriteFile(signed, broken, 0o600); err != nil {
				t.Fatal(err)
			}
			if text, err := run(tools[0]...); err == nil {
				t.Errorf("a changed profile is taken:\n%s", text)
			}
		})
	}
}

// Another address is another profile, and two payloads are never one.
func TestIdentifiersDiffer(t *testing.T) {
	alice, bob := message.Address{Local: "alice", Domain: "example.org"}, message.Address{Local: "bob", Domain: "example.org"}
	if identifier(alice) == identifier(bob) || uuid("mail", "a@b.example") == uuid("mail", "b@b.example") || uuid("mail", "a@b.example") == uuid("profile", "a@b.example") {
		t.Error("two are one")
	}
}

// What cannot sign is our failure, of which nobody outside hears more.
func TestNothingToSignWith(t *testing.T) {
	h := newHandler(t)
	for _, sign := range []func() (*tls.Certificate, error){
		func() (*tls.Certificate, error) { return nil, errors.New("secret of ours") },
		func() (*tls.Certificate, error) { return &tls.Certificate{}, nil },
	} {
		h.Sign = sign
		w := ask(h, "GET", "https://autoconfig.example.org/profile.mobileconfig?address=alice@example.org", "")
		if w.Code != 500 || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}
