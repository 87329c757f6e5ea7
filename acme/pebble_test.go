package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libdns/libdns"

	"mailstead/dns"
	"mailstead/internal/world"
	"mailstead/internal/world/pebble"
)

func TestMain(m *testing.M) {
	pebble.Environment()
	os.Exit(m.Run())
}

// towns are numbered: certmagic knows the challenges of a whole process by their
// names, so tests that run at once must not share one.
var towns atomic.Int32

// town is a small world with our web doors and as many authorities as a test
// wants.
type town struct {
	*testing.T
	world    *world.World
	resolver *dns.Client
	domain   string // t1.test
	host     string
	policy   string // mta-sts.t1.test
	doors    map[string]net.Listener

	mu   sync.Mutex
	zone []string // lines of domain
}

func newTown(t *testing.T) *town {
	t.Helper()
	w, err := world.New(world.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	resolver, err := dns.New(w.Resolver())
	if err != nil {
		t.Fatal(err)
	}
	resolver.CacheMax = 1
	domain := fmt.Sprintf("t%d.test", towns.Add(1))
	tn := &town{
		T: t, world: w, resolver: resolver, doors: map[string]net.Listener{},
		domain: domain, host: "mail." + domain, policy: "mta-sts." + domain,
	}
	for _, name := range []string{"http", "https"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		tn.doors[name] = l
		t.Cleanup(func() { l.Close() })
	}
	tn.edit(func(zone []string) []string {
		return []string{"@ SOA ns hostmaster 1 3600 600 86400 60", "@ NS ns", "ns A 127.0.0.1", "mail A 127.0.0.1", "mta-sts CNAME mail"}
	})
	return tn
}

func (tn *town) edit(change func([]string) []string) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	tn.zone = change(tn.zone)
	if err := tn.world.Zone(tn.domain, strings.Join(tn.zone, "\n")+"\n"); err != nil {
		tn.Error(err)
	}
}

func (tn *town) port(door string) int { return tn.doors[door].Addr().(*net.TCPAddr).Port }

func (tn *town) options(dir string) Options {
	return Options{
		Dir: dir, Hostname: tn.host, Log: slog.New(slog.NewTextHandler(tn.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
		Door:     func(name string) net.Addr { return tn.doors[name].Addr() },
		Resolver: tn.resolver, Server: tn.world.Resolver(),
		DNS: func(context.Context, string) (DNSProvider, bool, error) { return tn, true, nil },
	}
}

// serve opens both doors for c.
func (tn *town) serve(c *Certificates) {
	quiet := log.New(io.Discard, "", 0)
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "next") })
	plainDoor := &http.Server{Handler: c.HTTPHandler(next), ErrorLog: quiet}
	secureDoor := &http.Server{Handler: next, TLSConfig: c.WebConfig(), ErrorLog: quiet}
	go plainDoor.Serve(tn.doors["http"])
	go secureDoor.ServeTLS(tn.doors["https"], "", "")
	tn.Cleanup(func() { plainDoor.Close(); secureDoor.Close() })
}

func (tn *town) open(o Options) *Certificates {
	tn.Helper()
	c, err := Open(o)
	if err != nil {
		tn.Fatal(err)
	}
	tn.Cleanup(c.Close)
	return c
}

// shown is the certificate that a client gets who names name.
func (tn *town) shown(c *Certificates, name string) *x509.Certificate {
	tn.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	go tls.Server(theirs, c.Config()).Handshake()
	conn := tls.Client(ours, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err := conn.Handshake(); err != nil {
		tn.Fatal(err)
	}
	return conn.ConnectionState().PeerCertificates[0]
}

// AppendRecords implements DNSProvider in the world's zone.
func (tn *town) AppendRecords(_ context.Context, _ string, recs []libdns.Record) ([]libdns.Record, error) {
	tn.edit(func(zone []string) []string {
		for _, r := range recs {
			zone = append(zone, txtLine(r))
		}
		return zone
	})
	return recs, nil
}

// DeleteRecords implements DNSProvider.
func (tn *town) DeleteRecords(_ context.Context, _ string, recs []libdns.Record) ([]libdns.Record, error) {
	tn.edit(func(zone []string) []string {
		return slices.DeleteFunc(zone, func(line string) bool {
			return slices.ContainsFunc(recs, func(r libdns.Record) bool { return txtLine(r) == line })
		})
	})
	return recs, nil
}

func txtLine(r libdns.Record) string {
	rr := r.RR()
	return fmt.Sprintf("%s TXT %q", rr.Name, rr.Data)
}

func (tn *town) authority(seconds uint64) *pebble.Authority {
	a := pebble.New(pebble.Options{
		Resolver: tn.world.Resolver(), HTTP: tn.port("http"), TLS: tn.port("https"), Seconds: seconds,
	})
	tn.Cleanup(a.Close)
	return a
}

func settings(a *pebble.Authority, by Challenge) Settings {
	return Settings{Enabled: true, CA: a.URL, Roots: a.Roots, Challenge: by}
}

// waitFor looks again until it is so.
func waitFor(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !so() {
		if time.Now().After(deadline) {
			t.Fatalf("never came: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (tn *town) configure(c *Certificates, s Settings) {
	tn.Helper()
	if err := c.Configure(tn.Context(), s); err != nil {
		tn.Fatal(err)
	}
}
