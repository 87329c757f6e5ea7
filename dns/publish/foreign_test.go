package publish

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/libdns/libdns"
)

// foreign are 100 records of somebody else, many at the very names of ours, with
// times to live of their own.
func foreign() []string {
	all := []string{
		"example.org. 7200 IN TXT \"site-verification=abc\"", "example.org. 7200 IN TXT \"v=verify1 token\"",
		"example.org. 900 IN CAA 0 issue \"other.example\"", "mail.example.org. 900 IN CAA 0 iodef \"mailto:ca@example.org\"",
		"_25._tcp.mail.example.org. 120 IN TLSA 2 1 1 00ff00ff", "mail.example.org. 333 IN TXT \"a note\"",
		"mail.example.org. 333 IN AAAA 2001:db8::7", "_dmarc.example.org. 444 IN TXT \"not a policy\"",
		"_imaps._tcp.example.org. 444 IN TXT \"beside\"", "google._domainkey.example.org. 3600 IN TXT \"v=DKIM1; k=rsa; p=ZZZZ\"",
	}
	for i := len(all); i < 100; i++ {
		switch i % 5 {
		case 0:
			all = append(all, fmt.Sprintf("h%d.example.org. %d IN A 192.0.2.%d", i, 60+i, i))
		case 1:
			all = append(all, fmt.Sprintf("h%d.example.org. %d IN TXT \"v=spf1 ip4:192.0.2.%d -all\"", i, 60+i, i))
		case 2:
			all = append(all, fmt.Sprintf("h%d.example.org. %d IN CNAME web.example.net.", i, 60+i))
		case 3:
			all = append(all, fmt.Sprintf("h%d.example.org. %d IN MX %d mx.example.net.", i, 60+i, i))
		case 4:
			all = append(all, fmt.Sprintf("_s%d._tcp.example.org. %d IN SRV 0 1 %d srv.example.net.", i, 60+i, i))
		}
	}
	return all
}

// runForeign publishes, changes, gives up and undoes beside the foreign records,
// and looks after each that all of them are as they were.
func runForeign(t *testing.T, p *Publisher, lines func() []string) {
	t.Helper()
	before := lines()
	if len(before) < 100 {
		t.Fatalf("%d records to begin with", len(before))
	}
	untouched := func(when string) {
		t.Helper()
		now := lines()
		for _, l := range before {
			if !slices.Contains(now, l) {
				t.Errorf("%s: %s is gone", when, l)
			}
		}
	}
	d := publishAll(t, p, wants(usual...))
	if n := d.Count(Conflict, Elsewhere); n > 0 {
		t.Errorf("%d conflicts: %v", n, actions(d))
	}
	untouched("published")
	if n := len(lines()); n != len(before)+len(usual) {
		t.Errorf("published: %d records, wanted %d more than %d", n, len(usual), len(before))
	}
	if d, err := p.Plan(t.Context(), "example.org", wants(usual...)); err != nil || !d.Empty() {
		t.Errorf("plan after publishing: %v %v", actions(d), err)
	}
	other := slices.Clone(usual)
	other[0], other[3] = "mail.example.org A 192.0.2.77", `s2._domainkey.example.org TXT "v=DKIM1; k=rsa; p=BBBB"`
	publishAll(t, p, wants(other...))
	untouched("changed")
	if err := p.Undo(t.Context(), "example.org"); err != nil {
		t.Fatal(err)
	}
	untouched("undone")
	publishAll(t, p, nil)
	if diff := cmp.Diff(before, lines()); diff != "" {
		t.Errorf("given up: %s", diff)
	}
}

func TestForeignRFC2136(t *testing.T) {
	t.Parallel()
	n := startNameServer(t, foreign()...)
	runForeign(t, &Publisher{DB: openDB(t), Provider: n.client(t, nil), Name: "rfc2136"}, n.lines)
}

func TestForeignCloudflare(t *testing.T) {
	t.Parallel()
	cf := &cloudflareFake{token: "tok"}
	cf.fill(t, foreign())
	s := httptest.NewServer(cf)
	t.Cleanup(s.Close)
	p := connect(t, "cloudflare", map[string]string{"token": "tok"}, s.URL, nil)
	runForeign(t, &Publisher{DB: openDB(t), Provider: p, Name: "cloudflare"}, cf.lines)
	if cf.pages < 2 {
		t.Error("the zone was never longer than a page")
	}
}

