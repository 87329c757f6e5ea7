package demo

import (
	"bytes"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"mailstead/dns/check"
	"mailstead/dns/zone"
)

// TestWalk is the demo itself: every step, on loopback.
func TestWalk(t *testing.T) {
	d, err := Start(t.Context(), Options{Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, s := range Steps() {
		told, took, err := d.Walk(t.Context(), s)
		if err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
		t.Logf("%-8s %6.1f ms  %s", s.Name, took.Seconds()*1e3, told)
	}
	verifySignatures(t, d)
	checkRecords(t, d)
}

// checkRecords looks at the domain's records as `mailstead dns check` does.
func checkRecords(t *testing.T, d *Demo) {
	t.Helper()
	look, err := d.App.DomainCheck(t.Context(), domain)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range look.Find(t.Context()) {
		if f.Severity == check.Warning || f.Severity == check.Problem {
			t.Errorf("%s %s: %s (%s)", f.Severity, f.ID, f.Sentence, f.Evidence)
		}
	}
}

// verifySignatures holds what came to the other side against the records that
// the domain would publish.
func verifySignatures(t *testing.T, d *Demo) {
	t.Helper()
	z, err := d.App.Wanted.Settings(t.Context(), domain)
	if err != nil {
		t.Fatal(err)
	}
	lookup := func(name string) (texts []string, err error) {
		for _, r := range zone.Records(z) {
			if r.Name == name {
				texts = append(texts, r.Text())
			}
		}
		return texts, nil
	}
	for _, m := range d.friend.Mails() {
		list, err := dkim.VerifyWithOptions(bytes.NewReader(m.Data), &dkim.VerifyOptions{LookupTXT: lookup})
		if err != nil || len(list) != 2 || list[0].Err != nil || list[1].Err != nil {
			t.Errorf("signatures %+v, %v of\n%s", list, err, m.Data)
		}
	}
}
