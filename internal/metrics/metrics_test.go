package metrics

import (
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstead/internal/maillog"
)

func TestFormat(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	w := NewWriter(&b)
	w.Counter("a_total", "A.", 3, "x", `q"\`+"\n", "y", "z")
	w.Counter("a_total", "A.", 4, "x", "", "y", "")
	w.Gauge("b", "B.", 0.5)
	w.Time("c", "C.", time.Time{})
	w.Time("d", "D.", time.UnixMilli(1500))
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	want := `# HELP a_total A.
# TYPE a_total counter
a_total{x="q\"\\\n",y="z"} 3
a_total{x="",y=""} 4
# HELP b B.
# TYPE b gauge
b 0.5
# HELP d D.
# TYPE d gauge
d 1.5
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	var e Events
	e.Record(maillog.Event{Kind: maillog.Received, Size: 1000, Dur: time.Second})
	e.Record(maillog.Event{Kind: maillog.Received, Size: 500})
	e.Record(maillog.Event{Kind: maillog.Refused, Reply: "550 5.1.1 no"})
	e.Record(maillog.Event{Kind: maillog.Refused, Reply: "\x1b[31m"})
	e.Record(maillog.Event{Kind: "anything\nelse"})
	e.Record(maillog.Event{Kind: maillog.Login, Reply: "235 2.7.0 welcome"})
	e.Record(maillog.Event{Kind: maillog.Login, Reply: "OK logged in by LOGIN"})
	e.Record(maillog.Event{Kind: maillog.Login, Reply: "NO [AUTHENTICATIONFAILED] wrong"})
	text := scrape(t, e.Write)
	for _, want := range []string{
		`mailstead_events_total{event="received"} 2`, `mailstead_event_bytes_total{event="received"} 1500`,
		`mailstead_event_seconds_total{event="received"} 1`, `mailstead_refused_total{code="550"} 1`,
		`mailstead_refused_total{code="none"} 1`, `mailstead_events_total{event="other"} 1`,
		`mailstead_logins_total{result="ok"} 2`, `mailstead_logins_total{result="failed"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
}

func scrape(t *testing.T, sources ...Source) string {
	t.Helper()
	r := httptest.NewRecorder()
	Handler(sources...).ServeHTTP(r, httptest.NewRequest("GET", "/metrics", nil))
	b, err := io.ReadAll(r.Body)
	if err != nil || r.Code != 200 {
		t.Fatal(r.Code, err)
	}
	return string(b)
}

func TestHealth(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		code int
		body string
	}{{nil, 200, "ok\n"}, {errors.New("the disk is gone"), 503, "the disk is gone\n"}} {
		r := httptest.NewRecorder()
		Health(func(context.Context) error { return tt.err }).ServeHTTP(r, httptest.NewRequest("GET", "/healthz", nil))
		if r.Code != tt.code || r.Body.String() != tt.body {
			t.Errorf("%d %q", r.Code, r.Body)
		}
	}
}

// TestNamesAreDocumented: what this room writes stands in the list of names.
func TestNamesAreDocumented(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../docs/operate/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, file := range []string{"events.go", "process.go", "../app/health.go"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text += string(b)
	}
	for _, m := range regexp.MustCompile(`"((?:mailstead|process)_[a-z_]+)"`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(string(docs), "`"+m[1]+"`") {
			t.Errorf("docs/operate/metrics.md does not name %s", m[1])
		}
	}
	if s := scrape(t, Process(time.Now(), "v1")); !strings.Contains(s, `mailstead_build_info{version="v1"`) {
		t.Error(s)
	}
}
