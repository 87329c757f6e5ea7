package check

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"mailstead/account"
	"mailstead/dns"
	"mailstead/dns/zone"
	"mailstead/internal/world"
	"mailstead/message"
)

// place is a healthy domain in a small world, before something is broken.
type place struct {
	t     *testing.T
	w     *world.World
	ns    [2]*world.NameServer
	mx    *world.MTA
	d     *Domain
	extra string // of the zone
	edit  func(zoneText string) string

	policy   func(w http.ResponseWriter)
	settings map[string]string // for programs, by host and path
}

func keys() []zone.DKIMKey {
	made, err := account.NewDKIMKeys(time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC))
	if err != nil {
		panic(err)
	}
	var list []zone.DKIMKey
	for _, k := range made {
		public, err := k.Public()
		if err != nil {
			panic(err)
		}
		list = append(list, zone.DKIMKey{Selector: k.Selector, Algorithm: k.Algorithm, Public: public})
	}
	return list
}

func open(t *testing.T, keys []zone.DKIMKey) *place {
	t.Helper()
	w, err := world.New(world.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	p := &place{t: t, w: w, edit: func(s string) string { return s }}
	for i := range p.ns {
		if p.ns[i], err = w.NameServer(fmt.Sprintf("ns%d.names.test", i+1)); err != nil {
			t.Fatal(err)
		}
	}
	if p.mx, err = w.MTA("mail.example.test", world.Behaviour{}); err != nil {
		t.Fatal(err)
	}
	w.Sign("example.test")
	client, err := dns.New(w.Resolver())
	if err != nil {
		t.Fatal(err)
	}
	client.Dial, client.Timeout = w.Dial, 2*time.Second // twice is within EachLimit
	p.policy = func(out http.ResponseWriter) {
		out.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(out, p.d.Settings.MTASTSPolicy())
	}
	p.d = &Domain{
		Asker: client, Trusted: true, Dial: w.Dial, Port: w.Port,
		Now: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC),
		Settings: zone.Settings{
			Domain: "example.test", Host: "mail.example.test", Addresses: []netip.Addr{p.mx.Addr}, Keys: keys,
			DMARC: zone.DMARC{
				Reports: message.Address{Local: "reports", Domain: "example.test"},
				Started: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC),
			},
			MTASTS: zone.MTASTS{Mode: "enforce"}, TLSRPT: message.Address{Local: "reports", Domain: "example.test"},
			CAA:      zone.CAA{Issuer: "ca.test", AccountURI: "https://ca.test/acct/1"},
			Services: []zone.Service{{Name: "_submissions", Port: 465}, {Name: "_imaps", Port: 993}},
		},
	}
	p.settings = map[string]string{
		"autoconfig.example.test/mail/config-v1.1.xml":            "<clientConfig><incomingServer><hostname>mail.example.test</hostname></incomingServer></clientConfig>",
		"autodiscover.example.test/autodiscover/autodiscover.xml": "<Autodiscover><Protocol><Server>MAIL.example.test</Server></Protocol></Autodiscover>",
	}
	p.d.HTTP = p.web()
	w.Zone("example.test", "mail A "+p.mx.Addr.String()+"\n")
	key, err := p.live()
	if err != nil {
		t.Fatal(err)
	}
	p.d.Settings.TLSA = []string{key, strings.Repeat("ab", 32)}
	return p
}

// live is the key that the mail host shows.
func (p *place) live() (string, error) {
	x := &Domain{Settings: p.d.Settings, Asker: p.d.Asker, Dial: p.w.Dial, Port: p.w.Port}
	x.Checks()
	return x.liveKey(p.t.Context())
}

// web serves the policy and the settings, each with its name's certificate.
func (p *place) web() *http.Client {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		switch text := p.settings[r.Host+r.URL.Path]; {
		case r.Host == "mta-sts.example.test" && r.URL.Path == "/.well-known/mta-sts.txt":
			p.policy(out)
		case text != "" && (r.Method == http.MethodPost) == strings.HasPrefix(r.Host, "autodiscover"):
			fmt.Fprint(out, text)
		default:
			http.NotFound(out, r)
		}
	}))
	s.TLS = &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		cert, err := p.w.Certificate(hello.ServerName)
		return &cert, err
	}}
	s.StartTLS()
	p.t.Cleanup(s.Close)
	client := p.d.policyClient()
	client.Transport = &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: p.w.CA},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
		},
	}
	return client
}

