package listen

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

type handlerFunc func(ctx context.Context, c *Conn)

func (f handlerFunc) ServeConn(ctx context.Context, c *Conn) { f(ctx, c) }

// start serves s on a free port until the test ends.
func start(t *testing.T, s *Server) string {
	t.Helper()
	s.Name = "test"
	s.Addrs = []string{"127.0.0.1:0"}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		s.Shutdown(ctx)
		s.Shutdown(context.Background()) // nothing outlives the test
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s.Bound()[0].String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return c
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func echo(ctx context.Context, c *Conn) { io.Copy(c, c) }

func TestLimitOfAllConnections(t *testing.T) {
	addr := start(t, &Server{Handler: handlerFunc(echo), MaxConns: 1, Busy: "421 4.3.2 busy"})
	first := dial(t, addr)
	first.Write([]byte("x"))
	io.ReadFull(first, make([]byte, 1))
	got, _ := io.ReadAll(dial(t, addr))
	if diff := cmp.Diff("421 4.3.2 busy\r\n", string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestLimitPerNetwork(t *testing.T) {
	s := &Server{Handler: handlerFunc(echo), MaxPerNet: 1, Busy: "421 4.3.2 busy",
		Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	addr := start(t, s)
	from := func(a string) net.Conn {
		c := dial(t, addr)
		c.Write(proxyHeader(netip.MustParseAddrPort(a)))
		c.Write([]byte("x"))
		return c
	}
	answer := func(c net.Conn) string {
		l := make([]byte, 1)
		io.ReadFull(c, l)
		return string(l)
	}
	a := from("192.0.2.1:1")
	if got := answer(a); got != "x" {
		t.Fatalf("first connection: %q", got)
	}
	if got := answer(from("192.0.2.200:1")); got != "4" {
		t.Errorf("second of one network: %q", got)
	}
	if got := answer(from("192.0.3.1:1")); got != "x" {
		t.Errorf("other network: %q", got)
	}
	a.Close()
	for s.perNetOf("192.0.2.0/24") > 0 {
		time.Sleep(time.Millisecond)
	}
	if got := answer(from("192.0.2.2:1")); got != "x" {
		t.Errorf("after the first went: %q", got)
	}
}

func (s *Server) perNetOf(p string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.perNet[netip.MustParsePrefix(p)]
}

func proxyHeader(a netip.AddrPort) []byte {
	b := append([]byte{}, proxySignature...)
	b = append(b, 0x21, 0x11, 0, 12)
	ip := a.Addr().As4()
	b = append(b, ip[:]...)
	b = append(b, 127, 0, 0, 1, byte(a.Port()>>8), byte(a.Port()), 0, 25)
	return b
}

func TestProxyHeader(t *testing.T) {
	good := string(proxyHeader(netip.MustParseAddrPort("192.0.2.1:4660")))
	for _, tt := range []struct{ name, in, want string }{
		{"tcp4", good, "192.0.2.1:4660"},
		{"local", strings.Replace(good, "\x21\x11", "\x20\x00", 1), "invalid AddrPort"},
		{"unix", strings.Replace(good, "\x21\x11", "\x21\x31", 1), "invalid AddrPort"},
		{"version 1", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "error"},
		{"short body", strings.Replace(good, "\x00\x0c", "\x00\x04", 1), "error"},
		{"cut", good[:20], "error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := "error"
			if a, err := readProxyHeader(strings.NewReader(tt.in)); err == nil {
				got = a.String()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestProxyOnlyFromItsNetworks(t *testing.T) {
	addr := start(t, &Server{Handler: handlerFunc(func(ctx context.Context, c *Conn) {
		io.WriteString(c, c.Remote().Addr().String()+"\n")
	})})
	c := dial(t, addr)
	c.Write(proxyHeader(netip.MustParseAddrPort("192.0.2.1:1")))
	if got, _ := bufio.NewReader(c).ReadString('\n'); got != "127.0.0.1\n" {
		t.Errorf("address taken from a stranger's header: %q", got)
	}
}

func TestShutdownWakesIdleAndWaitsForBusy(t *testing.T) {
	busy, release := make(chan bool), make(chan bool)
	s := &Server{Handler: handlerFunc(func(ctx context.Context, c *Conn) {
		p := make([]byte, 1)
		if c.Read(p); p[0] == 'b' {
			busy <- true
			<-release
			io.WriteString(c, "done")
			return
		}
		c.SetIdle(true)
		busy <- true
		if _, err := c.Read(p); errors.Is(err, ErrShutdown) && ctx.Err() != nil {
			io.WriteString(c, "bye")
		}
	})}
	addr := start(t, s)
	b, i := dial(t, addr), dial(t, addr)
	b.Write([]byte("b"))
	i.Write([]byte("i"))
	<-busy
	<-busy
	result := make(chan error)
	go func() { result <- s.Shutdown(t.Context()) }()
	if got, _ := io.ReadAll(i); string(got) != "bye" {
		t.Errorf("idle connection read %q", got)
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("still accepting")
	}
	close(release)
	if got, _ := io.ReadAll(b); string(got) != "done" {
		t.Errorf("busy connection read %q", got)
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func TestShutdownClosesAfterItsBound(t *testing.T) {
	s := &Server{Handler: handlerFunc(echo)}
	c := dial(t, start(t, s))
	c.Write([]byte("x"))
	io.ReadFull(c, make([]byte, 1))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("connection still open")
	}
}

func TestPanicEndsOneConnection(t *testing.T) {
	var log strings.Builder
	s := &Server{Log: slog.New(slog.NewTextHandler(&log, nil)), Handler: handlerFunc(func(ctx context.Context, c *Conn) {
		p := make([]byte, 1)
		if c.Read(p); p[0] == 'p' {
			panic("boom")
		}
		c.Write(p)
	})}
	addr := start(t, s)
	bad := dial(t, addr)
	bad.Write([]byte("p"))
	io.ReadAll(bad)
	good := dial(t, addr)
	good.Write([]byte("x"))
	if got, _ := io.ReadAll(good); string(got) != "x" {
		t.Errorf("after a panic: %q", got)
	}
	s.Shutdown(t.Context())
	if n := strings.Count(log.String(), "panic in connection"); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

func TestHandshakeDeadline(t *testing.T) {
	served := false
	s := &Server{TLS: &tls.Config{Certificates: []tls.Certificate{certificate(t)}}, Handshake: 20 * time.Millisecond,
		Handler: handlerFunc(func(context.Context, *Conn) { served = true })}
	c := dial(t, start(t, s))
	if got, err := io.ReadAll(c); err != nil || len(got) > 0 || served {
		t.Errorf("silent client: %q, %v, served %v", got, err, served)
	}
}

func TestBindings(t *testing.T) {
	cert := certificate(t)
	got := make(chan map[string][]byte, 1)
	s := &Server{TLS: &tls.Config{Certificates: []tls.Certificate{cert}},
		Handler: handlerFunc(func(ctx context.Context, c *Conn) { got <- c.Bindings() })}
	c, err := tls.Dial("tcp", start(t, s), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	st := c.ConnectionState()
	exporter, err := st.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(cert.Certificate[0])
	want := map[string][]byte{"tls-exporter": exporter, "tls-server-end-point": sum[:]}
	if diff := cmp.Diff(want, <-got); diff != "" {
		t.Error(diff)
	}
}

func TestRollingDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer b.Close()
		c := NewConn(a)
		c.SetTimeout(time.Minute)
		go func() {
			for range 10 {
				time.Sleep(50 * time.Second)
				b.Write([]byte("x"))
			}
		}()
		start, p := time.Now(), make([]byte, 1)
		for range 10 {
			if _, err := c.Read(p); err != nil {
				t.Fatalf("after %v: %v", time.Since(start), err)
			}
		}
		start = time.Now()
		if _, err := c.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("silence: %v", err)
		}
		if d := time.Since(start); d < time.Minute || d > 64*time.Second {
			t.Errorf("silence ended after %v", d)
		}
	})
}

func TestPaceBoundsADrip(t *testing.T) {
	for _, tt := range []struct {
		name string
		rate int64
		want time.Duration // an octet every ten seconds ends after
	}{
		{"no credit", 0, time.Minute},
		{"an octet buys a second", 1, 65 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := net.Pipe()
				c := NewConn(a)
				c.SetPace(time.Minute, tt.rate)
				over := make(chan bool)
				go func() {
					defer close(over)
					for {
						time.Sleep(10 * time.Second)
						if _, err := b.Write([]byte("x")); err != nil {
							return
						}
					}
				}()
				start, p := time.Now(), make([]byte, 1)
				var err error
				for err == nil {
					_, err = c.Read(p)
				}
				if d := time.Since(start).Truncate(5 * time.Second); d != tt.want {
					t.Errorf("ended after %v, want %v (%v)", time.Since(start), tt.want, err)
				}
				c.Close()
				<-over
			})
		})
	}
}
