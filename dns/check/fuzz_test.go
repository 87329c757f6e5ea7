package check

import (
	"testing"

	"mailstead/dns/zone"
)

// FuzzRecords: whatever others publish is read without a fault.
func FuzzRecords(f *testing.F) {
	for _, s := range []string{
		"v=DKIM1; k=rsa; p=AAAA", "v=DMARC1; p=none; rua=mailto:a@b!10m,https://c", "version: STSv1\nmode: testing\nmx: *.b\nmax_age: 1\n",
		"v=spf1 include:%{i}.x a/24//64 redirect=y", "0 issue \"a; accounturi=b\"", ";;==;",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d := &Domain{Settings: zone.Settings{Domain: "example.test", Host: "mail.example.test"}}
		matchKey(text, "v=DKIM1; k=rsa; p=AAAA")
		isDMARC(text)
		badReports(Tags(text)["rua"])
		d.judgePolicy(text, Finding{})
		d.judgeDMARC(text, &views{}, Finding{})
		samePlace([]string{text}, "0 1 993 mail.example.test.")
		canonical("TXT", text)
	})
}
