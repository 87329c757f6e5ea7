package account

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailstead/internal/sqlite"
	"mailstead/message"
)

// open makes a store in a directory of its own, with example.org in it.
func open(t testing.TB) *Store {
	t.Helper()
	s, _ := openAt(t, filepath.Join(t.TempDir(), "test.db"))
	s.do(t, func(tx *sqlite.Tx) error { return s.AddDomain(tx, "example.org") })
	return s
}

func openAt(t testing.TB, path string) (*Store, *sqlite.DB) {
	t.Helper()
	ctx := context.Background()
	db, err := sqlite.Open(ctx, path, sqlite.Options{Migrations: []fs.FS{Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(ctx, db, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close(ctx)
		db.Close()
	})
	return s, db
}

// do runs fn in a transaction that must succeed.
func (s *Store) do(t testing.TB, fn func(tx *sqlite.Tx) error) {
	t.Helper()
	if err := s.db.Update(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

// refused runs fn in a transaction that must fail with want.
func (s *Store) refused(t *testing.T, want error, fn func(tx *sqlite.Tx) error) {
	t.Helper()
	if err := s.db.Update(context.Background(), fn); !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

func addr(t testing.TB, text string) message.Address {
	t.Helper()
	a, err := message.ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// add makes an account without a password.
func (s *Store) add(t *testing.T, address string) Account {
	t.Helper()
	var a Account
	s.do(t, func(tx *sqlite.Tx) (err error) {
		a, err = s.Add(tx, New{Address: addr(t, address)})
		return err
	})
	return a
}

func TestResolve(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := context.Background()
	s.do(t, func(tx *sqlite.Tx) error { return s.AddDomain(tx, "caught.example") })
	s.do(t, func(tx *sqlite.Tx) error { return s.AddDomain(tx, "strict.example") })
	alice, bob := s.add(t, "Alice@example.org"), s.add(t, "bob@example.org")
	off, gone := s.add(t, "off@example.org"), s.add(t, "gone@example.org")
	s.do(t, func(tx *sqlite.Tx) error {
		return errors.Join(
			s.AddAddress(tx, alice.ID, addr(t, "a.liddell@example.org")),
			s.AddAddress(tx, bob.ID, addr(t, "jörg@example.org")),
			s.AddAlias(tx, addr(t, "family@example.org"), alice.ID, bob.ID, off.ID),
			s.AddAlias(tx, addr(t, "nobody@example.org"), off.ID, gone.ID),
			s.AddAlias(tx, addr(t, "abuse@strict.example"), bob.ID),
			s.SetDomain(tx, Domain{Name: "caught.example", Plus: true, CatchAll: bob.ID}),
			s.SetDomain(tx, Domain{Name: "strict.example", Plus: false}),
			s.SetDisabled(tx, off.ID, true),
			s.Delete(tx, gone.ID),
		)
	})
	tests := []struct {
		address string
		want    []Target
		err     error
	}{
		{address: "alice@example.org", want: []Target{{alice.ID, addr(t, "Alice@example.org"), ""}}},
		{address: "ALICE@EXAMPLE.ORG", want: []Target{{alice.ID, addr(t, "Alice@example.org"), ""}}},
		{address: "alice+Shop+2@example.org", want: []Target{{alice.ID, addr(t, "Alice@example.org"), "Shop+2"}}},
		{address: "A.Liddell@example.org", want: []Target{{alice.ID, addr(t, "a.liddell@example.org"), ""}}},
		{address: "JO\u0308RG@example.org", want: []Target{{bob.ID, addr(t, "jörg@example.org"), ""}}},
		{address: "family@example.org", want: []Target{{alice.ID, addr(t, "family@example.org"), ""}, {bob.ID, addr(t, "family@example.org"), ""}}},
		{address: "family+x@example.org", want: []Target{{alice.ID, addr(t, "family@example.org"), "x"}, {bob.ID, addr(t, "family@example.org"), "x"}}},
		{address: "postmaster@example.org", want: []Target{{alice.ID, addr(t, "postmaster@example.org"), ""}}},
		{address: "Postmaster", want: []Target{{alice.ID, addr(t, "Postmaster"), ""}}},
		{address: "reports@strict.example", want: []Target{{alice.ID, addr(t, "reports@strict.example"), ""}}},
		{address: "abuse@strict.example", want: []Target{{bob.ID, addr(t, "abuse@strict.example"), ""}}},
		{address: "anything@caught.example", want: []Target{{bob.ID, addr(t, "anything@caught.example"), ""}}},
		{address: "abuse@caught.example", want: []Target{{alice.ID, addr(t, "abuse@caught.example"), ""}}},
		{address: "alice+x@strict.example", err: ErrUnknown},
		{address: "abuse+x@strict.example", err: ErrUnknown},
		{address: "+x@example.org", err: ErrUnknown},
		{address: "carol@example.org", err: ErrUnknown},
		{address: "off@example.org", err: ErrDisabled},
		{address: "gone@example.org", err: ErrUnknown},
		{address: "nobody@example.org", err: ErrDisabled},
		{address: "alice@elsewhere.example", err: ErrNotLocal},
	}
	for _, tt := range tests {
		got, err := s.Resolve(ctx, addr(t, tt.address))
		if !errors.Is(err, tt.err) {
			t.Errorf("%s: error %v, want %v", tt.address, err, tt.err)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.address, d)
		}
	}
}

func TestMaySend(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.do(t, func(tx *sqlite.Tx) error { return s.AddDomain(tx, "caught.example") })
	alice, bob := s.add(t, "alice@example.org"), s.add(t, "bob@example.org")
	s.do(t, func(tx *sqlite.Tx) error {
		return errors.Join(
			s.AddAlias(tx, addr(t, "info@example.org"), bob.ID),
			s.SetDomain(tx, Domain{Name: "caught.example", Plus: true, CatchAll: bob.ID}))
	})
	tests := []struct {
		account int64
		address string
		want    bool
	}{
		{alice.ID, "alice@example.org", true},
		{alice.ID, "ALICE+shop@example.org", true},
		{alice.ID, "bob@example.org", false},
		{alice.ID, "info@example.org", false},
		{bob.ID, "info@example.org", true},
		{alice.ID, "postmaster@example.org", true},
		{bob.ID, "postmaster@example.org", false},
		{bob.ID, "whatever@caught.example", true},
		{alice.ID, "whatever@caught.example", false},
		{bob.ID, "abuse@caught.example", false},
		{alice.ID, "alice@elsewhere.example", false},
		{99, "alice@example.org", false},
	}
	for _, tt := range tests {
		got, err := s.MaySend(context.Background(), tt.account, addr(t, tt.address))
		if err != nil || got != tt.want {
			t.Errorf("account %d as %s: %v, %v; want %v", tt.account, tt.address, got, err, tt.want)
		}
	}
	s.do(t, func(tx *sqlite.Tx) error { return s.SetDisabled(tx, bob.ID, true) })
	if got, _ := s.MaySend(context.Background(), bob.ID, addr(t, "bob@example.org")); got {
		t.Error("a disabled account may send")
	}
}

func TestChangesAreSeenAtOnceAndRolledBackOnesNever(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := context.Background()
	boom := errors.New("boom")
	s.refused(t, boom, func(tx *sqlite.Tx) error {
		if _, err := s.Add(tx, New{Address: addr(t, "ghost@example.org")}); err != nil {
			return err
		}
		return boom
	})
	if _, err := s.Resolve(ctx, addr(t, "ghost@example.org")); !errors.Is(err, ErrUnknown) {
		t.Errorf("after a rollback: %v", err)
	}
	s.add(t, "alice@example.org")
	if _, err := s.Resolve(ctx, addr(t, "alice@example.org")); err != nil {
		t.Errorf("after a commit: %v", err)
	}
}

func TestValidation(t *testing.T) {
	t.Parallel()
	s := open(t)
	a := s.add(t, "alice@example.org")
	for _, tt := range []struct {
		address message.Address
		want    error
	}{
		{message.Address{Local: "a b", Domain: "example.org"}, ErrInvalid},
		{message.Address{Local: "a+b", Domain: "example.org"}, ErrInvalid},
		{message.Address{Local: ".a", Domain: "example.org"}, ErrInvalid},
		{message.Address{Local: "a..b", Domain: "example.org"}, ErrInvalid},
		{message.Address{Local: "a\x00", Domain: "example.org"}, ErrInvalid},
		{message.Address{Local: "\xff", Domain: "example.org"}, ErrInvalid},
		{message.Address{Local: "a"}, ErrInvalid},
		{message.Address{Domain: "example.org"}, ErrInvalid},
		{message.Address{Local: "a", Domain: "example.net"}, ErrNotLocal},
		{message.Address{Local: "ALICE", Domain: "example.org"}, ErrExists},
	} {
		s.refused(t, tt.want, func(tx *sqlite.Tx) error {
			_, err := s.Add(tx, New{Address: tt.address})
			return err
		})
		s.refused(t, tt.want, func(tx *sqlite.Tx) error { return s.AddAddress(tx, a.ID, tt.address) })
	}
	s.refused(t, ErrExists, func(tx *sqlite.Tx) error { return s.AddDomain(tx, "example.org") })
	s.refused(t, ErrInvalid, func(tx *sqlite.Tx) error { return s.AddDomain(tx, "[192.0.2.1]") })
	s.refused(t, ErrInvalid, func(tx *sqlite.Tx) error { return s.RemoveDomain(tx, "example.org") })
	s.refused(t, ErrInvalid, func(tx *sqlite.Tx) error { return s.SetName(tx, a.ID, "Alice\r\nBcc: x") })
	s.refused(t, ErrUnknown, func(tx *sqlite.Tx) error { return s.SetName(tx, 99, "Nobody") })
	s.refused(t, ErrExists, func(tx *sqlite.Tx) error { return s.AddAlias(tx, a.Address, a.ID) })
	s.refused(t, ErrUnknown, func(tx *sqlite.Tx) error { return s.AddAlias(tx, addr(t, "x@example.org"), 99) })
	s.refused(t, ErrInvalid, func(tx *sqlite.Tx) error { return s.RemoveAddress(tx, a.Address) })
}

func TestOperators(t *testing.T) {
	t.Parallel()
	s := open(t)
	alice, bob := s.add(t, "alice@example.org"), s.add(t, "bob@example.org")
	if !alice.Operator || bob.Operator {
		t.Fatalf("operators: alice %v, bob %v; want the first one", alice.Operator, bob.Operator)
	}
	s.refused(t, ErrInvalid, func(tx *sqlite.Tx) error { return s.SetOperator(tx, alice.ID, false) })
	s.refused(t, ErrInvalid, func(tx *sqlite.Tx) error { return s.SetDisabled(tx, alice.ID, true) })
	s.refused(t, ErrInvalid, func(tx *sqlite.Tx) error { return s.Delete(tx, alice.ID) })
	s.do(t, func(tx *sqlite.Tx) error {
		return errors.Join(s.SetOperator(tx, bob.ID, true), s.SetOperator(tx, alice.ID, false))
	})
	got, err := s.Resolve(context.Background(), addr(t, "abuse@example.org"))
	if err != nil || len(got) != 1 || got[0].Account != bob.ID {
		t.Errorf("abuse@ leads to %v, %v", got, err)
	}
}

func TestAliases(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := context.Background()
	alice, bob := s.add(t, "alice@example.org"), s.add(t, "bob@example.org")
	info := addr(t, "info@example.org")
	s.do(t, func(tx *sqlite.Tx) error { return s.AddAlias(tx, info, alice.ID) })
	s.do(t, func(tx *sqlite.Tx) error { return s.AddAlias(tx, info, bob.ID, alice.ID) })
	s.refused(t, ErrUnknown, func(tx *sqlite.Tx) error { return s.RemoveAlias(tx, info, 99) })
	s.do(t, func(tx *sqlite.Tx) error { return s.RemoveAlias(tx, info, alice.ID) })
	got, err := s.Aliases(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want := []Alias{
		{addr(t, "abuse@example.org"), []int64{alice.ID}, true},
		{info, []int64{bob.ID}, false},
		{addr(t, "postmaster@example.org"), []int64{alice.ID}, true},
		{addr(t, "reports@example.org"), []int64{alice.ID}, true},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("aliases (-want +got):\n%s", d)
	}
	s.do(t, func(tx *sqlite.Tx) error { return s.RemoveAlias(tx, info, bob.ID) })
	if _, err := s.Resolve(ctx, info); !errors.Is(err, ErrUnknown) {
		t.Errorf("an alias without members leads to: %v", err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := context.Background()
	colour := "default"
	expect := func(want string) {
		t.Helper()
		colour = "default"
		if err := s.Setting(ctx, "colour", &colour); colour != want || err != nil {
			t.Fatal(colour, err)
		}
	}
	expect("default")
	for _, v := range []string{"red", "blue"} {
		s.do(t, func(tx *sqlite.Tx) error { return s.SetSetting(tx, "colour", v) })
		expect(v)
	}
	s.do(t, func(tx *sqlite.Tx) error { return s.SetSetting(tx, "colour", nil) })
	expect("default")
}

func TestScope(t *testing.T) {
	t.Parallel()
	for _, s := range []Scope{IMAP, IMAP | SMTP, Everything} {
		if got, err := ParseScope(s.String()); got != s || err != nil {
			t.Errorf("%s: %s, %v", s, got, err)
		}
	}
	for _, bad := range []string{"", "ftp", "imap,,smtp"} {
		if _, err := ParseScope(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