// cloudflareFake is a zone behind the form of Cloudflare's API.
type cloudflareFake struct {
	token string

	mu    sync.Mutex
	all   []cfRecord // under mu, as they are answered
	next  int
	pages int
}

func (f *cloudflareFake) fill(t *testing.T, lines []string) {
	t.Helper()
	c := cloudflare{}
	for _, l := range lines {
		p := strings.SplitN(l, " ", 5)
		ttl, _ := strconv.Atoi(p[1])
		rr := normal(libdns.RR{Name: relative(p[0], "example.org"), Type: p[3], Data: unwire(p[3], p[4])})
		r := c.form("example.org", rr)
		r.TTL = ttl
		f.add(r)
	}
}

// add keeps a record as Cloudflare does: what came as data is answered with
// content too, SRV's without its priority.
func (f *cloudflareFake) add(r cfRecord) string {
	f.next++
	r.ID = fmt.Sprint("r", f.next)
	switch r.Type {
	case "SRV":
		r.Content = fmt.Sprint(r.Data["weight"], " ", r.Data["port"], " ", r.Data["target"])
	case "CAA":
		r.Content = fmt.Sprintf("%v %v %q", r.Data["flags"], r.Data["tag"], r.Data["value"])
	case "TLSA":
		r.Content = fmt.Sprint(r.Data["usage"], " ", r.Data["selector"], " ", r.Data["matching_type"], " ", r.Data["certificate"])
	}
	f.all = append(f.all, r)
	return r.ID
}

func (f *cloudflareFake) lines() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, r := range f.all {
		all = append(all, fmt.Sprintf("%s %s %d %s", r.Name, r.Type, r.TTL, r.presentation()))
	}
	slices.Sort(all)
	return all
}

func (f *cloudflareFake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	say := func(status int, v map[string]any) {
		v["success"] = status == 200
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	fail := func(status, code int, text string) {
		say(status, map[string]any{"errors": []any{map[string]any{"code": code, "message": text}}})
	}
	id := strings.TrimPrefix(r.URL.Path, "/zones/z1/dns_records")
	at := slices.IndexFunc(f.all, func(c cfRecord) bool { return "/"+c.ID == id })
	switch {
	case r.Header.Get("Authorization") != "Bearer "+f.token:
		fail(403, 9109, "Invalid access token")
	case r.URL.Path == "/zones":
		var zones []any
		if r.URL.Query().Get("name") == "example.org" {
			zones = []any{map[string]any{"id": "z1", "name": "example.org"}}
		}
		say(200, map[string]any{"result": zones})
	case r.Method == http.MethodGet && id == "":
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		f.pages = max(f.pages, page)
		from := min((page-1)*100, len(f.all))
		say(200, map[string]any{"result": f.all[from:min(from+100, len(f.all))], "result_info": map[string]any{"page": page, "total_pages": (len(f.all) + 99) / 100}})
	case r.Method == http.MethodPost && id == "":
		var in cfRecord
		_ = json.NewDecoder(r.Body).Decode(&in)
		say(200, map[string]any{"result": map[string]any{"id": f.add(in)}})
	case at < 0:
		fail(404, 81044, "Record does not exist.")
	case r.Method == http.MethodPut:
		var in cfRecord
		_ = json.NewDecoder(r.Body).Decode(&in)
		f.add(in)
		f.all[at], f.all = f.all[len(f.all)-1], f.all[:len(f.all)-1]
		say(200, map[string]any{"result": map[string]any{}})
	case r.Method == http.MethodDelete:
		f.all = slices.Delete(f.all, at, at+1)
		say(200, map[string]any{"result": map[string]any{"id": id}})
	default:
		fail(405, 0, "no such method")
	}
}

// hookZone names the file that the test binary, run as a hook, keeps its zone in.
const hookZone = "MAILSTEAD_TEST_HOOK_ZONE"

func TestMain(m *testing.M) {
	if file := os.Getenv(hookZone); file != "" {
		runHook(file)
		return
	}
	os.Exit(m.Run())
}

// runHook is a hook as docs/dns.md describes it.
func runHook(file string) {
	var in hookRequest
	var all []Record
	out := map[string]any{}
	defer func() { _ = json.NewEncoder(os.Stdout).Encode(out) }()
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil || in.Version != 1 {
		out["error"] = fmt.Sprint("not asked as it should be: ", err)
		return
	}
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		out["error"] = err.Error()
		return
	}
	if in.Action != "zone" && in.Zone != "example.org" {
		out["error"] = "not my zone: " + in.Zone
		return
	}
	switch in.Action {
	case "zone":
		if !strings.HasSuffix("."+in.Name, ".example.org") {
			out["error"], out["kind"] = "not in this account: "+in.Name, "zone"
			return
		}
		out["zone"] = "example.org"
	case "get":
		out["records"] = all
	case "change":
		for _, r := range in.Remove {
			all = slices.DeleteFunc(all, r.same)
		}
		all = append(all, in.Add...)
		text, _ := json.Marshal(all)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			out["error"] = err.Error()
		}
	}
}

