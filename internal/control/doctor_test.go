package control

import (
	"context"
	"testing"
	"time"

	"mailstead/dns/check"
)

// patient is a doctor who finds what he is told to.
type patient struct {
	night, now []check.Finding
	at         time.Time
	muted      string // ID
}

func (p *patient) Checks(context.Context) []check.Check { return []check.Check{{ID: "host.memory"}} }
func (p *patient) Run(context.Context, ...string) []check.Finding {
	return p.now
}
func (p *patient) Last(context.Context) ([]check.Finding, time.Time, error) {
	return p.night, p.at, nil
}
func (p *patient) Mark(_ context.Context, found []check.Finding) {
	for i := range found {
		found[i].Muted = ""
		if found[i].ID == p.muted {
			found[i].Muted = "known"
		}
	}
}
func (p *patient) Mute(context.Context, string, string, string) error { return nil }
func (p *patient) Unmute(context.Context, string, string) error       { return nil }

// TestLastIsTheNewestWholeRun, of the night or of whoever asked, with what is muted now.
func TestLastIsTheNewestWholeRun(t *testing.T) {
	t.Parallel()
	p := &patient{
		night: []check.Finding{{ID: "night"}}, now: []check.Finding{{ID: "day"}},
		at: time.Now().Add(-time.Hour), muted: "day",
	}
	o := &Ops{Doctor: p}
	last := func() DoctorLast {
		t.Helper()
		got, err := Call[DoctorLast](t.Context(), o, "doctor.last", nil)
		if err != nil || len(got.Findings) != 1 {
			t.Fatal(got, err)
		}
		return got
	}
	run := func(only ...string) {
		t.Helper()
		if _, err := Call[[]check.Finding](t.Context(), o, "doctor.run", DoctorQuery{Only: only}); err != nil {
			t.Fatal(err)
		}
	}
	run("host.memory")
	if got := last(); got.Findings[0].ID != "night" || !got.Found.Equal(p.at) {
		t.Errorf("after a part of a run: %+v", got)
	}
	run()
	if got := last(); got.Findings[0].ID != "day" || got.Findings[0].Muted != "known" {
		t.Errorf("after a whole run: %+v", got)
	}
	p.muted = ""
	if got := last(); got.Findings[0].Muted != "" {
		t.Errorf("not muted any more: %+v", got)
	}
	p.at = time.Now().Add(time.Minute)
	if got := last(); got.Findings[0].ID != "night" {
		t.Errorf("after a later night: %+v", got)
	}
}
