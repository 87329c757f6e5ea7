package setup

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"mailstead/dns/check"
	"mailstead/internal/control"
	"mailstead/internal/maillog"
	"mailstead/message"
)

func checksStep() Step {
	return Step{
		ID: "checks", Title: "Everything is looked at",
		Questions: []Question{{Key: "mute", Kind: Table, Title: "Findings that are not to be told, with the reason.", Example: `"net.reverse" = "the provider sets it next week"`}},
		Do:        runChecks,
	}
}

func runChecks(ctx context.Context, r *Run) (res Result, err error) {
	for id, reason := range r.table("mute") {
		if err := r.caller.Do(ctx, "doctor.mute", control.DoctorMute{ID: id, Reason: reason}, nil); err != nil {
			res.Findings = append(res.Findings, r.finding(checksStep(), err))
		}
	}
	found, err := control.Call[[]check.Finding](ctx, r.caller, "doctor.run", control.DoctorQuery{})
	if err != nil {
		return res, err
	}
	if r.o.Seen != nil {
		found = r.o.Seen(found)
	}
	well := 0
	for _, f := range found {
		if f.Severity == check.OK {
			well++
			continue
		}
		res.Findings = append(res.Findings, f)
	}
	if r.shown && !r.yes("entered") {
		res.Findings = r.notEntered(res.Findings)
	}
	res.Lines = []string{fmt.Sprintf("%d things are as they should be.", well)}
	return res, nil
}

// notEntered makes one finding of all records that are missing because the person
// has just been shown them.
func (r *Run) notEntered(found []check.Finding) []check.Finding {
	missing := 0
	found = slices.DeleteFunc(found, func(f check.Finding) bool {
		toCome := strings.HasPrefix(f.ID, "dns.") && len(f.Records) > 0
		if toCome {
			missing += len(f.Records)
		}
		return toCome
	})
	if missing == 0 {
		return found
	}
	return append(found, check.Finding{
		ID: "setup.records", Subject: r.domain.Unicode(), Severity: check.Warning,
		Sentence: fmt.Sprintf("%d records are not in the DNS yet.", missing),
		Fix:      fmt.Sprintf("Enter what was shown above (`mailstead dns show %s` shows it again), then `mailstead setup` goes on.", r.domain.Unicode()),
		Recheck:  "mailstead dns check " + string(r.domain),
	})
}

func mailStep() Step {
	return Step{
		ID: "mail", Title: "The first messages",
		Questions: []Question{
			{Key: "old_address", Kind: Text, Quiet: true, Example: "you@example.net", Title: "An address of yours elsewhere.", Help: "A message is sent there, to see that it leaves.",
				Default: func(*Run) string { return "" },
				Check: func(_ *Run, text string) (string, error) {
					a, err := message.ParseAddress(text)
					if text == "" {
						return "", nil
					}
					if err != nil || a.Domain == "" {
						return "", mistake("it has the form you@example.net", "%q is not an address.", text)
					}
					return a.String(), nil
				}},
			{Key: "wait", Kind: Text, Quiet: true, Example: "5m", Title: "How long to wait for a first message from elsewhere.", Default: func(*Run) string { return "" },
				Check: func(_ *Run, text string) (string, error) {
					if _, err := time.ParseDuration(text); text != "" && err != nil {
						return "", mistake("it has the form 90s or 5m", "%q is no length of time.", text)
					}
					return text, nil
				}},
		},
		Do: sendMail,
	}
}

// sendMail sends a message as a mail program does, and reads it as one.
func sendMail(ctx context.Context, r *Run) (res Result, err error) {
	st, err := control.Call[control.Status](ctx, r.caller, "status", nil)
	if err != nil {
		return res, err
	}
	if !st.Running {
		res.Findings = []check.Finding{{ID: "setup.mail", Severity: check.Warning, Sentence: "No server runs, so that no message was sent.",
			Fix: "Start it, then run `mailstead setup` again.", Recheck: "mailstead setup"}}
		return res, nil
	}
	const program = "setup"
	pass, err := r.programPassword(ctx, program)
	if err != nil {
		return res, err
	}
	defer func() {
		_ = r.caller.Do(context.WithoutCancel(ctx), "app-password.revoke", control.OneAppPass{Address: r.address.String(), Name: program}, nil)
	}()
	c := client{host: st.Hostname, doors: st.Doors, user: r.address.String(), password: pass}
	began := time.Now()
	id, err := c.send(ctx, r.letterTo(r.address, st.Hostname))
	if err != nil {
		return res, fmt.Errorf("send a message from %s to itself: %w", r.address.Unicode(), err)
	}
	if err := c.find(ctx, id); err != nil {
		return res, fmt.Errorf("read the message that %s was sent: %w", r.address.Unicode(), err)
	}
	res.Lines = []string{fmt.Sprintf("A message from you to yourself was sent, and read in your INBOX after %d ms.", time.Since(began).Milliseconds())}
	if to, _ := message.ParseAddress(r.Answer("old_address")); to.Domain != "" {
		line, finding := r.outside(ctx, c, to)
		if res.Lines = append(res.Lines, line); finding != nil {
			res.Lines = res.Lines[:len(res.Lines)-1]
			res.Findings = append(res.Findings, *finding)
		}
	}
	line, err := r.incoming(ctx)
	res.Lines = append(res.Lines, line)
	return res, err
}

