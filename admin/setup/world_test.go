package setup_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstead/admin/setup"
	"mailstead/dns/publish"
	"mailstead/internal/app"
	"mailstead/internal/config"
	"mailstead/internal/control"
	"mailstead/internal/world"
	"mailstead/internal/world/pebble"
)

// zoneAt names the variable with which this program becomes the hook that
// publishes in the world.
const zoneAt = "MAILSTEAD_TEST_ZONE"

func TestMain(m *testing.M) {
	if at := os.Getenv(zoneAt); at != "" {
		if err := hook(at); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	pebble.Environment()
	os.Exit(m.Run())
}

// hook carries a question to the test and its answer back.
func hook(at string) error {
	conn, err := net.Dial("tcp", at)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.Copy(conn, os.Stdin); err != nil {
		return err
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	_, err = io.Copy(os.Stdout, conn)
	return err
}

// registrar is a zone of the world that a program publishes in.
type registrar struct {
	world   *world.World
	origin  string
	program string

	mu      sync.Mutex
	records []publish.Record // guarded by mu
}

func newRegistrar(t *testing.T, w *world.World, origin string, there ...publish.Record) *registrar {
	t.Helper()
	r := &registrar{world: w, origin: origin, records: there}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { defer c.Close(); r.answer(c) })
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r.program = filepath.Join(t.TempDir(), "hook")
	script := fmt.Sprintf("#!/bin/sh\n%s=%s exec '%s'\n", zoneAt, l.Addr(), self)
	// A shell writes it: no other test's child can hold the file open for writing
	// while it is run, which Linux refuses.
	c := exec.Command("/bin/sh", "-c", `cat >"$0" && chmod 700 "$0"`, r.program)
	c.Stdin = strings.NewReader(script)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := r.show(); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *registrar) answer(c net.Conn) {
	var in struct {
		Action      string
		Remove, Add []publish.Record
	}
	out := map[string]any{}
	err := json.NewDecoder(c).Decode(&in)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch in.Action {
	case "zone":
		out["zone"] = r.origin
	case "get":
		out["records"] = r.records
	case "change":
		r.records = slices.DeleteFunc(r.records, func(have publish.Record) bool {
			return slices.ContainsFunc(in.Remove, func(o publish.Record) bool { return o.Name == have.Name && o.Type == have.Type && o.Data == have.Data })
		})
		r.records = append(r.records, in.Add...)
		err = errors.Join(err, r.show())
	}
	if err != nil {
		out["error"] = err.Error()
	}
	_ = json.NewEncoder(c).Encode(out)
}

// show puts the records into the world's DNS; mu is held, or nobody asks yet.
func (r *registrar) show() error {
	text := "@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"
	for _, one := range r.records {
		text += fmt.Sprintf("%s. %d %s %s\n", one.Name, one.TTL, one.Type, one.Data)
	}
	return r.world.Zone(r.origin, text)
}

// lines are the records of a name and type.
func (r *registrar) lines(name, typ string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []string
	for _, one := range r.records {
		if one.Name == name && one.Type == typ {
			list = append(list, one.Data)
		}
	}
	return list
}

// house is a server in the world.
type house struct {
	world *world.World
	app   *app.App
	stop  context.CancelFunc
	ended chan error
}

func (h *house) Start(ctx context.Context, cfg config.Config) (control.Caller, string, error) {
	var err error
	h.app, err = app.New(ctx, app.Options{
		Config: cfg, Log: slog.New(slog.DiscardHandler), Version: "test",
		Dial: h.world.Dial, Port: h.world.Port, Roots: h.world.CA,
		Own: func() []netip.Addr { return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})} },
	})
	if err != nil {
		return nil, "", err
	}
	if err := h.app.Listen(); err != nil {
		return nil, "", errors.Join(err, h.app.Close(ctx))
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	h.stop, h.ended = stop, make(chan error, 1)
	go func() { h.ended <- h.app.Run(run) }()
	c, err := control.Dial(ctx, cfg.Data)
	return c, "in the world", err
}

func (h *house) Close(ctx context.Context) error {
	if h.stop == nil {
		return nil
	}
	h.stop()
	err := errors.Join(<-h.ended, h.app.Close(ctx))
	h.stop = nil
	return err
}

