package app

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailstead/admin"
	"mailstead/dns/wanted"
	"mailstead/dns/zone"
	"mailstead/internal/config"
	"mailstead/internal/control"
	"mailstead/web/autoconfig"
)

// servers is what a program reads in config-v1.1.xml.
type servers struct {
	In  []server `xml:"emailProvider>incomingServer"`
	Out []server `xml:"emailProvider>outgoingServer"`
}

type server struct {
	Host   string `xml:"hostname"`
	Port   int    `xml:"port"`
	Socket string `xml:"socketType"`
	User   string `xml:"username"`
}

// A program that knows nothing but an address and its password finds the doors
// and logs in; whether there is such an address nobody learns on the way.
func TestClientsSetThemselvesUp(t *testing.T) {
	const domain, password = "clients.test", "long enough"
	h := startHouse(t, domain)
	do[control.Domain](h, "domain.add", control.OneDomain{Name: domain})
	do[control.Account](h, "account.add", control.NewAccount{Address: "alice@" + domain, Password: password})
	on := true
	do[control.Certificates](h, "certificate.set", control.CertificateChange{Enabled: &on, CA: &h.ca.URL, Roots: &h.ca.Roots})
	do[control.Certificates](h, "certificate.obtain", control.CertificateNames{})
	b := h.browser()

	base := "https://autoconfig." + domain
	r, text := h.get(b, base+autoconfig.ConfigPath+"?emailaddress=alice@"+domain)
	if r.StatusCode != http.StatusOK {
		t.Fatalf("%s\n%s", r.Status, text)
	}
	var s servers
	if err := xml.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	if len(s.In) != 2 || len(s.Out) != 2 || s.In[0].Socket != "SSL" || s.Out[0].Socket != "SSL" || s.In[1].Socket != "STARTTLS" || s.Out[1].Socket != "STARTTLS" {
		t.Fatalf("%+v", s)
	}
	h.logIn(s.In[0], "alice@"+domain, password)

	for _, path := range []string{autoconfig.ConfigPath + "?emailaddress=", autoconfig.ProfilePath + "?address=", autoconfig.DiscoverV2 + "?Protocol=AutodiscoverV1&Email="} {
		known, body := h.get(b, base+path+"alice@"+domain)
		unknown, other := h.get(b, base+path+"nobo1@"+domain)
		if known.StatusCode != 200 || unknown.StatusCode != 200 || len(body) == 0 {
			t.Errorf("%s: %s, %s", path, known.Status, unknown.Status)
		}
		if path[1] != 'p' && body != other { // what is signed differs by its signature
			t.Errorf("%s tells addresses apart:\n%s\n%s", path, body, other)
		}
		if foreign, _ := h.get(b, base+path+"alice@elsewhere.test"); foreign.StatusCode != 404 {
			t.Errorf("%s of another domain: %s", path, foreign.Status)
		}
	}
	_, profile := h.get(b, base+autoconfig.ProfilePath+"?address=alice@"+domain)
	chain, err := h.app.cert.GetCertificate(&tls.ClientHelloInfo{ServerName: h.app.Config.Hostname})
	if err != nil || len(chain.Certificate) < 2 {
		t.Fatalf("%+v, %v", chain, err)
	}
	for _, der := range chain.Certificate {
		if !bytes.Contains([]byte(profile), der) {
			t.Error("the profile is not signed with the live chain")
		}
	}

	r, err = b.Post("https://autodiscover."+domain+"/AutoDiscover/AutoDiscover.xml", "text/xml", strings.NewReader(
		`<Autodiscover><Request><EMailAddress>alice@`+domain+`</EMailAddress></Request></Autodiscover>`))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != 200 {
		t.Errorf("Outlook: %s", r.Status)
	}
	if r, page := h.get(b, base+"/?address=alice@"+domain); r.StatusCode != 200 || !strings.Contains(page, autoconfig.ProfilePath+"?address=alice%40"+domain) {
		t.Errorf("the page: %s\n%s", r.Status, page)
	}
	if r, _ := h.get(b, base+admin.Home); r.StatusCode != 404 {
		t.Errorf("the pages of operators stand under a name for programs: %s", r.Status)
	}
	if r, _ := h.get(b, "http://autoconfig."+domain+autoconfig.ConfigPath); r.Header.Get("Location") != base+autoconfig.ConfigPath {
		t.Errorf("in the clear: %s %s", r.Status, r.Header.Get("Location"))
	}
}

// logIn is the program's first visit.
func (h *house) logIn(s server, user, password string) {
	h.Helper()
	c, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Port), &tls.Config{RootCAs: h.ca.CA, ServerName: s.Host})
	if err != nil {
		h.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "a LOGIN %q %q\r\n", strings.ReplaceAll(s.User, "%EMAILADDRESS%", user), password)
	for in := bufio.NewScanner(c); in.Scan(); {
		if answer, tagged := strings.CutPrefix(in.Text(), "a "); tagged {
			if !strings.HasPrefix(answer, "OK") {
				h.Error(answer)
			}
			return
		}
	}
	h.Error("no answer to LOGIN")
}

// What is served over HTTPS and what the SRV records say are one thing.
func TestServedAsPublished(t *testing.T) {
	for _, l := range []config.Listen{
		config.Default().Listen,
		{IMAPS: []string{":993"}, Submissions: []string{"192.0.2.1:465", "[2001:db8::1]:465"}},
		{IMAP: []string{"[::]:10143"}, Submission: []string{":2587"}, IMAPS: []string{}},
	} {
		a := &App{Stores: &Stores{Config: config.Config{Hostname: "mail.example.org", Listen: l}}}
		if diff := cmp.Diff(wanted.Services(l), a.clientDoors()); diff != "" {
			t.Errorf("(-published +served):\n%s", diff)
		}
		published := map[string]bool{}
		for _, r := range zone.Records(zone.Settings{Domain: "example.org", Host: "mail.example.org", Services: wanted.Services(l)}) {
			if r.Kind == zone.KindSRV && !strings.HasSuffix(r.Data, " .") {
				name, _, _ := strings.Cut(r.Name, ".")
				published[name] = true
			}
		}
		for _, d := range a.clientDoors() {
			if !published[d.Name] {
				t.Errorf("%s is served and not published", d.Name)
			}
			delete(published, d.Name)
		}
		if len(published) > 0 {
			t.Errorf("published and not served: %v", published)
		}
	}
}
