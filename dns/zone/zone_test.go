package zone_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/netip"
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

const (
	rsaKey = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA0TGCs7d/4rMsrp8w1WDHoGpahW1vPQi95j2ZqEFJYcIUiGtAmZNiOuGFvWpWJUlj" +
		"0EEhYveTg4uNyYZA8CbJ5oEGRAa6gAKWIVGTI35kCwgSPepLHwWsf4TpzFN22p18eMmHluz5n7HQxVxt3ahUmSdVy+xT3KlFeBGtkkh6Z7JG2cGc/" +
		"SdSV+De7KOvH0yoFisXxXDV2iTJ23asKsUokRPNmay2dLlQU9uX3rQDgKQie1UQ8PwF8rBnS4tOHlBm4tfY1UcCXz6ZlIlbBC6ccl/SD6bIUsI3/P8" +
		"FqryU8N8nuLsnqE+HuZoaSdE7yfLIYZ1X/6ndEoOVcd74LcmOvQIDAQAB"
	edKey = "OyWEAVZQeR2bw69cfm/BTN97rsLfM0GS3DzbNz318Ao="
)

// cases are the settings of the golden files testdata/NAME.zone.
func cases() map[string]zone.Settings {
	started := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	services := []zone.Service{{Name: "_submissions", Port: 465}, {Name: "_imaps", Port: 993}, {Name: "_submission", Port: 0}}
	to := func(local string, d message.Domain) message.Address { return message.Address{Local: local, Domain: d} }
	return map[string]zone.Settings{
		"small": {
			Domain: "example.org", Host: "mail.example.org", Services: services,
			Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.25")},
			Keys:      []zone.DKIMKey{{Selector: "r20261121", Algorithm: "rsa", Public: rsaKey}, {Selector: "e20261121", Algorithm: "ed25519", Public: edKey}},
			DMARC:     zone.DMARC{Reports: to("reports", "example.org"), Started: started},
		},
		"whole": {
			Domain: "example.org", Host: "mail.example.org",
			Services: append(services, zone.Service{Name: "_imap", Port: 143}, zone.Service{Name: "_pop3s", Port: 995}, zone.Service{Name: "_sieve", Port: 4190}),
			Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.25"), netip.MustParseAddr("2001:db8::25"),
				netip.MustParseAddr("::ffff:192.0.2.26")},
			Keys:   []zone.DKIMKey{{Selector: "r20261121", Algorithm: "rsa", Public: strings.Repeat(rsaKey, 2)}, {Selector: "e20261121", Algorithm: "ed25519", Public: edKey}},
			DMARC:  zone.DMARC{Policy: "reject", Reports: to("a,b!c;\"ü", "reports.example"), Started: started},
			MTASTS: zone.MTASTS{Mode: "enforce"}, TLSRPT: to("reports", "example.org"),
			TLSA: []string{strings.Repeat("0F", 32), strings.Repeat("a1", 32)},
			CAA: zone.CAA{Issuer: "letsencrypt.org", AccountURI: "https://acme-v02.api.letsencrypt.org/acme/acct/123",
				Methods: []string{"http-01", "dns-01"}},
			ExistingSPF: []string{"v=spf1 mx include:_spf.elsewhere.example -all"}, Include: []string{"relay.example"},
		},
		"host-elsewhere": {
			Domain: "xn--bcher-kva.example", Host: "mail.example.org", Services: services,
			Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.25")},
			Keys:      []zone.DKIMKey{{Selector: "e20261121", Algorithm: "ed25519", Public: edKey}},
			DMARC:     zone.DMARC{Policy: "quarantine", Reports: to("reports", "xn--bcher-kva.example"), Started: started},
			MTASTS:    zone.MTASTS{Mode: "testing", ID: "20261121"},
			TLSA:      []string{strings.Repeat("0f", 32)}, CAA: zone.CAA{Issuer: "letsencrypt.org"},
		},
		"host-is-domain": {
			Domain: "example.net", Host: "example.net", Addresses: []netip.Addr{netip.MustParseAddr("2001:db8::1")},
			TLSA: []string{strings.Repeat("0f", 32)}, CAA: zone.CAA{Issuer: "letsencrypt.org"},
		},
		"host-is-autoconfig": {
			Domain: "example.com", Host: "autoconfig.example.com", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
			MTASTS: zone.MTASTS{Mode: "none"},
		},
	}
}

