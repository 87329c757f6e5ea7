package autoconfig

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstead/dns/zone"
	"mailstead/message"
)

var update = flag.Bool("update", false, "write the golden files anew")

// allDoors are those of a configuration that nobody changed.
func allDoors() []zone.Service {
	return []zone.Service{{Name: "_submissions", Port: 465}, {Name: "_submission", Port: 587}, {Name: "_imaps", Port: 993}, {Name: "_imap", Port: 143}}
}

// at is the time of all answers in tests.
func at() time.Time { return time.Date(2026, 5, 4, 13, 2, 1, 234567800, time.UTC) }

// newHandler makes a healthy one; without a test it has nothing to sign with.
func newHandler(t *testing.T) *Handler {
	var cert *tls.Certificate
	if t != nil {
		cert = certificate(t, ecdsaKey(t))
	}
	return &Handler{
		Host: "mail.example.org", Doors: allDoors, Now: at, Log: slog.New(slog.DiscardHandler),
		Local: func(_ context.Context, d message.Domain) (bool, error) {
			switch d {
			case "example.org", "xn--bcher-kva.example", "second.example":
				return true, nil
			case "broken.example":
				return false, errors.New("disk")
			}
			return false, nil
		},
		Sign: func() (*tls.Certificate, error) { return cert, nil },
	}
}

func ecdsaKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// site is the map that app makes of a Handler.
func site(h *Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+ConfigPath, h.Config)
	mux.HandleFunc("GET "+WellKnownPath, h.Config)
	mux.HandleFunc("GET "+AgentPath, h.Agent)
	mux.HandleFunc("GET "+ProfilePath, h.Profile)
	mux.HandleFunc(DiscoverPath, h.Discover)
	mux.HandleFunc("GET "+DiscoverV2, h.DiscoverJSON)
	mux.HandleFunc("GET "+DiscoverV2+"/{version}/{address}", h.DiscoverJSON)
	return Paths(mux)
}

func ask(h *Handler, method, url, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	site(h).ServeHTTP(w, httptest.NewRequest(method, url, strings.NewReader(body)))
	return w
}

