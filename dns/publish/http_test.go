package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/libdns/libdns"
)

// call is one request that a provider must get, and its answer.
type call struct {
	ask    string // "GET /zones?name=example.org"
	body   string // JSON that must be equal; "" for none
	status int    // 0: 200
	answer string
	head   map[string]string // of the answer
}

// fake is a provider's API that expects these calls in this order, each with
// the header fields.
func fake(t *testing.T, header map[string]string, calls ...call) string {
	t.Helper()
	at := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ask := r.Method + " " + r.URL.RequestURI()
		if at >= len(calls) {
			t.Errorf("one call too many: %s", ask)
			w.WriteHeader(http.StatusTeapot)
			return
		}
		c := calls[at]
		at++
		if ask != c.ask {
			t.Errorf("call %d is %s, wanted %s", at, ask, c.ask)
		}
		for k, v := range header {
			if got := r.Header.Get(k); got != v {
				t.Errorf("%s: %s is %q, wanted %q", ask, k, got, v)
			}
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		sameJSON(t, ask, c.body, body)
		for k, v := range c.head {
			w.Header().Set(k, v)
		}
		if c.status != 0 {
			w.WriteHeader(c.status)
		}
		_, _ = io.WriteString(w, c.answer)
	}))
	t.Cleanup(func() {
		s.Close()
		if at != len(calls) {
			t.Errorf("%d of %d calls came", at, len(calls))
		}
	})
	return s.URL
}

func sameJSON(t *testing.T, ask, want string, got []byte) {
	t.Helper()
	if want == "" {
		if len(got) > 0 {
			t.Errorf("%s: a body that was not wanted: %s", ask, got)
		}
		return
	}
	var a, b any
	if err := json.Unmarshal([]byte(want), &a); err != nil {
		t.Fatalf("%s: the test's own JSON: %v", ask, err)
	}
	if err := json.Unmarshal(got, &b); err != nil {
		t.Errorf("%s: %v in %q", ask, err, got)
	}
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("%s: %s", ask, diff)
	}
}

