package setup

import (
	"context"
	"fmt"
	"strings"
	"time"

	"mailstead/acme"
	"mailstead/dns/check"
	"mailstead/dns/publish"
	"mailstead/internal/control"
)

func recordsStep() Step {
	return Step{
		ID: "records", Title: "Records in the DNS",
		Look: func(ctx context.Context, r *Run) {
			if r.access {
				r.plan, _ = control.Call[publish.Diff](ctx, r.caller, "dns.plan", control.DNSPlan{Domain: string(r.domain)})
			}
		},
		Questions: []Question{{
			Key: "replace", Kind: YesNo, Example: "no",
			Title:   "Replace records of others that stand in the way?",
			Help:    "Such as the MX records of where the mail goes until now. `mailstead dns undo` brings them back.",
			When:    func(r *Run) bool { return len(conflicts(r.plan)) > 0 },
			Default: func(*Run) string { return "no" },
			Heading: func(r *Run) (string, string, bool) {
				var seen []string
				for _, c := range conflicts(r.plan) {
					for _, f := range c.Foreign {
						seen = append(seen, f.Text())
					}
				}
				return "Replace these records of others?", strings.Join(seen, "\n") + "\nMail goes by them until now. `mailstead dns undo` brings them back.", len(seen) > 0
			},
		}},
		Do: publishRecords,
	}
}

// conflicts are those that mail needs solved.
func conflicts(d publish.Diff) (list []publish.Change) {
	for _, c := range d.Changes {
		if c.Action == publish.Conflict && !c.Optional {
			list = append(list, c)
		}
	}
	return list
}

func publishRecords(ctx context.Context, r *Run) (res Result, err error) {
	if r.access {
		return r.publish(ctx)
	}
	all, err := control.Call[[]control.DomainRecords](ctx, r.caller, "dns.show", control.DNSQuery{Domain: string(r.domain)})
	if err != nil {
		return res, err
	}
	if !r.progress.Finished.IsZero() { // they were shown; the checks tell what is missing
		res.Lines = []string{fmt.Sprintf("You entered them by hand; `mailstead dns show %s` prints them.", r.domain.Unicode())}
		return res, nil
	}
	res.Data, r.shown = all, true
	res.Lines = []string{fmt.Sprintf("Enter these at your DNS provider; `mailstead dns show %s` prints them again.", r.domain.Unicode())}
	return res, nil
}

// publish brings the provider's records in line with ours. Called again after
// certificates and smart host, whose records nobody knew before.
func (r *Run) publish(ctx context.Context) (res Result, err error) {
	in := control.DNSPlan{Domain: string(r.domain)}
	if r.yes("replace") {
		for _, c := range conflicts(r.plan) {
			in.Take = append(in.Take, c.Set())
		}
	}
	d, err := control.Call[publish.Diff](ctx, r.caller, "dns.publish", in)
	if err != nil {
		return res, err
	}
	switch n := d.Count(publish.Add, publish.Modify, publish.Merge, publish.Delete); n {
	case 0:
		res.Lines = []string{"All records are published."}
	case 1:
		res.Lines = []string{"One set of records is published."}
	default:
		res.Lines = []string{fmt.Sprintf("%d sets of records are published; `mailstead dns undo %s` takes that back.", n, r.domain.Unicode())}
	}
	for _, c := range conflicts(d) {
		res.Findings = append(res.Findings, check.Finding{
			ID: "setup.records", Subject: c.Set(), Severity: check.Problem, Sentence: sentence(c.Sentence), Evidence: evidence(c.Foreign),
			Fix: fmt.Sprintf("`mailstead dns publish %s --take %s` replaces them, and `mailstead dns undo` brings them back.", r.domain, c.Set()),
		})
	}
	return res, nil
}

func evidence(all []publish.Record) string {
	var lines []string
	for _, f := range all {
		lines = append(lines, f.Text())
	}
	return strings.Join(lines, "\n")
}

func certificateStep() Step {
	web := func(key, title, help, example string) Question {
		return Question{Key: key, Kind: Text, Quiet: true, Kept: true, Title: title, Help: help, Example: example, Default: func(*Run) string { return "" }}
	}
	return Step{
		ID: "certificates", Title: "Certificates",
		Questions: []Question{
			{Key: "certificates", Kind: YesNo, Quiet: true, Kept: true, Example: "yes", Title: "Get certificates from a CA?",
				Help: "You agree to its terms by that. Let's Encrypt's stand at letsencrypt.org/repository.", Default: func(*Run) string { return "yes" }},
			web("ca", "The CA's ACME directory.", "Without it Let's Encrypt's.", "https://acme.example.net/directory"),
			{Key: "ca_roots_file", Kind: File, Quiet: true, Kept: true, Title: "PEM: what that CA's own server is verified with.", Help: "For a CA within your walls.",
				Example: "/etc/ssl/ca.pem", Default: func(*Run) string { return "" }},
			{Key: "entered", Kind: YesNo, Example: "yes", Title: "Have you entered the records?", Help: "They are looked for now, for a minute. No goes on without; certificates come later then.",
				When:    func(r *Run) bool { return r.o.Ask != nil && !r.access && r.shown },
				Default: func(*Run) string { return "yes" }},
			web("challenge", "How names are proven: http, tls-alpn or dns.", "Without it what is possible.", "http"),
		},
		Do: getCertificates,
	}
}

