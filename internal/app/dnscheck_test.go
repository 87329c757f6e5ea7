package app

import (
	"context"
	"log/slog"
	"testing"

	"mailstead/dns"
	"mailstead/internal/config"
	"mailstead/internal/sqlite"
	"mailstead/internal/world"
)

// TestCommandsJudgeTheResolver: without a server a command finds out by itself
// whether the word of the resolver counts.
func TestCommandsJudgeTheResolver(t *testing.T) {
	t.Parallel()
	for name, validates := range map[string]bool{"one that validates": true, "one that does not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, err := world.New(world.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { w.Close() })
			public := dns.PublicNames()
			for _, n := range append(append(public.Signed, public.Broken...), public.Unsigned...) {
				if err := w.Zone(n, "@ SOA ns.names.test. hostmaster.names.test. 1 1 1 1 1\n"); err != nil {
					t.Fatal(err)
				}
			}
			for _, n := range public.Signed {
				w.Sign(n)
			}
			if validates {
				for _, n := range public.Broken {
					w.Fail(n, world.Bogus)
				}
			}
			cfg := config.Default()
			cfg.Hostname, cfg.Data, cfg.DNS.Resolver = "mail.example.test", t.TempDir(), w.Resolver()
			s, err := OpenStores(t.Context(), cfg, slog.New(slog.DiscardHandler), func(err error) { t.Error(err) })
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := s.Close(context.Background()); err != nil {
					t.Error(err)
				}
			})
			if err := s.DB.Update(t.Context(), func(tx *sqlite.Tx) error { return s.Accounts.AddDomain(tx, "example.test") }); err != nil {
				t.Fatal(err)
			}
			ops, asked := s.Ops("test"), 0
			for turn := range 2 {
				d, err := ops.DomainCheck(t.Context(), "example.test")
				if err != nil {
					t.Fatal(err)
				}
				if d.Trusted != validates {
					t.Errorf("trusted is %v", d.Trusted)
				}
				if turn == 0 {
					asked = w.Asked(public.Signed[0])
				} else if n := w.Asked(public.Signed[0]); n != asked {
					t.Error("it was judged twice")
				}
			}
		})
	}
}
