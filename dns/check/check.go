// Package check compares the records that a domain should have with what the DNS
// says, and tells the difference in plain words: one sentence, the evidence, and
// the records to paste. It judges and changes nothing; what to do about a finding
// is for admin/doctor, the wizard and the person.
//
// # How data passes
//
// The wanted records come from dns/zone. Each name is asked of the domain's
// authoritative servers first, which know what is published, and then of the
// resolvers, which show what the world sees; all at once, five seconds each,
// twenty in all. A question without an answer is a finding of its own and never
// stops the others.
package check

import (
	"context"
	"fmt"
	"time"

	"mailstead/dns/zone"
)

// Severity is how much a finding matters.
type Severity string

const (
	OK      Severity = "ok"      // as it should be
	Info    Severity = "info"    // worth knowing
	Warning Severity = "warning" // works, but not well or not for long
	Problem Severity = "problem" // mail is lost, late, or distrusted
)

// Finding is one result of a check.
type Finding struct {
	ID       string        `json:"id"`      // stable, "dns.spf"; of the kind of finding
	Subject  string        `json:"subject"` // what it is about: a domain, a host, a door
	Severity Severity      `json:"severity"`
	Sentence string        `json:"sentence"`           // what is so, one sentence
	Evidence string        `json:"evidence,omitempty"` // what was seen, and who said it
	Fix      string        `json:"fix,omitempty"`      // the next step
	Recheck  string        `json:"recheck,omitempty"`  // the command that looks again
	Records  []zone.Record `json:"records,omitempty"`  // to publish
	Muted    string        `json:"muted,omitempty"`    // the reason that somebody gave
}

// Check is one thing to look at. Its findings bear its ID, or one that begins
// with it and a dot.
type Check struct {
	ID, Title string
	Run       func(ctx context.Context) []Finding
}

// Limits of a run.
const (
	EachLimit  = 5 * time.Second
	WholeLimit = 20 * time.Second
)

// Run runs all checks at once and gives their findings in the order of the
// checks. One that is not done when the whole time is over, or that panics, is a
// warning; nothing stops the others.
func Run(ctx context.Context, checks []Check) []Finding {
	ctx, cancel := context.WithTimeout(ctx, WholeLimit)
	defer cancel()
	results := make([]chan []Finding, len(checks))
	for i, c := range checks {
		results[i] = make(chan []Finding, 1)
		go func() { results[i] <- c.guarded(ctx) }()
	}
	var all []Finding
	for i, c := range checks {
		select {
		case found := <-results[i]:
			all = append(all, found...)
		default:
			select {
			case found := <-results[i]:
				all = append(all, found...)
			case <-ctx.Done():
				all = append(all, c.unfinished("it took too long"))
			}
		}
	}
	return all
}

// guarded runs a check whose fault must not be everybody's.
func (c Check) guarded(ctx context.Context) (found []Finding) {
	defer func() {
		if v := recover(); v != nil {
			found = []Finding{c.unfinished(fmt.Sprintf("it broke: %v", v))}
		}
	}()
	return c.Run(ctx)
}

func (c Check) unfinished(why string) Finding {
	return Finding{
		ID: c.ID, Severity: Warning, Sentence: fmt.Sprintf("The check %q was not finished: %s.", c.Title, why),
		Fix: "Look again; if it stays, something between here and there swallows the questions.",
	}
}

// Worst is the greatest severity among findings that nobody muted.
func Worst(all []Finding) Severity {
	worst := OK
	for _, f := range all {
		if f.Muted == "" && rank(f.Severity) > rank(worst) {
			worst = f.Severity
		}
	}
	return worst
}

func rank(s Severity) int {
	switch s {
	case Problem:
		return 3
	case Warning:
		return 2
	case Info:
		return 1
	}
	return 0
}
