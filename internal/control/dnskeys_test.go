package control

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"mailstead/account"
	"mailstead/dns/check"
	"mailstead/dns/publish"
	"mailstead/dns/rollover"
	"mailstead/dns/wanted"
	"mailstead/dns/zone"
	"mailstead/internal/sqlite"
	"mailstead/message"
)

// states are those of a domain's keys, in their order.
func states(k DKIMKeys) (all []account.KeyState) {
	for _, k := range k.Keys {
		all = append(all, k.State)
	}
	return all
}

// Keys are changed, and their records and those of certificates follow by
// themselves, once a domain was published; nothing else does.
func TestRecordsFollowKeys(t *testing.T) {
	both(t, func(t *testing.T, o *Ops, c Caller) {
		withDNS(t, o)
		shown := check.Showing{Anywhere: true}
		o.Rollover = &rollover.Rollover{
			DB: o.DB, Accounts: o.Accounts, Log: slog.New(slog.DiscardHandler),
			Shown: func(context.Context, message.Domain, ...zone.Record) (check.Showing, error) { return shown, nil },
		}
		pdns := newPowerDNS()
		s := httptest.NewServer(pdns)
		t.Cleanup(s.Close)
		follow := func() {
			t.Helper()
			if err := o.Follow(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		do[None](t, c, "domain.add", OneDomain{Name: "example.org"})
		follow()
		do[DNSAccessed](t, c, "dns.access", DNSAccess{Domain: "example.org", Provider: "powerdns", Credentials: map[string]string{"url": s.URL, "key": "s3cret"}})
		follow()
		if len(pdns.names()) > 0 {
			t.Fatalf("published unasked: %v", pdns.names())
		}
		do[publish.Diff](t, c, "dns.publish", DNSPlan{Domain: "example.org"})
		follow()
		asked := pdns.requests()
		follow()
		if n := pdns.requests(); n != asked {
			t.Errorf("%d questions though nothing changed", n-asked)
		}

		k := do[DKIMKeys](t, c, "dns.roll", DNSRoll{Domain: "example.org"})
		if !k.Published || k.Trouble != "" || len(k.Keys) != 4 || k.Keys[2].Record == nil || !slices.Contains(pdns.names(), k.Keys[2].Record.Name+". TXT") {
			t.Errorf("%+v\n%v", k, pdns.names())
		}
		var e *Error
		if err := c.Do(t.Context(), "dns.roll", DNSRoll{Domain: "example.org"}, nil); !errors.As(err, &e) || e.Kind != Busy || !strings.Contains(e.Next, "--cancel") {
			t.Error(err)
		}
		k = do[DKIMKeys](t, c, "dns.roll", DNSRoll{Domain: "example.org", Cancel: true})
		if len(k.Keys) != 2 || slices.ContainsFunc(pdns.names(), func(n string) bool { return strings.Contains(n, "-2._domainkey") }) {
			t.Errorf("%+v\n%v", k, pdns.names())
		}
		if err := c.Do(t.Context(), "dns.roll", DNSRoll{Domain: "example.org", Cancel: true}, nil); !errors.As(err, &e) || e.Kind != NotFound {
			t.Error(err)
		}

		// A provider that fails is asked again; the policy of the domain is not
		// published, since nobody said so.
		dmarc := "quarantine"
		do[DomainRecords](t, c, "dns.policy", DNSChoices{Domain: "example.org", DMARC: &dmarc})
		pdns.refuse(true)
		k = do[DKIMKeys](t, c, "dns.roll", DNSRoll{Domain: "example.org"})
		if k.Published || !strings.Contains(k.Trouble, "PowerDNS refuses the token") {
			t.Errorf("%+v", k)
		}
		pdns.refuse(false)
		follow()
		next := k.Keys[3].Record.Name + ". TXT"
		if names := pdns.names(); !slices.Contains(names, next) || strings.Contains(pdns.text("_dmarc.example.org. TXT"), "quarantine") {
			t.Errorf("%s is not among %v", next, names)
		}

		// The old ones go a week after the switch.
		keys, err := o.Accounts.DKIMKeys(t.Context(), "example.org")
		if err != nil {
			t.Fatal(err)
		}
		long := time.Now().Add(-rollover.Kept)
		err = o.DB.Update(t.Context(), func(tx *sqlite.Tx) error {
			return o.Accounts.SwitchDKIMKeys(tx, "example.org", long, keys[2].ID, keys[3].ID)
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Rollover.Advance(t.Context()); err != nil {
			t.Fatal(err)
		}
		all := do[[]DKIMKeys](t, c, "dns.keys", DNSQuery{Domain: "example.org"})
		if got := states(all[0]); !slices.Equal(got, []account.KeyState{"withdrawn", "withdrawn", "signing", "signing"}) {
			t.Error(got)
		}
		old := zone.DKIMKey{Selector: keys[0].Selector}.Name("example.org") + ". TXT"
		if !slices.Contains(pdns.names(), old) {
			t.Errorf("%s went too early", old)
		}
		follow()
		if names := pdns.names(); slices.Contains(names, old) || !slices.Contains(names, next) {
			t.Errorf("%v", names)
		}

		// A key of the host's certificate.
		err = o.DB.Update(t.Context(), func(tx *sqlite.Tx) error {
			return o.Wanted.SetCertificate(tx, wanted.Certificate{TLSA: []string{strings.Repeat("ab", 32)}, Issuer: "ca.test"})
		})
		if err != nil {
			t.Fatal(err)
		}
		follow()
		if names := pdns.names(); !slices.Contains(names, "_25._tcp.mail.example.org. TLSA") || !slices.Contains(names, "mail.example.org. CAA") {
			t.Errorf("%v", names)
		}

		// What was withdrawn stays so.
		do[publish.Diff](t, c, "dns.publish", DNSPlan{Domain: "example.org", Withdraw: true})
		follow()
		do[DKIMKeys](t, c, "dns.roll", DNSRoll{Domain: "example.org"})
		if names := pdns.names(); len(names) > 0 {
			t.Errorf("left or back: %v", names)
		}
	})
}
