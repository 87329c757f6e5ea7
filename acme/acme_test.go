package acme

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/libdns/libdns"

	"mailstead/internal/world/pebble"
)

func TestChallenges(t *testing.T) {
	for _, by := range []Challenge{HTTP, TLSALPN, DNS, Any} {
		t.Run(string(by), func(t *testing.T) {
			t.Parallel()
			tn := newTown(t)
			authority := tn.authority(3600)
			c := tn.open(tn.options(t.TempDir()))
			tn.serve(c)
			c.Manage(t.Context(), []string{tn.policy})
			if c.Leaf(tn.host).Issuer.CommonName != tn.host {
				t.Error("before the first certificate, another than the self-signed one is shown")
			}
			tn.configure(c, settings(authority, by))
			if err := c.Obtain(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]string{
				tn.host: tn.host, tn.policy: tn.policy,
				"": tn.host, "unknown.example": tn.host, strings.ToUpper(tn.policy): tn.policy,
			} {
				leaf := tn.shown(c, name)
				if err := leaf.VerifyHostname(want); err != nil {
					t.Errorf("a client that names %q: %v", name, err)
				}
				if len(leaf.DNSNames) != 1 {
					t.Errorf("one certificate for %v", leaf.DNSNames)
				}
			}
			var got []string
			for _, s := range c.Status() {
				got = append(got, s.Name+" "+string(s.Origin))
				if s.Problem != nil {
					t.Errorf("%s: %v", s.Name, s.Problem)
				}
			}
			if d := cmp.Diff([]string{tn.host + " acme", tn.policy + " acme"}, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if !strings.Contains(c.AccountURI(), "/my-account/") {
				t.Errorf("account %q", c.AccountURI())
			}
			if c.CAIssuer() != "ca.example" {
				t.Errorf("the CA's name for CAA is %q", c.CAIssuer())
			}
		})
	}
}

func TestSwitchedOffAsksNobody(t *testing.T) {
	tn := newTown(t)
	o := tn.options(t.TempDir())
	c := tn.open(o)
	c.Manage(t.Context(), []string{tn.policy})
	tn.configure(c, Settings{})
	if err := c.Obtain(t.Context(), false); !errors.Is(err, ErrOff) {
		t.Errorf("Obtain: %v", err)
	}
	if n := tn.world.Asked(tn.host); n != 0 {
		t.Errorf("%d questions to the DNS", n)
	}
	if got := c.Status(); len(got) != 2 || got[0].Origin != SelfMade || got[1].Origin != NotYetHere {
		t.Errorf("%+v", got)
	}
}

func TestStorageSurvivesARestart(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	authority := tn.authority(3600)
	o := tn.options(t.TempDir())
	first := tn.open(o)
	tn.serve(first)
	tn.configure(first, settings(authority, HTTP))
	if err := first.Obtain(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	leaf, account := first.Leaf(tn.host), first.AccountURI()
	tlsa, err := first.TLSA(tn.host)
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	authority.Close() // the CA is not needed any more

	second := tn.open(o)
	tn.configure(second, settings(authority, HTTP))
	if !second.Leaf(tn.host).Equal(leaf) {
		t.Error("another certificate after a restart")
	}
	if second.AccountURI() != account {
		t.Errorf("account %q, before %q", second.AccountURI(), account)
	}
	again, err := second.TLSA(tn.host)
	if d := cmp.Diff(tlsa, again); d != "" || err != nil {
		t.Errorf("keys changed: %v (-want +got):\n%s", err, d)
	}
}

// TestCertificateThatEndedWhileOff: a server that was off for a long time gets a
// new certificate of the same key by itself, though the CA does not know the old
// one any more.
func TestCertificateThatEndedWhileOff(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	authority := tn.authority(3600)
	o := tn.options(t.TempDir())
	first := tn.open(o)
	tn.configure(first, settings(authority, DNS))
	if err := first.Obtain(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	first.Close()
	key, err := first.keys.current(tn.host)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(o.Dir, "certmagic", "certificates", "*", tn.host, tn.host+".crt"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	end := time.Now().AddDate(0, 0, -100)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(7), NotBefore: end.AddDate(0, 0, -90), NotAfter: end, DNSNames: []string{tn.host}},
		&x509.Certificate{Subject: pkix.Name{CommonName: "an authority"}}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	second := tn.open(o)
	tn.configure(second, settings(authority, DNS))
	waitFor(t, "a certificate that holds", func() bool { return time.Now().Before(tn.shown(second, tn.host).NotAfter) })
	if got := tn.shown(second, tn.host); fingerprint(got.PublicKey) != fingerprint(key.Public()) {
		t.Error("it has another key: TLSA records are wrong now")
	}
}

func TestRenewalReachesTheDoors(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	authority := tn.authority(12)
	o := tn.options(t.TempDir())
	o.renewCheck = 100 * time.Millisecond
	c := tn.open(o)
	tn.serve(c)
	tn.configure(c, settings(authority, HTTP))
	if err := c.Obtain(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	first := tn.shown(c, tn.host)
	waitFor(t, "a renewed certificate", func() bool { return !tn.shown(c, tn.host).Equal(first) })
	second := tn.shown(c, tn.host)
	if fingerprint(first.PublicKey) != fingerprint(second.PublicKey) {
		t.Error("the renewal changed the key: TLSA records are wrong now")
	}
}

func TestDryRunComesFirst(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	real, staging := tn.authority(3600), tn.authority(3600)
	staging.Refuse(403, "unauthorized", "nobody is there")
	c := tn.open(tn.options(t.TempDir()))
	tn.serve(c)
	s := settings(real, HTTP)
	s.Staging, s.Roots = staging.URL, real.Roots+staging.Roots
	tn.configure(c, s)
	var p *Problem
	if err := c.Obtain(t.Context(), false); !errors.As(err, &p) || p.Kind != Unreachable || !strings.HasPrefix(p.Sentence, "In a dry run") {
		t.Fatalf("%v", err)
	}
	if n := real.Orders(); n != 0 {
		t.Errorf("the CA saw %d orders although the dry run failed", n)
	}
	staging.Heal()
	if err := c.Obtain(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	leaf := c.Leaf(tn.host)
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: real.CA, Intermediates: chainOf(t, c, tn.host)}); err != nil {
		t.Errorf("not of the real CA: %v", err)
	}
}

func chainOf(t *testing.T, c *Certificates, name string) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	for _, der := range c.authority.Load().certificate(name).Certificate[1:] {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		pool.AddCert(cert)
	}
	return pool
}

func TestProblemsInPlainWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		spoil func(*town, *pebble.Authority, *Options)
		by    Challenge
		kind  Kind
		want  string
	}{
		{"the CA is not there", func(_ *town, ca *pebble.Authority, _ *Options) { ca.Close() }, HTTP,
			CADown, "The CA 127.0.0.1 could not be reached."},
		{"the CA is ill", func(_ *town, ca *pebble.Authority, _ *Options) { ca.Refuse(500, "serverInternal", "sorry") }, HTTP,
			CADown, "The CA 127.0.0.1 has a fault of its own."},
		{"asked too often", func(_ *town, ca *pebble.Authority, _ *Options) {
			ca.Refuse(429, "rateLimited", "too many certificates, retry after 2031-02-03 04:05:06 UTC: see")
		}, HTTP, RateLimited, "The CA 127.0.0.1 was asked too often and wants to be left alone for a while."},
		{"another CA's CAA", func(_ *town, ca *pebble.Authority, _ *Options) { ca.Refuse(403, "caa", "CAA record prevents issuance") }, HTTP,
			CAAForbids, "A CAA record in the DNS forbids 127.0.0.1 to issue a certificate for HOST."},
		{"a name that is not ours to have", func(_ *town, ca *pebble.Authority, _ *Options) {
			ca.Refuse(400, "rejectedIdentifier", "policy forbids")
		}, HTTP,
			Rejected, "The CA 127.0.0.1 does not issue certificates for HOST to this account."},
		{"no address", func(tn *town, _ *pebble.Authority, _ *Options) {
			tn.edit(func(zone []string) []string { return zone[:3] })
		}, HTTP, DNSProblem, "HOST has no address in the DNS, so no CA can find it."},
		{"somebody else answers", func(tn *town, _ *pebble.Authority, _ *Options) {
			tn.edit(func(zone []string) []string { return append(zone[:3:3], "mail A 127.0.0.99") })
		}, HTTP, Unreachable, "The CA looked at HOST and did not find this server there."},
		{"a token that is refused", func(_ *town, _ *pebble.Authority, o *Options) {
			o.DNS = func(context.Context, string) (DNSProvider, bool, error) { return refusing{}, true, nil }
		}, DNS, Provider, "The DNS provider did not take the record that proves HOST."},
		{"no way to prove it", func(_ *town, _ *pebble.Authority, o *Options) {
			o.DNS = nil
			o.Door = func(string) net.Addr { return nil }
		}, Any, Provider, "There is no way to show the CA that HOST is ours: no DNS provider is known for it, and no door for HTTP-01 or TLS-ALPN-01 is open."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tn := newTown(t)
			authority := tn.authority(3600)
			o := tn.options(t.TempDir())
			tt.spoil(tn, authority, &o)
			c := tn.open(o)
			tn.serve(c)
			tn.configure(c, settings(authority, tt.by))
			err := c.Obtain(t.Context(), false)
			want := strings.ReplaceAll(tt.want, "HOST", tn.host)
			var p *Problem
			if !errors.As(err, &p) {
				t.Fatalf("%v", err)
			}
			if p.Kind != tt.kind || p.Sentence != want || p.Fix == "" {
				t.Errorf("%s: %s\n(%s)\nwant %s: %s", p.Kind, p.Sentence, p.Evidence, tt.kind, want)
			}
			if p.Kind == RateLimited && !p.Next.Equal(time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)) {
				t.Errorf("tried again at %v", p.Next)
			}
			st := c.Status()[0]
			if st.Origin != SelfMade || st.Problem == nil || st.Problem.Sentence != want {
				t.Errorf("status %+v", st)
			}
			if err := c.Leaf(tn.host).VerifyHostname(tn.host); err != nil {
				t.Errorf("nothing is shown meanwhile: %v", err)
			}
		})
	}
}

