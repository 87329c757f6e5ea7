package setup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailstead/acme"
	"mailstead/dns/check"
	"mailstead/dns/publish"
	"mailstead/internal/config"
	"mailstead/internal/control"
)

// office answers operations as a healthy server does, except where a test says
// otherwise.
type office struct {
	mu    sync.Mutex
	sick  map[string]func(in json.RawMessage) (any, error) // by operation; guarded by mu, as all below
	asked []string
	has   map[string]bool // what was made
}

func (o *office) Do(_ context.Context, name string, in, out any) error {
	raw, err := json.Marshal(in)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, name)
	answer := o.well
	if sick := o.sick[name]; sick != nil {
		answer = func(_ string, in json.RawMessage) (any, error) { return sick(in) }
	}
	res, err := answer(name, raw)
	if err != nil || out == nil || res == nil {
		return err
	}
	if raw, err = json.Marshal(res); err != nil {
		return err
	}
	return json.Unmarshal(raw, out)
}

// well is what a healthy server says. Its certificates are there already, and no
// server is said to run, so that no message is sent: the world's test does.
func (o *office) well(name string, in json.RawMessage) (any, error) {
	made := func(what string) error {
		if o.has[what] {
			return &control.Error{Kind: control.Exists, Text: what + ": already exists"}
		}
		o.has[what] = true
		return nil
	}
	none := func(what string) error {
		if o.has[what] {
			return nil
		}
		return &control.Error{Kind: control.NotFound, Text: "no " + what}
	}
	switch name {
	case "account.show":
		return control.Account{}, none("account")
	case "account.add":
		return control.Account{}, made("account")
	case "domain.add":
		return control.Domain{}, made("domain")
	case "dns.host":
		return control.DNSHost{NameServers: []string{"a.ns.cloudflare.com"}, Provider: "cloudflare", Title: "Cloudflare"}, nil
	case "dns.access":
		o.has["access"] = true
		return control.DNSAccessed{Zone: "example.org"}, nil
	case "dns.plan", "dns.publish":
		return publish.Diff{}, none("access")
	case "dns.address":
		return json.RawMessage(`{"addresses":["192.0.2.25"]}`), nil
	case "certificate.show", "certificate.set":
		return control.Certificates{Settings: acme.Settings{Enabled: true}, Running: true}, nil
	case "smarthost.show":
		return control.SmartHost{}, nil
	}
	return nil, nil
}

func (o *office) Stream(context.Context, string, any, io.Reader, io.Writer) error {
	return errors.ErrUnsupported
}

// desk is a Server whose office is always there.
type desk struct {
	*office
	trouble error
}

func (d desk) Start(context.Context, config.Config) (control.Caller, string, error) {
	return d.office, "", d.trouble
}
func (desk) Close(context.Context) error { return nil }

// walk is one walk of a test.
type walk struct {
	Options
	office *office
	asked  []string // keys that were asked, in their order
	events map[string]Event
}

func newWalk(t *testing.T, given map[string]string) *walk {
	t.Helper()
	dir := t.TempDir()
	cfg := config.Default()
	cfg.Data, cfg.DNS.Resolver = filepath.Join(dir, "data"), "127.0.0.1:1"
	w := &walk{office: &office{sick: map[string]func(json.RawMessage) (any, error){}, has: map[string]bool{}}, events: map[string]Event{}}
	w.Options = Options{
		Config: cfg, ConfigFile: filepath.Join(dir, "mailstead.toml"), Given: given, Server: desk{office: w.office},
		Password: func() string { return "made-up" }, Wait: 1,
		Tell: func(e Event) {
			if e.Ended {
				w.events[e.Step] = e
			}
		},
	}
	return w
}

// answers makes an Asker of fixed answers.
func (w *walk) answers(said map[string]string) {
	w.Ask = func(_ context.Context, _ Step, list []Asked) (map[string]string, error) {
		given := map[string]string{}
		for _, q := range list {
			w.asked = append(w.asked, q.Key)
			given[q.Key] = said[q.Key]
			if err := q.Valid(given[q.Key]); err != nil {
				return nil, fmt.Errorf("%s: %w", q.Key, err)
			}
		}
		return given, nil
	}
}