func file(t testing.TB, s zone.Settings) string {
	t.Helper()
	var b bytes.Buffer
	if err := zone.WriteFile(&b, s.Domain, zone.Records(s)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	for name, s := range cases() {
		path := filepath.Join("testdata", name+".zone")
		got := file(t, s)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// TestOnceAndInside: no record twice, each in the domain or named as outside,
// and no name with an alias beside something else (RFC 1034, 3.6.2).
func TestOnceAndInside(t *testing.T) {
	for name, s := range cases() {
		seen, types := map[string]bool{}, map[string]map[string]bool{}
		for _, r := range zone.Records(s) {
			if key := r.Name + r.Type + r.Data; seen[key] {
				t.Errorf("%s: twice %+v", name, r)
			} else {
				seen[key] = true
			}
			if types[r.Name] == nil {
				types[r.Name] = map[string]bool{}
			}
			types[r.Name][r.Type] = true
			if !zone.Within(r.Name, s.Domain) && r.Kind != zone.KindDMARCReport {
				t.Errorf("%s: %s is outside", name, r.Name)
			}
			if !strings.HasSuffix(r.Purpose, ".") || r.TTL < time.Minute || r.Kind == "" {
				t.Errorf("%s: %+v", name, r)
			}
		}
		for at, set := range types {
			if set["CNAME"] && len(set) > 1 {
				t.Errorf("%s: %s is an alias and more", name, at)
			}
		}
	}
}

func TestForms(t *testing.T) {
	s := cases()["whole"]
	var got []string
	for _, r := range zone.Records(s) {
		f := r.Form(s.Domain)
		text, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if r.Kind == zone.KindDKIM && r.Name[0] == 'r' {
			if f.Value != "v=DKIM1; k=rsa; p="+strings.Repeat(rsaKey, 2) {
				t.Errorf("not one string: %s", f.Value)
			}
			continue
		}
		got = append(got, string(text))
	}
	want := []string{
		`{"name":"mail","type":"A","ttl":3600,"value":"192.0.2.25"}`,
		`{"name":"mail","type":"AAAA","ttl":3600,"value":"2001:db8::25"}`,
		`{"name":"mail","type":"A","ttl":3600,"value":"192.0.2.26"}`,
		`{"name":"@","type":"MX","ttl":3600,"priority":10,"value":"mail.example.org."}`,
		`{"name":"@","type":"TXT","ttl":3600,"value":"v=spf1 a:mail.example.org include:relay.example mx include:_spf.elsewhere.example -all"}`,
		`{"name":"e20261121._domainkey","type":"TXT","ttl":3600,"value":"v=DKIM1; k=ed25519; p=` + edKey + `"}`,
		`{"name":"_dmarc","type":"TXT","ttl":300,"value":"v=DMARC1; p=reject; rua=mailto:a%2Cb%21c%3B%22%C3%BC@reports.example"}`,
		`{"name":"example.org._report._dmarc.reports.example.","type":"TXT","ttl":3600,"value":"v=DMARC1"}`,
		`{"name":"mail","type":"TXT","ttl":3600,"value":"v=spf1 a -all"}`,
		`{"name":"mail","type":"CAA","ttl":3600,"value":"0 issue \"letsencrypt.org; accounturi=https://acme-v02.api.letsencrypt.org/acme/acct/123; validationmethods=http-01,dns-01\""}`,
		`{"name":"_25._tcp.mail","type":"TLSA","ttl":300,"value":"3 1 1 ` + strings.Repeat("0f", 32) + `"}`,
		`{"name":"_25._tcp.mail","type":"TLSA","ttl":300,"value":"3 1 1 ` + strings.Repeat("a1", 32) + `"}`,
	}
	if d := cmp.Diff(want, got[:len(want)]); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestRecordAsJSON(t *testing.T) {
	for _, r := range zone.Records(cases()["whole"]) {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back zone.Record
		if err := json.Unmarshal(text, &back); err != nil || back != r {
			t.Errorf("%s: %+v, %v", text, back, err)
		}
	}
}

func TestMergeSPF(t *testing.T) {
	for _, tt := range []struct {
		existing []string
		want     string
	}{
		{nil, "v=spf1 a:mail.example.org include:relay.example ~all"},
		{[]string{"v=spf1 a:mail.example.org include:relay.example ~all"}, "v=spf1 a:mail.example.org include:relay.example ~all"},
		{[]string{"V=SPF1 +A:Mail.Example.org ip4:192.0.2.0/24 -all"}, "v=spf1 a:mail.example.org include:relay.example ip4:192.0.2.0/24 -all"},
		{[]string{"v=spf1 -all"}, "v=spf1 a:mail.example.org include:relay.example -all"},
		{[]string{"v=spf1 mx ?all"}, "v=spf1 a:mail.example.org include:relay.example mx ?all"},
		{[]string{"v=spf1 mx all"}, "v=spf1 a:mail.example.org include:relay.example mx all"},
		{[]string{"v=spf1 redirect=_spf.example.net"}, "v=spf1 a:mail.example.org include:relay.example redirect=_spf.example.net"},
		{[]string{"v=spf1 mx redirect=_spf.example.net ~all"}, "v=spf1 a:mail.example.org include:relay.example mx ~all"},
		{[]string{"v=spf1 mx -all exp=why.example.org"}, "v=spf1 a:mail.example.org include:relay.example mx -all exp=why.example.org"},
		{[]string{"v=spf1 -all include:never.example"}, "v=spf1 a:mail.example.org include:relay.example -all"},
		{[]string{"v=spf1 mx -all", "v=spf1 include:b.example ~all"}, "v=spf1 a:mail.example.org include:relay.example mx include:b.example ~all"},
		{[]string{"v=spf1 exists:%{i}._spf.example.net"}, "v=spf1 a:mail.example.org include:relay.example exists:%{i}._spf.example.net ~all"},
		{[]string{"verification=1"}, "v=spf1 a:mail.example.org include:relay.example ~all"},
	} {
		got := zone.SPF(zone.Settings{Domain: "example.org", Host: "mail.example.org", Include: []string{"relay.example"}, ExistingSPF: tt.existing})
		if got != tt.want {
			t.Errorf("%q:\n got %s\nwant %s", tt.existing, got, tt.want)
		}
	}
}

func TestLookups(t *testing.T) {
	for text, want := range map[string]int{
		"v=spf1 a mx ptr include:x exists:y redirect=z": 6, "v=spf1 ip4:192.0.2.1 ip6:2001:db8::/32 -all exp=x": 0,
		"v=spf1 a/24 -mx:x.example/24//64 ?include:x": 3, "no": 0,
	} {
		if got := zone.Lookups(text); got != want {
			t.Errorf("%s: %d", text, got)
		}
	}
}

func TestPlan(t *testing.T) {
	d := zone.DMARC{Started: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)}
	for date, want := range map[string]string{
		"2026-11-20": "none", "2026-11-21": "none", "2026-12-04": "none", "2026-12-05": "quarantine", "2027-01-01": "quarantine", "2027-01-02": "reject",
	} {
		now, err := time.Parse(time.DateOnly, date)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Due(now).Policy; got != want {
			t.Errorf("%s: %s", date, got)
		}
	}
}

func TestPolicyFile(t *testing.T) {
	s := zone.Settings{Domain: "example.org", Host: "mail.example.org", MTASTS: zone.MTASTS{Mode: "enforce"}}
	if d := cmp.Diff("version: STSv1\r\nmode: enforce\r\nmx: mail.example.org\r\nmax_age: 604800\r\n", s.MTASTSPolicy()); d != "" {
		t.Error(d)
	}
}

// TestPlanIsBehindOnlyWhenMilder: whoever is strict early is not sent back.
func TestPlanIsBehindOnlyWhenMilder(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		policy string
		days   int
		want   string
	}{{"", 1, ""}, {"none", 1, ""}, {"reject", 1, ""}, {"", 15, "quarantine"}, {"quarantine", 15, ""}, {"reject", 15, ""}, {"quarantine", 60, "reject"}, {"reject", 60, ""}} {
		if got := (zone.DMARC{Policy: c.policy, Started: began}).Behind(began.AddDate(0, 0, c.days)); got != c.want {
			t.Errorf("p=%s after %d days: %q, want %q", c.policy, c.days, got, c.want)
		}
	}
	for text, want := range map[string]string{
		"v=DMARC1; p=reject": "reject", "v = DMARC1 ;rua=mailto:a@b.c; P = None": "none", "v=DMARC1;p=maybe": "", "v=spf1 p=reject": "", "p=reject; v=DMARC1": "", "": "",
	} {
		if got := zone.PolicyOf(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
