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

	"github.com/google/go-cmp/cmp"

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
	s.do(t, func(tx *sqlite.Tx) error { return s.RemoveDomain(tx, "example.org") })
	if keys, err := s.DKIMKeys(ctx, "example.org"); len(keys) != 0 || err != nil {
		t.Error(keys, err)
	}
	if _, err := s.Domain(ctx, "example.org"); !errors.Is(err, ErrNotLocal) {
		t.Error(err)
	}
}

// states are those of a domain's keys, in their order.
func states(t *testing.T, s *Store) (all []KeyState) {
	t.Helper()
	keys, err := s.DKIMKeys(t.Context(), "example.org")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		all = append(all, k.State())
	}
	return all
}

// The way of a key, and that a domain never is without one that signs.
func TestDKIMKeyStates(t *testing.T) {
	t.Parallel()
	s, _ := openAt(t, filepath.Join(t.TempDir(), "test.db"))
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	made, err := NewDKIMKeys(now)
	if err != nil {
		t.Fatal(err)
	}
	s.do(t, func(tx *sqlite.Tx) error { return s.AddDomain(tx, "example.org", made[1]) })
	next := made[1]
	next.Selector, next.Live = "later", time.Time{}
	s.do(t, func(tx *sqlite.Tx) error { return s.AddDKIMKeys(tx, "example.org", next) })
	want := func(what string, list ...KeyState) {
		t.Helper()
		if diff := cmp.Diff(list, states(t, s)); diff != "" {
			t.Error(what, diff)
		}
	}
	want("added", KeySigning, KeyNext)
	keys, _ := s.DKIMKeys(t.Context(), "example.org")
	s.refused(t, ErrUnknown, func(tx *sqlite.Tx) error { return s.SwitchDKIMKeys(tx, "example.org", now, keys[1].ID, 99) })
	want("a key that is not there", KeySigning, KeyNext)
	s.do(t, func(tx *sqlite.Tx) error { return s.SeeDKIMKey(tx, keys[1].ID, now) })
	if keys, _ := s.DKIMKeys(t.Context(), "example.org"); !keys[1].Seen.Equal(now) {
		t.Error("not seen since", now, keys[1].Seen)
	}
	s.do(t, func(tx *sqlite.Tx) error { return s.WithdrawDKIMKey(tx, keys[0].ID, now) })
	want("one that signs is not withdrawn", KeySigning, KeyNext)
	s.do(t, func(tx *sqlite.Tx) error { return s.SwitchDKIMKeys(tx, "example.org", now, keys[1].ID) })
	want("switched", KeyRetired, KeySigning)
	s.do(t, func(tx *sqlite.Tx) error { return s.WithdrawDKIMKey(tx, keys[0].ID, now) })
	want("withdrawn", KeyWithdrawn, KeySigning)
	s.do(t, func(tx *sqlite.Tx) error { return s.RemoveDKIMKey(tx, keys[0].ID) })
	want("removed", KeySigning)
}