// programPassword makes a password for this one purpose; one that a walk left,
// which was broken off here, goes.
func (r *Run) programPassword(ctx context.Context, name string) (string, error) {
	in := control.OneAppPass{Address: r.address.String(), Name: name, Scope: []string{"imap", "smtp"}}
	_ = r.caller.Do(ctx, "app-password.revoke", in, nil)
	p, err := control.Call[control.AppPass](ctx, r.caller, "app-password.add", in)
	return p.Password, err
}

func (r *Run) letterTo(to message.Address, host string) message.Mail {
	return message.Mail{
		FromName: "", From: r.address, To: to, Subject: "Your mail server works", Date: time.Now(), MessageID: message.NewMessageID(host),
		Text: fmt.Sprintf("This message went the way that your mail goes from now on: %s sent it with a\npassword and TLS, and %s keeps or delivers it.\n\n"+
			"`mailstead doctor` tells at any time whether all is well%s; every night the server\nlooks by itself and writes to you when something has changed.\n",
			r.address.Unicode(), host, r.statusPage()),
	}
}

// statusPage tells where the same can be seen in a browser, if it can.
func (r *Run) statusPage() string {
	if len(r.o.Config.Listen.HTTPS) == 0 {
		return ""
	}
	return ", and so does\nhttps://" + r.Answer("hostname") + "/ when you sign in with your password"
}

// outside sends a message away and waits for what becomes of it.
func (r *Run) outside(ctx context.Context, c client, to message.Address) (string, *check.Finding) {
	f := &check.Finding{ID: "setup.mail", Subject: to.Unicode(), Severity: check.Problem, Sentence: "The message to " + to.Unicode() + " did not leave.",
		Fix: "`mailstead trace " + to.String() + "` tells what became of it.", Recheck: "mailstead trace " + to.String()}
	began := time.Now()
	id, err := c.send(ctx, r.letterTo(to, c.host))
	if err != nil {
		f.Evidence = err.Error()
		return "", f
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end) && pause(ctx, 200*time.Millisecond) == nil; {
		all, err := control.Call[[]control.Traced](ctx, r.caller, "trace", control.TraceQuery{Text: id, Since: began.Add(-time.Minute)})
		if err != nil {
			continue
		}
		for _, t := range all {
			for _, e := range t.Events {
				switch e.Kind {
				case maillog.Relayed, maillog.Delivered:
					return fmt.Sprintf("A message to %s has left: %s took it. Look there whether it came, and not into Junk.", to.Unicode(), e.Host), nil
				case maillog.Deferred, maillog.Failed:
					f.Evidence = strings.TrimSpace(e.Host + " " + e.Reply + " " + e.Reason)
					return "", f
				}
			}
		}
	}
	f.Evidence = "It still waits in the queue."
	return "", f
}

// incoming tells whether port 25 is open on the way in, which only mail from
// outside can show.
func (r *Run) incoming(ctx context.Context) (string, error) {
	wait, _ := time.ParseDuration(r.Answer("wait"))
	for end := time.Now().Add(wait); ; {
		found, err := control.Call[[]check.Finding](ctx, r.caller, "doctor.run", control.DoctorQuery{Only: []string{"mail.incoming"}})
		if err != nil {
			return "", err
		}
		if slices.ContainsFunc(found, func(f check.Finding) bool { return f.Severity == check.OK }) {
			return "Mail from the world comes.", nil
		}
		if !time.Now().Before(end) || pause(ctx, time.Second) != nil {
			return "Send one to " + r.address.Unicode() + " from an old address of yours now: `mailstead doctor mail.incoming` tells when the first has come.", nil
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func readFile(name string) (string, error) {
	b, err := os.ReadFile(name)
	return string(b), err
}
