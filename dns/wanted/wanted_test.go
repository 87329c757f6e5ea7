package wanted_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstead/account"
	"mailstead/dns"
	"mailstead/dns/wanted"
	"mailstead/dns/zone"
	"mailstead/internal/config"
	"mailstead/internal/sqlite"
	"mailstead/internal/world"
	"mailstead/message"
)

func open(t *testing.T) (*wanted.Source, *sqlite.DB, *world.World) {
	t.Helper()
	ctx := t.Context()
	db, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "mailstead.db"), sqlite.Options{Migrations: []fs.FS{account.Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := account.Open(ctx, db, account.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := world.New(world.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.Close()
		accounts.Close(ctx)
		db.Close()
	})
	resolver, err := dns.New(w.Resolver())
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Hostname = "mail.example.test"
	cfg.Listen.IMAP = nil
	return &wanted.Source{Accounts: accounts, Config: cfg, Resolver: resolver}, db, w
}

func TestSettings(t *testing.T) {
	t.Parallel()
	s, db, w := open(t)
	ctx := t.Context()
	made, err := account.NewDKIMKeys(time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Settings(ctx, "example.test"); !errors.Is(err, account.ErrNotLocal) {
		t.Fatal(err)
	}
	tlsa := []string{"aa", "bb"}
	err = db.Update(ctx, func(tx *sqlite.Tx) error {
		return errors.Join(
			s.Accounts.AddDomain(tx, "example.test", made...),
			s.SetAddresses(tx, []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}),
			s.SetCertificate(tx, wanted.Certificate{TLSA: tlsa, Issuer: "ca.test", AccountURI: "https://ca.test/1"}),
			s.SetChoices(tx, "example.test", wanted.Choices{DMARC: "quarantine", Reports: "dmarc@elsewhere.test", Include: []string{"relay.test"}}),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Zone("example.test", `@ TXT "v=spf1 include:old.test -all"`+"\n@ TXT \"other\"\n"); err != nil {
		t.Fatal(err)
	}
	z, err := s.Settings(ctx, "example.test")
	if err != nil {
		t.Fatal(err)
	}
	if z, err = s.WithLive(ctx, z); err != nil {
		t.Fatal(err)
	}
	if z.DMARC.Started.IsZero() || len(z.Keys) != 2 || z.Keys[0].Selector != "r20261121" {
		t.Errorf("%+v", z)
	}
	z.Keys, z.DMARC.Started = nil, time.Time{}
	reports := message.Address{Local: "dmarc", Domain: "elsewhere.test"}
	want := zone.Settings{
		Domain: "example.test", Host: "mail.example.test",
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")},
		DMARC:     zone.DMARC{Policy: "quarantine", Reports: reports}, MTASTS: zone.MTASTS{Mode: "testing"}, TLSRPT: reports,
		TLSA: tlsa, CAA: zone.CAA{Issuer: "ca.test", AccountURI: "https://ca.test/1"},
		Services:    []zone.Service{{Name: "_submissions", Port: 465}, {Name: "_submission", Port: 587}, {Name: "_imaps", Port: 993}},
		ExistingSPF: []string{"v=spf1 include:old.test -all"}, Include: []string{"relay.test"},
	}
	if d := cmp.Diff(want, z, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got := zone.SPF(z); got != "v=spf1 a:mail.example.test include:relay.test include:old.test -all" {
		t.Error(got)
	}
	// A strict policy of before stays where nobody has chosen one here.
	if err := w.Zone("example.test", `_dmarc TXT "v=DMARC1; p=Reject; rua=mailto:x@example.test"`+"\n"); err != nil {
		t.Fatal(err)
	}
	if s.Resolver, err = dns.New(w.Resolver()); err != nil {
		t.Fatal(err)
	}
	if chosen, err := s.WithLive(ctx, z); err != nil || chosen.DMARC.Policy != "quarantine" {
		t.Errorf("chosen: %q, %v", chosen.DMARC.Policy, err)
	}
	z.DMARC.Policy = ""
	if live, err := s.WithLive(ctx, z); err != nil || live.DMARC.Policy != "reject" {
		t.Errorf("not chosen: %q, %v", live.DMARC.Policy, err)
	}
	w.Fail("example.test", world.ServFail)
	if s.Resolver, err = dns.New(w.Resolver()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WithLive(ctx, z); err == nil {
		t.Error("what cannot be asked is taken for nothing")
	}
}

func TestPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"192.0.2.1": true, "2001:db8::1": true, "::ffff:192.0.2.1": true, "10.1.2.3": false, "100.64.0.1": false, "127.0.0.1": false,
		"169.254.1.1": false, "fd00::1": false, "fe80::1": false, "::1": false, "0.0.0.0": false, "100.128.0.1": true,
	} {
		if got := wanted.Public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