func (w *walk) run(t *testing.T) bool {
	t.Helper()
	r, err := New(w.Options)
	if err != nil {
		t.Fatal(err)
	}
	ok, err := r.Walk(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func (w *walk) fail(op string, kind control.Kind, text, next string) {
	w.office.sick[op] = func(json.RawMessage) (any, error) { return nil, &control.Error{Kind: kind, Text: text, Next: next} }
}

func (w *walk) say(op string, out any) {
	w.office.sick[op] = func(json.RawMessage) (any, error) { return out, nil }
}

// TestThreeQuestions: domain, address with its password, and the DNS with its
// token; nothing else is asked of a person in the ordinary case.
func TestThreeQuestions(t *testing.T) {
	t.Parallel()
	w := newWalk(t, nil)
	w.answers(map[string]string{"domain": "example.org", "address": "you", "dns": "cloudflare", "credentials.token": "secret"})
	w.run(t)
	if d := cmp.Diff([]string{"domain", "address", "password", "dns", "credentials.token"}, w.asked); d != "" {
		t.Error(d)
	}
	if text, err := os.ReadFile(filepath.Join(w.Config.Data, progressName)); err != nil || strings.Contains(string(text), "secret") {
		t.Errorf("remembered: %s, %v", text, err)
	}
	// Again: nothing.
	w.asked = nil
	w.run(t)
	if len(w.asked) > 0 {
		t.Errorf("asked again: %v", w.asked)
	}
	if n := slices.Index(w.office.asked[slices.Index(w.office.asked, "account.add")+1:], "account.add"); n >= 0 {
		t.Error("the account was made twice")
	}
}

// TestGoesOn: broken off at any step, the next walk asks only what is left, and
// all questions are asked once in all.
func TestGoesOn(t *testing.T) {
	t.Parallel()
	for i, s := range Steps() {
		w := newWalk(t, nil)
		w.answers(map[string]string{"domain": "example.org", "address": "you", "password": "correct horse", "dns": "cloudflare", "credentials.token": "secret"})
		ctx, cancel := context.WithCancel(t.Context())
		tell := w.Tell
		w.Tell = func(e Event) {
			if tell(e); e.Ended && e.Step == s.ID {
				cancel()
			}
		}
		r, err := New(w.Options)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Walk(ctx); i < len(Steps())-1 && !errors.Is(err, context.Canceled) {
			t.Errorf("after %s: %v", s.ID, err)
		}
		cancel()
		w.Tell = tell
		w.run(t)
		count := map[string]int{}
		for _, key := range w.asked {
			count[key]++
		}
		// A password is not remembered: one that was not used yet is asked again.
		again := 1
		if i >= 1 && i < slices.IndexFunc(Steps(), func(s Step) bool { return s.ID == "account" }) {
			again = 2
		}
		if d := cmp.Diff(map[string]int{"domain": 1, "address": 1, "password": again, "dns": 1, "credentials.token": 1}, count); d != "" {
			t.Errorf("broken off after %s:\n%s", s.ID, d)
		}
	}
}

// TestFaults: each is a finding with its sentence and its fix, and the last step
// is reached all the same.
func TestFaults(t *testing.T) {
	t.Parallel()
	problem := func(kind acme.Kind, sentence, fix string) func(*walk) {
		return func(w *walk) {
			v := control.Certificates{Settings: acme.Settings{Enabled: true}, Running: true,
				Names: []acme.Status{{Name: "mail.example.org", Origin: acme.SelfMade, Problem: &acme.Problem{Kind: kind, Sentence: sentence, Fix: fix}}}}
			w.say("certificate.show", v)
			w.say("certificate.set", v)
			w.say("certificate.obtain", v)
		}
	}
	for _, tt := range []struct {
		name      string
		spoil     func(w *walk)
		step      string
		want, fix string
	}{
		{"token refused", func(w *walk) {
			w.fail("dns.access", control.Invalid, "Cloudflare does not take the token", "make a new one")
		},
			"dns", "Cloudflare does not take the token.", "make a new one."},
		{"somebody else's domain", func(w *walk) {
			w.fail("dns.access", control.NotFound, "the token sees no zone that example.org lies in", "give it the zone")
		}, "dns", "the token sees no zone that example.org lies in.", "give it the zone."},
		{"domain that nobody knows", func(w *walk) { w.say("dns.host", control.DNSHost{}) },
			"dns", "The DNS does not know example.org.", "See whether the name is written right and registered, and whether this machine's resolver answers: `mailstead doctor net.resolver`."},
		{"half-applied change", func(w *walk) { w.fail("dns.publish", control.Failed, "Cloudflare took 3 of 9 changes", "run it again") },
			"records", "Cloudflare took 3 of 9 changes.", "run it again."},
		{"records of others", func(w *walk) {
			d := publish.Diff{Changes: []publish.Change{{Action: publish.Conflict, Name: "example.org", Type: "MX", Sentence: "Somebody else's MX record stands there"}}}
			w.say("dns.plan", d)
			w.say("dns.publish", d)
		}, "records", "Somebody else's MX record stands there.", "`mailstead dns publish example.org --take example.org/MX` replaces them, and `mailstead dns undo` brings them back."},
		{"CA down", problem(acme.CADown, "The CA could not be reached.", "It is tried again by itself."), "certificates", "The CA could not be reached.", "It is tried again by itself."},
		{"CA asked too often", problem(acme.RateLimited, "It was asked too often.", "It is tried again by itself."), "certificates", "It was asked too often.", "It is tried again by itself."},
		{"wrong CAA", problem(acme.CAAForbids, "A CAA record forbids it.", "Add the record."), "certificates", "A CAA record forbids it.", "Add the record."},
		{"port taken in the middle", func(w *walk) {
			w.Server = desk{w.office, &control.Error{Text: "port 25 is taken by exim4 (pid 812)", Next: "systemctl disable --now exim4"}}
		}, "server", "port 25 is taken by exim4 (pid 812).", "systemctl disable --now exim4."},
		{"port 25 closed on the way out", func(w *walk) {
			w.say("doctor.run", []check.Finding{{ID: "net.outgoing.ipv4", Severity: check.Problem, Sentence: "Port 25 is blocked.", Fix: "Ask."}})
		}, "outgoing", "Port 25 is blocked.", "Ask."},
		{"smart host refuses", func(w *walk) {
			w.Given["smarthost.host"], w.Given["smarthost.user"], w.Given["smarthost.password"] = "smtp.example.net", "us", "guess"
			w.fail("smarthost.set", control.Invalid, "smtp.example.net: it does not take these credentials", "look again")
		}, "outgoing", "smtp.example.net: it does not take these credentials.", "look again."},
		{"unknown finding muted", func(w *walk) {
			w.Given["mute.net.moon"] = "it is far"
			w.fail("doctor.mute", control.NotFound, `there is no check "net.moon"`, "list them")
		}, "checks", `there is no check "net.moon".`, "list them."},
		{"no server", func(*walk) {}, "mail", "No server runs, so that no message was sent.", "Start it, then run `mailstead setup` again."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWalk(t, map[string]string{"domain": "example.org", "address": "you", "dns": "cloudflare", "credentials.token": "secret"})
			tt.spoil(w)
			if w.run(t) {
				t.Error("all is well")
			}
			found := w.events[tt.step].Findings
			if !slices.ContainsFunc(found, func(f check.Finding) bool { return f.Sentence == tt.want && f.Fix == tt.fix }) || w.events[tt.step].OK && tt.step != "x" {
				t.Errorf("%s found %+v", tt.step, found)
			}
			if _, ok := w.events["programs"]; !ok {
				t.Error("it did not go on")
			}
		})
	}
}

// TestLeftWhileTheAccountIsMade: whoever presses Ctrl-C just then has the account,
// and hears its password.
func TestLeftWhileTheAccountIsMade(t *testing.T) {
	t.Parallel()
	w := newWalk(t, map[string]string{"domain": "example.org", "address": "you"})
	ctx, leave := context.WithCancel(t.Context())
	w.office.sick["account.add"] = func(in json.RawMessage) (any, error) {
		leave()
		return w.office.well("account.add", in)
	}
	r, err := New(w.Options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Walk(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if e := w.events["account"]; !strings.Contains(strings.Join(e.Lines, "\n"), "made-up") {
		t.Errorf("an account with a password that nobody has heard: %+v", e)
	}
	if _, ok := w.events["dns"]; ok {
		t.Error("it went on")
	}
}

// TestDiskFull ends where nothing else can be done, and goes on there later.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	w := newWalk(t, map[string]string{"domain": "example.org", "address": "you"})
	w.fail("domain.add", control.Failed, "database or disk is full", "make room on the disk that holds the data directory")
	if w.run(t) {
		t.Error("all is well")
	}
	e := w.events["account"]
	if len(e.Findings) != 1 || e.Findings[0].Sentence != "database or disk is full." || e.Findings[0].Fix != "make room on the disk that holds the data directory." {
		t.Errorf("%+v", e.Findings)
	}
	if _, on := w.events["dns"]; on {
		t.Error("it went on without an account")
	}
	delete(w.office.sick, "domain.add")
	w.Given = nil
	w.run(t)
	if e := w.events["account"]; !e.OK {
		t.Errorf("%+v", e)
	}
}

// TestConfigurationIsWholeOrNotAtAll: where it cannot be written, nothing is.
func TestConfigurationIsWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	w := newWalk(t, map[string]string{"domain": "example.org", "address": "you"})
	if err := os.WriteFile(w.ConfigFile, []byte("hostnam = \"x\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if w.run(t) {
		t.Error("all is well")
	}
	e := w.events["server"]
	if len(e.Findings) != 1 || !strings.Contains(e.Findings[0].Sentence, `"hostnam" is not a key of this file`) || e.Findings[0].Fix != `did you mean "hostname"?` {
		t.Errorf("%+v", e.Findings)
	}
	if text, _ := os.ReadFile(w.ConfigFile); string(text) != "hostnam = \"x\"\n" {
		t.Errorf("%s", text)
	}
}

// TestAskedAgain: a token that is refused is asked again, with the reason; by
// hand is a way out.
func TestAskedAgain(t *testing.T) {
	t.Parallel()
	w := newWalk(t, map[string]string{"domain": "example.org", "address": "you"})
	w.fail("dns.access", control.Invalid, "the token is not taken", "make a new one")
	var trouble []string
	w.Ask = func(_ context.Context, _ Step, list []Asked) (map[string]string, error) {
		given := map[string]string{"dns": "cloudflare", "credentials.token": "wrong", "entered": "no"}
		for _, q := range list {
			w.asked = append(w.asked, q.Key)
			if q.Trouble != nil {
				trouble = append(trouble, q.Trouble.Error())
				given["dns"] = paste
			}
		}
		return given, nil
	}
	w.run(t)
	if d := cmp.Diff([]string{"password", "dns", "credentials.token", "dns", "entered"}, w.asked); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"the token is not taken."}, trouble); d != "" {
		t.Error(d)
	}
	if e := w.events["records"]; len(e.Lines) != 1 || !strings.HasPrefix(e.Lines[0], "Enter these") {
		t.Errorf("%+v", e)
	}
}