func getCertificates(ctx context.Context, r *Run) (res Result, err error) {
	v, err := r.switchOn(ctx)
	if err != nil {
		return res, err
	}
	if !v.Settings.Enabled {
		res.Lines = []string{"Certificates of a CA are switched off; `mailstead certificate set --on` gets them."}
		return res, nil
	}
	if !v.Running {
		res.Findings = []check.Finding{{ID: "setup.certificates", Severity: check.Warning, Sentence: "No server runs, and only a server can get certificates.",
			Fix: "Start it: it gets them by itself.", Recheck: "mailstead certificate list"}}
		return res, nil
	}
	if lacking := missing(v); lacking > 0 {
		if seen := r.hostSeen(ctx); len(seen) > 0 {
			res.Findings = seen
			res.Lines = []string{"Certificates come by themselves once the DNS shows this machine."}
			return res, nil
		}
		long, cancel := context.WithTimeout(ctx, 5*time.Minute)
		defer cancel()
		if v, err = control.Call[control.Certificates](long, r.caller, "certificate.obtain", control.CertificateNames{}); err != nil {
			return res, err
		}
	}
	for _, n := range v.Names {
		switch {
		case n.Problem != nil:
			res.Findings = append(res.Findings, check.Finding{ID: "setup.certificates", Subject: n.Name, Severity: check.Warning,
				Sentence: n.Problem.Sentence, Evidence: n.Problem.Evidence, Fix: n.Problem.Fix, Recheck: "mailstead certificate list"})
		case n.Origin == acme.FromACME || n.Origin == acme.FromFiles:
			res.Lines = append(res.Lines, fmt.Sprintf("%s has a certificate until %s.", n.Name, n.NotAfter.Local().Format("2006-01-02")))
		}
	}
	// TLSA and CAA records are known now.
	return r.publishAgain(ctx, res)
}

// publishAgain publishes what has come to be known, where it is published at all.
func (r *Run) publishAgain(ctx context.Context, res Result) (Result, error) {
	if !r.access {
		return res, nil
	}
	more, err := r.publish(ctx)
	if len(more.Lines) > 0 && more.Lines[0] != "All records are published." {
		res.Lines = append(res.Lines, more.Lines...)
	}
	return res, err // its findings were told when it was published first
}

// missing counts names without a certificate of anybody's.
func missing(v control.Certificates) (n int) {
	for _, s := range v.Names {
		if s.Origin == acme.SelfMade || s.Origin == acme.NotYetHere || s.Problem != nil {
			n++
		}
	}
	return n
}

// switchOn makes the settings of the answers, where they do not stand already.
func (r *Run) switchOn(ctx context.Context) (v control.Certificates, err error) {
	if v, err = control.Call[control.Certificates](ctx, r.caller, "certificate.show", nil); err != nil {
		return v, err
	}
	if !r.yes("certificates") || r.o.Config.TLSCert != "" && !v.Settings.Enabled {
		return v, nil
	}
	in := control.CertificateChange{}
	on, changed := true, false
	change := func(to **string, was, now string) {
		if now != "" && now != was {
			*to, changed = &now, true
		}
	}
	if !v.Settings.Enabled {
		in.Enabled, changed = &on, true
	}
	change(&in.CA, v.Settings.CA, r.Answer("ca"))
	change(&in.Challenge, string(v.Settings.Challenge), r.Answer("challenge"))
	if file := r.Answer("ca_roots_file"); file != "" {
		roots, err := readFile(file)
		if err != nil {
			return v, err
		}
		change(&in.Roots, v.Settings.Roots, roots)
	}
	if v.Settings.Email == "" {
		change(&in.Email, "", r.address.String())
	}
	if !changed {
		return v, nil
	}
	return control.Call[control.Certificates](ctx, r.caller, "certificate.set", in)
}

// hostSeen waits until the DNS shows this machine: a CA that does not find it
// leaves us alone for an hour after a few times. Records that were published go
// round the name servers for a while; those that a person enters are looked for
// once.
func (r *Run) hostSeen(ctx context.Context) []check.Finding {
	wait := r.o.Wait
	if wait == 0 {
		wait = time.Minute
	}
	if !r.access && !r.yes("entered") {
		wait = 0
	}
	for end := time.Now().Add(wait); ; {
		found, err := control.Call[[]check.Finding](ctx, r.caller, "dns.check", control.DNSCheck{Domain: string(r.domain), Only: []string{"dns.host"}})
		if err != nil || check.Worst(found) != check.Problem {
			return nil // the CA will tell
		}
		if time.Now().After(end) {
			return found
		}
		select {
		case <-ctx.Done():
			return found
		case <-time.After(2 * time.Second):
		}
	}
}
