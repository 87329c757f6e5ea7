package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mailstead/account"
	"mailstead/dns/check"
	"mailstead/dns/zone"
	"mailstead/internal/control"
	"mailstead/internal/maillog"
	"mailstead/internal/sqlite"
	"mailstead/internal/webui"
	"mailstead/message"
)

const password = "correct horse battery"

// office is the pages over real accounts, and over operations of our own.
type office struct {
	*testing.T
	site   http.Handler
	db     *sqlite.DB
	store  *account.Store
	ids    map[string]int64
	look   *Lookout
	cookie string
	remote string

	broken string // an operation that fails

	mu     sync.Mutex
	last   control.DoctorLast
	logins []maillog.Event
	hold   chan struct{} // nil, or what a run of the doctor waits for
}

// newOffice has alice, who is an operator, and bob.
func newOffice(t *testing.T) *office {
	t.Helper()
	db, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "m.db"), sqlite.Options{Migrations: []fs.FS{account.Schema(), webui.Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	store, err := account.Open(context.Background(), db, account.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		store.Close(context.Background())
		db.Close()
	})
	o := &office{T: t, db: db, store: store, ids: map[string]int64{}, remote: "192.0.2.7:1234"}
	o.update(func(tx *sqlite.Tx) error { return store.AddDomain(tx, "example.org") })
	for _, name := range []string{"alice", "bob"} {
		secret, err := store.Secret(context.Background(), 0, password)
		if err != nil {
			t.Fatal(err)
		}
		o.update(func(tx *sqlite.Tx) error {
			a, err := store.Add(tx, account.New{Address: message.Address{Local: name, Domain: "example.org"}, Operator: name == "alice", Password: secret})
			o.ids[name] = a.ID
			return err
		})
	}
	log := slog.New(slog.DiscardHandler)
	o.look = NewLookout(o, log)
	site := &webui.Site{
		Name: "mail.example.org", Home: Home, Log: log, Accounts: &Gate{Accounts: store, Events: o},
		Sessions: &webui.Sessions{DB: db}, Pages: Pages(o, o.look), Actions: Actions(o.look),
	}
	o.site = site.Guard(site)
	return o
}

func (o *office) update(fn func(*sqlite.Tx) error) {
	o.Helper()
	if err := o.db.Update(context.Background(), fn); err != nil {
		o.Fatal(err)
	}
}

// Record implements maillog.Sink.
func (o *office) Record(e maillog.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.logins = append(o.logins, e)
}