// TestAnAddressThatIsNoCA: a page, or a service that is busy, in the place of a
// directory.
func TestAnAddressThatIsNoCA(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "<html>busy")
	}))
	t.Cleanup(s.Close)
	tn := newTown(t)
	c := tn.open(tn.options(t.TempDir()))
	tn.serve(c)
	roots := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	tn.configure(c, Settings{Enabled: true, CA: s.URL + "/directory", Roots: string(roots), Challenge: HTTP})
	var p *Problem
	if err := c.Obtain(t.Context(), false); !errors.As(err, &p) || p.Kind != CADown || p.Sentence != "The CA 127.0.0.1 did not answer as a CA does." || !strings.Contains(p.Fix, s.URL) {
		t.Errorf("%+v", p)
	}
}

type refusing struct{ DNSProvider }

func (refusing) AppendRecords(context.Context, string, []libdns.Record) ([]libdns.Record, error) {
	return nil, errors.New("403: the token may not change this zone")
}

func TestBackgroundObtainsWhatIsMissing(t *testing.T) {
	t.Parallel()
	tn := newTown(t)
	authority := tn.authority(3600)
	o := tn.options(t.TempDir())
	changed := make(chan struct{}, 10)
	o.Changed = func() { changed <- struct{}{} }
	c := tn.open(o)
	tn.serve(c)
	tn.configure(c, settings(authority, Any))
	waitFor(t, "the host's certificate", func() bool { return c.Status()[0].Origin == FromACME })
	c.Manage(t.Context(), []string{tn.policy})
	waitFor(t, "a new name's certificate", func() bool { return c.Status()[1].Origin == FromACME })
	<-changed
	<-changed
	c.Manage(t.Context(), nil)
	if err := c.Leaf(tn.policy).VerifyHostname(tn.host); err != nil {
		t.Errorf("a name that went away is still served: %v", err)
	}
}

func TestChallengePathAnswersNothingElse(t *testing.T) {
	tn := newTown(t)
	c := tn.open(tn.options(t.TempDir()))
	tn.serve(c)
	for path, want := range map[string]int{"/.well-known/acme-challenge/x": 404, "/": 200} {
		r, err := http.Get("http://" + tn.doors["http"].Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, r.StatusCode, want)
		}
	}
}
