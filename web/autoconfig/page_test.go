package autoconfig

import (
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"mailstead/dns/zone"
	"mailstead/internal/webui"
)

// look gets the page as a browser does.
func look(h *Handler, host, address string) *httptest.ResponseRecorder {
	pages := &webui.Site{Name: "mail.example.org", Home: "/admin", Log: slog.New(slog.DiscardHandler), Pages: []webui.Page{h.Page()}}
	path := "/"
	if !ClientName(host) {
		path = PagePath
	}
	if address != "" {
		address, rest, _ := strings.Cut(address, "&name=")
		path += "?address=" + url.QueryEscape(address) + "&name=" + rest
	}
	w := httptest.NewRecorder()
	Paths(pages.Guard(pages)).ServeHTTP(w, httptest.NewRequest("GET", "https://"+host+path, nil))
	return w
}

func TestPage(t *testing.T) {
	h := newHandler(t)
	for _, tt := range []struct {
		name, host, address string
		status              int
		with, without       []string
	}{
		{"without an address", "autoconfig.example.org", "", 200,
			[]string{"at example.org<", "your whole address", ">mail.example.org<", "<dd>993</dd>", "<dd>465</dd>", "SSL/TLS", "STARTTLS", "YOUR-ADDRESS"},
			[]string{"profile.mobileconfig?", "role=\"alert\""}},
		{"with one", "autoconfig.example.org", "alice@example.org", 200,
			[]string{`value="alice@example.org"`, `href="/profile.mobileconfig?address=alice%40example.org"`, `set imap_user = "alice@example.org"`,
				"smtps://alice%40example.org@mail.example.org:465/", "User alice@example.org", "SSLType IMAPS", "tls_starttls off"},
			[]string{"role=\"alert\"", "YOUR-ADDRESS", "<script>"}},
		{"autodiscover", "autodiscover.example.org:443", "", 200, []string{"at example.org<"}, nil},
		{"the domain itself", "example.org", "", 200, []string{"at example.org<"}, nil},
		{"the host", "mail.example.org", "alice@second.example", 200, []string{"at second.example<", "alice@second.example"}, nil},
		{"by address", "192.0.2.1", "", 200, []string{"Show my settings"}, []string{"mail.example.org:", "The settings"}},
		{"by IPv6 address", "[2001:db8::1]:443", "a@example.org", 200, []string{"at example.org<"}, nil},
		{"U-labels", "autoconfig.xn--bcher-kva.example", "jörg@bücher.example", 200,
			[]string{"at bücher.example<", "jörg@xn--bcher-kva.example", `value="jörg@bücher.example"`, "j%c3%b6rg%40xn--bcher-kva.example"}, nil},
		{"elsewhere", "autoconfig.example.org", "alice@elsewhere.example", 200,
			[]string{"keeps no mail for elsewhere.example", "at example.org<", "YOUR-ADDRESS"}, []string{"profile.mobileconfig?"}},
		{"not an address", "autoconfig.example.org", "alice", 200, []string{"not a whole address", "name@example.org"}, []string{"profile.mobileconfig?"}},
		{"a foreign name", "autoconfig.example.net", "", 404, nil, []string{"mail.example.org:"}},
		{"a foreign name with an address of ours", "autoconfig.example.net", "alice@example.org", 404, nil, []string{"alice"}},
		{"a failure of ours", "autoconfig.broken.example", "", 500, nil, []string{"disk"}},
	} {
		w := look(h, tt.host, tt.address)
		text := w.Body.String()
		if w.Code != tt.status {
			t.Errorf("%s: %d\n%s", tt.name, w.Code, text)
		}
		for _, s := range tt.with {
			if !strings.Contains(strings.ToLower(text), strings.ToLower(s)) {
				t.Errorf("%s: no %q in\n%s", tt.name, s, text)
			}
		}
		for _, s := range tt.without {
			if strings.Contains(text, s) {
				t.Errorf("%s: %q in\n%s", tt.name, s, text)
			}
		}
	}
}

// Whoever makes the link makes neither markup nor lines that a program runs.
func TestPageOfHostileAddresses(t *testing.T) {
	h := newHandler(t)
	for _, local := range []string{"\"`touch /tmp/x`\"", "a`b`", `"$(x)"`, "a$HOME", `"\"; set editor=\"x"`, `"<script>alert(1)</script>"`, `"a b"`, "a&b", "a'b", "a|b", "{{.}}"} {
		text := look(h, "autoconfig.example.org", local+"@example.org").Body.String()
		if strings.Contains(text, "<script>alert") || strings.Contains(text, "keeps no mail") || strings.Contains(text, "not a whole") {
			t.Errorf("%s:\n%s", local, text)
		}
		_, snippets, _ := strings.Cut(text, "neomuttrc")
		snippets = html.UnescapeString(snippets)
		if !strings.Contains(snippets, `set imap_user = "YOUR-ADDRESS"`) || strings.Contains(snippets, local) {
			t.Errorf("%s stands in\n%s", local, snippets)
		}
	}
	for _, plainly := range []string{"alice@example.org", "a.b-c_d+e@xn--bcher-kva.example", "jörg@example.org"} {
		if !plain(plainly) {
			t.Error(plainly)
		}
	}
}

// A person's name goes from the form into the profile, and nowhere else.
func TestPageWithAName(t *testing.T) {
	h := newHandler(t)
	for _, tt := range []struct{ name, href, value string }{
		{"Alice Liddell", "&amp;name=Alice%20Liddell\"", `value="Alice Liddell"`},
		{`A&B <"x">'`, "&amp;name=A%26B%20%3c%22x%22%3e%27\"", `value="A&amp;B &lt;&#34;x&#34;&gt;&#39;"`},
		{"two\nlines", `alice%40example.org"`, `value=""`},
		{strings.Repeat("a", 1000), `alice%40example.org"`, `value=""`},
	} {
		text := look(h, "autoconfig.example.org", "alice@example.org&name="+url.QueryEscape(tt.name)).Body.String()
		if !strings.Contains(text, tt.href) || !strings.Contains(text, tt.value) {
			t.Errorf("%s: %s, %s are not in\n%s", tt.name, tt.href, tt.value, text)
		}
	}
}

func TestPageOfClosedDoors(t *testing.T) {
	h := newHandler(t)
	h.Doors = func() []zone.Service { return []zone.Service{{Name: "_submissions", Port: 465}} }
	if w := look(h, "autoconfig.example.org", "alice@example.org"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Not for mail programs") ||
		strings.Contains(w.Body.String(), "profile.mobileconfig?") {
		t.Errorf("%d\n%s", w.Code, w.Body)
	}
	h.Doors = func() []zone.Service {
		return []zone.Service{{Name: "_submission", Port: 587}, {Name: "_imap", Port: 143}}
	}
	text := look(h, "autoconfig.example.org", "alice@example.org").Body.String()
	for _, s := range []string{"imap://mail.example.org:143/", "smtp://alice%40example.org@mail.example.org:587/", "SSLType STARTTLS", "tls_starttls on"} {
		if !strings.Contains(text, s) {
			t.Errorf("no %q in\n%s", s, text)
		}
	}
}
