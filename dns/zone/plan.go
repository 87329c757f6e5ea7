package zone

import (
	"slices"
	"strings"
	"time"
)

// Stage is a step of the way to a strict policy.
type Stage struct {
	From   time.Time `json:"from"`
	Policy string    `json:"policy"` // DMARC's p
	Why    string    `json:"why"`
}

const day = 24 * time.Hour

// Plan gives the dated way of a DMARC policy: watch first, then put aside, then
// refuse. The dates are proposals; nothing changes by itself.
func (d DMARC) Plan() []Stage {
	return []Stage{
		{d.Started, "none", "Two weeks in which reports show who else sends in your name."},
		{d.Started.Add(14 * day), "quarantine", "Reports show only what you know: forged mail goes to Junk."},
		{d.Started.Add(42 * day), "reject", "Four quiet weeks later: forged mail is refused."},
	}
}

// PolicyOf is the policy of a DMARC record; "" where the text is none, or says
// nothing that is known.
func PolicyOf(record string) string {
	version, rest, _ := strings.Cut(record, ";")
	if strings.Join(strings.Fields(version), "") != "v=DMARC1" {
		return ""
	}
	for tag := range strings.SplitSeq(rest, ";") {
		name, value, _ := strings.Cut(tag, "=")
		if strings.EqualFold(strings.TrimSpace(name), "p") {
			if value = strings.ToLower(strings.TrimSpace(value)); rank(value) >= 0 {
				return value
			}
			return ""
		}
	}
	return ""
}

// rank orders policies by strictness; -1 is none of them.
func rank(policy string) int {
	return slices.Index([]string{"none", "quarantine", "reject"}, policy)
}

// Behind gives the policy whose date has come where the present one is milder;
// "" where it is not.
func (d DMARC) Behind(now time.Time) string {
	if due := d.Due(now).Policy; rank(due) > max(0, rank(d.Policy)) {
		return due
	}
	return ""
}

// Due is the last stage whose date has come.
func (d DMARC) Due(now time.Time) Stage {
	plan := d.Plan()
	due := plan[0]
	for _, s := range plan[1:] {
		if !now.Before(s.From) {
			due = s
		}
	}
	return due
}