// post is a request of Outlook.
func post(address, schema string) string {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request><EMailAddress>`)
	xml.EscapeText(&b, []byte(address))
	b.WriteString(`</EMailAddress><AcceptableResponseSchema>` + schema + `</AcceptableResponseSchema></Request></Autodiscover>`)
	return b.String()
}

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// wellFormed reads a document to its end.
func wellFormed(t *testing.T, text string) {
	t.Helper()
	for dec := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Errorf("not well formed: %v\n%s", err, text)
			return
		}
	}
}

func TestForms(t *testing.T) {
	h := newHandler(t)
	for _, tt := range []struct {
		golden, method, url, body, kind string
		status                          int
	}{
		{"config.xml", "GET", "https://autoconfig.example.org/mail/config-v1.1.xml?emailaddress=alice%40example.org", "", "text/xml; charset=utf-8", 200},
		{"config.xml", "GET", "https://AutoConfig.Example.org:443/mail/config-v1.1.xml", "", "text/xml; charset=utf-8", 200},
		{"config.xml", "GET", "https://example.org/.well-known/autoconfig/mail/config-v1.1.xml", "", "text/xml; charset=utf-8", 200},
		{"config.xml", "GET", "https://mail.example.org/.well-known/autoconfig/mail/config-v1.1.xml", "", "text/xml; charset=utf-8", 200},
		{"config.xml", "GET", "https://autoconfig.second.example/mail/config-v1.1.xml?emailaddress=a@EXAMPLE.org", "", "text/xml; charset=utf-8", 200},
		{"config-idn.xml", "GET", "https://autoconfig.xn--bcher-kva.example/mail/config-v1.1.xml", "", "text/xml; charset=utf-8", 200},
		{"config-idn.xml", "GET", "https://mail.example.org/mail/config-v1.1.xml?emailaddress=" + url.QueryEscape("jörg@Bücher.example"), "", "text/xml; charset=utf-8", 200},
		{"outlook.xml", "POST", "https://autodiscover.example.org/autodiscover/autodiscover.xml", post("alice@example.org", nsOutlook), "text/xml; charset=utf-8", 200},
		{"outlook.xml", "POST", "https://example.org/AUTODISCOVER/AutoDiscover.xml", post(" alice@example.org ", nsOutlook), "text/xml; charset=utf-8", 200},
		{"outlook-idn.xml", "POST", "https://mail.example.org/Autodiscover/Autodiscover.xml", post("jörg@bücher.example", nsOutlook), "text/xml; charset=utf-8", 200},
		{"mobilesync.xml", "POST", "https://autodiscover.example.org/autodiscover/autodiscover.xml", post("alice@example.org", nsMobileSync), "text/xml; charset=utf-8", 200},
		{"schema.xml", "POST", "https://autodiscover.example.org/autodiscover/autodiscover.xml", post("alice@example.org", "urn:other"), "text/xml; charset=utf-8", 200},
		{"invalid.xml", "GET", "https://autodiscover.example.org/autodiscover/autodiscover.xml", "", "text/xml; charset=utf-8", 200},
		{"invalid.xml", "POST", "https://autodiscover.example.org/autodiscover/autodiscover.xml", "nonsense", "text/xml; charset=utf-8", 200},
		{"invalid.xml", "POST", "https://autodiscover.example.org/autodiscover/autodiscover.xml", post("", nsOutlook), "text/xml; charset=utf-8", 200},
		{"invalid.xml", "POST", "https://autodiscover.example.org/autodiscover/autodiscover.xml", post("no address", nsOutlook), "text/xml; charset=utf-8", 200},
		{"v2.json", "GET", "https://autodiscover.example.org/autodiscover/autodiscover.json?Email=alice@example.org&Protocol=AutodiscoverV1", "", "application/json; charset=utf-8", 200},
		{"v2.json", "GET", "https://autodiscover.example.org/Autodiscover/AutoDiscover.json/v1.0/alice@example.org?protocol=autodiscoverv1&RedirectCount=1", "", "application/json; charset=utf-8", 200},
		{"v2-unknown.json", "GET", "https://autodiscover.example.org/autodiscover/autodiscover.json?Email=alice@example.org&Protocol=ActiveSync", "", "application/json; charset=utf-8", 400},
		{"v2-missing.json", "GET", "https://autodiscover.example.org/autodiscover/autodiscover.json?Email=alice@example.org", "", "application/json; charset=utf-8", 400},
		{"agent.json", "GET", "https://ua-auto-config.example.org/.well-known/user-agent-configuration.json", "", "application/json; charset=utf-8", 200},
		{"agent.json", "GET", "https://autoconfig.example.org/.well-known/user-agent-configuration.json", "", "application/json; charset=utf-8", 200},
	} {
		w := ask(h, tt.method, tt.url, tt.body)
		if w.Code != tt.status || w.Header().Get("Content-Type") != tt.kind || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: %d %v\n%s", tt.method, tt.url, w.Code, w.Header(), w.Body)
			continue
		}
		golden(t, tt.golden, w.Body.String())
		if strings.HasSuffix(tt.golden, ".xml") {
			wellFormed(t, w.Body.String())
		} else if !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: not JSON: %s", tt.url, w.Body)
		}
	}
}

// What is not ours, or no address, is told nothing.
func TestRefused(t *testing.T) {
	h := newHandler(t)
	discover := "https://autodiscover.example.org/autodiscover/autodiscover.xml"
	for _, tt := range []struct {
		method, url, body string
		status            int
	}{
		{"GET", "https://autoconfig.example.net/mail/config-v1.1.xml", "", 404},
		{"GET", "https://autoconfig.example.org/mail/config-v1.1.xml?emailaddress=a@example.net", "", 404},
		{"GET", "https://autoconfig.deep.example.org/mail/config-v1.1.xml", "", 404},
		{"GET", "https://example.org/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=a@example.net", "", 404},
		{"GET", "https://192.0.2.1/mail/config-v1.1.xml", "", 404},
		{"GET", "https://[2001:db8::1]:443/mail/config-v1.1.xml", "", 404},
		{"GET", "https://autoconfig./mail/config-v1.1.xml", "", 404},
		{"GET", "https://autoconfig.example.org/mail/config-v1.1.xml?emailaddress=postmaster", "", 400},
		{"GET", "https://autoconfig.example.org/mail/config-v1.1.xml?emailaddress=alice", "", 400},
		{"GET", "https://autoconfig.example.org/mail/config-v1.1.xml?emailaddress=a@[192.0.2.1]", "", 400},
		{"GET", "https://autoconfig.example.org/mail/config-v1.1.xml?emailaddress=" + strings.Repeat("a", 600) + "@example.org", "", 400},
		{"GET", "https://autoconfig.example.org/mail/config-v1.1.xml?emailaddress=a%0d%0ab@example.org", "", 400},
		{"GET", "https://autoconfig.example.org/mail/config-v1.1.xml?emailaddress=a%E2%80%AEb@example.org", "", 400}, // right-to-left override
		{"GET", "https://autoconfig.example.org/mail/config-v1.1.xml?emailaddress=%FF@example.org", "", 400},
		{"GET", "https://autoconfig.broken.example/mail/config-v1.1.xml", "", 500},
		{"GET", "https://autoconfig.example.org/profile.mobileconfig", "", 400},
		{"GET", "https://autoconfig.example.org/profile.mobileconfig?address=a@example.net", "", 404},
		{"GET", "https://autoconfig.example.net/.well-known/user-agent-configuration.json", "", 404},
		{"GET", "https://autodiscover.example.org/autodiscover/autodiscover.json?Email=a@example.net&Protocol=Rest", "", 404},
		{"POST", discover, post("a@example.net", nsOutlook), 404},
		{"POST", discover, post("a@example.net", nsMobileSync), 404},
		{"POST", "https://autoconfig.example.org/mail/config-v1.1.xml", "", 405},
	} {
		w := ask(h, tt.method, tt.url, tt.body)
		if w.Code != tt.status {
			t.Errorf("%s %s: %d %s", tt.method, tt.url, w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), "example.n") || strings.Contains(w.Body.String(), "disk") {
			t.Errorf("%s %s says %q", tt.method, tt.url, w.Body)
		}
	}
}

// A request in XML is a plain one, or none.
func TestPlainXML(t *testing.T) {
	const head, tail = `<Autodiscover><Request><EMailAddress>`, `</EMailAddress></Request></Autodiscover>`
	for _, tt := range []struct {
		name, body string
		ok         bool
	}{
		{"plain", head + "a@example.org" + tail, true},
		{"prefixed", `<x:Autodiscover xmlns:x="urn:x"><x:Request><x:EMailAddress>a@example.org</x:EMailAddress></x:Request></x:Autodiscover>`, true},
		{"comment", "<!-- a -->" + head + "a@example.org" + tail + "\n<!-- b -->", true},
		{"entity", `<!DOCTYPE x [<!ENTITY a "a@example.org">]>` + head + "&a;" + tail, false},
		{"doctype alone", `<!DOCTYPE x>` + head + "a@example.org" + tail, false},
		{"doctype behind", head + "a@example.org" + tail + `<!DOCTYPE x>`, false},
		{"outer entity", `<!DOCTYPE x SYSTEM "file:///etc/passwd">` + head + "a@example.org" + tail, false},
		{"unknown entity", head + "&a;@example.org" + tail, false},
		{"two documents", head + "a@example.org" + tail + "<x/>", false},
		{"cut", head + "a@example.org", false},
		{"other encoding", `<?xml version="1.0" encoding="utf-7"?>` + head + "a@example.org" + tail, false},
		{"too long", head + "a@example.org" + tail + strings.Repeat(" ", maxRequest), false},
		{"deep", strings.Repeat("<a>", maxRequest/8) + strings.Repeat("</a>", maxRequest/8), false},
		{"empty", "", false},
	} {
		w := ask(newHandler(t), "POST", "https://autodiscover.example.org"+DiscoverPath, tt.body)
		if ok := strings.Contains(w.Body.String(), "<Action>settings</Action>"); ok != tt.ok || w.Code != 200 || !ok && !strings.Contains(w.Body.String(), "<ErrorCode>600<") {
			t.Errorf("%s: %d\n%s", tt.name, w.Code, w.Body)
		}
	}
}

// Only what is on is served, and nothing where one direction is off.
func TestDoors(t *testing.T) {
	config := "https://autoconfig.example.org" + ConfigPath
	for _, tt := range []struct {
		name   string
		doors  []zone.Service
		in     []string
		out    []string
		agent  int
		status int
	}{
		{"all", allDoors(), []string{"993 SSL", "143 STARTTLS"}, []string{"465 SSL", "587 STARTTLS"}, 200, 200},
		{"implicit alone", []zone.Service{{Name: "_imaps", Port: 993}, {Name: "_submissions", Port: 465}}, []string{"993 SSL"}, []string{"465 SSL"}, 200, 200},
		{"STARTTLS alone", []zone.Service{{Name: "_imap", Port: 143}, {Name: "_submission", Port: 587}}, []string{"143 STARTTLS"}, []string{"587 STARTTLS"}, 404, 200},
		{"other ports", []zone.Service{{Name: "_imaps", Port: 10993}, {Name: "_submission", Port: 2587}}, []string{"10993 SSL"}, []string{"2587 STARTTLS"}, 404, 200},
		{"no sending", []zone.Service{{Name: "_imaps", Port: 993}}, nil, nil, 404, 404},
		{"no reading", []zone.Service{{Name: "_submissions", Port: 465}, {Name: "_imaps", Port: 0}}, nil, nil, 404, 404},
	} {
		h := newHandler(t)
		h.Doors = func() []zone.Service { return tt.doors }
		w := ask(h, "GET", config, "")
		if w.Code != tt.status {
			t.Errorf("%s: %d", tt.name, w.Code)
		}
		type server struct {
			Host   string `xml:"hostname"`
			Port   string `xml:"port"`
			Socket string `xml:"socketType"`
			User   string `xml:"username"`
		}
		var got struct {
			In  []server `xml:"emailProvider>incomingServer"`
			Out []server `xml:"emailProvider>outgoingServer"`
		}
		if w.Code == 200 {
			if err := xml.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
		}
		flat := func(list []server) (s []string) {
			for _, v := range list {
				if v.Host != "mail.example.org" || v.User != "%EMAILADDRESS%" {
					t.Errorf("%s: %+v", tt.name, v)
				}
				s = append(s, v.Port+" "+v.Socket)
			}
			return s
		}
		if diff := cmp.Diff([][]string{tt.in, tt.out}, [][]string{flat(got.In), flat(got.Out)}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if w := ask(h, "GET", "https://autoconfig.example.org"+AgentPath, ""); w.Code != tt.agent {
			t.Errorf("%s: PACC %d", tt.name, w.Code)
		}
	}
}

// Two addresses of a domain get the same, but for the address itself.
func TestAddressesTellNothing(t *testing.T) {
	h := newHandler(t)
	forms := map[string]func(address string) *httptest.ResponseRecorder{
		"config": func(a string) *httptest.ResponseRecorder {
			return ask(h, "GET", "https://autoconfig.example.org"+ConfigPath+"?emailaddress="+url.QueryEscape(a), "")
		},
		"outlook": func(a string) *httptest.ResponseRecorder {
			return ask(h, "POST", "https://example.org"+DiscoverPath, post(a, nsOutlook))
		},
		"v2": func(a string) *httptest.ResponseRecorder {
			return ask(h, "GET", "https://example.org"+DiscoverV2+"?Protocol=AutodiscoverV1&Email="+url.QueryEscape(a), "")
		},
	}
	for name, form := range forms {
		one, other := form("alice@example.org"), form("nobo@example.org")
		same := strings.ReplaceAll(one.Body.String(), "alice@", "nobo@")
		if same != other.Body.String() || one.Code != other.Code {
			t.Errorf("%s: %s\n%s", name, one.Body, other.Body)
		}
		for _, field := range []string{"Content-Type", "Cache-Control", "Content-Disposition"} {
			if one.Header().Get(field) != other.Header().Get(field) {
				t.Errorf("%s: %s differs", name, field)
			}
		}
	}
}

// Quotes, brackets and other alphabets stay what they are in every format.
func TestHostileAddresses(t *testing.T) {
	h := newHandler(t)
	for _, local := range []string{`"<x>&'\"]]>"`, `"a b"`, "a&b", "a'b", "日本", "%EMAILADDRESS%", `"</string><key>x"`, strings.Repeat("a", 128)} {
		address := local + "@bücher.example"
		who, err := message.ParseAddress(address)
		if err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		w := ask(h, "POST", "https://example.org"+DiscoverPath, post(address, nsOutlook))
		wellFormed(t, w.Body.String())
		var got struct {
			Name  string   `xml:"Response>User>DisplayName"`
			Login []string `xml:"Response>Account>Protocol>LoginName"`
		}
		if err := xml.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if got.Name != who.Unicode() || len(got.Login) != 2 || got.Login[0] != who.String() || got.Login[1] != who.String() {
			t.Errorf("%s: %+v", address, got)
		}
		s, err := h.settings(who.Domain)
		if err != nil {
			t.Fatal(err)
		}
		profile := string(s.profile(who, ""))
		wellFormed(t, profile)
		var plist struct {
			Strings []string `xml:"dict>array>dict>string"`
		}
		if err := xml.Unmarshal([]byte(profile), &plist); err != nil {
			t.Fatal(err)
		}
		if n := count(plist.Strings, who.String()); n != 3 {
			t.Errorf("%s stands %d times in\n%s", who, n, profile)
		}
	}
}

func count(list []string, s string) (n int) {
	for _, v := range list {
		if v == s {
			n++
		}
	}
	return n
}

// certificate makes a chain of two: the host's and its authority's.
func certificate(t *testing.T, key any) *tls.Certificate {
	t.Helper()
	caKey := ecdsaKey(t)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "An authority"}, NotBefore: at().AddDate(-1, 0, 0), NotAfter: at().AddDate(50, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(0x7fee), Subject: pkix.Name{CommonName: "mail.example.org"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		DNSNames: []string{"mail.example.org"}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, public(key), caKey)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der, caDER}, PrivateKey: key}
}
