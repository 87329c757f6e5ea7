package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailstead/dns"
	"mailstead/dns/publish"
	"mailstead/dns/wanted"
	"mailstead/internal/config"
)

// powerDNS is a zone example.org behind the form of PowerDNS's API.
type powerDNS struct {
	mu   sync.Mutex
	sets map[string]json.RawMessage // NAME TYPE → set
	fail bool

	asked  int
	closed bool // refuses every key
}

func newPowerDNS() *powerDNS { return &powerDNS{sets: map[string]json.RawMessage{}} }

func (p *powerDNS) names() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.sets))
}

func (p *powerDNS) text(set string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.sets[set])
}

func (p *powerDNS) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func (p *powerDNS) refuse(all bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = all
}

func (p *powerDNS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	const zone = "/api/v1/servers/localhost/zones"
	switch {
	case p.closed, r.Header.Get("X-API-Key") != "s3cret":
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, "Unauthorized")
	case r.URL.Path == zone && r.URL.Query().Get("zone") == "example.org.":
		_, _ = io.WriteString(w, `[{"name":"example.org."}]`)
	case r.URL.Path == zone:
		_, _ = io.WriteString(w, `[]`)
	case r.Method == http.MethodPatch && p.fail:
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = io.WriteString(w, `{"error":"RRset example.org. IN MX: no"}`)
	case r.Method == http.MethodPatch:
		var in struct{ Rrsets []json.RawMessage }
		_ = json.NewDecoder(r.Body).Decode(&in)
		for _, raw := range in.Rrsets {
			var s struct{ Name, Type, Changetype string }
			_ = json.Unmarshal(raw, &s)
			if delete(p.sets, s.Name+" "+s.Type); s.Changetype == "REPLACE" {
				p.sets[s.Name+" "+s.Type] = raw
			}
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		var all []json.RawMessage
		for _, s := range p.sets {
			all = append(all, s)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"rrsets": all})
	}
}

// withDNS gives the stores what publishing needs.
func withDNS(t *testing.T, o *Ops) {
	t.Helper()
	o.Wanted = &wanted.Source{Accounts: o.Accounts, Config: config.Config{Hostname: "mail.example.org"}}
}

