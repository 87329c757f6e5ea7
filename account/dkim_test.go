package account

import (
	"context"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"mailstead/internal/sqlite"
)

// Keys come with the domain, are the same after a restart, and go with it.
func TestDKIMKeys(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "test.db")
	s, db := openAt(t, path)
	made, err := NewDKIMKeys(time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	s.do(t, func(tx *sqlite.Tx) error { return s.AddDomain(tx, "example.org", made...) })
	s.do(t, func(tx *sqlite.Tx) error { return s.AddDomain(tx, "example.net") })
	s.refused(t, ErrExists, func(tx *sqlite.Tx) error { return s.AddDKIMKeys(tx, "example.org", made[0]) })
	s.refused(t, ErrNotLocal, func(tx *sqlite.Tx) error { return s.AddDKIMKeys(tx, "example.com", made[0]) })

	again, err := Open(ctx, db, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close(ctx)
	keys, err := again.DKIMKeys(ctx, "example.org")
	if err != nil || len(keys) != 2 {
		t.Fatal(keys, err)
	}
	if k := keys[0]; k.Selector != "r20261121" || !k.Private.(*rsa.PrivateKey).Equal(made[0].Private) {
		t.Errorf("the RSA key %s is another", k.Selector)
	}
	if k := keys[1]; k.Selector != "e20261121" || !k.Private.(ed25519.PrivateKey).Equal(made[1].Private) {
		t.Errorf("the Ed25519 key %s is another", k.Selector)
	}
	text, err := keys[1].Public()
	if raw, e := base64.StdEncoding.DecodeString(text); err != nil || e != nil || len(raw) != ed25519.PublicKeySize {
		t.Errorf("public half %q: %v, %v", text, err, e)
	}

	if keys, _ := s.DKIMKeys(ctx, "example.net"); len(keys) != 0 {
		t.Fatal(keys)
	}
	if err := s.MakeDKIMKeys(ctx); err != nil {
		t.Fatal(err)
	}
	if keys, _ := s.DKIMKeys(ctx, "example.net"); len(keys) != 2 {
		t.Error("a domain from before has no keys")
	}
	s.do(t, func(tx *sqlite.Tx) error { return s.RetireDKIMKey(tx, keys[0].ID) })
	if keys, _ := s.DKIMKeys(ctx, "example.org"); keys[0].Retired.IsZero() || !keys[1].Retired.IsZero() {
		t.Error("the wrong key is retired")
	}
	s.do(t, func(tx *sqlite.Tx) error { return s.RemoveDomain(tx, "example.org") })
	if keys, err := s.DKIMKeys(ctx, "example.org"); len(keys) != 0 || err != nil {
		t.Error(keys, err)
	}
	if _, err := s.Domain(ctx, "example.org"); !errors.Is(err, ErrNotLocal) {
		t.Error(err)
	}
}
