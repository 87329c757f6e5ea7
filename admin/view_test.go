package admin

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstead/dns/check"
	"mailstead/dns/zone"
	"mailstead/internal/control"
	"mailstead/message"
)

func TestViewBackup(t *testing.T) {
	t.Parallel()
	now := time.Now()
	note := func(age time.Duration, problem string) control.BackupNote {
		return control.BackupNote{Dir: "/mnt/disk", Ended: now.Add(-age), Problem: problem}
	}
	plan := control.BackupPlan{Dir: "/mnt/disk"}
	for _, tt := range []struct {
		name            string
		state           control.BackupState
		light, headline string
	}{
		{"none", control.BackupState{}, "info", "None"},
		{"planned", control.BackupState{Plan: plan}, "info", "The first comes this night"},
		{"good", control.BackupState{Plan: plan, Last: note(time.Hour, ""), Good: note(time.Hour, "")}, "ok", "Every night"},
		{"late", control.BackupState{Plan: plan, Last: note(50*time.Hour, ""), Good: note(50*time.Hour, "")}, "warning", "Late"},
		{"failed", control.BackupState{Plan: plan, Last: note(time.Hour, "disk full"), Good: note(25*time.Hour, "")}, "problem", "The last one failed"},
		{"by hand", control.BackupState{Last: note(time.Hour, ""), Good: note(time.Hour, "")}, "info", "By hand"},
	} {
		if got := viewBackup(tt.state); got.Light != tt.light || got.Headline != tt.headline {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
}

func TestViewRecord(t *testing.T) {
	t.Parallel()
	domains := []message.Domain{"example.org", "sub.example.org"}
	for _, tt := range []struct {
		in   zone.Record
		want record
	}{
		{zone.Record{Name: "example.org", Type: "MX", Data: "10 mail.example.org."}, record{Zone: "example.org", Name: "@", Type: "MX", Value: "mail.example.org.", Priority: "10"}},
		{zone.Record{Name: "k._domainkey.sub.example.org", Type: "TXT", Data: `"v=DKIM1; p=AA" "BB"`}, record{Zone: "sub.example.org", Name: "k._domainkey", Type: "TXT", Value: "v=DKIM1; p=AABB"}},
		{zone.Record{Name: "mail.elsewhere.example", Type: "A", Data: "192.0.2.1"}, record{Name: "mail.elsewhere.example", Type: "A", Value: "192.0.2.1"}},
	} {
		if diff := cmp.Diff(tt.want, viewRecord(tt.in, domains)); diff != "" {
			t.Errorf("%s %s: %s", tt.in.Name, tt.in.Type, diff)
		}
	}
}

func TestOverall(t *testing.T) {
	t.Parallel()
	f := func(s check.Severity, muted string) check.Finding { return check.Finding{Severity: s, Muted: muted} }
	for _, tt := range []struct {
		found           []check.Finding
		light, headline string
	}{
		{nil, "ok", "All is well"},
		{[]check.Finding{f(check.OK, ""), f(check.Info, ""), f(check.Problem, "known")}, "ok", "All is well"},
		{[]check.Finding{f(check.Warning, ""), f(check.Warning, "")}, "warning", "2 warnings"},
		{[]check.Finding{f(check.Problem, "")}, "problem", "1 problem"},
		{[]check.Finding{f(check.Problem, ""), f(check.Warning, "")}, "problem", "1 problem, 1 warning"},
	} {
		if light, headline := overall(tt.found, time.Now()); light != tt.light || headline != tt.headline {
			t.Errorf("%s, %q, wanted %s, %q", light, headline, tt.light, tt.headline)
		}
	}
	if light, headline := overall(nil, time.Time{}); light != "info" || headline != "Nobody has looked yet" {
		t.Error(light, headline)
	}
}

func TestIssuer(t *testing.T) {
	t.Parallel()
	for dn, want := range map[string]string{
		"CN=R11,O=Let's Encrypt,C=US": "Let's Encrypt, R11", "CN=my own": "my own", "": "", "C=US": "C=US",
	} {
		if got := issuer(dn); got != want {
			t.Errorf("%q: %q", dn, got)
		}
	}
}