func TestPublish(t *testing.T) {
	both(t, func(t *testing.T, o *Ops, c Caller) {
		withDNS(t, o)
		pdns := newPowerDNS()
		s := httptest.NewServer(pdns)
		t.Cleanup(s.Close)
		fails := func(name string, in any, kind Kind, says string) {
			t.Helper()
			err := c.Do(context.Background(), name, in, nil)
			var e *Error
			if !errors.As(err, &e) || e.Kind != kind || !strings.Contains(e.Text, says) || e.Next == "" || strings.Contains(e.Text+e.Next, "s3cret") {
				t.Errorf("%s %+v: %v", name, in, err)
			}
		}
		access := func(domain, key string) DNSAccess {
			return DNSAccess{Domain: domain, Provider: "powerdns", Credentials: map[string]string{"url": s.URL, "key": key}}
		}
		do[None](t, c, "domain.add", OneDomain{Name: "example.org"})
		do[None](t, c, "domain.add", OneDomain{Name: "team.example.org"})
		do[None](t, c, "domain.add", OneDomain{Name: "example.net"})
		fails("dns.plan", DNSPlan{Domain: "example.org"}, NotFound, "no DNS provider is known")
		fails("dns.access", access("example.org", "wrong"), Invalid, "PowerDNS refuses the token")
		fails("dns.access", access("example.net", "s3cret"), NotFound, "PowerDNS has no zone for example.net")
		fails("dns.access", DNSAccess{Domain: "example.org", Provider: "moon"}, Invalid, "no DNS provider")
		fails("dns.plan", DNSPlan{Domain: "example.org"}, NotFound, "no DNS provider is known") // none of these was kept

		if a := do[DNSAccessed](t, c, "dns.access", access("example.org", "s3cret")); a.Zone != "example.org" {
			t.Errorf("%+v", a)
		}
		if d := do[publish.Diff](t, c, "dns.plan", DNSPlan{Domain: "team.example.org"}); d.Zone != "example.org" || d.Empty() {
			t.Errorf("a domain below it: %+v", d)
		}
		d := do[publish.Diff](t, c, "dns.plan", DNSPlan{Domain: "example.org"})
		fails("dns.publish", DNSPlan{Domain: "example.org", Digest: "other"}, Busy, "have changed since")
		pdns.fail = true
		fails("dns.publish", DNSPlan{Domain: "example.org", Digest: d.Digest}, Invalid, "PowerDNS refuses the change: RRset example.org. IN MX: no")
		pdns.fail = false
		do[publish.Diff](t, c, "dns.publish", DNSPlan{Domain: "example.org", Digest: d.Digest})
		if len(pdns.sets) < 5 || pdns.sets["_dmarc.example.org. TXT"] == nil {
			t.Errorf("%d sets", len(pdns.sets))
		}
		if d := do[publish.Diff](t, c, "dns.plan", DNSPlan{Domain: "example.org"}); !d.Empty() {
			t.Errorf("not all is there: %+v", d)
		}
		do[publish.Diff](t, c, "dns.undo", DNSUndo{Domain: "example.org", DryRun: true})
		do[publish.Diff](t, c, "dns.undo", DNSUndo{Domain: "example.org"})
		if len(pdns.sets) != 0 {
			t.Errorf("left over: %v", pdns.sets)
		}
		fails("dns.undo", DNSUndo{Domain: "example.org"}, NotFound, "nothing was published")
		// Neither the word nor the removal of the domain leaves the token behind.
		do[DNSAccessed](t, c, "dns.access", access("team.example.org", "s3cret"))
		do[None](t, c, "domain.remove", OneDomain{Name: "team.example.org"})
		var left publish.Access
		if err := o.Accounts.Setting(t.Context(), publish.SettingName("team.example.org"), &left); err != nil || left.Provider != "" {
			t.Errorf("the token of a domain that is gone: %v, %v", left, err)
		}
		do[DNSAccessed](t, c, "dns.access", DNSAccess{Domain: "example.org"})
		fails("dns.plan", DNSPlan{Domain: "example.org"}, NotFound, "no DNS provider is known")
	})
}

// delegated is a DNS that knows name servers alone.
type delegated struct {
	dns.Resolver
	ns map[string][]string
}

func (d delegated) Ask(_ context.Context, q dns.Question) (dns.Answer, error) {
	var a dns.Answer
	for _, ns := range d.ns[q.Name] {
		a.Records = append(a.Records, dns.Record{Name: q.Name, Type: "NS", Data: ns + "."})
	}
	return a, nil
}

func TestDNSHost(t *testing.T) {
	t.Parallel()
	o := stores(t)
	withDNS(t, o)
	o.Wanted.Resolver = delegated{ns: map[string][]string{"example.org": {"ada.ns.cloudflare.com", "bob.ns.cloudflare.com"}}}
	do[None](t, o, "domain.add", OneDomain{Name: "team.example.org"})
	h := do[DNSHost](t, o, "dns.host", DNSQuery{Domain: "Team.Example.org."})
	want := DNSHost{Domain: "team.example.org", NameServers: []string{"ada.ns.cloudflare.com", "bob.ns.cloudflare.com"}, Provider: "cloudflare", Title: "Cloudflare"}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Error(diff)
	}
	if h := do[DNSHost](t, o, "dns.host", DNSQuery{Domain: "example.net"}); h.Provider != "" || len(h.NameServers) != 0 {
		t.Errorf("nobody: %+v", h)
	}
	var e *Error
	if err := o.Do(context.Background(), "dns.plan", DNSPlan{Domain: "team.example.org"}, nil); !errors.As(explain(err), &e) || !strings.Contains(e.Next, "--provider cloudflare") {
		t.Errorf("the hint: %v", err)
	}
	gandi, _ := publish.Lookup("gandi")
	if note := o.unseen(context.Background(), "team.example.org", gandi); !strings.HasPrefix(note, "The world asks ada.ns.cloudflare.com, bob.ns.cloudflare.com for team.example.org, not Gandi:") {
		t.Errorf("the note: %q", note)
	}
}
