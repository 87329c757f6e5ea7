package app

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"mailstead/acme"
	"mailstead/internal/config"
	"mailstead/internal/control"
	"mailstead/internal/world"
	"mailstead/internal/world/pebble"
)

func TestMain(m *testing.M) {
	pebble.Environment()
	os.Exit(m.Run())
}

// house is a whole server in a small world with a CA.
type house struct {
	*testing.T
	app   *App
	world *world.World
	ca    *pebble.Authority
	stop  func() error
	said  *logged
}

// logged is what the server logs.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func startHouse(t *testing.T, domain string) *house {
	t.Helper()
	w, err := world.New(world.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	zone := "@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\n@ MX 10 mail\nmail A 127.0.0.1\n"
	for _, name := range []string{"mta-sts", "autoconfig", "autodiscover"} {
		zone += name + " CNAME mail\n"
	}
	if err := w.Zone(domain, zone); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Hostname, cfg.Data, cfg.DNS.Resolver = "mail."+domain, t.TempDir(), w.Resolver()
	for _, door := range []*[]string{
		&cfg.Listen.SMTP, &cfg.Listen.Submission, &cfg.Listen.Submissions, &cfg.Listen.IMAP, &cfg.Listen.IMAPS,
		&cfg.Listen.HTTP, &cfg.Listen.HTTPS, &cfg.Listen.Metrics,
	} {
		*door = []string{"127.0.0.1:0"}
	}
	said := &logged{}
	log := slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelDebug}))
	a, err := New(t.Context(), Options{Config: cfg, Log: log, Dial: w.Dial, Port: w.Port, Roots: w.CA})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	h := &house{T: t, app: a, world: w, said: said}
	stopped := false
	h.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if err := h.stop(); err != nil {
			t.Error(err)
		}
		if err := a.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	h.ca = pebble.New(pebble.Options{Resolver: w.Resolver(), HTTP: h.port("http"), TLS: h.port("https")})
	t.Cleanup(h.ca.Close)
	return h
}

func (h *house) port(door string) int { return h.app.Addr(door).(*net.TCPAddr).Port }

func do[Out any](h *house, name string, in any) Out {
	h.Helper()
	out, err := control.Call[Out](h.Context(), h.app.socket.Ops, name, in)
	if err != nil {
		h.Fatalf("%s: %v", name, err)
	}
	return out
}

func statusOf(all control.Certificates, name string) acme.Status {
	for _, s := range all.Names {
		if s.Name == name {
			return s
		}
	}
	return acme.Status{}
}

// browser believes the CA, and finds every name at our doors.
func (h *house) browser() *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			ForceAttemptHTTP2: true,
			TLSClientConfig:   &tls.Config{RootCAs: h.ca.CA},
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				door := "http"
				if strings.HasSuffix(address, ":443") {
					door = "https"
				}
				return new(net.Dialer).DialContext(ctx, network, h.app.Addr(door).String())
			},
		},
	}
}

func (h *house) get(b *http.Client, url string) (*http.Response, string) {
	h.Helper()
	r, err := b.Get(url)
	if err != nil {
		h.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		h.Fatal(err)
	}
	return r, string(text)
}

