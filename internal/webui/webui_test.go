package webui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"mailstead/account"
	"mailstead/internal/sqlite"
	"mailstead/message"
)

// house is a site over a real database with an operator (alice) and somebody
// else (bob); passwords are no business of this room.
type house struct {
	*testing.T
	*Site
	db    *sqlite.DB
	store *account.Store
	now   time.Time
	ids   map[string]int64
}

// SignIn implements Accounts: the password is the name.
func (h *house) SignIn(ctx context.Context, name, password string, _ netip.Addr) (Visitor, error) {
	switch {
	case password == "again":
		return Visitor{}, ErrTooMany
	case password != name || h.ids[name] == 0:
		return Visitor{}, ErrWrong
	}
	return h.Visitor(ctx, h.ids[name])
}

// Visitor implements Accounts.
func (h *house) Visitor(ctx context.Context, id int64) (Visitor, error) {
	a, err := h.store.Account(ctx, id)
	if err != nil || !a.Live() {
		return Visitor{}, ErrClosed
	}
	return Visitor{a.ID, a.Address.Unicode(), a.Operator}, nil
}

func newHouse(t *testing.T) *house {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "m.db"), sqlite.Options{Migrations: []fs.FS{account.Schema(), Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	store, err := account.Open(t.Context(), db, account.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{T: t, db: db, store: store, now: time.Unix(1_800_000_000, 0), ids: map[string]int64{}}
	h.update(func(tx *sqlite.Tx) error {
		if err := store.AddDomain(tx, "example.org"); err != nil {
			return err
		}
		for _, name := range []string{"alice", "bob"} {
			a, err := store.Add(tx, account.New{Address: message.Address{Local: name, Domain: "example.org"}, Operator: name == "alice"})
			if err != nil {
				return err
			}
			h.ids[name] = a.ID
		}
		return nil
	})
	files := fstest.MapFS{"page.html": {Data: []byte(`{{define "main"}}<p title="{{.}}">{{.}}</p>{{end}}`)}}
	h.Site = &Site{
		Name: "mail.example.org", Home: "/admin", Log: slog.New(slog.DiscardHandler), Accounts: h,
		Sessions: &Sessions{DB: db, Now: func() time.Time { return h.now }},
		Vouched:  func() bool { return true },
		Pages: []Page{
			{Path: "/admin", Title: "Status", Files: files, Template: "page.html", Menu: "Status",
				Data: func(*http.Request, Visitor) (any, error) { return `<script>alert("1")</script>`, nil }},
			{Path: "/open", Title: "Open", Access: Everybody, Files: files, Template: "page.html",
				Host: func(name string) bool { return name == "autoconfig.example.org" }},
			{Path: "/mine", Title: "Mine", Access: People, Files: files, Template: "page.html"},
			{Path: "/broken", Title: "Broken", Access: Everybody, Files: files, Template: "page.html",
				Data: func(*http.Request, Visitor) (any, error) { return nil, errors.New("secret of the disk") }},
			{Path: "/full", Title: "Full", Access: Everybody, Files: files, Template: "page.html",
				Data: func(*http.Request, Visitor) (any, error) { return nil, sqlite.ErrFull }},
		},
		Actions: []Action{{Path: "/admin/do", Do: func(*http.Request, Visitor) (string, error) { return "/admin", nil }}},
	}
	return h
}

func (h *house) update(fn func(*sqlite.Tx) error) {
	h.Helper()
	if err := h.db.Update(context.Background(), fn); err != nil {
		h.Fatal(err)
	}
}

// browser sends requests to one name and keeps the cookie.
type browser struct {
	*house
	host   string
	cookie string
}

func (b *browser) send(method, path string, form url.Values, headers ...string) *http.Response {
	b.Helper()
	r := httptest.NewRequest(method, "https://"+b.host+path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if b.cookie != "" {
		r.Header.Set("Cookie", b.cookie)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	b.Guard(b.Site).ServeHTTP(w, r)
	res := w.Result()
	for _, c := range res.Cookies() {
		b.cookie = c.Name + "=" + c.Value
		if c.MaxAge < 0 {
			b.cookie = ""
		}
	}
	return res
}

func (b *browser) signIn(name string) *http.Response {
	return b.send("POST", "/sign-in", url.Values{"address": {name}, "password": {name}, "to": {"/admin"}})
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	signedIn := &browser{house: h, host: "mail.example.org"}
	signedIn.signIn("alice")
	if signedIn.cookie == "" {
		t.Fatal("not signed in")
	}
	big := url.Values{"x": {strings.Repeat("x", maxForm)}}
	for _, tt := range []struct {
		name, method, host, path string
		form                     url.Values
		cookie                   string
		headers                  []string
		status                   int
	}{
		{"no such page", "GET", "mail.example.org", "/nothing", nil, "", nil, 404},
		{"another name", "GET", "elsewhere.example", "/admin", nil, signedIn.cookie, nil, 404},
		{"a name of MTA-STS", "GET", "mta-sts.example.org", "/", nil, "", nil, 404},
		{"by address", "GET", "192.0.2.1:443", "/", nil, "", nil, 303},
		{"by IPv6", "GET", "[2001:db8::1]", "/", nil, "", nil, 303},
		{"capitals and a final dot", "GET", "MAIL.example.org.", "/", nil, "", nil, 303},
		{"no session", "GET", "mail.example.org", "/admin", nil, "", nil, 303},
		{"a form without a session", "POST", "mail.example.org", "/admin/do", url.Values{}, "", nil, 401},
		{"made-up session", "GET", "mail.example.org", "/admin", nil, cookieName + "=AAAA", nil, 303},
		{"a form", "POST", "mail.example.org", "/admin/do", url.Values{}, signedIn.cookie, nil, 303},
		{"a form of another site", "POST", "mail.example.org", "/admin/do", url.Values{}, signedIn.cookie, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"a form of a sister", "POST", "mail.example.org", "/admin/do", url.Values{}, signedIn.cookie, []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"a form of another origin", "POST", "mail.example.org", "/admin/do", url.Values{}, signedIn.cookie, []string{"Origin", "https://evil.example"}, 403},
		{"a sign-in of another site", "POST", "mail.example.org", "/sign-in", url.Values{"address": {"alice"}, "password": {"alice"}}, "", []string{"Origin", "https://evil.example"}, 403},
		{"a form of our own", "POST", "mail.example.org", "/admin/do", url.Values{}, signedIn.cookie, []string{"Origin", "https://mail.example.org"}, 303},
		{"too large", "POST", "mail.example.org", "/admin/do", big, signedIn.cookie, nil, 413},
		{"unreadable", "POST", "mail.example.org", "/admin/do?x=%zz", url.Values{}, signedIn.cookie, nil, 400},
		{"to a page", "POST", "mail.example.org", "/admin", url.Values{}, signedIn.cookie, nil, 405},
		{"an action looked at", "GET", "mail.example.org", "/admin/do", nil, signedIn.cookie, nil, 404},
		{"our fault", "GET", "mail.example.org", "/broken", nil, "", nil, 500},
		{"disk full", "GET", "mail.example.org", "/full", nil, "", nil, 507},
		{"under its own name", "GET", "autoconfig.example.org", "/open", nil, "", nil, 200},
		{"the start of its own name", "GET", "autoconfig.example.org", "/", nil, "", nil, 303},
		{"not under ours", "GET", "mail.example.org", "/open", nil, "", nil, 404},
		{"no such asset", "GET", "mail.example.org", "/assets/style.css", nil, "", nil, 404},
		{"throttled", "POST", "mail.example.org", "/sign-in", url.Values{"address": {"alice"}, "password": {"again"}}, "", nil, 429},
		{"wrong password", "POST", "mail.example.org", "/sign-in", url.Values{"address": {"alice"}, "password": {"x"}}, "", nil, 401},
		{"no operator", "POST", "mail.example.org", "/sign-in", url.Values{"address": {"bob"}, "password": {"bob"}}, "", nil, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &browser{house: h, host: tt.host, cookie: tt.cookie}
			r := b.send(tt.method, tt.path, tt.form, tt.headers...)
			if r.StatusCode != tt.status {
				t.Errorf("status %d, wanted %d", r.StatusCode, tt.status)
			}
			body := text(t, r)
			if strings.Contains(body, "secret") || strings.Contains(body, `value="alice"`) && tt.status == 413 {
				t.Error(body)
			}
			if got := r.Header.Get("Content-Security-Policy"); got != contentPolicy {
				t.Errorf("policy %q", got)
			}
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "X-Frame-Options": "DENY",
				"Strict-Transport-Security": insistFor,
			} {
				if got := r.Header.Get(name); got != want {
					t.Errorf("%s: %q", name, got)
				}
			}
			if (tt.status == 429) != (r.Header.Get("Retry-After") != "") {
				t.Errorf("Retry-After: %q", r.Header.Get("Retry-After"))
			}
			if tt.status == 405 && r.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("Allow: %q", r.Header.Get("Allow"))
			}
			if tt.status >= 400 && len(r.Cookies()) > 0 {
				t.Error("a refusal sets a cookie")
			}
		})
	}
}

func TestCookie(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := &browser{house: h, host: "mail.example.org"}
	r := b.signIn("alice")
	if r.StatusCode != 303 || r.Header.Get("Location") != "/admin" {
		t.Fatalf("%s to %s", r.Status, r.Header.Get("Location"))
	}
	got := r.Header.Get("Set-Cookie")
	if !regexp.MustCompile(`^__Host-mailstead=[A-Za-z0-9_-]{43}; Path=/; Max-Age=604800; HttpOnly; Secure; SameSite=Strict$`).MatchString(got) {
		t.Error(got)
	}
	token := strings.TrimPrefix(b.cookie, cookieName+"=")
	var found int64
	err := h.db.View(t.Context(), func(tx *sqlite.Tx) error {
		return tx.QueryRow(`SELECT count(*) FROM webui_session WHERE hash = ?1 OR hash = CAST(?1 AS BLOB)`, token).Scan(&found)
	})
	if err != nil || found != 0 {
		t.Errorf("the table holds the token: %d, %v", found, err)
	}
	page := b.send("GET", "/admin", nil)
	if body := text(t, page); page.StatusCode != 200 || strings.Contains(body, "<script>alert") || !strings.Contains(body, "&lt;script&gt;alert") {
		t.Error(body)
	}
	if page.Header.Get("Cache-Control") != "no-store" {
		t.Error(page.Header)
	}

	old := b.cookie
	b.signIn("alice")
	if b.cookie == old {
		t.Error("a second sign-in keeps the token")
	}
	if r := (&browser{house: h, host: b.host, cookie: old}).send("GET", "/admin", nil); r.StatusCode != 303 {
		t.Error("the token from before the sign-in still opens the page")
	}
	last := b.cookie
	if r := b.send("POST", "/sign-out", url.Values{}); r.Header.Get("Location") != "/sign-in" || b.cookie != "" {
		t.Errorf("%s, cookie %q", r.Header.Get("Location"), b.cookie)
	}
	if r := (&browser{house: h, host: b.host, cookie: last}).send("GET", "/admin", nil); r.StatusCode != 303 {
		t.Error("the token opens the page after the sign-out")
	}
}

// TestSignInLeadsToPagesOnly: a link cannot make the sign-in lead elsewhere.
func TestSignInLeadsToPagesOnly(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, to := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "/nothing", ""} {
		b := &browser{house: h, host: "mail.example.org"}
		r := b.send("POST", "/sign-in", url.Values{"address": {"alice"}, "password": {"alice"}, "to": {to}})
		if got := r.Header.Get("Location"); got != "/admin" {
			t.Errorf("%q leads to %q", to, got)
		}
		if body := text(t, b.send("GET", "/sign-in?to="+url.QueryEscape(to), nil)); strings.Contains(body, "evil") {
			t.Error(body)
		}
	}
	b := &browser{house: h, host: "mail.example.org"}
	r := b.send("POST", "/sign-in", url.Values{"address": {"bob"}, "password": {"bob"}, "to": {"/mine"}})
	if got := r.Header.Get("Location"); got != "/mine" {
		t.Errorf("%s to %q", r.Status, got)
	}
	if r := b.send("GET", "/admin", nil); r.StatusCode != 403 {
		t.Errorf("bob looks at the operators' page: %s", r.Status)
	}
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(h *house){
		"idle":  func(h *house) { h.now = h.now.Add(idleTime) },
		"whole": func(h *house) { h.now = h.now.Add(wholeTime) },
		"disabled, and enabled again": func(h *house) {
			for _, off := range []bool{true, false} {
				h.update(func(tx *sqlite.Tx) error { return h.store.SetDisabled(tx, h.ids["bob"], off) })
			}
		},
		"deleted, and taken back": func(h *house) {
			h.update(func(tx *sqlite.Tx) error { return h.store.Delete(tx, h.ids["bob"]) })
			h.update(func(tx *sqlite.Tx) error { return h.store.Undelete(tx, h.ids["bob"]) })
		},
		"new password": func(h *house) {
			secret, err := h.store.Secret(h.Context(), h.ids["bob"], "correct horse battery")
			if err != nil {
				h.Fatal(err)
			}
			h.update(func(tx *sqlite.Tx) error { return h.store.SetPassword(tx, h.ids["bob"], secret) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			var tokens []string
			for _, who := range []string{"alice", "bob"} {
				token, err := h.Sessions.begin(t.Context(), h.ids[who])
				if err != nil {
					t.Fatal(err)
				}
				if got, err := h.Sessions.account(t.Context(), token); got != h.ids[who] || err != nil {
					t.Fatal(got, err)
				}
				tokens = append(tokens, token)
			}
			end(h)
			if _, err := h.Sessions.account(t.Context(), tokens[1]); !errors.Is(err, errNoSession) {
				t.Errorf("bob's session: %v", err)
			}
			if _, err := h.Sessions.account(t.Context(), tokens[0]); (err != nil) != (name == "idle" || name == "whole") {
				t.Errorf("alice's session: %v", err)
			}
		})
	}
}

// TestSessionIsTouched: who looks now and then stays signed in, for a week.
func TestSessionIsTouched(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	token, err := h.Sessions.begin(t.Context(), h.ids["alice"])
	if err != nil {
		t.Fatal(err)
	}
	h.update(func(tx *sqlite.Tx) error { return h.store.SetName(tx, h.ids["alice"], "The operator") }) // ends nothing
	begun := h.now
	for h.now.Sub(begun) < wholeTime {
		if _, err := h.Sessions.account(t.Context(), token); err != nil {
			t.Fatalf("after %v: %v", h.now.Sub(begun), err)
		}
		h.now = h.now.Add(idleTime - time.Minute)
	}
	if _, err := h.Sessions.account(t.Context(), token); !errors.Is(err, errNoSession) {
		t.Error(err)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var first string
	for i := range maxEach + 5 {
		token, err := h.Sessions.begin(t.Context(), h.ids["alice"])
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = token
		}
		h.now = h.now.Add(time.Second)
	}
	var n int64
	err := h.db.View(t.Context(), func(tx *sqlite.Tx) error { return tx.QueryRow(`SELECT count(*) FROM webui_session`).Scan(&n) })
	if err != nil || n != maxEach {
		t.Errorf("%d sessions, %v", n, err)
	}
	if _, err := h.Sessions.account(t.Context(), first); !errors.Is(err, errNoSession) {
		t.Errorf("the oldest: %v", err)
	}
}

func TestAssets(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := &browser{house: h, host: "mail.example.org"}
	page := text(t, b.send("GET", "/sign-in", nil))
	links := regexp.MustCompile(`(?:href|src)="(/assets/[^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(links) < 3 {
		t.Fatal(page)
	}
	types := map[string]bool{}
	for _, l := range links {
		r := b.send("GET", l[1], nil)
		if r.StatusCode != 200 || r.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s: %s %v", l[1], r.Status, r.Header)
		}
		types[r.Header.Get("Content-Type")] = true
	}
	for _, want := range []string{"text/css; charset=utf-8", "text/javascript; charset=utf-8", "image/svg+xml"} {
		if !types[want] {
			t.Errorf("no %s among %v", want, types)
		}
	}
	if strings.Contains(page, "style=") || strings.Contains(page, "onclick") || regexp.MustCompile(`(?i)https?://`).MatchString(page) {
		t.Error(page)
	}
}

func TestCrowd(t *testing.T) {
	t.Parallel()
	var c crowd
	var leaves []func()
	enter := func(from string) bool {
		leave, ok := c.enter(netip.MustParseAddr(from))
		if ok {
			leaves = append(leaves, leave)
		}
		return ok
	}
	for range crowdOfNetwork {
		if !enter("192.0.2.1") {
			t.Fatal("turned away")
		}
	}
	if enter("192.0.2.200") || !enter("198.51.100.1") {
		t.Error("a network counts as one, and others are not touched by it")
	}
	for i := 0; enter(fmt.Sprintf("2001:db8:0:%x00::1", i)); i++ {
	}
	if len(leaves) != crowdOfAll {
		t.Errorf("%d at once", len(leaves))
	}
	for _, leave := range leaves {
		leave()
	}
	if c.all != 0 || len(c.by) != 0 {
		t.Errorf("%d remain in %v", c.all, c.by)
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ got, want string }{
		{ago(time.Second), "just now"}, {ago(time.Minute), "1 minute ago"}, {ago(3 * time.Hour), "3 hours ago"}, {ago(72 * time.Hour), "3 days ago"},
		{size(512), "512 B"}, {size(12_345), "12.3 kB"}, {size(123_456_789), "123 MB"}, {size(5_000_000_000_000_000), "5000 TB"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, wanted %q", tt.got, tt.want)
		}
	}
	if got := prose("Type `mailstead doctor` twice."); len(got) != 3 || !got[1].Code || got[1].Text != "mailstead doctor" {
		t.Errorf("%+v", got)
	}
}