// zoneText is the domain's zone as it should be.
func zoneText(t *testing.T, s zone.Settings) string {
	t.Helper()
	var b bytes.Buffer
	if err := zone.WriteFile(&b, s.Domain, zone.Records(s)); err != nil {
		t.Fatal(err)
	}
	return b.String() + "@ NS ns1.names.test.\n@ NS ns2.names.test.\n"
}

// publish puts the wanted records, edited, into the DNS.
func (p *place) publish() {
	p.t.Helper()
	text := p.edit(zoneText(p.t, p.d.Settings)) + p.extra
	for _, s := range p.ns {
		if err := s.Zone("example.test", text); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := p.w.Zone("example.test", text); err != nil {
		p.t.Fatal(err)
	}
}

// bad are the findings that somebody should see.
func bad(all []Finding) (ids []string) {
	for _, f := range all {
		if rank(f.Severity) >= rank(Warning) {
			ids = append(ids, string(f.Severity)+" "+f.ID)
		}
	}
	return slices.Compact(ids)
}

func TestHealthy(t *testing.T) {
	p := open(t, keys())
	p.publish()
	all := p.d.Find(t.Context())
	if len(bad(all)) > 0 {
		t.Errorf("in a healthy world: %v", bad(all))
	}
	ok := 0
	for _, f := range all {
		if f.Severity == OK {
			ok++
		} else {
			t.Logf("%s %s: %s", f.Severity, f.ID, f.Sentence)
		}
		if !strings.HasSuffix(f.Sentence, ".") || f.Subject == "" {
			t.Errorf("%+v", f)
		}
		if testing.Verbose() {
			t.Logf("%-8s %-18s %s | %s", f.Severity, f.ID, f.Sentence, f.Evidence)
		}
	}
	if ok < 14 {
		t.Errorf("only %d findings say that something is well", ok)
	}
	for _, s := range p.ns {
		if n := s.Asked("example.test"); n > 5 { // SOA, NS, MX, TXT, CAA
			t.Errorf("%s was asked %d times for the domain", s.Name, n)
		}
	}
}

// replace breaks lines of the zone.
func replace(old, fresh string) func(*place) {
	return func(p *place) {
		p.edit = func(text string) string {
			if !strings.Contains(text, old) {
				p.t.Fatalf("%q is not in the zone\n%s", old, text)
			}
			return strings.ReplaceAll(text, old, fresh)
		}
	}
}

// without takes the lines out that begin so.
func without(names ...string) func(*place) {
	return func(p *place) {
		p.edit = func(text string) string {
			var b strings.Builder
			for line := range strings.Lines(text) {
				if !slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(line, n+"\t") }) {
					b.WriteString(line)
				}
			}
			return b.String()
		}
	}
}

func plus(lines string) func(*place) { return func(p *place) { p.extra = lines + "\n" } }

func both(fns ...func(*place)) func(*place) {
	return func(p *place) {
		for _, fn := range fns {
			fn(p)
		}
	}
}

// nextKey is the public half of a key that does not sign.
const nextKey = "OyWEAVZQeR2bw69cfm/BTN97rsLfM0GS3DzbNz318Ao="

// coming adds a key that comes or goes.
func coming(use zone.Use) func(*place) {
	return func(p *place) {
		k := zone.DKIMKey{Selector: "e20270101", Algorithm: "ed25519", Public: nextKey, Use: use}
		p.d.Settings.Keys = append(slices.Clone(p.d.Settings.Keys), k)
	}
}

