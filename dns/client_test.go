package dns_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mailstead/dns"
	"mailstead/internal/world"
	"mailstead/message"
)

const zone = `
@        MX    20 b
@        MX    10 a
@        MX    20 c
@        TXT   "v=spf1 mx " "-all"
@        TXT   "semi; \"quoted\" back\\slash"
a        A     192.0.2.1
a        AAAA  2001:db8::1
b        A     192.0.2.2
null     MX    0 .
alias    CNAME elsewhere
elsewhere CNAME a
loop     CNAME pool
pool     CNAME loop
long     TXT   "` // closed by makeZone with a string that does not fit UDP

func makeZone(t *testing.T, w *world.World) {
	t.Helper()
	long := strings.Repeat(strings.Repeat("x", 250)+`" "`, 8) + `end"` + "\n"
	if err := w.Zone("example.test", zone+long); err != nil {
		t.Fatal(err)
	}
}

func newWorld(t *testing.T) *world.World {
	t.Helper()
	w, err := world.New(world.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	makeZone(t, w)
	return w
}

func newClient(t *testing.T, w *world.World) *dns.Client {
	t.Helper()
	c, err := dns.New(w.Resolver())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLookups(t *testing.T) {
	w := newWorld(t)
	w.Host("b.example.test", netip.MustParseAddr("192.0.2.9"))
	c := newClient(t, w)
	ctx := t.Context()

	mx, _, err := c.LookupMX(ctx, "example.test")
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(mx, func(a, b dns.MX) int {
		if a.Preference != b.Preference {
			return 0 // the order of preferences is the client's work
		}
		return strings.Compare(a.Host, b.Host)
	})
	if d := cmp.Diff([]dns.MX{{10, "a.example.test"}, {20, "b.example.test"}, {20, "c.example.test"}}, mx); d != "" {
		t.Error(d)
	}
	mx, _, err = c.LookupMX(ctx, "null.example.test")
	if d := cmp.Diff([]dns.MX{{0, "."}}, mx); d != "" || err != nil {
		t.Error(d, err)
	}
	for _, host := range []string{"a.example.test", "A.Example.Test.", "alias.example.test"} {
		addrs, _, err := c.LookupAddr(ctx, host)
		want := []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1")}
		if d := cmp.Diff(want, addrs, cmpopts.EquateComparable(netip.Addr{})); d != "" || err != nil {
			t.Error(host, d, err)
		}
	}
	txt, _, err := c.LookupTXT(ctx, "example.test")
	slices.Sort(txt)
	if d := cmp.Diff([]string{`semi; "quoted" back\slash`, "v=spf1 mx -all"}, txt); d != "" || err != nil {
		t.Error(d, err)
	}
	txt, _, err = c.LookupTXT(ctx, "long.example.test")
	if err != nil || len(txt) != 1 || len(txt[0]) != 8*250+3 {
		t.Errorf("long TXT over TCP: %d records, %v", len(txt), err)
	}
	names, _, err := c.LookupPTR(ctx, netip.MustParseAddr("192.0.2.9"))
	if d := cmp.Diff([]string{"b.example.test"}, names); d != "" || err != nil {
		t.Error(d, err)
	}
}

// TestErrors holds what a caller branches on: an answer of "no" against no answer.
func TestErrors(t *testing.T) {
	w := newWorld(t)
	w.Fail("broken.example.test", world.ServFail)
	w.Fail("refused.example.test", world.Refused)
	w.Fail("silent.example.test", world.Silence)
	c, hasty := newClient(t, w), newClient(t, w)
	c.Timeout = time.Minute
	hasty.Timeout, hasty.Attempts = 50*time.Millisecond, 1
	for _, tt := range []struct {
		name             string
		notExist, domain bool
	}{
		{"nobody.example.test", true, true},
		{"a.example.test", true, false},
		{"alias.example.test", true, false},
		{"", true, true},
		{"..", true, true},
		{"broken.example.test", false, false},
		{"refused.example.test", false, false},
		{"silent.example.test", false, false},
		{"loop.example.test", false, false},
	} {
		asks := c
		if strings.HasPrefix(tt.name, "silent.") {
			asks = hasty
		}
		_, _, err := asks.LookupMX(t.Context(), message.Domain(tt.name))
		if got := errors.Is(err, dns.ErrNotExist); got != tt.notExist {
			t.Errorf("%q: %v", tt.name, err)
		}
		var no *dns.NotExistError
		if errors.As(err, &no) && no.NXDomain != tt.domain {
			t.Errorf("%q: NXDomain %v", tt.name, no.NXDomain)
		}
		var later *dns.TemporaryError
		if errors.As(err, &later) == tt.notExist {
			t.Errorf("%q: %v", tt.name, err)
		}
	}
	addrs, _, err := c.LookupAddr(t.Context(), "b.example.test")
	if err != nil || len(addrs) != 1 {
		t.Errorf("one family is enough: %v %v", addrs, err)
	}
}

func TestSecureOnlyWhenTrusted(t *testing.T) {
	w := newWorld(t)
	w.Sign("example.test")
	if err := w.Zone("plain.test", "@ CNAME a.example.test.\n"); err != nil {
		t.Fatal(err)
	}
	if err := w.Zone("signed.test", "@ CNAME a.example.test.\nplain CNAME plain.test.\n"); err != nil {
		t.Fatal(err)
	}
	w.Sign("signed.test")
	for _, tt := range []struct {
		name    string
		trusted bool
		want    bool
	}{
		{"a.example.test", true, true},
		{"a.example.test", false, false},
		{"signed.test", true, true},
		{"plain.test", true, false},
		{"plain.signed.test", true, false},
		{"nobody.example.test", true, true},
	} {
		c := newClient(t, w)
		c.Trusted = tt.trusted
		if _, secure, err := c.LookupAddr(t.Context(), tt.name); secure != tt.want {
			t.Errorf("%s, trusted %v: secure %v, %v", tt.name, tt.trusted, secure, err)
		}
	}
}

func TestServersAreTriedInTurn(t *testing.T) {
	w := newWorld(t)
	c := &dns.Client{
		Servers: func() []string { return []string{"127.0.0.1:1", w.Resolver()} },
		Timeout: 20 * time.Second,
	}
	if _, _, err := c.LookupMX(t.Context(), "example.test"); err != nil {
		t.Error(err)
	}
}

// TestCacheKeepsForTTL runs in a bubble: the world's records live 300 seconds,
// its denials 60.
func TestCacheKeepsForTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := world.New(world.Options{Memory: true})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		makeZone(t, w)
		c := newClient(t, w)
		c.Dial = w.Dial
		ask := func(name string, want int) {
			t.Helper()
			c.LookupTXT(t.Context(), name)
			if got := w.Asked(name); got != want {
				t.Errorf("%s was asked %d times, want %d", name, got, want)
			}
		}
		ask("example.test", 1)
		ask("nobody.example.test", 1)
		time.Sleep(59 * time.Second)
		ask("example.test", 1)
		ask("nobody.example.test", 1)
		time.Sleep(2 * time.Second)
		ask("example.test", 1)
		ask("nobody.example.test", 2)
		time.Sleep(5 * time.Minute)
		ask("example.test", 2)

		c.CacheMax = 8
		for i := range 40 {
			c.LookupTXT(t.Context(), string(rune('a'+i%26))+".many.test")
		}
		w.Fail("silent.test", world.Silence)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := c.LookupTXT(ctx, "silent.test"); err == nil {
			t.Error("silence was an answer")
		}
	})
}
