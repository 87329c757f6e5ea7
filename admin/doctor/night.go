package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailstead/dns/check"
	"mailstead/internal/maillog"
)

// Change is the difference between two runs in one finding.
type Change struct {
	check.Finding
	Before check.Severity // "" when it was not there
	Over   bool           // it is well now
}

// trouble is what somebody should act upon and has not muted.
func trouble(f check.Finding) bool {
	return f.Muted == "" && (f.Severity == check.Problem || f.Severity == check.Warning)
}

// Difference tells what is new or worse, what is better, and what is over, in
// this order. Notes are nobody's reason to write at night.
func Difference(before, now []check.Finding) []Change {
	type key struct{ id, subject string }
	old, current := map[key]check.Finding{}, map[key]check.Finding{}
	for _, f := range before {
		old[key{f.ID, f.Subject}] = f
	}
	var worse, better, over []Change
	for _, f := range now {
		k := key{f.ID, f.Subject}
		current[k] = f
		was := old[k]
		switch {
		case trouble(f) && !trouble(was):
			worse = append(worse, Change{Finding: f, Before: was.Severity})
		case trouble(f) && was.Severity == check.Warning && f.Severity == check.Problem:
			worse = append(worse, Change{Finding: f, Before: was.Severity})
		case trouble(f) && was.Severity == check.Problem && f.Severity == check.Warning:
			better = append(better, Change{Finding: f, Before: was.Severity})
		}
	}
	for _, f := range before {
		is, there := current[key{f.ID, f.Subject}]
		if trouble(f) && (!there || !trouble(is) && is.Muted == "") {
			over = append(over, Change{Finding: f, Before: f.Severity, Over: true})
		}
	}
	return slices.Concat(worse, better, over)
}

// Night runs all checks and gives what has changed since the last night. What is
// new is looked at once more after a pause: a network has its moments, and
// nobody wants to read of them in the morning.
func (d *Doctor) Night(ctx context.Context, pause time.Duration) ([]Change, error) {
	if d.Host.Disk != nil {
		if disk, err := d.Host.Disk(d.Config.Data); err == nil {
			if err := d.Memory.NoteDisk(ctx, d.now(), disk.Free); err != nil {
				return nil, fmt.Errorf("note the free space: %w", err)
			}
		}
	}
	before, _, err := d.Memory.Last(ctx)
	if err != nil {
		return nil, err
	}
	now := d.Run(ctx)
	if again := doubtful(Difference(before, now)); len(again) > 0 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
		var looked []string
		for _, c := range d.Checks(ctx) {
			if Chosen(c.ID, again) {
				looked = append(looked, c.ID)
			}
		}
		now = replace(now, d.Run(ctx, again...), looked)
	}
	if ctx.Err() != nil { // findings of a server that stops are none
		return nil, ctx.Err()
	}
	now = unknown(before, now)
	return Difference(before, now), d.Memory.Remember(ctx, now, d.now())
}

// doubtful are the IDs of what is new.
func doubtful(changes []Change) []string {
	var ids []string
	for _, c := range changes {
		if !c.Over && !slices.Contains(ids, c.ID) {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// replace puts the findings of a second look in the place of those that the same
// checks made in the first: what is well now has another ID than its trouble.
func replace(all, again []check.Finding, checks []string) []check.Finding {
	kept := slices.DeleteFunc(slices.Clone(all), func(f check.Finding) bool {
		return slices.ContainsFunc(checks, func(id string) bool { return f.ID == id || strings.HasPrefix(f.ID, id+".") })
	})
	return append(kept, again...)
}

// unknown keeps the trouble of before where a check had no answer tonight, which
// is a warning under the check's own ID, or nothing to look at, because the whole
// domain is gone: it is neither over nor new tomorrow.
func unknown(before, now []check.Finding) []check.Finding {
	for _, f := range before {
		silent := slices.ContainsFunc(now, func(n check.Finding) bool {
			gone := n.ID == "dns.hosting.missing" && strings.HasPrefix(f.ID, "dns.") && (f.Subject == n.Subject || strings.HasSuffix(f.Subject, "."+n.Subject))
			return gone || trouble(n) && n.Severity == check.Warning && n.Subject == f.Subject && strings.HasPrefix(f.ID, n.ID+".")
		})
		there := slices.ContainsFunc(now, func(n check.Finding) bool { return n.ID == f.ID && n.Subject == f.Subject })
		if trouble(f) && silent && !there {
			now = append(now, f)
		}
	}
	return now
}

// Letter says changes to the operator: a subject and plain text.
func Letter(host string, changes []Change) (subject, text string) {
	count := map[string]int{}
	var b strings.Builder
	section := ""
	for _, c := range changes {
		c.Sentence, c.Subject = maillog.Clean(c.Sentence, letterLine), maillog.Clean(c.Subject, letterLine)
		name := "New"
		switch {
		case c.Over:
			name = "Over"
		case c.Before == check.Problem:
			name = "Better"
		case c.Before == check.Warning:
			name = "Worse"
		}
		count[name]++
		if name != section {
			fmt.Fprintf(&b, "%s\n\n", name)
			section = name
		}
		writeChange(&b, c, host)
	}
	switch n := count["New"] + count["Worse"]; {
	case n == 1 && len(changes) == 1:
		subject = strings.TrimSuffix(maillog.Clean(changes[0].Sentence, letterLine), ".")
	case n > 0:
		subject = fmt.Sprintf("%d things on %s need you", n, host)
		if n == 1 {
			subject = fmt.Sprintf("One thing on %s needs you", host)
		}
	default:
		subject = "Trouble on " + host + " is over"
	}
	fmt.Fprintf(&b, "This is what changed on %s since the last look. `mailstead doctor` shows\neverything; `mailstead doctor ID --mute REASON` silences one thing.\n", host)
	return subject, b.String()
}

// letterLine is the most of a line of a letter that others may have written.
const letterLine = 900

func writeChange(b *strings.Builder, c Change, host string) {
	about := ""
	if c.Subject != host && !strings.Contains(c.Sentence, c.Subject) {
		about = c.Subject
	}
	if c.Over {
		fmt.Fprintf(b, "- No longer so: %s [%s]\n", c.Sentence, c.ID)
		if about != "" {
			fmt.Fprintf(b, "  About: %s\n", about)
		}
		b.WriteString("\n")
		return
	}
	fmt.Fprintf(b, "- %s: %s [%s]\n", c.Severity, c.Sentence, c.ID)
	for _, part := range []struct{ name, text string }{{"About: ", about}, {"Seen: ", c.Evidence}, {"Do: ", c.Fix}, {"Look again: ", c.Recheck}} {
		for i, line := range strings.Split(strings.TrimSpace(part.text), "\n") {
			if line = maillog.Clean(line, letterLine); line == "" {
				continue
			}
			name := part.name
			if i > 0 {
				name = strings.Repeat(" ", len(name))
			}
			fmt.Fprintf(b, "  %s%s\n", name, line)
		}
	}
	for _, r := range c.Records {
		fmt.Fprintf(b, "  Publish: %s %s %s\n", r.Name, r.Type, r.Data)
	}
	b.WriteString("\n")
}
