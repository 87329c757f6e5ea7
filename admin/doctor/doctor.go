// Package doctor looks for everything that may keep mail from flowing, or from
// being safe: on this machine, in its network, at its own doors, in the DNS of
// its domains, and in what the running server keeps. Each finding says in one
// sentence what is so, what was seen, and what to do about it. It changes
// nothing, stops nothing, and is never fatal to whoever asks it.
//
//	checks (a table) ─▶ all at once, five seconds each ─▶ findings ─▶ mutes ─▶ command, page, wizard
//	                                                          └─▶ Memory: last results ─▶ the night's difference, by mail
//
// Everything that a check asks of the machine, the network or the server comes
// through the functions in Host, Network and Server, so that a test can break
// one thing at a time in a healthy world. A function that is nil is a question
// that cannot be asked here, and its checks are left out.
//
// Who is asked: the DNS; the MX hosts of a few large providers (a connection to
// port 25 that is closed after the banner, no mail); the DNS block lists in
// Network. They are named in the evidence and in docs/operate/doctor.md.
package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailstead/dns"
	"mailstead/dns/check"
	"mailstead/internal/config"
)

// Doctor runs the checks. Its fields are set before the first Run.
type Doctor struct {
	Config  config.Config
	Host    Host
	Network Network
	Server  Server
	Domains func(context.Context) []check.Check // of the domains, made by dns/check; nil for none
	Memory  *Memory                             // nil: nothing is muted or remembered
	Now     func() time.Time                    // nil means time.Now
}

// Limits of a run: each check, and all together, the collecting included.
const (
	eachLimit  = check.EachLimit
	wholeLimit = check.WholeLimit - 2*time.Second
)

// Area is a group of checks.
type Area string

const (
	OfHost    Area = "host"
	OfNetwork Area = "net"
	OfTLS     Area = "tls"
	OfMail    Area = "mail"
	OfServer  Area = "run"
)

// checks is the table of all that is looked at, but for the domains' records.
func (d *Doctor) checks() []check.Check {
	all := []check.Check{}
	for _, part := range [][]check.Check{d.hostChecks(), d.networkChecks(), d.doorChecks(), d.mailChecks(), d.serverChecks()} {
		for _, c := range part {
			if c.Run != nil {
				all = append(all, c)
			}
		}
	}
	return all
}

// Checks lists what can be asked here: the table, and those of the domains.
func (d *Doctor) Checks(ctx context.Context) []check.Check {
	all := d.checks()
	if d.Domains != nil {
		all = append(all, d.Domains(ctx)...)
	}
	return all
}

// Run runs the checks with the given IDs, or all, and gives their findings in
// the order of the table, the muted ones marked. An ID names its check and those
// that begin with it and a dot: "tls", "dns.spf". It takes less than twenty
// seconds whatever happens.
func (d *Doctor) Run(ctx context.Context, only ...string) []check.Finding {
	ctx, cancel := context.WithTimeout(ctx, wholeLimit)
	defer cancel()
	ctx = context.WithValue(ctx, tourKey{}, &tour{over: make(chan struct{})})
	run := *d
	if c, cached := d.Network.Resolver.(*dns.Client); cached {
		run.Network.Resolver = c.Fresh() // what was mended a minute ago is well
	}
	var chosen []check.Check
	for _, c := range run.Checks(ctx) {
		if Chosen(c.ID, only) && (c.ID != onRequest || slices.Contains(only, onRequest)) {
			chosen = append(chosen, bounded(c))
		}
	}
	found := check.Run(ctx, chosen)
	for i := range found {
		f := &found[i]
		if f.Subject == "" {
			f.Subject = d.Config.Hostname
		}
		if f.Recheck == "" {
			f.Recheck = "mailstead doctor " + f.ID
		}
	}
	if d.Memory != nil {
		d.Memory.markMuted(context.WithoutCancel(ctx), found)
	}
	return found
}

// Chosen tells whether an ID is among those asked for; none asks for all. An ID
// longer than a check's own asks for that check.
func Chosen(id string, only []string) bool {
	return len(only) == 0 || slices.ContainsFunc(only, func(want string) bool {
		return id == want || strings.HasPrefix(id, want+".") || strings.HasPrefix(want, id+".")
	})
}

// bounded gives a check its five seconds, even one that does not look at its
// context. Those of the domains bound each of their questions themselves.
func bounded(c check.Check) check.Check {
	if strings.HasPrefix(c.ID, "dns.") {
		return c
	}
	run := c.Run
	c.Run = func(ctx context.Context) []check.Finding {
		ctx, cancel := context.WithTimeout(ctx, eachLimit)
		defer cancel()
		done := make(chan []check.Finding, 1)
		broke := make(chan any, 1)
		go func() {
			defer func() {
				if v := recover(); v != nil {
					broke <- v
				}
			}()
			done <- run(ctx)
		}()
		select {
		case found := <-done:
			return found
		case v := <-broke:
			panic(v) // of the check, told by check.Run
		case <-ctx.Done():
		}
		select { // an answer that came with the end of the time is one
		case found := <-done:
			return found
		case <-time.After(200 * time.Millisecond):
			return []check.Finding{unanswered(c.ID, "", fmt.Sprintf("The check %q had no answer within %v.", c.Title, eachLimit), "")}
		}
	}
	return c
}

func (d *Doctor) now() time.Time {
	if d.Now != nil {
		return d.Now()
	}
	return time.Now()
}

// The makers of findings. sentence is whole and ends with a full stop.

func ok(id, subject, sentence string) check.Finding {
	return check.Finding{ID: id, Subject: subject, Severity: check.OK, Sentence: sentence}
}

func info(id, subject, sentence, evidence, fix string) check.Finding {
	return check.Finding{ID: id, Subject: subject, Severity: check.Info, Sentence: sentence, Evidence: evidence, Fix: fix}
}

func warning(id, subject, sentence, evidence, fix string) check.Finding {
	return check.Finding{ID: id, Subject: subject, Severity: check.Warning, Sentence: sentence, Evidence: evidence, Fix: fix}
}

func problem(id, subject, sentence, evidence, fix string) check.Finding {
	return check.Finding{ID: id, Subject: subject, Severity: check.Problem, Sentence: sentence, Evidence: evidence, Fix: fix}
}

// unanswered is a question without an answer, which is a finding of its own.
func unanswered(id, subject, sentence, evidence string) check.Finding {
	return warning(id, subject, sentence, evidence, "Look again; if it stays, something between here and there swallows the questions.")
}

// unreadable is a fact that the machine does not tell us.
func unreadable(id, subject, what string, err error) check.Finding {
	return info(id, subject, what+" could not be looked at.", err.Error(), "")
}
