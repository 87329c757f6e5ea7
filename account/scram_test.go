package account

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"mailstead/internal/sqlite"
)

// client answers as a mail program does.
type client struct {
	name, password, gs2 string
	binding             []byte
}

// run goes through an exchange and checks the server's signature.
func (c client) run(x *SCRAM) error {
	bare := "n=" + c.name + ",r=rOprNGfwEbeRWgbNEkqO"
	first, done, err := x.Next([]byte(c.gs2 + bare))
	if err != nil || done {
		return err
	}
	var nonce, salt64 string
	var count int
	if _, err := fmt.Sscanf(strings.ReplaceAll(string(first), ",", " "), "r=%s s=%s i=%d", &nonce, &salt64, &count); err != nil {
		return fmt.Errorf("server-first %q: %w", first, err)
	}
	salt, err := base64.StdEncoding.DecodeString(salt64)
	if err != nil {
		return err
	}
	salted, _ := pbkdf2.Key(sha256.New, c.password, salt, count, 32)
	key := mac(salted, "Client Key")
	stored := sha256.Sum256(key)
	without := "c=" + base64.StdEncoding.EncodeToString(append([]byte(c.gs2), c.binding...)) + ",r=" + nonce
	auth := bare + "," + string(first) + "," + without
	subtle.XORBytes(key, key, mac(stored[:], auth))
	last, done, err := x.Next([]byte(without + ",p=" + base64.StdEncoding.EncodeToString(key)))
	if err != nil {
		return err
	}
	if !done {
		return errors.New("not done")
	}
	want := "v=" + base64.StdEncoding.EncodeToString(mac(mac(salted, "Server Key"), auth))
	if !hmac.Equal(last, []byte(want)) {
		return fmt.Errorf("server signature %q, want %q", last, want)
	}
	return nil
}

// RFC 7677, 3.
func TestSCRAMVectors(t *testing.T) {
	t.Parallel()
	s := open(t)
	alice := s.add(t, "user@example.org")
	const serverNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	salt, _ := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	keys, err := deriveKeys("pencil", salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	s.do(t, func(tx *sqlite.Tx) error {
		return s.update(tx, alice.ID, `UPDATE account SET salt = ?, iterations = 4096, stored_key = ?, server_key = ? WHERE id = ?`,
			salt, keys.stored, keys.server, alice.ID)
	})
	x := s.SCRAM(context.Background(), Login{Scope: IMAP, Remote: remote}, nil)
	x.nonce = serverNonce
	for _, step := range []struct{ c, s string }{
		{"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "r=rOprNGfwEbeRWgbNEkqO" + serverNonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"},
		{"c=biws,r=rOprNGfwEbeRWgbNEkqO" + serverNonce + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
	} {
		got, _, err := x.Next([]byte(step.c))
		if err != nil || string(got) != step.s {
			t.Fatalf("%s\n got %q, %v\nwant %q", step.c, got, err, step.s)
		}
	}
	if got := x.Account(); got.ID != alice.ID {
		t.Errorf("proved account %d", got.ID)
	}
}

func TestSCRAM(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := context.Background()
	alice := s.with(t, "alice@example.org", "her own password")
	s.app(t, alice.ID, "first", IMAP)
	phone := s.app(t, alice.ID, "phone", IMAP|SMTP)
	exporter, endpoint := []byte("exported key material"), []byte("hash of the certificate")
	bindings := map[string][]byte{"tls-exporter": exporter, "tls-server-end-point": endpoint}
	tests := []struct {
		what     string
		client   client
		scope    Scope
		bindings map[string][]byte
		want     error
	}{
		{"no binding", client{"alice@example.org", phone, "n,,", nil}, IMAP, bindings, nil},
		{"no TLS", client{"alice@example.org", phone, "y,,", nil}, IMAP, nil, nil},
		{"tls-exporter", client{"alice@example.org", phone, "p=tls-exporter,,", exporter}, IMAP, bindings, nil},
		{"tls-server-end-point", client{"alice@example.org", phone, "p=tls-server-end-point,,", endpoint}, SMTP, bindings, nil},
		{"same authzid", client{"alice@example.org", phone, "n,a=Alice@example.org,", nil}, IMAP, nil, nil},
		{"downgrade", client{"alice@example.org", phone, "y,,", nil}, IMAP, bindings, ErrBadCredentials},
		{"other channel", client{"alice@example.org", phone, "p=tls-exporter,,", []byte("another")}, IMAP, bindings, ErrBadCredentials},
		{"unknown binding", client{"alice@example.org", phone, "p=tls-unique,,", nil}, IMAP, bindings, ErrBadCredentials},
		{"binding without TLS", client{"alice@example.org", phone, "p=tls-exporter,,", nil}, IMAP, nil, ErrBadCredentials},
		{"other authzid", client{"alice@example.org", phone, "n,a=bob@example.org,", nil}, IMAP, nil, ErrBadCredentials},
		{"wrong scope", client{"alice@example.org", phone, "n,,", nil}, Sieve, nil, ErrBadCredentials},
		{"own password", client{"alice@example.org", "her own password", "n,,", nil}, IMAP, nil, nil},
		{"wrong password", client{"alice@example.org", "nonsense", "n,,", nil}, IMAP, nil, ErrBadCredentials},
		{"unknown name", client{"nobody@example.org", phone, "n,,", nil}, IMAP, nil, ErrBadCredentials},
		{"bad escape", client{"alice=40example.org", phone, "n,,", nil}, IMAP, nil, ErrBadCredentials},
		{"extension", client{"alice@example.org", phone, "n,,m=x,", nil}, IMAP, nil, ErrBadCredentials},
	}
	for i, tt := range tests {
		l := Login{Scope: tt.scope, Remote: netip.AddrFrom4([4]byte{10, 0, byte(i), 1})} // no throttle here
		x := s.SCRAM(ctx, l, tt.bindings)
		if err := tt.client.run(x); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.what, err, tt.want)
		}
	}
}

