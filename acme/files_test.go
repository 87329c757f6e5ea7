package acme

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// selfMade is what a server shows that has nothing else.
func selfMade(dir, hostname string) (*Source, error) {
	return selfSigned(dir, hostname, &keys{dir: filepath.Join(dir, "keys")})
}

// A power cut in the middle of a first start left an empty file, and no start
// went past it.
func TestSelfSignedTornByAPowerCutIsMadeAnew(t *testing.T) {
	for _, name := range []string{"self-signed.pem", "keys/mail.example.org.key"} {
		dir := filepath.Join(t.TempDir(), "acme")
		if _, err := selfMade(dir, "mail.example.org"); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := selfMade(dir, "mail.example.org"); err != nil {
			t.Errorf("%s torn: %v", name, err)
		}
	}
}

func TestSelfSignedIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "acme")
	first, err := selfMade(dir, "mail.example.org")
	if err != nil {
		t.Fatal(err)
	}
	again, err := selfMade(dir, "mail.example.org")
	if err != nil {
		t.Fatal(err)
	}
	if !first.Leaf().Equal(again.Leaf()) {
		t.Error("a second start made another certificate")
	}
	if err := first.Leaf().VerifyHostname("mail.example.org"); err != nil {
		t.Error(err)
	}
	renamed, err := selfMade(dir, "mx.example.org")
	if err != nil {
		t.Fatal(err)
	}
	if err := renamed.Leaf().VerifyHostname("mx.example.org"); err != nil {
		t.Errorf("after the host was renamed: %v", err)
	}
}

func TestFilesAreReadAgainWhenChanged(t *testing.T) {
	dir := t.TempDir()
	s, err := selfMade(dir, "a.example")
	if err != nil {
		t.Fatal(err)
	}
	old := s.Leaf()
	key, err := (&keys{dir: filepath.Join(dir, "keys")}).current("a.example")
	if err != nil {
		t.Fatal(err)
	}
	if err := makeSelfSigned(s.certFile, key, "a.example"); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(s.certFile, later, later); err != nil {
		t.Fatal(err)
	}
	s.looked = time.Time{}
	cert, err := s.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	if cert.Leaf.Equal(old) {
		t.Error("the changed certificate is not served")
	}

	if err := os.WriteFile(s.keyFile, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.looked = time.Time{}
	if kept, err := s.GetCertificate(nil); err != nil || !kept.Leaf.Equal(cert.Leaf) {
		t.Errorf("a torn key took the certificate out of service: %v", err)
	}
}

func TestFilesMissing(t *testing.T) {
	if _, err := Files(filepath.Join(t.TempDir(), "no.pem"), "no.key"); err == nil {
		t.Error("missing files gave no error")
	}
}
