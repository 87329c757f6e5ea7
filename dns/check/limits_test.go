package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailstead/dns"
	"mailstead/dns/zone"
)

// nobody answers no question.
type nobody struct{}

func (nobody) Ask(ctx context.Context, q dns.Question) (dns.Answer, error) {
	<-ctx.Done()
	return dns.Answer{}, &dns.TemporaryError{Name: q.Name, Type: q.Type, Err: ctx.Err()}
}

// TestNothingAnswers: every check says so, within the time.
func TestNothingAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Domain{Asker: nobody{}, Resolvers: []string{"a", "b"}, Settings: zone.Settings{
			Domain: "example.test", Host: "mail.example.test", Keys: []zone.DKIMKey{{Selector: "s", Algorithm: "ed25519"}},
			MTASTS: zone.MTASTS{Mode: "testing"},
		}}
		began := time.Now()
		all := d.Find(t.Context())
		if took := time.Since(began); took > WholeLimit-2*time.Second {
			t.Errorf("took %v", took)
		}
		if len(bad(all)) < 10 {
			t.Errorf("told of %v", bad(all))
		}
		for _, f := range all {
			if f.Severity == OK {
				t.Errorf("well without an answer: %+v", f)
			}
		}
	})
}

// TestRunIsBounded: a check that hangs or panics is told, the others count.
func TestRunIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		defer close(end)
		began := time.Now()
		all := Run(t.Context(), []Check{
			{"a", "the first", func(context.Context) []Finding { return []Finding{{ID: "a", Severity: OK}} }},
			{"b", "the second", func(context.Context) []Finding { <-end; return nil }},
			{"c", "the third", func(context.Context) []Finding { panic(errors.New("oh")) }},
			{"d", "the last", func(context.Context) []Finding { return []Finding{{ID: "d", Severity: Problem}} }},
		})
		var got []string
		for _, f := range all {
			got = append(got, fmt.Sprintf("%s %s", f.ID, f.Severity))
		}
		if want := "a ok,b warning,c warning,d problem"; strings.Join(got, ",") != want || time.Since(began) != WholeLimit {
			t.Errorf("%v after %v", got, time.Since(began))
		}
		if Worst(all) != Problem || Worst(all[:1]) != OK || Worst([]Finding{{Severity: Problem, Muted: "why"}, {Severity: Info}}) != Info {
			t.Error("worst")
		}
	})
}

// TestWhoSaysWhat: servers that disagree, resolvers that remember, servers that
// cannot be reached.
func TestWhoSaysWhat(t *testing.T) {
	t.Parallel()
	pair := keys()
	p := open(t, pair)
	p.publish()
	old := strings.Replace(zoneText(t, p.d.Settings), "10 mail.example.test.", "10 old.elsewhere.test.", 1)
	if err := p.w.Zone("example.test", old); err != nil {
		t.Fatal(err)
	}
	all := p.d.Find(t.Context(), "dns.mx")
	if len(all) != 2 || all[0].Severity != OK || all[1].ID != "dns.mx.spread" || all[1].Severity != Info || !strings.Contains(all[1].Sentence, "1h0m0s") {
		t.Errorf("resolvers remember: %+v", all)
	}

	q := open(t, pair)
	q.publish()
	if err := q.ns[1].Zone("example.test", old); err != nil {
		t.Fatal(err)
	}
	if got := bad(q.d.Find(t.Context(), "dns.mx")); !slices.Contains(got, "warning dns.mx.spread") {
		t.Errorf("servers disagree: %v", got)
	}

	r := open(t, pair)
	r.publish()
	for _, s := range r.ns {
		r.w.BlackHole(s.Addr)
	}
	all = r.d.Find(t.Context())
	if len(bad(all)) > 0 || all[0].ID != "dns.hosting.unseen" {
		t.Errorf("servers out of reach: %v, %+v", bad(all), all[0])
	}
}

func TestHostOf(t *testing.T) {
	t.Parallel()
	for server, want := range map[string]string{
		"ana.ns.cloudflare.com.": "cloudflare", "ns-1.awsdns-05.co.uk": "", "helium.ns.hetzner.de": "hetzner", "ns1.desec.io": "desec",
		"cloudflare.com.evil.test": "none", "ns1.example.test": "none",
	} {
		h, ok := HostOf([]string{server})
		if got := h.Name; ok && got != want || !ok && want != "none" {
			t.Errorf("%s: %+v", server, h)
		}
	}
}
