package zone

import "time"

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