func TestSCRAMWithOnesOwnPassword(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := context.Background()
	alice := s.with(t, "alice@example.org", "her own password")
	phone := s.app(t, alice.ID, "phone", IMAP)
	l := Login{Name: "alice@example.org", Scope: IMAP, Remote: remote}
	try := func(password string) error {
		return client{"alice@example.org", password, "n,,", nil}.run(s.SCRAM(ctx, l, nil))
	}
	if err := try("her own password"); err != nil {
		t.Errorf("own password: %v", err)
	}
	if err := try(phone); err != nil {
		t.Errorf("app password: %v", err)
	}
	if err := s.ChangePassword(ctx, l, "her own password", "her new password"); err != nil {
		t.Fatal(err)
	}
	if err := try("her new password"); err != nil {
		t.Errorf("after the change: %v", err)
	}
	if err := s.SetSCRAM(ctx, l, "her new password", false); err != nil {
		t.Fatal(err)
	}
	if err := try("her new password"); !errors.Is(err, ErrBadCredentials) {
		t.Errorf("after it was switched off: %v", err)
	}
	if err := s.SetSCRAM(ctx, l, "her new password", true); err != nil {
		t.Fatal(err)
	}
	h, err := s.Secret(ctx, alice.ID, "set by the operator")
	if err != nil {
		t.Fatal(err)
	}
	s.do(t, func(tx *sqlite.Tx) error { return s.SetPassword(tx, alice.ID, h) })
	if err := try("set by the operator"); err != nil {
		t.Errorf("after the operator's change: %v", err)
	}
	if err := try("her new password"); !errors.Is(err, ErrBadCredentials) {
		t.Errorf("the old keys after the operator's change: %v", err)
	}
	s.do(t, func(tx *sqlite.Tx) error { return s.ForgetSCRAM(tx, alice.ID) })
	if err := try("set by the operator"); !errors.Is(err, ErrBadCredentials) {
		t.Errorf("after the operator switched it off: %v", err)
	}
	if _, err := s.CheckPassword(ctx, l, "set by the operator"); err != nil {
		t.Errorf("by argon2id: %v", err)
	}
}

// Whether somebody is unknown must not show: neither in the form of the salt nor
// in its changing.
func TestSCRAMSaltOfUnknownNames(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.add(t, "alice@example.org")
	salt := func(name string) string {
		t.Helper()
		first, _, err := s.SCRAM(context.Background(), Login{Scope: IMAP, Remote: remote}, nil).Next([]byte("n,,n=" + name + ",r=abc"))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(first), ",")
		return rest
	}
	known, unknown := salt("alice@example.org"), salt("bob@example.org")
	if len(known) != len(unknown) {
		t.Errorf("%q and %q", known, unknown)
	}
	if unknown != salt("BOB@example.org") || unknown == salt("carol@example.org") || unknown == known {
		t.Error("the salt of an unknown name is not its own")
	}
}

func FuzzSCRAM(f *testing.F) {
	f.Add("n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "c=biws,r=x,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
	f.Add("p=tls-exporter,a=x,n=u=2Cser,r=x,ext=1", "c=,r=,p=")
	f.Add(",,", ",")
	f.Fuzz(func(t *testing.T, first, final string) {
		x := &SCRAM{ctx: t.Context(), nonce: "n", store: &Store{throttle: newThrottle(), secret: []byte("k")}}
		x.store.directory.Store(&directory{})
		if _, _, err := x.Next([]byte(first)); err == nil {
			x.verify(final) // without the delays of a failure
		}
	})
}