// client makes a provider that asks the fake and does not sleep.
func connect(t *testing.T, name string, cred map[string]string, base string, waits *[]time.Duration) Provider {
	t.Helper()
	p, err := New(name, cred, Options{BaseURL: base, Wait: func(_ context.Context, d time.Duration) error {
		if waits != nil {
			*waits = append(*waits, d)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// rrs makes records of lines "NAME TYPE DATA".
func rrs(lines ...string) []libdns.Record {
	var all []libdns.Record
	for _, l := range lines {
		f := strings.SplitN(l, " ", 3)
		all = append(all, libdns.RR{Name: f[0], Type: f[1], TTL: time.Hour, Data: f[2]})
	}
	return all
}

func shown(records []libdns.Record) []string {
	var all []string
	for _, r := range reduce(records) {
		all = append(all, r.Name+" "+r.Type+" "+r.Data)
	}
	slices.Sort(all)
	return all
}

func finds(t *testing.T, p Provider, name, want string) {
	t.Helper()
	if zone, err := p.(Finder).FindZone(t.Context(), name); zone != want || err != nil {
		t.Errorf("zone of %s: %q, %v", name, zone, err)
	}
}

func holds(t *testing.T, p Provider, want ...string) {
	t.Helper()
	got, err := p.GetRecords(t.Context(), "example.org")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, shown(got)); diff != "" {
		t.Errorf("records: %s", diff)
	}
}

func replaces(t *testing.T, p Provider, removes, adds []libdns.Record) {
	t.Helper()
	if err := p.(replacer).ReplaceRecords(t.Context(), "example.org", removes, adds); err != nil {
		t.Error(err)
	}
}

// Each refusal has its kind, a sentence that names the provider and says what it
// said, and never the credentials.
func TestRefusals(t *testing.T) {
	t.Parallel()
	cred := map[string]map[string]string{
		"cloudflare": {"token": "s3cret"}, "hetzner": {"token": "s3cret"}, "desec": {"token": "s3cret"}, "digitalocean": {"token": "s3cret"},
		"porkbun": {"apikey": "s3cret", "secretapikey": "s3cret2"}, "gandi": {"token": "s3cret"},
		"ovh":      {"application_key": "app", "application_secret": "s3cret", "consumer_key": "s3cret2"},
		"powerdns": {"url": "http://127.0.0.1:1", "key": "s3cret"},
	}
	for _, tc := range []struct {
		name   string
		status int
		body   string
		kind   error
		says   string
	}{
		{"cloudflare", 400, `{"success":false,"errors":[{"code":6003,"message":"Invalid request headers","error_chain":[{"code":6111,"message":"Invalid format for Authorization header"}]}],"messages":[],"result":null}`, ErrToken, "Invalid format for Authorization header"},
		{"cloudflare", 403, `{"success":false,"errors":[{"code":9109,"message":"Invalid access token"}],"messages":[],"result":null}`, ErrToken, "refuses the token: Invalid access token"},
		{"cloudflare", 403, `{"success":false,"errors":[{"code":10000,"message":"Authentication error"}]}`, ErrToken, "Authentication error"},
		{"cloudflare", 200, `{"success":true,"errors":[],"messages":[],"result":[]}`, ErrNoZone, "Cloudflare has no zone for example.org"},
		{"hetzner", 401, `{"error":{"code":"unauthorized","message":"the token you have provided is invalid","details":null}}`, ErrToken, "the token you have provided is invalid"},
		{"hetzner", 403, `{"error":{"code":"forbidden","message":"insufficient permissions"}}`, ErrToken, "insufficient permissions"},
		{"hetzner", 404, `{"error":{"code":"not_found","message":"zone not found"}}`, ErrNoZone, "no zone for example.org"},
		{"desec", 401, `{"detail":"Invalid token."}`, ErrToken, "Invalid token."},
		{"desec", 200, `[]`, ErrNoZone, "deSEC has no zone for example.org"},
		{"digitalocean", 401, `{"id":"unauthorized","message":"Unable to authenticate you"}`, ErrToken, "Unable to authenticate you"},
		{"digitalocean", 404, `{"id":"not_found","message":"The resource you requested could not be found."}`, ErrNoZone, "no zone for example.org"},
		{"porkbun", 400, `{"status":"ERROR","code":"INVALID_API_KEYS_002","message":"Invalid API key. (002)"}`, ErrToken, "Invalid API key. (002)"},
		{"porkbun", 200, `{"status":"ERROR","message":"Domain is not opted in to API access."}`, ErrToken, "opted in"},
		{"porkbun", 200, `{"status":"SUCCESS","domains":[{"domain":"example.com"}]}`, ErrNoZone, "Porkbun has no zone for example.org"},
		{"gandi", 403, `{"object":"HTTPForbidden","cause":"Forbidden","code":403,"message":"Access was denied to this resource."}`, ErrToken, "Access was denied"},
		{"gandi", 404, `{"object":"dns-domain","cause":"Not Found","code":404,"message":"Can't find the domain example.org"}`, ErrNoZone, "no zone for example.org"},
		{"powerdns", 401, `Unauthorized`, ErrToken, "Unauthorized"},
		{"powerdns", 200, `[]`, ErrNoZone, "PowerDNS has no zone for example.org"},
		{"powerdns", 200, `<html>hello`, ErrUnreachable, "not its API's form"},
		{"cloudflare", 302, ``, ErrUnreachable, "HTTP status 302"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(tc.status)
			_, _ = io.WriteString(w, tc.body)
		}))
		p := connect(t, tc.name, cred[tc.name], s.URL, nil)
		_, err := p.(Finder).FindZone(t.Context(), "example.org")
		s.Close()
		var e *Error
		if !errors.As(err, &e) || !errors.Is(err, tc.kind) || !strings.Contains(e.Text, tc.says) {
			t.Errorf("%s %d: %v, wanted %v with %q", tc.name, tc.status, err, tc.kind, tc.says)
			continue
		}
		if tc.kind != ErrUnreachable && e.Next == "" {
			t.Errorf("%s %d: no next step", tc.name, tc.status)
		}
		if strings.Contains(e.Text+e.Next, "s3cret") {
			t.Errorf("%s: the credentials show in %q", tc.name, e.Text+e.Next)
		}
	}
}

// A rate limit is waited for as long as it says; one that takes too long is an
// error that says when to come back. A failed read is repeated, a failed write
// that may have happened is not.
func TestPatience(t *testing.T) {
	t.Parallel()
	token := map[string]string{"token": "x"}
	ok := call{ask: "GET /domains/?owns_qname=example.org", answer: `[{"name":"example.org"}]`}
	limit := func(after string) call {
		return call{ask: ok.ask, status: 429, answer: `{"detail":"Request was throttled. Expected available in 7 seconds."}`, head: map[string]string{"Retry-After": after}}
	}
	broken := call{ask: ok.ask, status: 502, answer: "<html>bad gateway"}

	var waits []time.Duration
	finds(t, connect(t, "desec", token, fake(t, nil, limit("7"), limit("2"), ok), &waits), "example.org", "example.org")
	finds(t, connect(t, "desec", token, fake(t, nil, broken, broken, ok), &waits), "example.org", "example.org")
	if diff := cmp.Diff([]time.Duration{7 * time.Second, 2 * time.Second, time.Second, 2 * time.Second}, waits); diff != "" {
		t.Errorf("waits: %s", diff)
	}

	_, err := connect(t, "desec", token, fake(t, nil, limit("3000")), nil).(Finder).FindZone(t.Context(), "example.org")
	var e *Error
	if !errors.Is(err, ErrRate) || !errors.As(err, &e) || e.Next != "try again in 50m0s" {
		t.Errorf("a long limit: %v, %q", err, e.Next)
	}
	_, err = connect(t, "desec", token, fake(t, nil, broken, broken, broken, broken), nil).(Finder).FindZone(t.Context(), "example.org")
	if !errors.Is(err, ErrUnreachable) {
		t.Errorf("always broken: %v", err)
	}

	zone := call{ask: "GET /zones?name=example.org", answer: `{"result":[{"id":"z1","name":"example.org"}]}`}
	empty := call{ask: "GET /zones/z1/dns_records?page=1&per_page=100", answer: `{"result":[],"result_info":{"total_pages":0}}`}
	post := call{ask: "POST /zones/z1/dns_records", status: 502,
		body: `{"type":"TXT","name":"example.org","content":"\"x\"","ttl":3600}`}
	_, err = connect(t, "cloudflare", token, fake(t, nil, zone, empty, post), nil).AppendRecords(t.Context(), "example.org", rrs("@ TXT x"))
	if !errors.Is(err, ErrUnreachable) {
		t.Errorf("a write that failed: %v", err)
	}
}

// TestListWithoutEnd: a provider that has always one page more is left.
func TestListWithoutEnd(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"cloudflare":   `{"result":[{"id":"z1","name":"example.org","type":"A","content":"192.0.2.1"}],"result_info":{"total_pages":1000000000}}`,
		"hetzner":      `{"rrsets":[{"name":"@","type":"A","records":[{"value":"192.0.2.1"}]}],"meta":{"pagination":{"next_page":2}}}`,
		"digitalocean": `{"domain_records":[{"id":1,"type":"A","name":"@","data":"192.0.2.1"}],"links":{"pages":{"next":"x"}}}`,
		"desec":        `[{"subname":"","type":"A","records":["192.0.2.1"]}]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Link", `<https://desec.test/?cursor=again>; rel="next"`)
				io.WriteString(w, answer)
			}))
			t.Cleanup(s.Close)
			p := connect(t, name, map[string]string{"token": "t"}, s.URL, nil)
			if _, err := p.GetRecords(t.Context(), "example.org"); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "does not end") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		cred map[string]string
		says string
	}{
		{"nothing", nil, `there is no DNS provider "nothing"`},
		{"cloudflare", nil, `Cloudflare needs the credential "token"`},
		{"cloudflare", map[string]string{"token": "x", "mail": "y"}, `Cloudflare has no credential "mail"`},
		{"cloudflare", map[string]string{"token": "x\ny"}, "line break"},
		{"ovh", map[string]string{"endpoint": "moon", "application_key": "a", "application_secret": "b", "consumer_key": "c"}, `no endpoint "moon"`},
		{"powerdns", map[string]string{"url": "127.0.0.1", "key": "x"}, "is no URL"},
		{"rfc2136", map[string]string{"server": "ns.example", "key_name": "k", "key_secret": "???"}, "not base64"},
		{"rfc2136", map[string]string{"server": "ns.example", "key_name": "k", "key_algorithm": "md5", "key_secret": "AAAA"}, "not known"},
		{"rfc2136", map[string]string{"server": "ns.example", "key_secret": "AAAA"}, "no name"},
		{"exec", map[string]string{"command": "true"}, "no program"},
		{"exec", map[string]string{"command": "/etc/passwd"}, "no program"},
	} {
		_, err := New(tc.name, tc.cred, Options{})
		var e *Error
		if !errors.Is(err, ErrCredentials) || !errors.As(err, &e) || !strings.Contains(e.Text, tc.says) || e.Next == "" {
			t.Errorf("%s %v: %v", tc.name, tc.cred, err)
		}
	}
	for _, p := range Providers() {
		if p.Title == "" || p.ScopeHelp == "" || len(p.Fields) == 0 {
			t.Errorf("%s: not described", p.Name)
		}
		for _, f := range p.Fields {
			if f.Name == "" || f.Title == "" {
				t.Errorf("%s: a field is not described", p.Name)
			}
		}
	}
	a := Access{Provider: "gandi", Credentials: map[string]string{"token": "s3cret"}}
	if strings.Contains(a.String()+a.LogValue().String(), "s3cret") {
		t.Error("an Access shows its credentials")
	}
}

