package app

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"mailstead/internal/config"
	"mailstead/internal/control"
)

// pagesServer runs a server over a data directory until stop.
func pagesServer(t *testing.T, data string) (a *App, stop func()) {
	t.Helper()
	cfg := config.Default()
	cfg.Hostname, cfg.Data, cfg.DNS.Resolver = "mail.example.org", data, "127.0.0.1:1"
	free := []string{"127.0.0.1:0"}
	cfg.Listen = config.Listen{SMTP: free, HTTPS: free}
	a, err := New(t.Context(), Options{Config: cfg, Version: "test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	return a, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := a.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

// TestPagesBehindTheDoor signs in over TLS, and is still signed in after a restart.
func TestPagesBehindTheDoor(t *testing.T) {
	t.Parallel()
	const password = "correct horse battery"
	data := t.TempDir()
	a, stop := pagesServer(t, data)
	for _, do := range []struct {
		name string
		in   any
	}{
		{"domain.add", control.OneDomain{Name: "example.org"}},
		{"account.add", control.NewAccount{Address: "alice@example.org", Password: password, Operator: true}},
	} {
		if err := a.socket.Ops.Do(t.Context(), do.name, do.in, nil); err != nil {
			t.Fatal(err)
		}
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	to := a.Addr("https").String()
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, to)
		},
	}
	browser := &http.Client{Jar: jar, Transport: transport}
	get := func(r *http.Response, err error) (int, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(r.Header.Get("Content-Security-Policy"), "default-src 'none'") || r.Header.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s: %v", r.Request.URL, r.Header) // nobody vouches for the certificate
		}
		return r.StatusCode, string(b)
	}
	if code, text := get(browser.Get("https://mail.example.org/")); code != 200 || !strings.Contains(text, "<h1>Sign in</h1>") {
		t.Errorf("%d %s", code, text)
	}
	form := url.Values{"address": {"alice@example.org"}, "password": {password}}
	if code, text := get(browser.PostForm("https://mail.example.org/sign-in", form)); code != 200 || !strings.Contains(text, "Nobody has looked yet") || !strings.Contains(text, "Records of example.org") {
		t.Errorf("%d %s", code, text)
	}
	if code, _ := get(browser.Get("https://mta-sts.example.org/.well-known/mta-sts.txt")); code != 200 {
		t.Errorf("the policy of MTA-STS: %d", code)
	}
	if code, _ := get(browser.Get("https://mta-sts.example.org/admin")); code != 404 {
		t.Errorf("a page under another name: %d", code)
	}

	transport.CloseIdleConnections()
	stop()
	a, stop = pagesServer(t, data)
	defer stop()
	defer transport.CloseIdleConnections()
	to = a.Addr("https").String()
	if code, text := get(browser.Get("https://mail.example.org/admin")); code != 200 || !strings.Contains(text, "alice@example.org") {
		t.Errorf("after a restart: %d %s", code, text)
	}
}