// TestSmallWorld: answers lead to records beside those of others, certificates of
// a real authority, and mail sent and read; a second walk changes nothing.
func TestSmallWorld(t *testing.T) {
	t.Parallel()
	w, err := world.New(world.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	const domain = "example.test"
	zone := newRegistrar(t, w, domain,
		publish.Record{Name: domain, Type: "MX", TTL: 300, Data: "10 old.test."},
		publish.Record{Name: domain, Type: "TXT", TTL: 300, Data: `"v=spf1 include:old.test -all"`},
		publish.Record{Name: "www." + domain, Type: "A", TTL: 300, Data: "192.0.2.80"})
	friend, err := w.Domain("elsewhere.test", world.Behaviour{})
	if err != nil {
		t.Fatal(err)
	}
	ca := pebble.New(pebble.Options{Resolver: w.Resolver()})
	t.Cleanup(ca.Close)

	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), []byte(ca.Roots), 0o600); err != nil {
		t.Fatal(err)
	}
	given, err := setup.ReadAnswers(filepath.Join(dir, "answers.toml"), fmt.Sprintf(`
domain = "Example.test."
address = "You@example.test"
password = "correct horse"
dns = "exec"
addresses = ["192.0.2.25"]
replace = true
ca = %q
ca_roots_file = "ca.pem"
challenge = "dns"
old_address = "dave@elsewhere.test"
[credentials]
command = %q
`, ca.URL, zone.program))
	if err != nil {
		t.Fatal(err)
	}
	first := walkWorld(t, w, dir, given)

	for _, step := range []string{"domain", "address", "server", "account", "dns", "host", "records", "certificates", "mail", "programs"} {
		if e := first[step]; !e.OK {
			t.Errorf("%s: %+v", step, e.Findings)
		}
	}
	if n := len(first["certificates"].Lines); n < 4 {
		t.Errorf("certificates: %q", first["certificates"].Lines)
	}
	mail := strings.Join(first["mail"].Lines, "\n")
	if !strings.Contains(mail, "read in your INBOX") || !strings.Contains(mail, "dave@elsewhere.test has left") {
		t.Errorf("mail: %s", mail)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	got, err := friend.Wait(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	if m := got[0]; m.From != "you@"+domain || !m.TLS || strings.Count(string(m.Data), "DKIM-Signature:") != 2 {
		t.Errorf("from %s, TLS %v\n%s", m.From, m.TLS, m.Data)
	}
	want := map[string][]string{
		"MX":  {"10 mail.example.test."},
		"A":   {"192.0.2.25"},
		"www": {"192.0.2.80"},
		"SPF": {`"v=spf1 a:mail.example.test include:old.test -all"`},
	}
	have := map[string][]string{
		"MX": zone.lines(domain, "MX"), "A": zone.lines("mail."+domain, "A"), "www": zone.lines("www."+domain, "A"), "SPF": zone.lines(domain, "TXT"),
	}
	if d := cmp.Diff(want, have); d != "" {
		t.Error(d)
	}
	for _, typ := range []string{"TLSA", "CAA"} { // known with the first certificate alone
		name := "mail." + domain
		if typ == "TLSA" {
			name = "_25._tcp." + name
		}
		if len(zone.lines(name, typ)) == 0 {
			t.Errorf("no %s", typ)
		}
	}

	before := slices.Clone(zone.records)
	second := walkWorld(t, w, dir, nil)
	for _, step := range []string{"account", "dns", "records", "certificates", "mail"} {
		if e := second[step]; !e.OK {
			t.Errorf("again: %s: %+v", step, e.Findings)
		}
	}
	if d := cmp.Diff(before, zone.records); d != "" {
		t.Errorf("the second walk changed the zone:\n%s", d)
	}
	if lines := second["account"].Lines; len(lines) != 1 || !strings.Contains(lines[0], "is there already") {
		t.Errorf("again: %q", lines)
	}
}

// walkWorld goes all the way with a server of its own, and gives what each step said.
func walkWorld(t *testing.T, w *world.World, dir string, given map[string]string) map[string]setup.Event {
	t.Helper()
	file := filepath.Join(dir, "mailstead.toml")
	if _, err := os.Stat(file); err != nil {
		const free = "[\"127.0.0.1:0\"]\n"
		text := fmt.Sprintf("data = \"data\"\n[dns]\nresolver = %q\n[listen]\n", w.Resolver())
		for _, door := range []string{"smtp", "submission", "submissions", "imap", "imaps", "http", "https", "metrics"} {
			text += door + " = " + free
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	server := &house{world: w}
	events := map[string]setup.Event{}
	r, err := setup.New(setup.Options{
		Config: cfg, ConfigFile: file, Given: given, Server: server, Password: func() string { return "not needed" }, Wait: 2 * time.Minute,
		Tell: func(e setup.Event) {
			if e.Ended {
				events[e.Step] = e
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Walk(t.Context()) // the doctor has to say something about the machine
	if err := errors.Join(err, server.Close(context.Background())); err != nil {
		t.Fatal(err)
	}
	return events
}