// Do implements control.Caller.
func (o *office) Do(ctx context.Context, name string, in, out any) error {
	var v any
	if name == o.broken {
		return errors.New("secret of the disk")
	}
	switch name {
	case "doctor.run":
		if o.hold != nil {
			<-o.hold
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.last = control.DoctorLast{Found: time.Now(), Findings: hostile()}
		v = o.last.Findings
	case "doctor.last":
		o.mu.Lock()
		defer o.mu.Unlock()
		v = o.last
	case "dns.show":
		d := control.DomainRecords{Domain: "example.org", Records: []zone.Record{
			{Name: "example.org", Type: "TXT", TTL: time.Hour, Data: `"v=spf1 mx -all"`, Kind: zone.KindSPF, Purpose: "Who may send."},
			{Name: "k1._domainkey.example.org", Type: "TXT", TTL: time.Hour, Data: `"v=DKIM1; k=rsa; p=AAAA" "BBBB"`, Kind: zone.KindDKIM},
			{Name: "example.org", Type: "MX", TTL: time.Hour, Data: "10 mail.example.org.", Kind: zone.KindMX},
		}}
		if !in.(control.DNSQuery).Offline {
			d.Records[0].Data = `"v=spf1 mx include:elsewhere.example -all"`
		}
		v = []control.DomainRecords{d}
	case "status":
		v = control.Status{Version: "1.2.3", Free: 5e9, Size: 2e10, Started: time.Now().Add(-time.Hour)}
	case "queue.counts":
		v = control.QueueCounts{Messages: 3, Deferred: 2, Held: 1, Oldest: time.Now().Add(-3 * time.Hour)}
	case "backup.state":
		v = control.BackupState{}
	case "certificate.show":
		v = control.Certificates{Running: true, TLSA: []string{"aa", "bb"}}
	default:
		return fmt.Errorf("the page asks for %s", name)
	}
	text, err := json.Marshal(v)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(text, out)
}

// Stream implements control.Caller.
func (o *office) Stream(context.Context, string, any, io.Reader, io.Writer) error { return io.EOF }

// hostile is what the doctor finds where others write into our DNS.
func hostile() []check.Finding {
	const bad = `<script>alert(1)</script>"><img src=x onerror=alert(1)>` + "\u202e\x1b[31m"
	return []check.Finding{
		{ID: "dns.spf", Subject: bad, Severity: check.Problem, Sentence: "The SPF record is " + bad, Evidence: bad, Fix: "Publish `" + bad + "`.", Recheck: bad,
			Records: []zone.Record{{Name: "x.example.org", Type: "TXT", TTL: time.Hour, Data: `"` + `<script>` + `"`, Purpose: bad}}},
		{ID: "host.memory", Severity: check.Warning, Sentence: "There is little memory.", Muted: "the machine is small " + bad},
		{ID: "net.reverse", Severity: check.Warning, Sentence: "The address has no name."},
		{ID: "mail.self", Severity: check.OK, Sentence: "Mail to ourselves arrives."},
		{ID: "new.thing", Severity: "strange", Sentence: "Something is new."},
	}
}

func (o *office) send(method, path string, form url.Values) (status int, location, body string) {
	o.Helper()
	r := httptest.NewRequest(method, "https://mail.example.org"+path, strings.NewReader(form.Encode()))
	r.RemoteAddr = o.remote
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if o.cookie != "" {
		r.Header.Set("Cookie", o.cookie)
	}
	w := httptest.NewRecorder()
	o.site.ServeHTTP(w, r)
	res := w.Result()
	if !strings.Contains(res.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		o.Errorf("%s %s has no policy", method, path)
	}
	for _, c := range res.Cookies() {
		o.cookie = c.Name + "=" + c.Value
	}
	return res.StatusCode, res.Header.Get("Location"), w.Body.String()
}

func (o *office) signIn(name, password string) int {
	o.Helper()
	status, _, _ := o.send("POST", "/sign-in", url.Values{"address": {name + "@example.org"}, "password": {password}, "to": {Home}})
	return status
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	app, err := o.store.NewAppSecret(t.Context(), o.ids["alice"])
	if err != nil {
		t.Fatal(err)
	}
	o.update(func(tx *sqlite.Tx) error {
		_, err := o.store.AddAppPassword(tx, o.ids["alice"], "phone", account.IMAP|account.SMTP, app)
		return err
	})
	for _, tt := range []struct {
		name, password string
		want           int
	}{
		{"alice", password, 303}, {"ALICE", password, 303}, {"alice", "wrong", 401}, {"alice", app.Text, 401}, {"alice", "", 401},
		{"nobody", password, 401}, {"bob", password, 403}, {"bob", "wrong", 401}, {"alice\x00", password, 401},
	} {
		o.cookie = ""
		if got := o.signIn(tt.name, tt.password); got != tt.want || (o.cookie != "") != (tt.want == 303) {
			t.Errorf("%q with %q: %d, cookie %q", tt.name, tt.password, got, o.cookie)
		}
	}
	o.update(func(tx *sqlite.Tx) error { return o.store.SetOperator(tx, o.ids["bob"], true) })
	o.update(func(tx *sqlite.Tx) error { return o.store.SetDisabled(tx, o.ids["bob"], true) })
	for pass, want := range map[string]int{password: 403, "wrong": 401} {
		if got := o.signIn("bob", pass); got != want {
			t.Errorf("a closed account with %q: %d", pass, got)
		}
	}
	first, last := o.logins[0], o.logins[2]
	if first.Kind != maillog.Login || first.Account != o.ids["alice"] || !strings.HasPrefix(first.Reply, "200") ||
		last.Account != 0 || !strings.HasPrefix(last.Reply, "401") || last.Remote.String() != "192.0.2.7" {
		t.Errorf("%+v\n%+v", first, last)
	}
	for _, e := range o.logins {
		if strings.Contains(fmt.Sprintf("%+v", e), password) {
			t.Errorf("the log has a password: %+v", e)
		}
	}
}

// TestGuessing: the throttle of all doors is this one's too.
func TestGuessing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		for i := range 12 {
			got := o.signIn("alice", fmt.Sprintf("guess %d", i))
			if want := 401; i < 8 && got != want {
				t.Errorf("guess %d: %d", i, got)
			} else if want := 429; i >= 8 && got != want {
				t.Errorf("guess %d: %d", i, got)
			}
		}
		if got := o.signIn("alice", password); got != 429 {
			t.Errorf("the right password after too many guesses: %d", got)
		}
		o.remote = "198.51.100.9:1"
		if got := o.signIn("alice", password); got != 303 {
			t.Errorf("the owner elsewhere: %d", got)
		}
	})
}