// script writes an executable; the hook gets no environment of ours.
func script(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "hook")
	// A shell writes it: no other test's child can hold the file open for writing
	// while it is run.
	c := exec.Command("/bin/sh", "-c", `cat >"$0" && chmod 700 "$0"`, name)
	c.Stdin = strings.NewReader("#!/bin/sh\n" + text + "\n")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return name
}

func TestForeignExec(t *testing.T) {
	t.Parallel()
	var all []Record
	for _, l := range foreign() {
		p := strings.SplitN(l, " ", 5)
		ttl, _ := strconv.Atoi(p[1])
		all = append(all, Record{Name: strings.TrimSuffix(p[0], "."), Type: p[3], TTL: ttl, Data: p[4]})
	}
	file := filepath.Join(t.TempDir(), "zone.json")
	text, _ := json.Marshal(all)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h := connect(t, "exec", map[string]string{"command": script(t, fmt.Sprintf("%s=%q exec %q", hookZone, file, self))}, "", nil)
	lines := func() []string {
		var all []Record
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, &all)
		}
		if err != nil {
			t.Fatal(err)
		}
		var show []string
		for _, r := range all {
			show = append(show, fmt.Sprintf("%s %s %d %s", r.Name, r.Type, r.TTL, r.Data))
		}
		slices.Sort(show)
		return show
	}
	runForeign(t, &Publisher{DB: openDB(t), Provider: h, Name: "exec"}, lines)
	// As ACME asks, with the final dot of the zone.
	challenge := rrs("_acme-challenge.mail TXT tok")
	if _, err := h.AppendRecords(t.Context(), "example.org.", challenge); err != nil {
		t.Error(err)
	}
	if gone, err := h.DeleteRecords(t.Context(), "example.org.", challenge); err != nil || len(gone) != 1 {
		t.Errorf("deleted %v, %v", gone, err)
	}
	if _, err := h.(Finder).FindZone(t.Context(), "example.net"); !isNoZone(err) || !strings.Contains(err.Error(), "not in this account") {
		t.Errorf("another zone: %v", err)
	}
}

func TestHookFaults(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ text, says string }{
		{`echo "no key" >&2; exit 3`, "no key"},
		{`echo hello`, "answered no JSON"},
		{`echo '{"error":"bad token","kind":"token"}'; exit 1`, "bad token"},
		{`echo '{"zone":"org"}'`, "knows no zone"},
		{`test -z "$(env | grep -v -e ^PATH= -e ^HOME= -e ^PWD= -e ^OLDPWD= -e ^_= -e ^SHLVL=)" && echo '{"zone":"example.org"}'`, ""},
	} {
		h := connect(t, "exec", map[string]string{"command": script(t, tc.text)}, "", nil)
		_, err := h.(Finder).FindZone(t.Context(), "example.org")
		if tc.says == "" && err != nil || tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)) {
			t.Errorf("%s: %v", tc.text, err)
		}
	}
}
