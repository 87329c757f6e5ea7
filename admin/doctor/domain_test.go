package doctor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"mailstead/account"
	"mailstead/dns/check"
	"mailstead/dns/zone"
	"mailstead/internal/world"
	"mailstead/message"
)

// keys are made once: an RSA key takes its time.
var keys = sync.OnceValues(func() (list []zone.DKIMKey, err error) {
	made, err := account.NewDKIMKeys(time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC))
	for _, k := range made {
		public, err := k.Public()
		if err != nil {
			return nil, err
		}
		list = append(list, zone.DKIMKey{Selector: k.Selector, Algorithm: k.Algorithm, Public: public})
	}
	return list, err
})

// domain is example.org in the DNS, before something is broken.
type domain struct {
	settings zone.Settings
	servers  []*world.NameServer
	edit     func(string) string
	policy   string // of MTA-STS, "" for none
	programs string // the settings of programs, "" for none
}

// makeDomain publishes what our domain needs, signed, at two name servers.
func (h *healthy) makeDomain() {
	h.t.Helper()
	list, err := keys()
	if err != nil {
		h.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(h.cert.Certificate[0])
	if err != nil {
		h.t.Fatal(err)
	}
	key := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	reports := message.Address{Local: "reports", Domain: "example.org"}
	d := &domain{edit: func(s string) string { return s }, settings: zone.Settings{
		Domain: "example.org", Host: "mail.example.org", Addresses: []netip.Addr{netip.MustParseAddr(host4), netip.MustParseAddr(host6)},
		Keys: list, DMARC: zone.DMARC{Reports: reports, Started: time.Now()}, MTASTS: zone.MTASTS{Mode: "enforce"}, TLSRPT: reports,
		TLSA:     []string{hex.EncodeToString(key[:]), strings.Repeat("ab", 32)},
		CAA:      zone.CAA{Issuer: "ca.test", AccountURI: "https://ca.test/acct/1"},
		Services: []zone.Service{{Name: "_submissions", Port: 465}, {Name: "_imaps", Port: 993}},
	}}
	d.policy, d.programs = d.settings.MTASTSPolicy(), "<c><hostname>mail.example.org</hostname><Server>mail.example.org</Server></c>"
	for _, name := range []string{"ns1.names.test", "ns2.names.test"} {
		s, err := h.world.NameServer(name)
		if err != nil {
			h.t.Fatal(err)
		}
		d.servers = append(d.servers, s)
	}
	h.world.Sign("example.org")
	h.domain = d
}

// publish puts the records, as they were edited, into the DNS.
func (h *healthy) publish() {
	h.t.Helper()
	var b bytes.Buffer
	if err := zone.WriteFile(&b, "example.org", zone.Records(h.domain.settings)); err != nil {
		h.t.Fatal(err)
	}
	text := h.domain.edit(b.String() + "@ NS ns1.names.test.\n@ NS ns2.names.test.\n")
	for _, s := range h.domain.servers {
		if err := s.Zone("example.org", text); err != nil {
			h.t.Fatal(err)
		}
	}
	h.zone("example.org", text)
}

// ourDomain is what dns/check looks at.
func (h *healthy) ourDomain(asker check.Asker) func(context.Context) []check.Check {
	return func(context.Context) []check.Check {
		d := &check.Domain{
			Settings: h.domain.settings, Asker: asker, Trusted: true,
			Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				if at, err := netip.ParseAddrPort(address); err == nil && (at.Addr().String() == host4 || at.Addr().String() == host6) {
					return h.connect(ctx, network, "smtp")
				}
				return h.world.Dial(ctx, network, address)
			},
			HTTP: &http.Client{Transport: webServer{h.domain}},
		}
		return d.Checks()
	}
}

// webServer answers for the names of example.org.
type webServer struct{ *domain }

func (s webServer) RoundTrip(r *http.Request) (*http.Response, error) {
	text, kind := s.programs, "text/xml"
	if strings.HasPrefix(r.URL.Host, "mta-sts.") {
		text, kind = s.policy, "text/plain"
	}
	w := &http.Response{
		Status: "200 OK", StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(text)),
	}
	if text == "" {
		w.Status, w.StatusCode = "404 Not Found", 404
	}
	return w, nil
}

// domainFaults are some of those of dns/check, seen through the whole doctor.
func domainFaults() []fault {
	replaced := func(old, fresh string) func(h *healthy) {
		return func(h *healthy) {
			h.domain.edit = func(text string) string {
				if !strings.Contains(text, old) {
					h.t.Fatalf("%q is not in the zone\n%s", old, text)
				}
				return strings.ReplaceAll(text, old, fresh)
			}
		}
	}
	without := func(name string) func(h *healthy) {
		return func(h *healthy) {
			h.domain.edit = func(text string) string {
				var b strings.Builder
				for line := range strings.Lines(text) {
					if !strings.HasPrefix(line, name+"\t") {
						b.WriteString(line)
					}
				}
				return b.String()
			}
		}
	}
	const spf = `"v=spf1 a:mail.example.org ~all"`
	return []fault{
		{"no MX", replaced("@\t3600\tIN\tMX\t10 mail.example.org.\n", ""), "dns.mx.missing", check.Problem, ""},
		{"MX elsewhere", replaced("MX\t10 mail.example.org.", "MX 10 old.example.net."), "dns.mx.elsewhere", check.Problem, ""},
		{"no SPF", replaced(spf, `"nothing"`), "dns.spf.missing", check.Problem, ""},
		{"SPF without us", replaced(spf, `"v=spf1 ip4:192.0.2.1 -all"`), "dns.spf.ours", check.Problem, ""},
		{"SPF with an error", replaced(spf, `"v=spf1 a:mail.example.org ipv4:192.0.2.1 -all"`), "dns.spf.error", check.Problem, ""},
		{"no DKIM", without("r20261121._domainkey"), "dns.dkim.missing", check.Problem, ""},
		{"another DKIM key", func(h *healthy) {
			replaced(h.domain.settings.Keys[1].Public, "OyWEAVZQeR2bw69cfm/BTN97rsLfM0GS3DzbNz318Ao=")(h)
		}, "dns.dkim.other", check.Problem, ""},
		{"no DMARC", without("_dmarc"), "dns.dmarc.missing", check.Problem, ""},
		{"no MTA-STS", without("_mta-sts"), "dns.mta-sts.missing", check.Warning, ""},
		{"no policy", func(h *healthy) { h.domain.policy = "" }, "dns.mta-sts.policy", check.Problem, ""},
		{"no settings for programs", func(h *healthy) { h.domain.programs = "" }, "dns.autoconfig.served", check.Warning, "cannot set themselves up: the server answers 404"},
		{"no TLSA", without("_25._tcp.mail"), "dns.tlsa.missing", check.Warning, ""},
		{"a key that is not published", func(h *healthy) { h.domain.settings.TLSA[0] = strings.Repeat("01", 32) }, "dns.tlsa.live", check.Problem, ""},
		{"CAA of another authority", replaced(`"ca.test; accounturi`, `"other.test; accounturi`), "dns.caa.forbidden", check.Problem, ""},
		{"a wildcard", func(h *healthy) {
			h.domain.edit = func(text string) string { return text + "* TXT \"v=spf1 -all\"\n" }
		}, "dns.wildcard", check.Warning, ""},
		{"a lame name server", func(h *healthy) { h.domain.servers[1].Fail("example.org", world.Refused) }, "dns.hosting.lame", check.Warning, ""},
	}
}

func TestMain(m *testing.M) {
	_, _ = keys() // outside of all bubbles, where time passes
	m.Run()
}