// startTLS gives the key that port 25 shows, as a TLSA record has it.
func (h *house) startTLS() string {
	h.Helper()
	c, err := smtp.Dial(h.app.Addr("smtp").String())
	if err != nil {
		h.Fatal(err)
	}
	defer c.Close()
	if err := c.StartTLS(&tls.Config{RootCAs: h.ca.CA, ServerName: h.app.Config.Hostname}); err != nil {
		h.Fatal(err)
	}
	state, _ := c.TLSConnectionState()
	sum := sha256.Sum256(state.PeerCertificates[0].RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

func TestCertificatesReachEveryDoor(t *testing.T) {
	const domain = "doors.test"
	h := startHouse(t, domain)
	do[control.Domain](h, "domain.add", control.OneDomain{Name: domain})
	on := true
	do[control.Certificates](h, "certificate.set", control.CertificateChange{Enabled: &on, CA: &h.ca.URL, Roots: &h.ca.Roots})
	got := do[control.Certificates](h, "certificate.obtain", control.CertificateNames{})
	if len(got.Names) != 4 {
		t.Errorf("names %+v", got.Names)
	}
	for _, n := range got.Names {
		if n.Origin != acme.FromACME || n.Problem != nil {
			t.Errorf("%s: from %s, %v", n.Name, n.Origin, n.Problem)
		}
	}

	// A name that was not there a moment ago comes when it is published.
	do[control.Domain](h, "domain.add", control.OneDomain{Name: "late.test"})
	got = do[control.Certificates](h, "certificate.obtain", control.CertificateNames{})
	if p := statusOf(got, "mta-sts.late.test").Problem; p == nil || p.Kind != acme.DNSProblem {
		t.Errorf("a name without an address: %v", p)
	}
	if err := h.world.Zone("late.test", "@ NS ns\nmta-sts A 127.0.0.1\n"); err != nil {
		t.Fatal(err)
	}
	got = do[control.Certificates](h, "certificate.obtain", control.CertificateNames{Names: []string{"mta-sts.late.test"}})
	if s := statusOf(got, "mta-sts.late.test"); s.Problem != nil || s.Origin != acme.FromACME {
		t.Errorf("after it was published: %+v", s)
	}

	b := h.browser()
	r, text := h.get(b, "https://mta-sts."+domain+"/.well-known/mta-sts.txt")
	if r.StatusCode != 200 || r.ProtoMajor != 2 || !strings.Contains(text, "mx: mail."+domain) {
		t.Errorf("%s %s\n%s", r.Proto, r.Status, text)
	}
	if r, _ := h.get(b, "https://mail."+domain+"/.well-known/mta-sts.txt"); r.StatusCode != 404 {
		t.Errorf("another name has a policy: %s", r.Status)
	}
	if r, _ := h.get(b, "http://autoconfig."+domain+"/x?y=1"); r.Header.Get("Location") != "https://autoconfig."+domain+"/x?y=1" {
		t.Errorf("%s %s", r.Status, r.Header.Get("Location"))
	}

	// What the DNS is to say follows the key that is shown, through a roll too.
	for round := range 2 {
		shown := h.startTLS()
		deadline := time.Now().Add(time.Minute)
		for {
			fact, err := h.app.Wanted.Certificate(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(fact.TLSA) == 2 && fact.TLSA[0] == shown && fact.Issuer == "ca.example" && fact.AccountURI != "" {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("round %d: shown %s, facts %+v", round, shown, fact)
			}
			time.Sleep(20 * time.Millisecond)
		}
		if round == 0 {
			next := do[control.Certificates](h, "certificate.roll", control.CertificateNames{Names: []string{h.app.Config.Hostname}})
			if h.startTLS() == shown || next.TLSA[0] != h.startTLS() {
				t.Error("the rolled key does not reach port 25")
			}
		}
	}

	// A browser that rests does not hold up the stop.
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	if said := h.said.String(); strings.Contains(said, "sessions cut at the stop") {
		t.Errorf("the stop waited for its grace to end:\n%s", said)
	}
}

func TestRollIsHeldBackByWhatTheWorldSees(t *testing.T) {
	const domain = "held.test"
	h := startHouse(t, domain)
	host := h.app.Config.Hostname
	tlsa, err := h.app.cert.TLSA(host)
	if err != nil {
		t.Fatal(err)
	}
	publish := func(hashes ...string) {
		zone := "@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nmail A 127.0.0.1\n"
		for _, hash := range hashes {
			zone += fmt.Sprintf("_25._tcp.mail TLSA 3 1 1 %s\n", hash)
		}
		if err := h.world.Zone(domain, zone); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		hashes []string
		want   string
	}{
		{tlsa[:1], "not published"},
		{tlsa, "servers may remember the old answer"},
	} {
		publish(tt.hashes...)
		_, err := control.Call[control.Certificates](t.Context(), h.app.socket.Ops, "certificate.roll", control.CertificateNames{Names: []string{host}})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("with %d records: %v", len(tt.hashes), err)
		}
	}
	publish()
	do[control.Certificates](h, "certificate.roll", control.CertificateNames{Names: []string{host}})
}

// Another web server on port 80 kept mail from starting.
func TestTakenWebPortKeepsMailGoing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := config.Default()
	cfg.Hostname, cfg.Data = "mail.taken.test", t.TempDir()
	free := []string{"127.0.0.1:0"}
	cfg.Listen = config.Listen{SMTP: free, HTTP: []string{l.Addr().String()}, HTTPS: free}
	a, err := New(t.Context(), Options{Config: cfg})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close(context.Background())
	if err := a.Listen(); err != nil {
		t.Fatal(err)
	}
	defer a.shutdown()
	if a.Addr("smtp") == nil || a.Addr("https") == nil || a.Addr("http") != nil {
		t.Errorf("smtp %v, https %v, http %v", a.Addr("smtp"), a.Addr("https"), a.Addr("http"))
	}
	if len(a.Closed) != 1 || a.Closed[0].Name != "http" {
		t.Errorf("%+v", a.Closed)
	}
}

// TestRedirectOfAnIPv6Address: its brackets stay, or the browser reads a port.
func TestRedirectOfAnIPv6Address(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"[2001:db8::25]":    "https://[2001:db8::25]/x?y",
		"[2001:db8::25]:80": "https://[2001:db8::25]/x?y",
		"example.org:8080":  "https://example.org/x?y",
	} {
		r := httptest.NewRequest(http.MethodGet, "/x?y", nil)
		r.Host = host
		w := httptest.NewRecorder()
		toHTTPS(w, r)
		if got := w.Header().Get("Location"); got != want {
			t.Errorf("%s leads to %s", host, got)
		}
	}
}
