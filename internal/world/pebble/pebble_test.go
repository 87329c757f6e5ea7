package pebble

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/letsencrypt/pebble/v2/core"
)

// TestAuthority asks for the directory and a nonce, and for an order while the
// authority is spoilt. Whole issuances are tested in acme.
func TestAuthority(t *testing.T) {
	t.Parallel()
	a := New(Options{Resolver: "127.0.0.1:1", HTTP: 1, TLS: 1})
	t.Cleanup(a.Close)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(a.Roots)) {
		t.Fatal("no roots")
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	t.Cleanup(client.CloseIdleConnections)
	get := func(url string) (status int, text string) {
		t.Helper()
		r, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(b)
	}
	status, text := get(a.URL)
	var directory struct {
		NewOrder string `json:"newOrder"`
		Meta     struct {
			CAA []string `json:"caaIdentities"`
		} `json:"meta"`
	}
	if err := json.Unmarshal([]byte(text), &directory); status != 200 || err != nil {
		t.Fatalf("%d %s %v", status, text, err)
	}
	if !strings.HasSuffix(directory.NewOrder, newOrder) || len(directory.Meta.CAA) != 1 || directory.Meta.CAA[0] != "ca.example" {
		t.Errorf("%+v", directory)
	}
	a.Refuse(429, "rateLimited", "too many")
	if status, text := get(directory.NewOrder); status != 429 || !strings.Contains(text, `"urn:ietf:params:acme:error:rateLimited"`) {
		t.Errorf("%d %s", status, text)
	}
	a.Heal()
	if status, text := get(directory.NewOrder); status == 429 || strings.Contains(text, "rateLimited") {
		t.Errorf("healed: %d %s", status, text)
	}
	if a.Orders() != 2 {
		t.Errorf("%d orders", a.Orders())
	}
}

// One renewal in 256 was refused: the order that it replaces was not found.
func TestSerialNumbersWithTheirHighestBit(t *testing.T) {
	t.Parallel()
	a := New(Options{Resolver: "127.0.0.1:1", HTTP: 1, TLS: 1})
	t.Cleanup(a.Close)
	for id, serial := range map[string]int64{"high": 0x8cd1d56221b83a, "low": 0x0cd1d56221b83a} {
		hex := strconv.FormatInt(serial, 16)
		if len(hex)%2 == 1 {
			hex = "0" + hex
		}
		o := &core.Order{ID: id, AccountID: "us", CertificateObject: &core.Certificate{ID: hex, Cert: &x509.Certificate{SerialNumber: big.NewInt(serial)}}}
		if _, err := a.store.AddOrder(o); err != nil {
			t.Fatal(err)
		}
		if err := a.store.AddOrderByIssuedSerial(o); err != nil {
			t.Fatal(err)
		}
		a.finalized = append(a.finalized, id)
	}
	a.finalized = append(a.finalized, "unknown")
	a.index()
	for serial, want := range map[string]bool{"008cd1d56221b83a": true, "8cd1d56221b83a": true, "0cd1d56221b83a": true, "000cd1d56221b83a": false} {
		if _, err := a.store.GetOrderByIssuedSerial(serial); (err == nil) != want {
			t.Errorf("%s: %v", serial, err)
		}
	}
	if len(a.finalized) != 0 {
		t.Errorf("left: %v", a.finalized)
	}
}
