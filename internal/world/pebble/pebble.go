// Package pebble is the ACME authority of the small world, for tests: Let's
// Encrypt's Pebble in this process, on loopback. It looks names up in the
// world's DNS, proves them at the ports that it is told, and issues certificates
// that nobody outside trusts. A test can spoil its answers.
//
// No program imports it, so that Pebble is in no binary.
package pebble

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/core"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// Options of New.
type Options struct {
	Resolver  string // the world's DNS, "address:port"
	HTTP, TLS int    // where HTTP-01 and TLS-ALPN-01 are looked for
	Seconds   uint64 // how long certificates are good; 0 is 90 days
	CAA       string // its name in CAA records; "" is ca.example
	Listen    string // where its web server listens; "" is a free port of loopback
}

// Authority is one CA.
type Authority struct {
	URL   string         // of the directory
	Roots string         // PEM: what its web server is verified with
	CA    *x509.CertPool // what its certificates are verified with
	Root  string         // PEM: the same

	server *httptest.Server
	spoil  atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
	orders atomic.Int32

	store     *db.MemoryStore
	mu        sync.Mutex
	finalized []string // under mu: ids of orders not looked at by index
}

// Environment makes Pebble quick and predictable. It reads its environment when
// it is made, so this is for TestMain.
func Environment() {
	for k, v := range map[string]string{
		"PEBBLE_VA_NOSLEEP":      "1", // no pauses before a proof is looked for
		"PEBBLE_WFE_NONCEREJECT": "0", // no nonces refused at random
		"PEBBLE_AUTHZREUSE":      "0", // every order is proven
	} {
		os.Setenv(k, v)
	}
}

const (
	newOrder = "/order-plz"
	finalize = "/finalize-order/"
)

// New makes an authority and begins to serve it. Its web server calls itself
// example.com too, for a world in which that name leads to it. It panics where
// Listen is taken.
func New(o Options) *Authority {
	quiet := log.New(io.Discard, "", 0)
	if o.CAA == "" {
		o.CAA = "ca.example"
	}
	store := db.NewMemoryStore()
	issuer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: o.Seconds}})
	validator := va.New(quiet, o.HTTP, o.TLS, false, o.Resolver, store)
	front := wfe.New(quiet, store, validator, issuer, []string{o.CAA}, false, false, 0, 0)
	mux := front.Handler()
	a := &Authority{CA: x509.NewCertPool(), store: store}
	a.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id, ok := strings.CutPrefix(r.URL.Path, finalize); ok {
			a.mu.Lock()
			a.finalized = append(a.finalized, id)
			a.mu.Unlock()
		}
		if r.URL.Path == newOrder {
			a.orders.Add(1)
			a.index()
		}
		if f := a.spoil.Load(); f == nil || !(*f)(w, r) {
			mux.ServeHTTP(w, r)
		}
	}))
	a.server.Config.ErrorLog = quiet
	if o.Listen != "" {
		a.server.Listener.Close()
		l, err := net.Listen("tcp", o.Listen)
		if err != nil {
			panic(err) // as httptest does
		}
		a.server.Listener = l
	}
	a.server.StartTLS()
	a.URL = a.server.URL + wfe.DirectoryPath
	a.Roots = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.server.Certificate().Raw}))
	a.Root = string(issuer.GetRootCert(0).PEM())
	a.CA.AppendCertsFromPEM([]byte(a.Root))
	return a
}

// index makes Pebble find every order by the certificate that came of it. An
// order that replaces one names it by the octets of its serial number (RFC 9773,
// 4.1), of which the first is 0 where the second has its highest bit set; Pebble
// looks for the number, and refuses one renewal in 256.
func (a *Authority) index() {
	a.mu.Lock()
	defer a.mu.Unlock()
	var wait []string
	for _, id := range a.finalized {
		o := a.store.GetOrderByID(id)
		if o == nil {
			continue
		}
		o.RLock()
		account, order, cert := o.AccountID, o.Order, o.CertificateObject
		o.RUnlock()
		if cert == nil {
			wait = append(wait, id)
			continue
		}
		if cert.Cert.SerialNumber.Bytes()[0] < 0x80 {
			continue
		}
		octets := *cert
		octets.ID = "00" + cert.ID
		_ = a.store.AddOrderByIssuedSerial(&core.Order{ID: id, AccountID: account, Order: order, CertificateObject: &octets}) // it has one
	}
	a.finalized = wait
}

// Close ends it: from now on it cannot be reached.
func (a *Authority) Close() { a.server.Close() }

// Orders tells how many were asked for.
func (a *Authority) Orders() int { return int(a.orders.Load()) }

// Refuse makes it answer every new order with a problem of RFC 8555, 6.7, such
// as "caa" or "rateLimited"; Heal ends that.
func (a *Authority) Refuse(status int, kind, detail string) {
	f := func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, newOrder) {
			return false
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"type":"urn:ietf:params:acme:error:%s","detail":%q,"status":%d}`, kind, detail, status)
		return true
	}
	a.spoil.Store(&f)
}

// Heal ends Refuse.
func (a *Authority) Heal() { a.spoil.Store(nil) }
