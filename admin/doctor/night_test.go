package doctor

import (
	"context"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstead/dns/check"
	"mailstead/internal/config"
	"mailstead/internal/machine"
	"mailstead/internal/sqlite"
)

func TestDifference(t *testing.T) {
	t.Parallel()
	f := func(id string, s check.Severity) check.Finding { return check.Finding{ID: id, Severity: s} }
	muted := f("m", check.Problem)
	muted.Muted = "known"
	before := []check.Finding{f("same", check.Warning), f("worse", check.Warning), f("better", check.Problem), f("over", check.Problem), f("gone", check.Warning), f("was ok", check.OK), f("m", check.Warning)}
	now := []check.Finding{f("same", check.Warning), f("worse", check.Problem), f("better", check.Warning), f("over", check.OK), f("was ok", check.Warning), f("note", check.Info), muted}
	var got []string
	for _, c := range Difference(before, now) {
		text := c.ID + " " + string(c.Before)
		if c.Over {
			text += " over"
		}
		got = append(got, text)
	}
	if d := cmp.Diff([]string{"worse warning", "was ok ok", "better problem", "over problem over", "gone warning over"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// sick is a doctor with one check whose answers are given.
func sick(t *testing.T, answers *[]check.Severity) *Doctor {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "m.db"), sqlite.Options{Migrations: []fs.FS{Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	cfg := config.Default()
	cfg.Hostname = "mail.example.org"
	return &Doctor{
		Config: cfg, Memory: &Memory{DB: db},
		Domains: func(context.Context) []check.Check {
			return []check.Check{{ID: "dns.test", Title: "a test", Run: func(context.Context) []check.Finding {
				s := (*answers)[0]
				*answers = (*answers)[1:]
				return []check.Finding{{ID: "dns.test", Subject: "example.org", Severity: s, Sentence: "It is " + string(s) + ".", Fix: "mend it"}}
			}}}
		},
	}
}

// TestNightOfAMoment: the checks of domains say what is wrong in their findings'
// IDs. What is well at the second look is not told, and trouble that nobody could
// be asked about tonight is neither over nor new.
func TestNightOfAMoment(t *testing.T) {
	t.Parallel()
	missing := check.Finding{ID: "dns.test.missing", Subject: "example.org", Severity: check.Problem, Sentence: "It is missing.", Fix: "mend it"}
	mute := check.Finding{ID: "dns.test", Subject: "example.org", Severity: check.Warning, Sentence: "Nobody answered.", Fix: "wait"}
	well := check.Finding{ID: "dns.test", Subject: "example.org", Severity: check.OK, Sentence: "It is there."}
	answers := []check.Finding{
		well,
		missing, well, // a moment
		missing, missing, // really
		mute, mute, // nobody can be asked
		missing, // as before
		well,    // mended
	}
	d := sick(t, nil)
	d.Domains = func(context.Context) []check.Check {
		return []check.Check{{ID: "dns.test", Title: "a test", Run: func(context.Context) []check.Finding {
			f := answers[0]
			answers = answers[1:]
			return []check.Finding{f}
		}}}
	}
	for i, want := range [][]string{nil, nil, {"It is missing."}, {"Nobody answered."}, {"over Nobody answered."}, {"over It is missing."}} {
		changes, err := d.Night(t.Context(), time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range changes {
			if c.Over {
				c.Sentence = "over " + c.Sentence
			}
			got = append(got, c.Sentence)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("night %d (-want +got):\n%s", i, d)
		}
	}
}

func TestUnknownWhenADomainIsGone(t *testing.T) {
	t.Parallel()
	f := func(id, subject string) check.Finding {
		return check.Finding{ID: id, Subject: subject, Severity: check.Problem}
	}
	before := []check.Finding{f("dns.spf.missing", "example.org"), f("dns.dkim.other", "s._domainkey.example.org"), f("dns.spf.missing", "example.net"), f("net.reverse", "192.0.2.1")}
	now := []check.Finding{f("dns.hosting.missing", "example.org")}
	var over []string
	for _, c := range Difference(before, unknown(before, now)) {
		if c.Over {
			over = append(over, c.ID+" "+c.Subject)
		}
	}
	if d := cmp.Diff([]string{"dns.spf.missing example.net", "net.reverse 192.0.2.1"}, over); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestNight: only the difference is told; what comes and goes within a minute is
// not told at all; what is muted is not told.
func TestNight(t *testing.T) {
	t.Parallel()
	answers := []check.Severity{
		check.OK,                     // first night
		check.Problem, check.Problem, // breaks, and is still broken a moment later
		check.Problem,           // the same
		check.OK,                // mended
		check.Warning, check.OK, // a moment
	}
	d := sick(t, &answers)
	night := func() (all []string) {
		t.Helper()
		changes, err := d.Night(t.Context(), time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			subject, text := Letter("mail.example.org", changes)
			if !strings.Contains(text, c.Sentence) || !strings.Contains(text, "About: example.org\n") || subject == "" {
				t.Errorf("letter %q: %s", subject, text)
			}
			all = append(all, subject)
		}
		return all
	}
	for i, want := range [][]string{nil, {"It is problem"}, nil, {"Trouble on mail.example.org is over"}, nil} {
		if d := cmp.Diff(want, night()); d != "" {
			t.Errorf("night %d (-want +got):\n%s", i, d)
		}
	}
	if len(answers) != 0 {
		t.Errorf("%d answers were not asked for", len(answers))
	}
	answers = []check.Severity{check.Problem}
	if err := d.Mute(t.Context(), "dns.test", "example.org", "is known"); err != nil {
		t.Fatal(err)
	}
	if got := night(); got != nil {
		t.Errorf("muted and told: %v", got)
	}
	last, at, err := d.Last(t.Context())
	if err != nil || time.Since(at) > time.Minute {
		t.Errorf("found at %v, %v", at, err)
	}
	for _, f := range last {
		if f.ID == "dns.test" && f.Muted != "is known" {
			t.Errorf("kept %+v", f)
		}
	}
	if err := d.Unmute(t.Context(), "dns.test", ""); err != nil {
		t.Error(err)
	}
	if err := d.Unmute(t.Context(), "dns.test", ""); err == nil {
		t.Error("unmuted twice")
	}
}

func TestDiskDays(t *testing.T) {
	t.Parallel()
	answers := []check.Severity{}
	m, now := sick(t, &answers).Memory, time.Now()
	for _, ago := range []int{500, 400, 30, 4, 3, 2, 1, 0} {
		if err := m.NoteDisk(t.Context(), now.AddDate(0, 0, -ago), uint64(601+ago)); err != nil {
			t.Fatal(err)
		}
	}
	days, err := m.Disk(t.Context(), now.AddDate(0, 0, -4))
	if err != nil || len(days) < 4 || days[len(days)-1].Free != 601 {
		t.Errorf("%v, %v", days, err)
	}
	if s := slope(days); s != -1 {
		t.Errorf("slope %v", s)
	}
}

func TestHolder(t *testing.T) {
	t.Parallel()
	listener := machine.Listener{Addr: addrPort("127.0.0.1:25"), UID: 101}
	h := Host{
		Listeners: func() ([]machine.Listener, error) { return []machine.Listener{listener}, nil },
		Processes: func() ([]machine.Process, error) { return []machine.Process{{PID: 812, Program: "exim4"}}, nil },
		Unit:      func(int) string { return "" },
	}
	for _, tt := range []struct {
		program string
		pid     int
		unit    string
		who     string
		fix     string
	}{
		{"", 0, "", "probably exim4 (pid 812)", "systemctl disable --now exim4"},
		{"exim4", 812, "", "exim4 (pid 812)", "systemctl disable --now exim4"},
		{"java", 9, "james.service", "java (pid 9)", "systemctl disable --now james"},
	} {
		listener.Program, listener.PID = tt.program, tt.pid
		h.Unit = func(int) string { return tt.unit }
		who, fix := h.Holder(addrPort("[::]:25"))
		if who != tt.who || fix != tt.fix {
			t.Errorf("%s: %q, %q", tt.program, who, fix)
		}
	}
	if who, _ := h.Holder(addrPort("[::]:26")); who != "" {
		t.Errorf("port 26 is taken by %s", who)
	}
}

// TestMuteOfOneFinding: a mute silences its own ID and what is below it, never
// the whole check.
func TestMuteOfOneFinding(t *testing.T) {
	t.Parallel()
	answers := []check.Severity{}
	m := sick(t, &answers).Memory
	for id, subject := range map[string]string{"dns.spf.open": "", "net": "", "run.backup": "elsewhere"} {
		if err := m.Mute(t.Context(), id, subject, "so be it", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	found := []check.Finding{}
	for _, id := range []string{"dns.spf", "dns.spf.open", "net.reverse", "network", "run.backup"} {
		found = append(found, check.Finding{ID: id, Severity: check.Warning})
	}
	m.markMuted(t.Context(), found)
	var got []string
	for _, f := range found {
		if f.Muted != "" {
			got = append(got, f.ID)
		}
	}
	if d := cmp.Diff([]string{"dns.spf.open", "net.reverse"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestLetterOfWhatOthersWrote: an answer of the DNS is no second field of a letter
// and moves no cursor.
func TestLetterOfWhatOthersWrote(t *testing.T) {
	t.Parallel()
	f := check.Finding{ID: "dns.dmarc.error", Subject: "example.org", Severity: check.Problem, Sentence: "The DMARC record says p=\x1b[31mx\r\nBcc: a@b.example, which means nothing.",
		Evidence: "seen \x1b]0;x\x07\x00 here", Fix: "Replace it."}
	subject, text := Letter("mail.example.org", []Change{{Finding: f}})
	for _, c := range subject + strings.ReplaceAll(text, "\n", "") {
		if c < ' ' {
			t.Fatalf("%q\n%q", subject, text)
		}
	}
}