func TestHostedBy(t *testing.T) {
	t.Parallel()
	for _, tc := range [][]string{
		{"cloudflare", "Ada.NS.Cloudflare.com."}, {"hetzner", "ns.example.org", "helium.ns.hetzner.de"}, {"desec", "ns2.desec.org"},
		{"digitalocean", "ns1.digitalocean.com"}, {"porkbun", "maceio.ns.porkbun.com"}, {"gandi", "ns-1-a.gandi.net"}, {"ovh", "dns104.ovh.net"},
		{"", "ns.example.org", "notdesec.io"}, {""},
	} {
		if p, ok := HostedBy(tc[1:]); p.Name != tc[0] || ok != (tc[0] != "") {
			t.Errorf("%v: %s", tc, p.Name)
		}
	}
}

// TestNamesWithLetters: a provider that writes bücher for xn--bcher-kva means the
// same.
func TestNamesWithLetters(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"_dmarc.BÜCHER.example": "_dmarc", "bücher.example": "@", "mail.xn--bcher-kva.example.": "mail", "*.bücher.example": "*",
	} {
		if got := relative(name, "xn--bcher-kva.example"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := normal(libdns.RR{Name: "@", Type: "MX", Data: "010 Mail.Bücher.example"}).Data; got != "10 mail.xn--bcher-kva.example." {
		t.Error(got)
	}
}

func TestNormal(t *testing.T) {
	t.Parallel()
	for _, tc := range [][3]string{
		{"AAAA", "2001:0DB8:0::1", "2001:db8::1"},
		{"MX", "010  Mail.Example.ORG", "10 mail.example.org."},
		{"SRV", "0 0 0 .", "0 0 0 ."},
		{"TXT", `a  "b" \c`, `a  "b" \c`},
		{"CAA", `0 ISSUE letsencrypt.org; accounturi=https://x`, `0 issue "letsencrypt.org; accounturi=https://x"`},
		{"TLSA", "3 1 1 AA BB", "3 1 1 aabb"},
		{"CNAME", "Mail.Example.ORG..", "mail.example.org."},
	} {
		r := normal(libdns.RR{Type: tc[0], Data: tc[1]})
		if r.Data != tc[2] {
			t.Errorf("%s %q is %q, wanted %q", tc[0], tc[1], r.Data, tc[2])
		}
		if again := normal(r); again != r {
			t.Errorf("%s: %q is not stable: %q", tc[0], r.Data, again.Data)
		}
		if typed := reduce(expand([]libdns.RR{r})); typed[0].Data != r.Data {
			t.Errorf("%s through libdns: %q", tc[0], typed[0].Data)
		}
		if back := unwire(r.Type, wire(r)); back != r.Data {
			t.Errorf("%s through the wire: %q", tc[0], back)
		}
	}
	long := strings.Repeat("x", 600)
	if w := wire(libdns.RR{Type: "TXT", Data: long}); bytes.Count([]byte(w), []byte(`"`)) != 6 || unwire("TXT", w) != long {
		t.Errorf("a long TXT: %q", w)
	}
}