// TestSessionEnds with what makes it wrong, at the next request.
func TestSessionEnds(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, tt := range []struct {
		name string
		end  func(tx *sqlite.Tx) error
		undo func(tx *sqlite.Tx) error
		want int
	}{
		{"nothing", func(tx *sqlite.Tx) error { return nil }, nil, 200},
		{"no operator any more", func(tx *sqlite.Tx) error { return o.store.SetOperator(tx, o.ids["bob"], false) }, func(tx *sqlite.Tx) error { return o.store.SetOperator(tx, o.ids["bob"], true) }, 403},
		{"disabled", func(tx *sqlite.Tx) error { return o.store.SetDisabled(tx, o.ids["bob"], true) }, func(tx *sqlite.Tx) error { return o.store.SetDisabled(tx, o.ids["bob"], false) }, 303},
		{"deleted", func(tx *sqlite.Tx) error { return o.store.Delete(tx, o.ids["bob"]) }, func(tx *sqlite.Tx) error { return o.store.Undelete(tx, o.ids["bob"]) }, 303},
	} {
		o.update(func(tx *sqlite.Tx) error { return o.store.SetOperator(tx, o.ids["bob"], true) })
		if got := o.signIn("bob", password); got != 303 {
			t.Fatal(got)
		}
		o.update(tt.end)
		if got, _, _ := o.send("GET", Home, nil); got != tt.want {
			t.Errorf("%s: %d", tt.name, got)
		}
		if tt.undo != nil {
			o.update(tt.undo)
		}
		if got, _, _ := o.send("GET", Home, nil); (got == 200) != (tt.want == 200 || tt.want == 403) {
			t.Errorf("%s, and undone: %d", tt.name, got)
		}
	}
	secret, err := o.store.Secret(t.Context(), o.ids["bob"], "another "+password)
	if err != nil {
		t.Fatal(err)
	}
	if got := o.signIn("bob", password); got != 303 {
		t.Fatal(got)
	}
	o.update(func(tx *sqlite.Tx) error { return o.store.SetPassword(tx, o.ids["bob"], secret) })
	if got, to, _ := o.send("GET", Home, nil); got != 303 || !strings.HasPrefix(to, "/sign-in") {
		t.Errorf("after a new password: %d %s", got, to)
	}
	if got, _, _ := o.send("POST", "/admin/look", url.Values{}); got != 401 {
		t.Errorf("a form after a new password: %d", got)
	}
}

// TestStatus shows what was found, whatever is in it, and looks without keeping
// the page waiting.
func TestStatus(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		o.hold = make(chan struct{})
		ctx, stop := context.WithCancel(context.Background())
		over := make(chan struct{})
		go func() {
			defer close(over)
			o.look.Run(ctx)
		}()
		defer func() {
			stop()
			<-over
		}()
		if got := o.signIn("alice", password); got != 303 {
			t.Fatal(got)
		}
		wants := func(when, body string, texts ...string) {
			t.Helper()
			for _, want := range texts {
				if !strings.Contains(body, want) {
					t.Errorf("%s: no %q in\n%s", when, want, body)
				}
			}
		}
		_, _, body := o.send("GET", Home, nil)
		wants("before", body, "Nobody has looked yet", "Look now", "3 messages", "5.0 GB free", "75 % is taken", "1.2.3", "v=spf1 mx -all", "look again before you copy ours")
		for range 3 { // asking again asks for nothing
			if got, to, _ := o.send("POST", "/admin/look", url.Values{}); got != 303 || to != Home {
				t.Fatal(got, to)
			}
		}
		_, _, body = o.send("GET", Home, nil)
		wants("meanwhile", body, `http-equiv="refresh" content="2"`, "The doctor is looking")
		if strings.Contains(body, "/admin/look") {
			t.Error("the button is there while the doctor looks")
		}
		close(o.hold)
		synctest.Wait()
		_, _, body = o.send("GET", Home, nil)
		wants("after", body, "1 problem, 1 warning", "The address has no name.", "Mail to ourselves arrives.", "Something is new.", "Muted: the machine is small",
			"v=spf1 mx include:elsewhere.example -all", "v=DKIM1; k=rsa; p=AAAABBBB", "3 1 1 aa", "&lt;script&gt;alert(1)&lt;/script&gt;")
		for _, bad := range []string{"http-equiv", "<script>alert", "<img src=x", "onerror=alert(1)>\"", "\u202e", "\x1b", "look again before you copy ours"} {
			if strings.Contains(body, bad) {
				t.Errorf("after: %q in\n%s", bad, body)
			}
		}
	})
}

// TestStatusWithoutAPart: what cannot be read is missing, and the rest is there.
func TestStatusWithoutAPart(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	if got := o.signIn("alice", password); got != 303 {
		t.Fatal(got)
	}
	for _, o.broken = range statusOperations {
		code, _, body := o.send("GET", Home, nil)
		if code != 200 || !strings.Contains(body, "could not be read; the server&#39;s log says why.") || strings.Contains(body, "secret") {
			t.Errorf("without %s: %d %s", o.broken, code, body)
		}
	}
}

// TestPagesMayDoLittle: a page cannot name a program to be run.
func TestPagesMayDoLittle(t *testing.T) {
	t.Parallel()
	o := &office{T: t}
	for _, caller := range []control.Caller{only{o, statusOperations}, NewLookout(o, nil).caller} {
		for _, name := range []string{"dns.access", "dns.publish", "dns.undo", "account.add", "account.password", "backup.plan", "certificate.set", "doctor.mute"} {
			if err := caller.Do(t.Context(), name, nil, nil); !isNotFound(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := caller.Stream(t.Context(), "export", nil, nil, nil); !isNotFound(err) {
			t.Errorf("export: %v", err)
		}
	}
}