// TestKeysThatComeAndGo: what is no fault is told, without alarm.
func TestKeysThatComeAndGo(t *testing.T) {
	t.Parallel()
	pair := keys()
	for _, tt := range []struct {
		name string
		set  func(*place)
		want string // severity, id, part of the sentence
	}{
		{"a next key", coming(zone.Next), "ok|dns.dkim|e20270101 is published and will sign"},
		{"a key of before", coming(zone.Retired), "ok|dns.dkim|e20270101 of before is still published"},
		{"a key of before that is gone", both(coming(zone.Retired), without("e20270101._domainkey")), "info|dns.dkim.retired|is not published any more"},
		{"a record left over", func(p *place) {
			p.d.Settings.Gone = []string{"e2025", "e2024"}
			plus(`e2025._domainkey TXT "v=DKIM1; k=ed25519; p=` + nextKey + `"`)(p)
		}, "info|dns.dkim.gone|e2025 is not used any more"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := open(t, pair)
			tt.set(p)
			p.publish()
			all := p.d.Find(t.Context(), "dns.dkim")
			want := strings.Split(tt.want, "|")
			n := 0
			for _, f := range all {
				if string(f.Severity) == want[0] && f.ID == want[1] && strings.Contains(f.Sentence, want[2]) {
					n++
				}
			}
			if n != 1 || len(bad(all)) > 0 {
				t.Errorf("%+v", all)
			}
		})
	}
}