// TestSmartHostIsOffered where port 25 is closed, and asked again when it refuses.
func TestSmartHostIsOffered(t *testing.T) {
	t.Parallel()
	w := newWalk(t, map[string]string{"domain": "example.org", "address": "you", "password": "", "dns": "cloudflare", "credentials.token": "secret"})
	w.say("doctor.run", []check.Finding{{ID: "net.outgoing.ipv4", Severity: check.Problem, Sentence: "Port 25 is blocked.", Fix: "Ask."}})
	var tried []string
	w.office.sick["smarthost.set"] = func(raw json.RawMessage) (any, error) {
		var in control.SmartHostChange
		if err := json.Unmarshal(raw, &in); err != nil {
			return nil, err
		}
		if tried = append(tried, in.Username+" "+in.Password); len(tried) == 1 {
			return nil, &control.Error{Kind: control.Invalid, Text: "it does not take these credentials"}
		}
		return control.SmartHost{Host: in.Host, Port: 587, Include: []string{"spf.example.net"}}, nil
	}
	published := 0
	w.office.sick["dns.publish"] = func(json.RawMessage) (any, error) { published++; return publish.Diff{}, nil }
	w.Ask = func(_ context.Context, _ Step, list []Asked) (map[string]string, error) {
		for _, q := range list {
			w.asked = append(w.asked, q.Key)
		}
		return map[string]string{"outgoing": "smarthost", "smarthost.host": "smtp.example.net", "smarthost.user": "us", "smarthost.password": fmt.Sprint("try ", len(tried))}, nil
	}
	w.run(t)
	round := []string{"outgoing", "smarthost.host", "smarthost.user", "smarthost.password"}
	if d := cmp.Diff(slices.Concat(round, round), w.asked); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"us try 0", "us try 1"}, tried); d != "" {
		t.Error(d)
	}
	if e := w.events["outgoing"]; !e.OK || !slices.Contains(e.Lines, "The SPF record includes spf.example.net.") {
		t.Errorf("%+v", e)
	}
	if published != 3 { // the records, what certificates made known, SPF
		t.Errorf("published %d times", published)
	}
}

