package wanted_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailstead/internal/sqlite"
	"mailstead/message"
)

// TestFindInclude: only a name with an SPF record is included, never one above
// what somebody can own.
func TestFindInclude(t *testing.T) {
	t.Parallel()
	s, _, w := open(t)
	for name, text := range map[string]string{
		"example.net": `@ TXT "v=spf1 ip4:192.0.2.0/24 -all"`,
		"own.test":    `out TXT "v=spf1 ip4:192.0.2.1 -all"` + "\n@ TXT \"v=spf1 -all\"",
		"plain.test":  `@ TXT "hello"`,
		"co.uk":       `@ TXT "v=spf1 -all"`,
	} {
		if err := w.Zone(name, text+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]string{}
	for _, host := range []message.Domain{
		"smtp.example.net", "a.b.example.net", "out.own.test", "smtp.plain.test", "shop.co.uk", "nowhere.test", "email-smtp.eu-west-1.amazonaws.com",
		"[192.0.2.1]",
	} {
		name, err := s.FindInclude(t.Context(), host)
		if err != nil {
			name = err.Error()
		}
		got[string(host)] = name
	}
	want := map[string]string{
		"smtp.example.net": "example.net", "a.b.example.net": "example.net", "out.own.test": "out.own.test", "smtp.plain.test": "",
		"shop.co.uk": "", "nowhere.test": "", "email-smtp.eu-west-1.amazonaws.com": "amazonses.com", "[192.0.2.1]": "",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestIncludeOfAllDomains: what the smart host wants joins a domain's own choice.
func TestIncludeOfAllDomains(t *testing.T) {
	t.Parallel()
	s, db, _ := open(t)
	err := db.Update(t.Context(), func(tx *sqlite.Tx) error {
		if err := s.Accounts.AddDomain(tx, "example.test"); err != nil {
			return err
		}
		choices, err := s.Choices(t.Context(), "example.test")
		if err != nil {
			return err
		}
		choices.Include = []string{"spf.one.test", "spf.two.test"}
		if err := s.SetChoices(tx, "example.test", choices); err != nil {
			return err
		}
		return s.SetInclude(tx, []string{"spf.two.test", "spf.three.test"})
	})
	if err != nil {
		t.Fatal(err)
	}
	include := func() []string {
		z, err := s.Settings(t.Context(), "example.test")
		if err != nil {
			t.Fatal(err)
		}
		return z.Include
	}
	if d := cmp.Diff([]string{"spf.one.test", "spf.two.test", "spf.three.test"}, include()); d != "" {
		t.Error(d)
	}
	if err := db.Update(t.Context(), func(tx *sqlite.Tx) error { return s.SetInclude(tx, nil) }); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"spf.one.test", "spf.two.test"}, include()); d != "" {
		t.Error(d)
	}
}
