package zone_test

import (
	"strings"
	"testing"

	"mailstead/dns/zone"
)

// FuzzMergeSPF: whatever stood there, ours comes first, one term ends the record,
// and merging again changes nothing.
func FuzzMergeSPF(f *testing.F) {
	for _, s := range []string{
		"v=spf1 -all", "v=spf1 mx include:a.example ~all exp=x", "v=spf1 redirect=a.example", "V=SPF1 +A all ALL", "v=spf1 ?", "x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, existing string) {
		s := zone.Settings{Domain: "example.org", Host: "mail.example.org", ExistingSPF: []string{existing}}
		once := zone.SPF(s)
		if !strings.HasPrefix(once, "v=spf1 a:mail.example.org ") || !zone.IsSPF(once) {
			t.Fatalf("%q gives %q", existing, once)
		}
		ends := 0
		for _, term := range zone.Terms(once) {
			name := strings.ToLower(term)
			if strings.TrimLeft(name, "+-~?") == "all" || strings.HasPrefix(name, "redirect=") {
				ends++
			}
		}
		if ends != 1 {
			t.Errorf("%q gives %q, with %d ends", existing, once, ends)
		}
		s.ExistingSPF = []string{once}
		if twice := zone.SPF(s); twice != once {
			t.Errorf("%q gives %q, and that %q", existing, once, twice)
		}
		r := zone.Records(s)[1]
		if r.Kind != zone.KindSPF || r.Text() != once {
			t.Errorf("%q is not %q again", r.Data, once)
		}
	})
}