// TestShown: all servers, with the right key, or it is not shown.
func TestShown(t *testing.T) {
	t.Parallel()
	pair := keys()
	for _, tt := range []struct {
		name   string
		break_ func(*place)
		want   Showing
	}{
		{"both servers", func(*place) {}, Showing{true, true, time.Hour}},
		{"another key", replace(nextKey, "AAAAVZQeR2bw69cfm/BTN97rsLfM0GS3DzbNz318Ao="), Showing{false, true, 0}},
		{"two of them", plus(`e20270101._domainkey TXT "v=DKIM1; p="`), Showing{false, true, time.Hour}},
		{"nowhere", without("e20270101._domainkey"), Showing{}},
		{"one refuses", func(p *place) { p.ns[1].Fail("e20270101._domainkey.example.test", world.Refused) }, Showing{false, true, time.Hour}},
		{"no name servers", replace("@ NS ns1.names.test.\n@ NS ns2.names.test.\n", ""), Showing{false, true, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := open(t, pair)
			coming(zone.Next)(p)
			tt.break_(p)
			p.publish()
			next := p.d.wanted(zone.KindDKIM)[2:]
			got := p.d.Shown(t.Context(), next...)
			if got.Everywhere != tt.want.Everywhere || got.Anywhere != tt.want.Anywhere || got.Everywhere && got.TTL != tt.want.TTL {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

const spfNow = `"v=spf1 a:mail.example.test ~all"`

// TestFaults breaks one thing at a time and wants to be told of that one.
func TestFaults(t *testing.T) {
	pair := keys()
	for _, tt := range []struct {
		name   string
		break_ func(*place)
		want   string // "severity id", several with commas
	}{
		{"no host address", without("mail\t3600\tIN\tA"), "problem dns.host,problem dns.spf.ours,problem dns.host-spf.ours"},
		{"host elsewhere", func(p *place) {
			replace("\tA\t"+p.mx.Addr.String(), "\tA\t192.0.2.99")(p)
		}, "problem dns.host,problem dns.spf.ours,problem dns.host-spf.ours"},
		{"host twice", plus("mail A 192.0.2.99"), "warning dns.host"},
		{"no MX", replace("@\t3600\tIN\tMX\t10 mail.example.test.\n", ""), "problem dns.mx.missing"},
		{"null MX", replace("MX\t10 mail.example.test.", "MX 0 ."), "problem dns.mx.null"},
		{"MX elsewhere", replace("MX\t10 mail.example.test.", "MX 1 aspmx.l.google.com."), "problem dns.mx.elsewhere"},
		{"another MX", plus("@ MX 20 backup.elsewhere.test."), "warning dns.mx.others"},
		{"MX to an alias", both(replace("MX\t10 mail.example.test.", "MX 10 mx"), plus("mx CNAME mail")), "problem dns.mx.alias"},
		{"no SPF", replace(spfNow, `"nothing"`), "problem dns.spf.missing"},
		{"two SPF", plus(`@ TXT "v=spf1 -all"`), "problem dns.spf.several"},
		{"SPF of others", replace(spfNow, `"v=spf1 ip4:192.0.2.1 -all"`), "problem dns.spf.ours"},
		{"SPF with an error", replace(spfNow, `"v=spf1 a:mail.example.test ipv4:192.0.2.1 -all"`), "problem dns.spf.error"},
		{"SPF of everybody", replace(spfNow, `"v=spf1 a:mail.example.test +all"`), "problem dns.spf.everybody"},
		{"SPF without end", replace(spfNow, `"v=spf1 a:mail.example.test"`), "warning dns.spf.open"},
		{"SPF with ptr", replace(spfNow, `"v=spf1 a:mail.example.test ptr -all"`), "warning dns.spf.ptr"},
		{"SPF with eleven lookups", both(replace(spfNow, `"v=spf1 a:mail.example.test include:one.example.test include:two.example.test -all"`),
			plus(`one TXT "v=spf1 a:mail a:mail a:mail a:mail -all"`+"\n"+`two TXT "v=spf1 a:mail a:mail a:mail a:mail -all"`)), "problem dns.spf.lookups"},
		{"SPF of what is gone", replace(spfNow, `"v=spf1 a:mail.example.test a:x.example.test a:y.example.test a:z.example.test -all"`), "warning dns.spf.void"},
		{"no SPF of the host", replace(`"v=spf1 a -all"`, `"nothing"`), "warning dns.host-spf.missing"},
		{"no DKIM", without("r20261121._domainkey"), "problem dns.dkim.missing"},
		{"DKIM twice", plus(`e20261121._domainkey TXT "v=DKIM1; p="`), "problem dns.dkim.several"},
		{"DKIM of another", replace(pair[1].Public, "OyWEAVZQeR2bw69cfm/BTN97rsLfM0GS3DzbNz318Ao="), "problem dns.dkim.other"},
		{"DKIM cut short", replace(`"v=DKIM1; k=rsa; p=`+pair[0].Public[:237]+`" "`+pair[0].Public[237:]+`"`, `"v=DKIM1; k=rsa; p=`+pair[0].Public[:237]+`"`), "problem dns.dkim.other"},
		{"DKIM in test", replace("k=ed25519;", "k=ed25519; t=y;"), "problem dns.dkim.other"},
		{"DKIM revoked", replace(pair[1].Public, ""), "problem dns.dkim.other"},
		{"the next DKIM key is not published", both(coming(zone.Next), without("e20270101._domainkey")), "warning dns.dkim.next"},
		{"the next DKIM key of another", both(coming(zone.Next), replace(nextKey, "AAAAVZQeR2bw69cfm/BTN97rsLfM0GS3DzbNz318Ao=")), "warning dns.dkim.next"},
		{"only a next DKIM key", func(p *place) {
			coming(zone.Next)(p)
			p.d.Settings.Keys = p.d.Settings.Keys[2:]
		}, "problem dns.dkim.none"},
		{"no keys", func(p *place) { p.d.Settings.Keys = nil }, "problem dns.dkim.none"},
		{"no DMARC", without("_dmarc"), "problem dns.dmarc.missing"},
		{"two DMARC", plus(`_dmarc TXT "v=DMARC1; p=reject"`), "problem dns.dmarc.several"},
		{"DMARC without meaning", replace("p=none", "p=maybe"), "problem dns.dmarc.error"},
		{"DMARC to nobody", replace("; rua=mailto:reports@example.test\"\n; Only", "\"\n; Only"), "warning dns.dmarc.reports"},
		{"DMARC of another policy", both(func(p *place) { p.d.Settings.DMARC.Policy = "quarantine" }, replace("p=quarantine", "p=reject")), "warning dns.dmarc.policy"},
		{"DMARC milder than chosen", both(func(p *place) { p.d.Settings.DMARC.Policy = "reject" }, replace("p=reject", "p=none")), "warning dns.dmarc.policy"},
		{"reports without agreement", func(p *place) {
			p.d.Settings.DMARC.Reports = message.Address{Local: "x", Domain: "elsewhere.test"}
		}, "warning dns.dmarc.agreement"},
		{"no MTA-STS", without("_mta-sts"), "warning dns.mta-sts.missing"},
		{"old MTA-STS", replace("v=STSv1; id=", "v=STSv1; id=0"), "warning dns.mta-sts.id"},
		{"no name for MTA-STS", without("mta-sts"), "warning dns.mta-sts.host"},
		{"no policy", func(p *place) { p.policy = func(w http.ResponseWriter) { w.WriteHeader(404) } }, "problem dns.mta-sts.policy"},
		{"policy of another host", func(p *place) {
			p.policy = func(w http.ResponseWriter) {
				w.Header().Set("Content-Type", "text/plain")
				fmt.Fprint(w, "version: STSv1\nmode: enforce\nmx: *.elsewhere.test\nmax_age: 86400\n")
			}
		}, "problem dns.mta-sts.policy"},
		{"policy as a page", func(p *place) {
			p.policy = func(w http.ResponseWriter) { fmt.Fprint(w, "<html>") }
		}, "problem dns.mta-sts.policy"},
		{"policy without a certificate", func(p *place) { p.d.HTTP.Transport.(*http.Transport).TLSClientConfig = nil }, "problem dns.mta-sts.policy"},
		{"no TLS-RPT", without("_smtp._tls"), "warning dns.tls-rpt.missing"},
		{"TLS-RPT to nobody", replace("v=TLSRPTv1; rua=mailto:reports@example.test", "v=TLSRPTv1"), "warning dns.tls-rpt.error"},
		{"no TLSA", without("_25._tcp.mail"), "warning dns.tlsa.missing"},
		{"no next TLSA", replace("3 1 1 "+strings.Repeat("ab", 32), "3 1 1 "+strings.Repeat("cd", 32)), "warning dns.tlsa.next"},
		{"TLSA of another", replace("TLSA\t3 1 1 ", "TLSA\t2 1 1 "), "problem dns.tlsa.other"},
		{"a key that is not published", func(p *place) { p.d.Settings.TLSA = []string{strings.Repeat("01", 32), strings.Repeat("ab", 32)} }, "problem dns.tlsa.live"},
		{"CAA of another method", replace("acct/1", "acct/1; validationmethods=acme-email-01"), "problem dns.caa.forbidden"},
		{"CAA that nobody understands", plus(`mail CAA 129 tomorrow "x"`), "problem dns.caa.forbidden"},
		{"no MX, but the address", both(replace("@\t3600\tIN\tMX\t10 mail.example.test.\n", ""), func(p *place) { p.extra = "@ A " + p.mx.Addr.String() + "\n" }), "warning dns.mx.missing"},
		{"no CAA", replace("mail\t3600\tIN\tCAA", "x\t3600\tIN\tCAA"), "warning dns.caa.missing"},
		{"CAA of another authority", replace(`"ca.test; accounturi`, `"other.test; accounturi`), "problem dns.caa.forbidden"},
		{"CAA of another account", replace("acct/1", "acct/2"), "problem dns.caa.forbidden"},
		{"CAA above", both(replace("mail\t3600\tIN\tCAA", "x\t3600\tIN\tCAA"), plus(`@ CAA 0 issue ";"`)), "problem dns.caa.forbidden"},
		{"no SRV", without("_imaps._tcp", "_submissions._tcp"), "warning dns.srv.missing"},
		{"SRV to another", replace("0 1 993 mail.example.test.", "0 1 993 imap.elsewhere.test."), "warning dns.srv.other"},
		{"no autoconfig", without("autoconfig"), "warning dns.autoconfig"},
		{"no settings", func(p *place) { p.settings = nil }, "warning dns.autoconfig.served"},
		{"settings of another host", func(p *place) {
			p.settings["autodiscover.example.test/autodiscover/autodiscover.xml"] = "<a><Server>exchange.elsewhere.test</Server></a>"
		}, "warning dns.autoconfig.served"},
		{"settings as a page", func(p *place) { p.settings["autoconfig.example.test/mail/config-v1.1.xml"] = "<html><p>Welcome</html>" }, "warning dns.autoconfig.served"},
		{"an error for Outlook", func(p *place) {
			p.settings["autodiscover.example.test/autodiscover/autodiscover.xml"] = "<Autodiscover><Response><Error/></Response></Autodiscover>"
		}, "warning dns.autoconfig.served"},
		{"no doors for programs", func(p *place) { p.settings, p.d.Settings.Services = nil, nil }, ""},
		{"wildcard", both(without("autodiscover"), plus("* A 192.0.2.80")), "warning dns.autoconfig"},
		{"wildcard of texts", plus(`* TXT "v=spf1 -all"`), "warning dns.wildcard"},
		{"wildcard below _domainkey", plus(`*._domainkey TXT "v=DKIM1; p="`), "warning dns.wildcard"},
		{"a server without the zone", func(p *place) { p.ns[1].Fail("example.test", world.Refused) }, "warning dns.hosting.lame"},
		{"signatures are wrong", func(p *place) { p.w.Fail("example.test", world.Bogus) }, "problem dns.dnssec.broken"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := open(t, pair)
			tt.break_(p)
			p.publish()
			all := p.d.Find(t.Context())
			got := bad(all)
			for _, want := range strings.Split(tt.want, ",") {
				if want != "" && !slices.Contains(got, want) {
					t.Errorf("not told of %s, but %v", want, got)
				}
			}
			if want := strings.Split(tt.want, ","); tt.want != "" && len(got) > len(want)+1 {
				t.Errorf("told of too much: %v", got)
			}
			for _, f := range all {
				if f.Severity != OK && (f.Fix == "" || f.Recheck == "" || !strings.HasSuffix(f.Sentence, ".")) {
					t.Errorf("%+v", f)
				}
				if testing.Verbose() && f.Severity != OK {
					t.Logf("%s %s: %s\n  seen: %s\n  do: %s", f.Severity, f.ID, f.Sentence, f.Evidence, f.Fix)
				}
			}
		})
	}
}

// TestNoFaults are zones that somebody may have and that are as good.
func TestNoFaults(t *testing.T) {
	pair := keys()
	for _, tt := range []struct {
		name string
		odd  func(*place)
	}{
		{"stricter than the plan, before anything was chosen", replace("p=none", "p=reject")},
		{"a DMARC record without p", replace("v=DMARC1; p=none;", "v=DMARC1;")},
		{"a redirect that an all puts out of force", both(replace(spfNow, `"v=spf1 a:mail.example.test redirect=many.example.test ~all"`),
			plus(`many TXT "v=spf1 `+strings.Repeat("a:mail ", 11)+`-all"`))},
		{"what stands behind the all", replace(spfNow, `"v=spf1 a:mail.example.test ~all `+strings.Repeat("a:mail ", 11)+`"`)},
		{"addresses in place of aliases, behind a router", func(p *place) {
			p.d.Settings.Addresses = nil
			for _, name := range []string{"mta-sts", "autoconfig", "autodiscover"} {
				p.extra += name + " A " + p.mx.Addr.String() + "\n"
			}
			without("mta-sts", "autoconfig", "autodiscover")(p)
			edit := p.edit
			p.edit = func(text string) string { return edit(text) + "mail A " + p.mx.Addr.String() + "\n" }
		}},
		{"another address of ours", func(p *place) {
			p.d.Own = []netip.Addr{netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("2001:db8::3")}
			p.d.Settings.Addresses = append(p.d.Settings.Addresses, p.d.Own[0])
			replace("AAAA\t2001:db8::2", "AAAA\t2001:db8::3")(p)
			p.d.Settings.ExistingSPF = []string{"v=spf1 ip6:2001:db8::/64 ~all"}
			p.d.Settings.ExistingHostSPF = []string{"v=spf1 ip6:2001:db8::/64 -all"}
		}},
		{"CAA of our method", replace("acct/1", "acct/1; validationmethods=dns-01,http-01")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := open(t, pair)
			tt.odd(p)
			p.publish()
			for _, f := range p.d.Find(t.Context()) {
				if rank(f.Severity) >= rank(Warning) {
					t.Errorf("%s %s: %s\n%s", f.Severity, f.ID, f.Sentence, f.Evidence)
				}
			}
		})
	}
}

// TestFixes: what is proposed can be done and harms nothing.
func TestFixes(t *testing.T) {
	pair := keys()
	for _, tt := range []struct {
		name   string
		odd    func(*place)
		id     string
		fix    string // a part of it
		record string // a part of the first record's data; "" for no record
	}{
		{"old tags beside a strict policy", replace("p=none;", "p=reject; pct=100;"), "dns.dmarc.old", "Replace", "p=reject"},
		{"an alias in the way of DMARC", both(without("_dmarc"), plus("_dmarc CNAME nothing")), "dns.dmarc.missing", "an alias of nothing.example.test: take the CNAME record out", "p=none"},
		{"an alias in the way of a key", both(without("e20261121._domainkey"), plus("e20261121._domainkey CNAME nothing")), "dns.dkim.missing", "take the CNAME record out", "k=ed25519"},
		{"an alias in the way of MTA-STS", both(without("_mta-sts"), plus("_mta-sts CNAME nothing")), "dns.mta-sts.missing", "take the CNAME record out", "v=STSv1"},
		{"settings of others", both(without("autoconfig"), plus("autoconfig CNAME web.elsewhere.test.")), "dns.autoconfig", "Replace what stands", "mail.example.test."},
		{"an include of what is gone", replace(spfNow, `"v=spf1 a:mail.example.test include:gone.example.test ~all"`), "dns.spf.error", "not there: gone.example.test", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := open(t, pair)
			tt.odd(p)
			p.publish()
			all := p.d.Find(t.Context(), tt.id)
			i := slices.IndexFunc(all, func(f Finding) bool { return f.ID == tt.id })
			if i < 0 {
				t.Fatalf("%+v", all)
			}
			f, record := all[i], ""
			if len(f.Records) > 0 {
				record = f.Records[0].Data
			}
			if !strings.Contains(f.Fix, tt.fix) || !strings.Contains(record, tt.record) || (tt.record == "") != (record == "") {
				t.Errorf("%s\nfix: %s\nrecord: %s\nseen: %s", f.Sentence, f.Fix, record, f.Evidence)
			}
		})
	}
}

// TestDomainThatIsAnAlias: one sentence says why nothing can be published there.
func TestDomainThatIsAnAlias(t *testing.T) {
	t.Parallel()
	p := open(t, keys())
	p.publish()
	d := &Domain{Settings: p.d.Settings, Asker: p.d.Asker, Trusted: true, Dial: p.d.Dial, Port: p.d.Port, Now: p.d.Now, Quick: true, WithoutHost: true}
	d.Settings.Domain, d.Settings.DMARC.Reports.Domain = "www.shop.test", "www.shop.test"
	const text = "@ NS ns1.names.test.\n@ NS ns2.names.test.\nwww CNAME web.elsewhere.test.\n"
	for _, s := range p.ns {
		if err := s.Zone("shop.test", text); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(p.w.Zone("shop.test", text), p.w.Zone("elsewhere.test", "web A 192.0.2.80\n")); err != nil {
		t.Fatal(err)
	}
	found := d.Find(t.Context(), "dns.hosting")
	if len(found) != 1 || found[0].ID != "dns.hosting.alias" || !strings.Contains(found[0].Sentence, "an alias of web.elsewhere.test") {
		t.Errorf("%+v", found)
	}
}

// TestManyExchangers: a zone of somebody else's making fills no page, and is not
// looked at name by name.
func TestManyExchangers(t *testing.T) {
	t.Parallel()
	p := open(t, keys())
	var b strings.Builder
	for i := range 300 {
		fmt.Fprintf(&b, "@ MX 20 mx%d.elsewhere.test.\n", i)
	}
	p.extra = b.String()
	p.publish()
	found := p.d.Find(t.Context(), "dns.mx")
	if len(found) == 0 || found[0].ID != "dns.mx.others" || len(found[0].Sentence) > 300 || !strings.Contains(found[0].Sentence, " and 296 more ") {
		t.Errorf("%+v", found)
	}
}

// TestDomainThatIsNotThere: nothing is said of records that cannot be.
func TestDomainThatIsNotThere(t *testing.T) {
	t.Parallel()
	p := open(t, keys())
	p.publish()
	d := &Domain{Settings: p.d.Settings, Asker: p.d.Asker, Trusted: true, Dial: p.d.Dial, Port: p.d.Port, Now: p.d.Now, Quick: true, WithoutHost: true}
	d.Settings.Domain, d.Settings.DMARC.Reports.Domain = "nowhere.test", "nowhere.test"
	if err := p.w.Zone("test", "x A 192.0.2.1\n"); err != nil {
		t.Fatal(err)
	}
	if got := bad(d.Find(t.Context())); len(got) != 1 || got[0] != "problem dns.hosting.missing" {
		t.Errorf("%v", got)
	}
}

// TestPolicyOfTheOrganization: of a name without a record it is the one nearest
// to the top that holds (RFC 9989, 4.10), unless psd says otherwise.
func TestPolicyOfTheOrganization(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ zone, at, policy string }{
		"the nearest to the top": {`_dmarc TXT "v=DMARC1; p=reject; sp=quarantine"` + "\n" + `_dmarc.b TXT "v=DMARC1; p=none"`, "example.test", "p=quarantine"},
		"the organization ends":  {`_dmarc TXT "v=DMARC1; p=reject"` + "\n" + `_dmarc.b TXT "v=DMARC1; p=none; psd=n"`, "b.example.test", "p=none"},
		"above is a registry":    {`_dmarc TXT "v=DMARC1; p=reject; psd=y"` + "\n" + `_dmarc.b TXT "v=DMARC1; p=none"`, "b.example.test", "p=none"},
		"only the registry's":    {`_dmarc TXT "v=DMARC1; p=reject; psd=y"`, "example.test", "p=reject"},
		"none":                   {`x TXT "y"`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := open(t, nil)
			if err := p.w.Zone("example.test", c.zone+"\n"); err != nil {
				t.Fatal(err)
			}
			p.d.Checks()
			if at, policy := p.d.walk(t.Context(), "a.b.example.test"); at != c.at || policy != c.policy {
				t.Errorf("%q %q, want %q %q", at, policy, c.at, c.policy)
			}
		})
	}
}

// TestAnotherDomainOfTheHost: its records lead to a host in another zone, whose
// own are looked at with the first domain.
func TestAnotherDomainOfTheHost(t *testing.T) {
	t.Parallel()
	p := open(t, keys())
	p.publish()
	d := &Domain{
		Settings: p.d.Settings, Asker: p.d.Asker, Trusted: true, Dial: p.d.Dial, Port: p.d.Port, Now: p.d.Now,
		Quick: true, WithoutHost: true,
	}
	d.Settings.Domain, d.Settings.DMARC.Reports.Domain = "xn--bcher-kva.test", "xn--bcher-kva.test"
	text := zoneText(t, d.Settings)
	for _, s := range p.ns {
		if err := s.Zone("xn--bcher-kva.test", text); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.w.Zone("xn--bcher-kva.test", text); err != nil {
		t.Fatal(err)
	}
	all := d.Find(t.Context())
	if got := bad(all); len(got) > 0 {
		t.Errorf("%v", got)
	}
	for _, f := range all {
		if f.ID == "dns.host" || f.ID == "dns.tlsa" || f.ID == "dns.caa" {
			t.Errorf("the host again: %+v", f)
		}
	}
	if all[0].Subject != "bücher.test" {
		t.Error(all[0].Subject)
	}
	d.WithoutHost = false
	if got := bad((&Domain{Settings: d.Settings, Asker: d.Asker, Trusted: true, Dial: d.Dial, Port: d.Port, Now: d.Now, Quick: true}).Find(t.Context())); len(got) > 0 {
		t.Errorf("with the host: %v", got)
	}
}