// TestLetter: the provider is told what it needs to know.
func TestLetter(t *testing.T) {
	t.Parallel()
	w := newWalk(t, map[string]string{"domain": "example.org", "address": "you"})
	w.say("doctor.run", []check.Finding{{ID: "net.outgoing.ipv4", Severity: check.Problem, Sentence: "Port 25 is blocked.", Fix: "Ask."}})
	w.run(t)
	text := strings.Join(w.events["outgoing"].Lines, "\n")
	for _, want := range []string{"port 25", "mail.example.org (192.0.2.25)", "abuse@example.org", "reverse name"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestAnotherDomain: a second domain is a second walk; the machine keeps its name.
func TestAnotherDomain(t *testing.T) {
	t.Parallel()
	w := newWalk(t, map[string]string{"domain": "example.org", "address": "you"})
	w.run(t)
	cfg, err := config.Load(w.ConfigFile)
	if err != nil {
		t.Fatal(err)
	}
	data := w.Config.Data
	w.Config, w.Config.Data, w.Given = cfg, data, map[string]string{"domain": "example.net", "address": "me"}
	w.office.has = map[string]bool{}
	w.run(t)
	if e := w.events["address"]; e.Lines[0] != "You are me@example.net." {
		t.Errorf("%+v", e)
	}
	if cfg, err = config.Load(w.ConfigFile); err != nil || cfg.Hostname != "mail.example.org" {
		t.Errorf("the machine is %q, %v", cfg.Hostname, err)
	}
}

// TestHostname: a provider's name for a rented machine is not the mail host's.
func TestHostname(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		guessed bool
		want    string
	}{
		{"", false, "mail.example.org"},
		{"mx.example.net", false, "mx.example.net"},
		{"vps17.provider.example", true, "mail.example.org"},
		{"box.example.org", true, "box.example.org"},
		{"boxexample.org", true, "mail.example.org"},
	} {
		r := &Run{domain: "example.org"}
		r.o.Config.Hostname, r.o.Config.Guessed = tt.name, tt.guessed
		if got := hostname(r); got != tt.want {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}
