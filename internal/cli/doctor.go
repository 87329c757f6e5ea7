package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"mailstead/dns/check"
	"mailstead/internal/app"
	"mailstead/internal/control"
)

type doctorCommand struct {
	ID      []string `arg:"" optional:"" help:"What to look at, such as net.outgoing or host; without it everything."`
	All     bool     `short:"a" help:"Show what is well too."`
	List    bool     `help:"List what is looked at."`
	Mute    string   `placeholder:"REASON" help:"Say why a finding is as it should be; it is not told any more."`
	Subject string   `help:"With --mute and --unmute: this subject only, as the finding names it."`
	Unmute  bool     `help:"Tell of it again."`
}

func (doctorCommand) Help() string {
	return `Looks at this machine, its network, the DNS, the server's doors, certificates and
queue, and says what is wrong and what to do. It changes nothing and takes less
than 20 seconds. The exit status is 0 when all is well, 1 when there is a problem
or a warning that nobody has muted, 2 when there is no such check.

To see whether mail can leave it connects to port 25 of a few large providers,
without sending anything; it asks block lists about this machine's addresses.

Examples:
  mailstead doctor
  mailstead doctor net.reverse tls
  mailstead doctor net.reverse --mute "the provider sets it next week"`
}

func (c *doctorCommand) Run(p *program) error {
	caller, err := p.doctor()
	if err != nil {
		return err
	}
	switch {
	case c.List:
		return c.list(p, caller)
	case c.Mute != "" || c.Unmute:
		return c.mute(p, caller)
	}
	found, err := control.Call[[]check.Finding](p.ctx, caller, "doctor.run", control.DoctorQuery{Only: c.ID})
	if unknown := (*control.Error)(nil); errors.As(err, &unknown) && unknown.Kind == control.NotFound {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	if _, served := caller.(*control.Client); served && os.Geteuid() == 0 {
		found = p.seenByRoot(found)
	}
	if err := p.show(found, func(w io.Writer) { printFindings(p, w, found, c.All || len(c.ID) > 0) }); err != nil {
		return err
	}
	if worst := check.Worst(found); worst == check.Problem || worst == check.Warning {
		return errFindings
	}
	return nil
}

// doctor gives whom to ask; where nothing has been set up yet, a doctor who
// looks at the machine alone.
func (p *program) doctor() (control.Caller, error) {
	caller, err := p.ask()
	var h hinted
	if err == nil || !errors.As(err, &h) || !errors.Is(err, errNoData) {
		return caller, err
	}
	cfg, err := p.config()
	if err != nil {
		return nil, err
	}
	d, err := app.VisitingDoctor(cfg)
	if err != nil {
		return nil, err
	}
	return &control.Ops{Doctor: d, Data: cfg.Data, Version: ReadVersion().Version}, nil
}

// seenByRoot puts what root sees of the machine in the place of what the server
// saw, who lives in a sandbox: other programs, their ports, the firewall. What is
// muted stays as it is.
func (p *program) seenByRoot(found []check.Finding) []check.Finding {
	cfg, err := p.config()
	if err != nil {
		return found
	}
	d, err := app.VisitingDoctor(cfg)
	if err != nil {
		return found
	}
	d.Server.Running = true
	for _, id := range []string{"host.ports", "host.mailserver", "host.firewall"} {
		at := slices.IndexFunc(found, func(f check.Finding) bool { return f.ID == id })
		if at < 0 || slices.ContainsFunc(found, func(f check.Finding) bool { return f.ID == id && f.Muted != "" }) {
			continue
		}
		found = slices.DeleteFunc(found, func(f check.Finding) bool { return f.ID == id })
		found = slices.Insert(found, at, d.Run(p.ctx, id)...)
	}
	return found
}

func (c *doctorCommand) list(p *program, caller control.Caller) error {
	all, err := control.Call[[]control.DoctorCheck](p.ctx, caller, "doctor.list", nil)
	if err != nil {
		return err
	}
	return p.show(all, func(w io.Writer) {
		t := table{header: []string{"ID", "LOOKS AT"}}
		for _, one := range all {
			t.add(one.ID, one.Title)
		}
		t.print(p, w)
	})
}

func (c *doctorCommand) mute(p *program, caller control.Caller) error {
	if len(c.ID) == 0 || c.Mute != "" && c.Unmute {
		return usageError{hinted{errors.New("which finding?"), "`mailstead doctor` shows them, `mailstead doctor ID --mute REASON` mutes one"}}
	}
	for _, id := range c.ID {
		name, in := "doctor.mute", control.DoctorMute{ID: id, Subject: c.Subject, Reason: c.Mute}
		if c.Unmute {
			name = "doctor.unmute"
		}
		if err := caller.Do(p.ctx, name, in, nil); err != nil {
			return err
		}
	}
	if c.Unmute {
		return p.say("%s is told again.", clean(strings.Join(c.ID, ", ")))
	}
	return p.say("%s is not told any more; `mailstead doctor %[1]s --unmute` takes that back.", clean(strings.Join(c.ID, ", ")))
}

// printFindings prints what is wrong, the worst first, and counts the rest.
func printFindings(p *program, w io.Writer, found []check.Finding, all bool) {
	count := map[check.Severity]int{}
	muted := 0
	for _, severity := range []check.Severity{check.Problem, check.Warning, check.Info, check.OK} {
		for _, f := range found {
			switch {
			case f.Severity != severity:
			case f.Muted != "":
				if muted++; all {
					printFinding(p, w, f)
				}
			case severity == check.OK && !all:
				count[severity]++
			default:
				count[severity]++
				printFinding(p, w, f)
			}
		}
	}
	parts := []string{}
	for _, v := range []struct {
		n         int
		one, many string
	}{
		{count[check.Problem], "problem", "problems"}, {count[check.Warning], "warning", "warnings"}, {count[check.Info], "note", "notes"},
		{muted, "muted", "muted"},
	} {
		if v.n > 0 {
			parts = append(parts, plural(v.n, v.one, v.many))
		}
	}
	parts = append(parts, fmt.Sprintf("%d as it should be", count[check.OK]))
	fmt.Fprintln(w, strings.Join(parts, ", ")+".")
}

// marks of the severities, in words for those who see no colours.
func (p *program) mark(f check.Finding) string {
	switch {
	case f.Muted != "":
		return p.paint(dim, "muted  ")
	case f.Severity == check.Problem:
		return p.paint(red, "problem")
	case f.Severity == check.Warning:
		return p.paint(yellow, "warning")
	case f.Severity == check.Info:
		return p.paint(bold, "note   ")
	}
	return p.paint(green, "ok     ")
}

func printFinding(p *program, w io.Writer, f check.Finding) {
	fmt.Fprintf(w, "%s  %s  %s\n", p.mark(f), clean(f.Sentence), p.paint(dim, clean("["+f.ID+"]")))
	if f.Severity == check.OK {
		return
	}
	if cfg, err := p.config(); !strings.Contains(f.Sentence, f.Subject) && (err != nil || f.Subject != cfg.Hostname) {
		indented(w, "about: ", f.Subject)
	}
	indented(w, "seen: ", f.Evidence)
	if f.Muted != "" {
		indented(w, "muted: ", f.Muted)
		return
	}
	indented(w, "do: ", f.Fix)
	for _, r := range f.Records {
		indented(w, "publish: ", fmt.Sprintf("%s %s %s", r.Name, r.Type, r.Data))
	}
}

// indented prints text of one or more lines behind its name.
func indented(w io.Writer, name, text string) {
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if line = clean(line); line == "" {
			continue
		}
		if i > 0 {
			name = strings.Repeat(" ", len(name))
		}
		fmt.Fprintf(w, "         %s%s\n", name, line)
	}
}
